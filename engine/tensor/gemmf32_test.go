package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// sets are the kernel sets that this machine can run.
func gemmSets(t testing.TB) []Set {
	best, _, err := Detect("")
	if err != nil {
		t.Fatal(err)
	}
	var out []Set
	for s := Go; s <= best; s++ {
		out = append(out, s)
	}
	return out
}

func gemmRandom(r *rand.Rand, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(r.NormFloat64())
	}
	return out
}

// gemmNaive computes in float64, and the sum of magnitudes, which bounds the error of any order of float32 sums.
func gemmNaive(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) (want, size []float64) {
	want, size = make([]float64, m*n), make([]float64, m*n)
	for i := range m {
		for q := range n {
			var sum, abs float64
			for p := range k {
				x, y := i*lda+p, p*ldb+q
				if transA {
					x = p*lda + i
				}
				if transB {
					y = q*ldb + p
				}
				v := float64(a[x]) * float64(b[y])
				sum += v
				abs += math.Abs(v)
			}
			sum *= float64(alpha)
			abs *= math.Abs(float64(alpha))
			if beta != 0 {
				sum += float64(beta) * float64(c[i*ldc+q])
				abs += math.Abs(float64(beta) * float64(c[i*ldc+q]))
			}
			want[i*n+q], size[i*n+q] = sum, abs
		}
	}
	return want, size
}

