package model

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestExp(t *testing.T) {
	t.Parallel()
	for x := float32(0); x > -90; x -= 0.00317 {
		got, want := float64(exp(x)), math.Exp(float64(x))
		if math.Abs(got-want) > 3e-7*want && x >= -87 || x < -87 && got != 0 {
			t.Fatalf("exp(%g) is %g; it must be %g", x, got, want)
		}
	}
	if exp(0) != 1 || exp(float32(math.Inf(-1))) != 0 || !math.IsNaN(float64(exp(float32(math.NaN())))) {
		t.Errorf("exp of 0, -Inf and NaN is %g, %g and %g", exp(0), exp(float32(math.Inf(-1))), exp(float32(math.NaN())))
	}
}

func TestTurn(t *testing.T) {
	t.Parallel()
	cos, sin := make([]float32, 2), make([]float32, 2)
	angles(cos, sin, Rope{Theta: 100}.frequencies(4), 3) // angles 3 and 0.3
	halves, pairs := []float32{1, 2, 3, 4}, []float32{1, 3, 2, 4}
	turnHalves(halves, cos, sin)
	turnPairs(pairs, cos, sin)
	for i, want := range []float64{math.Cos(3) - 3*math.Sin(3), 2*math.Cos(0.3) - 4*math.Sin(0.3), 3*math.Cos(3) + math.Sin(3), 4*math.Cos(0.3) + 2*math.Sin(0.3)} {
		if math.Abs(float64(halves[i])-want) > 1e-6 || halves[i] != pairs[[]int{0, 2, 1, 3}[i]] {
			t.Errorf("value %d is %g by halves and %g by pairs; it must be %g", i, halves[i], pairs[[]int{0, 2, 1, 3}[i]], want)
		}
	}
}

func TestFrequencies(t *testing.T) {
	t.Parallel()
	plain := Rope{Theta: 10000}.frequencies(16)
	linear := Rope{Theta: 10000, Scaling: "linear", Factor: 4}.frequencies(16)
	llama3 := Rope{Theta: 10000, Scaling: "llama3", Factor: 8, Low: 1, High: 4, Original: 64}.frequencies(16)
	for i := range plain {
		if r := plain[i] / linear[i]; math.Abs(float64(r)-4) > 1e-5 {
			t.Errorf("linear scaling divides frequency %d by %g; it must be 4", i, r)
		}
		if r := plain[i] / llama3[i]; r < 1-1e-6 || r > 8+1e-5 || i == 0 && r != 1 || i == len(plain)-1 && math.Abs(float64(r)-8) > 1e-5 {
			t.Errorf("llama3 scaling divides frequency %d by %g", i, r)
		}
	}
}

func TestQuantizeRow(t *testing.T) {
	t.Parallel()
	q := make([]int8, 4)
	if s := quantizeRow(q, []float32{-2, 1, 0.5, 0}); s != 2.0/127 || q[0] != -127 || q[1] != 64 || q[2] != 32 || q[3] != 0 {
		t.Errorf("quantised to %v times %g", q, s)
	}
	if s := quantizeRow(q, make([]float32, 4)); s != 0 || q[0] != 0 {
		t.Errorf("zeros are quantised to %v times %g", q, s)
	}
	if s := quantizeRow(q, []float32{1e-45, 0, 0, 0}); s != 0 || q[0] != 0 {
		t.Errorf("subnormals are quantised to %v times %g", q, s)
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if s := quantizeRow(q, []float32{float32(bad), 1, 2, 3}); s == s {
			t.Errorf("%g is hidden by scale %g", bad, s)
		}
	}
}

