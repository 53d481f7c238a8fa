package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/weir-ai/weir/engine/kv"
)

// Engine computes the sequences of one model. Make it with New, have one goroutine in Run, and Submit from any.
type Engine struct {
	cfg   Config // defaults filled in
	sizes sizes
	model forwarder

	engineShared
	wake chan struct{} // one token: something happened that an idle step loop must see

	stepping sync.Mutex // held for a step; guards what follows
	schedule schedule
	pace     pace
	drain    drain
	shell
}

// engineShared is what callers and the step loop share.
type engineShared struct {
	mu struct {
		sync.Mutex
		inbox  []*Sequence // submitted, not yet taken by the step loop
		queued int         // waiting in the schedule when it was last looked at
		serial uint64
		retry  time.Duration // what BusyError says
		closed error         // why nothing is taken any more
		began  bool          // Run was called
		stats  Stats
	}
}

// Stats is a snapshot of an engine; the last group counts since it was made.
type Stats struct {
	Running      int // sequences that have a place
	Waiting      int // that have none
	BlocksUsed   int // held by sequences
	BlocksTotal  int
	BlocksCached int // free, and still holding a prefix that can be found
	BlockRefs    int // references held; 0 when there are no sequences, or something leaks

	Steps          uint64
	Submitted      uint64
	Finished       uint64 // in whatever way
	Preempted      uint64
	Cut            uint64
	Failed         uint64 // ended by an error other than a cancel or the engine's stop
	TokensComputed uint64
	TokensReused   uint64 // tokens found computed, in prompts and after preemptions
}

// newEngine makes the engine around anything that computes like a model.
func newEngine(f func(blocks int) forwarder, m sizes, cfg Config) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults(m)
	if m.context < 2 {
		return nil, fmt.Errorf("engine: a context of %d tokens leaves no room for a prompt and an answer", m.context)
	}
	for _, t := range cfg.EndTokens {
		if t < 0 || int(t) >= m.vocab {
			return nil, fmt.Errorf("engine: end token %d is not in the vocabulary of %d", t, m.vocab)
		}
	}
	e := &Engine{cfg: cfg, sizes: m, wake: make(chan struct{}, 1)}
	e.schedule = schedule{
		bounds: bounds{
			sequences:  cfg.MaxSequences,
			stepTokens: cfg.StepTokens,
			minPrefill: cfg.MinPrefill,
			maxPaused:  cfg.MaxPaused,
			rows:       promptRows,
			share:      !cfg.NoPrefixCache,
		},
		pool: kv.NewPool(cfg.Blocks, m.blockSize),
	}
	e.model = f(cfg.Blocks)
	e.shell.init(e)
	e.mu.retry = retryMin
	e.mu.stats.BlocksTotal = cfg.Blocks
	return e, nil
}

// Context is the most tokens that a sequence may have, prompt and answer together: the model's context, or what all blocks
// hold where that is less.
func (e *Engine) Context() int { return min(e.sizes.context, e.cfg.Blocks*e.sizes.blockSize) }

// Submit queues r. It returns a *BusyError where too many wait, a *RequestError where r cannot be computed, and ErrStopped after
// the engine has stopped. Whoever gets a Sequence reads it to its end or calls Cancel.
func (e *Engine) Submit(r Request) (*Sequence, error) {
	if err := checkRequest(&r, e.sizes.vocab, e.Context()); err != nil {
		return nil, err
	}
	if err := e.accepts(); err != nil { // before the work below: a flood is refused cheaply
		return nil, err
	}
	s := &Sequence{
		engine:         e,
		submitted:      time.Now(),
		promptLen:      len(r.Tokens),
		limit:          e.Context(),
		logprobs:       r.Logprobs,
		promptLogprobs: r.PromptLogprobs,
		out:            make(chan Output, e.cfg.OutputBuffer),
	}
	if r.MaxTokens > 0 && r.MaxTokens < s.limit-len(r.Tokens) {
		s.limit = len(r.Tokens) + r.MaxTokens
	}
	// Room for a short answer, so that ordinary ones never grow their slice.
	s.tokens = slices.Grow(slices.Clone(r.Tokens), min(s.limit-len(r.Tokens), 256))
	s.root = kv.Root(r.Salt)
	s.sampler = newSampler(&r, e.cfg.EndTokens)
	if s.promptLogprobs >= 0 {
		s.prompt = append(make([]PromptLogprob, 0, len(r.Tokens)), PromptLogprob{Token: r.Tokens[0]})
		s.prompted = 1
		s.promptKnown = make(chan struct{})
		if s.promptLen == 1 {
			close(s.promptKnown)
		}
	}
	if full := len(r.Tokens) / e.sizes.blockSize; full > 0 && !e.cfg.NoPrefixCache {
		s.hashes = make([]kv.Hash, 0, full)
		s.hash(full-1, e.sizes.blockSize) // here, on the caller's goroutine, rather than in the step loop
	}

	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.acceptsLocked(); err != nil {
		return nil, err
	}
	e.mu.serial++
	s.serial = e.mu.serial
	e.mu.inbox = append(e.mu.inbox, s)
	e.mu.stats.Submitted++
	e.nudge()
	return s, nil
}

func (e *Engine) accepts() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.acceptsLocked()
}

func (e *Engine) acceptsLocked() error {
	if e.mu.closed != nil {
		return e.mu.closed
	}
	if n := len(e.mu.inbox) + e.mu.queued; n >= e.cfg.MaxWaiting {
		return &BusyError{Waiting: n, RetryAfter: e.mu.retry}
	}
	return nil
}

// nudge makes an idle step loop look again. It never blocks: one token in the channel is as good as many.
func (e *Engine) nudge() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Stats returns how the engine stands after its last step.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	st := e.mu.stats
	st.Waiting = len(e.mu.inbox) + e.mu.queued
	return st
}

// Run is the step loop. It computes as long as there is something to compute, and parks otherwise: on a new request, a
// cancel, a reader that made room, or the time at which a paused sequence is to be cut. When ctx ends, Run ends every
// sequence with ErrStopped after the step under way and returns nil; it does the same and returns an error when the engine
// itself is at fault (a panic outside of model and sampling). An engine runs once.
func (e *Engine) Run(ctx context.Context) (err error) {
	e.mu.Lock()
	again := e.mu.began
	e.mu.began = true
	e.mu.Unlock()
	if again {
		return errors.New("engine: Run was called twice")
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("engine: the step loop panicked: %v\n%s", r, debug.Stack())
		}
		e.close()
	}()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		// A failed step has told its sequences and the listener; the engine goes on.
		if worked, _ := e.Step(); worked {
			continue
		}
		if wake := e.wakeAt(); !wake.IsZero() {
			timer.Reset(time.Until(wake))
		} else {
			timer.Reset(time.Hour) // nothing is due; this spares a second way of waiting
		}
		select {
		case <-ctx.Done():
		case <-e.wake:
		case <-timer.C:
		}
	}
	return nil
}
