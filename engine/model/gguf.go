package model

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/weir-ai/weir/engine/weights"
)

// ggufReader reads the hyperparameters of a GGUF file, whose keys begin with the architecture ("llama.block_count"). The keys
// are those of llama.cpp's converter (gguf-py/gguf/constants.py). It keeps the first error, so that reading stays a list.
type ggufReader struct {
	meta weights.Meta
	arch string
	err  error
}

func (r *ggufReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *ggufReader) has(key string) bool { _, ok := r.meta[r.arch+"."+key]; return ok }

// integer reads a whole number; without fallback the key must be there.
func (r *ggufReader) integer(key string, fallback ...int) int {
	key = r.arch + "." + key
	if _, ok := r.meta[key]; !ok && len(fallback) > 0 {
		return fallback[0]
	} else if !ok {
		r.fail("%s is missing", key)
		return 0
	}
	v, ok := r.meta.Int(key)
	if !ok || v > math.MaxInt32 || v < math.MinInt32 {
		r.fail("%s is not one whole number in range; sizes that differ between layers are not supported", key)
		return 0
	}
	return int(v)
}

func (r *ggufReader) float(key string, fallback ...float64) float64 {
	key = r.arch + "." + key
	if _, ok := r.meta[key]; !ok && len(fallback) > 0 {
		return fallback[0]
	} else if !ok {
		r.fail("%s is missing", key)
		return 0
	}
	v, ok := r.meta.Float(key)
	if i, isInt := r.meta.Int(key); !ok && isInt {
		v, ok = float64(i), true
	}
	if !ok {
		r.fail("%s is not a number", key)
	}
	return v
}

// ggufSpec reads what a GGUF file says of its model. Biases, tied embeddings and rope factors show only in which tensors there
// are; Load completes them.
func ggufSpec(f *weights.File) (Spec, error) {
	m := f.Meta
	arch, ok := m.String("general.architecture")
	if !ok {
		return Spec{}, errors.New("general.architecture is missing")
	}
	if kind, ok := m.String("general.type"); ok && kind != "model" {
		return Spec{}, fmt.Errorf("general.type is %q; only whole models are supported", kind)
	}
	s := Spec{Arch: arch, Format: "gguf"}
	s.Name, _ = m.String("general.name")
	switch arch {
	case "llama":
		s.RopePair = true
	case "qwen2":
		s.QKVBias = true
	case "qwen3":
		s.QKNorm = true
	default:
		return Spec{}, fmt.Errorf("architecture %q is not supported; supported are %s", arch, Supported)
	}
	r := &ggufReader{meta: m, arch: arch}
	s.Layers = r.integer("block_count")
	s.Dim = r.integer("embedding_length")
	s.Hidden = r.integer("feed_forward_length")
	s.Heads = r.integer("attention.head_count")
	s.KVHeads = r.integer("attention.head_count_kv", s.Heads)
	s.Context = r.integer("context_length")
	s.Eps = float32(r.float("attention.layer_norm_rms_epsilon"))
	if r.err != nil {
		return Spec{}, r.err
	}
	if err := r.heads(&s); err != nil {
		return Spec{}, err
	}
	if err := r.refuse(); err != nil {
		return Spec{}, err
	}
	s.Rope = r.rope()
	window := r.window(s)
	if r.err != nil {
		return Spec{}, r.err
	}
	s.Windows = sameWindows(s.Layers, window)
	embed, ok := f.Tensor("token_embd.weight")
	if !ok || len(embed.Shape) != 2 {
		return Spec{}, errors.New("token_embd.weight (vocab, dim) is missing")
	}
	s.Vocab = embed.Shape[0]
	return s, s.check()
}

// heads finds the width of a head, which key, value and rope must share.
func (r *ggufReader) heads(s *Spec) (err error) {
	if r.has("attention.key_length") {
		s.HeadDim = r.integer("attention.key_length")
	} else if s.HeadDim, err = headDim(s.Dim, s.Heads); err != nil {
		return err
	}
	for _, key := range []string{"attention.value_length", "rope.dimension_count"} {
		if got := r.integer(key, s.HeadDim); r.err == nil && got != s.HeadDim {
			return fmt.Errorf("%s.%s is %d where a key has %d values; they must be equal", r.arch, key, got, s.HeadDim)
		}
	}
	return r.err
}

