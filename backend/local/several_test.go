package local

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/registry"
	"github.com/weir-ai/weir/serve"
)

// A panic on the goroutine of one answer of several fails its request and nothing else: the error has the value and the stack, the
// other answers' sequences end, and the backend goes on.
func TestAPanicInOneOfSeveralAnswersFailsTheRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := serving(t, tiny(t), Config{})
		req := long(5000)
		req.N = 3
		prompts, err := b.prompts(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		choices, err := b.submit(req, prompts)
		if err != nil {
			t.Fatal(err)
		}
		choices[1].writer.stream = nil // the first token's text cannot be made
		err = b.followAll(t.Context(), req, choices, func(llm.Event) error { return nil })
		var p *serve.Panic
		if e := llm.AsError(err); e == nil || e.Kind != llm.Internal || !errors.As(err, &p) || !strings.Contains(string(p.Stack), "(*writer).push") {
			t.Errorf("error %v, stack %.2000s", err, p.Stack)
		} else if !strings.Contains(err.Error(), "nil pointer") || strings.Contains(e.Public(), "nil pointer") {
			t.Errorf("the log reads %q, the client %q", err, e.Public())
		}
		for _, c := range choices {
			c.sequence.Cancel()
		}
		rested(t, b)
		if a := ask(t, b, long(3)); a.err != nil {
			t.Errorf("after it: %v", a.err)
		}
	})
}

// A panic of emit is the caller's; the goroutines of the answers end before it goes on, and the pipeline makes one failed request of it.
func TestAPanicOfEmitLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			b := serving(t, tiny(t), Config{})
			var models registry.Registry
			if err := models.Set([]registry.Model{{ID: "m"}}); err != nil {
				t.Fatal(err)
			}
			panics := 0
			var endpoints fleet.Fleet
			if err := endpoints.Set(map[llm.ModelID][]*fleet.Endpoint{"m": {fleet.New(fleet.Spec{ID: "embedded", Runner: b, Embedded: true})}}); err != nil {
				t.Fatal(err)
			}
			pipeline := serve.New(&models, &endpoints, serve.Options{Report: serve.Listener{Panicked: func(*llm.Request, *serve.Panic) { panics++ }}})
			req := long(5000)
			req.Model, req.N = "m", n
			_, err := pipeline.Run(context.WithoutCancel(t.Context()), req, func(llm.Event) error { panic("no more paper") })
			if e := llm.AsError(err); e == nil || e.Kind != llm.Internal || !strings.Contains(err.Error(), "no more paper") || panics != 1 {
				t.Errorf("n=%d: error %v, %d panics", n, err, panics)
			}
			rested(t, b)
		})
	}
}
