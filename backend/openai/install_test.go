package openai_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// installMax bounds one installation: LiteLLM's takes two minutes, and go test's own bound is ten.
const installMax = 8 * time.Minute

// lack ends a test whose tools are missing: a user's machine may lack them, CI may not.
func lack(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format+" (in CI nothing may be missing)", args...)
	}
	t.Skipf(format, args...)
}

// installing has one environment made at a time: tests that run beside each other want the same one.
var installing sync.Mutex

// venv gives the bin folder of a virtual environment with the pinned packages of testdata/python/NAME.txt. It is made once, in the
// cache that make clean removes, under a name of its content: an environment of that name is always whole.
func venv(t *testing.T, name string) string {
	t.Helper()
	installing.Lock()
	defer installing.Unlock()
	pins, err := os.ReadFile(filepath.Join("testdata", "python", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		lack(t, "Python runs %s; install it with the module venv (Debian: apt-get install python3-venv)", name)
	}
	about, err := exec.CommandContext(t.Context(), python, "-c", "import sys; print(sys.version, sys.prefix)").Output()
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(filepath.Join("..", "..", ".cache", "engines", name))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(append(about, pins...))
	whole := filepath.Join(root, hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(whole); err == nil {
		return filepath.Join(whole, "bin")
	}
	if err := install(t.Context(), python, root, whole, pins); err != nil {
		lack(t, "%s cannot be installed; is the package registry reachable? %v", name, err)
	}
	return filepath.Join(whole, "bin")
}

// install makes the environment beside its place and moves it there when it is whole. What earlier pins left is removed.
func install(ctx context.Context, python, root, whole string, pins []byte) error {
	ctx, cancel := context.WithTimeout(ctx, installMax)
	defer cancel()
	if err := os.RemoveAll(root); err != nil {
		return err
	}
	dir := whole + ".partial"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "requirements.txt"), pins, 0o644); err != nil {
		return err
	}
	for _, step := range [][]string{
		{python, "-m", "venv", "."},
		{"bin/python", "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--only-binary", ":all:", "-r", "requirements.txt"},
	} {
		cmd := exec.CommandContext(ctx, step[0], step[1:]...)
		cmd.Dir, cmd.WaitDelay = dir, time.Second
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(step, " "), err, out[max(0, len(out)-2000):])
		}
	}
	return os.Rename(dir, whole)
}

// start runs a program until the test ends and gives its standard output.
func start(t *testing.T, env []string, program string, args ...string) io.Reader {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = time.Second
	errors, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = errors
	in, err := cmd.StdinPipe() // open as long as this process lives: a server that outlives it sees its end
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = errors.Close()
		if text, err := os.ReadFile(errors.Name()); err == nil && t.Failed() {
			t.Logf("%s: %s", filepath.Base(program), text[max(0, len(text)-3000):])
		}
	})
	return out
}

// printed is the address that a server prints behind the word listening.
func printed(t *testing.T, out io.Reader) string {
	t.Helper()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "listening "); ok {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return url
		}
	}
	t.Fatal("the server ended before it listened")
	return ""
}

// await asks url until it answers 200; out is the server's standard output, which ends with it.
func await(t *testing.T, out io.Reader, url string, most time.Duration) {
	t.Helper()
	ended := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, out); close(ended) }()
	for begun := time.Now(); ; {
		select {
		case <-ended:
			t.Fatal("the server ended before it answered")
		case <-time.After(100 * time.Millisecond):
		}
		if resp, err := http.Get(url); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Since(begun) > most {
			t.Fatalf("%s does not answer after %s", url, most)
		}
	}
}

// freePort is a port of 127.0.0.1 that nobody listens on, for servers that cannot choose one and say which.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
