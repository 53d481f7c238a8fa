package local

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/weir-ai/weir/engine"
	"github.com/weir-ai/weir/engine/token"
	"github.com/weir-ai/weir/llm"
)

// choice is one answer on its way: its sequence in the engine and the writer that makes text of it.
type choice struct {
	index    int
	sequence *engine.Sequence
	writer   writer
	prompt   *prompt
	count    int // tokens generated, the end token included
}

// prompt is one prompt of a request with its tokens.
type prompt struct {
	text   string
	tokens []token.ID
}

// used is what the choice has used so far, for clients that want it with every event.
func (c *choice) used() llm.Usage {
	return llm.Usage{PromptTokens: len(c.prompt.tokens), CompletionTokens: c.count}
}

// Run answers req: its prompts become sequences in the engine's batch, N for each, and their tokens become events.
func (b *Backend) Run(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (usage llm.Usage, err error) {
	if req, err = whole(req); err != nil {
		return llm.Usage{}, err
	}
	prompts, err := b.prompts(ctx, req)
	if err != nil {
		return llm.Usage{}, err
	}
	if req.Going != nil {
		if req, err = b.goOn(ctx, req, prompts); err != nil {
			return llm.Usage{}, err
		}
	}
	choices, err := b.submit(req, prompts)
	if err != nil {
		return llm.Usage{}, err
	}
	defer func() {
		for _, c := range choices {
			c.sequence.Cancel()
		}
		usage = account(prompts, choices)
	}()
	if len(choices) == 1 {
		err = b.follow(ctx, req, choices[0], emit)
	} else {
		err = b.followAll(ctx, req, choices, emit)
	}
	if err != nil {
		return usage, err
	}
	return usage, emit(llm.Event{Kind: llm.EventUsage, Usage: account(prompts, choices)})
}

// account sums what the request used. Prompts count once, whatever the number of answers; of several answers the first tells how
// much of the prompt was cached.
func account(prompts []*prompt, choices []*choice) llm.Usage {
	var u llm.Usage
	for _, p := range prompts {
		u.PromptTokens += len(p.tokens)
	}
	perPrompt := len(choices) / len(prompts)
	for i, c := range choices {
		u.CompletionTokens += c.count
		if cached, _ := c.sequence.Stats(); i%perPrompt == 0 {
			u.CachedTokens += cached
		}
	}
	return u
}

// submit hands every answer to the engine, or none.
func (b *Backend) submit(req *llm.Request, prompts []*prompt) ([]*choice, error) {
	var choices []*choice
	abandon := func(err error) ([]*choice, error) {
		for _, c := range choices {
			c.sequence.Cancel()
		}
		return nil, err
	}
	seed, err := seedOf(req.Sampling.Seed)
	if err != nil {
		return nil, err
	}
	for _, p := range prompts {
		limit, err := b.room(req, p)
		if err != nil {
			return abandon(err)
		}
		for range max(1, req.N) {
			c := &choice{index: len(choices), prompt: p}
			c.writer = writer{stream: b.tokens.Continue(p.tokens), stops: req.Limits.Stop, minimum: req.Limits.MinTokens, withToks: req.Report.Logprobs >= 0 || req.Report.TokenIDs || req.Trail}
			order := b.order(req, p, limit, seed+uint64(c.index))
			if c.sequence, err = b.engine.Submit(order); err != nil {
				return abandon(b.submitError(err))
			}
			choices = append(choices, c)
		}
	}
	return choices, nil
}

// order is one answer as the engine takes it.
func (b *Backend) order(req *llm.Request, p *prompt, limit int, seed uint64) engine.Request {
	s := req.Sampling
	o := engine.Request{
		Tokens: p.tokens, MaxTokens: limit, MinTokens: req.Limits.MinTokens, IgnoreEOS: req.Limits.IgnoreEOS,
		Logprobs: req.Report.Logprobs, PromptLogprobs: req.Report.PromptLogprobs, Salt: string(req.Tenant),
		Sampling: engine.Sampling{
			Temperature: float32(s.Temperature), TopP: float32(s.TopP), TopK: s.TopK, MinP: float32(s.MinP),
			Presence: float32(s.Presence), Frequency: float32(s.Frequency), Repetition: float32(s.Repetition), Seed: seed,
		},
	}
	for _, id := range req.Limits.StopTokens {
		o.StopTokens = append(o.StopTokens, token.ID(id))
	}
	if len(s.Bias) > 0 {
		o.Sampling.Bias = make(map[int32]float32, len(s.Bias))
		for id, v := range s.Bias {
			o.Sampling.Bias[int32(id)] = float32(v)
		}
	}
	return o
}

// room is how many tokens the answer may have.
func (b *Backend) room(req *llm.Request, p *prompt) (int, error) {
	left := b.context - len(p.tokens)
	field := "messages"
	if req.Task == llm.Completion {
		field = "prompt"
	}
	if left < 1 {
		room := "an answer"
		if req.Report.EchoOnly {
			room = "the one token that is generated to read it"
		}
		return 0, &llm.Error{Kind: llm.TooLong, Param: field, Message: fmt.Sprintf(
			"This model's maximum context length is %d tokens, and the prompt alone has %d, which leaves no room for %s; shorten the %s.", b.context, len(p.tokens), room, field)}
	}
	asked := req.Limits.MaxTokens
	if asked > left {
		return 0, &llm.Error{Kind: llm.TooLong, Param: field, Message: fmt.Sprintf(
			"This model's maximum context length is %d tokens. However, you requested %d tokens (%d in the %s, %d in the completion). Please reduce the length of the %s or max_tokens.",
			b.context, len(p.tokens)+asked, len(p.tokens), field, asked, field)}
	}
	most := cmp.Or(asked, left)
	if least := req.Limits.MinTokens; least > most {
		return 0, llm.InvalidField("min_tokens", "min_tokens is %d, but the answer can have %d tokens: the context has %d, %d of them are the %s, and max_tokens may say less; send %d or less",
			least, most, b.context, len(p.tokens), field, most)
	}
	return most, nil
}

// seedOf gives the request's seed, or a fresh one from the system's randomness.
func seedOf(seed *int64) (uint64, error) {
	if seed != nil {
		return uint64(*seed), nil
	}
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, fmt.Errorf("no randomness for a seed: %w", err)
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

// submitError names the engine's refusals in the words of doors.
func (b *Backend) submitError(err error) error {
	var busy *engine.BusyError
	var bad *engine.RequestError
	switch {
	case errors.As(err, &busy):
		return &llm.Error{Op: "engine", Kind: llm.Overloaded, RetryAfter: busy.RetryAfter, Err: err,
			Message: fmt.Sprintf("The engine's queue is full (%d requests wait); try again after the time in Retry-After.", busy.Waiting)}
	case errors.As(err, &bad):
		field := fieldOf(bad.Field)
		return &llm.Error{Op: "engine", Kind: llm.Invalid, Param: field, Message: field + " " + bad.Problem, Err: err}
	}
	return b.runError(err)
}

// fieldOf gives the request's name for a field of the engine's. Doors check ranges before, so this is for callers without one.
func fieldOf(engineField string) string {
	switch engineField {
	case "Tokens":
		return "prompt"
	case "MaxTokens":
		return "max_tokens"
	case "MinTokens":
		return "min_tokens"
	case "StopTokens":
		return "stop_token_ids"
	case "PromptLogprobs":
		return "prompt_logprobs"
	case "TopP":
		return "top_p"
	case "TopK":
		return "top_k"
	case "MinP":
		return "min_p"
	case "Presence", "Frequency", "Repetition":
		return strings.ToLower(engineField) + "_penalty"
	case "Bias":
		return "logit_bias"
	}
	return strings.ToLower(engineField) // logprobs, temperature
}

// runError names what ended a sequence. A stopped engine is Draining where it was told to stop, and a fault where it fell.
func (b *Backend) runError(err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, engine.ErrStopped) && b.closed.Load():
		return &llm.Error{Op: "engine", Kind: llm.Draining, Err: err}
	}
	return &llm.Error{Op: "engine", Kind: llm.Internal, Err: err}
}

