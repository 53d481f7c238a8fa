package admit

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
)

// flooded makes a gate in front of one slot that does 1,000 work a second, with a two-second objective for standard and interactive, whose
// line is full of others of tenant "t".
func flooded(t *testing.T, change func(*Config)) *desk {
	d := setup(t, 1, func(c *Config) {
		c.Classes[1].TTFT, c.Classes[2].TTFT = 2*time.Second, 2*time.Second
		if change != nil {
			change(c)
		}
	})
	d.endpoints(Endpoint{ID: "a", Usable: true, Slots: 1, PrefillSeconds: 0.001, Waiting: -1, Age: -1})
	d.starts("runs", llm.ClassStandard, "t")
	for i := range 50 {
		d.offer(fmt.Sprint(i), llm.ClassStandard, "t", func(e *Entry) { e.Print = uint64(1000 + i) })
	}
	return d
}

func TestPredictedMissIsRefusedAtOnce(t *testing.T) {
	d := flooded(t, nil)
	// Each is 200 work, a fifth of a second; the prompt takes a tenth. The line is as long as most waits, times the care, leave in time.
	n := d.g.State(d.now).Waiting.Requests
	if n < 3 || n > 9 {
		t.Fatalf("%d wait", n)
	}
	_, v := d.offer("late", llm.ClassStandard, "t", nil)
	if v.Reason != llm.ReasonLate || v.RetryAfter < time.Second || v.RetryAfter > time.Minute || v.Wait <= 0 {
		t.Errorf("%+v", v)
	}
	if _, v := d.offer("patient", llm.ClassStandard, "t", func(e *Entry) { e.StartBy = d.now.Add(time.Minute) }); !v.Waiting {
		t.Errorf("one that may wait for a minute gets %+v", v)
	}
	if _, v := d.offer("higher", llm.ClassInteractive, "t", nil); !v.Waiting || v.Position != 0 {
		t.Errorf("a higher class gets %+v", v)
	}
}

func TestPredictSaysWhatOfferDoes(t *testing.T) {
	d := setup(t, 1, func(c *Config) { c.Classes[2].TTFT = 2 * time.Second })
	d.endpoints(Endpoint{ID: "a", Usable: true, Slots: 1, PrefillSeconds: 0.001, Waiting: -1, Age: -1})
	e := Entry{Tenant: "t", Class: llm.ClassStandard, Prompt: 100, Output: 50, Owner: "x"}
	if s, ttft, ok := d.g.Predict(d.now, e); s != 0 || ttft != 100*time.Millisecond || !ok {
		t.Errorf("idle: %v %v %v", s, ttft, ok)
	}
	if len(d.g.tenants) != 0 {
		t.Error("a prediction leaves a tenant")
	}
	for range 20 {
		s, ttft, ok := d.g.Predict(d.now, e)
		_, v := d.g.Offer(d.now, e, d.place)
		if ok != (v.Started || v.Waiting) || v.Waiting && v.Wait != s || ttft != s+100*time.Millisecond {
			t.Errorf("predicted %v %v %v; it was %+v", s, ttft, ok, v)
		}
	}
}

func TestWhoComesWhenToldIsLetIn(t *testing.T) {
	d := flooded(t, nil)
	told := func(print uint64) time.Duration {
		_, v := d.offer("x", llm.ClassStandard, "t", func(e *Entry) { e.Print = print })
		if v.Reason != llm.ReasonLate {
			d.t.Fatalf("%+v", v)
		}
		return v.RetryAfter
	}
	after := told(7)
	come := d.g.returns.come
	d.now = d.now.Add(after - 100*time.Millisecond)
	// The line is as long as before: what started in it was replaced.
	for i := range 50 {
		d.offer("more", llm.ClassStandard, "t", func(e *Entry) { e.Print = uint64(2000 + i) })
	}
	if told(8) == 0 {
		t.Error("a newcomer is let in")
	}
	d.now = d.now.Add(time.Second)
	if _, v := d.offer("back", llm.ClassStandard, "t", func(e *Entry) { e.Print = 7 }); !v.Waiting || v.Position != 0 {
		t.Errorf("one that comes when told gets %+v", v)
	}
	if d.g.returns.come <= come {
		t.Error("nothing was learned from it")
	}
	if _, v := d.offer("again", llm.ClassStandard, "t", func(e *Entry) { e.Print = 7 }); v.Waiting {
		t.Error("it is let in twice for being told once")
	}
}

func TestTooEarlyAndTooLateAreNewcomers(t *testing.T) {
	t.Parallel()
	g := New(Config{})
	x := g.make(0, Entry{Print: 7, Class: llm.ClassStandard})
	for _, c := range []struct {
		at   time.Duration
		want bool
	}{
		{9_999 * time.Millisecond, false}, {10 * time.Second, true}, {(10+grace)*time.Second + 999*time.Millisecond, true}, {(11 + grace) * time.Second, false},
	} {
		r := returns{booked: map[uint64]uint16{}, come: comePrior}
		r.note(10*time.Second, x)
		r.turn(c.at)
		if got := r.take(c.at, x); got != c.want {
			t.Errorf("at %v of 10 s it is %v", c.at, got)
		}
	}
}

