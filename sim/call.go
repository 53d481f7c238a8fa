package sim

import (
	"math"
	"slices"
	"time"

	"github.com/weir-ai/weir/admit"
	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/route"
	"github.com/weir-ai/weir/tenant"
)

// Client is how whoever asks behaves.
type Client struct {
	Returns  int           // times it comes again at most after a refusal
	SDK      bool          // it comes again as official SDKs do: by itself where nothing is said, and after failures too
	Patience time.Duration // after which it leaves, whatever it has by then; 0 is never
	StartBy  time.Duration // it says by when it must have started; 0 is not
	Variants bool          // it takes a lesser variant
	Whole    bool          // it wants its answer in one piece
}

// Call is one request as the gateway sees it; a client that comes again makes another.
type Call struct {
	Job       *Job
	Client    Client
	Tenant    llm.TenantID
	Class     llm.Class
	Weight    float64
	MaxTokens int    // the most tokens that it allows its answer; 0 where it does not say
	Print     uint64 // tells it when it comes again
	Returned  int    // times that it came before
	Told      bool   // it comes when it was told to

	Number     uint64
	Arrived    time.Duration
	LastStart  time.Duration // the latest that it may start
	Waited     bool          // it did not start at once
	Started    time.Duration // -1 where it never did
	First      time.Duration // of its first token; -1 where there was none
	Ended      time.Duration
	Outcome    string        // llm.OutcomeOK or the label of an llm.Kind
	Kind       llm.Kind      // where Outcome is not ok
	Reason     llm.Reason    // of a refusal
	RetryAfter time.Duration // of a refusal
	Emitted    int           // tokens that its client was sent
	Visits     int
	Resumes    int
	Rung       int // of the ladder

	m           *variant
	ticket      admit.Ticket
	reservation *tenant.Reservation
	waiting     bool
	running     bool // the gate has given it a place
	over        bool
	pick        route.Pick
	tried       []llm.EndpointID
	flight      *fleet.Flight
	visit       *visit
	engine      *Engine
	at          int           // of engine, among the variant's
	began       time.Duration // of the visit
	cached      int
}

// output is how long the answer is in the end.
func (c *Call) output() int {
	n := max(c.Job.Output, 1)
	if c.MaxTokens > 0 {
		n = min(n, c.MaxTokens)
	}
	return n
}

// Good reports whether its answer met an objective: ended, with the first token within ttft and tokens tpot apart in the mean.
func (c *Call) Good(ttft, tpot time.Duration) bool {
	if c.Outcome != llm.OutcomeOK {
		return false
	}
	each := (c.Ended - c.First).Seconds() / float64(max(c.Emitted-1, 1))
	return (ttft <= 0 || c.First-c.Arrived <= ttft) && (tpot <= 0 || each <= tpot.Seconds())
}

// computed reports whether its prompt is charged: something of its answer came, or its client left while it was computed.
func (c *Call) computed() bool { return c.Emitted > 0 || c.Kind == llm.Canceled && c.Visits > 0 }

// ask is the call as routing hears of it.
func (c *Call) ask(m *variant) route.Ask {
	a := route.Ask{Prompt: c.Job.Prompt + c.Emitted, Output: outputGuess, Prefix: c.Job.Blocks, Session: c.Job.Session, Tried: c.tried}
	if len(a.Prefix) > 0 {
		a.Block = m.engines[0].speed.Block
	}
	if c.Emitted > 0 {
		a.Continues = fleet.ContinuesText
	}
	return a
}

