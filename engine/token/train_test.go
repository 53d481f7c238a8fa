package token

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weir-ai/weir/internal/testdata"
)

func trained(t testing.TB, size int) *Tokenizer {
	t.Helper()
	text := strings.Repeat("the cat sat on the mat with 17 + 25 = 42 hats; then the other cat sat there.\n", 40)
	tok, err := TrainBPE(slices.Values([]string{text, "user<|im_end|>user"}), TrainOptions{VocabSize: size,
		Special: []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}, EOS: "<|im_end|>"})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestTrainBPEMergesWordsAndNeverDigits(t *testing.T) {
	t.Parallel()
	tok := trained(t, 280)
	if tok.Size() != 280 {
		t.Errorf("%d tokens, want 280", tok.Size())
	}
	for id := range ID(tok.Size()) {
		if text := string(tok.Piece(id)); len(text) > 1 && strings.ContainsAny(text, "0123456789") {
			t.Errorf("token %d is %q: a digit was merged", id, text)
		}
	}
	if _, ok := tok.Lookup("Ġthe"); !ok {
		t.Error("the commonest word is no token")
	}
	ids := tok.Encode("<|im_start|>the cat 1234<|im_end|>", true, true)
	if ids[0] != 1 || ids[len(ids)-1] != 2 {
		t.Errorf("special tokens were not cut out: %v", ids)
	}
	if got := tok.Decode(ids, false); got != "<|im_start|>the cat 1234<|im_end|>" {
		t.Errorf("decoded %q", got)
	}
	if got := tok.Decode(ids, true); got != "the cat 1234" {
		t.Errorf("decoded %q", got)
	}
	if got := tok.Encode("<|im_end|>", false, false); slices.Contains(got, 2) {
		t.Errorf("special text became a special token unasked: %v", got)
	}
	if eos, _ := tok.EOS(); eos != 2 || !slices.Equal(tok.EOGs(), []ID{0, 2}) {
		t.Errorf("eos %d, eogs %v", eos, tok.EOGs())
	}
}

// The tiny golden vocabulary was trained by the tokenizers library on a text we have; ours need not be the same, but must use
// about as few tokens for that text.
func TestTrainBPEIsDeterministicAndCompresses(t *testing.T) {
	t.Parallel()
	text := string(testdata.Bytes(t, "text/tinyshakespeare.txt"))[:200_000]
	train := func(parts ...string) *Tokenizer {
		tok, err := TrainBPE(slices.Values(parts), TrainOptions{VocabSize: 1000})
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	cut := strings.LastIndex(text[:100_000], "\n\n") + 2
	a, b := train(text), train(text[cut:], text[:cut])
	if !slices.Equal(a.vocab.texts, b.vocab.texts) {
		t.Error("the order of texts changed the vocabulary")
	}
	if n := len(a.Encode(text, false, false)); n > len(text)*2/5 {
		t.Errorf("%d tokens for %d bytes", n, len(text))
	}
}

// Models are trained with vocabularies that TrainBPE made, and their files hold the vocabulary but their recipes make it again:
// a change of the result, however good, gives such a model tokens that it never saw.
func TestTrainBPEMakesTheSameVocabularyForEver(t *testing.T) {
	t.Parallel()
	tok := trained(t, 300)
	h := sha256.New()
	for _, text := range tok.vocab.texts {
		fmt.Fprintf(h, "%q\n", text)
	}
	if got := hex.EncodeToString(h.Sum(nil)[:8]); got != "f28f833be5520747" {
		t.Errorf("the vocabulary's hash is %s", got)
	}
}

func TestTrainBPERefuses(t *testing.T) {
	t.Parallel()
	f := func(want string, o TrainOptions) {
		t.Helper()
		_, err := TrainBPE(slices.Values([]string{"text"}), o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", o, err, want)
		}
	}
	f("too small", TrainOptions{VocabSize: 255})
	f("not supported", TrainOptions{VocabSize: 300, Pre: "nonsense"})
	f("must be a text of its own", TrainOptions{VocabSize: 300, Special: []string{"a", "a"}})
	f("not among", TrainOptions{VocabSize: 300, EOS: "</s>"})
	f("AddBOS", TrainOptions{VocabSize: 300, AddBOS: true})
}
