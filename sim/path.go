package sim

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/weir-ai/weir/admit"
	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/route"
	"github.com/weir-ai/weir/tenant"
)

// Setup is what a Path is made of.
type Setup struct {
	Variants []Variant // a ladder, best first; a model without one has one
	Tenants  tenant.Config
	Written  []tenant.Tenant // what the rules take for written, where Tenants is bent
	First    time.Duration   // silence before the first token after which an endpoint is given up; 0 is 20 s
	Seed     uint64
	Bend     Bend
}

// Variant is one model with its engines, its gate and its table.
type Variant struct {
	Name    llm.ModelID
	Quality float64 // for the ladder
	Gate    admit.Config
	Engines []Machine
}

// Machine is an engine and what the gateway is told of it.
type Machine struct {
	Speed   Speed
	Weight  float64
	Silent  bool // it does not say how many answers it computes together
	Reports bool // it tells its load once a second
}

// Bend breaks a Path on purpose, so that tests see that a rule finds it. The zero value breaks nothing.
type Bend struct {
	entry   func(p *Path, e *admit.Entry)
	facts   func(p *Path, e *admit.Endpoint)
	verdict func(c *Call, v admit.Verdict) admit.Verdict
	usage   func(p *Path, c *Call, u llm.Usage) llm.Usage
	refuses func(p *Path, c *Call) bool     // before the gate is asked
	skips   func(step string, c *Call) bool // "done", "flight", "grow", "settle", "step", "end", "once"
	moment  func(p *Path) time.Time         // in place of the steady clock, for the gate
}

const (
	// factsEvery is how often the gate hears of its endpoints. A server tells it at each probe and each change of a breaker; ten times a
	// second is as good as that and keeps seeds short.
	factsEvery = 100 * time.Millisecond
	// stillMost is how long nothing may come or end before the rest is taken for lost: ten times the longest that anything waits.
	stillMost = 10 * time.Minute
	// reportsEvery is how often an engine that tells its load is asked.
	reportsEvery = time.Second
	// probeAfter is how long the fleet's probes take to find out that an endpoint died or is back.
	probeAfter = 2 * time.Second
	// firstTimeout is what an endpoint has for its first token.
	firstTimeout = 20 * time.Second
	// visitsMost bounds the endpoints that one request sees, as package serve does.
	visitsMost = 8
	// busyRest is what a full engine asks for in its Retry-After.
	busyRest = 500 * time.Millisecond
	// outputGuess is how long routing takes an answer to be.
	outputGuess = 256
	// noon is what the wall clock shows at the Epoch, so that a step of minutes is no step into another day, unless a test wants that.
	noon = 12 * time.Hour
)

// Path is the whole data path of one gateway in virtual time, put together as package serve does: a request is reserved in the real
// tenant.Book, a real admit.Ladder chooses the variant, a real admit.Gate says when it starts, a real route.Table where, and simulated
// engines answer. It has two clocks: the steady one, by which everything is ordered, and the wall clock, which can be set while it runs
// and by which limits a minute and budgets are kept.
type Path struct {
	clock    Clock
	ahead    time.Duration // of the wall clock before the steady one
	setup    Setup
	book     *tenant.Book
	variants []*variant
	ladder   admit.Ladder
	checks   []Check
	broken   []Broken
	count    uint64        // of calls
	moved    time.Duration // when something last came or ended
	live     int           // calls that have not ended
	coming   int           // arrivals and returns that are yet to be
	ticking  bool
	ended    []*Call
}

// variant is a Variant at work.
type variant struct {
	Variant
	at         int
	gate       *admit.Gate
	table      *route.Table
	engines    []*Engine
	endpoints  []*fleet.Endpoint
	failed     []time.Duration   // when each last failed a request; 0 where something has gone well since
	away       []bool            // not on the fleet's list
	list       []*fleet.Endpoint // those that are
	seeds      uint64
	wake       time.Duration // when the next step is due that is on the clock
	reported   time.Duration
	waiting    [llm.ClassCount]int
	running    int
	weight     float64 // of an output token, in prompt tokens, as the gate has it of late
	weightMost float64
	prompts    int // of the longest prompt that came
	outputs    int // of the longest answer
	changes    []admit.Change
	usable     []bool
	facts      []admit.Endpoint
}

