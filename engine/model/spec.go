package model

import (
	"fmt"
	"math"
	"strings"

	"github.com/weir-ai/weir/engine/tensor"
)

// Spec says what a model is: its architecture, its sizes and what it costs. Everything that Forward's arithmetic depends on,
// besides the weights themselves, is in it.
type Spec struct {
	Arch    string // "llama", "mistral", "qwen2" or "qwen3"; a Mistral in GGUF says "llama", as its file does
	Name    string // general.name of a GGUF file, "" where the file gives none
	Format  string // "gguf" or "safetensors"
	Layers  int
	Dim     int // width of the residual stream
	Heads   int // query heads
	KVHeads int // key and value heads; Heads is a multiple of it
	HeadDim int // width of one head, even; Heads*HeadDim need not be Dim
	Hidden  int // width of the feed-forward layer
	Vocab   int // rows of the embedding; a tokenizer may know fewer
	Context int // positions that the model was trained for
	Eps     float32
	Rope    Rope
	Windows []int // (layers); attention of layer i sees the last Windows[i] positions, 0 means all

	QKVBias  bool // q, k and v projections have a bias
	OutBias  bool // the output projection of attention has one
	MLPBias  bool // gate, up and down have one
	QKNorm   bool // RMS norm on each head of q and k before rope
	Tied     bool // the output matrix is the embedding
	RopePair bool // rope turns neighbouring values (llama in GGUF) rather than the two halves of a head

	Parameters int64       // values in all tensors that are used
	Bytes      int64       // their bytes in the file
	Types      []TypeShare // what the tensors are stored as, the largest share first
}

// TypeShare is how much of a model is stored as one tensor type.
type TypeShare struct {
	Type       tensor.Type
	Tensors    int
	Parameters int64
	Bytes      int64
}

// Supported names the architectures that Load accepts, for refusals and help texts.
const Supported = "llama, mistral, qwen2, qwen3 (GGUF general.architecture llama, qwen2, qwen3; Hugging Face LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM)"

// Quantisation names how the weights are stored: the type that most of the parameters have, such as "Q4_K".
func (s Spec) Quantisation() string {
	if len(s.Types) == 0 {
		return ""
	}
	return s.Types[0].Type.String()
}

// String is one line for a log or a table.
func (s Spec) String() string {
	types := make([]string, len(s.Types))
	for i, t := range s.Types {
		types[i] = fmt.Sprintf("%s %d", t.Type, t.Tensors)
	}
	return fmt.Sprintf("%s %.4gM parameters, %d layers, dim %d, %d heads of %d (%d kv), hidden %d, vocab %d, context %d, %s (%s)",
		s.Arch, float64(s.Parameters)/1e6, s.Layers, s.Dim, s.Heads, s.HeadDim, s.KVHeads, s.Hidden, s.Vocab, s.Context, s.Format, strings.Join(types, ", "))
}

// The bounds are far above published models of these architectures (the largest Llama has 126 layers, 16,384 dimensions, 128
// heads, a hidden layer of 53,248, a vocabulary of 128,256; Qwen's vocabulary is 152,064, the longest context 10 million) and
// low enough that products of two of them fit in an int64 with room to spare. They exist so that a lying file gets an error
// that names the field, before any size is computed from it; memory itself is bounded by the tensors that the file holds.
const (
	maxLayers  = 4096
	maxDim     = 1 << 18
	maxHeads   = 4096
	maxHeadDim = 4096
	maxHidden  = 1 << 20
	maxVocab   = 1 << 24
	maxContext = 1 << 28
)

// check reports the first value that no model can have.
func (s *Spec) check() error {
	for _, f := range []struct {
		name     string
		got, max int
	}{
		{"layers", s.Layers, maxLayers}, {"dim", s.Dim, maxDim}, {"heads", s.Heads, maxHeads}, {"kv heads", s.KVHeads, maxHeads},
		{"head dim", s.HeadDim, maxHeadDim}, {"hidden", s.Hidden, maxHidden}, {"vocab", s.Vocab, maxVocab}, {"context", s.Context, maxContext},
	} {
		if f.got < 1 || f.got > f.max {
			return fmt.Errorf("%s is %d; it must be 1 to %d", f.name, f.got, f.max)
		}
	}
	switch {
	case s.Heads%s.KVHeads != 0:
		return fmt.Errorf("%d heads are not a multiple of %d kv heads", s.Heads, s.KVHeads)
	case s.HeadDim%2 != 0:
		return fmt.Errorf("head dim is %d; rope needs an even one", s.HeadDim)
	case !(s.Eps >= 0) || s.Eps > 1:
		return fmt.Errorf("the norms' epsilon is %g; it must be 0 to 1", s.Eps)
	case len(s.Windows) != s.Layers:
		return fmt.Errorf("%d layers have %d attention windows; there must be one a layer", s.Layers, len(s.Windows))
	}
	for i, w := range s.Windows {
		if w < 0 {
			return fmt.Errorf("the attention window of layer %d is %d; it must not be negative", i, w)
		}
	}
	return s.Rope.check()
}

// sameWindows gives every layer the window w; 0 means that all positions are seen.
func sameWindows(layers, w int) []int {
	if layers < 1 || layers > maxLayers {
		return nil // check refuses the number of layers itself
	}
	ws := make([]int, layers)
	for i := range ws {
		ws[i] = w
	}
	return ws
}

// headDim is the width of a head where the file gives none: the usual dim/heads.
func headDim(dim, heads int) (int, error) {
	if heads < 1 || dim < 1 || dim%heads != 0 {
		return 0, fmt.Errorf("dim %d does not divide into %d heads, and the file gives no head size", dim, heads)
	}
	return dim / heads, nil
}

// toInt converts a number of a file that must be whole and fit in an int.
func toInt(v float64) (int, bool) {
	if v != math.Trunc(v) || math.Abs(v) > 1<<52 {
		return 0, false
	}
	return int(v), true
}
