package admit

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
)

// crowd makes a gate with so many waiting, of so many tenants, at an endpoint that is full and whose speed is known.
func crowd(tb testing.TB, waiting, tenants int) (*Gate, time.Time, Place) {
	tb.Helper()
	none := Bounds{-1, -1, -1}
	c := Config{Waiting: none, Tenant: none}
	for i := range c.Classes {
		c.Classes[i] = ClassConfig{TTFT: 1000 * time.Hour, Wait: 1000 * time.Hour, Waiting: none}
	}
	g := New(c)
	now := start
	list := []Endpoint{{ID: "a", Usable: true, Slots: 64, PrefillSeconds: 0.00025, Waiting: -1, Age: -1}}
	g.Endpoints(now, list)
	place := func(_ *Entry, room func(llm.EndpointID) bool) (llm.EndpointID, error) {
		if room("a") {
			return "a", nil
		}
		return "", nil
	}
	for i := range waiting + 64 {
		g.Offer(now, entryOf(i, tenants), place)
		if i < 64 {
			g.First(now, Ticket(i+1), 0)
		}
	}
	if n := g.State(now).Waiting.Requests; n != waiting {
		tb.Fatalf("%d wait, not %d", n, waiting)
	}
	return g, now, place
}

func entryOf(i, tenants int) Entry {
	return Entry{Tenant: llm.TenantID(fmt.Sprintf("tenant-%d", i*7919%tenants)), Class: llm.Classes()[1+i%3], Prompt: 100 + i%400, Output: 200, Bytes: 1000, Print: uint64(i + 1)}
}

// BenchmarkOffer is one decision with 10,000 waiting of 1,000 tenants; it tells the 99th percentile, too.
func BenchmarkOffer(b *testing.B) {
	g, now, place := crowd(b, 10_000, 1_000)
	entries := make([]Entry, 4096)
	for i := range entries {
		entries[i] = entryOf(i*31, 1_000)
	}
	var took []time.Duration
	i := 0
	for b.Loop() {
		now = now.Add(time.Millisecond)
		began := time.Now()
		t, _ := g.Offer(now, entries[i%len(entries)], place)
		took = append(took, time.Since(began))
		g.Withdraw(now, t)
		i++
	}
	report(b, took)
}

// BenchmarkRefuse is one refusal with 10,000 waiting of 1,000 tenants.
func BenchmarkRefuse(b *testing.B) {
	g, now, place := crowd(b, 10_000, 1_000)
	var took []time.Duration
	i := 0
	for b.Loop() {
		now = now.Add(time.Millisecond)
		e := entryOf(i, 1_000)
		e.StartBy = now
		began := time.Now()
		g.Offer(now, e, place)
		took = append(took, time.Since(began))
		i++
	}
	report(b, took)
}

// BenchmarkStep is one end, and the start of the next, with 10,000 waiting of 1,000 tenants.
func BenchmarkStep(b *testing.B) {
	g, now, place := crowd(b, 10_000, 1_000)
	running := []Ticket{}
	for i := range 64 {
		running = append(running, Ticket(i+1))
	}
	var out []Change
	var took []time.Duration
	i := 0
	for b.Loop() {
		now = now.Add(time.Millisecond)
		began := time.Now()
		g.Done(now, running[0], End{Output: 100})
		out = g.Step(now, place, out[:0])
		took = append(took, time.Since(began))
		running = running[1:]
		for _, c := range out {
			if c.Verdict.Started {
				g.First(now, c.Ticket, 0)
				running = append(running, c.Ticket)
			}
		}
		g.Offer(now, entryOf(i, 1_000), place)
		i++
	}
	report(b, took)
}

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
	b.ReportMetric(float64(took[len(took)-1].Nanoseconds()), "max-ns")
}

func TestHundredThousandFitInMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	g, now, _ := crowd(t, 100_000, 1_000)
	runtime.GC()
	runtime.ReadMemStats(&after)
	used := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("100,000 waiting take %.1f MB", float64(used)/1e6)
	if used > 200e6 {
		t.Errorf("100,000 waiting take %d bytes; 200 MB at most", used)
	}
	if n := g.State(now).Waiting.Requests; n != 100_000 {
		t.Errorf("%d wait", n)
	}
}
