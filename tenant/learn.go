package tenant

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/weir-ai/weir/llm"
)

// outputs learns how long the answers of one tenant and model are: the length that nine in ten do not pass, so that most reservations
// hold to the end, and few tokens are kept from others that are then not used. A higher one would reserve for the rarest answer each time.
//
// It is a histogram whose past fades: each answer weighs 1/200 more than the one before, so that the last few hundred count. A change in
// what a tenant asks is followed within a hundred answers, and one odd answer changes nothing.
type outputs struct {
	mu struct {
		sync.Mutex
		weights [outputSteps]float64 // by length
		total   float64
		next    float64 // what the next answer weighs
		count   int
	}
	likely atomic.Int64 // tokens
}

const (
	// outputUnknown is what is reserved for an answer nobody knows anything of: few chats are longer, and one that is grows.
	outputUnknown = 256
	// outputsFew is how many answers must have been seen: with fewer, the ninth of ten is none of them.
	outputsFew    = 16
	outputsFade   = 1.0 / 200
	outputsEach   = 8                    // the ninth of ten is looked for each so many answers: it moves slowly
	outputQuarter = 4                    // steps in a doubling: each length is known to a fifth, upwards
	outputSteps   = outputQuarter*20 + 1 // to a million tokens; longer ones count as that
	outputShare   = 0.9
)

// expect is how many tokens an answer will hardly pass.
func (o *outputs) expect() int64 {
	if v := o.likely.Load(); v > 0 {
		return v
	}
	return outputUnknown
}

// learn takes in the length of one answer, in tokens.
func (o *outputs) learn(tokens int) {
	if tokens <= 0 {
		return
	}
	step := int(math.Ceil(math.Log2(float64(tokens)) * outputQuarter))
	step = min(max(step, 0), outputSteps-1)
	o.mu.Lock()
	defer o.mu.Unlock()
	m := &o.mu
	if m.next == 0 {
		m.next = 1
	}
	m.weights[step] += m.next
	m.total += m.next
	m.next *= 1 + outputsFade
	if m.count++; m.count < outputsFew || m.count%outputsEach != 0 {
		return
	}
	if m.next > 1e12 { // long before the weights lose digits
		for i := range m.weights {
			m.weights[i] /= m.next
		}
		m.total, m.next = m.total/m.next, 1
	}
	sum := 0.0
	for i, w := range m.weights {
		if sum += w; sum >= outputShare*m.total {
			o.likely.Store(int64(math.Ceil(math.Exp2(float64(i) / outputQuarter))))
			return
		}
	}
}

// Estimator learns how far estimates of prompts are from the truth, a factor a model: an estimate by length knows neither the tokenizer
// nor the language. It is safe for concurrent use; the zero value is ready.
type Estimator struct {
	mu     sync.RWMutex
	models map[llm.ModelID]*factor
}

// factor is the mean of true over estimated prompt tokens, as bits of a float64.
type factor struct{ bits atomic.Uint64 }

const (
	// factorFade: the last some thirty prompts count.
	factorFade = 1.0 / 32
	// An estimate by length is at most four times off, from a code of many short tokens to a language of long ones; what is beyond
	// that is a mistake somewhere, and must not make every reservation absurd.
	factorLeast, factorMost = 0.25, 4.0
	// Shorter prompts are mostly chat template and would teach the wrong slope.
	factorPrompt = 16
	// factorModels bounds the names; further models share one factor. Nobody serves more.
	factorModels = 1_000
)

func (e *Estimator) of(m llm.ModelID) *factor {
	e.mu.RLock()
	f := e.models[m]
	e.mu.RUnlock()
	if f != nil {
		return f
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.models == nil {
		e.models = map[llm.ModelID]*factor{}
	}
	if len(e.models) >= factorModels {
		m = ""
	}
	if e.models[m] == nil {
		e.models[m] = &factor{}
	}
	return e.models[m]
}

// Prompt corrects an estimate of a prompt's tokens.
func (e *Estimator) Prompt(m llm.ModelID, estimate int) int { return e.of(m).apply(estimate) }

// Learn takes in what a prompt that was estimated, before correction, really was.
func (e *Estimator) Learn(m llm.ModelID, estimate, actual int) { e.of(m).learn(estimate, actual) }

func (f *factor) value() float64 {
	if b := f.bits.Load(); b != 0 {
		return math.Float64frombits(b)
	}
	return 1
}

func (f *factor) apply(estimate int) int {
	if estimate <= 0 {
		return 0
	}
	return int(math.Ceil(float64(estimate) * f.value()))
}

func (f *factor) learn(estimate, actual int) {
	if estimate < factorPrompt || actual < factorPrompt {
		return
	}
	seen := min(max(float64(actual)/float64(estimate), factorLeast), factorMost)
	for {
		old := f.bits.Load()
		next := seen // the first says more than the guess of 1
		if old != 0 {
			v := math.Float64frombits(old)
			next = v + factorFade*(seen-v)
		}
		if f.bits.CompareAndSwap(old, math.Float64bits(next)) {
			return
		}
	}
}

// pace is the mean time that a tenant's requests hold their places, in nanoseconds, over the last some ten.
type pace struct{ mean atomic.Int64 }

func (p *pace) learn(ns int64) {
	old := p.mean.Load()
	if old == 0 {
		p.mean.CompareAndSwap(0, ns)
		return
	}
	p.mean.CompareAndSwap(old, old+(ns-old)/10) // one that is lost to another's is no loss
}
