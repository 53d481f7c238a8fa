package route

import (
	"testing"
	"time"

	"github.com/weir-ai/weir/fleet"
)

// facts are those of an endpoint of usual speed with nothing to do.
func facts() fleet.Facts {
	return fleet.Facts{Weight: 1, PrefillSeconds: 0.001, Load: fleet.UnknownLoad(), LoadAge: -1}
}

// candidates makes n of them and has set change each.
func candidates(n int, set func(i int, c *Candidate)) []Candidate {
	out := make([]Candidate, n)
	for i := range out {
		out[i].Facts = facts()
		set(i, &out[i])
	}
	return out
}

func TestChooseTakesWhatCostsLeast(t *testing.T) {
	t.Parallel()
	ask := Ask{Prompt: 1000, Output: 1000}
	check := func(name string, want int, set func(i int, c *Candidate)) {
		t.Helper()
		for seed := range uint64(20) { // no matter what chance says
			if got, ok := Choose(ask, candidates(3, set), seed); !ok || got != want {
				t.Errorf("%s: %d, %v with seed %d; want %d", name, got, ok, seed, want)
				return
			}
		}
	}
	at := func(want int, change func(c *Candidate)) func(int, *Candidate) {
		return func(i int, c *Candidate) {
			if i == want {
				change(c)
			}
		}
	}
	but := func(want int, change func(c *Candidate)) func(int, *Candidate) {
		return func(i int, c *Candidate) {
			if i != want {
				change(c)
			}
		}
	}
	check("the others have prompts to compute", 1, but(1, func(c *Candidate) { c.Facts.Prefill = 1000 }))
	check("it has the prompt", 2, at(2, func(c *Candidate) { c.Cached = 900 }))
	check("it has the prompt and a little more to do", 2, at(2, func(c *Candidate) { c.Cached, c.Facts.Prefill = 900, 2000 }))
	check("it is five times as fast", 0, at(0, func(c *Candidate) { c.Facts.PrefillSeconds = 0.0002 }))
	check("it is fast and has a queue", 0, at(0, func(c *Candidate) { c.Facts.PrefillSeconds, c.Facts.Prefill = 0.0002, 8000 }))
	check("others wait there, as it says itself", 1, but(1, func(c *Candidate) { c.Facts.Load.Waiting, c.Facts.LoadAge = 4, time.Second }))
	check("those who wait are ours, and counted", 1, func(i int, c *Candidate) {
		c.Facts.Running, c.Facts.LoadAge, c.Facts.Load.Waiting = 4, time.Second, 4
		if c.Facts.Decoding = 4; i == 1 {
			c.Facts.Decoding = 0 // what waits there are the four that we sent
		}
	})
	check("their slots are taken", 2, but(2, func(c *Candidate) { c.Facts.Slots, c.Facts.Running = 1, 1; c.Served = -9e9 }))
	check("their cache is full", 1, but(1, func(c *Candidate) { c.Facts.Load.KVUsed, c.Facts.LoadAge = 1, time.Second }))
	check("they fail", 0, but(0, func(c *Candidate) { c.Failing = 0.5 }))
	check("they fail and it has work", 0, func(i int, c *Candidate) {
		if c.Failing = 0.5; i == 0 {
			c.Failing, c.Facts.Prefill = 0, 20000
		}
	})
	check("the session was there", 1, at(1, func(c *Candidate) { c.Home, c.Facts.Prefill = true, 1000 }))
	check("the session was there, but all of the prompt is here", 2, func(i int, c *Candidate) {
		c.Home = i == 0
		if i == 2 {
			c.Cached = 1000
		}
	})
	check("more answers are computed there", 0, but(0, func(c *Candidate) { c.Facts.Running, c.Facts.Decoding = 20, 20 }))
	check("equals: the one with the least of its share", 1, but(1, func(c *Candidate) { c.Served = 600 }))
	check("all others are full", 2, but(2, func(c *Candidate) { c.Resort = ResortBusy; c.Cached = 1000 }))
	check("full before loading before down", 1, func(i int, c *Candidate) {
		c.Resort = []Resort{ResortDown, ResortBusy, ResortLoading}[i]
		c.Facts.Prefill = []int{0, 90000, 0}[i]
	})
}

func TestChooseFindsNobodyAmongNobody(t *testing.T) {
	t.Parallel()
	if _, ok := Choose(Ask{Prompt: 1}, nil, 1); ok {
		t.Fatal("somebody was found")
	}
	for _, ask := range []Ask{{}, {Prompt: -5, Output: -5}} {
		if _, ok := Choose(ask, []Candidate{{}, {}}, 1); !ok {
			t.Fatalf("nobody was found for %+v", ask)
		}
	}
}

