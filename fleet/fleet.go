// Package fleet knows the endpoints that answer for models: whether they are well, what of our own work they hold, how fast they have
// been, and what they report of themselves. It keeps facts and never decides: who is asked next, and who is left out, is package route's.
//
// Control writes the list of endpoints whole and data reads it: an immutable snapshot behind an atomic pointer. An Endpoint's own facts
// are under its own lock, held for a few additions. A Watcher owns one goroutine an endpoint, a Discovery one for its source;
// everything else runs on its caller's. Time comes in as an argument, but to these two, so that the same code runs in virtual time.
package fleet

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/weir-ai/weir/llm"
)

// Fleet holds the endpoints of every model. The zero value is empty and ready.
type Fleet struct {
	current atomic.Pointer[map[llm.ModelID][]*Endpoint]
	mu      struct {
		sync.Mutex
		listeners []func()
	}
}

const (
	// endpointsMax bounds one model's endpoints: the largest fleets that one gateway fronts have some hundreds of replicas, and a choice
	// among more than a thousand would cost more than it gains.
	endpointsMax = 1024
)

// Set replaces the endpoints of all models at once and tells the listeners. An Endpoint that is in both lists keeps what is known of it.
// Two endpoints of one name under a model, or too many of them, change nothing and are an error.
func (f *Fleet) Set(endpoints map[llm.ModelID][]*Endpoint) error {
	next := make(map[llm.ModelID][]*Endpoint, len(endpoints))
	for model, list := range endpoints {
		if len(list) > endpointsMax {
			return fmt.Errorf("fleet: model %q has %d endpoints; %d at most", model, len(list), endpointsMax)
		}
		seen := make(map[llm.EndpointID]bool, len(list))
		for _, e := range list {
			if seen[e.ID()] {
				return fmt.Errorf("fleet: model %q has two endpoints named %q; give one of them another name", model, e.ID())
			}
			seen[e.ID()] = true
		}
		next[model] = append([]*Endpoint(nil), list...)
	}
	f.current.Store(&next)
	f.mu.Lock()
	listeners := f.mu.listeners
	f.mu.Unlock()
	for _, tell := range listeners {
		tell()
	}
	return nil
}

// Endpoints gives a model's endpoints in their configured order. The caller must not change the slice.
func (f *Fleet) Endpoints(model llm.ModelID) []*Endpoint {
	if m := f.current.Load(); m != nil {
		return (*m)[model]
	}
	return nil
}

// Each calls do for every endpoint of every model.
func (f *Fleet) Each(do func(llm.ModelID, *Endpoint)) {
	m := f.current.Load()
	if m == nil {
		return
	}
	for model, list := range *m {
		for _, e := range list {
			do(model, e)
		}
	}
}

// Changed has tell called after every Set, on the goroutine of who set. It cannot be taken back: listeners live as long as the fleet.
func (f *Fleet) Changed(tell func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.listeners = append(f.mu.listeners, tell)
}
