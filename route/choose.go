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
}

// Candidate is one endpoint that may be asked, as it is at this moment.
type Candidate struct {
	Facts   fleet.Facts
	Cached  int     // tokens of the request's prompt that it has computed before
	Failing float64 // share of its recent requests that failed, 0 to 1
	Recent  float64 // tokens of prompts that were sent there lately, decayed
	Home    bool    // the request's session was there before
}

const (
	// freshLoad is the age in seconds beyond which a report says nothing: within two seconds a queue has emptied or doubled.
	freshLoad = 2.0
	// imbalanceMax is how much more than the mean load an endpoint may have and still be chosen for what it has cached.
	imbalanceMax = 1.25
	// prefillPrior stands for a speed that nobody has measured: 2,000 tokens a second, between a CPU and a GPU. With every speed unknown
	// only the order of the loads matters, and that does not depend on it.
	prefillPrior = 0.0005
	// decodeShare is how much of an answer's time after its first token counts: the first token is what people wait for with nothing to
	// read; at 0, a fast reader would be sent to the slowest writer.
	decodeShare = 0.1
	// failCost is how many times its cost an endpoint seems to have all of whose recent requests failed: what fails at once has no work in
	// flight, and would look idle.
	failCost = 20.0
	// lastResort is the cost in seconds that keeps an endpoint out as long as there is another.
	lastResort = 1e6
)

// Choose gives the index of the endpoint that costs the request the fewest seconds, and false where there is none. The seed decides
// between equals, in proportion to their weights.
func Choose(ask Ask, list []Candidate, seed uint64) (int, bool) {
	if len(list) == 0 {
		return 0, false
	}
	typical := typicalPrefill(list)
	mean, slack := meanLoad(ask, list, typical)
	best, least := -1, math.Inf(1)
	for i := range list {
		c := &list[i]
		cached := c.Cached
		if load := loadOf(&c.Facts, typical) + work(ask, 0, c, typical); cached > 0 && load > imbalanceMax*mean+slack {
			cached = 0 // what it has is no reason to make a hot spot
		}
		cost := seconds(ask, cached, c, typical)
		if home := c.Home && loadOf(&c.Facts, typical) <= imbalanceMax*mean+slack; home {
			cost -= homeShare * cost
		}
		// Between equals, the one that had the least of its share lately; the seed decides where nobody had anything.
		cost += recentShare * (c.Recent + jitter(seed, i)) * prefillOf(&c.Facts, typical) / c.Facts.Weight
		if cost < least {
			best, least = i, cost
		}
	}
	return best, true
}

// homeShare is how much cheaper an endpoint is that a session was at before, where the prompt's prefix says nothing: half, so that an
// endpoint with twice the queue loses it.
const homeShare = 0.5

// seconds is what the request costs at an endpoint.
func seconds(ask Ask, cached int, c *Candidate, typical float64) float64 {
	f := &c.Facts
	cost := loadOf(f, typical)/f.Weight + work(ask, cached, c, typical)
	if others := float64(f.Load.Waiting); f.LoadAge >= 0 && f.LoadAge.Seconds() < freshLoad && others > 0 {
		cost += others * float64(ask.Prompt) * prefillOf(f, typical) // others' requests are taken to be like this one
	}
	decode := f.DecodeSeconds(f.Running + 1)
	cost += decodeShare * float64(ask.Output) * decode
	if f.Slots > 0 && f.Running >= f.Slots {
		// A place comes free when one of as many answers ends, each half way through.
		cost += float64(f.Running-f.Slots+1) / float64(f.Slots) * float64(ask.Output) * decode / 2
	}
	if kv := f.Load.KVUsed; f.LoadAge >= 0 && f.LoadAge.Seconds() < freshLoad && kv > kvFull {
		cost *= 1 + (kv-kvFull)/(1-kvFull)
	}
	cost = (cost + costLeast) * (1 + failCost*c.Failing)
	if f.Health.State == fleet.StateDown {
		cost += lastResort
	}
	return cost
}

const (
	// kvFull is where an engine begins to preempt: beyond it an endpoint costs up to twice as much.
	kvFull = 0.9
	// costLeast keeps equals equal: below a millisecond, what differs is noise.
	costLeast = 0.001
)

// work is the seconds of computing the request's prompt at an endpoint.
func work(ask Ask, cached int, c *Candidate, typical float64) float64 {
	return float64(max(ask.Prompt-cached, 0)) * prefillOf(&c.Facts, typical)
}

// loadOf is the seconds of prompts that an endpoint has yet to compute.
func loadOf(f *fleet.Facts, typical float64) float64 { return float64(f.Prefill) * prefillOf(f, typical) }

func prefillOf(f *fleet.Facts, typical float64) float64 {
	if f.PrefillSeconds > 0 {
		return f.PrefillSeconds
	}
	return typical
}

// typicalPrefill is the median of the speeds that are known, for those that are not.
func typicalPrefill(list []Candidate) float64 {
	var room [32]float64
	known := room[:0]
	for i := range list {
		if s := list[i].Facts.PrefillSeconds; s > 0 && len(known) < cap(known) {
			known = append(known, s)
		}
	}
	if len(known) == 0 {
		return prefillPrior
	}
	slices.Sort(known)
	return known[len(known)/2]
}

// meanLoad is the mean of the loads with this request added, and the slack of one request: on an idle fleet, the first request of a
// conversation must not drive the second away.
func meanLoad(ask Ask, list []Candidate, typical float64) (mean, slack float64) {
	for i := range list {
		mean += loadOf(&list[i].Facts, typical)
	}
	own := float64(ask.Prompt) * typical
	return (mean + own) / float64(len(list)), own
}

// recentShare is how much what was sent lately counts beside what is in flight: enough to part equals in proportion to their weights,
// too little to send a request away from an endpoint that has its prompt.
const recentShare = 0.05

// jitter is a token or less that differs by seed and place.
func jitter(seed uint64, i int) float64 {
	x := seed*0x9e3779b97f4a7c15 + uint64(i)*0xbf58476d1ce4e5b9
	x ^= x >> 31
	x *= 0x94d049bb133111eb
	x ^= x >> 29
	return float64(x>>11) / (1 << 53)
}
