package fleet

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-ai/weir/llm"
)

// patient is a Runner that can be probed; a test says what it answers.
type patient struct {
	answer atomic.Pointer[func(context.Context) Report]
	mu     sync.Mutex
	asked  []time.Time
}

func (p *patient) Run(context.Context, *llm.Request, func(llm.Event) error) (llm.Usage, error) {
	return llm.Usage{}, nil
}

func (p *patient) Probe(ctx context.Context) Report {
	p.mu.Lock()
	p.asked = append(p.asked, time.Now())
	p.mu.Unlock()
	return (*p.answer.Load())(ctx)
}

func (p *patient) says(r Report) { p.does(func(context.Context) Report { return r }) }

func (p *patient) does(f func(context.Context) Report) { p.answer.Store(&f) }

// times gives when it was asked since the last call of times.
func (p *patient) times() []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.asked
	p.asked = nil
	return out
}

func up() Report {
	return Report{State: StateUp, Load: UnknownLoad(), About: About{Kind: "vllm"}}
}

func down(reason string) Report {
	return Report{State: StateDown, Reason: reason, Load: UnknownLoad()}
}

// ward is a fleet of n endpoints named e0, e1, ... under one model, all up.
func ward(t *testing.T, n int) (*Fleet, []*patient, []*Endpoint) {
	t.Helper()
	f := &Fleet{}
	var patients []*patient
	var endpoints []*Endpoint
	for i := range n {
		p := &patient{}
		p.says(up())
		patients = append(patients, p)
		endpoints = append(endpoints, New(Spec{ID: llm.EndpointID(fmt.Sprintf("e%d", i)), Runner: p}))
	}
	set(t, f, endpoints...)
	return f, patients, endpoints
}

func set(t *testing.T, f *Fleet, endpoints ...*Endpoint) {
	t.Helper()
	if err := f.Set(map[llm.ModelID][]*Endpoint{"m": endpoints}); err != nil {
		t.Fatal(err)
	}
}

// story keeps what a listener was told, a line a change.
type story struct {
	mu    sync.Mutex
	lines []string
}

func (s *story) listener() WatchListener {
	return WatchListener{Changed: func(model llm.ModelID, id llm.EndpointID, old, new State, reason string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lines = append(s.lines, fmt.Sprintf("%s/%s %s->%s %s", model, id, old, new, reason))
	}}
}

// told gives the lines since the last call.
func (s *story) told() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := strings.Join(s.lines, "; ")
	s.lines = nil
	return out
}

// after lets d of virtual time pass.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestWatchFollowsAnEndpointThroughItsLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, p, e := ward(t, 1)
		p[0].says(Report{State: StateLoading, Reason: "loads weights", Load: UnknownLoad()})
		var s story
		w := Watch(f, WatchOptions{Listener: s.listener()})
		defer w.Stop()
		step := func(r Report, d time.Duration, want string, state State) {
			t.Helper()
			p[0].says(r)
			after(d)
			if got := s.told(); got != want {
				t.Errorf("told %q, want %q", got, want)
			}
			if got := e[0].Facts(time.Now()).Health.State; got != state {
				t.Errorf("state is %s, want %s", got, state)
			}
		}
		step(Report{State: StateLoading, Reason: "loads weights", Load: UnknownLoad()}, time.Millisecond, "m/e0 unknown->loading loads weights", StateLoading)
		step(up(), 3*time.Second, "m/e0 loading->up ", StateUp)
		step(up(), 10*time.Second, "", StateUp)
		// One probe is lost; the one after it is good.
		p[0].does(func(context.Context) Report { p[0].says(up()); return down("lost") })
		after(5 * time.Second)
		if got := s.told(); got != "" {
			t.Errorf("one lost probe was told as %q", got)
		}
		step(down("refused"), 3*time.Second, "m/e0 up->down refused", StateDown)
		step(down("refused"), time.Minute, "", StateDown)
		step(up(), 31*time.Second, "m/e0 down->up ", StateUp)
	})
}

func TestWatchNeedsOneFailureWhereNothingWasEverUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, p, e := ward(t, 1)
		p[0].says(down("connection refused"))
		var s story
		w := Watch(f, WatchOptions{Listener: s.listener()})
		defer w.Stop()
		synctest.Wait()
		if got := s.told(); got != "m/e0 unknown->down connection refused" {
			t.Errorf("told %q at the first probe", got)
		}
		if got := len(p[0].times()); got != 1 {
			t.Errorf("asked %d times at once, want 1", got)
		}
		if h := e[0].Facts(time.Now()).Health; h.Reason != "connection refused" {
			t.Errorf("health is %+v", h)
		}
	})
}

func TestWatchAsksLessOftenWhileDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, p, _ := ward(t, 1)
		p[0].says(down("refused"))
		w := Watch(f, WatchOptions{})
		defer w.Stop()
		after(10 * time.Minute)
		asked := p[0].times()
		for i, want := range []time.Duration{2, 4, 8, 16, 30, 30, 30} {
			want *= time.Second
			if got := asked[i+1].Sub(asked[i]); got < want*9/10 || got > min(want*11/10, watchRest) {
				t.Errorf("probe %d came %s after the one before, want %s and a tenth", i+2, got, want)
			}
		}
		p[0].says(up())
		after(watchRest)
		p[0].times()
		after(time.Minute)
		if got := len(p[0].times()); got < 27 || got > 34 {
			t.Errorf("asked %d times in a minute of being up, want 30", got)
		}
	})
}

func TestWatchKeepsTheLastLoadWithItsAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, p, e := ward(t, 1)
		r := up()
		r.Load.Waiting, r.About, r.Continues = 7, About{Kind: "sglang", Slots: 32}, ContinuesTokens
		p[0].says(r)
		began := time.Now()
		w := Watch(f, WatchOptions{})
		defer w.Stop()
		synctest.Wait()
		facts := e[0].Facts(time.Now())
		if facts.Load.Waiting != 7 || !facts.Load.At.Equal(began) || facts.Slots != 32 || facts.Continues != ContinuesTokens {
			t.Fatalf("after a good probe: %+v", facts)
		}
		failed := down("timeout")
		failed.Load.Waiting = 0 // a failed probe knows nothing, whatever it says
		p[0].says(failed)
		after(20 * time.Second)
		if facts = e[0].Facts(time.Now()); facts.Load.Waiting != 7 || facts.LoadAge != 20*time.Second || facts.About.Kind != "sglang" {
			t.Errorf("after failed probes: %+v", facts)
		}
		p[0].says(Report{State: StateUp, Load: UnknownLoad()})
		after(time.Minute)
		facts = e[0].Facts(time.Now())
		if facts.Health.State != StateUp || facts.Load.Waiting != 7 || facts.LoadAge != 80*time.Second {
			t.Errorf("after probes that found no load: %+v", facts)
		}
		if facts.About.Kind != "sglang" || facts.Continues != ContinuesTokens {
			t.Errorf("after probes that found no kind: %+v", facts)
		}
	})
}

func TestWatchEndsProbesThatHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, p, _ := ward(t, 1)
		p[0].does(func(ctx context.Context) Report { <-ctx.Done(); return down(ctx.Err().Error()) })
		var s story
		w := Watch(f, WatchOptions{Listener: s.listener()})
		defer w.Stop()
		after(watchTimeout - time.Millisecond)
		if got := s.told(); got != "" {
			t.Errorf("told %q before the timeout", got)
		}
		after(time.Millisecond)
		if got := s.told(); got != "m/e0 unknown->down context deadline exceeded" {
			t.Errorf("told %q at the timeout", got)
		}
	})
}

func TestWatchOutlivesAPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, p, _ := ward(t, 1)
		p[0].does(func(context.Context) Report { panic("index out of range") })
		var s story
		w := Watch(f, WatchOptions{Listener: s.listener()})
		defer w.Stop()
		synctest.Wait()
		if got := s.told(); got != "m/e0 unknown->down the probe failed inside Weir: index out of range" {
			t.Errorf("told %q", got)
		}
	})
}

func TestWatchStartsAndEndsWithTheFleet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, p, e := ward(t, 3)
		hangs := false
		p[2].does(func(ctx context.Context) Report { hangs = true; <-ctx.Done(); hangs = false; return down("called off") })
		set(t, f, e[0])
		var s story
		w := Watch(f, WatchOptions{Listener: s.listener()})
		defer w.Stop()
		after(time.Second)
		set(t, f, e[0], e[1], e[2], New(Spec{ID: "embedded", Runner: nil}))
		after(time.Second)
		if got := s.told(); got != "m/e0 unknown->up ; m/e1 unknown->up " {
			t.Fatalf("told %q", got)
		}
		if !hangs {
			t.Fatal("e2 was not asked")
		}
		set(t, f, e[0]) // does not wait for the probe that hangs
		synctest.Wait()
		if hangs {
			t.Error("the probe of an endpoint that was taken out goes on")
		}
		p[0].times()
		p[1].times()
		after(10 * time.Second)
		if got, other := len(p[0].times()), len(p[1].times()); got == 0 || other != 0 {
			t.Errorf("who stayed was asked %d times, who left %d times", got, other)
		}
		if h := e[2].Facts(time.Now()).Health; h.State != StateUnknown {
			t.Errorf("a probe that was called off made %+v", h)
		}
		set(t, f, e[0], e[1])
		after(time.Second)
		if got := len(p[1].times()); got != 1 {
			t.Errorf("who came back was asked %d times, want once", got)
		}
	})
}

func TestWatchAsksAnEndpointOfTwoModelsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, p, e := ward(t, 1)
		if err := f.Set(map[llm.ModelID][]*Endpoint{"m": e, "n": e}); err != nil {
			t.Fatal(err)
		}
		w := Watch(f, WatchOptions{})
		defer w.Stop()
		after(time.Second)
		if got := len(p[0].times()); got != 1 {
			t.Errorf("asked %d times", got)
		}
	})
}

func TestWatchStopEndsAllAndStaysEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, p, e := ward(t, 2)
		w := Watch(f, WatchOptions{Prober: func(e *Endpoint) Prober { return e.Runner().(*patient) }})
		after(5 * time.Second)
		w.Stop()
		w.Stop()
		p[0].times()
		set(t, f, e[1])
		set(t, f, e...)
		after(time.Minute)
		if got := len(p[0].times()); got != 0 {
			t.Errorf("asked %d times after Stop", got)
		}
		// synctest fails the test if a goroutine is left.
	})
}

func TestWatchSpreadsAndBoundsTheProbesOfALargeFleet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, patients, _ := ward(t, endpointsMax)
		var running, most, answered atomic.Int64
		for _, p := range patients {
			p.does(func(ctx context.Context) Report {
				n := running.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				<-ctx.Done()
				running.Add(-1)
				answered.Add(1)
				return down("hangs")
			})
		}
		w := Watch(f, WatchOptions{})
		defer w.Stop()
		synctest.Wait()
		if n := running.Load(); n > 1 {
			t.Errorf("%d probes in the first instant", n)
		}
		after(watchInterval / 4)
		if n := running.Load(); n < watchProbes/2 || n > watchProbes {
			t.Errorf("%d probes after a quarter of the interval, want them spread", n)
		}
		after(time.Minute)
		if most.Load() != watchProbes {
			t.Errorf("%d probes at once, want %d", most.Load(), watchProbes)
		}
		if n := answered.Load(); n < endpointsMax {
			t.Errorf("%d probes ended in a minute: some endpoint was never asked", n)
		}
	})
}

func TestWatchAsksASmallFleetAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, _, endpoints := ward(t, 5)
		w := Watch(f, WatchOptions{})
		defer w.Stop()
		after(4 * startApart)
		for _, e := range endpoints {
			if h := e.Facts(time.Now()).Health; h.State != StateUp {
				t.Errorf("%s is %s after %s", e.ID(), h.State, 4*startApart)
			}
		}
	})
}

func TestVerdictDoesNotOverflow(t *testing.T) {
	t.Parallel()
	o := WatchOptions{}.withDefaults()
	v := verdict{failed: 1 << 40}
	if state, wait := v.step(StateDown, StateDown, &o); state != StateDown || wait != watchRest {
		t.Errorf("after many failures: %s, next in %s", state, wait)
	}
	if state, wait := v.step(StateDown, StateUnknown, &o); state != StateUnknown || wait != watchInterval {
		t.Errorf("where nobody can ask: %s, next in %s", state, wait)
	}
	if state, _ := v.step(StateUnknown, StateDown, &o); state != StateDown {
		t.Errorf("never up and failed once: %s", state)
	}
}

func TestVerdictGoesByTheLastProbes(t *testing.T) {
	t.Parallel()
	const u, l, d = StateUp, StateLoading, StateDown
	o := WatchOptions{Interval: 4 * time.Second, Rest: 10 * time.Second}.withDefaults()
	// Each row is what one probe found, the state after it, and the seconds to the next.
	check := func(name string, rows ...any) {
		t.Helper()
		var v verdict
		state := StateUnknown
		for i := 0; i < len(rows); i += 3 {
			var wait time.Duration
			state, wait = v.step(state, rows[i].(State), &o)
			if state != rows[i+1].(State) || wait != time.Duration(rows[i+2].(int))*time.Second {
				t.Errorf("%s, probe %d: %s, next in %s; want %v, %vs", name, i/3+1, state, wait, rows[i+1], rows[i+2])
			}
		}
	}
	check("never up", d, d, 4, d, d, 8, d, d, 10, d, d, 10, u, u, 4)
	check("two in a row", u, u, 4, d, u, 1, d, d, 4, d, d, 8, u, u, 4, d, u, 1)
	check("one now and then", u, u, 4, d, u, 1, u, u, 4, d, u, 1, u, u, 4, d, u, 1)
	check("loads for long", l, l, 4, l, l, 4, d, d, 4, l, l, 4, u, u, 4)
	check("loads again", u, u, 4, l, l, 4, d, l, 1, d, d, 4)
}

func TestWatchSaysNothingOfOneLostProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, p, e := ward(t, 1)
		w := Watch(f, WatchOptions{})
		synctest.Wait()
		w.Stop()
		p[0].says(down("lost"))
		w = Watch(f, WatchOptions{}) // knows from the endpoint that it was up
		defer w.Stop()
		after(100 * time.Millisecond)
		if h := e[0].Facts(time.Now()).Health; h.State != StateUp || h.Reason != "" {
			t.Errorf("after one failed probe: %+v", h)
		}
		after(time.Second)
		if h := e[0].Facts(time.Now()).Health; h.State != StateDown || h.Reason != "lost" {
			t.Errorf("after two: %+v", h)
		}
	})
}
