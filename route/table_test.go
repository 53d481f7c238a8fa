package route

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
)

// endpoints makes n of one weight, e0 and up; all are up and take text to go on with.
func endpoints(n int, set ...func(i int, s *fleet.Spec)) []*fleet.Endpoint {
	out := make([]*fleet.Endpoint, n)
	for i := range out {
		s := fleet.Spec{ID: llm.EndpointID(fmt.Sprintf("e%d", i)), Continues: fleet.ContinuesText}
		for _, f := range set {
			f(i, &s)
		}
		out[i] = fleet.New(s)
		out[i].SetHealth(epoch, fleet.StateUp, "")
	}
	return out
}

// must picks or fails the test.
func must(t *testing.T, table *Table, now time.Time, ask Ask, list []*fleet.Endpoint, seed uint64) Pick {
	t.Helper()
	p, err := table.Pick(now, ask, list, seed)
	if err != nil {
		t.Fatalf("nobody can be asked: %v", err)
	}
	return p
}

// breakIt has an endpoint fail until its breaker opens.
func breakIt(table *Table, now time.Time, e *fleet.Endpoint) {
	for range failuresMax {
		table.Ended(now, Pick{Endpoint: e}, llm.FaultStatus, time.Second)
	}
}

func TestPickFollowsPrefixAndSession(t *testing.T) {
	t.Parallel()
	list, table := endpoints(8), NewTable(Config{})
	turn := func(family uint64, blocks int) Ask {
		return Ask{Prompt: blocks*64 + 20, Output: 100, Prefix: chain(family, 0, 0, blocks), Block: 64}
	}
	first := map[uint64]llm.EndpointID{}
	for family := range uint64(20) {
		first[family] = must(t, table, epoch, turn(family+1, 10), list, family).Endpoint.ID()
	}
	for family := range uint64(20) {
		p := must(t, table, epoch.Add(time.Minute), turn(family+1, 14), list, 99+family)
		if p.Endpoint.ID() != first[family] || p.Cached != 640 {
			t.Errorf("turn two of %d went to %s with %d tokens cached; turn one went to %s", family, p.Endpoint.ID(), p.Cached, first[family])
		}
	}
	where := must(t, table, epoch, Ask{Prompt: 500, Session: "anna"}, list, 1).Endpoint.ID()
	for seed := range uint64(30) {
		if got := must(t, table, epoch, Ask{Prompt: 500, Session: "anna"}, list, seed).Endpoint.ID(); got != where {
			t.Fatalf("the session moved from %s to %s", where, got)
		}
	}
	home := slices.IndexFunc(list, func(e *fleet.Endpoint) bool { return e.ID() == where })
	list[home].Begin(epoch, 100_000)
	if got := must(t, table, epoch, Ask{Prompt: 500, Session: "anna"}, list, 1).Endpoint.ID(); got == where {
		t.Error("the session does not yield to the load")
	}
}

func TestPickForgetsWhatADeadEngineHad(t *testing.T) {
	t.Parallel()
	list, table := endpoints(1), NewTable(Config{})
	ask := Ask{Prompt: 640, Prefix: chain(1, 0, 0, 10), Block: 64}
	must(t, table, epoch, ask, list, 1)
	p := must(t, table, epoch, ask, list, 1)
	if p.Cached != 640 {
		t.Fatalf("%d tokens cached", p.Cached)
	}
	for range failuresMax {
		table.Ended(epoch, p, llm.FaultCut, time.Second)
	}
	if p = must(t, table, epoch, ask, list, 1); p.Cached != 0 {
		t.Errorf("%d tokens cached in an engine that died", p.Cached)
	}
}

