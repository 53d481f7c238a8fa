// Package admit decides which request starts, which one waits and which one is refused, for one model in front of any number of
// endpoints. It counts what it has sent itself, in requests and in work, so that what cannot run yet waits here, where it can still be
// ordered, refused or displaced, and not in an engine. It orders what waits by class, fairly among tenants, and by deadline, and it
// predicts when each request starts: what would start too late is refused at once and told when to come back.
//
// Every method is a pure step: the moment comes in, and so does the seed. A Gate starts no goroutine, takes no lock, reads no clock and
// does no I/O; whoever owns one calls it from one goroutine at a time, and sends, waits and refuses as it says. It never chooses among
// endpoints that have room: the router does, through Place.
package admit

import (
	"math"
	"time"

	"github.com/weir-ai/weir/llm"
)

// Gate is the state of one model's admission.
//
// A ticket is given to each request that starts or waits, and has exactly one end: Done after it started, Withdraw or a Change with
// neither Started nor Waiting before. Whoever owns the gate calls Step whenever Next is not after now: after whatever freed room, that is
// at once.
type Gate struct {
	config            Config
	epoch             time.Time
	now               instant // the latest moment seen: time never goes back here
	tickets           Ticket  // the last that was given
	entries           map[Ticket]*entry
	classes           [llm.ClassCount]class
	tenants           map[llm.TenantID]*tenant
	numbers           uint64 // of tenants, for an order that depends on nothing else
	idle              idlers
	stations          []*station // of the list that was given last
	known             map[llm.EndpointID]*station
	waiting           usage
	deadline          expiry
	pending           []Change // what calls other than Step did to those that wait
	room              bool     // room may have come since the last drain
	narrow            bool     // the next in order waits for prompts that are computed: nobody may pass it
	blocked           []*queue // passed over in the drain under way
	swept             instant  // when those that wait were last looked through
	cursor            sweepAt
	profiles          profile  // scratch of sweeps
	missed            []*entry // the same
	weight            float64  // w: an output token's cost in prompt tokens
	weighed           instant  // when it was last moved
	outputs           quantile
	hits              float64 // share of prompts that was computed before
	estimated, actual float64 // mean work of what has ended, as it was expected and as it was
	mean              parts   // of what is dispatched
	returns           returns
	ahead             outlook
}

// instant is a time since the gate's epoch.
type instant = time.Duration

const never = instant(math.MaxInt64)

const (
	// drainMost bounds what starts in one call: a few milliseconds of routing. Next asks for another call at once where more could start.
	drainMost = 64
	// blockedMost bounds the tenants that are passed over in one call because the router has no place for their next request.
	blockedMost = 8
	// weightPrior is an output token's cost before anything was measured: the ratio of the VTC paper, and of most price lists, is 2 to 4.
	weightPrior = 2
	// outputPrior is how long answers are taken to be before any has ended.
	outputPrior = 256
)

// New makes the gate of one model. What c leaves out has its default.
func New(c Config) *Gate {
	g := &Gate{
		config: c.WithDefaults(), entries: map[Ticket]*entry{}, tenants: map[llm.TenantID]*tenant{}, known: map[llm.EndpointID]*station{},
		weight: weightPrior, outputs: quantile(outputPrior),
	}
	for i := range g.classes {
		g.classes[i] = class{rank: i, config: g.config.Classes[i], factor: factorPrior, arrivals: meter{time: recently}, often: meter{time: lately}, offered: meter{time: recently}, sudden: meter{time: suddenly}}
	}
	g.returns = returns{booked: map[uint64]uint16{}, come: comePrior, seed: c.Seed}
	return g
}

// at turns a moment into the gate's own time.
func (g *Gate) at(now time.Time) instant {
	if g.epoch.IsZero() {
		g.epoch = now
	}
	g.now = max(g.now, now.Sub(g.epoch))
	return g.now
}

// Offer brings a request. It starts at once where an endpoint has room and nobody else has a better claim to it; otherwise it waits, or is
// refused: by a bound, or because it would start too late. The ticket is 0 unless it started or waits. Those that were displaced by it
// are told by the next Step.
func (g *Gate) Offer(now time.Time, e Entry, place Place) (Ticket, Verdict) {
	t := g.at(now)
	g.returns.turn(t)
	x := g.make(t, e)
	x.returned = g.returns.take(t, x)
	x.queue.class.offered.add(t, float64(x.work))
	x.queue.class.sudden.add(t, float64(x.work))
	x.queue.class.call(t, x.queue, float64(x.work))
	if g.waiting.Requests > 0 && g.anyRoom(t) {
		g.pending = g.drain(t, place, g.pending)
	}
	free := g.anyRoom(t) && !(g.narrow && g.waiting.Requests > 0)
	if free || !g.anyUsable() {
		id, err := g.place(t, x, place)
		switch {
		case err != nil:
			g.leave(x)
			return 0, Verdict{Err: err}
		case id != "":
			g.admit(t, x)
			if x.queue.at < 0 {
				x.queue.class.last = x.queue
			}
			g.begin(t, x, g.station(id))
			return x.ticket, Verdict{Started: true, Endpoint: id}
		}
		free = free && !g.narrow
	}
	return g.await(t, x, free)
}

