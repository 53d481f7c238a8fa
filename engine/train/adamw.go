package train

import "math"

// optimizer is AdamW (Loshchilov and Hutter 2019) with the gradient's norm bounded.
type optimizer struct {
	mean     []float32 // (layout.size): decaying mean of the gradients
	variance []float32 // (layout.size): decaying mean of their squares
	chunks   []chunk
	sums     []float64 // (chunks): squares of the gradient
}

// chunk is a part of one tensor that one claim of the optimiser takes.
type chunk struct {
	from, to int
	decay    bool
}

// chunkValues is 16 K values, some 10 µs of work; the cut also orders the sum of squares.
const chunkValues = 16 << 10

func newOptimizer(l layout) *optimizer {
	o := &optimizer{mean: make([]float32, l.size), variance: make([]float32, l.size)}
	for _, p := range l.params {
		for from, end := p.at, p.at+p.size(); from < end; from += chunkValues {
			o.chunks = append(o.chunks, chunk{from, min(end, from+chunkValues), p.decay})
		}
	}
	o.sums = make([]float64, len(o.chunks))
	return o
}

// rate is the learning rate of a step, counted from 0: a linear warm-up, then half a cosine down to the final share.
func (c Config) rate(step int) float64 {
	peak := float64(c.Rate)
	if step < c.Warmup {
		return peak * float64(step+1) / float64(c.Warmup)
	}
	done := float64(step-c.Warmup) / float64(max(1, c.Steps-c.Warmup))
	final := float64(c.Final)
	return peak * (final + (1-final)*0.5*(1+math.Cos(math.Pi*done)))
}

// norm is the length of the gradient.
func (o *optimizer) norm(n *net) float64 {
	n.pool.Run(len(o.chunks), func(tile int) {
		c := o.chunks[tile]
		var sum float64
		for _, g := range n.grads[c.from:c.to] {
			sum += float64(g) * float64(g)
		}
		o.sums[tile] = sum
	})
	var sum float64
	for _, s := range o.sums {
		sum += s
	}
	return math.Sqrt(sum)
}

// update moves the weights by one step, counted from 0, and clears the gradient. norm is the gradient's.
func (o *optimizer) update(n *net, cfg Config, step int, norm float64) {
	clip := float32(1)
	if cfg.Clip > 0 && norm > float64(cfg.Clip) {
		clip = float32(float64(cfg.Clip) / norm)
	}
	rate := cfg.rate(step)
	factors := adamwFactors{clip: clip, beta1: cfg.Beta1, fresh1: 1 - cfg.Beta1, beta2: cfg.Beta2, fresh2: 1 - cfg.Beta2, epsilon: 1e-8,
		size:   float32(rate / (1 - math.Pow(float64(cfg.Beta1), float64(step+1)))),
		spread: float32(1 / (1 - math.Pow(float64(cfg.Beta2), float64(step+1))))}
	n.pool.Run(len(o.chunks), func(tile int) {
		c, f := o.chunks[tile], factors
		if c.decay && cfg.Decay > 0 {
			f.decay = float32(rate) * cfg.Decay
		}
		adamw(n.set, n.weights[c.from:c.to], n.grads[c.from:c.to], o.mean[c.from:c.to], o.variance[c.from:c.to], &f)
	})
}
