package openai

import (
	"bytes"
	"math"
	"strconv"

	"github.com/weir-ai/weir/fleet"
)

// loadNames are what an engine calls its load in the Prometheus text format. Each list has the newest name first, and the first that is
// there counts: engines rename, and an old one must not read as idle. A name may be followed by one label and its value, as in
// `x{state="waiting"}`, to take no other samples.
type loadNames struct {
	waiting, running []string // gauges of requests; summed over their labels
	kv, hits         []string // gauges of shares; the mean over their labels
	found, asked     []string // counters of prompt tokens: those found in the prefix cache, of those looked up
	used, total      []string // gauges of blocks of the cache, where no share is told
	// The prefix cache's size is blocks times tokens: two gauges, or two labels of the gauge info.
	info, blocks, tokens string
	build                string // a gauge whose label version is the server's
}

var (
	// vllm: v1/metrics/loggers.py. The names with gpu_ are those before 0.10.
	vllmLoad = loadNames{
		waiting: []string{"vllm:num_requests_waiting"}, running: []string{"vllm:num_requests_running"},
		kv:    []string{"vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"},
		found: []string{"vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits"},
		asked: []string{"vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries"},
		info:  "vllm:cache_config_info", blocks: "num_gpu_blocks", tokens: "block_size",
	}
	// sglang: srt/metrics/collector.py.
	sglangLoad = loadNames{
		waiting: []string{"sglang:num_queue_reqs"}, running: []string{"sglang:num_running_reqs"}, kv: []string{"sglang:token_usage"}, hits: []string{"sglang:cache_hit_rate"},
		info: "sglang:cache_config_info", blocks: "num_pages", tokens: "page_size",
	}
	// llama.cpp: tools/server. It tells no use of its cache any more.
	llamacppLoad = loadNames{waiting: []string{"llamacpp:requests_deferred"}, running: []string{"llamacpp:requests_processing"}, kv: []string{"llamacpp:kv_cache_usage_ratio"}}
	// text-generation-inference: backends/v3/src/queue.rs and backend.rs.
	tgiLoad = loadNames{waiting: []string{"tgi_queue_size"}, running: []string{"tgi_batch_current_size"}}
	// TensorRT-LLM: tensorrt_llm/metrics/collector.py.
	trtllmLoad = loadNames{
		waiting: []string{"trtllm_num_requests_waiting"}, running: []string{"trtllm_num_requests_running"},
		kv: []string{"trtllm_kv_cache_utilization"}, hits: []string{"trtllm_kv_cache_hit_rate"},
		blocks: "trtllm_kv_cache_max_blocks", tokens: "trtllm_kv_cache_tokens_per_block",
	}
	// model_server: docs/metrics.md. A graph is one request for text; ovms_infer_req_queue_size is the size of a pool, not of a queue.
	ovmsLoad = loadNames{running: []string{"ovms_current_graphs"}}
	// Weir: app/metrics.go for the embedded engine; a Weir before others tells what it is answering.
	weirLoad = loadNames{
		waiting: []string{`weir_engine_sequences{state="waiting"}`}, running: []string{`weir_engine_sequences{state="running"}`, "weir_requests_in_flight"},
		used: []string{`weir_engine_kv_blocks{state="used"}`}, total: []string{`weir_engine_kv_blocks{state="total"}`},
		found: []string{"weir_cached_tokens_total"}, asked: []string{"weir_prompt_tokens_total"}, build: "weir_build_info",
	}
)

// reading is what one look at an engine's metrics found.
type reading struct {
	load         fleet.Load
	found, asked float64 // counters; -1 where they are not told
	cache        int     // tokens; 0 where it is not told
	version      string
}

// read reads a text of metrics. What is not in it is unknown.
func (n *loadNames) read(text []byte) reading {
	r := reading{load: fleet.UnknownLoad()}
	count := func(names []string) int {
		if s := pick(text, names); s.n > 0 && s.sum >= 0 && s.sum < math.MaxInt32 {
			return int(s.sum)
		}
		return -1
	}
	share := func(names []string) float64 {
		if s := pick(text, names); s.n > 0 {
			return min(max(s.sum/float64(s.n), 0), 1)
		}
		return -1
	}
	r.load.Waiting, r.load.Running = count(n.waiting), count(n.running)
	r.load.KVUsed, r.load.Hits = share(n.kv), share(n.hits)
	if total := pick(text, n.total); total.sum > 0 {
		if used := pick(text, n.used); used.n > 0 {
			r.load.KVUsed = min(max(used.sum/total.sum, 0), 1)
		}
	}
	r.found, r.asked = -1, -1
	if found, asked := pick(text, n.found), pick(text, n.asked); found.n > 0 && asked.n > 0 {
		r.found, r.asked = found.sum, asked.sum
	}
	r.cache = n.cacheTokens(text)
	if n.build != "" {
		samples(text, n.build, func(labels []byte, _ float64) { r.version = string(label(labels, "version")) })
	}
	return r
}

