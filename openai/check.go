package openai

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"github.com/weir-ai/weir/llm"
)

// depthMax bounds how deep a body nests. The deepest honest bodies are JSON schemas, below 20; at 100 the checker's recursion
// costs a few kilobytes of stack.
const depthMax = 100

// keysLinear is how many keys of one object are compared one by one; larger objects are hashed. Below it a comparison is cheaper
// than a map, above it a hostile object of many keys would cost the square of their number.
const keysLinear = 16

// keysMax bounds the keys of one object, because all of them are kept until it closes. The largest honest objects are logit_bias, with
// biasMax entries, and the properties of JSON schemas, some hundreds.
const keysMax = 4096

// check reports the first thing that makes body something else than one JSON value of RFC 8259 in valid UTF-8: the grammar, bytes
// after the value, nesting beyond depthMax, a key that comes twice in one object, half of a surrogate pair. encoding/json lets the
// last three pass, and two readers of such a body may then see two different requests.
func check(body []byte) error {
	_, err := checked(body, nil)
	return err
}

// checked is check, and notes where the members of the body's object stand: behind those that fields has.
func checked(body []byte, fields []llm.Field) ([]llm.Field, error) {
	c := checker{b: body, fields: fields, noting: fields != nil}
	if err := c.whole(); err != nil {
		return nil, err
	}
	return c.fields, nil
}

func (c *checker) whole() error {
	c.space()
	if c.i == len(c.b) {
		return llm.Errorf(llm.Invalid, "The body is empty; send a JSON object.")
	}
	if err := c.value(0); err != nil {
		return err
	}
	c.space()
	if c.i < len(c.b) {
		return c.fail("there is more after the JSON value; send exactly one object")
	}
	return nil
}

// checker walks over a body once.
type checker struct {
	b    []byte
	i    int
	keys [][]byte // the keys of the objects that are open, innermost last

	noting bool        // fields are wanted
	fields []llm.Field // the members of the outermost object
}

// fail makes the error for what stands at the present place.
func (c *checker) fail(format string, args ...any) error {
	seen := c.b[:min(c.i, len(c.b))]
	line := 1 + bytes.Count(seen, []byte{'\n'})
	column := len(seen) - bytes.LastIndexByte(seen, '\n')
	return llm.Errorf(llm.Invalid, "The body is not valid JSON at line %d, column %d: %s.", line, column, fmt.Sprintf(format, args...))
}

func (c *checker) space() {
	for c.i < len(c.b) && isSpace(c.b[c.i]) {
		c.i++
	}
}

func isSpace(b byte) bool { return b == ' ' || b == '\n' || b == '\t' || b == '\r' }

func (c *checker) value(depth int) error {
	if depth > depthMax {
		return c.fail("it nests deeper than %d levels", depthMax)
	}
	if c.i == len(c.b) {
		return c.fail("it ends where a value should be")
	}
	switch b := c.b[c.i]; {
	case b == '{':
		return c.object(depth)
	case b == '[':
		return c.list(depth)
	case b == '"':
		return c.text()
	case b == '-' || b >= '0' && b <= '9':
		return c.number()
	}
	for _, word := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(c.b[c.i:], []byte(word)) {
			c.i += len(word)
			return nil
		}
	}
	return c.fail("%q cannot begin a value", excerpt(c.b[c.i:]))
}

// object checks an object and that no key comes twice in it.
func (c *checker) object(depth int) error {
	c.i++
	first := len(c.keys)
	defer func() { c.keys = c.keys[:first] }()
	var hashed map[string]struct{}
	for c.space(); ; c.space() {
		if c.i < len(c.b) && c.b[c.i] == '}' && len(c.keys) == first {
			break
		}
		if c.i == len(c.b) || c.b[c.i] != '"' {
			return c.fail("a key in double quotes must be here")
		}
		start := c.i
		if err := c.text(); err != nil {
			return err
		}
		key := unquoted(c.b[start:c.i])
		if c.twice(first, key, &hashed) {
			c.i = start
			return c.fail("the key %.100q comes twice in one object; keep one of them", key)
		}
		if len(c.keys)-first == keysMax {
			c.i = start
			return c.fail("an object has more than %d keys", keysMax)
		}
		c.keys = append(c.keys, key)
		if c.space(); c.i == len(c.b) || c.b[c.i] != ':' {
			return c.fail("a colon must follow the key")
		}
		c.i++
		c.space()
		at := c.i
		if err := c.value(depth + 1); err != nil {
			return err
		}
		if depth == 0 && c.noting {
			c.fields = append(c.fields, llm.Field{From: start, Value: at, To: c.i})
		}
		if c.space(); c.i < len(c.b) && c.b[c.i] == ',' {
			c.i++
			continue
		}
		if c.i == len(c.b) || c.b[c.i] != '}' {
			return c.fail("a comma or the object's closing brace must be here")
		}
		break
	}
	c.i++
	return nil
}

