package serve

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/registry"
)

// hedging is a pipeline over two endpoints of a model that hedges after a second; they take turns in being first by how long each waits
// before it speaks.
func hedging(t *testing.T, waits map[llm.EndpointID]time.Duration, run func(id llm.EndpointID) fakeRunner) (*Pipeline, *[]Visit, *fleet.Fleet) {
	t.Helper()
	var names registry.Registry
	if err := names.Set([]registry.Model{{ID: "m", Hedge: time.Second}}); err != nil {
		t.Fatal(err)
	}
	var list []*fleet.Endpoint
	for id, wait := range waits {
		answers := run(id)
		list = append(list, fleet.New(fleet.Spec{ID: id, Slots: 256, Runner: fakeRunner(func(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
			if err := emit(llm.Event{Kind: llm.EventFrame, Frame: []byte("role of " + id)}); err != nil {
				return llm.Usage{}, err
			}
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return llm.Usage{}, ctx.Err()
			}
			return answers(ctx, req, emit)
		})}))
	}
	all := &fleet.Fleet{}
	if err := all.Set(map[llm.ModelID][]*fleet.Endpoint{"m": list}); err != nil {
		t.Fatal(err)
	}
	visits, mu := &[]Visit{}, sync.Mutex{}
	return New(&names, all, Options{Report: Listener{Visited: func(v Visit) {
		mu.Lock()
		defer mu.Unlock()
		*visits = append(*visits, v)
	}}}), visits, all
}

func speaks(id llm.EndpointID) fakeRunner {
	return func(_ context.Context, _ *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		for i := range 3 {
			if err := emit(llm.Event{Kind: llm.EventDelta, Text: fmt.Sprint(id, i, " ")}); err != nil {
				return llm.Usage{}, err
			}
		}
		return llm.Usage{CompletionTokens: 3}, nil
	}
}

// atRest fails the test unless no endpoint holds anything.
func atRest(t *testing.T, all *fleet.Fleet) {
	t.Helper()
	for _, e := range all.Endpoints("m") {
		if f := e.Facts(time.Now()); f.Running != 0 || f.Prefill != 0 || f.Decoding != 0 {
			t.Errorf("%s holds %+v", e.ID(), f)
		}
	}
}

func TestTheFasterOfTwoAnswers(t *testing.T) {
	t.Parallel()
	for _, waits := range []map[llm.EndpointID]time.Duration{{"slow": time.Minute, "fast": time.Millisecond}, {"slow": 10 * time.Second, "fast": 3 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			p, visits, all := hedging(t, waits, speaks)
			for range 4 {
				text, place, began := "", llm.Place{}, time.Now()
				_, err := p.Run(t.Context(), stream(1), func(e llm.Event) error {
					switch e.Kind {
					case llm.EventPlaced:
						place = *e.Place
					case llm.EventFrame:
						text += string(e.Frame) + " "
					}
					text += e.Text
					return nil
				})
				if err != nil || text != "role of fast fast0 fast1 fast2 " || place.Endpoint != "fast" {
					t.Fatalf("got %q from %s, %v", text, place.Endpoint, err)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("it took %s", took)
				}
			}
			synctest.Wait()
			atRest(t, all)
			for _, v := range *visits {
				if v.Endpoint == "slow" && v.Outcome != "hedged" || v.Endpoint == "fast" && v.Outcome != "ok" {
					t.Errorf("visit %+v", v)
				}
			}
		})
	}
}

func TestAHedgedRequestFailsAsOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, _, all := hedging(t, map[llm.EndpointID]time.Duration{"a": 2 * time.Second, "b": 2 * time.Second}, func(llm.EndpointID) fakeRunner { return failing(llm.Invalid, 0) })
		if _, err := p.Run(t.Context(), stream(1), func(llm.Event) error { return nil }); llm.AsError(err).Kind != llm.Invalid {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		atRest(t, all)
	})
}

func TestAHedgedClientThatLeavesEndsBoth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, _, all := hedging(t, map[llm.EndpointID]time.Duration{"a": time.Hour, "b": time.Hour}, speaks)
		ctx, leave := context.WithTimeout(t.Context(), 5*time.Second)
		defer leave()
		if _, err := p.Run(ctx, stream(1), func(llm.Event) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		atRest(t, all)
	})
}

func TestAPanicOfAHedgedClientLeavesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, _, all := hedging(t, map[llm.EndpointID]time.Duration{"a": 2 * time.Second, "b": 2 * time.Second}, speaks)
		_, err := p.Run(t.Context(), stream(1), func(e llm.Event) error {
			if e.Carries() {
				panic("no more paper")
			}
			return nil
		})
		if llm.AsError(err).Kind != llm.Internal {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		atRest(t, all)
	})
}

// TestHedgingSpendsTheBudget: a fleet that is slow as a whole is not asked twice for every request.
func TestHedgingSpendsTheBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, visits, all := hedging(t, map[llm.EndpointID]time.Duration{"a": 2 * time.Second, "b": 2 * time.Second}, speaks)
		const requests = 200
		var clients sync.WaitGroup
		for range requests {
			clients.Go(func() {
				if _, err := p.Run(t.Context(), stream(1), func(llm.Event) error { return nil }); err != nil {
					t.Error(err)
				}
			})
		}
		clients.Wait()
		synctest.Wait()
		atRest(t, all)
		if n := len(*visits); n <= requests || n > requests*5/4 {
			t.Errorf("%d visits for %d requests", n, requests)
		}
	})
}

// TestTheFirstIsBlamedForItsOwnFault: of two that fail, each has its own end in its account.
func TestTheFirstIsBlamedForItsOwnFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		faults := map[llm.EndpointID]llm.Fault{"a": llm.FaultStatus, "b": llm.FaultBusy}
		p, visits, all := hedging(t, map[llm.EndpointID]time.Duration{"a": 5 * time.Second, "b": 5 * time.Second}, func(id llm.EndpointID) fakeRunner { return failing(llm.Upstream, faults[id]) })
		if _, err := p.Run(t.Context(), stream(1), func(llm.Event) error { return nil }); err == nil {
			t.Error("two that fail answered")
		}
		synctest.Wait()
		atRest(t, all)
		if len(*visits) != 2 {
			t.Fatalf("visits %+v: both were tried, so that nobody is asked again", *visits)
		}
		for _, v := range *visits {
			if v.Outcome != faults[v.Endpoint].String() {
				t.Errorf("visit %+v, want %s", v, faults[v.Endpoint])
			}
		}
	})
}
