package gateway

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/openai"
	"github.com/weir-ai/weir/registry"
)

func (s *Server) chat(ctx context.Context, x *exchange) error {
	return x.run(ctx, llm.Chat, openai.DecodeChat, "chatcmpl-")
}

func (s *Server) completion(ctx context.Context, x *exchange) error {
	return x.run(ctx, llm.Completion, openai.DecodeCompletion, "cmpl-")
}

// run reads and answers one request for text. A body for another engine is scanned and passed on: what it holds is for that engine to
// know. One that is answered here is decoded in full, and what is not known is refused.
func (x *exchange) run(ctx context.Context, task llm.Task, decode func([]byte, openai.Options) (*llm.Request, error), prefix string) error {
	body, err := x.read()
	if err != nil {
		return err
	}
	req, err := openai.Scan(task, body, x.s.options())
	if model, ok := x.served(req); !ok || !model.Remote {
		scanned := req
		if req, err = decode(body, x.s.options()); err == nil && scanned != nil {
			req.Shape, req.Fields = scanned.Shape, scanned.Fields
		}
	}
	if err != nil {
		return err
	}
	if err := x.sign(req, body); err != nil {
		return err
	}
	x.head = openai.Head{ID: newID(prefix), Created: x.began.Unix(), Model: req.Model}
	if req.Stream {
		return x.flow(ctx, req)
	}
	return x.whole(ctx, req)
}

// served is the model that a scanned request asks for.
func (x *exchange) served(req *llm.Request) (registry.Model, bool) {
	if req == nil {
		return registry.Model{}, false
	}
	return x.s.models.Get(req.Model)
}

func (s *Server) options() openai.Options { return openai.Options{IgnoreUnknown: s.cfg.IgnoreUnknown} }

// sign writes into req what only the door knows, and notes for the account what is asked.
func (x *exchange) sign(req *llm.Request, body []byte) error {
	req.ID, req.Trace, req.Tenant, req.KeyID, req.Arrived = x.id, x.trace, x.tenant, x.key.ID, x.began
	req.Body, req.Dialect = body, llm.DialectOpenAI
	x.stream, x.text = req.Stream, true
	if id := x.r.Header.Get("X-Session-Id"); saneID(id) {
		req.Shape.Session = id
	}
	x.asks(req.Model)
	if x.model != "" {
		if err := x.may(x.model); err != nil {
			return err
		}
	}
	return x.admission(req)
}

// asks notes the model, if it is served: names that clients make up must not become labels.
func (x *exchange) asks(id llm.ModelID) {
	if m, ok := x.s.models.Get(id); ok {
		x.model = m.ID
	}
}

// see notes what the account needs of an event.
func (x *exchange) see(e *llm.Event) {
	if x.first.IsZero() && e.Carries() {
		x.first = time.Now()
	}
	switch {
	case e.Kind == llm.EventPlaced:
		x.placed(*e.Place)
	case e.Kind == llm.EventFinish, e.Holds&llm.HoldsFinish != 0:
		x.finish = e.Finish.Reason
	}
}

// placed notes where the answer comes from and tells the client, where its head is not yet out.
func (x *exchange) placed(p llm.Place) {
	x.joined = x.status != 0
	x.place = p
	if x.joined || x.status != 0 {
		return
	}
	x.allowance(p.Allowance)
	if p.Variant != "" {
		x.header("X-Weir-Variant", string(p.Variant))
	}
	if len(p.Degraded) > 0 {
		x.header("X-Weir-Degraded", strings.Join(p.Degraded, ", "))
	}
	x.header("X-Weir-Model", string(p.Model))
	x.header("X-Weir-Endpoint", string(p.Endpoint))
	x.header("X-Weir-Queue-Ms", strconv.FormatInt(p.Queued.Milliseconds(), 10))
}

// whole answers with one JSON object: the one that another engine sent, or one made of events.
func (x *exchange) whole(ctx context.Context, req *llm.Request) error {
	var answer *openai.Answer // made when the first event wants it: most engines send theirs whole
	usage, err := x.s.runner.Run(ctx, req, func(e llm.Event) error {
		x.see(&e)
		switch e.Kind {
		case llm.EventPlaced:
			answer = nil // what an endpoint began that failed is void
			return nil
		case llm.EventQueued:
			return nil
		case llm.EventFrame:
			return x.answer(http.StatusOK, e.Frame)
		}
		if answer == nil {
			answer = openai.NewAnswer(req, x.head)
		}
		return answer.Event(&e)
	})
	x.usage = usage
	if err != nil || x.status != 0 {
		return err
	}
	if answer == nil {
		answer = openai.NewAnswer(req, x.head)
	}
	return x.answer(http.StatusOK, answer.Append(nil))
}

// flow answers with a stream of server-sent events. The head goes out with the first frame, so that whatever fails before it is told
// by the status.
func (x *exchange) flow(ctx context.Context, req *llm.Request) error {
	x.frames = openai.NewStream(req, x.head)
	buf := make([]byte, 0, frameBuffer)
	usage, err := x.s.runner.Run(ctx, req, func(e llm.Event) error {
		x.see(&e)
		switch e.Kind {
		case llm.EventPlaced:
			return x.tellPlace(e.Place, buf[:0])
		case llm.EventQueued:
			return x.queued(e.Queue, buf[:0])
		case llm.EventFrame:
			return x.forward(req, &e, buf[:0])
		}
		buf = x.frames.Event(buf[:0], &e)
		return x.push(buf, e.More)
	})
	x.usage = usage
	if err != nil {
		return err // fail tells it inside the stream, if that has begun
	}
	return x.push(x.frames.Done(buf[:0]), false)
}

// forward passes on another engine's frame as it came. The first gives the answer its id; frames of an answer that was taken up get
// the same, so that the client sees one.
func (x *exchange) forward(req *llm.Request, e *llm.Event, buf []byte) error {
	if x.status != 0 && !x.joined {
		return x.push(e.Frame, e.More)
	}
	data := bytes.TrimSuffix(bytes.TrimPrefix(e.Frame, []byte("data: ")), []byte("\n\n"))
	var f openai.Frame
	if !f.Read(data) {
		return x.push(e.Frame, e.More)
	}
	if x.status == 0 {
		x.adopt(req, &f)
		return x.push(e.Frame, e.More)
	}
	rw := openai.Rewrite{ID: openai.AppendQuoted(nil, x.head.ID), Created: x.head.Created}
	if e.Holds&llm.HoldsUsage != 0 {
		rw.Usage = &e.Usage
	}
	buf = append(buf, "data: "...)
	return x.push(append(f.Append(buf, &rw), '\n', '\n'), e.More)
}

// adopt takes the id of the first frame for the answer's.
func (x *exchange) adopt(req *llm.Request, f *openai.Frame) {
	if id := f.ID(); id != nil {
		x.head.ID = openai.Unquote(id[1 : len(id)-1])
	}
	if created := f.Created(); created != 0 {
		x.head.Created = created
	}
	x.frames = openai.NewStream(req, x.head)
	x.frames.Join()
}

// frameBuffer holds the frames of one event without log-probabilities; larger ones grow it once.
const frameBuffer = 1 << 10

// push writes frames, and the head before the first. Where more follow at once, both go out together.
func (x *exchange) push(frames []byte, more bool) error {
	if len(frames) == 0 {
		return nil
	}
	if x.status == 0 {
		x.header("Content-Type", "text/event-stream")
		x.header("Cache-Control", "no-cache")
		x.header("X-Accel-Buffering", "no") // nginx would keep the stream until it is complete
		x.writeHead(http.StatusOK)
	}
	return x.write(frames, more)
}
