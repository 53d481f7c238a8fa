package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/openai"
)

func (s *Server) chat(ctx context.Context, x *exchange) error {
	return x.run(ctx, openai.DecodeChat, "chatcmpl-")
}

func (s *Server) completion(ctx context.Context, x *exchange) error {
	return x.run(ctx, openai.DecodeCompletion, "cmpl-")
}

// run reads, decodes and answers one request for text.
func (x *exchange) run(ctx context.Context, decode func([]byte, openai.Options) (*llm.Request, error), prefix string) error {
	body, err := x.read()
	if err != nil {
		return err
	}
	req, err := decode(body, x.s.options())
	if err != nil {
		return err
	}
	x.sign(req, body)
	head := openai.Head{ID: newID(prefix), Created: x.began.Unix(), Model: req.Model}
	if req.Stream {
		return x.flow(ctx, req, head)
	}
	return x.whole(ctx, req, head)
}

func (s *Server) options() openai.Options { return openai.Options{IgnoreUnknown: s.cfg.IgnoreUnknown} }

// sign writes into req what only the door knows, and notes for the account what is asked.
func (x *exchange) sign(req *llm.Request, body []byte) {
	req.ID, req.Trace, req.Tenant, req.KeyID, req.Arrived = x.id, x.trace, llm.TenantID(x.key.Tenant), x.key.ID, x.began
	req.Body, req.Dialect = body, llm.DialectOpenAI
	x.stream, x.text = req.Stream, true
	x.asks(req.Model)
}

// asks notes the model, if it is served: names that clients make up must not become labels.
func (x *exchange) asks(id llm.ModelID) {
	if _, ok := x.s.models.Get(id); ok {
		x.model = id
	}
}

// see notes what the account needs of an event.
func (x *exchange) see(e *llm.Event) {
	if x.first.IsZero() && e.Carries() {
		x.first = time.Now()
	}
	if e.Kind == llm.EventFinish {
		x.finish = e.Finish.Reason
	}
}

// whole answers with one JSON object.
func (x *exchange) whole(ctx context.Context, req *llm.Request, head openai.Head) error {
	answer := openai.NewAnswer(req, head)
	usage, err := x.s.runner.Run(ctx, req, func(e llm.Event) error {
		x.see(&e)
		return answer.Event(&e)
	})
	x.usage = usage
	if err != nil {
		return err
	}
	return x.answer(http.StatusOK, answer.Append(nil))
}

// flow answers with a stream of server-sent events. The head goes out with the first frame, so that whatever fails before it is told
// by the status.
func (x *exchange) flow(ctx context.Context, req *llm.Request, head openai.Head) error {
	x.frames = openai.NewStream(req, head)
	buf := make([]byte, 0, frameBuffer)
	usage, err := x.s.runner.Run(ctx, req, func(e llm.Event) error {
		x.see(&e)
		buf = x.frames.Event(buf[:0], &e)
		return x.push(buf)
	})
	x.usage = usage
	if err != nil {
		return err // fail tells it inside the stream, if that has begun
	}
	return x.push(x.frames.Done(buf[:0]))
}

// frameBuffer holds the frames of one event without log-probabilities; larger ones grow it once.
const frameBuffer = 1 << 10

// push writes frames, and the head before the first.
func (x *exchange) push(frames []byte) error {
	if len(frames) == 0 {
		return nil
	}
	if x.status == 0 {
		x.header("Content-Type", "text/event-stream")
		x.header("Cache-Control", "no-cache")
		x.header("X-Accel-Buffering", "no") // nginx would keep the stream until it is complete
		x.writeHead(http.StatusOK)
	}
	return x.write(frames)
}
