package deploy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/telemetry"
)

// knownMetrics maps each series that Weir exports to its labels; a histogram is here as the series it becomes.
func knownMetrics(t *testing.T) map[string][]string {
	t.Helper()
	known := map[string][]string{}
	for name, labels := range map[string]string{
		"weir_requests_total": "model route outcome", "weir_requests_in_flight": "", "weir_request_bodies_bytes": "", "weir_slow_readers_total": "",
		"weir_prompt_tokens_total": "model", "weir_cached_tokens_total": "model", "weir_completion_tokens_total": "model",
		"weir_engine_preemptions_total": "model", "weir_engine_cut_total": "model", "weir_engine_sequences": "model state", "weir_engine_kv_blocks": "model state",
		"weir_endpoint_requests_total": "model endpoint outcome", "weir_endpoint_in_flight": "model endpoint", "weir_endpoint_prefill_tokens": "model endpoint",
		"weir_endpoint_state": "model endpoint state", "weir_endpoint_breaker": "model endpoint state",
		"weir_endpoint_waiting": "model endpoint", "weir_endpoint_running": "model endpoint", "weir_endpoint_kv_used": "model endpoint",
		"weir_endpoint_report_age_seconds": "model endpoint", "weir_turned_away_total": "model reason", "weir_stepped_down_total": "model to",
		"weir_gate_waiting": "model class", "weir_gate_waiting_tokens": "model class", "weir_gate_limit": "model endpoint", "weir_gate_in_flight": "model endpoint",
		"weir_gate_drain_tokens": "model", "weir_tenant_keys": "", "weir_tenant_save_failures_total": "", "weir_tenant_changes_dropped_total": "",
		"weir_tenant_shared_failures_total": "", "weir_store_waiting": "", "weir_store_refused_total": "", "weir_store_broken": "", "weir_limits_shared": "",
		"weir_limits_shared_failures_total": "",
		"weir_retries_total":                "model fault", "weir_retries_refused_total": "model", "weir_resumes_total": "model outcome", "weir_fallbacks_total": "model to",
	} {
		known[name] = strings.Fields(labels)
	}
	for name, labels := range map[string]string{
		"weir_request_seconds": "model route", "weir_ttft_seconds": "model", "weir_tpot_seconds": "model",
		"weir_queue_seconds": "model", "weir_engine_step_seconds": "model", "weir_endpoint_ttft_seconds": "model endpoint",
		"weir_gate_wait_seconds": "model class", "weir_store_commit_seconds": "", "weir_store_commit_writes": "", "weir_limits_shared_seconds": "",
	} {
		known[name+"_bucket"] = append(strings.Fields(labels), "le")
		known[name+"_sum"], known[name+"_count"] = strings.Fields(labels), strings.Fields(labels)
	}
	families, err := telemetry.NewMetrics("test").Gather() // the process, the runtime and weir_build_info
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		known[f.GetName()] = labels
		if s := f.GetMetric()[0].GetSummary(); s != nil {
			known[f.GetName()] = append(labels, "quantile")
			known[f.GetName()+"_sum"], known[f.GetName()+"_count"] = labels, labels
		}
	}
	return known
}

// everywhere are the labels that Prometheus gives to every series.
var everywhere = []string{"job", "instance"}

var (
	quoted    = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	selector  = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^{}]*)\}`)
	matcher   = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"`)
	grouping  = regexp.MustCompile(`\b(by|on|without|ignoring|group_left|group_right)\s*\(([^()]*)\)`)
	span      = regexp.MustCompile(`\[[^\[\]]*\]`)
	series    = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)
	functions = regexp.MustCompile(`\b[a-z_0-9]+\s*\(`)
	numbers   = regexp.MustCompile(`\b[0-9][0-9.]*(e[0-9]+)?\b`)
)

