package tenant

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
)

func TestNothingBoundsWhereNothingIsWritten(t *testing.T) {
	t.Parallel()
	var none *Book
	for name, b := range map[string]*Book{"nil": none, "empty": newBook(t, Config{}, Options{}), "no limits": newBook(t, one(Limits{}), Options{})} {
		r, err := b.Reserve(t.Context(), noon, "acme", "mini", Ask{Prompt: 1 << 40, Output: 1 << 40, N: 1 << 40})
		if err != nil || r != nil {
			t.Errorf("%s: %v, %v", name, r, err)
		}
		r.Grow(noon, 1<<30)
		r.Settle(noon, llm.Usage{PromptTokens: 1})
		r.Drop(noon)
		if r.Allowance() != nil || r.Tokens() != 0 {
			t.Errorf("%s: an allowance of nothing", name)
		}
		if got := b.Tenant("acme"); got.ID != "acme" {
			t.Errorf("%s: tenant %+v", name, got)
		}
	}
	if _, _, err := none.Authenticate(noon, "x"); llm.AsError(err).Kind != llm.Unauthenticated {
		t.Errorf("a nil book lets a key in: %v", err)
	}
}

func TestReservesAndSettles(t *testing.T) {
	t.Parallel()
	b := newBook(t, one(Limits{Requests: 60, Tokens: 6000, Concurrent: 5}, Budget{Tokens: 100_000}), Options{})
	r := reserve(t, b, noon, Ask{Prompt: 100, Output: 200, N: 3})
	if r.Tokens() != 700 {
		t.Errorf("%d tokens for a prompt of 100 and three answers of 200", r.Tokens())
	}
	want := llm.Allowance{Requests: 60, Tokens: 6000, RequestsLeft: 59, TokensLeft: 5300, RequestsReset: time.Second, TokensReset: 7 * time.Second}
	if got := r.Allowance(); *got != want {
		t.Errorf("allowance %+v, not %+v", *got, want)
	}
	if got := level(t, b, TallyTokensDay); got != 700 {
		t.Errorf("%d of the budget are taken, not 700", got)
	}
	r.Settle(noon, llm.Usage{PromptTokens: 100, CompletionTokens: 50})
	check := func(when string) {
		t.Helper()
		if tokens, spent, running := level(t, b, TallyTokens), level(t, b, TallyTokensDay), level(t, b, TallyRunning); tokens != 150*Ticks || spent != 150 || running != 0 {
			t.Errorf("%s: the bucket lacks %d, %d are spent, %d run", when, tokens/Ticks, spent, running)
		}
	}
	check("settled")
	r.Settle(noon, llm.Usage{PromptTokens: 100, CompletionTokens: 600})
	r.Drop(noon)
	r.Grow(noon, 5000)
	check("settled again")
	if got := level(t, b, TallyRequests); got != Ticks {
		t.Errorf("requests lack %d ticks", got)
	}
}

func TestDropGivesAllBack(t *testing.T) {
	t.Parallel()
	b := newBook(t, one(Limits{Requests: 60, Tokens: 6000, Concurrent: 1}, Budget{Tokens: 1000, Per: Month}), Options{})
	r := reserve(t, b, noon, Ask{Prompt: 10, Output: 10})
	refused(t, b, noon, Ask{Prompt: 10, Output: 10}, llm.ReasonConcurrency)
	r.Drop(noon)
	for _, name := range []string{TallyRequests, TallyTokens, TallyTokensMonth, TallyRunning} {
		if got := level(t, b, name); got != 0 {
			t.Errorf("%s: %d after a drop", name, got)
		}
	}
}

// TestUsesBeyondTheReservation: what was used is charged, be it more than was reserved.
func TestUsesBeyondTheReservation(t *testing.T) {
	t.Parallel()
	b := newBook(t, one(Limits{Tokens: 1000}, Budget{Tokens: 10_000}), Options{})
	reserve(t, b, noon, Ask{Prompt: 10, Output: 90}).Settle(noon, llm.Usage{PromptTokens: 2000, CompletionTokens: 1000})
	if bucket, spent := level(t, b, TallyTokens), level(t, b, TallyTokensDay); bucket != 3000*Ticks || spent != 3000 {
		t.Errorf("bucket %d, spent %d", bucket/Ticks, spent)
	}
	e := refused(t, b, noon, Ask{Prompt: 1, Output: 1}, llm.ReasonTokens)
	if e.RetryAfter != time.Minute || e.Allowance.TokensLeft != 0 || e.Allowance.TokensReset != 3*time.Minute {
		t.Errorf("Retry-After %s, %+v", e.RetryAfter, e.Allowance)
	}
}

