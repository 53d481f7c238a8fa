package jinja

// args are the arguments of a call; named is nil where there are none.
type args struct {
	pos   []Value
	named *Dict
}

// function is a filter, a test, or a method of a string, list or dict: x is what it is applied to.
type function func(r *rendering, x Value, a args) Value

// take lays the arguments out under the names of fn's parameters, as Python binds them; missing where not given.
func (a args) take(fn string, required int, names ...string) []Value {
	if len(a.pos) > len(names) {
		fail(typeError, "%s() takes at most %d arguments (%d given)", fn, len(names), len(a.pos))
	}
	out := make([]Value, len(names))
	for i := range out {
		out[i] = missing{}
	}
	copy(out, a.pos)
	if a.named != nil {
		for _, e := range a.named.entries {
			a.place(fn, out, names, e.key.(string), e.value)
		}
	}
	for i := range required {
		if !given(out[i]) {
			fail(typeError, "%s() missing required argument '%s'", fn, names[i])
		}
	}
	return out
}

func (a args) place(fn string, out []Value, names []string, key string, v Value) {
	for i, name := range names {
		if name != key {
			continue
		}
		if given(out[i]) {
			fail(typeError, "%s() got multiple values for argument '%s'", fn, key)
		}
		out[i] = v
		return
	}
	fail(typeError, "%s() got an unexpected keyword argument '%s'", fn, key)
}

func (a args) noNames(fn string) {
	if a.named != nil && len(a.named.entries) > 0 {
		fail(typeError, "%s() takes no keyword arguments", fn)
	}
}

// positional is take for Python's own methods, most of which know no names.
func (a args) positional(fn string, required, most int) []Value {
	a.noNames(fn)
	if len(a.pos) < required || len(a.pos) > most {
		fail(typeError, "%s() takes from %d to %d arguments (%d given)", fn, required, most, len(a.pos))
	}
	out := make([]Value, most)
	for i := range out {
		out[i] = missing{}
	}
	copy(out, a.pos)
	return out
}

func given(v Value) bool {
	_, no := v.(missing)
	return !no
}

// or is v, and other where v is not given.
func or(v, other Value) Value {
	if given(v) {
		return v
	}
	return other
}

// mustText is v where it is a string.
func mustText(v Value, what string) string {
	s, ok := text(v)
	if !ok {
		refuseUndefined(v)
		fail(typeError, "%s must be str, not %s", what, typeName(v))
	}
	return s
}

// count is v as an int, other where v is not given.
func count(v Value, other int, what string) int {
	if !given(v) {
		return other
	}
	return whole(v, what)
}
