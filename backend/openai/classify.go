package openai

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/weir-ai/weir/llm"
)

// told is what an error's body says, in any of the shapes that engines have.
type told struct {
	message, kind, code, param string
}

// readError reads an error's body: {"error": {...}} as OpenAI, vLLM, llama.cpp and LiteLLM send it, {"error": "..."} as TGI, Ollama and
// Triton do, {"object": "error", "message": ...} of older vLLM and SGLang, {"detail": ...} of FastAPI, or a plain text.
func readError(body []byte) (t told) {
	var b struct {
		Error   json.RawMessage `json:"error"`
		Kind    string          `json:"error_type"`
		Message string          `json:"message"`
		Type    string          `json:"type"`
		Code    any             `json:"code"`
		Param   any             `json:"param"`
		Detail  json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(body, &b) != nil {
		return told{message: plain(string(body))}
	}
	t = told{message: b.Message, kind: b.Type + b.Kind, code: word(b.Code), param: word(b.Param)}
	var inner struct {
		Message string
		Type    string
		Code    any
		Param   any
	}
	switch {
	case len(b.Error) > 0 && json.Unmarshal(b.Error, &inner) == nil:
		t = told{inner.Message, inner.Type, word(inner.Code), word(inner.Param)}
	case len(b.Error) > 0:
		_ = json.Unmarshal(b.Error, &t.message)
	case len(b.Detail) > 0 && json.Unmarshal(b.Detail, &t.message) != nil:
		t.message = string(b.Detail)
	}
	t.message = plain(t.message)
	return t
}

// messageMax bounds what of another's message is passed on.
const messageMax = 1000

// plain makes a message fit to be passed on: one line, not too long.
func plain(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > messageMax {
		s = strings.ToValidUTF8(s[:messageMax], "") + "..."
	}
	return s
}

func word(v any) string {
	if s, ok := v.(string); ok && len(s) < 100 {
		return s
	}
	return ""
}

// classify says what an endpoint's refusal means. What the client did wrong it reads in the endpoint's own words; what is ours or the
// endpoint's fault is told by the endpoint's name.
func classify(q *quirk, status int, h http.Header, body []byte, name string) *llm.Error {
	t := readError(body)
	cause := fmt.Errorf("status %d: %s", status, t.message)
	fault := func(kind llm.Kind, f llm.Fault, format string, args ...any) *llm.Error {
		return &llm.Error{Kind: kind, Fault: f, Message: fmt.Sprintf(format, args...), RetryAfter: retryAfter(h), Err: cause}
	}
	switch {
	case status >= 300 && status < 400:
		return fault(llm.Upstream, llm.FaultConfig, "The endpoint %s answers with a redirect; its url should be the one that it points to.", name)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fault(llm.Upstream, llm.FaultConfig, "The endpoint %s refuses this server's key.", name)
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable, status == 529, q.full(t.message):
		return fault(llm.Overloaded, llm.FaultBusy, "The endpoint %s is full.", name)
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		if t.message == "" {
			return fault(llm.Upstream, llm.FaultConfig, "The endpoint %s has no such path; its url should end where /chat/completions begins.", name)
		}
		return fault(llm.Upstream, llm.FaultConfig, "The endpoint %s does not serve what it was asked for: %s", name, t.message)
	case status == http.StatusRequestTimeout, status >= 500:
		return fault(llm.Upstream, llm.FaultStatus, "The endpoint %s failed with status %d.", name, status)
	}
	return t.client(status)
}

// client is an error that the client made: in the endpoint's own words.
func (t told) client(status int) *llm.Error {
	e := &llm.Error{Kind: llm.Invalid, Message: t.message, Param: t.param, Code: t.code}
	if e.Message == "" {
		e.Message = fmt.Sprintf("The engine refuses the request with status %d and no reason.", status)
	}
	switch {
	case status == http.StatusRequestEntityTooLarge:
		e.Kind = llm.TooLarge
	case t.code == "context_length_exceeded" || t.kind == "exceed_context_size_error" || tooLong(t.message):
		e.Kind, e.Code = llm.TooLong, ""
	}
	return e
}

// tooLong knows the words of engines that say so in no code: vLLM, SGLang, TGI.
func tooLong(message string) bool {
	for _, words := range []string{"maximum context length", "longer than the model's context length", "exceeds the available context size", "must be <= "} {
		if strings.Contains(message, words) && (words != "must be <= " || strings.Contains(message, "`inputs`")) {
			return true
		}
	}
	return false
}

// full reports whether a message says that the engine is full, in this kind's words.
func (q *quirk) full(message string) bool {
	for _, words := range q.busy {
		if strings.Contains(message, words) {
			return true
		}
	}
	return false
}

// classifyFrame says what an error means that came inside an answer with status 200.
func classifyFrame(q *quirk, frame []byte) *llm.Error {
	t := readError(frame)
	e := &llm.Error{Kind: llm.Upstream, Fault: llm.FaultStream, Message: "The endpoint failed in its answer.", Err: fmt.Errorf("error in its answer: %s", t.message)}
	switch {
	case q.full(t.message), t.kind == "overloaded_error", t.code == "429", t.code == "503", strings.Contains(t.kind, "overloaded"):
		e.Kind, e.Fault, e.Message = llm.Overloaded, llm.FaultBusy, "The endpoint is full."
	case t.kind == "BadRequestError", t.kind == "invalid_request_error", t.code == "context_length_exceeded":
		return t.client(http.StatusBadRequest)
	}
	return e
}

// retryMax is the longest that an endpoint may keep us away: beyond a minute it is as good as gone, and probes find out.
const retryMax = time.Minute

// retryAfter reads when to come back: Retry-After in seconds or as a date, or OpenAI's in milliseconds.
func retryAfter(h http.Header) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms >= 0 {
		return min(time.Duration(ms*float64(time.Millisecond)), retryMax)
	}
	v := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(v, 64); err == nil && s >= 0 {
		return time.Duration(min(s, retryMax.Seconds()) * float64(time.Second))
	}
	if at, err := http.ParseTime(v); err == nil {
		return min(max(time.Until(at), 0), retryMax)
	}
	return 0
}
