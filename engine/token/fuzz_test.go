package token

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/weir-ai/weir/engine/weights"
)

// exercise uses a tokenizer that a fuzzed file made: whatever the file says, encoding and decoding must hold together.
func exercise(t *testing.T, tok *Tokenizer) {
	t.Helper()
	texts := []string{"", "ab a  b<|end|> \xff中", "▁ab\n\n 12345's é", strings.Repeat("ab", 100)}
	for id := range ID(min(tok.Size(), 8)) {
		texts = append(texts, tok.Text(id), "a"+tok.Text(id)+" "+tok.Text(id))
	}
	for _, text := range texts {
		start := time.Now()
		ids := tok.Encode(text, true, true)
		checkMostBytes(t, tok, text)
		for _, id := range ids {
			if id < 0 || int(id) >= tok.Size() {
				t.Fatalf("%q: id %d of %d tokens", text, id, tok.Size())
			}
		}
		s := tok.Stream()
		var streamed strings.Builder
		for _, id := range ids {
			part := s.Push(id)
			if !utf8.ValidString(part) {
				t.Fatalf("%q: streamed %q", text, part)
			}
			streamed.WriteString(part)
		}
		streamed.WriteString(s.Flush())
		if whole := tok.Decode(ids, true); streamed.String() != whole {
			t.Fatalf("%q: streamed %q, decoded %q", text, streamed.String(), whole)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Fatalf("%d bytes took %v", len(text), took)
		}
	}
	for id := range ID(min(tok.Size(), 64)) {
		tok.Piece(id)
		tok.IsSpecial(id)
	}
	tok.SpecialStrings()
}

// fuzzed bounds the size of what is fuzzed, or the fuzzer spends its time on size.
const fuzzed = 1 << 16

func FuzzTokenizerJSON(f *testing.F) {
	f.Add(smallJSON(f, nil), []byte(`{"eos_token":"<|end|>","add_eos_token":true}`))
	edit := func(edits map[string]string) { f.Add(smallJSON(f, edits), []byte(`{}`)) }
	edit(map[string]string{"pre_tokenizer": sequence(isolated(`\p{N}`), `{"type":"ByteLevel","add_prefix_space":true}`)})
	edit(map[string]string{"model": `{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"▁":3,"<0x0A>":5},"merges":[["a","b"]],"byte_fallback":true,"unk_token":"a","fuse_unk":true}`,
		"pre_tokenizer": "null", "normalizer": `{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}`,
		"decoder": `{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}`})
	edit(map[string]string{"model": `{"type":"Unigram","vocab":[["u",0],["▁",-2],["a",-3],["ab",-1.5]],"unk_id":0}`,
		"pre_tokenizer": sequence(`{"type":"WhitespaceSplit"}`, `{"type":"Metaspace","prepend_scheme":"always"}`), "decoder": `{"type":"Metaspace"}`})
	edit(map[string]string{"model": `{"type":"WordPiece","vocab":{"u":0,"a":1,"##b":2,"b":3},"unk_token":"u","max_input_chars_per_word":100}`,
		"normalizer": `{"type":"BertNormalizer"}`, "pre_tokenizer": `{"type":"BertPreTokenizer"}`, "decoder": `{"type":"WordPiece","prefix":"##"}`,
		"post_processor": `{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}},{"Sequence":{"id":"A"}}],"special_tokens":{"x":{"ids":[1]}}}`})
	f.Fuzz(func(t *testing.T, file, config []byte) {
		if len(file) > fuzzed || len(config) > fuzzed {
			return
		}
		sp := special{texts: map[string]string{}}
		if sp.read(config) != nil {
			return
		}
		if tok, err := fromJSON(file, sp); err == nil {
			exercise(t, tok)
		}
	})
}

func FuzzSentencePiece(f *testing.F) {
	f.Add(smallPieces(message(3, 2), message(3, 1)))
	f.Add(smallPieces(message(3, 2, 35, 1, 40, 0, 41, -1), message(4, 0)))
	f.Add(readTest(f, "unigram.model"))
	table := []byte{8, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 'x', 0}
	f.Add(append(smallPieces(message(3, 1), message(2, table)), message(1, message(1, "▁a", 2, float32(-3)))...))
	f.Add(append(smallPieces(message(3, 1), nil), message(1, message(1, "ab", 3, 4))...))
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) > fuzzed {
			return
		}
		if tok, err := fromPieces(file, special{}); err == nil {
			exercise(t, tok)
		}
	})
}

func FuzzGGUFTokenizer(f *testing.F) {
	for _, model := range []string{"gpt2", "llama", "t5", "bert"} {
		var kv []weights.KV
		for key, value := range smallMeta(model) {
			kv = append(kv, weights.KV{Key: key, Value: value})
		}
		var b bytes.Buffer
		if err := weights.WriteGGUF(&b, kv, nil); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > fuzzed {
			return
		}
		file, err := weights.OpenBytes("fuzzed", b)
		if err != nil {
			return
		}
		TemplateOf(file)
		if tok, err := Load(file); err == nil {
			exercise(t, tok)
			if kv, err := tok.GGUF(); err == nil && len(kv) == 0 {
				t.Error("no metadata")
			}
		}
	})
}

// Truncated at every length and with every byte changed, real files must give errors or tokenizers, and no panic.
func TestDamagedTokenizerFiles(t *testing.T) {
	t.Parallel()
	try := func(b []byte, read func([]byte, special) (*Tokenizer, error)) {
		for n := range len(b) {
			if tok, err := read(b[:n], special{}); err == nil {
				exercise(t, tok)
			}
			changed := bytes.Clone(b)
			changed[n] ^= 0x55
			if tok, err := read(changed, special{}); err == nil {
				exercise(t, tok)
			}
		}
	}
	try(smallJSON(t, nil), fromJSON)
	try(smallPieces(message(3, 2), message(3, 1)), fromPieces)
	try(smallPieces(message(3, 1), message(3, 1, 2, []byte{8, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 'x', 0})), fromPieces)
}
