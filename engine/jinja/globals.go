package jinja

// globals are the functions that every template has.
func globals() map[string]Value {
	out := map[string]Value{"dict": dictType{}}
	for name, fn := range map[string]func(r *rendering, a args) Value{
		"range":     makeRange,
		"namespace": makeNamespace,
		"cycler":    makeCycler,
		"joiner":    makeJoiner,
		"raise_exception": func(r *rendering, a args) Value {
			panic(&RaiseError{Message: str(&r.meter, a.take("raise_exception", 1, "message")[0])})
		},
		"strftime_now": func(r *rendering, a args) Value {
			format := mustText(a.take("strftime_now", 1, "format")[0], "strftime() argument 1")
			if len(format) > formatMax {
				fail(limitError, "strftime_now has a format of %d bytes; at most %d are taken", len(format), formatMax)
			}
			r.spend(16 * len(format)) // a directive can be a whole date
			return r.fresh(strftime(r.now, format))
		},
		"lipsum": func(*rendering, args) Value {
			fail(notSupported, "lipsum is not supported: a prompt is the same each time it is rendered")
			return nil
		},
	} {
		out[name] = &callable{name, fn}
	}
	return out
}

// dictType is the global dict, which makes dicts.
type dictType struct{}

func (dictType) typeName() string { return "TemplateDict" }

func (dictType) repr(*meter) string { return "<TemplateDict>" }

func (dictType) attr(_ *rendering, name string) (Value, bool) {
	if name != "fromkeys" {
		return nil, false
	}
	return &callable{name, func(r *rendering, a args) Value { return fromKeys(r, nil, a) }}, true
}

// call is dict(mapping or pairs, name=value, ...).
func (dictType) call(r *rendering, a args) Value {
	if len(a.pos) > 1 {
		fail(typeError, "dict expected at most 1 argument, got %d", len(a.pos))
	}
	out := NewDict()
	if len(a.pos) == 1 {
		if d, ok := a.pos[0].(*Dict); ok {
			out = d.copied(&r.meter)
		} else {
			next := iterate(&r.meter, a.pos[0])
			for pair, ok := next(); ok; pair, ok = next() {
				r.grow(entryBytes)
				kv := r.unpack(pair, 2)
				out.put(&r.meter, kv[0], kv[1])
			}
		}
	}
	if a.named != nil {
		r.growTimes(entryBytes, len(a.named.entries))
		out.merge(a.named)
	}
	return out
}

func makeNamespace(r *rendering, a args) Value {
	n := &namespace{dictType{}.call(r, a).(*Dict)}
	for _, e := range n.vars.entries {
		if name, ok := text(e.key); ok {
			n.refuse(name)
		}
	}
	return n
}

func makeRange(_ *rendering, a args) Value {
	v := a.positional("range", 1, 3)
	s := span{0, 0, 1}
	if given(v[1]) {
		s.start, s.stop, s.step = whole(v[0], "range"), whole(v[1], "range"), count(v[2], 1, "range")
	} else {
		s.stop = whole(v[0], "range")
	}
	if s.step == 0 {
		fail(valueError, "range() arg 3 must not be zero")
	}
	if s.length() > rangeMax {
		fail(overflowError, "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", rangeMax)
	}
	return s
}

// cycler gives its items in turn.
type cycler struct {
	items []Value
	pos   int
}

func makeCycler(_ *rendering, a args) Value {
	a.noNames("cycler")
	if len(a.pos) == 0 {
		fail("RuntimeError", "at least one item has to be provided")
	}
	return &cycler{items: a.pos}
}

func (c *cycler) typeName() string { return "Cycler" }

func (c *cycler) repr(*meter) string { return "<Cycler>" }

func (c *cycler) attr(_ *rendering, name string) (Value, bool) {
	switch name {
	case "current":
		return c.items[c.pos], true
	case "pos":
		return int64(c.pos), true
	case "items":
		return &List{Items: c.items, Tuple: true}, true
	case "next":
		return &callable{name, func(_ *rendering, a args) Value {
			a.positional(name, 0, 0)
			v := c.items[c.pos]
			c.pos = (c.pos + 1) % len(c.items)
			return v
		}}, true
	case "reset":
		return &callable{name, func(_ *rendering, a args) Value {
			a.positional(name, 0, 0)
			c.pos = 0
			return nil
		}}, true
	}
	return nil, false
}

// joiner gives nothing at its first call and its separator after that.
type joiner struct {
	separator Value
	used      bool
}

func makeJoiner(_ *rendering, a args) Value {
	return &joiner{separator: or(a.take("joiner", 0, "sep")[0], ", ")}
}

func (j *joiner) typeName() string { return "Joiner" }

func (j *joiner) repr(*meter) string { return "<Joiner>" }

func (j *joiner) attr(_ *rendering, name string) (Value, bool) {
	switch name {
	case "sep":
		return j.separator, true
	case "used":
		return j.used, true
	}
	return nil, false
}

func (j *joiner) call(_ *rendering, a args) Value {
	a.positional("joiner", 0, 0)
	if j.used {
		return j.separator
	}
	j.used = true
	return ""
}