// arrive takes a call through reservation, ladder and gate.
func (p *Path) arrive(c *Call) {
	p.count++
	c.Number, c.Arrived, c.Started, c.First = p.count, p.clock.now, -1, -1
	if t := p.book.Tenant(c.Tenant); t.ID == c.Tenant {
		c.Class, c.Weight = t.Class.Lower(c.Class), t.Weight
	}
	c.m = p.variants[0]
	c.LastStart = p.lastStart(c)
	p.see(Event{Kind: EventArrived, Call: c})
	if c.Client.Patience > 0 {
		p.clock.At(p.clock.now+c.Client.Patience, func() { p.leave(c) })
	}
	if err := p.reserve(c); err != nil {
		e := llm.AsError(err)
		p.end(c, e.Kind, e.Reason, e.RetryAfter)
		return
	}
	p.see(Event{Kind: EventReserved, Call: c})
	c.m = p.choose(c)
	c.Rung = c.m.at
	c.m.prompts, c.m.outputs = max(c.m.prompts, c.Job.Prompt), max(c.m.outputs, c.output())
	if p.setup.Bend.refuses != nil && p.setup.Bend.refuses(p, c) {
		p.verdict(c, admit.Verdict{Reason: llm.ReasonLate, RetryAfter: time.Second})
		return
	}
	var v admit.Verdict
	c.ticket, v = c.m.gate.Offer(p.moment(), p.entry(c), p.place(c.m))
	if p.setup.Bend.verdict != nil {
		v = p.setup.Bend.verdict(c, v)
	}
	if v.Waiting {
		c.waiting, c.Waited = true, true
		c.m.waiting[c.Class.Rank()]++
		p.see(Event{Kind: EventQueued, Call: c, Verdict: v})
		p.clock.At(c.LastStart+time.Millisecond, func() { p.see(Event{Kind: EventDeadline, Call: c}) })
	} else {
		p.verdict(c, v)
	}
	p.pump(c.m)
}

// lastStart is the latest that a call may start by its class, or by what it says itself.
func (p *Path) lastStart(c *Call) time.Duration {
	if c.Client.StartBy > 0 {
		return c.Arrived + c.Client.StartBy
	}
	k := c.m.Gate.WithDefaults().Classes[c.Class.Rank()]
	if k.TTFT > 0 {
		return c.Arrived + k.TTFT
	}
	return c.Arrived + k.Wait
}

// verdict does what the gate says, where that is not to wait.
func (p *Path) verdict(c *Call, v admit.Verdict) {
	switch {
	case v.Started:
		c.running = true
		c.m.running++
		c.Started = p.clock.now
		p.see(Event{Kind: EventStarted, Call: c, Verdict: v})
		p.visit(c)
	case v.Err != nil:
		e := llm.AsError(v.Err)
		p.end(c, e.Kind, e.Reason, min(max(e.RetryAfter, time.Second), time.Minute))
	default:
		p.see(Event{Kind: EventRefused, Call: c, Verdict: v})
		kind := llm.Overloaded
		if v.Reason == llm.ReasonStart {
			kind = llm.StartTimeout
		}
		p.end(c, kind, v.Reason, v.RetryAfter)
	}
}

// visit sends a call to the endpoint that was picked.
func (p *Path) visit(c *Call) {
	e := c.pick.Endpoint
	c.at = slices.Index(c.m.endpoints, e)
	c.engine = c.m.engines[c.at]
	c.Visits++
	c.began = p.clock.now
	job := *c.Job
	job.Prompt, job.Output = c.Job.Prompt+c.Emitted, c.output()-c.Emitted
	c.flight = e.Begin(p.now(), job.Prompt-c.pick.Cached)
	v := &visit{job: &job}
	c.visit = v
	begun := false
	grew := func(n int) {
		c.Emitted += n
		if !p.skips("grow", c) {
			c.reservation.Grow(p.wall(), c.Emitted)
		}
		c.m.gate.Tokens(p.moment(), c.ticket, c.Emitted)
		p.see(Event{Kind: EventGrew, Call: c, Tokens: n})
	}
	v.first = func() {
		begun = true
		if c.First < 0 {
			c.First = p.clock.now
		}
		if !c.Client.Whole {
			c.m.failed[c.at] = 0
			c.cached = v.hits * c.engine.speed.Block
			c.flight.First(p.now())
			c.m.gate.First(p.moment(), c.ticket, c.pick.Cached)
		}
		grew(1)
		p.pump(c.m)
	}
	v.grew = grew
	v.ended = func(f llm.Fault) { p.visited(c, f) }
	p.clock.At(p.clock.now+p.setup.First, func() {
		if c.visit == v && !begun && !c.over {
			c.engine.leave(v)
			p.visited(c, llm.FaultFirstTimeout)
		}
	})
	c.engine.submit(v)
}

