package sim

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weir-ai/weir/admit"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/tenant"
	"github.com/weir-ai/weir/workload"
)

// The promises of a flood, in virtual time. Each test prints its figures with -v; docs/sim.md and docs/performance.md tell of them.

const (
	objectiveTTFT = 2 * time.Second
	objectiveTPOT = 200 * time.Millisecond
)

// stream is one kind of request that comes all the time.
type stream struct {
	tenant         llm.TenantID
	class          llm.Class
	weight         float64
	prompt, output workload.Lengths
	rate           func(at time.Duration) float64 // a second
	client         func(rng *rand.Rand) Client
	tells          bool // the requests say how long their answers are
}

// trial is streams on a fleet.
type trial struct {
	gate    admit.Config
	engines []Machine
	lesser  []Machine // a second rung
	streams []stream
	span    time.Duration
	seed    uint64
	weather []Weather
	checks  []Check
}

func steadily(x float64) func(time.Duration) float64 { return func(time.Duration) float64 { return x } }

func (x *trial) play(t *testing.T) (*Path, []*Call) {
	t.Helper()
	s := Setup{Seed: x.seed, Variants: []Variant{{Name: "best", Gate: x.gate, Quality: 1, Engines: x.engines}}}
	if len(x.lesser) > 0 {
		s.Variants = append(s.Variants, Variant{Name: "lesser", Gate: x.gate, Quality: 0.5, Engines: x.lesser})
	}
	for _, f := range x.streams {
		s.Tenants.Tenants = append(s.Tenants.Tenants, tenant.Tenant{ID: f.tenant, Class: f.class, Weight: f.weight})
	}
	p, err := NewPath(s, x.checks...)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range x.weather {
		p.clock.At(w.At, func() { w.do(p) })
	}
	for i, f := range x.streams {
		rng := rand.New(rand.NewPCG(x.seed, uint64(i)))
		peak := 0.0
		for at := time.Duration(0); at < x.span; at += time.Second {
			peak = max(peak, f.rate(at))
		}
		for at := 0.0; ; {
			at += rng.ExpFloat64() / peak
			d := time.Duration(at * float64(time.Second))
			if d >= x.span {
				break
			}
			keep := rng.Float64()*peak < f.rate(d)
			c := &Call{Job: &Job{At: d, Prompt: draw(f.prompt, rng), Output: draw(f.output, rng)}, Tenant: f.tenant, Class: f.class, Print: rng.Uint64()}
			if f.tells {
				c.MaxTokens = c.Job.Output
			}
			if f.client != nil {
				c.Client = f.client(rng)
			}
			if keep {
				p.Arrive(d, c)
			}
		}
	}
	return p, p.Run()
}

func draw(l workload.Lengths, rng *rand.Rand) int {
	f := workload.Mix{Shape: workload.Shape{Kind: "steady", Rate: 1, For: time.Second}, Prompt: l, Output: l, Even: true, Seed: rng.Uint64()}
	for r := range f.Requests() {
		return r.Prompt
	}
	return l.Median
}

// good counts the calls of a class that arrived in a span and met the objectives.
func good(calls []*Call, from, to time.Duration, is func(*Call) bool) int {
	n := 0
	for _, c := range calls {
		if c.Arrived >= from && c.Arrived < to && c.Good(objectiveTTFT, objectiveTPOT) && (is == nil || is(c)) {
			n++
		}
	}
	return n
}

var (
	chatPrompt = workload.Lengths{Median: 300, Spread: 0.5}
	chatOutput = workload.Lengths{Median: 80, Spread: 0.5}
)

// two engines of 16 places.
func pair() []Machine {
	m := Machine{Speed: Medium()}
	m.Speed.Slots = 16
	return []Machine{m, m}
}

// capacity is how many requests a second a fleet ends that always has enough, measured under the same endless load.
func capacity(t *testing.T, engines []Machine, prompt, output workload.Lengths) float64 {
	t.Helper()
	patient := admit.Config{}
	for i := range patient.Classes {
		patient.Classes[i] = admit.ClassConfig{TTFT: -1, TPOT: -1, Wait: time.Hour}
	}
	sum := 0.0
	for _, m := range engines {
		sum += m.Speed.Capacity(mean(prompt), mean(output))
	}
	x := trial{gate: patient, engines: engines, span: 60 * time.Second, seed: 99,
		streams: []stream{{tenant: "t", class: llm.ClassStandard, prompt: prompt, output: output, rate: steadily(2 * sum)}}}
	_, calls := x.play(t)
	n := 0
	for _, c := range calls {
		if c.Ended >= 20*time.Second && c.Ended < 60*time.Second {
			n++
		}
	}
	return float64(n) / 40
}

