// Package route decides which endpoint a request is sent to: one cost in seconds, made of what fleet knows of the endpoints, of where
// the beginning of the prompt was sent before, and of how they have failed. Choose, the breaker's steps and the retry budget are pure:
// time and seeds come in. A Table is the thin shell that keeps their state for one model.
//
// The package starts no goroutine and does no I/O. A Table holds one lock, for a choice or for the note of an end, and never across
// either. It never sends anything and never waits: package serve does.
package route

import (
	"math"
	"slices"
	"time"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
)

// Ask is what routing hears of a request.
type Ask struct {
	Prompt    int              // tokens
	Output    int              // tokens that the answer is expected to have
	Prefix    []uint64         // chained hashes of the prompt's whole blocks
	Block     int              // tokens of one of them
	Session   string           // what keeps a client's turns together; empty for none
	Tried     []llm.EndpointID // not to be asked again
	Continues fleet.Continues  // the least that the endpoint must be able to
	// Room says which endpoints the gate has room at; nil is all. A probe of one that was ejected goes there all the same.
	Room func(llm.EndpointID) bool

	usual float64 // tokens of a prompt of late, for Table; 0 is this one's
}

// Candidate is one endpoint that may be asked, as it is at this moment.
type Candidate struct {
	Facts   fleet.Facts
	Cached  int           // tokens of the request's prompt that it has computed before
	Home    bool          // the request's session was there before
	Failing float64       // share of its recent requests that failed, 0 to 1
	Served  float64       // tokens it was given to compute, each counted 1/Weight: what parts equals
	Idle    time.Duration // since it was last asked
	Resort  Resort

	prefill   float64 // seconds of a prompt token
	own, cost float64 // seconds
}

// Resort orders candidates before any cost does: one of a later resort is asked only where there is none of an earlier.
type Resort int8

// The resorts. One that says it is full may have room, one that loads may be ready, one whose probes fail may be back: asking is better
// than refusing, but worst last.
const (
	ResortNone Resort = iota
	ResortBusy
	ResortLoading
	ResortDown
)

// The numbers here were tried in sim, on the Mooncake trace at three quarters to five quarters of its own pace, eight seeds each, and on
// fast and slow replicas; what is said of their neighbours comes from there.
const (
	// freshLoad is the age beyond which a report says nothing: within two seconds a queue has emptied or doubled.
	freshLoad = 2 * time.Second
	// imbalanceMax is how much more than the mean load an endpoint may have and still be chosen for what it has cached.
	imbalanceMax = 1.25
	// slackRequests is how many usual prompts more than that it may have: at small loads one prompt is many times the mean, and the turns of
	// a conversation must not drive each other away. With two, the Mooncake trace loses a quarter of a point of its hits, with one a whole
	// point; with many more, the bound binds no more and a hot prefix gets its queue.
	slackRequests = 3
	// recompute is how much dearer it is to compute something again than to wait as long: it keeps the others who come there waiting,
	// too, and drops what they have cached. At 2, the Mooncake trace loses two points of its hits to queues that would have been short;
	// at 6, hits are half a point better and the longest waits a twentieth longer.
	recompute = 4.0
	// near is the share of a request's own cost, or a usual one's if that is less, that an endpoint may cost more than the least and still
	// count as its equal. Between equals the shares decide, which keeps weights and long-run loads. It is of what is not cached: what
	// begins a conversation may go where there is room, and what goes on with one stays. At 0.3, a third of a point of hits is lost.
	near = 0.1
	// keepShare is the part of what an endpoint was given beyond others' shares that counts as its cost, where weights differ: by it a light
	// endpoint does not take what comes whenever a heavy one has anything to do. It is bounded by owedMost, to the time of six usual
	// prompts, so that a weight parts like from like and does not send the half of all requests to an engine that is ten times as slow.
	keepShare = 0.1
	// prefillPrior and decodePrior stand for speeds that nobody has measured, in seconds a token: between a CPU's and a GPU's. With every
	// speed unknown only the order of the loads matters, and that does not depend on them.
	prefillPrior = 0.0005
	decodePrior  = 0.02
	// decodeShare is how much of an answer's time after its first token counts: the first token is what people wait for with nothing to
	// read; at 0, a fast reader would be sent to the slowest writer, and at 0.1, how busy writers are outweighs what is cached.
	decodeShare = 0.05
	// prefillNoise and decodeNoise are the factors within which measured speeds are taken to be the same. Short prompts make an engine look
	// slower than long ones, and prompts computed between tokens make a decode look slower than a quiet one; without the factors, equal
	// engines become one for short and one for long prompts, and the loads part by half. A CPU beside a GPU is far beyond them.
	prefillNoise = 1.5
	decodeNoise  = 2.0
	// failCost is how many times the mean cost an endpoint seems to have more all of whose recent requests failed: what fails at once has
	// no work in flight, and would look idle. One failure among twenty doubles the cost nearly, which moves some requests away and not all.
	failCost = 20.0
	// kvFull is where an engine begins to preempt: beyond it an endpoint costs up to twice as much.
	kvFull = 0.9
	// homeShare is the share of its prompt that a session's endpoint is taken to have, where the prompt's prefix says less: not all, so
	// that an endpoint that is known to have more still wins.
	homeShare = 0.75
	// fade is how fast a bad speed that is no longer confirmed is forgotten: half of what it is worse than typical in three minutes.
	// Without, one answer that waited for a cold start would keep an idle endpoint idle for ever; with one minute, a quiet fleet would try
	// an engine that is five times as slow again every three.
	fade = 3 * time.Minute
)

