package storetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/tenant"
)

// Counters tests a tenant.Counters. place makes empty counters and gives a function that opens them: each call stands for another
// replica. Time is the real one: what refills meanwhile is reckoned with, and nothing is waited for.
func Counters(t *testing.T, place func(t *testing.T) (open func() tenant.Counters)) {
	for name, test := range map[string]func(*testing.T, *counted){
		"requests": limitsRequests, "whole": takesWholeOrNothing, "concurrency": limitsConcurrency, "budget": keepsBudgets, "order": namesTheBound,
		"periods": movesPeriodsOn, "adjust": adjusts, "no limits": countsWithoutLimits, "load": loadsWhereNothingIs, "tallies": tellsTallies,
		"refills": refillsInTime, "large": countsLargeNumbers, "tenants": keepsTenantsApart, "together": cannotOvershoot,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			open := place(t)
			test(t, &counted{t: t, Counters: open(), open: open, began: time.Now()})
		})
	}
}

// counted is a Counters with what tests ask of it.
type counted struct {
	tenant.Counters
	t      *testing.T
	open   func() tenant.Counters
	began  time.Time
	leases uint64
}

func (c *counted) lease() tenant.Lease {
	c.leases++
	return tenant.Lease{Replica: "test", Number: c.leases}
}

// draw is a draw of tenant acme with a new lease.
func (c *counted) draw(l tenant.Limits, tokens int64, spends ...tenant.Spend) *tenant.Draw {
	return &tenant.Draw{Tenant: "acme", Lease: c.lease(), Now: time.Now(), Limits: l, Tokens: tokens, Spends: spends}
}

// take takes and expects the reason.
func (c *counted) take(d *tenant.Draw, want llm.Reason) tenant.Grant {
	c.t.Helper()
	d.Now = time.Now()
	g, err := c.Take(c.t.Context(), d)
	if err != nil {
		c.t.Fatal(err)
	}
	if g.Refused != want {
		c.t.Fatalf("refused by %q, not %q: %+v", g.Refused, want, g)
	}
	return g
}

func (c *counted) change(changes ...tenant.Change) {
	c.t.Helper()
	for i := range changes {
		changes[i].Now = time.Now()
	}
	if err := c.Adjust(c.t.Context(), changes); err != nil {
		c.t.Fatal(err)
	}
}

// lacks checks that a bucket lacks n, but for what has refilled since the test began.
func (c *counted) lacks(what string, got, n int64, limit int) {
	c.t.Helper()
	most := n * tenant.Ticks
	if least := tenant.Refill(most, c.elapsed(), limit); got < least || got > most {
		c.t.Errorf("%s lack %d ticks, not %d to %d", what, got, least, most)
	}
}

// elapsed is in microseconds, rounded up.
func (c *counted) elapsed() int64 { return time.Since(c.began).Microseconds() + 1 }

func limitsRequests(t *testing.T, c *counted) {
	l := tenant.Limits{Requests: 5}
	for n := range int64(5) {
		c.lacks("requests", c.take(c.draw(l, 0), "").Requests, n+1, 5)
	}
	g := c.take(c.draw(l, 0), llm.ReasonRequests)
	c.lacks("requests", g.Requests, 5, 5)
	if g.Wait <= 0 || g.Wait > 12*time.Second {
		t.Errorf("the wait for one of 5 a minute is %s", g.Wait)
	}
	if want := time.Duration((g.Requests-4*tenant.Ticks+4)/5) * time.Microsecond; g.Wait != want {
		t.Errorf("the wait is %s, by its own level it is %s", g.Wait, want)
	}
	if g.Running != 5 {
		t.Errorf("%d running", g.Running)
	}
}

