package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// textMethods are those of str. On markup they give markup where markupsafe's do, and escape what they put in.
func textMethods() map[string]function {
	m := map[string]function{}
	for name, fn := range map[string]function{
		"strip": trim("strip", true, true), "lstrip": trim("lstrip", true, false), "rstrip": trim("rstrip", false, true),
		"split": split, "rsplit": rsplit, "splitlines": splitLines, "partition": partition, "rpartition": rpartition,
		"replace": replaceText, "join": joinText, "format": formatText, "format_map": formatMap,
		"center": pad("center"), "ljust": pad("ljust"), "rjust": pad("rjust"), "zfill": zfill, "expandtabs": expandTabs,
		"upper":      mapped("upper", func(r *rendering, s string) string { return r.lib.cases.upper(s) }),
		"lower":      mapped("lower", func(_ *rendering, s string) string { return lower(s) }),
		"title":      mapped("title", func(r *rendering, s string) string { return r.lib.cases.title(s) }),
		"capitalize": mapped("capitalize", func(r *rendering, s string) string { return r.lib.cases.capitalize(s) }),
		"swapcase":   mapped("swapcase", func(r *rendering, s string) string { return r.lib.cases.swap(s) }),
		"removeprefix": func(_ *rendering, x Value, a args) Value {
			return strings.TrimPrefix(mustText(x, "self"), mustText(a.positional("removeprefix", 1, 1)[0], "removeprefix() argument"))
		},
		"removesuffix": func(_ *rendering, x Value, a args) Value {
			return strings.TrimSuffix(mustText(x, "self"), mustText(a.positional("removesuffix", 1, 1)[0], "removesuffix() argument"))
		},
	} {
		m[name] = marking(fn)
	}
	for name, fn := range map[string]function{
		"find": search("find", strings.Index), "rfind": search("rfind", strings.LastIndex),
		"index": found("index", strings.Index), "rindex": found("rindex", strings.LastIndex), "count": countText,
		"startswith": affix("startswith", strings.HasPrefix), "endswith": affix("endswith", strings.HasSuffix),
		"isalpha": every("isalpha", unicode.IsLetter), "isdecimal": every("isdecimal", func(r rune) bool { return unicode.Is(unicode.Nd, r) }),
		"isdigit": every("isdigit", isDigitRune), "isnumeric": every("isnumeric", isNumeric),
		"isalnum": every("isalnum", func(r rune) bool { return unicode.IsLetter(r) || isDigitRune(r) || isNumeric(r) }),
		"isspace": every("isspace", isSpace),
		"islower": aboutCase("islower", isLower), "isupper": aboutCase("isupper", isUpper),
		"istitle": about("istitle", isTitle), "isascii": about("isascii", isASCII),
		"isprintable": about("isprintable", func(s string) bool {
			return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
		}),
		"isidentifier": about("isidentifier", func(s string) bool {
			first, _ := utf8.DecodeRuneInString(s)
			return s != "" && (first == '_' || unicode.IsLetter(first)) && strings.IndexFunc(s, func(r rune) bool { return !isWord(r) || unicode.Is(unicode.No, r) }) < 0
		}),
	} {
		m[name] = fn
	}
	for name := range strings.FieldsSeq("encode translate maketrans casefold") {
		m[name] = unmade("str." + name)
	}
	return m
}

// marking makes a method of str one of markup too: its string arguments are escaped and its results are markup.
func marking(fn function) function {
	return func(r *rendering, x Value, a args) Value {
		u, ok := x.(markup)
		if !ok {
			return fn(r, x, a)
		}
		return marked(fn(r, u, a))
	}
}

func marked(v Value) Value {
	switch v := v.(type) {
	case string:
		return markup(v)
	case *List:
		out := &List{Tuple: v.Tuple}
		for _, item := range v.Items {
			out.Items = append(out.Items, marked(item))
		}
		return out
	}
	return v
}

// fresh pays for s as a result.
func (r *rendering) fresh(s string) string {
	r.grow(len(s))
	return s
}

func mapped(name string, to func(r *rendering, s string) string) function {
	return func(r *rendering, x Value, a args) Value {
		a.positional(name, 0, 0)
		s := mustText(x, "self")
		r.classify(s)
		if !isASCII(s) {
			r.growTimes(4, len(s)) // its characters
		}
		return r.fresh(to(r, s))
	}
}

func about(name string, holds func(s string) bool) function {
	return func(r *rendering, x Value, a args) Value {
		a.positional(name, 0, 0)
		s := mustText(x, "self")
		r.classify(s)
		return holds(s)
	}
}

