package token

import (
	"slices"
	"unicode/utf8"
)

// The small patterns that families put one after another.

// one matches a single character of a set.
func one(s string, in func(rune) bool) (int, bool) {
	r, n := utf8.DecodeRuneInString(s)
	return n, in(r)
}

// many matches [set]+, after an optional white space where spaced.
func many(s string, spaced bool, in func(rune) bool) (int, bool) {
	start := 0
	if c, n := classAt(s); spaced && c&space != 0 {
		if r, _ := utf8.DecodeRuneInString(s[n:]); n < len(s) && in(r) {
			start = n
		}
	}
	end := start
	for end < len(s) {
		r, n := utf8.DecodeRuneInString(s[end:])
		if !in(r) {
			break
		}
		end += n
	}
	if end == start {
		_, n := classAt(s)
		return n, false
	}
	return end, true
}

// cutNewline is [\r\n].
func cutNewline(s string) (int, bool) {
	return one(s, func(r rune) bool { return r == '\r' || r == '\n' })
}

// cutDigit is \p{N}, and the "Digits" pre-tokenizer of tokenizer.json with individual_digits.
func cutDigit(s string) (int, bool) {
	c, n := classAt(s)
	if c&number != 0 {
		return n, true
	}
	return runNot(s, n, number), false
}

// cutNumberRun is \p{N}+, and "Digits" without individual_digits.
func cutNumberRun(s string) (int, bool) {
	if end := run(s, 0, number); end > 0 {
		return end, true
	}
	return runNot(s, 0, number), false
}

// cutDigits3 is \p{N}{1,3}.
func cutDigits3(s string) (int, bool) {
	if n := numbers(s, 3); n > 0 {
		return n, true
	}
	return runNot(s, 0, number), false
}

// cutThreeDigits is [0-9][0-9][0-9].
func cutThreeDigits(s string) (int, bool) {
	for i := range 3 {
		if i >= len(s) || s[i] < '0' || s[i] > '9' {
			_, n := classAt(s)
			return max(n, i), false
		}
	}
	return 3, true
}

// cutHanKana is [一-龥぀-ゟ゠-ヿ]+.
func cutHanKana(s string) (int, bool) {
	return many(s, false, func(r rune) bool { return r >= 0x4E00 && r <= 0x9FA5 || r >= 0x3040 && r <= 0x30FF })
}

// cutCJK is [一-龥ࠀ-一가-퟿]+.
func cutCJK(s string) (int, bool) {
	return many(s, false, func(r rune) bool { return r >= 0x0800 && r <= 0x9FA5 || r >= 0xAC00 && r <= 0xD7FF })
}

// cutSpaceAtEnd is \s+$.
func cutSpaceAtEnd(s string) (int, bool) {
	end := run(s, 0, space)
	switch end {
	case 0:
		return runNot(s, 0, space), false
	case len(s):
		return end, true
	}
	return end, false // the run reaches no end from any of its characters
}

// cutSpaceLetters is \s?\p{L}+.
func cutSpaceLetters(s string) (int, bool) {
	return many(s, true, func(r rune) bool { return classOf(r)&letter != 0 })
}

// cutSpacePunct is \s?\p{P}+.
func cutSpacePunct(s string) (int, bool) {
	return many(s, true, func(r rune) bool { return classOf(r)&punct != 0 })
}

// cutDeepseekPunct is \s?[!-/:-~！-／：-～‘-‟　-。]+. Its second range holds the Latin letters too, which the
// pattern before has cut off already.
func cutDeepseekPunct(s string) (int, bool) {
	return many(s, true, func(r rune) bool {
		return r >= '!' && r <= '/' || r >= ':' && r <= '~' || r >= 0xFF01 && r <= 0xFF0F || r >= 0xFF1A && r <= 0xFF5E ||
			r >= 0x2018 && r <= 0x201F || r >= 0x3000 && r <= 0x3002
	})
}

// cutCasedLetters is \s?[A-Za-zµÀ-ÖØ-ö...]+ of DeepSeek-LLM: the letters that have case, listed range by range.
func cutCasedLetters(s string) (int, bool) {
	return many(s, true, func(r rune) bool {
		if r < utf8.RuneSelf {
			return asciiLetter(byte(r))
		}
		at, found := slices.BinarySearchFunc(casedLetters, r, func(have [2]rune, r rune) int { return int(have[0] - r) })
		return found || at > 0 && r <= casedLetters[at-1][1]
	})
}

// cutFalconPunct is [\p{P}\$\+<=>\^~\|`]+.
func cutFalconPunct(s string) (int, bool) {
	return many(s, false, func(r rune) bool { return falconMark(r) || r == '`' })
}

// cutDefaultPunct is [\p{P}\$\+<=>\^~\|]+.
func cutDefaultPunct(s string) (int, bool) { return many(s, false, falconMark) }

func falconMark(r rune) bool {
	switch r {
	case '$', '+', '<', '=', '>', '^', '~', '|':
		return true
	}
	return classOf(r)&punct != 0
}

// cutPunctRun is the "Punctuation" pre-tokenizer of tokenizer.json with contiguous behavior: runs of \p{P} and of ASCII symbols.
func cutPunctRun(s string) (int, bool) {
	return many(s, false, func(r rune) bool {
		return classOf(r)&punct != 0 || r < utf8.RuneSelf && classOf(r)&symbol != 0
	})
}
