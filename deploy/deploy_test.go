// Package deploy_test holds the files of this folder against what they are for: the Dockerfile's own build command is run on what its
// context would hold, the unit is verified, alerts and dashboard ask only for metrics that exist, and the rules are tested by promtool.
// It starts processes, the built weir among them, on loopback only and ends each before its test ends; it owns no goroutine and no lock.
package deploy_test

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// text reads a file of the repository by its path below this folder.
func text(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// instruction is one line of a Dockerfile, continuation lines joined.
type instruction struct{ verb, rest string }

// instructions reads a Dockerfile without heredocs and parser directives, of which ours has none.
func instructions(dockerfile string) []instruction {
	var out []instruction
	joined := ""
	for line := range strings.Lines(dockerfile) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		joined += line
		if begun, more := strings.CutSuffix(joined, `\`); more {
			joined = begun
			continue
		}
		verb, rest, _ := strings.Cut(joined, " ")
		out = append(out, instruction{verb, strings.TrimSpace(rest)})
		joined = ""
	}
	return out
}

// lastStage is what the image is made of: the instructions from the last FROM on.
func lastStage(all []instruction) []instruction {
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].verb == "FROM" {
			return all[i:]
		}
	}
	return nil
}

// words is the argument of an ENTRYPOINT or CMD in exec form; the other form needs a shell.
func words(t *testing.T, stage []instruction, verb string) []string {
	t.Helper()
	i := slices.IndexFunc(stage, func(i instruction) bool { return i.verb == verb })
	if i < 0 {
		t.Fatalf("the image has no %s", verb)
	}
	var out []string
	if err := json.Unmarshal([]byte(stage[i].rest), &out); err != nil || len(out) == 0 {
		t.Fatalf("%s %s is not in exec form, and there is no shell: %v", verb, stage[i].rest, err)
	}
	return out
}

func TestImageHoldsTheBinaryAlone(t *testing.T) {
	t.Parallel()
	stage := lastStage(instructions(text(t, "Dockerfile")))
	has := func(verb, rest string) {
		t.Helper()
		if !slices.Contains(stage, instruction{verb, rest}) {
			t.Errorf("the image lacks %s %s", verb, rest)
		}
	}
	has("FROM", "scratch")
	has("USER", "65532:65532")
	has("EXPOSE", "8080")
	// Where crypto/x509 looks first on Linux.
	has("COPY", "--from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt")
	has("COPY", "--from=build /out/weir /weir")
	if got := words(t, stage, "ENTRYPOINT"); !slices.Equal(got, []string{"/weir"}) {
		t.Errorf("ENTRYPOINT %q", got)
	}
	for _, i := range stage {
		if i.verb == "RUN" || i.verb == "SHELL" || i.verb == "HEALTHCHECK" {
			t.Errorf("%s %s needs a program in the image other than weir", i.verb, i.rest)
		}
	}
}

// ignored reports whether .dockerignore, whose patterns begin at the root, leaves a file out. Negations are not used.
func ignored(patterns []string, name string) bool {
	for _, p := range patterns {
		anywhere, deep := strings.CutPrefix(p, "**/")
		for at := name; at != "."; at = path.Dir(at) {
			what, pattern := at, p
			if deep {
				what, pattern = path.Base(at), anywhere
			}
			if ok, err := path.Match(pattern, what); ok && err == nil {
				return true
			}
		}
	}
	return false
}

func TestIgnoredFollowsDockersRules(t *testing.T) {
	t.Parallel()
	check := func(pattern, name string, want bool) {
		t.Helper()
		if got := ignored([]string{pattern}, name); got != want {
			t.Errorf("%s on %s: %v", pattern, name, got)
		}
	}
	check("bench", "bench/a/b.go", true)
	check("bench", "cli/bench.go", false)
	check("bench", "cli/bench", false) // the root's alone
	check("*.md", "README.md", true)
	check("*.md", "docs/api.md", false)
	check("**/*_test.go", "a/b/c_test.go", true)
	check("**/*_test.go", "c_test.go", true)
	check("**/node_modules", "a/node_modules/b/c.js", true)
	check("**/*.md", "a/b.mdx", false)
}

// buildContext copies what docker would send to the builder into a folder.
func buildContext(t *testing.T) string {
	t.Helper()
	var patterns []string
	for line := range strings.Lines(text(t, "../.dockerignore")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			patterns = append(patterns, line)
		}
	}
	to := t.TempDir()
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == ".." {
			return err
		}
		rel, err := filepath.Rel("..", p)
		switch {
		case err != nil:
			return err
		case ignored(patterns, filepath.ToSlash(rel)) && d.IsDir():
			return filepath.SkipDir
		case ignored(patterns, filepath.ToSlash(rel)) || !d.IsDir() && !d.Type().IsRegular():
			return nil
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// buildAsDocker runs the Dockerfile's build command on what its context would hold, and returns the binary.
func buildAsDocker(t *testing.T) string {
	t.Helper()
	all := instructions(text(t, "Dockerfile"))
	i := slices.IndexFunc(all, func(i instruction) bool { return i.verb == "RUN" && strings.Contains(i.rest, "go build") })
	if i < 0 || strings.Count(all[i].rest, "/out/weir") != 1 {
		t.Fatal("no RUN of the Dockerfile builds /out/weir")
	}
	binary := filepath.Join(t.TempDir(), "weir")
	build := exec.Command("sh", "-c", strings.Replace(all[i].rest, "/out/weir", "'"+binary+"'", 1))
	build.Dir = buildContext(t)
	build.Env = append(os.Environ(), "VERSION=v0.0.0-test", "TARGETOS=linux", "TARGETARCH="+runtime.GOARCH)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", all[i].rest, err, out)
	}
	return binary
}

func TestBuiltAsTheDockerfileSays(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("the Dockerfile's command needs sh, and there is none: ", err)
	}
	binary := buildAsDocker(t)
	t.Run("static", func(t *testing.T) { t.Parallel(); static(t, binary) })
	if runtime.GOOS != "linux" {
		t.Log("the image's binary runs on Linux only: it was built, and is looked at, but not started")
		return
	}
	t.Run("version", func(t *testing.T) {
		t.Parallel()
		out, err := bare(binary, "version").CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "weir v0.0.0-test (go") {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("serve", func(t *testing.T) { t.Parallel(); serves(t, binary) })
	t.Run("without configuration", func(t *testing.T) { t.Parallel(); refuses(t, binary) })
}

// bare is a command in the surroundings of an empty image: no environment, no folder of its own.
func bare(binary string, args ...string) *exec.Cmd {
	c := exec.Command(binary, args...)
	c.Env, c.Dir = []string{}, "/"
	return c
}

// static checks that the binary asks for no loader and no library.
func static(t *testing.T, binary string) {
	f, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary has %v: it is not static", p.Type)
		}
	}
	if libraries, err := f.ImportedLibraries(); err == nil && len(libraries) > 0 {
		t.Errorf("the binary needs %v", libraries)
	}
	if f.Section(".symtab") != nil || f.Section(".debug_info") != nil {
		t.Error("the binary has the symbols that -s -w leave out")
	}
}

var listening = regexp.MustCompile(`msg=listening .*address=(\S+)`)

// serves runs the image's command, on loopback in the place of every address, asks what orchestrators ask, and stops it as they do.
func serves(t *testing.T, binary string) {
	args := words(t, lastStage(instructions(text(t, "Dockerfile"))), "CMD")
	i := slices.Index(args, "0.0.0.0:8080")
	if i < 0 {
		t.Fatalf("CMD %q does not listen on the port that the image exposes", args)
	}
	args[i] = "127.0.0.1:0"
	c := bare(binary, args...)
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		m := listening.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		for _, probe := range []string{"/healthz", "/readyz"} {
			r, err := http.Get("http://" + m[1] + probe)
			if err != nil {
				t.Error(err)
				continue
			}
			r.Body.Close()
			if r.StatusCode != 200 {
				t.Errorf("%s answers %s", probe, r.Status)
			}
		}
		if err := c.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	}
	if err := c.Wait(); err != nil || !listening.MatchString(log.String()) {
		t.Errorf("%q ends with %v\n%s", args, err, log.String())
	}
}

// refuses checks that the unit's command, which here finds no configuration, ends with the code that the unit does not restart after.
func refuses(t *testing.T, binary string) {
	unit := text(t, "weir.service")
	command := strings.Fields(setting(unit, "ExecStart"))
	if len(command) < 2 {
		t.Fatalf("ExecStart=%s", setting(unit, "ExecStart"))
	}
	at := slices.Index(command, "--config") + 1
	command[at] = filepath.Join(t.TempDir(), "weir.yaml")
	var exit *exec.ExitError
	out, err := bare(binary, command[1:]...).CombinedOutput()
	if !errors.As(err, &exit) || exit.ExitCode() != 2 || setting(unit, "RestartPreventExitStatus") != "2" {
		t.Errorf("%q ends with %v\n%s", command[1:], err, out)
	}
	if !bytes.Contains(out, []byte("weir.yaml")) {
		t.Errorf("it does not name the file: %s", out)
	}
}

// runs runs a tool that must end well, and returns what it printed.
func runs(t *testing.T, c *exec.Cmd) string {
	t.Helper()
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %v\n%s", c.Args, err, out)
	}
	return string(out)
}
