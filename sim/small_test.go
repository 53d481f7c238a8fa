package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/workload"
)

// little is what one engine of few places shows under a flood, in the mean of some seeds.
type little struct {
	most                  float64 // answers a second
	share, top, alone     float64 // goodput over that; the top class's good part, and without the others
	refused, waited, jobs int     // waited: refused after a wait
}

// floodOf floods an engine for five minutes as the table of docs/performance.md is made: half the capacity is of the top class all along, a tenth of the
// flood is of batch, which has no objective, and all requests are alike.
func floodOf(t *testing.T, m Machine, times float64) (out little) {
	prompt, output := workload.Lengths{Median: 82}, workload.Lengths{Median: 32}
	out.most = capacity(t, []Machine{m}, prompt, output)
	const from, settled, to, span = 10 * time.Second, 15 * time.Second, 310 * time.Second, 340 * time.Second
	flood := func(part, calm float64) func(time.Duration) float64 {
		return func(at time.Duration) float64 {
			if at < from || at >= to {
				return calm * out.most
			}
			return part * out.most
		}
	}
	of := func(id llm.TenantID, class llm.Class, rate func(time.Duration) float64) stream {
		return stream{tenant: id, class: class, prompt: prompt, output: output, tells: true, rate: rate}
	}
	const seeds = 4
	for seed := range uint64(seeds) {
		top := of("people", llm.ClassInteractive, flood(0.5, 0.25))
		_, calm := (&trial{engines: []Machine{m}, streams: []stream{top}, span: span, seed: seed}).play(t)
		p, calls := (&trial{engines: []Machine{m}, span: span, seed: seed, checks: Rules(), streams: []stream{top,
			of("a", llm.ClassStandard, flood((0.9*times-0.5)/2, 0.1)), of("b", llm.ClassStandard, flood((0.9*times-0.5)/2, 0.1)),
			of("jobs", llm.ClassBatch, flood(0.1*times, 0.05))}}).play(t)
		out.count(calls, settled, to)
		out.top += goodPart(calls, settled, to) / seeds
		out.alone += goodPart(calm, settled, to) / seeds
		for _, b := range p.Broken() {
			t.Error(b)
		}
	}
	out.share /= out.most * (to - settled).Seconds() * seeds
	return out
}

// goodPart is the good part of what the top class asked.
func goodPart(calls []*Call, from, to time.Duration) float64 {
	n := 0
	for _, c := range calls {
		if c.Arrived >= from && c.Arrived < to && isTop(c) {
			n++
		}
	}
	return float64(good(calls, from, to, isTop)) / float64(n)
}

// count counts what ended in a time.
func (l *little) count(calls []*Call, from, to time.Duration) {
	for _, c := range calls {
		switch {
		case c.Ended < from || c.Ended >= to:
		case c.Started < 0:
			if l.refused++; c.Ended-c.Arrived > 50*time.Millisecond {
				l.waited++
			}
		case c.Class == llm.ClassBatch && c.Good(time.Hour, time.Hour):
			l.jobs++
			l.share++
		case c.Good(objectiveTTFT, objectiveTPOT):
			l.share++
		}
	}
}

// Engines that do two and three answers a second, as small models on two cores: of the requests that fit into an objective there are three
// to six, so a few of the top class in a row are felt by all below, and answers that began together end together. They still keep their goodput
// and their top class, and hardly anybody waits to be refused.
func TestFloodOfALittleEngine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		speed      Speed
		share, top float64
	}{
		{"three a second", Speed{Prefill: 0.001, Step: 0.030, Answer: 0.0035, Chunk: 512, Slots: 8, Block: 16}, 0.95, 0.98},
		{"two a second", Speed{Prefill: 0.0018, Step: 0.045, Answer: 0.006, Chunk: 512, Slots: 8, Block: 16}, 0.94, 0.95},
	} {
		for _, times := range []float64{2, 4, 10} {
			t.Run(fmt.Sprintf("%s, %gx", c.name, times), func(t *testing.T) {
				t.Parallel()
				l := floodOf(t, Machine{Speed: c.speed}, times)
				t.Logf("of %.2f a second: goodput %.3f, top class %.3f, alone %.3f; %d refused, %d of them after a wait; %d batch", l.most, l.share, l.top, l.alone, l.refused, l.waited, l.jobs)
				if l.share < c.share || l.top < c.top*l.alone || float64(l.waited) > 0.01*float64(l.refused) {
					t.Errorf("want goodput %g, the top class %g of alone, and one in a hundred refused after a wait", c.share, c.top)
				}
			})
		}
	}
}
