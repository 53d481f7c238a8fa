package weights

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/weir-ai/weir/engine/tensor"
)

// size holds the sizes of a Llama with a tied embedding.
type size struct {
	name                               string
	dim, layers, heads, kvHeads, inner int
	vocab                              int
}

// syntheticVocab is the vocabulary of all synthetic models but the tiny one: that of SmolLM2. The real 151,936 words of Qwen2.5 would make half of a
// 0.5 B model its output matrix, and comparisons with other engines use files with this one.
const syntheticVocab = 49152

// syntheticContext is longer than any benchmark's prompt and answer.
const syntheticContext = 8192

// syntheticSizes are those of SmolLM2 135M, Qwen2.5 0.5B (as a Llama) and Llama 3.2 1B, and before them one that is made and run in
// no time, for tests.
func syntheticSizes() []size {
	return []size{
		{"tiny", 64, 2, 4, 2, 96, 512},
		{"135m", 576, 30, 9, 3, 1536, syntheticVocab},
		{"0.5b", 896, 24, 14, 2, 4864, syntheticVocab},
		{"1.2b", 2048, 16, 32, 8, 8192, syntheticVocab},
	}
}

// SyntheticShapes lists the names that Synthetic knows, smallest first.
func SyntheticShapes() []string {
	var names []string
	for _, s := range syntheticSizes() {
		names = append(names, s.name)
	}
	return names
}

// Synthetic makes a model of a real shape with random weights in memory, for benchmarks: speed depends on shapes and not on values,
// so nobody has to fetch a file to measure a machine. The matrices and the embedding have type t (Q8_0, Q4_0, Q4_K
// or F16), norms are F32; where rows are no multiple of Q4_K's 256 values, they are Q5_0, as llama.cpp makes them.
// Its words are the 256 bytes, three special tokens and fillers; its answers are noise, the same for the same seed.
//
// Quants are drawn directly, because quantising a billion values would take a minute. The scales give weights a deviation of
// about 0.02, as fresh Llamas have, so that activations stay in the range of a real model and no kernel meets subnormals.
func Synthetic(shape string, t tensor.Type, seed uint64) (*File, error) {
	for _, s := range syntheticSizes() {
		if s.name == shape {
			return synthesize(s, t, seed)
		}
	}
	return nil, fmt.Errorf("synthetic shape %q is unknown; known are %s", shape, strings.Join(SyntheticShapes(), ", "))
}

