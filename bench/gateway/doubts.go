package main

import (
	"fmt"

	"github.com/weir-ai/weir/bench/peer"
)

// What makes a figure doubtful.
const (
	// nearShare is of the rate without a gateway: above it, the load and the mock take more of the machine than the gateway.
	nearShare    = 0.9
	fullShare    = 0.99                                 // of the chunks that the streams make
	stolenMax    = 0.05                                 // cores that the hypervisor took; less is found on every rented machine
	otherMax     = 0.1                                  // cores of other work; the kernel's own is below it
	chunksNormal = 500.0 / streamSeconds * streamChunks // a second, of 500 streams
)

// doubts say where the load's own programs or the machine may have been what was measured.
func doubts(rows []row) []string {
	direct := map[string]summary{}
	for _, r := range rows {
		if r.Name == none {
			direct = r.Scenes
		}
	}
	var out []string
	if len(direct) == 0 {
		out = append(out, "The load without a gateway was not measured, so nothing shows that the load generator was not the limit.")
	}
	if s, ok := direct["stream500"]; ok && s.Chunks < fullShare*chunksNormal {
		out = append(out, fmt.Sprintf("Without a gateway only %s of %s chunks/s arrived: the machine is too slow or too busy for 500 streams.",
			peer.Thousands(s.Chunks), peer.Thousands(chunksNormal)))
	}
	for _, r := range rows {
		out = append(out, r.doubts(direct["closed64"].PerSecond)...)
	}
	return out
}

// doubts are those of one server; most is the rate of closed64 without a gateway, 0 where it is not known.
func (r row) doubts(most float64) []string {
	var out []string
	if r.Name != none && most > 0 && r.Scenes["closed64"].PerSecond > nearShare*most {
		out = append(out, fmt.Sprintf("%s is within 10 %% of no gateway in closed64: there the load generator is the limit.", r.Name))
	}
	for _, name := range scenarioNames() {
		if v := r.worst(name, func(o outcome) float64 { return o.StolenCores }); v > stolenMax {
			out = append(out, fmt.Sprintf("The hypervisor took %.2f cores during %s of %s.", v, name, r.Name))
		}
		if v := r.worst(name, func(o outcome) float64 { return o.OtherCores }); v > otherMax {
			out = append(out, fmt.Sprintf("Other work took %.2f cores during %s of %s.", v, name, r.Name))
		}
	}
	if s, ok := r.Scenes["big256"]; ok && s.Answers < bigAnswersMin {
		out = append(out, fmt.Sprintf("%s answered %d large bodies in a round, not %d: its memory may not have peaked.",
			r.Name, s.Answers, bigAnswersMin))
	}
	return out
}

// worst is the most of a figure in a round.
func (r row) worst(name string, pick func(outcome) float64) float64 {
	var most float64
	for _, t := range r.Turns {
		most = max(most, pick(t.Scenes[name]))
	}
	return most
}
