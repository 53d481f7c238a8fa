package token

// MostBytes gives the length in bytes that a text of at most n tokens can have: whoever has room for n tokens may refuse a longer
// text without encoding it. It looks through the whole vocabulary, so ask once. It is false where there is no such length, because
// some text adds no token at all, however long it is: text that the normalizer drops, characters that no token spells where a run
// of them is one unknown token, white space that an added token takes with it, words that WordPiece gives up on.
func (t *Tokenizer) MostBytes(n int) (bytes int, ok bool) {
	shrinks := t.shrinks
	if t.norm == nil {
		shrinks = 1
	}
	if shrinks == 0 || !t.spellsAll() {
		return 0, false
	}
	for _, a := range t.added.byText {
		if a.lstrip || a.rstrip {
			return 0, false
		}
	}
	longest := 1
	_, byteLevel := t.model.(*byteBPE)
	for i, text := range t.vocab.texts {
		size := len(text)
		if byteLevel && t.vocab.kinds[i] == kindNormal {
			size = len(t.vocab.piece(ID(i))) // the text has up to two bytes for each
		}
		longest = max(longest, size)
	}
	return n * longest * shrinks, true
}

// spellsAll tells whether every byte of a text shows in its tokens.
func (t *Tokenizer) spellsAll() bool {
	switch m := t.model.(type) {
	case *byteBPE:
		for _, id := range m.bytes {
			if id == none {
				return false
			}
		}
		return true
	case *spm:
		return m.bytes[0] != none
	case *unigram:
		return m.bytes[0] != none
	}
	return false
}
