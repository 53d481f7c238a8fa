package gateway

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-ai/weir/llm"
)

// TestADrainRefusesNewWorkAndLetsOldEnd is a stop that goes well.
func TestADrainRefusesNewWorkAndLetsOldEnd(t *testing.T) {
	t.Parallel()
	running, release := make(chan struct{}), make(chan struct{})
	b := setup(t, Config{}, func(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		_ = emit(llm.Event{Kind: llm.EventDelta, Text: "begun"})
		running <- struct{}{}
		<-release
		return says("end")(ctx, req, emit)
	})
	old := make(chan reply)
	go func() { old <- b.ask(t, "POST", "/v1/chat/completions", streamBody) }()
	<-running
	b.Drain()
	b.Drain()
	r := b.ask(t, "POST", "/v1/chat/completions", chatBody)
	r.wants(t, 503, "draining", "stopping")
	if r.header.Get("Connection") != "close" || r.header.Get("Retry-After") != "1" || r.header.Get("Retry-After-Ms") != "1000" {
		t.Errorf("the refusal has header %v", r.header)
	}
	if r := b.ask(t, "GET", "/readyz", ""); r.status != 503 || !strings.Contains(r.body, "draining") {
		t.Errorf("readyz: %d %s", r.status, r.body)
	}
	if r := b.ask(t, "GET", "/healthz", ""); r.status != 200 {
		t.Errorf("healthz: %d", r.status)
	}
	if r := b.ask(t, "GET", "/v1/models", ""); r.status != 200 || r.header.Get("Connection") != "close" {
		t.Errorf("models: %d %v", r.status, r.header)
	}
	if n := b.InFlight(); n != 1 {
		t.Errorf("%d run", n)
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := b.Wait(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("wait gives %v while one runs", err)
	}
	close(release)
	if err := b.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	if r := <-old; r.status != 200 || !strings.HasSuffix(r.body, "[DONE]\n\n") {
		t.Errorf("the running stream ended with %q", r.body)
	}
}

// TestACutTellsItsClients is a stop whose grace is over.
func TestACutTellsItsClients(t *testing.T) {
	t.Parallel()
	check := func(body string, status int) {
		t.Helper()
		running := make(chan struct{})
		b := setup(t, Config{}, func(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
			_ = emit(llm.Event{Kind: llm.EventDelta, Text: "begun"})
			close(running)
			<-ctx.Done()
			return llm.Usage{}, ctx.Err()
		})
		got := make(chan reply)
		go func() { got <- b.ask(t, "POST", "/v1/chat/completions", body) }()
		<-running
		b.Drain()
		b.Cut()
		r := <-got
		frames := r.frames()
		reply{r.status, nil, frames[len(frames)-1]}.wants(t, status, "draining", "cut")
		if err := b.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		waitFor(t, func() bool { return strings.Contains(b.access.String(), `"outcome":"draining"`) })
	}
	check(streamBody, 200)
	check(chatBody, 503)
}

func TestReadyTellsTheReason(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, says("x"))
	if r := b.ask(t, "GET", "/readyz", ""); r.status != 200 || r.body != `{"status":"ready"}` {
		t.Errorf("%d %s", r.status, r.body)
	}
	b.ready = errors.New(`the engine "stopped"`)
	if r := b.ask(t, "GET", "/readyz", ""); r.status != 503 || !strings.Contains(r.body, `the engine \"stopped\"`) {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// TestManyWaitAndNoneIsMissed: the count and its waiters under contention, for the race detector.
func TestManyWaitAndNoneIsMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r running
		for range 50 {
			if !r.enter() {
				t.Fatal("refused")
			}
		}
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				if err := r.wait(context.Background()); err != nil || r.count() != 0 {
					t.Errorf("%v, %d run", err, r.count())
				}
			})
		}
		synctest.Wait()
		r.drain()
		for range 50 {
			all.Go(func() {
				if r.enter() {
					t.Error("let in while draining")
				}
				time.Sleep(time.Second)
				r.leave()
			})
		}
		all.Wait()
	})
}
