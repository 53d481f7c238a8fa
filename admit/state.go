package admit

import (
	"slices"
	"time"

	"github.com/weir-ai/weir/llm"
)

// State is what operators and metrics see of a gate.
type State struct {
	Classes   [llm.ClassCount]ClassState // by llm.Class.Rank
	Endpoints []EndpointState            // in the order of the last list
	Waiting   Bounds                     // in all
	Running   int
	Rate      float64     // work a second that starts while something waits; 0 where nothing is known
	Weight    float64     // an output token's cost in prompt tokens
	Returns   float64     // share of those who are told when to come back that do
	Known     int         // tenants that are remembered
	Tenants   []TenantUse // those with the most work waiting or running, most first
}

// ClassState is what waits of one class.
type ClassState struct {
	Waiting Bounds
	Wait    time.Duration // predicted for one more of usual size, of a tenant that has nothing waiting
	Factor  float64       // how careful the gate has learned to be: what likely waits are multiplied with before one is let wait
}

// EndpointState is what one endpoint holds.
type EndpointState struct {
	ID       llm.EndpointID
	Usable   bool
	Limit    int
	Running  int
	Decoding int // of running: those whose first token has come
	Prefill  int // prompt tokens of the others
	Work     Work
}

// TenantUse is one tenant's part.
type TenantUse struct {
	Tenant  llm.TenantID
	Waiting Bounds
	Live    int // requests that wait or run
}

// stateTenants is how many tenants are listed: a screen.
const stateTenants = 20

// State tells what there is at now.
func (g *Gate) State(now time.Time) State {
	t := g.at(now)
	s := State{Waiting: Bounds(g.waiting), Rate: g.rate(), Weight: g.weight, Returns: g.returns.come, Known: len(g.tenants)}
	for i := range g.classes {
		c := &g.classes[i]
		s.Classes[i].Waiting, s.Classes[i].Factor = Bounds(c.waiting), c.factor
		if c.waiting.Requests > 0 {
			x := g.imagine(t, Entry{Class: llm.Classes()[i]})
			s.Classes[i].Wait = g.predict(t, x).wait
		}
	}
	for _, e := range g.stations {
		s.Endpoints = append(s.Endpoints, EndpointState{
			ID: e.facts.ID, Usable: e.facts.Usable, Limit: int(e.limit), Running: e.running, Decoding: e.decoding, Prefill: e.prefill, Work: e.work,
		})
	}
	s.Running = len(g.entries) - g.waiting.Requests
	for _, n := range g.tenants {
		if n.live > 0 {
			s.Tenants = append(s.Tenants, TenantUse{Tenant: n.id, Waiting: Bounds(n.waiting), Live: n.live})
		}
	}
	slices.SortFunc(s.Tenants, func(a, b TenantUse) int {
		switch {
		case a.Waiting.Work != b.Waiting.Work:
			return order(b.Waiting.Work < a.Waiting.Work)
		case a.Live != b.Live:
			return order(b.Live < a.Live)
		}
		return order(a.Tenant < b.Tenant)
	})
	s.Tenants = slices.Clone(s.Tenants[:min(len(s.Tenants), stateTenants)])
	return s
}

func order(before bool) int {
	if before {
		return -1
	}
	return 1
}
