package openai

import (
	"slices"
	"strings"
	"time"

	"github.com/weir-ai/weir/fleet"
)

// quirk is what one kind of engine does otherwise than the others. Paths begin at the root of its server, which is the configured base
// without its last /v1.
type quirk struct {
	name string

	// How it is recognised: by the owner of the models that it lists; else by what a path of it answers with status 200; else by where
	// it is.
	owner string
	sign  sign
	hosts []string // ends of host names

	health  string        // asked in every probe; empty: the list of models is
	metrics []string      // where its load stands, the first that answers; nil: it reports none
	load    *loadNames    // what it is called there
	facts   []fact        // what else it tells of itself
	rest    time.Duration // the least time between two probes, where asking costs something

	usage        bool   // takes stream_options.include_usage
	tokenIDs     bool   // takes return_token_ids, and tells prompt_token_ids and token_ids
	tokenPrompts bool   // takes a completion's prompt as token ids
	tokens       speech // how it is asked for the tokens of a text

	continues fleet.Continues // how it goes on with an answer
	prefill   bool            // it goes on with a last message of the assistant by itself: no member says so
	trims     bool            // it cuts white space off the end of what it goes on with
	thinks    bool            // it goes on behind reasoning, too

	anyModel bool // answers whatever model is named
	guess    bool // its list of models may lack some that it serves
	// busy are texts by which it says that it is full in an answer that does not say so by its status; unable are those by which it
	// says that it cannot go on with an answer after all.
	busy, unable []string
}

// sign is what tells a kind by a GET.
type sign struct {
	path string
	has  []string // every one of these is in the answer
}

// fact is where something stands that a server tells of itself.
type fact struct {
	path   string // of a GET
	member string // of the JSON object that it answers; dots between levels
	what   what
}

type what int

const (
	isVersion what = iota
	isContext      // longest sequence in tokens
	isSlots        // answers that are computed together
	isCache        // tokens that the prefix cache holds
)

// cloudRest is how rarely a provider is asked: its list of models counts as a request there, and says nothing of load.
const cloudRest = time.Minute

