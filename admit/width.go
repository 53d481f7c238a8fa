package admit

import "time"

// watch counts, over a stretch in which more was asked of an endpoint than it could take, how many streams it answered together. First
// tokens that come late do not tell a line from prompts that are computed: where every new stream begins just as another ends, what is sent
// beyond those that run stands in the engine's line, however slow its prompts are.
type watch struct {
	since  instant
	peak   int     // streams that ran together
	ends   int     // streams that ended
	firsts int     // streams that began
	sum    float64 // of those that ran, at each first token
	prompt float64 // sum of the tokens that were computed before their first ones
	idle   bool    // there was a moment in which nothing waited: it could have run more
}

const (
	// watchTime and watchEnds are how long a stretch is at least: long enough that rates mean something, and short enough for two stretches
	// inside an objective of two seconds.
	watchTime = 500 * time.Millisecond
	watchEnds = 16
	// watchPeak is the least that must run together for a line to be told from chance.
	watchPeak = 4
	// watchSteady is the part of the peak that must run in the mean: where less does, it is prompts that the endpoint is busy with.
	watchSteady = 0.6
	// watchPrompts is how many prompts may be in computation for each that would keep the endpoint's rate if it were alone; and watchSpare
	// stand by, so that a stream that ends is followed at once.
	watchPrompts = 1.5
	watchSpare   = 2
	// watchOver is how much the limit may be above that before it is lowered, and watchLeast the part of it that one stretch leaves.
	watchOver  = 1.15
	watchLeast = 0.6
)

// ran notes that a stream has begun or ended at s, and lowers the limit at the end of a stretch that shows a line.
func (s *station) ran(t instant, x *entry, first bool, g *Gate) {
	w := &s.watch
	if w.since == 0 {
		*w = watch{since: max(t, 1)}
	}
	w.idle = w.idle || g.waiting.Requests == 0 || !s.facts.Usable
	if first {
		w.firsts++
		w.sum += float64(s.decoding)
		w.prompt += float64(x.fresh)
		w.peak = max(w.peak, s.decoding)
	} else {
		w.ends++
	}
	if t-w.since < watchTime || w.ends < watchEnds {
		return
	}
	seen, took := *w, (t - w.since).Seconds()
	*w = watch{since: max(t, 1)}
	if seen.idle || seen.peak < watchPeak || seen.sum < watchSteady*float64(seen.peak*seen.firsts) {
		return
	}
	// Little's law: at this rate so many prompts are in computation, each for as long as it takes where nothing is before it.
	prompts := float64(seen.ends) / took * s.least.expect(int(seen.prompt)/max(seen.firsts, 1))
	width := float64(seen.peak) + watchPrompts*prompts + watchSpare
	if s.limit > watchOver*width {
		s.shrink(t, max(width, watchLeast*s.limit), g)
	}
}
