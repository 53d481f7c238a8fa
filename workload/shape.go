package workload

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Shape is how many requests a second come over time.
type Shape struct {
	Kind  string        // one of ShapeKinds
	Rate  float64       // a second, outside of the flood; more than 0
	Times float64       // the flood's rate over Rate; 0: what fits the kind
	From  time.Duration // when the flood begins
	To    time.Duration // when it ends; 0 with From 0: what fits the kind and For
	For   time.Duration // of the whole
}

// ShapeKinds lists the kinds of shapes:
//
//	steady  Rate all along
//	step    Times Rate (10) from From to To (the middle third), Rate before and after
//	spike   the same, but a tenth of the time, from the middle on
//	ramp    from Rate at From (0) to Times Rate (10) at To (the end)
//	sine    between Rate and Times Rate (4), four waves; From and To bound them
func ShapeKinds() []string { return []string{"steady", "step", "spike", "ramp", "sine"} }

const (
	// RateMax bounds a rate, in requests a second: more than one machine can send.
	RateMax = 1e6
	// floodTimes is the flood that this project's promises are made for.
	floodTimes = 10.0
	// sineTimes is a day's peak over its night, as public traces show it: three to five.
	sineTimes = 4.0
	sineWaves = 4
	timesMax  = 10_000.0
)

// ParseShape reads KIND[:TIMESx][:FROM-TO], as in "step", "step:4x", "step:5x:0s-60s". Rate and For are set by the caller.
func ParseShape(s string) (Shape, error) {
	kind, rest, _ := strings.Cut(s, ":")
	out := Shape{Kind: kind}
	if !slices.Contains(ShapeKinds(), kind) {
		return out, fmt.Errorf("shape %q is not known; it is %s, and may go on as in step:4x or step:4x:10s-70s", kind, strings.Join(ShapeKinds(), ", "))
	}
	if rest == "" {
		return out, nil
	}
	times, span, _ := strings.Cut(rest, ":")
	if text, ok := strings.CutSuffix(times, "x"); ok {
		var err error
		if out.Times, err = number(text, 0, timesMax); err != nil || out.Times == 0 {
			return out, fmt.Errorf("shape %q: times are %q; give more than 0 and no more than %g, as in step:4x", s, times, timesMax)
		}
	} else if span == "" {
		span = times
	} else {
		return out, fmt.Errorf("shape %q: times are %q; write them with an x, as in step:4x", s, times)
	}
	if span == "" {
		return out, nil
	}
	from, to, ok := strings.Cut(span, "-")
	var err1, err2 error
	out.From, err1 = time.ParseDuration(from)
	out.To, err2 = time.ParseDuration(to)
	if !ok || err1 != nil || err2 != nil || out.From < 0 || out.To <= out.From {
		return out, fmt.Errorf("shape %q: %q is no span of time; write it as 10s-70s, the end after the beginning", s, span)
	}
	return out, nil
}

// Validate finds what a shape cannot be.
func (s Shape) Validate() error {
	switch {
	case !slices.Contains(ShapeKinds(), s.Kind):
		return fmt.Errorf("workload: Kind is %q; it is one of %s", s.Kind, strings.Join(ShapeKinds(), ", "))
	case !(s.Rate > 0 && s.Peak() <= RateMax):
		return fmt.Errorf("workload: Rate is %g, up to %g; give more than 0 and no more than %g a second at the peak", s.Rate, s.Peak(), RateMax)
	case s.For <= 0 || s.For > AtMax:
		return fmt.Errorf("workload: For is %s; give more than 0 and no more than %s", s.For, AtMax)
	case s.From < 0 || s.To < s.From || s.To == s.From && s.From > 0:
		return fmt.Errorf("workload: the flood is from %s to %s; give an end after the beginning, or neither", s.From, s.To)
	}
	return nil
}

func (s Shape) times() float64 {
	switch {
	case s.Kind == "steady":
		return 1
	case s.Times > 0:
		return s.Times
	case s.Kind == "sine":
		return sineTimes
	}
	return floodTimes
}

// Peak is the highest rate, in requests a second.
func (s Shape) Peak() float64 { return s.Rate * max(1, s.times()) }

// Flood is when the rate is not Rate alone.
func (s Shape) Flood() (from, to time.Duration) {
	switch {
	case s.To > 0:
		return s.From, s.To
	case s.Kind == "step":
		return s.For / 3, s.For * 2 / 3
	case s.Kind == "spike":
		return s.For / 2, s.For/2 + s.For/10
	case s.Kind == "steady":
		return 0, 0
	}
	return 0, s.For
}

