package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/weir-ai/weir/bench/peer"
)

// column is one of the table; its cell is of a server that was measured.
type column struct {
	title string
	scene string // the scenario it is of; empty: always there
	cell  func(row) string
}

func columns() []column {
	return []column{
		{"closed64 req/s", "closed64", func(r row) string { return rateCell(r, "closed64") }},
		{"CPU µs/req", "closed64", cpuCell},
		{"open2000 p50 / p99 ms", "open2000", func(r row) string { return latencyCell(r, "open2000", "at %d/s") }},
		{"stream500 p50 / p99 ms", "stream500", func(r row) string { return latencyCell(r, "stream500", "%d streams") }},
		{"chunks/s", "stream500", chunksCell},
		{"big256 req/s", "big256", func(r row) string { return rateCell(r, "big256") }},
		{"memory idle / after streams / after bodies MB (peaks)", "", memoryCell},
	}
}

// markdown is the table with what must be known beside it.
func (f figures) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s. Rounds in turn: %d, %d s a scenario; medians, and in parentheses the ratio to the bare Go proxy in the same round.\n\n",
		f.Machine, f.Rounds, f.Seconds)
	var cells []column
	for _, c := range columns() {
		if c.scene == "" || slices.Contains(f.Scenarios, c.scene) {
			cells = append(cells, c)
		}
	}
	line := []string{""}
	for _, c := range cells {
		line = append(line, c.title)
	}
	writeLine(&b, line)
	b.WriteString(strings.Repeat("|---", len(line)) + "|\n")
	for _, r := range f.Servers {
		if r.Skipped != "" {
			continue
		}
		line = []string{r.title()}
		for _, c := range cells {
			line = append(line, c.cell(r))
		}
		writeLine(&b, line)
	}
	b.WriteString("\n")
	for _, note := range append(f.notes(), f.Doubts...) {
		b.WriteString("- " + note + "\n")
	}
	return b.String()
}

func writeLine(b *strings.Builder, cells []string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// notes name who was skipped and what failed.
func (f figures) notes() []string {
	var out []string
	for _, r := range f.Servers {
		if r.Skipped != "" {
			out = append(out, fmt.Sprintf("%s was skipped: %s", r.Name, peer.OneLine(r.Skipped)))
		}
		for i, t := range r.Turns {
			if t.Fault != "" {
				out = append(out, fmt.Sprintf("%s failed in round %d: %s", r.Name, i+1, peer.OneLine(t.Fault)))
			}
			for _, name := range f.Scenarios {
				o, ok := t.Scenes[name]
				switch {
				case o.Fault != "":
					out = append(out, fmt.Sprintf("%s failed in round %d, %s: %s", r.Name, i+1, name, peer.OneLine(o.Fault)))
				case ok && o.Answers == 0:
					out = append(out, fmt.Sprintf("%s finished no request that began within the %d s of %s in round %d (failed: %s)",
						r.Name, f.Seconds, name, i+1, cmp.Or(o.FailedBy, "none")))
				}
			}
		}
	}
	return out
}

func (r row) title() string {
	name := r.Name
	switch r.Name {
	case none:
		name = "no gateway"
	case yardstick:
		name = "bare Go proxy"
	}
	return strings.TrimSpace(name + " " + r.Version)
}

// failure is what a cell says of requests that were not answered well: nothing up to one in a thousand.
func (s summary) failure() string {
	const showFrom = 0.001
	if s.Failed <= showFrom {
		return ""
	}
	return fmt.Sprintf(", %.1f %% failed", 100*s.Failed)
}

// fails is the cell of a scenario that no round has figures of.
const fails = "fails"

func rateCell(r row, scene string) string {
	s, ok := r.Scenes[scene]
	if !ok {
		return fails
	}
	return peer.Thousands(s.PerSecond) + ratio(s.RatioPerSecond) + s.failure()
}

func cpuCell(r row) string {
	s, ok := r.Scenes["closed64"]
	if !ok || r.Name == none {
		return ""
	}
	return peer.Thousands(s.CPUPerRequest) + ratio(s.RatioCPU)
}

// latencyCell names the load where it is not the scenario's own.
func latencyCell(r row, scene, load string) string {
	s, ok := r.Scenes[scene]
	if !ok {
		return fails
	}
	text := peer.Number(s.P50) + " / " + peer.Number(s.P99) + ratio(s.RatioP50, s.RatioP99)
	for _, sc := range scenarios() {
		if sc.name == scene && sc.load != s.Load {
			text += ", " + fmt.Sprintf(load, s.Load)
		}
	}
	return text + s.failure()
}

func chunksCell(r row) string {
	if s, ok := r.Scenes["stream500"]; ok {
		return peer.Thousands(s.Chunks)
	}
	return fails
}

func memoryCell(r row) string {
	if r.Name == none || len(r.Scenes) == 0 {
		return ""
	}
	text := fmt.Sprintf("%.0f", r.Idle)
	var peaks []string
	for _, name := range []string{"stream500", "big256"} {
		s, ok := r.Scenes[name]
		if !ok {
			text, peaks = text+" / –", append(peaks, "–")
			continue
		}
		text, peaks = text+fmt.Sprintf(" / %.0f", s.Memory.Now), append(peaks, fmt.Sprintf("%.0f", s.Memory.Peak))
	}
	return text + " (" + strings.Join(peaks, ", ") + ")"
}

// ratio is nothing where there is none.
func ratio(v ...float64) string {
	var out []string
	for _, x := range v {
		if x > 0 {
			out = append(out, peer.Factor(x))
		}
	}
	if out == nil {
		return ""
	}
	return " (" + strings.Join(out, ", ") + ")"
}
