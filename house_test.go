// Package weir_test checks the house itself: the stairs that imports go down, one doc a package, sizes, names and the rooms
// that drivers stay in. The rules are plain functions over a parsed tree, so that each is also run on a small tree that
// breaks it.
package weir_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
)

const module = "github.com/weir-ai/weir"

// rows are the stairs, bottom first: a package imports only rows below its own, never its own row.
var rows = [][]string{
	{"llm", "telemetry", "workload"},
	{"openai", "oip"},
	{"fleet", "registry"},
	{"admit", "route", "cache", "tenant"},
	{"serve", "jobs", "rollout", "autoscale", "quality", "optimize"},
	{"gateway", "admin", "console", "operator", "extproc", "backend", "store", "webhook", "device"},
	{"config"},
	{"app"},
	{"sim"},
	{"cli"},
	{"cmd"},
}

// tower is the engine's own stairs, bottom first; it stands beside the rows and knows nothing of them.
var tower = [][]string{
	{"engine/tensor"},
	{"engine/weights"},
	{"engine/token", "engine/jinja", "engine/kv", "engine/grammar", "engine/train"},
	{"engine/model"},
	{"engine"},
}

// beside names the packages that stand beside the rows, with the rows' packages that may import them.
var beside = map[string][]string{
	"engine": {"backend/local", "optimize", "mini", "cli"},
	"mini":   {"cli", "app"},
	"flood":  {"cli"},
}

// rooms says which folders alone may import a driver or a framework; "" allows nobody.
var rooms = map[string][]string{
	"k8s.io/":                        {"operator"},
	"sigs.k8s.io/":                   {"operator"},
	"modernc.org/sqlite":             {"store"},
	"github.com/jackc/pgx":           {"store"},
	"database/sql":                   {"store"},
	"github.com/valkey-io/valkey-go": {"store", "cache", "tenant"},
	"github.com/alecthomas/kong":     {"cli", "cmd"},
	"github.com/goccy/go-yaml":       {"config"},
	"github.com/schollz/progressbar": {"cli"},
	"golang.org/x/term":              {"cli"},
	"C":                              {},
	"log":                            {},
	"plugin":                         {},
}

var bannedNames = []string{"pkg", "src", "common", "types", "util", "utils", "helper", "helpers", "misc", "base", "manager", "shared", "lib"}

const (
	fileLinesMax     = 1000
	functionLinesMax = 70
)

// source is one parsed Go file.
type source struct {
	path      string // relative to the root, with slashes
	test      bool
	generated bool
	lines     int
	comments  int // lines that are comment
	file      *ast.File
	set       *token.FileSet
}

// read parses every Go file below root that belongs to the main module.
func read(root string) ([]source, error) {
	var out []source
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, nested := os.Stat(filepath.Join(p, "go.mod"))
			if p != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" && filepath.Base(filepath.Dir(p)) != "internal" || d.Name() == "node_modules" || nested == nil) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, p, text, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		s := source{path: filepath.ToSlash(rel), test: strings.HasSuffix(p, "_test.go"), generated: ast.IsGenerated(f), file: f, set: set}
		s.lines = strings.Count(string(text), "\n")
		for _, g := range f.Comments {
			s.comments += set.Position(g.End()).Line - set.Position(g.Pos()).Line + 1
		}
		out = append(out, s)
		return nil
	})
	return out, err
}

func (s source) dir() string { return path.Dir(s.path) }

// within reports whether folder is dir or lies below it.
func within(folder, dir string) bool { return folder == dir || strings.HasPrefix(folder, dir+"/") }

func row(stairs [][]string, folder string) (int, bool) {
	best, at := -1, -1
	for i, names := range stairs {
		for _, n := range names {
			if within(folder, n) && len(n) > best {
				best, at = len(n), i
			}
		}
	}
	return at, best >= 0
}

func imports(s source) []string {
	var out []string
	for _, i := range s.file.Imports {
		out = append(out, strings.Trim(i.Path.Value, `"`))
	}
	return out
}

// climbs finds imports that go up or sideways, into the engine tower from elsewhere, or out of it.
func climbs(tree []source) []string {
	var bad []string
	for _, s := range tree {
		if s.test || within(s.dir(), "internal") {
			continue // an external test may look across: it wires what the code may not
		}
		from := s.dir()
		for _, imp := range imports(s) {
			to, ours := strings.CutPrefix(imp, module+"/")
			if !ours || to == from || within(to, "internal") {
				continue
			}
			if why := wrongStep(from, to); why != "" {
				bad = append(bad, fmt.Sprintf("%s imports %s: %s", s.path, to, why))
			}
		}
	}
	return bad
}

