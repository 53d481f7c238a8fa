package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/weir-ai/weir/bench/peer"
)

// figures are the whole result.
type figures struct {
	Machine peer.Machine `json:"machine"`
	Rounds  int          `json:"rounds"`
	Seconds int          `json:"seconds"`
	Long    int          `json:"weir_seconds_at_the_highest_factor"`
	Factors []float64    `json:"factors"`
	Parts   []string     `json:"parts"`
	Engines []engineRow  `json:"engines"`
	Ladder  []laddered   `json:"ladder,omitempty"` // by round
	Doubts  []string     `json:"doubts,omitempty"` // what makes the figures less than they seem
}

// engineRow is an engine with all that stood in front of it.
type engineRow struct {
	Name     string     `json:"name"`
	Version  string     `json:"version,omitempty"`
	Slots    int        `json:"slots"`
	Prompt   int        `json:"prompt_tokens"`
	Output   int        `json:"output_tokens"`
	Skipped  string     `json:"skipped,omitempty"` // why it was not measured
	Capacity []capacity `json:"capacity"`          // by round
	Fronts   []frontRow `json:"fronts"`
	Returns  []returned `json:"returning_clients,omitempty"`
}

// frontRow is one server in front of an engine.
type frontRow struct {
	Name    string               `json:"name"`
	Version string               `json:"version,omitempty"`
	Skipped string               `json:"skipped,omitempty"`
	Faults  []string             `json:"faults,omitempty"`
	Floods  map[string][]outcome `json:"floods"` // by factor, then by round
}

// column is the median of one figure over the rounds that have it.
func (r frontRow) column(factor float64, pick func(outcome) float64) (float64, bool) {
	var v []float64
	for _, o := range r.Floods[factorKey(factor)] {
		if o.Fault == "" {
			v = append(v, pick(o))
		}
	}
	return peer.Median(v), len(v) > 0
}

// What makes figures doubtful.
const (
	// shareMax is where what was answered is beyond the noise of Poisson arrivals in a minute.
	shareMax = 1.05
	lagMax   = 10.0 // ms at p99: the generator's own lateness
	// sentMin is of the load that was to be refused while the capacity was measured: with less, that capacity is too high or too low.
	sentMin = 0.95
)

// conclude says where the load or the machine may have been what was measured.
func (f *figures) conclude() {
	for _, e := range f.Engines {
		for _, c := range e.Capacity {
			for _, d := range c.Doubt {
				f.Doubts = append(f.Doubts, e.Name+": "+peer.OneLine(d))
			}
			for key, share := range c.Sent {
				if share < sentMin {
					f.Doubts = append(f.Doubts, fmt.Sprintf("%s: only %s of the load beside the capacity of %sx was refused.", e.Name, percent(share), key))
				}
			}
		}
		for _, r := range e.Fronts {
			for _, factor := range f.Factors {
				if share, ok := r.column(factor, func(o outcome) float64 { return o.Share }); ok && share > shareMax {
					f.Doubts = append(f.Doubts, fmt.Sprintf("%s, %s, %sx: more than the capacity was answered, so the machine was less busy then than when the capacity was measured.",
						e.Name, r.Name, factorKey(factor)))
				}
				if lag, ok := r.column(factor, func(o outcome) float64 { return o.Lag }); ok && lag > lagMax {
					f.Doubts = append(f.Doubts, fmt.Sprintf("%s, %s, %sx: requests were sent %s ms after their time at p99, which is in every latency.",
						e.Name, r.Name, factorKey(factor), peer.Number(lag)))
				}
			}
		}
	}
}

// write keeps the figures for programs.
func (f *figures) write(file string) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
