package admit

import (
	"testing"
	"time"
)

func TestLadder(t *testing.T) {
	t.Parallel()
	const objective = 2 * time.Second
	rungs := func(ttft ...float64) []Rung {
		var out []Rung
		for i, s := range ttft {
			out = append(out, Rung{TTFT: time.Duration(s * float64(time.Second)), OK: s < 100, Quality: 1 - float64(i)*0.2})
		}
		return out
	}
	l := Ladder{Dwell: 5 * time.Second}
	now := start
	for i, c := range []struct {
		why   string
		after float64 // seconds since the one before
		rungs []Rung
		floor float64
		want  int
	}{
		{"at the objective the best is good", 0, rungs(2, 0.1, 0.1), 0, 0},
		{"beyond it the next that meets it serves", 0, rungs(2.1, 2.1, 0.1), 0, 2},
		{"an upper one that looks well is not taken at once", 0, rungs(0.5, 0.5, 0.1), 0, 2},
		{"nor before the dwell", 4.999, rungs(0.5, 0.5, 0.1), 0, 2},
		{"but after it, by one", 0.001, rungs(0.5, 0.5, 0.1), 0, 1},
		{"and the dwell begins again", 4.9, rungs(0.5, 0.5, 0.1), 0, 1},
		{"one look that is bad", 0.05, rungs(1.1, 0.5, 0.1), 0, 1},
		{"begins it anew", 4.9, rungs(1, 0.5, 0.1), 0, 1},
		{"and then it climbs, at half of the objective", 5, rungs(1, 0.5, 0.1), 0, 0},
		{"where all miss it stays", 0, rungs(3, 4, 5), 0, 0},
		{"the floor bounds it", 0, rungs(3, 4, 0.1), 0.7, 0},
		{"down to the floor", 0, rungs(3, 0.1, 0.1), 0.8, 1},
		{"what has room above is better than a refusal", 0, rungs(1.5, 3, 3), 0, 0},
		{"and changes nothing", 0, rungs(1.5, 0.1, 0.1), 0, 1},
		{"one that would be refused does not meet it", 0, rungs(1.5, 200, 0.1), 0, 2},
		{"a request with a higher floor goes higher", 0, rungs(0.1, 0.1, 0.1), 0.8, 1},
		{"a shorter ladder", 0, rungs(3), 0, 0},
		{"no ladder", 0, nil, 0, 0},
	} {
		now = now.Add(time.Duration(c.after * float64(time.Second)))
		if got := l.Choose(now, c.rungs, objective, c.floor); got != c.want {
			t.Fatalf("%d: %s: rung %d, not %d", i, c.why, got, c.want)
		}
	}
}

func TestLadderOfNoObjectiveGoesByRoom(t *testing.T) {
	t.Parallel()
	var l Ladder
	if got := l.Choose(start, []Rung{{TTFT: time.Hour, OK: true}, {OK: true}}, 0, 0); got != 0 {
		t.Errorf("rung %d", got)
	}
	if got := l.Choose(start, []Rung{{TTFT: time.Hour}, {OK: true}}, 0, 0); got != 1 || l.Rung() != 1 {
		t.Errorf("rung %d", got)
	}
}