func wrongStep(from, to string) string {
	for top, importers := range beside {
		if within(to, top) {
			if within(from, top) {
				return wrongTowerStep(from, to)
			}
			for _, allowed := range importers {
				if within(from, allowed) {
					return ""
				}
			}
			return "only " + strings.Join(importers, ", ") + " may import it"
		}
	}
	if within(from, "engine") {
		return "the engine tower knows nothing of the rest"
	}
	if within(from, "mini") || within(from, "flood") {
		if to == "llm" || to == "workload" && within(from, "flood") {
			return ""
		}
		return "beside the rows only llm may be imported"
	}
	a, known := row(rows, from)
	b, knownToo := row(rows, to)
	switch {
	case !known || !knownToo:
		return "a package that stands on no stair; add it to rows in house_test.go and to ARCHITECTURE.md"
	case b > a:
		return "it climbs the stairs"
	case a == b && !(rowAllowsSelf(from, to)):
		return "it crosses its own stair"
	}
	return ""
}

// rowAllowsSelf lets a package import its own sub-packages: backend/x may not import backend/y, but backend may hold parts.
func rowAllowsSelf(from, to string) bool { return within(to, from) || within(from, to) }

func wrongTowerStep(from, to string) string {
	if !within(from, "engine") {
		return ""
	}
	a, _ := row(tower, from)
	b, _ := row(tower, to)
	if b >= a {
		return "it climbs or crosses the engine tower"
	}
	return ""
}

// undocumented finds packages without exactly one package doc.
func undocumented(tree []source) []string {
	docs, seen := map[string]int{}, map[string]string{}
	for _, s := range tree {
		if s.test && s.file.Name.Name != "weir_test" {
			continue
		}
		key := s.dir()
		seen[key] = s.file.Name.Name
		if s.file.Doc != nil && len(strings.TrimSpace(s.file.Doc.Text())) > 0 {
			docs[key]++
		}
	}
	var bad []string
	for dir, name := range seen {
		if docs[dir] != 1 {
			bad = append(bad, fmt.Sprintf("package %s in %s has %d package docs; it must have one", name, dir, docs[dir]))
		}
	}
	sort.Strings(bad)
	return bad
}

// oversized finds files and functions over their bounds. A line "Long: why" in a function's doc allows it.
func oversized(tree []source) []string {
	var bad []string
	for _, s := range tree {
		if s.generated {
			continue
		}
		if s.lines > fileLinesMax {
			bad = append(bad, fmt.Sprintf("%s has %d lines; %d at most", s.path, s.lines, fileLinesMax))
		}
		if s.test {
			continue
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line + 1
			if n > functionLinesMax && !hasReason(f.Doc) {
				bad = append(bad, fmt.Sprintf("%s: %s has %d lines; %d at most, or a line \"Long: why\" in its doc", s.path, f.Name.Name, n, functionLinesMax))
			}
		}
	}
	return bad
}

func hasReason(doc *ast.CommentGroup) bool {
	for _, line := range strings.Split(doc.Text(), "\n") {
		if rest, ok := strings.CutPrefix(line, "Long:"); ok && len(strings.TrimSpace(rest)) > 10 {
			return true
		}
	}
	return false
}

// misnamed finds folders and packages with names that say nothing.
func misnamed(tree []source) []string {
	var bad []string
	for _, s := range tree {
		for _, part := range append(strings.Split(s.dir(), "/"), s.file.Name.Name) {
			for _, name := range bannedNames {
				if part == name {
					bad = append(bad, fmt.Sprintf("%s: %q says nothing; name the noun", s.path, name))
				}
			}
		}
	}
	return bad
}

// strays finds drivers and frameworks outside their rooms.
func strays(tree []source) []string {
	var bad []string
	for _, s := range tree {
		for _, imp := range imports(s) {
			for prefix, allowed := range rooms {
				exact := !strings.Contains(prefix, ".") && !strings.HasSuffix(prefix, "/")
				if exact && imp != prefix || !exact && !strings.HasPrefix(imp, prefix) {
					continue
				}
				ok := false
				for _, room := range allowed {
					ok = ok || within(s.dir(), room)
				}
				if !ok {
					bad = append(bad, fmt.Sprintf("%s imports %s, which may be imported in %v only", s.path, imp, allowed))
				}
			}
		}
	}
	return bad
}

