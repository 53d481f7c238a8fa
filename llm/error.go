package llm

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Kind is the closed list of the ways in which a request fails. Everything that depends on the way, from the HTTP status to the
// metric label, is looked up in one table by Kind.
type Kind int

const (
	// Internal is a fault of Weir itself: a panic, a broken invariant.
	Internal Kind = iota
	// Invalid is a request that cannot be answered as it stands.
	Invalid
	// TooLong is a prompt, or a prompt with its answer, beyond the model's context.
	TooLong
	// TooLarge is a body or header over its limit.
	TooLarge
	// Unauthenticated is a missing or wrong key.
	Unauthenticated
	// Forbidden is a key that may not do this.
	Forbidden
	// NotFound is a route or an object that does not exist.
	NotFound
	// UnknownModel is a model that is not served here.
	UnknownModel
	// Overloaded is a full queue: the client did nothing wrong and may come back.
	Overloaded
	// Draining is a server that is stopping: another replica or a later try will do.
	Draining
	// Timeout is an answer that took too long.
	Timeout
	// Canceled is a client that left.
	Canceled
	// Upstream is an engine that failed.
	Upstream
	// SlowReader is a client that did not read its stream in time and was cut.
	SlowReader
	// NoEndpoint is a model none of whose endpoints is alive: nothing was sent anywhere.
	NoEndpoint
	// RateLimited is a tenant that has reached its limit of requests, tokens or concurrent requests for the moment.
	RateLimited
	// OutOfBudget is a tenant that has spent what it may in a day or a month.
	OutOfBudget
	// StartTimeout is a request that was waiting to start when its time to start by had passed.
	StartTimeout
)

// Meaning is what follows from a Kind at the door.
type Meaning struct {
	Status int    // HTTP status
	Type   string // OpenAI's error.type
	Code   string // OpenAI's error.code; empty is null
	Retry  bool   // whether the same request may succeed later, unchanged
	Label  string // the outcome label of metrics and logs
}

// Outcome of an answer that came to its end.
const OutcomeOK = "ok"

// Meaning looks k up in the one table.
func (k Kind) Meaning() Meaning {
	switch k {
	case Invalid:
		return Meaning{400, "invalid_request_error", "", false, "invalid"}
	case TooLong:
		return Meaning{400, "invalid_request_error", "context_length_exceeded", false, "too_long"}
	case TooLarge:
		return Meaning{413, "invalid_request_error", "request_too_large", false, "too_large"}
	case Unauthenticated:
		return Meaning{401, "invalid_request_error", "invalid_api_key", false, "unauthenticated"}
	case Forbidden:
		return Meaning{403, "invalid_request_error", "forbidden", false, "forbidden"}
	case NotFound:
		return Meaning{404, "invalid_request_error", "not_found", false, "not_found"}
	case UnknownModel:
		return Meaning{404, "invalid_request_error", "model_not_found", false, "unknown_model"}
	case Overloaded:
		return Meaning{503, "server_error", "overloaded", true, "overloaded"}
	case Draining:
		return Meaning{503, "server_error", "draining", true, "draining"}
	case Timeout:
		return Meaning{504, "server_error", "timeout", true, "timeout"}
	case Canceled:
		return Meaning{499, "invalid_request_error", "canceled", false, "canceled"}
	case Upstream:
		return Meaning{502, "server_error", "upstream_error", true, "upstream"}
	case SlowReader:
		return Meaning{408, "invalid_request_error", "slow_reader", false, "slow_reader"}
	case NoEndpoint:
		return Meaning{503, "server_error", "no_endpoint", true, "no_endpoint"}
	case RateLimited:
		return Meaning{429, "rate_limit_error", "rate_limit_exceeded", true, "rate_limited"}
	case OutOfBudget:
		return Meaning{429, "insufficient_quota", "insufficient_quota", false, "out_of_budget"}
	case StartTimeout:
		return Meaning{504, "server_error", "start_timeout", true, "start_timeout"}
	}
	return Meaning{500, "server_error", "internal_error", false, "internal"}
}

// Kinds lists every Kind, for tests and for metrics that want all labels from the start.
func Kinds() []Kind {
	return []Kind{Internal, Invalid, TooLong, TooLarge, Unauthenticated, Forbidden, NotFound, UnknownModel, Overloaded, Draining, Timeout, Canceled, Upstream, SlowReader, NoEndpoint, RateLimited, OutOfBudget, StartTimeout}
}

