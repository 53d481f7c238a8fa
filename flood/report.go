package flood

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// Schema names the form of a Report's JSON. A field that goes or changes its meaning makes it another number; new fields do not.
const Schema = "weir-flood/1"

// Report is what a flood showed. Counts are of tries that were due in the window, which is the schedule without its warm-up; what says
// per_second goes by the time that things happened in the window.
type Report struct {
	Schema      string                   `json:"schema"`
	Command     string                   `json:"command"`
	Version     string                   `json:"version"`
	Started     time.Time                `json:"started"`
	URL         string                   `json:"url"`
	Model       string                   `json:"model"`
	Prompts     string                   `json:"prompts"` // how their lengths were made
	Seconds     float64                  `json:"seconds"` // of the window
	Warmup      float64                  `json:"warmup_seconds"`
	Interrupted bool                     `json:"interrupted"` // the schedule was cut; the window ends there
	Objectives  map[string]ObjectiveTold `json:"objectives"`  // by class; "" is for all others

	Total     Account   `json:"total"`
	Classes   []Account `json:"classes"`
	Tenants   []Account `json:"tenants"` // those that offered most, then the others together
	Refusals  []Reason  `json:"refusals"`
	Failures  []Reason  `json:"failures"`
	Obeying   *Obeying  `json:"obeying,omitempty"`
	Fairness  *Fairness `json:"fairness,omitempty"`
	Generator Generator `json:"generator"`
	Series    Series    `json:"series"`
}

// ObjectiveTold is an objective in milliseconds; 0 is none.
type ObjectiveTold struct {
	TTFT float64 `json:"ttft_ms"`
	TPOT float64 `json:"tpot_ms"`
}

// Account is what came to all requests, those of a class or those of a tenant. Offered + Returns = Good + Late + Refused + Failed +
// Unfinished.
type Account struct {
	Name       string `json:"name"`
	Offered    int64  `json:"offered"`
	Returns    int64  `json:"returns"`  // tries of clients that came back
	Admitted   int64  `json:"admitted"` // answered with status 200
	Good       int64  `json:"good"`     // whole answers within the objective
	Late       int64  `json:"late"`     // whole answers, too late or too slow
	Refused    int64  `json:"refused"`
	Failed     int64  `json:"failed"`     // another status, cut, timed out, not sent
	Unfinished int64  `json:"unfinished"` // dropped when the run was interrupted

	PromptTokens int64 `json:"prompt_tokens"` // of what was served, as the workload says
	OutputTokens int64 `json:"output_tokens"`

	OfferedPerSecond    float64 `json:"offered_per_second"`
	GoodPerSecond       float64 `json:"good_per_second"` // the goodput
	OutputPerSecond     float64 `json:"output_tokens_per_second"`
	GoodOutputPerSecond float64 `json:"good_output_tokens_per_second"`

	TTFT      Times   `json:"ttft"`
	TPOT      Times   `json:"tpot"`
	Refusal   Times   `json:"refusal"`    // how long refusals took
	FairShare float64 `json:"fair_share"` // of tenants: service over what max-min fairness gives; 0 where it was not asked
}

// Reason is why requests were refused or failed: the status and the code or reason that came with it, or what happened to the connection.
type Reason struct {
	Label string    `json:"label"`
	Count int64     `json:"count"`
	Times Times     `json:"times"`
	Rows  []float64 `json:"per_second"` // by tick
}

// Obeying is what came to clients that do as Retry-After says.
type Obeying struct {
	Refused         int64   `json:"refused"`           // first tries that were refused
	NotTold         int64   `json:"not_told"`          // of them, without a Retry-After
	Returned        int64   `json:"returned"`          // that came back once at least
	AdmittedAtFirst int64   `json:"admitted_at_first"` // of them, admitted at the first return
	Share           float64 `json:"share"`             // AdmittedAtFirst over Returned; 0 where nobody returned
}

// Generator is what the flood cost its own machine, and whether it could keep the schedule.
type Generator struct {
	CPUSeconds float64  `json:"cpu_seconds"`
	CoresUsed  float64  `json:"cores_used"`
	Cores      int      `json:"cores"` // it may use
	Lag        Times    `json:"lag"`   // from a request's time to its sending
	OpenMax    int64    `json:"open_max"`
	Warnings   []string `json:"warnings"`
}

