package mini

import "fmt"

// Aim is what a model has to reach before it is good enough to be asked: a rate of exact answers on a task, or on all of them.
type Aim struct {
	Task string // a task's name, or overall
	Rate float64
}

// overallTask is the name under which all tasks together are scored.
const overallTask = "overall"

// miniAims: what follows from a rule must be nearly always right, what needs many steps or much memory may fail a little more
// often, and of what the model cannot know it has to say so.
func miniAims() []Aim {
	return []Aim{
		{"addition", 0.97}, {"subtraction", 0.97}, {"words", 0.97}, {"digits", 0.97}, {"counting", 0.97}, {"reversing", 0.97}, {"fields", 0.97},
		{"sorting5", 0.93}, {"tables", 0.93}, {"units", 0.93}, {"glossary", 0.95}, {"outside", 0.90}, {overallTask, 0.95},
	}
}

// nanoAims: the lower rung may be wrong more often, but a caller who steps down to it should not notice by every tenth answer.
func nanoAims() []Aim { return []Aim{{overallTask, 0.90}} }

// Missed tells which aims of the preset a report misses, in words; nothing when all are reached. An aim whose task the report
// does not hold is missed.
func (p Preset) Missed(r Report) []string {
	rates := map[string]float64{overallTask: r.Overall.Rate}
	for _, s := range r.Tasks {
		rates[s.Task] = s.Rate
	}
	var missed []string
	for _, a := range p.aims {
		if rate, ok := rates[a.Task]; !ok || rate < a.Rate {
			missed = append(missed, fmt.Sprintf("%s %.1f %% of %.0f %%", a.Task, 100*rate, 100*a.Rate))
		}
	}
	return missed
}
