package admit

import (
	"fmt"
	"math"
	"math/rand"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
)

func TestQuantileFollowsNineOfTen(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewSource(1))
	q := quantile(outputPrior)
	sum, n := 0.0, 0
	for i := range 5000 {
		q.see(1 + rng.Intn(1000))
		if i > 500 {
			sum, n = sum+float64(q), n+1
		}
	}
	if m := sum / float64(n); math.Abs(m-900) > 40 {
		t.Errorf("of 1 to 1,000 it is %.0f", m)
	}
	for range 600 {
		q.see(10)
	}
	if e := q.expect(0); e < 9 || e > 12 {
		t.Errorf("of ten it is %d", e)
	}
	if q.expect(3) != 3 || quantile(0).expect(0) != 1 {
		t.Error("it is not bounded")
	}
	for range 1000 {
		q.see(math.MaxInt)
	}
	if q > 1<<20 {
		t.Errorf("it grows to %v", q)
	}
}

func TestFloorsScale(t *testing.T) {
	t.Parallel()
	var l floors
	if l.expect(100) != 0 {
		t.Error("something is known of nothing")
	}
	l.see(0.2, 100)
	for tokens, want := range map[int]float64{100: 0.2, 120: 0.24, 70: 0.2, 1000: 2, 1: 0.2} {
		if got := l.expect(tokens); math.Abs(got-want) > 1e-9 {
			t.Errorf("%d tokens take %v, not %v", tokens, got, want)
		}
	}
	l.see(0.1, 100)
	if l.expect(100) != 0.1 {
		t.Error("less is not learned")
	}
	for range 139 {
		l.see(1, 100)
	}
	if got := l.expect(100); got < 0.19 || got > 0.21 {
		t.Errorf("after 139 slow ones it is %v", got)
	}
}

func TestMeterForgets(t *testing.T) {
	t.Parallel()
	m := meter{time: 5 * time.Second}
	for i := range 1000 {
		m.add(time.Duration(i)*100*time.Millisecond, 10)
	}
	at := 999 * 100 * time.Millisecond
	if r := m.now(at); math.Abs(r-100) > 2 {
		t.Errorf("ten each tenth of a second are %v a second", r)
	}
	if r := m.now(at + 5*time.Second); math.Abs(r-100/math.E) > 1 {
		t.Errorf("five seconds later it is %v", r)
	}
}

func TestOutputTokenCostsWhatIsMeasured(t *testing.T) {
	d := setup(t, 10, nil)
	facts := func(prefill float64) {
		d.endpoints(Endpoint{ID: "a", Usable: true, Slots: 10, PrefillSeconds: prefill, Waiting: -1, Age: -1, DecodeSeconds: func(b int) float64 { return 0.01 * float64(b) / 2 }})
	}
	weight := func() float64 { return d.g.State(d.now).Weight }
	if weight() != weightPrior {
		t.Errorf("before anything was measured it is %v", weight())
	}
	facts(0.001) // 50 ms for ten tokens together, against 1 ms
	if math.Abs(weight()-5) > 1e-9 {
		t.Errorf("it is %v", weight())
	}
	d.now = d.now.Add(weightTime)
	facts(0.0005)
	if w := weight(); math.Abs(w-(10-5/math.E)) > 0.01 {
		t.Errorf("after %v of another speed it is %v", weightTime, w)
	}
	d.now = d.now.Add(time.Hour)
	facts(1e-9)
	if w := weight(); w > weightMost {
		t.Errorf("it grows to %v", w)
	}
}

func TestCachedPromptsCostLess(t *testing.T) {
	d := setup(t, 10, nil)
	inner := d.place
	d.place = func(e *Entry, room func(llm.EndpointID) bool) (llm.EndpointID, error) {
		id, err := inner(e, room)
		e.Cached = 80
		return id, err
	}
	k := d.starts("one", llm.ClassStandard, "t")
	if x := d.g.entries[k]; x.work != 20+2*50 || x.station.prefill != 20 {
		t.Errorf("with 80 of 100 tokens cached it is %v work and %d tokens", x.work, x.station.prefill)
	}
	d.g.Done(d.now, k, End{Prompt: 100, Cached: 80, Output: 50})
	d.place = inner
	for range 100 {
		d.g.Done(d.now, d.starts("more", llm.ClassStandard, "t"), End{Prompt: 100, Cached: 80, Output: 50})
	}
	k = d.starts("last", llm.ClassStandard, "t")
	if x := d.g.entries[k]; x.fresh < 20 || x.fresh > 22 {
		t.Errorf("of a tenant whose prompts are cached four fifths it counts %d tokens", x.fresh)
	}
}