// NewPath makes one. The error tells what of the setup cannot be.
func NewPath(s Setup, checks ...Check) (*Path, error) {
	book, err := tenant.New(s.Tenants, tenant.Options{})
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	if s.First == 0 {
		s.First = firstTimeout
	}
	p := &Path{setup: s, book: book, checks: checks}
	for i, v := range s.Variants {
		if bad := v.Gate.Validate(); len(bad) > 0 {
			return nil, fmt.Errorf("sim: variant %s: %s", v.Name, bad[0])
		}
		v.Gate.Seed = s.Seed + uint64(i)
		m := &variant{Variant: v, at: i, gate: admit.New(v.Gate), table: route.NewTable(route.Config{}), seeds: s.Seed<<32 + uint64(i)<<24, wake: math.MaxInt64}
		for j, machine := range v.Engines {
			m.add(p, j, machine)
		}
		m.relist()
		p.variants = append(p.variants, m)
		p.tell(m)
	}
	return p, nil
}

// add makes an engine and its endpoint.
func (m *variant) add(p *Path, j int, machine Machine) {
	e := fleet.New(fleet.Spec{ID: llm.EndpointID(fmt.Sprintf("%s-%d", m.Name, j)), Weight: machine.Weight})
	about := fleet.About{Kind: "sim", Cache: machine.Speed.Cache * machine.Speed.Block}
	if !machine.Silent {
		about.Slots = machine.Speed.Slots
	}
	e.Learn(about, fleet.ContinuesText)
	e.SetHealth(Epoch, fleet.StateUp, "")
	m.endpoints, m.away = append(m.endpoints, e), append(m.away, false)
	m.failed = append(m.failed, 0)
	m.engines = append(m.engines, NewEngine(&p.clock, machine.Speed, nil))
}

// count is how many wait at its gate.
func (m *variant) count() int {
	n := 0
	for _, w := range m.waiting {
		n += w
	}
	return n
}

func (m *variant) relist() {
	m.list = m.list[:0]
	for i, e := range m.endpoints {
		if !m.away[i] {
			m.list = append(m.list, e)
		}
	}
}

// now is the steady clock, wall the one on the wall.
func (p *Path) now() time.Time  { return p.clock.Time() }
func (p *Path) wall() time.Time { return p.clock.Time().Add(noon + p.ahead) }

// moment is what the gate is told the time is.
func (p *Path) moment() time.Time {
	if p.setup.Bend.moment != nil {
		return p.setup.Bend.moment(p)
	}
	return p.now()
}

func (p *Path) skips(step string, c *Call) bool {
	return p.setup.Bend.skips != nil && p.setup.Bend.skips(step, c)
}

// Arrive has a call come at a time since Epoch.
func (p *Path) Arrive(at time.Duration, c *Call) {
	p.coming++
	p.clock.At(at, func() {
		p.coming--
		p.live++
		p.moved = p.clock.now
		p.tick()
		p.arrive(c)
	})
}

// Run lets time pass until every call has ended, and gives them in the order of their ends.
func (p *Path) Run() []*Call {
	p.clock.Run()
	p.see(Event{Kind: EventOver})
	return p.ended
}

// tick tells the gates the facts again and again, as long as anything is to come.
func (p *Path) tick() {
	if p.ticking {
		return
	}
	p.ticking = true
	var again func()
	again = func() {
		for _, m := range p.variants {
			p.tell(m)
			p.pump(m)
		}
		p.see(Event{Kind: EventTick})
		p.ticking = p.live+p.coming > 0 && p.clock.now-p.moved < stillMost
		if p.ticking {
			p.clock.At(p.clock.now+factsEvery, again)
		}
	}
	p.clock.At(p.clock.now+factsEvery, again)
}

