package jinja

import (
	"fmt"
	"unicode/utf8"
)

// iterator is a Python iterator or generator: what it gives, it gives once.
type iterator struct {
	kind string
	next func() (Value, bool)
}

func (it *iterator) typeName() string { return it.kind }

func (it *iterator) repr(*meter) string { return "<" + it.kind + " object>" }

func (it *iterator) attr(*rendering, string) (Value, bool) { return nil, false }

// generator makes the iterator of a filter that computes each item when it is asked for. start runs at the first.
func generator(m *meter, start func() func() (Value, bool)) *iterator {
	m.grow(4 * objectBytes) // with what start holds
	var next func() (Value, bool)
	return &iterator{"generator", func() (Value, bool) {
		if next == nil {
			next = start()
		}
		return next()
	}}
}

func nothing() (Value, bool) { return nil, false }

// span is a Python range.
type span struct{ start, stop, step int }

func (s span) length() int {
	switch {
	case s.step > 0 && s.start < s.stop:
		return (s.stop-s.start-1)/s.step + 1
	case s.step < 0 && s.start > s.stop:
		return (s.start-s.stop-1)/-s.step + 1
	}
	return 0
}

func (s span) at(i int) Value { return int64(s.start + i*s.step) }

func (s span) typeName() string { return "range" }

func (s span) repr(*meter) string {
	if s.step == 1 {
		return fmt.Sprintf("range(%d, %d)", s.start, s.stop)
	}
	return fmt.Sprintf("range(%d, %d, %d)", s.start, s.stop, s.step)
}

func (s span) attr(_ *rendering, name string) (Value, bool) {
	switch name {
	case "start":
		return int64(s.start), true
	case "stop":
		return int64(s.stop), true
	case "step":
		return int64(s.step), true
	case "index", "count":
		return &callable{name, func(r *rendering, a args) Value {
			return r.lib.tuple[name](r, &List{Items: list(&r.meter, s)}, a)
		}}, true
	}
	return nil, false
}

// iterable tells whether v can be iterated.
func iterable(v Value) bool {
	switch v.(type) {
	case string, markup, *List, *Dict, *view, span, *iterator, *loop, undefined:
		return true
	}
	return false
}

// iterate is Python's iter(v): each call of the result gives the next item. Every item costs a step.
func iterate(m *meter, v Value) func() (Value, bool) {
	counted := func(n int, at func(i int) Value) func() (Value, bool) {
		i := 0
		return func() (Value, bool) {
			if i >= n {
				return nil, false
			}
			m.spend(1)
			i++
			return at(i - 1), true
		}
	}
	switch v := v.(type) {
	case *List:
		return counted(len(v.Items), func(i int) Value { return v.Items[i] })
	case *Dict:
		return counted(len(v.entries), func(i int) Value { return v.entries[i].key })
	case *view:
		return counted(len(v.of.entries), v.entry)
	case span:
		return counted(v.length(), v.at)
	case string:
		return runes(m, v, func(s string) Value { return s })
	case markup: // the characters of markup are plain strings
		return runes(m, string(v), func(s string) Value { return s })
	case *iterator:
		return func() (Value, bool) {
			m.deeper() // iterators may feed each other
			item, ok := v.next()
			m.depth--
			return item, ok
		}
	case *loop:
		return v.again
	case undefined:
		return nothing
	}
	fail(typeError, "'%s' object is not iterable", typeName(v))
	return nil
}

func runes(m *meter, s string, made func(s string) Value) func() (Value, bool) {
	return func() (Value, bool) {
		if s == "" {
			return nil, false
		}
		m.spend(1)
		_, n := utf8.DecodeRuneInString(s)
		r := s[:n]
		s = s[n:]
		return made(r), true
	}
}

// list is Python's list(v). The caller must not change the result, which may be v's own items.
func list(m *meter, v Value) []Value {
	if l, ok := v.(*List); ok {
		return l.Items
	}
	var out []Value
	next := iterate(m, v)
	for item, ok := next(); ok; item, ok = next() {
		m.grow(slotBytes)
		out = append(out, item)
	}
	return out
}

// reversed is Python's reversed(v), as an iterator's next.
func reversed(m *meter, v Value) (func() (Value, bool), string) {
	kind := map[string]string{"list": "list_reverseiterator", "range": "range_iterator", "dict": "dict_reversekeyiterator"}[typeName(v)]
	if kind == "" {
		kind = "reversed"
	}
	switch v.(type) {
	case *List, *Dict, *view, span, string, markup, undefined:
	default:
		fail(typeError, "'%s' object is not reversible", typeName(v))
	}
	items := list(m, v)
	i := len(items)
	return func() (Value, bool) {
		if i == 0 {
			return nil, false
		}
		m.spend(1)
		i--
		return items[i], true
	}, kind
}
