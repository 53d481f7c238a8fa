package model_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/weir-ai/weir/engine/model"
	"github.com/weir-ai/weir/engine/tensor"
	"github.com/weir-ai/weir/engine/weights"
)

// rewritten is the tiny random model with its list of tensors changed; it needs no shared data.
func rewritten(t testing.TB, edit func([]weights.Tensor) []weights.Tensor) (*weights.File, error) {
	t.Helper()
	f, err := weights.Synthetic("tiny", tensor.F16, 3)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := weights.WriteGGUF(&out, nil, edit(slices.Clone(f.Tensors()))); err != nil {
		return nil, err
	}
	g, err := weights.OpenBytes("tiny.gguf", out.Bytes())
	if err == nil {
		g.Meta = f.Meta
	}
	return g, err
}

func unchanged(ts []weights.Tensor) []weights.Tensor { return ts }

// reshaped gives one tensor another shape and type, with as many zero bytes as these need.
func reshaped(name string, typ tensor.Type, shape ...int) func([]weights.Tensor) []weights.Tensor {
	return func(ts []weights.Tensor) []weights.Tensor {
		for i := range ts {
			if ts[i].Name == name {
				ts[i].Type, ts[i].Shape, ts[i].Data = typ, shape, make([]byte, bytesOf(typ, shape))
			}
		}
		return ts
	}
}

func bytesOf(typ tensor.Type, shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n / typ.BlockLen() * typ.BlockBytes()
}

// TestMalformedTensors are files whose parts are sound and do not fit together.
func TestMalformedTensors(t *testing.T) {
	t.Parallel()
	check := func(want string, edit func([]weights.Tensor) []weights.Tensor) {
		t.Helper()
		f, err := rewritten(t, edit)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := model.Load(f, model.Options{}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "tiny.gguf") {
			t.Errorf("error %v; it must mention %q and the file", err, want)
		}
	}
	without := func(name string) func([]weights.Tensor) []weights.Tensor {
		return func(ts []weights.Tensor) []weights.Tensor {
			return slices.DeleteFunc(ts, func(x weights.Tensor) bool { return x.Name == name })
		}
	}
	for _, name := range []string{"output_norm.weight", "blk.0.attn_norm.weight", "blk.1.attn_q.weight", "blk.1.attn_k.weight", "blk.0.attn_v.weight",
		"blk.1.attn_output.weight", "blk.0.ffn_norm.weight", "blk.1.ffn_gate.weight", "blk.1.ffn_up.weight", "blk.0.ffn_down.weight"} {
		check("tensor "+name, without(name))
	}
	check("token_embd.weight", without("token_embd.weight"))
	check("token_embd.weight", reshaped("token_embd.weight", tensor.F16, 512*64))
	check("shape [512 32]", reshaped("token_embd.weight", tensor.F16, 512, 32))
	check("shape [64 64 1]", reshaped("blk.0.attn_q.weight", tensor.F16, 64, 64, 1))
	check("shape [96 64]", reshaped("blk.0.ffn_down.weight", tensor.F16, 96, 64))
	check("shape [65]", reshaped("blk.1.attn_norm.weight", tensor.F32, 65))
	check("shape [64 1]", reshaped("output_norm.weight", tensor.F32, 64, 1))
	extra := weights.Tensor{Name: "blk.0.ffn_gate_exps.weight", Type: tensor.F32, Shape: []int{2, 2}, Data: make([]byte, 16)}
	check("blk.0.ffn_gate_exps.weight [2 2] is not part", func(ts []weights.Tensor) []weights.Tensor { return append(ts, extra) })
	if f, err := rewritten(t, unchanged); err != nil {
		t.Error(err)
	} else if _, err := model.Load(f, model.Options{}); err != nil {
		t.Errorf("the file that the others are made of is refused: %v", err)
	}
}

