package engine

import (
	"math"
	"math/bits"
	"time"
)

// pace learns how long steps take and says how many tokens fit into a target time.
//
// One rate in tokens per second would not do: a step costs the reading of all weights, however few its tokens, so a period of
// mere decoding would look like a slow machine and leave the next prompt a handful of tokens a step. So durations are kept
// by size class, the power of two below the number of tokens, each as a moving average, and a budget is read off the curve
// through them. Above the largest class known the curve is followed for one doubling at a time.
type pace struct {
	classes [paceClasses]paceClass
}

const (
	paceClasses = 20   // up to a million tokens
	paceWeight  = 0.25 // of a new observation; a tenth would take a minute of large steps to learn that a neighbour left
	// paceForget is after how many full steps that stayed below a class its average is dropped, so that one slow step (a
	// garbage collection, another program) does not keep the budget small for ever.
	paceForget = 32
)

// paceClass is the average step of one size class.
type paceClass struct {
	tokens, seconds float64 // zero where none was seen
	missed          int     // full steps since that stayed below it
}

// observe records a step of that many tokens; full says that it had work for its whole budget.
func (p *pace) observe(tokens int, took time.Duration, full bool) {
	if tokens <= 0 || took <= 0 {
		return
	}
	i := min(bits.Len(uint(tokens))-1, paceClasses-1)
	c := &p.classes[i]
	if c.seconds == 0 {
		c.tokens, c.seconds = float64(tokens), took.Seconds()
	} else {
		c.tokens += paceWeight * (float64(tokens) - c.tokens)
		c.seconds += paceWeight * (took.Seconds() - c.seconds)
	}
	c.missed = 0
	if !full {
		return
	}
	for j := i + 1; j < paceClasses; j++ {
		if p.classes[j].missed++; p.classes[j].missed >= paceForget {
			p.classes[j] = paceClass{}
		}
	}
}

// budget is how many tokens take about the target time, at most most. With nothing observed it is one block's worth of
// caution times two: the first step tells more than any guess.
func (p *pace) budget(target time.Duration, most int) int {
	goal := target.Seconds()
	var below, above *paceClass // the curve's points on both sides of the goal
	for i := range p.classes {
		c := &p.classes[i]
		if c.seconds == 0 {
			continue
		}
		if c.seconds > goal {
			above = c
			break
		}
		below = c
	}
	n := 32.0
	switch {
	case below != nil && above != nil:
		n = below.tokens + (goal-below.seconds)/(above.seconds-below.seconds)*(above.tokens-below.tokens)
	case below != nil:
		n = min(below.tokens*goal/below.seconds, 2*below.tokens)
		n = max(n, min(32, below.tokens*goal/below.seconds)) // no long climb from steps of one token
	case above != nil:
		n = above.tokens * goal / above.seconds
	}
	return max(1, min(most, int(math.Floor(n))))
}

// drain learns how fast the queue of waiting sequences moves.
type drain struct {
	last  time.Time
	moved float64 // sequences that left the queue, fading
	busy  float64 // seconds in which any waited, fading
}

const (
	drainHalf = 10 * time.Second // after which an observation counts half
	retryMin  = time.Second      // Retry-After is in whole seconds
	retryMax  = time.Minute      // beyond it nobody can tell
)

// observe records that moved sequences left the queue since the last call, in which time waiting says whether any waited.
func (d *drain) observe(now time.Time, moved int, waiting bool) {
	if waiting {
		dt := 0.0
		if !d.last.IsZero() {
			dt = now.Sub(d.last).Seconds()
		}
		fade := math.Exp2(-dt / drainHalf.Seconds())
		d.moved = d.moved*fade + float64(moved)
		d.busy = d.busy*fade + dt
	}
	d.last = now
}

// retryAfter estimates when a queue of that length will have moved on, in whole seconds.
func (d *drain) retryAfter(waiting int) time.Duration {
	s := math.Ceil(float64(waiting) * d.busy / max(d.moved, 0.5)) // a queue that stands still is not quite hopeless
	return max(retryMin, time.Duration(min(s, retryMax.Seconds()))*time.Second)
}
