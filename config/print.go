package config

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// printer writes a configuration as YAML with the doc of each key beside it, so that what `weir check` prints is both the whole
// reference and a file to begin with.
type printer struct {
	strings.Builder
	bare bool // without the docs
	err  error
}

// docColumn is where docs begin; a longer value pushes its own to the right.
const docColumn = 34

// Print writes c as YAML: the effective configuration, defaults and all, secrets by where they come from. Parse reads it back,
// unless a secret stands in the configuration itself: that one is not printed.
func (c Config) Print() (string, error) {
	p := &printer{}
	p.section(reflect.ValueOf(c), "", false)
	return p.String(), p.err
}

// JSON is Print for scripts.
func (c Config) JSON() ([]byte, error) {
	text, err := c.Print()
	if err != nil {
		return nil, err
	}
	return yaml.YAMLToJSON([]byte(text))
}

// section writes the keys of a struct; sparse leaves out those that say nothing, where they fall back on another section.
func (p *printer) section(v reflect.Value, indent string, sparse bool) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		key, doc := field.Tag.Get("yaml"), field.Tag.Get("doc")
		if key == "" || sparse && v.Field(i).IsZero() {
			continue
		}
		p.key(v.Field(i), indent, key, doc, sparse)
	}
}

func (p *printer) key(v reflect.Value, indent, key, doc string, sparse bool) {
	if _, ok := v.Interface().(encoding.TextMarshaler); ok || v.Kind() != reflect.Struct && v.Kind() != reflect.Map && v.Kind() != reflect.Slice {
		p.line(indent+key+": "+p.scalar(v), doc)
		return
	}
	switch {
	case v.Kind() == reflect.Struct:
		p.line(indent+key+":", doc)
		p.section(v, indent+"  ", sparse)
	case v.Len() == 0 && v.Kind() == reflect.Map:
		p.line(indent+key+": {}", doc)
	case v.Len() == 0:
		p.line(indent+key+": []", doc)
	case v.Kind() == reflect.Map:
		p.line(indent+key+":", doc)
		names := slices.SortedFunc(maps.Keys(mapOf(v)), strings.Compare)
		for _, name := range names {
			p.key(mapOf(v)[name], indent+"  ", p.scalar(reflect.ValueOf(name)), "", true)
		}
	default:
		p.line(indent+key+":", doc)
		for i := range v.Len() {
			p.entry(v.Index(i), indent+"  ")
		}
	}
}

func mapOf(v reflect.Value) map[string]reflect.Value {
	out := map[string]reflect.Value{}
	for _, k := range v.MapKeys() {
		out[k.String()] = v.MapIndex(k)
	}
	return out
}

// entry writes one entry of a list: what it says, without the docs, which would come with every one.
func (p *printer) entry(v reflect.Value, indent string) {
	if v.Kind() != reflect.Struct {
		p.line(indent+"- "+p.scalar(v), "")
		return
	}
	inner := &printer{bare: true}
	inner.section(v, indent+"  ", true)
	p.fail(inner.err)
	text := inner.String()
	if text == "" {
		text = indent + "  {}\n"
	}
	p.WriteString(indent + "- " + text[len(indent)+2:])
}

func (p *printer) scalar(v reflect.Value) string {
	value := v.Interface()
	if t, ok := value.(encoding.TextMarshaler); ok {
		text, err := t.MarshalText()
		p.fail(err)
		value = string(text)
		if _, secret := v.Interface().(Secret); !secret {
			return string(text) // a size or a duration needs no quotes
		}
	}
	if s, ok := value.(string); ok && plain(s) {
		return s
	}
	text, err := json.Marshal(value) // YAML reads JSON's scalars as they are
	p.fail(err)
	return string(text)
}

// plain reports whether s needs no quotes in YAML wherever it stands: letters, digits and marks that mean nothing, not beginning like
// a number, and none of the words that YAML 1.1 or 1.2 takes for something else.
func plain(s string) bool {
	if s == "" || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./") != "" || s[0] < 'A' {
		return false
	}
	return !slices.Contains([]string{"null", "true", "false", "yes", "no", "on", "off", "y", "n"}, strings.ToLower(s))
}

func (p *printer) fail(err error) {
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("config: cannot print: %w", err)
	}
}

func (p *printer) line(text, doc string) {
	if doc != "" && !p.bare {
		text = fmt.Sprintf("%-*s # %s", docColumn, text, doc)
	}
	p.WriteString(text + "\n")
}
