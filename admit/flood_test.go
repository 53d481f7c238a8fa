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

// waited tells how many were refused after they had waited, and how many in all.
func (w *world) waited() (late, all int) {
	for _, j := range w.jobs {
		if j.refused != "" && j.refused != "busy" {
			all++
			if j.ticket != 0 {
				late++
			}
		}
	}
	return late, all
}

func TestHardlyAnybodyWaitsToBeRefused(t *testing.T) {
	t.Parallel()
	for _, times := range []float64{2, 4, 10} {
		w := newWorld(t, 7, Config{}, large)
		w.steady(times, large, 200*time.Second, llm.ClassStandard)
		w.run(210 * time.Second)
		if late, all := w.waited(); late*50 > all {
			t.Errorf("at %v times the capacity %d of %d refusals came after a wait", times, late, all)
		}
	}
}

func TestTopClassKeepsItsGoodput(t *testing.T) {
	t.Parallel()
	for _, part := range []float64{0.2, 0.5, 0.9} {
		alone, beside := 0.0, 0.0
		for _, rest := range []float64{0, 2, 10} {
			w := newWorld(t, 3, Config{}, large)
			w.steady(part, large, 150*time.Second, llm.ClassInteractive)
			if rest > 0 {
				w.steady(rest/2, large, 150*time.Second, llm.ClassStandard)
				w.steady(rest/2, large, 150*time.Second, llm.ClassBatch)
			}
			w.run(300 * time.Second)
			good, _, all := w.good(10*time.Second, 150*time.Second, func(j *job) bool { return j.class == llm.ClassInteractive })
			share := float64(good) / float64(all)
			if rest == 0 {
				alone = share
				continue
			}
			if beside = share; beside < 0.95*alone {
				t.Errorf("of a top class of %v of the capacity %.3f is good beside %v of others, and %.3f alone", part, beside, rest, alone)
			}
			// What the lower classes start fills what is left.
			_, started, _ := w.good(10*time.Second, 150*time.Second, nil)
			if c := large.capacity(300, 120) * 140; float64(started) < 0.93*c {
				t.Errorf("%d started; the capacity is %.0f", started, c)
			}
		}
	}
}

func TestWhenTheFloodFallsEverythingIsAsBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5, Config{}, large)
	c := large.capacity(300, 120)
	w.poisson(func(d time.Duration) float64 {
		if d < 60*time.Second {
			return 10 * c
		}
		return 0.5 * c
	}, 120*time.Second, func() *job { return &job{class: llm.ClassStandard, prompt: 300, output: 20 + w.rng.Intn(200)} })
	w.run(120 * time.Second)
	for _, j := range w.jobs {
		a := j.arrived.Sub(start) - 60*time.Second
		if a > defaultTTFT && !j.started {
			t.Errorf("one that came %v after the flood was refused: %s", a, j.refused)
		}
	}
}

// honesty is the share of those who obey that were let in when they came back.
func honesty(t *testing.T, s speed, tenants int, obey float64, rate func(time.Duration) float64) (share float64, n int) {
	let := 0
	for seed := range int64(3) {
		w := newWorld(t, seed, Config{Seed: uint64(seed)}, s)
		c := s.capacity(300, 120)
		w.poisson(func(d time.Duration) float64 { return c * rate(d) }, 150*time.Second, func() *job {
			return &job{tenant: llm.TenantID(fmt.Sprint(w.rng.Intn(tenants))), class: llm.ClassStandard, prompt: 100 + w.rng.Intn(400), output: 20 + w.rng.Intn(200), obeys: w.rng.Float64() < obey}
		})
		w.run(240 * time.Second)
		let += w.admittedReturns
		n += w.firstReturns
	}
	return float64(let) / float64(n), n
}

func TestRetryAfterIsHonest(t *testing.T) {
	t.Parallel()
	for name, rate := range map[string]func(time.Duration) float64{
		"steady 2": func(time.Duration) float64 { return 2 },
		"4 that falls to 0.8": func(d time.Duration) float64 {
			if d < 60*time.Second {
				return 4
			}
			return 0.8
		},
	} {
		for _, tenants := range []int{1, 20} {
			for i, s := range []speed{large, middle} {
				share, n := honesty(t, s, tenants, 0.1, rate)
				t.Logf("%s, %d tenants, engine %d: %.3f of %d", name, tenants, i, share, n)
				if share < 0.9 || n < 50 {
					t.Errorf("%s, %d tenants, engine %d: %.3f of %d were let in when they came back", name, tenants, i, share, n)
				}
			}
		}
	}
}
