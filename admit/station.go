package admit

import (
	"math"
	"slices"
	"time"

	"github.com/weir-ai/weir/llm"
)

// Endpoint is what the gate hears of one of the model's endpoints.
type Endpoint struct {
	ID             llm.EndpointID
	Usable         bool                    // it may be sent requests
	Slots          int                     // answers that it computes together; 0 where nobody knows
	PrefillSeconds float64                 // of one prompt token; 0 where nothing was measured
	DecodeSeconds  func(batch int) float64 // of one output token, of each answer, with so many together; 0 where nothing was measured; may be nil
	Waiting        int                     // requests that it says wait inside it; -1 is unknown
	Age            time.Duration           // of what it says; negative is unknown
	KV             int                     // tokens of prompts and answers that it can hold; 0 where nobody knows
}

// An endpoint's limit. An engine computes so many answers together, and keeps a line of its own of what comes beyond that. In that line
// nothing can be ordered, refused or moved any more, so the gate sends no more than the engine computes. Where it says how many that is,
// that is the first limit and the ceiling. Where it does not, the limit is found, and found again when it changes:
//
// A prompt's first token comes as late as the prompts before it take, and no later, unless the request stood in the engine's line. So the
// least time that a prompt of its size has taken tells what to expect, and one whose first token is late stood in line. While one is
// overdue nothing more is sent: the engine has not begun what it has. When its first token comes at last, as many answers run as the
// engine computes together, and that is the limit. (Fitting a curve to delays over several rounds, as congestion control on networks does,
// would take several answers' time; here the engine shows its width by itself.) The limit grows again while first tokens are prompt and
// all of it is used: by one, then two, then four, each after a request that was sent under the last limit has begun in time, so that a
// wrong step costs one round of first tokens and not of answers.
//
// Beyond that the limit shrinks when tokens come too slowly, when the endpoint says that it is full, and when it reports a line of its own
// three times running, which is what gateways that share it see of each other.

// station is what is known of one endpoint.
type station struct {
	facts    Endpoint
	listed   bool
	gone     instant // since when it is not on the list
	limit    float64 // requests
	ceiling  float64
	growth   float64 // next step up
	changed  instant // when limit changed last
	shrunk   instant // when it was last lowered; -1 before
	hold     instant // no step up before
	settled  float64 // what it was lowered to last
	lates    int     // first tokens running that came late
	lined    bool    // it was lowered last because of those
	reported instant // when it last said something of its line
	queued   int     // times running that it said there is one

	runs     []*entry
	running  int
	decoding int // of running: those whose first token has come, or will not be told
	prefill  int // prompt tokens of those that have not begun
	kv       int // tokens that running ones may come to hold
	work     Work
	silent   []*entry // answers in one piece whose prompts are not taken for computed yet, in the order in which they were sent
	awaiting []*entry // streams without a first token yet, in the order in which they were sent

	least    floors        // of first tokens, by the prompt tokens that were to be computed
	whole    floors        // of answers in one piece, by their tokens
	usual    [sizes]spread // of first tokens, by the prompt's own size
	tpot     float64       // seconds, moving mean since the limit changed
	tpots    int           // samples in it
	busy     pace          // of requests that were sent while others waited
	calm     pace          // of others
	watch    watch
	doubt    doubt
	off      float64 // how far off expected ends are, as a part of them
	fullness float64 // share of the limit that was used while others waited
}

const (
	// prefillPart is the part of the shortest TTFT objective for which prompts may keep an endpoint busy. A quarter leaves the rest for the
	// line at the gate, and fills several chunks of any engine; with half, a newcomer of the highest class would stand behind a second of
	// prompts; with a tenth, slow engines would wait for the next prompt between two short ones.
	prefillPart = 0.25
	// latePart is the part of the objective by which a first token may come later than twice what is expected: about what waits inside the
	// engine when its limit is found. Half of it is less than one step of slow engines.
	latePart = 0.1
	// latesMost is how many first tokens running must come late before the limit is lowered.
	latesMost = 2
	// growthMost is the part of the limit that one step up adds at most: a wrong one puts as many into the engine's line.
	growthMost = 0.25
	// holdPart is the part of the objective that a lowered limit is held for before it is tried higher, and twice that once it was found to
	// be the same again: a limit that came back with its endpoint is found within two objectives, and one request in two seconds finds out.
	holdPart = 0.5
	// slowerPart is how much a limit shrinks by when tokens come too slowly: three steps halve it nearly.
	slowerPart = 0.85
	// tpotSamples is how many times between tokens are seen of each answer before they count: some thirty tokens, so that a few long
	// prompts between them are not taken for too many answers.
	tpotSamples = 4
	// markTokens is how many tokens one sample is over: engines send several at once.
	markTokens = 8
	// reportFresh is the age beyond which what an endpoint says counts as unknown, and reportsQueued how often running it must report a
	// line: prompts that wait for the next step look like one once in a while.
	reportFresh   = 2 * time.Second
	reportsQueued = 3
	// stationsMost bounds the endpoints that are remembered.
	stationsMost = 1024
	// weightLeast and weightMost bound what an output token costs in prompt tokens; weightTime is how fast that follows what is measured.
	weightLeast, weightMost = 1, 64
	weightTime              = 5 * time.Second
)

