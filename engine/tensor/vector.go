package tensor

import (
	"math"
	"slices"
)

// Vector operations. Each exists once per set with one fixed order of additions, so that a result depends on its operands only.
// Lengths are those of the first argument; the others must be at least as long.

// Dot is the sum of a[i]*b[i].
func (s Set) Dot(a, b []float32) float32 {
	if len(a) == 0 {
		return 0
	}
	b = b[:len(a)]
	if s == Go {
		return dotGo(a, b)
	}
	return dotAVX2(&a[0], &b[0], len(a))
}

// Axpy adds a*x[i] to dst[i].
func (s Set) Axpy(dst []float32, a float32, x []float32) {
	x = x[:len(dst)]
	if s != Go && len(x) > 0 {
		axpyAVX2(&dst[0], &x[0], a, len(x))
		return
	}
	for i, v := range x {
		dst[i] += float32(a * v)
	}
}

// Add adds x[i] to dst[i].
func (s Set) Add(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] += v
	}
}

// RMSNorm writes x[i] / sqrt(mean(x²) + eps) * w[i] to dst, which may be x.
func (s Set) RMSNorm(dst, x, w []float32, eps float32) {
	x, w = x[:len(dst)], w[:len(dst)]
	if len(x) == 0 {
		return
	}
	mean := s.Dot(x, x) / float32(len(x))
	scale := float32(1 / math.Sqrt(float64(mean+eps)))
	if s != Go {
		scaleAVX2(&dst[0], &x[0], &w[0], scale, len(x))
		return
	}
	for i, v := range x {
		dst[i] = float32(v*scale) * w[i]
	}
}

// SiLUMul writes gate[i] / (1 + exp(-gate[i])) * up[i] to dst, which may be either.
func (s Set) SiLUMul(dst, gate, up []float32) {
	gate, up = gate[:len(dst)], up[:len(dst)]
	if s != Go && len(dst) > 0 {
		siluAVX2(&dst[0], &gate[0], &up[0], len(dst))
		return
	}
	for i, g := range gate {
		dst[i] = g / (1 + expGo(-g)) * up[i]
	}
}

// Softmax turns x into exp(x[i]) / sum(exp(x)) in place. A row of -Inf only, or one with a NaN, becomes NaN.
func (s Set) Softmax(x []float32) {
	if len(x) == 0 {
		return
	}
	var largest float32
	if s != Go && len(x) >= 8 {
		largest = largestAVX2(&x[0], len(x))
	} else {
		largest = slices.Max(x)
	}
	scale := 1 / s.ExpSum(x, largest)
	for i := range x {
		x[i] *= scale
	}
}

// ExpSum turns x into exp(x[i] - top) in place and returns the sum. No x[i] may be above top, so that nothing overflows.
func (s Set) ExpSum(x []float32, top float32) (sum float32) {
	if s != Go && len(x) > 0 {
		return expSumAVX2(&x[0], top, len(x))
	}
	for i, v := range x {
		x[i] = expGo(v - top)
		sum += x[i]
	}
	return sum
}

// F16ToF32 widens halves.
func (s Set) F16ToF32(dst []float32, src []uint16) {
	src = src[:len(dst)]
	done := 0
	if s != Go && len(src) >= 8 {
		done = len(src) &^ 7
		widenAVX2(&dst[0], &src[0], done)
	}
	for i := done; i < len(src); i++ {
		dst[i] = f16ToF32(src[i])
	}
}

// F32ToF16 rounds to halves, ties to even.
func (s Set) F32ToF16(dst []uint16, src []float32) {
	src = src[:len(dst)]
	done := 0
	if s != Go && len(src) >= 8 {
		done = len(src) &^ 7
		narrowAVX2(&dst[0], &src[0], done)
	}
	for i := done; i < len(src); i++ {
		dst[i] = f32ToF16(src[i])
	}
}

// dotGo is the reference dot product: four sums, because one would wait for each addition to end before the next.
func dotGo(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	for len(a) >= 4 && len(b) >= 4 {
		s0 += float32(a[0] * b[0])
		s1 += float32(a[1] * b[1])
		s2 += float32(a[2] * b[2])
		s3 += float32(a[3] * b[3])
		a, b = a[4:], b[4:]
	}
	s0, s1 = s0+s2, s1+s3
	for i, v := range a {
		s0 += float32(v * b[i])
	}
	return s0 + s1
}

// Constants of exp for float32 (Cephes, expf): x = n*ln 2 + r with |r| <= ln(2)/2, exp(x) = 2^n * (1 + r + r²*p(r)).
const (
	expMin  = -87.33654 // below, 2^n is subnormal: the result is taken as 0
	expMax  = 88.37626  // above, 2^n would need n = 128; larger x give exp(expMax), 2.4e38
	log2e   = 1.44269504088896341
	ln2High = 0.693359375
	ln2Low  = -2.12194440e-4
	expP0   = 1.9875691500e-4
	expP1   = 1.3981999507e-3
	expP2   = 8.3334519073e-3
	expP3   = 4.1665795894e-2
	expP4   = 1.6666665459e-1
	expP5   = 5.0000001201e-1
)

// expGo is exp to about 2 units in the last place. Below expMin it is 0, above expMax it stays at exp(expMax), NaN stays NaN.
func expGo(x float32) float32 {
	if x < expMin {
		return 0
	}
	if x > expMax {
		x = expMax
	}
	if x != x {
		return x
	}
	n := roundInt(x * log2e)
	f := float32(n)
	r := x - float32(f*ln2High)
	r -= float32(f * ln2Low)
	p := float32(expP0*r) + expP1
	p = float32(p*r) + expP2
	p = float32(p*r) + expP3
	p = float32(p*r) + expP4
	p = float32(p*r) + expP5
	y := float32(p*float32(r*r)) + r + 1
	return y * math.Float32frombits(uint32(n+127)<<23)
}
