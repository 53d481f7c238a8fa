package route

import (
	"slices"
	"sync"
	"time"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
)

// Config says what a table cannot see for itself. The zero value is usable.
type Config struct {
	CacheTokens int // what an endpoint remembers of prompts that does not say; 0 is half a million
}

// Table is the state of routing one model's requests. It is safe for concurrent use.
type Table struct {
	config Config
	mu     struct {
		sync.Mutex
		ways     map[llm.EndpointID]*way
		byNumber []*way  // ways by their numbers
		usual    float64 // tokens of a prompt of late
		unwell   int     // ways whose breaker is not closed
		sessions lru     // number of the way where a session was last, by its name's hash
		owners   lru     // number of the way where a block was sent last; kept where endpoints are too many to look at all
		budget   budget
		scratch  scratch
	}
}

// scratch is room that choices use in turn.
type scratch struct {
	list []Candidate
	ways []*way // of list
	at   []int  // of list, in the endpoints that were given
	out  []suspect
}

// way is what is remembered of one endpoint.
type way struct {
	id       llm.EndpointID
	number   int32
	position int     // in the endpoints that were given last: a hint
	out      bool    // ejected, as of the choice that is made
	breaker  breaker //
	prefix   lru     // blocks of prompts that were sent there
	served   float64 // tokens that it was given to compute, each counted 1/weight
	asked    time.Time
}

const (
	// cacheTokens is how much of prompts an endpoint is taken to remember that does not say: what an 8 B model leaves free on a card of
	// 80 GB. Too large a guess sends a prompt where it is computed again, as it would have been anywhere else; too small a one forgets
	// what is there. A million would cost memory for what hardly any one server has.
	cacheTokens = 1 << 19
	// blocksAll bounds the blocks that all indexes of a table remember together, some 32 MB; each endpoint has its share of it. A single
	// one's index has at most blocksMax: 4 million tokens in blocks of 64.
	blocksAll = 1 << 20
	blocksMax = 1 << 16
	// ownersMax bounds the blocks whose last endpoint is remembered in large fleets, some 7 MB.
	ownersMax = 1 << 18
	// sessionsMax bounds the sessions of a model: more than are in conversation through one gateway at a time, at 32 bytes each.
	sessionsMax = 1 << 16
	// allMax is how many endpoints are all looked at; of more, sampleOf are, and those that have the prompt's beginning or the session.
	// Looking at one costs a tenth of a microsecond, and the least of eight is as good as the least of all but for a few percent.
	allMax   = 16
	sampleOf = 8
	// waysMax bounds the endpoints that are remembered: those that a fleet has, and some that it had.
	waysMax = 4096
	// owedMost is how many usual prompts an endpoint can be behind or ahead of its share. One that was dear or away for an hour is not
	// given all of the next minute; with a few, prompts of very different lengths would forget what is owed before it can be paid.
	owedMost = 64
	// usualShare is what one prompt moves the usual length: some fifty prompts are remembered.
	usualShare = 0.02
	// forgotten stands for the idle time of an endpoint that was never asked.
	forgotten = 24 * time.Hour
)

// NewTable makes the table of one model.
func NewTable(c Config) *Table {
	if c.CacheTokens <= 0 {
		c.CacheTokens = cacheTokens
	}
	t := &Table{config: c}
	t.mu.ways = map[llm.EndpointID]*way{}
	t.mu.sessions.most, t.mu.owners.most = sessionsMax, ownersMax
	return t
}

// Pick is a choice. Whoever has it tells how it ended.
type Pick struct {
	Endpoint *fleet.Endpoint
	Cached   int  // tokens of the prompt that the endpoint has computed before, as far as is known
	Probe    bool // it finds out whether the endpoint is well again
}

