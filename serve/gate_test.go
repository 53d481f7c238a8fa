package serve

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/openai"
	"github.com/weir-ai/weir/registry"
)

// slow is a fake engine with slots: what it is asked takes a second and is noted in order.
type slow struct {
	mu    sync.Mutex
	order []string
	most  int
	now   int
}

func (s *slow) Run(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
	s.mu.Lock()
	s.order = append(s.order, req.ID)
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.now--
		s.mu.Unlock()
	}()
	for i := range 10 {
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return llm.Usage{PromptTokens: 10, CompletionTokens: i}, ctx.Err()
		}
		if err := word(emit, i); err != nil {
			return llm.Usage{PromptTokens: 10, CompletionTokens: i}, err
		}
	}
	return llm.Usage{PromptTokens: 10, CompletionTokens: 10}, emit(llm.Event{Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishStop}})
}

// gated is a pipeline over a model m of one slow engine, and a model n of another.
type gated struct {
	*Pipeline
	m, n    *slow
	report  sync.Mutex
	turned  []llm.Reason
	down    []string
	settled []Record
}

func behindAGate(t *testing.T, slots int, change func(m *registry.Model)) *gated {
	t.Helper()
	g := &gated{m: &slow{}, n: &slow{}}
	m := registry.Model{ID: "m"}
	for i := range m.Objectives {
		m.Objectives[i] = registry.Objective{TTFT: 3 * time.Second, TPOT: time.Second}
	}
	n := m
	n.ID = "n"
	if change != nil {
		change(&m)
	}
	var names registry.Registry
	if err := names.Set([]registry.Model{m, n}); err != nil {
		t.Fatal(err)
	}
	var all fleet.Fleet
	err := all.Set(map[llm.ModelID][]*fleet.Endpoint{
		"m": {fleet.New(fleet.Spec{ID: "e", Runner: g.m, Slots: slots})}, "n": {fleet.New(fleet.Spec{ID: "f", Runner: g.n, Slots: slots})},
	})
	if err != nil {
		t.Fatal(err)
	}
	note := func(do func()) {
		g.report.Lock()
		defer g.report.Unlock()
		do()
	}
	g.Pipeline = New(&names, &all, Options{Report: Listener{
		TurnedAway:  func(_ llm.ModelID, r llm.Reason) { note(func() { g.turned = append(g.turned, r) }) },
		SteppedDown: func(_ llm.ModelID, to string) { note(func() { g.down = append(g.down, to) }) },
		Settled:     func(r Record) { note(func() { g.settled = append(g.settled, r) }) },
	}})
	return g
}

// ask sends a request in the background and gives its error when it has ended.
func (g *gated) ask(ctx context.Context, req *llm.Request, seen func(llm.Event)) <-chan error {
	done := make(chan error, 1)
	if req.Model == "" {
		req.Model = "m"
	}
	req.N, req.Shape.Prompt, req.Arrived = 1, 10, time.Now()
	if req.Limits.MaxTokens == 0 {
		req.Limits.MaxTokens = 10
	}
	go func() {
		_, err := g.Run(ctx, req, func(e llm.Event) error {
			if seen != nil {
				seen(e)
			}
			return nil
		})
		done <- err
	}()
	synctest.Wait()
	return done
}

// empty checks that nothing is left in the gates.
func (g *gated) empty(t *testing.T) {
	t.Helper()
	synctest.Wait()
	g.gates.Range(func(id, v any) bool {
		for _, e := range v.(*gate).state().Endpoints {
			if e.Running != 0 || e.Prefill != 0 {
				t.Errorf("%s holds %d requests of %s", e.ID, e.Running, id)
			}
		}
		return true
	})
}

func TestARequestWaitsForRoomAndHigherClassesGoFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := behindAGate(t, 1, nil)
		var ends []<-chan error
		for i, class := range []llm.Class{llm.ClassStandard, llm.ClassStandard, llm.ClassInteractive} {
			ends = append(ends, g.ask(t.Context(), &llm.Request{ID: fmt.Sprint(i), Stream: true, Class: class}, nil))
		}
		for i, e := range ends {
			if err := <-e; err != nil {
				t.Errorf("request %d: %v", i, err)
			}
		}
		if g.m.most != 1 || !slices.Equal(g.m.order, []string{"0", "2", "1"}) {
			t.Errorf("the engine had %d at once, in the order %v", g.m.most, g.m.order)
		}
		g.empty(t)
	})
}

func TestWhatWouldComeTooLateIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := behindAGate(t, 1, nil)
		for i := range 4 { // the engine's pace is learnt
			if err := <-g.ask(t.Context(), &llm.Request{ID: fmt.Sprint("before-", i), Stream: true}, nil); err != nil {
				t.Fatal(err)
			}
		}
		var ends []<-chan error
		for i := range 20 {
			ends = append(ends, g.ask(t.Context(), &llm.Request{ID: fmt.Sprint(i), Stream: true}, nil))
		}
		came := time.Now()
		refused, answered := 0, 0
		for i, e := range ends {
			select {
			case err := <-e:
				refused++
				f := llm.AsError(err)
				if f.Kind != llm.Overloaded || f.Reason != llm.ReasonLate || f.RetryAfter < time.Second || f.RetryAfter > time.Minute || !strings.Contains(f.Message, "busy") {
					t.Errorf("request %d: %+v", i, f)
				}
				if !time.Now().Equal(came) {
					t.Errorf("request %d was refused after %s", i, time.Since(came))
				}
			default:
				if err := <-e; err == nil {
					answered++
				}
				came = time.Now()
			}
		}
		if refused < 15 || answered < 2 {
			t.Errorf("%d were refused, %d answered", refused, answered)
		}
		g.empty(t)
	})
}

func TestAClientThatLeavesTheQueueMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := behindAGate(t, 1, nil)
		first := g.ask(t.Context(), &llm.Request{ID: "first", Stream: true}, nil)
		ctx, leave := context.WithCancel(t.Context())
		second := g.ask(ctx, &llm.Request{ID: "second", Stream: true}, nil)
		third := g.ask(t.Context(), &llm.Request{ID: "third", Stream: true}, nil)
		leave()
		if err := <-second; llm.AsError(err).Kind != llm.Canceled {
			t.Errorf("the one that left: %v", err)
		}
		if err := <-first; err != nil {
			t.Error(err)
		}
		if err := <-third; err != nil || !slices.Equal(g.m.order, []string{"first", "third"}) {
			t.Errorf("%v, the engine saw %v", err, g.m.order)
		}
		g.empty(t)
	})
}

func TestAStreamHearsWhereItWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := behindAGate(t, 1, nil)
		first := g.ask(t.Context(), &llm.Request{ID: "first", Stream: true}, nil)
		var kinds []llm.EventKind
		var where []llm.Queue
		second := g.ask(t.Context(), &llm.Request{ID: "second", Stream: true, Queue: true}, func(e llm.Event) {
			kinds = append(kinds, e.Kind)
			if e.Kind == llm.EventQueued {
				where = append(where, *e.Queue)
			}
		})
		if err := <-first; err != nil {
			t.Error(err)
		}
		if err := <-second; err != nil {
			t.Error(err)
		}
		if len(kinds) < 3 || kinds[0] != llm.EventQueued || len(where) == 0 || where[0].Position != 0 || where[len(where)-1].Wait < 0 || where[len(where)-1].Wait > time.Second {
			t.Errorf("the stream heard %v, %+v", kinds, where)
		}
		g.empty(t)
	})
}

func TestAStartByThatPassesEndsTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := behindAGate(t, 1, nil)
		first := g.ask(t.Context(), &llm.Request{ID: "first", Stream: true}, nil)
		second := g.ask(t.Context(), &llm.Request{ID: "second", Stream: true, StartBy: time.Now().Add(300 * time.Millisecond)}, nil)
		err := <-second
		f := llm.AsError(err)
		if f.Kind != llm.StartTimeout && !(f.Kind == llm.Overloaded && f.Reason == llm.ReasonLate) {
			t.Errorf("the one that could not start in time: %v", err)
		}
		if err := <-first; err != nil {
			t.Error(err)
		}
		g.empty(t)
	})
}

