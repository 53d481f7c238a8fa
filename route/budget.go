package route

import (
	"math"
	"time"
)

const (
	// retryShare of the recent requests may be sent again: a fifth, so that a fleet that fails is asked at most 1.2 times what it is
	// offered. At a half, a flood that fails would be half again as large.
	retryShare = 0.2
	// retryFloor lets the failures of a quiet service be tried again, whose recent requests are none: ten in ten seconds.
	retryFloor = 10.0
	// retryHalf is how fast requests stop being recent.
	retryHalf = 10 * time.Second
)

// budget counts recent requests and retries, decayed. Its steps are pure.
type budget struct {
	requests, retries float64
	at                time.Time
}

// half is the share that is left after d of what halves in h.
func half(d, h time.Duration) float64 { return math.Exp2(-d.Seconds() / h.Seconds()) }

func (b budget) decay(now time.Time) budget {
	if !b.at.IsZero() {
		f := half(now.Sub(b.at), retryHalf)
		b.requests, b.retries = b.requests*f, b.retries*f
	}
	b.at = now
	return b
}

// asked notes a fresh request.
func (b budget) asked(now time.Time) budget {
	b = b.decay(now)
	b.requests++
	return b
}

// take takes one retry, if there is one.
func (b budget) take(now time.Time) (budget, bool) {
	b = b.decay(now)
	if b.retries+1 > max(retryFloor, retryShare*b.requests) {
		return b, false
	}
	b.retries++
	return b, true
}

const (
	// backoffFirst is the longest wait before the first retry: another endpoint is asked, so that it only parts those that failed
	// together.
	backoffFirst = 20 * time.Millisecond
	// backoffMost is the longest of all: what a client hardly notices in an answer of seconds.
	backoffMost = time.Second
)

// backoff is a wait before a retry, up to twice as long each time and anywhere below that: so, a thousand that failed at once come
// back spread out.
func backoff(attempt int, seed uint64) time.Duration {
	most := min(backoffFirst<<min(max(attempt-1, 0), 10), backoffMost)
	return time.Duration(float64(most) * jitter(seed, 7))
}
