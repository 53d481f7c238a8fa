package model_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-ai/weir/engine/model"
	"github.com/weir-ai/weir/engine/tensor"
	"github.com/weir-ai/weir/engine/weights"
)

// mixture is a small Llama with the types of llama.cpp's Q4_K_M: mostly Q4_K, Q6_K where errors weigh most (the output, and the values
// and the way back in half of the layers), Q5_K for the attention's output as in its mixtures of experts, and F32 norms. The blocks are
// drawn, not quantised: every pattern of scales and quants is valid.
func mixture(seed uint64) (meta []weights.KV, tensors []weights.Tensor) {
	const dim, inner, layers, heads, kvHeads, vocab = 256, 512, 4, 8, 4, 320
	rng := rand.New(rand.NewPCG(seed, 0))
	add := func(name string, t tensor.Type, shape ...int) {
		values := 1
		for _, n := range shape {
			values *= n
		}
		data := make([]byte, values/t.BlockLen()*t.BlockBytes())
		for at := 0; at < len(data); at += t.BlockBytes() {
			drawBlock(t, data[at:at+t.BlockBytes()], rng)
		}
		tensors = append(tensors, weights.Tensor{Name: name + ".weight", Type: t, Shape: shape, Data: data})
	}
	add("token_embd", tensor.Q4_K, vocab, dim)
	add("output_norm", tensor.F32, dim)
	add("output", tensor.Q6_K, vocab, dim)
	for i := range layers {
		better := tensor.Q4_K
		if i%2 == 0 {
			better = tensor.Q6_K
		}
		prefix, kv := fmt.Sprintf("blk.%d.", i), dim/heads*kvHeads
		add(prefix+"attn_norm", tensor.F32, dim)
		add(prefix+"ffn_norm", tensor.F32, dim)
		add(prefix+"attn_q", tensor.Q4_K, dim, dim)
		add(prefix+"attn_k", tensor.Q4_K, kv, dim)
		add(prefix+"attn_v", better, kv, dim)
		add(prefix+"attn_output", tensor.Q5_K, dim, dim)
		add(prefix+"ffn_gate", tensor.Q4_K, inner, dim)
		add(prefix+"ffn_up", tensor.Q4_K, inner, dim)
		add(prefix+"ffn_down", better, dim, inner)
	}
	return []weights.KV{
		{Key: "general.architecture", Value: "llama"},
		{Key: "general.file_type", Value: uint32(15)}, // LLAMA_FTYPE_MOSTLY_Q4_K_M
		{Key: "llama.block_count", Value: uint32(layers)},
		{Key: "llama.context_length", Value: uint32(128)},
		{Key: "llama.embedding_length", Value: uint32(dim)},
		{Key: "llama.feed_forward_length", Value: uint32(inner)},
		{Key: "llama.attention.head_count", Value: uint32(heads)},
		{Key: "llama.attention.head_count_kv", Value: uint32(kvHeads)},
		{Key: "llama.rope.freq_base", Value: float32(10000)},
		{Key: "llama.attention.layer_norm_rms_epsilon", Value: float32(1e-5)},
		{Key: "llama.vocab_size", Value: uint32(vocab)},
	}, tensors
}

// drawBlock fills one block at random: bytes as they come for scales and quants, and float16 factors that give weights a deviation of
// about 0.06, one over the root of the width, and a mean of 0. Gains of norms are about 1.
func drawBlock(t tensor.Type, b []byte, rng *rand.Rand) {
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	half := func(at int, v float64) {
		if err := tensor.Quantize(tensor.F16, b[at:at+2], []float32{float32(v)}); err != nil {
			panic(err)
		}
	}
	factor := (0.75 + rng.Float64()/2) * float64(1-2*int(rng.Uint32()&1))
	switch t {
	case tensor.F32:
		if err := tensor.Quantize(t, b, []float32{1 + 0.2*float32(factor)}); err != nil {
			panic(err)
		}
	case tensor.Q4_K: // d, dmin, scales and mins of 6 bits, quants of 0 to 15
		half(0, factor*2.3e-4)
		half(2, factor*2.3e-4*7.5)
	case tensor.Q5_K: // quants of 0 to 31
		half(0, factor*1.15e-4)
		half(2, factor*1.15e-4*15.5)
	case tensor.Q6_K: // quants of -32 to 31 and scales of 8 bits, d behind them
		half(208, factor*4.4e-5)
	}
}

