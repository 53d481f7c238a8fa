package jinja

// targets reads the names that a for or with sets.
func (p *parser) targets() target {
	return p.asTarget(p.tuple(tupleRules{simple: true}))
}

// assignTargets reads what a set sets, attributes of namespaces among them.
func (p *parser) assignTargets() target {
	line := p.now().line
	t := p.asTarget(p.tuple(tupleRules{simple: true, attributes: true}))
	p.refuseLoop(t, line)
	return t
}

// refuseLoop refuses to set the name loop inside of a loop, where it tells about the loop.
func (p *parser) refuseLoop(t target, line int) {
	if p.fors > 0 && t.sets("loop") {
		failAt(line, assertionError, "Can't assign to special loop variable in for-loop target")
	}
}

func (p *parser) targetName() string {
	x := p.expect(word)
	if constant(x.text) {
		failAt(x.line, syntaxError, "can't assign to '%s'", x.text)
	}
	return x.text
}

// asTarget reads an expression as what is set.
func (p *parser) asTarget(e expr) target {
	switch e := e.(type) {
	case *nameRef:
		return target{name: e.name}
	case *attribute:
		if x, ok := e.x.(*nameRef); ok && e.depth == 0 { // made as a target; depth 0 tells it from x.y in brackets
			return target{name: x.name, attr: e.name}
		}
	case *sequence:
		if e.tuple {
			t := target{several: true}
			for _, x := range e.items {
				t.items = append(t.items, p.asTarget(x))
			}
			return t
		}
	}
	failAt(e.place().line, syntaxError, "can't assign to this expression; names, namespace attributes and tuples of these can be set")
	return target{}
}

// sets tells whether the plain name is among what t sets.
func (t target) sets(name string) bool {
	for _, x := range t.items {
		if x.sets(name) {
			return true
		}
	}
	return t.name == name && t.attr == "" && !t.several
}
