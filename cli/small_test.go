package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-ai/weir/config"
)

func TestCheckPrintsTheConfiguration(t *testing.T) {
	t.Parallel()
	text := weir(t, "", "check").ok(t)
	if c, err := config.Parse([]byte(text)); err != nil || c.Listen != "127.0.0.1:8080" {
		t.Errorf("what check prints is not a configuration: %v\n%s", err, text)
	}
	path := filepath.Join(t.TempDir(), "w.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("limits:\n  body: 1MB\nmodels:\n  a: {builtin: weir-mini}\n")
	text = weir(t, "", "check", "--config", path).ok(t)
	if !strings.Contains(text, "body: 1MB ") || !strings.Contains(text, "  a:\n    builtin: weir-mini ") || !strings.Contains(text, "grace: 25s") {
		t.Errorf("check prints\n%s", text)
	}
	asJSON := decode[map[string]any](t, weir(t, "", "check", "-c", path, "--json").ok(t))
	if asJSON["limits"].(map[string]any)["body"] != "1MB" {
		t.Errorf("check --json prints %v", asJSON)
	}

	write("limit:\n  body: 1MB\nkeys:\n  require: perhaps\n")
	weir(t, "", "check", "--config", path).fails(t, exitUsage, "2 faults", path+`:1: unknown key "limit"; did you mean "limits"?`, path+`:4: keys.require "perhaps"`)
	r := weir(t, "", "check", "--config", path, "--json")
	r.fails(t, exitUsage)
	faults := decode[struct{ Faults config.Faults }](t, r.out).Faults
	if len(faults) != 2 || faults[0].Line != 1 || faults[1].File != path {
		t.Errorf("check --json gives %+v", faults)
	}
	weir(t, "", "serve", "--config", path).fails(t, exitUsage, "2 faults")
	weir(t, "", "check", "--config", path+".not").fails(t, exitUsage, "no such file")
}

func TestKeyNewMakesAnEntry(t *testing.T) {
	t.Parallel()
	out := weir(t, "", "key", "new", "--tenant", "search").ok(t)
	plain, rest, _ := strings.Cut(out, "\n")
	_, yaml, ok := strings.Cut(rest, "keys:\n")
	if !ok || !strings.HasPrefix(plain, "sk-weir-") {
		t.Fatalf("key new prints\n%s", out)
	}
	c, err := config.Parse([]byte("keys:\n" + yaml))
	if err != nil || len(c.Keys.List) != 1 {
		t.Fatalf("its lines are not a configuration: %v\n%s", err, out)
	}
	sum := sha256.Sum256([]byte(plain))
	if k := c.Keys.List[0]; k.Tenant != "search" || k.Hash.Value() != "sha256:"+hex.EncodeToString(sum[:]) || !strings.Contains(plain, k.ID) {
		t.Errorf("key %q has the entry %+v", plain, k)
	}
	// What YAML would misread is quoted.
	out = weir(t, "", "key", "new", "--tenant", "a: {b").ok(t)
	if c, err := config.Parse([]byte(out[strings.Index(out, "keys:\n"):])); err != nil || c.Keys.List[0].Tenant != "a: {b" {
		t.Errorf("a tenant with marks: %v", err)
	}
	a, b := weir(t, "", "key", "new", "--json").ok(t), weir(t, "", "key", "new", "--json").ok(t)
	if k := decode[map[string]string](t, a); k["key"] == "" || k["hash"] == "" || k["id"] == "" || k["tenant"] != "default" || a == b {
		t.Errorf("key new --json prints %s, then %s", a, b)
	}
}

// TestCompletionWorksInBash lets a real bash complete words with the script.
func TestCompletionWorksInBash(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed; install it to try the completion script")
	}
	dir := t.TempDir()
	script := filepath.Join(dir, "weir.bash")
	if err := os.WriteFile(script, []byte(weir(t, "", "completion", "bash").ok(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(bash, "-n", script).CombinedOutput(); err != nil {
		t.Fatalf("bash does not accept the script: %v %s", err, out)
	}
	check := func(want string, words ...string) {
		t.Helper()
		program := fmt.Sprintf("source %q; COMP_WORDS=(weir", script)
		for _, w := range words {
			program += fmt.Sprintf(" %q", w)
		}
		program += fmt.Sprintf("); COMP_CWORD=%d; _weir; echo \"${COMPREPLY[*]}\"; complete -p weir", len(words))
		out, err := exec.Command(bash, "--norc", "-u", "-c", program).CombinedOutput()
		if got, rest, _ := strings.Cut(string(out), "\n"); err != nil || got != want || !strings.Contains(rest, "-F _weir weir") {
			t.Errorf("%q completes to %q, want %q; error %v", words, out, want, err)
		}
	}
	check("serve", "se")
	check("chat check completion", "c")
	check("--model", "serve", "--mod")
	check("--temperature", "run", "hello", "--te")
	check("new", "key", "n")
	check("--tenant", "key", "new", "--te")
	check("", "serve", "--nothing")
	check("", "nothing", "")
}

func TestCompletionOfOtherShells(t *testing.T) {
	t.Parallel()
	zsh, fish := weir(t, "", "completion", "zsh").ok(t), weir(t, "", "completion", "fish").ok(t)
	if !strings.Contains(zsh, "bashcompinit") || !strings.Contains(zsh, "_weir()") {
		t.Errorf("zsh gets\n%s", zsh)
	}
	if !strings.Contains(fish, "complete -c weir -n __fish_use_subcommand -a serve\n") || !strings.Contains(fish, "-n '__fish_seen_subcommand_from run' -l temperature\n") {
		t.Errorf("fish gets\n%s", fish)
	}
	for shell, text := range map[string]string{"zsh": zsh, "fish": fish} {
		if path, err := exec.LookPath(shell); err == nil {
			cmd := exec.Command(path, "-n", "/dev/stdin")
			cmd.Stdin = strings.NewReader(text)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s does not accept the script: %v %s", shell, err, out)
			}
		}
	}
	weir(t, "", "completion", "csh").fails(t, exitUsage, "bash", "csh")
}
