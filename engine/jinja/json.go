package jinja

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf16"
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

// layout says how tojson writes: separators, and lines that are indented where lines is set.
type layout struct {
	item, key string
	indent    string
	lines     bool
	sorted    bool
	ascii     bool
}

// json writes what Python's json.dumps writes.
func (w *writer) json(v Value, o layout, depth int) {
	tooDeep(depth)
	w.m.spend(1)
	switch v := v.(type) {
	case nil:
		w.put("null")
	case bool:
		w.put(strconv.FormatBool(v))
	case int64:
		w.put(strconv.FormatInt(v, 10))
	case *big.Int:
		w.m.weigh(v)
		w.put(bigText(v))
	case float64:
		w.put(jsonFloat(v))
	case string:
		w.jsonText(v, o.ascii)
	case markup:
		w.jsonText(string(v), o.ascii)
	case *List:
		w.jsonItems(o, depth, "[", "]", len(v.Items), func(i int) { w.json(v.Items[i], o, depth+1) })
	case *Dict:
		entries := v.entries
		if o.sorted {
			entries = sorted(w.m, entries, func(e entry) Value { return e.key }, false)
		}
		w.jsonItems(o, depth, "{", "}", len(entries), func(i int) {
			w.jsonText(w.jsonKey(entries[i].key), o.ascii)
			w.put(o.key)
			w.json(entries[i].value, o, depth+1)
		})
	default:
		fail(typeError, "Object of type %s is not JSON serializable", typeName(v))
	}
}

// jsonKey is how a dict's key is written.
func (w *writer) jsonKey(k Value) string {
	if s, ok := text(k); ok {
		return s
	}
	if k != nil && !isNumber(k) {
		fail(typeError, "keys must be str, int, float, bool or None, not %s", typeName(k))
	}
	in := writer{m: w.m}
	in.json(k, layout{}, 0)
	return in.b.String()
}

func (w *writer) jsonItems(o layout, depth int, open, end string, n int, item func(int)) {
	w.put(open)
	for i := range n {
		if i > 0 {
			w.put(o.item)
		}
		w.jsonLine(o, depth+1)
		item(i)
	}
	if n > 0 {
		w.jsonLine(o, depth)
	}
	w.put(end)
}

func (w *writer) jsonLine(o layout, depth int) {
	if o.lines {
		w.put("\n")
		for range depth {
			w.put(o.indent)
		}
	}
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

func (w *writer) jsonText(s string, ascii bool) {
	piece := append(make([]byte, 0, min(len(s), pieceBytes)+16), '"')
	for _, r := range s {
		if len(piece) > pieceBytes {
			w.putBytes(piece)
			piece = piece[:0]
		}
		piece = appendJSONRune(piece, r, ascii)
	}
	w.putBytes(append(piece, '"'))
}

func appendJSONRune(b []byte, r rune, ascii bool) []byte {
	switch {
	case r == '"' || r == '\\':
		return append(b, '\\', byte(r))
	case r == '\n':
		return append(b, `\n`...)
	case r == '\r':
		return append(b, `\r`...)
	case r == '\t':
		return append(b, `\t`...)
	case r == '\b':
		return append(b, `\b`...)
	case r == '\f':
		return append(b, `\f`...)
	case ascii && r >= 0x10000:
		high, low := utf16.EncodeRune(r)
		return append(append(append(append(b, `\u`...), hex(high, 4)...), `\u`...), hex(low, 4)...)
	case r < 0x20 || ascii && r >= 0x7f:
		return append(append(b, `\u`...), hex(r, 4)...)
	}
	return utf8.AppendRune(b, r)
}

// toJSON is the filter tojson as transformers has it.
func toJSON(r *rendering, x Value, a args) Value {
	v := a.take("tojson", 0, "ensure_ascii", "indent", "separators", "sort_keys")
	o := layout{item: ", ", key: ": "}
	o.ascii = given(v[0]) && truth(v[0])
	o.sorted = given(v[3]) && truth(v[3])
	if indent := or(v[1], nil); indent != nil {
		o.lines, o.item = true, ","
		if s, ok := text(indent); ok {
			o.indent = s
		} else {
			n := max(0, whole(indent, "indent"))
			if n > widthMax {
				fail(limitError, "tojson indents by %d characters; at most %d are made", n, widthMax)
			}
			r.grow(n)
			o.indent = strings.Repeat(" ", n)
		}
	}
	if by := or(v[2], nil); by != nil {
		pair := r.unpack(by, 2)
		o.item, o.key = mustText(pair[0], "item_separator"), mustText(pair[1], "key_separator")
	}
	w := writer{m: &r.meter}
	w.json(x, o, 0)
	return w.b.String()
}
