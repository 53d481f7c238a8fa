package jinja

import "fmt"

// exec runs the body for each item, in a scope of its own each time.
func (s *forLoop) exec(f *frame) signal {
	over := f.eval(s.over)
	f.r.line = s.line
	if !s.recursive {
		return s.each(f, over, nil, 0)
	}
	// A recursive loop is a function that prints to a text of its own.
	f.print(s.again(f, over, 0))
	return goOn
}

// again runs a recursive loop over v; its text is the result.
func (s *forLoop) again(f *frame, v Value, depth int) string {
	defer f.r.open()()
	in := &frame{r: f.r, scope: f.scope}
	out := in.capture()
	s.each(in, v, func(v Value) string { return s.again(f, v, depth+1) }, depth)
	return out.String()
}

func (s *forLoop) each(f *frame, over Value, recurse func(Value) string, depth int) signal {
	l := &loop{r: f.r, recurse: recurse, depth: depth, index: -1, counted: -1}
	if s.test == nil && sized(over) {
		l.counted = length(over)
	}
	l.next = iterate(&f.r.meter, over)
	if s.test != nil {
		l.next = s.kept(f, l.next)
	}
	empty := true // as Jinja has it: no turn came to its end
	for to := goOn; to != leaveLoop; {
		v, ok := l.advance()
		if !ok {
			break
		}
		in := f.inner(&s.body)
		f.r.line = s.line
		in.set(s.target, v)
		in.scope.set("loop", l)
		to = in.run(s.body.stmts)
		empty = empty && to != goOn
	}
	if empty && s.otherwise.stmts != nil {
		return f.inner(&s.otherwise).run(s.otherwise.stmts)
	}
	return goOn
}

// kept gives the items of next for which the loop's test holds.
func (s *forLoop) kept(f *frame, next func() (Value, bool)) func() (Value, bool) {
	return func() (Value, bool) {
		for {
			v, ok := next()
			if !ok {
				return nil, false
			}
			in := &frame{r: f.r, scope: &scope{outer: f.scope}}
			in.set(s.target, v)
			if truth(in.eval(s.test)) {
				return v, true
			}
		}
	}
}

// loop is what a loop's body sees as loop. It reads one item ahead where it is asked whether there is one, and all of them
// where it is asked for their number and its source does not tell.
type loop struct {
	r       *rendering
	next    func() (Value, bool)
	recurse func(Value) string
	depth   int // 0 for the outermost
	index   int // of the current item, -1 before the first
	counted int // number of items, -1 while not known

	before, current Value
	ahead           []Value // items that were read but not reached
	changes         Value   // what changed was asked about last
}

func (l *loop) advance() (Value, bool) {
	var v Value
	if len(l.ahead) > 0 {
		v, l.ahead = l.ahead[0], l.ahead[1:]
	} else {
		item, ok := l.next()
		if !ok {
			return nil, false
		}
		v = item
	}
	l.index++
	l.before, l.current = l.current, v
	return v, true
}

// again is what iterating over the loop object itself does: the item and the loop, and on with the same loop.
func (l *loop) again() (Value, bool) {
	v, ok := l.advance()
	if !ok {
		return nil, false
	}
	return &List{Items: []Value{v, l}, Tuple: true}, true
}

func (l *loop) peek() (Value, bool) {
	if len(l.ahead) == 0 {
		v, ok := l.next()
		if !ok {
			return nil, false
		}
		l.ahead = append(l.ahead, v)
	}
	return l.ahead[0], true
}

func (l *loop) length() int {
	if l.counted < 0 {
		for v, ok := l.next(); ok; v, ok = l.next() {
			l.r.grow(slotBytes)
			l.ahead = append(l.ahead, v)
		}
		l.counted = l.index + 1 + len(l.ahead)
	}
	return l.counted
}

func (l *loop) typeName() string { return "LoopContext" }

func (l *loop) repr(*meter) string { return fmt.Sprintf("<LoopContext %d/%d>", l.index+1, l.length()) }

func (l *loop) call(_ *rendering, a args) Value {
	if l.recurse == nil {
		fail(typeError, "The loop must have the 'recursive' marker to be called recursively.")
	}
	return l.recurse(a.take("__call__", 1, "iterable")[0])
}

func (l *loop) attr(_ *rendering, name string) (Value, bool) {
	switch name {
	case "index":
		return int64(l.index + 1), true
	case "index0":
		return int64(l.index), true
	case "revindex":
		return int64(l.length() - l.index), true
	case "revindex0":
		return int64(l.length() - l.index - 1), true
	case "first":
		return l.index == 0, true
	case "last":
		_, more := l.peek()
		return !more, true
	case "length":
		return int64(l.length()), true
	case "depth":
		return int64(l.depth + 1), true
	case "depth0":
		return int64(l.depth), true
	case "previtem":
		if l.index == 0 {
			return undefined{undefinedError, "there is no previous item"}, true
		}
		return l.before, true
	case "nextitem":
		if v, more := l.peek(); more {
			return v, true
		}
		return undefined{undefinedError, "there is no next item"}, true
	case "cycle":
		return &callable{name, l.cycle}, true
	case "changed":
		return &callable{name, l.changed}, true
	}
	return nil, false
}

func (l *loop) cycle(_ *rendering, a args) Value {
	a.noNames("cycle")
	if len(a.pos) == 0 {
		fail(typeError, "no items for cycling given")
	}
	return a.pos[l.index%len(a.pos)]
}

func (l *loop) changed(r *rendering, a args) Value {
	a.noNames("changed")
	now := &List{Items: a.pos, Tuple: true}
	if l.changes != nil && equal(&r.meter, l.changes, now) {
		return false
	}
	l.changes = now
	return true
}