// Series is how it went over time. All rows begin with the window and are Tick seconds long; those after Window are of the drain.
type Series struct {
	Tick    float64   `json:"tick_seconds"`
	Window  int       `json:"window_rows"`
	All     []Row     `json:"all"`
	Open    []float64 `json:"open"`
	Classes []Rows    `json:"classes"`
	Tenants []Rows    `json:"tenants"`
}

// Rows is the series of a class or a tenant.
type Rows struct {
	Name       string    `json:"name"`
	Rows       []Row     `json:"rows"`
	Service    []float64 `json:"service,omitempty"` // weighted tokens a second, of tenants
	Backlogged []bool    `json:"backlogged,omitempty"`
}

const (
	// tenantsTold bounds the tenants of a report. All that have a series are in it.
	tenantsTold = tenantRowsMax
	// lagBad and cpuBad are where the generator's own slowness may be in the figures.
	lagBad = 10 * time.Millisecond
	cpuBad = 0.8
)

// report makes the books into a report.
func (s *sender) report() *Report {
	r := s.rec
	r.mu.Lock()
	defer r.mu.Unlock()
	window := s.o.For - s.o.Warmup
	if s.cut {
		window = max(0, r.ended.Sub(r.start)-s.o.Warmup)
	}
	seconds := window.Seconds()
	out := &Report{
		Schema: Schema, Command: s.o.Command, Version: s.o.Version, Started: r.start.UTC().Truncate(time.Millisecond), URL: s.o.URL, Model: s.o.Model,
		Prompts: s.learned.told, Seconds: seconds, Warmup: s.o.Warmup.Seconds(), Interrupted: s.cut, Objectives: map[string]ObjectiveTold{},
		Total: r.all.told(seconds), Refusals: r.refusals.told(), Failures: r.failures.told(), Generator: s.generator(r.ended.Sub(r.start)),
	}
	for name, o := range s.o.Objectives {
		out.Objectives[name] = ObjectiveTold{ms(o.TTFT), ms(o.TPOT)}
	}
	for _, c := range r.classRow {
		out.Classes = append(out.Classes, c.told(seconds))
	}
	if s.o.Obey > 0 {
		o := r.obeying
		if o.Returned > 0 {
			o.Share = float64(o.AdmittedAtFirst) / float64(o.Returned)
		}
		out.Obeying = &o
	}
	out.Series = r.series(window)
	s.tenants(out, seconds)
	return out
}

// tenants adds what concerns them. One tenant alone is all, and has nothing to be fair to.
func (s *sender) tenants(out *Report, seconds float64) {
	order := s.rec.order
	if len(order) < 2 {
		return
	}
	weight := func(name string) float64 { return cmp.Or(s.o.Weights[name], 1) }
	drawn := order[:min(len(order), tenantRowsMax)]
	ticks := min(out.Series.Window, len(out.Series.All))
	shares := fairShares(drawn, weight, ticks, out.Series.Tick, answered(order))
	f := fairness(drawn, weight, ticks, out.Series.Tick)
	for i, t := range drawn {
		if t.offered >= fairRequestsMin && (f.Worst == "" || shares[i] < f.WorstShare) {
			f.WorstShare, f.Worst = shares[i], t.name
		}
	}
	out.Fairness = &f
	for i, t := range order {
		a := t.told(seconds)
		if i < len(drawn) {
			a.FairShare = shares[i]
		}
		out.Tenants = append(out.Tenants, a)
	}
	slices.SortStableFunc(out.Tenants, func(a, b Account) int { return cmp.Compare(b.Offered, a.Offered) })
	if len(out.Tenants) > tenantsTold {
		rest := &account{name: others}
		told := map[string]bool{}
		for _, a := range out.Tenants[:tenantsTold] {
			told[a.Name] = true
		}
		for _, t := range order {
			if !told[t.name] {
				rest.merge(t)
			}
		}
		out.Tenants = append(out.Tenants[:tenantsTold], rest.told(seconds))
	}
}

// answered is the tokens of answers over the max_tokens that they were asked for; 1 where there was none.
func answered(tenants []*account) float64 {
	var asked, came float64
	for _, t := range tenants {
		asked += float64(t.askedOutput)
		came += float64(t.outputTokens)
	}
	if asked == 0 {
		return 1
	}
	return came / asked
}

// merge adds another account's counts and times.
func (c *account) merge(o *account) {
	c.offered += o.offered
	c.returns += o.returns
	c.admitted += o.admitted
	for i, n := range o.outcomes {
		c.outcomes[i] += n
	}
	c.promptTokens += o.promptTokens
	c.outputTokens += o.outputTokens
	c.goodInWindow += o.goodInWindow
	c.outputInWindow += o.outputInWindow
	c.goodOutputInWindow += o.goodOutputInWindow
	c.ttft.merge(&o.ttft)
	c.tpot.merge(&o.tpot)
	c.refusal.merge(&o.refusal)
}

