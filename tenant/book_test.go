package tenant

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-ai/weir/llm"
)

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]Config{
		`tenant "a" is there twice`:                        {Tenants: []Tenant{{ID: "a"}, {ID: "a"}}},
		`is not a name`:                                    {Tenants: []Tenant{{ID: "a\x00"}}},
		`weight -1 is out of range`:                        {Tenants: []Tenant{{ID: "a", Weight: -1}}},
		`weight NaN is out of range`:                       {Tenants: []Tenant{{ID: "a", Weight: math.NaN()}}},
		`limits.tokens 1000000001 is out of`:               {Tenants: []Tenant{{ID: "a", Limits: Limits{Tokens: LimitMax + 1}}}},
		`limits.concurrent -5 is out of range`:             {Tenants: []Tenant{{ID: "a", Limits: Limits{Concurrent: -5}}}},
		`give it one of them at least`:                     {Tenants: []Tenant{{ID: "a", Budgets: []Budget{{}}}}},
		`the budget of a month has 0 tokens and -0.000001`: {Tenants: []Tenant{{ID: "a", Budgets: []Budget{{Money: -1, Per: Month}}}}},
		`two budgets of a day`:                             {Tenants: []Tenant{{ID: "a", Budgets: []Budget{{Tokens: 1}, {Money: 1}}}}},
		`other tenants: limits.requests -1`:                {Others: &Tenant{Limits: Limits{Requests: -1}}},
		`prices of "m" are out of range`:                   {Prices: map[string]Price{"m": {Output: -1}}},
		`prices: model "a*b" is no name`:                   {Prices: map[string]Price{"a*b": {}}},
		`keys: the hash of key "x"`:                        {Keys: []Key{{ID: "x"}}},
		`tenants has 100001 entries`:                       {Tenants: make([]Tenant, tenantsMax+1)},
	} {
		if bad := strings.Join(c.Validate(), "; "); !strings.Contains(bad, want) {
			t.Errorf("%s: %.200s", want, bad)
		}
		if _, err := New(c, Options{}); err == nil {
			t.Errorf("%s: a book all the same", want)
		}
	}
	good := Config{Tenants: []Tenant{{ID: "a b", Weight: weightMax, Limits: Limits{LimitMax, LimitMax, LimitMax}, Budgets: []Budget{{Tokens: 1}, {Money: MoneyMax, Per: Month}}}}}
	if bad := good.Validate(); len(bad) > 0 {
		t.Errorf("at every bound: %v", bad)
	}
}

func TestPer(t *testing.T) {
	t.Parallel()
	for _, p := range []Per{Day, Month} {
		if got, err := ParsePer(p.String()); err != nil || got != p {
			t.Errorf("%s: %v, %v", p, got, err)
		}
	}
	if _, err := ParsePer("week"); err == nil || !strings.Contains(err.Error(), "day or month") {
		t.Error(err)
	}
}

