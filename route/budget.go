package route

import (
	"math"
	"time"
)

const (
	// retryShare of the recent requests may be sent again: a fifth, so that a fleet that fails is asked at most 1.2 times what it is
	// offered. At a half, a flood that fails would be half again as large; at a twentieth, one endpoint of ten that dies would cost
	// answers.
	retryShare = 0.2
	// retryFloor lets the failures of a quiet service be tried again, whose recent requests are none: ten in some ten seconds, which is
	// what a person's clicks come to and nothing to any engine.
	retryFloor = 10.0
	// retryHalf is how fast requests stop being recent: half of them in ten seconds. In one, a pause between two failures would empty the
	// budget; in a hundred, what was saved up in peace would feed a storm.
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
	switch d := now.Sub(b.at); {
	case b.at.IsZero():
		b.at = now
	case d > 0: // a clock that was set back leaves all as it is
		f := half(d, retryHalf)
		b.requests, b.retries, b.at = b.requests*f, b.retries*f, now
	}
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
	// retryAfterMost bounds what an endpoint can have us wait: clients do not wait longer either.
	retryAfterMost = time.Minute
)

// backoff is a wait before a retry, up to twice as long each time and anywhere below that: so, a thousand that failed at once come
// back spread out. What the endpoint asked for is its least.
func backoff(attempt int, retryAfter time.Duration, seed uint64) time.Duration {
	most := min(backoffFirst<<min(max(attempt-1, 0), 10), backoffMost)
	wait := time.Duration(float64(most) * jitter(seed, 7))
	return wait + min(max(retryAfter, 0), retryAfterMost)
}

// jitter is a number in [0, 1) that differs by seed and place.
func jitter(seed uint64, i int) float64 { return float64(scatter(seed, i)>>11) / (1 << 53) }

// scatter is 64 bits that differ by seed and place.
func scatter(seed uint64, i int) uint64 {
	x := seed*0x9e3779b97f4a7c15 + uint64(i)*0xbf58476d1ce4e5b9
	x ^= x >> 31
	x *= 0x94d049bb133111eb
	return x ^ x>>29
}