// Endpoints tells the facts, as often as one likes. One that is not on the list any more gets nothing, and what is known of it is kept
// for when it comes back.
func (g *Gate) Endpoints(now time.Time, list []Endpoint) {
	t := g.at(now)
	for _, s := range g.stations {
		s.listed, s.gone = false, t
	}
	g.stations = g.stations[:0]
	for _, e := range list {
		s := g.known[e.ID]
		if s == nil {
			s = g.meet(e.ID)
		}
		if !s.listed {
			s.listed = true
			g.stations = append(g.stations, s)
		}
		s.hear(t, e, g)
	}
	g.weigh(t)
	if len(g.known) > stationsMost {
		g.forgetStation()
	}
	g.room = true
}

// meet makes a station of which nothing is known.
func (g *Gate) meet(id llm.EndpointID) *station {
	n := float64(g.config.Sequences)
	s := &station{facts: Endpoint{ID: id, Waiting: -1, Age: -1}, limit: n, ceiling: math.Inf(1), growth: 1, shrunk: -1, fullness: 1, off: offPrior}
	g.known[id] = s
	return s
}

// station is the one that the router chose, known or not.
func (g *Gate) station(id llm.EndpointID) *station {
	if s := g.known[id]; s != nil {
		return s
	}
	return g.meet(id)
}

// forgetStation drops the one that has been gone for longest.
func (g *Gate) forgetStation() {
	var oldest *station
	for _, s := range g.known {
		if !s.listed && s.running == 0 && (oldest == nil || s.gone < oldest.gone || s.gone == oldest.gone && s.facts.ID < oldest.facts.ID) {
			oldest = s
		}
	}
	if oldest != nil {
		delete(g.known, oldest.facts.ID)
	}
}

// hear notes what an endpoint says.
func (s *station) hear(t instant, e Endpoint, g *Gate) {
	if e.Slots != s.facts.Slots {
		switch n := float64(e.Slots); {
		case e.Slots <= 0:
			s.ceiling = math.Inf(1)
		case s.facts.Slots <= 0 || s.limit >= s.ceiling || s.limit > n:
			s.limit, s.ceiling, s.changed, s.tpots = n, n, t, 0
		default:
			s.ceiling = n
		}
	}
	s.facts = e
	if e.Waiting < 0 || e.Age < 0 || e.Age > reportFresh || t-e.Age <= s.reported {
		return
	}
	s.reported = t - e.Age
	if e.Waiting == 0 {
		s.queued = 0
		return
	}
	if s.queued++; s.queued >= reportsQueued && s.running >= int(s.limit) {
		s.queued = 0
		s.shrink(t, max(s.limit-float64(e.Waiting), s.limit*0.75), g)
	}
}

// weigh follows what an output token costs at the batches that the limits allow.
func (g *Gate) weigh(t instant) {
	sum, n := 0.0, 0.0
	for _, s := range g.stations {
		if s.facts.PrefillSeconds <= 0 || s.facts.DecodeSeconds == nil || !s.facts.Usable {
			continue
		}
		batch := max(int(s.limit), 1)
		if d := s.facts.DecodeSeconds(batch); d > 0 {
			sum += d / float64(batch) / s.facts.PrefillSeconds
			n++
		}
	}
	if n == 0 {
		return
	}
	share := 1.0
	if g.weighed > 0 {
		share -= math.Exp(-(t - g.weighed).Seconds() / weightTime.Seconds())
	}
	g.weighed = max(t, 1)
	g.weight += share * (min(max(sum/n, weightLeast), weightMost) - g.weight)
}