// await lets x wait, or refuses it. With idle there is room, though not for x: then it waits whatever is predicted.
func (g *Gate) await(t instant, x *entry, idle bool) (Ticket, Verdict) {
	if x.returned {
		x.key -= keepPlace
	}
	p := g.predict(t, x)
	x.predicted = p.wait
	if x.startBy < t {
		return 0, g.refuse(t, x, llm.ReasonStart, p.wait, p)
	}
	if late := g.lateBy(t, x, p); late > 0 && !idle {
		x.queue.class.factor = max(x.queue.class.factor*factorDown, factorLeast)
		return 0, g.refuse(t, x, llm.ReasonLate, late, p)
	}
	if !g.makeRoom(t, x) {
		return 0, g.refuse(t, x, llm.ReasonFull, p.wait, p)
	}
	g.admit(t, x)
	g.push(t, x)
	return x.ticket, Verdict{Waiting: true, Wait: p.wait, Position: p.position}
}

// make builds what the gate keeps of a request.
func (g *Gate) make(t instant, e Entry) *entry {
	e = e.whole()
	return g.fill(t, e, g.queue(e.Tenant, e.Class.Rank(), e.Weight))
}

// parts is what x is expected to need.
func (x *entry) parts() parts { return parts{float64(x.fresh), float64(x.expect)} }

// cost is the work of so many prompt and output tokens.
func (x *entry) cost(prompt, output int) Work {
	return Work(float64(prompt) + x.decode*float64(output))
}

// imagine builds what the gate would keep of a request, and leaves no trace of it.
func (g *Gate) imagine(t instant, e Entry) *entry {
	e = e.whole()
	c := &g.classes[e.Class.Rank()]
	n := g.tenants[e.Tenant]
	if n == nil {
		n = &tenant{id: e.Tenant, outputs: g.outputs, hits: g.hits}
	}
	q := n.queues[c.rank]
	if q == nil {
		q = &queue{tenant: n, class: c, at: -1}
	}
	if len(q.waiting) == 0 {
		q = &queue{tenant: n, class: c, at: -1, weight: e.Weight, counter: max(q.counter, c.level())}
	}
	return g.fill(t, e, q)
}

func (e Entry) whole() Entry {
	if !(e.Weight > 0) {
		e.Weight = 1
	}
	e.Prompt = max(e.Prompt, 1)
	return e
}

func (g *Gate) fill(t instant, e Entry, q *queue) *entry {
	x := &entry{Entry: e, queue: q, arrived: t, at: -1, decode: g.weight}
	x.expect = q.tenant.outputs.expect(e.Output)
	x.fresh = e.Prompt - min(int(q.tenant.hits*float64(e.Prompt)), e.Prompt-1)
	x.work = x.cost(x.fresh, x.expect)
	c := q.class.config
	switch {
	case !e.StartBy.IsZero():
		x.startBy = e.StartBy.Sub(g.epoch)
	case c.TTFT > 0:
		x.startBy = t + max(c.TTFT-g.prefill(x.fresh), 0)
	default:
		x.startBy = t + c.Wait
	}
	x.key = x.startBy
	return x
}

// admit gives the ticket.
func (g *Gate) admit(t instant, x *entry) {
	g.tickets++
	x.ticket = g.tickets
	g.entries[x.ticket] = x
	x.queue.tenant.live++
	c := x.queue.class
	c.arrivals.add(t, float64(x.work))
	c.often.add(t, float64(x.work))
	c.take(t, x.queue, float64(x.work), g.usual(x))
}

// place asks the router, and notes whether what stands in the way is prompts that are yet to be computed.
func (g *Gate) place(t instant, x *entry, place Place) (llm.EndpointID, error) {
	narrow := false
	x.Cached = 0
	id, err := place(&x.Entry, func(id llm.EndpointID) bool {
		s := g.known[id]
		if s == nil {
			return true // of an endpoint that is not on the list nothing is known that speaks against it
		}
		ok, tight := s.fits(t, x, g)
		narrow = narrow || tight
		return ok
	})
	g.narrow = narrow && id == "" && err == nil
	return id, err
}