// plainConfig is a valid config.json; edit changes fields of it (nil deletes).
func plainConfig(t testing.TB, edit map[string]any) []byte {
	t.Helper()
	c := map[string]any{"model_type": "llama", "architectures": []string{"LlamaForCausalLM"}, "hidden_size": 64, "num_hidden_layers": 2,
		"num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 96, "vocab_size": 320, "max_position_embeddings": 256,
		"rms_norm_eps": 1e-5, "hidden_act": "silu"}
	for k, v := range edit {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestConfigRefused(t *testing.T) {
	t.Parallel()
	check := func(want string, edit map[string]any) {
		t.Helper()
		_, err := hfSpec(plainConfig(t, edit))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v; it must mention %q", edit, err, want)
		}
	}
	type o = map[string]any
	check(`"gpt2"`, o{"model_type": "gpt2"})
	check("llama, mistral, qwen2, qwen3", o{"model_type": "phi3"})
	check("LlamaForSequenceClassification", o{"architectures": []string{"LlamaForSequenceClassification"}})
	check("gelu", o{"hidden_act": "gelu"})
	check("yarn", o{"rope_scaling": o{"type": "yarn", "factor": 4}})
	check("longrope", o{"rope_parameters": o{"rope_type": "longrope", "rope_theta": 1e4}})
	check("dynamic", o{"rope_scaling": o{"rope_type": "dynamic", "factor": 4}})
	check("partial_rotary_factor", o{"rope_parameters": o{"partial_rotary_factor": 0.5}})
	check("rope_scaling.factor is missing", o{"rope_scaling": o{"type": "linear"}})
	check("factor is 0", o{"rope_scaling": o{"type": "linear", "factor": 0}})
	check("high_freq_factor", o{"rope_scaling": o{"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4, "original_max_position_embeddings": 64}})
	check("rope theta", o{"rope_theta": -1})
	check("quantization_config", o{"quantization_config": o{"quant_method": "gptq"}})
	check("attn_logit_softcapping", o{"attn_logit_softcapping": 50})
	check("is_causal", o{"is_causal": false})
	check("chunked_attention", o{"layer_types": []string{"full_attention", "chunked_attention"}})
	check("layer_types has 1", o{"layer_types": []string{"full_attention"}})
	check("without a sliding_window", o{"layer_types": []string{"full_attention", "sliding_attention"}})
	check("sliding_window is 0", o{"model_type": "mistral", "architectures": nil, "sliding_window": 0})
	check("sliding_window is -4", o{"model_type": "qwen2", "architectures": nil, "sliding_window": -4, "use_sliding_window": true})
	check("hidden_size is missing", o{"hidden_size": nil})
	check("hidden_size", o{"hidden_size": "64"})
	check("whole number", o{"hidden_size": 64.5})
	check("num_attention_heads", o{"num_attention_heads": 1e300})
	check("heads", o{"num_attention_heads": 0})
	check("does not divide", o{"num_attention_heads": 3})
	check("not a multiple", o{"num_key_value_heads": 3})
	check("kv heads is 0", o{"num_key_value_heads": 0})
	check("layers is -2", o{"num_hidden_layers": -2})
	check("layers is 1000000", o{"num_hidden_layers": 1000000})
	check("even", o{"head_dim": 15})
	check("head dim is -16", o{"head_dim": -16})
	check("vocab is 1000000000", o{"vocab_size": 1000000000})
	check("hidden is 0", o{"intermediate_size": 0})
	check("context is 0", o{"max_position_embeddings": 0})
	check("epsilon", o{"rms_norm_eps": -1})
	for _, bad := range []string{"", "[]", "{", "null", "3", `{"model_type": 3}`, `{"model_type": "llama", "rope_scaling": []}`} {
		if _, err := hfSpec([]byte(bad)); err == nil {
			t.Errorf("config %q is accepted", bad)
		}
	}
}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	type o = map[string]any
	read := func(edit o) Spec {
		t.Helper()
		s, err := hfSpec(plainConfig(t, edit))
		if err != nil {
			t.Fatalf("%v: %v", edit, err)
		}
		return s
	}
	if s := read(nil); s.HeadDim != 16 || s.Rope.Theta != 10000 || s.Tied || s.Windows[1] != 0 {
		t.Errorf("llama: %+v", s)
	}
	mistral := o{"model_type": "mistral", "architectures": []string{"MistralForCausalLM"}}
	if s := read(mistral); s.Windows[0] != 4096 || s.Windows[1] != 4096 {
		t.Errorf("mistral without sliding_window: windows %v", s.Windows)
	}
	qwen := o{"model_type": "qwen2", "architectures": nil, "use_sliding_window": true, "sliding_window": 8, "max_window_layers": 1}
	if s := read(qwen); s.Windows[0] != 0 || s.Windows[1] != 8 || !s.QKVBias || s.OutBias {
		t.Errorf("qwen2: %+v", s)
	}
	qwen["layer_types"] = []string{"sliding_attention", "full_attention"}
	if s := read(qwen); s.Windows[0] != 8 || s.Windows[1] != 0 {
		t.Errorf("qwen2 with layer_types: windows %v", s.Windows)
	}
	qwen["use_sliding_window"] = false
	delete(qwen, "layer_types")
	if s := read(qwen); s.Windows[1] != 0 {
		t.Errorf("qwen2 without use_sliding_window: windows %v", s.Windows)
	}
	if s := read(o{"model_type": "qwen3", "architectures": nil}); s.HeadDim != 128 || !s.QKNorm {
		t.Errorf("qwen3: %+v", s)
	}
	if s := read(o{"rope_scaling": o{"type": "linear", "factor": 2.0}}); s.Rope.Scaling != "linear" || s.Rope.Factor != 2 {
		t.Errorf("linear: %+v", s.Rope)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add(plainConfig(f, nil))
	f.Add(plainConfig(f, map[string]any{"model_type": "mistral", "architectures": nil, "sliding_window": 16}))
	f.Add(plainConfig(f, map[string]any{"rope_parameters": map[string]any{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 64}}))
	f.Add([]byte(`{"model_type":"qwen3","layer_types":["full_attention"],"num_hidden_layers":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := hfSpec(b)
		if err != nil {
			return
		}
		if len(s.Windows) != s.Layers || s.Heads%s.KVHeads != 0 || s.HeadDim%2 != 0 || len(s.Rope.frequencies(s.HeadDim)) != s.HeadDim/2 {
			t.Errorf("accepted %+v", s)
		}
	})
}