func TestGrowsAheadOfWhatIsEmitted(t *testing.T) {
	t.Parallel()
	b := newBook(t, one(Limits{Tokens: 1000}, Budget{Tokens: 1200}), Options{})
	r := reserve(t, b, noon, Ask{Prompt: 100}) // an answer of 256 is expected
	if r.Tokens() != 356 {
		t.Fatalf("%d reserved", r.Tokens())
	}
	for out := range 2000 {
		r.Grow(noon, out)
		if got := r.Tokens(); got <= int64(100+out) {
			t.Fatalf("%d reserved when %d are used", got, 100+out)
		}
		if spent := level(t, b, TallyTokensDay); spent != r.Tokens() {
			t.Fatalf("%d spent of the budget when %d are reserved", spent, r.Tokens())
		}
	}
	refused(t, b, noon, Ask{Prompt: 1, Output: 1}, llm.ReasonTokenBudget)
	r.Grow(noon, 10_000) // many at once, as in an answer of one piece
	if r.Tokens() <= 10_100 {
		t.Errorf("%d reserved", r.Tokens())
	}
	r.Settle(noon, llm.Usage{PromptTokens: 100, CompletionTokens: 700})
	if bucket, spent := level(t, b, TallyTokens), level(t, b, TallyTokensDay); bucket != 800*Ticks || spent != 800 {
		t.Errorf("bucket %d, spent %d", bucket/Ticks, spent)
	}
}

// TestCannotOvershoot: a thousand requests at once take what a limit holds and not one token more.
func TestCannotOvershoot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits Limits
		budget Budget
		most   int64
	}{
		"tokens":      {Limits{Tokens: 10_007}, Budget{Tokens: 1e9}, 333},
		"requests":    {Limits{Requests: 250}, Budget{Tokens: 1e9}, 250},
		"concurrency": {Limits{Concurrent: 99}, Budget{Tokens: 1e9}, 99},
		"budget":      {Limits{Tokens: LimitMax}, Budget{Tokens: 10_007}, 333},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBook(t, one(c.limits, c.budget), Options{})
			var in atomic.Int64
			var wg sync.WaitGroup
			for range 1000 {
				wg.Go(func() {
					r, err := b.Reserve(context.Background(), noon, "acme", "mini", Ask{Prompt: 10, Output: 20})
					if err == nil {
						in.Add(1)
						r.Grow(noon, 15)
					}
				})
			}
			wg.Wait()
			if in.Load() != c.most {
				t.Errorf("%d were let in, not %d", in.Load(), c.most)
			}
			if got := level(t, b, TallyTokensDay); got != 30*c.most {
				t.Errorf("%d spent for %d requests", got, c.most)
			}
		})
	}
}

// TestComesAndGoes: whatever comes together, in the end the books hold what was used and nothing else.
func TestComesAndGoes(t *testing.T) {
	t.Parallel()
	b := newBook(t, one(Limits{Tokens: LimitMax, Concurrent: 10_000}, Budget{Tokens: 1e12}), Options{})
	var wg sync.WaitGroup
	var used atomic.Int64
	for i := range 1000 {
		wg.Go(func() {
			r, err := b.Reserve(context.Background(), noon, "acme", "mini", Ask{Prompt: 10, Output: i % 3 * 40, Estimated: i%2 == 0})
			if err != nil {
				t.Error(err)
				return
			}
			if i%10 == 0 {
				r.Drop(noon)
				return
			}
			r.Grow(noon, i)
			u := llm.Usage{PromptTokens: 10, CompletionTokens: i}
			used.Add(int64(u.Total()))
			r.Settle(noon, u)
		})
	}
	wg.Wait()
	if spent, bucket, running := level(t, b, TallyTokensDay), level(t, b, TallyTokens), level(t, b, TallyRunning); spent != used.Load() || bucket != used.Load()*Ticks || running != 0 {
		t.Errorf("spent %d, bucket %d, running %d; %d were used", spent, bucket/Ticks, running, used.Load())
	}
}

