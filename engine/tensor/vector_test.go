package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// lengths covers every rest of the vector loops.
var lengths = []int{0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40, 63, 64, 65, 100, 128, 257}

func near(got, want, size, bound float64) bool { return math.Abs(got-want) <= bound*size+1e-30 }

func TestVectorOperations(t *testing.T) {
	t.Parallel()
	for _, set := range sets() {
		for _, n := range lengths {
			rng := rand.New(rand.NewPCG(6, uint64(n)))
			a, b, w := randomFloats(rng, n), randomFloats(rng, n), randomFloats(rng, n)
			fail := func(what string, i int, got float32, want float64) {
				t.Helper()
				t.Fatalf("%v %s of %d: element %d is %v, want %v", set, what, n, i, got, want)
			}
			want, size := 0.0, 0.0
			for i := range a {
				want += float64(a[i]) * float64(b[i])
				size += math.Abs(float64(a[i]) * float64(b[i]))
			}
			if got := set.Dot(a, b); !near(float64(got), want, size, 1e-6) {
				fail("dot", 0, got, want)
			}
			got := slices.Clone(b)
			set.Axpy(got, 0.7, a)
			for i := range a {
				if want := float64(b[i]) + float64(float32(0.7))*float64(a[i]); !near(float64(got[i]), want, 1+math.Abs(want), 3e-7) {
					fail("axpy", i, got[i], want)
				}
			}
			got = slices.Clone(b)
			set.Add(got, a)
			for i := range a {
				if got[i] != b[i]+a[i] {
					fail("add", i, got[i], float64(b[i]+a[i]))
				}
			}
			squares := 0.0
			for _, v := range a {
				squares += float64(v) * float64(v)
			}
			set.RMSNorm(got, a, w, 1e-5)
			for i := range a {
				want := float64(a[i]) / math.Sqrt(squares/float64(n)+1e-5) * float64(w[i])
				if !near(float64(got[i]), want, math.Abs(want), 1e-6) {
					fail("norm", i, got[i], want)
				}
			}
			set.SiLUMul(got, a, w)
			for i := range a {
				want := float64(a[i]) / (1 + math.Exp(-float64(a[i]))) * float64(w[i])
				if !near(float64(got[i]), want, math.Abs(want), 1e-6) {
					fail("silu", i, got[i], want)
				}
			}
			sum := 0.0
			for _, v := range a {
				sum += math.Exp(float64(v))
			}
			copy(got, a)
			set.Softmax(got)
			for i := range a {
				if want := math.Exp(float64(a[i])) / sum; !near(float64(got[i]), want, want, 2e-6) {
					fail("softmax", i, got[i], want)
				}
			}
		}
	}
}

// TestElementsDoNotDependOnPlace: element-wise results are the same bits wherever an element lies, so rows may be joined.
func TestElementsDoNotDependOnPlace(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 7))
	a, w := randomFloats(rng, 67), randomFloats(rng, 67)
	for _, set := range sets() {
		silu, axpy := make([]float32, 67), slices.Clone(w)
		set.SiLUMul(silu, a, w)
		set.Axpy(axpy, 0.3, a)
		for i := range a {
			one := []float32{0}
			set.SiLUMul(one, a[i:], w[i:])
			other := []float32{w[i]}
			set.Axpy(other, 0.3, a[i:])
			if !sameBits(one[0], silu[i]) || !sameBits(other[0], axpy[i]) {
				t.Fatalf("%v: element %d alone gives %v and %v, in a row %v and %v", set, i, one[0], other[0], silu[i], axpy[i])
			}
		}
	}
}

func TestExpAtTheEnds(t *testing.T) {
	t.Parallel()
	inf := float32(math.Inf(1))
	for _, set := range sets() {
		for _, n := range []int{3, 8, 12} {
			row := func(v ...float32) []float32 {
				out := slices.Repeat([]float32{-inf}, n)
				copy(out, v)
				set.Softmax(out)
				return out
			}
			if got := row(1, 1); got[0] != 0.5 || got[1] != 0.5 || got[2] != 0 {
				t.Errorf("%v: softmax of two ones among -Inf is %v", set, got)
			}
			if got := row(0, -87, -200); got[0] != 1 || got[1] <= 0 || got[2] != 0 {
				t.Errorf("%v: softmax of 0, -87, -200 is %v", set, got)
			}
			if got := row(float32(math.NaN()), 1); got[0] == got[0] || got[1] == got[1] {
				t.Errorf("%v: a NaN is lost in %v", set, got)
			}
			if got := row(1e30, 1e30, -1e30); got[0] != 0.5 || got[2] != 0 {
				t.Errorf("%v: softmax of huge values is %v", set, got)
			}
			gate := slices.Repeat([]float32{-1000}, n)
			gate[0], gate[1], gate[2] = 1000, 0, float32(math.NaN())
			ones := slices.Repeat([]float32{1}, n)
			set.SiLUMul(gate, gate, ones)
			if gate[0] != 1000 || gate[1] != 0 || gate[2] == gate[2] || n > 3 && abs(gate[3]) > 1e-30 {
				t.Errorf("%v: silu of 1000, 0, NaN, -1000 is %v", set, gate)
			}
		}
	}
}

func TestHalfRowsAgree(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(8, 8))
	for _, set := range sets() {
		for _, n := range lengths {
			src := make([]float32, n)
			for i := range src {
				src[i] = float32(rng.NormFloat64() * math.Pow(10, float64(rng.IntN(14)-8)))
			}
			half, back := make([]uint16, n), make([]float32, n)
			set.F32ToF16(half, src)
			set.F16ToF32(back, half)
			for i, v := range src {
				if half[i] != f32ToF16(v) || back[i] != f16ToF32(half[i]) {
					t.Fatalf("%v: %v becomes %#x and %v, want %#x", set, v, half[i], back[i], f32ToF16(v))
				}
			}
		}
	}
}

// TestQuantizeGroupsAgree: every set rounds activations to the same integers, scales and sums.
func TestQuantizeGroupsAgree(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(9, 9))
	const groups = 300
	x := make([]float32, groups*groupCols)
	for g := range groups {
		size := math.Pow(10, float64(rng.IntN(80)-42))
		for i := range groupCols {
			x[g*groupCols+i] = float32(rng.NormFloat64() * size)
		}
		switch g % 20 {
		case 0:
			clear(x[g*groupCols:][:groupCols])
		case 1:
			x[g*groupCols+rng.IntN(32)] = float32(math.NaN())
		case 2:
			x[g*groupCols+rng.IntN(32)] = float32(math.Inf(-1))
		case 3: // ties: multiples of half a step
			for i := range groupCols {
				x[g*groupCols+i] = float32(rng.IntN(255)-127) / 2
			}
			x[g*groupCols] = 127
		}
	}
	want, wantScales := make([]int8, len(x)), make([]groupScale, groups)
	Go.quantizeGroups(want, wantScales, x)
	for _, set := range sets() {
		got, scales := make([]int8, len(x)), make([]groupScale, groups)
		set.quantizeGroups(got, scales, x)
		for g := range groups {
			if !slices.Equal(got[g*32:][:32], want[g*32:][:32]) || fmt.Sprint(scales[g]) != fmt.Sprint(wantScales[g]) {
				t.Fatalf("%v: group %d is %v %v, want %v %v", set, g, got[g*32:][:32], scales[g], want[g*32:][:32], wantScales[g])
			}
		}
	}
}
