package main

import (
	"fmt"
	"strings"

	"github.com/weir-ai/weir/bench/peer"
)

// markdown is the tables with what must be known beside them.
func (f *figures) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s. Rounds in turn: %d; floods of %d s, Weir at the highest factor %d s; medians.\n\n", f.Machine, f.Rounds, f.Seconds, f.Long)
	for _, e := range f.Engines {
		if e.Skipped == "" {
			f.engine(&b, e)
		}
	}
	if len(f.Ladder) > 0 {
		f.ladder(&b)
	}
	notes := append(f.notes(), f.Doubts...)
	if len(notes) > 0 {
		b.WriteString("\n")
	}
	for _, n := range notes {
		b.WriteString("- " + n + "\n")
	}
	return b.String()
}

func (f *figures) engine(b *strings.Builder, e engineRow) {
	fmt.Fprintf(b, "%s, %d slots, prompts of %d and answers of %d tokens. %s\n\n", strings.TrimSpace(e.Name+" "+e.Version), e.Slots, e.Prompt, e.Output, f.capacity(e))
	f.floods(b, e)
	for _, r := range e.Returns {
		if r.Fault == "" {
			fmt.Fprintf(b, "Returning clients, %s: %d of the obeying came back, %d (%s) were admitted then; %d were not told when.\n\n", r.Load, r.Returned, r.Admitted,
				percent(r.Share), r.NotTold)
		}
	}
}

func (f *figures) floods(b *strings.Builder, e engineRow) {
	var rows []frontRow
	for _, r := range e.Fronts {
		if r.Skipped == "" && len(r.Floods) > 0 {
			rows = append(rows, r)
		}
	}
	if rows == nil {
		return
	}
	line := []string{"in front"}
	for _, factor := range f.Factors {
		line = append(line, "goodput/s at "+factorKey(factor)+"x")
	}
	writeLine(b, append(line, "top class of its goodput alone", "refusals p50 / p99 ms", "recovery s"))
	b.WriteString(strings.Repeat("|---", len(f.Factors)+4) + "|\n")
	for _, r := range rows {
		line := []string{r.title()}
		for _, factor := range f.Factors {
			line = append(line, r.goodput(factor))
		}
		writeLine(b, append(line, r.each(f.Factors, outcome.topCell), r.each(f.Factors, outcome.refusalCell), r.each(f.Factors, outcome.recoveryCell)))
	}
	b.WriteString("\n")
}

// capacity tells the medians over the rounds.
func (f *figures) capacity(e engineRow) string {
	var best []float64
	under := map[string][]float64{}
	for _, c := range e.Capacity {
		if c.Fault != "" {
			continue
		}
		best = append(best, c.Best)
		for _, factor := range f.Factors {
			under[factorKey(factor)] = append(under[factorKey(factor)], c.of(factor))
		}
	}
	if best == nil {
		return "Its capacity could not be measured."
	}
	var beside []string
	for _, factor := range f.Factors {
		beside = append(beside, fmt.Sprintf("%s at %sx", decimal(peer.Median(under[factorKey(factor)])), factorKey(factor)))
	}
	return fmt.Sprintf("Capacity %s/s; beside the refused load %s.", decimal(peer.Median(best)), strings.Join(beside, ", "))
}

