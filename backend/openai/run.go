package openai

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-ai/weir/llm"
	wire "github.com/weir-ai/weir/openai"
)

// exchange is one request at the endpoint.
type exchange struct {
	e     *Endpoint
	q     *quirk
	req   *llm.Request
	watch *watch
	emit  func(llm.Event) error

	decoded bool   // the request was made inside Weir: its answer is told in events
	hide    bool   // token ids were asked for by Weir alone
	alias   []byte // the model's name for the client, a JSON string; nil where the endpoint's is the same
	usage   llm.Usage
	ends    int // choices that have finished
	frame   wire.Frame
}

// Run forwards req and passes on its answer. Its errors are *llm.Error and say which Fault they are; what went wrong with the client is
// the context's error or emit's.
func (e *Endpoint) Run(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
	x := &exchange{e: e, q: e.quirk.Load(), req: req, emit: emit}
	if e.cfg.Total > 0 {
		timed, stop := context.WithTimeoutCause(ctx, e.cfg.Total, &silence{e.tooLong()})
		defer stop()
		ctx = timed
	}
	watched, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	x.watch = e.watch(cancel)
	defer x.watch.stop()
	err := x.run(watched)
	if err != nil {
		err = x.failure(ctx, watched, err)
	}
	return x.usage, err
}

func (e *Endpoint) tooLong() *llm.Error {
	return &llm.Error{Op: "endpoint " + string(e.name), Kind: llm.Timeout, Fault: llm.FaultIdleTimeout,
		Message: fmt.Sprintf("The endpoint %s did not end its answer within %s (timeouts.total).", e.name, e.cfg.Total)}
}

// failure names what ended a request: the client's leaving, the endpoint's silence, or what the endpoint did.
func (x *exchange) failure(ctx, watched context.Context, err error) error {
	var quiet *silence
	switch {
	case errors.As(context.Cause(watched), &quiet):
		return quiet.err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return err
}

func (x *exchange) run(ctx context.Context) error {
	pieces, err := x.body()
	if err != nil {
		return err
	}
	resp, err := x.send(ctx, pieces)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	stream := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream")
	switch {
	case resp.StatusCode != http.StatusOK:
		body, _ := io.ReadAll(io.LimitReader(resp.Body, errorMax))
		out := classify(x.q, resp.StatusCode, resp.Header, body, string(x.e.name))
		out.Op = "endpoint " + string(x.e.name)
		return out
	case stream && x.req.Stream:
		return x.stream(resp.Body)
	case !stream && (!x.req.Stream || x.decoded):
		return x.whole(resp)
	case !stream:
		return x.notStreamed(resp.Body)
	}
	return x.malformed("a stream where one piece was asked for")
}

// notStreamed names what came where a stream was asked for: an error that some servers tell so, or an answer that no client of a stream
// could read.
func (x *exchange) notStreamed(body io.Reader) error {
	text, _ := io.ReadAll(io.LimitReader(body, errorMax))
	var f wire.Frame
	if f.Read(text) && (f.Error != nil || f.Flat()) {
		err := classifyFrame(x.q, text)
		err.Op = "endpoint " + string(x.e.name)
		return err
	}
	return x.malformed("one piece where a stream was asked for")
}

// errorMax bounds what is read of an error: enough for any message with its trace.
const errorMax = 64 << 10

func (x *exchange) malformed(what string) *llm.Error {
	return &llm.Error{Op: "endpoint " + string(x.e.name), Kind: llm.Upstream, Fault: llm.FaultFormat,
		Message: fmt.Sprintf("The endpoint %s answered with %s.", x.e.name, what)}
}

// send makes the HTTP request and waits for the head of its answer.
func (x *exchange) send(ctx context.Context, pieces [][]byte) (*http.Response, error) {
	e := x.e
	h := make(http.Header, len(e.sent)+3)
	for k, v := range e.sent {
		h[k] = v
	}
	if x.req.ID != "" {
		h["X-Request-Id"] = []string{x.req.ID}
	}
	if x.req.Trace != "" {
		h["Traceparent"] = []string{x.req.Trace}
	}
	target := e.chat
	if x.req.Task == llm.Completion {
		target = e.complete
	}
	// The key, which is not sent without a value, tells the transport that it may send the request anew where a connection that it kept
	// turns out to be closed: llama.cpp closes those that idle while others wait, and no request has begun on one.
	h["Idempotency-Key"] = nil
	body := bodyOf(pieces)
	hr := (&http.Request{
		Method: http.MethodPost, URL: target, Host: e.host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h,
		Body: body.reader(), ContentLength: body.length, GetBody: func() (io.ReadCloser, error) { return body.reader(), nil },
	}).WithContext(ctx)
	resp, err := e.transport.RoundTrip(hr)
	if unsent(err) && ctx.Err() == nil {
		hr.Body = body.reader()
		resp, err = e.transport.RoundTrip(hr)
	}
	if err != nil {
		return nil, e.dialFault(err)
	}
	return resp, nil
}

// unsent reports whether a connection was closed before the whole request was written to it, so that nothing has begun. The transport
// itself sends anew only where it had written nothing, and takes a body that cannot be written for one that cannot be read.
func unsent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "write" || op.Op == "readfrom")
}