func TestTellsWhenToComeBack(t *testing.T) {
	t.Parallel()
	b := newBook(t, one(Limits{Requests: 30, Tokens: 600}), Options{})
	for range 30 {
		reserve(t, b, noon, Ask{Prompt: 5, Output: 5})
	}
	e := refused(t, b, noon, Ask{Prompt: 5, Output: 5}, llm.ReasonRequests)
	if e.Kind != llm.RateLimited || e.RetryAfter != 2*time.Second || e.Kind.Meaning().Status != 429 {
		t.Errorf("%v, Retry-After %s", e.Kind, e.RetryAfter)
	}
	refused(t, b, noon.Add(2*time.Second-time.Microsecond), Ask{Prompt: 5, Output: 5}, llm.ReasonRequests)
	reserve(t, b, noon.Add(2*time.Second), Ask{Prompt: 5, Output: 5}) // honest: then it is there

	later := noon.Add(time.Hour)
	reserve(t, b, later, Ask{Prompt: 500, Output: 60})
	e = refused(t, b, later, Ask{Prompt: 100, Output: 90}, llm.ReasonTokens) // 40 left of 190, 10 a second
	if e.RetryAfter != 15*time.Second || e.Allowance.TokensLeft != 40 || !strings.Contains(e.Message, "Try again in 15s") {
		t.Errorf("Retry-After %s, %+v, %s", e.RetryAfter, e.Allowance, e.Message)
	}
	refused(t, b, later.Add(15*time.Second-time.Microsecond), Ask{Prompt: 100, Output: 90}, llm.ReasonTokens)
	reserve(t, b, later.Add(15*time.Second), Ask{Prompt: 100, Output: 90})
	if e = refused(t, b, later.Add(15*time.Second), Ask{Prompt: 0, Output: 1}, llm.ReasonTokens); e.RetryAfter != time.Second {
		t.Errorf("Retry-After %s for a token in 0.1 s", e.RetryAfter)
	}
}

func TestRefusesWhatNeverFits(t *testing.T) {
	t.Parallel()
	b := newBook(t, one(Limits{Tokens: 1000}), Options{})
	reserve(t, b, noon, Ask{Prompt: 500, Output: 500}).Drop(noon)
	e := refused(t, b, noon, Ask{Prompt: 500, Output: 501}, llm.ReasonTokens)
	if e.RetryAfter != time.Minute || !strings.Contains(e.Message, "can never run") || !strings.Contains(e.Message, "1001") {
		t.Errorf("Retry-After %s: %s", e.RetryAfter, e.Message)
	}
	// What was only learned of answers never refuses: the answer grows instead.
	if r := reserve(t, b, noon, Ask{Prompt: 990}); r.Tokens() != 1000 {
		t.Errorf("%d reserved of 1000", r.Tokens())
	}
	refused(t, b, noon, Ask{Prompt: 1000}, llm.ReasonTokens)
}

func TestConcurrencyComesBackByExperience(t *testing.T) {
	t.Parallel()
	b := newBook(t, one(Limits{Concurrent: 2}), Options{})
	for range 50 {
		reserve(t, b, noon, Ask{Prompt: 1}).Settle(noon.Add(8*time.Second), llm.Usage{PromptTokens: 1, CompletionTokens: 1})
	}
	reserve(t, b, noon, Ask{Prompt: 1})
	reserve(t, b, noon, Ask{Prompt: 1})
	e := refused(t, b, noon, Ask{Prompt: 1}, llm.ReasonConcurrency)
	if e.RetryAfter != 4*time.Second || e.Allowance != nil {
		t.Errorf("two that take 8 s each: Retry-After %s, %+v", e.RetryAfter, e.Allowance)
	}
}

