package jinja

import "strconv"

func (e captured) eval(f *frame) Value { return f.held }

func (e *literal) eval(*frame) Value { return e.value }

func (e *nameRef) eval(f *frame) Value {
	v := f.scope.find(e.name)
	if _, ok := v.(missing); ok {
		return noName(e.name)
	}
	return v
}

func (e *sequence) eval(f *frame) Value {
	f.r.grow(objectBytes + slotBytes*len(e.items))
	l := &List{Items: make([]Value, len(e.items)), Tuple: e.tuple}
	for i, x := range e.items {
		l.Items[i] = f.eval(x)
	}
	return l
}

func (e *dictLiteral) eval(f *frame) Value {
	f.r.grow(2*objectBytes + entryBytes*len(e.keys))
	d := NewDict()
	for i := range e.keys {
		k := f.eval(e.keys[i])
		v := f.eval(e.values[i])
		f.r.line = e.line
		d.put(&f.r.meter, k, v)
	}
	return d
}

func (e *unary) eval(f *frame) Value {
	v := f.eval(e.x)
	f.r.line = e.line
	switch e.op {
	case "not":
		return !truth(v)
	case "-":
		return negative(v)
	}
	return positive(v)
}

func (e *binary) eval(f *frame) Value {
	x := f.eval(e.x)
	y := f.eval(e.y)
	f.r.line = e.line
	return f.r.operate(e.op, x, y)
}

func (e *logic) eval(f *frame) Value {
	x := f.eval(e.x)
	if truth(x) != e.and {
		return x
	}
	return f.eval(e.y)
}

func (e *comparison) eval(f *frame) Value {
	x := f.eval(e.first)
	for i, op := range e.ops {
		y := f.eval(e.operands[i])
		f.r.line = e.line
		if !f.r.compare(op, x, y) {
			return false
		}
		x = y
	}
	return true
}

func (r *rendering) compare(op string, x, y Value) bool {
	switch op {
	case "==":
		return equal(&r.meter, x, y)
	case "!=":
		return !equal(&r.meter, x, y)
	case "in":
		return contains(&r.meter, y, x)
	case "not in":
		return !contains(&r.meter, y, x)
	}
	return ordered(&r.meter, op, x, y)
}

func (e *joined) eval(f *frame) Value {
	parts := make([]string, len(e.parts))
	size := 0
	for i, x := range e.parts {
		parts[i] = str(&f.r.meter, f.eval(x))
		size += len(parts[i])
	}
	return f.r.concat(parts, "")
}

func (e *choice) eval(f *frame) Value {
	if truth(f.eval(e.test)) {
		return f.eval(e.then)
	}
	if e.other != nil {
		return f.eval(e.other)
	}
	return undefined{undefinedError, "the inline if-expression on line " + strconv.Itoa(e.line) + " evaluated to false and no else section was defined."}
}

func (e *attribute) eval(f *frame) Value {
	x := f.eval(e.x)
	f.r.line = e.line
	return f.r.attribute(x, e.name)
}

func (e *item) eval(f *frame) Value {
	x := f.eval(e.x)
	key := f.eval(e.key)
	f.r.line = e.line
	return f.r.item(x, key)
}

func (e *slice) eval(f *frame) Value {
	x := f.eval(e.x)
	bounds := [3]Value{missing{}, missing{}, missing{}}
	for i, b := range []expr{e.from, e.to, e.step} {
		if b != nil {
			bounds[i] = f.eval(b)
		}
	}
	f.r.line = e.line
	return f.r.slice(x, bounds)
}

func (e *invocation) eval(f *frame) Value {
	fn := f.eval(e.x)
	a := e.arguments.eval(f)
	f.r.line = e.line
	return f.r.call(fn, a)
}

func (e *filtered) eval(f *frame) Value {
	x := f.eval(e.x)
	a := e.arguments.eval(f)
	f.r.line = e.line
	if e.fn == nil {
		fail(runtimeError, "No filter named '%s' found.", e.name)
	}
	return f.r.apply(e.fn, x, a)
}

func (e *tested) eval(f *frame) Value {
	x := f.eval(e.x)
	a := e.arguments.eval(f)
	f.r.line = e.line
	if e.fn == nil {
		fail(runtimeError, "No test named '%s' found.", e.name)
	}
	return f.r.apply(e.fn, x, a)
}

// apply calls a filter or test, and pays for looking at what it is given.
func (r *rendering) apply(fn function, x Value, a args) Value {
	r.weigh(x)
	for _, v := range a.pos {
		r.weigh(v)
	}
	return fn(r, x, a)
}

// call is fn(a).
func (r *rendering) call(fn Value, a args) Value {
	refuseUndefined(fn)
	c, ok := fn.(caller)
	if !ok {
		fail(typeError, "'%s' object is not callable", typeName(fn))
	}
	return c.call(r, a)
}

func (a *arguments) eval(f *frame) args {
	var out args
	for _, e := range a.pos {
		out.pos = append(out.pos, f.eval(e))
	}
	if len(a.named) > 0 || a.mapping != nil {
		out.named = NewDict()
	}
	for i, e := range a.named {
		out.named.Set(a.names[i], f.eval(e))
	}
	if a.star != nil {
		more := list(&f.r.meter, f.eval(a.star))
		f.r.growTimes(slotBytes, len(more))
		out.pos = append(out.pos, more...)
	}
	if a.mapping != nil {
		v := f.eval(a.mapping)
		d, ok := v.(*Dict)
		if !ok {
			refuseUndefined(v)
			fail(typeError, "argument after ** must be a mapping, not %s", typeName(v))
		}
		for _, e := range d.entries {
			name, ok := text(e.key)
			if !ok {
				fail(typeError, "keywords must be strings")
			}
			if _, twice := out.named.Get(name); twice {
				fail(typeError, "got multiple values for keyword argument '%s'", name)
			}
			f.r.grow(entryBytes)
			out.named.Set(name, e.value)
		}
	}
	return out
}
