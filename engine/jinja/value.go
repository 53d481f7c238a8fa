package jinja

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Value is what a template computes with. Its dynamic type is one of: nil (None), bool, int64, *big.Int, float64, string, *List,
// *Dict, undefined, *namespace, callable. Lists and dicts are shared, as in Python, and never change once made: the environment
// that Hugging Face uses forbids templates to change them.
type Value any

// List is a Python list, or a tuple where Tuple is set; they differ only in how they are written.
type List struct {
	Items []Value
	Tuple bool
}

// Dict is a Python dict: keys are strings here, in the order in which they came.
type Dict struct {
	keys   []string
	values map[string]Value
}

// NewDict makes an empty dict.
func NewDict() *Dict { return &Dict{values: map[string]Value{}} }

// Set puts v under key; a new key comes last.
func (d *Dict) Set(key string, v Value) {
	if _, ok := d.values[key]; !ok {
		d.keys = append(d.keys, key)
	}
	d.values[key] = v
}

// Get finds what is under key.
func (d *Dict) Get(key string) (Value, bool) { v, ok := d.values[key]; return v, ok }

// Keys lists the keys in order. The caller must not change the slice.
func (d *Dict) Keys() []string { return d.keys }

// copied is a dict of its own with the same entries.
func (d *Dict) copied() *Dict {
	out := NewDict()
	for _, k := range d.keys {
		out.Set(k, d.values[k])
	}
	return out
}

// undefined is a name or attribute that does not exist. It prints as nothing and fails when it is used for more.
type undefined struct{ what string }

// namespace is Jinja's namespace object: the one thing that a template may change from inside a loop.
type namespace struct{ vars *Dict }

// callable is a function, a macro or a method bound to its object.
type callable func(args []Value, kwargs *Dict) Value

// merge sets all of from's entries.
func (d *Dict) merge(from *Dict) {
	for _, k := range from.keys {
		d.Set(k, from.values[k])
	}
}

// isSpace tells what Python's str.strip takes away.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

func trimSpace(s string) string { return strings.TrimFunc(s, isSpace) }

// truth is Python's bool(v).
func truth(v Value) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case *big.Int:
		return v.Sign() != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case *List:
		return len(v.Items) > 0
	case *Dict:
		return len(v.keys) > 0
	}
	return true
}

// typeName is the name of v's Python type, for errors.
func typeName(v Value) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case *List:
		if v.Tuple {
			return "tuple"
		}
		return "list"
	case *Dict:
		return "dict"
	case undefined:
		return "Undefined"
	case *namespace:
		return "Namespace"
	}
	return "function"
}

// str is Python's str(v), and nothing for what is undefined.
func str(v Value) string {
	switch v := v.(type) {
	case string:
		return v
	case undefined:
		return ""
	}
	var b strings.Builder
	writeRepr(&b, v, 0)
	return b.String()
}

// nestingMax bounds how deep values nest when they are read, written and compared.
const nestingMax = 200

// writeRepr writes Python's repr(v).
func writeRepr(b *strings.Builder, v Value, depth int) {
	if depth > nestingMax {
		fail(recursionError, "values nest deeper than %d", nestingMax)
	}
	switch v := v.(type) {
	case nil:
		b.WriteString("None")
	case bool:
		if v {
			b.WriteString("True")
		} else {
			b.WriteString("False")
		}
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case *big.Int:
		b.WriteString(v.String())
	case float64:
		b.WriteString(floatRepr(v))
	case string:
		writeQuoted(b, v)
	case *List:
		open, end := "[", "]"
		if v.Tuple {
			open, end = "(", ")"
			if len(v.Items) == 1 {
				end = ",)"
			}
		}
		b.WriteString(open)
		for i, item := range v.Items {
			if i > 0 {
				b.WriteString(", ")
			}
			writeRepr(b, item, depth+1)
		}
		b.WriteString(end)
	case *Dict:
		b.WriteByte('{')
		for i, k := range v.keys {
			if i > 0 {
				b.WriteString(", ")
			}
			writeQuoted(b, k)
			b.WriteString(": ")
			writeRepr(b, v.values[k], depth+1)
		}
		b.WriteByte('}')
	case undefined:
		b.WriteString("Undefined")
	case *namespace:
		b.WriteString("<Namespace ")
		writeRepr(b, v.vars, depth+1)
		b.WriteByte('>')
	default:
		b.WriteString("<function>")
	}
}

