package flood

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weir-ai/weir/workload"
)

func TestHistogramIsRightToAPercent(t *testing.T) {
	t.Parallel()
	var h histogram
	for us := 1; us <= 100_000; us++ {
		h.add(time.Duration(us) * time.Microsecond)
	}
	check := func(q, want float64) {
		t.Helper()
		if got := ms(h.quantile(q)); math.Abs(got/want-1) > 0.016 {
			t.Errorf("quantile %g is %g ms, want %g", q, got, want)
		}
	}
	check(0, 0.001)
	check(0.5, 50)
	check(0.9, 90)
	check(0.99, 99)
	if h.quantile(1) > h.max || h.times().Count != 100_000 || math.Abs(h.times().Mean-50) > 0.01 {
		t.Errorf("%+v", h.times())
	}
	var other histogram
	other.add(-time.Second)
	other.add(100 * time.Hour) // beyond the last bucket
	if other.quantile(0) != 0 || other.quantile(1) < 71*time.Minute || other.max != 100*time.Hour {
		t.Errorf("%s to %s", other.quantile(0), other.quantile(1))
	}
	h.merge(&other)
	if h.n != 100_002 || h.max != 100*time.Hour {
		t.Errorf("merged: %d, %s", h.n, h.max)
	}
	h.reset()
	if h.quantile(0.5) != 0 || h.times() != (Times{}) {
		t.Error("it remembers")
	}
	last := -1
	for d := time.Duration(0); d < 3*time.Hour; d += d/50 + time.Microsecond {
		b := bucketOf(d)
		if b < last || b >= histogramBuckets {
			t.Fatalf("%s is in bucket %d after %d", d, b, last)
		}
		last = b
	}
}

// books is a recorder with a clock of the test's.
func books(o Options) (*recorder, func(seconds float64) time.Time) {
	o, _ = o.checked()
	start := time.Unix(1_000_000, 0)
	return newRecorder(&o, start), func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
}

func TestRowsHoldWhatHappenedInTheirSecond(t *testing.T) {
	t.Parallel()
	r, at := books(Options{For: 5 * time.Second, Warmup: time.Second})
	// try is a request that is due, sent, answered from first to last with n tokens, and over.
	try := func(due, first, last float64, n int, end outcome) {
		a := &attempt{r: &workload.Request{Prompt: 10, Output: 5}, due: at(due), counted: due >= 1, outcome: end}
		r.begin(a, at(due))
		if n > 0 {
			r.admitted(a, at(first))
			for i := range n {
				a.answer.pieces = i + 1
				a.answer.first, a.answer.last = at(first), at(last)
				r.heard(a, &a.answer)
			}
		}
		r.end(a, at(last))
	}
	try(0.5, 0.6, 0.7, 4, good) // in the warm-up, and gone with it
	try(0.9, 1.1, 1.3, 3, good) // due in the warm-up: its end counts as goodput, and in no account
	try(1.5, 1.6, 1.8, 3, good)
	try(1.9, 0, 1.9, 0, refused)
	try(3.2, 3.3, 3.9, 4, late)
	try(4.9, 5.1, 5.3, 3, good) // due in the window, and over after it
	s := r.flush(at(7))
	rows := r.all.rows
	if len(rows) != 6 {
		t.Fatalf("%d rows", len(rows))
	}
	if w := rows[0]; w.Offered != 2 || w.Good != 2 || w.Refused != 1 || w.Admitted != 2 || w.Output != 6 || math.Abs(w.TTFTP99-200) > 4 {
		t.Errorf("the first second: %+v", w)
	}
	if w := rows[1]; w != (Row{}) {
		t.Errorf("the second one: %+v", w)
	}
	if w := rows[2]; w.Late != 1 || w.Offered != 1 || w.Output != 4 || math.Abs(w.TPOTP50-200) > 4 {
		t.Errorf("the third: %+v", w)
	}
	if w := rows[4]; w.Good != 1 || w.Offered != 0 {
		t.Errorf("after the window: %+v", w)
	}
	a := r.all.told(4)
	if a.Offered != 4 || a.Good != 2 || a.Refused != 1 || a.Late != 1 || a.GoodPerSecond != 2.0/4 || a.OutputPerSecond != (3+3+4)/4.0 || a.TTFT.Count != 3 {
		t.Errorf("%+v", a)
	}
	if s.Now != (Row{}) || s.Offered != 4 || s.Good != 2 || s.Open != 0 {
		t.Errorf("%+v", s)
	}
	if w := r.order[0].serve.rows; w[0] != 2*(10+2*3) || w[1] != 0 || w[2] != 10+2*4 {
		t.Errorf("service %v", w)
	}
	if got := r.refusals.of("").label; got != "" || len(r.refusals.order) != 1 {
		t.Errorf("%d reasons", len(r.refusals.order))
	}
}

