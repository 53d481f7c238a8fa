package model

import (
	"fmt"
	"math"
)

// Rope is the rotary position embedding: the value pair i of a head turns by position * frequency(i). The frequencies fall
// from 1 to about 1/Theta (RoFormer, arXiv 2104.09864); scalings stretch them for contexts longer than the pre-training's.
type Rope struct {
	Theta   float64
	Scaling string  // "", "linear", "llama3" or "factors" (a GGUF's rope_freqs.weight, which is llama3's result)
	Factor  float64 // linear and llama3: how much longer the context became
	// llama3 only: wavelengths shorter than Original/High keep their frequency, longer than Original/Low are divided by
	// Factor, those between are blended.
	Low, High float64
	Original  float64
	Factors   []float32 // (headDim/2); factors only: frequency i is divided by Factors[i]
}

func (r Rope) check() error {
	if !(r.Theta >= 1) || math.IsInf(r.Theta, 0) {
		return fmt.Errorf("rope theta is %g; it must be a number of at least 1", r.Theta)
	}
	positive := func(name string, v float64) error {
		if !(v > 0) || math.IsInf(v, 0) {
			return fmt.Errorf("rope scaling %q: %s is %g; it must be a positive number", r.Scaling, name, v)
		}
		return nil
	}
	switch r.Scaling {
	case "", "factors":
		for i, f := range r.Factors {
			if err := positive(fmt.Sprintf("factor %d", i), float64(f)); err != nil {
				return err
			}
		}
	case "linear":
		return positive("factor", r.Factor)
	case "llama3":
		for _, f := range []struct {
			name string
			v    float64
		}{{"factor", r.Factor}, {"low_freq_factor", r.Low}, {"high_freq_factor", r.High}, {"original_max_position_embeddings", r.Original}} {
			if err := positive(f.name, f.v); err != nil {
				return err
			}
		}
		if r.High <= r.Low {
			return fmt.Errorf("rope scaling \"llama3\": high_freq_factor %g must be larger than low_freq_factor %g", r.High, r.Low)
		}
	default:
		return fmt.Errorf("rope scaling %q is not supported; supported are default, linear and llama3", r.Scaling)
	}
	return nil
}

// frequencies gives the angle that one position adds to each pair: (headDim/2). They are rounded to float32, as transformers
// keeps them, so that far positions turn by the angles that the model was trained with.
func (r Rope) frequencies(headDim int) []float32 {
	out := make([]float32, headDim/2)
	for i := range out {
		f := math.Pow(r.Theta, -2*float64(i)/float64(headDim))
		switch r.Scaling {
		case "linear":
			f /= r.Factor
		case "llama3":
			f = r.llama3(f)
		case "factors":
			f /= float64(r.Factors[i])
		}
		out[i] = float32(f)
	}
	return out
}

// llama3 scales one frequency as Llama 3.1 does (transformers, modeling_rope_utils.py, _compute_llama3_parameters).
func (r Rope) llama3(f float64) float64 {
	wavelength := 2 * math.Pi / f
	switch {
	case wavelength < r.Original/r.High:
		return f
	case wavelength > r.Original/r.Low:
		return f / r.Factor
	}
	smooth := (r.Original/wavelength - r.Low) / (r.High - r.Low)
	return float64((1-smooth)*f/r.Factor) + float64(smooth*f)
}

// angles fills the cosines and sines of one position: (headDim/2) each. They are computed for every pass anew: for one token
// they cost about a microsecond and serve all layers, where a table for a context of 128 Ki would take 64 MB.
func angles(cos, sin, freq []float32, pos int) {
	for i, f := range freq {
		s, c := math.Sincos(float64(pos) * float64(f))
		cos[i], sin[i] = float32(c), float32(s)
	}
}

// turnHalves rotates one head (headDim) whose pair i is (x[i], x[i+headDim/2]), as Hugging Face orders them. The conversions
// round each product, also where the machine could fuse it with the sum, so that the plain Go kernel set gives the same bits
// on every architecture.
func turnHalves(x, cos, sin []float32) {
	half := len(cos)
	lo, hi := x[:half:half], x[half:2*half:2*half]
	sin = sin[:half]
	for i, c := range cos {
		a, b, s := lo[i], hi[i], sin[i]
		lo[i] = float32(a*c) - float32(b*s)
		hi[i] = float32(b*c) + float32(a*s)
	}
}

// turnPairs rotates one head (headDim) whose pair i is (x[2i], x[2i+1]), as llama.cpp's converter permutes Llama's rows.
func turnPairs(x, cos, sin []float32) {
	sin = sin[:len(cos)]
	x = x[:2*len(cos)]
	for i, c := range cos {
		a, b, s := x[2*i], x[2*i+1], sin[i]
		x[2*i] = float32(a*c) - float32(b*s)
		x[2*i+1] = float32(b*c) + float32(a*s)
	}
}
