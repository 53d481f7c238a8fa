package openai

import (
	"strconv"

	"github.com/weir-ai/weir/llm"
)

// Tokenize is what POST /tokenize asks, in vLLM's shape: the tokens of a text, or of a chat's prompt.
type Tokenize struct {
	Model      llm.ModelID // empty where the body names none
	Text       string
	Chat       *llm.Request // nil for a text
	AddSpecial bool         // the model's own start and end tokens, too
	Strings    bool         // the tokens' strings, too
}

// Detokenize is what POST /detokenize asks.
type Detokenize struct {
	Model  llm.ModelID // empty where the body names none
	Tokens []llm.TokenID
}

// tokenizeTable has vLLM's fields of both forms.
var tokenizeTable = []field{
	honoured("model", readModel),
	honoured("prompt", func(d *decoder, v value) (err error) {
		d.asked.prompt = true
		d.asked.text, err = v.asText("prompt", len(v))
		return err
	}),
	honoured("messages", readMessages),
	truth("add_special_tokens", func(d *decoder, b bool) { d.asked.addSpecial = &b }),
	truth("return_token_strs", func(d *decoder, b bool) { d.asked.tokenTexts = b }),
	truth("add_generation_prompt", func(d *decoder, b bool) { d.asked.addGenerationPrompt = &b }),
	truth("continue_final_message", func(d *decoder, b bool) { d.req.Template.ContinueFinal = b }),
	honoured("chat_template_kwargs", readTemplateKwargs),
	refused("chat_template", "the model's own template is used; send the text that you rendered as prompt"),
	passed("tools", isEmpty, "the model cannot call tools here; leave it out"),
	passed("media_io_kwargs", isEmpty, "messages are text; leave it out"),
	passed("mm_processor_kwargs", isEmpty, "messages are text; leave it out"),
}

var detokenizeTable = []field{
	honoured("model", readModel),
	honoured("tokens", func(d *decoder, v value) (err error) {
		d.asked.tokensGiven = true
		d.asked.tokens, err = v.asTokens("tokens", promptTokensMax)
		return err
	}),
}

// DecodeTokenize reads the body of POST /tokenize. A text has the special tokens by default, a chat has not: its template writes
// them. The result refers to body, which must not change after.
func DecodeTokenize(body []byte, o Options) (Tokenize, error) {
	d := newDecoder(llm.Chat, body, o)
	v, err := object(body)
	if err != nil {
		return Tokenize{}, err
	}
	if err := d.fields(v, tokenizeTable, "", nil); err != nil {
		return Tokenize{}, err
	}
	a, r := &d.asked, d.req
	t := Tokenize{Model: r.Model, Text: a.text, AddSpecial: a.prompt, Strings: a.tokenTexts}
	if a.addSpecial != nil {
		t.AddSpecial = *a.addSpecial
	}
	switch {
	case !a.prompt && !a.messages:
		return Tokenize{}, llm.InvalidField("prompt", "prompt is missing; send a text as prompt, or a chat as messages.")
	case a.prompt && a.messages:
		return Tokenize{}, llm.InvalidField("prompt", "prompt and messages are both given; send one of them.")
	case a.prompt && (a.addGenerationPrompt != nil || r.Template.ContinueFinal || r.Template.Kwargs != nil):
		return Tokenize{}, llm.InvalidField("prompt", "add_generation_prompt, continue_final_message and chat_template_kwargs belong to messages and mean nothing for a prompt; leave them out.")
	case a.prompt:
		return t, nil
	}
	r.Template.AddSpecial, r.Template.ReturnTokenStrings = t.AddSpecial, t.Strings
	t.Chat = r
	return t, d.settleTemplate()
}

// AppendTokenize appends the answer of /tokenize; strs is nil where nobody asked for strings.
func AppendTokenize(dst []byte, ids []llm.TokenID, strs []string, maxModelLen int) []byte {
	dst = append(dst, `{"count":`...)
	dst = strconv.AppendInt(dst, int64(len(ids)), 10)
	dst = append(dst, `,"max_model_len":`...)
	dst = strconv.AppendInt(dst, int64(maxModelLen), 10)
	dst = append(dst, `,"tokens":[`...)
	for i, id := range ids {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(id), 10)
	}
	dst = append(dst, `],"token_strs":`...)
	if strs == nil {
		return append(dst, "null}"...)
	}
	dst = append(dst, '[')
	for i, s := range strs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, s)
	}
	return append(dst, "]}"...)
}

// DecodeDetokenize reads the body of POST /detokenize.
func DecodeDetokenize(body []byte, o Options) (Detokenize, error) {
	d := newDecoder(llm.Completion, body, o)
	v, err := object(body)
	if err != nil {
		return Detokenize{}, err
	}
	if err := d.fields(v, detokenizeTable, "", nil); err != nil {
		return Detokenize{}, err
	}
	if !d.asked.tokensGiven {
		return Detokenize{}, llm.InvalidField("tokens", "tokens is missing; send a list of token ids.")
	}
	return Detokenize{Model: d.req.Model, Tokens: d.asked.tokens}, nil
}

// AppendDetokenize appends the answer of /detokenize.
func AppendDetokenize(dst []byte, text string) []byte { return appendPrompt(dst, text) }

// AppendApplyTemplate appends the answer of /apply-template.
func AppendApplyTemplate(dst []byte, prompt string) []byte { return appendPrompt(dst, prompt) }

func appendPrompt(dst []byte, text string) []byte {
	dst = append(dst, `{"prompt":`...)
	dst = appendString(dst, text)
	return append(dst, '}')
}