func TestPickKeepsWeights(t *testing.T) {
	t.Parallel()
	weights := []float64{1, 0.2}
	for _, c := range []struct {
		name    string
		running int           // requests that are answered at a time
		apart   time.Duration // between two
	}{
		{"one now and then", 0, time.Minute}, {"one after the other", 0, time.Second},
		{"two at a time", 2, time.Second}, {"twelve at a time", 12, 100 * time.Millisecond},
	} {
		list := endpoints(2, func(i int, s *fleet.Spec) { s.Weight = weights[i] })
		table, now := NewTable(Config{}), epoch
		got, tokens, all := map[llm.EndpointID]int{}, map[llm.EndpointID]int{}, 0
		var flights []*fleet.Flight
		rng := rand.New(rand.NewPCG(1, 1))
		for seed := range uint64(1200) {
			now = now.Add(c.apart)
			prompt := 100 + rng.IntN(1000)
			p := must(t, table, now, Ask{Prompt: prompt, Output: 200}, list, seed)
			got[p.Endpoint.ID()]++
			tokens[p.Endpoint.ID()] += prompt
			all += prompt
			f := p.Endpoint.Begin(now, 500)
			f.First(now.Add(50 * time.Millisecond))
			if flights = append(flights, f); len(flights) > c.running {
				flights[0].End(now.Add(50*time.Millisecond), 200)
				flights = flights[1:]
			}
			table.Ended(now, p, llm.FaultNone, time.Second)
		}
		if light := got["e1"]; light < 180 || light > 220 {
			t.Errorf("%s: the light endpoint got %d of 1200 requests, want a sixth", c.name, light)
		}
		if light := 6 * tokens["e1"]; light < all*9/10 || light > all*11/10 {
			t.Errorf("%s: the light endpoint got %d of %d tokens, want a sixth", c.name, light/6, all)
		}
	}
}

func TestPickEjectsAtMostHalf(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 9; n++ {
		for broken := range n + 1 {
			list, table := endpoints(n), NewTable(Config{})
			for _, e := range list {
				must(t, table, epoch, Ask{Prompt: 10}, []*fleet.Endpoint{e}, 1)
			}
			for _, e := range list[:broken] {
				breakIt(table, epoch, e)
			}
			p := must(t, table, epoch.Add(time.Millisecond), Ask{Prompt: 10}, list, 1)
			if got, want := len(table.mu.scratch.list), n-min(broken, n/2); got != want {
				t.Errorf("%d of %d broken: %d may be asked, want %d", broken, n, got, want)
			}
			if well := table.mu.ways[p.Endpoint.ID()].breaker.state == Closed; broken < n && !well {
				t.Errorf("%d of %d broken: %s is asked, which is one of them", broken, n, p.Endpoint.ID())
			}
		}
	}
}

func TestPickKeepsTheLeastBad(t *testing.T) {
	t.Parallel()
	list, table := endpoints(4), NewTable(Config{})
	now := epoch
	for i, e := range list { // the first fell most often
		for range 4 - i {
			breakIt(table, now, e)
			table.mu.ways[e.ID()].breaker.state = Closed
			table.mu.unwell--
		}
		breakIt(table, now, e)
	}
	list[3].SetHealth(now, fleet.StateDown, "refused")
	must(t, table, now, Ask{Prompt: 10}, list, 1)
	if got := table.mu.scratch.at; !slices.Equal(got, []int{1, 2}) {
		t.Errorf("kept are %v, want the least bad that are not down", got)
	}
}

func TestPickProbesOneAtATimeAndLetsTheWellBackIn(t *testing.T) {
	t.Parallel()
	list, table := endpoints(3), NewTable(Config{})
	breakIt(table, epoch, list[0])
	pick := func(now time.Time) Pick { return must(t, table, now, Ask{Prompt: 10}, list, 1) }
	if p := pick(epoch.Add(time.Millisecond)); p.Endpoint == list[0] || p.Probe {
		t.Fatalf("an open one was asked: %+v", p)
	}
	now := epoch.Add(1300 * time.Millisecond)
	if p, _ := table.Pick(now, Ask{Prompt: 10, Tried: []llm.EndpointID{"e1"}}, list, 1); p.Endpoint != list[2] {
		t.Fatal("a retry was made a probe")
	}
	probe := pick(now)
	if probe.Endpoint != list[0] || !probe.Probe {
		t.Fatalf("no probe was sent: %+v", probe)
	}
	if p := pick(now); p.Endpoint == list[0] {
		t.Fatal("a second probe beside the first")
	}
	table.Ended(now, probe, llm.FaultNone, time.Second)
	probe = pick(now)
	table.Ended(now, probe, llm.FaultNone, time.Second)
	if s := table.States(now)[0]; !probe.Probe || s.Endpoint != "e0" || s.Breaker != Closed {
		t.Fatalf("after two good probes: %+v", s)
	}
	if table.mu.unwell != 0 {
		t.Errorf("%d are counted as unwell", table.mu.unwell)
	}
	asked := map[llm.EndpointID]int{}
	for range 30 {
		asked[pick(now).Endpoint.ID()]++
	}
	if asked["e0"] < 8 {
		t.Errorf("back among the well it gets %d of 30", asked["e0"])
	}
}

