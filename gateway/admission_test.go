package gateway

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/tenant"
)

// hears is a runner that notes what it was asked, with a door in front whose tenants are given.
func hears(t *testing.T, got *llm.Request, tenants []tenant.Tenant, keys ...tenant.Key) *bundle {
	t.Helper()
	b := door(t, Config{}, func(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		*got = *req
		return says("x")(ctx, req, emit)
	})
	book, err := tenant.New(tenant.Config{Tenants: tenants, Keys: keys}, tenant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b.Server.keys = book
	b.listen(t, b.Handler())
	return b
}

func TestHeadersSayWhenARequestShouldStart(t *testing.T) {
	t.Parallel()
	plain, k := newKey(t, "team")
	var got llm.Request
	b := hears(t, &got, []tenant.Tenant{{ID: "team", Class: llm.ClassInteractive, Weight: 3}}, k)
	key := "Authorization: Bearer " + plain
	ask := func(headers ...string) reply { return b.ask(t, "POST", "/v1/chat/completions", chatBody, headers...) }

	if r := ask(key); r.status != 200 || got.Class != llm.ClassInteractive || got.Weight != 3 || got.Tenant != "team" || !got.StartBy.IsZero() || got.Variants || got.Queue {
		t.Errorf("%d, the runner got %+v", r.status, got)
	}
	if r := ask(key, "X-Weir-Class: batch", "X-Request-Timeout: 2.5", "X-Weir-Allow-Variants: true", "X-Weir-Queue: 1"); r.status != 200 ||
		got.Class != llm.ClassBatch || got.StartBy.Sub(got.Arrived) != 2500*time.Millisecond || !got.Variants || !got.Queue {
		t.Errorf("%d, the runner got %+v", r.status, got)
	}
	ask(key, "X-Weir-Class: system") // a class is only lowered
	if got.Class != llm.ClassInteractive {
		t.Errorf("a key of class interactive asked as %s", got.Class)
	}
	if ask(); got.Class.Rank() != llm.ClassStandard.Rank() || got.Tenant != "" {
		t.Errorf("without a key the class is %s, the tenant %q", got.Class, got.Tenant)
	}
	for header, want := range map[string]string{
		"X-Weir-Class: gold": "gold", "X-Request-Timeout: soon": "soon", "X-Request-Timeout: 0": "above 0", "X-Request-Timeout: 3601": "3600",
		"X-Request-Timeout: NaN": "NaN", "X-Weir-Allow-Variants: maybe": "maybe", "X-Weir-Queue: 2": "true or false",
	} {
		r := ask(key, header)
		r.wants(t, 400, "", want)
		if name, _, _ := strings.Cut(header, ":"); !strings.Contains(r.body, `"param":"`+name+`"`) {
			t.Errorf("%s: the error does not name the header: %s", header, r.body)
		}
	}
}

func TestWhoBringsNoKeyIsATenant(t *testing.T) {
	t.Parallel()
	var got llm.Request
	b := hears(t, &got, []tenant.Tenant{{ID: "anonymous", Class: llm.ClassBatch, Weight: 0.5}})
	if r := b.ask(t, "POST", "/v1/chat/completions", chatBody); r.status != 200 || got.Tenant != "anonymous" || got.Class != llm.ClassBatch || got.Weight != 0.5 {
		t.Errorf("%d, the runner got %+v", r.status, got)
	}
}

func TestAKeyMayNotAskEveryModel(t *testing.T) {
	t.Parallel()
	plain, k := newKey(t, "team")
	narrow, n := newKey(t, "team")
	n.Models = []string{"org/*"}
	var got llm.Request
	b := hears(t, &got, []tenant.Tenant{{ID: "team", Models: []string{"m", "org/name*"}}}, k, n)
	body := func(model string) string { return strings.Replace(chatBody, `"m"`, `"`+model+`"`, 1) }
	check := func(key, model string, want int) {
		t.Helper()
		r := b.ask(t, "POST", "/v1/chat/completions", body(model), "Authorization: Bearer "+key)
		if r.status != want || want == 403 && !strings.Contains(r.body, `"code":"forbidden"`) {
			t.Errorf("%s: %d, want %d: %s", model, r.status, want, r.body)
		}
	}
	check(plain, "m", 200)
	check(plain, "org/name:v1", 200)
	check(narrow, "m", 403)
	check(narrow, "org/name:v1", 200)
	for _, path := range []string{"/tokenize", "/apply-template"} {
		ask := `{"model":"m","prompt":"x"}`
		if path == "/apply-template" {
			ask = `{"model":"m","messages":[{"role":"user","content":"x"}]}`
		}
		if r := b.ask(t, "POST", path, ask, "Authorization: Bearer "+narrow); r.status != 403 {
			t.Errorf("%s of a model that the key may not ask gives %d: %s", path, r.status, r.body)
		}
	}
	if r := b.ask(t, "GET", "/v1/models/m", "", "Authorization: Bearer "+narrow); r.status != 403 {
		t.Errorf("the model that the key may not ask gives %d", r.status)
	}
	if r := b.ask(t, "GET", "/v1/models", "", "Authorization: Bearer "+narrow); strings.Contains(r.body, `"id":"m"`) || !strings.Contains(r.body, "org/name:v1") {
		t.Errorf("the list has %s", r.body)
	}
}

func TestRefusalsTellTheirReason(t *testing.T) {
	t.Parallel()
	check := func(e *llm.Error, status int, code string, headers map[string]string) {
		t.Helper()
		b := setup(t, Config{}, func(context.Context, *llm.Request, func(llm.Event) error) (llm.Usage, error) { return llm.Usage{}, e })
		for _, body := range []string{chatBody, streamBody} {
			r := b.ask(t, "POST", "/v1/chat/completions", body)
			r.wants(t, status, code)
			if !strings.Contains(r.body, `"reason":"`+string(e.Reason)+`"`) || r.header.Get("X-Weir-Reason") != string(e.Reason) {
				t.Errorf("%s: the reason is not told: %s, %s", code, r.header, r.body)
			}
			for name, want := range headers {
				if got := r.header.Get(name); got != want {
					t.Errorf("%s: %s is %q, want %q", code, name, got, want)
				}
			}
		}
	}
	check(&llm.Error{Kind: llm.Overloaded, Reason: llm.ReasonLate, RetryAfter: 2400 * time.Millisecond}, 503, "overloaded",
		map[string]string{"Retry-After": "3", "Retry-After-Ms": "2400", "X-Should-Retry": ""})
	check(&llm.Error{Kind: llm.StartTimeout, Reason: llm.ReasonStart}, 504, "start_timeout", nil)
	check(&llm.Error{Kind: llm.OutOfBudget, Reason: llm.ReasonMoneyBudget, RetryAfter: time.Hour}, 429, "insufficient_quota",
		map[string]string{"Retry-After": "60", "X-Should-Retry": "false"})
	check(&llm.Error{Kind: llm.RateLimited, Reason: llm.ReasonTokens, RetryAfter: 12 * time.Second, Allowance: &llm.Allowance{
		Requests: 60, RequestsLeft: 59, RequestsReset: time.Second, Tokens: 1000, TokensLeft: 10, TokensReset: 59400 * time.Millisecond,
	}}, 429, "rate_limit_exceeded", map[string]string{
		"Retry-After": "12", "X-Should-Retry": "", "X-Ratelimit-Limit-Requests": "60", "X-Ratelimit-Remaining-Requests": "59", "X-Ratelimit-Reset-Requests": "1s",
		"X-Ratelimit-Limit-Tokens": "1000", "X-Ratelimit-Remaining-Tokens": "10", "X-Ratelimit-Reset-Tokens": "59.4s",
	})
}

func TestAnAnswerTellsItsVariantAndWhatIsLeft(t *testing.T) {
	t.Parallel()
	place := llm.Place{Model: "small", Endpoint: "e", Queued: 1500 * time.Millisecond, Variant: "small", Degraded: []string{"max_tokens", "reasoning_effort"},
		Allowance: &llm.Allowance{Requests: 60, RequestsLeft: 59, RequestsReset: time.Second}}
	b := door(t, Config{}, nil)
	b.Server.runner = script(func(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		if err := emit(llm.Event{Kind: llm.EventPlaced, Place: &place}); err != nil {
			return llm.Usage{}, err
		}
		return says("x")(ctx, req, emit)
	})
	b.listen(t, b.Handler())
	for _, body := range []string{chatBody, streamBody} {
		r := b.ask(t, "POST", "/v1/chat/completions", body)
		for name, want := range map[string]string{"X-Weir-Variant": "small", "X-Weir-Degraded": "max_tokens, reasoning_effort", "X-Weir-Queue-Ms": "1500",
			"X-Ratelimit-Limit-Requests": "60", "X-Ratelimit-Remaining-Requests": "59", "X-Ratelimit-Limit-Tokens": ""} {
			if got := r.header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	}
}

// TestAStreamThatWaitsIsKeptAlive: from the first comment on, what was to be headers comes in comments, and errors inside the stream.
func TestAStreamThatWaitsIsKeptAlive(t *testing.T) {
	t.Parallel()
	var fails error
	b := door(t, Config{}, nil)
	b.Server.runner = script(func(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		for i := range 2 {
			if err := emit(llm.Event{Kind: llm.EventQueued, Queue: &llm.Queue{Position: 3 - i, Wait: 1200 * time.Millisecond}}); err != nil {
				return llm.Usage{}, err
			}
		}
		if fails != nil {
			return llm.Usage{}, fails
		}
		if err := emit(llm.Event{Kind: llm.EventPlaced, Place: &llm.Place{Model: "m", Endpoint: "e", Variant: "v", Degraded: []string{"max_tokens"}}}); err != nil {
			return llm.Usage{}, err
		}
		return says("x")(ctx, req, emit)
	})
	b.listen(t, b.Handler())
	r := b.ask(t, "POST", "/v1/chat/completions", streamBody)
	if want := ": queued position=3 wait=1.2s\n\n: queued position=2 wait=1.2s\n\n: placed model=m endpoint=e variant=v degraded=max_tokens\n\ndata: "; r.status != 200 || !strings.HasPrefix(r.body, want) || !strings.HasSuffix(r.body, "data: [DONE]\n\n") {
		t.Errorf("%d %q", r.status, r.body)
	}
	fails = &llm.Error{Kind: llm.StartTimeout, Reason: llm.ReasonStart}
	if r := b.ask(t, "POST", "/v1/chat/completions", streamBody); r.status != 200 || !strings.Contains(r.body, `"code":"start_timeout"`) || strings.Contains(r.body, "[DONE]") {
		t.Errorf("%d %q", r.status, r.body)
	}
	if r := b.ask(t, "POST", "/v1/chat/completions", chatBody); r.status != 504 { // an answer in one piece has no comments
		t.Errorf("%d %q", r.status, r.body)
	}
}