func (r *ggufReader) rope() Rope {
	rope := Rope{Theta: r.float("rope.freq_base", 10000)}
	kind := "none"
	if r.has("rope.scaling.type") {
		kind, _ = r.meta.String(r.arch + ".rope.scaling.type")
	} else if r.has("rope.scaling.factor") || r.has("rope.scale_linear") {
		kind = "linear" // what files from before rope.scaling.type mean
	}
	switch kind {
	case "none":
	case "linear":
		// llama.cpp reads the old key where the new one is absent, and takes 0 for 1.
		factor := r.float("rope.scaling.factor", r.float("rope.scale_linear", 1))
		if factor != 1 && factor != 0 {
			rope.Scaling, rope.Factor = "linear", factor
		}
	default:
		r.fail("%s.rope.scaling.type is %q; supported are none and linear (and llama3's factors in rope_freqs.weight)", r.arch, kind)
	}
	return rope
}

// window reads the sliding window. A Mistral converted to the llama architecture slides in every layer. A Qwen's file does not
// say which of its layers slide, so there only a window that never bites is accepted.
func (r *ggufReader) window(s Spec) int {
	w := r.integer("attention.sliding_window", 0)
	if w >= s.Context {
		return 0
	}
	if w != 0 && s.Arch != "llama" {
		r.fail("%s.attention.sliding_window is %d: which layers slide is not in the file, so a window below the context length (%d) is not supported", r.arch, w, s.Context)
	}
	return w
}

// ggufKnown are the keys after the architecture that Weir reads, or that do not change the arithmetic.
var ggufKnown = []string{
	"attention.head_count", "attention.head_count_kv", "attention.layer_norm_rms_epsilon", "attention.key_length",
	"attention.value_length", "attention.sliding_window", "rope.dimension_count", "rope.freq_base", "rope.scale_linear",
	"rope.scaling.type", "rope.scaling.factor", "rope.scaling.original_context_length", "rope.scaling.finetuned",
}

// ggufNeutral are features that some files switch off by writing the neutral value.
var ggufNeutral = map[string]float64{
	"expert_count": 0, "expert_used_count": 0, "attention.max_alibi_bias": 0, "attention.clamp_kqv": 0, "logit_scale": 1,
	"attn_logit_softcapping": 0, "final_logit_softcapping": 0, "rope.scaling.attn_factor": 1, "rope.scaling.yarn_log_multiplier": 0,
	"attention.layer_norm_epsilon": 0, "attention.scale": 0, "residual_scale": 1, "embedding_scale": 1,
}

// refuse finds features in the metadata that would change the arithmetic and that this decoder does not compute. Keys that
// cannot (a vocabulary's size, a tensor layout's name) pass, also unknown ones: files carry many.
func (r *ggufReader) refuse() error {
	keys := make([]string, 0, len(r.meta))
	for key := range r.meta {
		if rest, ok := strings.CutPrefix(key, r.arch+"."); ok {
			keys = append(keys, rest)
		}
	}
	slices.Sort(keys) // the same file is refused with the same words each time
	for _, key := range keys {
		if key == "attention.causal" {
			if causal, ok := r.meta.Bool(r.arch + "." + key); ok && causal {
				continue
			}
			return fmt.Errorf("%s.%s is not true; only causal attention is supported", r.arch, key)
		}
		if neutral, ok := ggufNeutral[key]; ok {
			if v := r.float(key); r.err == nil && v == neutral {
				continue
			}
			return fmt.Errorf("%s.%s is not %g: this feature is not supported", r.arch, key, neutral)
		}
		if slices.Contains(ggufKnown, key) {
			continue
		}
		for _, mark := range []string{"attention.", "rope.", "expert", "scale", "softcap", "norm", "multiplier", "ssm.", "parallel"} {
			if strings.Contains(key, mark) {
				return fmt.Errorf("%s.%s is a feature that this decoder does not compute", r.arch, key)
			}
		}
	}
	return nil
}
