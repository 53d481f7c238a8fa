package token

import (
	"encoding/json"
	"testing"

	"github.com/weir-ai/weir/internal/testdata"
)

// goldenCuts are texts cut by the tokenizers library with the regexes of six families.
type goldenCuts struct {
	Strings  []string
	Patterns []struct {
		Name    string
		Regexes []string
		Lengths [][]int
	}
}

func readCuts(t *testing.T) goldenCuts {
	t.Helper()
	var g goldenCuts
	if err := json.Unmarshal(testdata.Bytes(t, "golden-hf/tokenizers/pretokenizers.json"), &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func pieceLengths(p preTokenizer, text string) []int {
	var s scratch
	lengths, start := []int{}, 0
	for _, end := range p.cut(nil, text, &s) {
		lengths = append(lengths, end-start)
		start = end
	}
	return lengths
}

func TestPreTokenizersCutAsTheirRegexes(t *testing.T) {
	t.Parallel()
	names := map[string]string{"llama-3": "llama-bpe"}
	for _, p := range readCuts(t).Patterns {
		name := p.Name
		if other, ok := names[name]; ok {
			name = other
		}
		pre, _, _, ok := preTokenizerOf(name)
		if !ok {
			t.Fatalf("%s is not known", name)
		}
		for i, text := range readCuts(t).Strings {
			if got := pieceLengths(pre, text); !equalInts(got, p.Lengths[i]) {
				t.Errorf("%s: %q: pieces of %v bytes, want %v", name, text, got, p.Lengths[i])
			}
		}
	}
}

func equalInts(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
