package serve

import (
	"context"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/registry"
	"github.com/weir-ai/weir/tenant"
)

// Tenants is what the pipeline needs of the tenants: a reservation before anything is computed.
type Tenants interface {
	// Reserve takes what a request may cost from its tenant's limits; nil and no error where the tenant has none. The error is an
	// *llm.Error that says which limit, and when to come back.
	Reserve(ctx context.Context, now time.Time, id llm.TenantID, model llm.ModelID, ask tenant.Ask) (*tenant.Reservation, error)
}

// hold is what a tenant's limits hold for one request. A nil hold holds nothing.
type hold struct{ r *tenant.Reservation }

// reserve takes what the request may cost from its tenant's limits.
func (p *Pipeline) reserve(ctx context.Context, m *registry.Model, req *llm.Request) (*hold, error) {
	if p.tenants == nil {
		return nil, nil
	}
	ask := tenant.Ask{Prompt: req.Shape.Prompt, Estimated: true, Output: req.Limits.MaxTokens, N: req.Choices()}
	if n, ok := counted(ctx, m, req); ok {
		ask.Prompt, ask.Estimated = n, false
	}
	r, err := p.tenants.Reserve(ctx, p.now(), req.Tenant, m.ID, ask)
	if err != nil {
		if e := llm.AsError(err); e.Reason != "" {
			p.report.turnedAway(m.ID, e.Reason)
		}
		return nil, err
	}
	if r == nil {
		return nil, nil
	}
	return &hold{r}, nil
}

// counted is the length of the prompt by the model's own tokenizer, where this process has it and the request is decoded.
func counted(ctx context.Context, m *registry.Model, req *llm.Request) (int, bool) {
	if m.Vocabulary == nil || req.Lazy != nil {
		return 0, false
	}
	if req.Task == llm.Chat {
		ids, err := m.Vocabulary.RenderTokens(ctx, req)
		return len(ids), err == nil
	}
	n := 0
	for i := range req.Prompts {
		if ids := req.Prompts[i].Tokens; ids != nil {
			n += len(ids)
			continue
		}
		ids, err := m.Vocabulary.Tokenize(ctx, req.Prompts[i].Text, true)
		if err != nil {
			return 0, false
		}
		n += len(ids)
	}
	return n, true
}

// settle charges what was used and gives the rest back. Of a request whose client left while its prompt was computed, the prompt counts.
func (h *hold) settle(ctx context.Context, now time.Time, a *answer, usage llm.Usage) {
	if h == nil {
		return
	}
	if a.visits == 0 {
		h.r.Drop(now) // it was refused before it cost anything
		return
	}
	if usage.Total() == 0 && ctx.Err() != nil {
		usage.PromptTokens = a.req.Shape.Prompt
	}
	h.r.Settle(now, usage)
}

// grow keeps the reservation above what was used.
func (h *hold) grow(now time.Time, output int) {
	if h != nil {
		h.r.Grow(now, output)
	}
}

// allowance is what the tenant's limits leave, nil where it has none.
func (h *hold) allowance() *llm.Allowance {
	if h == nil {
		return nil
	}
	return h.r.Allowance()
}
