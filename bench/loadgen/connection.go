package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// connection is a minimal HTTP/1.1 client connection. One goroutine reads it; in the open loop another one writes it, and mu guards
// the times that both see.
type connection struct {
	target *target
	net    net.Conn
	reader *bufio.Reader
	closes bool   // the server closes it after this answer
	out    []byte // this connection's copy of the request, given a new nonce each time

	mu struct {
		sync.Mutex
		scheduled, sent time.Time // of the request under way; zero when idle
	}
}

const dialMax = 10 * time.Second

func (t *target) dial() (*connection, error) {
	n, err := net.DialTimeout("tcp", t.addr, dialMax)
	if err != nil {
		return nil, err
	}
	return &connection{target: t, net: n, reader: bufio.NewReaderSize(n, 16<<10)}, nil
}

// write sends one request. Bodies differ in a word of 12 digits, so that no answer can come from a cache or from another request's
// computation.
func (c *connection) write() error {
	t := c.target
	if t.nonceAt == 0 {
		_, err := c.net.Write(t.request)
		return err
	}
	if c.out == nil {
		c.out = bytes.Clone(t.request)
	}
	t.next(c.out)
	_, err := c.net.Write(c.out)
	return err
}

var errBad = errors.New("bad response")

// head is what matters of an answer's head.
type head struct {
	status  int
	length  int64 // bytes of the body; -1: not told
	chunked bool
}

func (c *connection) readHead() (h head, err error) {
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return h, err
	}
	if len(line) < 12 {
		return h, errBad
	}
	if h.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return h, err
	}
	for h.length = -1; ; {
		if line, err = c.reader.ReadSlice('\n'); err != nil {
			return h, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return h, nil
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok {
			c.readField(&h, name, bytes.TrimSpace(value))
		}
	}
}

// readField looks at a name's length first, for most fields are none of the three.
func (c *connection) readField(h *head, name, value []byte) {
	switch len(name) {
	case len("Content-Length"):
		if bytes.EqualFold(name, []byte("Content-Length")) {
			h.length, _ = strconv.ParseInt(string(value), 10, 64)
		}
	case len("Transfer-Encoding"):
		if bytes.EqualFold(name, []byte("Transfer-Encoding")) && bytes.Contains(bytes.ToLower(value), []byte("chunked")) {
			h.chunked = true
		}
	case len("Connection"):
		if bytes.EqualFold(name, []byte("Connection")) && bytes.EqualFold(value, []byte("close")) {
			c.closes = true
		}
	}
}

// readBody gives the body to f as it arrives; f may be nil.
func (c *connection) readBody(h head, f func([]byte)) error {
	switch {
	case h.chunked:
		return c.readChunks(f)
	case h.length >= 0:
		return c.give(h.length, f)
	}
	c.closes = true
	for {
		if _, err := c.reader.Peek(1); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := c.give(int64(c.reader.Buffered()), f); err != nil {
			return err
		}
	}
}

// give passes n bytes on, in the pieces in which they arrive.
func (c *connection) give(n int64, f func([]byte)) error {
	for n > 0 {
		if _, err := c.reader.Peek(1); err != nil {
			return err
		}
		m := min(int64(c.reader.Buffered()), n)
		piece, err := c.reader.Peek(int(m))
		if err != nil {
			return err
		}
		if f != nil {
			f(piece)
		}
		if _, err := c.reader.Discard(int(m)); err != nil {
			return err
		}
		n -= m
	}
	return nil
}

func (c *connection) readChunks(f func([]byte)) error {
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, _, _ := strings.Cut(string(bytes.TrimSpace(line)), ";")
		n, err := strconv.ParseInt(size, 16, 64)
		if err != nil {
			return err
		}
		if n == 0 {
			return c.readTrailers()
		}
		if err := c.give(n, f); err != nil {
			return err
		}
		if _, err := c.reader.Discard(len("\r\n")); err != nil {
			return err
		}
	}
}

func (c *connection) readTrailers() error {
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			return nil
		}
	}
}

// answer reads one whole answer that is no stream.
func (c *connection) answer() (status int, err error) {
	h, err := c.readHead()
	if err != nil {
		return 0, err
	}
	return h.status, c.readBody(h, nil)
}