func TestPickDoesNotProbeWhoIsDown(t *testing.T) {
	t.Parallel()
	list, table := endpoints(3), NewTable(Config{})
	breakIt(table, epoch, list[0])
	list[0].SetHealth(epoch, fleet.StateDown, "refused")
	if p := must(t, table, epoch.Add(time.Minute), Ask{Prompt: 10}, list, 1); p.Endpoint == list[0] {
		t.Error("a request was spent on an endpoint whose probes fail")
	}
}

func TestPickHasLastResorts(t *testing.T) {
	t.Parallel()
	list, table := endpoints(3), NewTable(Config{})
	now := epoch
	list[0].SetHealth(now, fleet.StateDown, "refused")
	list[1].SetHealth(now, fleet.StateLoading, "loads")
	p := must(t, table, now, Ask{Prompt: 10}, list, 1)
	if p.Endpoint != list[2] {
		t.Fatalf("%s was asked before the one that is up", p.Endpoint.ID())
	}
	table.Rest(now, p, 3*time.Second)
	if p = must(t, table, now, Ask{Prompt: 10}, list, 1); p.Endpoint != list[2] {
		t.Errorf("%s was asked before the one that is full", p.Endpoint.ID())
	}
	if p = must(t, table, now, Ask{Prompt: 10, Tried: []llm.EndpointID{"e2"}}, list, 1); p.Endpoint != list[1] {
		t.Errorf("%s was asked before the one that loads", p.Endpoint.ID())
	}
	if p = must(t, table, now, Ask{Prompt: 10, Tried: []llm.EndpointID{"e2", "e1"}}, list, 1); p.Endpoint != list[0] {
		t.Errorf("%s was asked", p.Endpoint.ID())
	}
	two := endpoints(2)
	table = NewTable(Config{})
	p = must(t, table, now, Ask{Prompt: 10}, two, 1)
	table.Ended(now, p, llm.FaultBusy, time.Second)
	if q := must(t, table, now, Ask{Prompt: 10}, two, 1); q.Endpoint == p.Endpoint {
		t.Error("the full one is asked again at once")
	}
	table.Rest(now, p, time.Hour)
	if got := table.mu.ways[p.Endpoint.ID()].breaker.rest.Sub(now); got != retryAfterMost {
		t.Errorf("it rests for %s", got)
	}
}

// A retry may go to an ejected endpoint where nothing else is left, one at a time; what goes on with an answer always may.
func TestPickAsksTheEjectedRatherThanNobody(t *testing.T) {
	t.Parallel()
	list, table := endpoints(2), NewTable(Config{})
	breakIt(table, epoch, list[0])
	retry := Ask{Prompt: 10, Tried: []llm.EndpointID{"e1"}}
	p := must(t, table, epoch, retry, list, 1)
	if p.Endpoint != list[0] || !p.Probe {
		t.Fatalf("the retry went to %+v", p)
	}
	_, err := table.Pick(epoch, retry, list, 1)
	if err == nil || err.Kind != llm.NoEndpoint {
		t.Fatalf("a second retry beside the first: %v", err)
	}
	resume := retry
	resume.Continues = fleet.ContinuesText
	for range 3 {
		must(t, table, epoch, resume, list, 1)
	}
	table.Ended(epoch, p, llm.FaultStatus, time.Second)
}

