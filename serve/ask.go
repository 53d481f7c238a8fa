package serve

import (
	"context"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/route"
)

// visitsMax bounds the endpoints that one request sees. Retries end sooner, by their budget; a long answer in a fleet whose endpoints
// die one after the other is taken up at most so often.
const visitsMax = 8

// outputGuess is how long an answer is taken to be whose request does not say.
const outputGuess = 256

// ask has a model answer: one endpoint, or as many as it takes, one after the other.
func (p *Pipeline) ask(ctx context.Context, model llm.ModelID, a *answer) (usage llm.Usage, err error) {
	table, endpoints := p.Table(model), p.fleet.Endpoints(model)
	if len(endpoints) > 1 {
		a.keeping = a.req.Stream && a.req.Choices() == 1 && !a.req.Shape.Whole && a.req.Going == nil
	}
	order := orderOf(a.req)
	for {
		pick, none := p.next(table, order, endpoints, a)
		if none != nil {
			if again, ok := widen(&order, a); ok && err != nil {
				order = again
				continue
			}
			if err == nil {
				err = none
			}
			p.gaveUp(model, a)
			return a.spentSoFar(usage), err
		}
		usage, err = p.visit(ctx, table, pick, p.racing(table, pick, order, endpoints, a), a)
		there := ctx.Err() == nil && a.failed == nil // the client is
		if err == nil || a.finished && a.begun && a.keeping && there {
			if a.going != nil {
				p.report.resumed(model, ResumeOK)
			}
			if err != nil {
				return a.complete()
			}
			return a.whole(usage), a.release()
		}
		if there && a.spent() {
			if err := a.send(&llm.Event{Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishLength}}); err != nil {
				return a.whole(usage), err
			}
			return a.complete()
		}
		if !p.again(ctx, table, &order, a, err) {
			p.gaveUp(model, a)
			return a.spentSoFar(usage), err
		}
	}
}

// next is the endpoint of the next visit: of the first, the one that the gate let the request in to.
func (p *Pipeline) next(table *route.Table, order route.Ask, endpoints []*fleet.Endpoint, a *answer) (route.Pick, *llm.Error) {
	if a.seat.fresh {
		a.seat.fresh = false
		return a.seat.pick, nil
	}
	pick, none := table.Pick(p.now(), order, endpoints, p.picks.Add(1))
	if none == nil {
		a.seat.moved(pick)
	}
	return pick, none
}

// orderOf is what routing hears of a request.
func orderOf(r *llm.Request) route.Ask {
	o := route.Ask{Prompt: r.Shape.Prompt, Output: r.Limits.MaxTokens, Prefix: r.Shape.Prefix, Block: r.Shape.Block, Session: r.Shape.Session}
	if o.Output == 0 || o.Output > outputGuess {
		o.Output = outputGuess
	}
	if r.Going != nil {
		o.Continues = fleet.ContinuesTokens
	}
	return o
}

// racing makes the race of a hedged request; nil for any other, and for all visits but the first.
func (p *Pipeline) racing(table *route.Table, pick route.Pick, order route.Ask, endpoints []*fleet.Endpoint, a *answer) *race {
	if a.hedge <= 0 || a.visits > 0 || len(endpoints) < 2 {
		return nil
	}
	return &race{p: p, table: table, order: order, endpoints: endpoints, first: pick.Endpoint, model: a.model, after: a.hedge, arrived: a.req.Arrived,
		told: llm.Place{Model: a.model, Variant: a.variant, Degraded: a.degraded, Allowance: a.hold.Allowance()}}
}

// visit sends the request to one endpoint and tells everybody how it went. With a race, another may answer in its place.
func (p *Pipeline) visit(ctx context.Context, table *route.Table, pick route.Pick, r *race, a *answer) (llm.Usage, error) {
	a.begin()
	e := pick.Endpoint
	runner := e.Runner()
	if r != nil {
		runner = r
	}
	began := p.now()
	a.place = llm.Place{Model: a.model, Endpoint: e.ID(), Variant: a.variant, Degraded: a.degraded, Allowance: a.hold.Allowance()}
	if !a.req.Arrived.IsZero() {
		a.place.Queued = began.Sub(a.req.Arrived)
	}
	flight := e.Begin(began, a.req.Shape.Prompt-pick.Cached)
	usage, err := p.contained(a.req, func() (llm.Usage, error) {
		if err := a.send(&llm.Event{Kind: llm.EventPlaced, Place: &a.place}); err != nil {
			return llm.Usage{}, err
		}
		begun := false
		return runner.Run(ctx, a.request(), func(ev llm.Event) error {
			err := a.pass(&ev)
			// An answer in one piece comes when its last token is made: it says nothing of how long its prompt took.
			if !begun && !a.heard.IsZero() && ev.Holds&llm.HoldsWhole == 0 {
				begun = true
				if r.lost() {
					a.seat.moved(r.second.pick)
					a.seat.first(a.heard, r.second.pick.Cached)
				} else {
					flight.First(a.heard)
					a.seat.first(a.heard, pick.Cached)
				}
				a.hold.Grow(a.heard, tellEvery)
			}
			if a.count >= a.seat.told+tellEvery {
				a.tellLength()
			}
			return err
		})
	})
	end := p.now()
	fault, label := blame(ctx, a, err)
	if r.lost() {
		fault, label = llm.FaultTask, outcomeHedged
	}
	tokens := usage.CompletionTokens / a.req.Choices()
	if fault != llm.FaultNone || !a.req.Stream {
		tokens = 0 // of a failure, or of an answer in one piece, nothing is known of the time between tokens
	}
	if fault == llm.FaultNone {
		flight.Whole(end)
	}
	flight.End(end, tokens)
	table.Ended(end, pick, fault, end.Sub(began))
	if fault == llm.FaultBusy {
		table.Rest(end, pick, llm.AsError(err).RetryAfter)
		a.seat.busy(end)
	} else if fault != llm.FaultNone && fault != llm.FaultTask {
		a.seat.failed(end)
	}
	a.raced = r.other(a.place.Endpoint)
	v := Visit{Model: a.model, Endpoint: e.ID(), Outcome: label}
	if !a.heard.IsZero() && !r.lost() {
		v.TTFT = a.heard.Sub(began)
	}
	p.report.visited(v)
	return usage, err
}

