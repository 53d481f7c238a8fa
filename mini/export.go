package mini

import (
	"fmt"
	"io"
	"slices"

	"github.com/weir-ai/weir/engine/tensor"
	"github.com/weir-ai/weir/engine/token"
	"github.com/weir-ai/weir/engine/train"
	"github.com/weir-ai/weir/engine/weights"
)

// fileTypes are general.file_type by the type of a file's matrices (llama.cpp, include/llama.h, enum llama_ftype).
var fileTypes = map[tensor.Type]uint32{tensor.F32: 0, tensor.Q4_0: 2, tensor.Q8_0: 7}

// ExportTypes are how a trained model's matrices can be stored. The first is the default: a quarter of the size costs nothing that
// the evaluation can see, while four bits cost a model this small several points.
func ExportTypes() []tensor.Type { return []tensor.Type{tensor.Q8_0, tensor.F32, tensor.Q4_0} }

// Export writes the model under a name as a GGUF file that every reader of Llamas takes: matrices as stored says, one of
// ExportTypes, vectors in F32, the tokenizer and the chat template beside them.
func Export(w io.Writer, name string, stored tensor.Type, t *train.Trainer, tok *token.Tokenizer) error {
	fileType, ok := fileTypes[stored]
	if !ok {
		return fmt.Errorf("exporting %s: matrices cannot be stored as %v; use one of %v", name, stored, ExportTypes())
	}
	tensors, err := quantised(t.Tensors(), stored)
	if err != nil {
		return fmt.Errorf("exporting %s: %w", name, err)
	}
	vocabulary, err := tok.GGUF()
	if err != nil {
		return fmt.Errorf("exporting %s: %w", name, err)
	}
	meta := []weights.KV{
		{Key: "general.architecture", Value: "llama"}, {Key: "general.name", Value: name},
		{Key: "general.file_type", Value: fileType},
	}
	if slices.Contains(Names(), name) {
		meta = append(meta, weights.KV{Key: "general.license", Value: "apache-2.0"}) // a user's own model is the user's to license
	}
	meta = append(append(meta, shapeMeta(t.Shape())...), vocabulary...)
	meta = append(meta, weights.KV{Key: "tokenizer.chat_template", Value: chatTemplate})
	if err := weights.WriteGGUF(w, meta, tensors); err != nil {
		return fmt.Errorf("exporting %s: %w", name, err)
	}
	return nil
}

// quantised gives the trained tensors as a file holds them: matrices of the stored type, vectors in F32.
func quantised(named []train.Named, stored tensor.Type) ([]weights.Tensor, error) {
	var out []weights.Tensor
	for _, n := range named {
		kind := tensor.F32
		if len(n.Shape) > 1 {
			kind = stored
		}
		if len(n.Data)%kind.BlockLen() != 0 {
			return nil, fmt.Errorf("tensor %s: %d values are no whole blocks of %v, which hold %d", n.Name, len(n.Data), kind, kind.BlockLen())
		}
		data := make([]byte, len(n.Data)/kind.BlockLen()*kind.BlockBytes())
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
