package engine

import (
	"errors"
	"math"
	"slices"
)

// greedyBelow is the temperature under which the likeliest token is taken, as in vLLM: the quotient below it would only
// amplify rounding.
const greedyBelow = 1e-5

var (
	errNaN     = errors.New("engine: the model's logits are not numbers; the file is damaged or its values overflow")
	errNoToken = errors.New("engine: every token is forbidden by logit bias and minimum length")
)

// sampler chooses the tokens of one sequence. The order of its steps is vLLM's (vllm/v1/sample/sampler.py):
//
//  1. raw log-probabilities, where asked for (logprob.go), of what the model said;
//  2. the end tokens are masked until MinTokens are there;
//  3. logit bias;
//  4. repetition penalty (tokens of prompt and answer: positive logits divided, others multiplied), then frequency and
//     presence penalty (tokens of the answer only);
//  5. temperature; at 0 the largest logit is taken, the lowest id among equals, and nothing below applies;
//  6. min_p, relative to the likeliest token;
//  7. top_k; of equals at the edge the lowest ids stay, so that top_k 1 is greedy;
//  8. top_p over what is left: the likeliest tokens whose probabilities first reach it, at least one;
//  9. one uniform number, a function of seed and index, picks from the rest.
//
// All sums are in float64 and run in a fixed order, so the choice is a function of the logits, the sequence and the seed.
type sampler struct {
	temperature float64
	sharpness   float64 // 1 / temperature
	topK        int     // 0: all
	topP        float64
	minP        float64
	presence    float32
	frequency   float32
	repetition  float32
	bias        []bias
	ends        []int32 // sorted; end the answer, once minTokens are there
	minTokens   int
	seed        uint64

	// seen lists the tokens that penalties apply to, in order of first appearance; index finds them. Both stay nil where no
	// penalty is in use.
	seen  []seenToken
	index map[int32]int32
}

// seenToken is a token of prompt or answer.
type seenToken struct {
	token     int32
	generated int32 // how often in the answer
}

// newSampler prepares the choice of r's tokens; endTokens are the model's.
func newSampler(r *Request, endTokens []int32) sampler {
	p := sampler{
		temperature: float64(r.Sampling.Temperature),
		topK:        max(0, r.Sampling.TopK),
		topP:        float64(r.Sampling.TopP),
		minP:        float64(r.Sampling.MinP),
		presence:    r.Sampling.Presence,
		frequency:   r.Sampling.Frequency,
		repetition:  r.Sampling.Repetition,
		bias:        sortedBias(r.Sampling.Bias),
		ends:        slices.Clone(r.StopTokens),
		minTokens:   r.MinTokens,
		seed:        r.Sampling.Seed,
	}
	if p.temperature >= greedyBelow {
		p.sharpness = 1 / p.temperature
	}
	if p.topP == 0 {
		p.topP = 1
	}
	if p.repetition == 0 {
		p.repetition = 1
	}
	if !r.IgnoreEOS {
		p.ends = append(p.ends, endTokens...)
	}
	slices.Sort(p.ends)
	p.ends = slices.Compact(p.ends)
	if p.penalises() {
		p.index = make(map[int32]int32)
	}
	if p.repetition != 1 {
		for _, t := range r.Tokens {
			p.entry(t)
		}
	}
	return p
}

func (p *sampler) penalises() bool { return p.presence != 0 || p.frequency != 0 || p.repetition != 1 }

// entry finds or makes the record of token t.
func (p *sampler) entry(t int32) *seenToken {
	i, ok := p.index[t]
	if !ok {
		i = int32(len(p.seen))
		p.index[t] = i
		p.seen = append(p.seen, seenToken{token: t})
	}
	return &p.seen[i]
}

// chosen records that t was appended to the answer.
func (p *sampler) chosen(t int32) {
	if p.index != nil {
		p.entry(t).generated++
	}
}

// ended reports whether t ends the answer.
func (p *sampler) ended(t int32) bool {
	_, ok := slices.BinarySearch(p.ends, t)
	return ok
}

// scratch is the memory of one choice, used again for the next.
type scratch struct {
	logits  []float32 // (vocab); a copy, where the logits are changed
	ids     []int32   // (candidates)
	weights []float64 // (candidates); not yet normalised probabilities
}

// next chooses the token with that index (0 for the first generated) from its logits (vocab), which it leaves as they are.
func (p *sampler) next(logits []float32, index int, sc *scratch) (int32, error) {
	logits = p.adjusted(logits, index, sc)
	best, top := 0, float32(math.Inf(-1))
	for i, l := range logits {
		if l > top {
			best, top = i, l
		} else if l != l {
			return 0, errNaN
		}
	}
	switch {
	case math.IsInf(float64(top), 1):
		return 0, errNaN
	case math.IsInf(float64(top), -1):
		return 0, errNoToken
	case p.temperature < greedyBelow:
		return int32(best), nil
	}
	return p.draw(logits, int32(best), uniform(p.seed, index), sc), nil
}

