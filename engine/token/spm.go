package token

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// spaceMark stands for a space in SentencePiece vocabularies.
const spaceMark = "▁"

// spm is BPE over characters, as SentencePiece trains it (Kudo and Richardson 2018, and src/bpe_model.cc of
// google/sentencepiece): merges of the highest score first. What no token spells is written byte by byte where the vocabulary
// has byte tokens, and else becomes the unknown token.
type spm struct {
	vocab  *vocabulary
	merges *mergeTable
	ascii  [utf8.RuneSelf]ID // tokens of single ASCII characters
	bytes  [256]ID           // tokens like "<0x0A>"; all none where the vocabulary lacks any of them
	unk    ID
	fuse   bool // a run of unknown characters becomes one unknown token
	whole  bool // a word that is a token stays one
}

func newSPM(v *vocabulary, merges *mergeTable, unk ID, fuse, whole bool) *spm {
	m := &spm{vocab: v, merges: merges, bytes: byteTokens(v), unk: unk, fuse: fuse, whole: whole}
	for c := range m.ascii {
		m.ascii[c] = none
		if id, ok := v.find(string(rune(c))); ok {
			m.ascii[c] = id
		}
	}
	return m
}

// byteTokens finds the byte tokens "<0x00>" to "<0xFF>"; all are none where the vocabulary lacks one.
func byteTokens(v *vocabulary) (ids [256]ID) {
	const hex = "0123456789ABCDEF"
	for i := range ids {
		id, ok := v.index[string([]byte{'<', '0', 'x', hex[i>>4], hex[i&15], '>'})]
		if !ok || v.kinds[id] != kindByte {
			for j := range ids {
				ids[j] = none
			}
			return ids
		}
		ids[i] = id
	}
	return ids
}

// byteOf reads "<0x0A>".
func byteOf(text string) (byte, bool) {
	if len(text) != 6 || text[:3] != "<0x" || text[5] != '>' {
		return 0, false
	}
	var b byte
	for _, c := range []byte(text[3:5]) {
		switch {
		case c >= '0' && c <= '9':
			b = b<<4 | (c - '0')
		case c >= 'A' && c <= 'F':
			b = b<<4 | (c - 'A' + 10)
		default:
			return 0, false
		}
	}
	return b, true
}

func (m *spm) word(dst []ID, w string, s *scratch) []ID {
	if len(w) > cachedWord {
		return append(dst, m.merge(w, s)...)
	}
	slot := s.cached(w)
	if slot.holds(w) {
		return append(dst, slot.ids[:slot.count]...)
	}
	ids := m.merge(w, s)
	slot.set(w, ids)
	return append(dst, ids...)
}

func (m *spm) merge(w string, s *scratch) []ID {
	ids := s.ids[:0]
	if m.whole {
		if id, ok := m.vocab.find(w); ok {
			s.ids = append(ids, id)
			return s.ids
		}
	}
	for i := 0; i < len(w); {
		if c := w[i]; c < utf8.RuneSelf && m.ascii[c] != none {
			ids = append(ids, m.ascii[c])
			i++
			continue
		}
		_, n := utf8.DecodeRuneInString(w[i:])
		if id, ok := m.vocab.find(w[i : i+n]); ok {
			ids = append(ids, id)
		} else {
			ids = appendUnknown(ids, w[i:i+n], &m.bytes, m.unk, m.fuse)
		}
		i += n
	}
	s.ids = ids
	return m.merges.merge(ids, s)
}

// appendUnknown writes a character that no token spells.
func appendUnknown(ids []ID, char string, bytes *[256]ID, unk ID, fuse bool) []ID {
	if bytes[0] != none {
		for i := range len(char) {
			ids = append(ids, bytes[char[i]])
		}
		return ids
	}
	if unk == none || fuse && len(ids) > 0 && ids[len(ids)-1] == unk {
		return ids
	}
	return append(ids, unk)
}

// longestToken bounds the tokens of a SentencePiece vocabulary, in bytes. Its trainer's own bound is 16 characters, 64 bytes at
// most, and vocabularies with long runs of spaces reach 192; a larger bound would let a damaged file keep the loader busy for
// minutes, because every cut of every token is looked up.
const longestToken = 256

// mergesOfScores makes the merge table that scores stand for: every way to cut a token in two tokens is a merge, and tokens of a
// higher score are merged first. Equal scores give equal ranks, so that among them the leftmost pair goes first.
//
// SentencePiece itself looks up the joined text of each pair while encoding. The table answers the same from two ids, without
// hashing text; it takes as many entries as SentencePiece's own export for Hugging Face writes as merges.
func mergesOfScores(v *vocabulary, scores []float32) (*mergeTable, error) {
	var order []ID // tokens that can be made by merging
	for i, text := range v.texts {
		switch v.kinds[i] {
		case kindControl, kindUnknown, kindByte:
			continue
		}
		if len(text) > longestToken {
			return nil, fmt.Errorf("token %d is %d bytes long; SentencePiece makes none longer than %d", i, len(text), longestToken)
		}
		if v.index[text] == ID(i) && utf8.RuneCountInString(text) > 1 {
			order = append(order, ID(i))
		}
	}
	slices.SortStableFunc(order, func(a, b ID) int { return cmp.Compare(scores[b], scores[a]) })
	type found struct {
		left, right, id ID
		rank            uint32
	}
	var all []found
	rank := uint32(0)
	for i, id := range order {
		if i > 0 && scores[id] != scores[order[i-1]] {
			rank++
		}
		text := v.texts[id]
		for cut := range text {
			if cut == 0 {
				continue
			}
			if left, ok := v.find(text[:cut]); ok {
				if right, ok := v.find(text[cut:]); ok {
					all = append(all, found{left, right, id, rank})
				}
			}
		}
	}
	m := newMergeTable(len(all))
	for _, f := range all {
		m.add(f.left, f.right, f.rank, f.id)
	}
	return m, nil
}

