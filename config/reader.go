package config

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/goccy/go-yaml/ast"
)

// reader fills a Config from a parsed document. The YAML library's own decoder ends at the first fault and knows no better key;
// an operator wants all faults at once. Depth is bounded by the type: what the type does not have is not entered.
type reader struct {
	faults  Faults
	lines   map[string]int      // where each key of the file stands
	broken  []string            // the keys that could not be read
	anchors map[string]ast.Node // by name
}

// fault tells that the key at path, empty for the whole, could not be read.
func (r *reader) fault(n ast.Node, path, format string, args ...any) {
	if path != "" {
		r.broken = append(r.broken, path)
	} else {
		path = "a configuration"
	}
	r.faults = append(r.faults, Fault{Line: lineOf(n), Text: path + " " + fmt.Sprintf(format, args...)})
}

func (r *reader) whole(root ast.Node, c *Config) { r.value(root, "", reflect.ValueOf(c).Elem()) }

// value reads n into v, whose key is path. Null keeps what is there.
func (r *reader) value(n ast.Node, path string, v reflect.Value) {
	n = r.resolve(n, path)
	if n == nil {
		return
	}
	if _, null := n.(*ast.NullNode); null {
		return
	}
	if t, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if text, ok := r.scalar(n, path); ok {
			if err := t.UnmarshalText([]byte(text)); err != nil {
				r.fault(n, path, "%v", err)
			}
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		r.section(n, path, v)
	case reflect.Map:
		r.named(n, path, v)
	case reflect.Slice:
		r.list(n, path, v)
	case reflect.String:
		if text, ok := r.scalar(n, path); ok {
			v.SetString(text)
		}
	case reflect.Int:
		if i, ok := integer(n); ok && !v.OverflowInt(i) {
			v.SetInt(i)
		} else {
			r.fault(n, path, "%s is not a whole number", shown(n))
		}
	case reflect.Float64:
		if f, ok := number(n); ok {
			v.SetFloat(f)
		} else {
			r.fault(n, path, "%s is not a number", shown(n))
		}
	case reflect.Bool:
		if b, ok := n.(*ast.BoolNode); ok {
			v.SetBool(b.Value)
		} else {
			r.fault(n, path, "%s is not true or false", shown(n))
		}
	default:
		panic(fmt.Sprintf("config: %s has a type that cannot be read: %s", path, v.Type()))
	}
}

// resolve follows anchors, aliases and tags to the value itself.
func (r *reader) resolve(n ast.Node, path string) ast.Node {
	for {
		switch x := n.(type) {
		case *ast.AnchorNode:
			r.anchors[x.Name.String()] = x.Value
			n = x.Value
		case *ast.AliasNode:
			target, ok := r.anchors[x.Value.String()]
			if !ok {
				r.fault(n, path, "is an alias, *%s, without an anchor before it", x.Value)
				return nil
			}
			n = target
		case *ast.TagNode:
			n = x.Value
		default:
			return n
		}
	}
}

// scalar is the text of a single value.
func (r *reader) scalar(n ast.Node, path string) (string, bool) {
	switch x := n.(type) {
	case *ast.StringNode:
		return x.Value, true
	case *ast.LiteralNode:
		return strings.TrimRight(x.Value.Value, "\n"), true
	case ast.MapNode, ast.ArrayNode:
		r.fault(n, path, "takes one value, not a list or a section")
		return "", false
	}
	return n.GetToken().Value, true
}

// number is a number, whole or not.
func number(n ast.Node) (float64, bool) {
	switch x := n.(type) {
	case *ast.FloatNode:
		return x.Value, !math.IsNaN(x.Value) && !math.IsInf(x.Value, 0)
	case *ast.IntegerNode:
		i, ok := integer(n)
		return float64(i), ok
	}
	return 0, false
}

// wholeMax is far beyond every bound, and what JSON keeps exactly.
const wholeMax = 1 << 53

func integer(n ast.Node) (int64, bool) {
	i, ok := n.(*ast.IntegerNode)
	if !ok {
		return 0, false
	}
	switch v := i.Value.(type) {
	case int64:
		return v, v >= -wholeMax && v <= wholeMax
	case uint64:
		return int64(v), v <= wholeMax
	}
	return 0, false
}

// shown is a value as a fault quotes it: short, and never a whole section.
func shown(n ast.Node) string {
	switch n.(type) {
	case ast.MapNode, ast.ArrayNode:
		return "(a list or a section)"
	}
	return fmt.Sprintf("%.40q", n.GetToken().Value)
}

