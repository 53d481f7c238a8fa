package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weir-ai/weir/llm"
)

// Report sums up a run as a table: by class, how many came, what became of them, and how long the good ones waited.
func (p *Path) Report() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d calls in %s\n", len(p.ended), p.clock.now.Round(time.Millisecond))
	for _, k := range llm.Classes() {
		ends := map[string]int{}
		var ttft []time.Duration
		n := 0
		for _, c := range p.ended {
			if c.Class != k {
				continue
			}
			n++
			end := c.Outcome
			if c.Reason != "" {
				end = string(c.Reason)
			}
			ends[end]++
			if c.Outcome == llm.OutcomeOK {
				ttft = append(ttft, c.First-c.Arrived)
			}
		}
		if n == 0 {
			continue
		}
		fmt.Fprintf(&b, "  %-12s %5d", k, n)
		if len(ttft) > 0 {
			slices.Sort(ttft)
			fmt.Fprintf(&b, "  TTFT p50 %s p99 %s", ttft[len(ttft)/2].Round(time.Millisecond), ttft[len(ttft)*99/100].Round(time.Millisecond))
		}
		names := make([]string, 0, len(ends))
		for name := range ends {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			fmt.Fprintf(&b, "  %s %d", name, ends[name])
		}
		b.WriteByte('\n')
	}
	return b.String()
}
