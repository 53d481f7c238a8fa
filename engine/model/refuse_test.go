package model_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/weir-ai/weir/engine/model"
)

// refused loads a GGUF file with changed metadata (nil deletes a key) and wants an error that mentions want.
func refused(t *testing.T, file, want string, edit map[string]any) {
	t.Helper()
	f := open(t, file)
	for k, v := range edit {
		if f.Meta[k] = v; v == nil {
			delete(f.Meta, k)
		}
	}
	_, err := model.Load(f, model.Options{})
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v: error %v; it must mention %q", edit, err, want)
	}
}

func TestGGUFRefused(t *testing.T) {
	t.Parallel()
	type o = map[string]any
	check := func(want string, edit o) { t.Helper(); refused(t, "golden-hf/gguf/llama-F32.gguf", want, edit) }
	check("general.architecture is missing", o{"general.architecture": nil})
	check(`architecture "gemma3" is not supported; supported are llama, mistral, qwen2, qwen3`, o{"general.architecture": "gemma3"})
	check("qwen2.block_count is missing", o{"general.architecture": "qwen2"})
	check(`general.type is "adapter"`, o{"general.type": "adapter"})
	check("llama.block_count is missing", o{"llama.block_count": nil})
	check("layers is 0", o{"llama.block_count": uint32(0)})
	check("layers is 4294", o{"llama.block_count": uint32(4294)})
	check("not one whole number", o{"llama.block_count": uint32(1 << 31)})
	check("promises 4000 layers", o{"llama.block_count": uint32(4000)})
	check("blk.2.attn_norm.weight [64] is missing", o{"llama.block_count": uint32(3)})
	check("blk.1.", o{"llama.block_count": uint32(1)})
	check("not one whole number", o{"llama.attention.head_count": []int32{4, 4}})
	check("heads is 0", o{"llama.attention.head_count": uint32(0)})
	check("not a multiple", o{"llama.attention.head_count_kv": uint32(3)})
	check("has shape [32 64]; the configuration makes it [64 64]", o{"llama.attention.head_count_kv": uint32(4)})
	check("shape", o{"llama.embedding_length": uint32(128)})
	check("dim is 0", o{"llama.embedding_length": uint32(0)})
	check("shape", o{"llama.feed_forward_length": uint32(97)})
	check("must be equal", o{"llama.attention.value_length": uint32(8)})
	check("must be equal", o{"llama.rope.dimension_count": uint32(8)})
	check("even", o{"llama.attention.key_length": uint32(15), "llama.attention.value_length": uint32(15), "llama.rope.dimension_count": uint32(15)})
	check("does not divide", o{"llama.attention.key_length": nil, "llama.attention.head_count": uint32(3)})
	check("epsilon", o{"llama.attention.layer_norm_rms_epsilon": float32(-1)})
	check("rope theta", o{"llama.rope.freq_base": float32(0)})
	check("not a number", o{"llama.rope.freq_base": "10000"})
	check(`"yarn"`, o{"llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": float32(4)})
	check("factor is -2", o{"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": float32(-2)})
	check("llama.expert_count", o{"llama.expert_count": uint32(8)})
	check("llama.attn_logit_softcapping", o{"llama.attn_logit_softcapping": float32(50)})
	check("llama.attention.q_lora_rank", o{"llama.attention.q_lora_rank": uint32(8)})
	check("llama.attention.causal", o{"llama.attention.causal": false})
	refused(t, "golden-hf/gguf/qwen2-F32.gguf", "which layers slide", o{"qwen2.attention.sliding_window": uint32(8)})
	refused(t, "golden-hf/gguf/llama3-rope-F16.gguf", "together", o{"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": float32(4)})
}