func synthesize(s size, t tensor.Type, seed uint64) (*File, error) {
	if t == tensor.Q5_0 || fillers(t) == nil {
		return nil, fmt.Errorf("synthetic weights of type %s are not made; made are Q8_0, Q4_0, Q4_K and F16", t)
	}
	f := &File{Path: fmt.Sprintf("synthetic-%s-%s", s.name, t), Format: "gguf", Meta: Meta{}}
	for _, kv := range s.meta() {
		f.Meta[kv.Key] = kv.Value
	}
	for _, x := range s.tensors(t) {
		r := random(seed)
		for _, c := range x.Name { // a stream for each tensor, so that the same tensor is the same in every shape's order
			r.state = r.state*0x100000001b3 ^ uint64(c)
		}
		x.Data = make([]byte, int(elements(x.Shape))/x.Type.BlockLen()*x.Type.BlockBytes())
		if x.Type == tensor.F32 {
			fillNorm(x.Data, &r)
		} else {
			fillers(x.Type)(x.Data, &r)
		}
		if err := f.add(x); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// tensors lists the tensors under llama.cpp's names, without bytes.
func (s size) tensors(t tensor.Type) []Tensor {
	var list []Tensor
	norm := func(name string) {
		list = append(list, Tensor{Name: name + ".weight", Type: tensor.F32, Shape: []int{s.dim}})
	}
	matrix := func(name string, rows, cols int) {
		kind := t
		if cols%t.BlockLen() != 0 {
			kind = tensor.Q5_0
		}
		list = append(list, Tensor{Name: name + ".weight", Type: kind, Shape: []int{rows, cols}})
	}
	matrix("token_embd", s.vocab, s.dim)
	norm("output_norm")
	kv := s.dim / s.heads * s.kvHeads
	for i := range s.layers {
		prefix := fmt.Sprintf("blk.%d.", i)
		norm(prefix + "attn_norm")
		norm(prefix + "ffn_norm")
		matrix(prefix+"attn_q", s.dim, s.dim)
		matrix(prefix+"attn_k", kv, s.dim)
		matrix(prefix+"attn_v", kv, s.dim)
		matrix(prefix+"attn_output", s.dim, s.dim)
		matrix(prefix+"ffn_gate", s.inner, s.dim)
		matrix(prefix+"ffn_up", s.inner, s.dim)
		matrix(prefix+"ffn_down", s.dim, s.inner)
	}
	return list
}

// meta is the metadata of a llama.cpp file of this shape, with a byte-level tokenizer.
func (s size) meta() []KV {
	tokens, types := s.vocabulary()
	return []KV{
		{"general.architecture", "llama"},
		{"general.type", "model"},
		{"general.name", "synthetic " + s.name},
		{"llama.block_count", uint32(s.layers)},
		{"llama.context_length", uint32(syntheticContext)},
		{"llama.embedding_length", uint32(s.dim)},
		{"llama.feed_forward_length", uint32(s.inner)},
		{"llama.attention.head_count", uint32(s.heads)},
		{"llama.attention.head_count_kv", uint32(s.kvHeads)},
		{"llama.rope.dimension_count", uint32(s.dim / s.heads)},
		{"llama.rope.freq_base", float32(100000)},
		{"llama.attention.layer_norm_rms_epsilon", float32(1e-5)},
		{"llama.vocab_size", uint32(s.vocab)},
		{"tokenizer.ggml.model", "gpt2"},
		{"tokenizer.ggml.pre", "gpt-2"},
		{"tokenizer.ggml.tokens", tokens},
		{"tokenizer.ggml.token_type", types},
		{"tokenizer.ggml.merges", syntheticMerges()},
		{"tokenizer.ggml.bos_token_id", uint32(1)},
		{"tokenizer.ggml.eos_token_id", uint32(2)},
		{"tokenizer.ggml.padding_token_id", uint32(0)},
		{"tokenizer.ggml.add_bos_token", false},
		{"tokenizer.chat_template", "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"},
	}
}

// syntheticMerges are a few real merges, so that the vocabulary is one of byte pairs and not of bytes alone.
func syntheticMerges() []string { return []string{"Ġ t", "h e", "Ġt he", "i n", "a n"} }

// vocabulary is the three special tokens, the 256 bytes in GPT-2's alphabet, the merged pairs, and fillers up to the size.
func (s size) vocabulary() (tokens []string, types []int32) {
	const normal, control = 1, 3 // llama.cpp's token types
	tokens = []string{"<pad>", "<s>", "</s>"}
	types = []int32{control, control, control}
	for b := range 256 {
		tokens = append(tokens, string(byteRune(b)))
	}
	for _, m := range syntheticMerges() {
		tokens = append(tokens, strings.ReplaceAll(m, " ", ""))
	}
	for len(tokens) < s.vocab {
		tokens = append(tokens, fmt.Sprintf("Zq%dx", len(tokens)))
	}
	for len(types) < len(tokens) {
		types = append(types, normal)
	}
	return tokens, types
}

// byteRune is the character that GPT-2's byte-level vocabulary writes for a byte (openai/gpt-2, encoder.py, bytes_to_unicode):
// itself where it is printable in Latin-1, otherwise the next free one from 256 on.
func byteRune(b int) rune {
	printable := func(b int) bool { return b >= '!' && b <= '~' || b >= 0xa1 && b != 0xad }
	if printable(b) {
		return rune(b)
	}
	r := rune(256)
	for c := range b {
		if !printable(c) {
			r++
		}
	}
	return r
}

// generator is SplitMix64 (Steele, Lea, Flood 2014): 8 bytes in about a nanosecond, which a billion weights need.
type generator struct{ state uint64 }

func random(seed uint64) generator { return generator{seed} }

func (g *generator) next() uint64 {
	g.state += 0x9e3779b97f4a7c15
	z := g.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// fillers returns the function that fills whole blocks of the type, nil where there is none.
func fillers(t tensor.Type) func(data []byte, g *generator) {
	switch t {
	case tensor.F16:
		return fillF16
	case tensor.Q8_0:
		return fillQ8
	case tensor.Q4_0:
		return fillQ4
	case tensor.Q5_0:
		return fillQ5
	case tensor.Q4_K:
		return fillQ4K
	}
	return nil
}

// fillF16 draws a sign and ten bits of fraction: magnitudes of 2^-6 to 2^-5, deviation 0.024.
func fillF16(data []byte, g *generator) {
	const free, exponent = 0x83ff83ff83ff83ff, 0x2400240024002400
	for ; len(data) >= 8; data = data[8:] {
		binary.LittleEndian.PutUint64(data, g.next()&free|exponent)
	}
	for ; len(data) >= 2; data = data[2:] {
		binary.LittleEndian.PutUint16(data, uint16(g.next()&free|exponent))
	}
}

// fillQ8 draws odd quants of -127 to 127 (deviation 74): the -128 that ggml's quantiser never makes cannot occur, and the mean is 0.
func fillQ8(data []byte, g *generator) {
	const odd = 0x0101010101010101
	for ; len(data) >= 34; data = data[34:] {
		binary.LittleEndian.PutUint16(data, scale(0x0c00, g)) // 2^-12: 0.018
		for i := 2; i < 34; i += 8 {
			binary.LittleEndian.PutUint64(data[i:], g.next()|odd)
		}
	}
}

// fillQ4 draws nibbles, -8 to 7 (deviation 4.6). Their mean is not 0, but the scale's sign is random and evens that out.
func fillQ4(data []byte, g *generator) {
	for ; len(data) >= 18; data = data[18:] {
		binary.LittleEndian.PutUint16(data, scale(0x1c00, g)) // 2^-8: 0.018
		binary.LittleEndian.PutUint64(data[2:], g.next())
		binary.LittleEndian.PutUint64(data[10:], g.next())
	}
}

// fillQ5 draws -16 to 15 (deviation 9.2).
func fillQ5(data []byte, g *generator) {
	for ; len(data) >= 22; data = data[22:] {
		binary.LittleEndian.PutUint16(data, scale(0x1800, g)) // 2^-9: 0.018
		binary.LittleEndian.PutUint32(data[2:], uint32(g.next()))
		binary.LittleEndian.PutUint64(data[6:], g.next())
		binary.LittleEndian.PutUint64(data[14:], g.next())
	}
}

// fillQ4K draws nibbles, 0 to 15 (mean 7.5, deviation 4.6), and for each of the eight sub-blocks a scale of 32 to 39. The min of a
// sub-block is its scale, and dmin is 7.5 times d, which makes the mean 0.
func fillQ4K(data []byte, g *generator) {
	const d, dmin = 0x0800, 0x1380 // 2^-13 and 7.5 times that: 0.020
	for ; len(data) >= 144; data = data[144:] {
		bits := g.next()
		sign := uint16(bits>>48) & 0x8000
		binary.LittleEndian.PutUint16(data, d|sign)
		binary.LittleEndian.PutUint16(data[2:], dmin|sign)
		for j := range 4 {
			// 6 bits of scale j and the upper 2 of scale j+4, the same of the mins, the lower 4 of scale and min j+4.
			first, second := byte(32|bits&7), byte(32|bits>>3&7)
			bits >>= 6
			data[4+j] = first | second>>4<<6
			data[8+j] = data[4+j]
			data[12+j] = second&15 | second&15<<4
		}
		for i := 16; i < 144; i += 8 {
			binary.LittleEndian.PutUint64(data[i:], g.next())
		}
	}
}

// scale is the f16 power of two that has these bits, times 1 to 1.25, with a random sign.
func scale(bits uint16, g *generator) uint16 { return bits | uint16(g.next())&0x80ff }

// fillNorm draws float32 of 1 to 1.125, as gains of norms are about 1.
func fillNorm(data []byte, g *generator) {
	for ; len(data) >= 4; data = data[4:] {
		binary.LittleEndian.PutUint32(data, 0x3f800000|uint32(g.next())&0xfffff)
	}
}