func TestAddsAndRevokesKeys(t *testing.T) {
	t.Parallel()
	keeper := newMemory()
	configured, ck := newKey(t, Key{Tenant: "acme"})
	c := one(Limits{Requests: 7})
	c.Keys = []Key{ck}
	b := newBook(t, c, Options{Keeper: keeper})
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer b.Stop(context.Background())
	plain, k := newKey(t, Key{Tenant: "acme", Admin: true})
	if b.Guarded() {
		t.Error("guarded without a key that controls")
	}
	if err := b.AddKey(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	if !b.Guarded() || b.KeyCount() != 2 || len(b.Keys()) != 2 || b.Keys()[0].ID > b.Keys()[1].ID {
		t.Errorf("keys %+v", b.Keys())
	}
	if err := b.AddKey(t.Context(), k); llm.AsError(err).Kind != llm.Invalid {
		t.Errorf("twice: %v", err)
	}
	if _, owner, err := b.Authenticate(noon, plain); err != nil || owner.Limits.Requests != 7 {
		t.Errorf("%+v, %v", owner, err)
	}
	for _, at := range []struct{ id, plain string }{{k.ID, plain}, {ck.ID, configured}} {
		if got, err := b.RevokeKey(t.Context(), noon, at.id); err != nil || !got.Revoked.Equal(noon) {
			t.Errorf("%+v, %v", got, err)
		}
		if got, err := b.RevokeKey(t.Context(), noon.Add(time.Hour), at.id); err != nil || !got.Revoked.Equal(noon) {
			t.Errorf("twice: %+v, %v", got, err)
		}
		if _, _, err := b.Authenticate(noon, at.plain); err == nil {
			t.Error("a revoked key is let in")
		}
	}
	if _, err := b.RevokeKey(t.Context(), noon, "nobody"); llm.AsError(err).Kind != llm.NotFound {
		t.Errorf("no such key: %v", err)
	}
	// A restart and a reload keep both revoked, the configured one too.
	again := newBook(t, c, Options{Keeper: keeper})
	if err := again.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer again.Stop(context.Background())
	if err := again.Reload(c); err != nil {
		t.Fatal(err)
	}
	for _, plain := range []string{plain, configured} {
		if _, _, err := again.Authenticate(noon, plain); err == nil || !strings.Contains(err.Error(), "revoked") {
			t.Errorf("after a restart: %v", err)
		}
	}
}

func TestKeysThatCannotBeKept(t *testing.T) {
	t.Parallel()
	plain, k := newKey(t, Key{})
	b := newBook(t, Config{}, Options{})
	if err := b.AddKey(t.Context(), k); err == nil || !strings.Contains(err.Error(), "keeps no keys") {
		t.Errorf("without a keeper: %v", err)
	}
	keeper := newMemory()
	b = newBook(t, Config{}, Options{Keeper: keeper})
	keeper.fail(errors.New("disk full"))
	err := b.AddKey(t.Context(), k)
	if e := llm.AsError(err); e.Kind != llm.Internal || strings.Contains(e.Message, "disk") || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("a keeper that fails: %v", err)
	}
	if _, _, err := b.Authenticate(noon, plain); err == nil {
		t.Error("a key that was not kept is let in")
	}
	if err := b.Start(t.Context()); err == nil {
		t.Error("a start without its keys")
	}
	k.Name = strings.Repeat("x", 201)
	if err := b.AddKey(t.Context(), k); llm.AsError(err).Kind != llm.Invalid {
		t.Errorf("a faulty key: %v", err)
	}
}

// TestSeesOthersKeys: what another process saves is known within a second, and keys are read only when something changed.
func TestSeesOthersKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keeper := newMemory()
		b := newBook(t, Config{}, Options{Keeper: keeper})
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		plain, k := newKey(t, Key{})
		if err := keeper.SaveKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		time.Sleep(saveEvery + time.Millisecond)
		synctest.Wait()
		if _, _, err := b.Authenticate(noon, plain); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if keeper.keysRead != 2 {
			t.Errorf("keys were read %d times", keeper.keysRead)
		}
		if err := b.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestForgetsASecond: a process that is killed has forgotten what it spent in its last second, and nothing else.
func TestForgetsASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keeper := newMemory()
		c := one(Limits{Requests: 60, Tokens: 60_000}, Budget{Tokens: 1e6, Zone: time.UTC})
		killed := newBook(t, c, Options{Keeper: keeper})
		if err := killed.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			reserve(t, killed, time.Now(), Ask{Prompt: 50, Output: 50})
		}
		time.Sleep(saveEvery + time.Millisecond)
		synctest.Wait()
		reserve(t, killed, time.Now(), Ask{Prompt: 500, Output: 500}) // forgotten
		next := newBook(t, c, Options{Keeper: keeper})
		if err := next.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := level(t, next, TallyTokensDay); got != 1000 {
			t.Errorf("%d spent after the restart, not 1000", got)
		}
		if got := level(t, next, TallyRunning); got != 0 {
			t.Errorf("%d run after the restart", got)
		}
		r := reserve(t, next, time.Now(), Ask{Prompt: 50, Output: 50})
		if a := r.Allowance(); a.RequestsLeft != 50 || a.TokensLeft != 59_900 { // one request and 1000 tokens came back in a second
			t.Errorf("%+v", a)
		}
		if err := next.Stop(t.Context()); err != nil { // an ordered stop forgets nothing
			t.Error(err)
		}
		if got := keeper.tally("acme", TallyTokensDay); got.Value != 1100 || got.Period != time.Now().UTC().Format(time.DateOnly) {
			t.Errorf("kept: %+v", got)
		}
		if err := killed.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestSavesAgainWhatFailed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keeper, metrics := newMemory(), prometheus.NewRegistry()
		b := newBook(t, one(Limits{}, Budget{Tokens: 1e6}), Options{Keeper: keeper, Metrics: metrics})
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := b.Start(t.Context()); err != nil {
			t.Errorf("a second start: %v", err)
		}
		keeper.fail(errors.New("disk full"))
		reserve(t, b, time.Now(), Ask{Prompt: 50, Output: 50})
		time.Sleep(3 * saveEvery)
		reserve(t, b, time.Now(), Ask{Prompt: 50, Output: 50})
		time.Sleep(3 * saveEvery)
		if got := keeper.tally("acme", TallyTokensDay); got.Value != 0 {
			t.Errorf("kept: %+v", got)
		}
		if n := counted(t, metrics, "weir_tenant_save_failures_total"); n < 3 {
			t.Errorf("%v failures are told", n)
		}
		keeper.fail(nil)
		time.Sleep(saveEvery + time.Millisecond)
		synctest.Wait()
		if got := keeper.tally("acme", TallyTokensDay); got.Value != 200 {
			t.Errorf("kept: %+v", got)
		}
		keeper.fail(errors.New("disk full"))
		reserve(t, b, time.Now(), Ask{Prompt: 1, Output: 1})
		if err := b.Stop(t.Context()); err == nil {
			t.Error("a stop that could not save says nothing")
		}
		if err := b.Stop(t.Context()); err == nil { // what was not saved is still there to be
			t.Error("a second stop says nothing")
		}
		keeper.fail(nil)
		if err := b.Stop(t.Context()); err != nil || keeper.tally("acme", TallyTokensDay).Value != 202 {
			t.Errorf("a third stop: %v", err)
		}
	})
}

func counted(t *testing.T, r *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func TestSharedCountersHearEverything(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, keeper := &far{}, newMemory()
		b := newBook(t, one(Limits{Tokens: 1_000_000, Concurrent: 10}, Budget{Tokens: 1e9, Zone: time.UTC}), Options{Shared: f, Keeper: keeper})
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect := func(when string, spent, running int64) {
			t.Helper()
			if got, run := level(t, b, TallyTokensDay), level(t, b, TallyRunning); got != spent || run != running {
				t.Errorf("%s: %d spent, %d running; not %d and %d", when, got, run, spent, running)
			}
		}
		r := reserve(t, b, time.Now(), Ask{Prompt: 50, Output: 50})
		r.Grow(time.Now(), 50)
		synctest.Wait()
		expect("grown", 100+growLeast, 1)
		r.Settle(time.Now(), llm.Usage{PromptTokens: 50, CompletionTokens: 60})
		synctest.Wait()
		expect("settled", 110, 0)

		// While it takes no changes they wait, those of a lease in their order.
		first := reserve(t, b, time.Now(), Ask{Prompt: 50, Output: 50})
		f.set(true)
		first.Grow(time.Now(), 50)
		synctest.Wait()
		f.set(false)
		first.Settle(time.Now(), llm.Usage{PromptTokens: 50, CompletionTokens: 40})
		second := reserve(t, b, time.Now(), Ask{Prompt: 50, Output: 50})
		second.Settle(time.Now(), llm.Usage{PromptTokens: 5})
		synctest.Wait()
		expect("before it is tried again", 110+100+5, 1) // second's is told; first's end waits behind its growth
		time.Sleep(errandsRetry + time.Millisecond)
		synctest.Wait()
		expect("tried again", 110+90+5, 0)
		time.Sleep(saveEvery + time.Millisecond)
		synctest.Wait()
		if got := keeper.tally("acme", TallyTokensDay); got.Value != 205 {
			t.Errorf("kept: %+v", got)
		}

		held := reserve(t, b, time.Now(), Ask{Prompt: 1, Output: 1})
		time.Sleep(LeaseTime)
		synctest.Wait()
		if n := len(f.renewed); n < 2 || f.renewed[0].Lease != held.draw.Lease || f.renewed[0].Tenant != "acme" {
			t.Errorf("renewed %d times in a lease's time: %+v", n, f.renewed)
		}
		f.set(true)
		held.Settle(time.Now(), llm.Usage{PromptTokens: 1})
		if err := b.Stop(t.Context()); err == nil || !strings.Contains(err.Error(), "1 settlements") {
			t.Errorf("stopped with changes that nobody took: %v", err)
		}
		f.set(false)
		if err := b.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		expect("stopped", 206, 0)
	})
}