func TestALongFloodHasLongRows(t *testing.T) {
	t.Parallel()
	check := func(length, want time.Duration) {
		t.Helper()
		if r, _ := books(Options{For: length}); r.every != want {
			t.Errorf("%s: rows of %s", length, r.every)
		}
	}
	check(time.Second, time.Second)
	check(rowsMax*time.Second, time.Second)
	check(rowsMax*time.Second+1, 2*time.Second)
	check(24*time.Hour, 24*time.Second)
	r, at := books(Options{For: 10 * time.Second})
	r.flush(at(3 * rowsEnd))
	if len(r.all.rows) != rowsEnd {
		t.Errorf("%d rows after a drain without end", len(r.all.rows))
	}
}

func TestWhatIsToldApartIsBounded(t *testing.T) {
	t.Parallel()
	r, at := books(Options{For: 10 * time.Second})
	for i := range tenantsMax + 50 {
		a := &attempt{r: &workload.Request{Prompt: 1, Output: 1, Tenant: fmt.Sprint(i), Class: fmt.Sprint(i)}, due: at(0), counted: true, outcome: refused, label: fmt.Sprint(i)}
		r.begin(a, at(0))
		r.end(a, at(0))
	}
	if len(r.order) != tenantsMax+1 || len(r.classRow) != classesMax+1 || len(r.refusals.order) != reasonsMax+1 {
		t.Errorf("%d tenants, %d classes, %d reasons", len(r.order), len(r.classRow), len(r.refusals.order))
	}
	if rest := r.tenants[others]; rest == nil || rest.offered != 50 || r.all.offered != tenantsMax+50 {
		t.Errorf("%+v", rest)
	}
	s := &sender{o: r.o, rec: r}
	r.flush(at(2))
	r.over(at(10))
	out := s.report()
	if n := len(out.Tenants); n != tenantsTold+1 || out.Tenants[n-1].Name != others || out.Tenants[n-1].Offered != tenantsMax+50-50-(tenantsTold-1) {
		t.Errorf("%d tenants told, the last %+v", n, out.Tenants[n-1])
	}
	if len(out.Series.Tenants) != tenantRowsMax {
		t.Errorf("%d tenants with a series", len(out.Series.Tenants))
	}
}

// tenant is one with a service and what it missed, in tokens of prompts a tick.
func tenant(name string, service, missed []float64, backlogged ...bool) *account {
	a := &account{name: name}
	a.serve.rows, a.serve.missedPrompts, a.serve.missedOutputs, a.serve.backlogged = service, missed, make([]float64, len(service)), backlogged
	return a
}

func same(string) float64 { return 1 }

func TestTheGapIsOfBackloggedTenantsOnly(t *testing.T) {
	t.Parallel()
	none := make([]float64, 4)
	a := tenant("a", []float64{10, 10, 10, 90}, none, true, true, true, false)
	b := tenant("b", []float64{4, 14, 4, 0}, none, true, true, true, true)
	f := fairness([]*account{a, b}, same, 4, 1)
	// The running difference is 6, 2, 8, and then one of them wants nothing more.
	if f.GapMax != 8 || fmt.Sprint(f.Gap) != "[6 2 8 0]" || fmt.Sprint(f.GapTenants) != "[a b]" || f.Backlogged != 2 {
		t.Errorf("%+v", f)
	}
	if want := jain([]float64{10, 22.0 / 4}); math.Abs(f.Jain-want) > 1e-9 {
		t.Errorf("Jain %g, want %g", f.Jain, want)
	}
	// A difference that goes down and up again has its range as the largest gap of a part: from 6 to -14.
	c := tenant("c", []float64{10, 0, 0, 10}, none, true, true, true, true)
	d := tenant("d", []float64{4, 10, 10, 4}, none, true, true, true, true)
	if f = fairness([]*account{c, d}, same, 4, 2); f.GapMax != 2*20 {
		t.Errorf("%+v", f)
	}
	double := func(name string) float64 { return map[string]float64{"c": 2, "d": 1}[name] }
	if f = fairness([]*account{tenant("c", []float64{20}, none, true), tenant("d", []float64{10}, none, true)}, double, 1, 1); f.GapMax != 0 || f.Jain != 1 {
		t.Errorf("by weight: %+v", f)
	}
	if f = fairness([]*account{a}, same, 4, 1); f.Jain != 0 || f.GapMax != 0 {
		t.Errorf("alone: %+v", f)
	}
}

