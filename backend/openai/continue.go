package openai

import (
	"bytes"
	"fmt"
	"strconv"

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
	case q.continues == fleet.ContinuesNot || g.Text == "":
		return nil, &llm.Error{Kind: llm.Upstream, Fault: llm.FaultTask, Message: fmt.Sprintf("An endpoint of kind %s cannot go on with this answer.", q.name)}
	case task == llm.Completion:
		prompt := wire.Get(body, fields, "prompt")
		if len(prompt) < 2 || prompt[0] != '"' {
			return nil, &llm.Error{Kind: llm.Upstream, Fault: llm.FaultTask, Message: "Only a prompt of text can be gone on with."}
		}
		said := wire.AppendQuoted(nil, g.Text)
		whole := append(append([]byte(nil), prompt[:len(prompt)-1]...), said[1:]...)
		return []wire.Member{{Name: "prompt", Value: whole}, drop}, nil
	}
	messages, err := withAnswer(wire.Get(body, fields, "messages"), g)
	if err != nil {
		return nil, err
	}
	set := []wire.Member{{Name: "messages", Value: messages}, drop}
	if q.prefill {
		return set, nil
	}
	return append(set, wire.Member{Name: "continue_final_message", Value: []byte("true")}, wire.Member{Name: "add_generation_prompt", Value: []byte("false")}), nil
}

// withAnswer is a list of messages with what was said of the answer as the assistant's last.
func withAnswer(messages []byte, g *llm.Continuation) ([]byte, error) {
	list := bytes.TrimRight(messages, " \t\r\n")
	if len(list) < 2 || list[0] != '[' || list[len(list)-1] != ']' {
		return nil, &llm.Error{Kind: llm.Invalid, Param: "messages", Message: "messages must be a list."}
	}
	out := append([]byte(nil), list[:len(list)-1]...)
	if len(bytes.TrimSpace(out)) > 1 {
		out = append(out, ',')
	}
	out = wire.AppendQuoted(append(out, `{"role":"assistant","content":`...), g.Text)
	if g.Reasoning != "" {
		out = wire.AppendQuoted(append(out, `,"reasoning_content":`...), g.Reasoning)
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
