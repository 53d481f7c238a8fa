package openai

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
)

// Bodies are what the named engine sends, by its source or by having been asked.
func TestClassifyNamesWhatAnEndpointRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, kind string
		status     int
		body       string
		want       llm.Kind
		fault      llm.Fault
		message    string // a part of what the client reads
		param      string
		code       string
	}{
		{"OpenAI: a wrong key", "openai", 401, `{"error":{"message":"Incorrect API key provided: sk-abc. You can find your API key at https://platform.openai.com/account/api-keys.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`, llm.Upstream, llm.FaultConfig, "The endpoint e1 refuses this server's key", "", ""},
		{"a key that may not", "openai", 403, `{"error":{"message":"x"}}`, llm.Upstream, llm.FaultConfig, "e1 refuses", "", ""},
		{"OpenAI: nothing left to spend", "openai", 429, `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`, llm.Upstream, llm.FaultConfig, "nothing left to spend", "", ""},
		{"DeepSeek: nothing left to spend", "cloud", 402, `{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}`, llm.Upstream, llm.FaultConfig, "nothing left to spend", "", ""},
		{"OpenAI: too fast", "openai", 429, `{"error":{"message":"Rate limit reached for gpt-4o","type":"tokens","param":null,"code":"rate_limit_exceeded"}}`, llm.Overloaded, llm.FaultBusy, "e1 is full", "", ""},
		{"OpenAI: a bad value", "openai", 400, `{"error":{"message":"Invalid 'temperature': decimal above maximum value.","type":"invalid_request_error","param":"temperature","code":"decimal_above_max_value"}}`, llm.Invalid, llm.FaultNone, "Invalid 'temperature'", "temperature", "decimal_above_max_value"},
		{"OpenAI: too long", "openai", 400, `{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`, llm.TooLong, llm.FaultNone, "8192 tokens", "messages", ""},
		{"vLLM: too long", "vllm", 400, `{"error":{"message":"This model's maximum context length is 2048 tokens. However, you requested 4000 tokens.","type":"BadRequestError","param":"input_tokens","code":400}}`, llm.TooLong, llm.FaultNone, "2048 tokens", "input_tokens", ""},
		{"vLLM before 0.10: a bad value", "vllm", 400, `{"object":"error","message":"temperature must be non-negative, got -1.0.","type":"BadRequestError","param":null,"code":400}`, llm.Invalid, llm.FaultNone, "non-negative", "", ""},
		{"vLLM: no such model", "vllm", 404, "{\"error\":{\"message\":\"The model `x` does not exist.\",\"type\":\"NotFoundError\",\"param\":\"model\",\"code\":404}}", llm.Upstream, llm.FaultConfig, "does not exist", "", ""},
		{"vLLM: the engine is dead", "vllm", 500, `{"error":{"message":"EngineCore encountered an issue.","type":"InternalServerError","param":null,"code":500}}`, llm.Upstream, llm.FaultStatus, "status 500", "", ""},
		{"SGLang: too long", "sglang", 400, `{"object":"error","message":"Requested token count exceeds the model's maximum context length of 4096 tokens.","type":"BadRequest","param":null,"code":400}`, llm.TooLong, llm.FaultNone, "4096", "", ""},
		{"SGLang: full", "sglang", 503, `{"object":"error","message":"The request queue is full.","type":"SERVICE_UNAVAILABLE","param":null,"code":503}`, llm.Overloaded, llm.FaultBusy, "full", "", ""},
		{"llama.cpp: loading", "llamacpp", 503, `{"error":{"message":"Loading model","type":"unavailable_error","code":503}}`, llm.Overloaded, llm.FaultBusy, "full", "", ""},
		{"llama.cpp: too long", "llamacpp", 400, `{"error":{"code":400,"message":"request (3003 tokens) exceeds the available context size (512 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":3003,"n_ctx":512}}`, llm.TooLong, llm.FaultNone, "context size", "", ""},
		{"llama.cpp: thinks", "llamacpp", 400, `{"error":{"code":400,"message":"Assistant response prefill is incompatible with enable_thinking.","type":"invalid_request_error"}}`, llm.Upstream, llm.FaultTask, "cannot go on", "", ""},
		{"TGI: full", "tgi", 429, `{"error":"Model is overloaded","error_type":"overloaded"}`, llm.Overloaded, llm.FaultBusy, "full", "", ""},
		{"TGI: too long", "tgi", 422, "{\"error\":\"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 3000 `inputs` tokens and 20 `max_new_tokens`\",\"error_type\":\"validation\"}", llm.TooLong, llm.FaultNone, "2048", "", ""},
		{"TGI: a bad value", "tgi", 422, "{\"error\":\"Input validation error: `temperature` must be strictly positive\",\"error_type\":\"validation\"}", llm.Invalid, llm.FaultNone, "strictly positive", "", ""},
		{"TGI: failed", "tgi", 424, `{"error":"Request failed during generation: CUDA out of memory","error_type":"generation"}`, llm.Upstream, llm.FaultStatus, "424", "", ""},
		{"Ollama: full", "ollama", 503, `{"error":{"message":"server busy, please try again.  maximum pending requests exceeded","type":"api_error","param":null,"code":null}}`, llm.Overloaded, llm.FaultBusy, "full", "", ""},
		{"Ollama: no such model", "ollama", 404, `{"error":{"message":"model 'x' not found","type":"not_found_error","param":null,"code":null}}`, llm.Upstream, llm.FaultConfig, "not found", "", ""},
		{"OVMS: no such model", "ovms", 404, `{"error":"Mediapipe graph definition with requested name is not found"}`, llm.Upstream, llm.FaultConfig, "not found", "", ""},
		{"an address without a scheme", "openai", 400, `{"error":{"message":"refused by (10.0.0.7:8000), try 10.0.0.8."}}`, llm.Invalid, llm.FaultNone, "refused by (address) try (address)", "", ""},
		{"LiteLLM: a bad value", "litellm", 400, `{"error":{"message":"litellm.BadRequestError: see http://10.0.0.7:8000/v1 for details","type":null,"param":null,"code":"400"}}`, llm.Invalid, llm.FaultNone, "see (address) for details", "", ""},
		{"LiteLLM: too long", "litellm", 400, `{"error":{"message":"litellm.ContextWindowExceededError: too long","type":null,"param":null,"code":"400"}}`, llm.TooLong, llm.FaultNone, "too long", "", ""},
		{"FastAPI: a wrong path", "vllm", 404, `{"detail":"Not Found"}`, llm.Upstream, llm.FaultConfig, "Not Found", "", ""},
		{"FastAPI: a bad field", "trtllm", 422, `{"detail":[{"loc":["body","n"],"msg":"bad"}]}`, llm.Invalid, llm.FaultNone, `"msg":"bad"`, "", ""},
		{"nothing at all", "openai", 404, "", llm.Upstream, llm.FaultConfig, "no such path", "", ""},
		{"nothing at all", "openai", 400, "", llm.Invalid, llm.FaultNone, "no reason", "", ""},
		{"a page of a proxy", "openai", 502, "<html><body>Bad Gateway</body></html>", llm.Upstream, llm.FaultStatus, "status 502", "", ""},
		{"Anthropic: full", "cloud", 529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, llm.Overloaded, llm.FaultBusy, "full", "", ""},
		{"a timeout of a proxy", "openai", 408, "", llm.Upstream, llm.FaultStatus, "408", "", ""},
		{"a redirect", "openai", 308, "", llm.Upstream, llm.FaultConfig, "redirect", "", ""},
		{"a body that is too large", "openai", 413, `{"error":null,"message":"too large"}`, llm.TooLarge, llm.FaultNone, "too large", "", ""},
	} {
		e := classify(quirkOf(c.kind), c.status, http.Header{}, []byte(c.body), "e1")
		if e.Kind != c.want || e.Fault != c.fault || !strings.Contains(e.Public(), c.message) || e.Param != c.param || e.Code != c.code {
			t.Errorf("%s: got %v, %v, %q, param %q, code %q", c.name, e.Kind, e.Fault, e.Public(), e.Param, e.Code)
		}
		if strings.Contains(e.Public(), "sk-abc") || strings.Contains(e.Public(), "10.0.0.7") {
			t.Errorf("%s tells too much: %q", c.name, e.Public())
		}
	}
}

