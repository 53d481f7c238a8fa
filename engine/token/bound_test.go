package token

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// checkMostBytes holds the bound against what text becomes.
func checkMostBytes(t *testing.T, tok *Tokenizer, text string) {
	t.Helper()
	ids := tok.Encode(text, false, true)
	if most, ok := tok.MostBytes(len(ids)); ok && len(text) > most {
		t.Errorf("%d bytes become %d tokens, which may have %d bytes: %.80q", len(text), len(ids), most, text)
	}
}

// boundTexts are those that become the fewest tokens for their length.
func boundTexts(tok *Tokenizer) []string {
	texts := []string{"", " ", strings.Repeat(" ", 1000), strings.Repeat("\n", 1000), strings.Repeat("a", 1000), strings.Repeat("K", 300), strings.Repeat("한", 300),
		strings.Repeat("é", 300), strings.Repeat("𝐀", 300), strings.Repeat("\u0301", 300), strings.Repeat("▁", 300), strings.Repeat("🦀", 300), strings.Repeat("\x00\xff", 300)}
	for id := range ID(tok.Size()) {
		if text := tok.Text(id); len(text) > 20 || id%97 == 0 {
			texts = append(texts, text, string(tok.Piece(id)), strings.Repeat(text, 3))
		}
	}
	return texts
}

func TestNoTextIsLongerThanItsTokensMayBe(t *testing.T) {
	t.Parallel()
	check := func(name string, tok *Tokenizer, bounded bool) {
		t.Helper()
		if most, ok := tok.MostBytes(100); ok != bounded || ok && (most < 100 || most > 100*3*longestAdded) {
			t.Errorf("%s: 100 tokens have up to %d bytes, %v", name, most, ok)
		}
		for _, text := range boundTexts(tok) {
			checkMostBytes(t, tok, text)
		}
	}
	check("byte-level", fromFile(t, "ggml-vocab/ggml-vocab-gpt-2.gguf"), true)
	check("byte-level of many patterns", fromFile(t, "ggml-vocab/ggml-vocab-deepseek-llm.gguf"), true)
	check("with NFC", fromFile(t, "golden-hf/qwen2"), true)
	check("SentencePiece", fromFile(t, "ggml-vocab/ggml-vocab-llama-spm.gguf"), true)
	check("tokenizer.model", fromFile(t, "tokenizers/llama2_tokenizer.model"), true)
	check("marks that take white space", fromFile(t, "ggml-vocab/ggml-vocab-phi-3.gguf"), false)
	check("WordPiece", fromFile(t, "tokenizers/bert-base-uncased.json"), false)
}

// What a file says decides whether there is a bound, without shared data.
func TestWhichTokenizersHaveABound(t *testing.T) {
	t.Parallel()
	vocab := map[string]ID{"ab": 256}
	for b := range 256 {
		vocab[string(byteRune(byte(b)))] = ID(b)
	}
	model, _ := json.Marshal(map[string]any{"type": "BPE", "vocab": vocab, "merges": []string{"a b"}})
	check := func(want int, fields ...string) {
		t.Helper()
		edits := map[string]string{"model": string(model), "normalizer": "null", "added_tokens": `[{"id":257,"content":"<|end|>","special":true}]`}
		for i := 0; i < len(fields); i += 2 {
			edits[fields[i]] = fields[i+1]
		}
		tok, err := fromJSON(smallJSON(t, edits), special{texts: map[string]string{}})
		if err != nil {
			t.Fatal(err)
		}
		got, ok := tok.MostBytes(10)
		if got != want || ok != (want > 0) {
			t.Errorf("%v: 10 tokens have %d bytes, %v; want %d", fields, got, ok, want)
		}
		for _, text := range boundTexts(tok) {
			checkMostBytes(t, tok, text)
		}
	}
	const most = 10 * len("<|end|>")
	stages := func(s ...string) string {
		return `{"type":"Sequence","normalizers":[` + strings.Join(s, ",") + `]}`
	}
	check(most)
	check(4*most, "normalizer", `{"type":"NFC"}`)
	check(12*most, "normalizer", stages(`{"type":"NFC"}`, `{"type":"Lowercase"}`))
	check(2*most, "normalizer", `{"type":"Replace","pattern":{"String":"abc"},"content":"ab"}`)
	check(0, "normalizer", `{"type":"Replace","pattern":{"String":"abc"},"content":""}`)
	check(0, "normalizer", `{"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "}`)
	check(0, "normalizer", `{"type":"StripAccents"}`)
	check(0, "normalizer", `{"type":"Strip"}`)
	check(0, "normalizer", stages(slices.Repeat([]string{`{"type":"NFKC"}`}, stagesMax-1)...)) // a product beyond every number
	check(0, "added_tokens", `[{"id":257,"content":"<|end|>","special":true,"rstrip":true}]`)
	check(0, "model", `{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"Ġ":3},"merges":["a b"]}`, "added_tokens", "[]") // other bytes are dropped
}

// The factors of shrinks hold for all of Unicode: for every character, and for it in parts that are each written in the longest way.
// Characters beyond U+2FFFF are their own parts and have no lower case.
func TestNormalizersShrinkNoMoreThanTheySay(t *testing.T) {
	t.Parallel()
	const last = 0x2FFFF
	partsOf := func(f norm.Form, r rune) []rune {
		if parts := f.PropertiesString(string(r)).Decomposition(); parts != nil {
			return []rune(string(parts))
		}
		return []rune{r}
	}
	for _, c := range []struct {
		kind  string
		parts norm.Form
	}{{"NFC", norm.NFD}, {"NFD", norm.NFD}, {"NFKC", norm.NFKD}, {"NFKD", norm.NFKD}, {"Lowercase", norm.NFD}} {
		s := stage{Type: c.kind}
		normal, err := s.normalizer()
		if err != nil {
			t.Fatal(err)
		}
		longest := map[rune]int{} // the bytes of the longest character that is the same as one part
		for r := rune(0); r <= last; r++ {
			if parts := partsOf(c.parts, r); utf8.ValidRune(r) && len(parts) == 1 {
				longest[parts[0]] = max(longest[parts[0]], utf8.RuneLen(r))
			}
		}
		for r := rune(0); r <= last; r++ {
			parts := partsOf(c.parts, r)
			if !utf8.ValidRune(r) || parts[0] == r && unicode.ToLower(r) == r && longest[r] == utf8.RuneLen(r) {
				continue
			}
			before := utf8.RuneLen(r)
			if c.kind != "Lowercase" { // which leaves parts as they are
				long := 0
				for _, p := range parts {
					long += longest[p]
				}
				before = max(before, long)
			}
			if after := len(normal(string(r), atStart)); before > s.shrinks()*after {
				t.Errorf("%s makes %d bytes of %d for %U, more than by %d", c.kind, after, before, r, s.shrinks())
			}
		}
	}
}
