package jinja

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
)

// unsupportedFilters are Jinja's filters that are not made here.
func unsupportedFilters() map[string]string {
	return map[string]string{
		"random": "a prompt is the same each time it is rendered", "pprint": "it is for debugging; use tojson(indent=2)",
		"striptags": "it is for web pages", "urlize": "it is for web pages", "xmlattr": "it is for web pages",
		"wordwrap": "no chat template is known to use it",
	}
}

// valueFilters take values of any kind.
func valueFilters() map[string]function {
	def := func(r *rendering, x Value, a args) Value {
		v := a.take("default", 0, "default_value", "boolean")
		if _, no := x.(undefined); no || given(v[1]) && truth(v[1]) && !truth(x) {
			return or(v[0], "")
		}
		return x
	}
	size := func(_ *rendering, x Value, a args) Value {
		a.positional("len", 0, 0)
		return int64(length(x))
	}
	return map[string]function{
		"default": def, "d": def, "length": size, "count": size, "tojson": toJSON,
		"attr": func(r *rendering, x Value, a args) Value {
			name := mustText(a.take("attr", 1, "name")[0], "attribute name")
			refuseUndefined(x)
			if v, ok := r.own(x, name); ok {
				return v
			}
			return noAttribute(x, name)
		},
		"string": func(r *rendering, x Value, a args) Value {
			a.positional("string", 0, 0)
			if u, ok := x.(markup); ok {
				return u
			}
			return str(&r.meter, x)
		},
		"safe": func(r *rendering, x Value, a args) Value {
			a.positional("safe", 0, 0)
			return markup(str(&r.meter, x))
		},
		"escape": escapeFilter, "e": escapeFilter,
		"forceescape": func(r *rendering, x Value, a args) Value {
			a.positional("forceescape", 0, 0)
			return escape(&r.meter, str(&r.meter, x))
		},
		"items": func(r *rendering, x Value, a args) Value {
			a.positional("items", 0, 0)
			return generator(&r.meter, func() func() (Value, bool) {
				if _, no := x.(undefined); no {
					return nothing
				}
				d, ok := x.(*Dict)
				if !ok {
					fail(typeError, "Can only get item pairs from a mapping.")
				}
				return iterate(&r.meter, &view{d, "items"})
			})
		},
	}
}

func escapeFilter(r *rendering, x Value, a args) Value {
	a.positional("escape", 0, 0)
	return escaped(&r.meter, x)
}

// soft is Jinja's soft_str: x where it is text, marked up or not, else its text.
func (r *rendering) soft(x Value) Value {
	if _, ok := text(x); ok {
		return x
	}
	return str(&r.meter, x)
}

// onText makes a filter of a method of str, which it applies to the text of any value.
func onText(fn function) function {
	return func(r *rendering, x Value, a args) Value { return marking(fn)(r, r.soft(x), a) }
}

func textFilters() map[string]function {
	method := textMethods()
	return map[string]function{
		"upper": onText(method["upper"]), "lower": onText(method["lower"]), "capitalize": onText(method["capitalize"]),
		"title": onText(mapped("title", func(r *rendering, s string) string { return r.lib.cases.words(s) })),
		"trim": func(r *rendering, x Value, a args) Value {
			v := a.take("trim", 0, "chars")
			s := r.soft(x)
			plain, _ := text(s)
			out := r.trimmed(plain, v[0], true, true)
			if _, mark := s.(markup); mark {
				return markup(out)
			}
			return out
		},
		"center": onText(func(r *rendering, x Value, a args) Value {
			return method["center"](r, x, args{pos: []Value{or(a.take("center", 0, "width")[0], int64(80))}})
		}),
		"replace": func(r *rendering, x Value, a args) Value {
			v := a.take("replace", 2, "old", "new", "count")
			most := -1
			if n := or(v[2], nil); n != nil {
				most = whole(n, "count")
			}
			return r.replaced(str(&r.meter, x), str(&r.meter, v[0]), str(&r.meter, v[1]), most)
		},
		"format": func(r *rendering, x Value, a args) Value {
			if len(a.pos) > 0 && a.named != nil && len(a.named.entries) > 0 {
				fail(filterArgument, "can't handle positional and keyword arguments at the same time")
			}
			if a.named != nil && len(a.named.entries) > 0 {
				return r.percent(r.soft(x), a.named)
			}
			return r.percent(r.soft(x), &List{Items: a.pos, Tuple: true})
		},
		"wordcount": func(r *rendering, x Value, a args) Value {
			a.positional("wordcount", 0, 0)
			words, inside := int64(0), false
			s := str(&r.meter, x)
			r.classify(s)
			for _, c := range s {
				if is := isWordChar(c); is != inside {
					inside = is
					if is {
						words++
					}
				}
			}
			return words
		},
		"indent": indent, "truncate": truncate, "urlencode": urlEncode,
	}
}

