package tensor

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
)

// Benchmarks of products. `go test -short -bench .` takes small matrices that fit in a cache; without -short the weights are
// larger than the last cache, so that one column runs at the speed of memory. BenchmarkBandwidth says what that speed is.

// benchCopies makes as many matrices as exceed the last cache together, so that no product finds its weights there.
func benchCopies(b *testing.B, set Set, t Type, rows, cols int, act Activations) []*Matrix {
	rng := rand.New(rand.NewPCG(1, 1))
	data := randomBlocks(rng, t, rows*cols)
	most := 160 << 20
	if testing.Short() {
		most = 1
	}
	var out []*Matrix
	for size := 0; len(out) == 0 || size < most; size += int(out[0].Bytes()) {
		d := data
		if t.Dense() {
			d = append([]byte(nil), data...) // a dense matrix refers to its bytes
		}
		m, err := NewMatrix(set, t, rows, cols, d, act)
		if err != nil {
			b.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

func benchMul(b *testing.B, set Set, t Type, act Activations, n int) {
	rows, cols := 4096, 4096
	if testing.Short() {
		rows, cols = 512, 1024
	}
	if set == Go || act == ActF32 && !t.Dense() {
		rows, cols = 512, 1024
	}
	matrices := benchCopies(b, set, t, rows, cols, act)
	p := NewPool(runtime.GOMAXPROCS(0))
	defer p.Close()
	x := randomFloats(rand.New(rand.NewPCG(2, 2)), n*cols)
	out := make([]float32, n*rows)
	var s Scratch
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		matrices[i%len(matrices)].Mul(p, &s, out, x, n)
		i++
	}
	seconds := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(float64(matrices[0].Bytes())/seconds/1e9, "GB/s")
	b.ReportMetric(2*float64(rows)*float64(cols)*float64(n)/seconds/1e9, "GOPS")
}

func BenchmarkMul(b *testing.B) {
	for _, set := range sets() {
		for _, t := range allTypes {
			for _, n := range []int{1, 4, 32} {
				b.Run(fmt.Sprintf("%v/%v/n=%d", set, t, n), func(b *testing.B) { benchMul(b, set, t, ActInt8, n) })
			}
		}
		b.Run(fmt.Sprintf("%v/Q8_0-f32/n=1", set), func(b *testing.B) { benchMul(b, set, Q8_0, ActF32, 1) })
		b.Run(fmt.Sprintf("%v/Q4_K-f32/n=8", set), func(b *testing.B) { benchMul(b, set, Q4_K, ActF32, 8) })
	}
}

// BenchmarkBandwidth says which part of the machine's read bandwidth the products of one column reach. The F32 product stands for
// reading: it follows four streams a thread and does the least arithmetic a byte (a plain loop over one stream measured
// less). On a shared machine the speed of memory changes by the second, so the types take turns and the best of each counts.
func BenchmarkBandwidth(b *testing.B) {
	all := sets()
	set := all[len(all)-1]
	p := NewPool(runtime.GOMAXPROCS(0))
	defer p.Close()
	rows, cols := 4096, 4096
	if testing.Short() {
		rows, cols = 512, 1024
	}
	x, out := randomFloats(rand.New(rand.NewPCG(2, 2)), cols), make([]float32, rows)
	var s Scratch
	types := []Type{F32, F16, Q8_0, Q4_0, Q4_K, Q5_K, Q6_K}
	matrices := make([][]*Matrix, len(types))
	for i, t := range types {
		r := rows
		if t == F32 {
			r = rows / 4 // windows of the size of the others, so that chance has as good a part in the best of them
		}
		matrices[i] = benchCopies(b, set, t, r, cols, ActInt8)
	}
	best := make([]float64, len(types))
	for b.Loop() {
		for i := range types {
			for _, m := range matrices[i] {
				start := time.Now()
				m.Mul(p, &s, out[:m.Rows()], x, 1)
				best[i] = max(best[i], float64(m.Bytes())/time.Since(start).Seconds()/1e9)
			}
		}
	}
	b.ReportMetric(best[0], "read-GB/s")
	for i, t := range types[1:] {
		b.ReportMetric(100*best[i+1]/best[0], t.String()+"-%")
	}
}

// BenchmarkSmall multiplies a matrix of the size that weir-mini has: here the way to the kernel counts as much as the kernel.
func BenchmarkSmall(b *testing.B) {
	rng := rand.New(rand.NewPCG(5, 5))
	p := NewPool(2)
	defer p.Close()
	for _, set := range sets() {
		for _, n := range []int{1, 8} {
			b.Run(fmt.Sprintf("%v/384x128/n=%d", set, n), func(b *testing.B) {
				m, err := NewMatrix(set, Q8_0, 384, 128, randomBlocks(rng, Q8_0, 384*128), ActInt8)
				if err != nil {
					b.Fatal(err)
				}
				x, out := randomFloats(rng, n*128), make([]float32, n*384)
				var s Scratch
				for b.Loop() {
					m.Mul(p, &s, out, x, n)
				}
			})
		}
	}
}

// BenchmarkRow unpacks a row of an embedding.
func BenchmarkRow(b *testing.B) {
	rng := rand.New(rand.NewPCG(6, 6))
	for _, t := range []Type{F16, Q8_0, Q4_K, Q6_K} {
		b.Run(t.String(), func(b *testing.B) {
			m, err := NewMatrix(Go, t, 16, 2048, randomBlocks(rng, t, 16*2048), ActInt8)
			if err != nil {
				b.Fatal(err)
			}
			dst := make([]float32, 2048)
			for b.Loop() {
				m.Row(dst, 3)
			}
		})
	}
}

func BenchmarkPack(b *testing.B) {
	rng := rand.New(rand.NewPCG(3, 3))
	for _, t := range []Type{Q8_0, Q4_0, Q4_K, Q5_K, Q6_K} {
		b.Run(t.String(), func(b *testing.B) {
			const rows, cols = 256, 4096
			data := randomBlocks(rng, t, rows*cols)
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := NewMatrix(Go, t, rows, cols, data, ActInt8); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVector(b *testing.B) {
	rng := rand.New(rand.NewPCG(4, 4))
	x, y, w := randomFloats(rng, 2048), randomFloats(rng, 2048), randomFloats(rng, 2048)
	var scales [64]groupScale
	q := make([]int8, 2048)
	for _, set := range sets() {
		run := func(name string, f func()) {
			b.Run(fmt.Sprintf("%v/%s", set, name), func(b *testing.B) {
				for b.Loop() {
					f()
				}
			})
		}
		run("dot128", func() { set.Dot(x[:128], y) })
		run("dot2048", func() { set.Dot(x, y) })
		run("axpy128", func() { set.Axpy(y[:128], 1e-9, x) })
		run("norm2048", func() { set.RMSNorm(y, x, w, 1e-5) })
		run("silu2048", func() { set.SiLUMul(y, x, w) })
		run("softmax2048", func() { copy(y, x); set.Softmax(y) })
		run("quantize2048", func() { set.quantizeGroups(q, scales[:], x) })
	}
}

func BenchmarkDequantize(b *testing.B) {
	rng := rand.New(rand.NewPCG(7, 7))
	dst := make([]float32, 4096)
	for _, t := range allTypes {
		b.Run(t.String(), func(b *testing.B) {
			src := randomBlocks(rng, t, len(dst))
			b.SetBytes(int64(4 * len(dst)))
			for b.Loop() {
				if err := Dequantize(t, dst, src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
