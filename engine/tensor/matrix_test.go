package tensor

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// randomBlocks makes bytes of t for n values: any quants, scales of either sign of a size that weights have.
func randomBlocks(rng *rand.Rand, t Type, n int) []byte {
	l, _ := t.layout()
	b := make([]byte, n/l.values*l.bytes)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	half := func(at int) {
		for i := 0; i < len(b); i += l.bytes {
			binary.LittleEndian.PutUint16(b[i+at:], f32ToF16(float32(rng.NormFloat64()*0.02)))
		}
	}
	switch t {
	case F32:
		for i := range n {
			binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(float32(rng.NormFloat64())))
		}
	case F16, BF16:
		for i := range n {
			h := f32ToF16(float32(rng.NormFloat64()))
			if t == BF16 {
				h = f32ToBF16(float32(rng.NormFloat64()))
			}
			binary.LittleEndian.PutUint16(b[2*i:], h)
		}
	case Q8_0, Q4_0, Q5_0:
		half(0)
	case Q4_1, Q5_1, Q4_K, Q5_K:
		half(0)
		half(2)
	case Q6_K:
		half(208)
	}
	return b
}

func randomFloats(rng *rand.Rand, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(rng.NormFloat64())
	}
	return out
}

// sets lists the kernel sets that this machine runs.
func sets() []Set {
	out := []Set{Go}
	if machine().avx2() {
		out = append(out, AVX2)
	}
	if machine().avx512() {
		out = append(out, AVX512)
	}
	return out
}

// roundActivations gives x as ActInt8 sees it: each group of 32 rounded to its int8 grid.
func roundActivations(x []float32) []float64 {
	out := make([]float64, len(x))
	for at := 0; at < len(x); at += groupCols {
		var q [groupCols]int8
		scale, _, _ := quantizeGroup(&q, (*[groupCols]float32)(x[at:]))
		for i, v := range q {
			out[at+i] = float64(scale) * float64(v)
		}
	}
	return out
}

// shape is a matrix shape and a number of columns of activations.
type shape struct{ rows, cols, n int }

// shapes covers full and broken blocks of rows, short and long rows, and every width of panel.
func shapes(rng *rand.Rand, t Type) []shape {
	out := []shape{{1, 1, 1}, {16, 1, 2}, {172, 2, 3}, {64, 1, 8}, {33, 2, 40}, {8, 8, 5}}
	for range 8 {
		out = append(out, shape{1 + rng.IntN(130), 1 + rng.IntN(9), 1 + rng.IntN(40)})
	}
	for i := range out {
		if t.Dense() {
			out[i].cols = out[i].cols*37 - rng.IntN(30)
		} else {
			out[i].cols *= t.BlockLen()
		}
	}
	return out
}

// TestMulAgainstFloat64 holds every type, both kinds of activations and every set against sums in float64 over the dequantised
// weights and the activations as the kernel sees them: what is left is the rounding of float32 sums.
func TestMulAgainstFloat64(t *testing.T) {
	t.Parallel()
	for _, typ := range allTypes {
		for _, act := range []Activations{ActF32, ActInt8} {
			t.Run(fmt.Sprintf("%v-%v", typ, act), func(t *testing.T) {
				t.Parallel()
				rng := rand.New(rand.NewPCG(1, uint64(typ)))
				for _, sh := range shapes(rng, typ) {
					data := randomBlocks(rng, typ, sh.rows*sh.cols)
					x := randomFloats(rng, sh.n*sh.cols)
					w := make([]float32, sh.rows*sh.cols)
					if err := Dequantize(typ, w, data); err != nil {
						t.Fatal(err)
					}
					seen := make([]float64, len(x))
					for i, v := range x {
						seen[i] = float64(v)
					}
					if !typ.Dense() && act == ActInt8 {
						seen = roundActivations(x)
					}
					for _, set := range sets() {
						checkMul(t, set, typ, act, sh, data, x, w, seen)
					}
				}
			})
		}
	}
}

func checkMul(t *testing.T, set Set, typ Type, act Activations, sh shape, data []byte, x, w []float32, seen []float64) {
	t.Helper()
	m, err := NewMatrix(set, typ, sh.rows, sh.cols, data, act)
	if err != nil {
		t.Fatal(err)
	}
	row := make([]float32, sh.cols)
	for r := range sh.rows {
		m.Row(row, r)
		for i, v := range row {
			if math.Float32bits(v) != math.Float32bits(w[r*sh.cols+i]) {
				t.Fatalf("%v %v: row %d value %d is %v, dequantised %v", set, sh, r, i, v, w[r*sh.cols+i])
			}
		}
	}
	var s Scratch
	out := make([]float32, sh.n*sh.rows)
	m.Mul(nil, &s, out, x, sh.n)
	for c := range sh.n {
		for r := range sh.rows {
			var sum, size float64
			for k := range sh.cols {
				v := float64(w[r*sh.cols+k]) * seen[c*sh.cols+k]
				sum += v
				size += math.Abs(v)
			}
			// A minimum and its quants cancel, so the bound follows the sum of magnitudes, not the sum.
			if got := float64(out[c*sh.rows+r]); !(math.Abs(got-sum) <= 4e-6*size*4+1e-12) {
				t.Fatalf("%v %v: row %d column %d is %v, want %v (magnitudes %v)", set, sh, r, c, got, sum, size)
			}
		}
	}
}

