package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// rows repeats a second.
func rows(n int, t tick) []tick {
	out := make([]tick, n)
	for i := range out {
		out[i] = t
	}
	return out
}

func TestReadFlood(t *testing.T) {
	t.Parallel()
	const seconds = 20
	// The first seconds of the flood still answer what came before; the calm after it is all good.
	all := append(rows(settling, tick{Offered: 200, Good: 9000}), rows(seconds-settling, tick{Offered: 200, Good: 76, Late: 1, Refused: 100})...)
	all = append(all, rows(calmAfter, tick{Offered: 40, Good: 40})...)
	top := append(rows(settling, tick{Offered: 40}), rows(seconds-settling, tick{Offered: 40, Good: 38})...)
	var r report
	r.Series.All = all
	r.Series.Classes = append(r.Series.Classes, struct {
		Name string `json:"name"`
		Rows []tick `json:"rows"`
	}{classTop, append(top, rows(calmAfter, tick{Offered: 20, Good: 20})...)})
	r.Total = account{Refused: 1500, Late: 15, Failed: 2, Refusal: times{P50: 1, P99: 30}}
	r.Refusals = []reason{{"503 predicted_miss", 1400}, {"503 gate_full", 100}}
	r.Failures = []reason{{"timeout", 2}}
	o := readFlood(&r, 2.5, seconds, 80)
	if o.Offered != 200 || o.Goodput != 76 || o.Share != 0.95 || o.Top != 0.95 || o.Recovery != 0 || o.Why != "503 predicted_miss" || o.P99 != 30 || o.Late != 15 {
		t.Errorf("%+v", o)
	}
}

func TestRecovery(t *testing.T) {
	t.Parallel()
	good, bad := tick{Good: 5}, tick{Good: 5, Late: 1}
	check := func(want float64, after ...tick) {
		t.Helper()
		if got := recovery(append(rows(3, bad), after...), 3, 3+len(after)); got != want {
			t.Errorf("recovered after %v s, want %v", got, want)
		}
	}
	check(0, rows(calmClean, good)...)
	check(-1, rows(calmClean-1, good)...)
	check(2, append(rows(2, bad), rows(calmClean, good)...)...)
	check(3, append([]tick{good, good, {Refused: 1}}, rows(calmClean, good)...)...)
	check(5, append([]tick{good, good, good, good, {Failed: 1}}, rows(calmClean, good)...)...)
	check(-1, rows(40, bad)...)
	check(-1)
	if got := recovery(rows(9, good), 3, 3+calmClean-1); got != -1 {
		t.Errorf("what came after the schedule was counted: %v", got)
	}
}

func TestReadReport(t *testing.T) {
	t.Parallel()
	text := `{"schema":"weir-flood/1","seconds":9,"total":{"offered":4,"refusal":{"p99_ms":7}},"obeying":{"returned":3,"admitted_at_first":2},
		"generator":{"lag":{"p99_ms":1.5}},"series":{"tick_seconds":1,"all":[{"good":2}],"classes":[{"name":"batch","rows":[{"late":1}]}]}}`
	r, err := readReport([]byte(text))
	if err != nil || r.Total.Offered != 4 || r.Total.Refusal.P99 != 7 || r.Obeying.Admitted != 2 || r.Generator.Lag.P99 != 1.5 || r.Series.Classes[0].Rows[0].Late != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, wrong := range []string{"", strings.Replace(text, "flood/1", "flood/2", 1), strings.Replace(text, `"tick_seconds":1`, `"tick_seconds":2`, 1)} {
		if _, err := readReport([]byte(wrong)); err == nil {
			t.Errorf("%.40q was read", wrong)
		}
	}
}

func TestCapacityOfAFlood(t *testing.T) {
	t.Parallel()
	c := capacity{Best: 80, Refused: map[string]float64{"2.5": 77}}
	if c.of(2.5) != 77 || c.of(4) != 80 {
		t.Errorf("capacities %v and %v", c.of(2.5), c.of(4))
	}
}