// tell has a gate hear of its endpoints.
func (p *Path) tell(m *variant) {
	now := p.now()
	if p.clock.now-m.reported >= reportsEvery {
		m.reported = p.clock.now
		for i, e := range m.engines {
			if m.Engines[i].Reports && !e.weather.down {
				m.endpoints[i].Report(fleet.Load{At: now, Waiting: len(e.waiting), Running: len(e.active), KVUsed: -1, Hits: -1})
			}
		}
	}
	m.usable = m.table.Usable(now, m.list, m.usable[:0])
	m.facts = m.facts[:0]
	for i, e := range m.list {
		f := e.Facts(now)
		m.facts = append(m.facts, admit.Endpoint{
			ID: e.ID(), Usable: m.usable[i], Slots: f.Slots, PrefillSeconds: f.PrefillSeconds, DecodeSeconds: f.DecodeSeconds, Waiting: f.Load.Waiting, Age: f.LoadAge,
		})
		if p.setup.Bend.facts != nil {
			p.setup.Bend.facts(p, &m.facts[i])
		}
	}
	m.gate.Endpoints(p.moment(), m.facts)
	m.weight = m.gate.State(p.moment()).Weight
	m.weightMost = max(m.weightMost, m.weight)
}

// pump steps a gate for as long as it wants to be, and puts its next wish on the clock.
func (p *Path) pump(m *variant) {
	if p.skips("step", nil) {
		return
	}
	for {
		next := m.gate.Next()
		if next.IsZero() {
			return
		}
		if d := next.Sub(p.moment()); d > 0 {
			p.wakeAt(m, p.clock.now+d)
			return
		}
		m.changes = m.gate.Step(p.moment(), p.place(m), m.changes[:0])
		for _, c := range append([]admit.Change(nil), m.changes...) {
			p.changed(m, c)
		}
	}
}

func (p *Path) wakeAt(m *variant, at time.Duration) {
	if m.wake > p.clock.now && m.wake <= at {
		return
	}
	m.wake = at
	p.clock.At(at, func() {
		if m.wake == at {
			m.wake = math.MaxInt64
		}
		p.pump(m)
	})
}

// changed hears what a step did to a call that waited.
func (p *Path) changed(m *variant, ch admit.Change) {
	c := ch.Owner.(*Call)
	m.waiting[c.Class.Rank()]--
	c.waiting = false
	p.see(Event{Kind: EventUnqueued, Call: c, Verdict: ch.Verdict})
	p.verdict(c, ch.Verdict)
}

// place is the router's choice, as the gate asks for it.
func (p *Path) place(m *variant) admit.Place {
	return func(e *admit.Entry, room func(llm.EndpointID) bool) (llm.EndpointID, error) {
		c := e.Owner.(*Call)
		ask := c.ask(m)
		ask.Room = room
		m.seeds++
		pick, err := m.table.Pick(p.now(), ask, m.list, m.seeds)
		if err != nil {
			if slices.Contains(m.usable, true) {
				return "", nil
			}
			return "", err
		}
		c.pick = pick
		return pick.Endpoint.ID(), nil
	}
}

// reserve takes what a call may need of its tenant's limits.
func (p *Path) reserve(c *Call) error {
	var err error
	ask := tenant.Ask{Prompt: c.Job.Prompt, Output: c.MaxTokens, N: 1}
	c.reservation, err = p.book.Reserve(context.Background(), p.wall(), c.Tenant, p.variants[0].Name, ask)
	return err
}

// choose is the rung of the ladder for a call.
func (p *Path) choose(c *Call) *variant {
	if len(p.variants) == 1 || !c.Client.Variants {
		return p.variants[0]
	}
	rungs := make([]admit.Rung, len(p.variants))
	for i, m := range p.variants {
		r := &rungs[i]
		r.Start, r.TTFT, r.OK = m.gate.Predict(p.moment(), p.entry(c))
		r.Quality = m.Quality
	}
	objective := p.objective(p.variants[0], c.Class)
	return p.variants[p.ladder.Choose(p.now(), rungs, objective, 0)]
}

func (p *Path) objective(m *variant, k llm.Class) time.Duration {
	return m.Gate.WithDefaults().Classes[k.Rank()].TTFT
}

// entry is a call as the gate hears of it.
func (p *Path) entry(c *Call) admit.Entry {
	e := admit.Entry{
		Tenant: c.Tenant, Weight: c.Weight, Class: c.Class, Prompt: c.Job.Prompt, Output: c.MaxTokens, Bytes: int64(c.Job.Prompt) * 4,
		Whole: c.Client.Whole, Print: c.Print, Owner: c,
	}
	if c.Client.StartBy > 0 {
		e.StartBy = p.moment().Add(c.Client.StartBy)
	}
	if p.setup.Bend.entry != nil {
		p.setup.Bend.entry(p, &e)
	}
	return e
}
