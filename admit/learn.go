package admit

import (
	"math/bits"
	"time"
)

// sizes is how many sizes of prompts times are kept for: 1, 2-3, 4-7, ... up to a million tokens and more.
const sizes = 21

func sizeOf(tokens int) int { return min(bits.Len(uint(max(tokens, 1)))-1, sizes-1) }

// floor is the least time that was seen, and for how many tokens. It rises by half a percent with each sample, so that an engine that has
// become slower is not held to what it was: twice as slow is usual after 140.
type floor struct {
	seconds float64
	tokens  int
}

func (f *floor) see(seconds float64, tokens int) {
	seconds = max(seconds, 1e-6)
	if f.seconds == 0 || seconds <= f.seconds || seconds*float64(f.tokens) < f.seconds*float64(tokens) {
		f.seconds, f.tokens = seconds, tokens // less, or less for each token of a larger one
		return
	}
	f.seconds *= 1.005
}

// floors are floors by size.
type floors [sizes]floor

func (l *floors) see(seconds float64, tokens int) { l[sizeOf(tokens)].see(seconds, max(tokens, 1)) }

// expect is the least time that so many tokens take, in seconds; 0 where nothing is known.
func (l *floors) expect(tokens int) float64 {
	i := sizeOf(tokens)
	for j := i; j >= 0; j-- {
		if f := &l[j]; f.seconds > 0 {
			return f.seconds * max(1, float64(tokens)/float64(f.tokens))
		}
	}
	for j := i + 1; j < sizes; j++ {
		if f := &l[j]; f.seconds > 0 {
			return f.seconds
		}
	}
	return 0
}

// spread is a moving mean of times with their mean distance from it.
type spread struct {
	mean, off float64 // seconds
	tokens    float64 // mean size
}

func (s *spread) see(seconds float64, tokens int) {
	if s.mean == 0 {
		s.mean, s.off, s.tokens = seconds, seconds/4, float64(tokens)
		return
	}
	d := seconds - s.mean
	s.mean += d / 8
	s.off += (max(d, -d) - s.off) / 4
	s.tokens += (float64(tokens) - s.tokens) / 8
}

// pace is how long requests of so much work keep one place of an endpoint: sums that forget.
type pace struct {
	parts
	seconds, samples float64
}

// parts is work before it is one number: what an output token costs in prompt tokens moves, and sums of what was work at one time and another
// would be of neither.
type parts struct{ prompt, output float64 } // tokens

func (p parts) work(weight float64) float64 { return p.prompt + weight*p.output }

// paceKeep is what each sample leaves of those before: some twenty count, which average out that answers differ, and which a change of the
// engine's speed has replaced after as many.
const paceKeep = 0.95

func (p *pace) see(took time.Duration, x *entry) {
	p.seconds = p.seconds*paceKeep + took.Seconds()
	p.prompt, p.output = p.prompt*paceKeep+float64(x.fresh), p.output*paceKeep+float64(x.expect)
	p.samples = p.samples*paceKeep + 1
}
