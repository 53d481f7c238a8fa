package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weir-ai/weir/admit"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/tenant"
	"github.com/weir-ai/weir/workload"
)

// busy is a flood that gives every rule something to do: classes, weights, limits, cut streams, clients that leave or come again, and a
// wall clock that is set back.
func busy() *Scenario {
	s := &Scenario{Seed: 5, rng: rand.New(rand.NewPCG(5, 77))}
	engine := Machine{Speed: Medium()}
	engine.Speed.Slots = 8
	s.Setup = Setup{Variants: []Variant{{Name: "m", Gate: admit.Config{Waiting: admit.Bounds{Requests: 200}}, Engines: []Machine{engine, engine}}}}
	for i, t := range []tenant.Tenant{
		{Class: llm.ClassSystem},
		{Class: llm.ClassInteractive, Weight: 4},
		{Class: llm.ClassInteractive, Weight: 1},
		{Class: llm.ClassSystem, Limits: tenant.Limits{Requests: 20}},
		{Class: llm.ClassSystem, Limits: tenant.Limits{Tokens: 8000}},
		{Class: llm.ClassStandard, Limits: tenant.Limits{Concurrent: 6}},
	} {
		t.ID = llm.TenantID(fmt.Sprintf("t%d", i))
		t.Budgets = []tenant.Budget{{Tokens: 1 << 40, Per: tenant.Day}}
		s.Setup.Tenants.Tenants = append(s.Setup.Tenants.Tenants, t)
		s.Mix.Tenants = append(s.Mix.Tenants, workload.Share{Name: string(t.ID), Part: []float64{0.1, 1, 3, 1, 1, 1}[i]})
	}
	capacity := 2 * engine.Speed.Capacity(300, 60)
	s.Shape = workload.Shape{Kind: "step", Rate: capacity * 0.3, Times: 12, From: scenarioCalm, To: scenarioCalm + scenarioFlood, For: scenarioWhole}
	s.Mix.Shape, s.Mix.Seed = s.Shape, 5
	s.Mix.Prompt, s.Mix.Output = workload.Lengths{Median: 300, Spread: 0.2}, workload.Lengths{Median: 60, Spread: 0.2}
	s.Mix.Classes = []workload.Share{{Name: "system", Part: 3}, {Name: "batch", Part: 1}}
	cut := s.sometimes(0.2)
	s.phase("cut streams", 20*time.Second, 30*time.Second, func(p *Path) {
		p.engine(0).SetCut(func() int {
			if cut() {
				return 10
			}
			return 0
		})
	}, func(p *Path) { p.engine(0).SetCut(nil) })
	s.Weather = append(s.Weather, Weather{30 * time.Second, "the wall clock is set back", func(p *Path) { p.ahead -= 5 * time.Minute }})
	return s
}

// quiet is a flood in which nothing else goes wrong, so that the rule of recovery speaks.
func quiet() *Scenario {
	s := busy()
	s.Weather, s.returns, s.quiet = nil, false, true
	return s
}

// unequal is two tenants of the lowest class, that wait and wait; one has four times the weight, and asks for half of what the other does.
func unequal() *Scenario {
	s := quiet()
	s.Setup.Tenants.Tenants = []tenant.Tenant{{ID: "heavy", Class: llm.ClassBatch, Weight: 4}, {ID: "light", Class: llm.ClassBatch, Weight: 1}}
	s.Mix.Tenants = []workload.Share{{Name: "heavy", Part: 1}, {Name: "light", Part: 2}}
	s.Mix.Prompt, s.Mix.Output = workload.Lengths{Median: 300}, workload.Lengths{Median: 30}
	s.Mix.Classes = nil
	return s
}

// found are the rules that a scenario breaks.
func found(t *testing.T, s *Scenario) []string {
	t.Helper()
	p, err := s.Play(append(Rules(), s.Recovery())...)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, b := range p.Broken() {
		if !slices.Contains(names, b.Check) {
			names = append(names, b.Check)
			t.Log(b)
		}
	}
	return names
}

func TestNoRuleIsBrokenUnbent(t *testing.T) {
	t.Parallel()
	for _, s := range []*Scenario{busy(), quiet(), unequal()} {
		if names := found(t, s); len(names) > 0 {
			t.Errorf("broken without a fault: %v", names)
		}
	}
}

