package model_test

import (
	"fmt"
	"testing"

	"github.com/weir-ai/weir/engine/model"
	"github.com/weir-ai/weir/engine/tensor"
	"github.com/weir-ai/weir/engine/weights"
)

// BenchmarkForward measures steps at position 100 of stories260K, so small that it shows the cost of the glue, which large
// models hide behind their matrices.
func BenchmarkForward(b *testing.B) {
	for _, file := range []string{"models/stories260K-f32.gguf", "models/stories260K-Q8_0.gguf"} {
		b.Run(file, func(b *testing.B) { benchmarkSteps(b, open(b, file), 100, model.KVF32) })
	}
}

// BenchmarkShape measures a model of 135 M random parameters at position 500, where attention shows, too.
func BenchmarkShape(b *testing.B) {
	for _, typ := range []tensor.Type{tensor.Q8_0, tensor.Q4_0} {
		f, err := weights.Synthetic("135m", typ, 1)
		if err != nil {
			b.Fatal(err)
		}
		for _, kv := range []model.KVType{model.KVF32, model.KVF16, model.KVInt8} {
			b.Run(fmt.Sprintf("135m-%s/kv-%s", typ, kv), func(b *testing.B) { benchmarkSteps(b, f, 500, kv) })
		}
	}
}

// benchmarkSteps measures a prompt, and one token each of 1, 8 and 32 sequences behind such a prompt.
func benchmarkSteps(b *testing.B, f *weights.File, prompt int, kv model.KVType) {
	o := bestOptions(b)
	o.Activations, o.KV = tensor.ActInt8, kv
	m := load(b, f, o)
	perSequence := prompt/m.Options().BlockSize + 1
	cache := m.NewCache(32 * perSequence)
	var prefill, decode []model.Chunk
	for i := range 32 {
		var table []int32
		for j := range perSequence {
			table = append(table, int32(i*perSequence+j))
		}
		tokens := make([]int32, prompt)
		for j := range tokens {
			tokens[j] = int32((i*31 + j*7) % m.Spec().Vocab)
		}
		prefill = append(prefill, model.Chunk{Tokens: tokens, Blocks: table, Want: model.LastLogits})
		decode = append(decode, model.Chunk{Tokens: []int32{5}, Start: prompt, Blocks: table, Want: model.LastLogits})
	}
	run := func(name string, chunks []model.Chunk, tokens int) {
		b.Run(name, func(b *testing.B) {
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
