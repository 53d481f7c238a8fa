package token

import (
	"sync"
	"unicode/utf8"
)

// ID is the number of a token: its row in the model's embedding table.
type ID = int32

// none marks a special token that the vocabulary does not have.
const none ID = -1

// Tokenizer is one model's vocabulary with the rules to use it. Build one with FromGGUF, FromDir, Load or TrainBPE.
type Tokenizer struct {
	vocab vocabulary
	model model
	norm  normalizer // nil: text stays as it is
	// shrinks is how many bytes of text norm may make one byte of; 0 where it may drop any number.
	shrinks int
	pre     preTokenizer // nil: a stretch of text is one word
	// marksEmpty sends the empty stretch before an added token through norm too: SentencePiece puts its mark before such a token.
	marksEmpty bool
	added      added // the tokens that are cut out of text before everything else

	before, after []ID // what addSpecial puts around a text
	bos, eos      ID
	eogs          []ID // ascending
	addsBOS       bool

	decode   decoder
	preName  string            // tokenizer.ggml.pre, for GGUF()
	specials map[string]string // "bos_token" to "<s>", as chat templates see them
	scratch  sync.Pool
}

// model turns one word into ids. The four kinds of tokenizer differ only here.
type model interface {
	// word appends the ids of one pre-token. s is scratch that belongs to the caller.
	word(dst []ID, w string, s *scratch) []ID
}

// normalizer rewrites a stretch of text that holds no added token.
type normalizer func(text string, at place) string

// place says what a stretch of text stands between.
type place int

const (
	atStart      place = 1 << iota // nothing before it
	afterSpecial                   // a control token before it
	afterAdded                     // a token before it that was added to the vocabulary and has text
	beforeAdded                    // such a token after it
)

// Encode gives the ids of text. With addSpecial the tokens that the model expects around every text are added (BOS, EOS,
// [CLS], [SEP], as its files say). With parseSpecial the text of a special token becomes that token; without it, as for text
// from people, it is ordinary text. Tokens that were added to the vocabulary but are not special are cut out either way.
func (t *Tokenizer) Encode(text string, addSpecial, parseSpecial bool) []ID {
	s, _ := t.scratch.Get().(*scratch)
	if s == nil {
		s = &scratch{}
	}
	defer t.scratch.Put(s)
	// Three bytes a token is what prose in Latin letters gives at worst; append grows it for the rest.
	ids := make([]ID, 0, len(text)/3+len(t.before)+len(t.after)+4)
	if addSpecial {
		ids = append(ids, t.before...)
	}
	before := atStart
	for at := 0; at < len(text); {
		from, to, id := t.added.next(text, at, parseSpecial)
		here, next := before, afterSpecial
		if id != none && !t.vocab.kinds[id].special() {
			here, next = before|beforeAdded, afterAdded
		}
		if from > at || t.marksEmpty && here&beforeAdded != 0 && before != afterAdded {
			ids = t.stretch(ids, text[at:from], here, s)
		}
		if id != none {
			ids = append(ids, id)
		}
		at, before = to, next
	}
	if addSpecial {
		ids = append(ids, t.after...)
	}
	return ids
}

// stretch encodes text that holds no added token.
func (t *Tokenizer) stretch(ids []ID, text string, at place, s *scratch) []ID {
	if t.norm != nil {
		text = t.norm(text, at)
	}
	if text == "" {
		return ids
	}
	if t.pre == nil {
		return t.model.word(ids, text, s)
	}
	s.cuts = t.pre.cut(s.cuts[:0], text, s)
	start := 0
	for _, end := range s.cuts {
		ids = t.model.word(ids, text[start:end], s)
		start = end
	}
	return ids
}

// scratch is what one Encode call needs besides its result. It is pooled, so that encoding short texts allocates little; what
// a huge text made it grow to is kept only until the next garbage collection.
type scratch struct {
	cuts, cutsNext []int // ends of the words
	ids            []ID
	ranks          []uint32
	text           []byte
	steps          []step
	long           longMerge
	cache          *wordCache
}

