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
	// Bounds reports whether a tenant has any limit.
	Bounds(id llm.TenantID) bool
	// Reserve takes what a request may cost from its tenant's limits; nil and no error where the tenant has none. The error is an
	// *llm.Error that says which limit, and when to come back.
	Reserve(ctx context.Context, now time.Time, id llm.TenantID, model llm.ModelID, ask tenant.Ask) (*tenant.Reservation, error)
}

// reserve takes what the request may cost from its tenant's limits. A nil reservation is of a tenant without any.
func (p *Pipeline) reserve(ctx context.Context, m *registry.Model, req *llm.Request) (*tenant.Reservation, error) {
	if p.tenants == nil || !p.tenants.Bounds(req.Tenant) {
		return nil, nil // nothing is counted in vain: a prompt's tokens take as long as the rest of the way to the engine
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
	return r, nil
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

// charge settles a reservation: what was used is charged, and the rest given back. Of a request whose client left while its prompt was
// computed, the prompt counts.
func (a *answer) charge(ctx context.Context, usage llm.Usage) {
	if a.visits == 0 {
		a.hold.Drop(a.now()) // it was refused before it cost anything
		return
	}
	if usage.Total() == 0 && ctx.Err() != nil {
		usage.PromptTokens = a.req.Shape.Prompt
	}
	a.hold.Settle(a.now(), usage)
}
