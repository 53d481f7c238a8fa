package mini

import (
	"fmt"
	"slices"

	"github.com/weir-ai/weir/engine/token"
)

// The marks of a conversation, each one token. A turn is its role's mark, its text and the end mark; the model's turn begins
// with markAssistant and it ends it itself. There is no mark for the beginning of everything: the first role's mark is one.
const (
	markSystem    = "<|system|>"
	markUser      = "<|user|>"
	markAssistant = "<|assistant|>"
	markEnd       = "<|end|>"
)

// specials in the order of their ids. The end mark has id 0 and also pads.
func specials() []string { return []string{markEnd, markUser, markAssistant, markSystem} }

// chatTemplate is what the GGUF file carries, in the dialect of Hugging Face. It writes exactly what the model is trained on
// (see encoder); a developer's message counts as the system's; content may be text or a list of parts, of which it takes the
// text.
const chatTemplate = `{%- for message in messages -%}
{%- if message['role'] == 'assistant' -%}
{{- '<|assistant|>' -}}
{%- elif message['role'] in ['system', 'developer'] -%}
{{- '<|system|>' -}}
{%- elif message['role'] == 'user' -%}
{{- '<|user|>' -}}
{%- else -%}
{{- raise_exception('weir-mini knows the roles system, user and assistant, not ' + message['role']) -}}
{%- endif -%}
{%- if message['content'] is string -%}
{{- message['content'] | trim -}}
{%- else -%}
{%- for part in message['content'] if part['type'] == 'text' -%}
{{- part['text'] | trim -}}
{%- endfor -%}
{%- endif -%}
{{- '<|end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|assistant|>' -}}
{%- endif -%}`

// encoder writes conversations as tokens, with the places that the loss counts.
type encoder struct {
	tok                          *token.Tokenizer
	system, user, assistant, end token.ID
}

func newEncoder(tok *token.Tokenizer) (*encoder, error) {
	e := &encoder{tok: tok}
	for _, m := range []struct {
		text string
		id   *token.ID
	}{{markSystem, &e.system}, {markUser, &e.user}, {markAssistant, &e.assistant}, {markEnd, &e.end}} {
		id, ok := tok.Lookup(m.text)
		if !ok || !tok.IsSpecial(id) {
			return nil, fmt.Errorf("the tokenizer has no special token %s; train one with mini.Tokenizer", m.text)
		}
		*m.id = id
	}
	return e, nil
}

// ids of text as it stands in the middle of a turn; the text of a mark in it is ordinary text.
func (e *encoder) text(text string) []token.ID { return e.tok.Encode(text, false, false) }

// prompt is what the chat template makes of one question.
func (e *encoder) prompt(question string) []token.ID {
	return append(append([]token.ID{e.user}, e.text(question)...), e.end, e.assistant)
}

// conversation gives the tokens of questions and their answers one after another, below an optional system message. loss is
// true where a token is the model's to predict: the answers and the ends of them.
func (e *encoder) conversation(system string, questions []Question) (tokens []token.ID, loss []bool) {
	if system != "" {
		tokens = append(append(append(tokens, e.system), e.text(system)...), e.end)
	}
	for _, q := range questions {
		tokens = append(tokens, e.prompt(q.Text)...)
		loss = append(loss, make([]bool, len(tokens)-len(loss))...)
		tokens = append(append(tokens, e.text(q.Answer)...), e.end)
		loss = append(loss, slices.Repeat([]bool{true}, len(tokens)-len(loss))...)
	}
	return tokens, loss
}