// twice reports whether key is among the keys of the innermost open object, which begin at first.
func (c *checker) twice(first int, key []byte, hashed *map[string]struct{}) bool {
	own := c.keys[first:]
	if len(own) < keysLinear {
		for _, k := range own {
			if bytes.Equal(k, key) {
				return true
			}
		}
		return false
	}
	if *hashed == nil {
		*hashed = make(map[string]struct{}, 4*keysLinear)
		for _, k := range own {
			(*hashed)[string(k)] = struct{}{}
		}
	}
	_, seen := (*hashed)[string(key)]
	(*hashed)[string(key)] = struct{}{}
	return seen
}

func (c *checker) list(depth int) error {
	c.i++
	if c.space(); c.i < len(c.b) && c.b[c.i] == ']' {
		c.i++
		return nil
	}
	for {
		c.space()
		if err := c.value(depth + 1); err != nil {
			return err
		}
		if c.space(); c.i < len(c.b) && c.b[c.i] == ',' {
			c.i++
			continue
		}
		if c.i == len(c.b) || c.b[c.i] != ']' {
			return c.fail("a comma or the list's closing bracket must be here")
		}
		c.i++
		return nil
	}
}

func (c *checker) text() error {
	for c.i++; c.i < len(c.b); {
		c.i += plainRun(c.b[c.i:])
		if c.i == len(c.b) {
			break
		}
		switch b := c.b[c.i]; {
		case b == '"':
			c.i++
			return nil
		case b == '\\':
			if err := c.escape(); err != nil {
				return err
			}
		case b < 0x20:
			return c.fail("the control character %#02x must be escaped in a string", b)
		case b < utf8.RuneSelf:
			c.i++
		default:
			r, n := utf8.DecodeRune(c.b[c.i:])
			if r == utf8.RuneError && n == 1 {
				return c.fail("the byte %#02x is not valid UTF-8", b)
			}
			c.i += n
		}
	}
	return c.fail("a string is not closed")
}

// plainRun is how many of the first bytes of b are letters of a string that mean themselves: ASCII but for quotes, backslashes and
// control characters. Eight at a time, because prompts are long and nearly all of them is such.
func plainRun(b []byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(b); i += 8 {
		v := binary.LittleEndian.Uint64(b[i:])
		quote, slash := v^(ones*'"'), v^(ones*'\\')
		odd := v | (v - ones*0x20) | (quote - ones) | (slash - ones) // a borrow from below only ever adds a byte that is looked at again
		if odd&tops != 0 {
			break
		}
	}
	for i < len(b) && b[i] >= 0x20 && b[i] < utf8.RuneSelf && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// escape checks one escape sequence; a surrogate must come with its other half.
func (c *checker) escape() error {
	rest := c.b[c.i:]
	if len(rest) < 2 {
		c.i = len(c.b)
		return c.fail("a string is not closed")
	}
	switch rest[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		c.i += 2
		return nil
	case 'u':
		u, ok := hex4(rest[2:])
		switch {
		case !ok:
			return c.fail(`\u needs four hexadecimal digits`)
		case u < 0xd800 || u > 0xdfff:
			c.i += 6
			return nil
		case u < 0xdc00 && len(rest) >= 12 && rest[6] == '\\' && rest[7] == 'u':
			if low, ok := hex4(rest[8:]); ok && low >= 0xdc00 && low <= 0xdfff {
				c.i += 12
				return nil
			}
		}
		return c.fail("%s is half of a surrogate pair, which is no character; a text was cut inside an emoji, perhaps", rest[:6])
	}
	return c.fail("%q is not an escape sequence", excerpt(rest[:2]))
}

// hex4 reads four hexadecimal digits.
func hex4(b []byte) (u rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, d := range b[:4] {
		switch {
		case d >= '0' && d <= '9':
			u = u<<4 | rune(d-'0')
		case d|0x20 >= 'a' && d|0x20 <= 'f':
			u = u<<4 | rune(d|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return u, true
}

func (c *checker) number() error {
	if c.b[c.i] == '-' {
		c.i++
	}
	if c.i < len(c.b) && c.b[c.i] == '0' {
		c.i++
		if c.i < len(c.b) && c.b[c.i] >= '0' && c.b[c.i] <= '9' {
			return c.fail("a number must not begin with 0")
		}
	} else if !c.digits() {
		return c.fail("a digit must be here")
	}
	if c.i < len(c.b) && c.b[c.i] == '.' {
		c.i++
		if !c.digits() {
			return c.fail("a digit must follow the decimal point")
		}
	}
	if c.i < len(c.b) && c.b[c.i]|0x20 == 'e' {
		c.i++
		if c.i < len(c.b) && (c.b[c.i] == '+' || c.b[c.i] == '-') {
			c.i++
		}
		if !c.digits() {
			return c.fail("a digit must follow the exponent's e")
		}
	}
	return nil
}

func (c *checker) digits() bool {
	start := c.i
	for c.i < len(c.b) && c.b[c.i] >= '0' && c.b[c.i] <= '9' {
		c.i++
	}
	return c.i > start
}

// excerpt is the beginning of b, short enough for a message.
func excerpt(b []byte) []byte {
	const most = 20
	if len(b) <= most {
		return b
	}
	return b[:most]
}
