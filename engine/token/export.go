package token

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/weir-ai/weir/engine/weights"
)

// GGUF gives the metadata that makes FromGGUF build this tokenizer again: for byte-level BPE with a pre-tokenizer that has a
// name in GGUF, as TrainBPE makes them. Others are not written.
func (t *Tokenizer) GGUF() ([]weights.KV, error) {
	m, ok := t.model.(*byteBPE)
	if !ok || t.preName == "" || t.norm != nil {
		return nil, fmt.Errorf("only byte-level BPE tokenizers with a pre-tokenizer of GGUF's can be written to GGUF")
	}
	kinds := make([]int32, len(t.vocab.kinds))
	for i, k := range t.vocab.kinds {
		kinds[i] = int32(k)
	}
	kv := []weights.KV{{Key: keyModel, Value: "gpt2"}, {Key: keyPre, Value: t.preName}, {Key: keyTokens, Value: t.vocab.texts},
		{Key: keyKinds, Value: kinds}, {Key: keyMerges, Value: m.mergeLines()}}
	if t.bos != none {
		kv = append(kv, weights.KV{Key: keyBOS, Value: uint32(t.bos)})
	}
	if t.eos != none {
		kv = append(kv, weights.KV{Key: keyEOS, Value: uint32(t.eos)})
	}
	return append(kv, weights.KV{Key: keyAddBOS, Value: t.addsBOS}, weights.KV{Key: keyAddEOS, Value: len(t.after) > 0}), nil
}

// mergeLines writes the merges in order of rank.
func (b *byteBPE) mergeLines() []string {
	type merge struct {
		rank uint32
		line string
	}
	var all []merge
	for i, key := range b.merges.keys {
		if key == 0 {
			continue
		}
		left, right := uint32((key-1)>>32), uint32(key-1)
		all = append(all, merge{uint32(b.merges.vals[i] >> 32), b.vocab.texts[left] + " " + b.vocab.texts[right]})
	}
	slices.SortFunc(all, func(a, b merge) int { return cmp.Compare(a.rank, b.rank) })
	lines := make([]string, len(all))
	for i, m := range all {
		lines[i] = m.line
	}
	return lines
}
