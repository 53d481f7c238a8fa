package sim

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/tenant"
)

// The rules that hold on every path, in every flood, whatever fails. Each is reckoned from what happens on the path and from what the
// engines made, by other means than those that it checks: a rule that asked the gate whether the gate is right would always hold.

// Rules makes every rule.
func Rules() []Check {
	return []Check{permits(), charges(), reserved(), outcomes(), startBy(), retryAfter(), limits(), idle(), shedding(), fairness()}
}

// permits: what a call holds of the gate, of its endpoint and of its tenant's concurrency is given back; and while anything runs, the gate
// counts what the path does.
func permits() Check {
	return Check{Name: "permits", See: func(p *Path, e Event) string {
		if e.Kind != EventTick && e.Kind != EventOver {
			return ""
		}
		for _, m := range p.variants {
			s := m.gate.State(p.moment())
			if waiting := m.count(); s.Running != m.running || s.Waiting.Requests != waiting {
				return fmt.Sprintf("the gate of %s counts %d that run and %d that wait; there are %d and %d", m.Name, s.Running, s.Waiting.Requests, m.running, waiting)
			}
			if e.Kind != EventOver {
				continue
			}
			for _, x := range s.Endpoints {
				if x.Running != 0 || x.Decoding != 0 || x.Prefill != 0 || x.Work != 0 {
					return fmt.Sprintf("the gate keeps a place at %s: %+v", x.ID, x)
				}
			}
			for _, end := range m.endpoints {
				if f := end.Facts(p.now()); f.Running != 0 || f.Prefill != 0 || f.Decoding != 0 {
					return fmt.Sprintf("a flight at %s has no end: %d run, %d tokens to prefill, %d decode", f.ID, f.Running, f.Prefill, f.Decoding)
				}
			}
		}
		if e.Kind != EventOver {
			return ""
		}
		list, err := p.book.Standings(context.Background(), p.wall())
		if err != nil {
			return err.Error()
		}
		for _, s := range list {
			if s.Running != 0 {
				return fmt.Sprintf("tenant %s still has %d running", s.Tenant.ID, s.Running)
			}
		}
		return ""
	}}
}

// charges: what is charged is what came out: to each call, and to each tenant's budget.
func charges() Check {
	emitted := map[*Call]int{}
	spent := map[llm.TenantID]*spending{}
	return Check{Name: "charges", See: func(p *Path, e Event) string {
		switch e.Kind {
		case EventGrew:
			emitted[e.Call] += e.Tokens
		case EventSettled:
			out, in := emitted[e.Call], 0
			delete(emitted, e.Call)
			if out > 0 || e.Call.computed() {
				in = e.Call.Job.Prompt
			}
			if e.Usage.CompletionTokens != out || e.Usage.PromptTokens != in {
				return fmt.Sprintf("call %d is charged %d+%d tokens; it had %d+%d", e.Call.Number, e.Usage.PromptTokens, e.Usage.CompletionTokens, in, out)
			}
			if spent[e.Call.Tenant] == nil {
				spent[e.Call.Tenant] = &spending{}
			}
			spent[e.Call.Tenant].add(p.wall(), int64(in+out))
		case EventOver:
			return budgetsHold(p, spent)
		}
		return ""
	}}
}

// spending is what one tenant used in the latest day that the wall clock has shown.
type spending struct {
	day   string
	used  int64
	mixed bool // a call began in one day and ended in another: part of it counts in neither
}

func (s *spending) add(wall time.Time, tokens int64) {
	if d := wall.UTC().Format(time.DateOnly); d != s.day {
		s.mixed = s.day != ""
		s.day = max(d, s.day)
	}
	s.used += tokens
}

// budgetsHold compares what the book has counted of budgets of a day with what was used.
func budgetsHold(p *Path, spent map[llm.TenantID]*spending) string {
	list, err := p.book.Standings(context.Background(), p.wall())
	if err != nil {
		return err.Error()
	}
	for _, s := range list {
		mine := spent[s.Tenant.ID]
		for _, b := range s.Budgets {
			if b.Name == tenant.TallyTokensDay && mine != nil && !mine.mixed && b.Spent != mine.used {
				return fmt.Sprintf("tenant %s is charged %d tokens of its day; it used %d", s.Tenant.ID, b.Spent, mine.used)
			}
		}
	}
	return ""
}

