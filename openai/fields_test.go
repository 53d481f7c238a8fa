package openai

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/weir-ai/weir/llm"
)

// trials tries the rows of one endpoint's table and remembers which.
type trials struct {
	t      *testing.T
	decode func(body []byte, o Options) (*llm.Request, error)
	rest   string // the members that every body needs
	table  []field

	honoured, passed, refused map[string]bool
}

func newTrials(t *testing.T, table []field, decode func([]byte, Options) (*llm.Request, error), rest string) *trials {
	return &trials{t: t, decode: decode, rest: rest, table: table, honoured: map[string]bool{}, passed: map[string]bool{}, refused: map[string]bool{}}
}

// body has the given members, and those that every body needs and that are not among them. Members may come in any order.
func (tr *trials) body(members string) []byte {
	body := "{" + members
	for _, m := range strings.Split(tr.rest, ";") {
		name, _, _ := strings.Cut(m, ":")
		if !strings.HasPrefix(members, name+":") && !strings.Contains(members, ","+name+":") {
			body += "," + m
		}
	}
	return []byte(body + "}")
}

// honour checks that members are accepted and what they make of the request.
func (tr *trials) honour(members string, got func(r *llm.Request) any, want any) {
	tr.t.Helper()
	r, err := tr.decode(tr.body(members), Options{})
	if err != nil {
		tr.t.Errorf("%s: %v", members, err)
		return
	}
	if g := got(r); !reflect.DeepEqual(g, want) {
		tr.t.Errorf("%s makes %#v, want %#v", members, g, want)
	}
	tr.honoured[nameOf(members)] = true
}

// pass checks that each value is accepted and changes nothing.
func (tr *trials) pass(name string, values ...string) {
	tr.t.Helper()
	plain, err := tr.decode(tr.body(`"user":null`), Options{})
	if err != nil {
		tr.t.Fatal(err)
	}
	plain.Body = nil
	for _, v := range values {
		r, err := tr.decode(tr.body(fmt.Sprintf("%q:%s", name, v)), Options{})
		if err != nil {
			tr.t.Errorf("%s %s: %v", name, v, err)
			continue
		}
		if r.Body = nil; !reflect.DeepEqual(clear(r), clear(plain)) {
			tr.t.Errorf("%s %s changes the request", name, v)
		}
	}
	tr.passed[name] = true
}

// clear drops what shows only where in the body a thing stood.
func clear(r *llm.Request) llm.Request {
	c := *r
	c.ToolChoice = llm.ToolChoice{}
	return c
}

// refuse checks that members are refused: by which field, and with which words in the message.
func (tr *trials) refuse(members, param, problem string) {
	tr.t.Helper()
	_, err := tr.decode(tr.body(members), Options{IgnoreUnknown: true})
	if err == nil {
		tr.t.Errorf("%s is accepted", members)
		return
	}
	got := llm.AsError(err)
	if got.Kind != llm.Invalid || got.Param != param || !strings.Contains(got.Message, problem) || !strings.Contains(got.Message, strings.FieldsFunc(param, func(r rune) bool { return r == '[' || r == '.' })[0]) {
		tr.t.Errorf("%s: %s, param %q, %q; want param %q and %q", members, got.Kind, got.Param, got.Message, param, problem)
	}
	tr.refused[nameOf(members)] = true
}

func nameOf(members string) string { return strings.Split(members, `"`)[1] }

// complete checks that every row was tried both ways, and that null is the same as leaving the field out.
func (tr *trials) complete(required ...string) {
	tr.t.Helper()
	seen := map[string]bool{}
	for _, f := range tr.table {
		if seen[f.name] {
			tr.t.Errorf("%s has two rows", f.name)
		}
		seen[f.name] = true
		switch {
		case f.read != nil && !(tr.honoured[f.name] && tr.refused[f.name]):
			tr.t.Errorf("%s is honoured; try a value that is and one that cannot be", f.name)
		case f.read == nil && f.neutral != nil && !(tr.passed[f.name] && tr.refused[f.name]):
			tr.t.Errorf("%s is passed; try a neutral value and another", f.name)
		case f.read == nil && f.neutral == nil && !tr.refused[f.name]:
			tr.t.Errorf("%s is refused; try a value", f.name)
		}
		if !slices.Contains(required, f.name) {
			tr.pass(f.name, "null")
		}
	}
	for name := range maps.Keys(tr.honoured) {
		if !seen[name] {
			tr.t.Errorf("%s was tried and has no row", name)
		}
	}
}

