package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/weir-ai/weir/llm"
)

// Report is what one probe of an endpoint found.
type Report struct {
	State     State // StateDown is a failed probe; StateUnknown is an endpoint that cannot be asked, which is no failure
	Reason    string
	About     About // empty where this probe did not find out
	Load      Load  // begin with UnknownLoad: what the probe did not find is -1; Watch sets At
	Continues Continues
}

// Prober asks an endpoint how it is. Probe returns soon after ctx ends, and is called by one goroutine at a time.
type Prober interface {
	Probe(ctx context.Context) Report
}

// WatchListener is told what a Watcher finds, on the goroutines of its probes. It must not stop the Watcher.
type WatchListener struct {
	// Changed is told each change of an endpoint's state, and of the reason why it is not up: old and new are then the same.
	Changed func(model llm.ModelID, endpoint llm.EndpointID, old, new State, reason string)
}

// WatchOptions say how endpoints are watched. The zero value is usable.
type WatchOptions struct {
	Interval time.Duration // between two probes of one endpoint; 0 is 2 s
	Rest     time.Duration // the longest between two probes of one that is down; 0 is 30 s
	Timeout  time.Duration // of one probe; 0 is 5 s
	Probes   int           // at once, over all endpoints; 0 is 256
	Prober   func(*Endpoint) Prober
	Listener WatchListener
}

const (
	// watchInterval is for the load that endpoints report. Our own requests are counted as they go, so that a report only adds what
	// others send there: below a second, a thousand endpoints would cost a core of reading metrics; at ten, a queue that others filled
	// would have emptied again before it is seen.
	watchInterval = 2 * time.Second
	// watchRest is how rarely one that stays down is asked: less would hammer a machine that is booting or a name that is gone; more
	// would leave one that came back idle for longer than its restart took.
	watchRest = 30 * time.Second
	// watchTimeout gives a busy engine time: a server that cuts a long prompt into tokens answers nothing else for a second or two, and
	// must not be taken for dead. A load older than 5 s would be of no use.
	watchTimeout = 5 * time.Second
	// watchProbes lets a thousand endpoints hang, each for 5 s of every 35, without keeping the others from being asked; each holds a
	// connection and some tens of KB.
	watchProbes = 256
	// downAfter is how many probes in a row must fail before one that was up is down: one may be lost on the way.
	downAfter = 2
	// startApart is the longest between the first probes of two endpoints: a small fleet is known at once, a large one is not asked in
	// one instant.
	startApart = 10 * time.Millisecond
)

func (o WatchOptions) withDefaults() WatchOptions {
	span := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	span(&o.Interval, watchInterval)
	span(&o.Rest, watchRest)
	span(&o.Timeout, watchTimeout)
	o.Rest = max(o.Rest, o.Interval)
	if o.Probes <= 0 {
		o.Probes = watchProbes
	}
	if o.Prober == nil {
		o.Prober = func(e *Endpoint) Prober { p, _ := e.Runner().(Prober); return p }
	}
	return o
}

// Watcher asks the endpoints of a fleet how they are. It owns one goroutine for each that can be asked.
type Watcher struct {
	fleet   *Fleet
	options WatchOptions
	slots   chan struct{} // one taken for each probe that runs
	running sync.WaitGroup
	mu      struct {
		sync.Mutex
		stopped bool
		watched map[*Endpoint]context.CancelFunc
	}
}

// Watch begins to ask every endpoint of f that has a Prober: by default, those whose Runner is one. It follows f as that changes, until
// Stop.
func Watch(f *Fleet, o WatchOptions) *Watcher {
	o = o.withDefaults()
	w := &Watcher{fleet: f, options: o, slots: make(chan struct{}, o.Probes)}
	w.mu.watched = map[*Endpoint]context.CancelFunc{}
	f.Changed(w.follow)
	w.follow()
	return w
}

// Stop ends all probes and waits for them. It may be called more than once; the fleet keeps what is known.
func (w *Watcher) Stop() {
	w.mu.Lock()
	w.mu.stopped = true
	for e, cancel := range w.mu.watched {
		cancel()
		delete(w.mu.watched, e)
	}
	w.mu.Unlock()
	w.running.Wait()
}

