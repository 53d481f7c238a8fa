package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/weir-ai/weir/admit"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/tenant"
	"github.com/weir-ai/weir/workload"
)

// Scenario is one flood as a seed makes it: who asks for what and when, of which fleet, and what goes wrong meanwhile. The same seed makes
// the same scenario, and the same scenario goes the same way.
type Scenario struct {
	Seed    uint64
	Setup   Setup
	Shape   workload.Shape // of what is offered
	Mix     workload.Mix
	Weather []Weather
	rng     *rand.Rand
	quiet   bool // every client takes what it gets
	returns bool // some clients come again
}

// Weather is one thing that happens to a fleet.
type Weather struct {
	At   time.Duration
	Text string
	do   func(p *Path)
}

// Spans of a scenario: a while in which the gate learns its engines, a flood that is long beside every objective, and a quiet time in which
// everything must become as it was.
const (
	scenarioCalm  = 15 * time.Second
	scenarioFlood = 40 * time.Second
	scenarioQuiet = 30 * time.Second
	scenarioWhole = scenarioCalm + scenarioFlood + scenarioQuiet
	// callsMost bounds what one seed offers, to keep it within a second.
	callsMost = 6000
)

// Little is a small engine on a CPU; Medium one of 8 B on one card.
func Little() Speed {
	return Speed{Prefill: 1.0 / 900, Step: 0.015, Answer: 0.004, Chunk: 256, Slots: 8, Cache: 400, Block: 64}
}

// Medium is a model of 8 B on one card.
func Medium() Speed {
	return Speed{Prefill: 1.0 / 8000, Step: 0.012, Answer: 0.0005, Chunk: 2048, Slots: 32, Cache: 4000, Block: 64}
}

// Capacity is how many requests a second an engine computes that always has enough of them, with so many tokens of prompt and answer in
// the mean.
func (s Speed) Capacity(prompt, output float64) float64 {
	ends := float64(s.Slots) / max(output, 1) // requests a step
	return ends / (s.Step + float64(s.Slots)*s.Answer + ends*prompt*s.Prefill)
}

// Generate makes the scenario of a seed.
func Generate(seed uint64) *Scenario {
	s := &Scenario{Seed: seed, rng: rand.New(rand.NewPCG(seed, 77))}
	rng := s.rng
	prompt := workload.Lengths{Median: 40 + rng.IntN(600), Spread: 0.3 + 0.6*rng.Float64()}
	output := workload.Lengths{Median: 10 + rng.IntN(120), Spread: 0.3 + 0.6*rng.Float64()}
	capacity := s.fleet(mean(prompt), mean(output))
	s.tenants(capacity, mean(prompt)+mean(output))
	times := 2 + 8*rng.Float64()
	low := 0.3 * capacity
	if calls := capacity * times * scenarioFlood.Seconds(); calls > callsMost {
		times = max(callsMost/scenarioFlood.Seconds()/capacity, 1.5)
	}
	s.Shape = workload.Shape{Kind: "step", Rate: low, Times: times * capacity / low, From: scenarioCalm, To: scenarioCalm + scenarioFlood, For: scenarioWhole}
	s.Mix = workload.Mix{Shape: s.Shape, Prompt: prompt, Output: output, Seed: seed}
	for _, t := range s.Setup.Tenants.Tenants {
		s.Mix.Tenants = append(s.Mix.Tenants, workload.Share{Name: string(t.ID), Part: math.Exp(rng.NormFloat64())})
	}
	s.Mix.Classes = []workload.Share{{Name: "system", Part: 0.2 * rng.Float64()}, {Name: "interactive", Part: rng.Float64()},
		{Name: "standard", Part: rng.Float64()}, {Name: "batch", Part: 0.7 * rng.Float64()}}
	s.weather()
	return s
}

// mean of a log-normal distribution by its median.
func mean(l workload.Lengths) float64 { return float64(l.Median) * math.Exp(l.Spread*l.Spread/2) }

// fleet makes the variants, and gives how many requests a second the first can do.
func (s *Scenario) fleet(prompt, output float64) float64 {
	rng := s.rng
	s.Setup.Seed = s.Seed
	capacity := 0.0
	variants := 1
	if rng.IntN(5) == 0 {
		variants = 2
	}
	for i := range variants {
		v := Variant{Name: llm.ModelID([]string{"best", "lesser"}[i]), Quality: float64(2 - i)}
		if rng.IntN(4) == 0 {
			v.Gate.Waiting = admit.Bounds{Requests: 20 + rng.IntN(100)}
		}
		kind, silent := rng.IntN(3), rng.IntN(4) == 0
		for range 1 + rng.IntN(4) {
			speed := []Speed{Little(), Medium(), Large().Slower(0.5)}[kind]
			if i == 1 {
				speed = speed.Slower(0.3)
			}
			speed = speed.Slower(0.7 + 0.6*rng.Float64())
			speed.Slots = max(2, speed.Slots/(1+rng.IntN(4)))
			v.Engines = append(v.Engines, Machine{Speed: speed, Silent: silent, Reports: rng.IntN(2) == 0})
			if i == 0 {
				capacity += speed.Capacity(prompt, output)
			}
		}
		s.Setup.Variants = append(s.Setup.Variants, v)
	}
	return capacity
}