// floatRepr is Python's repr of a float: the shortest digits that read back, with an exponent below 1e-4 and from 1e16 on.
func floatRepr(v float64) string {
	switch {
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	}
	if a := math.Abs(v); a != 0 && (a < 1e-4 || a >= 1e16) {
		s := strconv.FormatFloat(v, 'e', -1, 64)
		return s
	}
	s := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// writeQuoted writes Python's repr of a string: single quotes unless only they occur in it, and escapes for what is not printable.
func writeQuoted(b *strings.Builder, s string) {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	b.WriteByte(quote)
	for _, r := range s {
		switch {
		case r == rune(quote) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r == 0x7f:
			b.WriteString(`\x` + hex(r, 2))
		case r == ' ' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			b.WriteString(`\x` + hex(r, 2))
		case r < 0x10000:
			b.WriteString(`\u` + hex(r, 4))
		default:
			b.WriteString(`\U` + hex(r, 8))
		}
	}
	b.WriteByte(quote)
}

func hex(r rune, digits int) string {
	s := strconv.FormatInt(int64(r), 16)
	return strings.Repeat("0", max(0, digits-len(s))) + s
}

// length is Python's len(v).
func length(v Value) int {
	switch v := v.(type) {
	case string:
		return utf8.RuneCountInString(v)
	case *List:
		return len(v.Items)
	case *Dict:
		return len(v.keys)
	case undefined:
		return 0
	}
	fail(typeError, "object of type '%s' has no len()", typeName(v))
	return 0
}

// iterate is list(v).
func iterate(v Value) []Value {
	switch v := v.(type) {
	case *List:
		return v.Items
	case *Dict:
		out := make([]Value, len(v.keys))
		for i, k := range v.keys {
			out[i] = k
		}
		return out
	case string:
		out := make([]Value, 0, len(v))
		for _, r := range v {
			out = append(out, string(r))
		}
		return out
	case undefined:
		return nil
	}
	fail(typeError, "'%s' object is not iterable", typeName(v))
	return nil
}

// number gives v as a float, and whether it is a number at all. Python's True is 1.
func number(v Value) (float64, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case int64:
		return float64(v), true
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		return f, true
	case float64:
		return v, true
	}
	return 0, false
}

// integer gives v as a big integer, where it is one.
func integer(v Value) (*big.Int, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return big.NewInt(1), true
		}
		return big.NewInt(0), true
	case int64:
		return big.NewInt(v), true
	case *big.Int:
		return v, true
	}
	return nil, false
}

// shrunk is n as an int64 where it fits.
func shrunk(n *big.Int) Value {
	if n.IsInt64() {
		return n.Int64()
	}
	return n
}

// equal is Python's a == b.
func equal(a, b Value) bool { return equalAt(a, b, 0) }

func equalAt(a, b Value, depth int) bool {
	if depth > nestingMax {
		fail(recursionError, "values nest deeper than %d", nestingMax)
	}
	if x, ok := integer(a); ok {
		if y, ok := integer(b); ok {
			return x.Cmp(y) == 0
		}
	}
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y
	}
	switch a := a.(type) {
	case nil:
		return b == nil
	case string:
		s, ok := b.(string)
		return ok && s == a
	case undefined:
		_, ok := b.(undefined)
		return ok
	case *List:
		l, ok := b.(*List)
		if !ok || len(l.Items) != len(a.Items) || l.Tuple != a.Tuple {
			return false
		}
		for i := range a.Items {
			if !equalAt(a.Items[i], l.Items[i], depth+1) {
				return false
			}
		}
		return true
	case *Dict:
		d, ok := b.(*Dict)
		if !ok || len(d.keys) != len(a.keys) {
			return false
		}
		for _, k := range a.keys {
			v, ok := d.values[k]
			if !ok || !equalAt(a.values[k], v, depth+1) {
				return false
			}
		}
		return true
	case *namespace:
		return a == b
	}
	return false
}

// less is Python's a < b for numbers, strings and lists; op names the operator in the error.
func less(a, b Value, op string) bool {
	if x, ok := integer(a); ok {
		if y, ok := integer(b); ok {
			return x.Cmp(y) < 0
		}
	}
	if x, ok := number(a); ok {
		if y, ok := number(b); ok {
			return x < y
		}
	}
	if x, ok := a.(string); ok {
		if y, ok := b.(string); ok {
			return x < y
		}
	}
	if x, ok := a.(*List); ok {
		if y, ok := b.(*List); ok && x.Tuple == y.Tuple {
			for i := range min(len(x.Items), len(y.Items)) {
				if !equal(x.Items[i], y.Items[i]) {
					return less(x.Items[i], y.Items[i], op)
				}
			}
			return len(x.Items) < len(y.Items)
		}
	}
	refuseUndefined(a)
	refuseUndefined(b)
	fail(typeError, "'%s' not supported between instances of '%s' and '%s'", op, typeName(a), typeName(b))
	return false
}

// contains is Python's item in v.
func contains(v, item Value) bool {
	switch v := v.(type) {
	case string:
		s, ok := item.(string)
		if !ok {
			refuseUndefined(item)
			fail(typeError, "'in <string>' requires string as left operand, not %s", typeName(item))
		}
		return strings.Contains(v, s)
	case *Dict:
		s, ok := item.(string)
		if !ok {
			return false
		}
		_, ok = v.values[s]
		return ok
	case *List, undefined:
		for _, x := range iterate(v) {
			if equal(x, item) {
				return true
			}
		}
		return false
	}
	fail(typeError, "argument of type '%s' is not iterable", typeName(v))
	return false
}

func refuseUndefined(v Value) {
	if u, ok := v.(undefined); ok {
		fail(undefinedError, "%s is undefined", u.what)
	}
}
