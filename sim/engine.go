package sim

import (
	"slices"
	"time"

	"github.com/weir-ai/weir/llm"
)

// Speed is an engine's cost model: a step computes one token of every running answer and a piece of the prompts that wait, and takes
// Step + answers * Answer + prompt tokens * Prefill seconds. Measured engines keep to it within some ten percent, vLLM on GPUs as well
// as Weir's own engine on a CPU; what it leaves out is the growth of attention with the length of the context.
type Speed struct {
	Prefill float64 // seconds of one prompt token
	Step    float64 // seconds of a step besides
	Answer  float64 // seconds of one more running answer in a step
	Chunk   int     // prompt tokens of a step at most
	Slots   int     // answers that are computed together
	Cache   int     // blocks of its prefix cache
	Block   int     // tokens of one
}

// Large is a model of 70 B on four cards of 80 GB: 4,000 prompt tokens a second, 30 tokens a second of one answer.
func Large() Speed {
	return Speed{Prefill: 1.0 / 4000, Step: 0.030, Answer: 0.0004, Chunk: 2048, Slots: 256, Block: 512}
}

// Slower is the same engine on a machine that takes times as long for everything.
func (s Speed) Slower(times float64) Speed {
	s.Prefill, s.Step, s.Answer = s.Prefill*times, s.Step*times, s.Answer*times
	return s
}

// Fault makes an engine fail: it gives what goes wrong with a visit and after how long, or FaultNone.
type Fault func(now time.Duration) (llm.Fault, time.Duration)

// Engine is a simulated engine with continuous batching: prompts wait in order of arrival, are computed in chunks beside the running
// answers, and are looked up in the prefix cache when their turn comes. What can go wrong with it is in weather.go.
type Engine struct {
	speed   Speed
	clock   *Clock
	cache   *Cache
	fault   Fault
	weather weather
	waiting []*visit       // prompts not yet computed whole, in their order
	coming  map[uint64]int // blocks of those, and how many prompts have each
	active  []*visit       // answers
	spare   []*visit       // room for the next active

	began time.Duration // of the steps under way
	each  time.Duration // how long one of them takes; 0 where the engine is idle
	steps int           // how many they are: several only where no prompt waits
	chunk []part        // of prompts, in the one step
	run   int           // counts them: an end that was called off is known by it
	left  bool          // somebody is gone whose place is to be cleared

	backlog int           // prompt tokens that are yet to be computed
	since   time.Duration // backlog was this much
	area    float64       // integral of backlog over time, in token seconds
	busy    float64       // seconds in which it computed
	made    int           // tokens of answers, all together
	most    int           // answers that ran together at most
	changed func()        // called when backlog has changed
}

// part is a piece of a prompt in a step.
type part struct {
	v      *visit
	tokens int
}

// visit is one request's time at an engine.
type visit struct {
	job    *Job
	left   int  // prompt tokens to compute; -1 before its turn
	owed   int  // of them, counted in the engine's backlog
	hits   int  // blocks that it found
	output int  // tokens of the answer to come
	cut    bool // it ends in a broken stream once those have come
	gone   bool // its client left, or its engine died: nobody is told of it any more
	first  func()
	grew   func(tokens int) // so many more tokens came, behind the first; may be nil
	ended  func(llm.Fault)
}

// NewEngine makes an idle one.
func NewEngine(clock *Clock, s Speed, f Fault) *Engine {
	return &Engine{speed: s, clock: clock, cache: NewCache(s.Cache), fault: f, coming: map[uint64]int{}, changed: func() {}}
}

// submit takes a request. The visit's functions are called as it goes on.
func (e *Engine) submit(v *visit) {
	v.left, v.output = -1, v.job.Output
	if e.turnedAway(v) {
		return
	}
	e.owe(v, e.expected(v.job))
	e.waiting = append(e.waiting, v)
	for _, b := range v.job.Blocks {
		e.coming[b]++
	}
	if e.each == 0 {
		e.start()
		return
	}
	e.interrupt() // the prompt's first chunk goes into the next step
}

// interrupt has the steps under way end with the present one.
func (e *Engine) interrupt() {
	if e.steps > 1 {
		e.steps = min(e.steps, int((e.clock.now-e.began)/e.each)+1)
		e.schedule()
	}
}

// leave takes a visit off: its client is gone. An engine notices between two steps.
func (e *Engine) leave(v *visit) {
	v.gone, e.left = true, true
	e.interrupt()
}

// clear drops those who are gone.
func (e *Engine) clear() {
	if !e.left {
		return
	}
	e.left = false
	gone := func(v *visit) bool { return v.gone }
	for _, v := range e.waiting {
		if v.gone {
			e.owe(v, 0)
			e.came(v)
		}
	}
	e.waiting = slices.DeleteFunc(e.waiting, gone)
	e.active = slices.DeleteFunc(e.active, gone)
}

