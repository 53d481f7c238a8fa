package app

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-ai/weir/llm"
)

// section gives the rows of the tables under a heading of docs/api.md, each as its cells.
func section(t *testing.T, heading string) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(text), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("docs/api.md has no section %q", heading)
	}
	part, _, _ = strings.Cut(part, "\n## ")
	for _, line := range strings.Split(part, "\n") {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	if len(rows) < 3 {
		t.Fatalf("the table under %q has %d rows", heading, len(rows))
	}
	return rows[1:] // without its head
}

// TestTheDocsTellEveryError compares the table of errors with llm's.
func TestTheDocsTellEveryError(t *testing.T) {
	t.Parallel()
	rows := section(t, "Errors")
	kinds := map[string]llm.Meaning{}
	for _, k := range llm.Kinds() {
		kinds["`"+k.String()+"`"] = k.Meaning()
	}
	quoted := func(s string) string {
		if s == "" {
			return ""
		}
		return "`" + s + "`"
	}
	told := map[string]bool{}
	for _, row := range rows {
		status, code, outcome := row[0], row[1], row[2]
		m, ok := kinds[outcome]
		if !ok {
			t.Errorf("%s is no outcome: %q", outcome, row)
			continue
		}
		// Two errors are told finer than by their kind.
		finer := code == "`body_timeout`" && status == "400" || code == "`method_not_allowed`" && status == "405"
		if !finer && (status != strconv.Itoa(m.Status) || code != quoted(m.Code) || (row[4] == "yes") != m.Retry) {
			t.Errorf("%q is not %+v", row, m)
		}
		told[outcome] = told[outcome] || !finer
	}
	for outcome := range kinds {
		if !told[outcome] {
			t.Errorf("nothing is told of %s", outcome)
		}
	}
}

// TestTheDocsTellEveryMetric compares the table of metrics with what a system registers, whether it has been counted yet or not.
func TestTheDocsTellEveryMetric(t *testing.T) {
	t.Parallel()
	cfg := loopback()
	cfg.Data, cfg.Shared.URL = t.TempDir(), "valkey://127.0.0.1:1" // nobody is there: it is counted here
	b := start(t, cfg)
	descs := make(chan *prometheus.Desc)
	go func() {
		b.metrics.Describe(descs)
		close(descs)
	}()
	name := regexp.MustCompile(`fqName: "(weir_\w+)".*variableLabels: \{([\w,]*)\}`)
	labels := map[string][]string{}
	for d := range descs {
		if m := name.FindStringSubmatch(d.String()); m != nil {
			labels[m[1]] = strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' })
		}
	}
	if len(labels) < 10 {
		t.Fatalf("only %d metrics were found: %v", len(labels), labels)
	}
	word := regexp.MustCompile(`\w+`)
	for _, row := range section(t, "Metrics") {
		for _, metric := range regexp.MustCompile(`weir_\w+`).FindAllString(row[0], -1) {
			have, ok := labels[metric]
			if !ok {
				t.Errorf("there is no metric %s", metric)
			}
			delete(labels, metric)
			for _, l := range have {
				if !slices.Contains(word.FindAllString(row[1], -1), l) {
					t.Errorf("the label %s of %s is not told: %q", l, metric, row)
				}
			}
		}
	}
	for metric := range labels {
		t.Errorf("%s is not told", metric)
	}
}
