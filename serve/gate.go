package serve

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-ai/weir/admit"
	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/registry"
	"github.com/weir-ai/weir/route"
)

// gate lets the requests of one model in, in admit's order, as its endpoints have room. All decisions are admit's; here are the lock that
// they are made under, held for a decision and never longer, the timer that wakes those whose time has come, and the channel that each
// waiting request sleeps on.
type gate struct {
	p     *Pipeline
	model llm.ModelID
	table *route.Table
	keeps atomic.Pointer[registry.Objectives] // what it keeps to
	mu    struct {
		sync.Mutex
		admit   *admit.Gate
		now     time.Time // of the decision that is made
		looked  time.Time // when the endpoints' facts were taken
		facts   []admit.Endpoint
		usable  []bool
		changes []admit.Change
		timer   *time.Timer
		due     time.Time // of timer
	}
}

// seat is one request's place at a gate, from its coming to its end. It belongs to the request's goroutine; pick is written under the
// gate's lock before the request is woken.
type seat struct {
	gate   *gate
	ticket admit.Ticket
	order  route.Ask
	pick   route.Pick
	fresh  bool                // pick has not been visited
	woken  chan *admit.Verdict // where it waits; nil for one that never did
	told   int                 // output tokens that the gate knows of
}

const (
	// lookEvery is how old the facts of the endpoints may be: a twentieth of the time in which a flood changes anything, and long enough
	// that a thousand decisions share their cost.
	lookEvery = 50 * time.Millisecond
	// keepAlive is how often a stream that waits hears that it does: load balancers cut connections that are silent for 60 s, some for 30.
	keepAlive = 15 * time.Second
	// queueEvery is how often a client that wants to know hears where it waits.
	queueEvery = time.Second
	// restMost is how long requests wait for endpoints that have said that they are full: longer than a burst, and about what an objective
	// allows; where they ask for more, clients are told so at once.
	restMost = 2 * time.Second
	// tellEvery is after how many tokens the gate and the tenant's account hear of an answer's length: a lock for each would cost more than
	// the token, and an estimate is never that exact.
	tellEvery = 32
)

// gate is the gate of a model.
func (p *Pipeline) gate(m *registry.Model) *gate {
	if v, ok := p.gates.Load(m.ID); ok {
		g := v.(*gate)
		if *g.keeps.Load() != m.Objectives {
			g.configure(m.Objectives)
		}
		return g
	}
	g := &gate{p: p, model: m.ID, table: p.Table(m.ID)}
	g.keeps.Store(&m.Objectives)
	g.mu.admit = admit.New(p.gateConfig(m.Objectives))
	v, _ := p.gates.LoadOrStore(m.ID, g)
	return v.(*gate)
}

// configure has a gate keep to other objectives from now on, where a reload has changed them.
func (g *gate) configure(o registry.Objectives) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.keeps.Store(&o)
	g.mu.admit.Configure(g.p.gateConfig(o))
}

// gateConfig is the common configuration with a model's objectives, where that has none of its own.
func (p *Pipeline) gateConfig(o registry.Objectives) admit.Config {
	c := p.admission
	for i, objective := range o {
		if c.Classes[i].TTFT == 0 {
			c.Classes[i].TTFT, c.Classes[i].TPOT = objective.TTFT, objective.TPOT
		}
	}
	return c.WithDefaults()
}

// enter lets a request in, or waits until its turn comes, or says why it is refused. Before it returns nothing of an answer goes out, but
// for comments where a stream waits for long or asks for them.
func (g *gate) enter(ctx context.Context, a *answer) (*seat, error) {
	s := &seat{gate: g, order: orderOf(a.req), fresh: true}
	came := g.p.now()
	v := s.offer(came, entryOf(a.req))
	if !v.Waiting {
		g.p.report.waited(g.model, a.req.Class, 0)
	} else {
		next, err := s.wait(ctx, a)
		g.p.report.waited(g.model, a.req.Class, g.p.now().Sub(came))
		if err != nil {
			return nil, err
		}
		v = *next
	}
	if !v.Started {
		return nil, g.refusal(&v)
	}
	return s, nil
}

// offer brings the request to the gate. One that waits is woken through its channel.
func (s *seat) offer(now time.Time, e admit.Entry) (v admit.Verdict) {
	g := s.gate
	e.Owner = s
	g.mu.Lock()
	defer g.mu.Unlock() // the router's choice is made under the lock, and its panic is one failed request
	g.look(now)
	if s.ticket, v = g.mu.admit.Offer(now, e, g.place); v.Waiting {
		s.woken = make(chan *admit.Verdict, 1)
	}
	g.wake(now)
	return v
}

