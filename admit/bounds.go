package admit

import (
	"time"

	"github.com/weir-ai/weir/llm"
)

// makeRoom reports whether x may wait by the bounds, and displaces for it where that makes room: the last of the lowest class first, and
// only lower classes than its own. Nobody is displaced in vain.
func (g *Gate) makeRoom(t instant, x *entry) bool {
	n, c := x.queue.tenant, x.queue.class
	if !c.config.Waiting.allow(c.waiting, x) {
		return false
	}
	if !g.config.Tenant.allow(n.waiting, x) && !g.displace(t, x, n, g.config.Tenant) {
		return false
	}
	return g.config.Waiting.allow(g.waiting, x) || g.displace(t, x, nil, g.config.Waiting)
}

// displace makes room for x among what waits of one tenant, or of all where n is nil.
func (g *Gate) displace(t instant, x *entry, n *tenant, b Bounds) bool {
	if !g.displaceable(x, n, b) {
		return false
	}
	for rank := len(g.classes) - 1; rank > x.queue.class.rank; rank-- {
		for {
			all := g.waiting
			if n != nil {
				all = n.waiting
			}
			if b.allow(all, x) {
				return true
			}
			v := g.classes[rank].tail(n)
			if v == nil {
				break
			}
			g.pending = g.drop(t, v, llm.ReasonDisplaced, g.pending)
		}
	}
	all := g.waiting
	if n != nil {
		all = n.waiting
	}
	return b.allow(all, x)
}

// displaceable reports whether x would fit without all that may be displaced for it.
func (g *Gate) displaceable(x *entry, n *tenant, b Bounds) bool {
	rest := g.waiting
	if n != nil {
		rest = n.waiting
	}
	for rank := x.queue.class.rank + 1; rank < len(g.classes); rank++ {
		c := &g.classes[rank]
		if n == nil {
			rest.Requests -= c.waiting.Requests
			rest.Bytes -= c.waiting.Bytes
			rest.Work -= c.waiting.Work
			continue
		}
		if q := n.queues[rank]; q != nil {
			for _, v := range q.waiting {
				rest.sub(v)
			}
		}
	}
	return b.allow(rest, x)
}

// tail is the one of the class, or of one tenant in it, that would start last; nil where none waits.
func (c *class) tail(n *tenant) *entry {
	if n != nil {
		if q := n.queues[c.rank]; q != nil {
			v, _ := q.tail()
			return v
		}
		return nil
	}
	var last *entry
	latest := 0.0
	for i := range c.active {
		v, tag := c.active[i].queue.tail()
		if v != nil && (last == nil || tag > latest || tag == latest && v.ticket > last.ticket) {
			last, latest = v, tag
		}
	}
	return last
}

// tail is the last of the line, nil where it is empty, and the counter at which it would start.
func (q *queue) tail() (*entry, float64) {
	if len(q.waiting) == 0 {
		return nil, 0
	}
	v := q.waiting[len(q.waiting)-1]
	return v, q.counter + (q.work-float64(v.work))/q.weight
}

// refuse makes the verdict for x, which does not wait any more, or never did.
func (g *Gate) refuse(t instant, x *entry, why llm.Reason, after time.Duration, p prediction) Verdict {
	x.queue.class.wanted = t
	v := Verdict{Reason: why, Wait: p.wait, RetryAfter: g.book(t, x, after)}
	g.leave(x)
	return v
}