// common tries the rows that both endpoints share.
func (tr *trials) common() {
	sampling := func(set func(s *llm.Sampling)) llm.Sampling { s := llm.NewSampling(); set(&s); return s }
	seen := func(r *llm.Request) any { return r.Sampling }
	tr.honour(`"model":"a/b:c"`, func(r *llm.Request) any { return r.Model }, llm.ModelID("a/b:c"))
	tr.honour(`"temperature":0`, seen, sampling(func(s *llm.Sampling) { s.Temperature = 0 }))
	tr.honour(`"temperature":2.0`, seen, sampling(func(s *llm.Sampling) { s.Temperature = 2 }))
	tr.honour(`"top_p":0.9`, seen, sampling(func(s *llm.Sampling) { s.TopP = 0.9 }))
	tr.honour(`"top_p":0`, seen, sampling(func(s *llm.Sampling) { s.TopP = llm.TopPLeast }))
	tr.honour(`"top_k":40`, seen, sampling(func(s *llm.Sampling) { s.TopK = 40 }))
	tr.honour(`"top_k":-1`, seen, sampling(func(s *llm.Sampling) {}))
	tr.honour(`"top_k":0`, seen, sampling(func(s *llm.Sampling) {}))
	tr.honour(`"min_p":0.05`, seen, sampling(func(s *llm.Sampling) { s.MinP = 0.05 }))
	tr.honour(`"presence_penalty":-2`, seen, sampling(func(s *llm.Sampling) { s.Presence = -2 }))
	tr.honour(`"frequency_penalty":2`, seen, sampling(func(s *llm.Sampling) { s.Frequency = 2 }))
	tr.honour(`"repetition_penalty":1.1`, seen, sampling(func(s *llm.Sampling) { s.Repetition = 1.1 }))
	tr.honour(`"logit_bias":{"0":-100,"50256":1.5}`, seen, sampling(func(s *llm.Sampling) { s.Bias = map[llm.TokenID]float64{0: -100, 50256: 1.5} }))
	tr.honour(`"logit_bias":{}`, seen, sampling(func(s *llm.Sampling) {}))
	seed := func(r *llm.Request) any { return *r.Sampling.Seed }
	tr.honour(`"seed":-9223372036854775808`, seed, int64(-1<<63))
	tr.honour(`"seed":0`, seed, int64(0))

	limits := func(r *llm.Request) any { r.Limits.MaxTokens = 0; return r.Limits }
	tr.honour(`"stop":"\n\n"`, limits, llm.Limits{Stop: []string{"\n\n"}})
	tr.honour(`"stop":["a","b"]`, limits, llm.Limits{Stop: []string{"a", "b"}})
	tr.honour(`"stop":[]`, limits, llm.Limits{})
	tr.honour(`"stop_token_ids":[0,7]`, limits, llm.Limits{StopTokens: []llm.TokenID{0, 7}})
	tr.honour(`"stop_token_ids":[]`, limits, llm.Limits{})
	tr.honour(`"min_tokens":3`, limits, llm.Limits{MinTokens: 3})
	tr.honour(`"ignore_eos":true`, limits, llm.Limits{IgnoreEOS: true})
	tr.honour(`"n":2`, func(r *llm.Request) any { return r.Choices() }, 2)
	tr.honour(`"best_of":2,"n":2`, func(r *llm.Request) any { return r.N }, 2)

	report := func(r *llm.Request) any { return r.Report }
	told := func(set func(r *llm.Report)) llm.Report { r := llm.NewReport(); set(&r); return r }
	tr.honour(`"prompt_logprobs":0`, report, told(func(r *llm.Report) { r.PromptLogprobs = 0 }))
	tr.honour(`"continue_tokens":{"prompt":[1,2],"answer":[3]}`, func(r *llm.Request) any { return *r.Going }, llm.Continuation{Prompt: []llm.TokenID{1, 2}, Tokens: []llm.TokenID{3}, Count: 1})
	tr.honour(`"return_token_ids":true`, report, told(func(r *llm.Report) { r.TokenIDs = true }))
	tr.honour(`"stream":true`, func(r *llm.Request) any { return r.Stream }, true)
	tr.honour(`"stream_options":{"include_usage":true,"include_obfuscation":false},"stream":true`, report, told(func(r *llm.Report) { r.Usage = true }))
	tr.honour(`"stream_options":{"continuous_usage_stats":true},"stream":true`, report, told(func(r *llm.Report) { r.UsageContinuous = true }))
	tr.honour(`"stream_options":{"include_usage":null},"stream":true`, report, told(func(*llm.Report) {}))
	tr.honour(`"stream_options":{}`, report, told(func(*llm.Report) {}))
	user := func(r *llm.Request) any { return r.User }
	tr.honour(`"user":"u1"`, user, "u1")
	tr.honour(`"safety_identifier":"u2"`, user, "u2")
	tr.honour(`"safety_identifier":"u2","user":"u2"`, user, "u2")
	tr.honour(`"metadata":{"a":"1","b":""}`, func(r *llm.Request) any { return r.Metadata }, map[string]string{"a": "1", "b": ""})

	tr.pass("store", "false")
	tr.pass("service_tier", `"auto"`, `"default"`)
	tr.pass("response_format", `{"type":"text"}`, `{ "type" : "text" }`)
	tr.pass("prompt_cache_key", `"any"`)
	tr.pass("prompt_cache_retention", `"in_memory"`)
	for _, name := range []string{"use_beam_search", "early_stopping", "include_stop_str_in_output", "return_tokens_as_token_ids", "return_token_offsets"} {
		tr.pass(name, "false")
		tr.refuse(fmt.Sprintf("%q:true", name), name, "boolean (true)")
	}
	for _, name := range []string{"skip_special_tokens", "spaces_between_special_tokens"} {
		tr.pass(name, "true")
		tr.refuse(fmt.Sprintf("%q:false", name), name, "boolean (false)")
	}
	for _, name := range []string{"priority", "routed_experts_prompt_start"} {
		tr.pass(name, "0", "0.0", "-0")
		tr.refuse(fmt.Sprintf("%q:1", name), name, "number (1)")
	}
	for _, name := range []string{"bad_words", "logprob_token_ids"} {
		tr.pass(name, "[]")
		tr.refuse(fmt.Sprintf("%q:[1]", name), name, "list ([1])")
	}
	for _, name := range []string{"structured_outputs", "kv_transfer_params", "ec_transfer_params", "vllm_xargs"} {
		tr.pass(name, "{}")
		tr.refuse(fmt.Sprintf(`%q:{"a":1}`, name), name, "an object")
	}
	tr.pass("length_penalty", "1", "1.0")
	tr.pass("thinking_token_budget", "-1")
	tr.pass("stream_interval", "1")
	for _, name := range []string{
		"prompt_cache_options", "moderation", "truncate_prompt_tokens", "truncation_side", "allowed_token_ids", "guided_json", "guided_regex", "guided_choice",
		"guided_grammar", "guided_decoding_backend", "guided_whitespace_pattern", "request_id", "session_id", "cache_salt", "repetition_detection",
	} {
		tr.refuse(fmt.Sprintf(`%q:"x"`, name), name, name+" is not supported; ")
	}
}

