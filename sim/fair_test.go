package sim

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/weir-ai/weir/admit"
	"github.com/weir-ai/weir/internal/testdata"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/tenant"
	"github.com/weir-ai/weir/workload"
)

// published is an engine with the speed of the VTC paper's: 21 requests of 256 and 256 tokens run together, for some 10 s each.
func published() Machine {
	return Machine{Speed: Speed{Prefill: 1.0 / 8000, Step: 0.040, Answer: 0.0001, Chunk: 4096, Slots: 21, Block: 64}}
}

// patient lets everything wait, as the paper does.
func patient() admit.Config {
	var c admit.Config
	for i := range c.Classes {
		c.Classes[i] = admit.ClassConfig{TTFT: -1, TPOT: -1, Wait: 2 * time.Hour}
	}
	c.Waiting.Work, c.Tenant.Work = -1, -1
	return c
}

// service sums the work that each tenant was given, in the units of the gate, with an own counter.
type service struct {
	given   map[llm.TenantID]float64
	offered map[llm.TenantID]float64
	from    time.Duration // nothing counts before
	to      time.Duration // nor after
	tokens  int
}

func newService(from, to time.Duration) *service {
	return &service{given: map[llm.TenantID]float64{}, offered: map[llm.TenantID]float64{}, from: from, to: to}
}

func (s *service) check() Check {
	return Check{Name: "service", See: func(p *Path, e Event) string {
		if p.clock.now < s.from || p.clock.now >= s.to {
			return ""
		}
		switch c := e.Call; e.Kind {
		case EventArrived:
			s.offered[c.Tenant] += float64(c.Job.Prompt) + c.m.weight*float64(c.output())
		case EventGrew:
			work := c.m.weight * float64(e.Tokens)
			if c.Emitted == e.Tokens {
				work += float64(c.Job.Prompt)
			}
			s.given[c.Tenant] += work
			s.tokens += e.Tokens
		}
		return ""
	}}
}

