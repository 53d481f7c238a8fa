package jinja

import (
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// digits counts the bytes at the start of s that are digits by is, single underscores between them allowed.
func digits(s string, is func(c byte) bool) int {
	n := 0
	for n < len(s) {
		switch {
		case is(s[n]):
			n++
		case s[n] == '_' && n > 0 && n+1 < len(s) && is(s[n+1]):
			n++
		default:
			return n
		}
	}
	return n
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

// number adds the number at the start of s and gives its length, 0 where there is none.
func (l *lexer) number(s string) int {
	if !isDigit(s[0]) {
		return 0
	}
	if n := floatLength(s); n > 0 && !(l.pos > 0 && l.src[l.pos-1] == '.') {
		f, _ := strconv.ParseFloat(strings.ReplaceAll(s[:n], "_", ""), 64) // out of range is infinite, as in Python
		l.add(lexeme{kind: numberLiteral, value: f})
		return n
	}
	n, base := 0, 10
	if s[0] == '0' && len(s) > 2 {
		is := func(byte) bool { return false }
		switch s[1] | 0x20 {
		case 'x':
			base, is = 16, isHex
		case 'o':
			base, is = 8, func(c byte) bool { return '0' <= c && c <= '7' }
		case 'b':
			base, is = 2, func(c byte) bool { return c == '0' || c == '1' }
		}
		from := 2
		if s[2] == '_' && len(s) > 3 {
			from = 3
		}
		if k := digits(s[from:], is); base != 10 && k > 0 {
			n = from + k
		} else {
			base = 10
		}
	}
	text := s[:n]
	if n > 0 {
		text = text[2:]
	} else {
		is := isDigit
		if s[0] == '0' { // 00 is a number, 07 is a 0 and a 7
			is = func(c byte) bool { return c == '0' }
		}
		n = digits(s, is)
		text = s[:n]
	}
	text = strings.ReplaceAll(text, "_", "")
	if len(text) > digitsMax {
		l.fail("Exceeds the limit (%d digits) for integer string conversion", digitsMax)
	}
	whole, _ := new(big.Int).SetString(text, base)
	if whole.BitLen() > intBits {
		l.fail("a whole number has more than %d bits", intBits)
	}
	l.add(lexeme{kind: numberLiteral, value: shrunk(whole)})
	return n
}

// floatLength gives the length of the number with a fraction or an exponent at the start of s, 0 where there is none.
func floatLength(s string) int {
	n := digits(s, isDigit)
	whole := n
	if n < len(s) && s[n] == '.' {
		if k := digits(s[n+1:], isDigit); k > 0 {
			n += 1 + k
		}
	}
	if n < len(s) && s[n]|0x20 == 'e' {
		e := n + 1
		if e < len(s) && (s[e] == '+' || s[e] == '-') {
			e++
		}
		if k := digits(s[e:], isDigit); k > 0 {
			return e + k
		}
	}
	if n > whole {
		return n
	}
	return 0
}

// literalEnd gives the length of the text literal at the start of s, 0 where it does not end.
func literalEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			return i + 1
		}
	}
	return 0
}

// unescape reads a literal's escapes as Python's unicode-escape does. A backslash before a character that is not ASCII stays,
// and that character becomes its escape, since Jinja escapes those first.
func (l *lexer) unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch c := s[i]; {
		case c == '\n':
		case strings.IndexByte(`\'"`, c) >= 0:
			b.WriteByte(c)
		case strings.IndexByte("abfnrtv", c) >= 0:
			b.WriteByte("\a\b\f\n\r\t\v"[strings.IndexByte("abfnrtv", c)])
		case '0' <= c && c <= '7':
			n := 1
			for n < 3 && i+n < len(s) && '0' <= s[i+n] && s[i+n] <= '7' {
				n++
			}
			b.WriteRune(rune(l.code(s[i:i+n], 8)))
			i += n - 1
		case c == 'x' || c == 'u' || c == 'U':
			n := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
			if i+n >= len(s) || digits(s[i+1:i+1+n], isHex) < n {
				l.fail("truncated \\%c escape in a string; write %d hexadecimal digits", c, n)
			}
			b.WriteRune(rune(l.code(s[i+1:i+1+n], 16)))
			i += n
		case c == 'N':
			l.fail("\\N{name} escapes are not supported; write the character or its \\u code")
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(s[i:])
			b.WriteByte('\\')
			b.WriteString(asciiEscape(r))
			i += n - 1
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return b.String()
}

// asciiEscape is what follows the backslash where a character that is not ASCII is escaped.
func asciiEscape(r rune) string {
	switch {
	case r < 0x100:
		return "x" + hex(r, 2)
	case r < 0x10000:
		return "u" + hex(r, 4)
	}
	return "U" + hex(r, 8)
}

func (l *lexer) code(s string, base int) int64 {
	n, err := strconv.ParseInt(s, base, 64)
	if err != nil || !utf8.ValidRune(rune(n)) || n > utf8.MaxRune {
		l.fail("the escape of code %s in a string is no character", s)
	}
	return n
}
