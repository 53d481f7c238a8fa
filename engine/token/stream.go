package token

import "bytes"

// decoder says how pieces become text.
type decoder struct {
	// dropSpace takes one space from the front of a text: SentencePiece puts a space before every text when encoding.
	dropSpace bool
	// words joins tokens with spaces except those that begin with prefix (WordPiece).
	words  bool
	prefix string
	// cleanup takes the space before punctuation and English contractions away again (WordPiece of tokenizer.json).
	cleanup bool
}

// decoding is the state of turning ids into bytes, one by one.
type decoding struct {
	t           *Tokenizer
	keepSpecial bool
	started     bool // some token has been written, so this is no longer the front of the text
	piece       []byte
}

// append writes what id adds to the text.
func (d *decoding) append(dst []byte, id ID) []byte {
	if !d.t.vocab.has(id) {
		return dst
	}
	var piece []byte
	if d.t.vocab.kinds[id].special() {
		if !d.keepSpecial {
			return dst
		}
		d.piece = append(d.piece[:0], d.t.vocab.texts[id]...)
		piece = d.piece
	} else {
		piece = d.t.vocab.piece(id)
	}
	front := !d.started
	d.started = true
	how := &d.t.decode
	switch {
	case how.words:
		return d.appendWord(dst, piece, front)
	case how.dropSpace && front && len(piece) > 0 && piece[0] == ' ':
		piece = piece[1:]
	}
	return append(dst, piece...)
}

// appendWord writes a WordPiece token: "##ing" continues a word, anything else begins one.
func (d *decoding) appendWord(dst, piece []byte, front bool) []byte {
	start := len(dst)
	switch rest, continues := bytes.CutPrefix(piece, []byte(d.t.decode.prefix)); {
	case front:
		dst = append(dst, piece...)
	case continues:
		dst = append(dst, rest...)
	default:
		dst = append(append(dst, ' '), piece...)
	}
	if !d.t.decode.cleanup || start == len(dst) || dst[start] != ' ' {
		return dst
	}
	// As the WordPiece decoder of Hugging Face's tokenizers does it, token by token.
	switch string(dst[start:]) {
	case " .", " ?", " !", " ,", " n't", " 'm", " 's", " 've", " 're":
		dst = append(dst[:start], dst[start+1:]...)
	case " do not":
		dst = append(dst[:start], " don't"...)
	}
	return dst
}

// Stream turns the tokens of one generation into text as they come. What it has given always is whole characters: bytes that
// may yet become a character wait for the next token. Everything that it gives, put together, is what Decode gives.
type Stream struct {
	// KeepSpecial writes control tokens as the vocabulary spells them, instead of leaving them out.
	KeepSpecial bool

	decoding decoding
	waiting  []byte // the start of a character, at most 3 bytes between calls
	out      []byte
}

// Stream begins a text: a SentencePiece vocabulary's leading space is dropped from its first token.
func (t *Tokenizer) Stream() *Stream { return &Stream{decoding: decoding{t: t}} }

// Continue begins the text that follows after the tokens of a prompt: where the prompt has text of its own, a leading space
// belongs to the continuation and stays.
func (t *Tokenizer) Continue(prompt []ID) *Stream {
	s := t.Stream()
	for _, id := range prompt {
		if t.vocab.has(id) && !t.vocab.kinds[id].special() {
			s.decoding.started = true
			break
		}
	}
	return s
}

// Push gives the text that is complete now that id has come; often empty in the middle of a character.
func (s *Stream) Push(id ID) string {
	s.decoding.keepSpecial = s.KeepSpecial
	s.waiting = s.decoding.append(s.waiting, id)
	whole := len(s.waiting) - unfinished(s.waiting)
	s.out = appendLossy(s.out[:0], s.waiting[:whole])
	s.waiting = append(s.waiting[:0], s.waiting[whole:]...)
	return string(s.out)
}

// Flush gives what still waits at the end: the start of a character that never came, as U+FFFD.
func (s *Stream) Flush() string {
	s.out = appendLossy(s.out[:0], s.waiting)
	s.waiting = s.waiting[:0]
	return string(s.out)
}

// unfinished gives the number of bytes at the end of b that begin a character without completing it.
func unfinished(b []byte) int {
	for n := 1; n <= 3 && n <= len(b); n++ {
		tail := b[len(b)-n:]
		if c := tail[0]; c >= 0xC0 {
			if c >= 0xF0 && n < 4 || c >= 0xE0 && n < 3 || n < 2 {
				if c >= 0xC2 && c <= 0xF4 && subpart(tail) == n {
					return n
				}
			}
			return 0
		} else if c < 0x80 {
			return 0
		}
	}
	return 0
}