// words is the filter title: a capital after blanks, hyphens and opening brackets.
func (c cases) words(s string) string {
	var b strings.Builder
	for s != "" {
		cut := func(r rune) bool { return isSpace(r) || strings.ContainsRune("-({[<", r) }
		if n := len(s) - len(strings.TrimLeftFunc(s, cut)); n > 0 {
			b.WriteString(s[:n])
			s = s[n:]
			continue
		}
		n := strings.IndexFunc(s, cut)
		if n < 0 {
			n = len(s)
		}
		first := string([]rune(s[:n])[0])
		b.WriteString(c.upper(first))
		b.WriteString(lower(s[len(first):n]))
		s = s[n:]
	}
	return b.String()
}

func indent(r *rendering, x Value, a args) Value {
	v := a.take("indent", 0, "width", "first", "blank")
	if l, ok := x.(*List); ok && !l.Tuple {
		fail("AttributeError", "'%s' object has no attribute 'splitlines'", typeName(x))
	}
	s := mustText(x, "indented value")
	by, ok := text(or(v[0], int64(4)))
	if !ok {
		n := max(0, whole(or(v[0], int64(4)), "width"))
		if n > widthMax {
			fail(limitError, "indent by %d characters; at most %d are made", n, widthMax)
		}
		by = strings.Repeat(" ", n)
	}
	blank := given(v[2]) && truth(v[2])
	rows := r.lines(s+"\n", false)
	r.growTimes(len(by)+1, len(rows))
	r.grow(len(s))
	var b strings.Builder
	if given(v[1]) && truth(v[1]) {
		b.WriteString(by)
	}
	for i, row := range rows {
		if i > 0 {
			b.WriteByte('\n')
			if blank || row != "" {
				b.WriteString(by)
			}
		}
		b.WriteString(row)
	}
	if _, mark := x.(markup); mark {
		return markup(b.String())
	}
	return b.String()
}

func truncate(r *rendering, x Value, a args) Value {
	v := a.take("truncate", 0, "length", "killwords", "end", "leeway")
	size, end := count(v[0], 255, "length"), mustText(or(v[2], "..."), "end")
	leeway := 5
	if n := or(v[3], nil); n != nil {
		leeway = whole(n, "leeway")
	}
	if size < length(end) || leeway < 0 {
		fail("AssertionError", "expected length >= %d and leeway >= 0, got %d and %d", length(end), size, leeway)
	}
	if length(x) <= size+leeway {
		return x
	}
	s := r.cut(mustText(x, "truncated value"), size-length(end))
	if !(given(v[1]) && truth(v[1])) {
		if at := strings.LastIndexByte(s, ' '); at >= 0 {
			s = s[:at]
		}
	}
	return r.fresh(s + end)
}

func urlEncode(r *rendering, x Value, a args) Value {
	a.positional("urlencode", 0, 0)
	quote := func(v Value, query bool) string {
		var b strings.Builder
		s := str(&r.meter, v)
		r.growTimes(3, len(s))
		for _, c := range []byte(s) {
			switch {
			case isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'z' || strings.IndexByte("_.-~", c) >= 0 || c == '/' && !query:
				b.WriteByte(c)
			case c == ' ' && query:
				b.WriteByte('+')
			default:
				b.WriteString("%" + strings.ToUpper(hex(rune(c), 2)))
			}
		}
		return b.String()
	}
	if _, ok := text(x); ok || !iterable(x) {
		return quote(x, false)
	}
	if d, ok := x.(*Dict); ok {
		x = &view{d, "items"}
	}
	var parts []string
	next := iterate(&r.meter, x)
	for item, ok := next(); ok; item, ok = next() {
		pair := r.unpack(item, 2)
		parts = append(parts, quote(pair[0], true)+"="+quote(pair[1], true))
	}
	return r.concat(parts, "&")
}

