package token

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// A long run of one letter is one word for most pre-tokenizers. Merging it in the obvious way is quadratic: minutes for a quarter
// of a megabyte, so a bound of many seconds, which even a busy machine keeps, tells the two apart.
func TestLongWordsTakeNoQuadraticTime(t *testing.T) {
	t.Parallel()
	f := func(name, file string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok := fromFile(t, file)
			for _, unit := range []string{"a", "=", "ab", " ", "中", "\xff", "a ", "'", "[", "aA"} {
				text := strings.Repeat(unit, 1<<18/len(unit))
				start := time.Now()
				ids := tok.Encode(text, false, true)
				if took := time.Since(start); took > 30*time.Second {
					t.Errorf("256 kB of %q took %v", unit, took)
				}
				if len(ids) > len(text)+1 {
					t.Errorf("%q: %d ids for %d bytes", unit, len(ids), len(text))
				}
			}
		})
	}
	f("byte-level", "ggml-vocab/ggml-vocab-gpt-2.gguf")
	f("byte-level of many patterns", "ggml-vocab/ggml-vocab-deepseek-llm.gguf")
	f("SentencePiece", "tokenizers/llama2_tokenizer.model")
	f("WordPiece", "tokenizers/bert-base-uncased.json")
}

// The long way of merging must give what the short one gives.
func TestLongMergeEqualsShortMerge(t *testing.T) {
	t.Parallel()
	f := func(file string) {
		tok := fromFile(t, file)
		var table *mergeTable
		switch m := tok.model.(type) {
		case *byteBPE:
			table = m.merges
		case *spm:
			table = m.merges
		}
		for _, g := range goldenTexts(t, "llama2_tokenizer.model") {
			for _, text := range []string{g.Text, g.Text + g.Text} {
				var a, b scratch
				var short, long []ID
				for _, c := range []byte(text) {
					if id, ok := tok.Lookup(string(rune(c))); ok {
						short, long = append(short, id), append(long, id)
					}
				}
				if len(short) < 2 || len(short) > shortWord {
					continue
				}
				got, want := b.long.run(table, long), table.merge(short, &a)
				if !slices.Equal(got, want) {
					t.Errorf("%s: %q: %v and %v", file, text, got, want)
				}
			}
		}
	}
	f("ggml-vocab/ggml-vocab-gpt-2.gguf")
	f("tokenizers/llama2_tokenizer.model")
}
