package openai

import (
	"encoding/json"
	"math"
	"slices"

	"github.com/weir-ai/weir/llm"
)

// chatTable has every field of a chat completion that OpenAI or vLLM documents.
var chatTable = common(
	honoured("messages", readMessages),
	whole("max_tokens", 1, math.MaxInt32, func(d *decoder, n int64) { d.asked.maxTokens = n }),
	whole("max_completion_tokens", 1, math.MaxInt32, func(d *decoder, n int64) { d.asked.maxCompletionTokens = n }),
	truth("logprobs", func(d *decoder, b bool) { d.asked.logprobs = b }),
	whole("top_logprobs", 0, logprobsMax, func(d *decoder, n int64) { d.asked.topLogprobs = n }),
	honoured("reasoning_effort", readReasoningEffort),
	honoured("chat_template_kwargs", readTemplateKwargs),
	truth("add_generation_prompt", func(d *decoder, b bool) { d.asked.addGenerationPrompt = &b }),
	truth("continue_final_message", func(d *decoder, b bool) { d.req.Template.ContinueFinal = b }),
	truth("add_special_tokens", func(d *decoder, b bool) { d.req.Template.AddSpecial = b }),
	honoured("tool_choice", readToolChoice),
	passed("tools", isEmpty, "the model cannot call tools here; leave it out"),
	passed("functions", isEmpty, "the model cannot call functions here; leave it out"),
	passed("function_call", isOneOf("none", "auto"), `the model cannot call functions here; send "none" or leave it out`),
	passed("parallel_tool_calls", isBool, "it is true or false"),
	passed("modalities", isListOf("text"), `answers are text; send ["text"] or leave it out`),
	passed("verbosity", isOneOf("medium"), `say it in the prompt; send "medium" or leave it out`),
	refused("audio", "answers are text; leave it out"),
	refused("prediction", "the answer is the same without it; leave it out"),
	refused("web_search_options", "nothing is searched; leave it out"),
	refused("chat_template", "the model's own template is used; /v1/completions takes a prompt that you rendered"),
	passed("documents", isEmpty, "a template that knows documents reads them from chat_template_kwargs"),
	passed("echo", isFalse, "use continue_final_message, and put the last message before the answer"),
	passed("include_reasoning", isTrue, "drop reasoning_content from the answer in its place"),
	passed("media_io_kwargs", isEmpty, "messages are text; leave it out"),
	passed("mm_processor_kwargs", isEmpty, "messages are text; leave it out"),
	passed("return_prompt_text", isFalse, "/apply-template tells the rendered prompt"),
	passed("return_assistant_tokens_mask", isFalse, "leave it out"),
)

// DecodeChat reads the body of POST /v1/chat/completions. The request refers to body, which must not change after. Every error is an
// *llm.Error with the field as its Param.
func DecodeChat(body []byte, o Options) (*llm.Request, error) {
	req, err := DecodeApplyTemplate(body, o)
	if err == nil && req.Model == "" {
		return nil, modelMissing()
	}
	return req, err
}

// DecodeApplyTemplate reads the body of POST /apply-template, llama.cpp's: a chat whose prompt is told in place of its answer. It
// takes every field that a chat takes, and the model may be left out.
func DecodeApplyTemplate(body []byte, o Options) (*llm.Request, error) {
	d := newDecoder(llm.Chat, body, o)
	v, err := object(body)
	if err != nil {
		return nil, err
	}
	if err := d.fields(v, chatTable, "/v1/completions", completionTable); err != nil {
		return nil, err
	}
	if err := d.settleChat(); err != nil {
		return nil, err
	}
	return d.req, nil
}

func modelMissing() error {
	return llm.InvalidField("model", "model is missing; name one of those that GET /v1/models lists.")
}

// settleChat checks what several fields of a chat say together.
func (d *decoder) settleChat() error {
	a, r := &d.asked, d.req
	if !a.messages {
		return llm.InvalidField("messages", "messages is missing; send a list of messages such as {\"role\": \"user\", \"content\": \"Hello\"}.")
	}
	if a.maxTokens != 0 && a.maxCompletionTokens != 0 && a.maxTokens != a.maxCompletionTokens {
		return llm.InvalidField("max_completion_tokens", "max_completion_tokens is %d and max_tokens is %d; send one of them.", a.maxCompletionTokens, a.maxTokens)
	}
	r.Limits.MaxTokens = int(max(a.maxTokens, a.maxCompletionTokens))
	switch {
	case a.logprobs:
		r.Report.Logprobs = int(a.topLogprobs)
	case a.topLogprobs > 0:
		return llm.InvalidField("top_logprobs", "top_logprobs is %d but logprobs is not true; send \"logprobs\": true, too.", a.topLogprobs)
	}
	if err := d.settleTemplate(); err != nil {
		return err
	}
	return d.settle()
}

