package jinja

import (
	"slices"
	"strconv"
	"strings"
)

// listFilters take lists and other things that can be iterated. Those that are generators in Jinja are so here: what they
// compute, and what fails in them, comes when it is asked for.
func listFilters() map[string]function {
	return map[string]function{
		"list": func(r *rendering, x Value, a args) Value {
			a.positional("list", 0, 0)
			items := list(&r.meter, x)
			r.growTimes(slotBytes, len(items))
			return &List{Items: items[:len(items):len(items)]}
		},
		"join": join, "first": first, "last": last, "reverse": reverse, "sort": sortFilter, "unique": unique, "sum": sum,
		"min": extreme("min", "<"), "max": extreme("max", ">"), "dictsort": dictSort, "groupby": groupBy, "batch": batch, "slice": slices3,
		"map": mapFilter, "select": choose("select", true, false), "reject": choose("reject", false, false),
		"selectattr": choose("selectattr", true, true), "rejectattr": choose("rejectattr", false, true),
	}
}

// getter gives the part of an item that attribute names: a.b.0 looks up a, then b, then index 0. None is the item itself.
func (r *rendering) getter(attribute Value, other Value) func(Value) Value {
	var parts []Value
	if s, ok := text(attribute); ok {
		for part := range strings.SplitSeq(s, ".") {
			if n, err := strconv.ParseUint(part, 10, 31); err == nil {
				parts = append(parts, int64(n))
			} else {
				parts = append(parts, part)
			}
		}
	} else if attribute != nil {
		parts = []Value{attribute}
	}
	return func(v Value) Value {
		for _, part := range parts {
			v = r.item(v, part)
			if _, no := v.(undefined); no && other != nil {
				v = other
			}
		}
		return v
	}
}

// folded makes text that differs in case only equal, for filters that do not mind it.
func folded(m *meter, v Value, caseSensitive bool) Value {
	if s, ok := text(v); ok && !caseSensitive {
		m.grow(len(s))
		return lower(s)
	}
	return v
}

func isTrue(v Value) bool { return given(v) && truth(v) }

func join(r *rendering, x Value, a args) Value {
	v := a.take("join", 0, "d", "attribute")
	get := r.getter(or(v[1], nil), nil)
	var parts []string
	next := iterate(&r.meter, x)
	for item, ok := next(); ok; item, ok = next() {
		r.grow(slotBytes)
		parts = append(parts, str(&r.meter, get(item)))
	}
	return r.concat(parts, str(&r.meter, or(v[0], "")))
}

func first(r *rendering, x Value, a args) Value {
	a.positional("first", 0, 0)
	if v, ok := iterate(&r.meter, x)(); ok {
		return v
	}
	return undefined{undefinedError, "No first item, sequence was empty."}
}

func last(r *rendering, x Value, a args) Value {
	a.positional("last", 0, 0)
	next, _ := reversed(&r.meter, x)
	if v, ok := next(); ok {
		return v
	}
	return undefined{undefinedError, "No last item, sequence was empty."}
}

func reverse(r *rendering, x Value, a args) Value {
	a.positional("reverse", 0, 0)
	if _, ok := text(x); ok {
		return r.slice(x, [3]Value{nil, nil, int64(-1)})
	}
	switch x.(type) {
	case *List, *Dict, *view, span, undefined:
		next, kind := reversed(&r.meter, x)
		return &iterator{kind, next}
	}
	if !iterable(x) {
		fail(filterArgument, "argument must be iterable")
	}
	items := slices.Clone(list(&r.meter, x))
	slices.Reverse(items)
	return &List{Items: items}
}

// sorted sorts a copy of items by their keys, equal ones in their order.
func sorted[T any](m *meter, items []T, key func(T) Value, backwards bool) []T {
	type keyed struct {
		key  Value
		item T
	}
	m.growTimes(2*objectBytes, len(items))
	list := make([]keyed, len(items))
	for i, item := range items {
		list[i] = keyed{key(item), item}
	}
	slices.SortStableFunc(list, func(a, b keyed) int {
		if backwards {
			a, b = b, a
		}
		switch m.spend(1); {
		case less(m, a.key, b.key):
			return -1
		case less(m, b.key, a.key):
			return 1
		}
		return 0
	})
	out := make([]T, len(items))
	for i := range list {
		out[i] = list[i].item
	}
	return out
}

