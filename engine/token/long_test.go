package token

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-ai/weir/internal/testdata"
)

// A long run of one letter is one word for most pre-tokenizers. Merging it in the obvious way is quadratic: minutes for a quarter
// of a megabyte, thousands of times what prose of that length takes. Done well it is about ten times. The bound between the two
// is far from both and relative, because the machine may be busy and the race detector on.
func TestLongWordsTakeNoQuadraticTime(t *testing.T) {
	t.Parallel()
	prose := string(testdata.Bytes(t, "text/tinyshakespeare.txt"))
	f := func(name, file string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok := fromFile(t, file)
			const size = 1 << 18
			start := time.Now()
			tok.Encode(prose[:size], false, true)
			limit := max(5*time.Second, 400*time.Since(start))
			for _, unit := range []string{"a", "=", " ", "中", "a "} {
				text := strings.Repeat(unit, size/len(unit))
				start := time.Now()
				ids := tok.Encode(text, false, true)
				if took := time.Since(start); took > limit {
					t.Errorf("256 kB of %q took %v, more than %v", unit, took, limit)
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
