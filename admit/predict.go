package admit

import (
	"math"
	"slices"
	"sort"
	"time"

	"github.com/weir-ai/weir/llm"
)

// What a request has to wait for is the work that starts before it, over the rate at which work starts. Before it start, of its own
// tenant, what is earlier in line; of another tenant of its class, what is needed to lift that one's counter to where this one's will be;
// of higher classes, all that waits, and what will come: their rate of arrival is taken from the gate's. It cannot be worse than what the
// class's guaranteed share gives.

// prediction is what is known of when a request will start.
type prediction struct {
	wait     time.Duration // the mean
	likely   time.Duration // most waits are no longer
	surge    time.Duration // how much longer where higher classes come as close together as chance may have it
	position int
	first    bool // nothing starts before it
	known    bool // there is a rate to go by
}

const (
	// factorUp and factorDown move the factor by which likely waits are multiplied before a request is let wait: up with each that is sent
	// away after it has waited, down with each that is refused at once. They balance where one in 240 is of the first kind: hardly any
	// client waits to be refused, and there is a line for endpoints to take from.
	factorUp   = 1.10
	factorDown = 0.9996
	// factorPrior is careful, and factorLeast and factorMost bound it: what is wrong by more is wrong for another reason.
	factorPrior             = 1.2
	factorLeast, factorMost = 0.5, 3
	// fills is how many times what a class can have must be offered for it to be taken, however careful the gate is.
	fills = 1.5
	// returnFactor is that factor at most for those who come when they were told to: the wait that is likelier than not.
	returnFactor = 0.8
	// surgeSure is how many standard deviations of what higher classes may bring, times the factor above, must fit into the time of one that
	// would be let wait for another reason than that it surely starts in time. With less, an engine of three answers a second sends one in
	// seventy away after it has waited; with three, small ones have nobody waiting when a place comes free.
	surgeSure = 1.9
	// reservePart is the most of the time that a newcomer may wait that is kept for those who were told to come back: with all of it, those
	// who do not come would leave the endpoints idle.
	reservePart = 0.5
	// sweepEvery is how often those that wait are looked through for such as cannot start in time any more; within it nobody notices. More
	// often would cost more than it saves.
	sweepEvery = 50 * time.Millisecond
	// sweepMost bounds those that are looked at in one call, about a tenth of a millisecond; more are looked at in turn.
	sweepMost = 2_000
	// sweepSure is the part of a predicted wait that must exceed what is left, so that one who was let in at the edge is not sent away for
	// what is noise.
	sweepSure = 0.8
)

// rate is the work a second that the endpoints take while something waits; 0 where nothing is known of it. It is each one's places over
// the time that work keeps one, so that it follows a limit at once.
func (g *Gate) rate() float64 {
	sum, unknown, known := 0.0, 0.0, 0.0
	for _, s := range g.stations {
		if !s.facts.Usable {
			continue
		}
		if r := s.rate(g.weight); r > 0 {
			sum += r
			known++
		} else {
			unknown++
		}
	}
	if known == 0 {
		return 0
	}
	return sum * (known + unknown) / known
}

// pacesLeast is how many requests must have ended that were sent while others waited before the others do not count.
const pacesLeast = 2.5

func (s *station) rate(weight float64) float64 {
	if p := s.pace(); p != nil {
		w := parts{p.prompt / p.samples, p.output / p.samples}
		return s.limit * s.fullness * w.work(weight) / s.take(w, weight)
	}
	if s.facts.PrefillSeconds > 0 {
		return 1 / s.facts.PrefillSeconds // work is measured in prompt tokens
	}
	return 0
}

// prefill is how long a prompt takes from its start to its first token, as of late, at the endpoint that is fastest.
func (g *Gate) prefill(prompt int) time.Duration {
	least := math.Inf(1)
	for _, s := range g.stations {
		if s.facts.Usable {
			least = min(least, s.usually(prompt))
		}
	}
	if math.IsInf(least, 1) {
		return 0
	}
	return time.Duration(least * float64(time.Second))
}

