//go:build unix

package weir_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// command is one line of a README's console block that begins with "$ ", continuation lines joined, and what it shows after it.
type command struct {
	line  int
	text  string
	shown []string // lines; "…" inside a line stands for any text, a line of just "…" for any lines
}

// consoleCommands reads the ```console blocks of a README.
func consoleCommands(text string) []command {
	var out []command
	inside := false
	for i, l := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(l, "```"):
			inside = l == "```console"
		case !inside:
		case strings.HasPrefix(l, "$ "):
			out = append(out, command{line: i + 1, text: l[2:]})
		case len(out) > 0 && strings.HasSuffix(out[len(out)-1].text, "\\"):
			last := &out[len(out)-1]
			last.text = strings.TrimSuffix(last.text, "\\") + strings.TrimSpace(l)
		case len(out) > 0:
			out[len(out)-1].shown = append(out[len(out)-1].shown, l)
		}
	}
	return out
}

// shows reports the first shown line that the output lacks.
func (c command) shows(output string) error {
	lines := strings.Split(strings.TrimRight(output, "\n"), "\n")
	at, skip := 0, false
	for _, want := range c.shown {
		if want = strings.TrimRight(want, " "); want == "…" {
			skip = true
			continue
		}
		pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*") + "$")
		found := false
		for ; at < len(lines); at++ {
			if found = pattern.MatchString(strings.TrimRight(lines[at], " ")); found || !skip && want != "" {
				break
			}
		}
		if !found {
			return fmt.Errorf("README line %d: `%s` should show %q; it showed:\n%s", c.line, c.text, want, output)
		}
		at, skip = at+1, false
	}
	return nil
}

func TestREADMETranscripts(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not here; install it to run the README's commands", tool)
		}
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "weir")
	if out, err := exec.Command("go", "build", "-o", bin, "./cmd/weir").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for _, readme := range []string{"README.md", "README.zh.md", "docs/config.md", "docs/mini.md"} {
		t.Run(readme, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(readme)
			if err != nil {
				t.Fatal(err)
			}
			commands := consoleCommands(string(text))
			if len(commands) == 0 {
				t.Fatal("no console block with a command")
			}
			runReadme(t, commands, bin, freePort(t))
		})
	}
}

func runReadme(t *testing.T, commands []command, bin, port string) {
	literal := os.Getenv("WEIR_README") == "literal" // CI's smoke test: the very commands, on the very port
	for _, c := range commands {
		text := c.text
		if !literal {
			text = strings.ReplaceAll(strings.ReplaceAll(text, "go run ./cmd/weir", bin), "localhost:8080", "127.0.0.1:"+port)
		}
		if strings.Contains(c.text, "weir serve") {
			if literal {
				port = "8080"
			} else {
				text += " --listen 127.0.0.1:" + port
				c.shown = strings.Split(strings.ReplaceAll(strings.Join(c.shown, "\n"), ":8080", ":"+port), "\n")
			}
			banner := startReadmeServer(t, text, port)
			if err := c.shows(banner); err != nil {
				t.Error(err)
			}
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		out, err := exec.CommandContext(ctx, "bash", "-c", text).Output()
		cancel()
		if err != nil {
			t.Errorf("README line %d: `%s`: %v\n%s", c.line, text, err, out)
		} else if err := c.shows(string(out)); err != nil {
			t.Error(err)
		}
	}
}

// startReadmeServer starts the server in a process group of its own, because `go run` starts another process, waits until it is
// ready and ends it with the test.
func startReadmeServer(t *testing.T, text, port string) (banner string) {
	t.Helper()
	cmd := exec.Command("bash", "-c", "exec "+text)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1024)
	go func() {
		defer close(lines)
		for scan := bufio.NewScanner(errs); scan.Scan(); {
			lines <- scan.Text()
		}
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		for range lines { // until it has closed its output
		}
		_ = cmd.Wait()
	})
	deadline := time.Now().Add(3 * time.Minute) // `go run` may have to build
	for time.Now().Before(deadline) {
		if resp, err := http.Get("http://127.0.0.1:" + port + "/readyz"); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				break
			}
		}
		select {
		case l, ok := <-lines:
			if !ok {
				t.Fatalf("`%s` ended; it had shown:\n%s", text, banner)
			}
			banner += l + "\n"
		case <-time.After(50 * time.Millisecond):
		}
	}
	for quiet := false; !quiet; { // the welcome follows the first answer of /readyz at once
		select {
		case l := <-lines:
			banner += l + "\n"
		case <-time.After(500 * time.Millisecond):
			quiet = true
		}
	}
	return banner
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func TestREADMEMatchingCanFail(t *testing.T) {
	t.Parallel()
	check := func(shown, output string, want bool) {
		t.Helper()
		c := command{shown: strings.Split(shown, "\n")}
		if got := c.shows(output) == nil; got != want {
			t.Errorf("%q shows %q: %v", output, shown, got)
		}
	}
	check("a\nb", "a\nb\n", true)
	check("a\nb", "a\nc\n", false)
	check("a…z", "abcz\n", true)
	check("a…z", "abc\n", false)
	check("a\n…\nd", "a\nb\nc\nd\n", true)
	check("a\n…\nd", "a\nb\nc\n", false)
	check("b", "a\nb\n", false)
	got := consoleCommands("```console\n$ a \\\n    b\nout\n```\n```\n$ no\n```\n")
	if len(got) != 1 || got[0].text != "a b" || len(got[0].shown) != 1 {
		t.Errorf("got %+v", got)
	}
}