// Pick chooses the endpoint for a request and notes it. The error says why none can be asked, and when one may.
//
// Endpoints whose breaker is open are out, but for a probe once in a while; a request that may not be sent twice over (it continues an
// answer) is no probe. Where nothing else is left they are asked all the same: one request at a time, or any that continues an answer,
// because for that nothing is worse than giving up.
func (t *Table) Pick(now time.Time, ask Ask, endpoints []*fleet.Endpoint, seed uint64) (Pick, *llm.Error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(ask.Tried) == 0 {
		t.mu.budget = t.mu.budget.asked(now)
		if t.mu.usual == 0 {
			t.mu.usual = float64(max(ask.Prompt, 1))
		}
		t.mu.usual += usualShare * (float64(max(ask.Prompt, 1)) - t.mu.usual)
	}
	ask.usual = t.mu.usual
	t.eject(now, endpoints)
	s := &t.mu.scratch
	if at := t.probe(now, &ask, endpoints); at >= 0 {
		s.clear()
		ask.Room = nil
		t.consider(now, &ask, endpoints, at, true)
		return t.take(now, &ask, endpoints, 0), nil
	}
	if len(endpoints) > allMax {
		t.sample(now, &ask, endpoints, seed)
		if best, ok := Choose(ask, s.list, seed); ok && s.list[best].Resort == ResortNone {
			return t.take(now, &ask, endpoints, best), nil
		}
	}
	for _, last := range [...]bool{false, true} {
		s.clear()
		for i := range endpoints {
			t.consider(now, &ask, endpoints, i, last)
		}
		if best, ok := Choose(ask, s.list, seed); ok {
			return t.take(now, &ask, endpoints, best), nil
		}
	}
	return Pick{}, t.none(now, &ask, endpoints)
}

func (s *scratch) clear() { s.list, s.ways, s.at = s.list[:0], s.ways[:0], s.at[:0] }

// sample considers some of many endpoints: one out of each of as many equal parts of the list, the one where the prompt's longest known
// beginning was sent last, and the session's.
func (t *Table) sample(now time.Time, ask *Ask, endpoints []*fleet.Endpoint, seed uint64) {
	s, n := &t.mu.scratch, len(endpoints)
	s.clear()
	for i := range sampleOf {
		low, high := i*n/sampleOf, (i+1)*n/sampleOf
		t.consider(now, ask, endpoints, low+int(scatter(seed, i)%uint64(high-low)), false)
	}
	if blocks := t.mu.owners.match(ask.Prefix); blocks > 0 {
		number, _ := t.mu.owners.get(ask.Prefix[blocks-1])
		t.considerNumber(now, ask, endpoints, number)
	}
	if number, ok := t.home(ask); ok {
		t.considerNumber(now, ask, endpoints, number)
	}
}

func (t *Table) considerNumber(now time.Time, ask *Ask, endpoints []*fleet.Endpoint, number int32) {
	if int(number) >= len(t.mu.byNumber) {
		return
	}
	at := t.mu.byNumber[number].position
	if at < len(endpoints) && endpoints[at].ID() == t.mu.byNumber[number].id && !slices.Contains(t.mu.scratch.at, at) {
		t.consider(now, ask, endpoints, at, false)
	}
}

// home is the number of the way where the request's session was last.
func (t *Table) home(ask *Ask) (int32, bool) {
	if ask.Session == "" {
		return 0, false
	}
	return t.mu.sessions.get(hash(ask.Session))
}

// consider puts the endpoint at i on the list, if it may be asked; as a last resort even where it is ejected.
func (t *Table) consider(now time.Time, ask *Ask, endpoints []*fleet.Endpoint, i int, last bool) {
	e := endpoints[i]
	if slices.Contains(ask.Tried, e.ID()) {
		return
	}
	w := t.way(e.ID())
	w.position = i
	if ask.Room != nil && !ask.Room(e.ID()) {
		return
	}
	if w.out && w.breaker.state != Closed && (!last || ask.Continues == fleet.ContinuesNot && w.breaker.probing > 0) {
		return
	}
	f := e.Facts(now)
	if f.Continues < ask.Continues {
		return
	}
	c := Candidate{Facts: f, Resort: resort(&f, &w.breaker, now), Served: w.served, Idle: forgotten}
	if !w.asked.IsZero() {
		c.Idle = now.Sub(w.asked)
	}
	if ask.Block > 0 && len(ask.Prefix) > 0 {
		t.size(w, f.About.Cache, ask.Block, len(endpoints))
		c.Cached = min(w.prefix.match(ask.Prefix)*ask.Block, ask.Prompt)
	}
	if home, ok := t.home(ask); ok {
		c.Home = home == w.number
	}
	if w.breaker.bad > 0 {
		w.breaker = w.breaker.decay(now)
		c.Failing = w.breaker.failing()
	}
	s := &t.mu.scratch
	s.list, s.ways, s.at = append(s.list, c), append(s.ways, w), append(s.at, i)
}

