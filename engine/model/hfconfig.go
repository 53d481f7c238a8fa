package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// fields reads a JSON object of a config.json and keeps the first error. A field that is null counts as absent, except where
// transformers makes a difference (null).
type fields struct {
	raw  map[string]json.RawMessage
	path string // "rope_scaling." inside that object, for errors
	err  error
}

func (c *fields) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

func (c *fields) has(key string) bool {
	v, ok := c.raw[key]
	return ok && string(v) != "null"
}

// null reports a field that is written as null.
func (c *fields) null(key string) bool { return string(c.raw[key]) == "null" }

// read decodes a field into dst and leaves dst, its default, where the field is absent.
func (c *fields) read(key string, dst any) {
	if !c.has(key) {
		return
	}
	if err := json.Unmarshal(c.raw[key], dst); err != nil {
		c.fail("%s%s: %w", c.path, key, err)
	}
}

func (c *fields) number(key string, fallback ...float64) float64 {
	if !c.has(key) && len(fallback) == 0 {
		c.fail("%s%s is missing", c.path, key)
		return 0
	}
	v := 0.0
	if len(fallback) > 0 {
		v = fallback[0]
	}
	c.read(key, &v)
	return v
}

func (c *fields) integer(key string, fallback ...int) int {
	var f []float64
	for _, v := range fallback {
		f = append(f, float64(v))
	}
	n, ok := toInt(c.number(key, f...))
	if !ok || n > math.MaxInt32 || n < math.MinInt32 {
		c.fail("%s%s is not a whole number in range", c.path, key)
		return 0
	}
	return n
}

func (c *fields) boolean(key string) (v bool) { c.read(key, &v); return v }

func (c *fields) text(key, fallback string) string { c.read(key, &fallback); return fallback }

// object opens a nested object; ok is false where it is absent.
func (c *fields) object(key string) (*fields, bool) {
	if !c.has(key) {
		return nil, false
	}
	in := &fields{path: c.path + key + "."}
	c.read(key, &in.raw)
	return in, c.err == nil
}

