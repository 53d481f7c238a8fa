package admit

import (
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
)

// limits notes the limit of the first engine each tenth of a second.
func (w *world) limits(d time.Duration) *[]int {
	var out []int
	for i := range int(d / (100 * time.Millisecond)) {
		w.at(start.Add(time.Duration(i)*100*time.Millisecond), func() {
			out = append(out, w.gate.State(w.now).Endpoints[0].Limit)
		})
	}
	return &out
}

func mean(v []int) float64 {
	sum := 0
	for _, n := range v {
		sum += n
	}
	return float64(sum) / float64(len(v))
}

func TestLimitIsWhatAnEndpointSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, Config{}, middle)
	w.steady(4, middle, 60*time.Second, llm.ClassStandard)
	limits := w.limits(60 * time.Second)
	w.run(60 * time.Second)
	for i, n := range *limits {
		if n != 8 {
			t.Fatalf("after %d ms the limit is %d, not its 8 slots", i*100, n)
		}
	}
}

func TestLimitOfUnknownSlotsIsFound(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]speed{"middle": middle, "large": large, "quick": quick} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1, Config{}, s)
			w.engines[0].declared = 0
			w.facts()
			w.steady(4, s, 90*time.Second, llm.ClassStandard)
			limits := w.limits(90 * time.Second)
			w.run(90 * time.Second)
			if m := mean((*limits)[300:]); m < float64(s.slots)*0.95 || m > float64(s.slots)*1.25 {
				t.Errorf("the limit is %.1f in the mean; the engine computes %d", m, s.slots)
			}
			if n := w.engines[0].peak; n > 2*s.slots { // when it was found first
				t.Errorf("%d requests stood in the engine's own line", n)
			}
			good, _, _ := w.good(20*time.Second, 80*time.Second, nil)
			if c := s.capacity(300, 120) * 60; float64(good) < 0.9*c {
				t.Errorf("%d answers met the objective; the capacity is %.0f", good, c)
			}
			t.Logf("mean limit %.1f of %d, longest line %d", mean((*limits)[300:]), s.slots, w.engines[0].peak)
		})
	}
}

func TestLimitFollowsHalvedSlotsAndBack(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]speed{"middle": middle, "large": large} {
		for _, declared := range []int{0, s.slots} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, 2, Config{}, s)
				w.engines[0].declared = declared
				w.facts()
				w.steady(4, s, 120*time.Second, llm.ClassStandard)
				limits := w.limits(120 * time.Second)
				w.at(start.Add(40*time.Second), func() { w.engines[0].speed.slots = s.slots / 2 })
				w.at(start.Add(80*time.Second), func() { w.engines[0].speed.slots = s.slots })
				w.run(120 * time.Second)
				l := *limits
				t.Logf("halved %v", l[400:460])
				t.Logf("back %v", l[800:860])
				t.Logf("means %.1f %.1f %.1f", mean(l[300:400]), mean(l[440:800]), mean(l[840:]))
				if m := mean(l[460:800]); m > float64(s.slots/2)*1.3 || m < float64(s.slots/2)*0.9 {
					t.Errorf("with %d slots the limit is %.1f", s.slots/2, m)
				}
				if m := mean(l[840:]); m < float64(s.slots)*0.9 {
					t.Errorf("with %d slots again the limit is %.1f", s.slots, m)
				}
			})
		}
	}
}

func TestLimitOfWholeAnswersIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, Config{}, middle)
	w.engines[0].declared = 0
	w.facts()
	c := middle.capacity(300, 60)
	w.poisson(func(time.Duration) float64 { return 4 * c }, 120*time.Second, func() *job {
		return &job{class: llm.ClassStandard, prompt: 100 + w.rng.Intn(400), output: 30 + w.rng.Intn(60), pieces: true}
	})
	limits := w.limits(120 * time.Second)
	w.run(120 * time.Second)
	if m := mean((*limits)[400:]); m < 7 || m > 20 {
		t.Errorf("the limit is %.1f in the mean, beyond two and a half times what the engine computes, or below it", m)
	}
}

func TestBusyLowersTheLimitToWhatIsHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, Config{Sequences: 8}, large)
	w.noFacts = true
	w.engines[0].busyAt = 6
	w.gate.Endpoints(w.now, []Endpoint{{ID: "a", Usable: true, PrefillSeconds: large.prefill, Waiting: -1, Age: -1}})
	w.steady(4, large, 60*time.Second, llm.ClassStandard)
	limits := w.limits(60 * time.Second)
	w.run(60 * time.Second)
	l := (*limits)[100:]
	if m := mean(l); m < 5 || m > 8 {
		t.Errorf("the limit is %.1f in the mean; the endpoint refuses more than 6", m)
	}
	busy := count(w.jobs, func(j *job) llm.Reason { return j.refused })["busy"]
	if started := len(w.jobs); busy == 0 || busy > started/10 {
		t.Errorf("%d of %d were refused by the endpoint", busy, started)
	}
}

// fail ends all that an engine has, as a lost connection does.
func (e *engine) fail() {
	for _, j := range append(e.waiting, e.active...) {
		e.w.gate.Done(e.w.now, j.ticket, End{Output: j.made, Fault: llm.FaultCut})
		j.refused = "cut"
		e.w.jobs = append(e.w.jobs, j)
	}
	e.waiting, e.active = nil, nil
}

func TestLostEndpointLeavesAndComesBackAsItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, Config{}, middle, middle)
	for _, e := range w.engines {
		e.declared = 0
	}
	w.facts()
	w.steady(6, middle, 160*time.Second, llm.ClassStandard)
	before := 0
	w.at(start.Add(40*time.Second), func() {
		before = w.gate.State(w.now).Endpoints[1].Limit
		w.engines[1].usable = false
		w.engines[1].fail()
		w.facts()
	})
	w.at(start.Add(40*time.Second+1), func() {
		if s := w.gate.State(w.now); len(s.Endpoints) != 1 || s.Running > s.Endpoints[0].Running {
			t.Errorf("with one endpoint left there is %+v", s)
		}
	})
	w.at(start.Add(100*time.Second), func() {
		w.engines[1].usable = true
		w.facts()
		if n := w.gate.State(w.now).Endpoints[1].Limit; n != before {
			t.Errorf("its limit was %d and is %d", before, n)
		}
	})
	w.run(220 * time.Second)
	one, _, _ := w.good(44*time.Second, 98*time.Second, nil)
	two, _, _ := w.good(104*time.Second, 158*time.Second, nil)
	if c := middle.capacity(300, 120) * 54; float64(one) < 0.8*c || float64(two) < 0.8*2*c {
		t.Errorf("%d answers with one and %d with two endpoints; the capacity of one is %.0f", one, two, c)
	}
	if s := w.gate.State(w.now); s.Running != 0 || s.Endpoints[0].Running != 0 || s.Endpoints[1].Running != 0 {
		t.Errorf("at the end there is still %+v", s)
	}
}
