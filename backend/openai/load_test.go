package openai

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-ai/weir/fleet"
)

func metricsText(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "metrics", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The texts are as each engine writes them: llamacpp's is a real server's answer, the others follow the sources that quirks.go names.
func TestLoadIsReadFromEachEnginesMetrics(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind, text string
		want       fleet.Load
		hits       float64 // of its counters
		cache      int
		version    string
	}{
		{"vllm", "vllm", fleet.Load{Waiting: 2, Running: 7, KVUsed: 0.5, Hits: -1}, 0.25, 2 * 16 * 2048, ""},
		{"vllm", "vllm-old", fleet.Load{Waiting: 0, Running: 1, KVUsed: 0.1, Hits: -1}, 0.5, 0, ""},
		{"sglang", "sglang", fleet.Load{Waiting: 826, Running: 12, KVUsed: 0.28, Hits: 0.007507552643049313}, -1, 27000 * 16, ""},
		{"llamacpp", "llamacpp", fleet.Load{Waiting: 3, Running: 2, KVUsed: -1, Hits: -1}, -1, 0, ""},
		{"tgi", "tgi", fleet.Load{Waiting: 7, Running: 5, KVUsed: -1, Hits: -1}, -1, 0, ""},
		{"trtllm", "trtllm", fleet.Load{Waiting: 1, Running: 6, KVUsed: 0.5, Hits: 0.125}, -1, 32000, ""},
		{"ovms", "ovms", fleet.Load{Waiting: -1, Running: 4, KVUsed: -1, Hits: -1}, -1, 0, ""},
		{"weir", "weir", fleet.Load{Waiting: 1, Running: 2, KVUsed: 0.25, Hits: -1}, 0.25, 0, "1.2.3"},
	} {
		r := quirkOf(c.kind).load.read(metricsText(t, c.text))
		if r.load != c.want || r.cache != c.cache || r.version != c.version {
			t.Errorf("%s: got %+v, want %+v, cache %d, version %q", c.text, r, c.want, c.cache, c.version)
		}
		var p probing
		p.last.Load = fleet.UnknownLoad()
		if got := p.hits(r.found, r.asked); got != c.hits {
			t.Errorf("%s: hits %v of %v/%v, want %v", c.text, got, r.found, r.asked, c.hits)
		}
	}
}

func TestLoadThatIsNotToldIsUnknown(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "\n", "# HELP vllm:num_requests_running x\n", "vllm:num_requests_running", "vllm:num_requests_running ", "vllm:num_requests_running NaN\n", "vllm:num_requests_running{a=\"} 3\n",
		"xvllm:num_requests_running 3\n", "vllm:num_requests_running_too 3\n", "# vllm:num_requests_running 3\n", "vllm:num_requests_running +Inf", "vllm:num_requests_running -1", "vllm:num_requests_running 1e300",
		"vllm:cache_config_info{block_size=\"None\",num_gpu_blocks=\"0\"} 1\n",
	} {
		for i := range kinds {
			if kinds[i].load == nil {
				continue
			}
			if r := kinds[i].load.read([]byte(text)); r.load != fleet.UnknownLoad() || r.cache != 0 || r.found != -1 || r.asked != -1 {
				t.Errorf("%s reads %q as %+v", kinds[i].name, text, r)
			}
		}
	}
	if r := vllmLoad.read([]byte("vllm:num_requests_running 0\r\nvllm:num_requests_waiting 4 1764173600000")); r.load.Running != 0 || r.load.Waiting != 4 {
		t.Errorf("a zero, a time and no last line break: %+v", r.load)
	}
}

func TestHitsAreThoseSinceTheLastLook(t *testing.T) {
	t.Parallel()
	var p probing
	p.last.Load = fleet.UnknownLoad()
	for i, c := range []struct{ found, asked, want float64 }{
		{-1, -1, -1}, {0, 0, -1}, {50, 100, 0.5}, {140, 200, 0.9}, {140, 200, 0.9}, {1, 10, 0.1}, {11, 20, 1}, {-1, -1, -1},
	} {
		got := p.hits(c.found, c.asked)
		if diff := got - c.want; diff > 1e-9 || diff < -1e-9 {
			t.Errorf("look %d: %v, want %v", i, got, c.want)
		}
		p.last.Load.Hits = got
	}
}

// FuzzLoad feeds the reader texts that are none: it must not fail, and tells nothing that is not a share or a count.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"vllm", "vllm-old", "sglang", "llamacpp", "tgi", "trtllm", "ovms", "weir"} {
		f.Add(metricsText(f, name))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for i := range kinds {
			if kinds[i].load == nil {
				continue
			}
			r := kinds[i].load.read(text)
			if r.load.Waiting < -1 || r.load.Running < -1 || r.load.KVUsed > 1 || r.load.Hits > 1 || r.cache < 0 || r.load.KVUsed < 0 && r.load.KVUsed != -1 {
				t.Errorf("%s: %+v", kinds[i].name, r)
			}
		}
	})
}

// BenchmarkLoad reads what a vLLM with all its histograms tells, some 200 KB.
func BenchmarkLoad(b *testing.B) {
	text := append(metricsText(b, "vllm"), strings.Repeat("vllm:time_to_first_token_seconds_bucket{engine=\"0\",le=\"0.001\",model_name=\"qwen3-8b\"} 12345.0\n", 2000)...)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if r := vllmLoad.read(text); r.load.Running != 7 {
			b.Fatal(r.load)
		}
	}
}