// tenants makes some with limits and some without.
func (s *Scenario) tenants(capacity, tokens float64) {
	rng := s.rng
	for i := range 2 + rng.IntN(9) {
		t := tenant.Tenant{ID: llm.TenantID(fmt.Sprintf("t%d", i)), Class: llm.Classes()[rng.IntN(3)], Weight: []float64{1, 1, 1, 2, 4}[rng.IntN(5)]}
		if rng.IntN(3) == 0 {
			t.Limits.Requests = 1 + int(60*capacity*rng.Float64())
		}
		if rng.IntN(3) == 0 {
			t.Limits.Tokens = int(tokens*4) + int(60*capacity*tokens*rng.Float64())
		}
		if rng.IntN(4) == 0 {
			t.Limits.Concurrent = 1 + rng.IntN(30)
		}
		day := int64(1) << 40 // a budget that is never spent, so that its count can be compared
		if rng.IntN(4) == 0 {
			day = int64(tokens * capacity * 60 * rng.Float64())
		}
		t.Budgets = []tenant.Budget{{Tokens: max(day, 1), Per: tenant.Day}}
		s.Setup.Tenants.Tenants = append(s.Setup.Tenants.Tenants, t)
	}
}

// client draws how one behaves.
func (s *Scenario) client() Client {
	rng := s.rng
	var c Client
	if s.quiet {
		return c
	}
	switch rng.IntN(10) {
	case 0, 1:
		c.Returns = 1
	case 2, 3:
		c.Returns, c.SDK = 2, true
	}
	if rng.IntN(7) == 0 {
		c.Patience = time.Duration(3 * rng.ExpFloat64() * float64(time.Second))
	}
	if rng.IntN(10) == 0 {
		c.StartBy = time.Duration((0.1 + 5*rng.Float64()) * float64(time.Second))
	}
	c.Variants, c.Whole = rng.IntN(2) == 0, rng.IntN(6) == 0
	s.returns = s.returns || c.Returns > 0
	return c
}

// Play runs it under some rules.
func (s *Scenario) Play(rules ...Check) (*Path, error) {
	p, err := NewPath(s.Setup, rules...)
	if err != nil {
		return nil, err
	}
	for _, w := range s.Weather {
		p.clock.At(w.At, func() { w.do(p) })
	}
	for r := range s.Mix.Requests() {
		k := llm.ClassSystem // its tenant's
		if r.Class != "" {
			if k, err = llm.ParseClass(r.Class); err != nil {
				return nil, err
			}
		}
		c := &Call{Job: &r, Client: s.client(), Tenant: llm.TenantID(r.Tenant), Class: k, Print: s.rng.Uint64()}
		if s.rng.IntN(2) == 0 {
			c.MaxTokens = 1 + int(float64(r.Output)*(0.8+2*s.rng.Float64()))
		}
		p.Arrive(r.At, c)
	}
	p.Run()
	return p, nil
}

// weather draws what goes wrong.
func (s *Scenario) weather() {
	rng := s.rng
	for range rng.IntN(5) {
		from := time.Duration(rng.Float64() * float64(scenarioWhole-scenarioQuiet))
		span := time.Duration((3 + 17*rng.Float64()) * float64(time.Second))
		at := rng.IntN(len(s.Setup.Variants[0].Engines))
		switch rng.IntN(9) {
		case 0:
			s.halve(at, from, span, rng.IntN(2) == 0)
		case 1:
			s.die(at, from, span)
		case 2:
			s.unlist(at, from, span)
		case 3:
			times := 1.5 + 3*rng.Float64()
			s.phase(fmt.Sprintf("engine %d is %.1f times slower", at, times), from, span,
				func(p *Path) { p.engine(at).SetSlower(times) }, func(p *Path) { p.engine(at).SetSlower(1) })
		case 4:
			n := 1 + rng.IntN(8)
			s.phase(fmt.Sprintf("engine %d is full with %d", at, n), from, span,
				func(p *Path) { p.engine(at).SetFull(n) }, func(p *Path) { p.engine(at).SetFull(0) })
		case 5:
			cut := s.sometimes(0.1)
			s.phase(fmt.Sprintf("engine %d cuts a tenth of its streams", at), from, span, func(p *Path) {
				p.engine(at).SetCut(func() int {
					if cut() {
						return 1 + rng.IntN(40)
					}
					return 0
				})
			}, func(p *Path) { p.engine(at).SetCut(nil) })
		case 6:
			s.phase(fmt.Sprintf("engine %d never answers one in fifty", at), from, span,
				func(p *Path) { p.engine(at).SetHangs(s.sometimes(0.02)) }, func(p *Path) { p.engine(at).SetHangs(nil) })
		case 7:
			fails, after := s.sometimes(0.3), time.Duration(rng.IntN(300))*time.Millisecond
			s.phase(fmt.Sprintf("engine %d fails at a third after %s", at, after), from, span, func(p *Path) {
				p.engine(at).SetFails(func() (llm.Fault, time.Duration) {
					if fails() {
						return llm.FaultStatus, after
					}
					return llm.FaultNone, 0
				})
			}, func(p *Path) { p.engine(at).SetFails(nil) })
		case 8:
			by := time.Duration(rng.IntN(20)-10) * time.Minute
			s.Weather = append(s.Weather, Weather{from, fmt.Sprintf("the wall clock is set by %s", by), func(p *Path) { p.ahead += by }})
		}
	}
	slices.SortStableFunc(s.Weather, func(a, b Weather) int { return int(a.At - b.At) })
}