// quitters finds what ends the process or hides set-up: os.Exit outside cmd and cli's edge, init functions.
func quitters(tree []source) []string {
	var bad []string
	for _, s := range tree {
		if s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Recv == nil && n.Name.Name == "init" {
					bad = append(bad, s.path+" has an init function; wire it in app")
				}
			case *ast.CallExpr:
				sel, ok := n.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "os" && sel.Sel.Name == "Exit" && !within(s.dir(), "cmd") && !strings.HasSuffix(s.dir(), "/gen") {
					bad = append(bad, s.path+" calls os.Exit; return an error, only cmd exits")
				}
			}
			return true
		})
	}
	return bad
}

// unmapped finds folders of code that the map in ARCHITECTURE.md does not name.
func unmapped(tree []source, architecture string) []string {
	var bad []string
	folders := map[string]bool{}
	for _, s := range tree {
		if s.dir() != "." && s.file.Name.Name != "main" {
			folders[s.dir()] = true
		}
	}
	mapped := map[string]bool{}
	for _, l := range strings.Split(architecture, "\n") {
		if rest, ok := strings.CutPrefix(l, "| `"); ok {
			name, _, _ := strings.Cut(rest, "`")
			mapped[name] = true
		}
	}
	for f := range folders {
		if !mapped[f] {
			bad = append(bad, fmt.Sprintf("the folder %s is not on the map in ARCHITECTURE.md", f))
		}
	}
	sort.Strings(bad)
	return bad
}

// deadLinks finds relative links of a Markdown text that lead nowhere.
func deadLinks(name, text string) []string {
	var bad []string
	for _, m := range markdownLink.FindAllStringSubmatch(text, -1) {
		target, _, _ := strings.Cut(m[1], "#")
		if target == "" || strings.Contains(target, "://") {
			continue
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(name), filepath.FromSlash(target))); err != nil {
			bad = append(bad, fmt.Sprintf("%s links to %s, which is not there", name, m[1]))
		}
	}
	return bad
}

var markdownLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)

type rule struct {
	name  string
	check func([]source) []string
}

var houseRules = []rule{
	{"imports", climbs}, {"docs", undocumented}, {"sizes", oversized}, {"names", misnamed}, {"rooms", strays}, {"exits", quitters},
}

