package serve

import (
	"bytes"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/openai"
	"github.com/weir-ai/weir/tenant"
)

// answer is one request's answer on its way out, over all the endpoints that take part in it. It belongs to one goroutine.
//
// What an endpoint sends before the first content, such as the frame with the role, is held: as long as nothing has gone out, another
// endpoint can begin anew and the client never knows. From then on the words that went out are kept, as long as they are few enough,
// so that another endpoint can go on behind them.
type answer struct {
	req   *llm.Request
	emit  func(llm.Event) error
	now   func() time.Time
	model llm.ModelID // the one that is asked now
	place llm.Place
	raced llm.EndpointID // the endpoint that a hedged visit asked beside place's
	hedge time.Duration  // after which silence a second endpoint is asked; 0 for never

	first  time.Time // when the first event came that carries anything
	heard  time.Time // the same at the endpoint that is asked now
	begun  bool      // something has gone out that cannot be taken back
	events bool      // the answer came in events, token by token, whether its client streams or not
	failed error     // what emit returned: the client, not an endpoint
	held   [][]byte  // frames that wait for the first content
	sizes  int       // bytes of held

	asked    *llm.Request        // as it came, before a ladder made less of it
	seat     *seat               // its place at the gate of the model that is asked now
	hold     *tenant.Reservation // what its tenant's limits hold for it; nil where there are none
	variant  llm.ModelID         // the rung that answers, of a model with a ladder
	degraded []string            // what else was made less of it

	visits  int
	going   *llm.Continuation // what the present endpoint was told to go on from
	resumes int

	keeping  bool // the words that go out are kept
	text     []byte
	thought  []byte
	tokens   []llm.TokenID
	prompt   []llm.TokenID
	untold   bool // words came without their tokens
	count    int  // tokens that went out, or events where nobody told the tokens
	calls    bool // a part of a tool call went out
	finished bool // the only choice has its end
	stopped  bool // by a token of its own, which counts
	counted  bool // the usage went out
}

const (
	// heldMax bounds what is held before the first content: a frame with the role, which the ids of a long prompt may be in, and some with
	// nothing.
	heldMax = 1 << 20
	// keptMax bounds the words that are kept for a resume: the longest answers have some 100 KB. A longer one breaks off with its endpoint.
	keptMax = 1 << 20
)

// pass takes one event of the present endpoint. Inside, events go by pointer: a stream's memory is cold when its next token comes, and
// each copy on the stack costs more than what is done with it.
func (a *answer) pass(e *llm.Event) error {
	if a.failed != nil {
		return a.failed
	}
	if e.Kind == llm.EventPlaced {
		a.place = *e.Place
		return a.send(e)
	}
	carries := e.Carries()
	if carries && a.heard.IsZero() {
		a.heard = a.now()
		if a.first.IsZero() {
			a.first = a.heard
		}
	}
	if e.Kind == llm.EventPrompt && !a.tellsPrompt() {
		a.note(e) // told for a resume alone: nothing of the answer
		return nil
	}
	if e.Kind == llm.EventFrame && e.Holds == 0 {
		return a.empty(e)
	}
	if err := a.release(); err != nil {
		return err
	}
	a.keep(e)
	if a.going != nil {
		a.correct(e)
	}
	return a.send(e)
}

// tellsPrompt reports whether the client asked for something of its prompt; a request that was not decoded may have.
func (a *answer) tellsPrompt() bool {
	r := a.req.Report
	return !a.keeping || r.Echo || r.TokenIDs || r.PromptLogprobs >= 0
}

func (a *answer) send(e *llm.Event) error {
	a.begun = a.begun || a.req.Stream && e.Kind != llm.EventPlaced
	a.events = a.events || e.Kind == llm.EventDelta
	a.failed = a.emit(*e)
	return a.failed
}

// queued tells that the answer waits to begin.
func (a *answer) queued(q llm.Queue) error {
	a.failed = a.emit(llm.Event{Kind: llm.EventQueued, Queue: &q})
	return a.failed
}

// tellLength tells the gate and the tenant's account how long the answer is by now.
func (a *answer) tellLength() {
	now := a.now()
	a.seat.tokens(now, a.count)
	a.hold.Grow(now, a.count+tellEvery)
}

// empty takes a frame that holds nothing: the one with the role, mostly. Of an answer that was taken up it is left out.
func (a *answer) empty(e *llm.Event) error {
	if a.begun { // tokens without text, such as half of a character
		a.note(e)
		a.count += len(e.Tokens)
		if a.going != nil {
			return nil
		}
		return a.send(e)
	}
	a.note(e)
	a.count += len(e.Tokens)
	if a.sizes += len(e.Frame); a.sizes > heldMax {
		if err := a.release(); err != nil {
			return err
		}
		return a.send(e)
	}
	a.held = append(a.held, bytes.Clone(e.Frame))
	return nil
}

// release sends what was held.
func (a *answer) release() error {
	held := a.held
	a.held = nil
	for _, frame := range held {
		if err := a.send(&llm.Event{Kind: llm.EventFrame, Frame: frame, Dialect: llm.DialectOpenAI}); err != nil {
			return err
		}
	}
	return nil
}

