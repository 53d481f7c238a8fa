package admit

import (
	"math"
	"slices"
	"sort"
	"time"

	"github.com/weir-ai/weir/llm"
)

// The order of what waits. A higher class goes first, but for the guaranteed shares: while a class wants to start something it is owed its
// share of all work that starts in higher ones, and once it is owed as much as its next request costs, that one goes first.
//
// Inside a class, tenants take turns by virtual token counters (Sheng et al., "Fairness in Serving Large Language Models", OSDI 2024): each
// start is charged to its tenant's counter, divided by the tenant's weight, and the least counter is next. What an answer turns out to
// cost is charged as it comes, so that a tenant cannot gain by saying little and using much. A tenant that comes back after it had
// nothing waiting is lifted to the least counter of those that wait, or else to the one whose line ended last: what was idle is no
// credit. Two tenants that wait all the time differ by two requests' worth at most, whatever else comes and goes.

// class is what waits of one class.
type class struct {
	rank     int
	config   ClassConfig
	active   []line  // heap by counter: those with something waiting, but for those passed over in the drain under way
	weights  float64 // of active
	last     *queue  // whose line ended last
	waiting  usage
	credit   float64 // work that it is owed of its share
	wanted   instant // when one of it could not start at once
	arrivals meter   // work a second that was let in, of late
	often    meter   // the same, for longer
	offered  meter   // work a second that came, of late
	sudden   meter   // the same, of the last second
	factor   float64 // how careful to be with predicted waits
	book     ledger
	shares   shares
}

// tenant is what is known of a tenant in all classes.
type tenant struct {
	id      llm.TenantID
	number  uint64
	queues  [llm.ClassCount]*queue
	waiting usage
	live    int // requests that wait or run
	outputs quantile
	hits    float64 // share of its prompts that was computed before, a moving mean
	idle    instant // since when live is 0
	noted   bool    // it is on the list of idle ones
}

// queue is a tenant's line in one class, in order of key.
type queue struct {
	tenant  *tenant
	class   *class
	weight  float64
	counter float64 // work that was charged, divided by weight
	waiting []*entry
	work    float64 // of waiting
	at      int     // in class.active; -1 where nothing waits, or while passed over
	book    ledger
	offered meter   // work a second that came, let in or not
	calls   bool    // it is among the class's callers
	paid    instant // until when what it was let have is paid for, at its fair rate
}

// line is a queue in the heap, with what predictions look at: a thousand of them lie side by side.
type line struct {
	counter, work, weight float64
	paid                  instant
	length                int
	queue                 *queue
}

// queue finds a tenant's line, and makes it. A line that is empty is lifted: what its tenant did not use is no credit.
func (g *Gate) queue(id llm.TenantID, rank int, weight float64) *queue {
	n := g.tenants[id]
	if n == nil {
		g.numbers++
		n = &tenant{id: id, number: g.numbers, outputs: g.outputs, hits: g.hits}
		g.tenants[id] = n
	}
	q := n.queues[rank]
	if q == nil {
		q = &queue{tenant: n, class: &g.classes[rank], at: -1}
		n.queues[rank] = q
	}
	if len(q.waiting) == 0 {
		q.counter = max(q.counter, q.class.level())
	}
	if q.weight != weight {
		q.weight = weight
		q.class.fix(q)
	}
	return q
}

// level is the counter that a returning tenant is lifted to.
func (c *class) level() float64 {
	if len(c.active) > 0 {
		return c.active[0].counter
	}
	if c.last != nil {
		return c.last.counter
	}
	return 0
}

// push lets x wait.
func (g *Gate) push(t instant, x *entry) {
	q, c := x.queue, x.queue.class
	i := len(q.waiting)
	if i > 0 && x.key < q.waiting[i-1].key {
		i = sort.Search(i, func(i int) bool { return q.waiting[i].key > x.key })
	}
	q.waiting = slices.Insert(q.waiting, i, x)
	q.work += float64(x.work)
	q.tenant.waiting.add(x)
	c.waiting.add(x)
	g.waiting.add(x)
	if len(q.waiting) == 1 {
		c.push(q)
	} else {
		c.fix(q)
	}
	c.wanted = t
	g.deadline.push(x)
}

