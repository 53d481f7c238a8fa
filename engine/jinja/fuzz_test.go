package jinja

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// seedTemplates adds the templates that are compared with jinja2.
func seedTemplates(f *testing.F) {
	text, err := os.ReadFile("testdata/python.json")
	if err != nil {
		f.Fatal(err)
	}
	var table struct{ Cases []struct{ Template string } }
	if err := json.Unmarshal(text, &table); err != nil {
		f.Fatal(err)
	}
	for i, c := range table.Cases {
		if i%3 == 0 || strings.Contains(c.Template, "{%") { // a third of the expressions, and all statements
			f.Add(c.Template)
		}
	}
}

// FuzzParse checks what holds for every template: no panic; an error is an *Error with a kind, words and a line of the template.
func FuzzParse(f *testing.F) {
	seedTemplates(f)
	f.Fuzz(func(t *testing.T, source string) {
		_, err := Parse("fuzz", source)
		if err == nil {
			return
		}
		var e *Error
		if !errors.As(err, &e) || e.Kind == "" || e.Message == "" || e.Template != "fuzz" {
			t.Fatalf("%q: %#v", source, err)
		}
		if lines := strings.Count(source, "\n") + strings.Count(source, "\r") + 1; e.Line < 0 || e.Line > lines {
			t.Fatalf("%q has %d lines; %v", source, lines, err)
		}
	})
}

// FuzzRender checks what holds for every rendering: no panic; an end within the budget; an error that is the template's own words
// or an *Error; UTF-8 text; and the same again.
func FuzzRender(f *testing.F) {
	seedTemplates(f)
	vars, err := FromJSON([]byte(`{"s":"Hello é\n","none_":null,"nums":[3,1,2],"nest":{"a":{"b":[{"c":1.5}]}},"people":[{"name":"bob","tags":["x"]},{"name":"Al"}],
		"messages":[{"role":"user","content":"U"},{"role":"assistant","content":[{"type":"text","text":"t"}]}],"yes":true,"no":false,"big":123456789012345678901234567890}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, source string) {
		tmpl, err := Parse("fuzz", source)
		if err != nil {
			return
		}
		budget := meter{steps: 100_000, bytes: 4 << 20}
		first, err := tmpl.renderWithin(budget, vars.(*Dict), time.Time{})
		again, err2 := tmpl.renderWithin(budget, vars.(*Dict), time.Time{})
		if first != again || errorText(err) != errorText(err2) {
			t.Fatalf("%q gives %q, %v and then %q, %v", source, first, err, again, err2)
		}
		var e *Error
		var raised *RaiseError
		switch {
		case err == nil && (!utf8.ValidString(first) || len(first) > budget.bytes):
			t.Fatalf("%q gives %d bytes that are no text or too many", source, len(first))
		case err != nil && !errors.As(err, &raised) && (!errors.As(err, &e) || e.Kind == "" || e.Message == ""):
			t.Fatalf("%q: %#v", source, err)
		}
	})
}
