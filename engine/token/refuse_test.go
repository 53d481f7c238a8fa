package token

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strings"
	"testing"

	"github.com/weir-ai/weir/engine/weights"
)

// smallJSON is a whole tokenizer.json of byte-level BPE; edits replace its top-level fields.
func smallJSON(t testing.TB, edits map[string]string) []byte {
	t.Helper()
	fields := map[string]json.RawMessage{
		"added_tokens":   json.RawMessage(`[{"id":4,"content":"<|end|>","special":true}]`),
		"normalizer":     json.RawMessage(`{"type":"NFC"}`),
		"pre_tokenizer":  json.RawMessage(`{"type":"ByteLevel","add_prefix_space":false}`),
		"post_processor": json.RawMessage(`{"type":"ByteLevel"}`),
		"decoder":        json.RawMessage(`{"type":"ByteLevel"}`),
		"model":          json.RawMessage(`{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"Ġ":3},"merges":["a b"]}`),
	}
	for name, value := range edits {
		fields[name] = json.RawMessage(value)
	}
	b, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSmallTokenizerJSON(t *testing.T) {
	t.Parallel()
	tok, err := fromJSON(smallJSON(t, nil), special{})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(tok.Encode("ab ba<|end|>", false, true)); got != "[2 3 1 0 4]" {
		t.Errorf("ids %s", got)
	}
}

func TestTokenizerJSONRefuses(t *testing.T) {
	t.Parallel()
	f := func(field, value string, want ...string) {
		t.Helper()
		_, err := fromJSON(smallJSON(t, map[string]string{field: value}), special{})
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s %.200s: error %v, want %q in it", field, value, err, w)
			}
		}
	}
	// What is not known is named, with what is.
	f("model", `{"type":"WordLevel","vocab":{"a":0}}`, `"WordLevel"`, "BPE, Unigram and WordPiece")
	f("model", `{"vocab":{"a":0}}`, `model type ""`)
	f("model", `{"type":"BPE","vocab":{"a":0},"merges":[],"end_of_word_suffix":"</w>"}`, "</w>")
	f("model", `{"type":"BPE","vocab":{"a":0},"merges":[],"dropout":0.1}`, "dropout 0.1")
	f("normalizer", `{"type":"Nmt"}`, "normalizer", `"Nmt"`, "NFKC")
	f("normalizer", `{"type":"Precompiled","precompiled_charsmap":"AAAA"}`, `"Precompiled"`, "NFC")
	f("normalizer", `{"type":"Replace","pattern":{"Regex":"x+"},"content":"y"}`, `"x+"`)
	f("normalizer", `{"type":"Replace","pattern":{"String":"a"},"content":"aa"}`, `"aa"`)
	f("normalizer", `{"type":"Prepend","prepend":"`+strings.Repeat("x", 17)+`"}`, "17 bytes")
	f("pre_tokenizer", `{"type":"Split","pattern":{"Regex":"[a-z]+"},"behavior":"Isolated","invert":false}`, `"[a-z]+"`, "GPT-2, Llama 3, Qwen2")
	f("pre_tokenizer", `{"type":"Split","pattern":{"Regex":"\\p{N}"},"behavior":"Removed","invert":false}`, `"Removed"`)
	f("pre_tokenizer", `{"type":"UnicodeScripts"}`, `"UnicodeScripts"`, "ByteLevel, Split")
	f("pre_tokenizer", `{"type":"Metaspace","replacement":"_"}`, `"_"`)
	f("pre_tokenizer", `{"type":"Metaspace","prepend_scheme":"twice"}`, `"twice"`)
	f("pre_tokenizer", `{"type":"WhitespaceSplit"}`, "WhitespaceSplit")
	f("pre_tokenizer", `{"type":"Punctuation","behavior":"Removed"}`, `"Removed"`)
	f("pre_tokenizer", sequence(`{"type":"ByteLevel","add_prefix_space":false}`, `{"type":"Digits","individual_digits":true}`), "Digits after ByteLevel")
	f("pre_tokenizer", "null", "decoder", "Metaspace")
	f("post_processor", `{"type":"Other"}`, "post_processor", `"Other"`)
	f("post_processor", `{"type":"BertProcessing","sep":["x",9],"cls":["y",0]}`, "cls and sep")
	f("post_processor", `{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}]}`, `"<s>"`)
	f("post_processor", `{"type":"TemplateProcessing","single":[]}`, "no sequence")
	f("post_processor", `{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}},{"Sequence":{}}],"special_tokens":{"x":{"ids":[77]}}}`, "77")
	f("decoder", `{"type":"CTC"}`, `"CTC"`, "ByteLevel, WordPiece")
	f("decoder", `{"type":"Replace","pattern":{"String":"x"},"content":"y"}`, `"x"`)
	f("decoder", `{"type":"Strip","content":"x","start":1}`, `"x"`)
	f("decoder", "null", "decoder")
	// Broken files.
	f("model", `{"type":"BPE","vocab":{"a":0},"merges":["a b"]}`, "merge 0", `"b"`)
	f("model", `{"type":"BPE","vocab":{"a":0,"b":1},"merges":["a b"]}`, "merge 0", `"ab"`)
	f("model", `{"type":"BPE","vocab":{"a":0},"merges":["ab"]}`, "merge 0")
	f("model", `{"type":"BPE","vocab":{"a":0},"merges":[["a"]]}`, "merge 0 has 1")
	f("model", `{"type":"BPE","vocab":{"a":0},"merges":[["a","b","c"]]}`, "merge 0 has 3")
	f("model", `{"type":"BPE","vocab":{"a":0}}`, "merges is missing")
	f("model", `{"type":"BPE","vocab":{"a":2000000000},"merges":[]}`, "2000000000")
	f("model", `{"type":"BPE","vocab":{"a":-1},"merges":[]}`, "-1")
	f("model", `{"type":"BPE","vocab":["a"],"merges":[]}`, "model.vocab")
	f("model", `{"type":"BPE","vocab":{"a":0},"merges":[],"unk_token":"u"}`, `"u"`)
	f("model", `{"type":"Unigram","vocab":[["a"]],"unk_id":0}`, "model.vocab[0]")
	f("model", `{"type":"Unigram","vocab":[["a",0,1]],"unk_id":0}`, "model.vocab[0]")
	f("model", `{"type":"Unigram","vocab":[["a",0]],"unk_id":900}`, "900")
	f("model", `7`, "tokenizer.json")
	f("added_tokens", `[{"id":5000,"content":"x"}]`, "5000")
	f("added_tokens", `[{"id":-5,"content":"x"}]`, "-5")
	f("added_tokens", `[{"id":4,"content":"`+strings.Repeat("x", 2000)+`"}]`, "2000 bytes")
	f("added_tokens", `{}`, "tokenizer.json")
	deep := strings.Repeat(`{"type":"Sequence","normalizers":[`, 40) + strings.Repeat("]}", 40)
	f("normalizer", deep, "more than 32 stages")
	f("normalizer", `{"type":"Sequence","normalizers":[`+strings.Repeat(`{"type":"NFC"},`, 40)+`{"type":"NFC"}]}`, "more than 32 stages")
}

