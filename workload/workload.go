// Package workload says what comes to a server and when: requests that were recorded in traces, and shapes that are made from a seed.
// The simulation plays them in virtual time, the load generator sends them.
//
// Everything here is a value or a pure function of its arguments: no goroutine, no lock, no clock. What is read is bounded, and an error
// names the line, the field, what is wrong and what would be right. It never holds the text of a prompt: a prompt is its length and what
// it shares with others.
package workload

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Request is one request of a workload.
type Request struct {
	At      time.Duration // when it comes, from the beginning
	Prompt  int           // tokens
	Output  int           // tokens of its answer
	Blocks  []uint64      // hashes of the prompt's blocks from its first token on, each of all up to it; nil where no prompt is like another
	Block   int           // tokens of one of Blocks; 0 where there are none
	Session string        // the conversation it belongs to; empty for none
	Tenant  string        // who asks; empty where that is not told
	Class   string        // how soon it should start, by name; empty where that is not told
}

const (
	// RequestsMax bounds a workload that is held in memory: a day at 40 a second, some 500 MB. A longer one is cut with Span, or made
	// while it is sent.
	RequestsMax = 4_000_000
	// TokensMax bounds a prompt and an answer: ten times the longest context that anybody serves. More is a wrong column.
	TokensMax = 10_000_000
	// AtMax bounds a trace's length. More is a wrong unit.
	AtMax = 400 * 24 * time.Hour
	// NameMax bounds a tenant's, class's or session's name, in bytes.
	NameMax = 128
)

// Span cuts a workload: what comes from From on, for For; the first moment of it becomes 0. For 0 is until the end.
type Span struct{ From, For time.Duration }

// cut keeps what lies inside. The requests must be in order.
func (s Span) cut(rs []Request) []Request {
	before := func(r Request, at time.Duration) int { return cmp.Compare(r.At, at) }
	first, _ := slices.BinarySearchFunc(rs, s.From, before)
	rs = rs[first:]
	if s.For > 0 {
		end, _ := slices.BinarySearchFunc(rs, s.From+s.For, before)
		rs = rs[:end]
	}
	for i := range rs {
		rs[i].At -= s.From
	}
	return rs
}

func inOrder(rs []Request) []Request {
	slices.SortStableFunc(rs, func(a, b Request) int { return cmp.Compare(a.At, b.At) })
	return rs
}

// Faster is the same requests in a shorter time, times as many a second.
func Faster(rs []Request, times float64) []Request {
	out := slices.Clone(rs)
	for i := range out {
		out[i].At = time.Duration(float64(out[i].At) / times)
	}
	return out
}

// Sample keeps a part of the requests, drawn at random: all tenants and their bursts stay, with fewer requests of each.
func Sample(rs []Request, part float64, seed uint64) []Request {
	rng := rand.New(rand.NewPCG(seed, 5))
	var out []Request
	for i := range rs {
		if rng.Float64() < part {
			out = append(out, rs[i])
		}
	}
	return out
}

// Rate is how many come a second in the mean, from 0 to the last; 0 where all come at once.
func Rate(rs []Request) float64 {
	if len(rs) == 0 || rs[len(rs)-1].At <= 0 {
		return 0
	}
	return float64(len(rs)) / rs[len(rs)-1].At.Seconds()
}

// Distinct is how many different blocks the requests have.
func Distinct(rs []Request) int {
	seen := map[uint64]bool{}
	for i := range rs {
		for _, b := range rs[i].Blocks {
			seen[b] = true
		}
	}
	return len(seen)
}

// Share is a name with its part of a whole.
type Share struct {
	Name string
	Part float64 // relative to the other shares
}

// SharesMax bounds the names of one list: more tenants than any report tells apart.
const SharesMax = 10_000

// ParseShares reads "a=3,b=1", or "a,b" for equal parts; a number alone, as "10", is that many names with equal parts: prefix1 to
// prefix10.
func ParseShares(prefix, s string) ([]Share, error) {
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		n, err := whole(s, 1, SharesMax)
		if err != nil {
			return nil, fmt.Errorf("the number of names is %w", err)
		}
		out := make([]Share, n)
		for i := range out {
			out[i] = Share{Name: fmt.Sprintf("%s%d", prefix, i+1), Part: 1}
		}
		return out, nil
	}
	var out []Share
	for field := range strings.SplitSeq(s, ",") {
		name, part, given := strings.Cut(strings.TrimSpace(field), "=")
		share := Share{Name: name, Part: 1}
		if given {
			var err error
			if share.Part, err = number(part, 0, 1e9); err != nil {
				return nil, fmt.Errorf("the part of %q is %w, such as %s=3", name, err, name)
			}
		}
		if name == "" || len(name) > NameMax || strings.ContainsFunc(name, unicode.IsControl) {
			return nil, fmt.Errorf("%q has a name of %d bytes; give 1 to %d without control characters, as in a=3,b=1, or a number of equal ones", field, len(name), NameMax)
		}
		if slices.ContainsFunc(out, func(o Share) bool { return o.Name == name }) {
			return nil, fmt.Errorf("%q is named twice; name each once", name)
		}
		if out = append(out, share); len(out) > SharesMax {
			return nil, fmt.Errorf("more than %d names; give fewer", SharesMax)
		}
	}
	if total(out) <= 0 {
		return nil, fmt.Errorf("all parts of %q are 0; give one that is more", s)
	}
	return out, nil
}

func total(shares []Share) float64 {
	sum := 0.0
	for _, s := range shares {
		sum += s.Part
	}
	return sum
}

// chooser draws names by their parts.
type chooser struct {
	names []string
	upTo  []float64 // sums of the parts
}

func newChooser(shares []Share) chooser {
	var c chooser
	sum := 0.0
	for _, s := range shares {
		if s.Part > 0 {
			sum += s.Part
			c.names, c.upTo = append(c.names, s.Name), append(c.upTo, sum)
		}
	}
	return c
}

// draw gives a name; empty where there are none. It takes a number of rng in any case, so that one list's length does not shift what
// is drawn for another.
func (c chooser) draw(rng *rand.Rand) string {
	x := rng.Float64()
	if len(c.names) == 0 {
		return ""
	}
	at, _ := slices.BinarySearch(c.upTo, x*c.upTo[len(c.upTo)-1])
	return c.names[min(at, len(c.names)-1)]
}

// Assign gives tenants and classes, drawn by their shares, to the requests that have none. An empty list leaves all as they are.
func Assign(rs []Request, tenants, classes []Share, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 3))
	who, how := newChooser(tenants), newChooser(classes)
	for i := range rs {
		tenant, class := who.draw(rng), how.draw(rng)
		rs[i].Tenant, rs[i].Class = cmp.Or(rs[i].Tenant, tenant), cmp.Or(rs[i].Class, class)
	}
}
