package openai_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// manner is how one kind of engine answers, as its sources have it. Every fake is one of these, and is named as a fake.
type manner struct {
	kind      string
	owner     string            // owned_by of its models
	paths     map[string]string // what its server answers on other paths
	role      string            // the delta of the first chunk; empty: there is none of its own
	usageLast bool              // the usage comes in the chunk with the finish, and not in one of its own
	usageAll  bool              // every chunk has "usage": null
	noDone    bool              // the stream ends without [DONE]
	busy      func(w http.ResponseWriter)
	streamErr string // an error inside a stream, as one data line
	goesOn    func(body map[string]json.RawMessage) (text string, ok bool)

	bare    bool   // no space behind "data:"
	roleAll bool   // the role is in every delta
	one     bool   // n is not read: there is one choice
	ids     bool   // takes return_token_ids
	thought string // what it calls reasoning, where not reasoning_content
}

// lastAssistant is how engines that continue_final_message are asked to go on.
func lastAssistant(flag string) func(map[string]json.RawMessage) (string, bool) {
	return func(body map[string]json.RawMessage) (string, bool) {
		var list []struct{ Role, Content string }
		if json.Unmarshal(body["messages"], &list) != nil || len(list) == 0 || list[len(list)-1].Role != "assistant" {
			return "", false
		}
		if flag != "" && (string(body[flag]) != "true" || string(body["add_generation_prompt"]) != "false") {
			return "", false
		}
		return list[len(list)-1].Content, true
	}
}

