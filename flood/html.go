package flood

import (
	"bytes"
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"

	"github.com/weir-ai/weir/internal/plot"
)

// HTML makes one page that shows the report: no script, no font, no picture from elsewhere, so that it can be mailed and opened from a
// file. It follows the reader's light or dark theme.
func (r *Report) HTML() ([]byte, error) { return page(r.Command, []*Report{r}, nil) }

// linesMax is how many lines a chart shows, as internal/plot bounds them.
const linesMax = 7

// page shows one report, or two with the table that compares them.
func page(title string, reports []*Report, c *Comparison) ([]byte, error) {
	p := struct {
		Title   string
		Reports []*Report
		Compare *Comparison
		Charts  []template.HTML
	}{Title: title, Reports: reports, Compare: c}
	for _, chart := range charts(reports) {
		svg, err := chart.SVG()
		if err != nil {
			return nil, fmt.Errorf("flood: a chart of the page: %w", err)
		}
		p.Charts = append(p.Charts, template.HTML(svg)) //nolint:gosec // our own, with all texts escaped
	}
	var out bytes.Buffer
	if err := pageTemplate.Execute(&out, p); err != nil {
		return nil, fmt.Errorf("flood: the page: %w", err)
	}
	return out.Bytes(), nil
}

// charts are the pictures of one report, or of two side by side in one picture each.
func charts(reports []*Report) []plot.Chart {
	var out []plot.Chart
	add := func(panels ...plot.Panel) {
		for _, p := range panels {
			if len(p.Lines) > 0 {
				out = append(out, plot.Chart{Width: 860, Height: 280, Panels: []plot.Panel{p}})
			}
		}
	}
	if len(reports) == 2 {
		return compared(reports)
	}
	r := reports[0]
	x := r.axis()
	add(plot.Panel{Title: "what was offered and what came of it", X: x, Y: plot.Axis{Label: "requests", Unit: "1/s", Zero: true}, Lines: loadLines(r, "")})
	add(plot.Panel{Title: "refusals and failures by reason", X: x, Y: plot.Axis{Label: "requests", Unit: "1/s", Zero: true}, Lines: reasonLines(r)})
	add(r.times("time to first token", func(w Row) (float64, float64) { return w.TTFTP50, w.TTFTP99 }, r.Series.Classes))
	add(r.times("time per output token", func(w Row) (float64, float64) { return w.TPOTP50, w.TPOTP99 }, r.Series.Classes))
	if len(r.Series.Classes) > 1 {
		add(r.many("goodput by class", "requests", r.Series.Classes, func(w Rows, k int) float64 { return w.Rows[k].Good }))
	}
	tenants := r.largest()
	if len(tenants) > 1 {
		add(r.many("goodput by tenant", "requests", tenants, func(w Rows, k int) float64 { return w.Rows[k].Good }))
		add(r.many("refusals by tenant", "requests", tenants, func(w Rows, k int) float64 { return w.Rows[k].Refused }))
		ttft := r.many("time to first token by tenant, p99", "ms", tenants, func(w Rows, k int) float64 { return none(w.Rows[k].TTFTP99) })
		tpot := r.many("time per output token by tenant, p99", "ms", tenants, func(w Rows, k int) float64 { return none(w.Rows[k].TPOTP99) })
		ttft.Y, tpot.Y = plot.Axis{Label: "TTFT", Unit: "ms", Log: true}, plot.Axis{Label: "TPOT", Unit: "ms", Log: true}
		add(ttft, tpot)
		service := r.many("service by tenant", "", tenants, func(w Rows, k int) float64 { return w.Service[k] })
		service.Y = plot.Axis{Label: "weighted tokens", Unit: "1/s", Zero: true}
		add(service)
	}
	if f := r.Fairness; f != nil {
		add(plot.Panel{Title: "fairness gap", X: x, Y: plot.Axis{Label: "largest difference of two backlogged tenants", Unit: "weighted tokens", Zero: true}, Lines: []plot.Line{r.line("gap", f.Gap)}})
	}
	add(plot.Panel{Title: "open requests", X: x, Y: plot.Axis{Label: "open", Zero: true}, Lines: []plot.Line{r.line("open", r.Series.Open)}})
	return out
}

func (r *Report) axis() plot.Axis { return plot.Axis{Label: "time", Unit: "s", Zero: true} }

// line makes values by tick a line; each stands at the middle of its tick.
func (r *Report) line(name string, values []float64) plot.Line {
	l := plot.Line{Name: name}
	for k, v := range values {
		l.Points = append(l.Points, plot.Point{X: (float64(k) + 0.5) * r.Series.Tick, Y: v})
	}
	return l
}