func TestFairSharesFillFromBelow(t *testing.T) {
	t.Parallel()
	fill := func(total float64, wanted, weights []float64, want ...float64) {
		t.Helper()
		got := waterFill(wanted, weights, total)
		for i := range got {
			if math.Abs(got[i]-want[i]) > 1e-9 {
				t.Errorf("%g of %v: %v, want %v", total, wanted, got, want)
			}
		}
	}
	ones := []float64{1, 1, 1}
	fill(90, []float64{100, 100, 100}, ones, 30, 30, 30)
	fill(90, []float64{100, 10, 100}, ones, 40, 10, 40)
	fill(90, []float64{20, 10, 30}, ones, 20, 10, 30)
	fill(90, []float64{100, 100, 100}, []float64{1, 2, 3}, 15, 30, 45)

	// Window by window: a burst that was refused when the other asked for little is no excuse later.
	long := make([]float64, 2*fairWindow)
	small, large, missed, none := append([]float64(nil), long...), append([]float64(nil), long...), append([]float64(nil), long...), long
	for k := range long {
		small[k], large[k], missed[k] = 10, 30, 30
	}
	shares := fairShares([]*account{tenant("small", small, none), tenant("large", large, missed)}, same, len(long), 1, 1)
	if shares[0] != 1 || shares[1] != 1 {
		t.Errorf("a small one gets all it wants and a large one the rest: %v", shares)
	}
	shares = fairShares([]*account{tenant("small", small, missed), tenant("large", large, missed)}, same, len(long), 1, 1)
	if shares[0] != 0.5 || shares[1] != 1.5 {
		t.Errorf("half of what is fair: %v", shares)
	}
}

func TestJain(t *testing.T) {
	t.Parallel()
	if jain([]float64{3, 3, 3}) != 1 || jain([]float64{1, 0, 0, 0}) != 0.25 || jain([]float64{0, 0}) != 1 {
		t.Error("Jain's index of equal parts, of one for four, of nothing")
	}
}

// sample is a report of a real run in small.
func sample(t *testing.T) *Report {
	t.Helper()
	r, at := books(Options{URL: "http://127.0.0.1:1/<x>", Model: "m", For: 4 * time.Second, Obey: 0.5, Command: `weir flood "<script>"`, Version: "1"})
	for i := range 200 {
		s := float64(i) / 50
		a := &attempt{r: &workload.Request{Prompt: 10, Output: 3, Tenant: fmt.Sprint("t", i%7), Class: []string{"interactive", "batch", "standard", "system"}[i%4]}, due: at(s), counted: true, obeys: i%2 == 0}
		r.begin(a, at(s))
		if i%3 == 0 {
			a.outcome, a.label, a.head = refused, "503 <gate_full>", head{retryAfter: time.Second}
		} else {
			a.outcome = good
			a.answer = answer{first: at(s + 0.1), last: at(s + 0.2), pieces: 1, completion: 3}
			r.admitted(a, at(s+0.1))
			r.heard(a, &a.answer)
		}
		r.end(a, at(s+0.2))
	}
	r.flush(at(6))
	r.over(at(4))
	return (&sender{o: r.o, rec: r, learned: calibration{told: "as given"}}).report()
}

