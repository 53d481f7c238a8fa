package flood

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// The client speaks just enough HTTP/1.1 for one POST at a time on a connection. net/http keeps two goroutines for each connection and
// allocates twice as much for each request (BenchmarkRefused); on the two cores that the server under test needs, too, the generator
// must not be the flood, and ten thousand open streams should be ten thousand goroutines and not thirty.

const (
	// bufferSize holds a head or a few frames. Ten thousand open streams have two each.
	bufferSize = 4 << 10
	// headLinesMax and lineMax bound what a server can make us read for one head or frame.
	headLinesMax = 256
	lineMax      = 1 << 20
	// idleFor is how long a connection is kept unused: less than the usual keep-alive of servers.
	idleFor = 20 * time.Second
	// dialTimeout bounds a connection's start; the request's own timeout does, too.
	dialTimeout = 10 * time.Second
)

// conn is one connection of the pool.
type conn struct {
	net.Conn
	in    *bufio.Reader
	since time.Time // when it was last given back
	used  bool      // it has carried a request before
}

// pool keeps connections that wait for a request, the youngest on top, because that is the likeliest to be alive.
type pool struct {
	address string
	tls     *tls.Config // nil: plain
	mu      struct {
		sync.Mutex
		idle   []*conn
		closed bool
	}
}

// get takes a connection that waits, or makes one.
func (p *pool) get(ctx context.Context, fresh bool, deadline time.Time) (*conn, error) {
	if !fresh {
		p.mu.Lock()
		for len(p.mu.idle) > 0 {
			c := p.mu.idle[len(p.mu.idle)-1]
			p.mu.idle = p.mu.idle[:len(p.mu.idle)-1]
			if time.Since(c.since) > idleFor {
				_ = c.Close()
				continue
			}
			p.mu.Unlock()
			return c, nil
		}
		p.mu.Unlock()
	}
	d := net.Dialer{Timeout: dialTimeout, Deadline: deadline}
	raw, err := d.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return nil, err
	}
	if p.tls != nil {
		_ = raw.SetDeadline(deadline)
		secure := tls.Client(raw, p.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, err
		}
		raw = secure
	}
	return &conn{Conn: raw, in: bufio.NewReaderSize(raw, bufferSize)}, nil
}

// put gives a connection back whose last answer was read to its end.
func (p *pool) put(c *conn) {
	c.used, c.since = true, time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed {
		_ = c.Close()
		return
	}
	p.mu.idle = append(p.mu.idle, c)
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.closed = true
	for _, c := range p.mu.idle {
		_ = c.Close()
	}
	p.mu.idle = nil
}

// head is what counts of an answer's head.
type head struct {
	status     int
	retryAfter time.Duration // 0: none
	reason     string        // x-weir-reason
	length     int64         // of the body; -1: not told
	chunked    bool
	stream     bool // text/event-stream
	close      bool
}

var errHead = errors.New("an answer that is no HTTP/1.1")

// readHead reads the head of an answer; interim answers (1xx) are passed over.
func (c *conn) readHead() (head, error) {
	for {
		h, err := c.readOneHead()
		if err != nil || h.status >= 200 {
			return h, err
		}
	}
}

func (c *conn) readOneHead() (h head, err error) {
	h.length = -1
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return h, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return h, fmt.Errorf("%w: %.40q", errHead, line)
	}
	if h.status, err = strconv.Atoi(string(line[9:12])); err != nil || h.status < 100 {
		return h, fmt.Errorf("%w: %.40q", errHead, line)
	}
	h.close = line[7] == '0'
	for range headLinesMax {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return h, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return h, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		h.field(name, bytes.TrimSpace(value))
	}
	return h, fmt.Errorf("%w: more than %d lines", errHead, headLinesMax)
}

// field takes one line of a head.
func (h *head) field(name, value []byte) {
	is := func(s string) bool { return len(name) == len(s) && bytes.EqualFold(name, []byte(s)) }
	switch {
	case is("content-length"):
		if n, err := strconv.ParseInt(string(value), 10, 64); err == nil && n >= 0 {
			h.length = n
		}
	case is("transfer-encoding"):
		h.chunked = bytes.EqualFold(value, []byte("chunked"))
	case is("content-type"):
		h.stream = bytes.HasPrefix(value, []byte("text/event-stream"))
	case is("connection"):
		h.close = h.close || bytes.EqualFold(value, []byte("close"))
	case is("x-weir-reason"):
		h.reason = string(value)
	case is("retry-after-ms"): // the finer of the two, whichever comes first
		if ms, err := strconv.ParseFloat(string(value), 64); err == nil && ms > 0 {
			h.retryAfter = time.Duration(ms * float64(time.Millisecond))
		}
	case is("retry-after"):
		if s, err := strconv.ParseFloat(string(value), 64); err == nil && s > 0 && h.retryAfter == 0 {
			h.retryAfter = time.Duration(s * float64(time.Second))
		}
	}
}

// body reads the body that a head announced.
type body struct {
	c       *conn
	left    int64 // of the chunk or of the whole; -1: until the connection ends
	chunked bool
	done    bool
}

func (c *conn) body(h head) *body {
	b := &body{c: c, left: h.length, chunked: h.chunked}
	if h.chunked {
		b.left = 0
	}
	b.done = !h.chunked && h.length == 0 || h.status == 204 || h.status == 304
	return b
}

// Read implements io.Reader; io.EOF is the body's end, and io.ErrUnexpectedEOF that it was cut.
func (b *body) Read(p []byte) (int, error) {
	if b.done {
		return 0, io.EOF
	}
	if b.chunked && b.left == 0 {
		if err := b.nextChunk(); err != nil {
			return 0, unexpected(err)
		}
		if b.done {
			return 0, io.EOF
		}
	}
	if b.left >= 0 && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.c.in.Read(p)
	if b.left < 0 {
		b.done = errors.Is(err, io.EOF)
		return n, err
	}
	if b.left -= int64(n); b.left > 0 || err != nil {
		return n, unexpected(err)
	}
	if !b.chunked {
		b.done = true
		return n, nil
	}
	_, err = b.c.in.Discard(2) // the line's end after a chunk
	return n, unexpected(err)
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// nextChunk reads a chunk's length, and after the last one the trailers.
func (b *body) nextChunk() error {
	line, err := b.c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	size, _, _ := bytes.Cut(bytes.TrimSpace(line), []byte(";"))
	n, err := strconv.ParseInt(string(bytes.TrimSpace(size)), 16, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("a chunk of length %.20q", line)
	}
	if b.left = n; n > 0 {
		return nil
	}
	for range headLinesMax {
		if line, err = b.c.in.ReadSlice('\n'); err != nil {
			return err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			b.done = true
			return nil
		}
	}
	return errors.New("a chunked body with too many trailers")
}
