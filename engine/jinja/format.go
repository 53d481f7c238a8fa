package jinja

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// formatSpec is what stands after the colon in "{:>8.2f}", or after the percent sign in "%8.2f".
type formatSpec struct {
	fill, align string // align is one of < > = ^, empty for the value's own
	sign        byte   // + - or blank
	alternate   bool
	zero        bool
	width       int
	group       string // "," or "_"
	precision   int    // -1 where not given
	verb        byte   // 0 where not given
}

func parseSpec(s string) formatSpec {
	o := formatSpec{fill: " ", precision: -1}
	whole, filled := s, false
	if _, n := utf8.DecodeRuneInString(s); len(s) > n && strings.IndexByte("<>=^", s[n]) >= 0 {
		o.fill, o.align, s, filled = s[:n], s[n:n+1], s[n+1:], true
	} else if s != "" && strings.IndexByte("<>=^", s[0]) >= 0 {
		o.align, s = s[:1], s[1:]
	}
	if s != "" && strings.IndexByte("+- ", s[0]) >= 0 {
		o.sign, s = s[0], s[1:]
	}
	if strings.HasPrefix(s, "#") {
		o.alternate, s = true, s[1:]
	}
	if strings.HasPrefix(s, "0") {
		o.zero, s = true, s[1:]
		if !filled {
			o.fill = "0"
		}
	}
	o.width, s = leadingNumber(s)
	if s != "" && (s[0] == ',' || s[0] == '_') {
		o.group, s = s[:1], s[1:]
	}
	if strings.HasPrefix(s, ".") {
		if len(s) < 2 || !isDigit(s[1]) {
			fail(valueError, "Format specifier missing precision")
		}
		o.precision, s = leadingNumber(s[1:])
	}
	if s != "" {
		o.verb, s = s[0], s[1:]
	}
	if s != "" {
		fail(valueError, "Invalid format specifier '%s'", whole)
	}
	return o
}

// leadingNumber reads the digits at the start of s, up to widthMax.
func leadingNumber(s string) (int, string) {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	if n == 0 {
		return 0, s
	}
	v, err := strconv.Atoi(s[:n])
	if err != nil || v > widthMax {
		fail(limitError, "a format has a width or precision of %.20s; at most %d is made", s[:n], widthMax)
	}
	return v, s[n:]
}

// format is Python's format(v, spec).
func (r *rendering) format(v Value, spec string) string {
	if spec == "" {
		return str(&r.meter, v)
	}
	if s, ok := text(v); ok {
		return r.formatString(s, parseSpec(spec))
	}
	if !isNumber(v) {
		refuseUndefined(v)
		fail(typeError, "unsupported format string passed to %s.__format__", typeName(v))
	}
	o := parseSpec(spec)
	if o.zero && o.align == "" {
		o.align = "="
	}
	if o.group != "" && o.verb == 'n' {
		fail(valueError, "Cannot specify '%s' with 'n'.", o.group)
	}
	if n, ok := integer(v); ok && strings.IndexByte("eEfFgG%", orZero(o.verb)) < 0 {
		return r.formatInteger(n, o)
	}
	return r.formatFloat(float(v), o)
}

// orZero makes a verb that is not given one that no list of verbs has.
func orZero(verb byte) byte {
	if verb == 0 {
		return '0'
	}
	return verb
}

func (r *rendering) formatString(s string, o formatSpec) string {
	switch {
	case o.verb != 0 && o.verb != 's':
		fail(valueError, "Unknown format code '%c' for object of type 'str'", o.verb)
	case o.sign != 0:
		fail(valueError, "Sign not allowed in string format specifier")
	case o.alternate:
		fail(valueError, "Alternate form (#) not allowed in string format specifier")
	case o.group != "":
		fail(valueError, "Cannot specify '%s' with 's'.", o.group)
	case o.align == "=":
		fail(valueError, "'=' alignment not allowed in string format specifier")
	}
	return r.aligned("", r.cut(s, o.precision), o, "<")
}

// cut is the first n characters of s, all where n is negative.
func (r *rendering) cut(s string, n int) string {
	if n < 0 {
		return s
	}
	return r.sliceText(s, [3]Value{nil, int64(n), nil})
}

// aligned fills sign and body up to the width; own is the alignment where none is given.
func (r *rendering) aligned(sign, body string, o formatSpec, own string) string {
	if o.align != "" {
		own = o.align
	}
	if own == "=" {
		n := o.width - utf8.RuneCountInString(sign)
		return sign + r.padded(body, n, o.fill, "rjust")
	}
	s := sign + body
	switch own {
	case "<":
		return r.padded(s, o.width, o.fill, "ljust")
	case ">":
		return r.padded(s, o.width, o.fill, "rjust")
	}
	n := max(0, o.width-utf8.RuneCountInString(s))
	return r.padded(r.padded(s, o.width-(n-n/2), o.fill, "rjust"), o.width, o.fill, "ljust")
}

func signOf(negative bool, o formatSpec) string {
	switch {
	case negative:
		return "-"
	case o.sign == '+' || o.sign == ' ':
		return string(o.sign)
	}
	return ""
}