// hfClass is the class that transformers computes each model type with; other classes of the same type (a classifier, a reward
// model) have other heads.
var hfClass = map[string]string{"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}

// hfSpec reads a config.json, in the form of transformers 5 (rope_parameters) and in the older one of most published
// checkpoints (rope_theta, rope_scaling). Where a field is absent the default is that of the configuration class. Fields that
// the class does not know change nothing in transformers and are passed over, except those that custom code is known to use.
func hfSpec(config []byte) (Spec, error) {
	c := &fields{}
	d := json.NewDecoder(bytes.NewReader(config))
	if err := d.Decode(&c.raw); err != nil {
		return Spec{}, fmt.Errorf("config.json: %w", err)
	}
	s, err := c.spec()
	if err == nil {
		err = s.check()
	}
	if err != nil {
		return Spec{}, fmt.Errorf("config.json: %w", err)
	}
	return s, nil
}

func (c *fields) spec() (Spec, error) {
	s := Spec{Arch: c.text("model_type", ""), Format: "safetensors"}
	class, ok := hfClass[s.Arch]
	var classes []string
	c.read("architectures", &classes)
	if c.err != nil {
		return Spec{}, c.err
	}
	if !ok {
		return Spec{}, fmt.Errorf("model_type %q (%s) is not supported; supported are %s", s.Arch, strings.Join(classes, ", "), Supported)
	}
	if len(classes) > 0 && !slices.Contains(classes, class) {
		return Spec{}, fmt.Errorf("class %s is not supported; for model_type %q it must be %s", strings.Join(classes, ", "), s.Arch, class)
	}
	if err := c.refuse(); err != nil {
		return Spec{}, err
	}
	s.Layers = c.integer("num_hidden_layers")
	s.Dim = c.integer("hidden_size")
	s.Heads = c.integer("num_attention_heads")
	s.Hidden = c.integer("intermediate_size")
	s.Vocab = c.integer("vocab_size")
	s.Context = c.integer("max_position_embeddings")
	s.Eps = float32(c.number("rms_norm_eps", 1e-6))
	s.KVHeads = c.integer("num_key_value_heads", map[string]int{"llama": s.Heads, "mistral": 8, "qwen2": 32, "qwen3": 32}[s.Arch])
	s.Tied = c.boolean("tie_word_embeddings")
	switch s.Arch {
	case "llama":
		s.QKVBias = c.boolean("attention_bias")
		s.OutBias = s.QKVBias
		s.MLPBias = c.boolean("mlp_bias")
	case "qwen2":
		s.QKVBias = true
	case "qwen3":
		s.QKNorm = true
		s.QKVBias = c.boolean("attention_bias")
		s.OutBias = s.QKVBias
	}
	if c.err != nil {
		return Spec{}, c.err
	}
	var err error
	switch {
	case c.has("head_dim"):
		s.HeadDim = c.integer("head_dim")
	case s.Arch == "qwen3":
		s.HeadDim = 128
	default:
		if s.HeadDim, err = headDim(s.Dim, s.Heads); err != nil {
			return Spec{}, err
		}
	}
	if s.Rope, err = c.rope(); err != nil {
		return Spec{}, err
	}
	s.Windows = c.windows(s)
	return s, c.err
}

// refuse names the features that would change the arithmetic.
func (c *fields) refuse() error {
	if act := c.text("hidden_act", "silu"); act != "silu" && act != "swish" {
		return fmt.Errorf("hidden_act %q is not supported; supported is silu", act)
	}
	if c.has("quantization_config") {
		return errors.New("quantization_config: quantised Hugging Face checkpoints are not supported; use the original one or a GGUF file")
	}
	for _, f := range []struct {
		key     string
		neutral float64
	}{{"partial_rotary_factor", 1}, {"logit_scale", 1}, {"embedding_multiplier", 1}, {"residual_multiplier", 1}, {"logits_scaling", 1},
		{"attn_logit_softcapping", 0}, {"final_logit_softcapping", 0}, {"num_local_experts", 0}, {"num_experts", 0}} {
		if v := c.number(f.key, f.neutral); c.err == nil && v != f.neutral {
			return fmt.Errorf("%s is %g: this feature is not supported", f.key, v)
		}
	}
	for _, key := range []string{"use_bidirectional_attention", "no_rope_layers", "attention_multiplier", "query_pre_attn_scalar"} {
		if c.has(key) && string(c.raw[key]) != "false" && string(c.raw[key]) != "[]" {
			return fmt.Errorf("%s is %s: this feature is not supported", key, c.raw[key])
		}
	}
	causal := true
	if c.read("is_causal", &causal); !causal {
		return errors.New("is_causal is false; only causal attention is supported")
	}
	return c.err
}

// rope reads rope_parameters, else rope_theta and rope_scaling.
func (c *fields) rope() (Rope, error) {
	r := Rope{Theta: c.number("rope_theta", 10000)}
	in, ok := c.object("rope_parameters")
	if !ok {
		in, ok = c.object("rope_scaling")
	}
	if !ok {
		return r, c.err
	}
	r.Theta = in.number("rope_theta", r.Theta)
	kind := in.text("rope_type", in.text("type", "default"))
	if f := in.number("partial_rotary_factor", 1); in.err == nil && f != 1 {
		return r, fmt.Errorf("%spartial_rotary_factor is %g; only whole heads are turned here", in.path, f)
	}
	switch kind {
	case "default":
	case "linear":
		r.Scaling, r.Factor = kind, in.number("factor")
	case "llama3":
		r.Scaling, r.Factor = kind, in.number("factor")
		r.Low, r.High = in.number("low_freq_factor"), in.number("high_freq_factor")
		r.Original = in.number("original_max_position_embeddings")
	default:
		return r, fmt.Errorf("%srope_type %q is not supported; supported are default, linear and llama3", in.path, kind)
	}
	return r, in.err
}

// windows says how far each layer sees, as the configuration classes decide it: a Mistral slides in every layer, 4,096 where
// the field is absent and not at all where it is null; a Qwen slides where layer_types says so, or, in the older form, from
// layer max_window_layers on, if use_sliding_window.
func (c *fields) windows(s Spec) []int {
	ws := sameWindows(s.Layers, 0)
	window := 0
	switch s.Arch {
	case "mistral":
		if !c.null("sliding_window") {
			window = c.integer("sliding_window", 4096)
		}
	case "qwen2", "qwen3":
		if c.boolean("use_sliding_window") && !c.null("sliding_window") {
			window = c.integer("sliding_window", 4096)
		}
	}
	if window < 0 || window == 0 && c.has("sliding_window") && s.Arch == "mistral" {
		c.fail("sliding_window is %d; it must be positive, or null for none", window)
	}
	var kinds []string
	c.read("layer_types", &kinds)
	if len(kinds) == 0 {
		from := 0
		if s.Arch != "mistral" {
			from = c.integer("max_window_layers", 28)
		}
		for i := range ws {
			if i >= from {
				ws[i] = window
			}
		}
		return ws
	}
	if len(kinds) != s.Layers {
		c.fail("layer_types has %d entries for %d layers", len(kinds), s.Layers)
		return nil
	}
	for i, kind := range kinds {
		switch {
		case kind == "full_attention":
		case kind == "sliding_attention" && window > 0:
			ws[i] = window
		case kind == "sliding_attention":
			c.fail("layer_types[%d] is %q without a sliding_window", i, kind)
		default:
			c.fail("layer_types[%d] is %q; supported are full_attention and sliding_attention", i, kind)
		}
	}
	return ws
}
