package serve

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/route"
)

// race is a Runner that asks a second endpoint where the first has said nothing for a while, and answers with whichever speaks first;
// the other is cancelled. It is what hedging is: off unless a model says after how long, and paid from the retry budget, because a
// fleet that is slow for being full must not be asked twice.
//
// Each endpoint runs on a goroutine of its own, which ends before Run does; all events are emitted on the caller's.
type race struct {
	p         *Pipeline
	table     *route.Table
	order     route.Ask
	endpoints []*fleet.Endpoint
	first     *fleet.Endpoint
	model     llm.ModelID
	told      llm.Place // what the client was told of the first
	after     time.Duration
	arrived   time.Time

	steps   chan step
	running int
	ends    [2]context.CancelFunc
	held    [2][]llm.Event // events that hold nothing of the answer, of those that have not won
	sizes   int            // bytes of them
	winner  int            // -1 before anybody spoke
	second  second
	asking  chan error // reply of the event that is being passed on
}

// second is the second endpoint's part.
type second struct {
	pick   route.Pick
	flight *fleet.Flight
	began  time.Time
	heard  time.Time
}

// step is an event of one runner, or its end.
type step struct {
	who   int
	event *llm.Event
	reply chan error // for an event: what emit returned
	usage llm.Usage  // of an end
	err   error
}

// errLost ends the runner that spoke second.
var errLost = errors.New("another endpoint answered first")

// Run is part of llm.Runner.
func (r *race) Run(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
	r.steps, r.winner = make(chan step), -1
	r.start(ctx, 0, r.first.Runner(), req)
	timer := time.NewTimer(r.after)
	defer timer.Stop()
	defer r.abandon()
	var usage llm.Usage
	var failure error
	for r.running > 0 {
		select {
		case <-timer.C:
			r.hedge(ctx, req)
		case s := <-r.steps:
			if s.event != nil {
				r.asking = s.reply
				err := r.pass(s, emit)
				r.asking <- err
				r.asking = nil
				continue
			}
			r.running--
			if s.who == 1 {
				r.settle(ctx, s)
			}
			// With nobody ahead the first's end counts: its endpoint is the one that the visit is of.
			if timer.Stop(); s.who == r.winner || r.winner < 0 && (s.err == nil || s.who == 0) {
				usage, failure = s.usage, s.err
			}
			if s.who == r.winner || s.err == nil {
				r.end(1 - s.who)
			}
		}
	}
	return usage, failure
}

// abandon ends what still runs when emit has panicked, so that nothing outlives Run.
func (r *race) abandon() {
	if r.asking != nil {
		r.asking <- errLost
	}
	for who := range r.ends {
		r.end(who)
	}
	for r.running > 0 {
		if s := <-r.steps; s.event != nil {
			s.reply <- errLost
		} else if r.running--; s.who == 1 {
			r.settle(context.Background(), s)
		}
	}
}

// start has one runner answer.
func (r *race) start(ctx context.Context, who int, runner llm.Runner, req *llm.Request) {
	ctx, r.ends[who] = context.WithCancel(ctx)
	r.running++
	go func() {
		usage, err := r.p.contained(req, func() (llm.Usage, error) {
			return runner.Run(ctx, req, func(e llm.Event) error {
				reply := make(chan error, 1)
				r.steps <- step{who: who, event: &e, reply: reply}
				return <-reply
			})
		})
		r.steps <- step{who: who, usage: usage, err: err}
	}()
}

func (r *race) end(who int) {
	if r.ends[who] != nil {
		r.ends[who]()
	}
}

// hedge asks the second endpoint, where the budget and the fleet have one.
func (r *race) hedge(ctx context.Context, req *llm.Request) {
	if r.winner >= 0 || ctx.Err() != nil || !r.table.Retry(r.p.now()) {
		return
	}
	order := r.order
	order.Tried = append(order.Tried[:len(order.Tried):len(order.Tried)], r.first.ID())
	pick, none := r.table.Pick(r.p.now(), order, r.endpoints, r.p.picks.Add(1))
	if none != nil {
		return
	}
	r.second = second{pick: pick, began: r.p.now()}
	r.second.flight = pick.Endpoint.Begin(r.second.began, order.Prompt-pick.Cached)
	r.start(ctx, 1, pick.Endpoint.Runner(), req)
}

// pass takes an event: the first that says anything decides the race.
func (r *race) pass(s step, emit func(llm.Event) error) error {
	e := *s.event
	if r.winner < 0 {
		says := e.Kind != llm.EventPrompt && (e.Kind != llm.EventFrame || e.Holds != 0)
		if r.sizes += len(e.Frame); !says && r.sizes <= heldMax {
			e.Frame = bytes.Clone(e.Frame)
			r.held[s.who] = append(r.held[s.who], e)
			return nil
		}
		if err := r.won(s.who, emit); err != nil {
			return err
		}
	}
	if s.who != r.winner {
		return errLost
	}
	return emit(e)
}

// won ends the other and lets out what the winner said before.
func (r *race) won(who int, emit func(llm.Event) error) error {
	r.winner = who
	r.end(1 - who)
	if who == 1 {
		r.second.heard = r.p.now()
		r.second.flight.First(r.second.heard)
		place := r.told
		place.Endpoint = r.second.pick.Endpoint.ID()
		if !r.arrived.IsZero() {
			place.Queued = r.second.began.Sub(r.arrived)
		}
		if err := emit(llm.Event{Kind: llm.EventPlaced, Place: &place}); err != nil {
			return err
		}
	}
	for _, e := range r.held[who] {
		if err := emit(e); err != nil {
			return err
		}
	}
	return nil
}

// settle writes the second endpoint's account.
func (r *race) settle(ctx context.Context, s step) {
	now, fault, label := r.p.now(), llm.FaultTask, outcomeHedged
	if r.winner == 1 || r.winner < 0 && s.err != nil {
		fault, label = blame(ctx, &answer{}, s.err)
	}
	tokens := 0
	if fault == llm.FaultNone {
		tokens = s.usage.CompletionTokens
	}
	r.second.flight.End(now, tokens)
	r.table.Ended(now, r.second.pick, fault, now.Sub(r.second.began))
	if fault == llm.FaultBusy {
		r.table.Rest(now, r.second.pick, llm.AsError(s.err).RetryAfter)
	}
	v := Visit{Model: r.model, Endpoint: r.second.pick.Endpoint.ID(), Outcome: label}
	if !r.second.heard.IsZero() {
		v.TTFT = r.second.heard.Sub(r.second.began)
	}
	r.p.report.visited(v)
}

// outcomeHedged is how a visit ended that another endpoint was faster than.
const outcomeHedged = "hedged"

// other is the endpoint of the race that did not answer; empty where there was none.
func (r *race) other(answered llm.EndpointID) llm.EndpointID {
	switch {
	case r == nil || r.second.pick.Endpoint == nil:
		return ""
	case r.first.ID() != answered:
		return r.first.ID()
	}
	return r.second.pick.Endpoint.ID()
}

// lost reports whether the first endpoint was slower than the second.
func (r *race) lost() bool { return r != nil && r.winner == 1 }