func TestPickSaysWhyNobodyCanBeAsked(t *testing.T) {
	t.Parallel()
	table := NewTable(Config{})
	if _, err := table.Pick(epoch, Ask{}, nil, 1); err == nil || err.Kind != llm.NoEndpoint || err.RetryAfter <= 0 || err.Message == "" {
		t.Fatalf("of no endpoint: %+v", err)
	}
	list := endpoints(8, func(i int, s *fleet.Spec) {
		if i == 1 {
			s.Continues = fleet.ContinuesNot
		}
	})
	must(t, table, epoch, Ask{Prompt: 1}, list, 1)
	breakIt(table, epoch, list[0])
	now := epoch.Add(400 * time.Millisecond)
	table.mu.ways["e0"].breaker.probing = 1
	_, err := table.Pick(now, Ask{Tried: []llm.EndpointID{"e1", "e2", "e3", "e4", "e5", "e6", "e7"}}, list, 1)
	if err == nil {
		t.Fatal("somebody was asked")
	}
	if until := table.mu.ways["e0"].breaker.until; err.RetryAfter != until.Sub(now) {
		t.Errorf("Retry-After is %s, the soonest half-open comes in %s", err.RetryAfter, until.Sub(now))
	}
	for _, want := range []string{"e0 has failed 3 times and is tried again in ", "e1 has failed on this request", "e4 has failed", "and 3 more"} {
		if !strings.Contains(err.Message, want) {
			t.Errorf("%q does not say %q", err.Message, want)
		}
	}
	if strings.Contains(err.Message, "e5") {
		t.Errorf("%q tells of more than five", err.Message)
	}
	_, err = table.Pick(now, Ask{Continues: fleet.ContinuesTokens}, list, 1)
	if err == nil || !strings.Contains(err.Message, "e1 cannot go on with another's answer") {
		t.Errorf("none can continue: %v", err)
	}
}

func TestPickSamplesLargeFleetsAndStillFollows(t *testing.T) {
	t.Parallel()
	list, table := endpoints(500), NewTable(Config{})
	asked := map[llm.EndpointID]int{}
	where := map[uint64]llm.EndpointID{}
	for family := range uint64(1000) {
		p := must(t, table, epoch, Ask{Prompt: 700, Prefix: chain(family+1, 0, 0, 10), Block: 64, Session: fmt.Sprint(family)}, list, family)
		where[family] = p.Endpoint.ID()
		asked[p.Endpoint.ID()]++
		if got := len(table.mu.scratch.list); got > sampleOf+2 {
			t.Fatalf("%d endpoints were looked at", got)
		}
	}
	if len(asked) < 400 {
		t.Errorf("only %d of 500 endpoints were asked", len(asked))
	}
	for family := range uint64(1000) {
		p := must(t, table, epoch, Ask{Prompt: 900, Prefix: chain(family+1, 0, 0, 13), Block: 64}, list, 7*family)
		if p.Endpoint.ID() != where[family] || p.Cached != 640 {
			t.Fatalf("%d did not follow its prefix", family)
		}
		if p = must(t, table, epoch, Ask{Prompt: 900, Session: fmt.Sprint(family)}, list, 3*family); p.Endpoint.ID() != where[family] {
			t.Fatalf("%d did not follow its session", family)
		}
	}
	for _, e := range list[:499] {
		e.SetHealth(epoch, fleet.StateDown, "refused")
	}
	if p := must(t, table, epoch, Ask{Prompt: 10}, list, 1); p.Endpoint != list[499] {
		t.Error("a sample of the dead hid the one that is up")
	}
}