// commonRefusals tries what the rows that both endpoints share cannot take.
func (tr *trials) commonRefusals() {
	tr.refuse(`"model":7`, "model", "must be a string, but it is a number (7)")
	tr.refuse(`"model":""`, "model", "empty")
	tr.refuse(`"model":null`, "model", "missing")
	tr.refuse(`"temperature":2.1`, "temperature", "from 0 to 2")
	tr.refuse(`"temperature":-0.1`, "temperature", "from 0 to 2")
	tr.refuse(`"temperature":"1"`, "temperature", `must be a number, but it is a string ("1")`)
	tr.refuse(`"temperature":1e999`, "temperature", "from 0 to 2")
	tr.refuse(`"top_p":1.01`, "top_p", "from 0 to 1")
	tr.refuse(`"top_k":-2`, "top_k", "-1 or more")
	tr.refuse(`"top_k":1.5`, "top_k", "whole number")
	tr.refuse(`"min_p":-1`, "min_p", "from 0 to 1")
	tr.refuse(`"presence_penalty":2.5`, "presence_penalty", "from -2 to 2")
	tr.refuse(`"frequency_penalty":true`, "frequency_penalty", "boolean (true)")
	tr.refuse(`"repetition_penalty":0`, "repetition_penalty", "above 0")
	tr.refuse(`"repetition_penalty":3`, "repetition_penalty", "from 0 to 2")
	tr.refuse(`"logit_bias":[1]`, "logit_bias", "an object of token ids")
	for _, key := range []string{"x", "", "-1", "+1", "007", "1.0", "2147483648", "99999999999999999999"} {
		tr.refuse(fmt.Sprintf(`"logit_bias":{%q:1}`, key), "logit_bias", fmt.Sprintf("%q", key))
	}
	tr.refuse(`"logit_bias":{"1":101}`, "logit_bias.1", "from -100 to 100")
	tr.refuse(`"logit_bias":{"1":null}`, "logit_bias.1", "a number")
	tr.refuse(`"seed":1.5`, "seed", "whole number")
	tr.refuse(`"seed":9223372036854775808`, "seed", "from")
	tr.refuse(`"stop":""`, "stop", "empty string")
	tr.refuse(`"stop":["a",""]`, "stop[1]", "empty string")
	tr.refuse(`"stop":["a",1]`, "stop[1]", "a string")
	tr.refuse(`"stop":5`, "stop", "a string or a list of strings")
	tr.refuse(`"stop_token_ids":7`, "stop_token_ids", "a list of token ids")
	tr.refuse(`"stop_token_ids":[1,-1]`, "stop_token_ids[1]", "0 or more")
	tr.refuse(`"stop_token_ids":[2147483648]`, "stop_token_ids[0]", "from 0 to 2147483647")
	tr.refuse(`"min_tokens":-1`, "min_tokens", "0 or more")
	tr.refuse(`"min_tokens":6,"max_tokens":5`, "min_tokens", "more than the 5")
	tr.refuse(`"ignore_eos":1`, "ignore_eos", "true or false")
	tr.refuse(`"n":0`, "n", "from 1 to 128")
	tr.refuse(`"n":129`, "n", "from 1 to 128")
	tr.refuse(`"best_of":2`, "best_of", "n is 1")
	tr.refuse(`"prompt_logprobs":-1`, "prompt_logprobs", "from 0 to 20")
	tr.refuse(`"prompt_logprobs":21`, "prompt_logprobs", "from 0 to 20")
	tr.refuse(`"prompt_logprobs":1,"stream":true`, "prompt_logprobs", "stream")
	tr.refuse(`"continue_tokens":[1]`, "continue_tokens", "an object")
	tr.refuse(`"continue_tokens":{"prompt":[1]}`, "continue_tokens", "both prompt and answer")
	tr.refuse(`"continue_tokens":{"prompt":[1],"answers":[1]}`, "continue_tokens.answers", "answer")
	tr.refuse(`"continue_tokens":{"prompt":[1],"answer":[1]},"n":2`, "continue_tokens", "one answer")
	tr.refuse(`"return_token_ids":"yes"`, "return_token_ids", "true or false")
	tr.refuse(`"stream":"true"`, "stream", "true or false")
	tr.refuse(`"stream_options":true`, "stream_options", "an object")
	tr.refuse(`"stream_options":{"include_usage":true}`, "stream_options", "needs")
	tr.refuse(`"stream_options":{"include_usage":1},"stream":true`, "stream_options.include_usage", "true or false")
	tr.refuse(`"stream_options":{"include_obfuscation":true},"stream":true`, "stream_options.include_obfuscation", "not supported")
	tr.refuse(`"user":["u"]`, "user", "a string")
	tr.refuse(`"safety_identifier":"a","user":"b"`, "safety_identifier", "one of them")
	tr.refuse(`"safety_identifier":5`, "safety_identifier", "a string")
	tr.refuse(`"metadata":"x"`, "metadata", "an object of strings")
	tr.refuse(`"metadata":{"a":1}`, "metadata.a", "a string")
	tr.refuse(`"store":true`, "store", "not stored")
	tr.refuse(`"service_tier":"flex"`, "service_tier", "one tier")
	for _, f := range []string{`{"type":"json_object"}`, `{"type":"json_schema","json_schema":{}}`, `{"type":"text","x":1}`, `{"x":"text"}`, `{}`, `"text"`, `{"type":null}`} {
		tr.refuse(`"response_format":`+f, "response_format", "not supported")
	}
	tr.refuse(`"prompt_cache_key":5`, "prompt_cache_key", "number (5)")
	tr.refuse(`"prompt_cache_retention":"24h"`, "prompt_cache_retention", "in memory")
	tr.refuse(`"length_penalty":0.5`, "length_penalty", "beam search")
	tr.refuse(`"thinking_token_budget":100`, "thinking_token_budget", "max_tokens")
	tr.refuse(`"stream_interval":4`, "stream_interval", "every token")
}