// begin sends x to s.
func (g *Gate) begin(t instant, x *entry, s *station) {
	q := x.queue
	if x.Cached = min(max(x.Cached, 0), x.Prompt); x.Cached > 0 {
		x.fresh = max(x.Prompt-x.Cached, 1)
		x.work = x.cost(x.fresh, x.expect)
	}
	q.counter += float64(x.work) / q.weight
	q.class.fix(q)
	x.charged = x.work
	g.owe(q.class, x.work)
	g.mean = parts{mix(g.mean.prompt, float64(x.fresh), 0.05), mix(g.mean.output, float64(x.expect), 0.05)}
	s.begin(t, x, g.waiting.Requests > 0)
}

// Step does what the moment asks for: it drops those whose time to start by has passed or can no longer be met, and starts those for
// which there is room, in order. What it did to each is appended to out; place is only called during the call. The work of one call is
// bounded: Next says when another is wanted.
func (g *Gate) Step(now time.Time, place Place, out []Change) []Change {
	t := g.at(now)
	g.returns.turn(t)
	out = append(out, g.pending...)
	clear(g.pending)
	g.pending = g.pending[:0]
	for len(g.deadline) > 0 && g.deadline[0].startBy < t {
		out = g.drop(t, g.deadline[0], llm.ReasonStart, out)
	}
	out = g.drain(t, place, out)
	out = g.sweep(t, out)
	g.idle.forget(t, g)
	return out
}

// drop takes out one that waits, and says so.
func (g *Gate) drop(t instant, x *entry, why llm.Reason, out []Change) []Change {
	p := prediction{wait: max(x.predicted, t-x.arrived)}
	if why != llm.ReasonDisplaced {
		x.queue.class.factor = min(x.queue.class.factor*factorUp, factorMost)
	}
	g.pull(x)
	delete(g.entries, x.ticket)
	x.queue.tenant.live--
	c := Change{Ticket: x.ticket, Owner: x.Owner, Verdict: g.refuse(t, x, why, time.Second, p)}
	return append(out, c)
}

// drain starts what there is room for.
func (g *Gate) drain(t instant, place Place, out []Change) []Change {
	g.room, g.narrow = false, false
	defer g.unblock()
	for _, s := range g.stations {
		s.hush(t)
	}
	for range drainMost {
		if g.waiting.Requests == 0 || !g.anyRoom(t) && g.anyUsable() {
			return out
		}
		q := g.next()
		if q == nil {
			return out
		}
		x := q.waiting[0]
		id, err := g.place(t, x, place)
		switch {
		case err != nil:
			g.pull(x)
			delete(g.entries, x.ticket)
			q.tenant.live--
			g.leave(x)
			out = append(out, Change{Ticket: x.ticket, Owner: x.Owner, Verdict: Verdict{Err: err, Wait: t - x.arrived}})
			continue
		case id == "" && (g.narrow || len(g.blocked) == blockedMost):
			return out
		case id == "":
			g.block(q)
			continue
		}
		g.pull(x)
		g.begin(t, x, g.station(id))
		out = append(out, Change{Ticket: x.ticket, Owner: x.Owner, Verdict: Verdict{Started: true, Endpoint: id, Wait: t - x.arrived}})
	}
	g.room = g.waiting.Requests > 0
	return out
}

// Next is when Step is wanted at the latest: a moment that has passed for at once, zero for never.
func (g *Gate) Next() time.Time {
	switch {
	case len(g.pending) > 0 || g.room && g.waiting.Requests > 0:
		return time.Time{}.Add(1)
	case g.waiting.Requests == 0:
		return time.Time{}
	}
	// One that may start until a moment is late just after it, not at it.
	next := min(g.deadline[0].startBy+1, g.swept+sweepEvery)
	if g.narrow {
		for _, s := range g.stations {
			if len(s.silent) > 0 {
				next = min(next, s.silent[0].due)
			}
		}
	}
	return g.epoch.Add(next)
}

// Withdraw takes a request out whose client left: one that waits, or one that started and of whose end nothing else is known.
func (g *Gate) Withdraw(now time.Time, ticket Ticket) {
	t := g.at(now)
	x := g.entries[ticket]
	switch {
	case x == nil:
	case x.at >= 0:
		g.pull(x)
		delete(g.entries, ticket)
		x.queue.tenant.live--
		g.leave(x)
		g.room = true // a smaller one may stand behind it
	default:
		g.end(t, x, End{Cached: x.Cached, Output: x.output, Fault: llm.FaultTask})
	}
}

// leave forgets one that has no ticket any more.
func (g *Gate) leave(x *entry) { g.idle.note(g.now, x.queue.tenant) }

// typical is the mean work of what is dispatched; 0 before anything was.
func (g *Gate) typical() float64 { return g.mean.work(g.weight) }

// scale multiplies a duration.
func scale(d time.Duration, by float64) time.Duration {
	return time.Duration(min(float64(d)*by, float64(math.MaxInt64/4)))
}

// mix moves a mean, which is 0 before the first sample.
func mix(mean, sample, share float64) float64 {
	if mean == 0 {
		return sample
	}
	return mean + share*(sample-mean)
}