// unknown reports what an expression asks for that Weir does not have: series, labels, and outcomes.
func unknown(expr string, known map[string][]string, outcomes map[string][]string) []string {
	var bad []string
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		name := m[1]
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(known[name], l[1]) && !slices.Contains(everywhere, l[1]) {
				bad = append(bad, fmt.Sprintf("%s has no label %s", name, l[1]))
			}
			for _, v := range strings.Split(l[2], "|") {
				if words, closed := outcomes[name+" "+l[1]]; closed && !slices.Contains(words, v) {
					bad = append(bad, fmt.Sprintf("%s is never %q in %s", l[1], v, name))
				}
			}
		}
	}
	rest := span.ReplaceAllString(selector.ReplaceAllString(expr, "$1"), "")
	all := slices.Concat(slices.Collect(maps.Values(known))...)
	for _, m := range grouping.FindAllStringSubmatch(rest, -1) {
		for l := range strings.SplitSeq(m[2], ",") {
			if l = strings.TrimSpace(l); l != "" && !slices.Contains(all, l) && !slices.Contains(everywhere, l) {
				bad = append(bad, fmt.Sprintf("nothing has a label %s", l))
			}
		}
	}
	rest = functions.ReplaceAllString(numbers.ReplaceAllString(quoted.ReplaceAllString(grouping.ReplaceAllString(rest, " "), " "), " "), "(")
	asked := 0
	for _, name := range series.FindAllString(rest, -1) {
		if slices.Contains([]string{"and", "or", "unless", "bool"}, name) {
			continue
		}
		asked++
		if _, ok := known[name]; !ok {
			bad = append(bad, fmt.Sprintf("there is no series %s", name))
		}
	}
	if asked == 0 {
		bad = append(bad, "it asks for no series")
	}
	return bad
}

// closedLabels are the words that a label can have, for those whose words are a closed list: "metric label" to words.
func closedLabels() map[string][]string {
	kinds := []string{llm.OutcomeOK}
	for _, k := range llm.Kinds() {
		kinds = append(kinds, k.String())
	}
	visits := slices.Clone(kinds)
	for f := llm.FaultNone + 1; f.String() != llm.FaultNone.String(); f++ {
		visits = append(visits, f.String())
	}
	var reasons, classes []string
	for _, r := range llm.Reasons() {
		reasons = append(reasons, string(r))
	}
	for _, c := range llm.Classes() {
		classes = append(classes, c.String())
	}
	return map[string][]string{
		"weir_requests_total outcome":          kinds,
		"weir_endpoint_requests_total outcome": visits,
		"weir_endpoint_state state":            {"unknown", "up", "loading", "down"},
		"weir_endpoint_breaker state":          {"closed", "open", "half_open"},
		"weir_resumes_total outcome":           {"ok", "failed", "impossible"},
		"weir_turned_away_total reason":        reasons,
		"weir_gate_waiting class":              classes,
		"weir_gate_waiting_tokens class":       classes,
		"weir_gate_wait_seconds_bucket class":  classes,
		"weir_gate_wait_seconds_count class":   classes,
		"weir_engine_sequences state":          {"running", "waiting"},
		"weir_engine_kv_blocks state":          {"used", "cached", "total"},
	}
}

func TestUnknownSeriesAreFound(t *testing.T) {
	t.Parallel()
	known, closed := knownMetrics(t), closedLabels()
	check := func(expr string, want int) {
		t.Helper()
		if got := unknown(expr, known, closed); len(got) != want {
			t.Errorf("%s: %q, want %d faults", expr, got, want)
		}
	}
	check(`sum by (model) (rate(weir_requests_total{outcome=~"ok|upstream"}[5m])) > 1e3`, 0)
	check(`histogram_quantile(0.9, sum by (le) (rate(weir_ttft_seconds_bucket[5m])))`, 0)
	check(`rate(weir_ttft_seconds[5m])`, 1)                            // a histogram is no series
	check(`rate(wier_requests_total{model="m"}[5m])`, 2)               // its labels are unknown as well
	check(`weir_requests_total{endpoint="x"}`, 1)                      // no such label
	check(`sum by (modle) (weir_requests_total)`, 1)                   // nowhere such a label
	check(`weir_requests_total{outcome="upstraem"}`, 1)                // no such word
	check(`weir_turned_away_total{reason="predicted_mis"}`, 1)         // nor such a reason
	check(`weir_gate_waiting{class="interactiv"}`, 1)                  // nor such a class
	check(`weir_endpoint_state{state="down"} and on (x) vector(1)`, 1) // in a matching
	check(`vector(1)`, 1)
	check(`up - 1`, 1) // Prometheus' own is known only where it is said to be
}

