package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weir-ai/weir/engine/tensor"
	"github.com/weir-ai/weir/engine/weights"
)

// ran is what a command left behind.
type ran struct {
	code     int
	out, err string
}

// weir runs the command line in this process, with stdin as a file.
func weir(t *testing.T, stdin string, args ...string) ran {
	t.Helper()
	dir := t.TempDir()
	open := func(name, text string) *os.File {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	s := Streams{In: open("in", stdin), Out: open("out", ""), Err: open("err", "")}
	r := ran{code: Main(args, s, "v1.2.3-test")}
	read := func(f *os.File) string {
		defer f.Close()
		b, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	r.out, r.err = read(s.Out), read(s.Err)
	_ = s.In.Close()
	return r
}

// ok fails the test unless the command succeeded, and gives its output.
func (r ran) ok(t *testing.T) string {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("exit code %d: %s%s", r.code, r.out, r.err)
	}
	return r.out
}

// fails checks the exit code and what is said on standard error.
func (r ran) fails(t *testing.T, code int, words ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d: %s%s", r.code, code, r.out, r.err)
	}
	for _, w := range words {
		if !strings.Contains(r.err, w) {
			t.Errorf("standard error does not say %q: %s", w, r.err)
		}
	}
}

func decode[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// tiny writes a model with random weights, a context of 8,192 and a chat template: it answers noise, at length, the same each time.
func tiny(t *testing.T) string {
	t.Helper()
	f, err := weights.Synthetic("tiny", tensor.Q8_0, 1)
	if err != nil {
		t.Fatal(err)
	}
	var meta []weights.KV
	for k, v := range f.Meta {
		meta = append(meta, weights.KV{Key: k, Value: v})
	}
	slices.SortFunc(meta, func(a, b weights.KV) int { return strings.Compare(a.Key, b.Key) })
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := weights.WriteGGUF(out, meta, f.Tensors()); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// program is the program itself, built once into a folder of its own, for tests that need a process.
var program = struct {
	dir   string
	build func() (path string, err error)
}{}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "weir-cli-test-")
	if err != nil {
		panic(err)
	}
	program.dir = dir
	program.build = sync.OnceValues(build)
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func build() (path string, err error) {
	path = filepath.Join(program.dir, "weir.exe") // the ending does no harm elsewhere
	_, self, _, _ := runtime.Caller(0)
	cmd := exec.Command("go", "build", "-o", path, "./cmd/weir")
	cmd.Dir = filepath.Dir(filepath.Dir(self))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/weir: %w\n%s", err, text)
	}
	return path, nil
}

func binary(t *testing.T) string {
	t.Helper()
	path, err := program.build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHelpTeachesByExample(t *testing.T) {
	t.Parallel()
	help := weir(t, "").ok(t)
	for _, c := range []string{"serve", "chat", "run", "models", "tokenize", "eval", "train", "bench", "check", "key new", "version", "completion"} {
		if !strings.Contains(help, "  "+c+" ") {
			t.Errorf("the help does not list %s", c)
		}
		if c == "version" {
			continue // there is nothing to teach
		}
		text := weir(t, "", append(strings.Fields(c), "--help")...).ok(t)
		if !strings.Contains(text, "Examples:\n\n    ") || !strings.Contains(text, "weir "+c) {
			t.Errorf("%s --help has no example:\n%s", c, text)
		}
	}
	if a, b := weir(t, "", "help", "serve").ok(t), weir(t, "", "serve", "--help").ok(t); a != b {
		t.Errorf("help serve and serve --help differ")
	}
	if strings.Contains(help, "\x1b") {
		t.Error("a file gets colours")
	}
}

func TestTyposGetSuggestions(t *testing.T) {
	t.Parallel()
	weir(t, "", "serv").fails(t, exitUsage, `did you mean "serve"?`, "--help")
	weir(t, "", "serve", "--modle", "x").fails(t, exitUsage, `unknown flag --modle, did you mean "--model"?`)
	weir(t, "", "key", "nwe").fails(t, exitUsage, `did you mean "new"?`)
	weir(t, "", "run", "--kv", "f8", "hi").fails(t, exitUsage, "--kv", "f16", `"f8"`)
	weir(t, "", "bench", "136m").fails(t, exitUsage, "135m")
	weir(t, "", "eval", "--task", "additon").fails(t, exitUsage, "additon", "addition")
	weir(t, "", "train", "weir-max", "--out", t.TempDir()+"/my.gguf").fails(t, exitUsage, `no file "weir-max"`, "train mini")
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if out := weir(t, "", "version").ok(t); !strings.HasPrefix(out, "weir v1.2.3-test (go1.") {
		t.Errorf("version says %q", out)
	}
	if weir(t, "", "--version").ok(t) != weir(t, "", "version").ok(t) {
		t.Error("--version says something else")
	}
	if v := decode[map[string]string](t, weir(t, "", "version", "--json").ok(t)); v["version"] != "v1.2.3-test" || v["os"] != runtime.GOOS {
		t.Errorf("version --json says %v", v)
	}
	if got := versionOf(""); got == "" {
		t.Error("a build without a version says nothing")
	}
}
