package admit

import (
	"fmt"
	"time"

	"github.com/weir-ai/weir/llm"
)

// Bounds is the most that may wait. A bound of 0 has its default, a negative one is none.
type Bounds struct {
	Requests int
	Bytes    int64
	Work     Work
}

// ClassConfig is what a class is promised.
type ClassConfig struct {
	Share   float64       // of the work that starts, guaranteed while the class waits and a higher one does, too; 0 to 0.05
	TTFT    time.Duration // objective from arrival to the first token; negative: none
	TPOT    time.Duration // objective from token to token; negative: none
	Wait    time.Duration // longest wait where there is no TTFT
	Waiting Bounds
}

// Config is what is promised and how much may wait. The zero value is usable.
type Config struct {
	Classes   [llm.ClassCount]ClassConfig // by llm.Class.Rank
	Waiting   Bounds                      // in all
	Tenant    Bounds                      // of one tenant, in all classes
	Sequences int                         // first limit of an endpoint that says nothing of its slots
	Seed      uint64                      // of the jitter of RetryAfter
}

const (
	// defaultTTFT is what people take for an answer at once, with a look at the screen; with one second, models of 70 B have no time to
	// queue at all beside a long prompt, and beyond three people press the button again.
	defaultTTFT = 2 * time.Second
	// defaultTPOT is five tokens a second, as fast as people read. Faster would halve what CPUs can hold; slower is watched, not read.
	defaultTPOT = 200 * time.Millisecond
	// defaultWait is as long as Retry-After can be, and as long as proxies keep a silent connection. A shorter wait would send batch work
	// away in every burst, and it comes back dearer than it waits.
	defaultWait = time.Minute
	// defaultRequests bounds what waits in all, beside the two seconds of work that the objectives let wait: what 5,000 a second need for
	// them. More would be connections, not work.
	defaultRequests = 10_000
	// defaultBytes bounds the bodies that wait. 256 MiB is 10,000 prompts of 6,000 tokens; with less, a few long documents would be it.
	defaultBytes = 256 << 20
	// defaultWork is what a fleet of 200,000 prompt tokens a second does in a minute. A smaller fleet's objectives bind long before.
	defaultWork Work = 12_000_000
	// tenantPart is one over a tenant's part of all that may wait. Half: one tenant must not fill the gate, and one that is alone with it
	// must hardly notice.
	tenantPart = 2
	// defaultSequences is the first limit of an endpoint that says nothing of its slots: engines on GPUs compute a hundred answers and more
	// together, small ones four. With four, a burst that such an engine could take would wait for first tokens to teach better; with many
	// more, a small engine would have a long line before anything is known of it.
	defaultSequences = 16
	// sharesMost bounds what lower classes are guaranteed together, so that the highest keeps 95 %.
	sharesMost = 0.05
)

// defaultShares keep every class moving: at one percent, batch starts a request for each hundred others. The sum leaves the highest class
// 96 %, a point more than is promised, for requests that turn out larger than they were taken for.
var defaultShares = [llm.ClassCount]float64{0, 0.02, 0.01, 0.01}

// WithDefaults fills in what is left out.
func (c Config) WithDefaults() Config {
	all := Bounds{defaultRequests, defaultBytes, defaultWork}
	c.Waiting = c.Waiting.or(all)
	c.Tenant = c.Tenant.or(Bounds{part(c.Waiting.Requests), part(c.Waiting.Bytes), part(c.Waiting.Work)})
	if c.Sequences == 0 {
		c.Sequences = defaultSequences
	}
	for i := range c.Classes {
		k := &c.Classes[i]
		k.Share = or(k.Share, defaultShares[i])
		ttft, tpot := defaultTTFT, defaultTPOT
		if i == llm.ClassBatch.Rank() {
			ttft, tpot = -1, -1
		}
		k.TTFT, k.TPOT, k.Wait = or(k.TTFT, ttft), or(k.TPOT, tpot), or(k.Wait, defaultWait)
		k.Waiting = k.Waiting.or(c.Waiting)
	}
	return c
}

func or[T int | int64 | float64 | Work | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

func part[T int | int64 | Work](all T) T {
	if all < 0 {
		return all // a part of no bound is none
	}
	return max(all/tenantPart, 1)
}

func (b Bounds) or(d Bounds) Bounds {
	return Bounds{or(b.Requests, d.Requests), or(b.Bytes, d.Bytes), or(b.Work, d.Work)}
}

// allow reports whether u with x is within the bounds.
func (b Bounds) allow(u usage, x *entry) bool {
	return (b.Requests < 0 || u.Requests+1 <= b.Requests) && (b.Bytes < 0 || u.Bytes+x.Bytes <= b.Bytes) && (b.Work < 0 || u.Work+x.work <= b.Work)
}

// Validate tells every fault: field, value and fix.
func (c Config) Validate() []string {
	var bad []string
	shares := 0.0
	for i, k := range llm.Classes() {
		s := c.Classes[i].Share
		shares += s
		if !(s >= 0 && s <= sharesMost) {
			bad = append(bad, fmt.Sprintf("classes.%s.share is %v; give 0 to %v", k, s, sharesMost))
		}
		if c.Classes[i].Wait < 0 {
			bad = append(bad, fmt.Sprintf("classes.%s.wait is %v; give a positive time", k, c.Classes[i].Wait))
		}
	}
	if shares > sharesMost+1e-9 {
		bad = append(bad, fmt.Sprintf("the shares of all classes are %.3f together; give %v at most, so that the highest class keeps the rest", shares, sharesMost))
	}
	if c.Sequences < 0 {
		bad = append(bad, fmt.Sprintf("sequences is %d; give 1 or more", c.Sequences))
	}
	return bad
}

// ttft is the shortest objective of any class: what prompts may keep an endpoint busy for is measured against it. 0 is none.
func (c *Config) ttft() time.Duration {
	least := time.Duration(0)
	for i := range c.Classes {
		if d := c.Classes[i].TTFT; d > 0 && (least == 0 || d < least) {
			least = d
		}
	}
	return least
}

// objective is the same for what limits are found by: at most the usual one, however patient the classes are. An engine's width does not
// depend on how long its clients wait, and a limit that was lowered for nothing would be held for as long as they do.
func (c *Config) objective() time.Duration {
	if d := c.ttft(); d > 0 {
		return min(d, defaultTTFT)
	}
	return defaultTTFT
}

// tpot is the shortest objective of any class from token to token; 0 is none.
func (c *Config) tpot() time.Duration {
	least := time.Duration(0)
	for i := range c.Classes {
		if d := c.Classes[i].TPOT; d > 0 && (least == 0 || d < least) {
			least = d
		}
	}
	return least
}
