package admit

import (
	"cmp"
	"container/heap"
	"math"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// speed is a simulated engine's cost model: a step makes one token of every answer and computes a piece of the prompts that wait.
type speed struct {
	prefill, step, answer float64 // seconds of a prompt token, of a step, of one more answer in it
	chunk, slots          int
}

var (
	large  = speed{prefill: 1.0 / 4000, step: 0.030, answer: 0.0004, chunk: 2048, slots: 64}
	middle = speed{prefill: 1.0 / 2000, step: 0.010, answer: 0.002, chunk: 256, slots: 8}
	quick  = speed{prefill: 1e-7, step: 0.010, answer: 1e-5, chunk: 1 << 20, slots: 32} // its prompts cost nothing: only its slots bound it
	little = speed{prefill: 1.0 / 800, step: 0.025, answer: 0.006, chunk: 256, slots: 8}
)

// engine is a simulated engine with continuous batching and a line of its own.
type engine struct {
	w        *world
	id       llm.EndpointID
	speed    speed
	declared int // slots that it says; 0 for nothing
	usable   bool
	busyAt   int // answers with which it refuses more; 0 never
	waiting  []*job
	active   []*job
	stepping bool
	tokens   int
	peak     int // longest line of its own
}

// job is one request of the simulation.
type job struct {
	tenant         llm.TenantID
	class          llm.Class
	prompt, output int
	weight         float64
	arrived        time.Time // first
	obeys          bool
	print          uint64
	told           int // times it was told to come back
	ticket         Ticket
	e              *engine
	left, made     int
	sent, first    time.Time
	done           bool
	started        bool
	refused        llm.Reason
	pieces         bool
	owner          llm.TenantID // whose it is, where the gate is not told
}

type event struct {
	at  time.Time
	seq int
	do  func()
}

type events []event

func (h events) Len() int { return len(h) }
func (h events) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].seq < h[j].seq
}
func (h events) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *events) Push(x any)   { *h = append(*h, x.(event)) }
func (h *events) Pop() any     { o := *h; x := o[len(o)-1]; *h = o[:len(o)-1]; return x }

// world runs a gate in front of simulated engines in virtual time.
type world struct {
	t       testing.TB
	now     time.Time
	events  events
	seq     int
	gate    *Gate
	engines []*engine
	rng     *rand.Rand
	jobs    []*job // that ended
	changes []Change
	stepAt  time.Time
	noFacts bool

	firstReturns, admittedReturns int
	charged                       func(j *job, work float64) // sees service as it is given
}

func newWorld(t testing.TB, seed int64, c Config, speeds ...speed) *world {
	w := &world{t: t, now: start, rng: rand.New(rand.NewSource(seed)), gate: New(c)}
	for i, s := range speeds {
		w.engines = append(w.engines, &engine{w: w, id: llm.EndpointID(rune('a' + i)), speed: s, declared: s.slots, usable: true})
	}
	w.facts()
	return w
}

func (w *world) at(t time.Time, do func()) {
	w.seq++
	heap.Push(&w.events, event{t, w.seq, do})
}

func (w *world) after(d float64, do func()) {
	w.at(w.now.Add(time.Duration(d*float64(time.Second))), do)
}

// run goes on until d after the start.
func (w *world) run(d time.Duration) {
	end := start.Add(d)
	for len(w.events) > 0 && !w.events[0].at.After(end) {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.do()
		w.pump()
	}
	w.now = end
}

// pump calls Step as its owner must.
func (w *world) pump() {
	for n := 0; ; n++ {
		next := w.gate.Next()
		if next.IsZero() {
			return
		}
		if next.After(w.now) {
			if w.stepAt.IsZero() || next.Before(w.stepAt) || !w.stepAt.After(w.now) {
				w.stepAt = next
				w.at(next, func() { w.step() })
			}
			return
		}
		w.step()
		if n > 10_000 {
			w.t.Fatal("Next is not after now, whatever Step does")
		}
	}
}

func (w *world) step() {
	w.changes = w.gate.Step(w.now, w.place, w.changes[:0])
	for _, c := range w.changes {
		w.verdict(c.Owner.(*job), c.Verdict)
	}
}

func (w *world) facts() {
	if w.noFacts {
		return
	}
	list := []Endpoint{}
	for _, e := range w.engines {
		if !e.usable {
			continue
		}
		s := e.speed
		list = append(list, Endpoint{ID: e.id, Usable: true, Slots: e.declared, PrefillSeconds: s.prefill, Waiting: -1, Age: -1,
			DecodeSeconds: func(b int) float64 { return s.step + float64(b)*s.answer }})
	}
	w.gate.Endpoints(w.now, list)
}

func (w *world) place(_ *Entry, room func(llm.EndpointID) bool) (llm.EndpointID, error) {
	var best *engine
	for _, e := range w.engines {
		if e.usable && room(e.id) && (best == nil || len(e.waiting)+len(e.active) < len(best.waiting)+len(best.active)) {
			best = e
		}
	}
	if best == nil {
		return "", nil
	}
	return best.id, nil
}

