package admit

import (
	"fmt"
	"math"
	"math/rand"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
)

// model is what the owner of a gate knows, beside the gate, in random operations.
type model struct {
	t       *testing.T
	rng     *rand.Rand
	g       *Gate
	now     time.Time
	list    []Endpoint
	waiting map[Ticket]Entry
	running map[Ticket]llm.EndpointID
	begun   map[Ticket]bool
	tokens  map[Ticket]int
	owners  map[any]Ticket
	count   int
	changes []Change
}

func newModel(t *testing.T, seed int64) *model {
	rng := rand.New(rand.NewSource(seed))
	c := Config{Seed: uint64(seed), Sequences: 1 + rng.Intn(6), Waiting: Bounds{Requests: 5 + rng.Intn(40), Bytes: int64(200 + rng.Intn(4000))}}
	c.Tenant.Requests = 1 + rng.Intn(20)
	for i := range c.Classes {
		c.Classes[i].Waiting.Requests = 1 + rng.Intn(30)
		if rng.Intn(3) == 0 {
			c.Classes[i].TTFT, c.Classes[i].Wait = -1, time.Duration(1+rng.Intn(20))*time.Second
		}
	}
	if bad := c.Validate(); len(bad) > 0 {
		t.Fatal(bad)
	}
	m := &model{
		t: t, rng: rng, g: New(c), now: start, waiting: map[Ticket]Entry{}, running: map[Ticket]llm.EndpointID{}, begun: map[Ticket]bool{},
		tokens: map[Ticket]int{}, owners: map[any]Ticket{},
	}
	m.endpoints()
	return m
}

func (m *model) endpoints() {
	m.list = m.list[:0]
	for i := range 3 {
		if m.rng.Intn(5) == 0 {
			continue
		}
		e := Endpoint{ID: llm.EndpointID(rune('a' + i)), Usable: m.rng.Intn(6) > 0, Slots: m.rng.Intn(5), Waiting: m.rng.Intn(4) - 1, Age: time.Duration(m.rng.Intn(4)-1) * time.Second}
		if m.rng.Intn(2) == 0 {
			e.PrefillSeconds = 0.002
			e.DecodeSeconds = func(b int) float64 { return 0.01 + 0.002*float64(b) }
		}
		m.list = append(m.list, e)
	}
	m.g.Endpoints(m.now, m.list)
}

func (m *model) place(_ *Entry, room func(llm.EndpointID) bool) (llm.EndpointID, error) {
	for _, e := range m.list {
		if e.Usable && room(e.ID) {
			return e.ID, nil
		}
	}
	return "", nil
}

// apply notes what was done to one that waited.
func (m *model) apply(changes []Change) {
	for _, c := range changes {
		if _, ok := m.waiting[c.Ticket]; !ok {
			m.t.Fatalf("ticket %d gets %+v and does not wait", c.Ticket, c.Verdict)
		}
		if m.owners[c.Owner] != c.Ticket {
			m.t.Fatalf("ticket %d comes with the owner of %d", c.Ticket, m.owners[c.Owner])
		}
		delete(m.waiting, c.Ticket)
		switch v := c.Verdict; {
		case v.Waiting:
			m.t.Fatalf("a change to one that waits: %+v", v)
		case v.Started:
			m.running[c.Ticket] = v.Endpoint
		case v.Reason == "" || v.RetryAfter < time.Second || v.RetryAfter > time.Minute:
			m.t.Fatalf("a refusal says %+v", v)
		}
	}
}

func (m *model) settle() {
	for range 1000 {
		next := m.g.Next()
		if next.IsZero() || next.After(m.now) {
			return
		}
		m.changes = m.g.Step(m.now, m.place, m.changes[:0])
		m.apply(m.changes)
	}
	m.t.Fatal("Next is not after now, whatever Step does")
}