func sortFilter(r *rendering, x Value, a args) Value {
	v := a.take("sort", 0, "reverse", "case_sensitive", "attribute")
	gets := []func(Value) Value{r.getter(or(v[2], nil), nil)}
	if s, ok := text(or(v[2], nil)); ok {
		gets = nil
		for name := range strings.SplitSeq(s, ",") {
			gets = append(gets, r.getter(name, nil))
		}
	}
	return &List{Items: sorted(&r.meter, list(&r.meter, x), func(item Value) Value {
		key := &List{}
		for _, get := range gets {
			key.Items = append(key.Items, folded(&r.meter, get(item), isTrue(v[1])))
		}
		return key
	}, isTrue(v[0]))}
}

func unique(r *rendering, x Value, a args) Value {
	v := a.take("unique", 0, "case_sensitive", "attribute")
	get := r.getter(or(v[1], nil), nil)
	return generator(&r.meter, func() func() (Value, bool) {
		next, seen := iterate(&r.meter, x), map[any]bool{}
		return func() (Value, bool) {
			for {
				item, ok := next()
				if !ok {
					return nil, false
				}
				key := folded(&r.meter, get(item), isTrue(v[0]))
				if h := hashed(&r.meter, key); !seen[h] {
					r.grow(entryBytes)
					seen[h] = true
					return item, true
				}
			}
		}
	})
}

func sum(r *rendering, x Value, a args) Value {
	v := a.take("sum", 0, "attribute", "start")
	get, total := r.getter(or(v[0], nil), nil), or(v[1], int64(0))
	if _, ok := text(total); ok {
		fail(typeError, "sum() can't sum strings [use ''.join(seq) instead]")
	}
	next := iterate(&r.meter, x)
	for item, ok := next(); ok; item, ok = next() {
		total = r.operate("+", total, get(item))
	}
	return total
}

func extreme(name, op string) function {
	return func(r *rendering, x Value, a args) Value {
		v := a.take(name, 0, "case_sensitive", "attribute")
		get := r.getter(or(v[1], nil), nil)
		next := iterate(&r.meter, x)
		best, ok := next()
		if !ok {
			return undefined{undefinedError, "No aggregated item, sequence was empty."}
		}
		key := func(v1 Value) Value { return folded(&r.meter, get(v1), isTrue(v[0])) }
		bestKey := key(best)
		for item, ok := next(); ok; item, ok = next() {
			if k := key(item); ordered(&r.meter, op, k, bestKey) {
				best, bestKey = item, k
			}
		}
		return best
	}
}

func dictSort(r *rendering, x Value, a args) Value {
	v := a.take("dictsort", 0, "case_sensitive", "by", "reverse")
	at := 0
	switch by, _ := text(or(v[1], "key")); by {
	case "key":
	case "value":
		at = 1
	default:
		fail(filterArgument, "You can only sort by either \"key\" or \"value\"")
	}
	d, ok := x.(*Dict)
	if !ok {
		refuseUndefined(x)
		fail("AttributeError", "'%s' object has no attribute 'items'", typeName(x))
	}
	return &List{Items: sorted(&r.meter, list(&r.meter, &view{d, "items"}), func(pair Value) Value {
		return folded(&r.meter, pair.(*List).Items[at], isTrue(v[0]))
	}, isTrue(v[2]))}
}

func groupBy(r *rendering, x Value, a args) Value {
	v := a.take("groupby", 1, "attribute", "default", "case_sensitive")
	get := r.getter(v[0], or(v[1], nil))
	key := func(item Value) Value { return folded(&r.meter, get(item), isTrue(v[2])) }
	out := &List{}
	var now Value
	for i, item := range sorted(&r.meter, list(&r.meter, x), key, false) {
		k := key(item)
		if i == 0 || !equal(&r.meter, k, now) {
			r.grow(entryBytes)
			out.Items = append(out.Items, &List{Items: []Value{get(item), &List{}}, Tuple: true, group: true})
			now = k
		}
		group := out.Items[len(out.Items)-1].(*List).Items[1].(*List)
		group.Items = append(group.Items, item)
	}
	return out
}