// adjusted applies steps 2 to 4. It returns logits itself where none of them is in use.
func (p *sampler) adjusted(logits []float32, index int, sc *scratch) []float32 {
	masked := index < p.minTokens && len(p.ends) > 0
	if !masked && len(p.bias) == 0 && len(p.seen) == 0 {
		return logits
	}
	sc.logits = append(sc.logits[:0], logits...)
	logits = sc.logits
	if masked {
		for _, t := range p.ends {
			if l := logits[t]; l == l { // a NaN stays, so that it is noticed
				logits[t] = float32(math.Inf(-1))
			}
		}
	}
	for _, b := range p.bias {
		logits[b.token] += b.add
	}
	for _, s := range p.seen {
		l := logits[s.token]
		if l > 0 {
			l /= p.repetition
		} else {
			l *= p.repetition
		}
		if s.generated > 0 {
			l -= p.frequency * float32(s.generated)
			l -= p.presence
		}
		logits[s.token] = l
	}
	return logits
}

// draw applies steps 5 to 9; best is the token with the largest logit and u the uniform number.
func (p *sampler) draw(logits []float32, best int32, u float64, sc *scratch) int32 {
	top := float64(logits[best])
	if p.topK == 0 && p.topP == 1 && p.minP == 0 {
		return p.drawFromAll(logits, best, u, sc)
	}
	least := float32(math.Inf(-1)) // the smallest logit that min_p lets pass
	if p.minP > 0 {
		least = float32(top + p.temperature*math.Log(p.minP))
	}
	// Candidates in ids: sorted by falling logit after top_k, else in order of id.
	sorted := p.topK > 0 && p.topK < len(logits)
	if sorted {
		sc.ids = largest(logits, p.topK, sc.ids[:0])
		for i, id := range sc.ids {
			if logits[id] < least {
				sc.ids = sc.ids[:i]
				break
			}
		}
	} else {
		sc.ids = sc.ids[:0]
		for i, l := range logits {
			if l >= least {
				sc.ids = append(sc.ids, int32(i))
			}
		}
	}
	sum := 0.0
	sc.weights = slices.Grow(sc.weights[:0], len(sc.ids))[:len(sc.ids)]
	for i, id := range sc.ids {
		w := p.weight(logits[id], top)
		sc.weights[i] = w
		sum += w
	}
	if p.topP < 1 {
		sum = p.nucleus(logits, top, sum, sorted, sc)
	}
	target, reached := u*sum, 0.0
	for i, w := range sc.weights {
		if reached += w; reached > target {
			return sc.ids[i]
		}
	}
	return best // u*sum was rounded up to sum
}

// drawFromAll is draw where steps 6 to 8 leave everything.
func (p *sampler) drawFromAll(logits []float32, best int32, u float64, sc *scratch) int32 {
	top, sum := float64(logits[best]), 0.0
	sc.weights = slices.Grow(sc.weights[:0], len(logits))[:len(logits)]
	for i, l := range logits {
		w := p.weight(l, top)
		sc.weights[i] = w
		sum += w
	}
	target, reached := u*sum, 0.0
	for i, w := range sc.weights {
		if reached += w; reached > target {
			return int32(i)
		}
	}
	return best
}

// weight is the probability of a logit before normalisation: 1 for the largest, top.
func (p *sampler) weight(logit float32, top float64) float64 {
	return expBelow((float64(logit) - top) * p.sharpness)
}

// nucleus cuts the candidates of sc, whose weights add up to sum, down to the likeliest that reach topP of it, in falling
// order, and returns the sum of their weights.
func (p *sampler) nucleus(logits []float32, top, sum float64, sorted bool, sc *scratch) float64 {
	goal, kept, n := p.topP*sum, 0.0, 0
	if sorted {
		for n < len(sc.weights) && kept < goal {
			kept += sc.weights[n]
			n++
		}
		sc.ids, sc.weights = sc.ids[:n], sc.weights[:n]
		return kept
	}
	// Tokens this unlikely do not add up to what may be left out, however many they are, so none of them is needed; a heap
	// gives the others, the likeliest first, without sorting all.
	least, m := (1-p.topP)*sum/float64(len(sc.ids)), 0
	for i, w := range sc.weights {
		if w > least {
			sc.ids[m] = sc.ids[i]
			m++
		}
	}
	sc.ids = sc.ids[:m]
	h := heap{logits: logits, ids: sc.ids, bestFirst: true}
	h.build()
	for len(h.ids) > 0 && kept < goal {
		kept += p.weight(logits[h.ids[0]], top)
		h.pop()
		n++
	}
	// pop moves what it takes to the end of the slice, so the first taken is last.
	taken := sc.ids[len(sc.ids)-n:]
	slices.Reverse(taken)
	sc.ids = append(sc.ids[:0], taken...) // forward copy onto the slice's beginning
	sc.weights = sc.weights[:n]
	for i, id := range sc.ids {
		sc.weights[i] = p.weight(logits[id], top)
	}
	return kept
}