func TestGemmF32AgainstNaive(t *testing.T) {
	t.Parallel()
	pool := NewPool(3)
	defer pool.Close()
	r := rand.New(rand.NewPCG(1, 2))
	sizes := []int{1, 2, 3, 5, 6, 7, 12, 15, 16, 17, 31, 32, 33, 47, 48, 65, 100, 130}
	pick := func() int { return sizes[r.IntN(len(sizes))] }
	for _, set := range gemmSets(t) {
		for round := range 120 {
			m, n, k := pick(), pick(), pick()
			if round%10 == 0 {
				k = 385 + r.IntN(800)
			}
			transA, transB := r.IntN(2) == 1, r.IntN(2) == 1
			alpha := []float32{1, 0.5, -2}[r.IntN(3)]
			beta := []float32{0, 1, 0.25}[r.IntN(3)]
			lda, ldb, ldc := k+r.IntN(3), n+r.IntN(3), n+r.IntN(3)
			ra, rb := m, k
			if transA {
				lda, ra = m+r.IntN(3), k
			}
			if transB {
				ldb, rb = k+r.IntN(3), n
			}
			a, b, c := gemmRandom(r, ra*lda), gemmRandom(r, rb*ldb), gemmRandom(r, m*ldc)
			if beta == 0 {
				for i := range c {
					c[i] = float32(math.NaN()) // beta 0 must not read it
				}
			}
			name := fmt.Sprintf("%v m=%d n=%d k=%d tA=%v tB=%v alpha=%v beta=%v ld=%d,%d,%d", set, m, n, k, transA, transB, alpha, beta, lda, ldb, ldc)
			want, size := gemmNaive(transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
			before := slices.Clone(c)
			set.GemmF32(pool, transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
			for i := range m {
				for q := range ldc {
					got := float64(c[i*ldc+q])
					if q >= n {
						if math.Float32bits(c[i*ldc+q]) != math.Float32bits(before[i*ldc+q]) {
							t.Fatalf("%s: wrote beyond the row at (%d, %d)", name, i, q)
						}
						continue
					}
					if d := math.Abs(got - want[i*n+q]); !(d <= size[i*n+q]*float64(k+3)*6e-8+1e-12) {
						t.Fatalf("%s: at (%d, %d) got %v, want %v", name, i, q, got, want[i*n+q])
					}
				}
			}
		}
	}
}

// A result does not depend on the threads, nor on the other rows, nor (between the vector sets) on the set.
func TestGemmF32Invariance(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	const m, n, k = 77, 53, 901
	a, b := gemmRandom(r, m*k), gemmRandom(r, k*n)
	var vector []float32
	for _, set := range gemmSets(t) {
		var first []float32
		for threads := range 4 {
			pool := NewPool(threads + 1)
			c := make([]float32, m*n)
			set.GemmF32(pool, false, false, m, n, k, 1, a, k, b, n, 0, c, n)
			pool.Close()
			if first == nil {
				first = c
			} else if !slices.Equal(c, first) {
				t.Fatalf("%v: %d threads change the result", set, threads+1)
			}
		}
		row := make([]float32, n)
		set.GemmF32(nil, false, false, 1, n, k, 1, a[40*k:], k, b, n, 0, row, n)
		if !slices.Equal(row, first[40*n:41*n]) {
			t.Fatalf("%v: a row alone differs from the row among others", set)
		}
		if set == Go {
			continue
		}
		if vector == nil {
			vector = first
		} else if !slices.Equal(vector, first) {
			t.Fatalf("%v differs from the first vector set", set)
		}
	}
}

// The packing of every vector set runs wherever AVX2 does, also for the register block of AVX-512.
func TestGemmF32Packing(t *testing.T) {
	t.Parallel()
	if len(gemmSets(t)) == 1 {
		t.Skip("this machine has no vector kernels")
	}
	r := rand.New(rand.NewPCG(7, 8))
	for _, set := range []Set{AVX2, AVX512} {
		mr, nr := set.gemmShape()
		for _, pad := range []int{mr, nr} {
			for width := 1; width <= pad; width++ {
				k, ld := 1+r.IntN(9), width+r.IntN(3)
				src := gemmRandom(r, (k-1)*ld+width)
				got, want := gemmRandom(r, k*pad), gemmRandom(r, k*pad)
				set.gemmPackRows(got, src, ld, k, width, pad)
				gemmPackRowsGo(want, src, ld, k, width, pad)
				if !slices.Equal(got, want) {
					t.Fatalf("%v packs %d rows of %d of %d otherwise than plain Go", set, k, width, pad)
				}
			}
		}
	}
}

func TestGemmF32Empty(t *testing.T) {
	t.Parallel()
	c := []float32{1, 2, 3, 4}
	Go.GemmF32(nil, false, false, 2, 2, 0, 1, nil, 0, nil, 2, 0.5, c, 2)
	if !slices.Equal(c, []float32{0.5, 1, 1.5, 2}) {
		t.Fatalf("k=0 with beta 0.5 gives %v", c)
	}
	Go.GemmF32(nil, false, false, 2, 2, 0, 1, nil, 0, nil, 2, 0, c, 2)
	if !slices.Equal(c, []float32{0, 0, 0, 0}) {
		t.Fatalf("k=0 with beta 0 gives %v", c)
	}
	Go.GemmF32(nil, false, false, 0, 2, 3, 1, nil, 3, nil, 2, 0, nil, 2)
	defer func() {
		if recover() == nil {
			t.Fatal("a short C is accepted")
		}
	}()
	Go.GemmF32(nil, false, false, 2, 2, 2, 1, c, 2, c, 2, 0, c[:3], 2)
}

func BenchmarkGemmF32(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, s := range []struct {
		name           string
		transA, transB bool
		m, n, k        int
	}{
		{"square512", false, false, 512, 512, 512},
		{"forward/gate-up", false, true, 1500, 768, 128},
		{"forward/down", false, true, 1500, 128, 384},
		{"forward/out", false, true, 1500, 128, 128},
		{"backward/x", false, false, 1500, 128, 768},
		{"backward/w", true, false, 768, 128, 1500},
		{"backward/wout", true, false, 128, 128, 1500},
		{"vocabulary", false, true, 400, 1024, 128},
	} {
		for _, set := range gemmSets(b) {
			for _, threads := range []int{1, 2} {
				b.Run(fmt.Sprintf("%s/%v/%d", s.name, set, threads), func(b *testing.B) {
					pool := NewPool(threads)
					defer pool.Close()
					x, y, c := gemmRandom(r, s.m*s.k), gemmRandom(r, s.n*s.k), make([]float32, s.m*s.n)
					lda, ldb := s.k, s.n
					if s.transA {
						lda = s.m
					}
					if s.transB {
						ldb = s.k
					}
					g := NewGemm(set, pool)
					for b.Loop() {
						g.Mul(s.transA, s.transB, s.m, s.n, s.k, 1, x, lda, y, ldb, 0, c, s.n)
					}
					b.ReportMetric(2*float64(s.m)*float64(s.n)*float64(s.k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")
				})
			}
		}
	}
}
