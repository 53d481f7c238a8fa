package jinja

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestUnsupported holds that what is not made here is refused when a template is parsed, by its name and in its line.
func TestUnsupported(t *testing.T) {
	t.Parallel()
	check := func(source, want string) {
		t.Helper()
		_, err := Parse("chat_template", "first line\n"+source)
		var e *Error
		if !errors.As(err, &e) || e.Line != 2 || !strings.Contains(e.Message, want) || !strings.HasPrefix(err.Error(), "chat_template, line 2: Template") {
			t.Errorf("%q: %v; want %q in line 2", source, err, want)
		}
	}
	for _, tag := range []string{"include 'x'", "extends 'x'", "import 'x' as y", "from 'x' import y", "block x", "autoescape true"} {
		check("{% "+tag+" %}", "the tag '"+strings.Fields(tag)[0]+"' is not supported")
	}
	for _, filter := range []string{"random", "pprint", "striptags", "urlize", "xmlattr", "wordwrap"} {
		check("{{ x | "+filter+" }}", "the filter '"+filter+"' is not supported")
		check("{% if x %}{{ x | "+filter+" }}{% endif %}", "the filter '"+filter+"' is not supported")
		check("{{ x | map('"+filter+"') }}", "the filter '"+filter+"' is not supported")
	}
	check("{% do x.append(1) %}", "Encountered unknown tag 'do'")
	check("{% trans %}", "Encountered unknown tag 'trans'")
	check("{% if x %}{% trans %}{% endif %}", "looking for the following tags: elif or else or endif")
	check("{{ x | nosuch }}", "No filter named 'nosuch'")
	check("{{ x is nosuch }}", "No test named 'nosuch'")
	check(`{{ '\N{BULLET}' }}`, `\N{name} escapes are not supported`)
	check(`{{ '\ud83d' }}`, "no character")
	check("{{ x[1:2, 3] }}", "slices beside other keys are not supported")
	if _, err := Parse("x", "\xff"); err == nil || !strings.Contains(err.Error(), "no UTF-8 text") {
		t.Errorf("bytes that are no text: %v", err)
	}
}

// TestUnsupportedCalls holds what only a rendering can meet.
func TestUnsupportedCalls(t *testing.T) {
	t.Parallel()
	check := func(source, want string) {
		t.Helper()
		if _, kind, message := renderText(source, NewDict(), time.Time{}); kind != notSupported || !strings.Contains(message, want) {
			t.Errorf("%q: %s %s; want %q", source, kind, message, want)
		}
	}
	check("{{ 'a'.encode() }}", "str.encode is not supported")
	check("{{ 'a'.translate({}) }}", "str.translate is not supported")
	check("{{ 'a'.casefold() }}", "str.casefold is not supported")
	check("{{ (1).to_bytes(2) }}", "int.to_bytes is not supported")
	check("{{ lipsum() }}", "lipsum is not supported")
}