// offer brings a job to the gate.
func (w *world) offer(j *job) {
	if j.arrived.IsZero() {
		j.arrived = w.now
	}
	if j.print == 0 {
		j.print = w.rng.Uint64()
	}
	e := Entry{Tenant: j.tenant, Weight: j.weight, Class: j.class, Prompt: j.prompt, Bytes: int64(j.prompt), Owner: j, Print: j.print, Whole: j.pieces}
	t, v := w.gate.Offer(w.now, e, w.place)
	j.ticket = t
	if j.told == 1 {
		w.firstReturns++
		if v.Started || v.Waiting {
			w.admittedReturns++
		}
	}
	w.verdict(j, v)
}

func (w *world) verdict(j *job, v Verdict) {
	switch {
	case v.Started:
		j.started = true
		j.sent = w.now
		if t := w.gate.Where(w.now, j.ticket); t != (llm.Queue{}) {
			w.t.Fatalf("one that started stands at %v", t)
		}
		for _, e := range w.engines {
			if e.id == v.Endpoint {
				e.submit(j)
			}
		}
	case v.Waiting:
	default:
		j.refused = v.Reason
		if v.Reason != "" && (v.RetryAfter < time.Second || v.RetryAfter > time.Minute) {
			w.t.Fatalf("Retry-After is %v", v.RetryAfter)
		}
		if j.obeys && j.told < 1 && j.refused != "" {
			k := *j
			k.told++
			k.arrived = time.Time{}
			whole := math.Ceil(v.RetryAfter.Seconds())
			w.after(whole, func() { w.offer(&k) })
		}
		w.jobs = append(w.jobs, j)
	}
}

// poisson offers jobs at a rate that may change, until the end.
func (w *world) poisson(rate func(time.Duration) float64, end time.Duration, each func() *job) {
	var next func()
	next = func() {
		if w.now.Sub(start) >= end {
			return
		}
		w.offer(each())
		w.after(w.rng.ExpFloat64()/max(rate(w.now.Sub(start)), 1e-3), next)
	}
	w.after(w.rng.ExpFloat64()/max(rate(0), 1e-3), next)
}

func (e *engine) submit(j *job) {
	if e.busyAt > 0 && len(e.active)+len(e.waiting) >= e.busyAt {
		e.w.after(0.002, func() {
			e.w.gate.Done(e.w.now, j.ticket, End{Fault: llm.FaultBusy})
			j.refused = "busy"
			e.w.jobs = append(e.w.jobs, j)
		})
		return
	}
	j.e, j.left = e, j.prompt
	e.waiting = append(e.waiting, j)
	e.peak = max(e.peak, len(e.waiting)+len(e.active)-e.speed.slots)
	if !e.stepping {
		e.step()
	}
}

func (e *engine) step() {
	room, chunk := e.speed.slots-len(e.active), e.speed.chunk
	tokens := 0
	var first []*job
	for _, j := range e.waiting {
		if room <= 0 || chunk == tokens {
			break
		}
		room--
		n := min(j.left, chunk-tokens)
		j.left -= n
		tokens += n
		if j.left == 0 {
			first = append(first, j)
		}
	}
	if tokens == 0 && len(e.active) == 0 {
		e.stepping = false
		return
	}
	e.stepping = true
	d := e.speed.step + float64(len(e.active))*e.speed.answer + float64(tokens)*e.speed.prefill
	e.w.after(d, func() { e.stepped(first) })
}

func (e *engine) stepped(first []*job) {
	w := e.w
	rest := e.active[:0]
	for _, j := range e.active {
		j.made++
		e.tokens++
		if j.made >= j.output {
			e.end(j)
			continue
		}
		w.gate.Tokens(w.now, j.ticket, j.made)
		rest = append(rest, j)
	}
	e.active = rest
	for _, j := range first {
		i := slices.Index(e.waiting, j)
		if i < 0 {
			continue // it died in the middle of the step
		}
		e.waiting = slices.Delete(e.waiting, i, i+1)
		j.first, j.made = w.now, 1
		if !j.pieces {
			w.gate.First(w.now, j.ticket, 0)
		}
		e.tokens++
		if j.made >= j.output {
			e.end(j)
			continue
		}
		e.active = append(e.active, j)
	}
	w.pump()
	e.step()
}

func (e *engine) end(j *job) {
	w := e.w
	j.done = true
	w.gate.Done(w.now, j.ticket, End{Prompt: j.prompt, Output: j.made})
	w.jobs = append(w.jobs, j)
}

// capacity is how many such jobs a second the engine does when it always has enough of them.
func (s speed) capacity(prompt, output float64) float64 {
	// In a second, n answers run; a step takes step + n*answer + the prompts of those that come in it.
	n := float64(s.slots)
	perStep := n / output // requests a step, when all slots are taken
	return perStep / (s.step + n*s.answer + perStep*prompt*s.prefill)
}

// good counts the jobs that met the objectives, of those that arrived in a span.
func (w *world) good(from, to time.Duration, which func(*job) bool) (good, started, all int) {
	for _, j := range w.jobs {
		a := j.arrived.Sub(start)
		if a < from || a >= to || which != nil && !which(j) {
			continue
		}
		all++
		if j.started {
			started++
		}
		if j.done && j.first.Sub(j.arrived) <= defaultTTFT {
			good++
		}
	}
	return
}

func count[K comparable](jobs []*job, key func(*job) K) map[K]int {
	m := map[K]int{}
	for _, j := range jobs {
		m[key(j)]++
	}
	return m
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K {
	var ks []K
	for k := range m {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	return ks
}