// off takes a call off its endpoint.
func (p *Path) off(c *Call, f llm.Fault) {
	tokens := 0
	if f == llm.FaultNone && !c.Client.Whole {
		tokens = c.visit.job.Output
	}
	if f == llm.FaultNone {
		c.m.failed[c.at] = 0
		c.flight.Whole(p.now())
	}
	if !p.skips("flight", c) {
		c.flight.End(p.now(), tokens)
	}
	c.m.table.Ended(p.now(), c.pick, f, p.clock.now-c.began)
	switch f {
	case llm.FaultNone, llm.FaultTask:
	case llm.FaultBusy:
		c.m.table.Rest(p.now(), c.pick, busyRest)
		c.m.gate.Busy(p.moment(), c.ticket)
	default:
		c.m.failed[c.at] = p.clock.now
		c.m.gate.Failed(p.moment(), c.ticket)
	}
	c.visit = nil
}

// visited hears how a visit ended, and has another endpoint go on after a fault, as package serve does.
func (p *Path) visited(c *Call, f llm.Fault) {
	if c.over {
		return
	}
	defer p.pump(c.m)
	p.off(c, f)
	if f == llm.FaultNone || c.Emitted >= c.output() {
		p.finish(c, llm.FaultNone, llm.Internal)
		return
	}
	c.tried = append(c.tried, c.pick.Endpoint.ID())
	wait, ok := time.Duration(0), c.Visits < visitsMost
	c.m.seeds++
	switch {
	case !ok:
	case c.Emitted > 0 && c.Client.Whole: // nothing of it has gone out: it is begun anew
		p.see(Event{Kind: EventGrew, Call: c, Tokens: -c.Emitted})
		c.Emitted = 0
		ok = c.m.table.Retry(p.now())
		wait = c.m.table.Backoff(c.Visits, 0, c.m.seeds)
	case c.Emitted > 0:
		if c.Resumes++; c.Resumes > 1 {
			wait = c.m.table.Backoff(c.Resumes-1, 0, c.m.seeds)
		}
	default:
		ok = c.m.table.Retry(p.now())
		wait = c.m.table.Backoff(c.Visits, 0, c.m.seeds)
	}
	if !ok {
		p.finish(c, f, kindOf(f))
		return
	}
	p.clock.At(p.clock.now+wait, func() { p.again(c, f) })
}

// again has another endpoint take a call.
func (p *Path) again(c *Call, f llm.Fault) {
	if c.over {
		return
	}
	defer p.pump(c.m)
	for {
		c.m.seeds++
		pick, none := c.m.table.Pick(p.now(), c.ask(c.m), c.m.list, c.m.seeds)
		if none == nil {
			c.pick = pick
			break
		}
		if c.Emitted == 0 || len(c.tried) < 2 {
			p.finish(c, f, kindOf(f))
			return
		}
		c.tried = c.tried[len(c.tried)-1:] // an endpoint that died may be back
	}
	c.m.gate.Move(p.moment(), c.ticket, c.pick.Endpoint.ID())
	p.visit(c)
}

func kindOf(f llm.Fault) llm.Kind {
	if f == llm.FaultBusy {
		return llm.Overloaded
	}
	return llm.Upstream
}