func (c *account) told(seconds float64) Account {
	per := func(n int64) float64 {
		if seconds <= 0 {
			return 0
		}
		return float64(n) / seconds
	}
	return Account{
		Name: c.name, Offered: c.offered, Returns: c.returns, Admitted: c.admitted, Good: c.outcomes[good], Late: c.outcomes[late], Refused: c.outcomes[refused],
		Failed: c.outcomes[failed], Unfinished: c.outcomes[unfinished], PromptTokens: c.promptTokens, OutputTokens: c.outputTokens,
		OfferedPerSecond: per(c.offered + c.returns), GoodPerSecond: per(c.goodInWindow), OutputPerSecond: per(c.outputInWindow), GoodOutputPerSecond: per(c.goodOutputInWindow),
		TTFT: c.ttft.times(), TPOT: c.tpot.times(), Refusal: c.refusal.times(),
	}
}

func (rs *reasons) told() []Reason {
	out := []Reason{}
	for _, e := range rs.order {
		out = append(out, Reason{Label: e.label, Count: e.count, Times: e.times.times(), Rows: e.rows})
	}
	slices.SortStableFunc(out, func(a, b Reason) int { return cmp.Compare(b.Count, a.Count) })
	return out
}

// generator tells the cost, and warns where the figures may be the generator's own.
func (s *sender) generator(lasted time.Duration) Generator {
	g := Generator{CPUSeconds: s.cpu.Seconds(), Cores: cores(), Lag: s.rec.lag.times(), OpenMax: s.rec.openMax, Warnings: []string{}}
	if lasted > 0 {
		g.CoresUsed = g.CPUSeconds / lasted.Seconds()
	}
	if lag := s.rec.lag.quantile(0.99); lag > lagBad {
		g.Warnings = append(g.Warnings, fmt.Sprintf("the generator is the bottleneck: it sent %.0f ms after the schedule at p99, because this machine is busy; give it cores of its own, or offer less", ms(lag)))
	}
	if g.CoresUsed > cpuBad*float64(g.Cores) {
		g.Warnings = append(g.Warnings, fmt.Sprintf("the generator is the bottleneck: it used %.1f of %d cores", g.CoresUsed, g.Cores))
	}
	for label, e := range s.rec.failures.by {
		if e.count > 0 && len(label) > 6 && label[:6] == "unsent" {
			g.Warnings = append(g.Warnings, fmt.Sprintf("%d requests were not sent (%s)", e.count, label))
		}
	}
	slices.Sort(g.Warnings)
	return g
}

func (r *recorder) series(window time.Duration) Series {
	s := Series{Tick: r.every.Seconds(), All: r.all.rows, Open: r.openRows, Classes: []Rows{}, Tenants: []Rows{}}
	s.Window = min(int(window/r.every), len(s.All))
	n := len(s.All)
	for _, c := range r.classRow {
		s.Classes = append(s.Classes, Rows{Name: c.name, Rows: padded(c.rows, n)})
	}
	for i, c := range r.order {
		if i < tenantRowsMax && len(r.order) > 1 {
			s.Tenants = append(s.Tenants, Rows{Name: c.name, Rows: padded(c.rows, n), Service: padded(c.serve.rows, n), Backlogged: padded(c.serve.backlogged, n)})
		}
	}
	return s
}

// Write writes the report as JSON.
func (r *Report) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("flood: the report cannot be written: %w", err)
	}
	return nil
}

// reportBytesMax bounds a report that is read back: ten times the largest that this program writes.
const reportBytesMax = 512 << 20

// ReadReport reads what Write wrote.
func ReadReport(in io.Reader) (*Report, error) {
	var r Report
	if err := json.NewDecoder(io.LimitReader(in, reportBytesMax)).Decode(&r); err != nil {
		return nil, fmt.Errorf("flood: no report of weir flood: %w", err)
	}
	if r.Schema != Schema {
		return nil, fmt.Errorf("flood: schema is %q; this version reads %q, as `weir flood --json FILE` writes it", r.Schema, Schema)
	}
	return &r, nil
}

// objectiveNames lists the classes that have an objective of their own, "" first.
func (r *Report) objectiveNames() []string { return slices.Sorted(maps.Keys(r.Objectives)) }
