package token

import "fmt"

// kind says what a vocabulary entry is. The numbers are those of tokenizer.ggml.token_type in GGUF.
type kind uint8

const (
	kindNormal  kind = 1
	kindUnknown kind = 2
	kindControl kind = 3
	kindUser    kind = 4 // added by the model's makers, with text: always cut out whole
	kindUnused  kind = 5
	kindByte    kind = 6 // "<0x0A>" in SentencePiece vocabularies
)

func (k kind) special() bool { return k == kindControl || k == kindUnknown }

// vocabulary maps ids to text and back.
type vocabulary struct {
	texts []string // (tokens)
	kinds []kind   // (tokens)
	index map[string]ID

	// Raw bytes of the pieces side by side in one slice, because 150,000 small slices would cost 24 bytes each and a
	// garbage-collected pointer.
	bytes []byte
	at    []uint32 // (tokens+1), offsets in bytes
}

// newVocabulary indexes texts. Where a text comes twice the first id keeps it, as published tokenizers do.
func newVocabulary(texts []string, kinds []kind) (vocabulary, error) {
	if len(texts) == 0 {
		return vocabulary{}, fmt.Errorf("the vocabulary is empty")
	}
	if len(kinds) != len(texts) {
		return vocabulary{}, fmt.Errorf("the vocabulary has %d tokens but %d token types", len(texts), len(kinds))
	}
	v := vocabulary{texts: texts, kinds: kinds, index: make(map[string]ID, len(texts))}
	for i, s := range texts {
		if _, twice := v.index[s]; !twice && s != "" { // an id without a token has no text
			v.index[s] = ID(i)
		}
	}
	return v, nil
}

func (v *vocabulary) has(id ID) bool { return id >= 0 && int(id) < len(v.texts) }

func (v *vocabulary) piece(id ID) []byte {
	from, to := v.at[id], v.at[id+1]
	return v.bytes[from:to:to]
}

// setPieces fills the raw bytes of every token; raw appends those of one.
func (v *vocabulary) setPieces(raw func(dst []byte, id ID) []byte) {
	v.at = make([]uint32, len(v.texts)+1)
	for i := range v.texts {
		v.bytes = raw(v.bytes, ID(i))
		v.at[i+1] = uint32(len(v.bytes))
	}
}

// find looks text up among the kinds that text may become: control, unknown and byte tokens are not text.
func (v *vocabulary) find(text string) (ID, bool) {
	id, ok := v.index[text]
	if !ok {
		return none, false
	}
	switch v.kinds[id] {
	case kindControl, kindUnknown, kindByte:
		return none, false
	}
	return id, true
}