func TestBudgets(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	c := one(Limits{}, Budget{Tokens: 1000, Per: Day, Zone: zone}, Budget{Money: 3 * Unit, Per: Month, Zone: zone})
	c.Prices = map[string]Price{"min*": {Input: 1000 * Unit, Cached: 100 * Unit, Output: 4000 * Unit}, "free": {}}
	b := newBook(t, c, Options{})
	r := reserve(t, b, noon, Ask{Prompt: 200, Output: 300})
	if spent := level(t, b, TallyMoneyMonth); spent != int64(Unit*14/10) {
		t.Errorf("reserved %s for 200 in and 300 out", Money(spent))
	}
	r.Settle(noon, llm.Usage{PromptTokens: 200, CachedTokens: 100, CompletionTokens: 100})
	if spent := level(t, b, TallyMoneyMonth); spent != int64(Unit*51/100) {
		t.Errorf("charged %s for 100 in, 100 cached and 100 out", Money(spent))
	}
	e := refused(t, b, noon, Ask{Prompt: 100, Output: 601}, llm.ReasonTokenBudget)
	if e.Kind != llm.OutOfBudget || e.RetryAfter != time.Minute || !strings.Contains(e.Message, "2026-11-28T00:00:00+01:00") || !strings.Contains(e.Message, "300 tokens of its budget of 1000 tokens a day") {
		t.Errorf("%v, %s: %s", e.Kind, e.RetryAfter, e.Message)
	}
	e = refused(t, b, noon, Ask{Prompt: 99, Output: 600}, llm.ReasonMoneyBudget)
	if !strings.Contains(e.Message, "0.51 of its budget of 3.00 a month") || !strings.Contains(e.Message, "2026-12-01T00:00:00+01:00") {
		t.Error(e.Message)
	}
	r, err = b.Reserve(t.Context(), noon, "acme", "free", Ask{Prompt: 100, Output: 600})
	if err != nil {
		t.Fatalf("a free model: %v", err)
	}
	r.Drop(noon)
	if e := refused(t, b, noon.Add(11*time.Hour-30*time.Second), Ask{Prompt: 100, Output: 601}, llm.ReasonTokenBudget); e.RetryAfter != 30*time.Second {
		t.Errorf("Retry-After %s half a minute before midnight in Berlin", e.RetryAfter)
	}
	reserve(t, b, noon.Add(11*time.Hour), Ask{Prompt: 100, Output: 501})
}

// TestWhoAnswersIsCharged: a lesser variant or a fallback costs what it costs, from when it is asked, and is learned from.
func TestWhoAnswersIsCharged(t *testing.T) {
	t.Parallel()
	c := one(Limits{Tokens: 10_000}, Budget{Tokens: 100_000, Money: 100 * Unit})
	c.Prices = map[string]Price{"mini": {Input: 1000 * Unit, Output: 4000 * Unit}, "nano": {Input: 100 * Unit, Output: 400 * Unit}, "free": {}}
	b := newBook(t, c, Options{})
	check := func(what string, tokens int64, money Money) {
		t.Helper()
		if got := level(t, b, TallyMoneyDay); got != int64(money) {
			t.Errorf("%s: %s of the budget of money, want %s", what, Money(got), money)
		}
		if got := level(t, b, TallyTokensDay); got != tokens {
			t.Errorf("%s: %d tokens of the budget, want %d", what, got, tokens)
		}
	}
	r := reserve(t, b, noon, Ask{Prompt: 200, Output: 300})
	check("reserved", 500, Unit*14/10)
	r.Answer(noon, "mini")
	check("the same answers", 500, Unit*14/10)
	r.Answer(noon, "nano")
	check("a lesser one answers", 500, Unit*14/100)
	r.Grow(noon, 300)
	if r.Tokens() <= 500 {
		t.Fatal("it did not grow")
	}
	r.Settle(noon, llm.Usage{PromptTokens: 200, CompletionTokens: 310})
	check("settled", 510, Unit*144/1000)
	r.Answer(noon, "mini")
	check("after the end", 510, Unit*144/1000)

	r, err := b.Reserve(t.Context(), noon, "acme", "free", Ask{Prompt: 100, Output: 100})
	if err != nil {
		t.Fatal(err)
	}
	check("a free one is asked", 710, Unit*144/1000)
	r.Answer(noon, "mini") // its fallback
	check("one with a price answers", 710, Unit*144/1000+Unit/2)
	r.Drop(noon)
	check("refused after all", 510, Unit*144/1000)
	var none *Reservation
	none.Answer(noon, "mini")
}

// TestSettlesAcrossMidnight: what is given back of yesterday's budget is not given to today's; what is used more counts today.
func TestSettlesAcrossMidnight(t *testing.T) {
	t.Parallel()
	b := newBook(t, one(Limits{}, Budget{Tokens: 1000}), Options{})
	old, grown := reserve(t, b, noon, Ask{Prompt: 100, Output: 200}), reserve(t, b, noon, Ask{Prompt: 100, Output: 200})
	morning := noon.Add(13 * time.Hour)
	reserve(t, b, morning, Ask{Prompt: 50, Output: 50})
	old.Settle(morning, llm.Usage{PromptTokens: 100})
	if got := level(t, b, TallyTokensDay); got != 100 {
		t.Errorf("%d spent today, not 100", got)
	}
	grown.Settle(morning, llm.Usage{PromptTokens: 100, CompletionTokens: 230})
	if got := level(t, b, TallyTokensDay); got != 130 {
		t.Errorf("%d spent today, not 130", got)
	}
}

