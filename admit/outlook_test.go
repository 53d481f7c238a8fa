package admit

import (
	"math"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
)

// learned makes a gate in front of one endpoint of so many places, each of which an answer keeps for a second, give or take a part of it.
func learned(t *testing.T, slots int, off float64) *desk {
	d := setup(t, slots, func(c *Config) {
		c.Classes[1].TTFT, c.Classes[2].TTFT = 2*time.Second, 2*time.Second
	})
	s := d.g.stations[0]
	s.busy = pace{parts: parts{1000, 500}, seconds: 10, samples: 10}
	s.off = off
	d.g.mean = parts{100, 50}
	return d
}

func TestEndsAreForeseenAsFarAsTheyCanBe(t *testing.T) {
	d := learned(t, 4, 0)
	for range 4 {
		d.starts("runs", llm.ClassStandard, "t")
		d.now = d.now.Add(200 * time.Millisecond)
	}
	d.now = d.now.Add(100 * time.Millisecond) // they are 0.9, 0.7, 0.5 and 0.3 s old
	at, s := d.g.at(d.now), d.g.stations[0]
	for k, within := range []time.Duration{0, 150, 400, 600, 800, 5000} {
		if n := s.frees(at, within*time.Millisecond); math.Abs(n-float64(min(k, 4))) > 0.05 {
			t.Errorf("within %d ms %.2f end, not %d", within, n, min(k, 4))
		}
	}
	s.off = 1
	sure := 0.0
	for ms := range 20 {
		n := s.frees(at, time.Duration(ms)*100*time.Millisecond)
		if n < sure || n > 4 {
			t.Fatalf("within %d00 ms %.2f end, after %.2f", ms, n, sure)
		}
		if sure = n; ms == 2 && math.Abs(n-0.8) > 0.4 {
			t.Errorf("where nothing is known of lengths %.2f end in a fifth of the time that one takes; the rate says 0.8", n)
		}
	}
	s.running, d.now = 4, d.now.Add(time.Hour)
	if n := s.frees(d.g.at(d.now), time.Second); math.IsNaN(n) || n < 0 || n > 4 {
		t.Errorf("of answers that should have ended an hour ago %v end", n)
	}
}

func TestAWaitIsUntilThePlacesComeFree(t *testing.T) {
	t.Parallel()
	o := &outlook{span: 2, frees: [outlookSteps + 1]float64{0, 0, 0, 0, 0, 0, 0, 4, 8}} // eight answers that began together
	for _, c := range [][2]float64{{0.125, 1.5}, {0.5, 1.71875}, {1, 2}, {1.5, 2.5}} {
		if got := o.when(c[0], 0.125); math.Abs(got-c[1]) > 0.25 || c[0] == 0.5 && got != c[1] {
			t.Errorf("%v at the rate is really %v, want %v", c[0], got, c[1])
		}
	}
	var none *outlook
	if none.when(3, 1) != 3 {
		t.Error("where nothing is known the rate holds")
	}
}

// An objective that is far longer than answers take: what is behind all that run starts at the rate, and is not refused.
func TestALongObjectiveLetsManyWait(t *testing.T) {
	d := learned(t, 8, 0.1)
	d.g.config.Classes[1].TTFT, d.g.config.Classes[2].TTFT, d.g.classes[2].config.TTFT = time.Hour, time.Hour, time.Hour
	for range 8 {
		d.starts("runs", llm.ClassStandard, "t")
	}
	for i := range 100 { // eight a second
		if _, v := d.offer("waits", llm.ClassStandard, "t", nil); !v.Waiting || math.Abs(v.Wait.Seconds()-float64(i+1)/8) > 1 {
			t.Fatalf("number %d gets %+v", i+1, v)
		}
	}
}

// What has no objective is next in line wherever nobody of it waits yet, so that no place stands empty that others would be too late for.
func TestOneOfBatchAlwaysWaits(t *testing.T) {
	d := learned(t, 1, 0)
	d.g.config.Classes[3].Wait, d.g.classes[3].config.Wait = time.Minute, time.Minute
	d.starts("runs", llm.ClassInteractive, "people")
	d.g.classes[1].offered.add(d.g.at(d.now), 1e6)
	d.waits("first", llm.ClassBatch, "jobs")
	if _, v := d.offer("second", llm.ClassBatch, "jobs", nil); v.Reason != llm.ReasonLate {
		t.Errorf("behind it another gets %+v", v)
	}
}
