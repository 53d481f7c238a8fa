package train

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// Shape is the architecture of a Llama. Heads share keys and values in groups of Heads/KVHeads; a head is Dim/Heads wide.
type Shape struct {
	Vocab     int     // entries of the vocabulary
	Dim       int     // width of the residual stream
	Layers    int     // blocks
	Heads     int     // query heads
	KVHeads   int     // key and value heads; divides Heads
	Hidden    int     // width of the feed-forward layer
	Context   int     // most tokens of one example
	RopeTheta float32 // base of the rotary frequencies; 0 means 10,000
	Eps       float32 // of the norms; 0 means 1e-5
	Tied      bool    // the output projection is the embedding
}

// HeadDim is the width of one head.
func (s Shape) HeadDim() int { return s.Dim / s.Heads }

// Params is the number of trained values.
func (s Shape) Params() int {
	kv := s.KVHeads * s.HeadDim()
	block := 2*s.Dim + 2*s.Dim*s.Dim + 2*kv*s.Dim + 3*s.Dim*s.Hidden
	n := s.Vocab*s.Dim + s.Layers*block + s.Dim
	if !s.Tied {
		n += s.Vocab * s.Dim
	}
	return n
}

// Example is one sequence. Loss[i] says whether predicting Tokens[i] from those before it counts; Loss[0] must be false,
// because nothing stands before it.
type Example struct {
	Tokens []int32
	Loss   []bool
}

// Source gives the examples of a step, all of them: their number is the batch size. It must depend only on step and rng, which
// is seeded from Config.Seed and step alone, so that a resumed run sees the same data. Next is called from one goroutine at a
// time, one step ahead of the training.
type Source interface {
	Next(step int, rng *rand.Rand) []Example
}

// Config is everything that decides the weights, and where and how fast to work. The zero values of Rate, Beta1, Beta2, Decay,
// Clip, Warmup, Threads, Kernels and SaveEvery mean the defaults beside them.
type Config struct {
	Shape
	Steps  int    // optimiser steps of the whole run; the cosine ends there
	Warmup int    // steps of linear warm-up; 0 means Steps/50, a few hundred steps of a real run
	Seed   uint64 // of the first weights and of the data
	Data   string // names the data (generator and version); a checkpoint of other data is refused

	Rate  float32 // peak learning rate; 0 means 2e-3, proven at a million parameters; half of it learns slower, much more risks divergence
	Final float32 // share of Rate left at the end; 0 means 0.05, which anneals without wasting the last steps at zero
	Beta1 float32 // AdamW; 0 means 0.9
	Beta2 float32 // AdamW; 0 means 0.95: 0.999 remembers the early, large gradients for a thousand steps
	Decay float32 // weight decay of the matrices (not of norms and embeddings); 0 means 0.1, below 0 none
	Clip  float32 // bound of the gradient's norm; 0 means 1, below 0 none

	Threads   int    // 0 means all cores
	Kernels   string // "", go, avx2 or avx512, as WEIR_KERNELS; "" means the best that the processor has
	Dir       string // folder of the checkpoint; "" means none is written
	SaveEvery int    // steps between checkpoints; 0 means 500, about a minute of work lost at most
}

// withDefaults fills in what zero means.
func (c Config) withDefaults() Config {
	set := func(v *float32, d float32) {
		if *v == 0 {
			*v = d
		}
	}
	set(&c.RopeTheta, 10_000)
	set(&c.Eps, 1e-5)
	set(&c.Rate, 2e-3)
	set(&c.Final, 0.05)
	set(&c.Beta1, 0.9)
	set(&c.Beta2, 0.95)
	set(&c.Decay, 0.1)
	set(&c.Clip, 1)
	if c.Warmup == 0 {
		c.Warmup = c.Steps / 50
	}
	if c.SaveEvery == 0 {
		c.SaveEvery = 500
	}
	return c
}

// paramsMax bounds a model: weights, gradients and two moments of it take 16 bytes a parameter. A larger one would need months
// on a processor, so it is a slip of the pen.
const paramsMax = 200_000_000

// Validate reports every fault of the configuration at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	s := c.Shape
	positive := true
	for _, f := range []struct {
		name string
		v    int
	}{{"vocab", s.Vocab}, {"dim", s.Dim}, {"layers", s.Layers}, {"heads", s.Heads}, {"kv heads", s.KVHeads}, {"hidden", s.Hidden}, {"context", s.Context}} {
		ok := f.v > 0 && f.v <= 1<<20
		check(ok, "%s is %d; it must be from 1 to %d", f.name, f.v, 1<<20)
		positive = positive && ok
	}
	if positive {
		check(s.Dim%s.Heads == 0, "dim %d is not a multiple of heads %d", s.Dim, s.Heads)
		check(s.Heads%s.KVHeads == 0, "heads %d is not a multiple of kv heads %d", s.Heads, s.KVHeads)
		check(s.Dim%s.Heads != 0 || s.HeadDim()%2 == 0, "a head is %d wide; rope turns pairs, so it must be even", s.HeadDim())
		check(s.Params() <= paramsMax, "the shape has %d parameters; at most %d can be trained here", s.Params(), paramsMax)
	}
	check(c.Steps > 0, "steps is %d; it must be at least 1", c.Steps)
	check(c.Warmup >= 0 && c.Warmup <= max(c.Steps, 0), "warmup is %d; it must be from 0 to steps (%d)", c.Warmup, c.Steps)
	check(c.Threads >= 0, "threads is %d; use 0 for all cores", c.Threads)
	check(c.SaveEvery >= 0, "save every is %d; it must not be negative", c.SaveEvery)
	within := func(name string, v, low, high float32) {
		check(v >= low && v < high, "%s is %v; it must be at least %v and below %v", name, v, low, high)
	}
	within("rope theta", c.RopeTheta, 1, math.MaxFloat32)
	within("eps", c.Eps, 1e-12, 1)
	within("rate", c.Rate, 1e-12, 10)
	within("final", c.Final, 0, 1.0001)
	within("beta1", c.Beta1, 0, 1)
	within("beta2", c.Beta2, 0, 1)
	check(!math.IsNaN(float64(c.Decay)) && c.Decay < 10, "decay is %v; it must be below 10", c.Decay)
	check(!math.IsNaN(float64(c.Clip)), "clip is not a number")
	if len(faults) > 0 {
		return fmt.Errorf("training cannot start: %w", errors.Join(faults...))
	}
	return nil
}