// inFloats is the same model with every tensor dequantised.
func inFloats(t *testing.T, tensors []weights.Tensor) (twin []weights.Tensor) {
	t.Helper()
	for _, x := range tensors {
		values := make([]float32, len(x.Data)/x.Type.BlockBytes()*x.Type.BlockLen())
		if err := tensor.Dequantize(x.Type, values, x.Data); err != nil {
			t.Fatal(err)
		}
		x.Type, x.Data = tensor.F32, make([]byte, 4*len(values))
		if err := tensor.Quantize(tensor.F32, x.Data, values); err != nil {
			t.Fatal(err)
		}
		twin = append(twin, x)
	}
	return twin
}

// written is a GGUF file that was written and opened again.
func written(t *testing.T, name string, meta []weights.KV, tensors []weights.Tensor) *weights.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := weights.WriteGGUF(out, meta, tensors); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// TestMixtureOfKQuants loads a file of the kind that most people have and holds it against its own weights in float32, computed by the
// portable kernels: on every kernel set, for a prompt at once and for single tokens after it.
func TestMixtureOfKQuants(t *testing.T) {
	t.Parallel()
	meta, tensors := mixture(1)
	f, twin := written(t, "mixture-Q4_K_M.gguf", meta, tensors), written(t, "mixture-F32.gguf", meta, inFloats(t, tensors))
	have := map[tensor.Type]int{}
	for _, x := range f.Tensors() {
		have[x.Type]++
	}
	if have[tensor.Q4_K] != 21 || have[tensor.Q5_K] != 4 || have[tensor.Q6_K] != 5 || have[tensor.F32] != 9 {
		t.Fatalf("the file has %v", have)
	}
	tokens := make([]int32, 45)
	for i := range tokens {
		tokens[i] = int32((7 + 37*i) % 320)
	}
	run := func(f *weights.File, set tensor.Set, a tensor.Activations) (*model.Model, [][]float32) {
		m := load(t, f, model.Options{Set: set, Pool: newPool(t, 2), Activations: a})
		s := newSequence(t, m, len(tokens))
		rows := s.feed(tokens[:40], model.AllLogits)
		for _, token := range tokens[40:] {
			rows = append(rows, s.feed([]int32{token}, model.LastLogits)...)
		}
		return m, rows
	}
	portable, _, err := tensor.Detect("go")
	if err != nil {
		t.Fatal(err)
	}
	_, want := run(twin, portable, tensor.ActF32)
	for name, set := range kernelSets(t) {
		for _, c := range []struct {
			activations tensor.Activations
			tolerance   float64
		}{{tensor.ActF32, 1e-4}, {tensor.ActInt8, 4e-2}} {
			m, got := run(f, set, c.activations)
			if q := m.Spec().Quantisation(); q != "Q4_K" {
				t.Errorf("it is told as %s", q)
			}
			worst := 0.0
			for i := range want {
				d := distance(got[i], want[i]) / largest(want[i])
				if worst = max(worst, d); !(d <= c.tolerance) {
					t.Errorf("%s, activations %v, position %d: logits are %.2g of the largest off; at most %g", name, c.activations, i, d, c.tolerance)
				}
			}
			if t.Logf("%s, activations %v: %.2g of the largest logit", name, c.activations, worst); c.activations == tensor.ActInt8 && worst == 0 {
				t.Errorf("%s: int8 activations changed nothing", name)
			}
		}
	}
}