// follow passes one answer's tokens on until it ends.
func (b *Backend) follow(ctx context.Context, req *llm.Request, c *choice, emit func(llm.Event) error) error {
	if err := b.tellPrompt(ctx, req, c, emit); err != nil {
		return err
	}
	for {
		out, err := c.sequence.Next(ctx)
		if errors.Is(err, io.EOF) {
			return &llm.Error{Op: "engine", Kind: llm.Internal, Err: errors.New("a sequence ended without a finish")}
		}
		if err != nil {
			return b.runError(err)
		}
		done, err := b.tell(req, c, out, emit)
		if done || err != nil {
			return err
		}
	}
}

// tell turns one token into events; done says that the answer has ended.
func (b *Backend) tell(req *llm.Request, c *choice, out engine.Output, emit func(llm.Event) error) (done bool, err error) {
	if out.Finish == engine.Cut {
		return true, &llm.Error{Kind: llm.SlowReader, Message: "The client read its stream too slowly, and the answer was cut to free the engine."}
	}
	c.count++
	var text, stop string
	var toks []llm.TokenLogprob
	if b.shown(out) {
		text, toks, stop = c.writer.push(out.Token, b.logprob(out))
	}
	if out.Finish != engine.None && stop == "" {
		more, moreToks, late := c.writer.flush()
		text, toks, stop = text+more, append(toks, moreToks...), late
	}
	if text != "" || len(toks) > 0 {
		if err := emit(llm.Event{Kind: llm.EventDelta, Choice: c.index, Text: text, Tokens: toks, Usage: c.used()}); err != nil {
			return true, err
		}
	}
	if stop == "" && out.Finish == engine.None {
		return false, nil
	}
	c.sequence.Cancel()
	return true, emit(llm.Event{Kind: llm.EventFinish, Choice: c.index, Finish: finish(req, out, stop), Usage: c.used()})
}