// TestMulBatchInvariant: one column alone, with any neighbours, at any place and on any number of threads gives the same bits.
func TestMulBatchInvariant(t *testing.T) {
	t.Parallel()
	pool := NewPool(3)
	defer pool.Close()
	for _, set := range sets() {
		for _, typ := range allTypes {
			for _, act := range []Activations{ActF32, ActInt8} {
				rng := rand.New(rand.NewPCG(2, uint64(typ)))
				rows, cols := 107, 2*typ.BlockLen()
				if typ.Dense() {
					cols = 333
				}
				m, err := NewMatrix(set, typ, rows, cols, randomBlocks(rng, typ, rows*cols), act)
				if err != nil {
					t.Fatal(err)
				}
				const most = 34
				x := randomFloats(rng, most*cols)
				var s Scratch
				alone := make([]float32, most*rows)
				for c := range most {
					m.Mul(nil, &s, alone[c*rows:], x[c*cols:], 1)
				}
				out := make([]float32, most*rows)
				for _, n := range []int{2, 3, 4, 5, 7, 8, 13, 32} {
					for _, p := range []*Pool{nil, pool} {
						first := rng.IntN(most - n + 1)
						m.Mul(p, &s, out, x[first*cols:], n)
						if !slices.EqualFunc(out[:n*rows], alone[first*rows:(first+n)*rows], sameBits) {
							t.Fatalf("%v %v %v: %d columns from %d differ from each alone", set, typ, act, n, first)
						}
					}
				}
			}
		}
	}
}

func sameBits(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }

// TestMulShowsNaN: a NaN or infinity among the activations reaches every row of its column and no other column.
func TestMulShowsNaN(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 3))
	for _, set := range sets() {
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
			m, err := NewMatrix(set, Q8_0, 20, 64, randomBlocks(rng, Q8_0, 20*64), ActInt8)
			if err != nil {
				t.Fatal(err)
			}
			x := randomFloats(rng, 3*64)
			x[64+5] = bad
			out := make([]float32, 3*20)
			m.Mul(nil, new(Scratch), out, x, 3)
			for i, v := range out {
				if finite := v-v == 0; finite == (i/20 == 1) {
					t.Fatalf("%v, %v in column 1: result %d of column %d is %v", set, bad, i%20, i/20, v)
				}
			}
		}
	}
}

func TestNewMatrixRefuses(t *testing.T) {
	t.Parallel()
	refuse := func(name string, typ Type, rows, cols, size int) {
		t.Helper()
		if _, err := NewMatrix(Go, typ, rows, cols, make([]byte, size), ActInt8); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	refuse("unknown type", Type(10), 1, 256, 84)
	refuse("no rows", F32, 0, 4, 0)
	refuse("negative", F32, -1, -4, 16)
	refuse("overflow", F32, math.MaxInt/2, math.MaxInt/2, 0)
	refuse("overflow of bytes", F32, math.MaxInt/8, 2, 0)
	refuse("part of a block", Q8_0, 1, 33, 68)
	refuse("too short", Q8_0, 2, 32, 67)
	refuse("too long", Q8_0, 2, 32, 69)
}

// TestMulAllocatesNothing: the per-token path makes no garbage once the buffers have grown.
func TestMulAllocatesNothing(t *testing.T) {
	pool := NewPool(2)
	defer pool.Close()
	rng := rand.New(rand.NewPCG(10, 10))
	for _, set := range sets() {
		for _, typ := range allTypes {
			for _, act := range []Activations{ActF32, ActInt8} {
				m, err := NewMatrix(set, typ, 70, 512, randomBlocks(rng, typ, 70*512), act)
				if err != nil {
					t.Fatal(err)
				}
				x, out := randomFloats(rng, 5*512), make([]float32, 5*70)
				var s Scratch
				if n := testing.AllocsPerRun(5, func() { m.Mul(pool, &s, out, x, 5) }); n > 0 {
					t.Errorf("%v %v %v: a product allocates %v times", set, typ, act, n)
				}
			}
		}
	}
}
