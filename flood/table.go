package flood

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// tenantsShown bounds the tenants of the table that people read; the JSON has more.
const tenantsShown = 12

// Table writes the report for people. bold marks what counts, and may be nil.
func (r *Report) Table(w io.Writer, bold func(string) string) error {
	if bold == nil {
		bold = func(s string) string { return s }
	}
	var b strings.Builder
	t := &r.Total
	fmt.Fprintf(&b, "%s  %s, %s s after a warm-up of %s s%s\n\n", bold(r.URL), r.Model, short(r.Seconds), short(r.Warmup), map[bool]string{true: ", cut short"}[r.Interrupted])
	fmt.Fprintf(&b, "goodput %s answers/s within the objective (%s), of %s/s offered\n\n", bold(short(t.GoodPerSecond)), r.objective(""), short(t.OfferedPerSecond))
	tab := tabwriter.NewWriter(&b, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tab, "\toffered\tgood\tlate\trefused\tfailed\tgood/s\tTTFT p50\tp99\tTPOT p50\tp99\trefusal p99\tfair share\t")
	row := func(name string, a *Account) {
		share := "-"
		if a.FairShare > 0 {
			share = fmt.Sprintf("%.2f", a.FairShare)
		}
		fmt.Fprintf(tab, "%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", name, a.Offered+a.Returns, a.Good, a.Late, a.Refused, a.Failed, short(a.GoodPerSecond),
			millis(a.TTFT.P50), millis(a.TTFT.P99), millis(a.TPOT.P50), millis(a.TPOT.P99), millis(a.Refusal.P99), share)
	}
	row("all", t)
	for i := range r.Classes {
		if c := &r.Classes[i]; len(r.Classes) > 1 || c.Name != "" {
			row("class "+named(c.Name), c)
		}
	}
	for i := range r.Tenants[:min(len(r.Tenants), tenantsShown)] {
		row("tenant "+named(r.Tenants[i].Name), &r.Tenants[i])
	}
	_ = tab.Flush() // into memory
	if n := len(r.Tenants) - tenantsShown; n > 0 {
		fmt.Fprintf(&b, "and %d tenants more, in the JSON\n", n)
	}
	r.reasons(&b, "refused", r.Refusals)
	r.reasons(&b, "failed", r.Failures)
	r.rest(&b)
	for _, w := range r.Generator.Warnings {
		fmt.Fprintln(&b, bold("warning: "+w))
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("flood: the table cannot be written: %w", err)
	}
	return nil
}

func (r *Report) reasons(b *strings.Builder, what string, list []Reason) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintln(b)
	tab := tabwriter.NewWriter(b, 0, 4, 2, ' ', 0)
	for _, e := range list {
		fmt.Fprintf(tab, "%s\t%s\t%d\tafter p50 %s, p99 %s\n", what, e.Label, e.Count, millis(e.Times.P50), millis(e.Times.P99))
	}
	_ = tab.Flush()
}

// rest writes what is no table: those who obey, fairness and the generator.
func (r *Report) rest(b *strings.Builder) {
	fmt.Fprintln(b)
	if o := r.Obeying; o != nil {
		fmt.Fprintf(b, "obeying    %d were refused, %d came back when they were told to; %d of those (%.1f %%) were admitted then\n", o.Refused, o.Returned, o.AdmittedAtFirst, 100*o.Share)
	}
	if f := r.Fairness; f != nil {
		fmt.Fprintf(b, "fairness   %d tenants, %d backlogged; gap at most %s weighted tokens", f.Tenants, f.Backlogged, short(f.GapMax))
		if f.Jain > 0 {
			fmt.Fprintf(b, ", Jain %.4f", f.Jain)
		}
		if f.Worst != "" {
			fmt.Fprintf(b, "; least fair share %.2f (%s)", f.WorstShare, f.Worst)
		}
		fmt.Fprintln(b)
	}
	g := &r.Generator
	fmt.Fprintf(b, "tokens     %s output tokens/s, %s of them in good answers; %s\n", short(r.Total.OutputPerSecond), short(r.Total.GoodOutputPerSecond), r.Prompts)
	fmt.Fprintf(b, "generator  %.2f of %d cores, sent %s after the schedule at p99, %d open at most\n", g.CoresUsed, g.Cores, millis(g.Lag.P99), g.OpenMax)
}

// objective writes a class's objective.
func (r *Report) objective(class string) string {
	o := r.Objectives[class]
	var parts []string
	if o.TTFT > 0 {
		parts = append(parts, "TTFT "+millis(o.TTFT))
	}
	if o.TPOT > 0 {
		parts = append(parts, "TPOT "+millis(o.TPOT))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func named(name string) string {
	if name == "" {
		return "(none)"
	}
	return name
}

// short writes a number with three digits that count.
func short(v float64) string {
	switch {
	case v >= 100 || v == float64(int64(v)):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// millis writes milliseconds in the unit that is read best; 0 is none.
func millis(v float64) string {
	switch {
	case v == 0:
		return "-"
	case v >= 1000:
		return short(v/1000) + " s"
	}
	return short(v) + " ms"
}