func TestModels(t *testing.T) {
	t.Parallel()
	c := one(Limits{})
	c.Tenants[0].Models = []string{"mini", "big-*"}
	b := newBook(t, c, Options{})
	owner := b.Tenant("acme")
	for model, want := range map[llm.ModelID]bool{"mini": true, "big-": true, "big-1": true, "mini2": false, "big": false} {
		_, err := b.Reserve(t.Context(), noon, "acme", model, Ask{})
		if (err == nil) != want {
			t.Errorf("reserve %s: %v", model, err)
		}
		if err := Allow(Key{}, owner, model); (err == nil) != want {
			t.Errorf("allow %s: %v", model, err)
		}
		if e := llm.AsError(err); !want && (e.Kind != llm.Forbidden || e.Param != "model") {
			t.Errorf("%s: %+v", model, e)
		}
	}
	if Allow(Key{Models: []string{"big-1"}}, owner, "mini") == nil || Allow(Key{Models: []string{"*"}}, owner, "other") == nil || Allow(Key{}, nil, "any") != nil {
		t.Error("a key's models are within its tenant's")
	}
}

func TestOthers(t *testing.T) {
	t.Parallel()
	c := one(Limits{Requests: 1000})
	c.Others = &Tenant{ID: "ignored", Limits: Limits{Requests: 1}, Class: llm.ClassBatch}
	b := newBook(t, c, Options{})
	for _, id := range []llm.TenantID{"", "x", "y"} {
		if _, err := b.Reserve(t.Context(), noon, id, "mini", Ask{}); err != nil {
			t.Errorf("%q: %v", id, err)
		}
		_, err := b.Reserve(t.Context(), noon, id, "mini", Ask{})
		if e := llm.AsError(err); e == nil || e.Reason != llm.ReasonRequests {
			t.Errorf("%q again: %v", id, err)
		}
		if got := b.Tenant(id); got.ID != id || got.Class != llm.ClassBatch {
			t.Errorf("%q: %+v", id, got)
		}
	}
	reserve(t, b, noon, Ask{})
	reserve(t, b, noon, Ask{})
}

func TestLimitsChangeAtOnce(t *testing.T) {
	t.Parallel()
	b := newBook(t, one(Limits{Requests: 2, Tokens: 600}), Options{})
	r := reserve(t, b, noon, Ask{Prompt: 100, Output: 100})
	reserve(t, b, noon, Ask{Prompt: 100, Output: 100})
	refused(t, b, noon, Ask{Prompt: 10, Output: 10}, llm.ReasonRequests)
	if err := b.Reload(one(Limits{Requests: 3, Tokens: 410})); err != nil {
		t.Fatal(err)
	}
	if e := refused(t, b, noon, Ask{Prompt: 10, Output: 10}, llm.ReasonTokens); e.Allowance.RequestsLeft != 1 {
		t.Errorf("%+v", e.Allowance)
	}
	r.Settle(noon, llm.Usage{})
	reserve(t, b, noon, Ask{Prompt: 10, Output: 10})
	bad := one(Limits{Requests: -1})
	if err := b.Reload(bad); err == nil || !strings.Contains(err.Error(), "limits.requests -1") {
		t.Errorf("reload: %v", err)
	}
	if b.Tenant("acme").Limits.Requests != 3 {
		t.Error("a faulty reload changed something")
	}
}

// TestClockBack: a clock that is set back by an hour neither opens a bucket nor keeps it closed.
func TestClockBack(t *testing.T) {
	t.Parallel()
	b := newBook(t, one(Limits{Requests: 60}, Budget{Tokens: 1e6}), Options{})
	for range 60 {
		reserve(t, b, noon, Ask{Prompt: 1, Output: 1})
	}
	past := noon.Add(-24 * time.Hour)
	refused(t, b, past, Ask{Prompt: 1, Output: 1}, llm.ReasonRequests)
	refused(t, b, past.Add(time.Second-time.Microsecond), Ask{Prompt: 1, Output: 1}, llm.ReasonRequests)
	reserve(t, b, past.Add(time.Second), Ask{Prompt: 1, Output: 1})
	if got := level(t, b, TallyTokensDay); got != 122 {
		t.Errorf("%d spent, not 122", got)
	}
}

