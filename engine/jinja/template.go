package jinja

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Template is a parsed chat template.
type Template struct {
	name, source string
	root         block
	lib          *library
}

// Parse reads a template. The error is an *Error that says what is wrong or not supported, and in which line.
func Parse(name, source string) (t *Template, err error) {
	defer catch(name, nil, &err)
	if len(source) > sourceMax {
		fail(limitError, "the template has %d bytes; at most %d are read", len(source), sourceMax)
	}
	if !utf8.ValidString(source) {
		fail(syntaxError, "the template is no UTF-8 text")
	}
	t = &Template{name: name, source: source, lib: newLibrary()}
	p := &parser{in: lex(source), lib: t.lib}
	t.root.stmts = p.subparse()
	t.root.resolve(nil, nil)
	return t, nil
}

// rendering is one rendering of a template.
type rendering struct {
	meter
	lib   *library
	now   time.Time
	line  int // of what is computed
	calls int // macros and recursive loops that are open
}

// render gives the template's text over vars.
func (t *Template) render(vars *Dict, now time.Time) (string, error) {
	return t.renderWithin(fullMeter(), vars, now)
}

func (t *Template) renderWithin(m meter, vars *Dict, now time.Time) (text string, err error) {
	r := &rendering{meter: m, lib: t.lib, now: now}
	defer catch(t.name, &r.line, &err)
	outer := &scope{vars: map[string]Value{}}
	for name, fn := range globals() {
		outer.vars[name] = fn
	}
	for _, e := range vars.entries {
		if name, ok := e.key.(string); ok {
			outer.vars[name] = e.value
		}
	}
	var out strings.Builder
	f := &frame{r: r, out: &out}
	f.in(outer, &t.root).run(t.root.stmts)
	return out.String(), nil
}

// open counts a macro or recursive loop that begins; the result counts its end.
func (r *rendering) open() func() {
	r.calls++
	if r.calls > callsMax {
		fail(recursionError, "macros and recursive loops nest deeper than %d", callsMax)
	}
	return func() { r.calls-- }
}