// TestGGUFAccepted changes metadata in ways that files have and that change nothing.
func TestGGUFAccepted(t *testing.T) {
	t.Parallel()
	for _, edit := range []map[string]any{
		{"llama.vocab_size": nil, "llama.rope.freq_base": nil, "llama.attention.key_length": nil, "llama.attention.value_length": nil},
		{"llama.expert_count": uint32(0), "llama.expert_used_count": uint32(0), "llama.rope.scaling.type": "none"},
		{"llama.rope.scaling.factor": float32(1), "llama.rope.scaling.type": "linear"},
		{"llama.tensor_data_layout": "Meta AI original pth", "general.type": nil, "llama.attention.causal": true},
		{"llama.attention.sliding_window": uint32(4096)},
	} {
		f := open(t, "golden-hf/gguf/llama-F32.gguf")
		for k, v := range edit {
			if f.Meta[k] = v; v == nil {
				delete(f.Meta, k)
			}
		}
		checkGolden(t, load(t, f, bestOptions(t)), readGolden(t, "golden-hf/gguf/llama-F32.golden.json"), 1e-4)
	}
}

func TestFolderRefused(t *testing.T) {
	t.Parallel()
	check := func(folder, want string, edit map[string]any) {
		t.Helper()
		f := open(t, "golden-hf/"+folder)
		var config map[string]any
		if err := json.Unmarshal(f.Config, &config); err != nil {
			t.Fatal(err)
		}
		for k, v := range edit {
			config[k] = v
		}
		f.Config, _ = json.Marshal(config)
		if _, err := model.Load(f, model.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s, %v: error %v; it must mention %q", folder, edit, err, want)
		}
	}
	type o = map[string]any
	check("llama-bias", "is not part of a llama model", o{"mlp_bias": false})
	check("llama", "self_attn.q_proj.bias [64] is missing", o{"attention_bias": true})
	check("llama", "shape", o{"vocab_size": 321})
	check("llama", "is missing", o{"num_hidden_layers": 3})
	check("llama", "is not part", o{"num_hidden_layers": 1})
	check("llama", "shape", o{"head_dim": 32})
	check("llama3-rope", "lm_head.weight [320 64] is missing", o{"tie_word_embeddings": false})
	check("qwen3", "q_proj.bias", o{"model_type": "qwen2", "architectures": []string{"Qwen2ForCausalLM"}, "attention_bias": false})
	for _, folder := range []string{"phi3", "phi3-longrope", "gemma2", "gemma3", "smollm3", "granite", "mixtral", "qwen3-moe", "deepseek-v2", "deepseek-v3", "gpt2", "bert", "xlm-roberta", "modernbert"} {
		check(folder, "supported are llama, mistral, qwen2, qwen3", nil)
	}
	f := open(t, "golden-hf/llama")
	f.Config = nil
	if _, err := model.Load(f, model.Options{}); err == nil || !strings.Contains(err.Error(), "config.json") {
		t.Errorf("without a config the error is %v", err)
	}
}

// TestFormsAgree changes the same feature in a folder and in its GGUF twin, which say it in different words.
func TestFormsAgree(t *testing.T) {
	t.Parallel()
	type o = map[string]any
	tokens := readGolden(t, "golden-hf/llama/golden.json").Cases[2].InputIDs
	plain := newSequence(t, load(t, open(t, "golden-hf/llama"), bestOptions(t)), len(tokens)).feed(tokens, model.LastLogits)[0]
	check := func(config, meta o) {
		t.Helper()
		folder, file := open(t, "golden-hf/llama"), open(t, "golden-hf/gguf/llama-F32.gguf")
		var c o
		if err := json.Unmarshal(folder.Config, &c); err != nil {
			t.Fatal(err)
		}
		for k, v := range config {
			c[k] = v
		}
		folder.Config, _ = json.Marshal(c)
		for k, v := range meta {
			file.Meta[k] = v
		}
		a := newSequence(t, load(t, folder, bestOptions(t)), len(tokens)).feed(tokens, model.LastLogits)[0]
		b := newSequence(t, load(t, file, bestOptions(t)), len(tokens)).feed(tokens, model.LastLogits)[0]
		if d := distance(a, b) / largest(a); !(d <= 1e-4) {
			t.Errorf("%v and %v are %g of the largest logit apart", config, meta, d)
		}
		if d := distance(a, plain) / largest(a); d < 1e-2 {
			t.Errorf("%v changes nothing", config)
		}
	}
	check(o{"model_type": "mistral", "architectures": nil, "sliding_window": 8}, o{"llama.attention.sliding_window": uint32(8)})
	check(o{"rope_parameters": o{"rope_type": "linear", "factor": 4.0, "rope_theta": 10000}}, o{"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": float32(4)})
	check(o{"rope_parameters": nil, "rope_theta": 500, "rope_scaling": nil}, o{"llama.rope.freq_base": float32(500)})
}