// recorded plays a recorded workload, all of one class, under the rules.
func recorded(t *testing.T, jobs []Job, gate admit.Config, engines []Machine, bend Bend, more ...Check) (*Path, []*Call) {
	t.Helper()
	s := Setup{Seed: 1, Variants: []Variant{{Name: "m", Gate: gate, Engines: engines}}, Bend: bend}
	seen := map[string]bool{}
	for i := range jobs {
		if !seen[jobs[i].Tenant] {
			seen[jobs[i].Tenant] = true
			s.Tenants.Tenants = append(s.Tenants.Tenants, tenant.Tenant{ID: llm.TenantID(jobs[i].Tenant), Class: llm.ClassStandard})
		}
	}
	rules := append(Rules(), more...)
	if bend.entry != nil {
		rules = more
	}
	p, err := NewPath(s, rules...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range jobs {
		p.Arrive(jobs[i].At, &Call{Job: &jobs[i], Tenant: llm.TenantID(jobs[i].Tenant), Class: llm.ClassStandard, Print: uint64(i) + 1})
	}
	calls := p.Run()
	for _, b := range p.Broken() {
		t.Error(b)
	}
	return p, calls
}

func jain(given map[llm.TenantID]float64) float64 {
	sum, squares := 0.0, 0.0
	for _, x := range given {
		sum += x
		squares += x * x
	}
	return sum * sum / (float64(len(given)) * squares)
}

// blind has the gate take everybody for one tenant: first come, first served.
func blind() Bend { return Bend{entry: func(_ *Path, e *admit.Entry) { e.Tenant = "" }} }

// overload is the paper's two clients, both over the capacity: 1.5 and 3 requests a second of 256 and 256 tokens for 360 s.
func overload() []Job {
	var jobs []Job
	for i := range 540 {
		jobs = append(jobs, Job{At: time.Duration(float64(i) / 1.5 * 1e9), Prompt: 256, Output: 256, Tenant: "slow"})
	}
	for i := range 1080 {
		jobs = append(jobs, Job{At: time.Duration(float64(i) / 3 * 1e9), Prompt: 256, Output: 256, Tenant: "fast"})
	}
	slices.SortStableFunc(jobs, func(a, b Job) int { return int(a.At - b.At) })
	return jobs
}

// The overload suite of the VTC paper over the whole path: the bound is among the rules.
func TestOverloadIsFairAndLosesNothing(t *testing.T) {
	t.Parallel()
	run := func(b Bend) *service {
		s := newService(0, 360*time.Second)
		recorded(t, overload(), patient(), []Machine{published()}, b, s.check())
		return s
	}
	fair, fcfs := run(Bend{}), run(blind())
	t.Logf("VTC: gap %.0f, Jain %.5f, %d tokens; FCFS: gap %.0f, Jain %.4f, %d tokens", math.Abs(fair.given["slow"]-fair.given["fast"]), jain(fair.given), fair.tokens,
		math.Abs(fcfs.given["slow"]-fcfs.given["fast"]), jain(fcfs.given), fcfs.tokens)
	if jain(fair.given) < 0.999 {
		t.Errorf("Jain's index is %.5f; want 0.999", jain(fair.given))
	}
	if float64(fair.tokens) < 0.98*float64(fcfs.tokens) {
		t.Errorf("%d tokens; first come, first served makes %d", fair.tokens, fcfs.tokens)
	}
	if jain(fcfs.given) > 0.95 {
		t.Errorf("first come, first served has %.4f, too: there is nothing to be fair about", jain(fcfs.given))
	}
}

// The paper's recorded workload of 27 clients, whose lengths differ, a third faster than it was: every pair of clients that wait stays
// within the bound.
func TestRecordedClientsStayWithinTheBound(t *testing.T) {
	t.Parallel()
	jobs, err := workload.Read(bytes.NewReader(testdata.Bytes(t, "traces/vtc-osdi24/vtc_real_trace.csv")), "vtc", workload.Span{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	s := newService(0, time.Hour)
	p, calls := recorded(t, workload.Faster(jobs, 1.33), patient(), []Machine{published()}, Bend{}, s.check())
	waited := 0
	for _, c := range calls {
		if c.Waited {
			waited++
		}
	}
	t.Logf("%d requests of %d clients in %s, %d of them waited", len(calls), len(s.given), p.clock.now, waited)
	if waited < len(calls)/4 {
		t.Errorf("%d of %d waited: nothing was put to the test", waited, len(calls))
	}
}

// A fleet that loses half of what it has: within two objectives no more is sent to it than it can do, and when it is back, it is used again.
func TestLimitsFollowTheFleet(t *testing.T) {
	t.Parallel()
	const lost, back = 40 * time.Second, 80 * time.Second
	engine := func() Machine {
		m := Machine{Speed: Medium()}
		m.Speed.Slots = 16
		return m
	}
	silent := func() Machine {
		m := engine()
		m.Silent = true
		return m
	}
	slots := func(n int, says bool) func(p *Path) {
		return func(p *Path) {
			p.engine(0).SetSlots(n)
			if says {
				about := p.variants[0].endpoints[0].Facts(p.now()).About
				about.Slots = n
				p.variants[0].endpoints[0].Learn(about, p.variants[0].endpoints[0].Facts(p.now()).Continues)
			}
		}
	}
	for _, c := range []struct {
		name    string
		engines []Machine
		less    func(p *Path)
		more    func(p *Path)
		left    float64 // of the capacity
	}{
		{"slots halved, told", []Machine{engine()}, slots(8, true), slots(16, true), 0},
		{"slots halved, not told", []Machine{engine()}, slots(8, false), slots(16, false), 0},
		{"slots halved, never told any", []Machine{silent()}, slots(8, false), slots(16, false), 0},
		{"one of two dead", []Machine{engine(), engine()}, func(p *Path) { p.Die(0, 0) }, func(p *Path) { p.Revive(0, 0) }, 0},
		{"one of two dead, never told any slots", []Machine{silent(), silent()}, func(p *Path) { p.Die(0, 0) }, func(p *Path) { p.Revive(0, 0) }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			whole := capacity(t, c.engines, chatPrompt, chatOutput)
			half := c.engines[0]
			half.Speed.Slots = 8
			halved := []Machine{half}
			if len(c.engines) > 1 {
				halved = c.engines[1:]
			}
			less := capacity(t, halved, chatPrompt, chatOutput)
			x := trial{engines: c.engines, span: 120 * time.Second, seed: 1, checks: Rules(), weather: []Weather{{At: lost, do: c.less}, {At: back, do: c.more}},
				streams: []stream{{tenant: "t", class: llm.ClassInteractive, prompt: chatPrompt, output: chatOutput, rate: steadily(4 * whole)}}}
			p, calls := x.play(t)
			spans := []struct {
				from, to time.Duration
				most     float64
			}{{20 * time.Second, lost, whole}, {lost + 2*objectiveTTFT, back, less}, {back + 2*objectiveTTFT, 118 * time.Second, whole}}
			text := ""
			for i, s := range spans {
				n, late := 0, 0
				for _, k := range calls {
					if k.Started >= s.from && k.Started < s.to && k.Outcome == llm.OutcomeOK {
						if n++; !k.Good(objectiveTTFT, objectiveTPOT) {
							late++
						}
					}
				}
				share := float64(n-late) / (s.to - s.from).Seconds() / s.most
				text += fmt.Sprintf("; %s-%s: %.3f of its capacity in time, %d late", s.from, s.to, share, late)
				if share < 0.9 || float64(late) > 0.05*float64(n) {
					t.Errorf("span %d: %.3f of the capacity in time, %d of %d late", i, share, late, n)
				}
			}
			t.Log(c.name + text)
			for _, b := range p.Broken() {
				t.Error(b)
			}
		})
	}
}