// pull takes x out of all that waits.
func (g *Gate) pull(x *entry) {
	q, c := x.queue, x.queue.class
	q.cut(x)
	q.tenant.waiting.sub(x)
	c.waiting.sub(x)
	g.waiting.sub(x)
	g.deadline.remove(x)
	if len(q.waiting) == 0 {
		q.work = 0
		c.remove(q)
		c.last = q
		return
	}
	c.fix(q)
}

// cut takes x out of its line.
func (q *queue) cut(x *entry) {
	q.work -= float64(x.work)
	if q.waiting[0] == x {
		q.waiting[0] = nil
		q.waiting = q.waiting[1:]
		return
	}
	i := sort.Search(len(q.waiting), func(i int) bool { return q.waiting[i].key >= x.key })
	for q.waiting[i] != x {
		i++
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
}

// wantedFor is how long after one of its requests could not start a class counts as wanting its share. Where nothing of it can wait, because
// it would be too late, it comes back again and again; ten seconds are several returns, and then it is gone.
const wantedFor = 10 * time.Second

func (c *class) wants(t instant) bool {
	return c.waiting.Requests > 0 || c.wanted > 0 && t-c.wanted <= wantedFor
}

// owe notes work that starts in class c: lower ones that want to start are owed their shares of it.
func (g *Gate) owe(c *class, work Work) {
	c.credit = max(c.credit-float64(work), 0)
	for i := c.rank + 1; i < len(g.classes); i++ {
		d := &g.classes[i]
		if d.config.Share == 0 || !d.wants(g.now) {
			d.credit = 0
			continue
		}
		most := 2 * g.typical() // a burst of what could not be used for long is no share
		if len(d.active) > 0 {
			most = max(most, float64(d.active[0].queue.waiting[0].work))
		}
		d.credit = min(d.credit+d.config.Share*float64(work), max(most, float64(work)))
	}
}

// next is the line whose first goes next.
func (g *Gate) next() *queue {
	var first *queue
	for i := range g.classes {
		c := &g.classes[i]
		if len(c.active) == 0 {
			continue
		}
		q := c.active[0].queue
		if first == nil {
			first = q
		} else if c.credit >= float64(q.waiting[0].work) {
			return q
		}
	}
	return first
}

// block passes a line over until unblock.
func (g *Gate) block(q *queue) {
	q.class.remove(q)
	g.blocked = append(g.blocked, q)
}

func (g *Gate) unblock() {
	for i, q := range g.blocked {
		if len(q.waiting) > 0 {
			q.class.push(q)
		}
		g.blocked[i] = nil
	}
	g.blocked = g.blocked[:0]
}

func (c *class) less(i, j int) bool {
	a, b := &c.active[i], &c.active[j]
	switch {
	case a.counter != b.counter:
		return a.counter < b.counter
	case a.paid != b.paid:
		return a.paid < b.paid // who has had less of late
	}
	if x, y := a.queue.waiting[0], b.queue.waiting[0]; x.arrived != y.arrived {
		return x.arrived < y.arrived
	}
	return a.queue.tenant.number < b.queue.tenant.number
}

func (c *class) swap(i, j int) {
	c.active[i], c.active[j] = c.active[j], c.active[i]
	c.active[i].queue.at, c.active[j].queue.at = i, j
}

func (c *class) push(q *queue) {
	q.at = len(c.active)
	c.active = append(c.active, q.line())
	c.weights += q.weight
	c.up(q.at)
}

func (c *class) remove(q *queue) {
	if q.at < 0 {
		return
	}
	i, last := q.at, len(c.active)-1
	c.swap(i, last)
	c.weights -= c.active[last].weight
	c.active[last] = line{}
	if c.active = c.active[:last]; last == 0 {
		c.weights = 0 // sums of fractions leave crumbs
	}
	q.at = -1
	if i < last {
		c.down(i)
		c.up(i)
	}
}

func (q *queue) line() line { return line{q.counter, q.work, q.weight, q.paid, len(q.waiting), q} }

// fix puts q in its place after anything of it changed.
func (c *class) fix(q *queue) {
	if q.at >= 0 {
		c.weights += q.weight - c.active[q.at].weight
		c.active[q.at] = q.line()
		c.down(q.at)
		c.up(q.at)
	}
}

func (c *class) up(i int) {
	for i > 0 && c.less(i, (i-1)/2) {
		c.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (c *class) down(i int) {
	for {
		k := 2*i + 1
		if k >= len(c.active) {
			return
		}
		if k+1 < len(c.active) && c.less(k+1, k) {
			k++
		}
		if !c.less(k, i) {
			return
		}
		c.swap(i, k)
		i = k
	}
}

// charge sets what x has cost its tenant.
func (x *entry) charge(work Work) {
	x.queue.counter += float64(work-x.charged) / x.queue.weight
	x.charged = work
	x.queue.class.fix(x.queue)
}

// idlers are the tenants of whom nothing waits or runs, about in the order in which that began.
type idlers struct {
	list   []*tenant
	looked instant
}

const (
	// idleKeep is how long a tenant is remembered at least: what it learned of its answers' lengths is worth something as long as the tenant
	// may come back; five minutes are a pause, an hour would keep every key of a day.
	idleKeep = 5 * time.Minute
	// idleMost bounds the idle tenants, some 400 bytes each.
	idleMost = 1 << 16
	// idleEvery is how often, and idleLook how many of them are looked at.
	idleEvery = 100 * time.Millisecond
	idleLook  = 64
)

// note puts a tenant on the list that has nothing here any more.
func (l *idlers) note(t instant, n *tenant) {
	if n.live > 0 {
		return
	}
	n.idle = t
	if !n.noted {
		n.noted = true
		l.list = append(l.list, n)
	}
}

// forget drops those of whom nothing is worth remembering: what they would be lifted to is no less than what they have.
func (l *idlers) forget(t instant, g *Gate) {
	if t-l.looked < idleEvery && len(l.list) <= idleMost {
		return
	}
	l.looked = t
	look := min(max(idleLook, len(l.list)-idleMost), len(l.list))
	for range look {
		n := l.list[0]
		l.list[0] = nil
		l.list = l.list[1:]
		switch {
		case n.live > 0:
			n.noted = false
		case len(l.list) >= idleMost || t-n.idle >= idleKeep && n.caught():
			delete(g.tenants, n.id)
		default:
			l.list = append(l.list, n)
		}
	}
}

// caught reports whether a new tenant would be treated as this one is.
func (n *tenant) caught() bool {
	for _, q := range n.queues {
		if q != nil && q.counter > q.class.level() {
			return false
		}
	}
	return true
}

// quantile follows a high quantile of answers' lengths by steps in its logarithm: it forgets by itself, and is one number a tenant.
type quantile float64

const (
	// quantileRank is which one: nine of ten answers are no longer than they are taken to be. With the mean, tenants with a few very long
	// answers would be charged late; with the longest, all would be taken for such.
	quantileRank = 0.9
	// quantileStep moves it by 9 % up or 1 % down: a change by a factor of two is followed within some ten long answers or seventy short.
	quantileStep = 0.1
)

// hitShare moves what is known of how much of a tenant's prompts is cached: some ten requests are remembered, because a conversation is as long.
const hitShare = 0.1

func (q *quantile) see(tokens int) {
	up := quantileRank
	if float64(tokens) <= float64(*q) {
		up = quantileRank - 1
	}
	*q = quantile(min(max(float64(*q)*math.Exp(quantileStep*up), 1), 1<<20))
}

// expect is how many tokens an answer is taken to have whose request allows most; 0 is any number.
func (q quantile) expect(most int) int {
	n := max(int(math.Round(float64(q))), 1)
	if most > 0 {
		n = min(n, most)
	}
	return n
}

// meter measures something a second as a mean that forgets.
type meter struct {
	time time.Duration // how long it remembers
	rate float64
	at   instant
}

const (
	// recently and lately are how long what comes in a class is remembered for those below it: a few objectives, which follow a burst, and a
	// good part of what may wait where there is no objective, which burst after burst is a load.
	recently = 5 * time.Second
	// suddenly is how long where so many come, suddenMany in it, that a second says something: a class that begins to flood is felt by those
	// below it at once.
	suddenly   = time.Second
	suddenMany = 16
	lately     = 30 * time.Second
)

func (m *meter) add(t instant, n float64) {
	m.rate = m.now(t) + n/m.time.Seconds()
	m.at = t
}

func (m *meter) now(t instant) float64 {
	if m.rate == 0 {
		return 0
	}
	return m.rate * math.Exp(-(t-m.at).Seconds()/m.time.Seconds())
}