// smallMeta is the metadata of a whole tokenizer of each kind.
func smallMeta(model string) weights.Meta {
	m := weights.Meta{keyModel: model, keyPre: "gpt-2", keyTokens: []string{"<unk>", "<s>", "</s>", "▁", "a", "b", "ab", "▁ab"},
		keyKinds: []int32{2, 3, 3, 1, 1, 1, 1, 1}, keyScores: []float32{0, 0, 0, -4, -5, -6, -1, -2}, keyMerges: []string{"a b"},
		keyUnknown: uint32(0)}
	if model == "bert" {
		m[keyClass], m[keySeparator] = uint32(1), uint32(2)
	}
	return m
}

func TestSmallGGUFTokenizers(t *testing.T) {
	t.Parallel()
	f := func(model, want string) {
		t.Helper()
		tok, err := FromGGUF(smallMeta(model))
		if err != nil {
			t.Errorf("%s: %v", model, err)
			return
		}
		if got := fmt.Sprint(tok.Encode("ab", true, false)); got != want {
			t.Errorf("%s: ids %s, want %s", model, got, want)
		}
	}
	f("gpt2", "[6]")
	f("llama", "[1 7]")
	f("t5", "[7 1]") // without a named EOS llama.cpp assumes T5's, id 1
	f("bert", "[1 7 2]")
}

