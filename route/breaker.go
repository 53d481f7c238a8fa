package route

import (
	"time"

	"github.com/weir-ai/weir/llm"
)

// BreakerState says whether an endpoint is asked.
type BreakerState int

const (
	// Closed: it is asked.
	Closed BreakerState = iota
	// Open: it is left alone for a while.
	Open
	// HalfOpen: single requests find out whether it is well again.
	HalfOpen
)

// String is the state's label in metrics.
func (s BreakerState) String() string { return [...]string{"closed", "open", "half_open"}[s] }

const (
	// failuresMax opens a breaker: three in a row are no chance where one in a hundred fails, and a dead endpoint costs three requests.
	failuresMax = 3
	// shareMax opens it, too: half of at least sampleLeast recent requests failed, though some between them did not.
	shareMax    = 0.5
	sampleLeast = 8
	// sampleHalf is how fast the past is forgotten: within ten seconds half of it.
	sampleHalf = 10 * time.Second
	// openFirst and openMost bound how long it stays open: doubling from what a reconnect takes to what a restart does.
	openFirst = time.Second
	openMost  = 30 * time.Second
	// probesNeeded successes in a row close it.
	probesNeeded = 2
	// absurd is faster than any engine can fail at an answer: whoever does so has not tried, and would take all traffic.
	absurd = 5 * time.Millisecond
	// busyRest is how long an endpoint is left alone that said it was full.
	busyRest = 250 * time.Millisecond
)

// breaker is what is remembered of one endpoint's failures. Its steps are pure.
type breaker struct {
	state   BreakerState
	row     float64 // failures in a row; one that came absurdly fast counts twice
	good    float64 // recent successes, decayed
	bad     float64 // recent failures, decayed
	at      time.Time
	until   time.Time // when an open one may be probed
	opened  int       // times in a row that it opened
	probing bool      // a probe is on its way
	passed  int       // probes in a row that went well
	rest    time.Time // until then it is full
}

// decay forgets what is past.
func (b breaker) decay(now time.Time) breaker {
	if !b.at.IsZero() {
		f := half(now.Sub(b.at), sampleHalf)
		b.good, b.bad = b.good*f, b.bad*f
	}
	b.at = now
	return b
}

// failing is the share of recent requests that failed; a few say little.
func (b breaker) failing() float64 { return b.bad / (b.good + b.bad + 1) }

// allows reports whether a request may be sent, and whether it is a probe.
func (b breaker) allows(now time.Time) (ok, probe bool) {
	switch b.state {
	case Closed:
		return !now.Before(b.rest), false
	case Open:
		return !now.Before(b.until), true
	}
	return !b.probing, true
}

// sent notes a request that was sent.
func (b breaker) sent(now time.Time) breaker {
	if b.state == Open && !now.Before(b.until) {
		b.state, b.passed = HalfOpen, 0
	}
	if b.state == HalfOpen {
		b.probing = true
	}
	return b
}

// held reports what of a fault is held against an endpoint.
func held(f llm.Fault) bool {
	switch f {
	case llm.FaultNone, llm.FaultTask, llm.FaultBusy:
		return false
	}
	return true
}

// ended notes how a request ended that took so long. A quarter more or less of the open time, by the seed, keeps endpoints that fell
// together from being probed together.
func (b breaker) ended(now time.Time, fault llm.Fault, took time.Duration, probe bool, seed uint64) breaker {
	b = b.decay(now)
	if probe {
		b.probing = false
	}
	switch {
	case fault == llm.FaultTask:
		return b
	case fault == llm.FaultBusy:
		b.rest = now.Add(busyRest)
		return b
	case !held(fault):
		b.good++
		b.row = 0
		if b.state == HalfOpen && probe {
			if b.passed++; b.passed >= probesNeeded {
				return breaker{at: now, good: b.good}
			}
		}
		return b
	}
	weight := 1.0
	if took < absurd {
		weight = 2
	}
	b.bad += weight
	b.row += weight
	if b.state == HalfOpen && probe || b.state == Closed && (b.row >= failuresMax || b.good+b.bad >= sampleLeast && b.bad/(b.good+b.bad) >= shareMax) {
		b = b.open(now, seed)
	}
	return b
}

func (b breaker) open(now time.Time, seed uint64) breaker {
	wait := min(openFirst<<min(b.opened, 10), openMost)
	wait += time.Duration(float64(wait) * (jitter(seed, 1) - 0.5) / 2)
	b.state, b.until, b.passed, b.probing = Open, now.Add(wait), 0, false
	b.opened++
	return b
}
