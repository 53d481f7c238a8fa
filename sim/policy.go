package sim

import (
	"slices"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/route"
)

// Weir is the real thing: a route.Table.
type Weir struct {
	Table  *route.Table
	Output int // tokens that answers are expected to have: like the gateway, it does not know them before
	Seed   uint64
}

// NewWeir makes one with an empty table.
func NewWeir(seed uint64) *Weir {
	return &Weir{Table: route.NewTable(route.Config{}), Output: 256, Seed: seed << 32}
}

func (p *Weir) pick(w *World, a *attempt) bool {
	p.Seed++
	ask := route.Ask{Prompt: a.job.Prompt, Output: p.Output, Prefix: a.job.Blocks, Session: a.job.Session}
	if len(a.job.Blocks) > 0 {
		ask.Block = w.engines[0].speed.Block
	}
	for _, i := range a.tried {
		ask.Tried = append(ask.Tried, w.endpoints[i].ID())
	}
	pick, err := p.Table.Pick(w.clock.Time(), ask, w.endpoints, p.Seed)
	if err != nil {
		return false
	}
	a.pick, a.cached, a.engine = pick, pick.Cached, slices.Index(w.endpoints, pick.Endpoint)
	return true
}

func (p *Weir) ended(w *World, a *attempt, f llm.Fault) {
	p.Table.Ended(w.clock.Time(), a.pick, f, w.clock.now-a.began)
}

func (p *Weir) again(w *World, a *attempt) (time.Duration, bool) {
	p.Seed++
	return p.Table.Backoff(len(a.tried), 0, p.Seed), p.Table.Retry(w.clock.Time())
}

// once is the part of a policy that never sends a job again.
type once struct{}

func (once) ended(*World, *attempt, llm.Fault)            {}
func (once) again(*World, *attempt) (time.Duration, bool) { return 0, false }

// RoundRobin asks one engine after the other.
type RoundRobin struct {
	once
	next int
}

func (p *RoundRobin) pick(w *World, a *attempt) bool {
	a.engine = p.next % len(w.engines)
	p.next++
	return true
}

// LeastConnections asks the engine with the fewest requests; of equals, each in turn.
type LeastConnections struct {
	once
	next int
}

func (p *LeastConnections) pick(w *World, a *attempt) bool {
	p.next++
	least := -1
	for i := range w.engines {
		at := (p.next + i) % len(w.engines)
		if n := w.endpoints[at].Facts(w.clock.Time()).Running; least < 0 || n < least {
			a.engine, least = at, n
		}
	}
	return true
}

// Oracle asks the engine whose first token would come soonest, and knows it: each engine's true speed, queue, step under way and cache.
// It is greedy, as a router must be that does not know what comes next.
type Oracle struct{ once }

func (Oracle) pick(w *World, a *attempt) bool {
	var least time.Duration
	for i, e := range w.engines {
		if d := e.firstIn(a.job); i == 0 || d < least {
			a.engine, least = i, d
		}
	}
	return true
}