// TestUnreadableTensorType is a tensor in a type that GGUF has and Weir does not read: it is named by the file's own word.
func TestUnreadableTensorType(t *testing.T) {
	t.Parallel()
	f, err := rewritten(t, unchanged)
	if err != nil {
		t.Fatal(err)
	}
	for i := range f.Tensors() { // what the reader of weights gives for such a type: listed, without bytes
		if x := &f.Tensors()[i]; x.Name == "blk.1.ffn_up.weight" {
			x.Type, x.Stored, x.Data = tensor.Type(21), "IQ3_S as the file says it", nil
		}
	}
	_, err = model.Load(f, model.Options{})
	if err == nil || !strings.Contains(err.Error(), "blk.1.ffn_up.weight is stored as IQ3_S as the file says it;") || !strings.Contains(err.Error(), tensor.SupportedTypes) {
		t.Errorf("error %v; it must name the tensor, its type and those that are supported", err)
	}
}

// lies are metadata values that no honest file has, or none whose tensors are these.
var lies = []struct {
	key   string
	value any
}{
	{"llama.block_count", uint32(4096)}, {"llama.block_count", uint32(math.MaxUint32)}, {"llama.block_count", int32(-1)}, {"llama.block_count", uint64(1 << 63)},
	{"llama.block_count", 2.5}, {"llama.block_count", "2"}, {"llama.embedding_length", uint32(1 << 18)}, {"llama.embedding_length", uint32(63)},
	{"llama.feed_forward_length", uint32(1 << 20)}, {"llama.feed_forward_length", uint32(0)}, {"llama.attention.head_count", uint32(4096)},
	{"llama.attention.head_count", uint32(1 << 31)}, {"llama.attention.head_count", uint32(64)}, {"llama.attention.head_count_kv", uint32(0)},
	{"llama.attention.head_count_kv", uint32(1 << 30)}, {"llama.attention.key_length", uint32(4096)}, {"llama.rope.dimension_count", uint32(1)},
	{"llama.context_length", uint32(0)}, {"llama.context_length", uint64(math.MaxInt64)}, {"llama.rope.freq_base", float32(math.NaN())},
	{"llama.rope.freq_base", float32(math.Inf(1))}, {"llama.rope.freq_base", float32(-1)}, {"llama.attention.layer_norm_rms_epsilon", float32(math.NaN())},
	{"llama.attention.layer_norm_rms_epsilon", float32(math.Inf(1))}, {"llama.attention.layer_norm_rms_epsilon", "1e-5"},
	{"llama.rope.scaling.factor", float32(math.NaN())}, {"llama.rope.scaling.factor", float32(math.Inf(-1))}, {"llama.attention.sliding_window", int32(-5)},
	{"llama.expert_count", uint32(8)}, {"llama.attention.causal", "yes"}, {"general.architecture", uint8(3)}, {"general.architecture", ""},
}

// TestLiesAllocateNothing refuses each of the lies, and by the memory of a message, not by that of what it claims. Not parallel:
// it counts what the process allocates.
func TestLiesAllocateNothing(t *testing.T) {
	const most = 256 << 10
	for _, lie := range lies {
		f, err := rewritten(t, unchanged)
		if err != nil {
			t.Fatal(err)
		}
		meta := weights.Meta{}
		for k, v := range f.Meta {
			meta[k] = v
		}
		meta[lie.key], f.Meta = lie.value, meta
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = model.Load(f, model.Options{})
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s = %v is accepted", lie.key, lie.value)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > most {
			t.Errorf("%s = %v is refused after %d bytes; at most %d", lie.key, lie.value, got, most)
		}
	}
}

// mutation reads edits of the tiny model off fuzzed bytes.
type mutation struct{ data []byte }

func (m *mutation) next() byte {
	if len(m.data) == 0 {
		return 0
	}
	b := m.data[0]
	m.data = m.data[1:]
	return b
}

func (m *mutation) word() uint64 {
	var b [8]byte
	for i := range b {
		b[i] = m.next()
	}
	return binary.LittleEndian.Uint64(b[:])
}