func isTop(c *Call) bool { return c.Class == llm.ClassInteractive }

// At 2, 4 and 10 times the capacity goodput is the capacity, the top class has what it has alone, and within one objective after the flood
// whoever comes starts at once.
func TestFloodKeepsGoodput(t *testing.T) {
	t.Parallel()
	most := capacity(t, pair(), chatPrompt, chatOutput)
	const from, to, span = 10 * time.Second, 70 * time.Second, 100 * time.Second
	top := stream{tenant: "people", class: llm.ClassInteractive, prompt: chatPrompt, output: chatOutput, rate: steadily(0.4 * most)}
	_, calls := (&trial{engines: pair(), streams: []stream{top}, span: span, seed: 3}).play(t)
	alone := good(calls, from, to, isTop)
	for _, times := range []float64{2, 4, 10} {
		t.Run(fmt.Sprint(times), func(t *testing.T) {
			t.Parallel()
			flood := func(part float64) func(time.Duration) float64 {
				return func(at time.Duration) float64 {
					if at < from || at >= to {
						return 0.05 * most
					}
					return part * (times - 0.4) * most
				}
			}
			x := trial{engines: pair(), span: span, seed: 3, checks: Rules(), streams: []stream{top,
				{tenant: "a", class: llm.ClassStandard, prompt: chatPrompt, output: chatOutput, rate: flood(0.4)},
				{tenant: "b", class: llm.ClassStandard, prompt: chatPrompt, output: chatOutput, rate: flood(0.4)},
				{tenant: "jobs", class: llm.ClassBatch, prompt: chatPrompt, output: chatOutput, rate: flood(0.2)}}}
			p, calls := x.play(t)
			all, first := good(calls, from, to, nil), good(calls, from, to, isTop)
			share, top := float64(all)/most/(to-from).Seconds(), float64(first)/float64(alone)
			var late time.Duration
			n := 0
			for _, c := range calls {
				if c.Arrived >= to+objectiveTTFT && c.Class != llm.ClassBatch {
					n++
					if c.Started < 0 {
						t.Errorf("%s after the flood one is refused: %s", c.Arrived-to, c.Reason)
						continue
					}
					late = max(late, c.Started-c.Arrived)
				}
			}
			t.Logf("%gx of %.1f a second: goodput %.3f of the capacity, top class %.3f of alone; of %d after the flood the longest wait is %s\n%s",
				times, most, share, top, n, late, p.Report())
			if share < 0.95 || top < 0.95 {
				t.Errorf("goodput %.3f of the capacity, top class %.3f of what it has alone; want 0.95", share, top)
			}
			if late > objectiveTTFT/10 {
				t.Errorf("one waits %s, an objective after the flood", late)
			}
			for _, b := range p.Broken() {
				t.Error(b)
			}
		})
	}
}

// A big model in front of a small fast one: with the ladder, at least half again as many answers are in time as where the rest is refused.
func TestLadderAnswersMore(t *testing.T) {
	t.Parallel()
	slow, fast := Machine{Speed: Little()}, Machine{Speed: Little().Slower(0.25)}
	prompt, output := workload.Lengths{Median: 100, Spread: 0.4}, workload.Lengths{Median: 40, Spread: 0.4}
	most := capacity(t, []Machine{slow}, prompt, output)
	play := func(variants bool) int {
		x := trial{engines: []Machine{slow}, lesser: []Machine{fast}, span: 90 * time.Second, seed: 1, checks: Rules(), streams: []stream{{
			tenant: "t", class: llm.ClassInteractive, prompt: prompt, output: output, rate: steadily(4 * most),
			client: func(*rand.Rand) Client { return Client{Variants: variants} }}}}
		p, calls := x.play(t)
		for _, b := range p.Broken() {
			t.Error(b)
		}
		rungs := [2]int{}
		for _, c := range calls {
			if c.Outcome == llm.OutcomeOK {
				rungs[c.Rung]++
			}
		}
		n := good(calls, 10*time.Second, 90*time.Second, nil)
		t.Logf("ladder %v: %d in time, %.3f of the big one's capacity; %v by rung", variants, n, float64(n)/80/most, rungs)
		return n
	}
	alone, ladder := play(false), play(true)
	if float64(ladder) < 1.5*float64(alone) {
		t.Errorf("%d in time with the ladder, %d without; want half again as many", ladder, alone)
	}
}
