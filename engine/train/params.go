package train

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// All weights lie in one array, and gradients and moments in arrays of the same layout, so that the optimiser is one loop and
// a checkpoint three writes. Matrices that read the same input lie one after another and are multiplied as one.

// param is one tensor of the layout.
type param struct {
	name  string
	shape []int // outermost first
	at    int   // offset in the array
	std   float64
	norm  bool // a norm's weights: begin at one
	decay bool
}

func (p param) size() int {
	n := 1
	for _, d := range p.shape {
		n *= d
	}
	return n
}

// blockAt holds the offsets of one block's tensors.
type blockAt struct {
	attnNorm int // (dim)
	qkv      int // (dim + 2*kv, dim): queries, keys, values
	out      int // (dim, dim)
	ffnNorm  int // (dim)
	gateUp   int // (2*hidden, dim): gate, then up
	down     int // (dim, hidden)
}

// layout says where every tensor lies.
type layout struct {
	embed  int // (vocab, dim)
	blocks []blockAt
	norm   int // (dim)
	output int // (vocab, dim); the embedding when tied
	params []param
	size   int
}

// initStd is the deviation of fresh weights, GPT-2's and Llama's. What adds to the residual stream begins smaller by
// sqrt(2*layers), so that the stream's size does not grow with depth (Radford et al. 2019).
const initStd = 0.02

func newLayout(s Shape) layout {
	var l layout
	add := func(p param, shape ...int) int {
		p.shape, p.at = shape, l.size
		l.size += p.size()
		l.params = append(l.params, p)
		return p.at
	}
	kv, residual := s.KVHeads*s.HeadDim(), initStd/math.Sqrt(2*float64(s.Layers))
	l.embed = add(param{name: "token_embd.weight", std: initStd}, s.Vocab, s.Dim)
	for i := range s.Layers {
		name := func(part string) string { return fmt.Sprintf("blk.%d.%s.weight", i, part) }
		var b blockAt
		b.attnNorm = add(param{name: name("attn_norm"), norm: true}, s.Dim)
		b.qkv = add(param{name: name("attn_q"), std: initStd, decay: true}, s.Dim, s.Dim)
		add(param{name: name("attn_k"), std: initStd, decay: true}, kv, s.Dim)
		add(param{name: name("attn_v"), std: initStd, decay: true}, kv, s.Dim)
		b.out = add(param{name: name("attn_output"), std: residual, decay: true}, s.Dim, s.Dim)
		b.ffnNorm = add(param{name: name("ffn_norm"), norm: true}, s.Dim)
		b.gateUp = add(param{name: name("ffn_gate"), std: initStd, decay: true}, s.Hidden, s.Dim)
		add(param{name: name("ffn_up"), std: initStd, decay: true}, s.Hidden, s.Dim)
		b.down = add(param{name: name("ffn_down"), std: residual, decay: true}, s.Dim, s.Hidden)
		l.blocks = append(l.blocks, b)
	}
	l.norm = add(param{name: "output_norm.weight", norm: true}, s.Dim)
	l.output = l.embed
	if !s.Tied {
		l.output = add(param{name: "output.weight", std: initStd}, s.Vocab, s.Dim)
	}
	return l
}

// draw fills weights from seed. Every tensor has a stream of its own, so that a change to one leaves the others alone.
func (l layout) draw(weights []float32, seed uint64) {
	for i, p := range l.params {
		w := weights[p.at:][:p.size()]
		if p.norm {
			for j := range w {
				w[j] = 1
			}
			continue
		}
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		for j := range w {
			w[j] = float32(r.NormFloat64() * p.std)
		}
	}
}

// named gives the tensors of an array in this layout.
func (l layout) named(values []float32) []Named {
	var out []Named
	for _, p := range l.params {
		end := p.at + p.size()
		out = append(out, Named{Name: p.name, Shape: append([]int(nil), p.shape...), Data: values[p.at:end:end]})
	}
	return out
}