// mutableKeys are those that Load reads, and some that it refuses.
var mutableKeys = []string{"general.architecture", "general.type", "llama.block_count", "llama.embedding_length", "llama.feed_forward_length",
	"llama.attention.head_count", "llama.attention.head_count_kv", "llama.context_length", "llama.attention.layer_norm_rms_epsilon",
	"llama.attention.key_length", "llama.attention.value_length", "llama.rope.dimension_count", "llama.rope.freq_base", "llama.rope.scaling.type",
	"llama.rope.scaling.factor", "llama.rope.scale_linear", "llama.attention.sliding_window", "llama.attention.causal", "llama.expert_count"}

func (m *mutation) value() any {
	w := m.word()
	switch m.next() % 10 {
	case 0:
		return nil
	case 1:
		return uint32(w)
	case 2:
		return w
	case 3:
		return int32(w)
	case 4:
		return math.Float32frombits(uint32(w))
	case 5:
		return math.Float64frombits(w)
	case 6:
		return []string{"llama", "qwen2", "qwen3", "linear", "none", "yarn", "model", ""}[w%8]
	case 7:
		return w%2 == 0
	case 8:
		return []int32{int32(w), int32(w >> 32)}
	}
	return uint32(w % 200) // a value of the size that honest ones have
}

func (m *mutation) tensors(ts []weights.Tensor) []weights.Tensor {
	types := []tensor.Type{tensor.F32, tensor.F16, tensor.BF16, tensor.Q8_0, tensor.Q4_0, tensor.Q5_1, tensor.Q6_K}
	for n := m.next() % 4; n > 0 && len(ts) > 0; n-- {
		i := int(m.next()) % len(ts)
		switch x := &ts[i]; m.next() % 5 {
		case 0:
			ts = slices.Delete(ts, i, i+1)
		case 1:
			x.Name = ts[int(m.next())%len(ts)].Name + "x"
		case 2:
			x.Name = []string{"output.weight", "rope_freqs.weight", "blk.0.attn_q.bias", "blk.0.attn_q_norm.weight", "blk.2.attn_q.weight"}[m.next()%5]
		case 3:
			typ := types[int(m.next())%len(types)]
			shape := slices.Clone(x.Shape)
			for j := range shape {
				shape[j] = max(1, shape[j]+int(int8(m.next())))
			}
			ts = reshaped(x.Name, typ, shape...)(ts)
		case 4:
			x.Data = bytes.Repeat([]byte{m.next()}, len(x.Data)) // NaN among them
		}
	}
	return ts
}

// FuzzLoad changes metadata and tensors of a small sound file. Load may refuse it; it may not panic or take much memory, and
// what it accepts must compute without a fault.
func FuzzLoad(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 1, 5, 8, 0, 0, 0, 0, 0, 0, 0, 1})                     // 8 heads
	f.Add([]byte{1, 4, 3, 1, 32, 0, 0})                                   // another shape
	f.Add([]byte{0, 2, 3, 64, 0, 0, 0, 0, 0, 0, 0, 9, 16, 3, 0, 0, 0, 9}) // sizes and a window
	f.Add([]byte{2, 0, 4, 255, 9, 4, 255})                                // NaN
	f.Fuzz(func(t *testing.T, data []byte) {
		m := mutation{data}
		file, err := rewritten(t, m.tensors)
		if err != nil {
			return
		}
		for n := m.next() % 4; n > 0; n-- {
			key, v := mutableKeys[int(m.next())%len(mutableKeys)], m.value()
			if file.Meta[key] = v; v == nil {
				delete(file.Meta, key)
			}
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		loaded, err := model.Load(file, model.Options{MaxContext: 64})
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 8<<20 {
			t.Errorf("loading allocates %d bytes for a file of a few hundred kilobytes", got)
		}
		if err != nil {
			return
		}
		cache := loaded.NewCache(4)
		logits, err := loaded.Forward(cache, []model.Chunk{{Tokens: []int32{0, 1, 2}, Blocks: []int32{3}, Want: model.LastLogits}})
		if loaded.Spec().Vocab > 2 && (err != nil || len(logits) != loaded.Spec().Vocab) {
			t.Errorf("%d logits, %v", len(logits), err)
		}
	})
}
