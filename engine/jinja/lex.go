package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// kind is what a lexeme is.
type kind uint8

const (
	endOfText kind = iota
	data           // text outside of tags
	variableBegin
	variableEnd
	blockBegin
	blockEnd
	word
	textLiteral
	numberLiteral
	operator
)

// lexeme is a piece of a template: a stretch of text, an end of a tag, or a token inside one.
type lexeme struct {
	kind  kind
	text  string // of data, a word, an operator; the value of a text literal
	value Value  // of a number literal
	line  int
}

func (l lexeme) String() string {
	switch l.kind {
	case endOfText:
		return "end of template"
	case data:
		return "template data / text"
	case variableBegin:
		return "begin of print statement"
	case variableEnd:
		return "end of print statement"
	case blockBegin:
		return "begin of statement block"
	case blockEnd:
		return "end of statement block"
	case textLiteral:
		return "string"
	case numberLiteral:
		return typeName(l.value)
	}
	return l.text
}

// lexer cuts a template as Jinja does with trim_blocks and lstrip_blocks: the newline after a block or comment is dropped, and
// so are blanks before one that begins its line, unless a + beside the tag's bracket keeps them; a - takes all blanks there.
type lexer struct {
	src       string
	pos, line int
	lineStart bool // the last match ended a line, so that blanks may be the start of one
	brackets  []byte
	out       []lexeme
}

// lex cuts source into lexemes; an endOfText is the last.
func lex(source string) []lexeme {
	source = strings.ReplaceAll(strings.ReplaceAll(source, "\r\n", "\n"), "\r", "\n")
	l := &lexer{src: strings.TrimSuffix(source, "\n"), line: 1, lineStart: true}
	for l.pos < len(l.src) {
		l.root()
	}
	l.add(lexeme{kind: endOfText})
	return l.out
}

func (l *lexer) add(x lexeme) {
	x.line = l.line
	l.out = append(l.out, x)
}

func (l *lexer) fail(format string, args ...any) { failAt(l.line, syntaxError, format, args...) }

// take moves over n bytes and counts their lines.
func (l *lexer) take(n int) string {
	s := l.src[l.pos : l.pos+n]
	l.pos += n
	l.line += strings.Count(s, "\n")
	l.lineStart = strings.HasSuffix(s, "\n")
	return s
}

func (l *lexer) rest() string { return l.src[l.pos:] }

// root reads the text up to the next tag, and that tag.
func (l *lexer) root() {
	rest := l.rest()
	at := tagStart(rest)
	if at < 0 {
		l.addData(rest)
		l.take(len(rest))
		return
	}
	sign, opened := byte(0), 2
	if tag := rest[at:]; len(tag) > 2 && (tag[2] == '-' || tag[2] == '+') {
		sign, opened = tag[2], 3
	}
	if n := rawBegin(rest[at:]); n > 0 {
		l.addText(rest[:at], sign, true)
		l.take(at + n)
		l.raw()
		return
	}
	what := rest[at+1]
	l.addText(rest[:at], sign, what != '{')
	l.take(at)
	switch what {
	case '#':
		l.take(opened)
		l.comment()
	case '%':
		l.add(lexeme{kind: blockBegin})
		l.take(opened)
		l.inside(blockEnd)
	default:
		l.add(lexeme{kind: variableBegin})
		l.take(opened)
		l.inside(variableEnd)
	}
}

func tagStart(s string) int {
	for at := 0; ; at++ {
		i := strings.IndexByte(s[at:], '{')
		if i < 0 {
			return -1
		}
		at += i
		if at+1 < len(s) && (s[at+1] == '{' || s[at+1] == '%' || s[at+1] == '#') {
			return at
		}
	}
}

func (l *lexer) addData(text string) {
	if text != "" {
		l.add(lexeme{kind: data, text: text})
	}
}

// addText adds the text before a tag. block says that blanks before it on its line go.
func (l *lexer) addText(text string, sign byte, block bool) {
	switch {
	case sign == '-':
		text = strings.TrimRightFunc(text, isSpace)
	case sign != '+' && block:
		start := strings.LastIndexByte(text, '\n') + 1
		if (start > 0 || l.lineStart) && trimSpace(text[start:]) == "" {
			text = text[:start]
		}
	}
	l.addData(text)
}

// blanks counts the bytes of s that are blank at its start.
func blanks(s string) int { return len(s) - len(strings.TrimLeftFunc(s, isSpace)) }

