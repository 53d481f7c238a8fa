package jinja

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// nestingMax bounds how deep values nest when they are read, written and compared.
const nestingMax = 200

// str is Python's str(v), and nothing for what is undefined.
func str(m *meter, v Value) string {
	switch v := v.(type) {
	case string:
		return v
	case markup:
		return string(v)
	case undefined:
		return ""
	}
	return repr(m, v)
}

// repr is Python's repr(v).
func repr(m *meter, v Value) string {
	w := writer{m: m}
	w.repr(v, 0)
	return w.b.String()
}

// writer makes text and pays for it as it grows, so that shared values that nest in each other cannot outgrow the bounds.
type writer struct {
	b strings.Builder
	m *meter
}

// pieceBytes is how much of a text is escaped before it is paid for, since escapes can be six times their character.
const pieceBytes = 4096

func (w *writer) put(s string) {
	w.m.grow(len(s))
	w.b.WriteString(s)
}

func (w *writer) putBytes(b []byte) {
	w.m.grow(len(b))
	w.b.Write(b)
}

func (w *writer) repr(v Value, depth int) {
	tooDeep(depth)
	w.m.spend(1)
	switch v := v.(type) {
	case nil:
		w.put("None")
	case bool:
		if v {
			w.put("True")
		} else {
			w.put("False")
		}
	case int64:
		w.put(strconv.FormatInt(v, 10))
	case *big.Int:
		w.m.weigh(v)
		w.put(bigText(v))
	case float64:
		w.put(floatRepr(v))
	case string:
		w.quoted(v)
	case markup:
		w.put("Markup(")
		w.quoted(string(v))
		w.put(")")
	case *List:
		w.list(v, depth)
	case *Dict:
		w.put("{")
		for i, e := range v.entries {
			if i > 0 {
				w.put(", ")
			}
			w.repr(e.key, depth+1)
			w.put(": ")
			w.repr(e.value, depth+1)
		}
		w.put("}")
	case undefined:
		w.put("Undefined")
	case *namespace:
		w.put("<Namespace ")
		w.repr(v.vars, depth+1)
		w.put(">")
	case object:
		w.put(v.repr(w.m))
	default:
		w.put("<object>")
	}
}

func (w *writer) list(v *List, depth int) {
	open, end := "[", "]"
	if v.Tuple {
		open, end = "(", ")"
		if len(v.Items) == 1 {
			end = ",)"
		}
	}
	w.put(open)
	for i, item := range v.Items {
		if i > 0 {
			w.put(", ")
		}
		w.repr(item, depth+1)
	}
	w.put(end)
}

func tooDeep(depth int) {
	if depth > nestingMax {
		fail(recursionError, "values nest deeper than %d", nestingMax)
	}
}

func bigText(n *big.Int) string {
	s := n.String()
	if len(strings.TrimPrefix(s, "-")) > digitsMax {
		fail(valueError, "Exceeds the limit (%d digits) for integer string conversion", digitsMax)
	}
	return s
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
		return strconv.FormatFloat(v, 'e', -1, 64)
	}
	s := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// quoted is Python's repr of a string: single quotes unless only they occur in it, and escapes for what is not printable.
func quoted(s string) string {
	quote := quoteOf(s)
	b := append(make([]byte, 0, len(s)+2), quote)
	for _, r := range s {
		b = appendQuoted(b, r, quote)
	}
	return string(append(b, quote))
}

// quoted writes the repr of a string in pieces.
func (w *writer) quoted(s string) {
	quote := quoteOf(s)
	piece := append(make([]byte, 0, min(len(s), pieceBytes)+16), quote)
	for _, r := range s {
		if len(piece) > pieceBytes {
			w.putBytes(piece)
			piece = piece[:0]
		}
		piece = appendQuoted(piece, r, quote)
	}
	w.putBytes(append(piece, quote))
}

func quoteOf(s string) byte {
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		return '"'
	}
	return '\''
}

func appendQuoted(b []byte, r rune, quote byte) []byte {
	switch {
	case r == rune(quote) || r == '\\':
		return append(b, '\\', byte(r))
	case r == '\n':
		return append(b, `\n`...)
	case r == '\r':
		return append(b, `\r`...)
	case r == '\t':
		return append(b, `\t`...)
	case r == ' ' || unicode.IsPrint(r):
		return utf8.AppendRune(b, r)
	case r < 0x100:
		return append(append(b, `\x`...), hex(r, 2)...)
	case r < 0x10000:
		return append(append(b, `\u`...), hex(r, 4)...)
	}
	return append(append(b, `\U`...), hex(r, 8)...)
}

func hex(r rune, digits int) string {
	s := strconv.FormatInt(int64(r), 16)
	return strings.Repeat("0", max(0, digits-len(s))) + s
}

// isSpace tells what Python's str.strip takes away.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

func trimSpace(s string) string { return strings.TrimFunc(s, isSpace) }

// escape makes text safe between HTML tags, as markupsafe does.
func escape(m *meter, s string) markup {
	m.growTimes(5, len(s)) // its escapes
	out := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", `"`, "&#34;").Replace(s)
	return markup(out)
}

// escaped is v as markup: as it is where it is markup, its escaped text otherwise.
func escaped(m *meter, v Value) markup {
	if u, ok := v.(markup); ok {
		return u
	}
	return escape(m, str(m, v))
}
