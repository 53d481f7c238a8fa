package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// generated is one run of weir flood.
type generated struct {
	url     string // host:port
	model   string
	keys    []string // KEY, or TENANT=KEY
	tenants string   // as weir flood takes them; empty: one
	classes string   // likewise; empty: none
	rate    float64  // requests a second, outside of the flood
	shape   string   // empty: steady
	warm    time.Duration
	lasts   time.Duration // with the warm-up
	prompt  int           // tokens
	output  int
	perWord float64 // tokens of a word
	obey    float64
	headers []string
	page    string // file; empty: none
}

// clientPatience is how long a client waits before it goes away. It is far beyond the objective, and short enough that the clients of the
// largest flood, who wait for a server without a bound, are not more than a process may have connections.
const clientPatience = 20 * time.Second

// args are those of weir flood.
func (g generated) args(file string) []string {
	out := []string{"flood", "http://" + g.url, "--no-live", "--json", file, "--model", g.model, "--rate", strconv.FormatFloat(g.rate, 'f', 3, 64),
		"--duration", g.lasts.String(), "--warmup", g.warm.String(), "--timeout", clientPatience.String(), "--prompt", strconv.Itoa(g.prompt),
		"--output", strconv.Itoa(g.output), "--spread", "0", "--tokens-per-word", strconv.FormatFloat(g.perWord, 'f', 3, 64),
		"--objective", fmt.Sprintf("ttft=%s,tpot=%s", objectiveTTFT, objectiveTPOT), "--objective", classBatch + ":none"}
	if g.shape != "" {
		out = append(out, "--shape", g.shape)
	}
	if g.tenants != "" {
		out = append(out, "--tenants", g.tenants)
	}
	if g.classes != "" {
		out = append(out, "--classes", g.classes)
	}
	if g.obey > 0 {
		out = append(out, "--obey", strconv.FormatFloat(g.obey, 'f', 3, 64))
	}
	for _, k := range g.keys {
		out = append(out, "--key", k)
	}
	for _, h := range g.headers {
		out = append(out, "--header", h)
	}
	if g.page != "" {
		out = append(out, "--html", g.page)
	}
	return out
}

// run floods, and reads the report that it leaves in a file.
func (g generated) run(ctx context.Context, b *bench, file string) (*report, error) {
	ctx, cancel := context.WithTimeout(ctx, g.lasts+clientPatience+time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.cached("weir"), g.args(file)...)
	if _, err := cmd.Output(); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return nil, fmt.Errorf("weir flood: %w", err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return readReport(text)
}

// report is what weir flood writes, as far as the tables need it. docs/flood.md tells what it means.
type report struct {
	Schema   string    `json:"schema"`
	Seconds  float64   `json:"seconds"`
	Total    account   `json:"total"`
	Classes  []account `json:"classes"`
	Refusals []reason  `json:"refusals"`
	Failures []reason  `json:"failures"`
	Obeying  *struct {
		Refused  int64   `json:"refused"`
		NotTold  int64   `json:"not_told"`
		Returned int64   `json:"returned"`
		Admitted int64   `json:"admitted_at_first"`
		Share    float64 `json:"share"`
	} `json:"obeying"`
	Generator struct {
		Cores float64 `json:"cores_used"`
		Lag   times   `json:"lag"`
	} `json:"generator"`
	Series struct {
		Tick    float64 `json:"tick_seconds"`
		All     []tick  `json:"all"`
		Classes []struct {
			Name string `json:"name"`
			Rows []tick `json:"rows"`
		} `json:"classes"`
	} `json:"series"`
}

type account struct {
	Name    string `json:"name"`
	Offered int64  `json:"offered"`
	Good    int64  `json:"good"`
	Late    int64  `json:"late"`
	Refused int64  `json:"refused"`
	Failed  int64  `json:"failed"`
	Refusal times  `json:"refusal"`
}

type times struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
}

type reason struct {
	Label string `json:"label"`
	Count int64  `json:"count"`
}

// tick is a second of a series. Counts are of what happened in it.
type tick struct {
	Offered float64 `json:"offered"`
	Good    float64 `json:"good"`
	Late    float64 `json:"late"`
	Refused float64 `json:"refused"`
	Failed  float64 `json:"failed"`
}

const reportSchema = "weir-flood/1"

func readReport(text []byte) (*report, error) {
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("weir flood's report: %w", err)
	}
	if r.Schema != reportSchema {
		return nil, fmt.Errorf("weir flood's report is of %q; this driver reads %q", r.Schema, reportSchema)
	}
	if r.Series.Tick != 1 {
		return nil, fmt.Errorf("weir flood's series has ticks of %v s; this driver counts seconds", r.Series.Tick)
	}
	return &r, nil
}