// At is the rate at a time from the beginning, in requests a second.
func (s Shape) At(t time.Duration) float64 {
	from, to := s.Flood()
	if t < from || s.Kind == "steady" || t >= to && s.Kind != "ramp" {
		return s.Rate
	}
	over := s.times() - 1
	part := min(1, float64(t-from)/float64(to-from))
	switch s.Kind {
	case "ramp":
		return s.Rate * (1 + over*part)
	case "sine":
		return s.Rate * (1 + over*(1-math.Cos(2*math.Pi*sineWaves*part))/2)
	}
	return s.Rate * s.times()
}

// Arrivals gives the times of a Poisson process with the shape's rate: requests that nobody coordinates. even makes the gaps all the
// same for a rate, for those who want to see one thing at a time.
func (s Shape) Arrivals(seed uint64, even bool) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		rng := rand.New(rand.NewPCG(seed, 1))
		peak, at := s.Peak(), 0.0
		for {
			gap := rng.ExpFloat64() / peak
			if even {
				gap = 1 / s.At(time.Duration(at*float64(time.Second)))
			}
			at += gap
			t := time.Duration(at * float64(time.Second))
			if t >= s.For {
				return
			}
			// Thinning: a process at the peak's rate, of which each is kept with the part that the rate is of the peak.
			if !even && rng.Float64()*peak >= s.At(t) {
				continue
			}
			if !yield(t) {
				return
			}
		}
	}
}

// Lengths are tokens, log-normal around a median, as those of chats are.
type Lengths struct {
	Median int
	Spread float64 // of the logarithm; 0: all the same. Chats have about 0.8: a factor of e^0.8 either way
}

func (l Lengths) draw(rng *rand.Rand) int {
	x := rng.NormFloat64()
	return min(max(1, int(math.Round(float64(l.Median)*math.Exp(l.Spread*x)))), TokensMax)
}

// Mix makes a workload without a trace.
type Mix struct {
	Shape   Shape
	Even    bool // gaps are even, not a Poisson process's
	Prompt  Lengths
	Output  Lengths
	Prefix  int // tokens that all prompts of a tenant begin with; longer than a prompt, and they are all of it
	Tenants []Share
	Classes []Share
	Seed    uint64
}

// Requests makes the requests in order, one at a time, so that a long flood needs no memory.
func (m Mix) Requests() iter.Seq[Request] {
	return func(yield func(Request) bool) {
		rng := rand.New(rand.NewPCG(m.Seed, 2))
		who, how := newChooser(m.Tenants), newChooser(m.Classes)
		prefixes := map[string][]uint64{}
		for at := range m.Shape.Arrivals(m.Seed, m.Even) {
			r := Request{At: at, Prompt: m.Prompt.draw(rng), Output: m.Output.draw(rng), Tenant: who.draw(rng), Class: how.draw(rng)}
			if m.Prefix > 0 {
				if prefixes[r.Tenant] == nil {
					prefixes[r.Tenant] = []uint64{hashOf(r.Tenant, m.Seed)}
				}
				r.Blocks, r.Block = prefixes[r.Tenant], m.Prefix
			}
			if !yield(r) {
				return
			}
		}
	}
}

// hashOf is FNV-1a of a name and a seed.
func hashOf(name string, seed uint64) uint64 {
	h := uint64(14695981039346656037) ^ seed
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return h
}

// Reshape gives the requests of a trace at the times of a shape, again and again from the first one.
func Reshape(rs []Request, s Shape, seed uint64, even bool) iter.Seq[Request] {
	return func(yield func(Request) bool) {
		if len(rs) == 0 {
			return
		}
		n := 0
		for at := range s.Arrivals(seed, even) {
			r := rs[n%len(rs)]
			r.At = at
			n++
			if !yield(r) {
				return
			}
		}
	}
}

// Flow says what Poisson makes: a number of requests that nobody coordinates.
type Flow struct {
	Jobs   int
	Rate   float64 // a second
	Prompt int     // tokens at the median; a log-normal spread of a factor e^0.8 either way, as chats have
	Output int     // tokens at the median, spread likewise
	Seed   uint64
}

// Poisson makes a workload of a fixed number of requests without a trace.
func Poisson(f Flow) []Request {
	rng := rand.New(rand.NewPCG(f.Seed, 1))
	length := func(median int) int { return max(1, int(float64(median)*math.Exp(0.8*rng.NormFloat64()))) }
	rs := make([]Request, f.Jobs)
	at := 0.0
	for i := range rs {
		at += rng.ExpFloat64() / f.Rate
		rs[i] = Request{At: time.Duration(at * float64(time.Second)), Prompt: length(f.Prompt), Output: length(f.Output)}
	}
	return rs
}
