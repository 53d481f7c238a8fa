package app

import (
	"time"

	"github.com/weir-ai/weir/admit"
	"github.com/weir-ai/weir/config"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/registry"
)

// objectives has what the configuration says for each class.
func objectives(o config.Objective) (out registry.Objectives) {
	for _, c := range llm.Classes() {
		own := o.Of(c)
		out[c.Rank()] = registry.Objective{TTFT: time.Duration(own.TTFT), TPOT: time.Duration(own.TPOT)}
	}
	return out
}

// dwellDefault is how long a ladder stays on a rung before it tries a better one. A flood that comes in waves of a second must not have
// answers change with each; one that has ended should be forgotten before anybody asks why.
const dwellDefault = 5 * time.Second

// ladder is what a model's answers may be made less by.
func ladder(l config.Ladder) registry.Ladder {
	out := registry.Ladder{Always: l.Allow == "always", Floor: l.Floor, Dwell: time.Duration(l.Dwell), Tokens: l.Tokens, Effort: l.Effort}
	if out.Dwell == 0 {
		out.Dwell = dwellDefault
	}
	for _, v := range l.Variants {
		out.Rungs = append(out.Rungs, registry.Rung{Model: llm.ModelID(v.Model), Quality: v.Quality})
	}
	return out
}

// patience is how long a command waits for its own requests: longer than any evaluation takes.
const patience = 24 * time.Hour

// admission is what every gate has in common.
func admission(cfg config.Config, patient bool) admit.Config {
	c := cfg.Gate.Admission()
	if !patient {
		return c
	}
	for i := range c.Classes {
		c.Classes[i].TTFT, c.Classes[i].TPOT, c.Classes[i].Wait = -1, -1, patience
	}
	return c
}