// Each rule is broken by hand, and found by the rule that is meant to.
func TestMutantsAreFound(t *testing.T) {
	t.Parallel()
	check := func(name, rule string, bend func(s *Scenario)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := busy()
			switch rule {
			case "recovery":
				s = quiet()
			case "fairness":
				s = unequal()
			}
			bend(s)
			if names := found(t, s); !slices.Contains(names, rule) {
				t.Errorf("rules broken: %v; want %s among them", names, rule)
			}
		})
	}
	// forget leaves a step out for one call in fifty.
	forget := func(what string) func(*Scenario) {
		return func(s *Scenario) {
			s.Setup.Bend.skips = func(step string, c *Call) bool { return step == what && c != nil && c.Number%50 == 0 }
		}
	}
	usage := func(f func(p *Path, c *Call, u llm.Usage) llm.Usage) func(*Scenario) {
		return func(s *Scenario) { s.Setup.Bend.usage = f }
	}
	entry := func(f func(p *Path, e *admit.Entry)) func(*Scenario) {
		return func(s *Scenario) { s.Setup.Bend.entry = f }
	}
	verdict := func(f func(c *Call, v admit.Verdict) admit.Verdict) func(*Scenario) {
		return func(s *Scenario) { s.Setup.Bend.verdict = f }
	}

	check("the gate's permit leaks", "permits", forget("done"))
	check("a flight has no end", "permits", forget("flight"))
	check("a tenant's place is kept", "permits", forget("settle"))

	check("usage counts twice", "charges", usage(func(_ *Path, c *Call, u llm.Usage) llm.Usage {
		if c.Number%50 == 0 {
			return u.Plus(u)
		}
		return u
	}))
	check("it is settled twice", "charges", usage(func(p *Path, c *Call, u llm.Usage) llm.Usage {
		if r, err := p.book.Reserve(context.Background(), p.wall(), c.Tenant, "m", tenant.Ask{Prompt: 1, Output: 1}); err == nil && c.Number%50 == 0 {
			r.Settle(p.wall(), u)
		} else if err == nil {
			r.Drop(p.wall())
		}
		return u
	}))
	check("what was reserved is charged, never trued up", "charges", usage(func(_ *Path, c *Call, u llm.Usage) llm.Usage {
		u.CompletionTokens = int(c.reservation.Tokens()) - u.PromptTokens
		return u
	}))
	check("an answer that was taken up counts its beginning as prompt", "charges", usage(func(_ *Path, c *Call, u llm.Usage) llm.Usage {
		if c.Resumes > 0 {
			u.PromptTokens += 10
		}
		return u
	}))
	check("who leaves pays nothing", "charges", usage(func(_ *Path, c *Call, u llm.Usage) llm.Usage {
		if c.Kind == llm.Canceled {
			return llm.Usage{}
		}
		return u
	}))
	check("reservations do not grow", "reserved", func(s *Scenario) {
		s.Setup.Bend.skips = func(step string, _ *Call) bool { return step == "grow" }
	})

	check("first come, first served", "fairness", entry(func(_ *Path, e *admit.Entry) { e.Tenant = "" }))
	check("weights are not heeded", "fairness", entry(func(_ *Path, e *admit.Entry) { e.Weight = 1 }))
	check("the highest class is shed first", "shedding", entry(func(_ *Path, e *admit.Entry) {
		e.Class = llm.Classes()[llm.ClassCount-1-e.Class.Rank()]
	}))
	check("classes are not heeded", "shedding", entry(func(_ *Path, e *admit.Entry) { e.Class = llm.ClassStandard }))

	check("it refuses while an endpoint is idle", "idle", func(s *Scenario) {
		s.Setup.Bend.refuses = func(_ *Path, c *Call) bool { return c.Number%50 == 0 }
	})
	check("it holds while an endpoint is idle", "idle", func(s *Scenario) {
		var last time.Duration
		var p *Path
		s.Setup.Bend.facts = func(q *Path, _ *admit.Endpoint) { p = q }
		s.Setup.Bend.skips = func(step string, _ *Call) bool {
			if step != "step" || p == nil || p.clock.now-last > time.Second {
				if p != nil && step == "step" {
					last = p.clock.now
				}
				return false
			}
			return true
		}
	})
	check("it keeps who cannot start in time", "start-by", entry(func(p *Path, e *admit.Entry) { e.StartBy = p.now().Add(90 * time.Second) }))
	check("the gate goes by the clock on the wall", "start-by", func(s *Scenario) {
		s.Setup.Bend.moment = func(p *Path) time.Time { return p.wall() }
		s.Weather = append(s.Weather, Weather{17 * time.Second, "the wall clock is set back, and the engines become slower than anybody could foresee", func(p *Path) {
			p.ahead -= 5 * time.Minute
			p.engine(0).SetSlower(4)
			p.engine(1).SetSlower(4)
		}})
	})

	limit := func(at int, raise func(l *tenant.Limits)) func(*Scenario) {
		return func(s *Scenario) {
			s.Setup.Written = slices.Clone(s.Setup.Tenants.Tenants)
			raise(&s.Setup.Tenants.Tenants[at].Limits)
		}
	}
	check("one request too many a minute", "limits", limit(3, func(l *tenant.Limits) { l.Requests++ }))
	check("a hundredth more tokens a minute", "limits", limit(4, func(l *tenant.Limits) { l.Tokens += l.Tokens / 100 }))
	check("one request too many at once", "limits", limit(5, func(l *tenant.Limits) { l.Concurrent++ }))

	check("it tells no time to come back", "retry-after", verdict(func(_ *Call, v admit.Verdict) admit.Verdict {
		v.RetryAfter = 0
		return v
	}))
	check("it tells a time that SDKs do not heed", "retry-after", verdict(func(_ *Call, v admit.Verdict) admit.Verdict {
		v.RetryAfter *= 100
		return v
	}))
	check("a reason that is on no list", "outcomes", verdict(func(_ *Call, v admit.Verdict) admit.Verdict {
		if v.Reason != "" {
			v.Reason = "because"
		}
		return v
	}))
	check("a request is lost", "outcomes", forget("end"))
	check("a request ends twice", "outcomes", forget("once"))
	check("a limit stays down after the flood", "recovery", func(s *Scenario) {
		s.Setup.Bend.facts = func(p *Path, e *admit.Endpoint) {
			if p.clock.now > s.Shape.From {
				e.Slots = 1
			}
		}
	})
}
