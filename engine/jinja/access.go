package jinja

import (
	"strings"
	"unicode/utf8"
)

// attribute is x.name: what Python's object has under the name, else the item.
func (r *rendering) attribute(x Value, name string) Value {
	refuseUndefined(x)
	if v, ok := r.own(x, name); ok {
		return v
	}
	if v, ok := r.at(x, name); ok {
		return v
	}
	return noAttribute(x, name)
}

// item is x[key]: the item, else what Python's object has under that name.
func (r *rendering) item(x, key Value) Value {
	refuseUndefined(x)
	if v, ok := r.at(x, key); ok {
		return v
	}
	if name, ok := text(key); ok {
		if v, ok := r.own(x, name); ok {
			return v
		}
	}
	return noAttribute(x, key)
}

// own finds an attribute of x itself. What the sandbox forbids is found as something that fails when it is used.
func (r *rendering) own(x Value, name string) (Value, bool) {
	if o, ok := x.(object); ok {
		if v, ok := o.attr(r, name); ok {
			return v, true
		}
		if _, ok := x.(*namespace); ok {
			return nil, false
		}
	}
	if strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__") && r.lib.dunders[name] {
		return unsafe(x, name), true
	}
	var methods map[string]function
	switch x := x.(type) {
	case string, markup:
		methods = r.lib.text
	case *Dict:
		methods = r.lib.dict
	case *List:
		if i := map[string]int{"grouper": 1, "list": 2}[name]; x.group && i > 0 {
			return x.Items[i-1], true
		}
		methods = r.lib.list
		if x.Tuple {
			methods = r.lib.tuple
		}
	case float64:
		methods = r.lib.float
	case nil:
		return nil, false
	default:
		if isNumber(x) {
			methods = r.lib.integer
		}
	}
	fn, ok := methods[name]
	if !ok {
		return nil, false
	}
	if fn == nil {
		return unsafe(x, name), true
	}
	r.grow(objectBytes)
	return &callable{name, func(r *rendering, a args) Value { return r.apply(fn, x, a) }}, true
}

func unsafe(x Value, name string) Value {
	return undefined{securityError, "access to attribute " + quoted(name) + " of " + quoted(typeName(x)) + " object is unsafe."}
}

// at is x[key] where x has it.
func (r *rendering) at(x, key Value) (Value, bool) {
	if d, ok := x.(*Dict); ok {
		if !hashable(key, 0) {
			return nil, false
		}
		return d.find(&r.meter, key)
	}
	n, ok := integer(key)
	if !ok {
		return nil, false
	}
	i := clamp(n)
	switch x := x.(type) {
	case *List:
		if i = fromEnd(i, len(x.Items)); i >= 0 {
			return x.Items[i], true
		}
	case span:
		if i = fromEnd(i, x.length()); i >= 0 {
			return x.at(i), true
		}
	case string:
		return r.runeAt(x, i)
	case markup:
		v, ok := r.runeAt(string(x), i)
		if ok {
			v = markup(v.(string))
		}
		return v, ok
	}
	return nil, false
}

// hashable tells whether v can be a key.
func hashable(v Value, depth int) bool {
	tooDeep(depth)
	switch v := v.(type) {
	case *Dict:
		return false
	case *List:
		if !v.Tuple {
			return false
		}
		for _, item := range v.Items {
			if !hashable(item, depth+1) {
				return false
			}
		}
	}
	return true
}

// fromEnd turns a negative index into one from the start; -1 where it is outside of n items.
func fromEnd(i, n int) int {
	if i < 0 {
		i += n
	}
	if i < 0 || i >= n {
		return -1
	}
	return i
}

func (r *rendering) runeAt(s string, i int) (Value, bool) {
	r.look(len(s))
	i = fromEnd(i, utf8.RuneCountInString(s))
	if i < 0 {
		return nil, false
	}
	for at := range s {
		if i == 0 {
			_, n := utf8.DecodeRuneInString(s[at:])
			return s[at : at+n], true
		}
		i--
	}
	return nil, false
}

// slice is x[from:to:step]; bounds are missing or None where left out.
func (r *rendering) slice(x Value, bounds [3]Value) Value {
	refuseUndefined(x)
	switch x := x.(type) {
	case string:
		return r.sliceText(x, bounds)
	case markup:
		return markup(r.sliceText(string(x), bounds))
	case *List:
		from, _, n, step := indices(bounds, len(x.Items))
		r.growTimes(slotBytes, n)
		if step == 1 {
			return &List{Items: x.Items[from : from+n : from+n], Tuple: x.Tuple}
		}
		out := &List{Items: make([]Value, n), Tuple: x.Tuple}
		for i := range n {
			out.Items[i] = x.Items[from+i*step]
		}
		return out
	case span:
		from, to, _, step := indices(bounds, x.length())
		return span{x.start + from*x.step, x.start + to*x.step, x.step * step}
	case *Dict:
		fail(typeError, "unhashable type: 'slice'")
	}
	fail(typeError, "'%s' object is not subscriptable", typeName(x))
	return nil
}

func (r *rendering) sliceText(s string, bounds [3]Value) string {
	r.look(len(s))
	ascii := isASCII(s)
	if ascii {
		from, _, n, step := indices(bounds, len(s))
		if step == 1 {
			return s[from : from+n]
		}
	}
	r.growTimes(4, len(s))
	chars := []rune(s)
	from, _, n, step := indices(bounds, len(chars))
	if step == 1 {
		return string(chars[from : from+n])
	}
	var b strings.Builder
	for i := range n {
		b.WriteRune(chars[from+i*step])
	}
	return b.String()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// indices gives the first index, the one after the last, the number of items and the step of a slice of size items, as Python's
// slice.indices does.
func indices(bounds [3]Value, size int) (from, to, n, step int) {
	bound := func(i, other int) int {
		v := bounds[i]
		if v == nil || !given(v) {
			return other
		}
		k, ok := integer(v)
		if !ok {
			fail(typeError, "slice indices must be integers or None or have an __index__ method")
		}
		return clamp(k)
	}
	step = bound(2, 1)
	if step == 0 {
		fail(valueError, "slice step cannot be zero")
	}
	low, high := 0, size
	if step < 0 {
		low, high = -1, size-1
	}
	within := func(i int) int {
		if i < 0 {
			i += size
		}
		return min(max(i, low), high)
	}
	from, to = low, high
	if step < 0 {
		from, to = high, low
	}
	if v := bounds[0]; v != nil && given(v) {
		from = within(bound(0, 0))
	}
	if v := bounds[1]; v != nil && given(v) {
		to = within(bound(1, 0))
	}
	return from, to, span{from, to, step}.length(), step
}
