package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/weir-ai/weir/llm"
)

// accessLog writes one JSON line a request. A line is one Write, so that lines never mix.
type accessLog struct {
	mu struct {
		sync.Mutex
		w io.Writer
	}
}

// newAccessLog writes to w; nil writes nothing.
func newAccessLog(w io.Writer) *accessLog {
	if w == nil {
		return nil
	}
	a := &accessLog{}
	a.mu.w = w
	return a
}

// line is what is told of a request. There is nothing of the prompt, the answer or the key in it, and no name that a client made up.
type line struct {
	Time     string           `json:"time"` // when the request's head was read
	Request  string           `json:"request"`
	Trace    string           `json:"trace,omitempty"`
	Key      string           `json:"key,omitempty"` // its public id
	Tenant   string           `json:"tenant,omitempty"`
	Class    string           `json:"class,omitempty"`
	Reason   llm.Reason       `json:"reason,omitempty"` // which bound refused it
	Variant  llm.ModelID      `json:"variant,omitempty"`
	Queued   float64          `json:"queued_ms,omitempty"`
	Model    llm.ModelID      `json:"model,omitempty"`
	Answered llm.ModelID      `json:"answered_by,omitempty"` // a fallback that answered in the model's place
	Endpoint llm.EndpointID   `json:"endpoint,omitempty"`
	Method   string           `json:"method"`
	Route    string           `json:"route"`
	Status   int              `json:"status"`
	Outcome  string           `json:"outcome"`
	Stream   bool             `json:"stream,omitempty"`
	TTFT     float64          `json:"ttft_ms,omitempty"`
	Duration float64          `json:"duration_ms"`
	In       int              `json:"tokens_in,omitempty"`
	Cached   int              `json:"tokens_cached,omitempty"`
	Out      int              `json:"tokens_out,omitempty"`
	Finish   llm.FinishReason `json:"finish,omitempty"` // of the choice that finished last
}

// write writes the line of one request that has ended.
func (a *accessLog) write(x *exchange, end time.Time) {
	if a == nil || x.route.is(probe) && x.status < http.StatusBadRequest {
		return
	}
	answered := x.place.Model
	if answered == x.model {
		answered = ""
	}
	class, reason := "", llm.Reason("")
	if x.text {
		class = x.asked.String()
	}
	if x.failure != nil {
		reason = x.failure.Reason
	}
	text, err := json.Marshal(line{
		Class: class, Reason: reason, Variant: x.place.Variant, Queued: milliseconds(x.place.Queued),
		Time: x.began.UTC().Format("2006-01-02T15:04:05.000Z"), Request: x.id, Trace: x.trace, Key: x.key.ID, Tenant: string(x.tenant),
		Model: x.model, Answered: answered, Endpoint: x.place.Endpoint, Method: x.r.Method, Route: x.route.path, Status: x.status, Outcome: x.outcome(), Stream: x.stream,
		TTFT: milliseconds(x.ttft()), Duration: milliseconds(end.Sub(x.began)),
		In: x.usage.PromptTokens, Cached: x.usage.CachedTokens, Out: x.usage.CompletionTokens, Finish: x.finish,
	})
	if err == nil {
		a.mu.Lock()
		_, err = a.mu.w.Write(append(text, '\n'))
		a.mu.Unlock()
	}
	if err != nil {
		x.s.log.Debug("the access log could not be written", "request", x.id, "error", err)
	}
}

// milliseconds keeps microseconds and no more.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