// every tells whether there are characters and all are of a kind.
func every(name string, is func(r rune) bool) function {
	return about(name, func(s string) bool {
		return s != "" && strings.IndexFunc(s, func(r rune) bool { return !is(r) }) < 0
	})
}

func aboutCase(name string, is func(r rune) bool) function {
	return about(name, func(s string) bool { return allCased(s, is) })
}

// allCased tells whether there are characters that have a case and all of these are of a kind.
func allCased(s string, is func(r rune) bool) bool {
	some := false
	for _, r := range s {
		if isCased(r) {
			some = true
			if !is(r) {
				return false
			}
		}
	}
	return some
}

func isTitle(s string) bool {
	inWord, some := false, false
	for _, r := range s {
		switch {
		case isUpper(r) || unicode.Is(unicode.Lt, r):
			if inWord {
				return false
			}
			inWord, some = true, true
		case isLower(r):
			if !inWord {
				return false
			}
			some = true
		default:
			inWord = false
		}
	}
	return some
}

func (c cases) title(s string) string {
	var b strings.Builder
	low := []rune(s)
	inWord := false
	for i, r := range low {
		switch {
		case !inWord:
			b.WriteString(c.titled(r))
		case r == 'Σ' && endsWord(low, i):
			b.WriteRune('ς')
		default:
			b.WriteString(lower(string(r)))
		}
		inWord = isCased(r)
	}
	return b.String()
}

func (c cases) capitalize(s string) string {
	if s == "" {
		return s
	}
	first, n := utf8.DecodeRuneInString(s)
	rest := lower(s) // the whole, for a sigma's sake
	_, m := utf8.DecodeRuneInString(rest)
	if low := lower(s[:n]); strings.HasPrefix(rest, low) {
		m = len(low)
	}
	return c.titled(first) + rest[m:]
}

