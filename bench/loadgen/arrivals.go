package main

import (
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// arrivals are the open loop. One goroutine schedules; it writes a request on an idle connection, dials another one, or puts the arrival
// into the backlog. Each connection has a goroutine that reads its answers, and takes from the backlog before it goes idle.
type arrivals struct {
	*load
	outstanding atomic.Int64 // requests sent and not answered

	mu struct {
		sync.Mutex
		idle        []*connection // the one used last is used next
		connections int           // idle, in use or being dialled; connectionsMax at most
		backlog     []time.Time   // scheduled arrivals; bounded by rate and the time of the run
	}
}

func newArrivals(l *load) *arrivals { return &arrivals{load: l} }

// drainMax is how long the schedule waits for answers after its last arrival.
const drainMax = 15 * time.Second

// schedule makes the arrivals of the run, on a thread of its own, so that the sleeps are precise.
func (a *arrivals) schedule() {
	runtime.LockOSThread()
	sharpen()
	for next := time.Now(); ; {
		next = next.Add(time.Duration(rand.ExpFloat64() / a.rate * 1e9))
		if next.After(a.end) {
			break
		}
		if d := time.Until(next); d > 5*time.Microsecond {
			pause(d)
		}
		a.arrive(next)
	}
	limit := time.Now().Add(drainMax)
	for a.outstanding.Load() > 0 && time.Now().Before(limit) {
		time.Sleep(5 * time.Millisecond)
	}
	a.stop.Store(true)
	a.recording.Store(false)
	if n := a.outstanding.Load(); n > 0 {
		a.ioErrors.Add(n)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.mu.idle {
		_ = c.net.Close()
	}
}

// arrive finds the arrival a connection.
func (a *arrivals) arrive(at time.Time) {
	a.mu.Lock()
	if n := len(a.mu.idle); n > 0 {
		c := a.mu.idle[n-1]
		a.mu.idle = a.mu.idle[:n-1]
		a.mu.Unlock()
		a.send(c, at)
		return
	}
	defer a.mu.Unlock()
	if a.mu.connections >= a.connectionsMax {
		a.mu.backlog = append(a.mu.backlog, at)
		return
	}
	a.mu.connections++
	go func() {
		c, err := a.target.dial()
		if err != nil {
			a.dialErrors.Add(1)
			a.gone()
			return
		}
		a.send(c, at)
		a.workers.Go(func() { a.follow(c) })
	}()
}

func (a *arrivals) send(c *connection, at time.Time) {
	c.mu.Lock()
	c.mu.scheduled, c.mu.sent = at, time.Now()
	c.mu.Unlock()
	a.outstanding.Add(1)
	_ = c.write() // an error shows at the reader
}

func (a *arrivals) gone() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.connections--
}

// follow reads a connection's answers until it ends.
func (a *arrivals) follow(c *connection) {
	s := newSamples()
	defer func() { a.merge(s) }()
	defer func() { _ = c.net.Close() }()
	for {
		if _, err := c.reader.Peek(1); err != nil { // it waits for the first byte of an answer
			a.lost(c)
			return
		}
		if !a.take(c, s) {
			return
		}
		a.goOn(c)
	}
}

// lost tells an idle connection that the server closed from one that broke under a request.
func (a *arrivals) lost(c *connection) {
	c.mu.Lock()
	busy := !c.mu.scheduled.IsZero()
	c.mu.Unlock()
	if busy {
		a.outstanding.Add(-1)
		if a.recording.Load() {
			a.ioErrors.Add(1)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.connections--
	if i := slices.Index(a.mu.idle, c); i >= 0 && !busy {
		a.mu.idle = slices.Delete(a.mu.idle, i, i+1)
	}
}

// take reads one answer and counts it. It reports whether the connection can be used again.
func (a *arrivals) take(c *connection, s *samples) bool {
	c.mu.Lock()
	scheduled, sent := c.mu.scheduled, c.mu.sent
	c.mu.Unlock()
	status, err := a.read(c, scheduled, s)
	took := time.Since(scheduled)
	a.outstanding.Add(-1)
	if err == nil && a.holds(scheduled) {
		a.codes[status].Add(1)
		if status == http.StatusOK {
			a.ok.Add(1)
			s.latency.add(took)
			if took <= a.objective {
				a.good.Add(1)
			}
		} else {
			a.refused.addShared(took)
		}
		s.sendLag.add(sent.Sub(scheduled))
	}
	if err == nil && !c.closes {
		return true
	}
	if err != nil && a.recording.Load() {
		a.ioErrors.Add(1)
	}
	a.gone()
	return false
}

// goOn sends what waits in the backlog, or makes the connection idle.
func (a *arrivals) goOn(c *connection) {
	a.mu.Lock()
	if len(a.mu.backlog) > 0 {
		at := a.mu.backlog[0]
		a.mu.backlog = a.mu.backlog[1:]
		a.mu.Unlock()
		a.send(c, at)
		return
	}
	defer a.mu.Unlock()
	c.mu.Lock()
	c.mu.scheduled = time.Time{}
	c.mu.Unlock()
	a.mu.idle = append(a.mu.idle, c)
}
