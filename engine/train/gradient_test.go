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
	{Vocab: 11, Dim: 8, Layers: 2, Heads: 2, KVHeads: 2, Hidden: 12, Context: 3 * queryBlock / 2, RopeTheta: 100, Eps: 1e-5, Tied: true},
	{Vocab: 19, Dim: 12, Layers: 3, Heads: 6, KVHeads: 2, Hidden: 10, Context: 16, RopeTheta: 10_000, Eps: 1e-3},
	{Vocab: 7, Dim: 20, Layers: 1, Heads: 2, KVHeads: 1, Hidden: 33, Context: 2*queryBlock + 5, RopeTheta: 10_000, Eps: 1e-5, Tied: true},
}

// TestGradients compares every tensor's gradient with central differences of the float64 twin: single elements of each tensor,
// and one random direction over all of it, which misses nothing.
func TestGradients(t *testing.T) {
	t.Parallel()
	for i, s := range gradientShapes {
		for _, set := range kernelSets(t) {
			t.Run(fmt.Sprintf("shape%d/%v", i, set), func(t *testing.T) {
				t.Parallel()
				r := rand.New(rand.NewPCG(7, uint64(i)))
				n := shaken(s, set, 5)
				pool := tensor.NewPool(2)
				defer pool.Close()
				n.use(pool)
				examples := append(randomExamples(r, 5, 9, s.Vocab), randomExamples(r, 1, s.Context, s.Vocab)...)
				loss := gradient(t, n, examples, 12)
				ref := newTwin(s, n.weights)
				if want := ref.loss(examples); math.Abs(loss-want) > 1e-5*want {
					t.Fatalf("loss %v, the twin has %v", loss, want)
				}
				for _, p := range n.layout.params {
					checkTensor(t, r, n, ref, p, examples)
				}
			})
		}
	}
}

func checkTensor(t *testing.T, r *rand.Rand, n *net, ref *twin, p param, examples []Example) {
	t.Helper()
	grads, weights := n.grads[p.at:][:p.size()], ref.weights[p.at:][:p.size()]
	kept := append([]float64(nil), weights...)
	const h = 1e-4
	slope := func(direction []float64) float64 {
		at := func(step float64) float64 {
			for i, d := range direction {
				weights[i] = kept[i] + step*d
			}
			return ref.loss(examples)
		}
		// Richardson's step takes the error of a central difference from h² to h⁴.
		wide, narrow := (at(2*h)-at(-2*h))/(4*h), (at(h)-at(-h))/(2*h)
		copy(weights, kept)
		return (4*narrow - wide) / 3
	}
	var size float64
	for _, g := range grads {
		size += float64(g) * float64(g)
	}
	size = math.Sqrt(size)
	if size == 0 {
		t.Errorf("%s: no gradient at all", p.name)
	}
	direction := make([]float64, len(grads))
	for range 24 {
		i := r.IntN(len(grads))
		clear(direction)
		direction[i] = 1
		if want, got := slope(direction), float64(grads[i]); math.Abs(got-want) > 2e-5*size+1e-4*math.Abs(want) {
			t.Errorf("%s[%d]: gradient %v, finite difference %v", p.name, i, got, want)
		}
	}
	for range 3 {
		var got, length float64
		for i := range direction {
			direction[i] = r.NormFloat64()
			length += direction[i] * direction[i]
		}
		for i := range direction {
			direction[i] /= math.Sqrt(length)
			got += direction[i] * float64(grads[i])
		}
		if want := slope(direction); math.Abs(got-want) > 2e-5*size {
			t.Errorf("%s along a direction: gradient %v, finite difference %v (norm %v)", p.name, got, want, size)
		}
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
