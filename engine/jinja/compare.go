package jinja

import (
	"cmp"
	"math"
	"math/big"
	"strings"
)

// equal is Python's a == b.
func equal(m *meter, a, b Value) bool { return equalAt(m, a, b, 0) }

func equalAt(m *meter, a, b Value, depth int) bool {
	tooDeep(depth)
	m.weigh(a)
	if isNumber(a) {
		return isNumber(b) && compareNumbers(a, b) == 0
	}
	if x, ok := text(a); ok {
		y, ok := text(b)
		return ok && x == y
	}
	switch a := a.(type) {
	case nil:
		return b == nil
	case undefined:
		_, ok := b.(undefined)
		return ok
	case *List:
		l, ok := b.(*List)
		if !ok || len(l.Items) != len(a.Items) || l.Tuple != a.Tuple {
			return false
		}
		for i := range a.Items {
			if !equalAt(m, a.Items[i], l.Items[i], depth+1) {
				return false
			}
		}
		return true
	case *Dict:
		d, ok := b.(*Dict)
		if !ok || len(d.entries) != len(a.entries) {
			return false
		}
		for _, e := range a.entries {
			v, ok := d.under(e.hash)
			if !ok || !equalAt(m, e.value, v, depth+1) {
				return false
			}
		}
		return true
	case span:
		s, ok := b.(span)
		return ok && equal(m, &List{Items: list(m, a)}, &List{Items: list(m, s)})
	case *view:
		return equalViews(m, a, b, depth)
	}
	return a == b
}

// equalViews compares keys with keys and items with items, in any order; values are equal only to themselves.
func equalViews(m *meter, a *view, b Value, depth int) bool {
	o, ok := b.(*view)
	if !ok || a.what == "values" || o.what != a.what || len(a.of.entries) != len(o.of.entries) {
		return a == b
	}
	for _, e := range a.of.entries {
		m.spend(1)
		v, ok := o.of.under(e.hash)
		if !ok || a.what == "items" && !equalAt(m, e.value, v, depth+1) {
			return false
		}
	}
	return true
}

// unordered is what compareNumbers says where one is not a number.
const unordered = 2

// compareNumbers gives -1, 0 or 1 as a is less than, equal to or greater than b, exactly.
func compareNumbers(a, b Value) int {
	if x, ok := a.(int64); ok {
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y)
		}
	}
	x, xInt := integer(a)
	y, yInt := integer(b)
	if xInt && yInt {
		return x.Cmp(y)
	}
	f, g := math.NaN(), math.NaN()
	if !xInt {
		f = a.(float64)
	}
	if !yInt {
		g = b.(float64)
	}
	switch {
	case !xInt && math.IsNaN(f) || !yInt && math.IsNaN(g):
		return unordered
	case xInt && math.IsInf(g, 0):
		return -int(math.Copysign(1, g))
	case yInt && math.IsInf(f, 0):
		return int(math.Copysign(1, f))
	case xInt:
		return new(big.Rat).SetInt(x).Cmp(new(big.Rat).SetFloat64(g))
	case yInt:
		return new(big.Rat).SetFloat64(f).Cmp(new(big.Rat).SetInt(y))
	case f < g:
		return -1
	case f > g:
		return 1
	}
	return 0
}

// ordered is Python's a op b for op <, <=, > or >= on numbers, strings, lists and tuples.
func ordered(m *meter, op string, a, b Value) bool {
	refuseUndefined(a)
	refuseUndefined(b)
	m.weigh(a)
	if isNumber(a) && isNumber(b) {
		c := compareNumbers(a, b)
		return c != unordered && holds(op, c)
	}
	if x, ok := text(a); ok {
		if y, ok := text(b); ok {
			return holds(op, strings.Compare(x, y))
		}
	}
	if x, ok := a.(*List); ok {
		if y, ok := b.(*List); ok && x.Tuple == y.Tuple {
			for i := range min(len(x.Items), len(y.Items)) {
				m.spend(1)
				if !equal(m, x.Items[i], y.Items[i]) {
					return ordered(m, op, x.Items[i], y.Items[i])
				}
			}
			return holds(op, len(x.Items)-len(y.Items))
		}
	}
	fail(typeError, "'%s' not supported between instances of '%s' and '%s'", op, typeName(a), typeName(b))
	return false
}

// holds tells whether a op b where c has the sign of a - b.
func holds(op string, c int) bool {
	switch op {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	}
	return c >= 0
}

func less(m *meter, a, b Value) bool { return ordered(m, "<", a, b) }

// contains is Python's item in v.
func contains(m *meter, v, item Value) bool {
	m.weigh(v)
	if s, ok := text(v); ok {
		sub, ok := text(item)
		if !ok {
			fail(typeError, "'in <string>' requires string as left operand, not %s", typeName(item))
		}
		m.look(len(s))
		return strings.Contains(s, sub)
	}
	switch v := v.(type) {
	case *Dict:
		_, ok := v.find(m, item)
		return ok
	case *view:
		if v.what == "keys" {
			_, ok := v.of.find(m, item)
			return ok
		}
	}
	if !iterable(v) {
		fail(typeError, "argument of type '%s' is not iterable", typeName(v))
	}
	next := iterate(m, v)
	for x, ok := next(); ok; x, ok = next() {
		if same(x, item) || equal(m, x, item) {
			return true
		}
	}
	return false
}

// same is Python's a is b, as far as values here have an identity: equal numbers and strings of one type are the same.
func same(a, b Value) bool {
	switch a := a.(type) {
	case undefined, missing:
		return false
	case *big.Int:
		n, ok := b.(*big.Int)
		return ok && n.Cmp(a) == 0
	}
	return a == b
}
