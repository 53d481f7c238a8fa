package admit

import "time"

// Rung is what is predicted on one variant of a model, best variant first in a list.
type Rung struct {
	Start   time.Duration // until it starts
	TTFT    time.Duration // until its first token
	OK      bool          // it would be let in
	Quality float64       // the variant's score, in whatever unit the policy's floor has
}

// Ladder decides which variant of a model answers those who allow it. It goes down at once, because a miss cannot wait, and up slowly,
// because what made it full comes back when it is tried too soon. It belongs to one goroutine at a time.
type Ladder struct {
	Dwell time.Duration // how long a better rung must look well before it is used again; 0 is 5 s
	Up    float64       // the part of the objective within which it looks well; 0 is a half

	rung  int
	since time.Time // when the rung above began to look well; zero where it does not
}

const (
	// ladderDwell is some objectives: with one, a rung would be left and taken with every burst; with a minute, people would have the lesser
	// model for a minute after each.
	ladderDwell = 5 * time.Second
	// ladderUp leaves room for those who come up to wait: at 0.9 they would fill it at once, and at 0.1 a busy rung would never be used.
	ladderUp = 0.5
)

// Rung is the one in use.
func (l *Ladder) Rung() int { return l.rung }

// Choose gives the index of the rung for a request: the one in use, unless its objective would be missed there and another's would not.
// Rungs whose quality is below floor are not used. Where all miss, it is the one in use still, or the last that is good enough.
func (l *Ladder) Choose(now time.Time, rungs []Rung, objective time.Duration, floor float64) int {
	last := 0
	for i := range rungs {
		if rungs[i].Quality >= floor {
			last = i
		}
	}
	l.climb(now, rungs, objective)
	at := min(l.rung, last)
	if len(rungs) == 0 || meets(rungs[at], objective) {
		return at
	}
	for i := at + 1; i <= last; i++ {
		if rungs[i].Quality >= floor && meets(rungs[i], objective) {
			l.rung, l.since = i, time.Time{}
			return i
		}
	}
	for i := at - 1; i >= 0; i-- { // none below does: what has room above is better than a refusal, and changes nothing
		if rungs[i].Quality >= floor && meets(rungs[i], objective) {
			return i
		}
	}
	return at
}

func meets(r Rung, objective time.Duration) bool {
	return r.OK && (objective <= 0 || r.TTFT <= objective)
}

// climb goes up one rung once it has looked well for long enough.
func (l *Ladder) climb(now time.Time, rungs []Rung, objective time.Duration) {
	l.rung = max(min(l.rung, len(rungs)-1), 0)
	if l.rung == 0 {
		return
	}
	dwell, up := l.Dwell, l.Up
	if dwell == 0 {
		dwell = ladderDwell
	}
	if up == 0 {
		up = ladderUp
	}
	if above := rungs[l.rung-1]; !above.OK || objective > 0 && above.TTFT > scale(objective, up) {
		l.since = time.Time{}
		return
	}
	if l.since.IsZero() {
		l.since = now
	}
	if now.Sub(l.since) >= dwell {
		l.rung, l.since = l.rung-1, time.Time{}
	}
}