// finish ends a call that had started.
func (p *Path) finish(c *Call, f llm.Fault, kind llm.Kind) {
	c.running = false
	c.m.running--
	end := admit.End{Prompt: c.Job.Prompt, Cached: c.cached, Output: c.Emitted, Fault: f}
	if !p.skips("done", c) {
		c.m.gate.Done(p.moment(), c.ticket, end)
	}
	if f == llm.FaultNone {
		p.end(c, -1, "", 0)
		return
	}
	retry := time.Duration(0)
	if kind == llm.Overloaded {
		retry = time.Second
	}
	p.end(c, kind, "", retry)
}

// leave has a call's client go.
func (p *Path) leave(c *Call) {
	if c.over {
		return
	}
	defer p.pump(c.m)
	switch {
	case c.waiting:
		c.waiting = false
		c.m.waiting[c.Class.Rank()]--
		c.m.gate.Withdraw(p.moment(), c.ticket)
		p.see(Event{Kind: EventUnqueued, Call: c})
		p.end(c, llm.Canceled, "", 0)
	case c.running:
		if c.visit != nil {
			c.engine.leave(c.visit)
			p.off(c, llm.FaultTask)
		}
		p.finish(c, llm.FaultTask, llm.Canceled)
	}
}

// end settles a call and tells its client. A kind of -1 is an answer that came to its end.
func (p *Path) end(c *Call, kind llm.Kind, why llm.Reason, retry time.Duration) {
	if p.skips("end", c) {
		return
	}
	c.Outcome, c.Kind, c.Reason, c.RetryAfter, c.Ended = llm.OutcomeOK, kind, why, retry, p.clock.now
	if kind >= 0 {
		c.Outcome = kind.String()
	}
	p.settle(c)
	c.over = true
	p.live--
	p.moved = p.clock.now
	p.ended = append(p.ended, c)
	p.see(Event{Kind: EventEnded, Call: c})
	if p.skips("once", c) {
		p.see(Event{Kind: EventEnded, Call: c})
	}
	p.comeAgain(c)
}

// settle charges what was used and gives the rest back.
func (p *Path) settle(c *Call) {
	u := llm.Usage{CompletionTokens: c.Emitted}
	if c.computed() {
		u.PromptTokens, u.CachedTokens = c.Job.Prompt, c.cached
	}
	if p.setup.Bend.usage != nil {
		u = p.setup.Bend.usage(p, c, u)
	}
	reserved := c.reservation.Tokens()
	switch {
	case p.skips("settle", c):
	case c.Started < 0:
		c.reservation.Drop(p.wall())
	default:
		c.reservation.Settle(p.wall(), u)
	}
	p.see(Event{Kind: EventSettled, Call: c, Usage: u, Reserved: reserved})
}

const (
	// sdkFirst and sdkMost are the official SDKs' own waits between tries, where no Retry-After within sdkHeeds says another.
	sdkFirst = 500 * time.Millisecond
	sdkMost  = 8 * time.Second
	sdkHeeds = time.Minute
)

// comeAgain has a call's client come back, if it does.
func (p *Path) comeAgain(c *Call) {
	if c.Kind < 0 || c.Returned >= c.Client.Returns || c.Emitted > 0 || c.Kind == llm.Canceled {
		return
	}
	told := c.RetryAfter > 0 && c.RetryAfter <= sdkHeeds
	wait := c.RetryAfter
	switch {
	case told && !c.Client.SDK:
		wait = time.Duration(math.Ceil(wait.Seconds())) * time.Second // the header's whole seconds
	case told:
		wait = (wait + time.Millisecond - 1) / time.Millisecond * time.Millisecond // SDKs read retry-after-ms
	case c.Client.SDK:
		wait = min(sdkFirst<<c.Returned, sdkMost)
	default:
		return
	}
	p.Arrive(p.clock.now+wait, &Call{
		Job: c.Job, Client: c.Client, Tenant: c.Tenant, Class: c.Class, MaxTokens: c.MaxTokens, Print: c.Print, Returned: c.Returned + 1, Told: told,
	})
}