// blame says what of a visit's end is held against the endpoint, FaultTask for what is not its doing, and the label of the end.
func blame(ctx context.Context, a *answer, err error) (llm.Fault, string) {
	if err == nil {
		return llm.FaultNone, llm.OutcomeOK
	}
	e := llm.AsError(err)
	switch {
	case a.failed != nil:
		return llm.FaultTask, llm.AsError(a.failed).Kind.String()
	case ctx.Err() != nil && e.Fault == llm.FaultNone:
		return llm.FaultTask, llm.AsError(ctx.Err()).Kind.String()
	case e.Fault != llm.FaultNone:
		return e.Fault, e.Fault.String()
	}
	switch e.Kind {
	case llm.Internal:
		return llm.FaultStatus, llm.FaultStatus.String()
	case llm.Overloaded, llm.Draining:
		return llm.FaultBusy, llm.FaultBusy.String()
	}
	return llm.FaultTask, e.Kind.String()
}

// again decides whether, and prepares that, the request is sent to another endpoint after err.
func (p *Pipeline) again(ctx context.Context, table *route.Table, order *route.Ask, a *answer, err error) bool {
	fault, _ := blame(ctx, a, err)
	e := llm.AsError(err)
	if ctx.Err() != nil || a.failed != nil || a.visits >= visitsMax || fault == llm.FaultTask && e.Fault != llm.FaultTask && e.Kind != llm.TooLong {
		return false
	}
	order.Tried = append(order.Tried, a.place.Endpoint)
	if r := a.raced; r != "" && r != a.place.Endpoint {
		order.Tried = append(order.Tried, r)
	}
	if a.begun {
		return p.resume(order, a) && (a.resumes == 1 || p.wait(ctx, table.Backoff(a.resumes-1, 0, p.picks.Add(1))) == nil)
	}
	if fault == llm.FaultTask {
		return true // nothing was computed: asking an endpoint that can costs nobody anything
	}
	if !table.Retry(p.now()) {
		p.report.refused(a.model)
		return false
	}
	p.report.retried(a.model, fault)
	wait := table.Backoff(a.visits, 0, p.picks.Add(1))
	if deadline, ok := ctx.Deadline(); ok && p.now().Add(wait).After(deadline) {
		return false
	}
	return p.wait(ctx, wait) == nil
}

// resume prepares for another endpoint to go on behind what went out.
func (p *Pipeline) resume(order *route.Ask, a *answer) bool {
	if !a.resumable() {
		p.report.resumed(a.model, ResumeImpossible)
		return false
	}
	a.going = a.continuation()
	a.resumes++
	order.Continues = fleet.ContinuesText
	if a.exact() {
		order.Continues = fleet.ContinuesTokens
	}
	return true
}

// widen lets more endpoints take part where none is left: those that go on from text where none can from tokens, and then those that
// failed before, but for the last, because an endpoint that died may be back.
func widen(order *route.Ask, a *answer) (route.Ask, bool) {
	o := *order
	switch {
	case !a.begun:
		return o, false
	case o.Continues == fleet.ContinuesTokens && len(a.text) > 0:
		o.Continues = fleet.ContinuesText
	case len(o.Tried) > 1:
		o.Tried = o.Tried[len(o.Tried)-1:]
	default:
		return o, false
	}
	return o, true
}

// gaveUp tells of an answer that was to be taken up and was not.
func (p *Pipeline) gaveUp(model llm.ModelID, a *answer) {
	if a.going != nil {
		p.report.resumed(model, ResumeFailed)
	}
}

// elsewhere reports whether a fallback should be asked after err: nothing of this model could answer, and the client is still there.
func elsewhere(ctx context.Context, err error) bool {
	e := llm.AsError(err)
	switch {
	case ctx.Err() != nil:
		return false
	case e.Fault != llm.FaultNone:
		return true
	}
	switch e.Kind {
	case llm.NoEndpoint, llm.Overloaded, llm.Draining, llm.Upstream, llm.Internal, llm.TooLong:
		return true
	}
	return false
}
