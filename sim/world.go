package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/route"
)

// World is a fleet of simulated engines behind one way of choosing among them.
type World struct {
	clock     Clock
	engines   []*Engine
	endpoints []*fleet.Endpoint
	policy    Policy
	results   []Result
	visits    []int         // by engine
	peak      float64       // integral of the largest backlog over time, in token seconds
	since     time.Duration // the largest was this much
	largest   int
}

// Site is one engine of a world.
type Site struct {
	Speed  Speed
	Weight float64
	Fault  Fault
}

// Result is how one job went.
type Result struct {
	Engine int           // that answered it
	Wait   time.Duration // from its coming to its first token
	Took   time.Duration // to its end
	Hits   int           // blocks of its prompt that were not computed again
	Visits int           // at engines
	Fault  llm.Fault     // of the last, where it failed
}

// attempt is one request on its way through the fleet.
type attempt struct {
	job    *Job
	at     int // in results
	tried  []int
	engine int
	pick   route.Pick // for a policy that needs it at the end
	cached int        // prompt tokens that the policy takes the engine to have
	began  time.Duration
}

// Policy chooses engines.
type Policy interface {
	// pick chooses an engine for a.job that is not in a.tried, and sets a.engine.
	pick(w *World, a *attempt) bool
	// ended hears how a visit ended.
	ended(w *World, a *attempt, f llm.Fault)
	// again reports whether the job is sent again after a failed visit, and when.
	again(w *World, a *attempt) (time.Duration, bool)
}

// NewWorld makes one.
func NewWorld(policy Policy, sites ...Site) *World {
	w := &World{policy: policy, visits: make([]int, len(sites))}
	for i, s := range sites {
		e := fleet.New(fleet.Spec{ID: llm.EndpointID(fmt.Sprintf("e%02d", i)), Slots: s.Speed.Slots, Weight: s.Weight})
		e.Learn(fleet.About{Kind: "sim", Cache: s.Speed.Cache * s.Speed.Block}, fleet.ContinuesNot)
		e.SetHealth(Epoch, fleet.StateUp, "")
		w.endpoints = append(w.endpoints, e)
		engine := NewEngine(&w.clock, s.Speed, s.Fault)
		engine.changed = w.watch
		w.engines = append(w.engines, engine)
	}
	return w
}

// Run plays the jobs and gives what came of each, in their order.
func (w *World) Run(jobs []Job) []Result {
	w.results = make([]Result, len(jobs))
	next := 0
	var arrive func()
	arrive = func() { // one event ahead, so that the heap stays small
		a := &attempt{job: &jobs[next], at: next}
		if next++; next < len(jobs) {
			w.clock.At(jobs[next].At, arrive)
		}
		w.send(a)
	}
	if len(jobs) > 0 {
		w.clock.At(jobs[0].At, arrive)
	}
	w.clock.Run()
	return w.results
}

// send has a job visit an engine.
func (w *World) send(a *attempt) {
	a.cached = 0
	if !w.policy.pick(w, a) {
		return // what it failed of last stays its result
	}
	a.began = w.clock.now
	w.visits[a.engine]++
	r := &w.results[a.at]
	r.Visits++
	r.Engine = a.engine
	flight := w.endpoints[a.engine].Begin(w.clock.Time(), a.job.Prompt-a.cached)
	v := &visit{job: a.job}
	v.first = func() {
		flight.First(w.clock.Time())
		r.Wait, r.Hits = w.clock.now-a.job.At, v.hits
	}
	v.ended = func(f llm.Fault) {
		tokens := a.job.Output
		if f != llm.FaultNone {
			tokens = 0
		}
		flight.End(w.clock.Time(), tokens)
		w.policy.ended(w, a, f)
		r.Took, r.Fault = w.clock.now-a.job.At, f
		if f == llm.FaultNone {
			return
		}
		a.tried = append(a.tried, a.engine)
		if wait, ok := w.policy.again(w, a); ok {
			w.clock.At(w.clock.now+wait, func() { w.send(a) })
		}
	}
	w.engines[a.engine].submit(v)
}

// watch keeps the integral of the largest backlog.
func (w *World) watch() {
	w.peak += float64(w.largest) * (w.clock.now - w.since).Seconds()
	w.since, w.largest = w.clock.now, 0
	for _, e := range w.engines {
		w.largest = max(w.largest, e.backlog)
	}
}

// Summary is what a run comes to.
type Summary struct {
	Hits      float64 // share of the prompts' blocks that were not computed again
	Imbalance float64 // max over mean of the engines' backlogs, each averaged over time
	Peak      float64 // mean over time of the largest backlog, over the mean of all
	P50, P99  time.Duration
	Failed    int     // jobs
	Visits    float64 // per job
	Busy      float64 // share of the time in which engines computed
}

// Summary sums up what Run gave. A backlog is the prompt tokens that are at an engine and not yet computed, less those that it has in
// its cache: what the engine knows, not what the router believes. Imbalance compares the engines' time averages: at one moment, one
// prompt of 100,000 tokens is more than a mean load, wherever it is; Peak tells of that.
func (w *World) Summary(jobs []Job, results []Result) Summary {
	var s Summary
	hits, all, visits := 0, 0, 0
	var waits []time.Duration
	for i, r := range results {
		hits += r.Hits
		all += len(jobs[i].Blocks)
		visits += r.Visits
		if r.Fault != llm.FaultNone || r.Visits == 0 {
			s.Failed++
			continue
		}
		waits = append(waits, r.Wait)
	}
	s.Hits = float64(hits) / float64(max(all, 1))
	s.Visits = float64(visits) / float64(max(len(results), 1))
	if len(waits) > 0 {
		slices.Sort(waits)
		s.P50, s.P99 = waits[len(waits)/2], waits[len(waits)*99/100]
	}
	most, sum := 0.0, 0.0
	for _, e := range w.engines {
		most, sum = max(most, e.area), sum+e.area
		s.Busy += e.busy / w.clock.now.Seconds() / float64(len(w.engines))
	}
	if sum > 0 {
		mean := sum / float64(len(w.engines))
		s.Imbalance, s.Peak = most/mean, w.peak/mean
	}
	return s
}