// usually is how long most first tokens take of a prompt of this size, in seconds: of the nearest size above it that is known, or drawn
// on from the two largest below. From a single one nothing is drawn on: the first tokens of short prompts are mostly the network's and the
// step's, and a prompt ten times as long that was refused for ten times that would never teach otherwise.
func (s *station) usually(prompt int) float64 {
	i := sizeOf(prompt)
	for j := i; j < sizes; j++ {
		if u := &s.usual[j]; u.mean > 0 {
			return u.mean + u.off
		}
	}
	var large *spread
	for j := i - 1; j >= 0; j-- {
		u := &s.usual[j]
		switch {
		case u.mean == 0:
		case large == nil:
			large = u
		case u.tokens < large.tokens:
			each := max(large.mean-u.mean, 0) / (large.tokens - u.tokens)
			return large.mean + large.off + each*max(float64(prompt)-large.tokens, 0)
		}
	}
	if large != nil {
		return large.mean + large.off
	}
	return s.facts.PrefillSeconds * float64(prompt)
}

// left is the share of the rate that higher classes leave, without the shares that lower ones are guaranteed. Where it has to be sure that c
// gets no more, it goes by the least that higher classes take.
func (g *Gate) left(c *class, rate float64, sure bool) float64 {
	left := 1 - g.above(c, rate, sure)
	for i := c.rank + 1; i < len(g.classes); i++ {
		if d := &g.classes[i]; d.wants(g.now) {
			left -= d.config.Share
		}
	}
	return max(left, c.config.Share, 0.001)
}

// above is the share of the rate that higher classes take: of what comes there lately and for longer by the more, or, least, by the less.
func (g *Gate) above(c *class, rate float64, least bool) float64 {
	sum := 0.0
	for i := range c.rank {
		d := &g.classes[i]
		few, many := d.arrivals.now(g.now), d.often.now(g.now)
		if few > many != least {
			few, many = many, few
		}
		if !least { // those that are refused there would have the places first
			many = max(many, d.offered.now(g.now))
			if v := d.sudden.now(g.now); v > suddenMany*g.typical() {
				many = max(many, v)
			}
		}
		sum += many / rate
	}
	return sum
}

// predict finds when x would start, that waits or would wait.
func (g *Gate) predict(t instant, x *entry) prediction {
	q, c := x.queue, x.queue.class
	own, before := q.before(x)
	ahead, n := own, float64(before)
	tag, typical := q.counter+own/q.weight, g.typical()
	for i := range c.active {
		o := &c.active[i]
		if o.counter > tag || o.counter == tag && o.paid > q.paid || o.queue == q {
			continue
		}
		w := min(o.work, (tag-o.counter)*o.weight+typical/2) // whole requests: half of one more than the line says
		if o.counter == tag {
			w = min(o.work, typical)
		}
		ahead += w
		n += w / o.work * float64(o.length)
	}
	higher := 0.0
	for i := range c.rank {
		higher += float64(g.classes[i].waiting.Work)
		n += float64(g.classes[i].waiting.Requests)
	}
	p := prediction{position: int(math.Round(n)), first: ahead+higher == 0}
	rate := g.rate()
	if rate == 0 {
		return p
	}
	p.known = true
	each := g.usual(x)
	left := g.left(c, rate, false)
	if x.at < 0 && !x.returned {
		allowed := (x.startBy - t).Seconds() * rate * left
		ahead += min(g.returns.expected(t, c.rank, x.startBy), max(reservePart*allowed, 0))
	}
	p.wait = g.waitFor(c, ahead, higher, each, float64(x.work), rate, left)
	p.likely = p.wait + g.chance(p.wait, 1+min(g.above(c, rate, false), 1), each, rate, left)
	p.surge = scale(g.chance(p.wait, min(g.above(c, rate, false), 1), each, rate, left), surgeSure)
	return p
}

