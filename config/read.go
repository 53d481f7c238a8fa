package config

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// fileMax bounds a configuration file. A thousand models and keys fit in a tenth of it.
const fileMax = 4 << 20

// Fault is one thing that is wrong with a configuration.
type Fault struct {
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"` // 0: of no one line, such as a default that meets something else
	Text string `json:"text"`           // the key, the value and the fix
}

func (f Fault) String() string {
	switch {
	case f.File != "" && f.Line > 0:
		return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text)
	case f.File != "":
		return f.File + ": " + f.Text
	case f.Line > 0:
		return fmt.Sprintf("line %d: %s", f.Line, f.Text)
	}
	return f.Text
}

// Faults is everything that is wrong with a configuration, in the order of its lines.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].String()
	}
	return strings.Join(lines, "\n")
}

// Read reads the file at path over the defaults and checks the whole. An error about its content is Faults.
func Read(path string) (Config, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Config{}, fmt.Errorf("config: %w", err)
	}
	if info.Size() > fileMax {
		return Config{}, fmt.Errorf("config: %s has %d bytes; a configuration has at most %d", path, info.Size(), fileMax)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("config: %w", err)
	}
	c, faults := parse(text)
	for i := range faults {
		faults[i].File = path
	}
	if len(faults) > 0 {
		return Config{}, faults
	}
	return c, nil
}

// Parse reads YAML over the defaults and checks the whole. An error is Faults and lists every one.
func Parse(text []byte) (Config, error) {
	if c, faults := parse(text); len(faults) == 0 {
		return c, nil
	} else {
		return Config{}, faults
	}
}

// parse reads what it can: a key that is wrong keeps its default, so that one look finds the faults of all.
func parse(text []byte) (Config, Faults) {
	c := Default()
	if len(text) > fileMax {
		return c, Faults{{Text: fmt.Sprintf("the configuration has %d bytes; it has at most %d", len(text), fileMax)}}
	}
	root, fault := rootOf(text)
	if fault != nil {
		return c, Faults{*fault}
	}
	r := &reader{lines: map[string]int{}, anchors: map[string]ast.Node{}}
	if root != nil {
		r.whole(root, &c)
	}
	for _, text := range c.Validate() {
		// What could not be read was told already; that its place is empty is no fault of its own.
		if !slices.ContainsFunc(r.broken, func(key string) bool { return about(text, key) }) {
			r.faults = append(r.faults, Fault{Line: r.lineOf(text), Text: text})
		}
	}
	slices.SortStableFunc(r.faults, func(a, b Fault) int { return a.Line - b.Line })
	return c, r.faults
}

// rootOf is the one document of a configuration, nil where the file says nothing.
func rootOf(text []byte) (root ast.Node, fault *Fault) {
	defer func() {
		// The parser is not ours; a text that it cannot survive is a fault like any other.
		if v := recover(); v != nil {
			root, fault = nil, &Fault{Text: fmt.Sprintf("the YAML cannot be read: %v", v)}
		}
	}()
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, syntaxFault(err)
	}
	for _, doc := range file.Docs {
		if doc == nil || doc.Body == nil {
			continue
		}
		if _, comment := doc.Body.(*ast.CommentGroupNode); comment {
			continue
		}
		if root != nil {
			return nil, &Fault{Line: lineOf(doc.Body), Text: "a second document begins here; a configuration is one document, so remove the ---"}
		}
		root = doc.Body
	}
	return root, nil
}

func syntaxFault(err error) *Fault {
	if located, ok := err.(yaml.Error); ok && located.GetToken() != nil {
		return &Fault{Line: located.GetToken().Position.Line, Text: located.GetMessage()}
	}
	return &Fault{Text: err.Error()}
}

func lineOf(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

// lineOf finds the line of the key that a fault of Validate begins with, or of the nearest key above it that the file has.
func (r *reader) lineOf(fault string) int {
	longest, line := -1, 0
	for key, at := range r.lines {
		if about(fault, key) && len(key) > longest {
			longest, line = len(key), at
		}
	}
	return line
}

// about reports whether a fault is of key or of one below it.
func about(fault, key string) bool {
	rest, ok := strings.CutPrefix(fault, key)
	return ok && rest != "" && strings.ContainsAny(rest[:1], " .:[")
}