// sometimes draws by chance, from a stream of its own.
func (s *Scenario) sometimes(share float64) func() bool {
	rng := rand.New(rand.NewPCG(s.Seed, s.rng.Uint64()))
	return func() bool { return rng.Float64() < share }
}

func (p *Path) engine(i int) *Engine { return p.variants[0].engines[i] }

// phase does something and undoes it.
func (s *Scenario) phase(text string, from, span time.Duration, do, undo func(p *Path)) {
	s.Weather = append(s.Weather, Weather{from, text, do}, Weather{from + span, "and no more: " + text, undo})
}

// halve has an engine compute half as many answers together, whether it says so or not.
func (s *Scenario) halve(at int, from, span time.Duration, says bool) {
	n := s.Setup.Variants[0].Engines[at].Speed.Slots
	set := func(n int) func(p *Path) {
		return func(p *Path) {
			p.engine(at).SetSlots(n)
			if m := p.variants[0]; says && !m.Engines[at].Silent {
				about := m.endpoints[at].Facts(p.now()).About
				about.Slots = n
				m.endpoints[at].Learn(about, m.endpoints[at].Facts(p.now()).Continues)
			}
		}
	}
	s.phase(fmt.Sprintf("engine %d has half of its %d slots and says so: %v", at, n, says), from, span, set(max(n/2, 1)), set(n))
}

// die has an engine die and come back; the fleet's probes find out a while later.
func (s *Scenario) die(at int, from, span time.Duration) {
	s.phase(fmt.Sprintf("engine %d is dead", at), from, span, func(p *Path) { p.Die(0, at) }, func(p *Path) { p.Revive(0, at) })
}

// unlist has an engine vanish from the fleet's list; what it has goes on.
func (s *Scenario) unlist(at int, from, span time.Duration) {
	list := func(away bool) func(p *Path) {
		return func(p *Path) {
			m := p.variants[0]
			m.away[at] = away
			m.relist()
			p.tell(m)
			p.pump(m)
		}
	}
	s.phase(fmt.Sprintf("engine %d is not listed", at), from, span, list(true), list(false))
}

// String describes it, for who looks for what broke a rule.
func (s *Scenario) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %.1f a second, times %.1f from %s to %s; %d tenants\n", s.Seed, s.Shape.Rate, s.Shape.Times, s.Shape.From, s.Shape.To, len(s.Mix.Tenants))
	for _, v := range s.Setup.Variants {
		fmt.Fprintf(&b, "  %s: bounds %+v\n", v.Name, v.Gate.Waiting)
		for i, e := range v.Engines {
			fmt.Fprintf(&b, "    engine %d: %+v silent %v reports %v\n", i, e.Speed, e.Silent, e.Reports)
		}
	}
	for _, t := range s.Setup.Tenants.Tenants {
		fmt.Fprintf(&b, "  %s: %s weight %g limits %+v a day %d\n", t.ID, t.Class, t.Weight, t.Limits, t.Budgets[0].Tokens)
	}
	for _, w := range s.Weather {
		fmt.Fprintf(&b, "  %s %s\n", w.At, w.Text)
	}
	return b.String()
}

// Recovery is the rule that the flood leaves nothing behind: one objective after it, whoever has one starts at once. It says nothing where
// something else goes wrong in that time, or where clients come back that were told to: then the flood is not over.
func (s *Scenario) Recovery() Check {
	return Check{Name: "recovery", See: func(p *Path, e Event) string {
		if e.Kind != EventEnded || s.returns || len(s.Weather) > 0 || e.Call.Client.Patience > 0 {
			return ""
		}
		c := e.Call
		objective := p.objective(c.m, c.Class)
		if objective <= 0 || c.Arrived < s.Shape.To+objective || c.reservation == nil || c.Kind == llm.Canceled {
			return ""
		}
		if c.Started < 0 {
			return fmt.Sprintf("call %d (%s), %s after the flood, is refused: %s", c.Number, c.Class, c.Arrived-s.Shape.To, c.Reason)
		}
		if wait := c.Started - c.Arrived; wait > objective/4 {
			return fmt.Sprintf("call %d (%s), %s after the flood, waits for %s", c.Number, c.Class, c.Arrived-s.Shape.To, wait)
		}
		return ""
	}}
}