func (m *model) offer() {
	e := Entry{
		Tenant: llm.TenantID(fmt.Sprint(m.rng.Intn(6))), Weight: float64(m.rng.Intn(3)), Class: llm.Class(m.rng.Intn(5)),
		Prompt: m.rng.Intn(600), Output: m.rng.Intn(300), Bytes: int64(m.rng.Intn(400)), Whole: m.rng.Intn(4) == 0,
	}
	if m.rng.Intn(4) == 0 {
		e.StartBy = m.now.Add(time.Duration(m.rng.Intn(8000)-100) * time.Millisecond)
	}
	m.count++
	e.Owner = m.count
	idle := m.anyOpen()
	before := map[Ticket]bool{}
	for k := range m.waiting {
		before[k] = true
	}
	k, v := m.g.Offer(m.now, e, m.place)
	if v.Reason != "" && v.Reason != llm.ReasonStart && idle && !m.g.narrow {
		m.t.Fatalf("refused with %s though an endpoint has room", v.Reason)
	}
	switch {
	case v.Started == v.Waiting && (v.Started || k != 0):
		m.t.Fatalf("ticket %d, %+v", k, v)
	case v.Started:
		m.running[k] = v.Endpoint
	case v.Waiting:
		m.waiting[k] = e
	case v.Err == nil && (v.RetryAfter < time.Second || v.RetryAfter > time.Minute):
		m.t.Fatalf("a refusal says %+v", v)
	}
	m.owners[m.count] = k
	m.shed(e)
}

// shed checks those that the last offer displaced.
func (m *model) shed(newcomer Entry) {
	for _, c := range m.g.pending {
		if c.Verdict.Reason != llm.ReasonDisplaced {
			continue
		}
		v := m.waiting[c.Ticket]
		if v.Class.Rank() <= newcomer.Class.Rank() {
			m.t.Fatalf("%s is displaced by %s", v.Class, newcomer.Class)
		}
		if v.Tenant == newcomer.Tenant {
			continue // by the tenant's own bound, maybe
		}
		gone := map[Ticket]bool{}
		for _, d := range m.g.pending {
			gone[d.Ticket] = true
		}
		for k, o := range m.waiting {
			if o.Class.Rank() > v.Class.Rank() && !gone[k] {
				m.t.Fatalf("%s is displaced while %s waits", v.Class, o.Class)
			}
		}
	}
}

func (m *model) anyOpen() bool {
	m.g.at(m.now)
	return m.g.anyRoom(m.g.now) && m.g.waiting.Requests == 0
}

// some picks a key; maps are walked in an order that the seed does not fix, so it takes the least after a random one.
func some[V any](rng *rand.Rand, of map[Ticket]V, last Ticket) (Ticket, bool) {
	if len(of) == 0 {
		return 0, false
	}
	from, best, least := Ticket(rng.Int63n(int64(last)+1)), Ticket(math.MaxUint64), Ticket(math.MaxUint64)
	for k := range of {
		least = min(least, k)
		if k >= from {
			best = min(best, k)
		}
	}
	if best == math.MaxUint64 {
		best = least
	}
	return best, true
}

func (m *model) operate() {
	switch m.rng.Intn(14) {
	case 0, 1, 2, 3:
		m.offer()
	case 4, 5:
		if k, ok := some(m.rng, m.running, m.g.tickets); ok {
			m.end(k)
		}
	case 6, 7:
		if k, ok := some(m.rng, m.running, m.g.tickets); ok {
			m.g.First(m.now, k, m.rng.Intn(50))
			m.begun[k] = true
		}
	case 8:
		if k, ok := some(m.rng, m.running, m.g.tickets); ok {
			m.tokens[k] += m.rng.Intn(400)
			m.g.Tokens(m.now, k, m.tokens[k])
		}
	case 9:
		if k, ok := some(m.rng, m.waiting, m.g.tickets); ok {
			m.g.Withdraw(m.now, k)
			m.forgive(k)
		}
	case 10:
		if k, ok := some(m.rng, m.running, m.g.tickets); ok {
			to := []llm.EndpointID{"", "a", "b", "c"}[m.rng.Intn(4)]
			m.g.Move(m.now, k, to)
			m.running[k] = to
		}
	case 11:
		m.endpoints()
	default:
		m.now = m.now.Add(time.Duration(m.rng.Intn(900)-100) * time.Millisecond) // now and then backwards
	}
}

// forgive takes out one that was withdrawn, unless a call before did something to it of which the next step tells.
func (m *model) forgive(k Ticket) {
	for _, c := range m.g.pending {
		if c.Ticket == k {
			return
		}
	}
	delete(m.waiting, k)
}

func (m *model) end(k Ticket) {
	faults := []llm.Fault{llm.FaultNone, llm.FaultNone, llm.FaultNone, llm.FaultBusy, llm.FaultCut}
	m.g.Done(m.now, k, End{Prompt: m.rng.Intn(600), Cached: m.rng.Intn(700), Output: m.rng.Intn(300), Fault: faults[m.rng.Intn(len(faults))]})
	delete(m.running, k)
}

