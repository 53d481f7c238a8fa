// Package llm holds the words that every part of Weir speaks: what is asked (Request, Message, Sampling), what comes back
// (Event, Usage), what goes wrong (Error) and the one interface through which all of it flows (Runner). A chat, a batch item,
// a canary probe and a benchmark are all a Request; an embedded engine, a remote endpoint, a scripted fake and the whole
// serve.Pipeline are all a Runner.
//
// The package starts no goroutine, holds no lock and imports only the standard library. It validates and formats, and does
// nothing else: no wire format, no scheduling, no I/O. A type moves here when three packages speak it.
package llm

import "context"

// Runner answers one request. It calls emit for each event, in order, on the caller's goroutine, and returns when the answer is
// complete, the context ends, or emit fails. Nothing is emitted after it returns.
//
// Push, not channels: back-pressure, order and cancellation come free. A failure is the returned error, an *Error wherever its
// Kind is known; an error that emit returned comes back wrapped or as it is. The Usage is valid also beside an error: it says
// what was used until then.
type Runner interface {
	Run(ctx context.Context, req *Request, emit func(Event) error) (Usage, error)
}

// Vocabulary is what a Runner that knows its model's tokens offers beside it: the services behind /tokenize, /detokenize and
// /apply-template. An embedded model has one; a remote endpoint may have none.
type Vocabulary interface {
	// Tokenize turns text into token ids; special says whether the model's own start and end tokens are added. A text that is too
	// long is an *Error; it may wait for others, until ctx ends.
	Tokenize(ctx context.Context, text string, special bool) ([]TokenID, error)
	// Detokenize turns ids into text, special tokens included. An id outside the vocabulary is an error.
	Detokenize(ids []TokenID) (string, error)
	// Piece is the text of one token as the vocabulary writes it.
	Piece(id TokenID) string
	// Render gives the prompt that the model's chat template makes of req's messages.
	Render(req *Request) (string, error)
	// RenderTokens is Render and then Tokenize as Run does it.
	RenderTokens(ctx context.Context, req *Request) ([]TokenID, error)
	// ContextLength is the number of tokens, prompt and answer together, that the model takes.
	ContextLength() int
}
