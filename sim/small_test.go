package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/workload"
)

// An engine that does three answers a second, as a small model on two cores: 8 places, answers of 2.4 s, prompts of a tenth of a second. Only
// six of its ends fit into an objective, so a few requests of the top class in a row are felt by all below. It still keeps its goodput and
// its top class; and hardly anybody below waits to be refused.
func TestFloodOfASmallEngine(t *testing.T) {
	t.Parallel()
	small := []Machine{{Speed: Speed{Prefill: 0.001, Step: 0.030, Answer: 0.0035, Chunk: 512, Slots: 8, Block: 16}}}
	prompt, output := workload.Lengths{Median: 82}, workload.Lengths{Median: 32}
	most := capacity(t, small, prompt, output)
	const from, to, span = 10 * time.Second, 310 * time.Second, 340 * time.Second
	top := stream{tenant: "people", class: llm.ClassInteractive, prompt: prompt, output: output, rate: steadily(0.5 * most)}
	for _, times := range []float64{2, 4, 10} {
		t.Run(fmt.Sprint(times), func(t *testing.T) {
			t.Parallel()
			flood := func(part float64) func(time.Duration) float64 {
				return func(at time.Duration) float64 {
					if at < from || at >= to {
						return 0.05 * most
					}
					return part * most
				}
			}
			standard := flood((0.9*times - 0.5) / 2)
			for seed := range uint64(3) {
				_, alone := (&trial{engines: small, streams: []stream{top}, span: span, seed: seed}).play(t)
				p, calls := (&trial{engines: small, span: span, seed: seed, checks: Rules(), streams: []stream{top,
					{tenant: "a", class: llm.ClassStandard, prompt: prompt, output: output, rate: standard},
					{tenant: "b", class: llm.ClassStandard, prompt: prompt, output: output, rate: standard},
					{tenant: "jobs", class: llm.ClassBatch, prompt: prompt, output: output, rate: flood(0.1 * times)}}}).play(t)
				share := float64(good(calls, from, to, nil)) / most / (to - from).Seconds()
				first := float64(good(calls, from, to, isTop)) / float64(good(alone, from, to, isTop))
				refused, waited := 0, 0
				for _, c := range calls {
					if c.Arrived >= from && c.Arrived < to && c.Started < 0 {
						if refused++; c.Ended-c.Arrived > 50*time.Millisecond {
							waited++
						}
					}
				}
				t.Logf("%gx of %.2f a second, seed %d: goodput %.3f, top class %.3f of alone; %d refused, %d of them after a wait", times, most, seed, share, first, refused, waited)
				if share < 0.95 || first < 0.98 || float64(waited) > 0.01*float64(refused) {
					t.Errorf("%gx, seed %d: want goodput 0.95, the top class 0.98 of alone, and one in a hundred refused after a wait", times, seed)
				}
				for _, b := range p.Broken() {
					t.Error(b)
				}
			}
		})
	}
}