func (r *rendering) formatInteger(n *big.Int, o formatSpec) string {
	r.weigh(n)
	if o.precision >= 0 {
		fail(valueError, "Precision not allowed in integer format specifier")
	}
	base, prefix := 10, ""
	switch o.verb {
	case 0, 'd', 'n':
	case 'b':
		base, prefix = 2, "0b"
	case 'o':
		base, prefix = 8, "0o"
	case 'x', 'X':
		base, prefix = 16, "0"+string(o.verb)
	case 'c':
		if o.group != "" {
			fail(valueError, "Cannot specify '%s' with 'c'.", o.group)
		}
		if !n.IsInt64() || n.Int64() < 0 || n.Int64() > utf8.MaxRune {
			fail(overflowError, "%%c arg not in range(0x110000)")
		}
		return r.aligned("", string(rune(n.Int64())), o, "<")
	default:
		fail(valueError, "Unknown format code '%c' for object of type 'int'", o.verb)
	}
	digits := new(big.Int).Abs(n).Text(base)
	if base == 10 {
		bigText(n) // for its bound
	}
	if o.verb == 'X' {
		digits = strings.ToUpper(digits)
	}
	sign := signOf(n.Sign() < 0, o)
	if o.alternate {
		sign += prefix
	}
	every := 3
	if base != 10 {
		every = 4
	}
	return r.aligned(sign, grouped(digits, "", o, every, len(sign)), o, ">")
}

// grouped puts separators between digits, after zeros that fill the width where these are wanted; rest follows the digits.
func grouped(digits, rest string, o formatSpec, every, sign int) string {
	if o.group == "" {
		return digits + rest
	}
	if o.fill == "0" && o.align == "=" {
		for len(digits)+(len(digits)-1)/every+len(rest)+sign < o.width {
			digits = "0" + digits
		}
	}
	var b strings.Builder
	for i := range len(digits) {
		if i > 0 && (len(digits)-i)%every == 0 {
			b.WriteString(o.group)
		}
		b.WriteByte(digits[i])
	}
	return b.String() + rest
}

func (r *rendering) formatFloat(v float64, o formatSpec) string {
	r.grow(2*max(o.precision, 0) + 400)
	negative := math.Signbit(v) && !math.IsNaN(v)
	a := math.Abs(v)
	if math.IsNaN(a) || math.IsInf(a, 0) {
		s := floatRepr(a)
		if o.verb == 'E' || o.verb == 'F' || o.verb == 'G' {
			s = strings.ToUpper(s)
		}
		if o.verb == '%' {
			s += "%"
		}
		return r.aligned(signOf(negative, o), s, o, ">")
	}
	s := digitsOf(a, o)
	end := strings.IndexFunc(s, func(c rune) bool { return c < '0' || c > '9' })
	if end < 0 {
		end = len(s)
	}
	sign := signOf(negative, o)
	return r.aligned(sign, grouped(s[:end], s[end:], o, 3, len(sign)), o, ">")
}

// digitsOf writes a, which is finite and not negative, by the verb and precision of o.
func digitsOf(a float64, o formatSpec) string {
	precision := o.precision
	if precision < 0 {
		precision = 6
	}
	switch o.verb {
	case 'f', 'F':
		return pointed(strconv.FormatFloat(a, 'f', precision, 64), o)
	case '%':
		return pointed(strconv.FormatFloat(a*100, 'f', precision, 64), o) + "%"
	case 'e', 'E':
		s := pointed(strconv.FormatFloat(a, 'e', precision, 64), o)
		if o.verb == 'E' {
			s = strings.ToUpper(s)
		}
		return s
	case 'g', 'G', 'n':
		s := general(a, max(precision, 1), o.alternate, false)
		if o.verb == 'G' {
			s = strings.ToUpper(s)
		}
		return s
	case 0:
		if o.precision < 0 {
			return floatRepr(a)
		}
		return general(a, max(precision, 1), o.alternate, true)
	}
	fail(valueError, "Unknown format code '%c' for object of type 'float'", o.verb)
	return ""
}

// pointed adds the point that the alternate form always has.
func pointed(s string, o formatSpec) string {
	if !o.alternate || strings.Contains(s, ".") {
		return s
	}
	if e := strings.IndexByte(s, 'e'); e >= 0 {
		return s[:e] + "." + s[e:]
	}
	return s + "."
}

// general writes a with so many significant digits, with an exponent where that is shorter. keep leaves the zeros at the end,
// and fraction wants one digit after the point at least and an exponent one place earlier, as a format without a verb does.
func general(a float64, significant int, keep, fraction bool) string {
	s := strconv.FormatFloat(a, 'e', significant-1, 64)
	e := strings.IndexByte(s, 'e')
	exponent, _ := strconv.Atoi(s[e+1:])
	most := significant
	if fraction {
		most--
	}
	if exponent >= -4 && exponent < most {
		s, e = strconv.FormatFloat(a, 'f', max(significant-1-exponent, 0), 64), -1
	}
	mantissa, tail := s, ""
	if e >= 0 {
		mantissa, tail = s[:e], s[e:]
	}
	if strings.Contains(mantissa, ".") && !keep {
		mantissa = strings.TrimSuffix(strings.TrimRight(mantissa, "0"), ".")
	}
	if !strings.Contains(mantissa, ".") {
		if fraction && e < 0 {
			mantissa += ".0"
		} else if keep {
			mantissa += "."
		}
	}
	return mantissa + tail
}
