package sim

import (
	"fmt"
	"math"

	"github.com/weir-ai/weir/llm"
)

// shedding: the lowest class is shed first. Nobody is displaced but for a higher class, and never while one of a lower class waits; and
// while one of a higher class waits, what starts of lower ones is within their shares.
func shedding() Check {
	type balance struct{ all, lower [llm.ClassCount]float64 }
	type line struct {
		m      *variant
		rank   int
		tenant llm.TenantID
	}
	started := map[*variant]*balance{}
	queued := map[line]int{}
	return Check{Name: "shedding", See: func(p *Path, e Event) string {
		c := e.Call
		switch e.Kind {
		case EventQueued:
			queued[line{c.m, c.Class.Rank(), c.Tenant}]++
		case EventUnqueued:
			queued[line{c.m, c.Class.Rank(), c.Tenant}]--
		}
		switch {
		case e.Kind == EventUnqueued && e.Verdict.Reason == llm.ReasonDisplaced:
			// Where all places are taken, the lowest of all goes; where a tenant's are, the lowest of that tenant.
			mine := 0
			for rank := range c.m.waiting {
				mine += queued[line{c.m, rank, c.Tenant}]
			}
			bounds := c.m.Gate.WithDefaults()
			full := c.m.count() >= bounds.Waiting.Requests && mine < bounds.Tenant.Requests
			for rank := c.Class.Rank() + 1; rank < llm.ClassCount; rank++ {
				if n := queued[line{c.m, rank, c.Tenant}]; n > 0 || full && c.m.waiting[rank] > 0 {
					return fmt.Sprintf("call %d (%s) is displaced while %d of %s wait, %d of them its tenant's",
						c.Number, c.Class, c.m.waiting[rank], llm.Classes()[rank], n)
				}
			}
		case e.Kind == EventStarted:
			b := started[c.m]
			if b == nil {
				b = &balance{}
				started[c.m] = b
			}
			work := p.workOf(c)
			for rank := range c.m.waiting {
				if c.m.waiting[rank] == 0 {
					continue
				}
				if b.all[rank] += work; rank >= c.Class.Rank() {
					continue // the higher goes first, as it shall
				}
				// One request of each lower class may be owed from before, and one more that was under way to its place.
				if b.lower[rank] += work; b.lower[rank] > p.sharesBelow(c.m, rank)*b.all[rank]+owedMostTimes*p.largest(c.m) {
					return fmt.Sprintf("while %s waited, %.0f of %.0f of the work that started was of lower classes", llm.Classes()[rank], b.lower[rank], b.all[rank])
				}
			}
		}
		return ""
	}}
}

// owedMostTimes is how many of the largest requests lower classes may be ahead of their share.
const owedMostTimes = 6

// workOf is what a call costs, in prompt tokens, by what it turns out to be.
func (p *Path) workOf(c *Call) float64 {
	return float64(c.Job.Prompt) + c.m.weight*float64(c.output())
}

// largest is what the largest call so far costs.
func (p *Path) largest(m *variant) float64 {
	return float64(m.prompts) + m.weightMost*float64(m.outputs)
}

func (p *Path) sharesBelow(m *variant, rank int) float64 {
	sum := 0.0
	for i, k := range m.Gate.WithDefaults().Classes {
		if i > rank {
			sum += k.Share
		}
	}
	return sum * sharesSlack
}

// sharesSlack allows for requests that turn out larger than they were taken for when they were counted against the share.
const sharesSlack = 2

// side is one tenant in one class of one variant.
type side struct {
	weight  float64
	served  float64           // work, over weight
	waiting int               // of its requests
	base    map[*side]float64 // of the others that have waited all the time since this one began to: how far apart they were then
}

// contest is the tenants of one class.
type contest map[llm.TenantID]*side

func (t contest) of(c *Call) *side {
	s := t[c.Tenant]
	if s == nil {
		s = &side{weight: c.Weight, base: map[*side]float64{}}
		if s.weight <= 0 {
			s.weight = 1
		}
		t[c.Tenant] = s
	}
	return s
}

// queued notes that one more of a tenant's requests waits.
func (t contest) queued(s *side) {
	if s.waiting++; s.waiting > 1 {
		return
	}
	for _, o := range t {
		if o != s && o.waiting > 0 {
			s.base[o] = s.served - o.served
			delete(o.base, s)
		}
	}
}

// unqueued notes that one less does.
func (t contest) unqueued(s *side) {
	if s.waiting--; s.waiting > 0 {
		return
	}
	clear(s.base)
	for _, o := range t {
		delete(o.base, s)
	}
}

// apart tells of two sides that are further apart than most, which is for a weight of 1.
func (t contest) apart(most float64) string {
	for id, s := range t {
		for o, base := range s.base {
			if gap, bound := math.Abs(s.served-o.served-base), most/min(s.weight, o.weight); gap > bound {
				return fmt.Sprintf("tenant %s and another are %.0f apart, that both wait; the bound is %.0f", id, gap, bound)
			}
		}
	}
	return ""
}

// fairness: of two tenants of a class that both have something waiting all the time, neither is served more than the other, each by its
// weight, than what the VTC paper allows: twice the larger of the largest prompt and what all places of the engines hold in tokens.
func fairness() Check {
	type place struct {
		m    *variant
		rank int
	}
	contests := map[place]contest{}
	return Check{Name: "fairness", See: func(p *Path, e Event) string {
		if e.Kind == EventTick {
			for k, t := range contests {
				if text := t.apart(p.fairBound(k.m)); text != "" {
					return llm.Classes()[k.rank].String() + ": " + text
				}
			}
			return ""
		}
		if e.Call == nil || e.Kind != EventGrew && e.Kind != EventQueued && e.Kind != EventUnqueued {
			return ""
		}
		c := e.Call
		k := place{c.m, c.Class.Rank()}
		if contests[k] == nil {
			contests[k] = contest{}
		}
		s := contests[k].of(c)
		switch e.Kind {
		case EventGrew:
			work := c.m.weight * float64(e.Tokens)
			if c.Emitted == e.Tokens { // the first of its answer
				work += float64(c.Job.Prompt)
			}
			s.served += work / s.weight
		case EventQueued:
			contests[k].queued(s)
		case EventUnqueued:
			contests[k].unqueued(s)
		}
		return ""
	}}
}

// fairBound is the VTC paper's, over all the engines of a variant.
func (p *Path) fairBound(m *variant) float64 {
	held := 0.0
	for _, e := range m.engines {
		held += float64(e.most) * (float64(m.prompts) + float64(m.outputs))
	}
	return 2 * max(float64(m.prompts), m.weightMost*held)
}
