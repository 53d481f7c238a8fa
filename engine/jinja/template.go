package jinja

import "time"

// Template is a parsed chat template.
type Template struct {
	name, source string
}

// Parse reads a template. The parser is still to come: until then every template is refused, so that no prompt is made wrong.
func Parse(name, source string) (*Template, error) {
	return nil, &Error{Template: name, Kind: syntaxError, Message: "chat templates cannot be parsed yet"}
}

func (t *Template) render(vars *Dict, now time.Time) (string, error) {
	return "", &Error{Template: t.name, Kind: syntaxError, Message: "chat templates cannot be rendered yet"}
}
