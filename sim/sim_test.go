package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/workload"
)

func TestClockGoesInOrder(t *testing.T) {
	t.Parallel()
	var c Clock
	var got []string
	say := func(s string) func() { return func() { got = append(got, s+" "+c.Now().String()) } }
	c.At(3*time.Second, say("c"))
	c.At(time.Second, func() {
		say("a")()
		c.At(0, say("past is now"))
		c.At(2*time.Second, say("b"))
	})
	c.At(3*time.Second, say("d"))
	c.Run()
	if want := []string{"a 1s", "past is now 1s", "b 2s", "c 3s", "d 3s"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if !c.Time().Equal(Epoch.Add(3 * time.Second)) {
		t.Errorf("it is %s", c.Time())
	}
}

func TestCacheForgetsTheLeastRecentAndFromTheEnd(t *testing.T) {
	t.Parallel()
	c := NewCache(4)
	c.Add([]uint64{1, 2, 3})
	c.Add([]uint64{1, 9})
	if got := c.Match([]uint64{1, 2, 3}); got != 3 {
		t.Fatalf("%d of 3 match in a cache of four", got)
	}
	c.Add([]uint64{7})
	if got := c.Match([]uint64{1, 2, 3}); got != 2 {
		t.Errorf("%d match, want two: the end is forgotten first", got)
	}
	if got := c.Match([]uint64{4, 1}); got != 0 {
		t.Errorf("%d match behind a block that is not there", got)
	}
	if len(c.at) != 4 || c.order.Len() != 4 {
		t.Errorf("%d and %d blocks in a cache of four", len(c.at), c.order.Len())
	}
}

func TestIdealHits(t *testing.T) {
	t.Parallel()
	jobs := []Job{{Blocks: []uint64{1, 2}}, {Blocks: []uint64{1, 2, 3}}, {Blocks: []uint64{9}}, {Blocks: []uint64{1, 5}}}
	if got := IdealHits(jobs, 100); got != 3.0/8 {
		t.Errorf("%g, want 3 of 8", got)
	}
	if got := IdealHits(jobs, 1); got != 1.0/8 {
		t.Errorf("with room for one block %g, want 1 of 8", got)
	}
	if got := workload.Distinct(jobs); got != 5 {
		t.Errorf("%d distinct blocks, want 5", got)
	}
}

// simple computes a prompt token in 1 ms and a step in 10 ms and 1 ms an answer.
func simple() Speed {
	return Speed{Prefill: 0.001, Step: 0.010, Answer: 0.001, Chunk: 100, Slots: 2, Cache: 100, Block: 10}
}

// An engine keeps to its cost model to the nanosecond.
func TestEngineKeepsToItsCosts(t *testing.T) {
	t.Parallel()
	check := func(name string, jobs []Job, want ...time.Duration) {
		t.Helper()
		w := NewWorld(&RoundRobin{}, Site{Speed: simple()})
		for i, r := range w.Run(jobs) {
			got := []time.Duration{r.Wait, r.Took}
			if d := got[0] - want[2*i]; d.Abs() > time.Microsecond {
				t.Errorf("%s: job %d waits %s, want %s", name, i, got[0], want[2*i])
			}
			if d := got[1] - want[2*i+1]; d.Abs() > time.Microsecond {
				t.Errorf("%s: job %d takes %s, want %s", name, i, got[1], want[2*i+1])
			}
		}
	}
	const ms = time.Millisecond
	check("alone, 10+50 and twice 11", []Job{{Prompt: 50, Output: 3}}, 60*ms, 82*ms)
	check("one token", []Job{{Prompt: 50, Output: 1}}, 60*ms, 60*ms)
	check("in chunks of 110 and 60", []Job{{Prompt: 150, Output: 1}}, 170*ms, 170*ms)
	check("two that waited, in one step of 90", []Job{{Prompt: 40, Output: 1}, {Prompt: 40, Output: 1}, {Prompt: 40, Output: 1}},
		50*ms, 50*ms, 140*ms, 140*ms, 140*ms, 140*ms)
	check("a prompt beside an answer, from the end of its step at 71", []Job{{Prompt: 50, Output: 9}, {At: 65 * ms, Prompt: 20, Output: 1}},
		60*ms, 168*ms, 37*ms, 37*ms)
	check("the third waits for a slot", []Job{{Prompt: 10, Output: 3}, {Prompt: 10, Output: 3}, {Prompt: 10, Output: 1}},
		20*ms, 53*ms, 41*ms, 74*ms, 74*ms, 74*ms)
}

func TestEngineReusesPrefixes(t *testing.T) {
	t.Parallel()
	blocks := []uint64{1, 2, 3, 4, 5}
	jobs := []Job{
		{Prompt: 50, Output: 1, Blocks: blocks},
		{At: time.Second, Prompt: 70, Output: 1, Blocks: append(slices.Clone(blocks), 6, 7)},
		{At: 2 * time.Second, Prompt: 50, Output: 1, Blocks: blocks},
	}
	w := NewWorld(&RoundRobin{}, Site{Speed: simple()})
	results := w.Run(jobs)
	for i, want := range []struct {
		hits int
		wait time.Duration
	}{{0, 60 * time.Millisecond}, {5, 30 * time.Millisecond}, {5, 11 * time.Millisecond}} { // the last token is always computed
		if r := results[i]; r.Hits != want.hits || (r.Wait-want.wait).Abs() > time.Microsecond {
			t.Errorf("job %d: %d hits, %s; want %+v", i, r.Hits, r.Wait, want)
		}
	}
	if s := w.Summary(jobs, results); s.Hits != 10.0/17 || s.Imbalance != 1 || s.Peak < 0.999 || s.Peak > 1.001 {
		t.Errorf("summary is %+v", s)
	}
}

// After a run nothing is left anywhere, nobody is lost, and the same seed gives the same.
func TestWorldsEndEmptyAndRepeat(t *testing.T) {
	t.Parallel()
	jobs := workload.Poisson(workload.Flow{Jobs: 3000, Rate: 30, Prompt: 500, Output: 80, Seed: 7})
	run := func(seed uint64) (*World, []Result) {
		fleet := sites(6, Large())
		for i := range fleet {
			fleet[i].Fault = fails(10*time.Second, 20*time.Second, 0.3, 30*time.Millisecond, uint64(i))
		}
		w := NewWorld(NewWeir(seed), fleet...)
		return w, w.Run(jobs)
	}
	w, results := run(1)
	for i, r := range results {
		if r.Visits == 0 || r.Fault == llm.FaultNone && (r.Wait <= 0 || r.Took < r.Wait) {
			t.Fatalf("job %d: %+v", i, r)
		}
	}
	for i, e := range w.engines {
		f := w.endpoints[i].Facts(w.clock.Time())
		if e.backlog != 0 || len(e.waiting) > 0 || len(e.active) > 0 || len(e.coming) > 0 || f.Running != 0 || f.Prefill != 0 || f.Decoding != 0 {
			t.Errorf("engine %d is left with %d tokens, %d prompts, %d answers; its endpoint with %+v", i, e.backlog, len(e.waiting), len(e.active), f)
		}
	}
	if _, same := run(1); !slices.Equal(results, same) {
		t.Error("the same seed gave another run")
	}
	if _, other := run(2); slices.Equal(results, other) {
		t.Error("another seed gave the same run")
	}
}
