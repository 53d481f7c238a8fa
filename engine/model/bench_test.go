package model_test

import (
	"fmt"
	"testing"

	"github.com/weir-ai/weir/engine/model"
	"github.com/weir-ai/weir/engine/tensor"
)

// BenchmarkForward measures steps of stories260K: a prompt of 100 tokens, and one token each of 1, 8 and 32 sequences at
// position 100. So small a model shows the cost of the glue, which large ones hide behind their matrices.
func BenchmarkForward(b *testing.B) {
	for _, file := range []string{"models/stories260K-f32.gguf", "models/stories260K-Q8_0.gguf"} {
		o := bestOptions(b)
		o.Activations = tensor.ActInt8
		m := load(b, open(b, file), o)
		const prompt, perSequence = 100, 7
		cache := m.NewCache(32 * perSequence)
		table := func(i int) (t []int32) {
			for j := range perSequence {
				t = append(t, int32(i*perSequence+j))
			}
			return t
		}
		var prefill, decode []model.Chunk
		for i := range 32 {
			prefill = append(prefill, model.Chunk{Tokens: make([]int32, prompt), Blocks: table(i), Want: model.LastLogits})
			decode = append(decode, model.Chunk{Tokens: []int32{5}, Start: prompt, Blocks: table(i), Want: model.LastLogits})
		}
		if _, err := m.Forward(cache, prefill); err != nil {
			b.Fatal(err)
		}
		run := func(name string, chunks []model.Chunk, tokens int) {
			b.Run(fmt.Sprintf("%s/%s", file, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := m.Forward(cache, chunks); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(tokens)*float64(b.N)/b.Elapsed().Seconds(), "tok/s")
			})
		}
		run("prefill", prefill[:1], prompt)
		for _, n := range []int{1, 8, 32} {
			run(fmt.Sprintf("decode%d", n), decode[:n], n)
		}
	}
}