// takesWholeOrNothing: a draw that one bound is in the way of takes nothing of the others.
func takesWholeOrNothing(t *testing.T, c *counted) {
	l := tenant.Limits{Requests: 10, Tokens: 100, Concurrent: 3}
	day := tenant.Spend{Name: tenant.TallyTokensDay, Period: "2026-11-27", Amount: 10, Limit: 25}
	check := func(g tenant.Grant, requests, tokens int64, running int, spent int64) {
		t.Helper()
		c.lacks("requests", g.Requests, requests, 10)
		c.lacks("tokens", g.Tokens, tokens, 100)
		if g.Running != running || g.Spent[0] != spent {
			t.Errorf("%d running, %d spent; not %d and %d", g.Running, g.Spent[0], running, spent)
		}
	}
	check(c.take(c.draw(l, 60, day), ""), 1, 60, 1, 10)
	check(c.take(c.draw(l, 60, day), llm.ReasonTokens), 1, 60, 1, 10)
	check(c.take(c.draw(l, 20, day), ""), 2, 80, 2, 20)
	check(c.take(c.draw(l, 1, day), llm.ReasonTokenBudget), 2, 80, 2, 20)
	day.Amount = 5
	check(c.take(c.draw(l, 1, day), ""), 3, 81, 3, 25)
	day.Amount = 0
	check(c.take(c.draw(l, 1, day), llm.ReasonConcurrency), 3, 81, 3, 25)
}

func limitsConcurrency(t *testing.T, c *counted) {
	l := tenant.Limits{Concurrent: 2}
	first, second := c.draw(l, 0), c.draw(l, 0)
	c.take(first, "")
	if g := c.take(second, ""); g.Running != 2 {
		t.Errorf("%d running, not 2", g.Running)
	}
	if g := c.take(c.draw(l, 0), llm.ReasonConcurrency); g.Running != 2 || g.Wait != 0 {
		t.Errorf("beyond the limit: %+v", g)
	}
	if err := c.Renew(t.Context(), time.Now(), []tenant.Held{{Tenant: "acme", Lease: first.Lease}, {Tenant: "acme", Lease: second.Lease}}); err != nil {
		t.Fatal(err)
	}
	c.change(tenant.Change{Tenant: "acme", Lease: first.Lease, Limits: l, End: true})
	if g := c.take(c.draw(l, 0), ""); g.Running != 2 {
		t.Errorf("%d running, not 2", g.Running)
	}
	c.take(c.draw(tenant.Limits{Concurrent: 3}, 0), "") // a limit that changes holds at once
	c.take(c.draw(tenant.Limits{Concurrent: 1}, 0), llm.ReasonConcurrency)
}

func keepsBudgets(t *testing.T, c *counted) {
	day := tenant.Spend{Name: tenant.TallyTokensDay, Period: "2026-11-27", Amount: 60, Limit: 100}
	month := tenant.Spend{Name: tenant.TallyMoneyMonth, Period: "2026-11", Amount: 10, Limit: 15}
	if g := c.take(c.draw(tenant.Limits{}, 0, day, month), ""); g.Spent[0] != 60 || g.Spent[1] != 10 {
		t.Errorf("spent %v", g.Spent)
	}
	if g := c.take(c.draw(tenant.Limits{}, 0, day), llm.ReasonTokenBudget); g.Spend != 0 || g.Wait != 0 || g.Spent[0] != 60 {
		t.Errorf("beyond the day's budget: %+v", g)
	}
	day.Amount = 40
	if g := c.take(c.draw(tenant.Limits{}, 0, day, month), llm.ReasonMoneyBudget); g.Spend != 1 || g.Spent[0] != 60 || g.Spent[1] != 10 {
		t.Errorf("beyond the month's budget: %+v", g)
	}
	month.Amount = 5
	if g := c.take(c.draw(tenant.Limits{}, 0, day, month), ""); g.Spent[0] != 100 || g.Spent[1] != 15 {
		t.Errorf("spent %v", g.Spent)
	}
}

// namesTheBound: of several bounds in the way a budget is named first, then the longest wait, concurrency last.
func namesTheBound(t *testing.T, c *counted) {
	l := tenant.Limits{Requests: 10, Tokens: 100, Concurrent: 1}
	day := tenant.Spend{Name: tenant.TallyTokensDay, Period: "2026-11-27", Amount: 1, Limit: 1}
	c.take(c.draw(l, 100, day), "")
	c.take(c.draw(l, 1, day), llm.ReasonTokenBudget)
	c.take(c.draw(l, 1), llm.ReasonTokens)
	c.take(c.draw(l, 0), llm.ReasonConcurrency)
	l.Requests = 1 // 60 s for one; a token is there in 0.6 s
	c.take(c.draw(l, 1), llm.ReasonRequests)
	l.Tokens = 50 // 120 s for 50 beside the 100 that are lacking
	c.take(c.draw(l, 50), llm.ReasonTokens)
}

