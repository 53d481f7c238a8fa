package tenant

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/weir-ai/weir/llm"
)

const (
	// errandsMax bounds the changes that wait for shared counters: some 30 MB. What is dropped beyond is a reservation's rest, which
	// stays charged until its lease runs out.
	errandsMax = 65_536
	// errandsBatch is how many go in one call.
	errandsBatch = 256
	// errandsRetry is how often changes that could not be made are tried again.
	errandsRetry = time.Second
)

// errands are the changes that shared counters have still to be told, in the order of each lease, so that no answer waits for them; and the
// leases that they hold for this process.
type errands struct {
	mu struct {
		sync.Mutex
		queue []Change
		// stuck changes failed, and wait for their server. What comes later of the same lease waits behind them: an end that overtook a
		// growth would give back what was never taken.
		stuck  []Change
		behind map[Lease]struct{} // the leases of stuck
		leases map[Lease]llm.TenantID
	}
	wake    chan struct{}
	dropped func() // a change went lost
}

func (e *errands) init() {
	e.wake = make(chan struct{}, 1)
	e.mu.behind, e.mu.leases = map[Lease]struct{}{}, map[Lease]llm.TenantID{}
}

func (e *errands) hold(l Lease, id llm.TenantID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mu.leases[l] = id
}

func (e *errands) release(l Lease) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.mu.leases, l)
}

func (e *errands) held() []Held {
	e.mu.Lock()
	defer e.mu.Unlock()
	held := make([]Held, 0, len(e.mu.leases))
	for l, id := range e.mu.leases {
		held = append(held, Held{id, l})
	}
	return held
}

// add queues a change. Where the queue is full it is dropped: what it would give back stays charged.
func (e *errands) add(c Change) {
	e.mu.Lock()
	full := len(e.mu.queue)+len(e.mu.stuck) >= errandsMax
	if !full {
		e.mu.queue = append(e.mu.queue, c)
	}
	e.mu.Unlock()
	if full {
		e.dropped()
		return
	}
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// batch takes the next changes; those behind a stuck one are put with it.
func (e *errands) batch() []Change {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []Change
	taken := 0
	for _, c := range e.mu.queue {
		if len(out) == errandsBatch {
			break
		}
		taken++
		if _, waits := e.mu.behind[c.Lease]; waits {
			e.mu.stuck = append(e.mu.stuck, c)
		} else {
			out = append(out, c)
		}
	}
	if e.mu.queue = e.mu.queue[taken:]; len(e.mu.queue) == 0 {
		e.mu.queue = nil // else the memory of the longest queue stays
	}
	return out
}

// retry puts what is stuck in front of the queue again.
func (e *errands) retry() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.mu.stuck) > 0 {
		e.mu.queue, e.mu.stuck = slices.Concat(e.mu.stuck, e.mu.queue), nil
		clear(e.mu.behind)
	}
}

// stick puts a change by that failed.
func (e *errands) stick(c Change) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mu.stuck = append(e.mu.stuck, c)
	e.mu.behind[c.Lease] = struct{}{}
}

func (e *errands) isBehind(l Lease) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, behind := e.mu.behind[l]
	return behind
}

// waiting is how many changes there are to tell.
func (e *errands) waiting() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.mu.queue) + len(e.mu.stuck)
}

// runErrands tells shared counters what has changed, until ctx ends.
func (b *Book) runErrands(ctx context.Context) {
	again := time.NewTicker(errandsRetry)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.errand.wake:
		case <-again.C:
			b.errand.retry()
		}
		b.send(ctx)
	}
}

// send tells what is queued. A batch that fails is told one by one, as some of it may concern a server that is away and the rest may not; what
// fails then waits.
func (b *Book) send(ctx context.Context) {
	for ctx.Err() == nil {
		batch := b.errand.batch()
		if len(batch) == 0 {
			return
		}
		err := b.tell(ctx, batch...)
		if err == nil {
			continue
		}
		if ctx.Err() == nil {
			b.metrics.sharedFailures.Inc()
			b.log.Debug("shared limits take no changes; they are tried again every second", "err", err)
		}
		for _, c := range batch {
			if b.errand.isBehind(c.Lease) || b.tell(ctx, c) != nil {
				b.errand.stick(c)
			}
		}
	}
}

// tell makes changes, and lists their tenants as changed.
func (b *Book) tell(ctx context.Context, changes ...Change) error {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := b.shared.Adjust(call, changes); err != nil {
		return err
	}
	s := b.now.Load()
	for _, c := range changes {
		if m := b.find(s, c.Tenant); m != nil {
			b.mark(m)
		}
	}
	return nil
}

// sendAll tells everything, once more what is stuck: the process ends.
func (b *Book) sendAll(ctx context.Context) error {
	b.errand.retry()
	b.send(ctx)
	if n := b.errand.waiting(); n > 0 {
		return llm.Errorf(llm.Internal, "%d settlements could not be told to shared limits; what they reserved stays charged", n)
	}
	return nil
}