// spaced is the normalizer of SentencePiece vocabularies: spaces become marks, and a mark goes in front.
type spaced struct {
	front frontMark
	// unlessMarked leaves the mark in front out where the text begins with one already, as the Metaspace of Hugging Face does;
	// SentencePiece itself always writes it.
	unlessMarked bool
	// collapse drops spaces at both ends and makes one of every run in the middle (remove_extra_whitespaces).
	collapse bool
	// whole takes stretches between added tokens as parts of one text, as SentencePiece does with its user-defined symbols: there
	// are no ends at such a token, and a text that begins with one has its mark before it.
	whole bool
}

// frontMark says which stretches of text get a mark in front.
type frontMark int

const (
	frontNever   frontMark = iota
	frontFirst             // only the one that begins the text
	frontSpecial           // also those after a control token
	frontStretch           // also those after any added token
)

func (p spaced) apply(text string, at place) string {
	if !p.whole {
		at &^= beforeAdded
	}
	if p.collapse {
		text = collapsed(text, p.whole && at&afterAdded != 0, at&beforeAdded != 0)
		if text == "" && at&beforeAdded == 0 {
			return ""
		}
	}
	text = strings.ReplaceAll(text, " ", spaceMark)
	wanted := p.front == frontStretch || p.front == frontSpecial && at&afterAdded == 0 || p.front == frontFirst && at&atStart != 0
	if wanted && (!p.unlessMarked || !strings.HasPrefix(text, spaceMark)) {
		text = spaceMark + text
	}
	return text
}

// collapsed makes one space of every run, and drops those at the ends that do not touch another part of the text.
func collapsed(text string, touchesBefore, touchesAfter bool) string {
	inner := strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == ' ' }), " ")
	if inner == "" {
		if text != "" && touchesBefore && touchesAfter {
			return " "
		}
		return ""
	}
	if touchesBefore && text[0] == ' ' {
		inner = " " + inner
	}
	if touchesAfter && text[len(text)-1] == ' ' {
		inner += " "
	}
	return inner
}

// cutSpaceRuns cuts before every run of marks: ▁*[^▁]*. Merges cannot cross these cuts where no token has a mark after
// another character, so that words may be encoded apart, which keeps them short and lets the cache work.
func cutSpaceRuns(s string) (int, bool) {
	n := 0
	for strings.HasPrefix(s[n:], spaceMark) {
		n += len(spaceMark)
	}
	if next := strings.Index(s[n:], spaceMark); next >= 0 {
		return n + next, true
	}
	return len(s), true
}

// cutSpaceMarks cuts before every mark, as Metaspace with split does.
func cutSpaceMarks(s string) (int, bool) {
	n := 0
	if strings.HasPrefix(s, spaceMark) {
		n = len(spaceMark)
	}
	if next := strings.Index(s[n:], spaceMark); next >= 0 {
		return n + next, true
	}
	return len(s), true
}

// wordsStandApart tells whether cutSpaceRuns changes no merge.
func wordsStandApart(v *vocabulary) bool {
	for i, text := range v.texts {
		if k := v.kinds[i]; k.special() || k == kindByte || k == kindUser {
			continue
		}
		if strings.Contains(strings.TrimLeft(text, spaceMark), spaceMark) {
			return false
		}
	}
	return true
}

// newSentencePiece builds a SentencePiece BPE tokenizer from sp.merges, or from sp.scores where there are none.
func newSentencePiece(sp spec, fuse, dropSpace bool) (*Tokenizer, error) {
	t, err := newTokenizer(sp)
	if err != nil {
		return nil, err
	}
	v := &t.vocab
	setMarkedPieces(v)
	var table *mergeTable
	if sp.scores != nil {
		table, err = mergesOfScores(v, sp.scores)
	} else {
		table, err = mergesOf(v, sp.merges)
	}
	if err != nil {
		return nil, err
	}
	t.model = newSPM(v, table, sp.unk, fuse, sp.whole)
	if t.pre == nil && wordsStandApart(v) {
		t.pre = preTokenizer{cutSpaceRuns}
	}
	t.decode = decoder{dropSpace: dropSpace}
	return t, nil
}

// setMarkedPieces fills in pieces where a mark is a space and "<0x0A>" a byte.
func setMarkedPieces(v *vocabulary) {
	v.setPieces(func(dst []byte, id ID) []byte {
		text := v.texts[id]
		switch v.kinds[id] {
		case kindControl, kindUnknown:
			return append(dst, text...)
		case kindByte:
			if b, ok := byteOf(text); ok {
				return append(dst, b)
			}
		}
		return append(dst, strings.ReplaceAll(text, spaceMark, " ")...)
	})
}
