package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/weir-ai/weir/engine/tensor"
)

func kernelSets(t testing.TB) []tensor.Set {
	best, _, err := tensor.Detect("")
	if err != nil {
		t.Fatal(err)
	}
	var out []tensor.Set
	for s := tensor.Go; s <= best; s++ {
		out = append(out, s)
	}
	return out
}

// randomExamples have several counted stretches, so that rows of an example need not be neighbours.
func randomExamples(r *rand.Rand, count, longest, vocab int) []Example {
	out := make([]Example, count)
	for i := range out {
		n := 2 + r.IntN(longest-1)
		if count == 1 {
			n = longest
		}
		e := Example{Tokens: make([]int32, n), Loss: make([]bool, n)}
		for j := range n {
			e.Tokens[j] = int32(r.IntN(vocab))
			e.Loss[j] = j > 0 && r.IntN(3) == 0
		}
		out[i] = e
	}
	out[0].Loss[1] = true
	return out
}

// shaken is a net whose weights, norms included, are large enough that every path matters.
func shaken(s Shape, set tensor.Set, seed uint64) *net {
	n := newNet(s, set)
	r := rand.New(rand.NewPCG(seed, 0))
	for _, p := range n.layout.params {
		w := n.weights[p.at:][:p.size()]
		for i := range w {
			w[i] = float32(r.NormFloat64() * 0.3)
			if p.norm {
				w[i] = float32(1 + 0.3*r.NormFloat64())
			}
		}
	}
	return n
}

func gradient(t testing.TB, n *net, examples []Example, limit int) float64 {
	t.Helper()
	batches, counted, err := pack(examples, n.shape, limit)
	if err != nil {
		t.Fatal(err)
	}
	clear(n.grads)
	var loss float64
	for _, b := range batches {
		n.forward(b)
		loss += n.loss(b, 1/float32(counted))
		n.backward(b)
	}
	return loss / float64(counted)
}

// The contexts are such that some examples are longer than one block of queries.
var gradientShapes = []Shape{
	{Vocab: 11, Dim: 8, Layers: 2, Heads: 2, KVHeads: 2, Hidden: 12, Context: queryBlock + 5, RopeTheta: 100, Eps: 1e-5, Tied: true},
	{Vocab: 19, Dim: 12, Layers: 3, Heads: 6, KVHeads: 2, Hidden: 10, Context: 16, RopeTheta: 10_000, Eps: 1e-3},
	{Vocab: 7, Dim: 20, Layers: 1, Heads: 2, KVHeads: 1, Hidden: 33, Context: 2*queryBlock + 3, RopeTheta: 10_000, Eps: 1e-5, Tied: true},
}

// slope is the twin's finite difference of the loss along a direction in one tensor.
type slope struct {
	param     param
	direction []float64 // (param.size)
	want      float64
}

// slopes picks single elements of each tensor, and random directions over all of it, which miss nothing.
func slopes(r *rand.Rand, ref *twin, examples []Example) []slope {
	var out []slope
	for _, p := range ref.layout.params {
		for i := range 13 {
			s := slope{param: p, direction: make([]float64, p.size())}
			if i < 10 {
				s.direction[r.IntN(p.size())] = 1
			} else {
				for j := range s.direction {
					s.direction[j] = r.NormFloat64() / math.Sqrt(float64(p.size()))
				}
			}
			s.want = ref.slope(s, examples)
			out = append(out, s)
		}
	}
	return out
}

// slope is a central difference; Richardson's step takes its error from h² to h⁴.
func (t *twin) slope(s slope, examples []Example) float64 {
	const h = 1e-4
	weights := t.weights[s.param.at:][:s.param.size()]
	kept := append([]float64(nil), weights...)
	at := func(step float64) float64 {
		for i, d := range s.direction {
			weights[i] = kept[i] + step*d
		}
		return t.loss(examples)
	}
	wide, narrow := (at(2*h)-at(-2*h))/(4*h), (at(h)-at(-h))/(2*h)
	copy(weights, kept)
	return (4*narrow - wide) / 3
}

// TestGradients compares the gradient of every tensor, on every kernel set, with finite differences of the float64 twin.
func TestGradients(t *testing.T) {
	t.Parallel()
	for i, s := range gradientShapes {
		t.Run(fmt.Sprintf("shape%d", i), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(7, uint64(i)))
			examples := append(randomExamples(r, 5, 9, s.Vocab), randomExamples(r, 1, s.Context, s.Vocab)...)
			ref := newTwin(s, shaken(s, tensor.Go, 5).weights)
			loss, wanted := ref.loss(examples), slopes(r, ref, examples)
			pool := tensor.NewPool(2)
			defer pool.Close()
			for _, set := range kernelSets(t) {
				n := shaken(s, set, 5)
				n.use(pool)
				if got := gradient(t, n, examples, 12); math.Abs(got-loss) > 1e-5*loss {
					t.Fatalf("%v: loss %v, the twin has %v", set, got, loss)
				}
				for _, want := range wanted {
					checkSlope(t, set, n, want)
				}
			}
		})
	}
}

func checkSlope(t *testing.T, set tensor.Set, n *net, s slope) {
	t.Helper()
	var got, size float64
	for i, g := range n.grads[s.param.at:][:s.param.size()] {
		got += float64(g) * s.direction[i]
		size += float64(g) * float64(g)
	}
	size = math.Sqrt(size)
	if size == 0 {
		t.Errorf("%v: %s has no gradient at all", set, s.param.name)
	}
	if math.Abs(got-s.want) > 2e-5*size {
		t.Errorf("%v: %s: gradient %v, finite difference %v (norm %v)", set, s.param.name, got, s.want, size)
	}
}

// TestGradientBatches: the cut into batches changes no more than the order of float32 sums.
func TestGradientBatches(t *testing.T) {
	t.Parallel()
	s := gradientShapes[1]
	r := rand.New(rand.NewPCG(9, 9))
	examples := randomExamples(r, 20, 12, s.Vocab)
	n := shaken(s, kernelSets(t)[0], 1)
	gradient(t, n, examples, 1<<20)
	whole := append([]float32(nil), n.grads...)
	gradient(t, n, examples, 1)
	for i, g := range n.grads {
		if math.Abs(float64(g-whole[i])) > 1e-5 {
			t.Fatalf("gradient %d is %v in one batch, %v in many", i, whole[i], g)
		}
	}
}