// scene is what all candidates are seen against.
type scene struct {
	resort   Resort  // that candidates are of
	number   float64 // of those
	prefill  float64 // typical seconds of a prompt token
	decode   float64 // typical seconds of an output token
	heaviest float64 // weight
	lightest float64 // weight, against the heaviest
	load     float64 // mean in seconds, with this request added
	slack    float64 // usual prompts, in seconds
	crowd    float64 // mean
}

// Choose gives the index of the endpoint that costs the request the fewest seconds, and false where there is none. Among those that
// cost about the same it is the one with the least of its share; the seed decides where shares are equal, too. The candidates' own
// scratch is written; nothing else depends on it.
func Choose(ask Ask, list []Candidate, seed uint64) (int, bool) {
	if len(list) == 0 {
		return 0, false
	}
	ask.Prompt = max(ask.Prompt, 1)
	if ask.usual <= 0 {
		ask.usual = float64(ask.Prompt)
	}
	s := sceneOf(&ask, list)
	mean := 0.0
	for i := range list {
		if c := &list[i]; c.Resort == s.resort {
			s.price(&ask, c)
			mean += c.cost / s.number
		}
	}
	least, equal := math.Inf(1), 0.0
	for i := range list {
		if c := &list[i]; c.Resort == s.resort {
			c.cost += failCost * c.Failing * mean
			if s.lightest < 1 {
				c.cost += keepShare * c.Served * s.prefill
			}
			if c.cost < least {
				least, equal = c.cost, c.cost+near*min(c.own, recompute*ask.usual*c.prefill)
			}
		}
	}
	best, bestShare := 0, math.Inf(1)
	for i := range list {
		c := &list[i]
		if c.Resort != s.resort || c.cost > equal {
			continue
		}
		// Half of a usual request's share at random keeps gateways that start together from walking their lists in step.
		if share := c.Served + jitter(seed, i)*ask.usual/(2*c.Facts.Weight); share < bestShare {
			best, bestShare = i, share
		}
	}
	return best, true
}

func sceneOf(ask *Ask, list []Candidate) scene {
	s := scene{resort: ResortDown, lightest: math.Inf(1)}
	for i := range list {
		s.resort = min(s.resort, list[i].Resort)
	}
	s.prefill, s.decode = typical(list, s.resort)
	for i := range list {
		c := &list[i]
		if c.Resort != s.resort {
			continue
		}
		if c.Facts.Weight <= 0 {
			c.Facts.Weight = 1
		}
		c.prefill = told(faded(c.Facts.PrefillSeconds, s.prefill, c.Idle), s.prefill, prefillNoise)
		s.heaviest, s.lightest = max(s.heaviest, c.Facts.Weight), min(s.lightest, c.Facts.Weight)
		s.number++
	}
	s.lightest /= s.heaviest
	for i := range list {
		if c := &list[i]; c.Resort == s.resort {
			s.load += s.loadOf(c) / s.number
			s.crowd += s.crowdOf(c) / s.number
		}
	}
	s.load += float64(ask.Prompt) * s.prefill / s.number
	s.slack = slackRequests * max(float64(ask.Prompt), ask.usual) * s.prefill
	return s
}