func TestGGUFTokenizerRefuses(t *testing.T) {
	t.Parallel()
	f := func(model, key string, value any, want ...string) {
		t.Helper()
		m := maps.Clone(smallMeta(model))
		if m[key] = value; value == nil {
			delete(m, key)
		}
		_, err := FromGGUF(m)
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s with %s %v: error %v, want %q in it", model, key, value, err, w)
			}
		}
	}
	f("gpt2", keyModel, "rwkv", `"rwkv"`, "gpt2 (byte-level BPE), llama (SentencePiece BPE)")
	f("gpt2", keyModel, nil, "has no tokenizer")
	f("gpt2", keyPre, "viking", `"viking"`, "gpt-2, llama-bpe, qwen2")
	f("gpt2", keyPre, nil, keyPre)
	f("gpt2", keyMerges, nil, keyMerges)
	f("gpt2", keyMerges, []string{"a c"}, "merge 0", `"c"`)
	f("gpt2", keyMerges, []string{"a"}, "merge 0")
	f("gpt2", keyTokens, nil, keyTokens)
	f("gpt2", keyTokens, []int32{1}, keyTokens)
	f("gpt2", keyKinds, nil, keyKinds)
	f("gpt2", keyKinds, []int32{1}, keyKinds, "8 tokens")
	f("gpt2", keyKinds, []int32{2, 3, 3, 1, 1, 1, 1, 9}, "is 9")
	f("gpt2", keyBOS, uint32(8), keyBOS, "8 tokens")
	f("gpt2", keyEOS, "</s>", keyEOS)
	f("gpt2", keyAddBOS, uint32(1), keyAddBOS)
	f("llama", keyScores, nil, keyScores)
	f("llama", keyScores, []float32{1}, keyScores)
	f("t5", keyScores, nil, keyScores)
	f("t5", keyCharsmap, []uint8{9, 0, 0, 0, 1}, "precompiled_charsmap")
	f("t5", keyCharsmap, "x", keyCharsmap)
	f("bert", keyClass, nil, keyClass)
	f("bert", keyUnknown, nil, "unknown token")
}

// message writes fields of a protocol buffer, each a number and a value: text, bytes, an int or a float32.
func message(fields ...any) []byte {
	var b []byte
	for i := 0; i < len(fields); i += 2 {
		num := fields[i].(int)
		switch v := fields[i+1].(type) {
		case []byte:
			b = append(binary.AppendUvarint(binary.AppendUvarint(b, uint64(num)<<3|wireBytes), uint64(len(v))), v...)
		case string:
			b = append(binary.AppendUvarint(binary.AppendUvarint(b, uint64(num)<<3|wireBytes), uint64(len(v))), v...)
		case float32:
			b = binary.LittleEndian.AppendUint32(binary.AppendUvarint(b, uint64(num)<<3|wireFixed4), math.Float32bits(v))
		case int:
			b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(num)<<3|wireVarint), uint64(v))
		}
	}
	return b
}

// smallPieces is a whole tokenizer.model of four pieces.
func smallPieces(trainer, normalizer []byte) []byte {
	return bytes.Join([][]byte{
		message(1, message(1, "<unk>", 3, 2)), message(1, message(1, "<s>", 3, 3)), message(1, message(1, "</s>", 3, 3)),
		message(1, message(1, "▁", 2, float32(-4))), message(1, message(1, "a", 2, float32(-8))),
		message(2, trainer), message(3, normalizer)}, nil)
}

func TestTokenizerModelRefuses(t *testing.T) {
	t.Parallel()
	whole := smallPieces(message(3, 2), message(3, 0))
	if _, err := fromPieces(whole, special{}); err != nil {
		t.Fatal(err)
	}
	f := func(b []byte, want string) {
		t.Helper()
		_, err := fromPieces(b, special{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40x: error %v, want %q in it", b, err, want)
		}
	}
	f(nil, "no pieces")
	f([]byte("IQ== 0\nIg== 1\n"), "not a SentencePiece model") // a vocabulary in tiktoken's form
	f(smallPieces(message(3, 3), nil), "model type 3")
	f(smallPieces(message(3, 2, 24, 1), nil), "treat_whitespace_as_suffix")
	f(smallPieces(message(3, 2), message(5, 0)), "escape_whitespaces")
	f(smallPieces(message(3, 2), message(2, "abc")), "precompiled_charsmap")
	f(message(1, message(1, "x", 3, 9)), "type 9")
	f(message(1, message(1, "x", 2, float32(math.NaN()))), "piece 0")
	f(message(1, 5), "want a message")
	f(binary.AppendUvarint([]byte{1<<3 | wireBytes}, 1<<40), "bytes")
	f([]byte{1<<3 | 3}, "wire type 3")
	f(bytes.Repeat([]byte{0xFF}, 20), "64 bits")
	f(append(smallPieces(message(3, 2), nil), message(1, message(1, strings.Repeat("x", 300)))...), "300 bytes")
	for n := range whole {
		if tok, err := fromPieces(whole[:n], special{}); err == nil && tok.Size() == 0 {
			t.Errorf("the first %d bytes made an empty tokenizer", n)
		}
	}
}
