package gateway

import (
	"context"
	"sync"
)

// running counts the requests that have work to do, and refuses new ones once it drains. Counting and refusing share a lock, so
// that after a drain has begun the count only falls.
type running struct {
	mu struct {
		sync.Mutex
		count    int
		draining bool
		none     chan struct{} // closed when count falls to 0; nil where nobody waits
	}
}

// enter counts one more, or refuses it.
func (r *running) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.draining {
		return false
	}
	r.mu.count++
	return true
}

func (r *running) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.count--; r.mu.count == 0 && r.mu.none != nil {
		close(r.mu.none)
		r.mu.none = nil
	}
}

func (r *running) drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.draining = true
}

func (r *running) draining() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.draining
}

func (r *running) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.count
}

// wait returns when nothing runs, or with the error of ctx.
func (r *running) wait(ctx context.Context) error {
	r.mu.Lock()
	if r.mu.count == 0 {
		r.mu.Unlock()
		return nil
	}
	if r.mu.none == nil {
		r.mu.none = make(chan struct{})
	}
	none := r.mu.none
	r.mu.Unlock()
	select {
	case <-none:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
