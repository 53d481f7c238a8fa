package engine

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/weir-ai/weir/engine/kv"
)

// Finish says how an answer ended.
type Finish int

const (
	None   Finish = iota // it has not, or an error ended it
	Stop                 // with an end token
	Length               // at MaxTokens or the end of the context
	Cut                  // its reader lagged for Config.MaxPaused; there are no more tokens
)

// String names f as metrics and logs do.
func (f Finish) String() string {
	switch f {
	case Stop:
		return "stop"
	case Length:
		return "length"
	case Cut:
		return "cut"
	}
	return "none"
}

// ErrCancelled ends a sequence whose Cancel was called, ErrStopped one whose engine ended.
var (
	ErrCancelled = errors.New("engine: the sequence was cancelled")
	ErrStopped   = errors.New("engine: the engine has stopped")
)

// Output is one token of an answer. The last one has a Finish; one that was Cut has no token then, and Token is -1. An end
// token is an Output like others.
type Output struct {
	Token   int32
	Finish  Finish
	Rank    int32          // the place of Token among all, 1 for the likeliest; with Logprobs
	Logprob float32        // of Token in the model's own distribution, before temperature and penalties; with Logprobs
	Top     []TokenLogprob // the likeliest tokens; with Logprobs above 0
}

// Sequence is a request on its way. Next may be called by one goroutine at a time, the rest by any.
type Sequence struct {
	engine    *Engine
	serial    uint64 // its place in the order of arrival
	submitted time.Time

	promptLen      int
	limit          int // the most tokens, prompt and answer together
	logprobs       int
	promptLogprobs int

	// out is the bounded buffer between the step loop, its only sender, and the reader. How the sequence ended is written
	// before it is closed.
	out    chan Output
	finish Finish
	err    error
	told   bool // the reader's: it has heard that the sequence was cut

	cancelled atomic.Bool
	cached    atomic.Int64 // prompt tokens that were found computed
	queued    atomic.Int64 // nanoseconds until it was first seated

	// prompt grows in the step loop until promptKnown is closed: when it is complete, or when the sequence ends before. Both are
	// nil where nothing was asked about the prompt.
	prompt      []PromptLogprob
	promptKnown chan struct{}

	work // the step loop's
}

// stage is where a sequence stands.
type stage int

const (
	waiting stage = iota
	running
	ended
)

// work is the part of a sequence that only the step loop touches.
//
// Its rule: keys and values of tokens[:computed] are in the blocks; whatever is behind must be caught up, be it a prompt, the
// token just chosen, or everything after a preemption. When nothing is behind, the next token is chosen.
type work struct {
	stage    stage
	tokens   []int32 // (prompt + answer)
	computed int
	blocks   []int32   // (ceil(computed / block size)), or one more before a step
	hashes   []kv.Hash // of the first full blocks of tokens, as far as they were needed yet
	root     kv.Hash   // before the first block

	again       bool // was preempted: it is seated, and finds tokens computed, not for the first time
	expected    int  // blocks at its beginning that it will share rather than take
	full        bool // the reader has not made room
	pausedSince time.Time
	prompted    int // prompt tokens whose log-probability is known, where asked for

	sampler sampler
}

// behind is how many tokens have to be computed before the next can be chosen.
func (s *Sequence) behind() int { return len(s.tokens) - s.computed }

// generated is how many tokens the answer has.
func (s *Sequence) generated() int { return len(s.tokens) - s.promptLen }

// reading reports whether prompt log-probabilities are still to be gathered, for which the prompt's logits are needed.
func (s *Sequence) reading() bool { return s.promptLogprobs >= 0 && s.prompted < s.promptLen }

// hash returns the hash of full block k of the tokens.
func (s *Sequence) hash(k, blockSize int) kv.Hash {
	for i := len(s.hashes); i <= k; i++ {
		parent := s.root
		if i > 0 {
			parent = s.hashes[i-1]
		}
		s.hashes = append(s.hashes, parent.Next(s.tokens[i*blockSize:(i+1)*blockSize]))
	}
	return s.hashes[k]
}

// Next waits for the next token. After the Output with a Finish it returns io.EOF; a sequence that failed returns what it had
// and then its error: ErrCancelled, ErrStopped, or what went wrong. When ctx ends first, Next returns its error and the
// sequence goes on; a reader that leaves calls Cancel.
func (s *Sequence) Next(ctx context.Context) (Output, error) {
	var o Output
	var ok bool
	select {
	case o, ok = <-s.out: // what is there is given even when ctx has ended
	default:
		select {
		case o, ok = <-s.out:
		case <-ctx.Done():
			return Output{}, ctx.Err()
		}
	}
	switch {
	case !ok && s.err != nil:
		return Output{}, s.err
	case !ok && s.finish == Cut && !s.told:
		s.told = true
		return Output{Token: -1, Finish: Cut}, nil
	case !ok:
		return Output{}, io.EOF
	}
	if len(s.out)+1 >= cap(s.out) { // it may have paused on a full buffer; an idle engine must look again
		s.engine.nudge()
	}
	return o, nil
}

// Cancel ends the sequence; its memory is free after the step that is under way. It does nothing to one that has ended.
func (s *Sequence) Cancel() {
	if s.cancelled.CompareAndSwap(false, true) {
		s.engine.nudge()
	}
}

// Prompt waits for the log-probabilities of the prompt's tokens and returns them, one for each; nil where they were not asked
// for. They are known just before the first token. A sequence that ends before returns its error.
func (s *Sequence) Prompt(ctx context.Context) ([]PromptLogprob, error) {
	if s.promptKnown == nil {
		return nil, nil
	}
	select {
	case <-s.promptKnown:
	default:
		select {
		case <-s.promptKnown:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if len(s.prompt) < s.promptLen { // it ended; err was written before promptKnown was closed
		return nil, s.err
	}
	return s.prompt, nil
}

// Stats says how many prompt tokens were found computed, and how long the sequence waited for its place. They are final once
// Next has returned the first token.
func (s *Sequence) Stats() (cachedTokens int, queued time.Duration) {
	return int(s.cached.Load()), time.Duration(s.queued.Load())
}