func TestTables(t *testing.T) {
	t.Parallel()
	weir := frontRow{Name: frontWeir, Floods: map[string][]outcome{
		"2": {
			{Goodput: 80, Share: 0.977, Top: 0.99, TopAlone: 1, Refused: 5, P50: 1.2, P99: 12, Recovery: 1},
			{Goodput: 82, Share: 1, Top: 0.97, TopAlone: 1, Refused: 5, P50: 1.4, P99: 14, Recovery: 2, Late: 3, Why: "503 gate_full", Idle: &idle{Looks: 40, Idle: 1, Busy: 0.99}},
			{Fault: "it\nended"}},
		"10": {{Goodput: 86.5, Share: 1.06, Top: 0.5, TopAlone: 0.5, Refused: 5, P50: 0.4, P99: 60, Recovery: -1, Lag: 11}},
	}}
	f := figures{Rounds: 2, Seconds: 60, Long: 300, Factors: []float64{2, 10}, Engines: []engineRow{
		{Name: engineMock, Slots: 32, Prompt: 60, Output: 30,
			Capacity: []capacity{{Best: 81.8, Refused: map[string]float64{"2": 81}, Sent: map[string]float64{"2": 0.5}}, {Best: 82, Refused: map[string]float64{"2": 81.6}}, {Fault: "gone"}},
			Fronts: []frontRow{weir, {Name: "nginx", Version: "1.22", Floods: map[string][]outcome{"2": {{Failed: 9, Why: "timeout"}}, "10": {{Fault: "it ended"}}}},
				{Name: "llama-swap", Floods: map[string][]outcome{"2": {{Goodput: 41, Share: 0.5, Top: 0.5}}}}, {Name: "litellm", Skipped: "not installed"}},
			Returns: []returned{{Load: "2x all along", Returned: 100, Admitted: 93, Share: 0.93, NotTold: 1}}},
		{Name: engineLlama, Skipped: "not installed"},
	}, Ladder: []laddered{{Capacity: capacity{Best: 31}, Without: ladderOf{Flood: outcome{Goodput: 30}, Asked: 9, InTime: 2, Answers: map[string]*mix{"weir-mini": {2, 1}}},
		With: ladderOf{Flood: outcome{Goodput: 60}, Asked: 9, Answers: map[string]*mix{}}}, {Fault: "no capacity"}}}
	f.conclude()
	got := f.markdown()
	for _, want := range []string{
		"mock, 32 slots, prompts of 60 and answers of 30 tokens. Capacity 81.9/s; beside the refused load 81.3 at 2x, 81.9 at 10x.\n",
		"| Weir | 81.0 (98.8 %) | 86.5 (106 %) | 98 %, 100 % | 1.3 / 13, 0.40 / 60 | 2, > 30 |\n",
		"| nginx 1.22 | 0.00 (0 %) | fails | 0 %, fails | none, fails | 0, fails |\n",
		"| llama-swap | 41.0 (50 %) | not flooded | 50 % | none | 0 |\n",
		"Returning clients, 2x all along: 100 of the obeying came back, 93 (93 %) were admitted then; 1 were not told when.",
		"| 1 | 31.0 | 30.0 | 60.0 | 2.00 | 2 of 9 asked, weir-mini 1 of 2 (50 %) | 0 of 9 asked |\n",
		"- mock, weir, 2x, round 2: 3 late, 5 refused, 0 failed, most of them: 503 gate_full; in 1 of 40 looks the gate refused while it had room, and it was 99 % full\n",
		"- mock, weir, 2x, round 3: it ended\n", "- llama.cpp was skipped: not installed\n", "- litellm in front of mock was skipped: not installed\n",
		"- mock, capacity in round 3: gone\n", "- the ladder failed in round 2: no capacity\n", "- mock: only 50 % of the load beside the capacity of 2x was refused.\n",
		"- mock, weir, 10x: more than the capacity was answered", "- mock, weir, 10x: requests were sent 11 ms after their time",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "weir, 2x: more than") {
		t.Error("a share of 98.8 % raised a doubt")
	}
	if _, err := json.Marshal(f); err != nil {
		t.Error(err)
	}
}