// of makes one figure of rows a line.
func (r *Report) of(name string, rows []Row, figure func(Row) float64) plot.Line {
	values := make([]float64, len(rows))
	for k, w := range rows {
		values[k] = figure(w)
	}
	return r.line(name, values)
}

// none leaves a gap where no time was measured.
func none(ms float64) float64 {
	if ms == 0 {
		return math.NaN()
	}
	return ms
}

func loadLines(r *Report, suffix string) []plot.Line {
	all := r.Series.All
	lines := []plot.Line{
		r.of("offered"+suffix, all, func(w Row) float64 { return w.Offered }), r.of("admitted"+suffix, all, func(w Row) float64 { return w.Admitted }),
		r.of("goodput"+suffix, all, func(w Row) float64 { return w.Good }), r.of("late"+suffix, all, func(w Row) float64 { return w.Late }),
		r.of("failed"+suffix, all, func(w Row) float64 { return w.Failed }),
	}
	lines[0].Dashed = true
	return lines
}

func reasonLines(r *Report) []plot.Line {
	var lines []plot.Line
	for _, e := range append(slices.Clone(r.Refusals), r.Failures...) {
		if len(lines) < linesMax {
			lines = append(lines, r.line(e.Label, padded(slices.Clone(e.Rows), len(r.Series.All))))
		}
	}
	return lines
}

// times draws the median (dashed) and the 99th percentile of each class, or of all where there is but one.
func (r *Report) times(title string, figure func(Row) (p50, p99 float64), classes []Rows) plot.Panel {
	p := plot.Panel{Title: title, X: r.axis(), Y: plot.Axis{Label: "from the schedule", Unit: "ms", Log: true}}
	if len(classes) < 2 {
		classes = []Rows{{Name: "all", Rows: r.Series.All}}
	}
	for _, c := range classes[:min(len(classes), linesMax/2)] {
		median := r.of(named(c.Name)+" p50", c.Rows, func(w Row) float64 { v, _ := figure(w); return none(v) })
		median.Dashed = true
		p.Lines = append(p.Lines, median, r.of(named(c.Name)+" p99", c.Rows, func(w Row) float64 { _, v := figure(w); return none(v) }))
	}
	return p
}

func (r *Report) many(title, label string, list []Rows, figure func(Rows, int) float64) plot.Panel {
	p := plot.Panel{Title: title, X: r.axis(), Y: plot.Axis{Label: label, Unit: "1/s", Zero: true}}
	for _, w := range list[:min(len(list), linesMax)] {
		values := make([]float64, len(w.Rows))
		for k := range values {
			values[k] = figure(w, k)
		}
		p.Lines = append(p.Lines, r.line(named(w.Name), values))
	}
	return p
}

// largest are the series of the tenants that offered most.
func (r *Report) largest() []Rows {
	var out []Rows
	for _, t := range r.Tenants {
		for _, w := range r.Series.Tenants {
			if w.Name == t.Name && len(out) < linesMax {
				out = append(out, w)
			}
		}
	}
	return out
}

// TableRows are the lines of the page's table.
func (r *Report) TableRows() []Account {
	out := []Account{r.Total}
	add := func(prefix string, list []Account) {
		for _, a := range list {
			a.Name = prefix + named(a.Name)
			out = append(out, a)
		}
	}
	if len(r.Classes) > 1 {
		add("class ", r.Classes)
	}
	add("tenant ", r.Tenants[:min(len(r.Tenants), 2*tenantsShown)])
	return out
}

// ObjectiveLines tells the objectives in words.
func (r *Report) ObjectiveLines() []string {
	var out []string
	for _, name := range r.objectiveNames() {
		out = append(out, cmp.Or(name, "all others")+": "+r.objective(name))
	}
	return out
}

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"short": short, "millis": millis, "percent": func(v float64) string { return short(100*v) + " %" }, "plus": func(a, b int64) int64 { return a + b },
}).Parse(pageText))