// anyRoom reports whether an endpoint may take something.
func (g *Gate) anyRoom(t instant) bool {
	for _, s := range g.stations {
		if s.open(t, g) {
			return true
		}
	}
	return false
}

// anyUsable reports whether there is an endpoint at all.
func (g *Gate) anyUsable() bool {
	for _, s := range g.stations {
		if s.facts.Usable {
			return true
		}
	}
	return false
}

// open reports whether s is within its limit and has begun what it has.
func (s *station) open(t instant, g *Gate) bool {
	return s.facts.Usable && s.listed && s.running < int(s.limit) && s.doubt.allows(t) && !s.overdue(t, g)
}

// fits reports whether s may take x; tight is that only what is yet to be computed there, or held in memory, stands in the way. What is
// too large for that alone still runs when s is idle.
func (s *station) fits(t instant, x *entry, g *Gate) (ok, tight bool) {
	if !s.open(t, g) {
		return false, false
	}
	s.hush(t)
	if p, ttft := s.facts.PrefillSeconds, g.config.ttft(); s.prefill > 0 && float64(s.prefill+x.fresh)*p > prefillPart*ttft.Seconds() && ttft > 0 {
		return false, true
	}
	if kv := s.facts.KV; kv > 0 && s.running > 0 && s.kv+x.Prompt+x.expect > kv {
		return false, true
	}
	return true, false
}

// overdue reports whether the first token of the one that was sent longest ago should have come.
func (s *station) overdue(t instant, g *Gate) bool {
	if len(s.awaiting) == 0 {
		return false
	}
	x := s.awaiting[0]
	return t-x.dispatched > s.late(x.ahead, g)
}

// late is the time after which a first token is late.
func (s *station) late(tokens int, g *Gate) time.Duration {
	e, o := s.least.expect(tokens), g.config.objective().Seconds()
	if e == 0 {
		e = s.facts.PrefillSeconds * float64(tokens)
	}
	if e == 0 {
		return g.config.objective()
	}
	return time.Duration(min(2*e+latePart*o, max(1.25*e+latePart*o/2, 0.75*o)) * float64(time.Second))
}

// begin counts a request that is sent there.
func (s *station) begin(t instant, x *entry, contended bool) {
	s.running++
	x.run = len(s.runs)
	s.runs = append(s.runs, x)
	s.doubt.trying = s.doubt.held
	s.prefill += x.fresh
	s.kv += x.Prompt + x.expect
	s.work += x.work
	x.station, x.dispatched, x.first, x.marked, x.hushed = s, t, 0, 0, false
	x.ahead, x.full, x.contended = s.prefill, s.running >= int(s.limit), contended
	if contended {
		s.fullness += 0.05 * (min(float64(s.running)/s.limit, 1) - s.fullness)
	}
	if x.Whole {
		s.decoding++
		x.due = t + time.Duration(float64(s.prefill)*s.facts.PrefillSeconds*float64(time.Second))
		s.silent = append(s.silent, x)
	} else {
		s.awaiting = append(s.awaiting, x)
	}
}

// hush takes the prompts of answers in one piece for computed when their time for that has passed: nobody tells of their first tokens, and
// until their ends they would keep others out who only need the engine's answers. It reports whether there were any.
func (s *station) hush(t instant) bool {
	n := 0
	for n < len(s.silent) && s.silent[n].due <= t {
		s.silent[n].hushed = true
		s.doubt = doubt{} // it was not turned away, which is all that such a one ever shows before its end
		s.prefill -= s.silent[n].fresh
		s.silent[n] = nil
		n++
	}
	s.silent = s.silent[n:]
	return n > 0
}

// told takes x off those whose prompt is not taken for computed yet, and the prompt off the station's.
func (s *station) told(x *entry) {
	if x.hushed {
		return
	}
	s.prefill -= x.fresh
	if i := slices.Index(s.silent, x); i >= 0 {
		s.silent = slices.Delete(s.silent, i, i+1)
	}
}

// release takes x off s.
func (s *station) release(x *entry) {
	s.running--
	last := len(s.runs) - 1
	s.runs[x.run] = s.runs[last]
	s.runs[x.run].run = x.run
	s.runs[last] = nil
	s.runs = s.runs[:last]
	s.doubt.trying = false
	s.kv -= x.Prompt + x.expect
	s.work -= x.work
	if x.first == 0 {
		s.told(x)
	}
	if x.first > 0 || x.Whole {
		s.decoding--
	} else {
		s.unawait(x)
	}
	if s.running == 0 {
		s.work = 0
	}
	x.station = nil
}