// rawBegin gives the length of a raw block's first tag, 0 where s does not begin with one.
func rawBegin(s string) int {
	s, all := strings.TrimPrefix(s, "{%"), len(s)
	if len(s) == all {
		return 0
	}
	if s != "" && (s[0] == '-' || s[0] == '+') {
		s = s[1:]
	}
	s, ok := strings.CutPrefix(s[blanks(s):], "raw")
	if !ok {
		return 0
	}
	s = s[blanks(s):]
	if after, ok := strings.CutPrefix(s, "-%}"); ok {
		return all - len(after) + blanks(after)
	}
	if after, ok := strings.CutPrefix(s, "%}"); ok {
		return all - len(after)
	}
	return 0
}

// tagEnd gives the length of a block's or comment's end at the start of s, 0 where there is none; bracket is %} or #}.
func tagEnd(s, bracket string) int {
	switch {
	case strings.HasPrefix(s, "+"+bracket):
		return 3
	case strings.HasPrefix(s, "-"+bracket):
		return 3 + blanks(s[3:])
	case strings.HasPrefix(s, bracket+"\n"):
		return 3
	case strings.HasPrefix(s, bracket):
		return 2
	}
	return 0
}

// raw reads text that is no template up to its endraw.
func (l *lexer) raw() {
	rest := l.rest()
	if rest == "" { // nothing to miss, says Jinja
		return
	}
	for at := 0; ; at++ {
		i := strings.Index(rest[at:], "{%")
		if i < 0 {
			l.fail("Missing end of raw directive")
		}
		at += i
		s := rest[at+2:]
		sign := byte(0)
		if s != "" && (s[0] == '-' || s[0] == '+') {
			sign, s = s[0], s[1:]
		}
		s, ok := strings.CutPrefix(s[blanks(s):], "endraw")
		if !ok {
			continue
		}
		s = s[blanks(s):]
		if n := tagEnd(s, "%}"); n > 0 {
			l.addText(rest[:at], sign, true)
			l.take(len(rest) - len(s) + n)
			return
		}
	}
}

func (l *lexer) comment() {
	rest := l.rest()
	if rest == "" {
		return
	}
	for at := range len(rest) {
		if n := tagEnd(rest[at:], "#}"); n > 0 {
			l.take(at + n)
			return
		}
	}
	l.fail("Missing end of comment tag")
}

// inside reads the tokens of a tag up to its end.
func (l *lexer) inside(end kind) {
	l.brackets = l.brackets[:0]
	for l.pos < len(l.src) {
		rest := l.rest()
		if n := endOf(rest, end); n > 0 && len(l.brackets) == 0 {
			l.add(lexeme{kind: end})
			l.take(n)
			return
		}
		if n := blanks(rest); n > 0 {
			l.take(n)
			continue
		}
		l.token(rest)
	}
}

func endOf(s string, end kind) int {
	if end == blockEnd {
		return tagEnd(s, "%}")
	}
	if strings.HasPrefix(s, "-}}") {
		return 3 + blanks(s[3:])
	}
	if strings.HasPrefix(s, "}}") {
		return 2
	}
	return 0
}

func (l *lexer) token(rest string) {
	if n := l.number(rest); n > 0 {
		l.take(n)
		return
	}
	first, _ := utf8.DecodeRuneInString(rest)
	if first == '\'' || first == '"' {
		n := literalEnd(rest)
		if n == 0 {
			l.fail("unexpected char %s", quoted(string(first)))
		}
		l.add(lexeme{kind: textLiteral, text: l.unescape(rest[1 : n-1])})
		l.take(n)
		return
	}
	if isWord(first) {
		n := strings.IndexFunc(rest, func(r rune) bool { return !isWord(r) })
		if n < 0 {
			n = len(rest)
		}
		if unicode.IsMark(first) || unicode.IsNumber(first) {
			l.fail("Invalid character in identifier")
		}
		l.add(lexeme{kind: word, text: rest[:n]})
		l.take(n)
		return
	}
	op := operatorOf(rest)
	if op == "" {
		l.fail("unexpected char %s", quoted(string(first)))
	}
	l.balance(op)
	l.add(lexeme{kind: operator, text: op})
	l.take(len(op))
}

func isWord(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}

func operatorOf(s string) string {
	if len(s) > 1 {
		switch s[:2] {
		case "//", "**", "==", "!=", ">=", "<=":
			return s[:2]
		}
	}
	if strings.IndexByte("+-/*%~[](){}><=.:|,;", s[0]) >= 0 {
		return s[:1]
	}
	return ""
}

func (l *lexer) balance(op string) {
	switch op {
	case "(":
		l.brackets = append(l.brackets, ')')
	case "[":
		l.brackets = append(l.brackets, ']')
	case "{":
		l.brackets = append(l.brackets, '}')
	case ")", "]", "}":
		n := len(l.brackets)
		if n == 0 {
			l.fail("unexpected '%s'", op)
		}
		if want := l.brackets[n-1]; want != op[0] {
			l.fail("unexpected '%s', expected '%c'", op, want)
		}
		l.brackets = l.brackets[:n-1]
	}
}
