package jinja

import (
	"slices"
	"strings"
)

// parser reads statements by recursive descent, as jinja2's parser does, so that what one refuses the other refuses.
type parser struct {
	in   []lexeme
	pos  int
	nest int // statements and brackets that are open
	lib  *library

	loops int      // loops around here that break and continue can leave
	fors  int      // loops around here at all
	ends  []string // what the open statements wait for
}

func (p *parser) now() lexeme { return p.in[p.pos] }

func (p *parser) next() lexeme {
	x := p.in[p.pos]
	if p.pos+1 < len(p.in) { // the end stays
		p.pos++
	}
	return x
}

func (p *parser) look() lexeme { return p.in[min(p.pos+1, len(p.in)-1)] }

func (p *parser) fail(format string, args ...any) { failAt(p.now().line, syntaxError, format, args...) }

func (l lexeme) is(op string) bool    { return l.kind == operator && l.text == op }
func (l lexeme) named(w string) bool  { return l.kind == word && l.text == w }
func (p *parser) isOp(op string) bool { return p.now().is(op) }
func (p *parser) isWord(w string) bool {
	return p.now().named(w)
}

func (p *parser) skipOp(op string) bool {
	if p.isOp(op) {
		p.next()
		return true
	}
	return false
}

func (p *parser) skipWord(w string) bool {
	if p.isWord(w) {
		p.next()
		return true
	}
	return false
}

func (p *parser) expectOp(op string) {
	if !p.skipOp(op) {
		p.fail("expected token '%s', got '%s'", op, p.now())
	}
}

func (p *parser) expectWord(w string) {
	if !p.skipWord(w) {
		p.fail("expected token '%s', got '%s'", w, p.now())
	}
}

func (p *parser) expect(k kind) lexeme {
	if p.now().kind != k {
		p.fail("expected token '%s', got '%s'", lexeme{kind: k, text: "name"}, p.now())
	}
	return p.next()
}

// enter counts one more open statement or bracket.
func (p *parser) enter() {
	p.nest++
	if p.nest > nestMax {
		failAt(p.now().line, limitError, "statements or brackets nest deeper than %d", nestMax)
	}
}

// here makes the place of an expression over its parts.
func (p *parser) here(line int, parts ...expr) at {
	depth := 0
	for _, e := range parts {
		if e != nil {
			depth = max(depth, e.place().depth)
		}
	}
	if depth >= depthMax {
		failAt(line, limitError, "expressions nest deeper than %d", depthMax)
	}
	return at{line, depth + 1}
}

// subparse reads statements up to a block that begins with one of ends, whose first word is then the next lexeme; with no ends,
// to the end of the template.
func (p *parser) subparse(ends ...string) []stmt {
	p.enter()
	p.ends = append(p.ends, strings.Join(ends, " or "))
	var body []stmt
	var parts []expr
	line := 0
	add := func(e expr) {
		if len(parts) == 0 {
			line = e.place().line
		}
		parts = append(parts, e)
	}
	flush := func() {
		if len(parts) > 0 {
			body = append(body, &output{at{line: line}, parts})
			parts = nil
		}
	}
	for {
		x := p.now()
		switch x.kind {
		case data:
			add(&literal{at{x.line, 1}, p.next().text})
		case variableBegin:
			p.next()
			add(p.tuple(tupleRules{}))
			p.expect(variableEnd)
		case blockBegin:
			flush()
			p.next()
			if p.now().kind == word && slices.Contains(ends, p.now().text) {
				p.nest--
				p.ends = p.ends[:len(p.ends)-1]
				return body
			}
			body = append(body, p.statement())
			p.expect(blockEnd)
		default:
			if len(ends) > 0 {
				p.fail("Unexpected end of template. Jinja was looking for the following tags: %s.", p.ends[len(p.ends)-1])
			}
			flush()
			return body
		}
	}
}

// body reads what follows a tag's head up to the word of ends that closes it, which it takes.
func (p *parser) body(ends ...string) ([]stmt, string) {
	p.skipOp(":")
	p.expect(blockEnd)
	stmts := p.subparse(ends...)
	return stmts, p.next().text
}