func TestChatFields(t *testing.T) {
	t.Parallel()
	tr := newTrials(t, chatTable, DecodeChat, `"model":"m";"messages":[{"role":"user","content":"hi"}]`)
	tr.common()
	tr.commonRefusals()

	limit := func(r *llm.Request) any { return r.Limits.MaxTokens }
	tr.honour(`"user":null`, limit, 0)
	tr.honour(`"max_tokens":5`, limit, 5)
	tr.honour(`"max_completion_tokens":6`, limit, 6)
	tr.honour(`"max_completion_tokens":6,"max_tokens":6`, limit, 6)
	tr.honour(`"max_completion_tokens":null,"max_tokens":7`, limit, 7)
	logprobs := func(r *llm.Request) any { return r.Report.Logprobs }
	tr.honour(`"logprobs":true`, logprobs, 0)
	tr.honour(`"logprobs":false`, logprobs, -1)
	tr.honour(`"logprobs":false,"top_logprobs":0`, logprobs, -1)
	tr.honour(`"top_logprobs":20,"logprobs":true`, logprobs, 20)
	effort := func(r *llm.Request) any { return r.Template.ReasoningEffortHint }
	for _, e := range []string{"none", "minimal", "low", "medium", "high", "xhigh", "max"} {
		tr.honour(fmt.Sprintf(`"reasoning_effort":%q`, e), effort, e)
	}
	kwargs := func(r *llm.Request) any { return string(r.Template.Kwargs) }
	tr.honour(`"chat_template_kwargs":{"enable_thinking":false, "b":[1]}`, kwargs, `{"enable_thinking":false, "b":[1]}`)
	tr.honour(`"chat_template_kwargs":{}`, kwargs, "")
	template := func(r *llm.Request) any { return r.Template }
	tr.honour(`"add_generation_prompt":false`, template, llm.Template{NoGenerationPrompt: true})
	tr.honour(`"add_generation_prompt":true`, template, llm.Template{})
	tr.honour(`"continue_final_message":true`, template, llm.Template{ContinueFinal: true})
	tr.honour(`"continue_final_message":true,"add_generation_prompt":false`, template, llm.Template{ContinueFinal: true, NoGenerationPrompt: true})
	tr.honour(`"continue_final_message":false,"add_generation_prompt":true`, template, llm.Template{})
	tr.honour(`"add_special_tokens":true`, template, llm.Template{AddSpecial: true})
	tr.honour(`"tool_choice":"none"`, func(r *llm.Request) any { return r.ToolChoice }, llm.ToolChoice{Mode: "none"})
	tr.honour(`"messages":[{"role":"user","content":"x"}]`, func(r *llm.Request) any { return r.Messages[0].Text() }, "x")
	tr.pass("tools", "[]")
	tr.pass("tool_choice", `"none"`, `"auto"`)
	tr.pass("functions", "[]")
	tr.pass("function_call", `"none"`, `"auto"`)
	tr.pass("parallel_tool_calls", "true", "false")
	tr.pass("modalities", `["text"]`)
	tr.pass("verbosity", `"medium"`)
	tr.pass("documents", "[]")
	tr.pass("echo", "false")
	tr.pass("include_reasoning", "true")
	tr.pass("media_io_kwargs", "{}")
	tr.pass("mm_processor_kwargs", "{}")
	tr.pass("return_prompt_text", "false")
	tr.pass("return_assistant_tokens_mask", "false")

	tr.refuse(`"max_tokens":0`, "max_tokens", "1 or more")
	tr.refuse(`"max_tokens":-1`, "max_tokens", "1 or more")
	tr.refuse(`"max_tokens":2147483648`, "max_tokens", "from 1 to")
	tr.refuse(`"max_completion_tokens":6,"max_tokens":5`, "max_completion_tokens", "max_tokens is 5")
	tr.refuse(`"logprobs":5`, "logprobs", "true or false")
	tr.refuse(`"top_logprobs":1`, "top_logprobs", "logprobs is not true")
	tr.refuse(`"top_logprobs":1,"logprobs":false`, "top_logprobs", "logprobs is not true")
	tr.refuse(`"top_logprobs":21,"logprobs":true`, "top_logprobs", "from 0 to 20")
	tr.refuse(`"reasoning_effort":"some"`, "reasoning_effort", `"minimal"`)
	tr.refuse(`"chat_template_kwargs":[]`, "chat_template_kwargs", "an object")
	for name := range ownKwargs {
		tr.refuse(fmt.Sprintf(`"chat_template_kwargs":{"a":1,%q:true}`, name), "chat_template_kwargs."+name, "must not set "+name)
	}
	tr.refuse(`"add_generation_prompt":true,"continue_final_message":true`, "continue_final_message", "both true")
	tr.refuse(`"continue_final_message":1`, "continue_final_message", "true or false")
	tr.refuse(`"add_special_tokens":"no"`, "add_special_tokens", "true or false")
	tr.refuse(`"tool_choice":"required"`, "tool_choice", "cannot call tools")
	tr.refuse(`"tool_choice":{"type":"function","function":{"name":"f"}}`, "tool_choice", "cannot call tools")
	tr.refuse(`"messages":null`, "messages", "missing")
	tr.refuse(`"tools":[{"type":"function"}]`, "tools", "cannot call tools")
	tr.refuse(`"functions":[{}]`, "functions", "cannot call functions")
	tr.refuse(`"function_call":{"name":"f"}`, "function_call", "cannot call functions")
	tr.refuse(`"parallel_tool_calls":"x"`, "parallel_tool_calls", "true or false")
	tr.refuse(`"modalities":["text","audio"]`, "modalities", "answers are text")
	tr.refuse(`"modalities":["audio"]`, "modalities", "answers are text")
	tr.refuse(`"verbosity":"low"`, "verbosity", "in the prompt")
	tr.refuse(`"documents":[{"text":"x"}]`, "documents", "chat_template_kwargs")
	tr.refuse(`"echo":true`, "echo", "continue_final_message")
	tr.refuse(`"include_reasoning":false`, "include_reasoning", "reasoning_content")
	tr.refuse(`"media_io_kwargs":{"a":{}}`, "media_io_kwargs", "messages are text")
	tr.refuse(`"mm_processor_kwargs":{"a":{}}`, "mm_processor_kwargs", "messages are text")
	tr.refuse(`"return_prompt_text":true`, "return_prompt_text", "/apply-template")
	tr.refuse(`"return_assistant_tokens_mask":true`, "return_assistant_tokens_mask", "not supported")
	for _, name := range []string{"audio", "prediction", "web_search_options", "chat_template"} {
		tr.refuse(fmt.Sprintf(`%q:{}`, name), name, name+" is not supported; ")
	}
	tr.complete("model", "messages")
}

