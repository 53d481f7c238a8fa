package token

import (
	"slices"
	"unicode"
	"unicode/utf8"
)

// addedToken is a token that is cut out of text before normalising and merging. The flags are those of added_tokens in
// tokenizer.json.
type addedToken struct {
	id         ID
	special    bool // cut out only when the caller says that text may hold special tokens
	lstrip     bool // takes the white space before it too
	rstrip     bool // takes the white space after it too
	singleWord bool // counts only where no word touches it
}

// added finds added tokens in text: the leftmost, and of those the longest.
type added struct {
	byText map[string]addedToken
	begins [256]bool  // whether any token begins with this byte
	sizes  [256][]int // lengths of those that do, longest first
}

func (a *added) put(text string, tok addedToken) {
	if text == "" {
		return
	}
	if a.byText == nil {
		a.byText = map[string]addedToken{}
	}
	if _, twice := a.byText[text]; twice {
		return
	}
	a.byText[text] = tok
	c := text[0]
	a.begins[c] = true
	if at, found := slices.BinarySearchFunc(a.sizes[c], len(text), func(have, want int) int { return want - have }); !found {
		a.sizes[c] = slices.Insert(a.sizes[c], at, len(text))
	}
}

// next finds the first added token in text at or after byte at. It gives the bytes to cut out and the token; where there is
// none, from and to are the end of text and the id is none.
func (a *added) next(text string, at int, special bool) (from, to int, id ID) {
	for i := at; i < len(text); i++ {
		if !a.begins[text[i]] {
			continue
		}
		for _, n := range a.sizes[text[i]] {
			if i+n > len(text) {
				continue
			}
			tok, ok := a.byText[text[i:i+n]]
			if !ok || tok.special && !special || tok.singleWord && !standsAlone(text, i, i+n) {
				continue
			}
			from, to = i, i+n
			if tok.lstrip {
				for from > at {
					r, size := utf8.DecodeLastRuneInString(text[at:from])
					if !unicode.IsSpace(r) {
						break
					}
					from -= size
				}
			}
			if tok.rstrip {
				for to < len(text) {
					r, size := utf8.DecodeRuneInString(text[to:])
					if !unicode.IsSpace(r) {
						break
					}
					to += size
				}
			}
			return from, to, tok.id
		}
	}
	return len(text), len(text), none
}

// standsAlone tells whether no letter, digit, mark or underscore touches text[from:to].
func standsAlone(text string, from, to int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:from])
	after, _ := utf8.DecodeRuneInString(text[to:])
	return (from == 0 || !inWord(before)) && (to == len(text) || !inWord(after))
}

func inWord(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}
