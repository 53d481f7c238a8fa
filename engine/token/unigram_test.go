package token

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/weir-ai/weir/engine/weights"
)

// testdata/make_unigram.py trains a tiny Unigram model with user-defined symbols and a normalisation table, and records what
// SentencePiece and Hugging Face's library make of texts with it.

func goldenUnigram(t testing.TB, library string) []goldenText {
	t.Helper()
	b, err := os.ReadFile("testdata/unigram.golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string][]goldenText
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	if len(all[library]) < 20 {
		t.Fatalf("%d texts of %s", len(all[library]), library)
	}
	return all[library]
}

func readTest(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestUnigramOfSentencePiece(t *testing.T) {
	t.Parallel()
	tok, err := fromPieces(readTest(t, "unigram.model"), special{})
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, tok, goldenUnigram(t, "sentencepiece"), how{plain: true, bare: true})
}

func TestUnigramOfTokenizerJSON(t *testing.T) {
	t.Parallel()
	tok, err := fromJSON(readTest(t, "unigram.json"), special{})
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, tok, goldenUnigram(t, "tokenizers"), how{})
}

// The same model as GGUF has it must give the same ids; llama.cpp takes user-defined symbols as ends of a text, so texts with
// them are left out.
func TestUnigramOfGGUF(t *testing.T) {
	t.Parallel()
	m := readPieces(t)
	kinds := make([]int32, len(m.kinds))
	for i, k := range m.kinds {
		kinds[i] = int32(k)
	}
	tok, err := FromGGUF(weights.Meta{keyModel: "t5", keyTokens: m.texts, keyKinds: kinds, keyScores: m.scores, keyUnknown: uint32(0),
		keyBOS: uint32(1), keyEOS: uint32(2), keyAddEOS: false, keyCollapse: true, keyCharsmap: m.charsmap})
	if err != nil {
		t.Fatal(err)
	}
	texts := slices.DeleteFunc(goldenUnigram(t, "sentencepiece"), func(g goldenText) bool {
		return strings.Contains(g.Text, "hat") || strings.Contains(g.Text, "<sep>")
	})
	if len(texts) < 15 {
		t.Fatalf("%d texts", len(texts))
	}
	checkGolden(t, tok, texts, how{plain: true})
}

func TestUnigramWithoutByteTokensWritesOneUnknown(t *testing.T) {
	t.Parallel()
	tok, err := FromGGUF(smallMeta("t5"))
	if err != nil {
		t.Fatal(err)
	}
	// SentencePiece makes one unknown token of a run of unknown characters.
	if got := tok.Encode("ab中文zab", false, false); !slices.Equal(got, []ID{7, 0, 6}) {
		t.Errorf("ids %v", got)
	}
}

func TestCharsmapRefusesToRunOutOfItsTable(t *testing.T) {
	t.Parallel()
	good := readPieces(t).charsmap
	m, err := readCharsmap(good)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.apply("ﬁne café ABCD \xff"); got != "fine cafe xD \uFFFD" {
		t.Errorf("normalised to %q", got)
	}
	for i := range good {
		for _, bit := range []byte{1, 0x80} {
			damaged := slices.Clone(good)
			damaged[i] ^= bit
			if m, err := readCharsmap(damaged); err == nil {
				m.apply("ﬁne café ABCD e\u0301 \u3000 \xff\x00")
			}
		}
	}
}

func readPieces(t testing.TB) *pieceModel {
	t.Helper()
	m, err := readPieceModel(readTest(t, "unigram.model"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}