const pageText = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>weir flood</title>
<style>
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1f2328;background:#fff}
h1{font-size:1.4rem;margin:0 0 .3rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
code{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.m{color:#59636e}.big{font-size:1.5rem;font-weight:600}.warn{border-left:4px solid #d55e00;padding:.2rem .8rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:13px}
th,td{text-align:right;padding:.2rem .6rem;border-bottom:1px solid #e6e9ed;white-space:nowrap}th:first-child,td:first-child{text-align:left}
svg{max-width:100%;height:auto;display:block;margin:1rem 0}
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}.m{color:#9198a1}th,td{border-color:#262c36}}
</style></head><body>
{{with .Compare}}<h1>weir flood: two reports</h1>
<p class="m">A: <code>{{.CommandA}}</code><br>B: <code>{{.CommandB}}</code></p>
<div class="scroll"><table><tr><th></th><th>A</th><th>B</th><th>B / A</th></tr>
{{range .Rows}}<tr><td>{{.Name}}</td><td>{{.TextA}}</td><td>{{.TextB}}</td><td>{{.TextRatio}}</td></tr>
{{end}}</table></div>
{{else}}{{range .Reports}}<h1>weir flood</h1>
<p class="m"><code>{{.Command}}</code></p>
<p class="m">{{.URL}} · {{.Model}} · {{.Started.Format "2006-01-02 15:04:05 MST"}} · {{short .Seconds}} s after a warm-up of {{short .Warmup}} s{{if .Interrupted}} · cut short{{end}}</p>
<p><span class="big">{{short .Total.GoodPerSecond}}/s</span> answers within the objective, of {{short .Total.OfferedPerSecond}}/s offered</p>
{{range .Generator.Warnings}}<p class="warn">{{.}}</p>
{{end}}{{end}}{{end}}
{{range .Charts}}{{.}}{{end}}
{{if not .Compare}}{{range .Reports}}<h2>Numbers</h2>
<div class="scroll"><table><tr><th></th><th>offered</th><th>admitted</th><th>good</th><th>late</th><th>refused</th><th>failed</th><th>good/s</th><th>TTFT p50</th><th>p90</th><th>p99</th><th>TPOT p50</th><th>p90</th><th>p99</th><th>refusal p50</th><th>p99</th><th>fair share</th></tr>
{{range .TableRows}}<tr><td>{{.Name}}</td><td>{{plus .Offered .Returns}}</td><td>{{.Admitted}}</td><td>{{.Good}}</td><td>{{.Late}}</td><td>{{.Refused}}</td><td>{{.Failed}}</td><td>{{short .GoodPerSecond}}</td><td>{{millis .TTFT.P50}}</td><td>{{millis .TTFT.P90}}</td><td>{{millis .TTFT.P99}}</td><td>{{millis .TPOT.P50}}</td><td>{{millis .TPOT.P90}}</td><td>{{millis .TPOT.P99}}</td><td>{{millis .Refusal.P50}}</td><td>{{millis .Refusal.P99}}</td><td>{{if .FairShare}}{{short .FairShare}}{{else}}-{{end}}</td></tr>
{{end}}</table></div>
{{if or .Refusals .Failures}}<h2>Refusals and failures</h2>
<div class="scroll"><table><tr><th></th><th>reason</th><th>count</th><th>after p50</th><th>p99</th></tr>
{{range .Refusals}}<tr><td>refused</td><td>{{.Label}}</td><td>{{.Count}}</td><td>{{millis .Times.P50}}</td><td>{{millis .Times.P99}}</td></tr>
{{end}}{{range .Failures}}<tr><td>failed</td><td>{{.Label}}</td><td>{{.Count}}</td><td>{{millis .Times.P50}}</td><td>{{millis .Times.P99}}</td></tr>
{{end}}</table></div>{{end}}
<h2>How it was measured</h2>
<p>Objective: {{range $i, $o := .ObjectiveLines}}{{if $i}}; {{end}}{{$o}}{{end}}. Times count from the schedule. Prompts: {{.Prompts}}.</p>
{{with .Obeying}}<p>Clients that obey Retry-After: {{.Refused}} were refused, {{.Returned}} came back when they were told to, {{percent .Share}} of those were admitted then.</p>{{end}}
{{with .Fairness}}<p>Fairness: {{.Tenants}} tenants, {{.Backlogged}} of them backlogged; gap at most {{short .GapMax}} weighted tokens{{if .Jain}}; Jain's index {{printf "%.4f" .Jain}}{{end}}{{if .Worst}}; least fair share {{short .WorstShare}} ({{.Worst}}){{end}}.</p>{{end}}
<p>Tokens: {{short .Total.OutputPerSecond}} a second in answers, {{short .Total.GoodOutputPerSecond}} of them in good ones. The generator used {{short .Generator.CoresUsed}} of {{.Generator.Cores}} cores, sent {{millis .Generator.Lag.P99}} after the schedule at p99 and had {{.Generator.OpenMax}} requests open at most. weir {{.Version}}.</p>
{{end}}{{end}}
</body></html>
`
