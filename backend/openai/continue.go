package openai

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
	wire "github.com/weir-ai/weir/openai"
)

// continuation lists the members by which this kind of engine goes on with an answer. The error is a FaultTask: another may be able.
func (q *quirk) continuation(task llm.Task, body []byte, fields []llm.Field, g *llm.Continuation) ([]wire.Member, error) {
	drop := wire.Member{Name: "continue_tokens"} // a Weir asked us so; others would not know it, and begin anew
	switch {
	case q.continues == fleet.ContinuesTokens && len(g.Tokens) > 0 && len(g.Prompt) > 0:
		v := appendTokens([]byte(`{"prompt":`), g.Prompt)
		v = appendTokens(append(v, `,"answer":`...), g.Tokens)
		return []wire.Member{{Name: "continue_tokens", Value: append(v, '}')}}, nil
	case q.continues == fleet.ContinuesNot:
		return nil, unable("An endpoint of kind %s cannot go on with an answer.", q.name)
	case task == llm.Completion:
		prompt, err := q.promptSoFar(wire.Get(body, fields, "prompt"), g)
		return []wire.Member{{Name: "prompt", Value: prompt}, drop}, err
	}
	messages, err := q.messagesSoFar(wire.Get(body, fields, "messages"), g)
	if err != nil {
		return nil, err
	}
	set := []wire.Member{{Name: "messages", Value: messages}, drop}
	if q.prefill {
		return set, nil
	}
	return append(set, wire.Member{Name: "continue_final_message", Value: []byte("true")}, wire.Member{Name: "add_generation_prompt", Value: []byte("false")}), nil
}

func unable(format string, args ...any) error {
	return &llm.Error{Kind: llm.Upstream, Fault: llm.FaultTask, Message: fmt.Sprintf(format, args...)}
}

// promptSoFar is a completion's prompt with what was said of its answer: in token ids where both are known and the engine takes them,
// so that the rest is what it would have been.
func (q *quirk) promptSoFar(prompt []byte, g *llm.Continuation) ([]byte, error) {
	switch {
	case q.tokenPrompts && len(g.Prompt) > 0 && len(g.Tokens) > 0:
		return appendTokens(nil, slices.Concat(g.Prompt, g.Tokens)), nil
	case len(prompt) < 2 || prompt[0] != '"':
		return nil, unable("Only a prompt of text can be gone on with.")
	}
	said := wire.AppendQuoted(nil, g.Text)
	return slices.Concat(prompt[:len(prompt)-1], said[1:]), nil
}

// messagesSoFar is a list of messages with what was said of the answer as the assistant's last.
func (q *quirk) messagesSoFar(messages []byte, g *llm.Continuation) ([]byte, error) {
	end, _ := utf8.DecodeLastRuneInString(g.Text)
	switch {
	case g.Text == "":
		return nil, unable("An answer that has only reasoned cannot be gone on with as a message.")
	case g.Reasoning != "" && !q.thinks:
		return nil, unable("An endpoint of kind %s cannot go on behind reasoning.", q.name)
	case q.trims && unicode.IsSpace(end):
		return nil, unable("An endpoint of kind %s cannot go on behind white space.", q.name)
	}
	var list []struct {
		Role llm.Role `json:"role"`
	}
	if err := json.Unmarshal(messages, &list); err != nil {
		return nil, &llm.Error{Kind: llm.Invalid, Param: "messages", Message: "messages must be a list of objects."}
	}
	if n := len(list); q.prefill && n > 0 && list[n-1].Role == llm.RoleAssistant {
		return nil, unable("An endpoint of kind %s cannot go on behind two messages of the assistant.", q.name)
	}
	out := bytes.Clone(messages[:bytes.LastIndexByte(messages, ']')])
	if len(list) > 0 {
		out = append(out, ',')
	}
	out = wire.AppendQuoted(append(out, `{"role":"assistant","content":`...), g.Text)
	if g.Reasoning != "" {
		out = wire.AppendQuoted(append(out, `,"reasoning_content":`...), g.Reasoning)
		out = wire.AppendQuoted(append(out, `,"reasoning":`...), g.Reasoning) // vLLM's newer name for it
	}
	return append(out, "}]"...), nil
}

func appendTokens(dst []byte, ids []llm.TokenID) []byte {
	dst = append(dst, '[')
	for i, id := range ids {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(id), 10)
	}
	return append(dst, ']')
}