// An old report is unknown: neither idle nor busy.
func TestChooseGoesByFreshReportsOnly(t *testing.T) {
	t.Parallel()
	check := func(age time.Duration, want bool) {
		t.Helper()
		list := candidates(2, func(i int, c *Candidate) {
			if c.Served = 5000; i == 0 {
				c.Facts.Load.Waiting, c.Facts.LoadAge, c.Served = 50, age, 0
			}
		})
		if got, _ := Choose(Ask{Prompt: 1000}, list, 1); (got == 1) != want {
			t.Errorf("a report of %s ago is heeded: %v", age, got == 1)
		}
	}
	check(0, true)
	check(freshLoad-1, true)
	check(freshLoad, false)
	check(-1, false)
}

// The bound on hot spots, at the bound.
func TestChooseKeepsToTheImbalanceBound(t *testing.T) {
	t.Parallel()
	const n = 16
	ask := Ask{Prompt: 1000}
	affine := func(prefill int) bool {
		list := candidates(n, func(i int, c *Candidate) {
			c.Facts.Prefill = 10_000
			if i == 5 {
				c.Cached, c.Facts.Prefill = 1000, prefill
			}
		})
		got, _ := Choose(ask, list, 3)
		return got == 5
	}
	// What computing again would cost allows 14,000, and the bound more than that.
	if !affine(13_900) {
		t.Error("it did not follow the prompt within the bound")
	}
	ask.Prompt = 8000 // now 32,000 would be a price to pay, and the bound is below it
	bound := func(load float64) float64 { return imbalanceMax*(15*10_000+load+8000)/n + slackRequests*8000 }
	load := 10_000.0
	for load <= bound(load) {
		load += 10
	}
	list := func(prefill int) []Candidate {
		return candidates(n, func(i int, c *Candidate) {
			c.Facts.Prefill = 10_000
			if i == 5 {
				c.Cached, c.Facts.Prefill = 8000, prefill
			}
		})
	}
	if got, _ := Choose(ask, list(int(load)-20), 3); got != 5 {
		t.Errorf("with a load of %g it went to %d", load-20, got)
	}
	if got, _ := Choose(ask, list(int(load)), 3); got == 5 {
		t.Errorf("with a load of %g it made a hot spot", load)
	}
}

func TestChooseFollowsThePromptOnAnIdleFleet(t *testing.T) {
	t.Parallel()
	for _, inFlight := range []int{0, 200, 2000} { // of the conversation's own turn before
		list := candidates(16, func(i int, c *Candidate) {
			if i == 9 {
				c.Cached, c.Facts.Prefill, c.Facts.Running = 1800, inFlight, 1
			}
		})
		if got, _ := Choose(Ask{Prompt: 2000, Output: 200}, list, 1); got != 9 {
			t.Errorf("with %d tokens in flight it went to %d", inFlight, got)
		}
	}
}

func TestSpeedsThatAreNotKnown(t *testing.T) {
	t.Parallel()
	check := func(name string, known []float64, want float64) {
		t.Helper()
		list := make([]Candidate, len(known))
		for i, s := range known {
			list[i].Facts.PrefillSeconds = s
		}
		if got, _ := typical(list, ResortNone); got != want {
			t.Errorf("%s: %g, want %g", name, got, want)
		}
	}
	check("none", nil, prefillPrior)
	check("none of two", []float64{0, 0}, prefillPrior)
	check("one", []float64{0, 0.002}, 0.002)
	check("the median", []float64{0.003, 0, 0.001, 0.002}, 0.002)
	check("the faster of two", []float64{0.003, 0.001}, 0.001)
	many := make([]float64, 1000)
	for i := range many {
		many[i] = 0.001
	}
	check("more than are looked at", many, 0.001)
}

func TestSpeedsThatAreTold(t *testing.T) {
	t.Parallel()
	check := func(seconds, want float64) {
		t.Helper()
		if got := told(seconds, 1, 2); got < want*0.999 || got > want*1.001 {
			t.Errorf("%g is told as %g, want %g", seconds, got, want)
		}
	}
	check(1, 1)
	check(2, 1)
	check(0.5, 1)
	check(3, 2.5)
	check(4, 4)
	check(0.25, 0.25)
	check(100, 100)
	check(0.01, 0.01)
	for s := 0.001; s < 1000; s *= 1.1 {
		if a, b := told(s, 1, 1.5), told(s*1.1, 1, 1.5); a > b {
			t.Errorf("%g is told as %g, and the slower %g as %g", s, a, s*1.1, b)
		}
	}
}

func TestABadSpeedFades(t *testing.T) {
	t.Parallel()
	check := func(seconds float64, idle time.Duration, want float64) {
		t.Helper()
		if got := faded(seconds, 1, idle); got < want*0.999 || got > want*1.001 {
			t.Errorf("%g after %s is %g, want %g", seconds, idle, got, want)
		}
	}
	check(9, 0, 9)
	check(9, fade, 5)
	check(9, 3*fade, 2)
	check(9, 24*time.Hour, 1)
	check(0.5, 24*time.Hour, 0.5) // a good one stays
	check(0, 0, 1)
}