// entryOf is what the gate hears of a request.
func entryOf(r *llm.Request) admit.Entry {
	return admit.Entry{
		Whole: !r.Stream, Print: fingerprint(r.Body), Tenant: r.Tenant, Weight: r.Weight, Class: r.Class, Prompt: r.Shape.Prompt, Output: r.Limits.MaxTokens * r.Choices(), Bytes: int64(len(r.Body)), StartBy: r.StartBy,
	}
}

// fingerprint tells a body when it comes again: by its length and its ends, because those who ask again send the same.
func fingerprint(body []byte) uint64 {
	const ends = 4 << 10
	h := uint64(len(body))
	if len(body) > 2*ends {
		return h ^ maphash.Bytes(prints, body[:ends]) ^ maphash.Bytes(prints, body[len(body)-ends:])<<1
	}
	return h ^ maphash.Bytes(prints, body)
}

// prints makes fingerprints those of this process alone: nobody makes two that meet.
var prints = maphash.MakeSeed()

// wait sleeps until the gate decides or the client leaves.
func (s *seat) wait(ctx context.Context, a *answer) (*admit.Verdict, error) {
	every := keepAlive
	if a.req.Queue && a.req.Stream {
		every = queueEvery
		if err := s.tell(a); err != nil {
			return nil, s.leaveQueue(err)
		}
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case v := <-s.woken:
			return v, nil
		case <-ctx.Done():
			return nil, s.leaveQueue(ctx.Err())
		case <-ticker.C:
			if !a.req.Stream {
				continue
			}
			if err := s.tell(a); err != nil {
				return nil, s.leaveQueue(err)
			}
		}
	}
}

// tell tells a stream where it waits. It can still be displaced: that is told inside the stream then.
func (s *seat) tell(a *answer) error {
	return a.queued(s.where())
}

func (s *seat) where() llm.Queue {
	g := s.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.admit.Where(g.p.now(), s.ticket)
}

// leaveQueue takes a request that waits away because of err; one that was let in at this very moment ends there.
func (s *seat) leaveQueue(err error) error {
	g := s.gate
	now := g.p.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.step(now) // what has been decided and not told yet is told first
	select {
	case v := <-s.woken:
		if v.Started {
			g.mu.admit.Done(now, s.ticket, admit.End{Fault: llm.FaultTask})
			g.table.Ended(now, s.pick, llm.FaultTask, 0)
		}
	default:
		g.mu.admit.Withdraw(now, s.ticket)
	}
	g.step(now)
	return err
}

// refusal is the error of one that was not let in.
func (g *gate) refusal(v *admit.Verdict) error {
	if v.Err != nil {
		return v.Err
	}
	g.p.report.turnedAway(g.model, v.Reason)
	e := &llm.Error{Op: "admit", Kind: llm.Overloaded, Reason: v.Reason, RetryAfter: v.RetryAfter}
	if v.Reason == llm.ReasonStart {
		e.Kind = llm.StartTimeout
	}
	e.Message = told(v)
	return e
}

// place is the router's choice for a request that the gate lets in.
func (g *gate) place(e *admit.Entry, room func(llm.EndpointID) bool) (llm.EndpointID, error) {
	s := e.Owner.(*seat)
	order, endpoints := s.order, g.p.fleet.Endpoints(g.model)
	if slices.Contains(g.mu.usable, true) {
		order.Room = room
	} else if rest := g.table.Resting(g.mu.now, endpoints); rest > 0 {
		if rest > restMost {
			return "", &llm.Error{Kind: llm.Overloaded, Reason: llm.ReasonFull, RetryAfter: rest, Message: fmt.Sprintf("Every endpoint of this model says that it is full. Try again in %s.", rest.Round(100*time.Millisecond))}
		}
		return "", nil // they are only full; the request waits as long as it may
	}
	pick, none := g.table.Pick(g.mu.now, order, endpoints, g.p.picks.Add(1))
	if none != nil {
		if order.Room != nil {
			return "", nil // those that are well have no room now; the request waits for it
		}
		return "", none
	}
	s.pick = pick
	return pick.Endpoint.ID(), nil
}