func (c cases) swap(s string) string {
	var b strings.Builder
	chars := []rune(s)
	for i, r := range chars {
		switch {
		case r == 'Σ' && endsWord(chars, i):
			b.WriteRune('ς')
		case isUpper(r):
			b.WriteString(lower(string(r)))
		case isLower(r):
			b.WriteString(c.upper(string(r)))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func trim(name string, left, right bool) function {
	return func(r *rendering, x Value, a args) Value {
		return r.trimmed(mustText(x, "self"), a.positional(name, 0, 1)[0], left, right)
	}
}

// trimmed takes the characters of chars, or blanks where that is None or not given, from the ends of s.
func (r *rendering) trimmed(s string, chars Value, left, right bool) string {
	drop := isSpace
	if given(chars) && chars != nil {
		plain := mustText(chars, "strip argument")
		r.spend(len(plain))
		set := map[rune]bool{}
		for _, c := range plain {
			set[c] = true
		}
		drop = func(c rune) bool { return set[c] }
	}
	if left {
		s = strings.TrimLeftFunc(s, drop)
	}
	if right {
		s = strings.TrimRightFunc(s, drop)
	}
	return s
}

// partBytes are those of a part in the list that it is cut into: a slice's and a list's.
const partBytes = 2 * slotBytes

// texts makes a list of strings, which are paid for.
func texts(parts []string) *List {
	l := &List{Items: make([]Value, len(parts))}
	for i, p := range parts {
		l.Items[i] = p
	}
	return l
}

func splitArgs(a args, name string) (sep Value, most int) {
	v := a.take(name, 0, "sep", "maxsplit")
	sep = or(v[0], nil)
	if sep != nil && mustText(sep, "separator") == "" {
		fail(valueError, "empty separator")
	}
	return sep, count(v[1], -1, "maxsplit")
}

func split(r *rendering, x Value, a args) Value {
	s := mustText(x, "self")
	sep, most := splitArgs(a, "split")
	if sep != nil {
		if most < 0 {
			most = len(s)
		}
		r.growTimes(partBytes, min(strings.Count(s, mustText(sep, "separator")), most)+1)
		return texts(strings.SplitN(s, mustText(sep, "separator"), most+1))
	}
	var parts []string
	for s = strings.TrimLeftFunc(s, isSpace); s != ""; {
		r.grow(partBytes)
		end := strings.IndexFunc(s, isSpace)
		if end < 0 || most >= 0 && len(parts) == most {
			if len(parts) != most {
				s = strings.TrimRightFunc(s, isSpace)
			}
			parts = append(parts, s)
			break
		}
		parts = append(parts, s[:end])
		s = strings.TrimLeftFunc(s[end:], isSpace)
	}
	return texts(parts)
}

func rsplit(r *rendering, x Value, a args) Value {
	s := mustText(x, "self")
	sep, most := splitArgs(a, "rsplit")
	if most < 0 {
		most = len(s)
	}
	var parts []string // the last first
	if sep != nil {
		by := mustText(sep, "separator")
		for at := strings.LastIndex(s, by); at >= 0 && len(parts) < most; at = strings.LastIndex(s, by) {
			r.grow(partBytes)
			parts = append(parts, s[at+len(by):])
			s = s[:at]
		}
		parts = append(parts, s)
	} else {
		for s = strings.TrimRightFunc(s, isSpace); s != ""; {
			r.grow(partBytes)
			at := strings.LastIndexFunc(s, isSpace)
			if at < 0 || len(parts) == most {
				parts = append(parts, s)
				break
			}
			_, n := utf8.DecodeRuneInString(s[at:])
			parts = append(parts, s[at+n:])
			s = strings.TrimRightFunc(s[:at], isSpace)
		}
	}
	out := texts(parts)
	for i, j := 0, len(out.Items)-1; i < j; i, j = i+1, j-1 {
		out.Items[i], out.Items[j] = out.Items[j], out.Items[i]
	}
	return out
}

func splitLines(r *rendering, x Value, a args) Value {
	v := a.take("splitlines", 0, "keepends")
	keep := given(v[0]) && truth(v[0])
	return texts(r.lines(mustText(x, "self"), keep))
}

func endsLine(r rune) bool {
	return '\n' <= r && r <= '\r' || 0x1c <= r && r <= 0x1e || r == 0x85 || r == 0x2028 || r == 0x2029
}

// lines cuts s where Python's splitlines cuts.
func (r *rendering) lines(s string, keep bool) []string {
	var out []string
	for s != "" {
		r.grow(partBytes)
		at := strings.IndexFunc(s, endsLine)
		if at < 0 {
			return append(out, s)
		}
		_, n := utf8.DecodeRuneInString(s[at:])
		if strings.HasPrefix(s[at:], "\r\n") {
			n = 2
		}
		if keep {
			out = append(out, s[:at+n])
		} else {
			out = append(out, s[:at])
		}
		s = s[at+n:]
	}
	return out
}

func separator(v Value) string {
	sep := mustText(v, "separator")
	if sep == "" {
		fail(valueError, "empty separator")
	}
	return sep
}

func tupleOf(v ...Value) *List { return &List{Items: v, Tuple: true} }

func partition(_ *rendering, x Value, a args) Value {
	s, sep := mustText(x, "self"), separator(a.positional("partition", 1, 1)[0])
	if before, after, ok := strings.Cut(s, sep); ok {
		return tupleOf(before, sep, after)
	}
	return tupleOf(s, "", "")
}

func rpartition(_ *rendering, x Value, a args) Value {
	s, sep := mustText(x, "self"), separator(a.positional("rpartition", 1, 1)[0])
	if at := strings.LastIndex(s, sep); at >= 0 {
		return tupleOf(s[:at], sep, s[at+len(sep):])
	}
	return tupleOf("", "", s)
}

func replaceText(r *rendering, x Value, a args) Value {
	v := a.positional("replace", 2, 3)
	to := mustText(v[1], "replace() argument 2")
	if _, ok := x.(markup); ok {
		to = string(escaped(&r.meter, v[1]))
	}
	return r.replaced(mustText(x, "self"), mustText(v[0], "replace() argument 1"), to, count(v[2], -1, "count"))
}

func (r *rendering) replaced(s, old, to string, most int) string {
	n := strings.Count(s, old)
	if most >= 0 {
		n = min(n, most)
	}
	r.growTimes(len(to), n)
	r.grow(len(s))
	return strings.Replace(s, old, to, n)
}

// concat is sep.join(parts).
func (r *rendering) concat(parts []string, sep string) string {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	r.growTimes(len(sep), len(parts))
	r.grow(size)
	return strings.Join(parts, sep)
}

func joinText(r *rendering, x Value, a args) Value {
	over := a.positional("join", 1, 1)[0]
	if !iterable(over) {
		fail(typeError, "can only join an iterable")
	}
	_, mark := x.(markup)
	var parts []string
	next := iterate(&r.meter, over)
	for v, ok := next(); ok; v, ok = next() {
		s, isText := text(v)
		switch {
		case mark:
			s = string(escaped(&r.meter, v))
		case !isText:
			fail(typeError, "sequence item %d: expected str instance, %s found", len(parts), typeName(v))
		}
		r.grow(slotBytes)
		parts = append(parts, s)
	}
	return r.concat(parts, mustText(x, "self"))
}
