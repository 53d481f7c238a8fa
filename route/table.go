package route

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
)

// Config says what a table cannot see for itself. The zero value is usable.
type Config struct {
	CacheTokens int // what an endpoint remembers of prompts that does not say; 0 is a million
}

// Table is the state of routing one model's requests. It is safe for concurrent use.
type Table struct {
	config Config
	mu     struct {
		sync.Mutex
		ways     map[llm.EndpointID]*way
		sessions sessions
		budget   budget
		list     []Candidate // of the choice that is made, kept for its room
		index    []int       // of list, in the endpoints that were given
	}
}

// way is what is remembered of one endpoint.
type way struct {
	breaker breaker
	prefix  *index
	recent  float64 // tokens of prompts that were sent there lately, decayed
	at      time.Time
}

const (
	// allMax is how many endpoints are all looked at; of more, sampleOf are, and those that have the prompt's beginning or the session.
	// Looking at one costs a tenth of a microsecond, and the least of eight is as good as the least of all but for a few percent.
	allMax   = 16
	sampleOf = 8
	// waysMax bounds the endpoints that are remembered: those that a fleet has, and as many that it had.
	waysMax = 4096
	// recentHalf is how fast what was sent stops being recent.
	recentHalf = 10 * time.Second
	// toldMax is how many endpoints an error tells of.
	toldMax = 5
)

// NewTable makes the table of one model.
func NewTable(c Config) *Table {
	if c.CacheTokens <= 0 {
		c.CacheTokens = cacheTokens
	}
	t := &Table{config: c}
	t.mu.ways = map[llm.EndpointID]*way{}
	return t
}

// Pick is a choice. Whoever has it tells how it ended.
type Pick struct {
	Endpoint *fleet.Endpoint
	Cached   int  // tokens of the prompt that the endpoint has computed before, as far as is known
	Probe    bool // it finds out whether the endpoint is well again
}

// Pick chooses the endpoint for a request and notes it. The error says why none can be asked, and when one may.
func (t *Table) Pick(now time.Time, ask Ask, endpoints []*fleet.Endpoint, seed uint64) (Pick, *llm.Error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(ask.Tried) == 0 {
		t.mu.budget = t.mu.budget.asked(now)
	}
	if probe, ok := t.probe(now, ask, endpoints); ok {
		return t.take(now, ask, probe, 0, true), nil
	}
	for _, resort := range []bool{false, true} {
		t.candidates(now, ask, endpoints, seed, resort)
		if at, ok := Choose(ask, t.mu.list, seed); ok {
			c := &t.mu.list[at]
			return t.take(now, ask, endpoints[t.mu.index[at]], c.Cached, false), nil
		}
	}
	return Pick{}, t.none(now, ask, endpoints)
}

// probe finds an endpoint whose time has come to be tried again, as long as another can answer should it fail.
func (t *Table) probe(now time.Time, ask Ask, endpoints []*fleet.Endpoint) (*fleet.Endpoint, bool) {
	if len(ask.Tried) > 0 || len(endpoints) < 2 || ask.Continues != fleet.ContinuesNot {
		return nil, false
	}
	var ready *fleet.Endpoint
	well := false
	for _, e := range endpoints {
		ok, probing := t.way(e.ID()).breaker.allows(now)
		well = well || ok && !probing
		if ok && probing && ready == nil {
			ready = e
		}
	}
	return ready, ready != nil && well
}

// candidates lists the endpoints that may be asked. As a last resort, those are among them that are full or ejected and have not been
// tried: refusing is worse than asking.
func (t *Table) candidates(now time.Time, ask Ask, endpoints []*fleet.Endpoint, seed uint64, resort bool) {
	t.mu.list, t.mu.index = t.mu.list[:0], t.mu.index[:0]
	home, _ := t.mu.sessions.get(ask.Session)
	sampled := len(endpoints) > allMax
	ejectable := len(endpoints) / 2
	for i, e := range endpoints {
		id := e.ID()
		if slices.Contains(ask.Tried, id) {
			continue
		}
		w := t.way(id)
		ok, probing := w.breaker.allows(now)
		if !ok || probing {
			if w.breaker.state != Closed && ejectable > 0 && !resort {
				ejectable--
				continue
			}
			if w.breaker.state == Closed && !resort {
				continue // full
			}
		}
		cached := 0
		if w.prefix != nil {
			cached = w.prefix.match(ask.Prefix) * ask.Block
		}
		atHome := ask.Session != "" && id == home
		if sampled && cached == 0 && !atHome && jitter(seed, i)*float64(len(endpoints)) > sampleOf {
			continue
		}
		f := e.Facts(now)
		if f.Continues < ask.Continues {
			continue
		}
		if f.About.Cache > 0 || w.prefix == nil {
			t.size(w, f.About.Cache, ask.Block)
		}
		t.mu.list = append(t.mu.list, Candidate{Facts: f, Cached: min(cached, ask.Prompt), Failing: w.breaker.decay(now).failing(), Recent: w.recent * half(now.Sub(w.at), recentHalf), Home: atHome})
		t.mu.index = append(t.mu.index, i)
	}
	if sampled && len(t.mu.list) == 0 && !resort {
		t.candidates(now, ask, endpoints[:min(len(endpoints), allMax)], seed, resort)
	}
}

