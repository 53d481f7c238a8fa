package jinja

import (
	"strconv"
	"strings"
)

// formatText is str.format, and formatMap its form with one mapping.
func formatText(r *rendering, x Value, a args) Value {
	_, mark := x.(markup)
	f := &formatter{r: r, args: a, mark: mark}
	return f.fill(mustText(x, "self"), 0)
}

func formatMap(r *rendering, x Value, a args) Value {
	d, ok := a.positional("format_map", 1, 1)[0].(*Dict)
	if !ok {
		fail(typeError, "format_map() takes a mapping")
	}
	return formatText(r, x, args{named: d})
}

// formatter fills the fields of a format string, whose attributes and items are looked up as the template's own are.
type formatter struct {
	r    *rendering
	args args
	next int // the next field without a name; -1 once a field has a number
	mark bool
}

// fill gives s with its fields filled; depth counts formats in formats, of which Python allows two.
func (f *formatter) fill(s string, depth int) string {
	if depth > 2 {
		fail(valueError, "Max string recursion exceeded")
	}
	w := writer{m: &f.r.meter}
	for s != "" {
		at := strings.IndexAny(s, "{}")
		if at < 0 {
			w.put(s)
			break
		}
		w.put(s[:at])
		bracket := s[at]
		s = s[at+1:]
		switch {
		case strings.HasPrefix(s, string(bracket)):
			w.put(string(bracket))
			s = s[1:]
		case bracket == '}':
			fail(valueError, "Single '}' encountered in format string")
		default:
			end := fieldEnd(s)
			w.put(f.field(s[:end], depth))
			s = s[end+1:]
		}
	}
	return w.b.String()
}

// fieldEnd finds the bracket that ends the field at the start of s.
func fieldEnd(s string) int {
	open := 1
	for i := range len(s) {
		switch s[i] {
		case '{':
			open++
		case '}':
			open--
			if open == 0 {
				return i
			}
		}
	}
	fail(valueError, "expected '}' before end of string")
	return 0
}

// field is the text of name!conversion:spec.
func (f *formatter) field(s string, depth int) string {
	name, spec, conversion := s, "", ""
	brackets := 0
	for i := range len(s) {
		if s[i] == '[' {
			brackets++
		} else if s[i] == ']' {
			brackets--
		}
		if brackets > 0 || s[i] != '!' && s[i] != ':' {
			continue
		}
		name = s[:i]
		if rest := s[i+1:]; s[i] == ':' {
			spec = rest
		} else {
			conversion, spec, _ = strings.Cut(rest, ":")
			if len(conversion) != 1 {
				fail(valueError, "expected ':' after conversion specifier")
			}
		}
		break
	}
	v := f.value(name)
	switch conversion {
	case "":
	case "s":
		v = str(&f.r.meter, v)
	case "r", "a":
		v = repr(&f.r.meter, v)
	default:
		fail(valueError, "Unknown conversion specifier '%s'", conversion)
	}
	out := f.r.format(v, f.fill(spec, depth+1))
	if _, safe := v.(markup); f.mark && !safe {
		out = string(escape(&f.r.meter, out))
	}
	return out
}

// value looks up a field's name: an argument, then .attribute and [item].
func (f *formatter) value(name string) Value {
	end := strings.IndexAny(name, ".[")
	if end < 0 {
		end = len(name)
	}
	if name != "" && end == 0 { // fields without a name are numbered only where nothing follows
		fail(keyError, "''")
	}
	v := f.argument(name[:end])
	for rest := name[end:]; rest != ""; {
		if rest[0] == '.' {
			end := strings.IndexAny(rest[1:], ".[")
			if end < 0 {
				end = len(rest) - 1
			}
			if end == 0 {
				fail(valueError, "Empty attribute in format string")
			}
			v, rest = f.r.attribute(v, rest[1:1+end]), rest[1+end:]
			continue
		}
		end := strings.IndexByte(rest, ']')
		if rest[0] != '[' || end < 0 {
			fail(valueError, "Only '.' or '[' may follow ']' in format field specifier")
		}
		key := Value(rest[1:end])
		if n, err := strconv.ParseUint(rest[1:end], 10, 31); err == nil {
			key = int64(n)
		}
		v, rest = f.r.item(v, key), rest[end+1:]
	}
	return v
}

func (f *formatter) argument(name string) Value {
	if name == "" {
		if f.next < 0 {
			fail(valueError, "cannot switch from manual field specification to automatic field numbering")
		}
		f.next++
		return f.positional(f.next - 1)
	}
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		if f.next > 0 {
			fail(valueError, "cannot switch from automatic field numbering to manual field specification")
		}
		f.next = -1
		return f.positional(int(n))
	}
	if f.args.named != nil {
		if v, ok := f.args.named.Get(name); ok {
			return v
		}
	}
	fail(keyError, "%s", quoted(name))
	return nil
}

func (f *formatter) positional(i int) Value {
	if i >= len(f.args.pos) {
		fail(indexError, "Replacement index %d out of range for positional args tuple", i)
	}
	return f.args.pos[i]
}
