package mini

import (
	"fmt"
	"io"

	"github.com/weir-ai/weir/engine/tensor"
	"github.com/weir-ai/weir/engine/token"
	"github.com/weir-ai/weir/engine/train"
	"github.com/weir-ai/weir/engine/weights"
)

// fileTypeQ8 is general.file_type of a file whose matrices are mostly Q8_0 (llama.cpp, include/llama.h, LLAMA_FTYPE_MOSTLY_Q8_0).
const fileTypeQ8 = uint32(7)

// Export writes the model as a GGUF file that every reader of Llamas takes: matrices in Q8_0, norms in F32, the tokenizer and the
// chat template beside them. Q8_0 because a quarter of the size costs nothing that the evaluation can see; four bits cost a model
// this small several points.
func Export(w io.Writer, t *train.Trainer, tok *token.Tokenizer) error {
	tensors, err := quantised(t.Tensors())
	if err != nil {
		return fmt.Errorf("exporting %s: %w", Name, err)
	}
	vocabulary, err := tok.GGUF()
	if err != nil {
		return fmt.Errorf("exporting %s: %w", Name, err)
	}
	meta := append(shapeMeta(t.Shape()), vocabulary...)
	meta = append(meta, weights.KV{Key: "tokenizer.chat_template", Value: chatTemplate})
	if err := weights.WriteGGUF(w, meta, tensors); err != nil {
		return fmt.Errorf("exporting %s: %w", Name, err)
	}
	return nil
}

// quantised gives the trained tensors as a file holds them: matrices in Q8_0, vectors in F32.
func quantised(named []train.Named) ([]weights.Tensor, error) {
	var out []weights.Tensor
	for _, n := range named {
		kind, bytes := tensor.F32, 4*len(n.Data)
		if len(n.Shape) > 1 {
			kind, bytes = tensor.Q8_0, len(n.Data)/32*34
		}
		data := make([]byte, bytes)
		if err := tensor.Quantize(kind, data, n.Data); err != nil {
			return nil, fmt.Errorf("tensor %s: %w", n.Name, err)
		}
		out = append(out, weights.Tensor{Name: n.Name, Shape: n.Shape, Type: kind, Data: data})
	}
	return out, nil
}

// shapeMeta tells the architecture under GGUF's names for a Llama.
func shapeMeta(s train.Shape) []weights.KV {
	return []weights.KV{
		{Key: "general.architecture", Value: "llama"},
		{Key: "general.name", Value: Name},
		{Key: "general.license", Value: "apache-2.0"},
		{Key: "general.file_type", Value: fileTypeQ8},
		{Key: "llama.context_length", Value: uint32(s.Context)},
		{Key: "llama.embedding_length", Value: uint32(s.Dim)},
		{Key: "llama.block_count", Value: uint32(s.Layers)},
		{Key: "llama.feed_forward_length", Value: uint32(s.Hidden)},
		{Key: "llama.attention.head_count", Value: uint32(s.Heads)},
		{Key: "llama.attention.head_count_kv", Value: uint32(s.KVHeads)},
		{Key: "llama.attention.layer_norm_rms_epsilon", Value: s.Eps},
		{Key: "llama.rope.freq_base", Value: s.RopeTheta},
		{Key: "llama.rope.dimension_count", Value: uint32(s.HeadDim())},
		{Key: "llama.vocab_size", Value: uint32(s.Vocab)},
	}
}
