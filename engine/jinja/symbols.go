package jinja

import "sort"

// symbols says how the names in one block find their values, as Jinja's compiler decides it before anything runs. A name that a
// block sets without having read it before is unset when the block begins: inner loops and macros that read it before it is set
// see nothing, even where an outer block or the caller has a value under that name. Everything else is what a search from inner
// to outer scopes finds when it is made.
type symbols struct {
	outer  *symbols
	known  map[string]bool // names read or set here; true for those that begin unset
	stores map[string]bool
	soft   bool // inside an if, where Jinja lets unknown filters stand until they are used
	spent  *int // names copied for branches, of the whole template
}

func inner(outer *symbols) *symbols {
	s := &symbols{outer: outer, known: map[string]bool{}, stores: map[string]bool{}, spent: new(int)}
	if outer != nil {
		s.spent = outer.spent
	}
	return s
}

func (s *symbols) knows(name string) bool {
	for ; s != nil; s = s.outer {
		if _, ok := s.known[name]; ok {
			return true
		}
	}
	return false
}

func (s *symbols) load(name string) {
	if !s.knows(name) {
		s.known[name] = false
	}
}

func (s *symbols) store(name string) {
	s.stores[name] = true
	if _, ok := s.known[name]; !ok {
		s.known[name] = !s.outer.knows(name)
	}
}

func (s *symbols) param(name string) {
	s.stores[name] = true
	s.known[name] = false
}

// hidden lists the names that begin unset.
func (s *symbols) hidden() []string {
	var out []string
	for name, unset := range s.known {
		if unset {
			out = append(out, name)
		}
	}
	sort.Strings(out)
	return out
}

// resolve fills in the hidden names of b and of all blocks in it; before declares what b's scope begins with.
func (b *block) resolve(outer *symbols, before func(s *symbols)) {
	s := inner(outer)
	if before != nil {
		before(s)
	}
	s.stmts(b.stmts)
	b.hidden = s.hidden()
	s.inside(b.stmts)
}

// stmts notes what statements read and set in their own scope.
func (s *symbols) stmts(body []stmt) {
	for _, x := range body {
		s.stmt(x)
	}
}

func (s *symbols) stmt(x stmt) {
	switch x := x.(type) {
	case *output:
		for _, e := range x.parts {
			s.expr(e, s.soft)
		}
	case *assign:
		s.expr(x.value, s.soft)
		s.target(x.target)
	case *assignBlock:
		s.target(x.target)
	case *ifElse:
		s.ifElse(x.branches, x.otherwise)
	case *forLoop:
		s.expr(x.over, s.soft)
	case *macroDef:
		s.store(x.name)
	case *callBlock:
		if x.invoke != nil {
			s.expr(x.invoke, s.soft)
		}
	case *filterBlock:
		s.expr(x.filter, false)
	case *withBlock:
		for _, e := range x.values {
			s.expr(e, s.soft)
		}
	}
}

func (s *symbols) target(t target) {
	for _, x := range t.items {
		s.target(x)
	}
	switch {
	case t.several:
	case t.attr != "":
		s.load(t.name)
	default:
		s.store(t.name)
	}
}

// ifElse notes the branches side by side: what only some of them set keeps its outer value in the others.
func (s *symbols) ifElse(branches []branch, otherwise []stmt) {
	s.expr(branches[0].test, true)
	bodies := []*symbols{s.copied(), s.copied(), s.copied()}
	bodies[0].stmts(branches[0].body)
	for _, b := range branches[1:] {
		bodies[1].ifElse([]branch{b}, nil)
	}
	bodies[2].stmts(otherwise)
	added := map[string]bool{}
	for _, b := range bodies {
		for name := range b.stores {
			if !s.stores[name] {
				added[name] = true
			}
		}
	}
	for _, b := range bodies {
		for name, unset := range b.known {
			s.known[name] = unset
		}
	}
	for name := range added {
		s.stores[name] = true
		s.known[name] = false
	}
}

func (s *symbols) copied() *symbols {
	out := inner(s.outer)
	out.soft, out.spent = true, s.spent
	if *s.spent += len(s.known); *s.spent > branchMax {
		fail(limitError, "the template has too many names in too many branches")
	}
	for name, unset := range s.known {
		out.known[name] = unset
	}
	for name := range s.stores {
		out.stores[name] = true
	}
	return out
}

// expr notes the names that e reads, and refuses filters and tests that nobody knows.
func (s *symbols) expr(e expr, soft bool) {
	switch e := e.(type) {
	case *nameRef:
		s.load(e.name)
	case *choice:
		soft = true
	case *filtered:
		if e.fn == nil && !soft {
			failAt(e.line, assertionError, "No filter named '%s'.", e.name)
		}
	case *tested:
		if e.fn == nil && !soft {
			failAt(e.line, assertionError, "No test named '%s'.", e.name)
		}
	}
	e.each(func(x expr) { s.expr(x, soft) })
}

