package train

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestExp(t *testing.T) {
	t.Parallel()
	for x := float32(-100); x < 100; x += 0.0137 {
		want := math.Exp(float64(min(max(x, -87), 88)))
		if got := float64(exp(x)); math.Abs(got-want) > 2e-7*want {
			t.Fatalf("exp(%v) = %v, want %v", x, got, want)
		}
	}
}

// TestVectorKernels compares every set with plain Go, at lengths with and without a tail, and looks for writes beyond the end.
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
	for _, set := range kernelSets(t) {
		for _, n := range []int{1, 2, 7, 8, 9, 16, 31, 32, 40, 64, 100, 128, 384} {
			scalar := func(got, want float32) (a, b []float32) { return []float32{got}, []float32{want} }
			// Each case gets arrays of its own with the same values, runs both and gives nothing: arrays are compared after it.
			for name, both := range map[string][2]func(x [4][]float32) float32{
				"expSum":      {func(x [4][]float32) float32 { return expSum(set, x[0], 20) }, func(x [4][]float32) float32 { return expSumGo(x[0], 20) }},
				"dot":         {func(x [4][]float32) float32 { return dot(set, x[0], x[1]) }, func(x [4][]float32) float32 { return dotGo(x[0], x[1]) }},
				"maximum":     {func(x [4][]float32) float32 { return maximum(set, x[0]) }, func(x [4][]float32) float32 { return maxGo(x[0], x[0][0]) }},
				"scale":       {func(x [4][]float32) float32 { scale(set, x[0], 3); return 0 }, func(x [4][]float32) float32 { scaleGo(x[0], 3); return 0 }},
				"softmaxBack": {func(x [4][]float32) float32 { softmaxBack(set, x[0], x[1], 2); return 0 }, func(x [4][]float32) float32 { softmaxBackGo(x[0], x[1], 2); return 0 }},
				"normRow":     {func(x [4][]float32) float32 { normRow(set, x[0], x[1], x[2], 2); return 0 }, func(x [4][]float32) float32 { normRowGo(x[0], x[1], x[2], 2); return 0 }},
				"normPart":    {func(x [4][]float32) float32 { normPart(set, x[0], x[1], x[2], x[3], 2); return 0 }, func(x [4][]float32) float32 { normPartGo(x[0], x[1], x[2], x[3], 2); return 0 }},
				"normRowBack": {func(x [4][]float32) float32 { normRowBack(set, x[0], x[1], x[2], 2, 3); return 0 }, func(x [4][]float32) float32 { normRowBackGo(x[0], x[1], x[2], 2, 3); return 0 }},
				"turn":        {func(x [4][]float32) float32 { turn(set, x[0], x[1], x[2], -1); return 0 }, func(x [4][]float32) float32 { turnGo(x[0], x[1], x[2], -1); return 0 }},
				"siluMul":     {func(x [4][]float32) float32 { siluMul(set, x[0], x[1], x[2]); return 0 }, func(x [4][]float32) float32 { siluMulGo(x[0], x[1], x[2]); return 0 }},
				"siluMulBack": {func(x [4][]float32) float32 { siluMulBack(set, x[0], x[1], x[2]); return 0 }, func(x [4][]float32) float32 { siluMulBackGo(x[0], x[1], x[2]); return 0 }},
				"adamw": {func(x [4][]float32) float32 {
					adamw(set, x[0], x[1], x[2], squares(x[3]), &adamwFactors{0.5, 0.9, 0.1, 0.95, 0.05, 1e-2, 3, 1e-3, 1e-8})
					return 0
				}, func(x [4][]float32) float32 {
					adamwGo(x[0], x[1], x[2], squares(x[3]), &adamwFactors{0.5, 0.9, 0.1, 0.95, 0.05, 1e-2, 3, 1e-3, 1e-8})
					return 0
				}},
			} {
				if name == "turn" && n%2 == 1 {
					continue
				}
				var fast, slow [4][]float32
				for i := range fast {
					v := draw(n + 8)
					fast[i], slow[i] = append([]float32(nil), v...)[:n], v[:n]
				}
				got, want := scalar(both[0](fast), both[1](slow))
				near(t, name, got, want, 64)
				for i := range fast {
					near(t, name, fast[i][:n+8], slow[i][:n+8], 8)
				}
			}
		}
	}
}

// squares makes x possible variances.
func squares(x []float32) []float32 {
	for i, v := range x {
		x[i] = v * v
	}
	return x
}

// near compares with a tolerance for sums of terms of some size: relative, and of the size itself.
func near(t *testing.T, what string, got, want []float32, size float64) {
	t.Helper()
	for i := range want {
		if d := math.Abs(float64(got[i] - want[i])); !(d <= 4e-6*(size+math.Abs(float64(want[i])))) {
			t.Fatalf("%s at %d of %d: %v, want %v", what, i, len(want), got[i], want[i])
		}
	}
}
