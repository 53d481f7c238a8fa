package jinja

import (
	"strings"
	"unicode/utf8"
)

// window is the part of s between the character positions of bounds, and how many characters lie before it; ok is false where
// the start lies beyond the end of s, so that not even an empty text is found.
func window(s string, from, to Value) (part string, before int, ok bool) {
	if !given(from) && !given(to) {
		return s, 0, true
	}
	size := utf8.RuneCountInString(s)
	if given(from) && from != nil {
		if n, isInt := integer(from); isInt && clamp(n) > size {
			return "", 0, false
		}
	}
	from, to = or(from, nil), or(to, nil)
	start, _, n, _ := indices([3]Value{from, to, missing{}}, size)
	if isASCII(s) {
		return s[start : start+n], start, n > 0 || inOrder(from, to, size)
	}
	chars := []rune(s)
	return string(chars[start : start+n]), start, n > 0 || inOrder(from, to, size)
}

// inOrder tells whether the start of an empty window does not lie behind its end.
func inOrder(from, to Value, size int) bool {
	start, _, _, _ := indices([3]Value{from, nil, missing{}}, size)
	end, _, _, _ := indices([3]Value{to, nil, missing{}}, size)
	if to == nil {
		end = size
	}
	return start <= end
}

func search(name string, find func(s, sub string) int) function {
	return func(r *rendering, x Value, a args) Value {
		v := a.positional(name, 1, 3)
		s := mustText(x, "self")
		sub := mustText(v[0], name+"() argument 1")
		r.look(len(s))
		part, before, ok := window(s, v[1], v[2])
		at := find(part, sub)
		if !ok || at < 0 {
			return int64(-1)
		}
		return int64(before + utf8.RuneCountInString(part[:at]))
	}
}

func found(name string, find func(s, sub string) int) function {
	look := search(name, find)
	return func(r *rendering, x Value, a args) Value {
		at := look(r, x, a)
		if at == int64(-1) {
			fail(valueError, "substring not found")
		}
		return at
	}
}

func countText(r *rendering, x Value, a args) Value {
	v := a.positional("count", 1, 3)
	part, _, ok := window(mustText(x, "self"), v[1], v[2])
	if !ok {
		return int64(0)
	}
	return int64(strings.Count(part, mustText(v[0], "count() argument 1")))
}

// affix is startswith or endswith, which take one text or a tuple of them.
func affix(name string, has func(s, sub string) bool) function {
	return func(r *rendering, x Value, a args) Value {
		v := a.positional(name, 1, 3)
		part, _, ok := window(mustText(x, "self"), v[1], v[2])
		tries := []Value{v[0]}
		if l, isList := v[0].(*List); isList && l.Tuple {
			tries = l.Items
		}
		for _, try := range tries {
			sub, isText := text(try)
			if !isText {
				fail(typeError, "%s first arg must be str or a tuple of str, not %s", name, typeName(try))
			}
			r.look(len(sub))
			if ok && has(part, sub) {
				return true
			}
		}
		return false
	}
}

func pad(name string) function {
	return func(r *rendering, x Value, a args) Value {
		v := a.positional(name, 1, 2)
		fill := or(v[1], " ")
		if _, ok := x.(markup); ok {
			fill = escaped(&r.meter, fill)
		}
		with := mustText(fill, "The fill character")
		if utf8.RuneCountInString(with) != 1 {
			fail(typeError, "The fill character must be exactly one character long")
		}
		return r.padded(mustText(x, "self"), count(v[0], 0, "width"), with, name)
	}
}

// padded fills s up to width characters; how is center, ljust or rjust.
func (r *rendering) padded(s string, width int, with, how string) string {
	n := width - utf8.RuneCountInString(s)
	if n <= 0 {
		return s
	}
	if width > widthMax {
		fail(limitError, "a text is padded to %d characters; at most %d are made", width, widthMax)
	}
	r.grow(len(s) + n*len(with))
	left := 0
	switch how {
	case "rjust":
		left = n
	case "center":
		left = n/2 + n&width&1
	}
	return strings.Repeat(with, left) + s + strings.Repeat(with, n-left)
}

func zfill(r *rendering, x Value, a args) Value {
	s := mustText(x, "self")
	sign := ""
	if s != "" && (s[0] == '+' || s[0] == '-') {
		sign = s[:1]
	}
	width := count(a.positional("zfill", 1, 1)[0], 0, "width")
	return sign + r.padded(s[len(sign):], width-len(sign), "0", "rjust")
}

func expandTabs(r *rendering, x Value, a args) Value {
	size := count(a.take("expandtabs", 0, "tabsize")[0], 8, "tabsize")
	if size > widthMax {
		fail(limitError, "tabs are expanded to %d characters; at most %d are made", size, widthMax)
	}
	var b strings.Builder
	column := 0
	for _, c := range mustText(x, "self") {
		switch c {
		case '\t':
			if size > 0 {
				n := size - column%size
				r.grow(n)
				b.WriteString(strings.Repeat(" ", n))
				column += n
			}
			continue
		case '\n', '\r':
			column = -1
		}
		r.spend(1)
		b.WriteRune(c)
		column++
	}
	return b.String()
}