func TestClassifyFrameNamesErrorsInsideAnAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, kind, frame string
		want              llm.Kind
		fault             llm.Fault
	}{
		{"vLLM", "vllm", `{"error":{"message":"EngineCore encountered an issue.","type":"InternalServerError","param":null,"code":500}}`, llm.Upstream, llm.FaultStream},
		{"vLLM before 0.10", "vllm", `{"object":"error","message":"x","type":"BadRequestError","param":null,"code":400}`, llm.Invalid, llm.FaultNone},
		{"SGLang: full", "sglang", `{"error":{"object":"error","message":"The request queue is full.","type":"SERVICE_UNAVAILABLE","param":null,"code":503}}`, llm.Overloaded, llm.FaultBusy},
		{"a code beside the error", "openai", `{"error":"x","code":503}`, llm.Overloaded, llm.FaultBusy},
		{"a code beside the error's object", "openai", `{"error":{"message":"x"},"code":"429"}`, llm.Overloaded, llm.FaultBusy},
		{"TGI: full", "tgi", `{"error":{"message":"Model is overloaded","http_status_code":422}}`, llm.Overloaded, llm.FaultBusy},
		{"TGI: failed", "tgi", `{"error":{"message":"Request failed during generation: x","http_status_code":422}}`, llm.Upstream, llm.FaultStream},
		{"TGI's own stream", "tgi", `{"error":"Model is overloaded","error_type":"overloaded"}`, llm.Overloaded, llm.FaultBusy},
		{"Triton", "openai", `{"error":"in ensemble: out of memory"}`, llm.Upstream, llm.FaultStream},
		{"llama.cpp", "llamacpp", `{"error":{"code":500,"message":"compute failed","type":"server_error"}}`, llm.Upstream, llm.FaultStream},
		{"OpenAI: too fast", "openai", `{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}`, llm.Overloaded, llm.FaultBusy},
		{"Anthropic: full", "cloud", `{"error":{"message":"Overloaded","type":"overloaded_error"}}`, llm.Overloaded, llm.FaultBusy},
		{"too long, by its words", "sglang", `{"error":{"message":"the prompt is longer than the model's context length (4096)","type":"x"}}`, llm.TooLong, llm.FaultNone},
		{"flat", "trtllm", `{"object":"error","message":"Internal server error","type":"InternalServerError","code":500}`, llm.Upstream, llm.FaultStream},
	} {
		if e := classifyFrame(quirkOf(c.kind), []byte(c.frame)); e.Kind != c.want || e.Fault != c.fault || e.Err == nil {
			t.Errorf("%s: got %v, %v, %v", c.name, e.Kind, e.Fault, e)
		}
	}
}

