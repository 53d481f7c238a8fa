package jinja

// tests are what stands after is.
func tests() map[string]function {
	out := map[string]function{}
	for name, holds := range map[string]func(v Value) bool{
		"defined":   func(v Value) bool { _, no := v.(undefined); return !no },
		"undefined": func(v Value) bool { _, no := v.(undefined); return no },
		"none":      func(v Value) bool { return v == nil },
		"boolean":   func(v Value) bool { _, ok := v.(bool); return ok },
		"true":      func(v Value) bool { return v == true },
		"false":     func(v Value) bool { return v == false },
		"integer": func(v Value) bool {
			_, isBool := v.(bool)
			_, ok := integer(v)
			return ok && !isBool
		},
		"float":    func(v Value) bool { _, ok := v.(float64); return ok },
		"number":   isNumber,
		"string":   func(v Value) bool { _, ok := text(v); return ok },
		"mapping":  func(v Value) bool { _, ok := v.(*Dict); return ok },
		"iterable": iterable,
		"sequence": isSequence,
		"callable": isCallable,
		"escaped":  func(v Value) bool { _, ok := v.(markup); return ok },
	} {
		out[name] = func(_ *rendering, x Value, a args) Value {
			a.positional(name, 0, 0)
			return holds(x)
		}
	}
	for name, op := range map[string]string{
		"==": "==", "eq": "==", "equalto": "==", "!=": "!=", "ne": "!=", ">": ">", "gt": ">", "greaterthan": ">",
		">=": ">=", "ge": ">=", "<": "<", "lt": "<", "lessthan": "<", "<=": "<=", "le": "<=",
	} {
		out[name] = func(r *rendering, x Value, a args) Value { return r.compare(op, x, a.positional(name, 1, 1)[0]) }
	}
	out["in"] = func(r *rendering, x Value, a args) Value { return contains(&r.meter, a.take("in", 1, "seq")[0], x) }
	out["sameas"] = func(_ *rendering, x Value, a args) Value { return same(x, a.take("sameas", 1, "other")[0]) }
	bare := func(name string, fn func(r *rendering, x Value) Value) {
		out[name] = func(r *rendering, x Value, a args) Value {
			a.positional(name, 0, 0)
			return fn(r, x)
		}
	}
	bare("odd", func(r *rendering, x Value) Value { return r.rest(x, int64(2), int64(1)) })
	bare("even", func(r *rendering, x Value) Value { return r.rest(x, int64(2), int64(0)) })
	out["divisibleby"] = func(r *rendering, x Value, a args) Value {
		return r.rest(x, a.take("divisibleby", 1, "num")[0], int64(0))
	}
	cased := func(is func(c rune) bool) func(r *rendering, x Value) Value {
		return func(r *rendering, x Value) Value {
			s := str(&r.meter, x)
			r.classify(s)
			return allCased(s, is)
		}
	}
	bare("lower", cased(isLower))
	bare("upper", cased(isUpper))
	bare("filter", func(r *rendering, x Value) Value { return r.named(r.lib.filters, x) })
	bare("test", func(r *rendering, x Value) Value { return r.named(r.lib.tests, x) })
	return out
}

// rest tells whether x % by is want.
func (r *rendering) rest(x, by, want Value) Value {
	return equal(&r.meter, r.operate("%", x, by), want)
}

func (r *rendering) named(in map[string]function, name Value) Value {
	s, _ := text(name)
	if _, ok := r.lib.unsupported[s]; ok && in["tojson"] != nil {
		return true
	}
	return in[s] != nil
}

// isSequence tells what has a length and items by number, as Jinja asks; dicts count.
func isSequence(v Value) bool {
	switch v.(type) {
	case string, markup, *List, *Dict, span, undefined:
		return true
	}
	return false
}

func isCallable(v Value) bool {
	_, ok := v.(caller)
	_, no := v.(undefined)
	return ok || no
}
