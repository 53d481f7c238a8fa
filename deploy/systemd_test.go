package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-ai/weir/config"
)

// setting is the last value of a key of a unit, as systemd takes it for those that are no lists; empty where there is none.
func setting(unit, key string) string {
	value := ""
	for line := range strings.Lines(unit) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), key+"="); ok {
			value = v
		}
	}
	return value
}

func TestUnitLetsAnswersEnd(t *testing.T) {
	t.Parallel()
	unit := text(t, "weir.service")
	stop, err := time.ParseDuration(setting(unit, "TimeoutStopSec"))
	if err != nil {
		t.Fatal(err)
	}
	// After the grace, app waits a second for the clients of cut answers and ten for the engine.
	if need := time.Duration(config.Default().Shutdown.Grace) + 11*time.Second; stop <= need {
		t.Errorf("systemd kills after %v, and a stop may take %v", stop, need)
	}
	if setting(unit, "KillMode") != "mixed" {
		t.Errorf("KillMode=%s", setting(unit, "KillMode"))
	}
}

func TestUnitGivesNoRights(t *testing.T) {
	t.Parallel()
	unit := text(t, "weir.service")
	for _, want := range []string{"DynamicUser=yes", "ProtectSystem=strict", "NoNewPrivileges=yes", "StateDirectory=weir", "CapabilityBoundingSet=",
		"Restart=on-failure", "LimitNOFILE=65536", "MemoryMax=80%", "EnvironmentFile=-/etc/weir/weir.env"} {
		key, value, _ := strings.Cut(want, "=")
		if !strings.Contains(unit, "\n"+want+"\n") || setting(unit, key) != value {
			t.Errorf("%s is %q, want %q", key, setting(unit, key), value)
		}
	}
}

// TestUnitVerifies asks systemd itself. It skips where there is none, in CI, too: containers have none, and to install an init system
// for the sake of one check would change the machine. What the other tests of this file hold is held everywhere.
func TestUnitVerifies(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not here: the unit was read, but not by systemd")
	}
	self, err := os.Executable() // systemd looks at whether the program is there, not at what it is
	if err != nil {
		t.Fatal(err)
	}
	unit := text(t, "weir.service")
	verify := func(unit string) (string, error) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "weir.service")
		if err := os.WriteFile(file, []byte(strings.Replace(unit, "/usr/local/bin/weir", self, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(analyze, "verify", file).CombinedOutput()
		return string(out), err
	}
	if out, err := verify(unit); err != nil || strings.Contains(out, "weir.service") {
		t.Errorf("%v\n%s", err, out)
	}
	// Unknown keys are only warned of, so what is printed counts.
	if out, _ := verify(strings.Replace(unit, "NoNewPrivileges=", "NoNewPrivilege=", 1)); !strings.Contains(out, "NoNewPrivilege") {
		t.Errorf("a key that does not exist passes: %s", out)
	}
}

// TestUnitIsExposedLittle lets systemd weigh the sandbox: 0 is none of its 80 points open, 10 is all; it calls 2 and less "OK".
func TestUnitIsExposedLittle(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not here: the sandbox was not weighed")
	}
	if out, err := exec.Command(analyze, "security", "--help").CombinedOutput(); err != nil || !strings.Contains(string(out), "--offline") {
		t.Skip("this systemd-analyze is older than 250 and cannot weigh a unit that is not installed")
	}
	runs(t, exec.Command(analyze, "security", "--offline=true", "--threshold=20", "--no-pager", "weir.service"))
}
