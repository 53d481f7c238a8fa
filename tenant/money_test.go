package tenant

import (
	"math"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
)

func TestMoney(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Money{"0": 0, "2.50": 2_500_000, "2.5": 2_500_000, "0.000001": 1, "12": 12_000_000, "1000000000": MoneyMax} {
		if got, err := ParseMoney(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", ".5", "1.", "1.0000001", "-1", "+1", "1e3", "1,5", "1.2.3", "1000000000.000001", "99999999999999999999", "1_0", "１"} {
		if got, err := ParseMoney(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
	for m, want := range map[Money]string{0: "0.00", 1: "0.000001", Unit: "1.00", 2_500_000: "2.50", 2_512_300: "2.5123", -1_500_000: "-1.50"} {
		if m.String() != want {
			t.Errorf("%d: %s, not %s", m, m, want)
		}
	}
}

func TestCost(t *testing.T) {
	t.Parallel()
	p := Price{Input: 3 * Unit, Cached: 300_000, Output: 15 * Unit}
	for _, c := range []struct {
		prompt, cached, output int
		want                   Money
	}{
		{0, 0, 0, 0}, {1_000_000, 0, 0, 3_000_000}, {1_000_000, 1_000_000, 0, 300_000}, {1000, 400, 100, 1800 + 120 + 1500},
		{1, 1, 0, 1}, {3, 3, 0, 1}, {4, 4, 0, 2}, // rounded up, once
		{10, 20, 0, 3}, // more cached than there is counts as all
	} {
		u := llm.Usage{PromptTokens: c.prompt, CachedTokens: c.cached, CompletionTokens: c.output}
		if got := p.Cost(u); got != c.want {
			t.Errorf("%+v costs %d, not %d", u, got, c.want)
		}
		if most := p.most(int64(c.prompt), int64(c.output)); most < p.Cost(u) {
			t.Errorf("%+v may cost %d and does cost more", u, most)
		}
	}
	if got := (Price{Input: MoneyMax, Output: MoneyMax}).most(math.MaxInt64, math.MaxInt64); got != math.MaxInt64/4 {
		t.Errorf("the largest cost is %d", got)
	}
	if got := (Price{Cached: 5 * Unit}).most(1_000_000, 0); got != 5*Unit {
		t.Errorf("a cached price above the other: %d", got)
	}
}

func TestPriceOf(t *testing.T) {
	t.Parallel()
	prices := map[string]Price{"*": {Input: 1}, "gpt*": {Input: 2}, "gpt-4*": {Input: 3}, "gpt-4o": {Input: 4}}
	for model, want := range map[llm.ModelID]Money{"llama": 1, "gpt": 2, "gpt-5": 2, "gpt-4-x": 3, "gpt-4o": 4, "gpt-4o-mini": 3} {
		if got := priceOf(prices, model).Input; got != want {
			t.Errorf("%s: %d, not %d", model, got, want)
		}
	}
	if got := priceOf(map[string]Price{"a": {Input: 1}}, "b"); got != (Price{}) {
		t.Errorf("what nobody priced costs %+v", got)
	}
}

func TestFormatReset(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{"0s": -1, "1s": time.Second, "6m0s": 6 * time.Minute, "12ms": 12 * time.Millisecond, "7.66s": 7660 * time.Millisecond, "1ms": 1, "1.001s": time.Second + 1} {
		if got := FormatReset(d); got != want {
			t.Errorf("%d: %s, not %s", d, got, want)
		}
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	tell := func(a *llm.Allowance) map[string]string {
		h := map[string]string{}
		Headers(a, func(name, value string) { h[name] = value })
		return h
	}
	got := tell(&llm.Allowance{Requests: 60, RequestsLeft: 59, RequestsReset: time.Second, Tokens: 1000, TokensLeft: 0, TokensReset: time.Minute})
	want := map[string]string{
		"X-Ratelimit-Limit-Requests": "60", "X-Ratelimit-Remaining-Requests": "59", "X-Ratelimit-Reset-Requests": "1s",
		"X-Ratelimit-Limit-Tokens": "1000", "X-Ratelimit-Remaining-Tokens": "0", "X-Ratelimit-Reset-Tokens": "1m0s",
	}
	for name, v := range want {
		if got[name] != v {
			t.Errorf("%s: %q, not %q", name, got[name], v)
		}
	}
	if len(got) != len(want) || len(tell(&llm.Allowance{Tokens: 5})) != 3 || len(tell(nil)) != 0 {
		t.Errorf("a limit that is none is told, or more than there is: %v", got)
	}
}
