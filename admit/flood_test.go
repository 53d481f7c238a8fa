package admit

import (
	"fmt"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
)

// steady is a load of so many times the capacity.
func (w *world) steady(times float64, s speed, d time.Duration, class llm.Class) {
	c := s.capacity(300, 120)
	w.poisson(func(time.Duration) float64 { return c * times }, d, func() *job {
		return &job{class: class, prompt: 100 + w.rng.Intn(400), output: 20 + w.rng.Intn(200)}
	})
}

func TestFloodKeepsGoodput(t *testing.T) {
	t.Parallel()
	for _, times := range []float64{2, 4, 10} {
		t.Run(fmt.Sprint(times), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1, Config{}, large)
			w.steady(times, large, 100*time.Second, llm.ClassStandard)
			w.run(200 * time.Second)
			good, started, _ := w.good(20*time.Second, 100*time.Second, nil)
			if c := large.capacity(300, 120) * 80; float64(good) < 0.95*c {
				t.Errorf("%d answers of %d that started met the objective; the capacity is %.0f", good, started, c)
			}
			if w.engines[0].peak > 0 {
				t.Errorf("%d requests stood in the engine's own line", w.engines[0].peak)
			}
			if s := w.gate.State(w.now); s.Running != 0 || s.Waiting.Requests != 0 || s.Endpoints[0].Running != 0 || s.Endpoints[0].Prefill != 0 {
				t.Errorf("after the flood there is still %+v", s)
			}
		})
	}
}