// String is the kind's label.
func (k Kind) String() string { return k.Meaning().Label }

// Error is a failure with everything that a door needs to tell it: what failed (Op, for logs), in which way (Kind), what the
// client reads (Message: it names the field, the value and the fix), which field it is about (Param), and the cause, which is
// logged and never sent.
type Error struct {
	Op         string
	Kind       Kind
	Message    string
	Param      string
	Code       string        // in place of the kind's own code, where OpenAI's clients branch on a finer one
	RetryAfter time.Duration // when to come back; 0 where there is nothing to say
	Reason     Reason        // which bound it was, for a refusal by a tenant's limits or by the gate
	Allowance  *Allowance    // what its tenant's limits leave, where it has some
	Fault      Fault         // what a remote endpoint did, where it was one that failed
	Err        error
}

// Fault is the closed list of what a remote endpoint can do wrong. What is held against the endpoint, and whether another is tried, is
// looked up by it.
type Fault int

const (
	// FaultNone: the endpoint did nothing wrong, or there was none.
	FaultNone Fault = iota
	// FaultConnect: no connection, or no request could be written to it.
	FaultConnect
	// FaultStatus: a 5xx that says nothing better.
	FaultStatus
	// FaultBusy: it is full and said so: 429, 503, an overload inside a stream.
	FaultBusy
	// FaultConfig: it refuses this server: a wrong key, a wrong path, a model that it does not serve.
	FaultConfig
	// FaultConnectTimeout, FaultFirstTimeout, FaultIdleTimeout: it was silent for too long, in this part of its answer.
	FaultConnectTimeout
	FaultFirstTimeout
	FaultIdleTimeout
	// FaultCut: its answer ended in the middle.
	FaultCut
	// FaultStream: it told an error inside an answer that had begun.
	FaultStream
	// FaultFormat: what it sent is no answer.
	FaultFormat
	// FaultTask: it cannot do what this request asks, and another may: the embedded engine asked for tools, say.
	FaultTask
)

// String is the fault's label in metrics and logs.
func (f Fault) String() string {
	names := [...]string{"none", "connect", "status", "busy", "config", "connect_timeout", "first_token_timeout", "idle_timeout", "cut", "stream_error", "format", "task"}
	if f < 0 || int(f) >= len(names) {
		return "none"
	}
	return names[f]
}

// Error is the text for logs: with the operation and the cause.
func (e *Error) Error() string {
	s := e.Message
	if s == "" {
		s = e.Kind.String()
	}
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Public is the message that a client may read.
func (e *Error) Public() string {
	if e.Message != "" {
		return e.Message
	}
	return publicMessage(e.Kind)
}

// Errorf makes an error of a kind whose message the client reads.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// InvalidField makes the error for a field that cannot be as it is; the message says the value and the fix.
func InvalidField(param, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Param: param, Message: fmt.Sprintf(format, args...)}
}

// AsError gives err as an *Error. Context errors become Canceled and Timeout; what nobody named is Internal, and its text stays
// in the log.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.Canceled):
		return &Error{Kind: Canceled, Err: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Kind: Timeout, Err: err}
	}
	return &Error{Kind: Internal, Err: err}
}

func publicMessage(k Kind) string {
	switch k {
	case Internal:
		return "Weir failed on this request; its log has the details under this request id."
	case Canceled:
		return "The client closed the request before the answer was complete."
	case Timeout:
		return "The answer took longer than the time limit."
	case Overloaded:
		return "The engine's queue is full; try again after the time in Retry-After."
	case Draining:
		return "This server is stopping; try again, another replica may answer."
	case RateLimited:
		return "This key's tenant has reached a limit; try again after the time in Retry-After."
	case OutOfBudget:
		return "This key's tenant has spent its budget; who runs this server can raise it."
	case StartTimeout:
		return "The request waited until its time to start by had passed; try again after the time in Retry-After."
	case NoEndpoint:
		return "No endpoint of this model is alive; try again after the time in Retry-After."
	case Upstream:
		return "The engine behind this server failed on the request; try again."
	}
	return k.String()
}