func status(code int, retry, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		if retry != "" {
			w.Header().Set("Retry-After", retry)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// manners are the fakes. What each does was read in its project's sources, which the comment names.
var manners = []manner{
	// vllm-project/vllm, entrypoints/openai/chat_completion/serving.py and engine/protocol.py: role in a chunk of its own, the usage in a
	// last chunk without choices, errors as {"error": {...}}, 503 when the engine is dead; token_ids in each choice and prompt_token_ids
	// in the first chunk when asked for; chat_completion/protocol.py: "reasoning".
	{kind: "vllm", owner: "vllm", ids: true, thought: "reasoning", role: `{"role":"assistant","content":""}`, paths: map[string]string{"/version": `{"version":"0.32.0"}`, "/health": "",
		"/metrics": "vllm:num_requests_waiting{model_name=\"up\"} 3.0\nvllm:num_requests_running{model_name=\"up\"} 2.0\nvllm:kv_cache_usage_perc{model_name=\"up\"} 0.25\nvllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"1000\"} 1.0\n"},
		busy: status(503, "", `{"error":{"message":"The engine is overloaded","type":"ServiceUnavailableError","param":null,"code":503}}`), streamErr: `{"error":{"message":"EngineCore died","type":"InternalServerError","param":null,"code":500}}`,
		goesOn: lastAssistant("continue_final_message")},
	// sgl-project/sglang, srt/entrypoints/openai/serving_chat.py: every chunk may have "usage": null; a full queue is a 503 from
	// --max-queued-requests; errors inside a stream as {"error": {...}}.
	{kind: "sglang", owner: "sglang", role: `{"role":"assistant","content":""}`, usageAll: true, paths: map[string]string{"/get_server_info": `{"mem_fraction_static":0.88,"version":"0.5.23"}`, "/health": "",
		"/metrics": "sglang:num_running_reqs{model_name=\"up\"} 4.0\nsglang:num_queue_reqs{model_name=\"up\"} 1.0\nsglang:token_usage{model_name=\"up\"} 0.5\n"},
		busy: status(503, "", `{"object":"error","message":"The request queue is full.","type":"ServiceUnavailable","code":503}`), streamErr: `{"error":{"object":"error","message":"abort","type":"InternalServerError","code":500}}`,
		goesOn: lastAssistant("continue_final_message")},
	// huggingface/text-generation-inference, router/src/server.rs: 429 {"error": "Model is overloaded", "error_type": "overloaded"};
	// router/src/chat.rs: the role in every delta, one choice, the usage in a chunk of its own with an empty id; router/src/infer/mod.rs:
	// errors in a stream as {"error": {"message", "http_status_code": 422}}; chat_template.rs: a last message of the assistant is gone on
	// with. Axum writes no space behind "data:".
	{kind: "tgi", owner: "up", role: "", bare: true, roleAll: true, one: true, paths: map[string]string{"/info": `{"model_id":"up","max_total_tokens":4096,"version":"3.3.7"}`, "/health": "", "/metrics": "tgi_queue_size 7\ntgi_batch_current_size 3\n"},
		busy: status(429, "", `{"error":"Model is overloaded","error_type":"overloaded"}`), streamErr: `{"error":{"message":"Request failed during generation: out of memory","http_status_code":422}}`,
		goesOn: lastAssistant("")},
	// NVIDIA/TensorRT-LLM, tensorrt_llm/serve/openai_server.py: vLLM's protocol classes, metrics under /prometheus/metrics, errors as
	// {"object": "error", ...}.
	{kind: "trtllm", owner: "tensorrt_llm", role: `{"role":"assistant","content":""}`, paths: map[string]string{"/prometheus/metrics": "trtllm_num_requests_waiting 2\ntrtllm_num_requests_running 5\ntrtllm_kv_cache_utilization 0.75\n", "/version": `{"version":"1.2.0"}`, "/health": ""},
		busy: status(503, "", `{"object":"error","message":"too many requests","type":"ServiceUnavailable","code":503}`), streamErr: `{"object":"error","message":"executor error","type":"InternalError","code":500}`},
	// ollama/ollama, openai/openai.go (no n) and server/sched.go: the usage in a last chunk of its own when asked for, 503 with these
	// words.
	{kind: "ollama", owner: "library", one: true, thought: "reasoning", role: `{"role":"assistant","content":""}`, paths: map[string]string{"/": "Ollama is running", "/api/version": `{"version":"0.17.4"}`},
		busy: status(503, "", `{"error":{"message":"server busy, please try again.  maximum pending requests exceeded","type":"api_error","param":null,"code":null}}`), streamErr: `{"error":{"message":"llama runner process no longer running","type":"api_error"}}`},
	// OpenAI's API as its specification has it: Retry-After with a 429, the usage in a chunk of its own, "usage": null before.
	{kind: "openai", owner: "system", role: `{"role":"assistant","content":"","refusal":null}`, usageAll: true,
		busy: status(429, "7", `{"error":{"message":"Rate limit reached","type":"requests","param":null,"code":"rate_limit_exceeded"}}`), streamErr: `{"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}`},
	// A server that puts the usage beside the finish and says nothing at the end, as some proxies do.
	{kind: "openai", owner: "proxy", usageLast: true, noDone: true, busy: status(529, "", `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`), streamErr: `{"error":{"type":"overloaded_error","message":"Overloaded"}}`},
}

// fake is an engine that answers as a manner says: the words of a fixed text, one a chunk.
type fake struct {
	*httptest.Server
	manner
	mu     sync.Mutex
	bodies []map[string]json.RawMessage
	left   chan time.Time // a client went before the end
}

// script of what the fake is asked to do, in the last message's content.
const (
	askBusy  = "be busy"
	askBreak = "break in the middle"
	askCut   = "cut the line"
	askHang  = "never end"
	askTools = "call a tool"
	askThink = "think first"
	askSplit = "split characters"
)

var fakeWords = []string{"Ein", " schöner", " Tag", " 你好", " 🙂", "!"}

func newFake(t *testing.T, m manner) *fake {
	t.Helper()
	f := &fake{manner: m, left: make(chan time.Time, 16)}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		if r.URL.Path == "/v1/models" {
			fmt.Fprintf(w, `{"object":"list","data":[{"id":"up","object":"model","owned_by":%q,"max_model_len":4096}]}`, f.owner)
			return
		}
		text, ok := f.paths[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, text)
		return
	}
	var body map[string]json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, `{"error":{"message":"no JSON"}}`, http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	f.bodies = append(f.bodies, body)
	f.mu.Unlock()
	f.answer(w, r, body)
}

// last is the body that came last.
func (f *fake) last() map[string]json.RawMessage {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bodies[len(f.bodies)-1]
}

func (f *fake) answer(w http.ResponseWriter, r *http.Request, body map[string]json.RawMessage) {
	asked := string(body["messages"]) + string(body["prompt"])
	if strings.Contains(asked, askBusy) {
		f.busy(w)
		return
	}
	if string(body["model"]) != `"up"` {
		status(404, "", `{"error":{"message":"The model does not exist","type":"NotFoundError","code":404}}`)(w)
		return
	}
	n := 1
	if !f.one {
		_ = json.Unmarshal(body["n"], &n)
	}
	words := fakeWords
	if f.goesOn != nil {
		if text, ok := f.goesOn(body); ok {
			words = after(text)
		}
	}
	if string(body["stream"]) != "true" {
		w.Header().Set("Content-Type", "application/json")
		var choices []string
		for i := range n {
			content, _ := json.Marshal(strings.Join(words, ""))
			choices = append(choices, fmt.Sprintf(`{"index":%d,"message":{"role":"assistant","content":%s},"logprobs":null,"finish_reason":"stop"}`, i, content))
		}
		fmt.Fprintf(w, `{"id":"c","object":"chat.completion","created":1,"model":"up","choices":[%s],"usage":{"prompt_tokens":5,"completion_tokens":%d,"total_tokens":11}}`, strings.Join(choices, ","), n*len(words))
		return
	}
	f.stream(w, r, body, asked, words, n)
}

// after is what of the fixed words follows a text.
func after(text string) []string {
	for i := range fakeWords {
		if strings.Join(fakeWords[:i], "") == text {
			return fakeWords[i:]
		}
	}
	return fakeWords
}

func (f *fake) stream(w http.ResponseWriter, r *http.Request, body map[string]json.RawMessage, asked string, words []string, n int) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	out := http.NewResponseController(w)
	write := func(s string) {
		if f.bare {
			s = strings.Replace(s, "data: ", "data:", 1)
		}
		if strings.Contains(asked, askSplit) {
			for i := range len(s) { // a byte at a time, in the middle of characters and of lines
				_, _ = w.Write([]byte{s[i]})
				if i%7 == 0 {
					_ = out.Flush()
				}
			}
		} else {
			_, _ = io.WriteString(w, s)
		}
		_ = out.Flush()
	}
	usage := ""
	if f.usageAll {
		usage = `,"usage":null`
	}
	chunk := func(choice int, rest string) {
		write(fmt.Sprintf("data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"up\",\"choices\":[{\"index\":%d,%s}]%s}\n\n", choice, rest, usage))
	}
	write(": a comment that keeps the line open\n\n")
	told := usage
	if f.ids && string(body["return_token_ids"]) == "true" {
		usage += `,"prompt_token_ids":[7,8,9]`
	}
	for i := range n {
		if f.role != "" {
			chunk(i, `"delta":`+f.role+`,"finish_reason":null`)
		}
		usage = told
	}
	switch {
	case strings.Contains(asked, askTools):
		chunk(0, `"delta":{"tool_calls":[{"index":0,"id":"t1","type":"function","function":{"name":"add","arguments":""}}]},"finish_reason":null`)
		chunk(0, `"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":1}"}}]},"finish_reason":null`)
		chunk(0, `"delta":{},"finish_reason":"tool_calls"`)
		write("data: [DONE]\n\n")
		return
	case strings.Contains(asked, askThink):
		chunk(0, `"delta":{"`+cmp.Or(f.thought, "reasoning_content")+`":"hm"},"finish_reason":null`)
	}
	for i, word := range words {
		for c := range n {
			text, _ := json.Marshal(word)
			delta, ids := `"content":`+string(text), ""
			if f.roleAll {
				delta = `"role":"assistant",` + delta
			}
			if f.ids && string(body["return_token_ids"]) == "true" {
				ids = fmt.Sprintf(`"token_ids":[%d],`, 100+len(fakeWords)-len(words)+i)
			}
			chunk(c, ids+`"delta":{`+delta+`},"logprobs":{"content":[{"token":`+string(text)+`,"logprob":-0.5,"bytes":null,"top_logprobs":[]}]},"finish_reason":null`)
		}
		switch {
		case i == 2 && strings.Contains(asked, askBreak):
			write("data: " + f.streamErr + "\n\n")
			return
		case i == 2 && strings.Contains(asked, askCut):
			panic(http.ErrAbortHandler)
		case i == 2 && strings.Contains(asked, askHang):
			<-r.Context().Done()
			f.left <- time.Now()
			return
		}
	}
	told = fmt.Sprintf(`{"prompt_tokens":5,"completion_tokens":%d,"total_tokens":11,"prompt_tokens_details":{"cached_tokens":2}}`, n*len(words))
	wanted := strings.Contains(string(body["stream_options"]), `"include_usage":true`)
	for c := range n {
		if f.usageLast && c == n-1 {
			usage = `,"usage":` + told
		}
		chunk(c, `"delta":{},"finish_reason":"stop"`)
	}
	if wanted && !f.usageLast {
		write("data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"up\",\"choices\":[],\"usage\":" + told + "}\r\n\r\n")
	}
	if !f.noDone {
		write("data: [DONE]\n\n")
	}
}
