package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// upstream is the server: what it shows now, and its counts since the settings were last set.
type upstream struct {
	now     atomic.Pointer[scene]
	buffers sync.Pool // of *bytes.Buffer, for the bodies

	waiting, inflight, inflightMax, served, streams, canceled, rejected, connections atomic.Int64
}

func newUpstream(s settings) *upstream {
	u := &upstream{buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }}}
	u.now.Store(newScene(s))
	return u
}

func (u *upstream) routes() http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/v1/chat/completions", "/chat/completions", "/v1/completions"} {
		mux.HandleFunc("POST "+path, u.chat)
	}
	mux.HandleFunc("POST /v1/embeddings", embeddings)
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, `{"object":"list","data":[{"id":"mock-model","object":"model","created":1700000000,"owned_by":"mock"}]}`)
	})
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	mux.HandleFunc("GET /_stats", u.stats)
	mux.HandleFunc("POST /_set", u.set)
	mux.Handle("/debug/pprof/", http.DefaultServeMux)
	return mux
}

func embeddings(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	writeJSON(w, http.StatusOK, `{"object":"list","model":"mock-model","data":[{"object":"embedding","index":0,`+
		`"embedding":[0.1,0.2,0.3,0.4]}],"usage":{"prompt_tokens":4,"total_tokens":4}}`)
}

func writeJSON(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

func (u *upstream) stats(w http.ResponseWriter, _ *http.Request) {
	_, _ = fmt.Fprintf(w, `{"inflight":%d,"max_inflight":%d,"served":%d,"streams":%d,"canceled":%d,"rejected":%d,"conns":%d}`+"\n",
		u.inflight.Load(), u.inflightMax.Load(), u.served.Load(), u.streams.Load(), u.canceled.Load(), u.rejected.Load(), u.connections.Load())
}

// set swaps the settings and begins to count anew.
func (u *upstream) set(w http.ResponseWriter, r *http.Request) {
	s, err := u.now.Load().with(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	u.now.Store(newScene(s))
	for _, count := range []*atomic.Int64{&u.inflightMax, &u.served, &u.streams, &u.canceled, &u.rejected} {
		count.Store(0)
	}
	_, _ = fmt.Fprintf(w, "%+v\n", s)
}

func (u *upstream) countConnection(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		u.connections.Add(1)
	case http.StateClosed, http.StateHijacked:
		u.connections.Add(-1)
	}
}

// chat answers one request, in the order in which a real engine would: read, perhaps fail, wait for a slot, compute, answer.
func (u *upstream) chat(w http.ResponseWriter, r *http.Request) {
	c := u.now.Load()
	raise(&u.inflightMax, u.inflight.Add(1))
	defer u.inflight.Add(-1)
	stream, err := u.read(r)
	if err != nil {
		u.canceled.Add(1)
		return
	}
	if u.fail(w, r, c) {
		return
	}
	leave, ok := u.enter(w, r, c)
	if !ok {
		return
	}
	defer leave()
	delay := c.Delay
	if c.Jitter > 0 && delay > 0 {
		delay = time.Duration(float64(delay) * math.Exp(rand.NormFloat64()*c.Jitter))
	}
	if !u.wait(r, delay) {
		return
	}
	if stream {
		u.stream(w, r, c)
		return
	}
	h := w.Header()
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(len(c.answer))}
	_, _ = w.Write(c.answer)
	u.served.Add(1)
}

// raise lifts most to n where n is more.
func raise(most *atomic.Int64, n int64) {
	for {
		m := most.Load()
		if n <= m || most.CompareAndSwap(m, n) {
			return
		}
	}
}

// read takes the whole body and reports whether it asks for a stream.
func (u *upstream) read(r *http.Request) (stream bool, err error) {
	buffer := u.buffers.Get().(*bytes.Buffer)
	defer u.buffers.Put(buffer)
	buffer.Reset()
	_, err = io.Copy(buffer, r.Body)
	return asksStream(buffer.Bytes()), err
}

// asksStream looks for "stream": true without decoding, so that the mock's own work stays small beside a gateway's.
func asksStream(body []byte) bool {
	_, rest, found := bytes.Cut(body, []byte(`"stream"`))
	return found && bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n:"), []byte("true"))
}

// fail gives the set shares of requests their failure, and reports whether it did.
func (u *upstream) fail(w http.ResponseWriter, r *http.Request, c *scene) bool {
	if c.P429+c.P500+c.PHang <= 0 {
		return false
	}
	switch x := rand.Float64(); {
	case x < c.P429:
		w.Header().Set("Retry-After", "1")
		writeJSON(w, http.StatusTooManyRequests, `{"error":{"message":"rate limited","type":"rate_limit_error","code":"rate_limit_exceeded"}}`)
	case x < c.P429+c.P500:
		writeJSON(w, http.StatusInternalServerError, `{"error":{"message":"boom","type":"server_error"}}`)
	case x < c.P429+c.P500+c.PHang:
		<-r.Context().Done()
		u.canceled.Add(1)
	default:
		return false
	}
	return true
}

// enter waits for one of the slots, or refuses where the waiting room is full. leave gives the slot back.
func (u *upstream) enter(w http.ResponseWriter, r *http.Request, c *scene) (leave func(), ok bool) {
	if c.slots == nil {
		return func() {}, true
	}
	if u.waiting.Add(1) > int64(c.Queue+c.Slots) {
		u.waiting.Add(-1)
		u.rejected.Add(1)
		w.Header().Set("Retry-After", "1")
		http.Error(w, `{"error":{"message":"overloaded","type":"overloaded"}}`, http.StatusServiceUnavailable)
		return nil, false
	}
	select {
	case c.slots <- struct{}{}:
		return func() { <-c.slots; u.waiting.Add(-1) }, true
	case <-r.Context().Done():
		u.waiting.Add(-1)
		u.canceled.Add(1)
		return nil, false
	}
}

// wait reports whether the client was still there after d.
func (u *upstream) wait(r *http.Request, d time.Duration) bool {
	var p pause
	defer p.end()
	return p.last(u, r, d)
}

// pause waits again and again on one timer: 25,000 chunks a second would make as many timers.
type pause struct{ timer *time.Timer }

// last reports whether the client was still there after d.
func (p *pause) last(u *upstream, r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	if p.timer == nil {
		p.timer = time.NewTimer(d)
	} else {
		p.timer.Reset(d)
	}
	select {
	case <-p.timer.C:
		return true
	case <-r.Context().Done():
		u.canceled.Add(1)
		return false
	}
}

func (p *pause) end() {
	if p.timer != nil {
		p.timer.Stop()
	}
}
