package main

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// # A flood, and what of it is counted
//
// A flood is one schedule: calmBefore at half the capacity, in which a server learns what it needs to; then seconds at factor times the
// capacity; then calmAfter at half of it. Half the capacity is always of the top class, which could be served whole all along: what it loses, it
// loses to the others. A tenth is of batch, which has no objective, and the rest is standard.
//
//   - Goodput is counted from the fifth second of the flood to its last: before, answers end that began in the calm.
//   - The top class's share is its good answers of those that it was offered in that time. Weir's is compared with that of a run of the
//     top class alone. Others have no classes: at half the capacity alone, all of it is good with each of them.
//   - The flood is over for a client when all goes well again: recovery is the time from the flood's end to the first second after which
//     for calmClean seconds no answer was late, none refused and none failed. Late answers count when they end, so it is an upper bound.
const (
	calmShare  = 0.5 // of the capacity, before and after
	topShare   = 0.5 // of the capacity, at all times
	batchShare = 0.1 // of the flood
	calmBefore = 10  // seconds
	calmAfter  = 30
	calmClean  = 5
	settling   = 5
	aloneMost  = 30 // seconds of a run of the top class alone
)

const (
	classTop      = "interactive"
	classStandard = "standard"
	classBatch    = "batch"
)

// outcome is what one flood showed.
type outcome struct {
	Factor   float64 `json:"factor"`
	Seconds  int     `json:"seconds"`
	Capacity float64 `json:"capacity_per_second"` // under the same refused load
	Offered  float64 `json:"offered_per_second"`
	Goodput  float64 `json:"good_per_second"`
	Share    float64 `json:"share_of_capacity"`
	Top      float64 `json:"top_class_good_share"` // of what it was offered
	TopAlone float64 `json:"top_class_good_share_alone,omitempty"`
	Refused  int64   `json:"refused"`
	Late     int64   `json:"late"`
	Failed   int64   `json:"failed"`
	P50      float64 `json:"refusal_p50_ms"`
	P99      float64 `json:"refusal_p99_ms"`
	Recovery float64 `json:"recovery_seconds"` // -1: not before the run's end
	Lag      float64 `json:"generator_lag_p99_ms"`
	Cores    float64 `json:"generator_cores"`
	Idle     *idle   `json:"idle,omitempty"` // weir's gate, as its metrics tell
	Why      string  `json:"why,omitempty"`  // the most frequent refusal or failure
	Fault    string  `json:"fault,omitempty"`
}

// classes are the shares of a flood's requests.
func classes(factor float64) string {
	top := topShare / factor
	return fmt.Sprintf("%s=%.4f,%s=%.4f,%s=%.4f", classTop, top, classStandard, 1-top-batchShare, classBatch, batchShare)
}

// stepShape is the flood in weir flood's words.
func stepShape(times float64, from, lasts int) string {
	return fmt.Sprintf("step:%sx:%ds-%ds", strconv.FormatFloat(times, 'f', 3, 64), from, from+lasts)
}

// planFlood is the load of a flood on a capacity.
func planFlood(g generated, capacity, factor float64, seconds int) generated {
	g.rate, g.shape = capacity*calmShare, stepShape(factor/calmShare, calmBefore, seconds)
	g.classes, g.warm, g.lasts = classes(factor), calmBefore*time.Second, time.Duration(calmBefore+seconds+calmAfter)*time.Second
	return g
}

// readFlood counts.
func readFlood(r *report, factor float64, seconds int, capacity float64) outcome {
	o := outcome{Factor: factor, Seconds: seconds, Capacity: capacity, Refused: r.Total.Refused, Late: r.Total.Late, Failed: r.Total.Failed,
		P50: r.Total.Refusal.P50, P99: r.Total.Refusal.P99, Lag: r.Generator.Lag.P99, Cores: r.Generator.Cores}
	all := sum(r.Series.All, settling, seconds)
	n := float64(seconds - settling)
	o.Offered, o.Goodput = all.Offered/n, all.Good/n
	if capacity > 0 {
		o.Share = o.Goodput / capacity
	}
	for _, c := range r.Series.Classes {
		if c.Name != classTop {
			continue
		}
		if s := sum(c.Rows, settling, seconds); s.Offered > 0 {
			o.Top = s.Good / s.Offered
		}
	}
	o.Recovery = recovery(r.Series.All, seconds, seconds+calmAfter)
	var most int64
	for _, why := range append(r.Refusals, r.Failures...) {
		if why.Count > most {
			most, o.Why = why.Count, why.Label
		}
	}
	return o
}

// sum adds the rows from one second to another.
func sum(rows []tick, from, to int) tick {
	var s tick
	for i := from; i < min(to, len(rows)); i++ {
		s.Offered += rows[i].Offered
		s.Good += rows[i].Good
		s.Late += rows[i].Late
		s.Refused += rows[i].Refused
		s.Failed += rows[i].Failed
	}
	return s
}

// recovery is in seconds from the flood's end, -1 where it did not come before the end of the schedule.
func recovery(rows []tick, from, to int) float64 {
	clean := 0
	for i := from; i < min(to, len(rows)); i++ {
		if t := rows[i]; t.Late+t.Refused+t.Failed > 0 {
			clean = 0
			continue
		}
		if clean++; clean == calmClean {
			return math.Max(0, float64(i+1-calmClean-from))
		}
	}
	return -1
}
