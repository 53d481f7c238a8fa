package flood

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/weir-ai/weir/internal/plot"
)

// Comparison is two reports' figures side by side.
type Comparison struct {
	CommandA, CommandB string
	Rows               []Ratio

	reports []*Report
}

// Ratio is one figure of both. Ratio is B over A; 0 where A has none.
type Ratio struct {
	Name  string  `json:"name"`
	A     float64 `json:"a"`
	B     float64 `json:"b"`
	Ratio float64 `json:"ratio"`

	text func(float64) string
}

// TextA, TextB and TextRatio write the figures for people.
func (f Ratio) TextA() string { return f.text(f.A) }

// TextB is B's.
func (f Ratio) TextB() string { return f.text(f.B) }

// TextRatio is the ratio's.
func (f Ratio) TextRatio() string {
	if f.Ratio == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", f.Ratio)
}

// Compare puts two reports side by side: all, then each class that both have.
func Compare(a, b *Report) *Comparison {
	c := &Comparison{CommandA: a.Command, CommandB: b.Command, reports: []*Report{a, b}}
	c.account("", &a.Total, &b.Total)
	c.add("cores of the generator", a.Generator.CoresUsed, b.Generator.CoresUsed, short)
	if a.Fairness != nil && b.Fairness != nil {
		c.add("fairness gap", a.Fairness.GapMax, b.Fairness.GapMax, short)
		c.add("Jain's index", a.Fairness.Jain, b.Fairness.Jain, func(v float64) string { return fmt.Sprintf("%.4f", v) })
		c.add("least fair share", a.Fairness.WorstShare, b.Fairness.WorstShare, short)
	}
	if a.Obeying != nil && b.Obeying != nil {
		c.add("admitted at first return", a.Obeying.Share, b.Obeying.Share, short)
	}
	if len(a.Classes) < 2 && len(b.Classes) < 2 {
		return c
	}
	for i := range a.Classes {
		k := slices.IndexFunc(b.Classes, func(o Account) bool { return o.Name == a.Classes[i].Name })
		if k >= 0 {
			c.account(named(a.Classes[i].Name)+": ", &a.Classes[i], &b.Classes[k])
		}
	}
	return c
}

func (c *Comparison) account(prefix string, a, b *Account) {
	c.add(prefix+"offered/s", a.OfferedPerSecond, b.OfferedPerSecond, short)
	c.add(prefix+"goodput/s", a.GoodPerSecond, b.GoodPerSecond, short)
	c.add(prefix+"output tokens/s", a.OutputPerSecond, b.OutputPerSecond, short)
	c.add(prefix+"good answers", float64(a.Good), float64(b.Good), short)
	c.add(prefix+"late answers", float64(a.Late), float64(b.Late), short)
	c.add(prefix+"refused", float64(a.Refused), float64(b.Refused), short)
	c.add(prefix+"failed", float64(a.Failed), float64(b.Failed), short)
	c.add(prefix+"TTFT p50", a.TTFT.P50, b.TTFT.P50, millis)
	c.add(prefix+"TTFT p99", a.TTFT.P99, b.TTFT.P99, millis)
	c.add(prefix+"TPOT p50", a.TPOT.P50, b.TPOT.P50, millis)
	c.add(prefix+"TPOT p99", a.TPOT.P99, b.TPOT.P99, millis)
	c.add(prefix+"refusal p99", a.Refusal.P99, b.Refusal.P99, millis)
}

func (c *Comparison) add(name string, a, b float64, text func(float64) string) {
	r := Ratio{Name: name, A: a, B: b, text: text}
	if a != 0 {
		r.Ratio = b / a
	}
	c.Rows = append(c.Rows, r)
}

// Table writes the comparison for people.
func (c *Comparison) Table(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "A  %s\nB  %s\n\n", c.CommandA, c.CommandB)
	tab := tabwriter.NewWriter(&b, 0, 4, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tab, "\tA\tB\tB / A\t")
	for _, r := range c.Rows {
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t\n", r.Name, r.TextA(), r.TextB(), r.TextRatio())
	}
	_ = tab.Flush() // into memory
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("flood: the comparison cannot be written: %w", err)
	}
	return nil
}

// HTML makes one page of both.
func (c *Comparison) HTML() ([]byte, error) { return page("", c.reports, c) }

// compared draws both reports into each picture.
func compared(reports []*Report) []plot.Chart {
	var out []plot.Chart
	add := func(title string, y plot.Axis, figure func(Row) float64) {
		p := plot.Panel{Title: title, X: reports[0].axis(), Y: y}
		for i, r := range reports {
			p.Lines = append(p.Lines, r.of([]string{"A", "B"}[i], r.Series.All, figure))
		}
		out = append(out, plot.Chart{Width: 860, Height: 280, Panels: []plot.Panel{p}})
	}
	perSecond := plot.Axis{Label: "requests", Unit: "1/s", Zero: true}
	add("offered", perSecond, func(w Row) float64 { return w.Offered })
	add("goodput", perSecond, func(w Row) float64 { return w.Good })
	add("refused", perSecond, func(w Row) float64 { return w.Refused })
	add("failed and late", perSecond, func(w Row) float64 { return w.Failed + w.Late })
	add("time to first token, p99", plot.Axis{Label: "TTFT", Unit: "ms", Log: true}, func(w Row) float64 { return none(w.TTFTP99) })
	add("time per output token, p99", plot.Axis{Label: "TPOT", Unit: "ms", Log: true}, func(w Row) float64 { return none(w.TPOTP99) })
	return out
}

// Describe tells what of two reports is not alike, so that nobody compares a fox with a fence; empty where nothing is.
func (c *Comparison) Describe() string {
	a, b := c.reports[0], c.reports[1]
	var parts []string
	if a.Seconds != b.Seconds {
		parts = append(parts, fmt.Sprintf("A lasted %s s and B %s s", short(a.Seconds), short(b.Seconds)))
	}
	if a.objective("") != b.objective("") {
		parts = append(parts, fmt.Sprintf("A's objective is %s, B's %s", cmp.Or(a.objective(""), "none"), b.objective("")))
	}
	if more := ratio(a.Total.OfferedPerSecond, b.Total.OfferedPerSecond); more > 1.1 {
		parts = append(parts, fmt.Sprintf("A was offered %s/s and B %s/s", short(a.Total.OfferedPerSecond), short(b.Total.OfferedPerSecond)))
	}
	return strings.Join(parts, "; ")
}

// ratio is the larger over the smaller.
func ratio(a, b float64) float64 {
	if min(a, b) <= 0 {
		return 1
	}
	return max(a, b) / min(a, b)
}
