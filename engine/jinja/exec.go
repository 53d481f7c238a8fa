package jinja

import "strings"

func (s *output) exec(f *frame) signal {
	for _, e := range s.parts {
		f.print(str(&f.r.meter, f.eval(e)))
	}
	return goOn
}

func (s *jump) exec(*frame) signal { return s.to }

func (s *assign) exec(f *frame) signal {
	f.refuseAttributes(s.target)
	v := f.eval(s.value)
	f.r.line = s.line
	f.set(s.target, v)
	return goOn
}

func (s *assignBlock) exec(f *frame) signal {
	in := f.inner(&s.body)
	out := in.capture()
	if to := in.run(s.body.stmts); to != goOn {
		return to
	}
	in.held = out.String()
	v := in.eval(s.filter)
	f.r.line = s.line
	f.set(s.target, v)
	return goOn
}

// refuseAttributes checks that attributes are set on namespaces only, before the value is computed.
func (f *frame) refuseAttributes(t target) {
	for _, x := range t.items {
		f.refuseAttributes(x)
	}
	if t.attr != "" {
		if _, ok := f.scope.find(t.name).(*namespace); !ok {
			fail(runtimeError, "cannot assign attribute on non-namespace object")
		}
	}
}

// set gives the names of t their values.
func (f *frame) set(t target, v Value) {
	switch {
	case t.several:
		for i, x := range f.r.unpack(v, len(t.items)) {
			f.set(t.items[i], x)
		}
	case t.attr != "":
		n, ok := f.scope.find(t.name).(*namespace)
		if !ok {
			fail(typeError, "'%s' object does not support item assignment", typeName(f.scope.find(t.name)))
		}
		n.refuse(t.attr)
		f.r.grow(entryBytes)
		n.vars.Set(t.attr, v)
	default:
		f.scope.set(t.name, v)
	}
}

func (n *namespace) refuse(name string) {
	if strings.HasPrefix(name, "_") {
		fail(securityError, "Chat templates cannot store underscore-prefixed attributes on a namespace, but got %s. Please rename the attribute.", quoted(name))
	}
}

// unpack is v as n values.
func (r *rendering) unpack(v Value, n int) []Value {
	if !iterable(v) {
		fail(typeError, "cannot unpack non-iterable %s object", typeName(v))
	}
	var out []Value
	next := iterate(&r.meter, v)
	for item, ok := next(); ok; item, ok = next() {
		if len(out) == n {
			fail(valueError, "too many values to unpack (expected %d)", n)
		}
		out = append(out, item)
	}
	if len(out) < n {
		fail(valueError, "not enough values to unpack (expected %d, got %d)", n, len(out))
	}
	return out
}

func (s *ifElse) exec(f *frame) signal {
	for _, b := range s.branches {
		f.r.line = b.test.place().line
		if truth(f.eval(b.test)) {
			return f.run(b.body)
		}
	}
	return f.run(s.otherwise)
}

func (s *filterBlock) exec(f *frame) signal {
	in := f.inner(&s.body)
	out := in.capture()
	if to := in.run(s.body.stmts); to != goOn {
		return to
	}
	in.held = out.String()
	f.print(str(&f.r.meter, in.eval(s.filter)))
	return goOn
}

func (s *withBlock) exec(f *frame) signal {
	in := f.inner(&s.body)
	for i, e := range s.values {
		in.set(s.targets[i], f.eval(e))
	}
	return in.run(s.body.stmts)
}

func (s *callBlock) exec(f *frame) signal {
	if s.invoke == nil { // a generation block, which is a call of its own body
		f.print(str(&f.r.meter, (&macro{&s.signature, f.scope}).call(f.r, args{})))
		return goOn
	}
	fn := f.eval(s.invoke.x)
	a := s.invoke.arguments.eval(f)
	named := NewDict()
	if a.named != nil {
		if _, twice := a.named.Get("caller"); twice {
			fail(typeError, "got multiple values for keyword argument 'caller'")
		}
		named.merge(a.named)
	}
	named.Set("caller", &macro{&s.signature, f.scope})
	f.r.line = s.invoke.line
	f.print(str(&f.r.meter, f.r.call(fn, args{a.pos, named})))
	return goOn
}

func (s *macroDef) exec(f *frame) signal {
	f.r.grow(2 * objectBytes) // with its scope
	f.scope.set(s.name, &macro{&s.signature, f.scope})
	return goOn
}

// macro is a macro with the scope in which it was defined, or the body of a call block.
type macro struct {
	*signature
	scope *scope
}

func (c *macro) typeName() string { return "Macro" }

func (c *macro) repr(*meter) string {
	if c.name == "" {
		return "<Macro anonymous>"
	}
	return "<Macro " + quoted(c.name) + ">"
}

func (c *macro) attr(_ *rendering, name string) (Value, bool) {
	switch name {
	case "name":
		if c.name == "" {
			return nil, true
		}
		return c.name, true
	case "arguments":
		l := &List{Tuple: true}
		for _, q := range c.params {
			l.Items = append(l.Items, q.name)
		}
		return l, true
	case "caller":
		return c.caller, true
	case "catch_kwargs":
		return c.kwargs, true
	case "catch_varargs":
		return c.varargs, true
	}
	return nil, false
}

// call runs the macro's body and gives its text.
func (c *macro) call(r *rendering, a args) Value {
	defer r.open()()
	f := (&frame{r: r}).in(c.scope, &c.body)
	out := f.capture()
	c.bind(f, a)
	line := r.line
	f.run(c.body.stmts)
	r.line = line
	return out.String()
}

// bind sets the macro's parameters as Jinja binds them.
func (c *macro) bind(f *frame, a args) {
	named := NewDict()
	if a.named != nil {
		named.merge(a.named)
	}
	called := len(a.pos) >= len(c.params) && c.hasParam("caller")
	for i, q := range c.params {
		if i < len(a.pos) {
			f.scope.set(q.name, a.pos[i])
			continue
		}
		called = called || q.name == "caller"
		if v, ok := named.take(q.name); ok {
			f.scope.set(q.name, v)
		} else {
			f.scope.set(q.name, missing{})
		}
	}
	if c.caller && !called {
		v, _ := named.take("caller")
		if v == nil {
			v = undefined{undefinedError, "No caller defined"}
		}
		f.scope.set("caller", v)
	}
	switch _, twice := named.Get("caller"); {
	case c.kwargs:
		f.scope.set("kwargs", named)
	case twice:
		fail(typeError, "macro %s was invoked with two values for the special caller argument. This is most likely a bug.", quoted(c.name))
	case len(named.entries) > 0:
		fail(typeError, "macro %s takes no keyword argument %s", quoted(c.name), repr(&f.r.meter, named.entries[0].key))
	}
	if c.varargs {
		f.scope.set("varargs", &List{Items: a.pos[min(len(a.pos), len(c.params)):], Tuple: true})
	} else if len(a.pos) > len(c.params) {
		fail(typeError, "macro %s takes not more than %d argument(s)", quoted(c.name), len(c.params))
	}
	for i := min(len(a.pos), len(c.params)); i < len(c.params); i++ {
		q := c.params[i]
		if _, ok := f.scope.vars[q.name].(missing); !ok {
			continue
		}
		if q.def == nil {
			f.scope.set(q.name, undefined{undefinedError, "parameter " + quoted(q.name) + " was not provided"})
		} else {
			f.scope.set(q.name, f.eval(q.def))
		}
	}
}

func (c *macro) hasParam(name string) bool {
	for _, q := range c.params {
		if q.name == name {
			return true
		}
	}
	return false
}
