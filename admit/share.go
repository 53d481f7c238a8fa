package admit

import (
	"math"
	"time"
)

// Turns among those who wait are not enough where most are refused at once: a tenant that asks a hundred times as often as another finds
// the short line open a hundred times as often, and whoever was refused has no turn. So in a flood each tenant is let in at its fair rate:
// the one at which all that want less get what they want, and all others the same for their weight, so that together they take what the
// endpoints do. Who has had less of late may have more at once. Where there is room nobody is held to it: whoever comes first is served,
// and it is counted.

const (
	// shareEvery is how often the fair rate is found anew: a few times an objective.
	shareEvery = 500 * time.Millisecond
	// shareMemory is how long what a tenant asks for is remembered. Half as much would take two requests in a row for a flood.
	shareMemory = 20 * time.Second
	// credits is how many requests of usual size a tenant may be behind its fair rate and have at once: one that asks at random for nine
	// tenths of its share is refused half the time with one, one time in fifteen with eight, and one in seventy with twenty. With a hundred,
	// whoever comes back from a night would fill the line.
	credits = 20
	// returnCredits is how many requests a tenant may be ahead of its fair rate for one of its own to be let in that comes when it was told
	// to: newcomers may have taken its turn meanwhile. With more, a tenant that obeys would have its share by that alone.
	returnCredits = 4
	// debtMost bounds what a tenant is ahead of its fair rate by what it had while nobody else wanted it: as long as RetryAfter can be.
	debtMost = time.Minute
)

// shares is the fair rate of one class.
type shares struct {
	callers []*queue // those that offered something of late
	rate    float64  // work a second for one of weight; +Inf where nobody is held to it
	found   instant
	scratch []demand
}

type demand struct{ offered, weight float64 }

// call notes that q offers work.
func (c *class) call(t instant, q *queue, work float64) {
	q.offered.time = shareMemory
	q.offered.add(t, work)
	if !q.calls {
		q.calls = true
		c.shares.callers = append(c.shares.callers, q)
	}
}

// find is the fair rate at a capacity of work a second.
func (s *shares) find(t instant, capacity float64) float64 {
	if s.found > 0 && t-s.found < shareEvery {
		return s.rate
	}
	s.found = max(t, 1)
	s.scratch = s.scratch[:0]
	kept := s.callers[:0]
	total := 0.0
	for _, q := range s.callers {
		o := q.offered.now(t)
		if t-q.offered.at > 3*shareMemory {
			q.calls = false
			continue
		}
		kept = append(kept, q)
		s.scratch = append(s.scratch, demand{o, q.weight})
		total += o
	}
	clear(s.callers[len(kept):])
	s.callers = kept
	least := never // a debt that all have is none: it would refuse everybody, and nobody would have the places
	for _, q := range kept {
		least = min(least, q.paid)
	}
	if least != never && least > t {
		for _, q := range kept {
			q.paid -= least - t
			q.class.fix(q)
		}
	}
	if total <= capacity || len(kept) < 2 {
		s.rate = math.Inf(1)
		return s.rate
	}
	s.rate = fill(s.scratch, capacity)
	return s.rate
}

// fill is the rate at which all together take capacity, which is less than they want: by steps from below, each of which ends where the
// next tenant has what it wants, or later.
func fill(list []demand, capacity float64) float64 {
	rate := 0.0
	for range 64 {
		taken, weights := 0.0, 0.0
		for _, d := range list {
			if d.offered > rate*d.weight {
				taken, weights = taken+rate*d.weight, weights+d.weight
			} else {
				taken += d.offered
			}
		}
		if weights == 0 || capacity-taken < capacity*1e-6 {
			break
		}
		rate += (capacity - taken) / weights // no more than needed: those that want less only make it more
	}
	return rate
}

// contended reports whether tenants of the class are held to a fair rate.
func (c *class) contended(t instant, g *Gate) bool {
	rate := g.rate()
	return rate > 0 && !math.IsInf(c.shares.find(t, rate*g.left(c, rate, false)), 1)
}

// take charges q for work that was let in.
func (c *class) take(t instant, q *queue, work, typical float64) {
	rate := c.shares.rate * q.weight
	if rate <= 0 || math.IsInf(rate, 1) {
		q.paid = 0
		c.fix(q)
		return
	}
	q.paid = max(q.paid, t-seconds(credits*typical/rate)) + seconds(work/rate)
	q.paid = min(q.paid, t+debtMost)
	c.fix(q)
}

func seconds(s float64) time.Duration { return time.Duration(min(s, 1e6) * float64(time.Second)) }
