package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// The key that the load carries and the model it asks for. The key lets in nobody but this machine, for as long as a server runs.
const (
	benchKey   = "sk-bench"
	benchModel = "mock-model"
)

// server is one thing to measure: a gateway, or none.
type server struct {
	name string
	// slow servers get the scenarios' slow load.
	slow bool
	// startMax is how long it may take until it answers.
	startMax time.Duration
	// find gives the program, or says why there is none: errAbsent where it is not installed.
	find func(context.Context, *bench) (program string, err error)
	// version are the arguments that print it.
	version []string
	// env is what the program needs to know beside what this process's environment tells it, each NAME=value.
	env []string
	// configure writes what the program needs into the site's folder. nil: no process, the load goes to the mock itself.
	configure func(site) (command, error)
}

// command is how a program is started.
type command struct {
	program string
	args    []string
	env     []string // as server.env
}

// site is where a server stands for one turn.
type site struct {
	dir      string // its own folder
	program  string
	addr     string // where it must listen, host:port
	upstream string // the mock's, host:port
	cores    int
}

func (s site) write(name, text string) (string, error) {
	file := filepath.Join(s.dir, name)
	return file, os.WriteFile(file, []byte(text), 0o600)
}

// Most servers answer within a second. A gateway in Python imports for a quarter of a minute on a quiet machine.
const (
	startMax     = 15 * time.Second
	slowStartMax = 2 * time.Minute
)

// servers are in the table's order, the yardsticks first.
func servers() []server {
	return []server{
		{name: "direct"},
		{name: "bareproxy", startMax: startMax, find: built, configure: configureBareProxy},
		{name: "weir", startMax: startMax, find: buildWeir, version: []string{"version"}, configure: configureWeir},
		{name: "nginx", startMax: startMax, find: installed("nginx"), version: []string{"-v"}, configure: configureNginx},
		{name: "haproxy", startMax: startMax, find: installed("haproxy"), version: []string{"-v"}, configure: configureHAProxy},
		{name: "llama-swap", startMax: startMax, find: installed("llama-swap"), version: []string{"-version"}, configure: configureLlamaSwap},
		{name: "litellm", slow: true, startMax: slowStartMax, find: installed("litellm"), version: []string{"--version"}, env: liteLLMEnv(),
			configure: configureLiteLLM},
	}
}

func serverNames() []string {
	var out []string
	for _, s := range servers() {
		out = append(out, s.name)
	}
	return out
}

func built(_ context.Context, b *bench) (string, error) {
	return filepath.Join(b.cache(), "bareproxy"), nil
}

func buildWeir(ctx context.Context, b *bench) (string, error) {
	return filepath.Join(b.cache(), "weir"), b.build(ctx, filepath.Dir(b.dir), "./cmd/weir", "weir")
}

// variable names the program of a peer that is not on the path: WEIR_BENCH_LLAMA_SWAP.
func variable(name string) string {
	return "WEIR_BENCH_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// errAbsent is a peer that is not installed, which is no failure.
var errAbsent = errors.New("not installed")

// installed finds a peer's program where its variable says, on the path, or where systems keep servers, which is not on everybody's path.
func installed(name string) func(context.Context, *bench) (string, error) {
	return func(context.Context, *bench) (string, error) {
		named, candidates := os.Getenv(variable(name)), []string{name, "/usr/sbin/" + name, "/usr/local/sbin/" + name}
		if named != "" {
			candidates = []string{named}
		}
		for _, c := range candidates {
			if path, err := exec.LookPath(c); err == nil {
				return filepath.Abs(path)
			}
		}
		if named != "" {
			return "", fmt.Errorf("%s=%s is no program", variable(name), named)
		}
		return "", fmt.Errorf("%w; install %s, or name its program in %s", errAbsent, name, variable(name))
	}
}

// versionOf asks a program for its version; empty where it does not tell.
func versionOf(ctx context.Context, program string, s server) string {
	if s.version == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, s.version...)
	cmd.Env = append(os.Environ(), s.env...)
	out, _ := cmd.CombinedOutput() // nginx tells it on standard error
	return readVersion(string(out))
}

var (
	versionLine    = regexp.MustCompile(`(?im)^.*version.*$`)
	versionPattern = regexp.MustCompile(`\d+\.\d+[\w.+-]*`)
)

// readVersion finds the first number such as 1.22.1 in the line that speaks of a version, else in the first line. Where there is none it
// is the word after "version:", such as a commit.
func readVersion(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if l := versionLine.FindString(text); l != "" {
		line = l
	}
	if v := versionPattern.FindString(line); v != "" {
		return v
	}
	if words := strings.Fields(strings.TrimPrefix(line, "version:")); len(words) > 0 {
		return words[0][:min(len(words[0]), 40)]
	}
	return ""
}

func configureBareProxy(s site) (command, error) {
	return command{program: s.program, args: []string{"-addr", s.addr, "-upstream", "http://" + s.upstream}}, nil
}

// configureWeir has it do its whole work: two keys, one remote model, metrics, as it comes otherwise. The access log is off by default.
func configureWeir(s site) (command, error) {
	file, err := s.write("weir.yaml", fmt.Sprintf(`listen: %s
keys:
  require: always
  list:
    - {id: kbench1, hash: "sha256:%x", tenant: one}
    - {id: kbench2, hash: "sha256:%x", tenant: two}
models:
  %s:
    endpoints:
      - {url: "http://%s/v1", model: %[4]s, kind: openai}
`, s.addr, sha256.Sum256([]byte(benchKey)), sha256.Sum256([]byte("sk-bench-two")), benchModel, s.upstream))
	return command{program: s.program, args: []string{"serve", "--config", file}}, err
}
