package main

import (
	"strings"
	"testing"

	"github.com/weir-ai/weir/bench/peer"
)

func TestTable(t *testing.T) {
	t.Parallel()
	full := func(rate, p50, p99 float64) turn {
		return turn{Start: 0.1, Idle: memory{Now: 6.4}, Scenes: map[string]outcome{
			"closed64":  {Load: 64, PerSecond: rate, CPUPerRequest: 80, Answers: 10},
			"open2000":  {Load: 2000, P50: p50, P99: p99, Answers: 10},
			"stream500": {Load: 500, P50: p50, P99: p99, Chunks: 25_012.4, Answers: 10, Memory: memory{Now: 55, Peak: 60}},
			"big256":    {Load: 256, PerSecond: rate / 10, Answers: bigAnswersMin, Memory: memory{Now: 64, Peak: 99.6}},
		}}
	}
	slow := full(111, 138, 296)
	slow.Scenes["open2000"] = outcome{Load: 100, P50: 138, P99: 296, Answers: 95, Failed: 5}
	delete(slow.Scenes, "stream500")
	f := figures{Machine: peer.Machine{CPU: "A CPU", Cores: 2}, Rounds: 1, Seconds: 6, Scenarios: scenarioNames(), Servers: []row{
		{Name: none, Turns: []turn{full(35_500, 0.17, 3)}},
		{Name: yardstick, Turns: []turn{full(12_500, 0.5, 10)}},
		{Name: "weir", Version: "1.2.3", Turns: []turn{full(10_000, 0.6, 11)}},
		{Name: "litellm", Turns: []turn{slow}},
		{Name: "olla", Turns: []turn{{Fault: "it\nended"}, {Scenes: map[string]outcome{"big256": {Failed: 3, FailedBy: "3 cut"}}}}},
		{Name: "nginx", Skipped: "nginx is not installed"},
	}}
	f.conclude()
	got := f.markdown()
	for _, want := range []string{
		"A CPU, 2 cores",
		"| no gateway | 35,500 (2.84) |  | 0.17 / 3.0 (0.34, 0.30) | 0.17 / 3.0 (0.34, 0.30) | 25,012 | 3,550 (2.84) |  |\n",
		"| weir 1.2.3 | 10,000 (0.80) | 80 (1.00) | 0.60 / 11 (1.20, 1.10) | 0.60 / 11 (1.20, 1.10) | 25,012 | 1,000 (0.80) | 6 / 55 / 64 (60, 100) |\n",
		"| litellm | 111 (0.01) | 80 (1.00) | 138 / 296, at 100/s, 5.0 % failed | fails | fails | 11 (0.01) | 6 / – / 64 (–, 100) |\n",
		"| olla | fails |  | fails | fails | fails | fails |  |\n",
		"- nginx was skipped: nginx is not installed\n",
		"- olla failed in round 1: it ended\n",
		"- olla finished no request that began within the 6 s of big256 in round 2 (failed: 3 cut)\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the table lacks %q:\n%s", want, got)
		}
	}
	f.Scenarios = []string{"open2000"}
	if got := f.markdown(); strings.Contains(got, "closed64") || !strings.Contains(got, "| open2000 p50 / p99 ms |") {
		t.Errorf("the table of one scenario:\n%s", got)
	}
}

func TestCells(t *testing.T) {
	t.Parallel()
	check := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	check(ratio(0, 0), "")
	check(ratio(1.256, 0.5), " (1.26, 0.50)")
	check(ratio(1987.67), " (1,988)")
	check(summary{Failed: 0.001}.failure(), "")
	check(summary{Failed: 0.0011}.failure(), ", 0.1 % failed")
}