func movesPeriodsOn(t *testing.T, c *counted) {
	spend := func(period string, amount int64, want llm.Reason) int64 {
		t.Helper()
		return c.take(c.draw(tenant.Limits{}, 0, tenant.Spend{Name: tenant.TallyTokensDay, Period: period, Amount: amount, Limit: 100}), want).Spent[0]
	}
	spend("2026-11-27", 90, "")
	spend("2026-11-27", 20, llm.ReasonTokenBudget)
	if got := spend("2026-11-28", 20, ""); got != 20 {
		t.Errorf("a new period has spent %d, not 20", got)
	}
	if got := spend("2026-11-27", 30, ""); got != 50 {
		t.Errorf("a replica behind its time left %d spent, not 50", got)
	}
	spend("2026-11-27", 60, llm.ReasonTokenBudget)
}

func adjusts(t *testing.T, c *counted) {
	l := tenant.Limits{Requests: 10, Tokens: 1000}
	day := func(period string, amount int64) tenant.Spend {
		return tenant.Spend{Name: tenant.TallyTokensDay, Period: period, Amount: amount, Limit: 10_000}
	}
	level := func(requests, tokens, spent int64) {
		t.Helper()
		rows := c.rows("acme")
		c.lacks("requests", rows[tenant.TallyRequests].Value, requests, 10)
		c.lacks("tokens", rows[tenant.TallyTokens].Value, tokens, 1000)
		if got := rows[tenant.TallyTokensDay].Value; got != spent {
			t.Errorf("%d spent, not %d", got, spent)
		}
	}
	d := c.draw(l, 100, day("2026-11-27", 100))
	c.take(d, "")
	c.take(c.draw(l, 0), "")
	change := func(requests, tokens int64, end bool, spends ...tenant.Spend) tenant.Change {
		return tenant.Change{Tenant: "acme", Lease: d.Lease, Limits: l, Requests: requests, Tokens: tokens, Spends: spends, End: end}
	}
	c.change(change(0, 50, false, day("2026-11-27", 50)))
	level(2, 150, 150)
	c.change(change(0, 2000, false, day("2026-11-27", 2000))) // beyond every limit: what was used was used
	level(2, 2150, 2150)
	c.change(change(0, -2100, false, day("2026-11-27", -2100)))
	level(2, 50, 50)
	c.change(change(0, -5000, false, day("2026-11-26", -50))) // no bucket holds more than all; another period's spending is gone
	level(2, 0, 50)
	c.change(change(0, 7, false, day("2026-11-26", 7))) // but what is used counts, now
	level(2, 7, 57)
	c.change(change(-1, -7, true, day("2026-11-27", -57)))
	level(1, 0, 0)
}