// chance is the standard deviation of a wait: requests that come or end at random, as many as part of what ends at the rate, are as many as their
// mean, give or take its square root, and each moves the wait by one start of what is left.
func (g *Gate) chance(wait time.Duration, part, each, rate, left float64) time.Duration {
	n := part * min(wait.Seconds(), 1e6) * rate / each
	return time.Duration(min(math.Sqrt(n)*each/(rate*left), 1e6) * float64(time.Second))
}

// usual is the mean work of what starts.
func (g *Gate) usual(x *entry) float64 {
	if v := g.typical(); v > 0 {
		return v
	}
	return float64(x.work)
}

// waitFor is the time until x.work starts behind ahead in its class and higher above it.
func (g *Gate) waitFor(c *class, ahead, higher, each, work, rate, left float64) time.Duration {
	seconds := g.outlook(g.now).when((higher+ahead+each)/(rate*left), each/rate)
	if c.rank > 0 && c.config.Share > 0 {
		seconds = min(seconds, (max(ahead+work-c.credit, 0)/c.config.Share+each)/rate)
	}
	return time.Duration(min(seconds, 1e6) * float64(time.Second))
}

// before is the work, and how many they are, that stand before x in its own line.
func (q *queue) before(x *entry) (float64, int) {
	if n := len(q.waiting); n == 0 || x.at < 0 && x.key >= q.waiting[n-1].key {
		return q.work, n
	}
	work := 0.0
	for i, v := range q.waiting {
		if v == x || v.key > x.key {
			return work, i
		}
		work += float64(v.work)
	}
	return work, len(q.waiting)
}

// lateBy is how much later than it may x would start; 0 where it would start in time. Those who come when they were told to are let in by
// what is likely, others by what is nearly sure: so there is a place for the first.
func (g *Gate) lateBy(t instant, x *entry, p prediction) time.Duration {
	if !p.known {
		return 0
	}
	c := x.queue.class
	contended := c.contended(t, g)
	switch {
	case x.startBy <= t:
		return max(p.wait, 1) // its prompt alone takes longer than its objective allows
	case contended && !x.returned && x.queue.paid > x.startBy:
		return x.queue.paid - x.startBy // by then it has its turn
	case contended && x.queue.paid > x.startBy+seconds(returnCredits*g.usual(x)/(c.shares.rate*x.queue.weight)):
		return x.queue.paid - x.startBy
	case c.config.TTFT <= 0 && c.waiting.Requests == 0:
		return 0 // it has the time to wait until nobody else is there, and then no place stands empty
	case p.first && (contended || g.lower(c)) && (p.surge == 0 || p.wait+scale(p.surge, c.factor) <= x.startBy-t):
		return 0 // it has the next place: refused, it would leave that to one with less of a claim
	}
	wait := scale(p.likely, c.factor)
	if x.returned {
		wait = min(wait, scale(p.wait, returnFactor))
	}
	if contended && x.queue.paid <= t || g.yields(c) {
		wait = min(wait, p.wait+scale(p.surge, c.factor)) // the same, if less surely
	}
	return max(wait-(x.startBy-t), 0)
}

// yields reports whether those of class c that are refused leave their places to a lower class: it wants them, and c's own demand does not
// fill what it can have.
func (g *Gate) yields(c *class) bool {
	rate := g.rate()
	return g.lower(c) && c.offered.now(g.now) < fills*rate*g.left(c, rate, false)
}

// lower reports whether a lower class wants what c leaves.
func (g *Gate) lower(c *class) bool {
	for i := c.rank + 1; i < len(g.classes); i++ {
		if g.classes[i].wants(g.now) {
			return true
		}
	}
	return false
}

// Predict tells when a request would start and have its first token, were it offered now, and whether that is in time. Nothing is noted.
func (g *Gate) Predict(now time.Time, e Entry) (start, ttft time.Duration, ok bool) {
	t := g.at(now)
	x := g.imagine(t, e)
	own := g.prefill(x.fresh)
	if g.waiting.Requests == 0 {
		for _, s := range g.stations {
			if fits, _ := s.fits(t, x, g); fits {
				return 0, own, true
			}
		}
	}
	if !g.anyUsable() {
		return 0, 0, false
	}
	p := g.predict(t, x)
	start = p.wait
	return start, start + own, g.lateBy(t, x, p) == 0
}

