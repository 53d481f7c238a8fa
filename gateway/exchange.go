package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"math"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/openai"
	"github.com/weir-ai/weir/serve"
	"github.com/weir-ai/weir/tenant"
)

// exchange is one request on its way through the door, and what its account will say. It belongs to one goroutine.
type exchange struct {
	s     *Server
	w     http.ResponseWriter
	r     *http.Request
	out   *http.ResponseController
	route *route

	began time.Time
	id    string     // of the request
	trace string     // its traceparent, where it has one
	key   tenant.Key // that let it in; zero where none did

	tenant llm.TenantID   // who asks; empty where tenants are not told apart
	class  llm.Class      // of the key
	asked  llm.Class      // of the request, which may be lower
	weight float64        // of the tenant
	owner  *tenant.Tenant // what is configured of it; nil where nothing is known

	held int64 // bytes charged to the budget

	model   llm.ModelID // asked for and served here; empty before that is known
	stream  bool
	text    bool      // asked for: the body was one of a request for text
	first   time.Time // when the first event came that carries anything
	status  int       // 0 before the head
	rearm   time.Time // when the write deadline must move again
	finish  llm.FinishReason
	usage   llm.Usage
	failure *llm.Error     // nil for an answer that came to its end
	frames  *openai.Stream // nil where nothing is streamed
	head    openai.Head    // what every frame of the answer repeats
	place   llm.Place      // where the answer comes from; zero before that is known
	waited  bool           // the head went out while the request waited, without the headers of a place
	joined  bool           // another endpoint has taken up the answer after its head was out
}

// begin names the request and tells the client its name.
func (s *Server) begin(rt *route, w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{s: s, w: w, r: r, out: http.NewResponseController(w), route: rt, began: time.Now()}
	if x.id = r.Header.Get("X-Request-Id"); !saneID(x.id) {
		x.id = newID("req_")
	}
	x.header("X-Request-Id", x.id)
	if t := r.Header.Get("Traceparent"); saneTrace(t) {
		x.trace = t
		x.header("Traceparent", t)
	}
	s.origins.allow(x)
	if s.running.draining() {
		x.header("Connection", "close") // the next request should find another replica
	}
	if r.ContentLength != 0 {
		// Set before anything is decided: net/http reads the rest of a refused body, too, and would wait for it without end. It
		// takes the deadline away itself when the body has ended, to learn from then on whether the client leaves.
		x.deadline(x.out.SetReadDeadline(x.began.Add(s.cfg.ReadBody)))
	}
	return x
}

func (x *exchange) header(name, value string) { x.w.Header()[name] = []string{value} }

// deadline takes the error of setting a deadline: a ResponseWriter that cannot, such as a test's recorder, has nobody to wait for.
func (x *exchange) deadline(err error) {
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		x.s.log.Debug("a deadline could not be set", "request", x.id, "error", err)
	}
}

// write sends p as a part of the response, and flushes it unless more follows at once. Each write may take WriteTimeout; the deadline moves only when a quarter
// of it has passed, because setting it costs as much as writing a token.
func (x *exchange) write(p []byte, more bool) error {
	if now := time.Now(); now.After(x.rearm) {
		x.deadline(x.out.SetWriteDeadline(now.Add(x.s.cfg.WriteTimeout)))
		x.rearm = now.Add(x.s.cfg.WriteTimeout / 4)
	}
	_, err := x.w.Write(p)
	if err == nil && !more {
		err = x.out.Flush()
	}
	if err == nil || errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &llm.Error{Op: "write", Kind: llm.SlowReader, Err: err}
	}
	return &llm.Error{Op: "write", Kind: llm.Canceled, Err: err}
}

// answer sends a whole JSON body.
func (x *exchange) answer(status int, body []byte) error {
	x.header("Content-Type", "application/json")
	x.header("Content-Length", strconv.Itoa(len(body)))
	x.writeHead(status)
	return x.patiently(func() error { return x.write(body, false) })
}

func (x *exchange) writeHead(status int) {
	x.status = status
	x.w.WriteHeader(status)
}

// fail tells err as far as the client can still be told: by the status before the head is written, by a frame in a stream that has
// begun. It remembers err for the account.
func (x *exchange) fail(err error) {
	e := x.cause(err)
	x.failure = e
	if x.status == 0 {
		x.refuse(e.Kind.Meaning().Status, e)
	} else if x.frames != nil {
		// No Done follows: it would say that the answer is complete.
		x.try(x.write(x.frames.Error(nil, e), false))
	}
}

