package jinja

import (
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"
)

// TestPython compares small templates with what jinja2 itself made of them: see testdata/make_python.py.
func TestPython(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/python.json")
	if err != nil {
		t.Fatal(err)
	}
	var table struct {
		Now   string
		Vars  json.RawMessage
		Cases []struct {
			Template string
			Text     *string
			Error    string // the name of Python's exception
			Message  string
		}
	}
	decode(t, text, &table)
	vars, err := FromJSON(table.Vars)
	if err != nil {
		t.Fatal(err)
	}
	now, err := time.Parse(time.DateTime, table.Now)
	if err != nil {
		t.Fatal(err)
	}
	failures, sameWords := 0, 0
	for _, c := range table.Cases {
		out, kind, message := renderText(c.Template, vars.(*Dict), now)
		switch {
		case c.Text != nil && kind != "":
			t.Errorf("%q fails by %s: %s\nwant %q", c.Template, kind, message, *c.Text)
		case c.Text != nil && out != *c.Text:
			t.Errorf("%q\n got %q\nwant %q", c.Template, out, *c.Text)
		case c.Text == nil && kind == "":
			t.Errorf("%q gives %q\nwant %s: %s", c.Template, out, c.Error, c.Message)
		case c.Text == nil && kind != c.Error && !sameKind(c.Error, kind):
			t.Errorf("%q fails by %s: %s\nwant %s: %s", c.Template, kind, message, c.Error, c.Message)
		}
		if c.Text == nil {
			failures++
			if message == c.Message {
				sameWords++
			}
		}
	}
	t.Logf("%d templates compared with jinja2; %d of them fail, %d in its very words", len(table.Cases), failures, sameWords)
}

// sameKind knows the kinds that differ in name only: Python's compiler fails where this parser does, and some things that
// Python computes are refused here, which is an error for both.
func sameKind(python, kind string) bool {
	switch python {
	case "SyntaxError":
		return kind == syntaxError
	case "OverflowError":
		return kind == limitError
	}
	return false
}

func renderText(source string, vars *Dict, now time.Time) (text, kind, message string) {
	tmpl, err := Parse("test", source)
	if err == nil {
		text, err = tmpl.render(vars, now)
	}
	var e *Error
	var raised *RaiseError
	switch {
	case err == nil:
	case errors.As(err, &raised):
		return "", "TemplateError", raised.Message
	case errors.As(err, &e):
		return "", e.Kind, e.Message
	}
	return text, "", ""
}
