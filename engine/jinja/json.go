package jinja

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/big"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// FromJSON reads a JSON text as Python's json.loads does: dicts keep their order, 1 and 1.0 stay apart, whole numbers have any
// size.
func FromJSON(text []byte) (Value, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := readJSON(d, 0)
	if err != nil {
		return nil, fmt.Errorf("not a JSON value: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("not one JSON value: something follows it at byte %d", d.InputOffset())
	}
	return v, nil
}

func readJSON(d *json.Decoder, depth int) (Value, error) {
	if depth > nestingMax {
		return nil, fmt.Errorf("it nests deeper than %d", nestingMax)
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '[' {
			return readArray(d, depth)
		}
		return readObject(d, depth)
	case json.Number:
		return readNumber(string(t))
	}
	return t, nil // nil, bool, string
}

func readArray(d *json.Decoder, depth int) (Value, error) {
	l := &List{}
	for d.More() {
		v, err := readJSON(d, depth+1)
		if err != nil {
			return nil, err
		}
		l.Items = append(l.Items, v)
	}
	_, err := d.Token()
	return l, err
}

func readObject(d *json.Decoder, depth int) (Value, error) {
	o := NewDict()
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := readJSON(d, depth+1)
		if err != nil {
			return nil, err
		}
		o.Set(k.(string), v)
	}
	_, err := d.Token()
	return o, err
}

// digitsMax bounds a whole number's digits, as Python bounds them (4,300).
const digitsMax = 4300

func readNumber(s string) (Value, error) {
	if strings.ContainsAny(s, ".eE") {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil && !math.IsInf(f, 0) {
			return nil, err
		}
		return f, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	n, ok := new(big.Int).SetString(s, 10)
	if !ok || len(s) > digitsMax {
		return nil, fmt.Errorf("%.40q is not a number of at most %d digits", s, digitsMax)
	}
	return n, nil
}

// layout says how tojson writes: separators, and the indentation where it is not negative.
type layout struct {
	item, key string
	indent    string
	lines     bool
	sorted    bool
	ascii     bool
}

// writeJSON is json.dumps(v, ensure_ascii=False).
func writeJSON(b *strings.Builder, v Value, o layout, depth int) {
	if depth > nestingMax {
		fail(recursionError, "values nest deeper than %d", nestingMax)
	}
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case *big.Int:
		b.WriteString(v.String())
	case float64:
		b.WriteString(jsonFloat(v))
	case string:
		writeJSONString(b, v, o.ascii)
	case *List:
		writeJSONItems(b, o, depth, '[', ']', len(v.Items), func(i int) { writeJSON(b, v.Items[i], o, depth+1) })
	case *Dict:
		keys := v.keys
		if o.sorted {
			keys = sortedStrings(keys)
		}
		writeJSONItems(b, o, depth, '{', '}', len(keys), func(i int) {
			writeJSONString(b, keys[i], o.ascii)
			b.WriteString(o.key)
			writeJSON(b, v.values[keys[i]], o, depth+1)
		})
	default:
		fail(typeError, "Object of type %s is not JSON serializable", typeName(v))
	}
}

func writeJSONItems(b *strings.Builder, o layout, depth int, open, end byte, n int, item func(int)) {
	b.WriteByte(open)
	for i := range n {
		if i > 0 {
			b.WriteString(o.item)
		}
		if o.lines {
			b.WriteByte('\n')
			b.WriteString(strings.Repeat(o.indent, depth+1))
		}
		item(i)
	}
	if o.lines && n > 0 {
		b.WriteByte('\n')
		b.WriteString(strings.Repeat(o.indent, depth))
	}
	b.WriteByte(end)
}

func jsonFloat(v float64) string {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	}
	return floatRepr(v)
}

func writeJSONString(b *strings.Builder, s string, ascii bool) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case r < 0x20:
			b.WriteString(`\u` + hex(r, 4))
		case ascii && r >= 0x10000:
			r -= 0x10000
			b.WriteString(`\u` + hex(0xd800+r>>10, 4) + `\u` + hex(0xdc00+r&0x3ff, 4))
		case ascii && r >= utf8.RuneSelf:
			b.WriteString(`\u` + hex(r, 4))
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}

// FromGo turns Go values into template values: nil, bool, ints, floats, strings, slices of any and maps with string keys, whose
// keys are sorted since a Go map has no order.
func FromGo(v any) Value {
	switch v := v.(type) {
	case int:
		return int64(v)
	case []any:
		l := &List{}
		for _, x := range v {
			l.Items = append(l.Items, FromGo(x))
		}
		return l
	case []string:
		l := &List{}
		for _, x := range v {
			l.Items = append(l.Items, x)
		}
		return l
	case map[string]any:
		d := NewDict()
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		for _, k := range sortedStrings(keys) {
			d.Set(k, FromGo(v[k]))
		}
		return d
	}
	return v
}

func sortedStrings(keys []string) []string {
	out := append([]string(nil), keys...)
	sort.Strings(out)
	return out
}