func TestAlertsAskForWhatThereIs(t *testing.T) {
	t.Parallel()
	known, rules := knownMetrics(t), text(t, "prometheus/alerts.yml")
	known["up"] = nil
	_, recorded := entries(rules)
	for _, name := range recorded {
		known[name] = []string{"model"}
	}
	for _, e := range ruleExprs(rules) {
		for _, bad := range unknown(e, known, closedLabels()) {
			t.Errorf("%s: %s", strings.TrimSpace(e), bad)
		}
	}
}

// dashboard is what the tests read of Grafana's format.
type dashboard struct {
	UID           string  `json:"uid"`
	Title         string  `json:"title"`
	SchemaVersion int     `json:"schemaVersion"`
	Panels        []panel `json:"panels"`
	Templating    struct {
		List []struct {
			Name, Type, Definition string
		} `json:"list"`
	} `json:"templating"`
}

type panel struct {
	ID          int            `json:"id"`
	Type        string         `json:"type"`
	Title       string         `json:"title"`
	Grid        gridPos        `json:"gridPos"`
	FieldConfig map[string]any `json:"fieldConfig"`
	Targets     []struct {
		RefID, Expr string
		Datasource  struct{ UID string }
	} `json:"targets"`
}

// gridPos is a panel's place on a grid that is 24 wide.
type gridPos struct{ X, Y, W, H int }

func (g gridPos) meets(o gridPos) bool {
	return g.X < o.X+o.W && o.X < g.X+g.W && g.Y < o.Y+o.H && o.Y < g.Y+g.H
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal([]byte(text(t, "grafana/weir.json")), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// dashboardExprs are the dashboard's expressions with values in the place of its variables.
func dashboardExprs(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, p := range readDashboard(t).Panels {
		for _, q := range p.Targets {
			out = append(out, strings.NewReplacer("$__rate_interval", "1m", "$model", ".*", "$endpoint", ".*").Replace(q.Expr))
		}
	}
	if len(out) < 40 {
		t.Fatalf("the dashboard has %d expressions", len(out))
	}
	return out
}

func TestDashboardAsksForWhatThereIs(t *testing.T) {
	t.Parallel()
	known, asked := knownMetrics(t), strings.Join(dashboardExprs(t), "\n")
	for _, e := range dashboardExprs(t) {
		if strings.Contains(e, "$") {
			t.Errorf("%s uses a variable that the dashboard does not have", e)
		}
		for _, bad := range unknown(e, known, closedLabels()) {
			t.Errorf("%s: %s", e, bad)
		}
	}
	// And shows all that Weir counts, so that a new metric is not forgotten; a histogram is shown by any of its series.
	for name := range known {
		family := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if strings.HasPrefix(name, "weir_") && !strings.Contains(asked, family) {
			t.Errorf("no panel shows %s", name)
		}
	}
}

func TestDashboardIsWhole(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	if d.UID == "" || d.Title == "" || d.SchemaVersion < 39 {
		t.Errorf("uid %q, title %q, schemaVersion %d", d.UID, d.Title, d.SchemaVersion)
	}
	var variables, rows []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name+" "+v.Type)
	}
	if want := []string{"datasource datasource", "model query", "endpoint query"}; !slices.Equal(variables, want) {
		t.Errorf("variables %q, want %q", variables, want)
	}
	ids := map[int]string{}
	for i, p := range d.Panels {
		if other, twice := ids[p.ID]; twice || p.ID == 0 {
			t.Errorf("%q and %q have the id %d", p.Title, other, p.ID)
		}
		ids[p.ID] = p.Title
		if p.Type == "row" {
			rows = append(rows, p.Title)
		} else if len(p.Targets) == 0 || p.FieldConfig == nil {
			t.Errorf("%q shows nothing", p.Title)
		}
		if g := p.Grid; g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
			t.Errorf("%q is at %+v, off the grid", p.Title, g)
		}
		for _, o := range d.Panels[:i] {
			if p.Grid.meets(o.Grid) {
				t.Errorf("%q lies over %q", p.Title, o.Title)
			}
		}
		refs := map[string]bool{}
		for _, q := range p.Targets {
			if refs[q.RefID] || q.RefID == "" || q.Datasource.UID != "${datasource}" {
				t.Errorf("%q asks as %q from %q", p.Title, q.RefID, q.Datasource.UID)
			}
			refs[q.RefID] = true
		}
	}
	if want := []string{"Overview", "Endpoints", "Admission", "Tenants and store", "Embedded engine", "Process"}; !slices.Equal(rows, want) {
		t.Errorf("rows %q, want %q", rows, want)
	}
}
