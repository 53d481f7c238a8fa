package local

import (
	"context"
	"runtime/debug"
	"sync"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/serve"
)

// followAll follows several answers at once. Each has a goroutine that waits for its tokens; all events are emitted here, on the
// caller's. Every goroutine has ended when it returns, also by a panic of emit.
func (b *Backend) followAll(ctx context.Context, req *llm.Request, choices []*choice, emit func(llm.Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	events, ends := make(chan llm.Event), make(chan error, len(choices))
	for _, c := range choices {
		running.Go(func() {
			ends <- b.followContained(ctx, req, c, func(e llm.Event) error {
				select {
				case events <- e:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
		})
	}
	var first error
	fail := func(err error) {
		if err != nil && first == nil {
			first = err
			cancel()
		}
	}
	for left := len(choices); left > 0; {
		select {
		case e := <-events:
			if first == nil {
				fail(emit(e))
			}
		case err := <-ends:
			left--
			fail(err)
		}
	}
	return first
}

// followContained is follow on a goroutine of its own, where nobody above would catch a panic: it fails the request, and the error
// has the stack with it as that of a panic on the request's own goroutine does.
func (b *Backend) followContained(ctx context.Context, req *llm.Request, c *choice, emit func(llm.Event) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &llm.Error{Op: "backend/local", Kind: llm.Internal, Err: &serve.Panic{Value: v, Stack: debug.Stack()}}
		}
	}()
	return b.follow(ctx, req, c, emit)
}