func TestALadderIsSteppedDownRatherThanRefuse(t *testing.T) {
	t.Parallel()
	check := func(always, asks bool, down int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			g := behindAGate(t, 1, func(m *registry.Model) {
				m.Ladder = registry.Ladder{Rungs: []registry.Rung{{Model: "n", Quality: 0.9}}, Always: always, Floor: 0.5, Dwell: time.Second, Tokens: 5}
			})
			for i := range 4 {
				if err := <-g.ask(t.Context(), &llm.Request{ID: fmt.Sprint("before-", i), Stream: true}, nil); err != nil {
					t.Fatal(err)
				}
			}
			var places sync.Map
			var ends []<-chan error
			for i := range 5 {
				ends = append(ends, g.ask(t.Context(), &llm.Request{ID: fmt.Sprint(i), Stream: true, Variants: asks}, func(e llm.Event) {
					if e.Kind == llm.EventPlaced {
						places.Store(i, *e.Place)
					}
				}))
			}
			for _, e := range ends {
				<-e
			}
			fewer := 0
			places.Range(func(_, v any) bool {
				p := v.(llm.Place)
				if p.Variant == "n" {
					fewer++
					if !slices.Contains(p.Degraded, "max_tokens") || p.Model != "n" {
						t.Errorf("the rung below tells %+v", p)
					}
				} else if p.Variant != "m" {
					t.Errorf("a place tells the variant %q", p.Variant)
				}
				return true
			})
			if (fewer > 0) != (down > 0) {
				t.Errorf("always %v, asked %v: %d stepped down (%v)", always, asks, fewer, g.down)
			}
			g.empty(t)
		})
	}
	check(false, true, 1)
	check(true, false, 1)
	check(false, false, 0)
}

// TestAnEndpointThatIsFullKeepsItsWaiters: one answer that says so must not close the model to those who wait.
func TestAnEndpointThatIsFullKeepsItsWaiters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := behindAGate(t, 2, nil)
		var full sync.Once
		engine := g.m
		busy := fakeRunner(func(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
			var err error
			full.Do(func() {
				err = &llm.Error{Kind: llm.Overloaded, Fault: llm.FaultBusy, RetryAfter: 500 * time.Millisecond}
			})
			if err != nil {
				return llm.Usage{}, err
			}
			return engine.Run(ctx, req, emit)
		})
		var all fleet.Fleet
		if err := all.Set(map[llm.ModelID][]*fleet.Endpoint{"m": {fleet.New(fleet.Spec{ID: "e", Runner: busy, Slots: 2})}}); err != nil {
			t.Fatal(err)
		}
		g.Pipeline.fleet = &all
		var ends []<-chan error
		for i := range 4 {
			ends = append(ends, g.ask(t.Context(), &llm.Request{ID: fmt.Sprint(i), Stream: true}, nil))
		}
		failed := 0
		for i, e := range ends {
			if err := <-e; err != nil {
				failed++
				if f := llm.AsError(err); f.Kind == llm.NoEndpoint {
					t.Errorf("request %d: %v", i, err)
				}
			}
		}
		if failed > 1 {
			t.Errorf("%d of 4 failed for one that was told that the endpoint is full", failed)
		}
		g.empty(t)
	})
}

// TestALadderMakesOnlyLess: what a request asks for is never made more of, nor less than it must have.
func TestALadderMakesOnlyLess(t *testing.T) {
	t.Parallel()
	g := behindAGate(t, 1, nil)
	l := &registry.Ladder{Tokens: 100, Effort: "low"}
	check := func(req llm.Request, tokens int, effort string, degraded ...string) {
		t.Helper()
		a := &answer{req: &req}
		g.lessen(l, &registry.Model{ID: "m"}, a)
		if a.req.Limits.MaxTokens != tokens || a.req.Template.ReasoningEffortHint != effort || !slices.Equal(a.degraded, degraded) {
			t.Errorf("%+v became %d tokens, effort %q, told %q", req.Limits, a.req.Limits.MaxTokens, a.req.Template.ReasoningEffortHint, a.degraded)
		}
	}
	check(llm.Request{Limits: llm.Limits{MaxTokens: 500}}, 100, "low", "max_tokens", "reasoning_effort")
	check(llm.Request{Limits: llm.Limits{MaxTokens: 50}, Template: llm.Template{ReasoningEffortHint: "none"}}, 50, "none")
	check(llm.Request{Limits: llm.Limits{MaxTokens: 500, MinTokens: 200}, Template: llm.Template{ReasoningEffortHint: "minimal"}}, 500, "minimal")
	body := []byte(`{"max_tokens":0,"reasoning_effort":"none"}`)
	fields, err := openai.Fields(body)
	if err != nil {
		t.Fatal(err)
	}
	check(llm.Request{Body: body, Fields: fields, Lazy: llm.NewLazy(nil)}, 0, "")
}
