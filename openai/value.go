package openai

import (
	"bytes"
	"iter"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/weir-ai/weir/llm"
)

// value is one JSON value of a checked body, without space around it. It refers to the body's bytes.
type value []byte

// kind is what a value is, in the words of messages.
func (v value) kind() string {
	switch v[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

func (v value) null() bool   { return v[0] == 'n' }
func (v value) object() bool { return v[0] == '{' }
func (v value) list() bool   { return v[0] == '[' }
func (v value) string() bool { return v[0] == '"' }
func (v value) number() bool { return v[0] == '-' || v[0] >= '0' && v[0] <= '9' }

// shown is the value as messages quote it: short ones whole, others by their kind.
func (v value) shown() string {
	const most = 60
	if len(v) > most || v.object() {
		return v.kind()
	}
	return string(v)
}

// members gives the keys and values of an object in their order.
func (v value) members() iter.Seq2[string, value] {
	return func(yield func(string, value) bool) {
		for i := skipSpace(v, 1); v[i] != '}'; {
			end := after(v, i)
			key := string(unquoted(v[i:end]))
			i = skipSpace(v, skipSpace(v, end)+1)
			end = after(v, i)
			if !yield(key, v[i:end]) {
				return
			}
			if i = skipSpace(v, end); v[i] == ',' {
				i = skipSpace(v, i+1)
			}
		}
	}
}

// items gives the values of a list in their order.
func (v value) items() iter.Seq2[int, value] {
	return func(yield func(int, value) bool) {
		n := 0
		for i := skipSpace(v, 1); v[i] != ']'; n++ {
			end := after(v, i)
			if !yield(n, v[i:end]) {
				return
			}
			if i = skipSpace(v, end); v[i] == ',' {
				i = skipSpace(v, i+1)
			}
		}
	}
}

// empty reports whether a list or an object holds nothing.
func (v value) empty() bool { return v[skipSpace(v, 1)] == ']' || v[skipSpace(v, 1)] == '}' }

// get is the value of one key of an object, nil where it is not there.
func (v value) get(key string) value {
	for k, m := range v.members() {
		if k == key {
			return m
		}
	}
	return nil
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}

// after is the place behind the value that begins at i. The body has been checked, so quotes and brackets pair up.
func after(b []byte, i int) int {
	switch b[i] {
	case '"':
		return afterText(b, i)
	case '{', '[':
		for depth := 0; ; {
			switch b[i] {
			case '"':
				i = afterText(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
	}
	for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' && !isSpace(b[i]) {
		i++
	}
	return i
}

func afterText(b []byte, i int) int {
	for i++; ; i++ {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
}

// text is a string's content.
func (v value) text() string { return string(unquoted(v)) }

// unquoted resolves the escapes of a checked string. Without escapes it refers to the string itself.
func unquoted(b []byte) []byte {
	b = b[1 : len(b)-1]
	at := bytes.IndexByte(b, '\\')
	if at < 0 {
		return b
	}
	out := append(make([]byte, 0, len(b)), b[:at]...)
	for i := at; i < len(b); {
		if b[i] != '\\' {
			out = append(out, b[i])
			i++
			continue
		}
		switch e := b[i+1]; e {
		case 'u':
			r, _ := hex4(b[i+2:])
			i += 6
			if r >= 0xd800 && r <= 0xdfff {
				low, _ := hex4(b[i+2:])
				r = (r-0xd800)<<10 | (low - 0xdc00) + 0x10000
				i += 6
			}
			out = utf8.AppendRune(out, r)
			continue
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		default:
			out = append(out, e)
		}
		i += 2
	}
	return out
}

// wrongType is the error for a value of another type than the field has.
func wrongType(path, want string, v value) error {
	return llm.InvalidField(path, "%s must be %s, but it is %s.", path, want, v.describe())
}

// describe is the kind of a value, with the value itself where it is short.
func (v value) describe() string {
	if s := v.shown(); s != v.kind() && !v.null() {
		return v.kind() + " (" + s + ")"
	}
	return v.kind()
}

// asText reads a string of at most most bytes.
func (v value) asText(path string, most int) (string, error) {
	if !v.string() {
		return "", wrongType(path, "a string", v)
	}
	s := v.text()
	if len(s) > most {
		return "", llm.InvalidField(path, "%s has %d bytes; at most %d are allowed.", path, len(s), most)
	}
	return s, nil
}

// asBool reads a boolean.
func (v value) asBool(path string) (bool, error) {
	if v[0] != 't' && v[0] != 'f' {
		return false, wrongType(path, "true or false", v)
	}
	return v[0] == 't', nil
}

// asNumber reads a number from least to most.
func (v value) asNumber(path string, least, most float64) (float64, error) {
	if !v.number() {
		return 0, wrongType(path, "a number", v)
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || f < least || f > most {
		return 0, llm.InvalidField(path, "%s is %s; it must be from %g to %g.", path, v.shown(), least, most)
	}
	return f, nil
}

// asInt reads a whole number from least to most. A number such as 5.0 or 1e3 is whole, too.
func (v value) asInt(path string, least, most int64) (int64, error) {
	if !v.number() {
		return 0, wrongType(path, "a whole number", v)
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(string(v), 64)
		if ferr == nil && f != math.Trunc(f) {
			return 0, wrongType(path, "a whole number", v)
		}
		// Beyond 2^53 a float no longer names one whole number.
		if ferr != nil || math.Abs(f) > 1<<53 {
			return 0, outOfRange(path, v, least, most)
		}
		n = int64(f)
	}
	if n < least || n > most {
		return 0, outOfRange(path, v, least, most)
	}
	return n, nil
}

func outOfRange(path string, v value, least, most int64) error {
	if most >= math.MaxInt32 && (v[0] == '-' || string(v) == "0") {
		return llm.InvalidField(path, "%s is %s; it must be %d or more.", path, v.shown(), least)
	}
	return llm.InvalidField(path, "%s is %s; it must be from %d to %d.", path, v.shown(), least, most)
}