// shown reports whether a token is part of the text: the model's end token that ended the answer is not, nor is a special token
// that was named as a stop token. Any other stop token is, as vLLM's documentation of stop_token_ids says.
func (b *Backend) shown(out engine.Output) bool {
	if out.Finish != engine.Stop {
		return true
	}
	_, end := slices.BinarySearch(b.tokens.EOGs(), out.Token)
	return !end && !b.tokens.IsSpecial(out.Token)
}

func finish(req *llm.Request, out engine.Output, stop string) llm.Finish {
	switch {
	case stop != "":
		return llm.Finish{Reason: llm.FinishStop, Stop: stop}
	case out.Finish == engine.Length:
		return llm.Finish{Reason: llm.FinishLength}
	}
	f := llm.Finish{Reason: llm.FinishStop}
	for _, id := range req.Limits.StopTokens {
		if token.ID(id) == out.Token {
			f.Token, f.StopIsToken = id, true
		}
	}
	return f
}

// logprob is out as events tell it.
func (b *Backend) logprob(out engine.Output) llm.TokenLogprob {
	return b.ranked(out.Token, out.Logprob, out.Rank, out.Top)
}

// ranked is a token with its place among all, and the likeliest.
func (b *Backend) ranked(id token.ID, logprob float32, rank int32, top []engine.TokenLogprob) llm.TokenLogprob {
	t := b.tokenLogprob(id, logprob, int(rank))
	for i, o := range top {
		t.Top = append(t.Top, b.tokenLogprob(o.Token, o.Logprob, i+1))
	}
	return t
}

func (b *Backend) tokenLogprob(id token.ID, logprob float32, rank int) llm.TokenLogprob {
	lp := float64(logprob)
	if math.IsInf(lp, -1) || math.IsNaN(lp) {
		lp = -9999 // JSON has no infinity; vLLM and OpenAI write this number for it
	}
	return llm.TokenLogprob{ID: llm.TokenID(id), Bytes: b.pieceBytes(id), Logprob: lp, Known: true, Rank: rank}
}

// tellPrompt tells what the request wants to know of its prompt, before the first token.
func (b *Backend) tellPrompt(ctx context.Context, req *llm.Request, c *choice, emit func(llm.Event) error) error {
	r := req.Report
	if !r.Echo && r.PromptLogprobs < 0 && !r.TokenIDs && !req.Trail {
		return nil
	}
	e := llm.Event{Kind: llm.EventPrompt, Choice: c.index, Text: c.prompt.text, Usage: c.used()}
	var known []engine.PromptLogprob
	if r.PromptLogprobs >= 0 {
		var err error
		if known, err = c.sequence.Prompt(ctx); err != nil {
			return b.runError(err)
		}
	}
	for i, id := range c.prompt.tokens {
		t := llm.TokenLogprob{ID: llm.TokenID(id), Bytes: b.pieceBytes(id)}
		if i < len(known) && i > 0 {
			t = b.ranked(id, known[i].Logprob, known[i].Rank, known[i].Top)
		}
		e.Tokens = append(e.Tokens, t)
	}
	return emit(e)
}
