package train

import (
	"math"
	"math/cmplx"
)

// twin is the same model in float64, token by token and with nothing shared: slow, and easy to see right.
type twin struct {
	shape   Shape
	layout  layout
	weights []float64
	turns   []complex128 // (context, headDim/2)
}

func newTwin(s Shape, weights []float32) *twin {
	t := &twin{shape: s, layout: newLayout(s), weights: make([]float64, len(weights))}
	for i, w := range weights {
		t.weights[i] = float64(w)
	}
	for place := range s.Context {
		for i := 0; i < s.HeadDim(); i += 2 {
			angle := float64(place) * math.Pow(float64(s.RopeTheta), -float64(i)/float64(s.HeadDim()))
			t.turns = append(t.turns, cmplx.Rect(1, angle))
		}
	}
	return t
}

// mul is W·x for W (rows, len(x)) at an offset.
func (t *twin) mul(at, rows int, x []float64) []float64 {
	out := make([]float64, rows)
	for r := range rows {
		for c, v := range x {
			out[r] += t.weights[at+r*len(x)+c] * v
		}
	}
	return out
}

func (t *twin) norm(at int, x []float64) []float64 {
	var sum float64
	for _, v := range x {
		sum += v * v
	}
	r := 1 / math.Sqrt(sum/float64(len(x))+float64(t.shape.Eps))
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = v * r * t.weights[at+i]
	}
	return out
}

func (t *twin) rope(x []float64, place int) {
	hd := t.shape.HeadDim()
	for h := 0; h < len(x); h += hd {
		for i := 0; i < hd; i += 2 {
			v := complex(x[h+i], x[h+i+1]) * t.turns[(place*hd+i)/2]
			x[h+i], x[h+i+1] = real(v), imag(v)
		}
	}
}

// loss is the mean loss of the counted tokens.
func (t *twin) loss(examples []Example) float64 {
	var sum float64
	var counted int
	for _, e := range examples {
		for i, logits := range t.logits(e.Tokens) {
			if i+1 >= len(e.Tokens) || !e.Loss[i+1] {
				continue
			}
			var total float64
			for _, v := range logits {
				total += math.Exp(v)
			}
			sum += math.Log(total) - logits[e.Tokens[i+1]]
			counted++
		}
	}
	return sum / float64(counted)
}

func (t *twin) logits(tokens []int32) [][]float64 {
	s, hd := t.shape, t.shape.HeadDim()
	kv := s.KVHeads * hd
	x := make([][]float64, len(tokens))
	for i, id := range tokens {
		x[i] = append([]float64(nil), t.weights[t.layout.embed+int(id)*s.Dim:][:s.Dim]...)
	}
	for _, at := range t.layout.blocks {
		var keys, values [][]float64
		for i := range x {
			h := t.norm(at.attnNorm, x[i])
			q, k, v := t.mul(at.qkv, s.Dim, h), t.mul(at.qkv+s.Dim*s.Dim, kv, h), t.mul(at.qkv+(s.Dim+kv)*s.Dim, kv, h)
			t.rope(q, i)
			t.rope(k, i)
			keys, values = append(keys, k), append(values, v)
			att := make([]float64, s.Dim)
			for head := range s.Heads {
				at := head / (s.Heads / s.KVHeads) * hd
				scores := make([]float64, len(keys))
				var total float64
				for j, key := range keys {
					for d := range hd {
						scores[j] += q[head*hd+d] * key[at+d]
					}
					scores[j] = math.Exp(scores[j] / math.Sqrt(float64(hd)))
					total += scores[j]
				}
				for j := range keys {
					for d := range hd {
						att[head*hd+d] += scores[j] / total * values[j][at+d]
					}
				}
			}
			for d, v := range t.mul(at.out, s.Dim, att) {
				x[i][d] += v
			}
			h = t.norm(at.ffnNorm, x[i])
			gate, up := t.mul(at.gateUp, s.Hidden, h), t.mul(at.gateUp+s.Hidden*s.Dim, s.Hidden, h)
			for j, g := range gate {
				gate[j] = g / (1 + math.Exp(-g)) * up[j]
			}
			for d, v := range t.mul(at.down, s.Dim, gate) {
				x[i][d] += v
			}
		}
	}
	out := make([][]float64, len(x))
	for i := range x {
		out[i] = t.mul(t.layout.output, s.Vocab, t.norm(t.layout.norm, x[i]))
	}
	return out
}
