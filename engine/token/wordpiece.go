package token

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// wordPiece is BERT's tokenizer: a word is cut into the longest pieces that the vocabulary has, from the left; a word that
// cannot be cut completely is one unknown token. Source: google-research/bert, tokenization.py.
type wordPiece struct {
	start  map[string]ID // pieces that begin a word
	inside map[string]ID // pieces that continue one, without their "##"
	most   int           // the longest piece, in bytes
	chars  int           // words of more characters are unknown
	unk    ID
}

// wordPieceChars is BERT's max_input_chars_per_word, for files that do not say: the reference implementation uses 100 for
// every published model, and larger words cost quadratic time.
const (
	wordPieceChars    = 100
	wordPieceCharsMax = 1000 // what a file may ask for
)

func newWordPiece(v *vocabulary, prefix string, unk ID, chars int) *wordPiece {
	m := &wordPiece{start: make(map[string]ID, len(v.texts)), inside: map[string]ID{}, unk: unk, chars: chars}
	for i, text := range v.texts {
		if v.index[text] != ID(i) {
			continue
		}
		if rest, ok := strings.CutPrefix(text, prefix); ok && rest != "" {
			m.inside[rest] = ID(i)
			m.most = max(m.most, len(rest))
		}
		m.start[text] = ID(i)
		m.most = max(m.most, len(text))
	}
	return m
}

func (m *wordPiece) word(dst []ID, w string, _ *scratch) []ID {
	if w == "" {
		return dst
	}
	if len(w) > m.chars && utf8.RuneCountInString(w) > m.chars {
		return append(dst, m.unk)
	}
	before := len(dst)
	pieces := m.start
	for at := 0; at < len(w); {
		end := min(len(w), at+m.most)
		for ; end > at; end-- {
			if end < len(w) && !utf8.RuneStart(w[end]) {
				continue
			}
			if id, ok := pieces[w[at:end]]; ok {
				dst = append(dst, id)
				break
			}
		}
		if end == at {
			return append(dst[:before], m.unk)
		}
		at, pieces = end, m.inside
	}
	return dst
}

// bertNormalizer is the first half of BERT's basic tokenizer; the fields are those of BertNormalizer in tokenizer.json.
type bertNormalizer struct {
	clean, chinese, accents, lower bool
}

func (b bertNormalizer) apply(text string, _ place) string {
	if b.clean || b.chinese {
		var out strings.Builder
		out.Grow(len(text) + len(text)/8)
		for _, r := range text {
			switch {
			case b.clean && (r == 0 || r == utf8.RuneError || unwanted(r)):
			case b.clean && unicode.IsSpace(r):
				out.WriteByte(' ')
			case b.chinese && han(r):
				out.WriteByte(' ')
				out.WriteRune(r)
				out.WriteByte(' ')
			default:
				out.WriteRune(r)
			}
		}
		text = out.String()
	}
	if b.accents {
		text = withoutAccents(text)
	}
	if b.lower {
		text = lowerCase(text)
	}
	return text
}

// withoutAccents decomposes text and drops the marks that came off.
func withoutAccents(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0x300 && unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(text))
}

// lowerCase lowers every character by itself, as Rust's char::to_lowercase does: one character becomes two, and a sigma at the
// end of a word stays like any other.
func lowerCase(text string) string {
	if strings.Contains(text, "İ") {
		text = strings.ReplaceAll(text, "İ", "i\u0307")
	}
	return strings.Map(unicode.ToLower, text)
}

// unwanted tells which characters BERT's cleaning drops: control, format and private use, but not white space.
func unwanted(r rune) bool {
	if r == '\t' || r == '\n' || r == '\r' {
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co)
}

// han tells which characters are words of their own. The ranges are those of the reference implementation.
func han(r rune) bool {
	return r >= 0x4E00 && r <= 0x9FFF || r >= 0x3400 && r <= 0x4DBF || r >= 0x20000 && r <= 0x2A6DF || r >= 0x2A700 && r <= 0x2B73F ||
		r >= 0x2B740 && r <= 0x2B81F || r >= 0x2B820 && r <= 0x2CEAF || r >= 0xF900 && r <= 0xFAFF || r >= 0x2F800 && r <= 0x2FA1F
}

// cutBert is BERT's second half: punctuation is cut off character by character. White space is cut off too, and since no piece
// begins with it, bertWords drops it.
func cutBert(s string) (int, bool) {
	c, n := classAt(s)
	if c&space != 0 {
		return run(s, 0, space), true
	}
	if bertPunct(s) {
		return n, true
	}
	for n < len(s) && !bertPunct(s[n:]) {
		c, size := classAt(s[n:])
		if c&space != 0 {
			break
		}
		n += size
	}
	return n, true
}

// bertPunct tells whether s begins with punctuation, among which BERT counts all ASCII symbols.
func bertPunct(s string) bool {
	c, n := classAt(s)
	return c&punct != 0 || n == 1 && c&symbol != 0 && s[0] < utf8.RuneSelf
}

// bertWords is wordPiece without the white space that cutBert leaves as words.
type bertWords struct{ wordPiece }

func (m *bertWords) word(dst []ID, w string, s *scratch) []ID {
	if c, _ := classAt(w); c&space != 0 {
		return dst
	}
	return m.wordPiece.word(dst, w, s)
}

// newBert builds a WordPiece tokenizer from a vocabulary in the "##ing" form.
func newBert(sp spec, prefix string, chars int, cleanup bool) (*Tokenizer, error) {
	if sp.unk == none {
		return nil, fmt.Errorf("a WordPiece vocabulary needs an unknown token, and this one names none")
	}
	t, err := newTokenizer(sp)
	if err != nil {
		return nil, err
	}
	t.vocab.setPieces(func(dst []byte, id ID) []byte { return append(dst, t.vocab.texts[id]...) })
	t.model = &bertWords{*newWordPiece(&t.vocab, prefix, sp.unk, chars)}
	t.decode = decoder{words: true, prefix: prefix, cleanup: cleanup}
	return t, nil
}
