package main

import (
	"bytes"
	"net/http"
	"strconv"
	"time"
)

// stamp is what the mock writes before the time of sending, and digits how many follow.
const (
	stamp  = "t="
	digits = 19
)

// reading is one stream under way: lines are put together from pieces, and each chunk's times are taken.
type reading struct {
	load  *load
	into  *samples
	since time.Time // the scheduled arrival
	taken bool      // the stream is measured: it began within the measured time or after it
	last  time.Time // arrival of the last chunk
	carry []byte    // of a line that is not whole yet
	done  bool      // [DONE] was seen
}

// stream reads one whole stream. since is its scheduled arrival.
func (l *load) stream(c *connection, since time.Time, into *samples) (status int, err error) {
	h, err := c.readHead()
	if err != nil {
		return 0, err
	}
	r := reading{load: l, into: into, since: since, taken: since.After(l.start)}
	err = c.readBody(h, r.piece)
	if err == nil && h.status == http.StatusOK && !r.done {
		l.short.Add(1)
	}
	if r.taken {
		into.total.add(time.Since(since))
	}
	return h.status, err
}

// piece takes the time once for all lines that arrived together.
func (r *reading) piece(p []byte) {
	now := time.Now()
	if len(r.carry) > 0 {
		r.carry = append(r.carry, p...)
		p = r.carry
	}
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			break
		}
		if i > 0 {
			r.line(p[:i], now)
		}
		p = p[i+1:]
	}
	r.carry = append([]byte(nil), p...)
}

func (r *reading) line(line []byte, now time.Time) {
	if bytes.Contains(line, []byte("[DONE]")) {
		r.done = true
		return
	}
	_, rest, found := bytes.Cut(line, []byte(stamp))
	if !found || len(rest) < digits {
		return
	}
	sent, err := strconv.ParseInt(string(rest[:digits]), 10, 64)
	if err != nil {
		return
	}
	if r.load.holds(now) {
		r.into.chunks++
	}
	if r.taken {
		r.into.oneWay.add(time.Duration(now.UnixNano() - sent))
		if r.last.IsZero() {
			r.into.firstToken.add(now.Sub(r.since))
		} else {
			r.into.gap.add(now.Sub(r.last))
		}
	}
	r.last = now
}
