package train

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestVectorKernels compares every set with plain Go, at lengths with and without a tail.
func TestVectorKernels(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	draw := func(n int) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(r.NormFloat64() * 8)
		}
		return out
	}
	near := func(what string, got, want []float32) {
		t.Helper()
		for i := range want {
			if math.Abs(float64(got[i]-want[i])) > 4e-6*(1e-3+math.Abs(float64(want[i]))) {
				t.Fatalf("%s at %d of %d: %v, want %v", what, i, len(want), got[i], want[i])
			}
		}
	}
	clone := func(x []float32) []float32 { return append([]float32(nil), x...) }
	for _, set := range kernelSets(t) {
		for _, n := range []int{0, 1, 7, 8, 9, 16, 31, 64, 100, 384} {
			x, gate, up, d := draw(n), draw(n), draw(n), draw(n)
			a, b := clone(x), clone(x)
			got, want := expSum(set, a, 20), expSumGo(b, 20)
			near("exp", a, b)
			near("sum of exp", []float32{got}, []float32{want})
			a, b = make([]float32, n), make([]float32, n)
			siluMul(set, a, gate, up)
			siluMulGo(b, gate, up)
			near("silu", a, b)
			g, u := clone(gate), clone(up)
			siluMulBack(set, gate, up, d)
			siluMulBackGo(g, u, d)
			near("gradient of gate", gate, g)
			near("gradient of up", up, u)
		}
	}
}
