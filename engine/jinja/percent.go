package jinja

import (
	"math/big"
	"strings"
	"unicode/utf8"
)

// percent is Python's format % values.
func (r *rendering) percent(format, values Value) Value {
	s, _ := text(format)
	_, mark := format.(markup)
	p := &percenter{r: r, rest: s, mark: mark, values: []Value{values}}
	p.mapping, p.single = values, true
	if l, ok := values.(*List); ok && l.Tuple {
		p.values, p.single = l.Items, false
	}
	w := writer{m: &r.meter}
	for p.rest != "" {
		before, after, more := strings.Cut(p.rest, "%")
		w.put(before)
		p.rest = after
		if more {
			w.put(p.field())
		}
	}
	if p.used < len(p.values) && !(p.single && hasItems(values)) {
		fail(typeError, "not all arguments converted during string formatting")
	}
	if mark {
		return markup(w.b.String())
	}
	return w.b.String()
}

// hasItems tells what Python takes for a mapping here, and so does not mind if no field uses it.
func hasItems(v Value) bool {
	switch v.(type) {
	case *Dict, *List, span, undefined:
		return true
	}
	return false
}

type percenter struct {
	r       *rendering
	rest    string
	mark    bool
	values  []Value
	single  bool // the values are one that is no tuple
	used    int
	mapping Value
}

func (p *percenter) byte() byte {
	if p.rest == "" {
		fail(valueError, "incomplete format")
	}
	return p.rest[0]
}

func (p *percenter) next() Value {
	if p.used >= len(p.values) {
		fail(typeError, "not enough arguments for format string")
	}
	p.used++
	return p.values[p.used-1]
}

// number reads a width or precision; a * takes the next value. Those that are not given are none.
func (p *percenter) number(none int) int {
	if p.byte() == '*' {
		p.rest = p.rest[1:]
		n, ok := integer(p.next())
		if !ok {
			fail(typeError, "* wants int")
		}
		if clamp(n) > widthMax {
			fail(limitError, "a format has a width of %s; at most %d is made", n, widthMax)
		}
		return clamp(n)
	}
	if !isDigit(p.rest[0]) {
		return none
	}
	n, rest := leadingNumber(p.rest)
	p.rest = rest
	return n
}

// field formats what follows a percent sign.
func (p *percenter) field() string {
	if p.byte() == '%' {
		p.rest = p.rest[1:]
		return "%"
	}
	named := false
	var v Value
	if p.byte() == '(' {
		name, rest, ok := strings.Cut(p.rest[1:], ")")
		if !ok {
			fail(valueError, "incomplete format key")
		}
		d, isDict := p.mapping.(*Dict)
		if !isDict {
			fail(typeError, "format requires a mapping")
		}
		if v, ok = d.Get(name); !ok {
			fail(keyError, "%s", quoted(name))
		}
		p.rest, named = rest, true
	}
	o := formatSpec{fill: " ", precision: -1}
	left := false
	for strings.IndexByte("#0- +", p.byte()) >= 0 {
		switch p.rest[0] {
		case '#':
			o.alternate = true
		case '0':
			o.zero = true
		case '-':
			left = true
		default:
			if o.sign != '+' {
				o.sign = p.rest[0]
			}
		}
		p.rest = p.rest[1:]
	}
	if o.width = p.number(0); o.width < 0 {
		left, o.width = true, -o.width
	}
	if p.byte() == '.' {
		p.rest = p.rest[1:]
		o.precision = max(0, p.number(0))
	}
	for strings.IndexByte("hlL", p.byte()) >= 0 {
		p.rest = p.rest[1:]
	}
	verb := p.byte()
	p.rest = p.rest[1:]
	if verb == '%' {
		return "%"
	}
	if !named {
		v = p.next()
	}
	o.align = ">"
	if left {
		o.align = "<"
	} else if o.zero && strings.IndexByte("sracc", verb) < 0 {
		o.fill, o.align = "0", "="
	}
	return p.format(v, verb, o)
}

func (p *percenter) format(v Value, verb byte, o formatSpec) string {
	switch verb {
	case 's', 'r', 'a':
		s := str(&p.r.meter, v)
		if verb != 's' {
			s = repr(&p.r.meter, v)
		}
		if _, safe := v.(markup); p.mark && !safe {
			s = string(escape(&p.r.meter, s))
		}
		return p.r.aligned("", p.r.cut(s, o.precision), o, ">")
	case 'c':
		s, ok := text(v)
		if n, isInt := integer(v); isInt {
			o.verb, o.precision = 'c', -1
			return p.r.formatInteger(n, o)
		}
		if !ok || utf8.RuneCountInString(s) != 1 {
			fail(typeError, "%%c requires int or char")
		}
		return p.r.aligned("", s, o, ">")
	case 'd', 'i', 'u', 'o', 'x', 'X':
		return p.integer(v, verb, o)
	case 'e', 'E', 'f', 'F', 'g', 'G':
		if !isNumber(v) {
			refuseUndefined(v)
			fail(typeError, "must be real number, not %s", typeName(v))
		}
		o.verb = verb
		return p.r.formatFloat(float(v), o)
	}
	fail(valueError, "unsupported format character '%c' (0x%x)", verb, verb)
	return ""
}

// integer writes a whole number; its precision is the least number of digits.
func (p *percenter) integer(v Value, verb byte, o formatSpec) string {
	if !isNumber(v) {
		refuseUndefined(v)
		fail(typeError, "%%%c format: a real number is required, not %s", verb, typeName(v))
	}
	n, ok := integer(v)
	if !ok {
		if verb == 'o' || verb == 'x' || verb == 'X' {
			fail(typeError, "%%%c format: an integer is required, not float", verb)
		}
		n = truncated(v.(float64))
	}
	p.r.weigh(n)
	base, prefix := 10, ""
	switch verb {
	case 'o':
		base, prefix = 8, "0o"
	case 'x', 'X':
		base, prefix = 16, "0"+string(verb)
	default:
		bigText(n) // for its bound
	}
	digits := new(big.Int).Abs(n).Text(base)
	if verb == 'X' {
		digits = strings.ToUpper(digits)
	}
	if o.precision > len(digits) {
		digits = p.r.padded(digits, o.precision, "0", "rjust")
	}
	sign := signOf(n.Sign() < 0, o)
	if o.alternate {
		sign += prefix
	}
	return p.r.aligned(sign, digits, o, ">")
}
