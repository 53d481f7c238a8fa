package serve

import (
	"context"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/registry"
	"github.com/weir-ai/weir/tenant"
)

// tokens is a vocabulary of which nothing is asked but what a prompt has, and how often it was.
type tokens struct {
	llm.Vocabulary
	asked int
}

func (v *tokens) RenderTokens(context.Context, *llm.Request) ([]llm.TokenID, error) {
	v.asked++
	return make([]llm.TokenID, 40), nil
}

// TestTokensAreCountedForALimitOnly: what nobody bounds is not cut into tokens twice.
func TestTokensAreCountedForALimitOnly(t *testing.T) {
	t.Parallel()
	book, err := tenant.New(tenant.Config{Tenants: []tenant.Tenant{{ID: "bounded", Limits: tenant.Limits{Tokens: 100}}, {ID: "free", Class: llm.ClassBatch}}}, tenant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := New(nil, nil, Options{Tenants: book, Now: func() time.Time { return time.Unix(1000, 0) }})
	v := &tokens{}
	for _, id := range []llm.TenantID{"", "free", "bounded"} {
		req := &llm.Request{Tenant: id, Limits: llm.Limits{MaxTokens: 10}, Shape: llm.Shape{Prompt: 7}}
		r, err := p.reserve(t.Context(), &registry.Model{ID: "m", Vocabulary: v}, req)
		if err != nil {
			t.Fatal(err)
		}
		want, tokens := 0, int64(0)
		if id == "bounded" {
			want, tokens = 1, 50
		}
		if v.asked != want || r.Tokens() != tokens {
			t.Errorf("%q: the vocabulary was asked %d times, want %d; %d tokens are reserved, want %d", id, v.asked, want, r.Tokens(), tokens)
		}
	}
}

// TestAFallbackIsChargedWhatItCosts: of two models, the one that answers says what an answer costs.
func TestAFallbackIsChargedWhatItCosts(t *testing.T) {
	t.Parallel()
	book, err := tenant.New(tenant.Config{
		Tenants: []tenant.Tenant{{ID: "acme", Budgets: []tenant.Budget{{Money: 1000 * tenant.Unit, Per: tenant.Day}}}},
		Prices:  map[string]tenant.Price{"m": {Input: 1_000_000 * tenant.Unit, Output: 1_000_000 * tenant.Unit}, "small": {Input: 2_000_000 * tenant.Unit, Output: 3_000_000 * tenant.Unit}},
	}, tenant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	spent := func() tenant.Money {
		s, _, err := book.Standing(t.Context(), time.Now(), "acme")
		if err != nil || len(s.Budgets) != 1 {
			t.Fatalf("%+v, %v", s, err)
		}
		return tenant.Money(s.Budgets[0].Spent)
	}
	f := over(t, []llm.ModelID{"small"}, map[llm.ModelID]map[llm.EndpointID]part{
		"m": {"a": {run: failing(llm.Upstream, llm.FaultTask)}}, "small": {"s": {run: counting(10, -1, 0)}},
	})
	f.tenants = book
	req := stream(1)
	req.Tenant, req.Limits.MaxTokens = "acme", 10
	if _, _, _, err := f.listen(t, req); err != nil || len(f.falls) != 1 {
		t.Fatalf("%v, fell to %v", err, f.falls)
	}
	if got := spent(); got != (2*2+10*3)*tenant.Unit {
		t.Errorf("charged %s for 2 in and 10 out, want 34.00", got)
	}
}
