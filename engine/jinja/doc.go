// Package jinja renders chat templates as Hugging Face's apply_chat_template does: the part of Jinja2 that such templates use, with
// trim_blocks and lstrip_blocks on, insertion-ordered dicts, Python's own text for numbers, lists and None, tojson without HTML
// escapes, and an environment that templates cannot change. Why our own: of the Go modules that can be had, the best renders 95 of
// 173 real templates as Python does, and a template that renders almost right makes a model silently worse.
//
// The grammar and its meaning are those of Jinja 3.1 (jinja.palletsprojects.com, and its lexer, parser, compiler and runtime) in
// ImmutableSandboxedEnvironment with break, continue and generation blocks; what chat templates see follows transformers 5. What is
// not made: templates that use others (include, import, extends, block), autoescape, six filters that no prompt needs
// (unsupportedFilters), named character escapes, complex numbers, bytes, and operators on dict views. Tags, filters and escapes are
// refused when a template is parsed; a method that str has in Python and not here fails when it is called.
//
// A Template is immutable and safe for concurrent use; rendering runs on the caller's goroutine, starts no other, holds no lock,
// and reads nothing but what it is given. It is bounded in steps, memory and depth (meter.go), whatever the template says. Inside
// the package a failure travels as a panic of *Error or *RaiseError and is returned by Parse and Chat; no other panic is caught.
package jinja

import "fmt"

// Error is a template that cannot be parsed or rendered, in the words of Python's exception.
type Error struct {
	Template string
	Line     int    // 0 where it is not known
	Kind     string // such as TypeError, UndefinedError, TemplateSyntaxError
	Message  string
}

func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s, line %d: %s: %s", e.Template, e.Line, e.Kind, e.Message)
	}
	return fmt.Sprintf("%s: %s: %s", e.Template, e.Kind, e.Message)
}

// RaiseError is what a template says by raise_exception: its own words for messages that the model does not take.
type RaiseError struct {
	Message string
}

func (e *RaiseError) Error() string { return "the template refuses: " + e.Message }

// fail ends parsing or rendering.
func fail(kind, format string, args ...any) { failAt(0, kind, format, args...) }

func failAt(line int, kind, format string, args ...any) {
	panic(&Error{Line: line, Kind: kind, Message: fmt.Sprintf(format, args...)})
}

// The kinds that are made here, named as Python names them, and LimitError for the bounds of this package.
const (
	typeError      = "TypeError"
	valueError     = "ValueError"
	indexError     = "IndexError"
	keyError       = "KeyError"
	overflowError  = "OverflowError"
	zeroDivision   = "ZeroDivisionError"
	recursionError = "RecursionError"
	undefinedError = "UndefinedError"
	securityError  = "SecurityError"
	syntaxError    = "TemplateSyntaxError"
	assertionError = "TemplateAssertionError"
	runtimeError   = "TemplateRuntimeError"
	filterArgument = "FilterArgumentError"
	limitError     = "LimitError"
	notSupported   = "NotSupportedError"
)
