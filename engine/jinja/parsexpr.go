package jinja

import "strings"

// tupleRules say what p.tuple reads.
type tupleRules struct {
	simple     bool // only names and literals, as targets are
	attributes bool // and name.attribute among them
	noChoice   bool // no x if y at the top, since if goes on there
	brackets   bool // it stands in brackets, where () is a tuple
}

// tuple reads one expression, or several with commas as a tuple.
func (p *parser) tuple(o tupleRules) expr {
	line := p.now().line
	var items []expr
	commas := false
	for {
		if len(items) > 0 {
			p.expectOp(",")
		}
		k := p.now().kind
		if k == variableEnd || k == blockEnd || p.isOp(")") {
			break
		}
		switch {
		case o.simple:
			items = append(items, p.primary(o.attributes))
		case o.noChoice:
			items = append(items, p.or())
		default:
			items = append(items, p.expression())
		}
		if !p.isOp(",") {
			break
		}
		commas = true
	}
	if !commas {
		if len(items) > 0 {
			return items[0]
		}
		if !o.brackets {
			p.fail("Expected an expression, got '%s'", p.now())
		}
	}
	return &sequence{p.here(line, items...), items, true}
}

func (p *parser) expression() expr {
	line := p.now().line
	x := p.or()
	for p.skipWord("if") {
		test := p.or()
		var other expr
		if p.skipWord("else") {
			p.enter()
			other = p.expression()
			p.nest--
		}
		x = &choice{p.here(line, test, x, other), test, x, other}
	}
	return x
}

func (p *parser) or() expr {
	line := p.now().line
	x := p.and()
	for p.skipWord("or") {
		y := p.and()
		x = &logic{p.here(line, x, y), false, x, y}
	}
	return x
}

func (p *parser) and() expr {
	line := p.now().line
	x := p.not()
	for p.skipWord("and") {
		y := p.not()
		x = &logic{p.here(line, x, y), true, x, y}
	}
	return x
}

func (p *parser) not() expr {
	if !p.isWord("not") {
		return p.comparison()
	}
	line := p.next().line
	p.enter()
	x := p.not()
	p.nest--
	return &unary{p.here(line, x), "not", x}
}

func (p *parser) comparison() expr {
	line := p.now().line
	first := p.sum()
	var ops []string
	var operands []expr
	for {
		op := ""
		switch x := p.now(); {
		case x.kind == operator && strings.Contains(" == != < <= > >= ", " "+x.text+" "):
			op = x.text
		case x.named("in"):
			op = "in"
		case x.named("not") && p.look().named("in"):
			op = "not in"
			p.next()
		}
		if op == "" {
			break
		}
		p.next()
		ops = append(ops, op)
		operands = append(operands, p.sum())
	}
	if len(ops) == 0 {
		return first
	}
	return &comparison{p.here(line, append([]expr{first}, operands...)...), first, ops, operands}
}

// chain reads operands with the operators of ops between them, the left ones first.
func (p *parser) chain(ops string, operand func() expr) expr {
	line := p.now().line
	x := operand()
	for p.now().kind == operator && strings.Contains(ops, " "+p.now().text+" ") {
		op := p.next().text
		y := operand()
		x = &binary{p.here(line, x, y), op, x, y}
	}
	return x
}

func (p *parser) sum() expr     { return p.chain(" + - ", p.joined) }
func (p *parser) product() expr { return p.chain(" * / // % ", p.power) }
func (p *parser) power() expr   { return p.chain(" ** ", func() expr { return p.unary(true) }) }