// Piece gives the raw bytes of one token as it appears in the middle of text; they may be part of a UTF-8 character. It is nil
// for control tokens and for ids outside the vocabulary. The bytes belong to the tokenizer: do not change them.
func (t *Tokenizer) Piece(id ID) []byte {
	if !t.vocab.has(id) || t.vocab.kinds[id].special() {
		return nil
	}
	return t.vocab.piece(id)
}

// Text gives the vocabulary's own string for a token, such as "Ġthe" or "▁the"; empty for an id outside the vocabulary.
func (t *Tokenizer) Text(id ID) string {
	if !t.vocab.has(id) {
		return ""
	}
	return t.vocab.texts[id]
}

// Size is the number of tokens: ids run from 0 to Size()-1. A model's embedding table may be longer, padded.
func (t *Tokenizer) Size() int { return len(t.vocab.texts) }

// BOS gives the token that begins a text, if the model has one, whether or not Encode adds it.
func (t *Tokenizer) BOS() (ID, bool) { return t.bos, t.bos != none }

// EOS gives the token that ends a text, if the model has one.
func (t *Tokenizer) EOS() (ID, bool) { return t.eos, t.eos != none }

// EOGs gives every token that ends a generation, in ascending order: EOS and the ends of a turn such as <|im_end|> and
// <|eot_id|>. The slice belongs to the tokenizer.
func (t *Tokenizer) EOGs() []ID { return t.eogs }

// AddsBOS tells whether Encode with addSpecial begins with BOS. A chat template that writes BOS itself must not get a second.
func (t *Tokenizer) AddsBOS() bool { return t.addsBOS }

// IsSpecial tells whether a token is control or unknown: one that has no text of its own for a reader.
func (t *Tokenizer) IsSpecial(id ID) bool { return t.vocab.has(id) && t.vocab.kinds[id].special() }

// Lookup finds the token with exactly this text in the vocabulary.
func (t *Tokenizer) Lookup(text string) (ID, bool) {
	id, ok := t.vocab.index[text]
	return id, ok
}

// Decode gives the text of ids. Special tokens are left out with skipSpecial, else written as the vocabulary spells them. Bytes
// that are no UTF-8 become U+FFFD as Python's decode(errors="replace") has them: one for each longest start of a character.
func (t *Tokenizer) Decode(ids []ID, skipSpecial bool) string {
	var raw []byte
	d := decoding{t: t, keepSpecial: !skipSpecial}
	for _, id := range ids {
		raw = d.append(raw, id)
	}
	return string(appendLossy(make([]byte, 0, len(raw)), raw))
}

// appendLossy appends src to dst with every maximal part that can begin no valid character replaced by one U+FFFD, the
// practice that Unicode 15 (chapter 3.9, "U+FFFD Substitution of Maximal Subparts"), Python and Rust share. Go's own
// strings.ToValidUTF8 makes one of a whole run and so differs.
func appendLossy(dst, src []byte) []byte {
	for len(src) > 0 {
		r, n := utf8.DecodeRune(src)
		if r == utf8.RuneError && n == 1 {
			n = subpart(src)
			dst = append(dst, "\uFFFD"...)
		} else {
			dst = append(dst, src[:n]...)
		}
		src = src[n:]
	}
	return dst
}

// subpart gives the length of the longest start of b that begins a valid character without completing it, at least 1.
func subpart(b []byte) int {
	low, high := byte(0x80), byte(0xBF)
	need := 0
	switch c := b[0]; {
	case c >= 0xC2 && c <= 0xDF:
		need = 1
	case c >= 0xE0 && c <= 0xEF:
		need = 2
		if c == 0xE0 {
			low = 0xA0 // below it would be an overlong form
		} else if c == 0xED {
			high = 0x9F // above it would be a surrogate
		}
	case c >= 0xF0 && c <= 0xF4:
		need = 3
		if c == 0xF0 {
			low = 0x90
		} else if c == 0xF4 {
			high = 0x8F // above it would pass U+10FFFF
		}
	}
	n := 1
	for n <= need && n < len(b) && b[n] >= low && b[n] <= high {
		low, high = 0x80, 0xBF
		n++
	}
	return n
}