// came takes a prompt's blocks off those that are to come.
func (e *Engine) came(v *visit) {
	for _, b := range v.job.Blocks {
		if e.coming[b]--; e.coming[b] == 0 {
			delete(e.coming, b)
		}
	}
}

// expected is how many tokens of a prompt the engine will compute when its turn comes: those of blocks that are neither in its cache nor
// in a prompt that waits before it.
func (e *Engine) expected(j *Job) int {
	n := e.cache.Match(j.Blocks)
	for n < len(j.Blocks) && e.coming[j.Blocks[n]] > 0 {
		n++
	}
	return max(j.Prompt-n*e.speed.Block, 1)
}

// owe sets how much of the backlog is v's.
func (e *Engine) owe(v *visit, tokens int) {
	e.area += float64(e.backlog) * (e.clock.now - e.since).Seconds()
	e.since = e.clock.now
	e.backlog += tokens - v.owed
	v.owed = tokens
	e.changed()
}

// start plans the next steps.
func (e *Engine) start() {
	e.clear()
	e.chunk = e.chunk[:0]
	room, tokens := e.speed.Slots-len(e.active), 0
	for _, v := range e.waiting {
		if tokens >= e.speed.Chunk || len(e.chunk) >= room {
			break
		}
		if v.left < 0 {
			v.hits = e.cache.Match(v.job.Blocks)
			v.left = max(v.job.Prompt-v.hits*e.speed.Block, 1) // the last token is always computed
			e.owe(v, v.left)
		}
		n := min(v.left, e.speed.Chunk-tokens)
		e.chunk = append(e.chunk, part{v, n})
		tokens += n
	}
	e.each, e.steps = 0, 1
	if len(e.chunk) == 0 && len(e.active) == 0 {
		return
	}
	if len(e.chunk) == 0 {
		e.steps = e.active[0].output
		for _, v := range e.active {
			e.steps = min(e.steps, v.output)
		}
	}
	e.began = e.clock.now
	e.each = time.Duration(e.weather.slowed() * (e.speed.Step + e.speed.Answer*float64(len(e.active)) + e.speed.Prefill*float64(tokens)) * float64(time.Second))
	e.schedule()
}

func (e *Engine) schedule() {
	e.run++
	run := e.run
	e.clock.At(e.began+time.Duration(e.steps)*e.each, func() {
		if run == e.run {
			e.end()
		}
	})
}

// end settles the steps that are over, and then tells everybody: who hears of it may send the engine more.
func (e *Engine) end() {
	e.busy += (e.clock.now - e.began).Seconds()
	e.clear()
	grown, steps := e.active, e.steps
	var begun, done []*visit
	running := e.spare[:0]
	for _, v := range e.active {
		v.output -= steps
		e.made += steps
		if v.output > 0 {
			running = append(running, v)
		} else {
			done = append(done, v)
		}
	}
	for _, p := range e.chunk {
		if p.v.gone {
			continue
		}
		p.v.left -= p.tokens
		e.owe(p.v, p.v.left)
		if p.v.left > 0 {
			continue
		}
		e.waiting = e.waiting[1:] // chunks are cut in order
		e.cache.Add(p.v.job.Blocks)
		e.came(p.v)
		begun = append(begun, p.v)
		p.v.output--
		e.made++
		if p.v.output > 0 {
			running = append(running, p.v)
		} else {
			done = append(done, p.v)
		}
	}
	e.active, e.spare = running, e.active
	e.most = max(e.most, len(running))
	e.tell(begun, grown, done, steps)
	e.start()
}

// tell calls the functions of those to whom something has happened.
func (e *Engine) tell(begun, grown, done []*visit, steps int) {
	for _, v := range grown {
		if v.grew != nil && !v.gone {
			v.grew(steps)
		}
	}
	for _, v := range begun {
		if !v.gone {
			v.first()
		}
	}
	for _, v := range done {
		switch {
		case v.gone:
		case v.cut:
			v.ended(llm.FaultCut)
		default:
			v.ended(llm.FaultNone)
		}
	}
}

// firstIn is the exact time to the first token of a request that would come now, but for answers that end or begin until then: what an
// oracle knows.
func (e *Engine) firstIn(j *Job) time.Duration {
	tokens := e.backlog + e.expected(j)
	rest := time.Duration(0)
	if e.each > 0 {
		rest = e.each - (e.clock.now-e.began)%e.each
		for _, p := range e.chunk {
			tokens -= p.tokens
		}
	}
	steps := (tokens + e.speed.Chunk - 1) / e.speed.Chunk
	seconds := float64(steps)*(e.speed.Step+e.speed.Answer*float64(len(e.active))) + e.speed.Prefill*float64(tokens)
	return rest + time.Duration(seconds*float64(time.Second))
}
