package gateway

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-ai/weir/llm"
)

// budget bounds the bytes of all bodies that are held at one time. It is charged as bytes arrive, not as they are announced: a
// client that announces 32 MB and sends nothing takes no room from the others.
type budget struct {
	most int64
	held atomic.Int64
}

func (b *budget) take(n int64) bool {
	if b.held.Add(n) > b.most {
		b.held.Add(-n)
		return false
	}
	return true
}

func (b *budget) give(n int64) { b.held.Add(-n) }

const (
	// bodyStart is the first buffer of a body whose length is not known or large. Most chats fit; a lying Content-Length costs no
	// more than this.
	bodyStart = 64 << 10
	// bodySpare is what a buffer has beyond the announced length, so that the end of the body is seen without growing it.
	bodySpare = 16
	// budgetWait is when a client may come back whose body found no room: bodies are held as long as their answers run.
	budgetWait = time.Second
)

// starts keeps the first buffers of bodies that have outgrown them: with bodies of twice their size, a third less for the collector.
// A buffer in which a body fits goes with it and is never used again: whoever sends the body on may still read it when the answer is
// over.
var starts = sync.Pool{New: func() any { return new([bodyStart]byte) }}

// read reads the whole body. Its bytes count against the budget until the exchange is settled.
func (x *exchange) read() ([]byte, error) {
	most, length := x.s.cfg.Body, x.r.ContentLength
	if e := x.r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, llm.InvalidField("Content-Encoding", "The body comes with Content-Encoding %.40q, which is not read here; send it uncompressed.", e)
	}
	if length > most {
		return nil, tooLarge(most)
	}
	whole := most + bodySpare
	if length >= 0 {
		whole = length + bodySpare
	}
	size := min(int64(bodyStart), whole)
	if !x.hold(size) {
		return nil, noRoom()
	}
	body, start := make([]byte, 0), (*[bodyStart]byte)(nil)
	if size < bodyStart {
		body = make([]byte, 0, size)
	} else {
		start = starts.Get().(*[bodyStart]byte)
		body = start[:0]
	}
	for {
		if len(body) == cap(body) {
			grown := max(min(4*size, whole), size+bodySpare)
			if !x.hold(grown - size) {
				return nil, noRoom()
			}
			body, size = append(make([]byte, 0, grown), body...), grown
			if start != nil {
				starts.Put(start)
				start = nil
			}
		}
		n, err := x.r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case int64(len(body)) > most:
			return nil, tooLarge(most)
		case err == io.EOF:
			return body, nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, &llm.Error{Kind: llm.Invalid, Code: "body_timeout", Err: err,
				Message: "The request's body did not arrive within " + x.s.cfg.ReadBody.String() + "."}
		case err != nil:
			return nil, &llm.Error{Op: "read body", Kind: llm.Canceled, Err: err}
		}
	}
}

// hold charges n more bytes.
func (x *exchange) hold(n int64) bool {
	if !x.s.bodies.take(n) {
		return false
	}
	x.held += n
	return true
}

func tooLarge(most int64) error {
	return llm.Errorf(llm.TooLarge, "The request's body is larger than the %d bytes that this server takes (limits.body); send less.", most)
}

func noRoom() error {
	return &llm.Error{Kind: llm.Overloaded, RetryAfter: budgetWait, Message: "The bodies of the requests that run fill the memory set aside for them (limits.bodies_total); try again after the time in Retry-After."}
}