// settleTemplate checks what the fields about the chat template say together.
func (d *decoder) settleTemplate() error {
	t := &d.req.Template
	if add := d.asked.addGenerationPrompt; add != nil {
		if *add && t.ContinueFinal {
			return llm.InvalidField("continue_final_message", "continue_final_message and add_generation_prompt are both true; the answer either continues the last message or begins a new one.")
		}
		t.NoGenerationPrompt = !*add
	}
	return nil
}

// settle checks what the fields that both endpoints share say together.
func (d *decoder) settle() error {
	a, r := &d.asked, d.req
	if r.Limits.MaxTokens > 0 && r.Limits.MinTokens > r.Limits.MaxTokens {
		return llm.InvalidField("min_tokens", "min_tokens is %d, more than the %d tokens that the answer may have; lower it.", r.Limits.MinTokens, r.Limits.MaxTokens)
	}
	if a.bestOf != 0 && a.bestOf != int64(r.N) {
		return llm.InvalidField("best_of", "best_of is %d and n is %d, but choosing the best of more answers is not supported; use the same number or leave it out.", a.bestOf, r.N)
	}
	if a.streamOptions && !r.Stream {
		return llm.InvalidField("stream_options", "stream_options needs \"stream\": true; leave it out for an answer in one piece, which has its usage always.")
	}
	if a.promptLogprobs && r.Stream {
		return llm.InvalidField("prompt_logprobs", "prompt_logprobs are not told in a stream; send \"stream\": false.")
	}
	if r.Going != nil && (r.Choices() > 1 || r.Report.Echo) {
		return llm.InvalidField("continue_tokens", "continue_tokens goes on with one answer; send n 1 and no echo.")
	}
	if s := a.safetyIdentifier; s != "" {
		if r.User != "" && r.User != s {
			return llm.InvalidField("safety_identifier", "safety_identifier is %q and user is %q; send one of them.", s, r.User)
		}
		r.User = s
	}
	return nil
}

func readReasoningEffort(d *decoder, v value) error {
	const path = "reasoning_effort"
	s, err := v.asText(path, textMax)
	if err != nil {
		return err
	}
	if known := []string{"none", "minimal", "low", "medium", "high", "xhigh", "max"}; !slices.Contains(known, s) {
		return llm.InvalidField(path, "reasoning_effort is %.60q; it is one of %q.", s, known)
	}
	d.req.Template.ReasoningEffortHint = s
	return nil
}

// ownKwargs are the variables of chat templates that fields of their own set, with what to do in place of a second value.
var ownKwargs = map[string]string{
	"messages": "send it beside chat_template_kwargs", "add_generation_prompt": "send it beside chat_template_kwargs",
	"continue_final_message": "send it beside chat_template_kwargs", "tools": "the model cannot call tools here",
	"chat_template": "the model's own template is used", "tokenize": "/tokenize tells the tokens",
}

func readTemplateKwargs(d *decoder, v value) error {
	const path = "chat_template_kwargs"
	if !v.object() {
		return wrongType(path, "an object", v)
	}
	n := 0
	for key := range v.members() {
		if fix, ok := ownKwargs[key]; ok {
			return llm.InvalidField(path+"."+key, "chat_template_kwargs must not set %s; %s.", key, fix)
		}
		if n++; n > kwargsMax {
			return llm.InvalidField(path, "chat_template_kwargs has more than %d entries; send fewer.", kwargsMax)
		}
	}
	if n > 0 {
		d.req.Template.Kwargs = json.RawMessage(v)
	}
	return nil
}

// readToolChoice takes what comes to the same without tools: none, and auto, which then calls none.
func readToolChoice(d *decoder, v value) error {
	if !isOneOf("none", "auto")(v) {
		return llm.InvalidField("tool_choice", "tool_choice is %s, but the model cannot call tools here; send \"none\" or leave it out.", v.describe())
	}
	d.req.ToolChoice.Mode = v.text()
	return nil
}