// reserved: what is reserved covers what is used, all the way to the end.
func reserved() Check {
	return Check{Name: "reserved", See: func(p *Path, e Event) string {
		r := int64(0)
		switch {
		case e.Call == nil || e.Call.reservation == nil:
			return ""
		case e.Kind == EventGrew:
			r = e.Call.reservation.Tokens()
		case e.Kind == EventSettled:
			r = e.Reserved
		default:
			return ""
		}
		if used := int64(e.Call.Job.Prompt + e.Call.Emitted); e.Call.Emitted > 0 && r < used {
			return fmt.Sprintf("call %d has reserved %d tokens and used %d", e.Call.Number, r, used)
		}
		return ""
	}}
}

// kinds is which kind each reason of a refusal is told as.
var kinds = map[llm.Reason]llm.Kind{
	llm.ReasonRequests: llm.RateLimited, llm.ReasonTokens: llm.RateLimited, llm.ReasonConcurrency: llm.RateLimited,
	llm.ReasonTokenBudget: llm.OutOfBudget, llm.ReasonMoneyBudget: llm.OutOfBudget,
	llm.ReasonFull: llm.Overloaded, llm.ReasonLate: llm.Overloaded, llm.ReasonDisplaced: llm.Overloaded, llm.ReasonStart: llm.StartTimeout,
}

// outcomes: each call has exactly one end, out of the closed list, and a refusal the kind of its reason.
func outcomes() Check {
	known := map[string]bool{llm.OutcomeOK: true}
	for _, k := range llm.Kinds() {
		known[k.String()] = true
	}
	open := map[*Call]bool{}
	return Check{Name: "outcomes", See: func(p *Path, e Event) string {
		c := e.Call
		switch e.Kind {
		case EventArrived:
			open[c] = true
		case EventEnded:
			if !open[c] {
				return fmt.Sprintf("call %d ends twice: %s", c.Number, c.Outcome)
			}
			delete(open, c)
			if !known[c.Outcome] {
				return fmt.Sprintf("call %d ends as %q, which is no outcome", c.Number, c.Outcome)
			}
			if k, ok := kinds[c.Reason]; c.Reason != "" && (!ok || k != c.Kind) {
				return fmt.Sprintf("call %d is refused for %q as %s", c.Number, c.Reason, c.Outcome)
			}
			if c.Outcome == llm.OutcomeOK && c.Emitted != c.output() {
				return fmt.Sprintf("call %d ended well with %d tokens of %d", c.Number, c.Emitted, c.output())
			}
		case EventOver:
			for c := range open {
				return fmt.Sprintf("call %d never ended, and %d more", c.Number, len(open)-1)
			}
		}
		return ""
	}}
}

// startBy: nobody waits longer than it may start, nor starts later.
func startBy() Check {
	return Check{Name: "start-by", See: func(p *Path, e Event) string {
		switch {
		case e.Kind == EventDeadline && e.Call.waiting && p.clock.now > e.Call.LastStart:
			return fmt.Sprintf("call %d waits at %s; it had to start by %s", e.Call.Number, p.clock.now, e.Call.LastStart)
		case e.Kind == EventStarted && e.Call.Waited && e.Call.Started > e.Call.LastStart:
			return fmt.Sprintf("call %d starts at %s; it had to by %s", e.Call.Number, e.Call.Started, e.Call.LastStart)
		}
		return ""
	}}
}

// retryAfter: every refusal that a client can wait out says when to come back, in 1 to 60 seconds.
func retryAfter() Check {
	told := []llm.Kind{llm.RateLimited, llm.OutOfBudget, llm.Overloaded, llm.NoEndpoint}
	return Check{Name: "retry-after", See: func(p *Path, e Event) string {
		if e.Kind != EventEnded || e.Call.Kind < 0 {
			return ""
		}
		d := e.Call.RetryAfter
		if d == 0 && !slices.Contains(told, e.Call.Kind) {
			return ""
		}
		if d < time.Second || d > time.Minute {
			return fmt.Sprintf("call %d, %s %s, is told to come back in %s", e.Call.Number, e.Call.Outcome, e.Call.Reason, d)
		}
		return ""
	}}
}

// allowance is what one tenant's limits leave it, reckoned in fractions and apart from the book.
type allowance struct {
	requests, tokens float64       // left
	at               time.Time     // by the wall clock
	since            time.Duration // by the steady one
	running          int
	day              string
	spent            int64 // of the day, reserved or used
}

// refill lets the buckets run in until now: by the wall clock, or by the steady one where the wall clock was set back.
func (a *allowance) refill(p *Path, l tenant.Limits) {
	d := max(p.wall().Sub(a.at), p.clock.now-a.since).Minutes()
	a.requests = min(a.requests+d*float64(l.Requests), float64(l.Requests))
	a.tokens = min(a.tokens+d*float64(l.Tokens), float64(l.Tokens))
	a.at, a.since = p.wall(), p.clock.now
}