func (s *station) unawait(x *entry) {
	if len(s.awaiting) > 0 && s.awaiting[0] == x {
		s.awaiting[0] = nil
		s.awaiting = s.awaiting[1:]
	} else if i := slices.Index(s.awaiting, x); i >= 0 {
		s.awaiting = slices.Delete(s.awaiting, i, i+1)
	}
}

// begun notes x's first token and moves the limit by it.
func (s *station) begun(t instant, x *entry, g *Gate) {
	s.unawait(x)
	s.told(x)
	s.doubt = doubt{}
	x.first = max(t, 1)
	if x.Whole {
		return
	}
	s.decoding++
	took := t - x.dispatched
	own := max(x.Prompt-x.Cached, 1) // what was computed of it, now that it is known
	tokens := max(x.ahead-x.fresh+own, 1)
	late := took > s.late(tokens, g)
	s.least.see(took.Seconds(), tokens)
	s.usual[sizeOf(own)].see(took.Seconds(), own)
	s.move(t, x, late, float64(s.decoding), g)
	s.ran(t, x, true, g)
}

// answered notes an answer that came in one piece and moves the limit by it: nobody saw when it began, so it is held to how long answers of
// its length take at least, and may take half as long again: many together are slower than one alone, and twice as long is an engine's line.
func (s *station) answered(t instant, x *entry, output int, g *Gate) {
	took, e := (t - x.dispatched).Seconds(), s.whole.expect(output)
	late := e > 0 && took > 1.5*e+latePart*g.config.objective().Seconds()
	s.whole.see(took, output)
	s.move(t, x, late, s.limit*slowerPart, g)
}

// move raises the limit, or lowers it, after x came in time or late.
func (s *station) move(t instant, x *entry, late bool, to float64, g *Gate) {
	if late && x.dispatched >= s.shrunk {
		// One may have been behind something that nobody sees from here; two in a row stood in line.
		if s.lates++; s.lates >= latesMost {
			s.shrink(t, max(to, s.limit/2), g)
			s.lined = !x.Whole
		}
	}
	if late {
		return
	}
	s.lates = 0
	if n := float64(s.decoding); s.lined && n > s.limit {
		s.limit = min(n, s.ceiling) // more run together than was thought to
	}
	switch {
	case !x.full || x.dispatched < s.changed || t < s.hold || s.queued > 0:
	case s.tpots >= tpotSamples*s.running && s.tpot > 0.9*g.config.tpot().Seconds() && g.config.tpot() > 0:
	case s.limit < s.ceiling:
		s.limit = min(s.limit+s.growth, s.ceiling)
		s.growth = min(2*s.growth, max(s.limit*growthMost, 1))
		s.changed, s.tpots = t, 0
	}
}

// shrink lowers the limit and holds it.
func (s *station) shrink(t instant, to float64, g *Gate) {
	hold := scale(g.config.objective(), holdPart)
	if to = min(s.limit, max(to, 1)); to == s.settled {
		hold *= 2
	}
	s.limit, s.settled, s.growth, s.lates, s.lined = to, to, 1, 0, false
	s.changed, s.shrunk, s.hold, s.tpots = t, t, t+hold, 0
}

// went notes how far x's answer is, and lowers the limit where tokens come too slowly for it.
func (s *station) went(t instant, x *entry, g *Gate) {
	if x.first == 0 || x.Whole {
		return
	}
	if x.marked == 0 || x.marked < s.changed {
		x.marked, x.mark = max(t, 1), x.output
		return
	}
	n := x.output - x.mark
	if n < markTokens && (n < 1 || t-x.marked < time.Second) {
		return
	}
	sample := (t - x.marked).Seconds() / float64(n)
	x.marked, x.mark = max(t, 1), x.output
	most := tpotSamples * max(s.running, 1) // all answers go through the same steps: only several rounds of samples say something
	s.tpots++
	s.tpot += (sample - s.tpot) / float64(min(s.tpots, most))
	objective := g.config.tpot().Seconds()
	if objective == 0 || s.tpots < most || s.tpot <= objective || t < s.hold {
		return
	}
	if d := s.facts.DecodeSeconds; d != nil && d(1) > objective {
		return // no limit makes it fast enough
	}
	s.shrink(t, min(s.limit, float64(s.running))*slowerPart, g)
}