// check compares the gate with the model.
func (m *model) check() {
	g := m.g
	s := g.State(m.now)
	var bytes int64
	for k, e := range m.waiting {
		bytes += e.Bytes
		if g.entries[k] == nil || g.entries[k].at < 0 {
			m.t.Fatalf("ticket %d does not wait in the gate", k)
		}
	}
	if s.Waiting.Requests != len(m.waiting) || s.Waiting.Bytes != bytes || s.Running != len(m.running) {
		m.t.Fatalf("%d wait with %d bytes and %d run; the gate says %+v and %d", len(m.waiting), bytes, len(m.running), s.Waiting, s.Running)
	}
	at := map[llm.EndpointID]int{}
	for _, id := range m.running {
		at[id]++
	}
	for id, n := range at {
		if id != "" && g.known[id].running != n {
			m.t.Fatalf("%d run at %s; the gate says %d", n, id, g.known[id].running)
		}
	}
	for _, k := range g.known {
		if k.running != at[k.facts.ID] || k.prefill < 0 || k.kv < 0 || k.decoding < 0 || k.running != k.decoding+len(k.awaiting) || k.limit < 1 || k.limit > k.ceiling {
			m.t.Fatalf("%s: %d run, %+v", k.facts.ID, at[k.facts.ID], k)
		}
	}
	for i, x := range g.deadline {
		if x.startBy < g.now {
			m.t.Fatalf("one waits %v past its time to start by", g.now-x.startBy)
		}
		if x.at != i || g.deadline.less(i, (i-1)/2) && i > 0 {
			m.t.Fatalf("the heap of deadlines is out of order at %d", i)
		}
	}
	if g.anyRoom(g.now) && g.waiting.Requests > 0 && !g.narrow {
		m.t.Fatalf("%d wait though an endpoint has room", g.waiting.Requests)
	}
	m.lines()
}

// lines checks the heaps.
func (m *model) lines() {
	for i := range m.g.classes {
		c := &m.g.classes[i]
		n, weights := 0, 0.0
		for j := range c.active {
			l := c.active[j]
			n, weights = n+l.length, weights+l.weight
			if l != l.queue.line() || l.queue.at != j || j > 0 && c.less(j, (j-1)/2) || l.length == 0 {
				m.t.Fatalf("line %d of %s is %+v of %+v", j, llm.Classes()[i], l, l.queue)
			}
			for x := 1; x < len(l.queue.waiting); x++ {
				if l.queue.waiting[x-1].key > l.queue.waiting[x].key {
					m.t.Fatal("a line is out of order")
				}
			}
		}
		if n != c.waiting.Requests || math.Abs(weights-c.weights) > 1e-6 || math.IsNaN(c.credit) || c.credit < 0 {
			m.t.Fatalf("%s: %d of weight %v in lines, %+v", llm.Classes()[i], n, weights, c)
		}
	}
}

// finish ends everything and checks that nothing is left.
func (m *model) finish() {
	for k := range m.waiting {
		m.g.Withdraw(m.now, k)
		m.forgive(k)
	}
	for k := range m.running {
		m.g.Done(m.now, k, End{Output: 10})
		delete(m.running, k)
	}
	m.settle()
	m.check()
	for _, s := range m.g.known {
		if s.running != 0 || s.prefill != 0 || s.kv != 0 || s.work != 0 || s.decoding != 0 || len(s.awaiting) != 0 {
			m.t.Fatalf("%s still holds %+v", s.facts.ID, s)
		}
	}
	for _, n := range m.g.tenants {
		if n.live != 0 || n.waiting != (usage{}) {
			m.t.Fatalf("tenant %s still has %+v", n.id, n)
		}
	}
	if len(m.g.entries) != 0 || len(m.g.deadline) != 0 {
		m.t.Fatal("entries are left")
	}
}

func TestRandomOperationsKeepTheRules(t *testing.T) {
	t.Parallel()
	for seed := range int64(150) {
		ok := t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			m := newModel(t, seed)
			for range 600 {
				m.operate()
				m.settle()
				m.check()
			}
			m.finish()
		})
		if !ok {
			return
		}
	}
}