func TestSlowTokensLowerTheLimit(t *testing.T) {
	for _, attainable := range []bool{true, false} {
		t.Run(fmt.Sprint(attainable), func(t *testing.T) {
			d := setup(t, 10, func(c *Config) { c.Classes[2].TPOT = 200 * time.Millisecond })
			one := 0.1
			if !attainable {
				one = 0.3
			}
			d.endpoints(Endpoint{ID: "a", Usable: true, Slots: 10, Waiting: -1, Age: -1, DecodeSeconds: func(int) float64 { return one }})
			var tickets []Ticket
			for range 10 {
				tickets = append(tickets, d.starts("r", llm.ClassStandard, "t"))
			}
			for _, k := range tickets {
				d.g.First(d.now, k, 0)
			}
			for n := 1; n < 80; n++ {
				d.now = d.now.Add(250 * time.Millisecond)
				for _, k := range tickets {
					d.g.Tokens(d.now, k, n)
				}
			}
			limit := d.g.State(d.now).Endpoints[0].Limit
			if attainable && (limit > 8 || limit < 4) || !attainable && limit != 10 {
				t.Errorf("with a token each quarter of a second the limit is %d", limit)
			}
		})
	}
}

func TestBusyIsHeededBeforeTheRequestMoves(t *testing.T) {
	d := setup(t, 10, nil)
	var k Ticket
	for range 4 {
		k = d.starts("r", llm.ClassStandard, "t")
	}
	d.g.Busy(d.now, k)
	d.g.Move(d.now, k, "")
	if e := d.g.State(d.now).Endpoints[0]; e.Limit != 3 || e.Running != 3 {
		t.Errorf("%+v", e)
	}
	d.waits("next", llm.ClassStandard, "t")
}

func TestIdleTenantsAreForgotten(t *testing.T) {
	d := setup(t, 1, nil)
	k := d.starts("ahead", llm.ClassStandard, "ahead")
	d.g.Done(d.now, k, End{Output: 1000})
	for i := range 200 {
		d.g.Done(d.now, d.starts("x", llm.ClassBatch, llm.TenantID(fmt.Sprint(i))), End{Output: 10})
	}
	if n := len(d.g.tenants); n != 201 {
		t.Fatalf("%d tenants are remembered", n)
	}
	for range 20 {
		d.now = d.now.Add(idleKeep)
		d.step()
	}
	// One is the last whose line ended, which nobody would be lifted beyond; of a class of its own each other is no more than that.
	if n := len(d.g.tenants); n > 2 {
		t.Errorf("%d tenants are remembered", n)
	}
}

func TestTenantThatIsAheadIsRemembered(t *testing.T) {
	d := setup(t, 1, nil)
	ahead := d.starts("ahead", llm.ClassStandard, "ahead")
	d.waits("waits", llm.ClassStandard, "waits")
	d.g.Tokens(d.now, ahead, 100_000)
	d.g.Done(d.now, ahead, End{})
	d.g.place(d.g.now, d.g.entries[2], d.place)
	d.now = d.now.Add(2 * idleKeep)
	d.place = func(*Entry, func(llm.EndpointID) bool) (llm.EndpointID, error) { return "", nil }
	d.step()
	if d.g.tenants["ahead"] == nil {
		t.Error("what it is ahead of one that waits is forgotten")
	}
}

func TestForgottenTenantsAreBounded(t *testing.T) {
	t.Parallel()
	g := New(patient())
	for i := range idleMost + 1000 {
		n := g.queue(llm.TenantID(fmt.Sprint(i)), 2, 1).tenant
		g.idle.note(1, n)
		g.idle.forget(instant(2), g)
	}
	if n := len(g.tenants); n > idleMost {
		t.Errorf("%d idle tenants are remembered", n)
	}
}

func TestEndpointsAreForgotten(t *testing.T) {
	t.Parallel()
	g := New(Config{})
	for i := range stationsMost + 50 {
		g.Endpoints(start.Add(time.Duration(i)*time.Second), []Endpoint{{ID: llm.EndpointID(fmt.Sprint(i)), Usable: true}})
	}
	if n := len(g.known); n != stationsMost || g.known["0"] != nil || g.known[llm.EndpointID(fmt.Sprint(stationsMost+49))] == nil {
		t.Errorf("%d endpoints are remembered", n)
	}
}

func TestDeclaredSlotsThatChange(t *testing.T) {
	d := setup(t, 0, func(c *Config) { c.Sequences = 5 })
	for i, c := range []struct{ slots, want int }{{0, 5}, {8, 8}, {3, 3}, {6, 6}, {0, 6}, {4, 4}} {
		d.endpoints(Endpoint{ID: "a", Usable: true, Slots: c.slots, Waiting: -1, Age: -1})
		if n := d.g.State(d.now).Endpoints[0].Limit; n != c.want {
			t.Errorf("%d: with %d slots the limit is %d, not %d", i, c.slots, n, c.want)
		}
	}
}
