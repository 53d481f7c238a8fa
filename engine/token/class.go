package token

import (
	"unicode"
	"unicode/utf8"
)

// class is a set of character properties that pre-tokenizers ask about. General categories exclude each other; white space and
// newline cut across them.
type class uint16

const (
	upper    class = 1 << iota // \p{Lu} \p{Lt}
	lower                      // \p{Ll}
	caseless                   // \p{Lm} \p{Lo}
	mark                       // \p{M}
	number                     // \p{N}
	punct                      // \p{P}
	symbol                     // \p{S}
	space                      // \s, the White_Space property
	newline                    // \r \n

	letter = upper | lower | caseless // \p{L}
)

// asciiClasses answers for the characters that most text is made of. It is written once, here, and never again.
var asciiClasses = func() (table [utf8.RuneSelf]class) {
	for r := range table {
		table[r] = slowClass(rune(r))
	}
	return table
}()

func classOf(r rune) class {
	if r < utf8.RuneSelf {
		return asciiClasses[r]
	}
	if r >= 0x4E00 && r <= 0x9FFF { // Chinese and Japanese text would else pay for a binary search a character
		return caseless
	}
	return slowClass(r)
}

func slowClass(r rune) class {
	var c class
	if unicode.IsSpace(r) {
		c = space
		if r == '\r' || r == '\n' {
			c |= newline
		}
		return c
	}
	switch {
	case unicode.IsLetter(r):
		switch {
		case unicode.IsLower(r) && unicode.Is(unicode.Ll, r):
			return lower
		case unicode.In(r, unicode.Lu, unicode.Lt):
			return upper
		}
		return caseless
	case unicode.IsMark(r):
		return mark
	case unicode.IsNumber(r):
		return number
	case unicode.IsPunct(r):
		return punct
	case unicode.IsSymbol(r):
		return symbol
	}
	return 0
}

// classAt gives the class and the length in bytes of the character at the start of s; 0, 0 for an empty s. A byte that is no
// UTF-8 counts as U+FFFD, one byte long.
func classAt(s string) (class, int) {
	if s == "" {
		return 0, 0
	}
	if s[0] < utf8.RuneSelf {
		return asciiClasses[s[0]], 1
	}
	r, n := utf8.DecodeRuneInString(s)
	return classOf(r), n
}

// run gives the end of the longest run of characters in any of the classes of set that begins at byte i of s.
func run(s string, i int, set class) int {
	for i < len(s) {
		c, n := classAt(s[i:])
		if c&set == 0 {
			return i
		}
		i += n
	}
	return i
}

// runNot is run for characters that are in none of the classes of set.
func runNot(s string, i int, set class) int {
	for i < len(s) {
		c, n := classAt(s[i:])
		if c&set != 0 {
			return i
		}
		i += n
	}
	return i
}