func numberFilters() map[string]function {
	return map[string]function{
		"abs": func(_ *rendering, x Value, a args) Value {
			a.positional("abs", 0, 0)
			if f, ok := x.(float64); ok {
				return math.Abs(f)
			}
			n, ok := integer(x)
			if !ok {
				fail(typeError, "bad operand type for abs(): '%s'", typeName(x))
			}
			return shrunk(new(big.Int).Abs(n))
		},
		"int": func(_ *rendering, x Value, a args) Value {
			v := a.take("int", 0, "default", "base")
			return toInt(x, or(v[0], int64(0)), count(v[1], 10, "base"))
		},
		"float": func(_ *rendering, x Value, a args) Value {
			v := a.take("float", 0, "default")
			refuseUndefined(x)
			if f, ok := toFloat(x); ok {
				return f
			}
			return or(v[0], 0.0)
		},
		"round": round, "filesizeformat": fileSize,
	}
}

// truncated is int(f), which must be finite.
func truncated(f float64) *big.Int {
	if math.IsNaN(f) {
		fail(valueError, "cannot convert float NaN to integer")
	}
	if math.IsInf(f, 0) {
		fail(overflowError, "cannot convert float infinity to integer")
	}
	n, _ := big.NewFloat(f).Int(nil)
	return n
}

func toInt(x, other Value, base int) Value {
	refuseUndefined(x)
	if n, ok := integer(x); ok {
		return shrunk(n)
	}
	if s, ok := text(x); ok {
		if n, ok := parseInt(s, base); ok {
			return shrunk(n)
		}
		// 42.23 in a string is 42.
		if f, ok := toFloat(x); ok && f-f == 0 {
			return shrunk(truncated(f))
		}
		return other
	}
	if f, ok := x.(float64); ok && !math.IsNaN(f) {
		return shrunk(truncated(f))
	}
	return other
}

// parseInt reads s as Python's int(s, base) does.
func parseInt(s string, base int) (*big.Int, bool) {
	if base < 0 || base == 1 || base > 36 {
		return nil, false
	}
	s = asciiDigits(trimSpace(s))
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || len(s) > digitsMax {
		return nil, false
	}
	low := strings.ToLower(digits)
	for prefix, b := range map[string]int{"0x": 16, "0o": 8, "0b": 2} {
		if strings.HasPrefix(low, prefix) && (base == b || base == 0) {
			base, low = b, strings.TrimPrefix(low[2:], "_")
		}
	}
	if base == 0 {
		if base = 10; len(low) > 1 && low[0] == '0' && strings.Trim(low, "0_") != "" {
			return nil, false
		}
	}
	if low == "" || low[0] == '_' || strings.HasSuffix(low, "_") || strings.Contains(low, "__") || strings.IndexByte("+-", low[0]) >= 0 {
		return nil, false
	}
	n, ok := new(big.Int).SetString(strings.ReplaceAll(low, "_", ""), base)
	if ok && strings.HasPrefix(s, "-") {
		n.Neg(n)
	}
	return n, ok
}

// asciiDigits turns decimal digits of all scripts into those of ASCII.
func asciiDigits(s string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x80 || !unicode.Is(unicode.Nd, c) {
			return c
		}
		zero := c // every script has its ten digits in a row, and every run of them begins with a zero
		for unicode.Is(unicode.Nd, zero-1) {
			zero--
		}
		return '0' + (c-zero)%10
	}, s)
}