// look gives the gate the facts of the endpoints, where those that it has are old. It begins every decision.
func (g *gate) look(now time.Time) {
	g.mu.now = now
	if now.Sub(g.mu.looked) < lookEvery && !g.mu.looked.IsZero() {
		return
	}
	g.mu.looked = now
	endpoints := g.p.fleet.Endpoints(g.model)
	g.mu.usable = g.table.Usable(now, endpoints, g.mu.usable[:0])
	g.mu.facts = g.mu.facts[:0]
	for i, e := range endpoints {
		g.mu.facts = append(g.mu.facts, admissionFacts(e, now, g.mu.usable[i]))
	}
	g.mu.admit.Endpoints(now, g.mu.facts)
}

// admissionFacts is what the gate needs to know of an endpoint.
func admissionFacts(e *fleet.Endpoint, now time.Time, usable bool) admit.Endpoint {
	f := e.Facts(now)
	return admit.Endpoint{
		ID: f.ID, Usable: usable, Slots: f.Slots, PrefillSeconds: f.PrefillSeconds, DecodeSeconds: f.DecodeSeconds, Waiting: f.Load.Waiting, Age: f.LoadAge, KV: f.About.Cache,
	}
}

// step lets in whom there is room for and sends away whose time has passed. The lock is held.
func (g *gate) step(now time.Time) {
	g.look(now)
	g.mu.changes = g.mu.admit.Step(now, g.place, g.mu.changes[:0])
	for i := range g.mu.changes {
		c := g.mu.changes[i]
		c.Owner.(*seat).woken <- &c.Verdict // never blocks: there is one verdict for each seat, and room for one
		g.mu.changes[i] = admit.Change{}
	}
	g.wake(now)
}

// wake sees to it that step is called when the gate wants it. The lock is held.
func (g *gate) wake(now time.Time) {
	next := g.mu.admit.Next()
	if next.IsZero() || !g.mu.due.IsZero() && !next.Before(g.mu.due) {
		return
	}
	g.mu.due = next
	d := max(next.Sub(now), 0)
	if g.mu.timer == nil {
		g.mu.timer = time.AfterFunc(d, g.tick)
		return
	}
	g.mu.timer.Reset(d)
}

// tick is the timer's step.
func (g *gate) tick() {
	now := g.p.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.due = time.Time{}
	g.step(now)
}

// moved notes that the request goes to another endpoint.
func (s *seat) moved(pick route.Pick) {
	g := s.gate
	g.mu.Lock()
	g.mu.admit.Move(g.p.now(), s.ticket, pick.Endpoint.ID())
	g.mu.Unlock()
}

// busy notes that the endpoint said that it is full.
func (s *seat) busy(now time.Time) {
	g := s.gate
	g.mu.Lock()
	g.mu.admit.Busy(now, s.ticket)
	g.mu.Unlock()
}

// failed notes that the endpoint failed the request.
func (s *seat) failed(now time.Time) {
	g := s.gate
	g.mu.Lock()
	g.mu.admit.Failed(now, s.ticket)
	g.mu.Unlock()
}

// first notes the first content.
func (s *seat) first(now time.Time, cached int) {
	g := s.gate
	g.mu.Lock()
	g.mu.admit.First(now, s.ticket, cached)
	g.mu.Unlock()
}

// tokens notes how long the answer is by now.
func (s *seat) tokens(now time.Time, output int) {
	s.told = output
	g := s.gate
	g.mu.Lock()
	g.mu.admit.Tokens(now, s.ticket, output)
	g.mu.Unlock()
}

// leave gives the place to others.
func (s *seat) leave(usage llm.Usage, fault llm.Fault) {
	g := s.gate
	now := g.p.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.admit.Done(now, s.ticket, admit.End{Prompt: usage.PromptTokens, Cached: usage.CachedTokens, Output: usage.CompletionTokens, Fault: fault})
	g.step(now)
}

// told is what a client reads of a refusal.
func told(v *admit.Verdict) string {
	back := v.RetryAfter.Round(100 * time.Millisecond)
	switch v.Reason {
	case llm.ReasonLate:
		return fmt.Sprintf("The model is busy: this request would start in %s, later than it may. Try again in %s.", v.Wait.Round(100*time.Millisecond), back)
	case llm.ReasonDisplaced:
		return fmt.Sprintf("The model is busy, and requests of a higher class came. Try again in %s.", back)
	case llm.ReasonStart:
		return "The request waited until its time to start by had passed. Try again, or allow a longer X-Request-Timeout."
	}
	return fmt.Sprintf("As many requests wait for this model as may. Try again in %s.", back)
}

// state is what operators see of the gate.
func (g *gate) state() admit.State {
	now := g.p.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.look(now)
	return g.mu.admit.State(now)
}