// entries are the keys and values of a mapping; ok is false where n is none.
func entries(n ast.Node) (list []*ast.MappingValueNode, ok bool) {
	switch x := n.(type) {
	case *ast.MappingNode:
		return x.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{x}, true
	}
	return nil, false
}

// keyOf is the text of a key.
func keyOf(e *ast.MappingValueNode) string {
	if s, ok := e.Key.(*ast.StringNode); ok {
		return s.Value
	}
	return e.Key.GetToken().Value
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// section reads a mapping into a struct.
func (r *reader) section(n ast.Node, path string, v reflect.Value) {
	list, ok := entries(n)
	if !ok {
		r.fault(n, path, "takes keys and values (%s), not %s", strings.Join(keysOf(v.Type()), ", "), shown(n))
		return
	}
	for _, e := range list {
		key := keyOf(e)
		field, ok := fieldOf(v, key)
		if !ok {
			r.faults = append(r.faults, Fault{Line: lineOf(e.Key), Text: unknown(key, path, v.Type())})
			continue
		}
		at := join(path, key)
		r.lines[at] = lineOf(e.Key)
		r.value(e.Value, at, field)
	}
}

// named reads a mapping whose keys are the operator's own names.
func (r *reader) named(n ast.Node, path string, v reflect.Value) {
	list, ok := entries(n)
	if !ok {
		r.fault(n, path, "takes names and sections, not %s", shown(n))
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for _, e := range list {
		key := keyOf(e)
		at := join(path, key)
		r.lines[at] = lineOf(e.Key)
		item := reflect.New(v.Type().Elem()).Elem()
		r.value(e.Value, at, item)
		v.SetMapIndex(reflect.ValueOf(key), item)
	}
}

func (r *reader) list(n ast.Node, path string, v reflect.Value) {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		r.fault(n, path, "takes a list, not %s; begin each entry with \"- \"", shown(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(s.Values), len(s.Values)))
	for i, item := range s.Values {
		at := fmt.Sprintf("%s[%d]", path, i)
		r.lines[at] = lineOf(item)
		r.value(item, at, v.Index(i))
	}
}

// fieldOf finds the field that key names.
func fieldOf(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == key && key != "" {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("yaml"); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// unknown says what a key that nobody reads was perhaps meant to be: one of the section's own keys that is written nearly the
// same, one of the same name elsewhere (right but in the wrong place), or else any of the section's.
func unknown(key, path string, section reflect.Type) string {
	if key == "<<" {
		return join(path, key) + ": merged sections are not read; write the keys out, or use *NAME for a whole section"
	}
	here := keysOf(section)
	best, distance := nearest(key, here)
	if distance > 0 && !similar(key, distance) {
		for _, elsewhere := range allKeys(reflect.TypeFor[Config](), "") {
			if elsewhere[strings.LastIndexByte(elsewhere, '.')+1:] == key {
				return fmt.Sprintf("unknown key %q; did you mean %q?", join(path, key), elsewhere)
			}
		}
		return fmt.Sprintf("unknown key %q; did you mean %q? (known here: %s)", join(path, key), join(path, best), strings.Join(here, ", "))
	}
	return fmt.Sprintf("unknown key %q; did you mean %q?", join(path, key), join(path, best))
}

// similar allows about one slip in two letters; further apart it is another word.
func similar(key string, distance int) bool { return distance <= max(1, len(key)/2) }

// nearest is the known key with the fewest letters changed.
func nearest(key string, known []string) (best string, distance int) {
	best, distance = known[0], math.MaxInt
	for _, k := range known {
		if d := levenshtein.Distance(key, k, nil); d < distance {
			best, distance = k, d
		}
	}
	return best, distance
}

// allKeys lists every key that the type reads, with its section; NAME and [] stand for names and entries.
func allKeys(t reflect.Type, path string) (keys []string) {
	switch t.Kind() {
	case reflect.Map:
		return allKeys(t.Elem(), join(path, "NAME"))
	case reflect.Slice:
		return allKeys(t.Elem(), path+"[]")
	case reflect.Struct:
		for i := range t.NumField() {
			if key := t.Field(i).Tag.Get("yaml"); key != "" {
				keys = append(append(keys, join(path, key)), allKeys(t.Field(i).Type, join(path, key))...)
			}
		}
	}
	return keys
}