func TestErrandsAreBounded(t *testing.T) {
	t.Parallel()
	metrics := prometheus.NewRegistry()
	b := newBook(t, Config{}, Options{Shared: &far{}, Metrics: metrics})
	for i := range errandsMax + 5 {
		b.errand.add(Change{Lease: Lease{Number: uint64(i + 1)}})
	}
	if n := b.errand.waiting(); n != errandsMax {
		t.Errorf("%d changes wait", n)
	}
	if n := counted(t, metrics, "weir_tenant_changes_dropped_total"); n != 5 {
		t.Errorf("%v were dropped", n)
	}
	b.send(t.Context())
	if n := b.errand.waiting(); n != 0 {
		t.Errorf("%d changes still wait", n)
	}
}

func TestStandings(t *testing.T) {
	t.Parallel()
	c := one(Limits{Requests: 60, Tokens: 600, Concurrent: 4}, Budget{Tokens: 1000}, Budget{Money: 5 * Unit, Per: Month})
	c.Others = &Tenant{Limits: Limits{Requests: 5}}
	c.Prices = map[string]Price{"*": {Input: 1000 * Unit, Output: 1000 * Unit}}
	for _, k := range []Key{{Tenant: "acme"}, {Tenant: "acme", Expires: noon.Add(time.Second)}, {Tenant: "keyed"}, {Admin: true}} {
		_, made := newKey(t, k)
		c.Keys = append(c.Keys, made)
	}
	b := newBook(t, c, Options{})
	reserve(t, b, noon, Ask{Prompt: 20, Output: 80})
	if _, err := b.Reserve(t.Context(), noon, "asked", "mini", Ask{}); err != nil {
		t.Fatal(err)
	}
	list, err := b.Standings(t.Context(), noon.Add(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range list {
		names = append(names, fmt.Sprint(s.Tenant.ID, s.Named, s.Keys))
	}
	if got := fmt.Sprint(names); got != "[false 1 acmetrue 1 askedfalse 0 keyedfalse 1]" {
		t.Errorf("%s", got)
	}
	s, ok, err := b.Standing(t.Context(), noon.Add(5*time.Second), "acme")
	if err != nil || !ok || s.Running != 1 || s.Allowance.TokensLeft != 550 || s.Allowance.RequestsLeft != 60 || len(s.Budgets) != 2 {
		t.Errorf("%+v, %v, %v", s, ok, err)
	}
	if m, d := s.Budgets[0], s.Budgets[1]; m.Name != TallyMoneyMonth || m.Spent != int64(Unit/10) || m.Period != "2026-11" || d.Spent != 100 || d.Limit != 1000 || !d.Ends.Equal(noon.Add(12*time.Hour)) {
		t.Errorf("%+v", s.Budgets)
	}
	if s, _, _ := b.Standing(t.Context(), noon.Add(24*time.Hour), "acme"); s.Budgets[1].Spent != 0 || s.Budgets[0].Spent == 0 {
		t.Errorf("tomorrow: %+v", s.Budgets)
	}
	if _, ok, _ := b.Standing(t.Context(), noon, "nobody"); ok {
		t.Error("a tenant that nobody knows")
	}
}

func TestStopBeforeStart(t *testing.T) {
	t.Parallel()
	b := newBook(t, one(Limits{Requests: 5}), Options{Keeper: newMemory()})
	if err := b.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	r := prometheus.NewRegistry()
	newBook(t, Config{}, Options{Metrics: r})
	if _, err := New(Config{}, Options{Metrics: r}); err == nil {
		t.Error("two books on one registry")
	}
}