// cacheTokens is how many tokens the prefix cache holds, over all engines of the server.
func (n *loadNames) cacheTokens(text []byte) int {
	var tokens float64
	switch {
	case n.info != "":
		samples(text, n.info, func(labels []byte, _ float64) {
			blocks, _ := strconv.ParseFloat(string(label(labels, n.blocks)), 64)
			block, _ := strconv.ParseFloat(string(label(labels, n.tokens)), 64)
			tokens += blocks * block
		})
	case n.blocks != "":
		blocks, block := pick(text, []string{n.blocks}), pick(text, []string{n.tokens})
		if block.n > 0 {
			tokens = blocks.sum * block.sum / float64(block.n)
		}
	}
	if !(tokens >= 1 && tokens < 1<<40) { // a server that is still starting says None, which is nothing
		return 0
	}
	return int(tokens)
}

// sum is the sum of n samples.
type sum struct {
	sum float64
	n   int
}

// pick sums the samples of the first name that has any.
func pick(text []byte, names []string) (s sum) {
	for _, name := range names {
		samples(text, name, func(_ []byte, v float64) { s.sum += v; s.n++ })
		if s.n > 0 {
			return s
		}
	}
	return s
}

// samples calls do for each sample of a name, with its labels between their braces. Ranks of tensor and pipeline parallelism beyond the
// first tell the same requests once more and are left out.
func samples(text []byte, name string, do func(labels []byte, v float64)) {
	wanted := ""
	if at := bytes.IndexByte([]byte(name), '{'); at >= 0 {
		name, wanted = name[:at], name[at+1:len(name)-1]
	}
	for at := 0; ; {
		n := bytes.Index(text[at:], []byte(name))
		if n < 0 {
			return
		}
		begin := at + n
		at = begin + len(name)
		if begin > 0 && text[begin-1] != '\n' || at >= len(text) || text[at] != '{' && text[at] != ' ' && text[at] != '\t' {
			continue // inside a comment, or of a longer name
		}
		line := text[at:]
		if end := bytes.IndexByte(line, '\n'); end >= 0 {
			line = line[:end]
		}
		labels, v, ok := sample(line)
		if !ok || wanted != "" && !bytes.Contains(labels, []byte(wanted)) || laterRank(labels, "tp_rank") || laterRank(labels, "pp_rank") {
			continue
		}
		do(labels, v)
	}
}

// sample splits what follows a name: labels in braces, a value, and perhaps a time.
func sample(line []byte) (labels []byte, v float64, ok bool) {
	if line[0] == '{' {
		end := labelsEnd(line)
		if end < 0 {
			return nil, 0, false
		}
		labels, line = line[1:end], line[end+1:]
	}
	line = bytes.TrimSpace(line)
	if end := bytes.IndexAny(line, " \t"); end >= 0 {
		line = line[:end]
	}
	v, err := strconv.ParseFloat(string(line), 64)
	return labels, v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}

// labelsEnd is the place of the brace that ends the labels; values may hold braces.
func labelsEnd(line []byte) int {
	quoted := false
	for i := 1; i < len(line); i++ {
		switch {
		case quoted && line[i] == '\\':
			i++
		case line[i] == '"':
			quoted = !quoted
		case line[i] == '}' && !quoted:
			return i
		}
	}
	return -1
}

// label is the value of a label, as it is escaped; nil where there is none.
func label(labels []byte, name string) []byte {
	for rest := labels; ; {
		n := bytes.Index(rest, []byte(name+`="`))
		if n < 0 {
			return nil
		}
		value := rest[n+len(name)+2:]
		if n == 0 || rest[n-1] == ',' || rest[n-1] == ' ' {
			end := bytes.IndexByte(value, '"')
			if end < 0 {
				return nil
			}
			return value[:end]
		}
		rest = value
	}
}

// laterRank reports whether a sample comes from a rank that is not the first.
func laterRank(labels []byte, name string) bool {
	v := label(labels, name)
	return v != nil && string(v) != "0" && string(v) != ""
}
