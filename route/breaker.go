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
	// Two would eject one that drops a connection now and then; ten would cost ten clients a retry each.
	failuresMax = 3
	// shareMax opens it, too: half of at least sampleLeast recent requests failed, though some between them did not. Below a half, a
	// few odd requests that break an engine would take it from all others; fewer samples than eight say nothing.
	shareMax    = 0.5
	sampleLeast = 8
	// sampleHalf is how fast the past is forgotten: half of it in ten seconds, some hundreds of requests of a busy endpoint.
	sampleHalf = 10 * time.Second
	// openFirst and openMost bound how long it stays open: doubling from what a reconnect takes to what a restart does. A longer rest
	// than half a minute would keep a repaired engine idle; a shorter one than a second would spend a retry on it each time.
	openFirst = time.Second
	openMost  = 30 * time.Second
	// probesNeeded successes in a row close it: one may be luck, and ten would keep it idle for long answers.
	probesNeeded = 2
	// absurd is faster than any engine can fail at an answer: whoever does so has not tried, and would take all traffic.
	absurd = 5 * time.Millisecond
	// busyFirst is how long an endpoint is left alone that said it was full; doubled with each time in a row, up to busyMost: a queue
	// moves on within some hundred milliseconds, and a server that is full for longer has other work than ours.
	busyFirst = 250 * time.Millisecond
	busyMost  = 4 * time.Second
)

// breaker is what is remembered of one endpoint's failures. Its steps are pure.
type breaker struct {
	state   BreakerState
	row     float64 // failures in a row; one that came absurdly fast counts twice
	good    float64 // recent successes, decayed
	bad     float64 // recent failures, decayed
	at      time.Time
	until   time.Time // when an open one may be probed
	since   time.Time // of state
	opened  int       // times that it opened without a minute of peace between
	probing int       // requests on their way that were sent while it was not closed
	passed  int       // of these, that went well in a row
	busy    int       // times in a row that it said it was full
	rest    time.Time // until then it is full
}

// decay forgets what is past.
func (b breaker) decay(now time.Time) breaker {
	switch d := now.Sub(b.at); {
	case b.at.IsZero():
		b.at = now
	case d > 0 && b.good+b.bad > 0:
		f := half(d, sampleHalf)
		b.good, b.bad, b.at = b.good*f, b.bad*f, now
	case d > 0:
		b.at = now
	}
	return b
}

// failing is the share of recent requests that failed; a few say little.
func (b *breaker) failing() float64 { return b.bad / (b.good + b.bad + 1) }

// ready reports whether a breaker that is not closed lets a probe through.
func (b *breaker) ready(now time.Time) bool {
	return b.probing == 0 && !now.Before(b.rest) && (b.state == HalfOpen || b.state == Open && !now.Before(b.until))
}

// sent notes a request that was sent, and reports whether it is one that finds out how the endpoint is.
func (b breaker) sent(now time.Time) (breaker, bool) {
	if b.state == Closed {
		return b, false
	}
	if b.state == Open && !now.Before(b.until) {
		b.state, b.since, b.passed = HalfOpen, now, 0
	}
	b.probing++
	return b, true
}

// held reports what of a fault is held against an endpoint.
func held(f llm.Fault) bool {
	switch f {
	case llm.FaultNone, llm.FaultTask, llm.FaultBusy:
		return false
	}
	return true
}

// ended notes how a request ended that took so long; probe is what sent reported of it.
func (b breaker) ended(now time.Time, fault llm.Fault, took time.Duration, probe bool, seed uint64) breaker {
	b = b.decay(now)
	if probe {
		b.probing = max(b.probing-1, 0)
	}
	switch {
	case fault == llm.FaultTask:
		return b
	case fault == llm.FaultBusy:
		b.rest = later(b.rest, now.Add(min(busyFirst<<min(b.busy, 10), busyMost)))
		b.busy++
		return b
	case fault == llm.FaultNone:
		return b.succeeded(now, probe)
	}
	weight := 1.0
	switch {
	case fault == llm.FaultConfig:
		weight = failuresMax // what is set up wrongly goes wrong each time
	case took < absurd:
		weight = 2
	}
	b.bad += weight
	b.row += weight
	b.busy, b.passed = 0, 0
	switch {
	case b.state == HalfOpen && probe:
		return b.open(now, seed)
	case b.state == Closed && (b.row >= failuresMax || b.good+b.bad >= sampleLeast && b.bad >= shareMax*(b.good+b.bad)):
		return b.open(now, seed)
	}
	return b
}

// succeeded notes a success. Only one that was sent after the breaker opened says that the endpoint is well again.
func (b breaker) succeeded(now time.Time, probe bool) breaker {
	b.good++
	b.row, b.busy = 0, 0
	if b.state == Closed {
		if now.Sub(b.since) > 2*openMost {
			b.opened = 0
		}
		return b
	}
	if !probe {
		return b
	}
	if b.passed++; b.passed >= probesNeeded {
		b.state, b.since, b.bad, b.passed = Closed, now, 0, 0
	}
	return b
}

// open opens it. A quarter more or less of the time, by the seed, keeps endpoints that fell together from being probed together.
func (b breaker) open(now time.Time, seed uint64) breaker {
	wait := float64(min(openFirst<<min(b.opened, 10), openMost))
	wait *= 0.75 + jitter(seed, 1)/2
	b.state, b.since, b.until, b.passed = Open, now, now.Add(time.Duration(wait)), 0
	b.opened++
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
