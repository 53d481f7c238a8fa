package jinja

import "strings"

// library holds what a template finds by name. It is built once a template and never changes.
type library struct {
	filters, tests                          map[string]function
	unsupported                             map[string]string   // filters of Jinja's that are not made here, and why
	text, dict, list, tuple, integer, float map[string]function // methods by type; nil for those that the sandbox forbids
	dunders                                 map[string]bool
	cases                                   cases
}

func newLibrary() *library {
	l := &library{
		filters: map[string]function{}, tests: tests(), unsupported: unsupportedFilters(),
		text: textMethods(), dict: dictMethods(), list: listMethods(), tuple: tupleMethods(),
		integer: map[string]function{}, float: map[string]function{},
		dunders: map[string]bool{}, cases: newCases(),
	}
	for _, group := range []map[string]function{valueFilters(), textFilters(), listFilters(), numberFilters()} {
		for name, fn := range group {
			l.filters[name] = fn
		}
	}
	// What every Python object has.
	for name := range strings.FieldsSeq("class delattr dir doc eq format ge getattribute getstate gt hash init init_subclass le " +
		"lt ne new reduce reduce_ex repr setattr sizeof str subclasshook add contains getitem iter len mul rmul") {
		l.dunders["__"+name+"__"] = true
	}
	for name := range strings.FieldsSeq("as_integer_ratio conjugate from_bytes bit_count to_bytes real imag numerator denominator") {
		l.integer[name] = unmade("int." + name)
	}
	l.integer["bit_length"] = func(_ *rendering, x Value, a args) Value {
		a.positional("bit_length", 0, 0)
		n, _ := integer(x)
		return int64(n.BitLen())
	}
	for name := range strings.FieldsSeq("as_integer_ratio conjugate fromhex hex real imag") {
		l.float[name] = unmade("float." + name)
	}
	l.float["is_integer"] = func(_ *rendering, x Value, a args) Value {
		a.positional("is_integer", 0, 0)
		f := x.(float64)
		return f-f == 0 && f == float64(int64(f)) || f >= 1<<63 && f-f == 0
	}
	return l
}

// unmade stands for what Python has and this package has not.
func unmade(what string) function {
	return func(*rendering, Value, args) Value {
		fail(notSupported, "%s is not supported", what)
		return nil
	}
}

func dictMethods() map[string]function {
	m := map[string]function{
		"get": func(r *rendering, x Value, a args) Value {
			v := a.positional("get", 1, 2)
			if found, ok := x.(*Dict).find(&r.meter, v[0]); ok {
				return found
			}
			return or(v[1], nil)
		},
		"copy": func(r *rendering, x Value, a args) Value {
			a.positional("copy", 0, 0)
			return x // nothing changes it
		},
		"fromkeys": fromKeys,
	}
	for _, what := range []string{"keys", "values", "items"} {
		m[what] = func(_ *rendering, x Value, a args) Value {
			a.positional(what, 0, 0)
			return &view{x.(*Dict), what}
		}
	}
	for name := range strings.FieldsSeq("clear pop popitem setdefault update") {
		m[name] = nil
	}
	return m
}

func fromKeys(r *rendering, _ Value, a args) Value {
	v := a.positional("fromkeys", 1, 2)
	d := NewDict()
	next := iterate(&r.meter, v[0])
	for k, ok := next(); ok; k, ok = next() {
		r.grow(entryBytes)
		d.put(&r.meter, k, or(v[1], nil))
	}
	return d
}

func tupleMethods() map[string]function {
	return map[string]function{
		"count": func(r *rendering, x Value, a args) Value {
			v := a.positional("count", 1, 1)
			n := int64(0)
			for _, item := range x.(*List).Items {
				r.spend(1)
				if same(item, v[0]) || equal(&r.meter, item, v[0]) {
					n++
				}
			}
			return n
		},
		"index": func(r *rendering, x Value, a args) Value {
			v := a.positional("index", 1, 3)
			items := x.(*List).Items
			from, _, n, _ := indices([3]Value{v[1], v[2], missing{}}, len(items))
			for i := from; i < from+n; i++ {
				r.spend(1)
				if same(items[i], v[0]) || equal(&r.meter, items[i], v[0]) {
					return int64(i)
				}
			}
			fail(valueError, "%s is not in %s", repr(&r.meter, v[0]), typeName(x))
			return nil
		},
	}
}

func listMethods() map[string]function {
	m := tupleMethods()
	m["copy"] = func(_ *rendering, x Value, a args) Value {
		a.positional("copy", 0, 0)
		return x // nothing changes it
	}
	for name := range strings.FieldsSeq("append clear pop reverse insert sort extend remove") {
		m[name] = nil
	}
	return m
}
