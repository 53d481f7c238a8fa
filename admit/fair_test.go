package admit

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
)

// patient lets requests wait for as long as the paper's do, and charges an output token two prompt tokens as it does.
func patient() Config {
	var c Config
	for i := range c.Classes {
		c.Classes[i] = ClassConfig{TTFT: -1, TPOT: -1, Wait: time.Hour}
	}
	return c
}

// published is an engine with the speed of the paper's: 21 requests of 256 and 256 tokens run together, for 12 s each.
var published = speed{prefill: 1.0 / 8000, step: 0.040, answer: 0.0001, chunk: 4096, slots: 21}

// arrival is one request of a trace.
type arrival struct {
	at             float64
	tenant         llm.TenantID
	prompt, output int
}

// traces is where the reference data lies; a test without it is skipped.
func traces(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "shared", "data", "traces", "vtc-osdi24", name))
	if err != nil {
		t.Skipf("the reference data is absent: %v", err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// overload is the paper's two clients, both over the capacity: 1.5 and 3 requests a second of 256 and 256 tokens for 360 s. Made here, it
// needs no data.
func overload() []arrival {
	var out []arrival
	for i := range 540 {
		out = append(out, arrival{float64(i) / 1.5, "slow", 256, 256})
	}
	for i := range 1080 {
		out = append(out, arrival{float64(i) / 3, "fast", 256, 256})
	}
	return out
}

// service is what each tenant was given, and whether it has something waiting, at every tick.
type service struct {
	given   map[llm.TenantID]float64
	jobs    []*job
	waiting map[llm.TenantID]int
}

// serve runs a trace and calls see each second.
func serve(t *testing.T, list []arrival, weights map[llm.TenantID]float64, blind bool, end time.Duration, see func(at time.Duration, s *service)) *service {
	w := newWorld(t, 1, patient(), published)
	w.noFacts = true // what a token costs stays what the paper has it cost
	w.gate.Endpoints(w.now, []Endpoint{{ID: "a", Usable: true, Slots: published.slots, Waiting: -1, Age: -1}})
	s := &service{}
	for _, a := range list {
		j := &job{tenant: a.tenant, weight: weights[a.tenant], class: llm.ClassStandard, prompt: a.prompt, output: a.output, owner: a.tenant}
		if blind {
			j.tenant = ""
		}
		s.jobs = append(s.jobs, j)
		w.at(start.Add(time.Duration(a.at*float64(time.Second))), func() { w.offer(j) })
	}
	for at := time.Second; at <= end; at += time.Second {
		w.at(start.Add(at), func() {
			s.given, s.waiting = map[llm.TenantID]float64{}, map[llm.TenantID]int{}
			for _, j := range s.jobs {
				if !j.first.IsZero() {
					s.given[j.owner] += float64(j.prompt) + weightPrior*float64(j.made)
				}
				if !j.started && !j.arrived.IsZero() {
					s.waiting[j.owner]++
				}
			}
			see(at, s)
		})
	}
	w.run(end)
	return s
}

func jain(v ...float64) float64 {
	sum, squares := 0.0, 0.0
	for _, x := range v {
		sum += x
		squares += x * x
	}
	return sum * sum / (float64(len(v)) * squares)
}

// bound is the paper's on the service of two tenants that wait all the time: twice the larger of the longest prompt and what the tokens cost
// that an engine holds.
func bound(list []arrival, slots int) float64 {
	prompt, most := 0, 0
	for _, a := range list {
		prompt, most = max(prompt, a.prompt), max(most, a.prompt+a.output)
	}
	return 2 * math.Max(float64(prompt), weightPrior*float64(slots*most))
}

func ended(s *service) (n int) {
	for _, j := range s.jobs {
		if j.done {
			n++
		}
	}
	return n
}

func TestTwoWhoOverloadGetTheSame(t *testing.T) {
	t.Parallel()
	list := overload()
	gap := 0.0
	fair := serve(t, list, nil, false, 360*time.Second, func(at time.Duration, s *service) {
		if at > 20*time.Second && s.waiting["slow"] > 0 && s.waiting["fast"] > 0 {
			gap = max(gap, math.Abs(s.given["slow"]-s.given["fast"]))
		}
	})
	j := jain(fair.given["slow"], fair.given["fast"])
	t.Logf("gap %.0f (bound %.0f), Jain %.5f, %v", gap, bound(list, published.slots), j, fair.given)
	if gap >= bound(list, published.slots) {
		t.Errorf("the gap is %.0f; the bound is %.0f", gap, bound(list, published.slots))
	}
	if j < 0.999 {
		t.Errorf("Jain's index is %.5f", j)
	}
	fifo := serve(t, list, nil, true, 360*time.Second, func(time.Duration, *service) {})
	if j := jain(fifo.given["slow"], fifo.given["fast"]); j > 0.95 {
		t.Errorf("in order of arrival Jain's index is %.4f: the load shows nothing", j)
	}
	if a, b := ended(fair), ended(fifo); math.Abs(float64(a-b)) > 0.02*float64(b) {
		t.Errorf("%d ended in fair turns and %d in order of arrival", a, b)
	}
}

func TestWeightsShareOverload(t *testing.T) {
	t.Parallel()
	fair := serve(t, overload(), map[llm.TenantID]float64{"fast": 2, "slow": 1}, false, 300*time.Second, func(time.Duration, *service) {})
	if r := fair.given["fast"] / fair.given["slow"]; math.Abs(r-2) > 0.1 {
		t.Errorf("with twice the weight one gets %.3f times as much", r)
	}
}

func TestReferenceOverload(t *testing.T) {
	t.Parallel()
	z, err := gzip.NewReader(traces(t, "reference/VTC_overload.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Result struct {
			Responses []struct {
				Adapter string  `json:"adapter_dir"`
				Prompt  int     `json:"prompt_len"`
				Output  int     `json:"output_len"`
				At      float64 `json:"req_time"`
			} `json:"responses"`
		} `json:"result"`
	}
	r := bufio.NewReader(z)
	if err := json.NewDecoder(r).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	var list []arrival
	for _, a := range doc.Result.Responses {
		list = append(list, arrival{a.At, llm.TenantID(a.Adapter), a.Prompt, a.Output})
	}
	a, b := llm.TenantID("dummy-lora-7b-rank-8-0"), llm.TenantID("dummy-lora-7b-rank-8-1")
	gap := 0.0
	s := serve(t, list, nil, false, 360*time.Second, func(at time.Duration, s *service) {
		if s.waiting[a] > 0 && s.waiting[b] > 0 {
			gap = max(gap, math.Abs(s.given[a]-s.given[b]))
		}
	})
	j := jain(s.given[a], s.given[b])
	t.Logf("%d requests: gap %.0f (bound %.0f; published 10,000), Jain %.5f (published 0.9997), %v", len(list), gap, bound(list, published.slots), j, s.given)
	if j < 0.999 || gap >= bound(list, published.slots) {
		t.Errorf("gap %.0f, Jain %.5f", gap, j)
	}
}

// TestRealTraceIsFair runs the trace of 27 clients at three times its pace: whoever has something waiting all through half a minute gets no
// less than another, but for the bound.
func TestRealTraceIsFair(t *testing.T) {
	t.Parallel()
	rows, err := csv.NewReader(traces(t, "vtc_real_trace.csv")).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var list []arrival
	for _, r := range rows[1:] {
		at, _ := strconv.ParseFloat(r[0], 64)
		p, _ := strconv.Atoi(r[2])
		o, _ := strconv.Atoi(r[3])
		list = append(list, arrival{at / 3, llm.TenantID(r[1]), p, o})
	}
	most := bound(list, published.slots)
	const span = 30
	var past []map[llm.TenantID]float64
	runs := map[llm.TenantID]int{} // seconds running that it waits
	worst, pairs := 0.0, 0
	serve(t, list, nil, false, 200*time.Second, func(_ time.Duration, s *service) {
		past = append(past, s.given)
		for _, j := range s.jobs {
			if s.waiting[j.owner] == 0 {
				runs[j.owner] = 0
			}
		}
		for k := range s.waiting {
			runs[k]++
		}
		if len(past) <= span {
			return
		}
		then := past[len(past)-1-span]
		for a, m := range runs {
			for b, n := range runs {
				if m > span && n > span && a < b {
					pairs++
					worst = max(worst, math.Abs((s.given[a]-then[a])-(s.given[b]-then[b])))
				}
			}
		}
	})
	t.Logf("%d pairs, largest gap %.0f, bound %.0f", pairs, worst, most)
	if pairs < 100 {
		t.Errorf("only %d pairs waited for %d s: the load shows nothing", pairs, span)
	}
	if worst >= most {
		t.Errorf("the gap is %.0f; the bound is %.0f", worst, most)
	}
}