func TestThoseWhoDoNotComeAreForgotten(t *testing.T) {
	t.Parallel()
	g := New(Config{})
	r := returns{booked: map[uint64]uint16{}, come: comePrior}
	for i := range 500 {
		x := g.make(0, Entry{Print: uint64(i + 1), Class: llm.ClassStandard, Prompt: 100, Output: 50})
		r.note(time.Duration(i)*100*time.Millisecond, x)
	}
	if n := r.expected(0, 2, 2*time.Second); n != 30*200*comePrior {
		t.Errorf("%v is expected until the end of the third second", n)
	}
	if n := r.expected(0, 1, 2*time.Second); n != 0 {
		t.Errorf("%v is expected of higher classes", n)
	}
	r.turn(2 * time.Minute)
	if len(r.booked) != 0 || r.expected(2*time.Minute, 3, 3*time.Minute) != 0 {
		t.Errorf("%d are in the book", len(r.booked))
	}
	if r.come != comeLeast {
		t.Errorf("%v are taken to come", r.come)
	}
	r.turn(time.Hour)
	r.note(time.Hour+time.Second, g.make(0, Entry{Print: 1}))
	if len(r.booked) != 1 {
		t.Error("after a jump of the clock nothing is noted")
	}
}

func TestBookIsBounded(t *testing.T) {
	t.Parallel()
	g := New(Config{})
	r := returns{booked: map[uint64]uint16{}, come: comePrior}
	x := g.make(0, Entry{})
	for i := range bookedMost + 10 {
		x.Print = uint64(i + 1)
		r.note(time.Second, x)
	}
	if len(r.booked) != bookedMost {
		t.Errorf("%d are in the book", len(r.booked))
	}
}

func TestPrintTellsRequestsApart(t *testing.T) {
	t.Parallel()
	g := New(Config{})
	base := Entry{Tenant: "t", Class: llm.ClassStandard, Prompt: 5, Output: 6, Bytes: 7}
	same := g.make(0, base).print()
	if g.make(0, base).print() != same {
		t.Error("the same is another")
	}
	for i, change := range []func(*Entry){
		func(e *Entry) { e.Tenant = "u" }, func(e *Entry) { e.Class = llm.ClassBatch }, func(e *Entry) { e.Prompt++ }, func(e *Entry) { e.Output++ },
		func(e *Entry) { e.Bytes++ }, func(e *Entry) { e.Print = 1 },
	} {
		e := base
		change(&e)
		if g.make(0, e).print() == same {
			t.Errorf("change %d makes no other", i)
		}
	}
}

func TestRetryAfterSpreads(t *testing.T) {
	d := flooded(t, func(c *Config) { c.Seed = 9 })
	seen := map[time.Duration]int{}
	var last time.Duration
	for i := range 2000 {
		_, v := d.offer("x", llm.ClassStandard, "t", func(e *Entry) { e.Print = uint64(5000 + i) })
		if v.Waiting {
			continue // the more are refused, the less careful the gate is
		}
		if v.RetryAfter < time.Second || v.RetryAfter > time.Minute {
			t.Fatalf("it is %v", v.RetryAfter)
		}
		seen[v.RetryAfter.Truncate(time.Second)]++
		last = v.RetryAfter
	}
	if len(seen) < 50 || last < 40*time.Second {
		t.Errorf("2,000 who are refused at once are told %d different seconds, the last %v", len(seen), last)
	}
}

func TestEachIsToldTheTimeAfterThoseBefore(t *testing.T) {
	for name, tenant := range map[string]func(int) llm.TenantID{
		"of many tenants": func(i int) llm.TenantID { return llm.TenantID(fmt.Sprint(i)) },
		"of one":          func(int) llm.TenantID { return "one" },
	} {
		t.Run(name, func(t *testing.T) {
			d := setup(t, 1, func(c *Config) { c.Classes[2].TTFT = 2 * time.Second })
			d.endpoints(Endpoint{ID: "a", Usable: true, Slots: 1, PrefillSeconds: 0.001, Waiting: -1, Age: -1})
			s := &d.g.classes[2].shares
			s.rate, s.found = 100, d.g.now+1
			rate := 1000.0 // of all
			if name == "of one" {
				rate = 100
			}
			each := 200 * comePrior / (bookPart * rate) // seconds
			for i := range 200 {
				x := d.g.make(d.g.now, Entry{Tenant: tenant(i), Class: llm.ClassStandard, Prompt: 100, Output: 50, Print: uint64(i + 1)})
				got := d.g.book(d.g.now, x, 0).Seconds()
				want := max(float64(i)*each, 1)
				if want < 54 && (got < want-1e-6 || got > want*(1+retrySpread)+0.5) || got > 60 {
					t.Fatalf("number %d is told %.2f s, not about %.2f", i, got, want)
				}
			}
		})
	}
}

func TestTenantAheadIsToldWhenItsTurnComes(t *testing.T) {
	d, q := held(t)
	q.paid = d.g.now + 20*time.Second
	x := d.g.make(d.g.now, Entry{Tenant: "t", Class: llm.ClassStandard, Print: 1})
	if got := d.g.book(d.g.now, x, 0); got < 20*time.Second || got > 23*time.Second {
		t.Errorf("it is told %v", got)
	}
}

func TestCareIsLearnedFromWhoIsRefusedWhen(t *testing.T) {
	d := flooded(t, nil)
	c := &d.g.classes[2]
	before := c.factor
	d.offer("late", llm.ClassStandard, "t", nil)
	if c.factor != before*factorDown {
		t.Errorf("after a refusal at once it goes from %v to %v", before, c.factor)
	}
	before = c.factor
	d.now = d.now.Add(time.Second * 3)
	did, _ := d.step()
	if want := min(before*math.Pow(factorUp, float64(len(did))), factorMost); len(did) == 0 || math.Abs(c.factor-want) > 1e-9 {
		t.Errorf("after %d that had waited it goes from %v to %v", len(did), before, c.factor)
	}
}
