package admit

import (
	"math"
	"time"

	"github.com/weir-ai/weir/llm"
)

// Move takes a request that started to another endpoint: a retry, a resume. What it holds goes along, over the other's limit if need be;
// what it was charged stays. An empty ID leaves it nowhere for the moment, between two tries.
func (g *Gate) Move(now time.Time, ticket Ticket, to llm.EndpointID) {
	t := g.at(now)
	x := g.entries[ticket]
	if x == nil || x.at >= 0 {
		return
	}
	if x.station != nil {
		x.station.release(x)
		g.room = true
	}
	if to != "" {
		g.station(to).begin(t, x, false)
	}
}

// Busy notes that the endpoint where a request is has refused it because it is full: its limit is what it holds besides. The request
// stays where it is until Move, Withdraw or Done.
func (g *Gate) Busy(now time.Time, ticket Ticket) {
	t := g.at(now)
	if x := g.entries[ticket]; x != nil && x.station != nil {
		x.station.shrink(t, float64(x.station.running-1), g)
	}
}

// First notes the first content of an answer: its prompt, of which cached tokens were not computed again, is done with. Of an answer in
// one piece it only frees what its prompt held.
func (g *Gate) First(now time.Time, ticket Ticket, cached int) {
	t := g.at(now)
	x := g.entries[ticket]
	if x == nil || x.station == nil || x.first > 0 {
		return
	}
	x.Cached = min(max(cached, 0), x.Prompt)
	x.station.begun(t, x, g)
	g.room = true
}

// Tokens notes how long an answer is so far. What is beyond what it was charged is charged at once.
func (g *Gate) Tokens(now time.Time, ticket Ticket, output int) {
	t := g.at(now)
	x := g.entries[ticket]
	if x == nil || x.at >= 0 || output <= x.output {
		return
	}
	x.output = output
	if over := x.cost(x.fresh, output); over > x.charged {
		x.charge(over)
		g.truePaid(x, float64(over), false)
	}
	if x.station != nil {
		x.station.went(t, x, g)
	}
}

// Done takes out a request that started, and settles what it was charged. Its ticket is no more.
func (g *Gate) Done(now time.Time, ticket Ticket, end End) {
	t := g.at(now)
	x := g.entries[ticket]
	if x == nil || x.at >= 0 {
		return
	}
	g.end(t, x, end)
}

func (g *Gate) end(t instant, x *entry, end End) {
	begun := x.first > 0 || end.Output > 0 || end.Fault == llm.FaultNone
	if end.Prompt <= 0 {
		end.Prompt = x.Prompt
	}
	end.Output = max(end.Output, x.output)
	end.Cached = min(max(end.Cached, 0), end.Prompt)
	work := x.cost(end.Prompt-end.Cached, end.Output)
	if !begun {
		work = 0 // nothing of it was computed, as far as anybody can tell
	}
	if begun && end.Fault == llm.FaultNone {
		g.estimated = mix(g.estimated, float64(x.work), 0.02)
		g.actual = mix(g.actual, float64(work), 0.02)
	}
	if begun {
		g.truePaid(x, float64(work), true)
	}
	x.charge(work)
	if s := x.station; s != nil {
		if end.Fault == llm.FaultNone {
			s.doubt = doubt{}
			p := &s.calm
			if x.contended {
				p = &s.busy
			}
			s.ended(t-x.dispatched, x)
			p.see(t-x.dispatched, x)
			if x.Whole {
				s.answered(t, x, end.Output, g)
			}
		}
		s.release(x)
		if x.first > 0 && !x.Whole {
			s.ran(t, x, false, g)
		}
		if end.Fault == llm.FaultBusy {
			s.shrink(t, float64(s.running), g)
		}
	}
	if end.Fault == llm.FaultNone && end.Output > 0 {
		g.outputs.see(end.Output)
		x.queue.tenant.outputs.see(end.Output)
		g.hits += hitShare * (float64(end.Cached)/float64(end.Prompt) - g.hits)
		x.queue.tenant.hits += hitShare * (float64(end.Cached)/float64(end.Prompt) - x.queue.tenant.hits)
	}
	delete(g.entries, x.ticket)
	x.queue.tenant.live--
	g.leave(x)
	g.room = true
}

// paidMost bounds what one request moves a turn by, in seconds: a wait for longer than Retry-After can tell helps nobody.
const paidMost = 60

// truePaid moves its tenant's turn by what x costs more or less than it was expected to. What nearly all cost less than expected is nobody's
// gain: turns are counted in expected work, which actual work is scaled to. Down, it may also come sooner.
func (g *Gate) truePaid(x *entry, work float64, down bool) {
	q := x.queue
	rate := q.class.shares.rate * q.weight
	if g.actual == 0 || rate <= 0 || math.IsInf(rate, 1) || q.paid == 0 {
		return
	}
	if x.paid == 0 {
		x.paid = float64(x.work)
	}
	want := work * g.estimated / g.actual
	if want < x.paid && !down {
		return
	}
	q.paid += time.Duration(max(min((want-x.paid)/rate, paidMost), -paidMost) * float64(time.Second))
	x.paid = want
	q.class.fix(q)
}
