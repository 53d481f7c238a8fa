package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// promtool finds Prometheus' tool. Rules are code, and only their own tests show that they work: so CI must have it.
func promtool(t *testing.T) string {
	t.Helper()
	tool, err := exec.LookPath("promtool")
	if err == nil {
		return tool
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("promtool is missing, and CI must have it: apt-get install prometheus")
	}
	t.Skip("promtool is not here, so the rules were not run: apt-get install prometheus")
	return ""
}

func TestRulesAreRules(t *testing.T) {
	t.Parallel()
	runs(t, exec.Command(promtool(t), "check", "rules", "--lint-fatal", "prometheus/alerts.yml"))
}

func TestSampleConfigIsOne(t *testing.T) {
	t.Parallel()
	out := runs(t, exec.Command(promtool(t), "check", "config", "prometheus/prometheus.yml"))
	if !strings.Contains(out, "1 rule files found") {
		t.Errorf("it does not find the rules: %s", out)
	}
}

func TestAlertsFireAtTheirBounds(t *testing.T) {
	t.Parallel()
	tool := promtool(t)
	out := runs(t, exec.Command(tool, "test", "rules", "prometheus/alerts_test.yml"))
	if !strings.Contains(out, "SUCCESS") {
		t.Error(out)
	}
	// Tests that cannot fail would say SUCCESS as well: at ten times the bound, the slow model is none.
	groups := strings.Split(text(t, "prometheus/alerts_test.yml"), "\n  - interval: 1m\n")
	slow := slices.IndexFunc(groups, func(g string) bool { return strings.Contains(g, "name: a slow first token\n") })
	if slow < 0 {
		t.Fatal("alerts_test.yml has no slow first token")
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"alerts.yml":      strings.Replace(text(t, "prometheus/alerts.yml"), "\n            > 2\n", "\n            > 20\n", 1),
		"alerts_test.yml": groups[0] + "\n  - interval: 1m\n" + groups[slow],
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(tool, "test", "rules", filepath.Join(dir, "alerts_test.yml")).CombinedOutput(); err == nil || !strings.Contains(string(out), "WeirTTFTHigh") {
		t.Errorf("a wrong threshold passes: %v\n%s", err, out)
	}
}

// TestDashboardAsksInPromQL lets promtool parse every expression of the dashboard, as rules whose names are their numbers.
func TestDashboardAsksInPromQL(t *testing.T) {
	t.Parallel()
	tool := promtool(t)
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for i, e := range dashboardExprs(t) {
		fmt.Fprintf(&rules, "  - {record: 'panel:%d', expr: %q}\n", i, e)
	}
	file := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	runs(t, exec.Command(tool, "check", "rules", file))
}

// alert is one entry of alerts.yml as its text.
type alert struct{ name, text string }

var alertHead = regexp.MustCompile(`(?m)^ {6}- (alert|record): (\S+)$`)

// entries cuts alerts.yml into its rules. The layout is ours and checked by promtool; a YAML parser may only be imported by config.
func entries(rules string) (alerts []alert, recorded []string) {
	heads := alertHead.FindAllStringSubmatchIndex(rules, -1)
	for i, h := range heads {
		end := len(rules)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		name := rules[h[4]:h[5]]
		if rules[h[2]:h[3]] == "record" {
			recorded = append(recorded, name)
		} else {
			alerts = append(alerts, alert{name, rules[h[0]:end]})
		}
	}
	return alerts, recorded
}

var ruleExpr = regexp.MustCompile(`(?m)^ {8}expr: (?:\|\n((?: {10}.*\n)+)|(.+)\n)`)

// ruleExprs are the expressions of alerts.yml.
func ruleExprs(rules string) []string {
	var out []string
	for _, m := range ruleExpr.FindAllStringSubmatch(rules, -1) {
		out = append(out, m[1]+m[2])
	}
	return out
}

// TestAlertsSayWhatToDo: who is woken reads a summary, what to look at and a place with more.
func TestAlertsSayWhatToDo(t *testing.T) {
	t.Parallel()
	rules, readme, tests := text(t, "prometheus/alerts.yml"), text(t, "README.md"), text(t, "prometheus/alerts_test.yml")
	alerts, recorded := entries(rules)
	if len(alerts) < 12 || len(recorded) == 0 || len(ruleExprs(rules)) != len(alerts)+len(recorded) {
		t.Fatalf("%d alerts and %d recorded series have %d expressions", len(alerts), len(recorded), len(ruleExprs(rules)))
	}
	for _, a := range alerts {
		for _, want := range []string{"summary: ", "description: ", "#" + strings.ToLower(a.name) + "\n"} {
			if !strings.Contains(a.text, want) && !strings.Contains(a.text, "annotations: *burn") {
				t.Errorf("%s lacks %q", a.name, want)
			}
		}
		if !regexp.MustCompile(`labels: \{severity: (page|ticket)[,}]`).MatchString(a.text) {
			t.Errorf("%s has no severity, page or ticket", a.name)
		}
		if !strings.Contains(readme, "\n### "+a.name+"\n") {
			t.Errorf("README.md does not say what to do about %s", a.name)
		}
		if !strings.Contains(tests, a.name) {
			t.Errorf("alerts_test.yml does not try %s", a.name)
		}
	}
	for m := range strings.Lines(readme) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(m), "### Weir"); ok && !strings.Contains(rules, "- alert: Weir"+name+"\n") {
			t.Errorf("README.md tells of the alert Weir%s, which is none", name)
		}
	}
}
