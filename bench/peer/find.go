package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Variable names the program of a peer that is not on the path: WEIR_BENCH_LLAMA_SWAP.
func Variable(name string) string {
	return "WEIR_BENCH_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// ErrAbsent is a peer that is not installed, which is no failure.
var ErrAbsent = errors.New("not installed")

// Installed finds a peer's program where its variable says, on the path, or where systems keep servers, which is not on everybody's path.
func Installed(name string) (string, error) {
	named, candidates := os.Getenv(Variable(name)), []string{name, "/usr/sbin/" + name, "/usr/local/sbin/" + name}
	if named != "" {
		candidates = []string{named}
	}
	for _, c := range candidates {
		if path, err := exec.LookPath(c); err == nil {
			return filepath.Abs(path)
		}
	}
	if named != "" {
		return "", fmt.Errorf("%s=%s is no program", Variable(name), named)
	}
	return "", fmt.Errorf("%w; install %s, or name its program in %s", ErrAbsent, name, Variable(name))
}

// VersionOf asks a program for its version with the arguments that print it; empty where it does not tell.
func VersionOf(ctx context.Context, program string, args, env []string) string {
	if args == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	out, _ := cmd.CombinedOutput() // nginx tells it on standard error
	return ReadVersion(string(out))
}

var (
	versionLine    = regexp.MustCompile(`(?im)^.*version.*$`)
	versionPattern = regexp.MustCompile(`\d+\.\d+[\w.+-]*`)
)

// ReadVersion finds the first number such as 1.22.1 in the line that speaks of a version, else in the first line. Where there is none it
// is the word after "version:", such as a commit.
func ReadVersion(text string) string {
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

// Cache is where programs built from a checkout's bench folder lie; git ignores it.
func Cache(dir string) string { return filepath.Join(dir, ".cache") }

// Build makes a program into the cache as a release does: without cgo, names or paths. built: it must lie there already, for machines
// without Go.
func Build(ctx context.Context, dir, module, folder, name string, built bool) error {
	program := filepath.Join(Cache(dir), name)
	if built {
		_, err := os.Stat(program)
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, folder)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", folder, err, out)
	}
	return nil
}