func TestOptionsRefused(t *testing.T) {
	t.Parallel()
	f := open(t, "golden-hf/llama")
	for want, o := range map[string]model.Options{
		"BlockSize": {BlockSize: -1}, "MaxTokens": {MaxTokens: 1 << 30}, "MaxContext": {MaxContext: -5}, "kv type 9": {KV: 9},
	} {
		if _, err := model.Load(f, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v; it must mention %q", o, err, want)
		}
	}
}

func TestChunksRefused(t *testing.T) {
	t.Parallel()
	m := load(t, open(t, "golden-hf/llama"), model.Options{MaxContext: 40})
	cache := m.NewCache(4)
	check := func(want string, c *model.Cache, chunk model.Chunk) {
		t.Helper()
		good := model.Chunk{Tokens: []int32{1}, Blocks: []int32{0}}
		if _, err := m.Forward(c, []model.Chunk{good, chunk}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "chunk 1") {
			t.Errorf("%+v: error %v; it must mention %q", chunk, err, want)
		}
	}
	check("no tokens", cache, model.Chunk{Blocks: []int32{1}})
	check("token 320", cache, model.Chunk{Tokens: []int32{320}, Blocks: []int32{1}})
	check("token -1", cache, model.Chunk{Tokens: []int32{-1}, Blocks: []int32{1}})
	check("context of 40", cache, model.Chunk{Tokens: []int32{1}, Start: 40, Blocks: []int32{1, 2, 3}})
	check("context of 40", cache, model.Chunk{Tokens: []int32{1}, Start: -1, Blocks: []int32{1}})
	check("context of 40", cache, model.Chunk{Tokens: []int32{1}, Start: 1<<63 - 1, Blocks: []int32{1}})
	check("1 blocks of 16 do not hold 17 positions", cache, model.Chunk{Tokens: []int32{1}, Start: 16, Blocks: []int32{1}})
	check("block 4", cache, model.Chunk{Tokens: []int32{1}, Blocks: []int32{4}})
	check("block -1", cache, model.Chunk{Tokens: []int32{1}, Blocks: []int32{-1}})
	check("wanted 7", cache, model.Chunk{Tokens: []int32{1}, Blocks: []int32{1}, Want: 7})
	other := load(t, open(t, "golden-hf/llama"), model.Options{KV: model.KVInt8}).NewCache(4)
	if _, err := m.Forward(other, []model.Chunk{{Tokens: []int32{1}, Blocks: []int32{1}}}); err == nil || !strings.Contains(err.Error(), "other options") {
		t.Errorf("another model's cache gives error %v", err)
	}
	if out, err := m.Forward(cache, nil); err != nil || len(out) != 0 {
		t.Errorf("no chunks give %v, %v", out, err)
	}
}

func TestSpec(t *testing.T) {
	t.Parallel()
	f := open(t, "models/stories260K-Q4_0.gguf")
	m := load(t, f, bestOptions(t))
	s := m.Spec()
	if s.Arch != "llama" || s.Layers != 5 || s.Dim != 64 || s.Heads != 8 || s.KVHeads != 4 || s.HeadDim != 8 || s.Hidden != 172 || s.Vocab != 512 || s.Context != 128 || s.Tied {
		t.Errorf("spec is %+v", s)
	}
	if s.Parameters != 292800 || s.Quantisation() != "Q4_0" || len(s.Types) != 4 {
		t.Errorf("%d parameters, stored as %s: %v", s.Parameters, s.Quantisation(), s.Types)
	}
	if m.BlockBytes() != 2*5*4*16*8*4 {
		t.Errorf("a block takes %d bytes", m.BlockBytes())
	}
	read, err := model.ReadSpec(f)
	if err != nil || read.String() != s.String() {
		t.Errorf("ReadSpec says %v, %v; Load said %v", read, err, s)
	}
}
