package sim

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weir-ai/weir/internal/testdata"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/workload"
)

// mooncake is the project's conversation trace: 12,031 requests of an hour, 12,035 prompt tokens and 343 of an answer in the mean.
func mooncake(t *testing.T) []Job {
	t.Helper()
	jobs, err := workload.ReadMooncake(bytes.NewReader(testdata.Bytes(t, "traces/mooncake-fast25/conversation_trace.jsonl")))
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

func sites(n int, s Speed) []Site {
	out := make([]Site, n)
	for i := range out {
		out[i].Speed = s
	}
	return out
}

// play runs jobs and prints a line of the table that -v shows.
func play(t *testing.T, name string, p Policy, jobs []Job, sites []Site) Summary {
	t.Helper()
	w := NewWorld(p, sites...)
	s := w.Summary(jobs, w.Run(jobs))
	t.Logf("%-18s hits %4.1f %%  imbalance %4.2f  peak %5.2f  TTFT p50 %7.3f p99 %8.3f s  visits %.3f  failed %d",
		name, 100*s.Hits, s.Imbalance, s.Peak, s.P50.Seconds(), s.P99.Seconds(), s.Visits, s.Failed)
	return s
}

// The Mooncake trace at its own pace over 16 replicas of a 70 B model whose caches together have room for a quarter of its different
// blocks. The ideal is one cache of all that room that serves the trace in order (IdealHits). Imbalance is the largest over the mean of
// the replicas' prefill tokens in flight, each averaged over the hour (Summary).
func TestMooncakeIsNearTheIdealAndBalanced(t *testing.T) {
	t.Parallel()
	const replicas, behind, imbalance = 16, 0.03, 1.25
	jobs := mooncake(t)
	room := workload.Distinct(jobs) / 4
	ideal := IdealHits(jobs, room)
	speed := Large()
	speed.Cache = room / replicas
	fleet := sites(replicas, speed)
	t.Logf("%-18s hits %4.1f %%", "ideal", 100*ideal)
	robin := play(t, "round robin", &RoundRobin{}, jobs, fleet)
	least := play(t, "least connections", &LeastConnections{}, jobs, fleet)
	oracle := play(t, "oracle of TTFT", Oracle{}, jobs, fleet)
	for seed := range uint64(3) {
		s := play(t, "weir", NewWeir(seed+1), jobs, fleet)
		if s.Hits < ideal-behind || s.Imbalance > imbalance || s.Failed > 0 {
			t.Errorf("seed %d: hits %.3f of an ideal of %.3f, imbalance %.2f, %d failed", seed+1, s.Hits, ideal, s.Imbalance, s.Failed)
		}
		if s.Hits < 3*max(robin.Hits, least.Hits) || s.P99 > min(robin.P99, least.P99) || s.P99 > oracle.P99*11/10 {
			t.Errorf("seed %d: hits %.3f beside %.3f and %.3f, p99 %s beside %s, %s and the oracle's %s",
				seed+1, s.Hits, robin.Hits, least.Hits, s.P99, robin.P99, least.P99, oracle.P99)
		}
	}
}

// Faster and slower than it was: the trace's hits and balance do not hang on one load.
func TestMooncakeAtOtherPaces(t *testing.T) {
	t.Parallel()
	jobs := mooncake(t)
	room := workload.Distinct(jobs) / 4
	ideal := IdealHits(jobs, room)
	speed := Large()
	speed.Cache = room / 16
	check := func(pace, behind, imbalance float64) {
		t.Helper()
		s := play(t, "weir", NewWeir(1), workload.Faster(jobs, pace), sites(16, speed))
		if s.Hits < ideal-behind || s.Imbalance > imbalance {
			t.Errorf("%g times as fast: hits %.3f of %.3f, imbalance %.2f", pace, s.Hits, ideal, s.Imbalance)
		}
	}
	check(0.75, 0.025, 1.25)
	check(1.25, 0.035, 1.4)
	check(1.5, 0.05, 1.4) // by now, round robin has people wait for three minutes
}

// Four fast and four slow replicas, from a load that the fast ones bear alone to one that is nearly too much for all.
func TestFastAndSlowReplicasServeLikeAnOracle(t *testing.T) {
	t.Parallel()
	fleet := append(sites(4, Large()), sites(4, Large().Slower(5))...)
	for _, rate := range []float64{1, 5, 10, 14} {
		for seed := range uint64(2) {
			jobs := workload.Poisson(workload.Flow{Jobs: 8000, Rate: rate, Prompt: 700, Output: 150, Seed: seed + 1})
			t.Logf("%g a second, seed %d", rate, seed+1)
			s := play(t, "weir", NewWeir(seed+1), jobs, fleet)
			oracle := play(t, "oracle of TTFT", Oracle{}, jobs, fleet)
			robin := play(t, "round robin", &RoundRobin{}, jobs, fleet)
			least := play(t, "least connections", &LeastConnections{}, jobs, fleet)
			if s.P99 > oracle.P99*13/10 {
				t.Errorf("%g a second: p99 %s, the oracle's is %s", rate, s.P99, oracle.P99)
			}
			if s.P99 > min(robin.P99, least.P99)/2 {
				t.Errorf("%g a second: p99 %s beside %s and %s", rate, s.P99, robin.P99, least.P99)
			}
		}
	}
}

// fails makes an engine fail from and until a time, this share of requests after so long.
func fails(from, until time.Duration, share float64, after time.Duration, seed uint64) Fault {
	rng := rand.New(rand.NewPCG(seed, 5))
	return func(now time.Duration) (llm.Fault, time.Duration) {
		if now < from || now >= until || rng.Float64() >= share {
			return llm.FaultNone, 0
		}
		return llm.FaultStatus, after
	}
}

const always = time.Duration(1) << 62

// What fails at once has nothing in flight: least connections sends it everything.
func TestAReplicaThatFailsFastAttractsLessTraffic(t *testing.T) {
	t.Parallel()
	jobs := workload.Poisson(workload.Flow{Jobs: 4000, Rate: 20, Prompt: 700, Output: 150, Seed: 1})
	for _, c := range []struct {
		name  string
		share float64
		after time.Duration
		most  float64 // of the fair share
	}{
		{"all, in a millisecond", 1, time.Millisecond, 0.1},
		{"all, in 50 ms", 1, 50 * time.Millisecond, 0.1},
		{"a third, in a millisecond", 0.33, time.Millisecond, 0.7},
	} {
		fleet := sites(8, Large())
		visits := func(p Policy) float64 {
			fleet[3].Fault = fails(time.Minute, always, c.share, c.after, 1)
			w := NewWorld(p, fleet...)
			w.Run(jobs)
			before, total := 0, 0
			for i := range jobs {
				if jobs[i].At < time.Minute {
					before++
				}
			}
			for _, n := range w.visits {
				total += n
			}
			return (float64(w.visits[3]) - float64(before)/8) / (float64(total-before) / 8)
		}
		weir, least := visits(NewWeir(1)), visits(&LeastConnections{})
		t.Logf("%s fail: of a fair share weir sends %.2f, least connections %.2f", c.name, weir, least)
		if weir > c.most || c.share == 1 && least < 2 {
			t.Errorf("%s fail: of a fair share weir sends %.2f, least connections %.2f", c.name, weir, least)
		}
	}
}

// asked counts the engines that are asked in each second.
type asked struct {
	*Weir
	second map[time.Duration]map[int]bool
}

func (p *asked) pick(w *World, a *attempt) bool {
	ok := p.Weir.pick(w, a)
	at := w.clock.now.Truncate(time.Second)
	if p.second[at] == nil {
		p.second[at] = map[int]bool{}
	}
	if ok && !a.pick.Probe {
		p.second[at][a.engine] = true
	}
	return ok
}

// Every engine fails for a minute. The half of the fleet is asked all the time, and all of it soon after.
func TestAFleetThatFailsIsHalfEjectedAndComesBack(t *testing.T) {
	t.Parallel()
	const from, until = time.Minute, 2 * time.Minute
	fleet := sites(8, Large())
	for i := range fleet {
		fleet[i].Fault = fails(from, until, 1, 2*time.Millisecond, uint64(i))
	}
	jobs := workload.Poisson(workload.Flow{Jobs: 40 * 240, Rate: 40, Prompt: 300, Output: 50, Seed: 1})
	weir := NewWeir(1)
	spread := &asked{weir, map[time.Duration]map[int]bool{}}
	w := NewWorld(spread, fleet...)
	results := w.Run(jobs)
	tried := map[time.Duration]map[int]bool{}
	for i, r := range results {
		at := jobs[i].At.Truncate(10 * time.Second)
		if tried[at] == nil {
			tried[at] = map[int]bool{}
		}
		tried[at][r.Engine] = true
		if bad := r.Fault != llm.FaultNone; bad && (jobs[i].At < from || jobs[i].At > until+time.Second) {
			t.Fatalf("a request of %s failed", jobs[i].At)
		} else if !bad && jobs[i].At > from && jobs[i].At < until-2*time.Second {
			t.Fatalf("a request of %s was answered", jobs[i].At)
		}
	}
	for at := from; at < until; at += 10 * time.Second {
		if n := len(tried[at]); n < 4 {
			t.Errorf("%s: %d of 8 engines were asked", at, n)
		}
	}
	if n := len(spread.second[until+50*time.Second]); n < 8 {
		t.Errorf("50 s after they were well again %d of 8 are asked", n)
	}
}

func TestRetriesDoNotMultiplyAFailure(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{5, 50} {
		fleet := sites(8, Large())
		for i := range fleet {
			fleet[i].Fault = fails(0, always, 0.5, 20*time.Millisecond, uint64(i))
		}
		jobs := workload.Poisson(workload.Flow{Jobs: int(300 * rate), Rate: rate, Prompt: 100, Output: 20, Seed: 1})
		s := play(t, "half of all fail", NewWeir(1), jobs, fleet)
		if s.Visits > 1.2 {
			t.Errorf("%g a second: %.3f visits a request", rate, s.Visits)
		}
		if s.Visits < 1.1 {
			t.Errorf("%g a second: %.3f visits a request: the budget was not used", rate, s.Visits)
		}
	}
}