func (p *parser) joined() expr {
	line := p.now().line
	parts := []expr{p.product()}
	for p.skipOp("~") {
		parts = append(parts, p.product())
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return &joined{p.here(line, parts...), parts}
}

func (p *parser) unary(filters bool) expr {
	var x expr
	if p.isOp("-") || p.isOp("+") {
		op := p.next()
		p.enter()
		y := p.unary(false)
		p.nest--
		x = &unary{p.here(op.line, y), op.text, y}
	} else {
		x = p.primary(false)
	}
	x = p.postfix(x)
	if filters {
		x = p.filterExpr(x)
	}
	return x
}

func constant(name string) bool {
	switch name {
	case "true", "True", "false", "False", "none", "None":
		return true
	}
	return false
}

// primary reads a name, a literal or what stands in brackets. With attributes, name.attribute is a target.
func (p *parser) primary(attributes bool) expr {
	x := p.now()
	leaf := at{x.line, 1}
	switch {
	case x.kind == word:
		p.next()
		switch x.text {
		case "true", "True":
			return &literal{leaf, true}
		case "false", "False":
			return &literal{leaf, false}
		case "none", "None":
			return &literal{leaf, nil}
		}
		if attributes && p.skipOp(".") {
			return &attribute{at{x.line, 0}, &nameRef{leaf, x.text}, p.expect(word).text}
		}
		return &nameRef{leaf, x.text}
	case x.kind == textLiteral:
		var b strings.Builder
		for p.now().kind == textLiteral { // literals beside each other are one
			b.WriteString(p.next().text)
		}
		return &literal{leaf, b.String()}
	case x.kind == numberLiteral:
		p.next()
		return &literal{leaf, x.value}
	case x.is("("), x.is("["), x.is("{"):
		p.enter()
		e := p.bracketed()
		p.nest--
		return e
	}
	p.fail("unexpected '%s'", x)
	return nil
}

func (p *parser) bracketed() expr {
	open := p.next()
	switch open.text {
	case "(":
		e := p.tuple(tupleRules{brackets: true})
		p.expectOp(")")
		return e
	case "[":
		var items []expr
		p.separated("]", func() { items = append(items, p.expression()) })
		return &sequence{p.here(open.line, items...), items, false}
	}
	d := &dictLiteral{}
	p.separated("}", func() {
		d.keys = append(d.keys, p.expression())
		p.expectOp(":")
		d.values = append(d.values, p.expression())
	})
	d.at = p.here(open.line, append(append([]expr(nil), d.keys...), d.values...)...)
	return d
}

// separated reads items with commas between, and maybe one after the last, up to the closing bracket.
func (p *parser) separated(end string, read func()) {
	for n := 0; !p.isOp(end); n++ {
		if n > 0 {
			p.expectOp(",")
			if p.isOp(end) {
				break
			}
		}
		read()
	}
	p.expectOp(end)
}

func (p *parser) postfix(x expr) expr {
	for {
		switch {
		case p.isOp("."), p.isOp("["):
			x = p.subscript(x)
		case p.isOp("("):
			x = p.call(x)
		default:
			return x
		}
	}
}

func (p *parser) filterExpr(x expr) expr {
	for {
		switch {
		case p.isOp("|"):
			x = p.filters(x, false)
		case p.isWord("is"):
			x = p.test(x)
		case p.isOp("("):
			x = p.call(x)
		default:
			return x
		}
	}
}

func (p *parser) subscript(x expr) expr {
	open := p.next()
	if open.text == "." {
		name := p.next()
		if name.kind == word {
			return &attribute{p.here(open.line, x), x, name.text}
		}
		if _, ok := name.value.(int64); !ok {
			failAt(name.line, syntaxError, "expected name or number")
		}
		return &item{p.here(open.line, x), x, &literal{at{name.line, 1}, name.value}}
	}
	p.enter()
	defer func() { p.nest-- }()
	var keys []expr
	for !p.isOp("]") {
		if len(keys) > 0 {
			p.expectOp(",")
		}
		key := p.subscribed(x)
		if s, ok := key.(*slice); ok {
			if !p.isOp("]") || len(keys) > 0 {
				p.fail("slices beside other keys are not supported; no value here takes them")
			}
			p.next()
			return s
		}
		keys = append(keys, key)
	}
	p.expectOp("]")
	key := expr(&sequence{p.here(open.line, keys...), keys, true})
	if len(keys) == 1 {
		key = keys[0]
	}
	return &item{p.here(open.line, x, key), x, key}
}

// subscribed reads a key, or from:to:step as a slice of x.
func (p *parser) subscribed(x expr) expr {
	line := p.now().line
	s := &slice{x: x}
	if !p.isOp(":") {
		e := p.expression()
		if !p.isOp(":") {
			return e
		}
		s.from = e
	}
	p.next()
	last := func() bool { return p.isOp(":") || p.isOp("]") || p.isOp(",") }
	if !last() {
		s.to = p.expression()
	}
	if p.skipOp(":") && !last() {
		s.step = p.expression()
	}
	parts := []expr{x}
	for _, e := range []expr{s.from, s.to, s.step} {
		if e != nil {
			parts = append(parts, e)
		}
	}
	s.at = p.here(line, parts...)
	return s
}

func (p *parser) call(x expr) expr {
	line := p.now().line
	a := p.arguments()
	return &invocation{p.here(line, append(a.all(), x)...), x, a}
}

func (a *arguments) all() []expr {
	var out []expr
	a.each(func(e expr) { out = append(out, e) })
	return out
}

func (p *parser) arguments() arguments {
	line := p.now().line
	p.expectOp("(")
	p.enter()
	var a arguments
	ensure := func(ok bool) {
		if !ok {
			failAt(line, syntaxError, "invalid syntax for function call expression")
		}
	}
	p.separated(")", func() {
		switch {
		case p.isOp("*"):
			ensure(a.star == nil && a.mapping == nil)
			p.next()
			a.star = p.expression()
		case p.isOp("**"):
			ensure(a.mapping == nil)
			p.next()
			a.mapping = p.expression()
		case p.now().kind == word && p.look().is("="):
			ensure(a.mapping == nil)
			name := p.next().text
			p.next()
			for _, other := range a.names {
				if other == name {
					failAt(line, syntaxError, "keyword argument repeated: %s", name)
				}
			}
			a.names = append(a.names, name)
			a.named = append(a.named, p.expression())
		default:
			ensure(a.star == nil && a.mapping == nil && len(a.named) == 0)
			a.pos = append(a.pos, p.expression())
		}
	})
	p.nest--
	return a
}

func (p *parser) dotted() string {
	name := p.expect(word).text
	for p.skipOp(".") {
		name += "." + p.expect(word).text
	}
	return name
}

// filters reads a chain of filters over x; begun says that the first has no | before it.
func (p *parser) filters(x expr, begun bool) expr {
	for begun || p.skipOp("|") {
		begun = false
		line := p.now().line
		f := &filtered{x: x, name: p.dotted()}
		if p.isOp("(") {
			f.arguments = p.arguments()
		}
		f.at = p.here(line, append(f.arguments.all(), x)...)
		f.fn = p.lib.filters[f.name]
		p.refuse(line, f.name)
		if len(f.pos) > 0 && f.name == "map" {
			if name, ok := f.pos[0].(*literal); ok {
				s, _ := text(name.value)
				p.refuse(line, s)
			}
		}
		x = f
	}
	return x
}

// refuse names a filter of Jinja's that is not made here.
func (p *parser) refuse(line int, name string) {
	if why, ok := p.lib.unsupported[name]; ok {
		failAt(line, syntaxError, "the filter '%s' is not supported: %s", name, why)
	}
}

func (p *parser) test(x expr) expr {
	line := p.next().line
	negated := p.skipWord("not")
	t := &tested{x: x, name: p.dotted()}
	switch k := p.now(); {
	case k.is("("):
		t.arguments = p.arguments()
	case k.named("else") || k.named("or") || k.named("and"):
	case k.named("is"):
		p.fail("You cannot chain multiple tests with is")
	case k.kind == word, k.kind == textLiteral, k.kind == numberLiteral, k.is("["), k.is("{"):
		t.pos = []expr{p.postfix(p.primary(false))}
	}
	t.at = p.here(line, append(t.arguments.all(), x)...)
	t.fn = p.lib.tests[t.name]
	if !negated {
		return t
	}
	return &unary{p.here(line, t), "not", t}
}