func resort(f *fleet.Facts, b *breaker, now time.Time) Resort {
	switch {
	case f.Health.State == fleet.StateDown:
		return ResortDown
	case f.Health.State == fleet.StateLoading:
		return ResortLoading
	case now.Before(b.rest):
		return ResortBusy
	}
	return ResortNone
}

// size bounds an endpoint's index by what it remembers.
func (t *Table) size(w *way, cache, block, endpoints int) {
	if cache <= 0 {
		cache = t.config.CacheTokens
	}
	if most := min(max(cache/block, 1), blocksMax, max(blocksAll/endpoints, 1)); most != w.prefix.most {
		w.prefix.resize(most)
	}
}

// way is what is remembered of an endpoint; one of which nothing is gets a place.
func (t *Table) way(id llm.EndpointID) *way {
	if w := t.mu.ways[id]; w != nil {
		return w
	}
	if len(t.mu.ways) >= waysMax { // a fleet whose names change without end; what is asked now is learnt anew
		clear(t.mu.ways)
		t.mu.byNumber, t.mu.unwell = nil, 0
		t.mu.sessions, t.mu.owners = lru{most: sessionsMax}, lru{most: ownersMax}
	}
	w := &way{id: id, number: int32(len(t.mu.byNumber))}
	t.mu.ways[id] = w
	t.mu.byNumber = append(t.mu.byNumber, w)
	return w
}

// take notes that a request is sent to the one at best on the list.
func (t *Table) take(now time.Time, ask *Ask, endpoints []*fleet.Endpoint, best int) Pick {
	s := &t.mu.scratch
	w, c := s.ways[best], &s.list[best]
	p := Pick{Endpoint: endpoints[s.at[best]], Cached: c.Cached}
	w.breaker, p.Probe = w.breaker.sent(now)
	owed := owedMost * t.mu.usual
	for _, other := range s.ways {
		other.served = min(max(other.served, w.served-owed), w.served+owed)
	}
	w.served += max(float64(ask.Prompt-c.Cached), t.mu.usual/8) / c.Facts.Weight // an answer is work, too
	w.asked = now
	if len(ask.Prefix) > 0 && ask.Block > 0 {
		w.prefix.addPrefix(ask.Prefix)
		if len(endpoints) > allMax {
			for i := len(ask.Prefix) - 1; i >= 0; i-- {
				t.mu.owners.put(ask.Prefix[i], w.number)
			}
		}
	}
	if ask.Session != "" {
		t.mu.sessions.put(hash(ask.Session), w.number)
	}
	return p
}

// hash is FNV-1a of a session's name. Who makes two names meet has two sessions share an endpoint, and no more.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// Ended notes how a request ended at an endpoint. FaultTask is for what was not its doing.
func (t *Table) Ended(now time.Time, p Pick, fault llm.Fault, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.way(p.Endpoint.ID())
	before := w.breaker.state
	w.breaker = w.breaker.ended(now, fault, took, p.Probe, uint64(now.UnixNano())^hash(string(w.id)))
	if before == Closed && w.breaker.state == Open {
		t.mu.unwell++
		if fault == llm.FaultConnect || fault == llm.FaultCut || fault == llm.FaultConnectTimeout {
			w.prefix = lru{} // an engine that died has forgotten
		}
	}
	if before != Closed && w.breaker.state == Closed {
		t.mu.unwell--
	}
	if fault == llm.FaultNone {
		w.asked = now
	}
}

// Rest leaves an endpoint alone for as long as it asked for (Retry-After), a minute at most: it is asked only where every other is
// worse.
func (t *Table) Rest(now time.Time, p Pick, d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.way(p.Endpoint.ID())
	w.breaker.rest = later(w.breaker.rest, now.Add(min(d, retryAfterMost)))
}

// Retry takes one from the retry budget and reports whether there was one.
func (t *Table) Retry(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	var ok bool
	t.mu.budget, ok = t.mu.budget.take(now)
	return ok
}

// Backoff is how long to wait before attempt, 1 for the first after a failure: jittered, growing, and no shorter than what the endpoint
// asked for, where the same one is to be asked.
func (t *Table) Backoff(attempt int, retryAfter time.Duration, seed uint64) time.Duration {
	return backoff(attempt, retryAfter, seed)
}
