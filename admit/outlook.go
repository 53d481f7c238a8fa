package admit

import (
	"math"
	"time"
)

// How soon places come free. A rate says how many do in the mean; but a flood fills an idle engine at once, answers of one length that began
// together end together, and what comes just after they began finds no place for as long as they take. So for each request that runs there
// is an expectation of its end, from its work and how long work has kept a place of late, and how far off such expectations have been says
// what it is worth: where lengths are all alike it is nearly a date, where nothing is known of them it says no more than the rate.

const (
	// offPrior is how far off the expectations of an endpoint are taken to be before any was seen, as a part of them: as far as those of
	// answers of unknown length, for which it is all the same how long they have run.
	offPrior = 1.0
	// offBlind is how far off expectations are where an end is as likely at any time (2/e of the mean): so much is believed of that.
	offBlind = 0.74
	// offShare moves that with each answer that ends: some twenty count.
	offShare = 0.05
	// offLeast keeps an expectation from being a date: engines hesitate.
	offLeast = 0.02
	// logistic turns a mean distance into the scale of a logistic distribution: 2 ln 2.
	logistic = 1.386
	// outlookKeep is how long what was found of the ends to come is good: a hundredth of an objective, in which nothing changes for those who
	// do not come or go.
	outlookKeep = 20 * time.Millisecond
)

// pace is how long work keeps a place there; nil where nothing is known.
func (s *station) pace() *pace {
	p := &s.busy
	if p.samples < pacesLeast {
		p = &s.calm
	}
	if p.samples == 0 || p.seconds <= 0 || p.prompt+p.output <= 0 {
		return nil
	}
	return p
}

// pacesSure is how many requests must have ended that were sent while others waited for how long they took to be all that counts. Before, it
// is those of a calm, when few ran together and each was fast: at the beginning of a flood a place would be promised for then.
const pacesSure = 6

// take is how long so much keeps a place, in seconds; 0 where nothing is known.
func (s *station) take(w parts, weight float64) float64 {
	v := 0.0
	if p := s.pace(); p != nil {
		v = p.seconds * w.work(weight) / p.work(weight)
	}
	if d := s.facts.DecodeSeconds; d != nil && s.facts.Slots > 0 && s.busy.samples < pacesSure {
		v = max(v, s.facts.PrefillSeconds*w.prompt+d(max(int(s.limit), 1))*w.output)
	}
	return v
}

// ended learns from how long x took.
func (s *station) ended(took time.Duration, x *entry) {
	if d := s.take(x.parts(), x.decode); d > 0 {
		s.off += offShare * (min(math.Abs(took.Seconds()-d)/d, 1) - s.off)
	}
}

// frees is how many of its places are likely to come free within a time.
func (s *station) frees(t instant, within time.Duration) float64 {
	n, h, blind := 0.0, within.Seconds(), min(s.off/offBlind, 1)
	for _, x := range s.runs {
		d := s.take(x.parts(), x.decode)
		scale := max(s.off, offLeast) * d / logistic
		age := (t - x.dispatched).Seconds()
		// Of a logistic distribution around d, what is left of it at its age and ends within h: far behind d it is an exponential one.
		left := math.Exp(-h / scale)
		if past := (age - d) / scale; past < 30 {
			left = (1 + math.Exp(past)) / (1 + math.Exp(min(past+h/scale, 500)))
		}
		n += blind*(1-math.Exp(-h/d)) + (1-blind)*(1-left)
	}
	return n
}

// outlook is how many places come free until each of some moments, as of a moment.
type outlook struct {
	at    instant
	made  bool
	blind bool    // nothing is known but the rate
	span  float64 // seconds until the last of them
	frees [outlookSteps + 1]float64
}

// outlookSteps is how many moments of an objective are looked at: with an eighth, it is known to a quarter of a second for people.
const outlookSteps = 8

// outlookTimes is how many times the longest answer is looked at where the objective is longer: then all that run have ended, and what comes
// after them comes at the rate.
const outlookTimes = 2

// outlookMost is how many may run for each to be looked at: where more do, some end at any time, and all that is to be known is the rate.
const outlookMost = 64

// outlook gives what is known of the ends to come; nil where that is the rate alone.
func (g *Gate) outlook(t instant) *outlook {
	o := &g.ahead
	if o.made && t-o.at <= outlookKeep {
		return o.told()
	}
	*o = outlook{at: t, made: true, blind: true}
	running, longest := 0, 0.0
	for _, s := range g.stations {
		if s.facts.Usable {
			if s.facts.Slots <= 0 || s.pace() == nil {
				return nil // some of what it holds may stand in a line of its own
			}
			if running += s.running; running > outlookMost {
				return nil
			}
			for _, x := range s.runs {
				longest = max(longest, s.take(x.parts(), x.decode))
			}
		}
	}
	if o.span = min(g.config.ttft().Seconds(), outlookTimes*longest); o.span <= 0 {
		return nil
	}
	o.blind = false
	for k := 1; k <= outlookSteps; k++ {
		within := time.Duration(o.span * float64(k) / outlookSteps * float64(time.Second))
		for _, s := range g.stations {
			if s.facts.Usable {
				o.frees[k] += s.frees(t, within)
			}
		}
	}
	return o
}

func (o *outlook) told() *outlook {
	if o.blind {
		return nil
	}
	return o
}

// when is the wait that a wait at the rate, of one place each so many seconds, really is.
func (o *outlook) when(wait, one float64) float64 {
	if o == nil || one <= 0 {
		return wait
	}
	n := max(wait/one-0.5, 0) // of the last that is waited for, the half of what is likely of its end: where all that run must end it is never sure
	for k := 1; k <= outlookSteps; k++ {
		if a, b := o.frees[k-1], o.frees[k]; b >= n && b > a {
			return o.span / outlookSteps * (float64(k-1) + (n-a)/(b-a))
		}
	}
	last := outlookSteps
	for last > 1 && o.frees[last]-o.frees[last-1] < 0.02*o.frees[last] {
		last-- // by then all that run have ended
	}
	return max(o.span/outlookSteps*float64(last)+(n-o.frees[outlookSteps])*one, wait)
}
