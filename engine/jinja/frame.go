package jinja

import "strings"

// scope holds the names of one run of a block; those that it lacks are the outer one's.
type scope struct {
	vars  map[string]Value
	outer *scope
}

func (s *scope) set(name string, v Value) {
	if s.vars == nil {
		s.vars = map[string]Value{}
	}
	s.vars[name] = v
}

func (s *scope) find(name string) Value {
	for ; s != nil; s = s.outer {
		if v, ok := s.vars[name]; ok {
			return v
		}
	}
	return missing{}
}

// frame is where statements run: their names and where they print.
type frame struct {
	r     *rendering
	scope *scope
	out   *strings.Builder
	held  string // what captured stands for
}

// in is a frame for a run of b inside of outer.
func (f *frame) in(outer *scope, b *block) *frame {
	f.r.grow(objectBytes)
	s := &scope{outer: outer}
	for _, name := range b.hidden {
		s.set(name, missing{})
	}
	return &frame{r: f.r, scope: s, out: f.out}
}

// inner is a frame for a run of b inside of f.
func (f *frame) inner(b *block) *frame { return f.in(f.scope, b) }

// capture makes f print to a text of its own, which the result gives.
func (f *frame) capture() *strings.Builder {
	f.out = &strings.Builder{}
	return f.out
}

func (f *frame) print(s string) {
	f.r.grow(len(s))
	f.out.WriteString(s)
}

// eval computes an expression.
func (f *frame) eval(e expr) Value {
	f.r.deeper()
	v := e.eval(f)
	f.r.depth--
	return v
}

// signal says how a statement ended.
type signal uint8

const (
	goOn signal = iota
	leaveLoop
	nextItem
)

// run runs statements in order, up to one that leaves the loop around or its turn.
func (f *frame) run(body []stmt) signal {
	for _, s := range body {
		f.r.spend(1)
		f.r.line = s.place().line
		if to := s.exec(f); to != goOn {
			return to
		}
	}
	return goOn
}
