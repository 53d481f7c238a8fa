package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// closed is a round with closed64 alone.
func closed(o outcome) turn {
	o.Load, o.Answers = 64, 100
	return turn{Start: 1, Idle: memory{Now: 10}, Scenes: map[string]outcome{"closed64": o}}
}

func TestRatiosAreOfTheSameRound(t *testing.T) {
	t.Parallel()
	// The machine doubled its speed from round to round; the ratio of the medians' rounds says 0.5 in each.
	yard := []turn{closed(outcome{PerSecond: 100}), closed(outcome{PerSecond: 200}), closed(outcome{PerSecond: 400})}
	mine := []turn{closed(outcome{PerSecond: 50}), closed(outcome{PerSecond: 100}), closed(outcome{PerSecond: 200})}
	s := summarise(mine, yard, "closed64")
	if s.PerSecond != 100 || s.RatioPerSecond != 0.5 || s.Rounds != 3 {
		t.Errorf("%+v, want 100 req/s and 0.5 of three rounds", s)
	}
	// A round of the yardstick that failed, and one under another load, give no ratio.
	yard[1].Scenes["closed64"] = outcome{PerSecond: 1, Load: 64, Answers: 1, Fault: "it ended"}
	yard[2].Scenes["closed64"] = outcome{PerSecond: 1, Load: 32, Answers: 1}
	if s = summarise(mine, yard, "closed64"); s.RatioPerSecond != 0.5 {
		t.Errorf("ratio %v, want 0.5 of the one round that compares", s.RatioPerSecond)
	}
	if s = summarise(mine, nil, "closed64"); s.RatioPerSecond != 0 || s.PerSecond != 100 {
		t.Errorf("%+v, want figures without a ratio where there is no yardstick", s)
	}
}

func TestFailedRoundsGiveNoFigures(t *testing.T) {
	t.Parallel()
	turns := []turn{
		{Fault: "not ready"},
		{Scenes: map[string]outcome{"closed64": {PerSecond: 9999, Answers: 10, Fault: "it ended"}}},
		{Scenes: map[string]outcome{"closed64": {Failed: 100}}},
		closed(outcome{PerSecond: 50, P50: 2, Failed: 90}),
	}
	s := summarise(turns, nil, "closed64")
	if s.Rounds != 1 || s.PerSecond != 50 || s.P50 != 2 {
		t.Errorf("%+v, want the figures of the last round alone", s)
	}
	if want := 190.0 / 300; math.Abs(s.Failed-want) > 1e-9 {
		t.Errorf("failed share %v, want %v of all rounds", s.Failed, want)
	}
}

func TestDoubts(t *testing.T) {
	t.Parallel()
	check := func(rows []row, want ...string) {
		t.Helper()
		got := doubts(rows)
		if len(got) != len(want) {
			t.Fatalf("doubts %q, want %d", got, len(want))
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("doubt %q does not tell %q", got[i], want[i])
			}
		}
	}
	direct := row{Name: none, Scenes: map[string]summary{"closed64": {PerSecond: 1000}, "stream500": {Chunks: 24_750}}}
	check(nil, "not measured")
	check([]row{direct})
	check([]row{direct, {Name: "nginx", Scenes: map[string]summary{"closed64": {PerSecond: 900}, "big256": {Answers: bigAnswersMin}}}})
	check([]row{direct, {Name: "nginx", Scenes: map[string]summary{"closed64": {PerSecond: 901}}}}, "nginx is within")
	check([]row{direct, {Name: "litellm", Scenes: map[string]summary{"big256": {Answers: bigAnswersMin - 1}}}}, "1499 large bodies")
	check([]row{{Name: none, Scenes: map[string]summary{"stream500": {Chunks: 24_749}}}}, "only 24,749 of 25,000")
	check([]row{direct, {Name: "weir", Turns: []turn{closed(outcome{StolenCores: 0.05, OtherCores: 0.1})}}})
	check([]row{direct, {Name: "weir", Turns: []turn{closed(outcome{StolenCores: 0.051, OtherCores: 0.11})}}}, "hypervisor", "Other work")
}

func TestFiguresAreKept(t *testing.T) {
	t.Parallel()
	f := figures{Rounds: 1, Scenarios: []string{"closed64"}, Servers: []row{{Name: yardstick, Turns: []turn{closed(outcome{PerSecond: 7})}}}}
	f.conclude()
	file := filepath.Join(t.TempDir(), "new", "gateway.json")
	if err := f.write(file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var back figures
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if s := back.Servers[0].Scenes["closed64"]; s.PerSecond != 7 || s.RatioPerSecond != 1 || back.Servers[0].Idle != 10 {
		t.Errorf("read back %+v", back.Servers[0])
	}
}
