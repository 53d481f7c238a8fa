package llm

import "time"

// EventKind says what an Event tells.
type EventKind int

const (
	// EventPrompt tells what is known of the prompt before the first token: its text for echo, its log-probabilities, its ids.
	EventPrompt EventKind = iota
	// EventDelta carries more of the answer's text.
	EventDelta
	// EventReasoning carries more of the model's reasoning.
	EventReasoning
	// EventToolCall carries a part of a tool call.
	EventToolCall
	// EventFinish ends one choice.
	EventFinish
	// EventUsage tells the usage of the whole request, once, after every choice has finished.
	EventUsage
	// EventError tells of a failure inside an answer that has begun, where the failure does not end the others.
	EventError
	// EventFrame is a wire frame that a remote engine sent, passed on as it stands: one server-sent event of a stream, or the body of an
	// answer in one piece. Holds says what is in it.
	EventFrame
	// EventPlaced tells where the answer will come from, before anything of it. It may come again where a place failed before it answered.
	EventPlaced
	// EventQueued tells that the request waits, and where, before anything of the answer. It comes as often as a client should hear of it.
	EventQueued
)

// Holds says what a frame has in it, so that nobody needs to decode it to know.
type Holds int

// What a frame can hold, several at once.
const (
	HoldsContent Holds = 1 << iota
	HoldsReasoning
	HoldsToolCall
	HoldsFinish // of a choice
	HoldsUsage
	HoldsWhole // an answer in one piece
)

// Place is where an answer comes from.
type Place struct {
	Model    ModelID    // the model that answers, which may be another than the one asked for
	Endpoint EndpointID // which of its endpoints
	Queued   time.Duration

	Variant   ModelID    // the rung of the model's ladder that answers; empty where the model has none
	Degraded  []string   // what else was made less of the request: "max_tokens", "reasoning"
	Allowance *Allowance // what the tenant's limits leave; nil where it has none
}

// Queue is where a request waits.
type Queue struct {
	Position int           // how many start before it, 0 for the next
	Wait     time.Duration // until it is predicted to start
}

// Event is one thing that happens in an answer. Events of one choice come in order; choices may interleave. Text ends at
// UTF-8 boundaries and holds no part of a stop string.
type Event struct {
	Kind   EventKind
	Choice int // prompt*N + answer

	Text   string         // for delta, reasoning, prompt
	Tokens []TokenLogprob // the tokens behind Text, where log-probabilities or ids were asked for
	Prompt []TokenLogprob // for a frame: the tokens of the prompt, where they were asked for
	Call   *ToolCallDelta // for a tool call
	Finish Finish         // for a finish
	Usage  Usage          // for usage; for a delta and a finish of a local model, what its choice has used so far
	Err    *Error         // for an error

	// Frame is a remote engine's wire frame, for EventFrame. It is valid until emit returns.
	Frame   []byte
	Dialect Dialect // of Frame
	Holds   Holds   // what is in Frame
	Raw     []byte  // the text that Frame holds, as JSON escapes it, without quotes; valid as long as Frame
	Place   *Place  // for placed; valid until emit returns
	Queue   *Queue  // for queued; valid until emit returns
	More    bool    // another event follows at once: a door may write both together
}

// Carries reports whether the event carries content, reasoning or a tool call: what TTFT is counted to, and what a retry must
// not come after.
func (e *Event) Carries() bool {
	switch e.Kind {
	case EventDelta, EventReasoning:
		return e.Text != "" || len(e.Tokens) > 0
	case EventToolCall:
		return true
	case EventFrame:
		return e.Holds&(HoldsContent|HoldsReasoning|HoldsToolCall|HoldsWhole) != 0
	}
	return false
}

// TokenLogprob is one token with its log-probability.
type TokenLogprob struct {
	ID      TokenID
	Bytes   []byte  // the token's bytes; may end inside a character
	Logprob float64 // natural logarithm, of the model's own distribution before temperature and penalties
	Known   bool    // false for a prompt's first token, which nothing precedes
	Rank    int     // the place among all tokens, 1 for the likeliest; 0 where it is not known
	Top     []TokenLogprob
}

// ToolCallDelta is a part of a tool call. The first part of a call carries ID and Name.
type ToolCallDelta struct {
	Index     int
	ID        string
	Name      string
	Arguments string // more of the JSON text
}

// FinishReason says why a choice ended, in OpenAI's words.
type FinishReason string

const (
	// FinishStop: the model's own end, a stop string or a stop token.
	FinishStop FinishReason = "stop"
	// FinishLength: max_tokens or the end of the context.
	FinishLength FinishReason = "length"
	// FinishToolCalls: the model called tools and waits for their answers.
	FinishToolCalls FinishReason = "tool_calls"
	// FinishFilter: a filter of the engine's provider.
	FinishFilter FinishReason = "content_filter"
)

// Finish says how a choice ended.
type Finish struct {
	Reason FinishReason
	Stop   string  // the stop string that was met, if one was
	Token  TokenID // the stop token that was met, where StopIsToken
	// StopIsToken tells a stop token of the request from the model's own end.
	StopIsToken bool
}

// Usage counts tokens of a whole request, over all its choices. A prompt that several choices share counts once a prompt.
type Usage struct {
	PromptTokens     int
	CachedTokens     int // of PromptTokens, those whose KV cache was reused
	CompletionTokens int
	ReasoningTokens  int // of CompletionTokens
}

// Total is the sum that clients are billed by.
func (u Usage) Total() int { return u.PromptTokens + u.CompletionTokens }

// Plus adds two usages.
func (u Usage) Plus(v Usage) Usage {
	return Usage{u.PromptTokens + v.PromptTokens, u.CachedTokens + v.CachedTokens, u.CompletionTokens + v.CompletionTokens, u.ReasoningTokens + v.ReasoningTokens}
}