// limits: no limit of a tenant is overdrawn by as much as one reserved token, nor by a request, nor a budget of a day.
func limits() Check {
	left := map[llm.TenantID]*allowance{}
	held := map[*Call]int64{}
	return Check{Name: "limits", See: func(p *Path, e Event) string {
		c := e.Call
		if c == nil || c.reservation == nil {
			return ""
		}
		t := p.limitsOf(c.Tenant)
		a := left[c.Tenant]
		if a == nil {
			a = &allowance{requests: float64(t.Limits.Requests), tokens: float64(t.Limits.Tokens), at: p.wall(), since: p.clock.now}
			left[c.Tenant] = a
		}
		a.refill(p, t.Limits)
		if d := p.wall().UTC().Format(time.DateOnly); d > a.day {
			a.day, a.spent = d, 0
		}
		switch e.Kind {
		case EventReserved:
			held[c] = c.reservation.Tokens()
			a.requests--
			a.tokens -= float64(held[c])
			a.spent += held[c]
			a.running++
			return a.overdrawn(t)
		case EventGrew:
			now := c.reservation.Tokens()
			a.tokens -= float64(now - held[c])
			a.spent += now - held[c]
			held[c] = now
		case EventSettled:
			if c.Started < 0 {
				a.requests++
			}
			used := int64(e.Usage.Total())
			a.tokens += float64(held[c] - used)
			a.spent = max(a.spent-held[c]+used, 0)
			delete(held, c)
			a.running--
		}
		return ""
	}}
}

func (a *allowance) overdrawn(t *tenant.Tenant) string {
	l := t.Limits
	switch {
	case l.Requests > 0 && a.requests < -0.01:
		return fmt.Sprintf("tenant %s has %.3f requests a minute left of %d", t.ID, a.requests, l.Requests)
	case l.Tokens > 0 && a.tokens < -0.5:
		return fmt.Sprintf("tenant %s has %.1f tokens a minute left of %d", t.ID, a.tokens, l.Tokens)
	case l.Concurrent > 0 && a.running > l.Concurrent:
		return fmt.Sprintf("tenant %s has %d requests at once of %d", t.ID, a.running, l.Concurrent)
	}
	for _, b := range t.Budgets {
		if b.Per == tenant.Day && b.Tokens > 0 && a.spent > b.Tokens {
			return fmt.Sprintf("tenant %s has reserved and used %d tokens of %d a day", t.ID, a.spent, b.Tokens)
		}
	}
	return ""
}

// limitsOf is what is written of a tenant in the setup, which a bent book may not know.
func (p *Path) limitsOf(id llm.TenantID) *tenant.Tenant {
	list := p.setup.Tenants.Tenants
	if p.setup.Written != nil {
		list = p.setup.Written
	}
	for i := range list {
		if list[i].ID == id {
			return &list[i]
		}
	}
	return &tenant.Tenant{ID: id}
}

// idle: nothing is refused by the gate, and nothing waits, while an endpoint is within its limit and has begun all that it was sent.
func idle() Check {
	return Check{Name: "idle", See: func(p *Path, e Event) string {
		switch e.Kind {
		case EventRefused:
			if why := e.Verdict.Reason; why == llm.ReasonDisplaced || why == llm.ReasonStart && e.Call.LastStart <= e.Call.Arrived {
				return ""
			}
			if id := e.Call.m.roomAt(p); id != "" {
				return fmt.Sprintf("call %d (%s, %s) is refused, %s, while %s has room", e.Call.Number, e.Call.Tenant, e.Call.Class, e.Verdict.Reason, id)
			}
		case EventTick:
			for _, m := range p.variants {
				if n := m.count(); n > 0 {
					if id := m.roomAt(p); id != "" {
						return fmt.Sprintf("%d wait while %s has room", n, id)
					}
				}
			}
		}
		return ""
	}}
}

// doubtMost is how long an endpoint that has failed may be left alone, unless something has gone well there since.
const doubtMost = time.Second

func (m *variant) doubted(p *Path, id llm.EndpointID) bool {
	for i, e := range m.endpoints {
		if e.ID() == id {
			return m.failed[i] > 0 && p.clock.now-m.failed[i] <= doubtMost
		}
	}
	return false
}

// roomAt is an endpoint that has room beyond doubt: it can be used, has not just failed, runs fewer than its limit, and has begun them all;
// or it is idle.
func (m *variant) roomAt(p *Path) llm.EndpointID {
	for _, x := range m.gate.State(p.moment()).Endpoints {
		if x.Usable && x.Prefill == 0 && x.Running < max(x.Limit, 1) && !m.doubted(p, x.ID) {
			return x.ID
		}
	}
	return ""
}
