package openai

import (
	"encoding/json"

	"github.com/weir-ai/weir/llm"
)

// chunk is what is read of a remote engine's frame by somebody who wants its fields: a chunk of a stream, or an answer in one piece.
type chunk struct {
	Choices []struct {
		Index    int      `json:"index"`
		Delta    *message `json:"delta"`
		Message  *message `json:"message"`
		Text     string   `json:"text"`
		Finish   string   `json:"finish_reason"`
		TokenIDs []int32  `json:"token_ids"`
		Stop     any      `json:"stop_reason"`
	} `json:"choices"`
	Usage *struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		PromptMore *struct {
			Cached int `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
		CompletionMore *struct {
			Reasoning int `json:"reasoning_tokens"`
		} `json:"completion_tokens_details"`
	} `json:"usage"`
}

type message struct {
	Content   string `json:"content"`
	Reasoning string `json:"reasoning_content"`
	Thought   string `json:"reasoning"` // the same under OpenRouter's and newer vLLM's name
	Calls     []struct {
		Index    *int   `json:"index"`
		ID       string `json:"id"`
		Function struct {
			Name      string `json:"name"`
			Arguments string `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
}

// DecodeFrame reads a remote engine's frame in full: the events that an engine in this process would have told in its place. The
// log-probabilities are not among them.
func DecodeFrame(task llm.Task, frame []byte) ([]llm.Event, error) {
	var c chunk
	if err := json.Unmarshal(frame, &c); err != nil {
		return nil, err
	}
	var out []llm.Event
	for _, choice := range c.Choices {
		said := choice.Delta
		if said == nil {
			said = choice.Message
		}
		if said == nil {
			said = &message{Content: choice.Text}
		}
		out = append(out, said.events(choice.Index, choice.TokenIDs)...)
		if choice.Finish != "" {
			f := llm.Finish{Reason: llm.FinishReason(choice.Finish)}
			f.Stop, _ = choice.Stop.(string)
			out = append(out, llm.Event{Kind: llm.EventFinish, Choice: choice.Index, Finish: f})
		}
	}
	if u := c.Usage; u != nil {
		e := llm.Event{Kind: llm.EventUsage, Usage: llm.Usage{PromptTokens: u.Prompt, CompletionTokens: u.Completion}}
		if u.PromptMore != nil {
			e.Usage.CachedTokens = u.PromptMore.Cached
		}
		if u.CompletionMore != nil {
			e.Usage.ReasoningTokens = u.CompletionMore.Reasoning
		}
		out = append(out, e)
	}
	return out, nil
}

// events are those of one choice.
func (m *message) events(choice int, ids []int32) (out []llm.Event) {
	if thought := m.Reasoning + m.Thought; thought != "" {
		if m.Reasoning == m.Thought {
			thought = m.Thought // some servers send both names with the same text
		}
		out = append(out, llm.Event{Kind: llm.EventReasoning, Choice: choice, Text: thought})
	}
	if m.Content != "" || len(ids) > 0 {
		e := llm.Event{Kind: llm.EventDelta, Choice: choice, Text: m.Content}
		for _, id := range ids {
			e.Tokens = append(e.Tokens, llm.TokenLogprob{ID: llm.TokenID(id)})
		}
		out = append(out, e)
	}
	for i, call := range m.Calls {
		d := llm.ToolCallDelta{Index: i, ID: call.ID, Name: call.Function.Name, Arguments: call.Function.Arguments}
		if call.Index != nil {
			d.Index = *call.Index
		}
		out = append(out, llm.Event{Kind: llm.EventToolCall, Choice: choice, Call: &d})
	}
	return out
}