// toFloat is Python's float(x) for numbers and text.
func toFloat(x Value) (float64, bool) {
	if isNumber(x) {
		return float(x), true
	}
	s, ok := text(x)
	if !ok {
		return 0, false
	}
	s = asciiDigits(strings.ToLower(trimSpace(s)))
	if strings.Contains(s, "0x") || strings.HasPrefix(s, "_") || strings.HasSuffix(s, "_") || strings.Contains(s, "__") {
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	return f, err == nil || math.IsInf(f, 0) && strings.ContainsAny(s, "0123456789")
}

func round(_ *rendering, x Value, a args) Value {
	v := a.take("round", 0, "precision", "method")
	places, method := count(v[0], 0, "precision"), mustText(or(v[1], "common"), "method")
	if method != "common" && method != "ceil" && method != "floor" {
		fail(filterArgument, "method must be common, ceil or floor")
	}
	if !isNumber(x) {
		if method != "common" {
			refuseUndefined(x)
		}
		fail(typeError, "type %s doesn't define __round__ method", typeName(x))
	}
	if method == "common" {
		if n, ok := integer(x); ok {
			return roundInt(n, places)
		}
		return roundFloat(x.(float64), places)
	}
	by := floatPower(10, float64(places)).(float64)
	scaled := float(x) * by
	if method == "ceil" {
		scaled = math.Ceil(scaled)
	} else {
		scaled = math.Floor(scaled)
	}
	if math.IsNaN(scaled) || math.IsInf(scaled, 0) {
		truncated(scaled)
	}
	return scaled / by
}

// roundInt rounds to so many places, of which only negative ones change a whole number; halves go to the even side.
func roundInt(n *big.Int, places int) Value {
	if places >= 0 {
		return shrunk(n)
	}
	if -places > n.BitLen() {
		return int64(0)
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(-places)), nil)
	q, rest := new(big.Int).DivMod(n, unit, new(big.Int))
	if c := new(big.Int).Lsh(rest, 1).Cmp(unit); c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(1))
	}
	return shrunk(q.Mul(q, unit))
}

func roundFloat(f float64, places int) Value {
	switch {
	case f-f != 0 || places > 330:
		return f
	case places >= 0:
		out, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', places, 64), 64)
		return out
	case places < -310:
		return math.Copysign(0, f)
	}
	whole := truncated(f)
	if unit := math.Pow(10, float64(-places)); math.Abs(f) < 1<<53 && math.Abs(math.Mod(f, unit)) == unit/2 && f == math.Trunc(f) {
		return float(roundInt(whole, places)) // a true half
	}
	twice := new(big.Int).Lsh(whole, 1) // what lies behind the point decides only at a half, which it moves off
	if f != math.Trunc(f) {
		twice.Add(twice, big.NewInt(int64(math.Copysign(1, f))))
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(-places)), nil)
	q, rest := new(big.Int).DivMod(twice, new(big.Int).Lsh(unit, 1), new(big.Int))
	if c := rest.Cmp(unit); c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(1))
	}
	out := float(shrunk(q.Mul(q, unit)))
	return math.Copysign(out, f)
}

func fileSize(_ *rendering, x Value, a args) Value {
	v := a.take("filesizeformat", 0, "binary")
	binary := given(v[0]) && truth(v[0])
	n, ok := toFloat(x)
	if !ok {
		refuseUndefined(x)
		if s, ok := text(x); ok {
			fail(valueError, "could not convert string to float: %s", quoted(s))
		}
		fail(typeError, "float() argument must be a string or a real number, not '%s'", typeName(x))
	}
	base, mark := 1000.0, "B"
	if binary {
		base, mark = 1024, "iB"
	}
	switch {
	case n == 1:
		return "1 Byte"
	case n < base:
		return strconv.FormatInt(int64(n), 10) + " Bytes"
	}
	units := "kMGTPEZY"
	if binary {
		units = "KMGTPEZY"
	}
	unit := base
	for i := range len(units) {
		unit *= base
		if n < unit || i == len(units)-1 {
			return strconv.FormatFloat(base*n/unit, 'f', 1, 64) + " " + units[i:i+1] + mark
		}
	}
	return nil
}

// isWordChar tells what \w matches in Python.
func isWordChar(c rune) bool { return c == '_' || isWord(c) && !unicode.IsMark(c) }
