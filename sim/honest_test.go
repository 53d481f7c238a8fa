package sim

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weir-ai/weir/admit"
	"github.com/weir-ai/weir/internal/testdata"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/workload"
)

// Who comes when told is let in: after a flood at four times the capacity that begins before anything is known of the engines and falls to
// 0.8, and in a steady one at twice, for those few who heed it. (Were all to heed it, three times the capacity of a minute would have to
// come back within the minute that SDKs wait at most: no time that can be told is true then.)
func TestRetryAfterIsHonest(t *testing.T) {
	t.Parallel()
	most := capacity(t, pair(), chatPrompt, chatOutput)
	obey := func(rng *rand.Rand) Client {
		if rng.Float64() < 0.1 {
			return Client{Returns: 1}
		}
		return Client{}
	}
	falls := func(at time.Duration) float64 {
		if at < 60*time.Second {
			return 4 * most
		}
		return 0.8 * most
	}
	for _, c := range []struct {
		name string
		rate func(time.Duration) float64
	}{
		{"4x for a minute, then 0.8x, a tenth obeys", falls},
		{"steady 2x, a tenth obeys", steadily(2 * most)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(3) {
				x := trial{engines: pair(), span: 150 * time.Second, seed: seed + 1, checks: Rules()}
				for i := range 5 {
					x.streams = append(x.streams, stream{tenant: llm.TenantID(fmt.Sprintf("t%d", i)), class: llm.ClassStandard, prompt: chatPrompt, output: chatOutput,
						rate: func(at time.Duration) float64 { return c.rate(at) / 5 }, client: obey})
				}
				p, calls := x.play(t)
				back, let, told := 0, 0, time.Duration(0)
				for _, k := range calls {
					if k.Returned == 1 && k.Told {
						back++
						if k.Started >= 0 || k.Kind == llm.Canceled {
							let++
						}
					}
					if k.Kind >= 0 {
						told = max(told, k.RetryAfter)
					}
				}
				t.Logf("seed %d: %d came when they were told to, %.3f were let in; the longest time told is %s; goodput %.3f", seed+1, back, float64(let)/float64(back), told,
					float64(good(calls, 10*time.Second, 60*time.Second, nil))/50/most)
				if float64(let) < 0.9*float64(back) {
					t.Errorf("seed %d: %d of %d who came when told were let in; want nine of ten", seed+1, let, back)
				}
				for _, b := range p.Broken() {
					t.Error(b)
				}
			}
		})
	}
}

// fairWindow is over how long shares are compared: what one asks for while nobody else does is no part of a share.
const fairWindow = time.Minute

// rounds sums, by window, the work that each tenant offered and that was started.
type rounds struct{ offered, started []map[llm.TenantID]float64 }

func (r *rounds) check() Check {
	return Check{Name: "rounds", See: func(p *Path, e Event) string {
		if e.Kind != EventArrived && e.Kind != EventStarted {
			return ""
		}
		c := e.Call
		w := int(c.Arrived / fairWindow)
		for len(r.offered) <= w {
			r.offered, r.started = append(r.offered, map[llm.TenantID]float64{}), append(r.started, map[llm.TenantID]float64{})
		}
		if e.Kind == EventArrived {
			r.offered[w][c.Tenant] += p.workOf(c)
		} else {
			r.started[w][c.Tenant] += p.workOf(c)
		}
		return ""
	}}
}

// share is a tenant's part of what was fair in the windows in which it asked for more than that.
func (r *rounds) share(id llm.TenantID, from int) (part float64, windows int) {
	had, fair := 0.0, 0.0
	for w := from; w < len(r.offered); w++ {
		if level := fairLevel(r.offered[w], r.started[w]); r.offered[w][id] >= level {
			had, fair, windows = had+r.started[w][id], fair+level, windows+1
		}
	}
	return had / max(fair, 1), windows
}

// The day of ServeGen's tenants, all 73 of them and the largest a third of it, at four times the capacity, as one in fourteen of their requests:
// none has less than nine tenths of its fair share while it wants more than that. With fewer requests, chance alone leaves somebody less: those
// of some tenants take seven thousand tokens each. Under the race detector, which is ten times as slow and looks for other things, nobody
// counts.
func TestServeGensTenantsHaveTheirShares(t *testing.T) {
	t.Parallel()
	sample, least := 100_000.0, 15
	if raceDetector {
		sample, least = 5_000, 100
	}
	day, err := workload.Read(bytes.NewReader(testdata.Bytes(t, "traces/servegen/reason-deepseek-r1.tar.gz")), "servegen", workload.Span{For: 24 * time.Hour}, 1)
	if err != nil {
		t.Fatal(err)
	}
	jobs := workload.Sample(day, sample/float64(len(day)), 1)
	prompt, output := 0.0, 0.0
	for i := range jobs {
		prompt, output = prompt+float64(jobs[i].Prompt)/float64(len(jobs)), output+float64(jobs[i].Output)/float64(len(jobs))
	}
	// Prompts have up to 50,000 tokens: with an engine and an objective that leave them no time to wait, fairness would have no say.
	large := Machine{Speed: Large()}
	large.Speed.Slots, large.Speed.Prefill = 32, 1.0/20_000
	engines := []Machine{large, large, large}
	gate := admit.Config{}
	gate.Classes[llm.ClassStandard.Rank()].TTFT = 15 * time.Second
	jobs = workload.Faster(jobs, 4*float64(len(engines))*large.Speed.Capacity(prompt, output)/workload.Rate(jobs))
	var r rounds
	p, _ := recorded(t, jobs, gate, engines, Bend{}, r.check())
	asked := map[llm.TenantID]int{}
	for i := range jobs {
		asked[llm.TenantID(jobs[i].Tenant)]++
	}
	worst, whose, over := 2.0, llm.TenantID(""), 0
	for id := range asked {
		part, windows := r.share(id, 2)
		if windows < least {
			continue
		}
		t.Logf("tenant %s asked %d times, wanted more in %d of %d windows, and had %.3f", id, asked[id], windows, len(r.offered), part)
		if over++; part < worst {
			worst, whose = part, id
		}
	}
	t.Logf("%d requests, %.0f+%.0f tokens in the mean, over %s; %d of %d tenants wanted more than was fair; the least had %.3f of it (%s)\n%s",
		len(jobs), prompt, output, jobs[len(jobs)-1].At, over, len(asked), worst, whose, p.Report())
	if !raceDetector && (worst < 0.9 || over < 15 || len(asked) < 73) {
		t.Errorf("%d tenants wanted more than a fair share, and one had %.3f of it; want 0.9", over, worst)
	}
}

// fairLevel is the service at which all tenants that want less have what they want, and all others as much as each other.
func fairLevel(wanted, given map[llm.TenantID]float64) float64 {
	total := 0.0
	var list []float64
	for id, w := range wanted {
		total += given[id]
		list = append(list, w)
	}
	slices.Sort(list)
	for i, w := range list {
		if level := total / float64(len(list)-i); w >= level {
			return level
		}
		total -= w
	}
	return math.Inf(1)
}