// refillsInTime: what a bucket has not at the moment it has after the wait that was told, and not before.
func refillsInTime(t *testing.T, c *counted) {
	l := tenant.Limits{Tokens: 60_000} // one in a millisecond
	c.take(c.draw(l, 60_000), "")
	began := time.Now()
	d := c.draw(l, 100)
	told := c.take(d, llm.ReasonTokens).Wait
	if told <= 0 || told > 100*time.Millisecond {
		t.Fatalf("the wait for 100 tokens is %s", told)
	}
	for refused := true; refused; {
		d.Now = time.Now()
		g, err := c.Take(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		refused = g.Refused != ""
		if waited := time.Since(began); refused && waited > 30*time.Second {
			t.Fatalf("nothing after %s", waited)
		} else if !refused && waited < told-time.Millisecond {
			t.Errorf("granted after %s, and told to wait for %s", waited, told)
		}
	}
}

// countsWithoutLimits: no limits, no bounds; what runs is told all the same.
func countsWithoutLimits(t *testing.T, c *counted) {
	for n := range 50 {
		if g := c.take(c.draw(tenant.Limits{}, 1e6), ""); g.Requests != 0 || g.Tokens != 0 || g.Running != n+1 {
			t.Fatalf("draw %d: %+v", n, g)
		}
	}
}

func loadsWhereNothingIs(t *testing.T, c *counted) {
	l := tenant.Limits{Requests: 10, Tokens: 100}
	day := tenant.Spend{Name: tenant.TallyTokensDay, Period: "2026-11-27", Amount: 0, Limit: 100}
	month := tenant.Spend{Name: tenant.TallyMoneyMonth, Period: "2026-11", Amount: 0, Limit: 100}
	c.take(c.draw(tenant.Limits{Requests: 10}, 0, month), "") // one request is there, and the month with nothing
	load := func(rows ...tenant.Tally) {
		t.Helper()
		for i := range rows {
			rows[i].Tenant, rows[i].At = "acme", c.began
		}
		if err := c.Load(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
	}
	load(tenant.Tally{Name: tenant.TallyRequests, Value: 7 * tenant.Ticks}, tenant.Tally{Name: tenant.TallyTokens, Value: 90 * tenant.Ticks},
		tenant.Tally{Name: tenant.TallyTokensDay, Period: "2026-11-26", Value: 99}, tenant.Tally{Name: tenant.TallyMoneyMonth, Period: "2026-11", Value: 50})
	load(tenant.Tally{Name: tenant.TallyTokensDay, Period: "2026-11-27", Value: 40})
	load(tenant.Tally{Name: tenant.TallyTokensDay, Period: "2026-11-27", Value: 70}, tenant.Tally{Name: tenant.TallyTokensDay, Period: "2026-11-26", Value: 80})
	g := c.take(c.draw(l, 1, day, month), "")
	c.lacks("requests", g.Requests, 2, 10)
	c.lacks("tokens", g.Tokens, 91, 100)
	if g.Spent[0] != 40 || g.Spent[1] != 0 {
		t.Errorf("spent %v", g.Spent)
	}
	if err := c.Load(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func tellsTallies(t *testing.T, c *counted) {
	l := tenant.Limits{Requests: 10, Tokens: 100}
	money := tenant.Spend{Name: tenant.TallyMoneyDay, Period: "2026-11-27", Amount: 33, Limit: 100}
	c.take(c.draw(l, 20, money), "")
	c.take(c.draw(l, 10, money), "")
	other := c.draw(l, 50)
	other.Tenant = "other"
	c.take(other, "")
	byName := c.rows("acme", "nobody")
	if len(byName) != 4 {
		t.Errorf("rows %+v", byName)
	}
	c.lacks("requests", byName[tenant.TallyRequests].Value, 2, 10)
	c.lacks("tokens", byName[tenant.TallyTokens].Value, 30, 100)
	if r := byName[tenant.TallyMoneyDay]; r.Value != 66 || r.Period != "2026-11-27" {
		t.Errorf("money %+v", r)
	}
	if r := byName[tenant.TallyRunning]; r.Value != 2 {
		t.Errorf("running %+v", r)
	}
	if rows, err := c.Tallies(t.Context(), nil); err != nil || len(rows) != 0 {
		t.Errorf("of nobody: %v, %v", rows, err)
	}
}

// rows are the tallies of the first of the tenants; the others have none.
func (c *counted) rows(tenants ...llm.TenantID) map[string]tenant.Tally {
	c.t.Helper()
	rows, err := c.Tallies(c.t.Context(), tenants)
	if err != nil {
		c.t.Fatal(err)
	}
	byName := map[string]tenant.Tally{}
	for _, r := range rows {
		if _, twice := byName[r.Name]; twice || r.Tenant != tenants[0] {
			c.t.Errorf("a row twice, or of another: %+v", r)
		}
		if away := time.Since(r.At).Abs(); away > time.Minute {
			c.t.Errorf("%s was so %s ago", r.Name, away)
		}
		byName[r.Name] = r
	}
	return byName
}

// countsLargeNumbers stays exact up to the largest limits that can be configured.
func countsLargeNumbers(t *testing.T, c *counted) {
	l := tenant.Limits{Tokens: tenant.LimitMax}
	money := tenant.Spend{Name: tenant.TallyMoneyMonth, Period: "2026-11", Amount: int64(tenant.MoneyMax) - 1, Limit: int64(tenant.MoneyMax)}
	g := c.take(c.draw(l, tenant.LimitMax-1, money), "")
	c.lacks("tokens", g.Tokens, tenant.LimitMax-1, tenant.LimitMax)
	if g.Spent[0] != int64(tenant.MoneyMax)-1 {
		t.Errorf("spent %d", g.Spent[0])
	}
	money.Amount = 2
	c.take(c.draw(l, 0, money), llm.ReasonMoneyBudget)
	money.Amount = 1
	d := c.draw(l, 0, money)
	if g := c.take(d, ""); g.Spent[0] != int64(tenant.MoneyMax) {
		t.Errorf("spent %d", g.Spent[0])
	}
	c.take(c.draw(l, tenant.LimitMax, money), llm.ReasonMoneyBudget)
	// 200 times the limit in all; a bucket is 100 minutes behind at most.
	c.change(tenant.Change{Tenant: "acme", Lease: d.Lease, Limits: l, Tokens: 200 * tenant.LimitMax})
	g = c.take(c.draw(l, 1), llm.ReasonTokens)
	c.lacks("tokens", g.Tokens, 100*tenant.LimitMax, tenant.LimitMax)
	if g.Wait > 100*time.Minute || g.Wait < 99*time.Minute-time.Since(c.began) {
		t.Errorf("the wait is %s", g.Wait)
	}
}

func keepsTenantsApart(t *testing.T, c *counted) {
	l := tenant.Limits{Requests: 1, Concurrent: 1}
	for _, id := range []llm.TenantID{"a", "b", "", "a}b{", "ä:*", "a/b"} {
		d := c.draw(l, 0)
		d.Tenant = id
		c.take(d, "")
		again := c.draw(l, 0)
		again.Tenant = id
		c.take(again, llm.ReasonRequests)
	}
}

// cannotOvershoot lets two replicas take a thousand times at once: not one more is granted than a limit holds.
func cannotOvershoot(t *testing.T, c *counted) {
	other := c.open()
	const takes, tokens = 1000, 7
	l := tenant.Limits{Requests: 600, Tokens: 2100, Concurrent: 400} // 300 by tokens, but for what refills meanwhile
	day := tenant.Spend{Name: tenant.TallyTokensDay, Period: "2026-11-27", Amount: tokens, Limit: 350 * tokens}
	run := func(id llm.TenantID, l tenant.Limits, spends ...tenant.Spend) int64 {
		var granted atomic.Int64
		var wg sync.WaitGroup
		for n := range uint64(takes) {
			from := c.Counters
			if n%2 == 0 {
				from = other
			}
			d := &tenant.Draw{Tenant: id, Lease: tenant.Lease{Replica: fmt.Sprint("r", n%2), Number: n}, Now: time.Now(), Limits: l, Tokens: tokens, Spends: spends}
			wg.Go(func() {
				g, err := from.Take(context.Background(), d)
				if err != nil {
					t.Error(err)
				} else if g.Refused == "" {
					granted.Add(1)
				}
			})
		}
		wg.Wait()
		return granted.Load()
	}
	began := time.Now()
	n := run("tokens", l, day)
	refilled := (time.Since(began).Microseconds() + 1) * int64(l.Tokens)
	if most := (int64(l.Tokens)*tenant.Ticks + refilled) / (tokens * tenant.Ticks); n < 300 || n > min(350, most) {
		t.Errorf("%d granted by tokens, not 300 to %d", n, most)
	}
	if n := run("budget", tenant.Limits{}, day); n != 350 {
		t.Errorf("%d granted by a budget for 350", n)
	}
	if n := run("running", tenant.Limits{Concurrent: 400}); n != 400 {
		t.Errorf("%d granted at once of 400", n)
	}
}