func TestRetryAfterIsReadInEveryForm(t *testing.T) {
	t.Parallel()
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	for _, c := range []struct {
		name, value string
		least, most time.Duration
	}{
		{"Retry-After", "3", 3 * time.Second, 3 * time.Second},
		{"Retry-After", "0", 0, 0},
		{"Retry-After", "0.5", 500 * time.Millisecond, 500 * time.Millisecond},
		{"Retry-After", "60", time.Minute, time.Minute},
		{"Retry-After", "61", time.Minute, time.Minute},
		{"Retry-After", "1e300", time.Minute, time.Minute},
		{"Retry-After", "-1", 0, 0},
		{"Retry-After", "NaN", 0, 0},
		{"Retry-After", "soon", 0, 0},
		{"Retry-After", in(20 * time.Second), 15 * time.Second, 20 * time.Second},
		{"Retry-After", in(-20 * time.Second), 0, 0},
		{"Retry-After", in(time.Hour), time.Minute, time.Minute},
		{"Retry-After-Ms", "1500", 1500 * time.Millisecond, 1500 * time.Millisecond},
		{"Retry-After-Ms", "60001", time.Minute, time.Minute},
		{"Retry-After-Ms", "1e300", time.Minute, time.Minute},
	} {
		h := http.Header{}
		h.Set(c.name, c.value)
		if got := retryAfter(h); got < c.least || got > c.most {
			t.Errorf("%s: %s gives %s, want %s to %s", c.name, c.value, got, c.least, c.most)
		}
	}
}

func TestMessagesOfOthersAreBounded(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{messageMax: messageMax, messageMax + 1: messageMax + len("...")} {
		e := classify(quirkOf("openai"), 400, http.Header{}, []byte(strings.Repeat("x", n)), "e1")
		if len(e.Public()) != want {
			t.Errorf("%d bytes become %d, want %d", n, len(e.Public()), want)
		}
	}
	if e := classify(quirkOf("openai"), 400, http.Header{}, []byte("a\n\tb  c"), "e1"); e.Public() != "a b c" {
		t.Errorf("not one line: %q", e.Public())
	}
}