// follow starts what is new in the fleet and ends what is no more. It does not wait for a probe, so that a Set is never held up by an
// endpoint that hangs.
func (w *Watcher) follow() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.stopped {
		return
	}
	listed := map[*Endpoint]bool{}
	var fresh []*watched
	w.fleet.Each(func(model llm.ModelID, e *Endpoint) {
		if listed[e] {
			return // under two models: it is one endpoint, and asked once
		}
		listed[e] = true
		if _, known := w.mu.watched[e]; known {
			return
		}
		if p := w.options.Prober(e); p != nil {
			fresh = append(fresh, &watched{w: w, model: model, endpoint: e, prober: p})
		}
	})
	for e, cancel := range w.mu.watched {
		if !listed[e] {
			cancel()
			delete(w.mu.watched, e)
		}
	}
	apart := min(startApart, w.options.Interval/time.Duration(max(len(fresh), 1)))
	for i, v := range fresh {
		ctx, cancel := context.WithCancel(context.Background())
		w.mu.watched[v.endpoint] = cancel
		w.running.Go(func() { v.run(ctx, time.Duration(i)*apart) })
	}
}

// watched is one endpoint on its goroutine.
type watched struct {
	w        *Watcher
	model    llm.ModelID
	endpoint *Endpoint
	prober   Prober
	verdict  verdict
}

// run asks until ctx ends, first after wait.
func (v *watched) run(ctx context.Context, wait time.Duration) {
	o := v.w.options
	v.verdict.wasUp = v.endpoint.Facts(time.Now()).Health.State == StateUp // a watcher before this one saw it
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		select {
		case <-ctx.Done():
			return
		case v.w.slots <- struct{}{}:
		}
		r := v.probe(ctx)
		<-v.w.slots
		if ctx.Err() != nil {
			return // what a probe says that was called off is not the endpoint's doing
		}
		// A tenth more or less keeps a fleet, and the gateways before it, from falling into one beat.
		wait = time.Duration(float64(v.note(r)) * (0.9 + 0.2*rand.Float64()))
		timer.Reset(min(wait, o.Rest))
	}
}

// probe asks once. A Prober that panics, over an answer that nobody thought of, has failed; the process goes on.
func (v *watched) probe(ctx context.Context) (r Report) {
	ctx, cancel := context.WithTimeout(ctx, v.w.options.Timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			r = Report{State: StateDown, Reason: fmt.Sprintf("the probe failed inside Weir: %v", p)}
		}
	}()
	return v.prober.Probe(ctx)
}

// note writes down what a probe found and says how long to wait for the next.
func (v *watched) note(r Report) (wait time.Duration) {
	now, e := time.Now(), v.endpoint
	before := e.Facts(now).Health
	old := before.State
	state, wait := v.verdict.step(old, r.State, &v.w.options)
	if r.State != StateDown {
		if r.About.Kind != "" || len(r.About.Models) > 0 {
			e.Learn(r.About, r.Continues)
		}
		if l := r.Load; l.Waiting >= 0 || l.Running >= 0 || l.KVUsed >= 0 || l.Hits >= 0 {
			l.At = now
			e.Report(l)
		}
	}
	if r.State == StateDown && state != StateDown {
		return wait // one lost probe is not yet a reason for anything
	}
	changed := e.SetHealth(now, state, r.Reason) || state != StateUp && r.Reason != before.Reason && r.Reason != ""
	if changed && v.w.options.Listener.Changed != nil {
		v.w.options.Listener.Changed(v.model, e.ID(), old, state, r.Reason)
	}
	return wait
}

// verdict judges one endpoint by its last probes.
type verdict struct {
	wasUp  bool // ever
	failed int  // probes in a row
}

// step takes what a probe found of an endpoint whose state was old, and gives its state now and the time to the next probe. One good
// probe is enough to be up. One failed probe is enough to be down for an endpoint that was never up, downAfter of them for another.
func (v *verdict) step(old, found State, o *WatchOptions) (state State, wait time.Duration) {
	if found != StateDown {
		v.failed = 0
		v.wasUp = v.wasUp || found == StateUp
		return found, o.Interval
	}
	v.failed++
	need := downAfter
	if !v.wasUp {
		need = 1
	}
	if v.failed < need && old != StateDown {
		return old, o.Interval / 4 // asked again soon: a lost probe and a dead endpoint are told apart before many requests find out
	}
	wait = o.Interval
	for range min(max(v.failed-need, 0), 16) {
		wait = min(2*wait, o.Rest)
	}
	return StateDown, wait
}