// body gives the request's body for this endpoint: the client's with the members that must be another, in pieces.
func (x *exchange) body() ([][]byte, error) {
	req := x.req
	body, fields := req.Body, req.Fields
	if body == nil || req.Dialect != llm.DialectOpenAI {
		made, err := encode(req)
		if err != nil {
			return nil, err
		}
		body, fields, x.decoded = made, nil, true
	}
	if fields == nil {
		scanned, err := wire.Scan(req.Task, body, wire.Options{IgnoreUnknown: true})
		if err != nil {
			return nil, err
		}
		fields = scanned.Fields
	}
	set, err := x.edits(body, fields)
	if err != nil {
		return nil, err
	}
	return wire.Edit(body, fields, set...), nil
}

// edits lists the members that this endpoint needs to be another.
func (x *exchange) edits(body []byte, fields []llm.Field) ([]wire.Member, error) {
	set := make([]wire.Member, 0, 8)
	if asked := wire.Get(body, fields, "model"); x.e.model != nil && string(asked) != string(x.e.model) {
		set = append(set, wire.Member{Name: "model", Value: x.e.model})
		x.alias = wire.AppendQuoted(nil, string(x.req.Model))
	}
	if x.req.Stream && !x.req.Report.Usage && x.q.usage {
		set = append(set, wire.Member{Name: "stream_options", Value: wire.WithUsage(wire.Get(body, fields, "stream_options"))})
	}
	if x.req.Trail && !x.req.Report.TokenIDs && x.q.tokenIDs {
		set = append(set, wire.Member{Name: "return_token_ids", Value: []byte("true")})
		x.hide = true
	}
	going := x.req.Going
	if going == nil {
		return set, nil
	}
	more, err := x.q.continuation(x.req.Task, body, fields, going)
	if err != nil {
		return nil, err
	}
	set = append(set, more...)
	if slices.ContainsFunc(more, func(m wire.Member) bool { return m.Name == "continue_tokens" && m.Value != nil }) {
		return set, nil // a Weir takes the limits as those of the whole answer
	}
	for _, name := range []string{"max_tokens", "max_completion_tokens", "min_tokens"} {
		if n, err := strconv.Atoi(string(wire.Get(body, fields, name))); err == nil {
			least := 1
			if name == "min_tokens" {
				least = 0
			}
			set = append(set, wire.Member{Name: name, Value: strconv.AppendInt(nil, int64(max(least, n-going.Count)), 10)})
		}
	}
	return set, nil
}

// outgoing is a body as it is sent: joined where it is small, because net/http writes its head and a body together only where it knows
// the body's reader, and a second write costs more than copying some KB; else in pieces, because nothing should hold a large body twice.
type outgoing struct {
	joined []byte
	pieces [][]byte
	length int64
}

// joinedMax is the largest body that is joined: copying so much takes as long as a write.
const joinedMax = 32 << 10

func bodyOf(pieces [][]byte) *outgoing {
	o := &outgoing{pieces: pieces}
	for _, p := range pieces {
		o.length += int64(len(p))
	}
	if o.length <= joinedMax {
		o.joined = bytes.Join(pieces, nil)
	}
	return o
}

func (o *outgoing) reader() io.ReadCloser {
	if o.joined != nil {
		return io.NopCloser(bytes.NewReader(o.joined))
	}
	return &pieceReader{pieces: o.pieces}
}

// pieceReader reads a body that is in pieces.
type pieceReader struct {
	pieces [][]byte
	at     int // in pieces[0]
}

func (r *pieceReader) Read(p []byte) (n int, err error) {
	for n < len(p) && len(r.pieces) > 0 {
		k := copy(p[n:], r.pieces[0][r.at:])
		n += k
		if r.at += k; r.at == len(r.pieces[0]) {
			r.pieces, r.at = r.pieces[1:], 0
		}
	}
	if n == 0 && len(r.pieces) == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (r *pieceReader) Close() error { return nil }

// drainWait is how long a stream's end may be waited for after its last event, so that the connection can be used again.
const drainWait = 50 * time.Millisecond