// inside resolves the blocks that statements of s open.
func (s *symbols) inside(body []stmt) {
	for _, x := range body {
		switch x := x.(type) {
		case *ifElse:
			for _, b := range x.branches {
				s.inside(b.body)
			}
			s.inside(x.otherwise)
		case *forLoop:
			x.body.resolve(s, func(in *symbols) { in.param("loop"); in.params(x.target) })
			x.otherwise.resolve(s, nil)
			if x.test != nil {
				in := inner(s)
				in.params(x.target)
				in.expr(x.test, false)
			}
		case *macroDef:
			x.signature.resolve(x.line, s)
		case *callBlock:
			x.signature.resolve(x.line, s)
		case *filterBlock:
			x.body.resolve(s, nil)
		case *assignBlock:
			x.body.resolve(s, nil)
			inner(s).expr(x.filter, false)
		case *withBlock:
			x.body.resolve(s, func(in *symbols) {
				for _, t := range x.targets {
					in.params(t)
				}
			})
		}
	}
}

func (s *symbols) params(t target) {
	for _, x := range t.items {
		s.params(x)
	}
	if !t.several {
		s.param(t.name)
	}
}

func (g *signature) resolve(line int, outer *symbols) {
	free := freeNames(g.body.stmts)
	g.caller, g.kwargs, g.varargs = free["caller"], free["kwargs"], free["varargs"]
	g.body.resolve(outer, func(in *symbols) {
		for _, q := range g.params {
			in.param(q.name)
			switch {
			case q.name == "kwargs":
				g.kwargs = false
			case q.name == "varargs":
				g.varargs = false
			case q.name == "caller" && g.caller && q.def == nil:
				failAt(line, assertionError, "When defining macros or call blocks the special \"caller\" argument must be omitted or be given a default.")
			}
		}
		for _, q := range g.params {
			if q.def != nil {
				in.expr(q.def, false)
			}
		}
		for name, special := range map[string]bool{"caller": g.caller, "kwargs": g.kwargs, "varargs": g.varargs} {
			if special {
				in.param(name)
			}
		}
	})
}

// freeNames gives the names that stmts read before they set them, as the text goes.
func freeNames(stmts []stmt) map[string]bool {
	w := nameWalk{free: map[string]bool{}, set: map[string]bool{}}
	w.stmts(stmts)
	return w.free
}

type nameWalk struct{ free, set map[string]bool }

func (w nameWalk) expr(e expr) {
	if n, ok := e.(*nameRef); ok && !w.set[n.name] {
		w.free[n.name] = true
	}
	e.each(w.expr)
}

func (w nameWalk) target(t target) {
	for _, x := range t.items {
		w.target(x)
	}
	if !t.several && t.attr == "" {
		w.set[t.name] = true
	}
}

func (w nameWalk) params(list []param) {
	for _, q := range list {
		w.set[q.name] = true
	}
	for _, q := range list {
		if q.def != nil {
			w.expr(q.def)
		}
	}
}

func (w nameWalk) stmts(body []stmt) {
	for _, x := range body {
		w.stmt(x)
	}
}

func (w nameWalk) stmt(x stmt) {
	switch x := x.(type) {
	case *output:
		for _, e := range x.parts {
			w.expr(e)
		}
	case *assign:
		w.target(x.target)
		w.expr(x.value)
	case *assignBlock:
		w.target(x.target)
		w.expr(x.filter)
		w.stmts(x.body.stmts)
	case *ifElse:
		for _, b := range x.branches {
			w.expr(b.test)
			w.stmts(b.body)
		}
		w.stmts(x.otherwise)
	case *forLoop:
		w.target(x.target)
		w.expr(x.over)
		w.stmts(x.body.stmts)
		w.stmts(x.otherwise.stmts)
		if x.test != nil {
			w.expr(x.test)
		}
	case *macroDef:
		w.params(x.params)
		w.stmts(x.body.stmts)
	case *callBlock:
		if x.invoke != nil {
			w.expr(x.invoke)
		}
		w.params(x.params)
		w.stmts(x.body.stmts)
	case *filterBlock:
		w.stmts(x.body.stmts)
		w.expr(x.filter)
	case *withBlock:
		for _, t := range x.targets {
			w.target(t)
		}
		for _, e := range x.values {
			w.expr(e)
		}
		w.stmts(x.body.stmts)
	}
}
