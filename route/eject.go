package route

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
)

// suspect is an endpoint whose breaker is not closed.
type suspect struct {
	way  *way
	down bool // its probes fail, too
}

// eject decides who is out: whose breaker is not closed, but at most half of all. When more would be, the least bad stay in: the others
// would be asked for all, and a fleet half of which is asked for all of its work fails soon as a whole. So a model's only endpoint is
// never out.
func (t *Table) eject(now time.Time, endpoints []*fleet.Endpoint) {
	if t.mu.unwell == 0 {
		return
	}
	s := &t.mu.scratch
	s.out = s.out[:0]
	for i, e := range endpoints {
		w := t.way(e.ID())
		w.position, w.out = i, w.breaker.state != Closed
		if w.out {
			f := e.Facts(now)
			s.out = append(s.out, suspect{w, f.Health.State == fleet.StateDown})
		}
	}
	if most := len(endpoints) / 2; len(s.out) > most {
		slices.SortFunc(s.out, worseFirst)
		for _, kept := range s.out[most:] {
			kept.way.out = false
		}
	}
}

func worseFirst(a, b suspect) int {
	if a.down != b.down {
		if a.down {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(b.way.breaker.opened, a.way.breaker.opened), cmp.Compare(b.way.breaker.failing(), a.way.breaker.failing()),
		cmp.Compare(a.way.number, b.way.number))
}

// probe finds an endpoint that is not well and whose time has come to be tried by a real request: a fresh one, as long as another can answer should
// it fail. It gives the place, or -1. Where the health probes fail, too, no request needs to find out.
func (t *Table) probe(now time.Time, ask *Ask, endpoints []*fleet.Endpoint) int {
	if t.mu.unwell == 0 || len(ask.Tried) > 0 || ask.Continues != fleet.ContinuesNot {
		return -1
	}
	for _, s := range t.mu.scratch.out {
		if w := s.way; !s.down && w.breaker.ready(now) {
			return w.position
		}
	}
	return -1
}

// Usable tells, in the order of endpoints, which of them ordinary requests are sent to now: those that are well, neither down nor resting;
// where none is well, those that are not ejected. One that fails fast always has room, and would be sent all that those who are well have
// no room for. It appends to dst.
func (t *Table) Usable(now time.Time, endpoints []*fleet.Endpoint, dst []bool) []bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.eject(now, endpoints)
	for _, well := range [...]bool{true, false} {
		some := false
		for _, e := range endpoints {
			w := t.way(e.ID())
			f := e.Facts(now)
			ok := resort(&f, &w.breaker, now) == ResortNone && (w.breaker.state == Closed || !well && !w.out)
			dst, some = append(dst, ok), some || ok
		}
		if some || !well {
			break
		}
		dst = dst[:len(dst)-len(endpoints)]
	}
	return dst
}

// Resting is how long it is until the first endpoint that only rests is asked again; 0 where none does, because one is well or all are
// worse.
func (t *Table) Resting(now time.Time, endpoints []*fleet.Endpoint) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	least := time.Duration(0)
	for _, e := range endpoints {
		w := t.way(e.ID())
		f := e.Facts(now)
		if w.breaker.state == Closed && resort(&f, &w.breaker, now) == ResortBusy {
			if d := w.breaker.rest.Sub(now); least == 0 || d < least {
				least = d
			}
		}
	}
	return least
}

// toldMax is how many endpoints an error tells of: enough for a small fleet, and a line that can be read.
const toldMax = 5

// none says why no endpoint can be asked.
func (t *Table) none(now time.Time, ask *Ask, endpoints []*fleet.Endpoint) *llm.Error {
	err := &llm.Error{Kind: llm.NoEndpoint, RetryAfter: openFirst}
	if len(endpoints) == 0 {
		err.Message = "No endpoint is known that answers for this model; name one under its endpoints."
		return err
	}
	soonest := time.Duration(-1)
	var why []string
	for i, e := range endpoints {
		reason, opens := t.reason(now, ask, e)
		if opens >= 0 && (soonest < 0 || opens < soonest) {
			soonest = opens
		}
		if i < toldMax {
			why = append(why, fmt.Sprintf("%s %s", e.ID(), reason))
		}
	}
	if more := len(endpoints) - len(why); more > 0 {
		why = append(why, fmt.Sprintf("and %d more", more))
	}
	if soonest >= 0 {
		err.RetryAfter = soonest
	}
	err.Message = "No endpoint of this model can be asked: " + strings.Join(why, ", ") + "."
	return err
}

// reason says why an endpoint cannot be asked, and in how long it can be tried; -1 where time changes nothing.
func (t *Table) reason(now time.Time, ask *Ask, e *fleet.Endpoint) (string, time.Duration) {
	f, b := e.Facts(now), &t.way(e.ID()).breaker
	switch {
	case slices.Contains(ask.Tried, e.ID()):
		return "has failed on this request", -1
	case f.Continues < ask.Continues:
		return "cannot go on with another's answer", -1
	case b.state == Open && now.Before(b.until):
		d := b.until.Sub(now)
		return fmt.Sprintf("has failed %d times and is tried again in %s", max(int(b.row), 1), d.Round(time.Millisecond)), d
	}
	return "has failed before and is being tried by another request", openFirst
}

// State is what is told of one endpoint's breaker.
type State struct {
	Endpoint llm.EndpointID
	Breaker  BreakerState
	Failing  float64       // share of recent requests that failed
	Tried    time.Duration // until an open one is tried again; 0 for others
}

// States tells of every endpoint that was ever considered, in the order of their names.
func (t *Table) States(now time.Time) []State {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]State, 0, len(t.mu.ways))
	for id, w := range t.mu.ways {
		b := w.breaker.decay(now)
		s := State{Endpoint: id, Breaker: b.state, Failing: b.failing()}
		if b.state == Open {
			if s.Tried = b.until.Sub(now); s.Tried <= 0 {
				s.Breaker, s.Tried = HalfOpen, 0
			}
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b State) int { return strings.Compare(string(a.Endpoint), string(b.Endpoint)) })
	return out
}
