package train

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
)

// speedSource gives examples of the lengths that weir-mini's corpus has, the last third an answer.
type speedSource struct{ vocab, count int }

func (s speedSource) Next(_ int, r *rand.Rand) []Example {
	out := make([]Example, s.count)
	for i := range out {
		n := 30 + r.IntN(31)
		e := Example{Tokens: make([]int32, n), Loss: make([]bool, n)}
		for j := range n {
			e.Tokens[j] = int32(r.IntN(s.vocab))
			e.Loss[j] = j >= n*2/3
		}
		out[i] = e
	}
	return out
}

// BenchmarkTrain is a step of weir-mini's shape: 48 examples of 30 to 60 tokens.
func BenchmarkTrain(b *testing.B) {
	for _, vocab := range []int{1024, 2048} {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("vocab%d/threads%d", vocab, threads), func(b *testing.B) {
				shape := Shape{Vocab: vocab, Dim: 128, Layers: 6, Heads: 4, KVHeads: 4, Hidden: 384, Context: 512, Tied: true}
				t, err := New(Config{Shape: shape, Steps: 1 << 30, Threads: threads}, speedSource{vocab, 48})
				if err != nil {
					b.Fatal(err)
				}
				t.cfg.Steps = 3 // warm
				if err := t.Run(context.Background(), nil); err != nil {
					b.Fatal(err)
				}
				t.cfg.Steps += b.N
				before := t.tokens
				b.ResetTimer()
				if err := t.Run(context.Background(), nil); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(t.tokens-before)/b.Elapsed().Seconds(), "tokens/s")
			})
		}
	}
}