// Where tells where a request that waits stands; the zero Queue is that of one that does not.
func (g *Gate) Where(now time.Time, ticket Ticket) llm.Queue {
	t := g.at(now)
	x := g.entries[ticket]
	if x == nil || x.at < 0 {
		return llm.Queue{}
	}
	p := g.predict(t, x)
	return llm.Queue{Position: p.position, Wait: p.wait}
}

// profile is the work of a class that starts before a tenant's counter has come to a value, for all values: each line starts to drain
// where its counter is and is empty where all its work is charged. So it is a chain of straight pieces.
type profile struct {
	at    []float64 // counters, in order
	work  []float64 // that starts before, at each
	slope []float64 // work for one more of the counter, from there on
	ends  []corner
}

type corner struct{ at, slope float64 }

func (p *profile) fill(c *class) {
	p.ends = p.ends[:0]
	for i := range c.active {
		q := &c.active[i]
		p.ends = append(p.ends, corner{q.counter, q.weight}, corner{q.counter + q.work/q.weight, -q.weight})
	}
	slices.SortFunc(p.ends, func(a, b corner) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	p.at, p.work, p.slope = p.at[:0], p.work[:0], p.slope[:0]
	work, slope := 0.0, 0.0
	for i, e := range p.ends {
		if i > 0 {
			work += slope * (e.at - p.ends[i-1].at)
		}
		slope += e.slope
		p.at, p.work, p.slope = append(p.at, e.at), append(p.work, work), append(p.slope, slope)
	}
}

func (p *profile) before(tag float64) float64 {
	i := sort.SearchFloat64s(p.at, tag)
	if i == 0 {
		return 0
	}
	return p.work[i-1] + p.slope[i-1]*(tag-p.at[i-1])
}

// sweepAt is where the next sweep goes on.
type sweepAt struct{ rank, line int }

// sweep drops those that cannot start in time any more. Of one line at most a quarter goes at a time, and its end first: with those gone
// the others may make it.
func (g *Gate) sweep(t instant, out []Change) []Change {
	if t-g.swept < sweepEvery || g.waiting.Requests == 0 {
		return out
	}
	g.swept = t
	rate := g.rate()
	if rate == 0 {
		return out
	}
	seen := 0
	for range len(g.classes) {
		c := &g.classes[g.cursor.rank]
		g.profiles.fill(c)
		higher := 0.0
		for i := range c.rank {
			higher += float64(g.classes[i].waiting.Work)
		}
		left := g.left(c, rate, true)
		for ; g.cursor.line < len(c.active); g.cursor.line++ {
			q := c.active[g.cursor.line].queue
			if seen += len(q.waiting); seen > sweepMost && seen > len(q.waiting) {
				return g.dropMissed(t, out)
			}
			g.findMissed(t, q, higher, rate, left)
		}
		g.cursor = sweepAt{rank: (g.cursor.rank + 1) % len(g.classes)}
	}
	return g.dropMissed(t, out)
}

// findMissed notes those of one line that are to be dropped.
func (g *Gate) findMissed(t instant, q *queue, higher, rate, left float64) {
	own, from := 0.0, len(g.missed)
	for _, x := range q.waiting {
		ahead := g.profiles.before(q.counter + own/q.weight)
		wait := g.waitFor(q.class, ahead, higher, 0, float64(x.work), rate, left)
		if scale(wait, sweepSure) > x.startBy-t {
			g.missed = append(g.missed, x)
		}
		own += float64(x.work)
	}
	if n := len(g.missed) - from; n > 0 {
		keep := max(len(q.waiting)/4, 1)
		if n > keep {
			g.missed = append(g.missed[:from], g.missed[len(g.missed)-keep:]...)
		}
	}
}

func (g *Gate) dropMissed(t instant, out []Change) []Change {
	for i, x := range g.missed {
		out = g.drop(t, x, llm.ReasonLate, out)
		g.missed[i] = nil
	}
	g.missed = g.missed[:0]
	return out
}
