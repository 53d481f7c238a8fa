package main

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/weir-ai/weir/bench/peer"
)

// yardstick is the server whose figures are 1 in the ratios, and none is the load without a gateway.
const (
	yardstick = "bareproxy"
	none      = "direct"
)

// figures are the whole result.
type figures struct {
	Machine   peer.Machine `json:"machine"`
	Rounds    int          `json:"rounds"`
	Seconds   int          `json:"seconds"`
	Scenarios []string     `json:"scenarios"`
	Servers   []row        `json:"servers"`
	Doubts    []string     `json:"doubts,omitempty"` // what makes the figures less than they seem
}

// row is one server.
type row struct {
	Name    string             `json:"name"`
	Version string             `json:"version,omitempty"`
	Skipped string             `json:"skipped,omitempty"` // why it was not measured
	Turns   []turn             `json:"rounds,omitempty"`
	Start   float64            `json:"start_seconds"` // this and what follows: medians over the rounds
	Idle    float64            `json:"idle_mb"`
	Scenes  map[string]summary `json:"median,omitempty"`
}

// summary is a scenario over all rounds.
type summary struct {
	Load          int     `json:"load"`
	Rounds        int     `json:"rounds"` // that have figures
	PerSecond     float64 `json:"requests_per_second"`
	P50           float64 `json:"p50_ms"`
	P99           float64 `json:"p99_ms"`
	Chunks        float64 `json:"chunks_per_second,omitempty"`
	CPUPerRequest float64 `json:"server_cpu_us_per_request"`
	Memory        memory  `json:"memory_mb"`
	Failed        float64 `json:"failed_share"` // of all requests of all rounds
	Answers       int64   `json:"answers"`      // of the round with the fewest
	// Ratios to the yardstick, each the median of the rounds' own; 0: none, for it was not measured or under another load.
	RatioPerSecond float64 `json:"ratio_requests_per_second,omitempty"`
	RatioP50       float64 `json:"ratio_p50,omitempty"`
	RatioP99       float64 `json:"ratio_p99,omitempty"`
	RatioCPU       float64 `json:"ratio_cpu,omitempty"`
}

// conclude makes medians, ratios and doubts from the turns.
func (f *figures) conclude() {
	var yard []turn
	for _, r := range f.Servers {
		if r.Name == yardstick {
			yard = r.Turns
		}
	}
	for i := range f.Servers {
		f.Servers[i].conclude(yard, f.Scenarios)
	}
	f.Doubts = doubts(f.Servers)
}

func (r *row) conclude(yard []turn, names []string) {
	var starts, idle []float64
	for _, t := range r.Turns {
		if t.Fault == "" {
			starts, idle = append(starts, t.Start), append(idle, t.Idle.Now)
		}
	}
	r.Start, r.Idle, r.Scenes = peer.Median(starts), peer.Median(idle), map[string]summary{}
	for _, name := range names {
		if s := summarise(r.Turns, yard, name); s.Rounds > 0 {
			r.Scenes[name] = s
		}
	}
}

// summarise takes the rounds in which the scenario was answered at all.
func summarise(turns, yard []turn, name string) summary {
	var s summary
	var failed, all int64
	columns := []struct {
		pick   func(outcome) float64
		median *float64
		ratio  *float64 // nil: none
	}{
		{func(o outcome) float64 { return o.PerSecond }, &s.PerSecond, &s.RatioPerSecond},
		{func(o outcome) float64 { return o.P50 }, &s.P50, &s.RatioP50},
		{func(o outcome) float64 { return o.P99 }, &s.P99, &s.RatioP99},
		{func(o outcome) float64 { return o.CPUPerRequest }, &s.CPUPerRequest, &s.RatioCPU},
		{func(o outcome) float64 { return o.Chunks }, &s.Chunks, nil},
		{func(o outcome) float64 { return o.Memory.Now }, &s.Memory.Now, nil},
		{func(o outcome) float64 { return o.Memory.Peak }, &s.Memory.Peak, nil},
	}
	values, ratios := make([][]float64, len(columns)), make([][]float64, len(columns))
	for round, t := range turns {
		o, ok := t.Scenes[name]
		failed, all = failed+o.Failed, all+o.Failed+o.Answers
		if !ok || o.Fault != "" || o.Answers == 0 {
			continue
		}
		if s.Rounds == 0 || o.Answers < s.Answers {
			s.Answers = o.Answers
		}
		s.Rounds, s.Load = s.Rounds+1, o.Load
		for i, c := range columns {
			values[i] = append(values[i], c.pick(o))
			if c.ratio != nil && round < len(yard) {
				if y := yard[round].Scenes[name]; y.Fault == "" && y.Load == o.Load && c.pick(y) > 0 {
					ratios[i] = append(ratios[i], c.pick(o)/c.pick(y))
				}
			}
		}
	}
	for i, c := range columns {
		*c.median = peer.Median(values[i])
		if c.ratio != nil {
			*c.ratio = peer.Median(ratios[i])
		}
	}
	if all > 0 {
		s.Failed = float64(failed) / float64(all)
	}
	return s
}

// write keeps the figures for programs.
func (f figures) write(file string) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