// refuse answers with an error in OpenAI's shape.
func (x *exchange) refuse(status int, e *llm.Error) {
	if e.Kind == llm.Draining {
		x.header("Connection", "close")
	}
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests || e.Kind == llm.StartTimeout {
		wait := min(max(e.RetryAfter, retryLeast), retryMost)
		if e.RetryAfter <= 0 {
			wait = retryUsual
		}
		x.header("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		x.header("Retry-After-Ms", strconv.FormatInt(wait.Milliseconds(), 10))
	}
	if e.Reason != "" {
		x.header("X-Weir-Reason", string(e.Reason))
	}
	x.allowance(e.Allowance)
	if (status >= 500 || status == http.StatusTooManyRequests) && !e.Kind.Meaning().Retry {
		x.header("X-Should-Retry", "false") // OpenAI's SDKs try every 5xx again, but a fault of ours fails again
	}
	x.try(x.answer(status, openai.AppendError(nil, e)))
}

// try takes the error of telling an error: there is nobody left to tell it to.
func (x *exchange) try(err error) {
	if err != nil {
		x.s.log.Debug("an error could not be told", "request", x.id, "error", err)
	}
}

const (
	// retryLeast keeps clients from coming back before anything can have changed.
	retryLeast = 50 * time.Millisecond
	// retryUsual is for those who cannot know: long enough for a restart to begin, short enough not to be felt.
	retryUsual = time.Second
	// retryMost: SDKs ignore longer ones and fall back to their own, shorter, guess.
	retryMost = time.Minute
)

// cause is err as an *llm.Error; a request that was cut by a stop says so, rather than that its client left.
func (x *exchange) cause(err error) *llm.Error {
	e := llm.AsError(err)
	if e.Kind == llm.Canceled && errors.Is(context.Cause(x.r.Context()), errCut) {
		return errCut
	}
	return e
}

// contain turns a panic into one failed request.
func (x *exchange) contain() {
	v := recover()
	if v == nil {
		return
	}
	x.fail(&llm.Error{Op: "gateway", Kind: llm.Internal, Err: &serve.Panic{Value: v, Stack: debug.Stack()}})
}

// settle writes the request's account: metrics, the log where the fault is ours, and the access log.
func (s *Server) settle(x *exchange) {
	s.bodies.give(x.held)
	end := time.Now()
	s.metrics.settle(x, end)
	if e := x.failure; e != nil && (e.Kind == llm.Internal || e.Kind == llm.Upstream) {
		s.complain(x, e)
	}
	s.access.write(x, end)
}

// complain logs a failure that is a fault of ours; what clients do wrong, they are told and nobody else.
func (s *Server) complain(x *exchange, e *llm.Error) {
	about := []any{"request", x.id, "route", x.route.path, "model", x.model, "kind", e.Kind, "error", e}
	var p *serve.Panic
	if errors.As(e, &p) {
		about = append(about, "stack", string(p.Stack))
	}
	s.log.Error("a request failed", about...)
}

// outcome is how the request ended, in the closed list that metrics and logs share.
func (x *exchange) outcome() string {
	if x.failure == nil {
		return llm.OutcomeOK
	}
	return x.failure.Kind.String()
}

// ttft is the time to the first event that carries anything, also of an answer that is sent whole; 0 where none came.
func (x *exchange) ttft() time.Duration {
	if x.first.IsZero() {
		return 0
	}
	return x.first.Sub(x.began)
}

// newID makes an id that nobody can guess.
func newID(prefix string) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: the runtime ends the process where the system has no randomness
	return prefix + hex.EncodeToString(b[:])
}

// requestIDMax is longer than any id in use, a UUID or a trace id, and short enough for a log line.
const requestIDMax = 128

// saneID reports whether a client's id may go into headers and logs.
func saneID(id string) bool {
	if id == "" || len(id) > requestIDMax {
		return false
	}
	for i := range len(id) {
		c := id[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("-_.:/+=@", rune(c)) {
			return false
		}
	}
	return true
}

// saneTrace reports whether t is a W3C traceparent: version 00 in full, later versions as far as version 00 reads them.
func saneTrace(t string) bool {
	if len(t) < 55 || len(t) > requestIDMax || t[:2] == "ff" || t[:2] == "00" && len(t) != 55 || len(t) > 55 && t[55] != '-' || !saneID(t) {
		return false
	}
	zero := true
	for i := range 55 {
		c := t[i]
		switch dash := i == 2 || i == 35 || i == 52; {
		case dash && c != '-', !dash && !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f'):
			return false
		case i == 35 || i == 52:
			if zero {
				return false // neither id may be all zeros
			}
			zero = true
		case i > 2 && i < 52 && c != '0':
			zero = false
		}
	}
	return true
}