// size makes an endpoint's index for what it remembers. A later report of another size does not empty it.
func (t *Table) size(w *way, cache, block int) {
	if w.prefix != nil || block <= 0 {
		return
	}
	if cache <= 0 {
		cache = t.config.CacheTokens
	}
	w.prefix = newIndex(cache / block)
}

// way is what is remembered of an endpoint; one of which nothing is gets a place.
func (t *Table) way(id llm.EndpointID) *way {
	w := t.mu.ways[id]
	if w == nil {
		if len(t.mu.ways) >= waysMax {
			clear(t.mu.ways) // a fleet whose names change without end; what is asked now is learnt anew
		}
		w = &way{}
		t.mu.ways[id] = w
	}
	return w
}

// take notes that a request is sent.
func (t *Table) take(now time.Time, ask Ask, e *fleet.Endpoint, cached int, probe bool) Pick {
	w := t.way(e.ID())
	w.breaker = w.breaker.sent(now)
	w.recent = w.recent*half(now.Sub(w.at), recentHalf) + float64(max(ask.Prompt, 1))
	w.at = now
	if w.prefix != nil && len(ask.Prefix) > 0 {
		w.prefix.add(ask.Prefix)
	}
	if ask.Session != "" {
		t.mu.sessions.set(ask.Session, e.ID())
	}
	return Pick{Endpoint: e, Cached: cached, Probe: probe}
}

// none says why no endpoint can be asked.
func (t *Table) none(now time.Time, ask Ask, endpoints []*fleet.Endpoint) *llm.Error {
	err := &llm.Error{Kind: llm.NoEndpoint, RetryAfter: openFirst}
	if len(endpoints) == 0 {
		err.Message = "No endpoint is known that answers for this model."
		return err
	}
	var why []string
	for _, e := range endpoints {
		f, b := e.Facts(now), t.way(e.ID()).breaker
		reason := ""
		switch {
		case slices.Contains(ask.Tried, e.ID()):
			reason = "has failed on this request"
		case f.Continues < ask.Continues:
			reason = "cannot go on with another's answer"
		case b.state == Open:
			reason = "is left alone for a while after failures"
			err.RetryAfter = min(err.RetryAfter, max(b.until.Sub(now), 0))
		default:
			reason = "cannot be asked"
		}
		if len(why) < toldMax {
			why = append(why, fmt.Sprintf("%s %s", e.ID(), reason))
		}
	}
	if more := len(endpoints) - len(why); more > 0 {
		why = append(why, fmt.Sprintf("and %d more", more))
	}
	err.Message = "No endpoint of this model can be asked: " + strings.Join(why, ", ") + "."
	return err
}

// Ended notes how a request ended at an endpoint. FaultTask is for what was not its doing.
func (t *Table) Ended(now time.Time, p Pick, fault llm.Fault, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.way(p.Endpoint.ID())
	w.breaker = w.breaker.ended(now, fault, took, p.Probe, uint64(now.UnixNano()))
	if held(fault) && fault != llm.FaultIdleTimeout && fault != llm.FaultFirstTimeout && w.prefix != nil && w.breaker.state == Open {
		w.prefix = newIndex(w.prefix.most) // an engine that died has forgotten
	}
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
	return max(backoff(attempt, seed), min(retryAfter, time.Minute))
}

// State is what is told of one endpoint's breaker.
type State struct {
	Endpoint llm.EndpointID
	Breaker  BreakerState
	Failing  float64 // share of recent requests that failed
}

// States tells of every endpoint that was ever asked.
func (t *Table) States(now time.Time) []State {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]State, 0, len(t.mu.ways))
	for id, w := range t.mu.ways {
		s := w.breaker.state
		if s == Open && !now.Before(w.breaker.until) {
			s = HalfOpen
		}
		out = append(out, State{id, s, w.breaker.decay(now).failing()})
	}
	slices.SortFunc(out, func(a, b State) int { return strings.Compare(string(a.Endpoint), string(b.Endpoint)) })
	return out
}
