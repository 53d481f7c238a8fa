package openai

import (
	"math"

	"github.com/weir-ai/weir/llm"
)

const (
	// completionMaxTokens is what OpenAI's completions generate where max_tokens is not given.
	completionMaxTokens = 16
	// promptTokensMax: the longest contexts of today's models are about a million tokens.
	promptTokensMax = 1 << 20
)

// completionTable has every field of a completion that OpenAI or vLLM documents.
var completionTable = common(
	honoured("prompt", readPrompt),
	whole("max_tokens", 0, math.MaxInt32, func(d *decoder, n int64) { d.asked.maxTokens, d.asked.promptOnly = n, n == 0 }),
	whole("logprobs", 0, logprobsMax, func(d *decoder, n int64) { d.req.Report.Logprobs = int(n) }),
	truth("echo", func(d *decoder, b bool) { d.req.Report.Echo = b }),
	passed("suffix", isNoText, "the model continues a prompt and fills no gaps; leave it out"),
	passed("add_special_tokens", isTrue, "send the prompt as token ids in its place; /tokenize makes them with or without special tokens"),
	refused("prompt_embeds", "send the prompt as text or as token ids"),
)

// DecodeCompletion reads the body of POST /v1/completions. The request refers to body, which must not change after. Every error is
// an *llm.Error with the field as its Param.
func DecodeCompletion(body []byte, o Options) (*llm.Request, error) {
	d := newDecoder(llm.Completion, body, o)
	v, err := object(body)
	if err != nil {
		return nil, err
	}
	if err := d.fields(v, completionTable, "/v1/chat/completions", chatTable); err != nil {
		return nil, err
	}
	if d.req.Model == "" {
		return nil, modelMissing()
	}
	if err := d.settleCompletion(); err != nil {
		return nil, err
	}
	return d.req, nil
}

// settleCompletion checks what several fields of a completion say together.
func (d *decoder) settleCompletion() error {
	a, r := &d.asked, d.req
	if !a.prompt {
		return llm.InvalidField("prompt", "prompt is missing; send a text, a list of texts, a list of token ids or a list of such lists.")
	}
	if n := r.N * len(r.Prompts); n > choicesMax {
		return llm.InvalidField("n", "n is %d for %d prompts, %d answers in all; one request may ask for %d.", r.N, len(r.Prompts), n, choicesMax)
	}
	switch r.Limits.MaxTokens = int(a.maxTokens); {
	case a.promptOnly && !r.Report.Echo:
		return llm.InvalidField("max_tokens", "max_tokens is 0, which asks for nothing; send 1 or more, or \"echo\": true to have the prompt back.")
	case a.promptOnly:
		// An engine reads a prompt in order to generate, so it generates one token, which is neither told nor in the usage.
		r.Limits.MaxTokens, r.Report.EchoOnly = 1, true
	case a.maxTokens == 0:
		r.Limits.MaxTokens = completionMaxTokens
	}
	if r.Report.Echo && r.Report.Logprobs >= 0 {
		if a.promptLogprobs && r.Report.PromptLogprobs != r.Report.Logprobs {
			return llm.InvalidField("prompt_logprobs", "prompt_logprobs is %d and logprobs is %d; with echo both tell of the prompt, so use the same number.", r.Report.PromptLogprobs, r.Report.Logprobs)
		}
		r.Report.PromptLogprobs = r.Report.Logprobs
	}
	return d.settle()
}

// readPrompt reads a text, a list of texts, a list of token ids, or a list of lists of token ids.
func readPrompt(d *decoder, v value) error {
	const path = "prompt"
	d.asked.prompt = true
	switch {
	case v.string():
		d.req.Prompts = []llm.Prompt{{Text: v.text()}}
		return nil
	case !v.list():
		return wrongType(path, "a text, a list of texts, a list of token ids or a list of such lists", v)
	case v.empty():
		return llm.InvalidField(path, "prompt is an empty list; send one text or token id at least.")
	}
	if first := v[skipSpace(v, 1):]; first.number() {
		ids, err := v.asTokens(path, promptTokensMax)
		d.req.Prompts = []llm.Prompt{{Tokens: ids}}
		return err
	}
	for i, item := range v.items() {
		if i == choicesMax {
			return llm.InvalidField(path, "prompt has more than %d prompts; send several requests.", choicesMax)
		}
		p, err := onePrompt(at(path, i), item)
		if err != nil {
			return err
		}
		if len(d.req.Prompts) > 0 && (p.Tokens == nil) != (d.req.Prompts[0].Tokens == nil) {
			return llm.InvalidField(at(path, i), "prompt[%d] is %s unlike those before it; send all as texts or all as token ids.", i, item.kind())
		}
		d.req.Prompts = append(d.req.Prompts, p)
	}
	return nil
}

// onePrompt reads one prompt of a list.
func onePrompt(path string, v value) (llm.Prompt, error) {
	switch {
	case v.string():
		return llm.Prompt{Text: v.text()}, nil
	case v.list() && v.empty():
		return llm.Prompt{}, llm.InvalidField(path, "%s is an empty list; send one token id at least.", path)
	case v.list():
		ids, err := v.asTokens(path, promptTokensMax)
		return llm.Prompt{Tokens: ids}, err
	}
	return llm.Prompt{}, wrongType(path, "a text or a list of token ids", v)
}