func TestReportsGoToJSONAndBack(t *testing.T) {
	t.Parallel()
	r := sample(t)
	var text bytes.Buffer
	if err := r.Write(&text); err != nil {
		t.Fatal(err)
	}
	again, err := ReadReport(bytes.NewReader(text.Bytes()))
	if err != nil || !reflect.DeepEqual(r, again) {
		t.Errorf("%v\n%+v\n%+v", err, r, again)
	}
	if a := r.Total; a.Offered != 200 || a.Refused != 67 || a.Good != 133 || r.Series.Window != 4 || len(r.Classes) != 4 || len(r.Tenants) != 7 || r.Obeying.Refused == 0 {
		t.Errorf("%+v", r)
	}
	for _, bad := range []string{"", "{}", `{"schema":"weir-flood/0"}`, "[]"} {
		if _, err := ReadReport(strings.NewReader(bad)); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

var beyond = regexp.MustCompile(`(?i)(src|href|url|import|@font-face|<script|<link|<iframe)\s*[=(:]?\s*["']?[^"'\s>]*`)

func TestThePageNeedsNothingElse(t *testing.T) {
	t.Parallel()
	r := sample(t)
	one, err := r.HTML()
	if err != nil {
		t.Fatal(err)
	}
	two, err := Compare(r, r).HTML()
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range [][]byte{one, two} {
		for _, found := range beyond.FindAll(page, -1) {
			t.Errorf("the page refers to %q", found)
		}
		if bytes.Contains(page, []byte("<script>")) || !bytes.Contains(page, []byte("&lt;script&gt;")) {
			t.Error("the command is not escaped")
		}
	}
	for _, want := range []string{"<svg", "prefers-color-scheme:dark", "interactive p99", "503 &lt;gate_full&gt;", "fairness gap", "t3", "31.5", "Retry-After"} {
		if !bytes.Contains(one, []byte(want)) {
			t.Errorf("the page does not show %q", want)
		}
	}
	if n := bytes.Count(one, []byte("<svg")); n != 12 {
		t.Errorf("%d pictures", n)
	}
}

func TestAnEmptyReportHasAPageAndATable(t *testing.T) {
	t.Parallel()
	r, at := books(Options{URL: "u", For: time.Second})
	r.over(at(0))
	out := (&sender{o: r.o, rec: r, cut: true}).report()
	page, err := out.HTML()
	if err != nil || !bytes.Contains(page, []byte("cut short")) {
		t.Errorf("%v", err)
	}
	var table bytes.Buffer
	if err := out.Table(&table, nil); err != nil || !strings.Contains(table.String(), "cut short") {
		t.Errorf("%s, %v", table.String(), err)
	}
}

func TestTheTableSaysWhatCounts(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := sample(t).Table(&out, func(s string) string { return "*" + s + "*" }); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"goodput *", "TTFT 2 s, TPOT 200 ms", "class interactive", "tenant t0", "503 <gate_full>", "obeying", "Jain", "least fair share", "generator"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("without %q:\n%s", want, out.String())
		}
	}
}

func TestCompareGivesRatios(t *testing.T) {
	t.Parallel()
	a, b := sample(t), sample(t)
	b.Total.GoodPerSecond, b.Total.TTFT.P99, a.Total.Late, b.Seconds = a.Total.GoodPerSecond*2, a.Total.TTFT.P99/4, 0, 8
	b.Total.OfferedPerSecond *= 2
	c := Compare(a, b)
	got := map[string]float64{}
	for _, r := range c.Rows {
		got[r.Name] = r.Ratio
	}
	if got["goodput/s"] != 2 || got["TTFT p99"] != 0.25 || got["late answers"] != 0 || got["batch: goodput/s"] != 1 || got["least fair share"] != 1 || got["fairness gap"] != 1 {
		t.Errorf("%v", got)
	}
	if unlike := c.Describe(); !strings.Contains(unlike, "lasted") || !strings.Contains(unlike, "was offered") || Compare(a, a).Describe() != "" {
		t.Error(unlike)
	}
	var out bytes.Buffer
	if err := c.Table(&out); err != nil || !strings.Contains(out.String(), "2.000") {
		t.Errorf("%s, %v", out.String(), err)
	}
}

func TestFiguresArePutShort(t *testing.T) {
	t.Parallel()
	got := fmt.Sprint(short(0), short(3), short(0.123), short(12.34), short(123.4), " ", millis(0), " ", millis(0.5), " ", millis(999), " ", millis(12_340))
	if got != "030.1212.3123 - 0.50 ms 999 ms 12.3 s" {
		t.Error(got)
	}
}

func TestSlowGeneratorsAreToldOf(t *testing.T) {
	t.Parallel()
	r, at := books(Options{For: time.Second})
	a := &attempt{r: &workload.Request{}, due: at(0), counted: true}
	r.begin(a, at(0).Add(lagBad))
	r.over(at(1))
	s := &sender{o: r.o, rec: r}
	if g := s.generator(time.Second); len(g.Warnings) != 0 {
		t.Errorf("at the bound: %q", g.Warnings)
	}
	r.lag.reset()
	r.lag.add(lagBad * 11 / 10)
	s.cpu = time.Duration(float64(time.Second) * (cpuBad*float64(cores()) + 0.01))
	if g := s.generator(time.Second); len(g.Warnings) != 2 {
		t.Errorf("beyond it: %q", g.Warnings)
	}
}