// TestOutOfOrder: calls whose times are a little out of order refill nothing twice.
func TestOutOfOrder(t *testing.T) {
	t.Parallel()
	b := newBook(t, one(Limits{Requests: 600}), Options{})
	in := 0
	for i := range 2000 {
		at := noon.Add(time.Duration(i%2) * 500 * time.Millisecond)
		if _, err := b.Reserve(t.Context(), at, "acme", "mini", Ask{}); err == nil {
			in++
		}
	}
	if in != 601 { // a full bucket, and the one that half a second put back, when one was lacking
		t.Errorf("%d let in, not 601", in)
	}
}

func TestHugeAsks(t *testing.T) {
	t.Parallel()
	const huge = int(^uint(0) >> 1)
	c := one(Limits{}, Budget{Tokens: int64(MoneyMax), Money: MoneyMax})
	c.Prices = map[string]Price{"*": {Input: MoneyMax, Cached: MoneyMax, Output: MoneyMax}}
	b := newBook(t, c, Options{})
	e := refused(t, b, noon, Ask{Prompt: huge, Output: huge, N: huge}, llm.ReasonMoneyBudget)
	if !strings.Contains(e.Message, "needs up to") {
		t.Error(e.Message)
	}
	r := reserve(t, b, noon, Ask{Prompt: -5, Output: -5, N: -5})
	if r.Tokens() != outputUnknown {
		t.Errorf("%d reserved", r.Tokens())
	}
	r.Grow(noon, huge)
	r.Settle(noon, llm.Usage{})
	if got := level(t, b, TallyTokensDay); got != 0 {
		t.Errorf("%d spent", got)
	}
}

func TestCanceledWhileTaking(t *testing.T) {
	t.Parallel()
	f := &far{takes: context.Canceled}
	b := newBook(t, one(Limits{Requests: 5}), Options{Shared: f})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.Reserve(ctx, noon, "acme", "mini", Ask{})
	if e := llm.AsError(err); e.Kind != llm.Canceled {
		t.Errorf("%v", err)
	}
	f.takes = errors.New("odd") // counted here instead
	for range 5 {
		reserve(t, b, noon, Ask{})
	}
	refused(t, b, noon, Ask{}, llm.ReasonRequests)
	if n := len(b.errand.held()); n != 0 {
		t.Errorf("%d leases of nothing", n)
	}
}

func BenchmarkReserveSettle(bm *testing.B) {
	c := one(Limits{Requests: LimitMax, Tokens: LimitMax, Concurrent: 1000}, Budget{Tokens: 1e15, Money: MoneyMax}, Budget{Tokens: 1e15, Per: Month})
	c.Prices = map[string]Price{"mini": {Input: 3, Output: 5}}
	for i := range 1000 {
		c.Tenants = append(c.Tenants, Tenant{ID: llm.TenantID(fmt.Sprint("t", i))})
	}
	b := newBook(bm, c, Options{})
	bm.ReportAllocs()
	now := time.Now()
	for bm.Loop() {
		r, err := b.Reserve(context.Background(), now, "acme", "mini", Ask{Prompt: 100, Output: 100})
		if err != nil {
			bm.Fatal(err)
		}
		r.Settle(now, llm.Usage{PromptTokens: 100, CompletionTokens: 50})
	}
}

func BenchmarkGrow(bm *testing.B) {
	b := newBook(bm, one(Limits{Tokens: LimitMax}), Options{})
	r := reserve(bm, b, noon, Ask{Prompt: 1, Output: 1000})
	bm.ReportAllocs()
	for bm.Loop() {
		r.Grow(noon, 5)
	}
}

func TestReserveAllocatesLittle(t *testing.T) {
	b := newBook(t, one(Limits{Requests: LimitMax, Tokens: LimitMax, Concurrent: 1000}, Budget{Tokens: 1e15}), Options{Keeper: newMemory()})
	n := testing.AllocsPerRun(1000, func() {
		r, err := b.Reserve(context.Background(), noon, "acme", "mini", Ask{Prompt: 100, Output: 100})
		if err != nil {
			t.Fatal(err)
		}
		r.Settle(noon, llm.Usage{PromptTokens: 100, CompletionTokens: 50})
	})
	if n > 2 {
		t.Errorf("%v allocations a request; 2 at most", n)
	}
}