// kinds is the one table of what differs between engines. Beside each stands what it was read in, by repository and file; llama.cpp,
// LiteLLM and Weir are run in this package's tests, too. All of them stop computing when the connection is closed, so that there is no
// column for it, and take n, logprobs and content parts as far as their models do.
//
// Recognition goes down the rows and first by owner, because that costs the one request which lists the models; the last row takes
// whatever lists models as OpenAI does.
var kinds = []quirk{
	// openai/sampling.go (continue_tokens), app/fleet.go (the owner), gateway/routes.go.
	{name: "weir", owner: "weir", health: "/readyz", metrics: []string{"/metrics"}, load: &weirLoad,
		tokens: tokensVLLM, usage: true, tokenIDs: true, tokenPrompts: true, continues: fleet.ContinuesTokens, thinks: true},

	// vllm-project/vllm: entrypoints/openai/chat_completion/protocol.py (continue_final_message, return_token_ids and where the ids are
	// told), engine/protocol.py (the owner, max_model_len, errors). Its ids of a chat's prompt cannot be sent back, so that chats go on
	// by text; a completion's can.
	{name: "vllm", owner: "vllm", health: "/health", metrics: []string{"/metrics"}, load: &vllmLoad, facts: []fact{{"/version", "version", isVersion}},
		tokens: tokensVLLM, usage: true, tokenIDs: true, tokenPrompts: true, continues: fleet.ContinuesText, thinks: true},

	// sgl-project/sglang: srt/entrypoints/openai/serving_chat.py takes the last message out, renders the others with a generation prompt
	// and appends its content: reasoning before it is lost. A full queue is a 503, in a stream an error with code 503.
	{name: "sglang", owner: "sglang", health: "/health", metrics: []string{"/metrics"}, load: &sglangLoad, anyModel: true,
		facts: []fact{{"/server_info", "version", isVersion}, {"/server_info", "max_running_requests", isSlots}, {"/server_info", "max_total_num_tokens", isCache},
			{"/get_server_info", "version", isVersion}, {"/get_server_info", "max_running_requests", isSlots}, {"/get_server_info", "max_total_num_tokens", isCache}},
		usage: true, tokenPrompts: true, continues: fleet.ContinuesText, busy: []string{"The request queue is full"}},

	// ggml-org/llama.cpp: tools/server. The last message of an assistant is gone on with unless it was started with
	// --no-prefill-assistant, and not where the template thinks. Only an answer in one piece repeats it. Without --metrics there are none, and it says so with 501.
	{name: "llamacpp", owner: "llamacpp", sign: sign{"/props", []string{`"default_generation_settings"`}}, health: "/health", metrics: []string{"/metrics"}, load: &llamacppLoad,
		facts:  []fact{{"/props", "build_info", isVersion}, {"/props", "total_slots", isSlots}, {"/props", "default_generation_settings.n_ctx", isContext}},
		tokens: tokensLlama, usage: true, tokenPrompts: true, continues: fleet.ContinuesText, prefill: true, anyModel: true, unable: []string{"prefill is incompatible"}},

	// NVIDIA/TensorRT-LLM: tensorrt_llm/serve/openai_protocol.py (the owner), openai_server.py (routes; /metrics is another thing there),
	// tensorrt_llm/metrics/collector.py. Its templates close the last message, so that an answer begins anew.
	{name: "trtllm", owner: "tensorrt_llm", health: "/health", metrics: []string{"/prometheus/metrics"}, load: &trtllmLoad, facts: []fact{{"/version", "version", isVersion}},
		usage: true, tokenPrompts: true, anyModel: true},

	// openvinotoolkit/model_server: src/http_rest_api_handler.cpp (the owner, routes), src/llm/apis/openai_api_handler.cpp,
	// docs/metrics.md. A chat template cannot be left open there.
	{name: "ovms", owner: "OVMS", health: "/v2/health/ready", metrics: []string{"/metrics"}, load: &ovmsLoad, usage: true},

	// huggingface/text-generation-inference: router/src/infer/chat_template.rs goes on with a last message of the assistant and trims
	// it; router/src/lib.rs (Info); router/src/server.rs (metrics, statuses); router/src/infer/mod.rs: an overload in a stream is an
	// error with status 422 like any other.
	{name: "tgi", sign: sign{"/info", []string{`"model_id"`, `"max_total_tokens"`}}, health: "/health", metrics: []string{"/metrics"}, load: &tgiLoad,
		facts: []fact{{"/info", "version", isVersion}, {"/info", "max_total_tokens", isContext}, {"/info", "max_concurrent_requests", isSlots}},
		usage: true, continues: fleet.ContinuesText, prefill: true, trims: true, anyModel: true, busy: []string{"Model is overloaded"}},

	// ollama/ollama: server/routes.go, server/sched.go (ErrMaxQueue), middleware/openai.go. Whether a last message of the assistant is
	// gone on with is up to each model's template (template/template.go, model/renderers), so it is not counted on.
	{name: "ollama", sign: sign{"/", []string{"Ollama is running"}}, health: "/", facts: []fact{{"/api/version", "version", isVersion}},
		usage: true, busy: []string{"server busy, please try again"}},

	// BerriAI/litellm: litellm/proxy/health_endpoints, where newer versions keep their number to themselves. What stands behind it decides
	// what it can do, and it does not say.
	{name: "litellm", sign: sign{"/health/liveliness", []string{"I'm alive!"}}, health: "/health/liveliness", facts: []fact{{"/health/readiness", "litellm_version", isVersion}},
		usage: true, guess: true},

	// Providers: nothing is asked of them but the list of models, and rarely.
	{name: "cloud", hosts: []string{"api.openai.com", ".openai.azure.com", ".services.ai.azure.com", "openrouter.ai", "api.mistral.ai", "api.groq.com", "api.together.xyz",
		"api.fireworks.ai", "api.deepseek.com", "generativelanguage.googleapis.com", "api.anthropic.com", "api.x.ai", "api.cerebras.ai", ".amazonaws.com"},
		usage: true, rest: cloudRest, guess: true},

	{name: "openai", usage: true, guess: true},
}

// Kinds lists the kinds that are known, sorted.
func Kinds() []string {
	names := make([]string, len(kinds))
	for i := range kinds {
		names[i] = kinds[i].name
	}
	slices.Sort(names)
	return names
}

// quirkOf finds a kind's row; the generic one for a kind that is not known.
func quirkOf(kind string) *quirk {
	return find(func(q *quirk) bool { return q.name == kind })
}

// find gives the first row that fits, or the generic one.
func find(fits func(*quirk) bool) *quirk {
	for i := range kinds {
		if fits(&kinds[i]) {
			return &kinds[i]
		}
	}
	return &kinds[len(kinds)-1]
}

// at reports whether a server of this kind is known to be at host.
func (q *quirk) at(host string) bool {
	return slices.ContainsFunc(q.hosts, func(end string) bool { return host == end || strings.HasSuffix(host, end) && end[0] == '.' })
}
