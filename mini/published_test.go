package mini

import (
	"encoding/binary"
	"hash/fnv"
	"testing"
)

// TestCorpusIsThePublishedOne pins the training data to the embedded weights: who changes a phrasing trains a new model, gives
// the corpus a new version and writes its sum here. The figures in the docs would tell of a model that nobody has otherwise.
func TestCorpusIsThePublishedOne(t *testing.T) {
	t.Parallel()
	tok, err := Tokenizer(publishedSeed)
	if err != nil {
		t.Fatal(err)
	}
	src, err := Source(tok, publishedSeed)
	if err != nil {
		t.Fatal(err)
	}
	h := fnv.New64a()
	for step := range 100 {
		for _, e := range src.Next(step*200, nil) {
			_ = binary.Write(h, binary.LittleEndian, e.Tokens)
			_ = binary.Write(h, binary.LittleEndian, e.Loss)
		}
	}
	if sum := h.Sum64(); sum != publishedSum {
		t.Errorf("the sum of %s is %#x, and the embedded weights were trained on %#x", corpusVersion, sum, uint64(publishedSum))
	}
}

const publishedSum = 0xb46cc8e9247a9a45
