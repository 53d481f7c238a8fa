package jinja

import (
	"math/big"
	"unicode/utf8"
)

// Value is what a template computes with. Its dynamic type is one of: nil (None), bool, int64, *big.Int (only what int64 does
// not hold), float64, string, markup, *List, *Dict, undefined, missing, and the objects: *iterator, *view, span, *namespace,
// *callable, *macro, *loop, *cycler, *joiner. Lists and dicts are shared, as in Python, and never change once made: the
// environment that Hugging Face uses forbids templates to change them.
type Value any

// List is a Python list, or a tuple where Tuple is set; they differ in how they are written and compared.
type List struct {
	Items []Value
	Tuple bool
	group bool // a pair of the groupby filter, whose items have the names grouper and list
}

// markup is text that the filters safe and escape made: other text that is joined to it by + is escaped for HTML.
type markup string

// undefined is a name or attribute that does not exist. It prints as nothing and fails by message when it is used for more.
type undefined struct{ kind, message string }

// missing stands where no value is: for arguments that are not given and for names that are not set yet.
type missing struct{}

// object is a value that comes from Jinja or Python rather than from JSON.
type object interface {
	typeName() string
	repr(m *meter) string
	attr(r *rendering, name string) (Value, bool)
}

// caller is a value that can be called.
type caller interface {
	call(r *rendering, a args) Value
}

// namespace is Jinja's namespace object: the one thing that a template may change from inside a loop.
type namespace struct{ vars *Dict }

func (n *namespace) typeName() string { return "TemplateNamespace" }

func (n *namespace) repr(m *meter) string { return "<Namespace " + repr(m, n.vars) + ">" }

func (n *namespace) attr(_ *rendering, name string) (Value, bool) { return n.vars.Get(name) }

// callable is a function or a method bound to its object.
type callable struct {
	name string
	fn   func(r *rendering, a args) Value
}

func (c *callable) typeName() string { return "function" }

func (c *callable) repr(*meter) string { return "<function " + c.name + ">" }

func (c *callable) attr(*rendering, string) (Value, bool) { return nil, false }

func (c *callable) call(r *rendering, a args) Value { return c.fn(r, a) }

// truth is Python's bool(v).
func truth(v Value) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case *big.Int:
		return v.Sign() != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case markup:
		return v != ""
	case *List:
		return len(v.Items) > 0
	case *Dict:
		return len(v.entries) > 0
	case *view:
		return len(v.of.entries) > 0
	case span:
		return v.length() > 0
	}
	return true
}

// typeName is the name of v's Python type, for errors.
func typeName(v Value) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case markup:
		return "Markup"
	case *List:
		if v.Tuple {
			return "tuple"
		}
		return "list"
	case *Dict:
		return "dict"
	case undefined:
		return "Undefined"
	case object:
		return v.typeName()
	}
	return "object"
}

// text gives v as a string where it is one, marked up or not.
func text(v Value) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case markup:
		return string(v), true
	}
	return "", false
}

// length is Python's len(v).
func length(v Value) int {
	switch v := v.(type) {
	case string:
		return utf8.RuneCountInString(v)
	case markup:
		return utf8.RuneCountInString(string(v))
	case *List:
		return len(v.Items)
	case *Dict:
		return len(v.entries)
	case *view:
		return len(v.of.entries)
	case span:
		return v.length()
	case *loop:
		return v.length()
	case undefined:
		return 0
	}
	fail(typeError, "object of type '%s' has no len()", typeName(v))
	return 0
}

// sized tells whether v has a length.
func sized(v Value) bool {
	switch v.(type) {
	case string, markup, *List, *Dict, *view, span, *loop, undefined:
		return true
	}
	return false
}

func refuseUndefined(v Value) {
	if u, ok := v.(undefined); ok {
		fail(u.kind, "%s", u.message)
	}
}

func noName(name string) undefined {
	return undefined{undefinedError, quoted(name) + " is undefined"}
}

// noAttribute is what v has under a name or index that it lacks.
func noAttribute(v, name Value) undefined {
	of := typeName(v) + " object"
	if v == nil {
		of = "None"
	}
	if s, ok := text(name); ok {
		return undefined{undefinedError, quoted(of) + " has no attribute " + quoted(s)}
	}
	return undefined{undefinedError, of + " has no element " + repr(&meter{steps: rangeMax, bytes: widthMax}, name)}
}