func batch(r *rendering, x Value, a args) Value {
	v := a.take("batch", 1, "linecount", "fill_with")
	return generator(&r.meter, func() func() (Value, bool) {
		next, row := iterate(&r.meter, x), &List{}
		return func() (Value, bool) {
			for item, ok := next(); ok; item, ok = next() {
				full := row
				if equal(&r.meter, int64(len(row.Items)), v[0]) {
					row = &List{}
				}
				r.grow(slotBytes)
				row.Items = append(row.Items, item)
				if row != full {
					return full, true
				}
			}
			if len(row.Items) == 0 {
				return nil, false
			}
			full := row
			row = &List{}
			if fill := or(v[1], nil); fill != nil {
				size := whole(v[0], "linecount")
				r.growTimes(slotBytes, max(0, size-len(full.Items)))
				for len(full.Items) < size {
					full.Items = append(full.Items, fill)
				}
			}
			return full, true
		}
	})
}

// slices3 is the filter slice: so many columns of nearly the same length.
func slices3(r *rendering, x Value, a args) Value {
	v := a.take("slice", 1, "slices", "fill_with")
	return generator(&r.meter, func() func() (Value, bool) {
		items, n := list(&r.meter, x), whole(v[0], "slices")
		if n == 0 {
			fail(zeroDivision, "integer division or modulo by zero")
		}
		i, offset := 0, 0
		return func() (Value, bool) {
			if i >= n {
				return nil, false
			}
			start := offset + i*(len(items)/n)
			if i < len(items)%n {
				offset++
			}
			end := offset + (i+1)*(len(items)/n)
			r.growTimes(slotBytes, objectBytes/slotBytes+end-start+1)
			column := &List{Items: slices.Clone(items[start:end])}
			if fill := or(v[1], nil); fill != nil && i >= len(items)%n {
				column.Items = append(column.Items, fill)
			}
			i++
			return column, true
		}
	})
}

func mapFilter(r *rendering, x Value, a args) Value {
	return generator(&r.meter, func() func() (Value, bool) {
		if !truth(x) {
			return nothing
		}
		apply := r.mapper(a)
		next := iterate(&r.meter, x)
		return func() (Value, bool) {
			item, ok := next()
			if !ok {
				return nil, false
			}
			return apply(item), true
		}
	})
}

// mapper is what map applies to each item: a lookup of an attribute, or a filter by name.
func (r *rendering) mapper(a args) func(Value) Value {
	if len(a.pos) == 0 && a.named != nil {
		if _, ok := a.named.Get("attribute"); ok {
			for _, e := range a.named.entries {
				if e.key != "attribute" && e.key != "default" {
					fail(filterArgument, "Unexpected keyword argument %s", repr(&r.meter, e.key))
				}
			}
			v := a.take("map", 1, "attribute", "default")
			return r.getter(v[0], or(v[1], nil))
		}
	}
	if len(a.pos) == 0 {
		fail(filterArgument, "map requires a filter argument")
	}
	name := str(&r.meter, a.pos[0])
	fn := r.lib.filters[name]
	if fn == nil {
		fail(runtimeError, "No filter named %s.", quoted(name))
	}
	return func(v Value) Value { return r.apply(fn, v, args{a.pos[1:], a.named}) }
}

// choose makes select and its three relatives: keep says which items stay, those for which the test holds or the others.
func choose(name string, keep, byAttribute bool) function {
	return func(r *rendering, x Value, a args) Value {
		return generator(&r.meter, func() func() (Value, bool) {
			if !truth(x) {
				return nothing
			}
			get, rest := r.getter(nil, nil), a.pos
			if byAttribute {
				if len(rest) == 0 {
					fail(filterArgument, "Missing parameter for attribute name")
				}
				get, rest = r.getter(rest[0], nil), rest[1:]
			}
			holds := truth
			if len(rest) > 0 {
				test := str(&r.meter, rest[0])
				fn := r.lib.tests[test]
				if fn == nil {
					fail(runtimeError, "No test named %s.", quoted(test))
				}
				holds = func(v Value) bool { return truth(r.apply(fn, v, args{rest[1:], a.named})) }
			}
			next := iterate(&r.meter, x)
			return func() (Value, bool) {
				for {
					item, ok := next()
					if !ok {
						return nil, false
					}
					if holds(get(item)) == keep {
						return item, true
					}
				}
			}
		})
	}
}
