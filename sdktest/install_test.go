package sdktest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// installMax bounds one installation, which takes a minute. On a machine at its limits it has been seen to take four; beyond eight,
// go test's own bound of ten would end all tests rather than this one.
const installMax = 8 * time.Minute

// lack ends a test whose tools are missing: a user's machine may lack them, CI may not.
func lack(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format+" (in CI nothing may be missing)", args...)
	}
	t.Skipf(format, args...)
}

// python is the interpreter of a virtual environment with the packages of python/requirements.txt.
func python(t *testing.T) string {
	t.Helper()
	system, about := look(t, []string{"python3", "python"}, "import sys; print('%d.%d' % sys.version_info[:2], sys.version, sys.prefix)", "-c")
	if !atLeast(about, 3, 11) {
		lack(t, "Python 3.11 or newer runs the tests of the Python SDK and LangChain (found: %q); install it with the module venv (Debian: apt-get install python3-venv)", about)
	}
	// A venv is a layer over one interpreter, so the interpreter belongs to what the folder is named after.
	dir := install(t, "python", []string{"python/requirements.txt"}, about,
		[]string{system, "-m", "venv", "."},
		[]string{"bin/python", "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--only-binary", ":all:", "-r", "requirements.txt"})
	return filepath.Join(dir, "bin", "python")
}

// node is the interpreter, and a folder whose node_modules holds the packages of node/package-lock.json.
func node(t *testing.T) (program, dir string) {
	t.Helper()
	program, about := look(t, []string{"node", "nodejs"}, "console.log(process.versions.node)", "-e")
	if !atLeast(about, 20, 0) {
		lack(t, "Node 20 or newer runs the tests of the Node SDK (found: %q); install it with npm (Debian: apt-get install nodejs npm)", about)
	}
	if _, err := exec.LookPath("npm"); err != nil {
		lack(t, "npm installs the Node SDK for its tests; install it (Debian: apt-get install npm)")
	}
	dir = install(t, "node", []string{"node/package.json", "node/package-lock.json"}, "",
		[]string{"npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"})
	return program, dir
}

// look finds the first of the programs on the path and what it prints of itself, nothing where there is none.
func look(t *testing.T, names []string, script, flag string) (program, about string) {
	t.Helper()
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if out, err := exec.CommandContext(t.Context(), path, flag, script).Output(); err == nil {
			return path, strings.TrimSpace(string(out))
		}
	}
	return "", ""
}

// atLeast compares a version's first two numbers.
func atLeast(version string, major, minor int) bool {
	var a, b int
	if n, _ := fmt.Sscanf(version, "%d.%d", &a, &b); n != 2 {
		return false
	}
	return a > major || a == major && b >= minor
}

// install is fetch for a test.
func install(t *testing.T, kind string, pins []string, with string, steps ...[]string) string {
	t.Helper()
	begun := time.Now()
	dir, err := fetch(t.Context(), filepath.Join("..", ".cache", "sdk", kind), pins, with, steps...)
	if err != nil {
		lack(t, "the %s packages of %s cannot be installed; is their registry reachable? %v", kind, pins[0], err)
	}
	if took := time.Since(begun); took > time.Second {
		t.Logf("installed the %s packages in %s", kind, took.Round(time.Second))
	}
	return dir
}

// fetch gives the folder root/HASH, where HASH stands for the pins and for what else the content depends on. The steps are commands
// that fill the folder under another name; it is renamed when it is whole, so that a folder of that name is always whole, also when
// two tests install at once or one is killed.
func fetch(ctx context.Context, root string, pins []string, with string, steps ...[]string) (string, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%s\n", with)
	for _, pin := range pins {
		text, err := os.ReadFile(pin)
		if err != nil {
			return "", err
		}
		hash.Write(text)
	}
	whole := filepath.Join(root, hex.EncodeToString(hash.Sum(nil))[:16])
	if _, err := os.Stat(whole); err == nil {
		return whole, nil
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	// Beside the whole ones, so that the rename stays on one file system.
	dir, err := os.MkdirTemp(root, partial)
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	for _, pin := range pins {
		text, err := os.ReadFile(pin)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(pin)), text, 0o644)
		}
		if err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, installMax)
	defer cancel()
	for _, step := range steps {
		cmd := exec.CommandContext(ctx, step[0], step[1:]...)
		cmd.Dir = dir
		cmd.WaitDelay = time.Second // a grandchild may hold the output open
		if out, err := cmd.CombinedOutput(); err != nil {
			if ctx.Err() != nil {
				err = fmt.Errorf("it was ended after %s: %w", installMax, ctx.Err())
			}
			return "", fmt.Errorf("%s: %w\n%s", strings.Join(step, " "), err, tail(out))
		}
	}
	if err := os.Rename(dir, whole); err != nil {
		if _, none := os.Stat(whole); none != nil { // else another test was faster
			return "", err
		}
	}
	return whole, sweep(root, whole)
}

const (
	partial = "partial-"
	// partialMax is when a partial folder is surely nobody's any more.
	partialMax = 2 * installMax
)

// sweep removes what earlier pins and killed tests left, so that the cache holds one folder of each kind.
func sweep(root, keep string) error {
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, gone := e.Info()
		young := gone != nil || time.Since(info.ModTime()) < partialMax
		if e.Name() == filepath.Base(keep) || strings.HasPrefix(e.Name(), partial) && young {
			continue
		}
		if err := os.RemoveAll(filepath.Join(root, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// tail is the end of a program's output, where its error stands.
func tail(out []byte) []byte {
	const most = 2000
	return bytes.TrimSpace(out[max(0, len(out)-most):])
}

// TestInstallTakesNoHalfForAWhole breaks an installation on its way.
func TestInstallTakesNoHalfForAWhole(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "cache")
	try := func(with, script string) (string, error) {
		return fetch(t.Context(), root, []string{"go.mod"}, with, []string{"sh", "-c", script})
	}
	left := func() int {
		entries, err := os.ReadDir(root)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	if dir, err := try("", "echo half > file; echo why; exit 1"); err == nil || !strings.Contains(err.Error(), "why") || left() != 0 {
		t.Fatalf("a failed installation gave %q and %v, and left %d folders", dir, err, left())
	}
	dir, err := try("", "cat go.mod > file")
	if got, _ := os.ReadFile(filepath.Join(dir, "file")); err != nil || !strings.HasPrefix(string(got), "module ") {
		t.Fatalf("the second try gave %q, %v", got, err)
	}
	if again, err := try("", "exit 1"); err != nil || again != dir {
		t.Errorf("a whole folder was not taken again: %q, %v, want %q", again, err, dir)
	}
	if other, err := try("another interpreter", "true"); err != nil || other == dir || left() != 1 {
		t.Errorf("other pins gave %q, %v; %d folders are left, want the new one only", other, err, left())
	}
}