// typical gives the medians of the speeds that are known, for those that are not: the lower ones, because an unknown endpoint that is
// taken for a fast one is soon known, and one taken for slow is never asked.
func typical(list []Candidate, resort Resort) (prefill, decode float64) {
	var room [2][32]float64 // of more candidates, the first 32 that are known say enough
	prefills, decodes := room[0][:0], room[1][:0]
	for i := range list {
		f := &list[i].Facts
		if list[i].Resort != resort {
			continue
		}
		if f.PrefillSeconds > 0 && len(prefills) < cap(prefills) {
			prefills = append(prefills, f.PrefillSeconds)
		}
		if d := f.DecodeSeconds(f.Running + 1); d > 0 && len(decodes) < cap(decodes) {
			decodes = append(decodes, d)
		}
	}
	return median(prefills, prefillPrior), median(decodes, decodePrior)
}

func median(known []float64, prior float64) float64 {
	if len(known) == 0 {
		return prior
	}
	slices.Sort(known)
	return known[(len(known)-1)/2]
}

// faded is a measured speed after nobody has confirmed it for idle.
func faded(seconds, typical float64, idle time.Duration) float64 {
	switch {
	case seconds <= 0:
		return typical
	case seconds <= typical || idle < time.Second:
		return seconds
	}
	return typical + (seconds-typical)*half(idle, fade)
}

// told is a measured speed without what may be noise: within a factor of noise it is the typical one, from the square of that on it is
// what was measured, and it goes straight between.
func told(seconds, typical, noise float64) float64 {
	r := seconds / typical
	switch {
	case r < 1:
		return typical * typical / told(typical*typical/seconds, typical, noise)
	case r <= noise:
		return typical
	case r >= noise*noise:
		return seconds
	}
	return typical * (1 + (r-noise)*(noise+1)/noise)
}

// weight is a candidate's share against the heaviest's, so that weights of 1 and 0.2 mean what 10 and 2 do.
func (s *scene) weight(c *Candidate) float64 { return c.Facts.Weight / s.heaviest }

// loadOf is the seconds of prompts that an endpoint has yet to compute, more where it shall have less.
func (s *scene) loadOf(c *Candidate) float64 {
	return float64(c.Facts.Prefill) * c.prefill / s.weight(c)
}

// price finds what the request costs at an endpoint.
func (s *scene) price(ask *Ask, c *Candidate) {
	load, cached := s.loadOf(c), c.Cached
	if c.Home {
		cached = max(cached, int(homeShare*float64(ask.Prompt)))
	}
	c.own = float64(max(ask.Prompt-cached, 0)) * c.prefill
	if cached > 0 && load+c.own > imbalanceMax*s.load+s.slack {
		c.own = float64(ask.Prompt) * c.prefill // what it has is no reason to make a hot spot
	}
	c.own *= recompute
	c.cost = load + c.own + s.decoding(ask, c)
	if f := &c.Facts; fresh(f) {
		if others := f.Load.Waiting - (f.Running - f.Decoding); others > 0 {
			c.cost += float64(others) * float64(ask.Prompt) * c.prefill // others' requests are taken to be like this one
		}
		if kv := f.Load.KVUsed; kv > kvFull {
			c.cost *= 1 + (kv-kvFull)/(1-kvFull)
		}
	}
}

// decoding is what the answer's own tokens cost: their time, the more the fuller the endpoint is beside the others, and the wait for a
// slot.
func (s *scene) decoding(ask *Ask, c *Candidate) float64 {
	f, running := &c.Facts, runningAt(&c.Facts)
	token := s.decode
	if measured := f.DecodeSeconds(running + 1); measured > 0 {
		token = told(measured, s.decode, decodeNoise)
	}
	answer := float64(ask.Output) * token
	cost := decodeShare * answer * (s.crowdOf(c) + 1) / (s.crowd + 1)
	if slots := f.Slots; slots > 0 && running >= slots {
		// The first of as many answers, each anywhere in its time, ends after an answer's time over one more than their number.
		cost += answer * float64(running-slots+1) / float64(slots+1)
	}
	return cost
}

// runningAt is how many requests an endpoint has, ours and, where it reports them, others'.
func runningAt(f *fleet.Facts) int {
	if fresh(f) {
		return f.Running + max(f.Load.Running-f.Decoding, 0)
	}
	return f.Running
}

// crowdOf is how many requests an endpoint has against its weight, in whole portions of the lightest endpoint: with less than a portion
// more, a heavy endpoint is no fuller than a light one without any, and the shares part what comes.
func (s *scene) crowdOf(c *Candidate) float64 {
	return math.Floor(float64(runningAt(&c.Facts))/s.weight(c)*s.lightest + 1e-9)
}

// fresh reports whether what an endpoint says of its load is young enough to go by; older is unknown, which is not 0.
func fresh(f *fleet.Facts) bool { return f.LoadAge >= 0 && f.LoadAge < freshLoad }