func writeLine(b *strings.Builder, cells []string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

func (r frontRow) title() string {
	name := r.Name
	switch r.Name {
	case frontNone:
		name = "nothing"
	case frontWeir:
		name = "Weir"
	}
	return strings.TrimSpace(name + " " + r.Version)
}

// fails is the cell of a flood that no round has figures of.
const fails = "fails"

func (r frontRow) goodput(factor float64) string {
	if len(r.Floods[factorKey(factor)]) == 0 {
		return "not flooded"
	}
	good, ok := r.column(factor, func(o outcome) float64 { return o.Goodput })
	if !ok {
		return fails
	}
	share, _ := r.column(factor, func(o outcome) float64 { return o.Share })
	return fmt.Sprintf("%s (%s)", decimal(good), percent(share))
}

// each is one figure at every factor.
func (r frontRow) each(factors []float64, cell func(outcome, frontRow, float64) string) string {
	var out []string
	for _, factor := range factors {
		if len(r.Floods[factorKey(factor)]) == 0 {
			continue
		}
		text := fails
		for _, o := range r.Floods[factorKey(factor)] {
			if o.Fault == "" {
				text = cell(o, r, factor)
			}
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// topCell is the top class's share of good answers over that of a run of its own; without one, the share itself.
func (outcome) topCell(r frontRow, factor float64) string {
	v, _ := r.column(factor, func(o outcome) float64 {
		if o.TopAlone > 0 {
			return o.Top / o.TopAlone
		}
		return o.Top
	})
	return percent(v)
}

func (outcome) refusalCell(r frontRow, factor float64) string {
	if n, _ := r.column(factor, func(o outcome) float64 { return float64(o.Refused) }); n == 0 {
		return "none"
	}
	p50, _ := r.column(factor, func(o outcome) float64 { return o.P50 })
	p99, _ := r.column(factor, func(o outcome) float64 { return o.P99 })
	return peer.Number(p50) + " / " + peer.Number(p99)
}

func (outcome) recoveryCell(r frontRow, factor float64) string {
	for _, o := range r.Floods[factorKey(factor)] {
		if o.Fault == "" && o.Recovery < 0 {
			return fmt.Sprintf("> %d", calmAfter)
		}
	}
	v, _ := r.column(factor, func(o outcome) float64 { return o.Recovery })
	return fmt.Sprintf("%.0f", v)
}

// ladder tells each round, for its parts belong together.
func (f *figures) ladder(b *strings.Builder) {
	fmt.Fprintf(b, "The ladder: weir-mini over weir-nano at %dx the capacity of weir-mini.\n\n", ladderFactor)
	writeLine(b, []string{"round", "capacity/s", "goodput/s refusing alone", "with the ladder", "ratio", "right of the suite's answers in time, without", "with"})
	b.WriteString(strings.Repeat("|---", 7) + "|\n")
	for i, l := range f.Ladder {
		line := []string{fmt.Sprint(i + 1), decimal(l.Capacity.Best), fails, fails, "", "", ""}
		if l.Fault == "" {
			line = []string{fmt.Sprint(i + 1), decimal(l.Capacity.of(ladderFactor)), decimal(l.Without.Flood.Goodput), decimal(l.With.Flood.Goodput), "", l.Without.scores(),
				l.With.scores()}
			if l.Without.Flood.Goodput > 0 {
				line[4] = peer.Factor(l.With.Flood.Goodput / l.Without.Flood.Goodput)
			}
		}
		writeLine(b, line)
	}
}

// scores tells what of the suite was answered in time, and how much of it was right, by model.
func (l ladderOf) scores() string {
	out := []string{fmt.Sprintf("%d of %d asked", l.InTime, l.Asked)}
	for _, name := range []string{"weir-mini", "weir-nano"} {
		if m := l.Answers[name]; m != nil {
			out = append(out, fmt.Sprintf("%s %d of %d (%s)", name, m.Right, m.Answered, percent(float64(m.Right)/float64(m.Answered))))
		}
	}
	return strings.Join(out, ", ")
}

// notes name who was skipped, what failed and what became of the rest.
func (f *figures) notes() []string {
	var out []string
	for _, e := range f.Engines {
		if e.Skipped != "" {
			out = append(out, fmt.Sprintf("%s was skipped: %s", e.Name, peer.OneLine(e.Skipped)))
		}
		for i, c := range e.Capacity {
			if c.Fault != "" {
				out = append(out, fmt.Sprintf("%s, capacity in round %d: %s", e.Name, i+1, peer.OneLine(c.Fault)))
			}
		}
		for _, r := range e.Fronts {
			out = append(out, f.notesOf(e, r)...)
		}
		for _, r := range e.Returns {
			if r.Fault != "" {
				out = append(out, fmt.Sprintf("%s, returning clients, %s: %s", e.Name, r.Load, peer.OneLine(r.Fault)))
			}
		}
	}
	for i, l := range f.Ladder {
		if l.Fault != "" {
			out = append(out, fmt.Sprintf("the ladder failed in round %d: %s", i+1, peer.OneLine(l.Fault)))
		}
	}
	return out
}

func (f *figures) notesOf(e engineRow, r frontRow) []string {
	var out []string
	if r.Skipped != "" {
		return []string{fmt.Sprintf("%s in front of %s was skipped: %s", r.Name, e.Name, peer.OneLine(r.Skipped))}
	}
	for _, fault := range r.Faults {
		out = append(out, fmt.Sprintf("%s, %s: %s", e.Name, r.Name, peer.OneLine(fault)))
	}
	for _, factor := range f.Factors {
		for i, o := range r.Floods[factorKey(factor)] {
			at := fmt.Sprintf("%s, %s, %sx, round %d", e.Name, r.Name, factorKey(factor), i+1)
			if o.Fault != "" {
				out = append(out, at+": "+peer.OneLine(o.Fault))
				continue
			}
			text := fmt.Sprintf("%s: %s late, %s refused, %s failed", at, peer.Thousands(float64(o.Late)), peer.Thousands(float64(o.Refused)), peer.Thousands(float64(o.Failed)))
			if o.Why != "" {
				text += ", most of them: " + o.Why
			}
			if o.Idle != nil {
				text += fmt.Sprintf("; in %d of %d looks the gate refused while it had room, and it was %s full", o.Idle.Idle, o.Idle.Looks, percent(o.Idle.Busy))
			}
			out = append(out, text)
		}
	}
	return out
}

func percent(share float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", 100*share), ".0") + " %"
}

// decimal shows rates with three digits that count: capacities of real engines on two cores are a few a second.
func decimal(v float64) string {
	switch {
	case v >= 100:
		return peer.Thousands(v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
