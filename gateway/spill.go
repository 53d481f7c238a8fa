package gateway

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A client that reads slowly must not hold an engine: while a write waits, nobody reads what the engine sends, its socket fills, and
// in the end the engine waits, too. So what the client's socket does not take at once is put aside, in a buffer that is bounded, and
// written by a goroutine of its own, which exists only for clients that are behind. A client whose buffer is full is cut.
//
// The obvious way, a goroutine and a buffer for every stream, costs each token of each client that does read a switch between two
// goroutines.

// spillMax bounds what is put aside for one client: most of the longest answers as frames, so that a client on a slow line gets its
// whole answer while the engine has long gone on. At a tenth, a client that pauses for ten seconds would be cut.
const spillMax = 1 << 20

// errSlow is why a connection was cut whose client is too far behind.
var errSlow = &net.OpError{Op: "write", Err: os.ErrDeadlineExceeded}

// spillListener gives connections that put aside what their clients do not take at once.
type spillListener struct {
	net.Listener
	budget *budget
	behind *behind
	most   int
}

// behind are the clients that are behind.
type behind struct {
	cut atomic.Int64 // clients that were cut
	mu  struct {
		sync.Mutex
		conns map[*spillConn]struct{}
	}
	drains sync.WaitGroup
}

// Listen wraps l so that slow readers hold nothing but a bounded buffer. It goes below TLS.
func (s *Server) Listen(l net.Listener) net.Listener {
	return &spillListener{Listener: l, budget: &s.bodies, behind: &s.behind, most: spillMax}
}

// Flush waits until what was put aside is written, at most until ctx ends, and cuts the clients that are still behind then. It belongs
// after the end of the listeners.
func (s *Server) Flush(ctx context.Context) {
	done := make(chan struct{})
	go func() { s.behind.drains.Wait(); close(done) }()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	s.behind.mu.Lock()
	for c := range s.behind.mu.conns {
		_ = c.Conn.Close()
	}
	s.behind.mu.Unlock()
	<-done
}

func (b *behind) add(c *spillConn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.conns == nil {
		b.mu.conns = map[*spillConn]struct{}{}
	}
	b.mu.conns[c] = struct{}{}
}

func (b *behind) remove(c *spillConn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.mu.conns, c)
}

// Accept is part of net.Listener.
func (l *spillListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	raw, ok := c.(syscall.Conn)
	if !ok || !triesWrite {
		return c, nil
	}
	rc, err := raw.SyscallConn()
	if err != nil {
		return c, nil
	}
	out := &spillConn{Conn: c, raw: rc, l: l}
	out.mu.room = sync.NewCond(&out.mu.Mutex)
	return out, nil
}

// spillConn is one connection. Its goroutine, where there is one, ends when the buffer is empty or the connection is broken.
type spillConn struct {
	net.Conn
	raw     syscall.RawConn
	l       *spillListener
	patient atomic.Bool // what is written is an answer in one piece: its client may be behind by any length, as long as it reads
	mu      struct {
		sync.Mutex
		room     *sync.Cond // told when drain has written a part
		try      attempt
		aside    []byte
		writing  bool  // a goroutine writes aside
		closing  bool  // Close was called: the goroutine closes
		err      error // what broke the connection
		deadline time.Time
	}
}

// Write takes all of p at once, or waits where the client may take its time, or cuts the connection.
func (c *spillConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	if !c.mu.writing && c.mu.err == nil {
		var err error
		if n, err = c.mu.try.write(c.raw, p); err != nil || n == len(p) {
			return n, err
		}
	}
	for n < len(p) {
		part := p[n:min(len(p), n+c.l.most)]
		for c.patient.Load() && c.mu.err == nil && len(c.mu.aside) > 0 && len(c.mu.aside)+len(part) > c.l.most {
			c.mu.room.Wait() // drain's deadlines end this
		}
		if c.mu.err != nil {
			return n, c.mu.err
		}
		if len(c.mu.aside)+len(part) > c.l.most || !c.l.budget.take(int64(len(part))) {
			return n, c.cut()
		}
		c.mu.aside = append(c.mu.aside, part...)
		n += len(part)
		if !c.mu.writing {
			c.mu.writing = true
			c.l.behind.add(c)
			c.l.behind.drains.Go(c.drain)
		}
	}
	return n, nil
}

// cut ends a client that is too far behind.
func (c *spillConn) cut() error {
	c.l.behind.cut.Add(1)
	c.mu.err = errSlow
	_ = c.Conn.Close() // ends the goroutine, too, which gives the budget back
	return errSlow
}

// connKey finds the connection of a request in its context: net/http gives no other way to it.
type connKey struct{}

// withConn puts the connection below TLS into the context of its requests.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn()
	}
	if s, ok := c.(*spillConn); ok {
		return context.WithValue(ctx, connKey{}, s)
	}
	return ctx
}

// patiently lets write take its time with an answer in one piece: it is made, so that no engine waits for who reads it.
func (x *exchange) patiently(write func() error) error {
	if c, ok := x.r.Context().Value(connKey{}).(*spillConn); ok {
		c.patient.Store(true)
		defer c.patient.Store(false)
	}
	return write()
}

// drainPart is how much is written at once of what was put aside: the deadline is for so much.
const drainPart = 64 << 10

// drainWait is how long a client may take nothing at all of it: as long as for any write.
const drainWait = 30 * time.Second

// drain writes what was put aside until nothing is left.
func (c *spillConn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.mu.aside) > 0 && c.mu.err == nil {
		part := append([]byte(nil), c.mu.aside[:min(drainPart, len(c.mu.aside))]...)
		c.mu.Unlock()
		_ = c.Conn.SetWriteDeadline(time.Now().Add(drainWait))
		n, err := c.Conn.Write(part)
		c.mu.Lock()
		c.l.budget.give(int64(n))
		c.mu.aside = c.mu.aside[:copy(c.mu.aside, c.mu.aside[n:])]
		if err != nil && c.mu.err == nil {
			c.mu.err = err
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.l.behind.cut.Add(1)
			}
		}
		c.mu.room.Broadcast()
	}
	c.l.budget.give(int64(len(c.mu.aside)))
	c.mu.aside, c.mu.writing = nil, false
	c.l.behind.remove(c) // before another drain can begin
	c.mu.room.Broadcast()
	if c.mu.closing || c.mu.err != nil {
		_ = c.Conn.Close()
		return
	}
	_ = c.Conn.SetWriteDeadline(c.mu.deadline)
}

// SetWriteDeadline is part of net.Conn. While the goroutine writes, its own deadlines hold.
func (c *spillConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.deadline = t
	if c.mu.writing {
		return nil
	}
	return c.Conn.SetWriteDeadline(t)
}

// Close is part of net.Conn. What was put aside is still written.
func (c *spillConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.closing = true
	if c.mu.writing && c.mu.err == nil {
		return nil
	}
	return c.Conn.Close()
}
