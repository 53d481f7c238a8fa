package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// writer is the one that writes to a database file.
//
// The problem: a durable write waits for the disk to sync, 0.1 to 10 ms, and SQLite lets one transaction at a time write. One
// transaction a call therefore gives 1/sync writes a second, however many callers there are.
//
// Group commit: what waits goes into one transaction, one sync makes it durable, and all are answered. While the disk syncs, the next
// group gathers by itself, so the load decides the size: a lone caller is a group of one and waits for nothing but its own sync.
//
// One more wait pays: callers that were answered together come back together, but the first of them would start a group of its own, and
// all others would wait for its sync. So a group that begins smaller than the one before waits for as many as that had, but for half
// the time of a commit at most, and never longer than waitMax: longer than a sync saves is never worth waiting. After a group of one
// there is no wait at all.
//
// Each request has a savepoint, so that one that fails leaves the others as they are. Where the transaction itself is lost (the disk is
// full), each request is tried again alone, and answered for itself. A disk that fails to sync ends the writer: what the system
// still holds in memory can no longer be told from what is on the disk, and a later sync that succeeds proves nothing about it.
type writer struct {
	path     string
	most     int           // requests in a group
	patience time.Duration // with another process
	conn     *sql.Conn
	tx       tx
	queue    chan *request
	changed  chan struct{} // a signal when another process has written; at most one waits
	ended    chan struct{}
	metrics  *metrics

	gate struct {
		sync.RWMutex // held to send, so that nobody sends after the close
		closed       bool
	}

	// The writer's goroutine alone has these.
	group   []*request
	last    int           // requests in the last group
	took    time.Duration // its commit
	version int64         // SQLite's data_version
	broken  error
}

const (
	// groupMax: 256 requests of a few rows take some 5 ms, about what a slow disk's sync takes; beyond it a sync costs each of them
	// less than its own rows do, and a larger group would only let the first wait longer.
	groupMax = 256
	// waitMax is the longest wait for a group to fill: on a disk that syncs in more than 4 ms, a wait that people do not notice.
	waitMax = 2 * time.Millisecond
	// queueMax bounds the writes that wait: a quarter of a second at the speed of a good disk. Longer queues only turn errors that come
	// at once into errors that come late.
	queueMax = 4096
	// changeEvery is how often a change by another process is looked for. One look takes some 10 µs.
	changeEvery = 500 * time.Millisecond
)

// request is one call of write. Its caller and the writer agree by state who has it.
type request struct {
	do    func(*tx) error
	state atomic.Int32
	err   error
	done  chan error // has room for the answer
}

const (
	waiting int32 = iota
	taken         // the writer answers it
	left          // its caller has gone, and it is not begun
)

func newWriter(c *sql.Conn, path string, o Options, m *metrics) *writer {
	w := &writer{path: path, conn: c, most: cmp.Or(o.group, groupMax), patience: cmp.Or(o.patience, busyMax), queue: make(chan *request, cmp.Or(o.queue, queueMax)), changed: make(chan struct{}, 1), ended: make(chan struct{}), metrics: m}
	w.tx = tx{conn: c, prepared: map[string]*sql.Stmt{}}
	w.version, _ = w.dataVersion()
	m.waiting(func() float64 { return float64(len(w.queue)) })
	go w.run()
	return w
}

func (w *writer) write(ctx context.Context, do func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{do: do, done: make(chan error, 1)}
	if err := w.send(r); err != nil {
		return err
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		if r.state.CompareAndSwap(waiting, left) {
			return fmt.Errorf("%s: not saved, as it waited for too long: %w", w.path, ctx.Err())
		}
		return <-r.done
	}
}

func (w *writer) send(r *request) error {
	w.gate.RLock()
	defer w.gate.RUnlock()
	if w.gate.closed {
		return fmt.Errorf("%s: %w", w.path, ErrClosed)
	}
	select {
	case w.queue <- r:
		return nil
	default:
		w.metrics.refused()
		return fmt.Errorf("%s: %w: %d of %d; try again in a second, or use a faster disk", w.path, ErrFull, len(w.queue), cap(w.queue))
	}
}

// close lets the writer finish what waits, and ends it.
func (w *writer) close() error {
	w.gate.Lock()
	w.gate.closed = true
	close(w.queue)
	w.gate.Unlock()
	<-w.ended
	close(w.changed)
	var errs []error
	if w.broken == nil {
		// The log goes into the file, so that the file alone is a whole copy. Where a guest reads, some of the log stays.
		_, err := w.conn.ExecContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)")
		if err != nil && !busy(err) {
			errs = append(errs, explain(w.path, err))
		}
	}
	return errors.Join(append(errs, w.tx.close(), w.conn.Close())...)
}

func (w *writer) run() {
	defer close(w.ended)
	tick := time.NewTicker(changeEvery)
	defer tick.Stop()
	for {
		select {
		case r, open := <-w.queue:
			if !open {
				return
			}
			w.gather(r)
			w.commit()
		case <-tick.C:
			w.look()
		}
	}
}

// gather makes the next group, of first and what waits behind it.
func (w *writer) gather(first *request) {
	w.group = append(w.group[:0], first)
	w.drain()
	if want := w.last; len(w.group) < want {
		w.await(want)
	}
	w.last = len(w.group)
}

// drain takes what waits, and nothing that is yet to come.
func (w *writer) drain() {
	for len(w.group) < w.most {
		select {
		case r, open := <-w.queue:
			if !open {
				return
			}
			w.group = append(w.group, r)
		default:
			return
		}
	}
}

// await takes what comes until the group has want requests, for a part of the time that a commit takes.
func (w *writer) await(want int) {
	timer := time.NewTimer(min(waitMax, w.took/2))
	defer timer.Stop()
	for len(w.group) < want {
		select {
		case r, open := <-w.queue:
			if !open {
				return
			}
			w.group = append(w.group, r)
		case <-timer.C:
			return
		}
	}
}

// commit writes the group and answers it.
func (w *writer) commit() {
	live := w.group[:0]
	for _, r := range w.group {
		if r.state.CompareAndSwap(waiting, taken) {
			live = append(live, r)
		}
	}
	if len(live) == 0 {
		return
	}
	began := time.Now()
	if w.broken == nil && !w.together(live) {
		for _, r := range live {
			w.alone(r)
		}
	}
	w.took = time.Since(began)
	w.metrics.wrote(len(live), w.took)
	for i, r := range live {
		if w.broken != nil && r.err == nil {
			r.err = w.broken
		}
		r.done <- r.err
		live[i] = nil // the group's memory outlives it
	}
}

// look signals a change by another process. The connection's data version changes with the writes of others alone.
func (w *writer) look() {
	v, err := w.dataVersion()
	if err != nil || v == w.version {
		return
	}
	w.version = v
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *writer) dataVersion() (v int64, err error) {
	row, err := w.tx.row("PRAGMA data_version")
	if err == nil {
		err = row.Scan(&v)
	}
	return v, err
}