func TestHouseStands(t *testing.T) {
	t.Parallel()
	tree, err := read(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range houseRules {
		for _, bad := range r.check(tree) {
			t.Errorf("%s: %s", r.name, bad)
		}
	}
}

func TestHousePapersAreTrue(t *testing.T) {
	t.Parallel()
	tree, err := read(".")
	if err != nil {
		t.Fatal(err)
	}
	architecture, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range unmapped(tree, string(architecture)) {
		t.Error(bad)
	}
	papers, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(papers, more...) {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range deadLinks(p, string(text)) {
			t.Error(bad)
		}
	}
}

func TestHousePapersCanBeFalse(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	paper := filepath.Join(root, "a.md")
	if err := os.WriteFile(paper, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := deadLinks(paper, "[a](a.md) [b](b.md#x) [c](https://example.com) [d](#here)"); len(got) != 1 {
		t.Errorf("dead links: %q", got)
	}
	if err := os.Mkdir(filepath.Join(root, "llm"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "llm", "a.go"), []byte("package llm\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	tree, err := read(root)
	if err != nil {
		t.Fatal(err)
	}
	if got := unmapped(tree, "| `serve` | a story |"); len(got) != 1 {
		t.Errorf("off the map: %q", got)
	}
	if got := unmapped(tree, "| `llm` | words |"); len(got) != 0 {
		t.Errorf("off the map: %q", got)
	}
}

// TestHouseFigures prints what no rule can judge: interface density, comment share, the largest files.
func TestHouseFigures(t *testing.T) {
	t.Parallel()
	tree, err := read(".")
	if err != nil {
		t.Fatal(err)
	}
	var lines, comments, interfaces, testLines int
	var largest []source
	for _, s := range tree {
		if s.test {
			testLines += s.lines
			continue
		}
		if s.generated {
			continue
		}
		lines, comments = lines+s.lines, comments+s.comments
		largest = append(largest, s)
		ast.Inspect(s.file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if _, ok := spec.Type.(*ast.InterfaceType); ok {
					interfaces++
				}
			}
			return true
		})
	}
	sort.Slice(largest, func(i, j int) bool { return largest[i].lines > largest[j].lines })
	t.Logf("%d lines of code, %d of tests (%.1fx), %.0f %% comment lines, %d interfaces (%.2f per 1,000 lines)",
		lines, testLines, float64(testLines)/float64(lines), 100*float64(comments)/float64(lines), interfaces, 1000*float64(interfaces)/float64(lines))
	for _, s := range largest[:min(8, len(largest))] {
		t.Logf("%5d %s", s.lines, s.path)
	}
	if lines == 0 {
		t.Error("no code was read")
	}
}

// TestHouseRulesCanFail runs each rule on a small tree that breaks it, and on one that does not.
func TestHouseRulesCanFail(t *testing.T) {
	t.Parallel()
	doc := func(pkg, rest string) string { return "// Package " + pkg + " is here.\npackage " + pkg + "\n" + rest }
	imp := func(paths ...string) string {
		var b strings.Builder
		for _, p := range paths {
			fmt.Fprintf(&b, "import _ %q\n", p)
		}
		return b.String()
	}
	long := "func F() {\n" + strings.Repeat("\t_ = 0\n", functionLinesMax) + "}\n"
	check := func(rule func([]source) []string, want int, files map[string]string) {
		t.Helper()
		root := t.TempDir()
		for name, text := range files {
			p := filepath.Join(root, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		tree, err := read(root)
		if err != nil {
			t.Fatal(err)
		}
		if got := rule(tree); len(got) != want {
			t.Errorf("want %d violations, got %d: %v", want, len(got), got)
		}
	}
	check(climbs, 1, map[string]string{"llm/a.go": doc("llm", imp(module+"/serve"))})
	check(climbs, 1, map[string]string{"serve/a.go": doc("serve", imp(module+"/jobs"))})
	check(climbs, 1, map[string]string{"backend/local/a.go": doc("local", imp(module+"/backend/openai"))})
	check(climbs, 1, map[string]string{"gateway/a.go": doc("gateway", imp(module+"/engine/token"))})
	check(climbs, 1, map[string]string{"engine/token/a.go": doc("token", imp(module+"/llm"))})
	check(climbs, 1, map[string]string{"engine/tensor/a.go": doc("tensor", imp(module+"/engine/model"))})
	check(climbs, 1, map[string]string{"mini/a.go": doc("mini", imp(module+"/serve"))})
	check(climbs, 1, map[string]string{"mini/a.go": doc("mini", imp(module+"/workload"))})
	check(climbs, 0, map[string]string{"flood/a.go": doc("flood", imp(module+"/llm", module+"/workload"))})
	check(climbs, 1, map[string]string{"flood/a.go": doc("flood", imp(module+"/gateway"))})
	check(climbs, 1, map[string]string{"nowhere/a.go": doc("nowhere", imp(module+"/llm"))})
	check(climbs, 0, map[string]string{"serve/a.go": doc("serve", imp(module+"/llm", module+"/registry")), "backend/local/a.go": doc("local", imp(module+"/engine", module+"/engine/token")), "mini/a.go": doc("mini", imp(module+"/llm", module+"/engine/train"))})
	check(undocumented, 1, map[string]string{"a/a.go": "package a\n"})
	check(undocumented, 1, map[string]string{"a/a.go": doc("a", ""), "a/b.go": doc("a", "")})
	check(undocumented, 0, map[string]string{"a/a.go": doc("a", ""), "a/b.go": "package a\n"})
	check(oversized, 1, map[string]string{"a/a.go": doc("a", long)})
	check(oversized, 0, map[string]string{"a/a.go": doc("a", "// F does it.\n//\n// Long: one flat list that reads better whole.\n"+long)})
	check(oversized, 1, map[string]string{"a/a.go": doc("a", strings.Repeat("// x\n", fileLinesMax))})
	check(misnamed, 2, map[string]string{"util/a.go": doc("util", "")})
	check(strays, 1, map[string]string{"gateway/a.go": doc("gateway", imp("k8s.io/api/core/v1"))})
	check(strays, 1, map[string]string{"serve/a.go": doc("serve", imp("github.com/jackc/pgx/v5"))})
	check(strays, 1, map[string]string{"serve/a.go": doc("serve", imp("log"))})
	check(strays, 0, map[string]string{"operator/a.go": doc("operator", imp("k8s.io/api/core/v1")), "serve/a.go": doc("serve", imp("log/slog"))})
	check(quitters, 2, map[string]string{"a/a.go": doc("a", "import \"os\"\nfunc init() { os.Exit(1) }\n")})
	check(quitters, 0, map[string]string{"cmd/weir/a.go": doc("main", "import \"os\"\nfunc main() { os.Exit(1) }\n")})
}