// keep notes what a resume would need of an event that goes out.
func (a *answer) keep(e *llm.Event) {
	switch e.Kind {
	case llm.EventFinish:
		a.finished, a.stopped = true, e.Finish.Reason == llm.FinishStop
		return
	case llm.EventUsage:
		a.counted = true
		return
	case llm.EventToolCall:
		a.calls = true
		return
	case llm.EventFrame:
		if e.Holds&llm.HoldsFinish != 0 {
			a.finished, a.stopped = true, e.Finish.Reason == llm.FinishStop
		}
		a.counted = a.counted || e.Holds&llm.HoldsUsage != 0
		a.calls = a.calls || e.Holds&llm.HoldsToolCall != 0
	}
	a.note(e)
	if !e.Carries() {
		return
	}
	if a.count++; len(e.Tokens) > 0 {
		a.count += len(e.Tokens) - 1
	} else {
		a.untold = true
	}
	if !a.keeping {
		return
	}
	if len(a.text)+len(a.thought) > keptMax {
		a.keeping, a.text, a.thought, a.tokens = false, nil, nil, nil
		return
	}
	words := &a.text
	if e.Kind == llm.EventReasoning || e.Holds&llm.HoldsReasoning != 0 && e.Holds&llm.HoldsContent == 0 {
		words = &a.thought
	}
	if e.Kind != llm.EventFrame {
		*words = append(*words, e.Text...)
	} else if bytes.IndexByte(e.Raw, '\\') < 0 {
		*words = append(*words, e.Raw...)
	} else {
		*words = append(*words, openai.Unquote(e.Raw)...)
	}
}

// note keeps the tokens that an event tells.
func (a *answer) note(e *llm.Event) {
	if !a.keeping {
		return
	}
	prompt, words := e.Prompt, e.Tokens
	if e.Kind == llm.EventPrompt {
		prompt, words = e.Tokens, nil
	}
	if a.prompt == nil {
		for _, t := range prompt {
			a.prompt = append(a.prompt, t.ID)
		}
	}
	for _, t := range words {
		a.tokens = append(a.tokens, t.ID)
	}
}

// correct makes the usage of an answer that was taken up that of the whole: what the first endpoints said is prompt to the last.
func (a *answer) correct(e *llm.Event) {
	if e.Kind == llm.EventUsage || e.Kind == llm.EventFrame && e.Holds&llm.HoldsUsage != 0 {
		e.Usage = a.whole(e.Usage)
	}
}

// whole is the usage of the answer in all, of what the endpoint says that ended it.
func (a *answer) whole(u llm.Usage) llm.Usage {
	if a.going == nil {
		return u
	}
	u.PromptTokens = max(0, u.PromptTokens-a.going.Count)
	u.CachedTokens = min(u.CachedTokens, u.PromptTokens)
	u.CompletionTokens += a.going.Count
	return u
}

// complete ends an answer whose endpoint was cut when only the usage was missing: it is what was counted here.
func (a *answer) complete() (llm.Usage, error) {
	u := llm.Usage{PromptTokens: len(a.prompt), CompletionTokens: a.count}
	if u.PromptTokens == 0 {
		u.PromptTokens = a.req.Shape.Prompt
	}
	if a.stopped {
		u.CompletionTokens++
	}
	if a.counted {
		return u, nil
	}
	a.counted = true
	return u, a.send(&llm.Event{Kind: llm.EventUsage, Usage: u})
}

// spentSoFar is the usage of an answer that ended in an error, where its endpoint did not come to tell it: what was counted here.
func (a *answer) spentSoFar(u llm.Usage) llm.Usage {
	if u.CompletionTokens > 0 || a.count == 0 {
		return a.whole(u)
	}
	u.CompletionTokens = a.count
	if u.PromptTokens == 0 {
		if u.PromptTokens = len(a.prompt); u.PromptTokens == 0 {
			u.PromptTokens = a.req.Shape.Prompt
		}
	}
	return u
}

// begin prepares for a visit to another endpoint.
func (a *answer) begin() {
	a.visits++
	a.heard = time.Time{}
	a.held, a.sizes = nil, 0
	if a.begun {
		return
	}
	a.text, a.thought, a.tokens, a.prompt = nil, nil, nil, nil
	a.untold, a.calls, a.finished, a.stopped, a.counted, a.count = false, false, false, false, false, 0
}

// request is what the present endpoint is asked.
func (a *answer) request() *llm.Request {
	if a.going == nil && !a.keeping {
		return a.req
	}
	r := *a.req
	r.Trail = a.keeping
	if a.going != nil {
		r.Going = a.going
	}
	return &r
}

// resumable reports whether another endpoint could go on behind what went out.
func (a *answer) resumable() bool {
	return a.keeping && !a.calls && (len(a.text) > 0 || a.exact())
}

// spent reports whether all tokens that the client asked for went out, so that only the end is missing.
func (a *answer) spent() bool {
	most := a.req.Limits.MaxTokens
	return a.begun && a.keeping && most > 0 && a.count >= most
}

// exact reports whether every token that went out is known, and those of the prompt.
func (a *answer) exact() bool { return !a.untold && len(a.tokens) > 0 && len(a.prompt) > 0 }

// continuation is what the next endpoint goes on from.
func (a *answer) continuation() *llm.Continuation {
	c := &llm.Continuation{Text: string(a.text), Reasoning: string(a.thought), Count: a.count}
	if a.exact() {
		c.Tokens, c.Prompt = a.tokens, a.prompt
	}
	return c
}