func TestTableIsBounded(t *testing.T) {
	t.Parallel()
	table := NewTable(Config{CacheTokens: 64 * 10})
	one := endpoints(1)
	for i := range uint64(3 * waysMax) {
		name := fmt.Sprintf("gone-%d", i)
		e := fleet.New(fleet.Spec{ID: llm.EndpointID(name)})
		must(t, table, epoch, Ask{Prompt: 1, Session: name}, []*fleet.Endpoint{e}, i)
		if len(table.mu.ways) > waysMax || len(table.mu.byNumber) > waysMax {
			t.Fatalf("%d endpoints are remembered", len(table.mu.ways))
		}
	}
	for i := range uint64(sessionsMax + 100) {
		must(t, table, epoch, Ask{Prompt: 700, Session: fmt.Sprint(i), Prefix: chain(i+1, 0, 0, 3), Block: 64}, one, i)
	}
	if got := len(table.mu.sessions.entries); got != sessionsMax {
		t.Errorf("%d sessions are remembered, want %d", got, sessionsMax)
	}
	if got := len(table.mu.ways["e0"].prefix.entries); got != 10 {
		t.Errorf("%d blocks are remembered of a cache of ten", got)
	}
	one[0].Learn(fleet.About{Cache: 64 * 4}, fleet.ContinuesNot)
	must(t, table, epoch, Ask{Prompt: 700, Prefix: chain(1, 0, 0, 3), Block: 64}, one, 1)
	if got := len(table.mu.ways["e0"].prefix.entries); got != 4 {
		t.Errorf("%d blocks are remembered of a cache that says it holds four", got)
	}
	one[0].Learn(fleet.About{Cache: 1 << 40}, fleet.ContinuesNot)
	must(t, table, epoch, Ask{Prompt: 700, Prefix: chain(1, 0, 0, 3), Block: 64}, one, 1)
	if got := table.mu.ways["e0"].prefix.most; got != blocksMax {
		t.Errorf("an index of %d blocks, want %d at most", got, blocksMax)
	}
	if most := table.mu.ways["e0"].prefix.most; most*1024 > 64*blocksAll {
		t.Errorf("indexes of %d blocks", most)
	}
}

// Whatever happens, somebody is asked who may be, and the books are true.
func TestTableKeepsItsPromises(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 2))
		n := 1 + rng.IntN(24)
		list, table, now := endpoints(n), NewTable(Config{}), epoch
		type trip struct {
			p Pick
			f *fleet.Flight
		}
		var trips []trip
		for range 600 {
			now = now.Add(time.Duration(rng.Int64N(int64(300 * time.Millisecond))))
			if rng.IntN(5) == 0 {
				list[rng.IntN(n)].SetHealth(now, fleet.State(rng.IntN(4)), "")
			}
			if rng.IntN(2) == 0 {
				family := rng.Uint64N(5) + 1
				p := must(t, table, now, Ask{Prompt: rng.IntN(3000), Output: 100, Prefix: chain(family, 0, 0, rng.IntN(20)), Block: 64}, list, rng.Uint64())
				trips = append(trips, trip{p, p.Endpoint.Begin(now, 100)})
			} else if len(trips) > 0 {
				i := rng.IntN(len(trips))
				trips[i].f.End(now, 0)
				table.Ended(now, trips[i].p, llm.Fault(rng.IntN(int(llm.FaultTask)+1)), time.Duration(rng.Int64N(int64(time.Second))))
				trips = slices.Delete(trips, i, i+1)
			}
			unwell, out := 0, 0
			for _, w := range table.mu.ways {
				if w.breaker.state != Closed {
					unwell++
				}
				if w.out && w.breaker.state != Closed {
					out++
				}
			}
			if unwell != table.mu.unwell || out > n/2+1 { // one may have opened since the last choice
				t.Fatalf("seed %d: %d unwell, counted %d; %d of %d out", seed, unwell, table.mu.unwell, out, n)
			}
		}
	}
}

func hotAsk() Ask {
	return Ask{Prompt: 2000, Output: 256, Prefix: chain(1, 0, 0, 30), Block: 64, Session: "s"}
}

// The hot path allocates nothing: not beside other tests, which would be counted.
func TestPickAllocatesNothing(t *testing.T) {
	for _, n := range []int{1, 2, 16, 32} {
		list, table, ask := endpoints(n), NewTable(Config{}), hotAsk()
		seed := uint64(0)
		if got := testing.AllocsPerRun(200, func() {
			seed++
			p, _ := table.Pick(epoch, ask, list, seed)
			table.Ended(epoch, p, llm.FaultNone, time.Second)
		}); got > 0 {
			t.Errorf("%d endpoints: %g allocations a choice", n, got)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, n := range []int{1, 2, 8, 16, 32, 1024} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			list, table, ask := endpoints(n), NewTable(Config{}), hotAsk()
			b.ReportAllocs()
			seed := uint64(0)
			for b.Loop() {
				seed++
				p, _ := table.Pick(epoch, ask, list, seed)
				table.Ended(epoch, p, llm.FaultNone, time.Second)
			}
		})
	}
}
