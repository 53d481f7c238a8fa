package openai

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-ai/weir/llm"
)

// told is what an error's body says, in any of the shapes that engines have.
type told struct {
	message, kind, code, param string
	status                     int // where the body repeats or replaces the answer's own; 0 where it does not
}

// readError reads an error's body: {"error": {...}} as OpenAI, vLLM, llama.cpp, LiteLLM and Ollama send it, {"error": "..."} as TGI and
// OVMS do, {"object": "error", "message": ...} of SGLang and older vLLM, {"detail": ...} of FastAPI, or a plain text.
func readError(body []byte) (t told) {
	type fields struct {
		Message string `json:"message"`
		Type    any    `json:"type"`
		Code    any    `json:"code"`
		Param   any    `json:"param"`
		Status  any    `json:"http_status_code"` // TGI, in a stream
	}
	var b struct {
		fields
		Error  json.RawMessage `json:"error"`
		Kind   string          `json:"error_type"` // TGI
		Detail json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(body, &b) != nil {
		return told{message: plain(string(body))}
	}
	tell := func(f fields) told {
		return told{message: plain(f.Message), kind: word(f.Type), code: word(f.Code), param: word(f.Param), status: max(number(f.Code), number(f.Status))}
	}
	if string(b.Error) == "null" {
		b.Error = nil
	}
	t = tell(b.fields)
	var inner fields
	var text string
	switch {
	case json.Unmarshal(b.Error, &inner) == nil:
		outer := t.status // an engine may tell the code beside the error
		t = tell(inner)
		t.status = max(t.status, outer)
	case json.Unmarshal(b.Error, &text) == nil:
		t.message, t.kind = plain(text), b.Kind
	case json.Unmarshal(b.Detail, &text) == nil:
		t.message = plain(text)
	case len(b.Detail) > 0:
		t.message = plain(string(b.Detail))
	}
	return t
}

// messageMax bounds what of another's message is passed on.
const messageMax = 1000

// plain makes a message fit to be passed on: one line, not too long, and without addresses that only a private network has.
func plain(s string) string {
	words := strings.Fields(s)
	for i, w := range words {
		if at := strings.Index(w, "http://"); at >= 0 {
			words[i] = w[:at] + "(address)"
		} else if net.ParseIP(hostname(strings.Trim(w, ".,;()[]{}\"'`"))) != nil {
			words[i] = "(address)"
		}
	}
	s = strings.Join(words, " ")
	if len(s) > messageMax {
		s = strings.ToValidUTF8(s[:messageMax], "") + "..."
	}
	return s
}

// word is a short text of a field that should hold one; a number there is a status, and no code that clients branch on.
func word(v any) string {
	if s, ok := v.(string); ok && len(s) < 100 && number(v) == 0 {
		return s
	}
	return ""
}

// number is an HTTP status of a field, 0 where it holds none.
func number(v any) int {
	n := 0
	switch v := v.(type) {
	case float64:
		n = int(v)
	case string:
		n, _ = strconv.Atoi(v)
	}
	if n < 400 || n > 599 {
		return 0
	}
	return n
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
	case status == http.StatusPaymentRequired, t.code == "insufficient_quota": // no pause helps
		return fault(llm.Upstream, llm.FaultConfig, "The endpoint %s has nothing left to spend for this server's key.", name)
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable, status == statusOverloaded, q.full(t.message):
		return fault(llm.Overloaded, llm.FaultBusy, "The endpoint %s is full.", name)
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		if t.message == "" {
			return fault(llm.Upstream, llm.FaultConfig, "The endpoint %s has no such path; its url should end where /chat/completions begins.", name)
		}
		return fault(llm.Upstream, llm.FaultConfig, "The endpoint %s does not serve what it was asked for: %s", name, t.message)
	case status == http.StatusRequestTimeout, status == http.StatusFailedDependency, status == http.StatusTooEarly, status >= 500:
		return fault(llm.Upstream, llm.FaultStatus, "The endpoint %s failed with status %d.", name, status)
	case q.cannot(t.message):
		return fault(llm.Upstream, llm.FaultTask, "The endpoint %s cannot go on with this answer.", name)
	}
	e := t.client(status)
	e.Err = cause
	return e
}

// statusOverloaded is Anthropic's, and of gateways before it.
const statusOverloaded = 529

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

// tooLong knows the words of engines that say so in no code: vLLM and SGLang, LiteLLM, llama.cpp, TGI.
func tooLong(message string) bool {
	words := []string{"maximum context length", "longer than the model's context length", "ContextWindowExceeded", "exceeds the available context size"}
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(message, w) }) ||
		strings.Contains(message, "`inputs`") && strings.Contains(message, "must be <= ")
}

// full reports whether a message says that the engine is full, in this kind's words.
func (q *quirk) full(message string) bool {
	return slices.ContainsFunc(q.busy, func(words string) bool { return strings.Contains(message, words) })
}

// cannot reports whether a message says that the engine cannot go on with an answer that another began.
func (q *quirk) cannot(message string) bool {
	return slices.ContainsFunc(q.unable, func(words string) bool { return strings.Contains(message, words) })
}

// classifyFrame says what an error means that came inside an answer with status 200.
func classifyFrame(q *quirk, frame []byte) *llm.Error {
	t := readError(frame)
	e := &llm.Error{Kind: llm.Upstream, Fault: llm.FaultStream, Message: "The endpoint failed in its answer.", Err: fmt.Errorf("error in its answer: %s", t.message)}
	switch {
	case q.full(t.message), strings.Contains(t.kind, "overloaded"), t.code == "rate_limit_exceeded",
		t.status == http.StatusTooManyRequests, t.status == http.StatusServiceUnavailable, t.status == statusOverloaded:
		e.Kind, e.Fault, e.Message = llm.Overloaded, llm.FaultBusy, "The endpoint is full."
	case t.status >= 500: // whatever its type says
	case t.kind == "BadRequestError", t.kind == "invalid_request_error", t.kind == "exceed_context_size_error", t.code == "context_length_exceeded", tooLong(t.message):
		cause := e.Err
		e = t.client(http.StatusBadRequest)
		e.Err = cause
	}
	return e
}

// retryMax is the longest that an endpoint may keep us away: beyond a minute it is as good as gone, and probes find out.
const retryMax = time.Minute

// retryAfter reads when to come back: Retry-After in seconds or as a date, or OpenAI's in milliseconds.
func retryAfter(h http.Header) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms >= 0 {
		return time.Duration(min(ms/1000, retryMax.Seconds()) * float64(time.Second))
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