func (p *parser) statement() stmt {
	if p.now().kind != word {
		p.fail("tag name expected")
	}
	tag := p.now()
	here := at{line: tag.line}
	switch tag.text {
	case "for":
		return p.forLoop(here)
	case "if":
		return p.ifElse(here)
	case "set":
		return p.set(here)
	case "print":
		return p.print(here)
	case "with":
		return p.with(here)
	case "macro":
		return p.macro(here)
	case "call":
		return p.callBlock(here)
	case "filter":
		p.next()
		f := &filterBlock{at: here, filter: p.filters(&captured{here}, true)}
		f.body.stmts, _ = p.body("endfilter")
		return f
	case "generation":
		p.next()
		g := &callBlock{at: here}
		p.alone(func() { g.body.stmts, _ = p.body("endgeneration") })
		return g
	case "break", "continue":
		p.next()
		if p.loops == 0 {
			failAt(here.line, syntaxError, "'%s' outside loop", tag.text)
		}
		to := leaveLoop
		if tag.text == "continue" {
			to = nextItem
		}
		return &jump{here, to}
	case "block", "extends", "include", "import", "from", "autoescape":
		p.fail("the tag '%s' is not supported; a chat template stands alone", tag.text)
	}
	if waits := p.ends[len(p.ends)-1]; waits != "" {
		p.fail("Encountered unknown tag '%s'. Jinja was looking for the following tags: %s.", tag.text, waits)
	}
	p.fail("Encountered unknown tag '%s'.", tag.text)
	return nil
}

// alone reads a body that becomes a function of its own in Jinja, so that no loop around it can be left from inside.
func (p *parser) alone(read func()) {
	loops := p.loops
	p.loops = 0
	read()
	p.loops = loops
}

func (p *parser) forLoop(here at) stmt {
	p.expectWord("for")
	n := &forLoop{at: here}
	n.target = p.targets()
	p.expectWord("in")
	n.over = p.tuple(tupleRules{noChoice: true})
	if p.skipWord("if") {
		n.test = p.expression()
	}
	n.recursive = p.skipWord("recursive")
	loops := p.loops
	p.loops++
	p.fors++
	p.refuseLoop(n.target, here.line)
	var end string
	n.body.stmts, end = p.body("endfor", "else")
	p.loops = loops
	if n.recursive {
		p.loops = 0
	}
	if end == "else" {
		n.otherwise.stmts, _ = p.body("endfor")
	}
	p.loops = loops
	p.fors--
	return n
}

func (p *parser) ifElse(here at) stmt {
	p.expectWord("if")
	n := &ifElse{at: here}
	for {
		b := branch{test: p.tuple(tupleRules{noChoice: true})}
		var end string
		b.body, end = p.body("elif", "else", "endif")
		n.branches = append(n.branches, b)
		if end == "else" {
			n.otherwise, _ = p.body("endif")
		}
		if end != "elif" {
			return n
		}
	}
}

func (p *parser) set(here at) stmt {
	p.next()
	to := p.assignTargets()
	if p.skipOp("=") {
		return &assign{here, to, p.tuple(tupleRules{})}
	}
	n := &assignBlock{at: here, target: to, filter: p.filters(&captured{here}, false)}
	n.body.stmts, _ = p.body("endset")
	return n
}

func (p *parser) print(here at) stmt {
	p.next()
	n := &output{at: here}
	for p.now().kind != blockEnd {
		if len(n.parts) > 0 {
			p.expectOp(",")
		}
		n.parts = append(n.parts, p.expression())
	}
	return n
}

func (p *parser) with(here at) stmt {
	p.next()
	n := &withBlock{at: here}
	for p.now().kind != blockEnd {
		if len(n.targets) > 0 {
			p.expectOp(",")
		}
		n.targets = append(n.targets, p.targets())
		p.expectOp("=")
		n.values = append(n.values, p.expression())
	}
	n.body.stmts, _ = p.body("endwith")
	return n
}

func (p *parser) macro(here at) stmt {
	p.next()
	n := &macroDef{at: here}
	n.name = p.targetName()
	n.params = p.params()
	p.alone(func() { n.body.stmts, _ = p.body("endmacro") })
	return n
}

func (p *parser) callBlock(here at) stmt {
	p.next()
	n := &callBlock{at: here}
	if p.isOp("(") {
		n.params = p.params()
	}
	invoke, ok := p.expression().(*invocation)
	if !ok {
		failAt(here.line, syntaxError, "expected call")
	}
	if slices.Contains(invoke.names, "caller") {
		failAt(here.line, syntaxError, "keyword argument repeated: caller")
	}
	n.invoke = invoke
	p.alone(func() { n.body.stmts, _ = p.body("endcall") })
	return n
}

func (p *parser) params() []param {
	var out []param
	p.expectOp("(")
	for !p.isOp(")") {
		if len(out) > 0 {
			p.expectOp(",")
		}
		q := param{name: p.targetName()}
		if p.skipOp("=") {
			q.def = p.expression()
		} else if len(out) > 0 && out[len(out)-1].def != nil {
			p.fail("non-default argument follows default argument")
		}
		for _, other := range out {
			if other.name == q.name {
				p.fail("duplicate argument '%s' in function definition", q.name)
			}
		}
		out = append(out, q)
	}
	p.expectOp(")")
	return out
}