func TestCompletionFields(t *testing.T) {
	t.Parallel()
	tr := newTrials(t, completionTable, DecodeCompletion, `"model":"m";"prompt":"hi"`)
	tr.common()
	tr.commonRefusals()

	tr.honour(`"user":null`, func(r *llm.Request) any { return r.Limits.MaxTokens }, 16)
	tr.honour(`"max_tokens":1`, func(r *llm.Request) any { return r.Limits.MaxTokens }, 1)
	report := func(r *llm.Request) any { return r.Report }
	tr.honour(`"logprobs":0`, report, llm.Report{Logprobs: 0, PromptLogprobs: -1})
	tr.honour(`"logprobs":5`, report, llm.Report{Logprobs: 5, PromptLogprobs: -1})
	tr.honour(`"echo":true`, report, llm.Report{Echo: true, Logprobs: -1, PromptLogprobs: -1})
	tr.honour(`"echo":true,"logprobs":2`, report, llm.Report{Echo: true, Logprobs: 2, PromptLogprobs: 2})
	tr.honour(`"echo":true,"logprobs":2,"stream":true`, report, llm.Report{Echo: true, Logprobs: 2, PromptLogprobs: 2})
	tr.honour(`"echo":true,"prompt_logprobs":3`, report, llm.Report{Echo: true, Logprobs: -1, PromptLogprobs: 3})
	tr.honour(`"echo":true,"max_tokens":0,"logprobs":1`, report, llm.Report{Echo: true, EchoOnly: true, Logprobs: 1, PromptLogprobs: 1})
	tr.honour(`"echo":true,"max_tokens":0`, func(r *llm.Request) any { return r.Limits.MaxTokens }, 1)
	prompts := func(r *llm.Request) any { return r.Prompts }
	tr.honour(`"prompt":"a\u00e4"`, prompts, []llm.Prompt{{Text: "aä"}})
	tr.honour(`"prompt":""`, prompts, []llm.Prompt{{}})
	tr.honour(`"prompt":["a","","c"]`, prompts, []llm.Prompt{{Text: "a"}, {}, {Text: "c"}})
	tr.honour(`"prompt":[ 1, 2]`, prompts, []llm.Prompt{{Tokens: []llm.TokenID{1, 2}}})
	tr.honour(`"prompt":[[1],[2,3]]`, prompts, []llm.Prompt{{Tokens: []llm.TokenID{1}}, {Tokens: []llm.TokenID{2, 3}}})
	tr.pass("suffix", `""`)
	tr.pass("add_special_tokens", "true")

	tr.refuse(`"max_tokens":0`, "max_tokens", "echo")
	tr.refuse(`"max_tokens":0,"echo":false`, "max_tokens", "echo")
	tr.refuse(`"max_tokens":-1`, "max_tokens", "0 or more")
	tr.refuse(`"min_tokens":17`, "min_tokens", "more than the 16")
	tr.refuse(`"logprobs":true`, "logprobs", "whole number")
	tr.refuse(`"logprobs":21`, "logprobs", "from 0 to 20")
	tr.refuse(`"echo":1`, "echo", "true or false")
	tr.refuse(`"echo":true,"logprobs":2,"prompt_logprobs":3`, "prompt_logprobs", "the same number")
	tr.refuse(`"prompt":null`, "prompt", "missing")
	tr.refuse(`"prompt":5`, "prompt", "a text, a list of texts")
	tr.refuse(`"prompt":[]`, "prompt", "empty list")
	tr.refuse(`"prompt":[[1],[]]`, "prompt[1]", "empty list")
	tr.refuse(`"prompt":["a",[1]]`, "prompt[1]", "unlike")
	tr.refuse(`"prompt":[[1],"a"]`, "prompt[1]", "unlike")
	tr.refuse(`"prompt":["a",1]`, "prompt[1]", "a text or a list of token ids")
	tr.refuse(`"prompt":[1,"a"]`, "prompt[1]", "whole number")
	tr.refuse(`"prompt":[1,-5]`, "prompt[1]", "0 or more")
	tr.refuse(`"prompt":[{}]`, "prompt[0]", "a text or a list of token ids")
	tr.refuse(`"prompt":{}`, "prompt", "a text, a list of texts")
	tr.refuse(`"suffix":"x"`, "suffix", "fills no gaps")
	tr.refuse(`"add_special_tokens":false`, "add_special_tokens", "token ids")
	tr.refuse(`"prompt_embeds":"x"`, "prompt_embeds", "not supported")
	tr.complete("model", "prompt")
}

func TestRequestSaysWhereItCameFrom(t *testing.T) {
	t.Parallel()
	body := []byte(`{"model":"m","messages":[{"role":"user","content":"hi"}]}`)
	r, err := DecodeChat(body, Options{})
	if err != nil || r.Task != llm.Chat || r.Dialect != llm.DialectOpenAI || string(r.Body) != string(body) || r.N != 1 || r.Stream {
		t.Errorf("chat: %+v, %v", r, err)
	}
	body = []byte(`{"model":"m","prompt":"hi"}`)
	r, err = DecodeCompletion(body, Options{})
	if err != nil || r.Task != llm.Completion || r.Dialect != llm.DialectOpenAI || string(r.Body) != string(body) {
		t.Errorf("completion: %+v, %v", r, err)
	}
}
