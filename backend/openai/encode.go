package openai

import (
	"encoding/json"
	"fmt"

	"github.com/weir-ai/weir/llm"
)

// body is a request as OpenAI's API takes it, with vLLM's words where OpenAI has none. What is at its default is left out: not every
// engine knows every word.
type body struct {
	Model       string                  `json:"model"`
	Messages    []json.RawMessage       `json:"messages,omitempty"`
	Prompt      any                     `json:"prompt,omitempty"`
	Tools       []json.RawMessage       `json:"tools,omitempty"`
	ToolChoice  any                     `json:"tool_choice,omitempty"`
	Format      any                     `json:"response_format,omitempty"`
	Stream      bool                    `json:"stream,omitempty"`
	N           int                     `json:"n,omitempty"`
	MaxTokens   int                     `json:"max_tokens,omitempty"`
	MinTokens   int                     `json:"min_tokens,omitempty"`
	Stop        []string                `json:"stop,omitempty"`
	StopTokens  []llm.TokenID           `json:"stop_token_ids,omitempty"`
	IgnoreEOS   bool                    `json:"ignore_eos,omitempty"`
	Temperature *float64                `json:"temperature,omitempty"`
	TopP        *float64                `json:"top_p,omitempty"`
	TopK        int                     `json:"top_k,omitempty"`
	MinP        float64                 `json:"min_p,omitempty"`
	Presence    float64                 `json:"presence_penalty,omitempty"`
	Frequency   float64                 `json:"frequency_penalty,omitempty"`
	Repetition  float64                 `json:"repetition_penalty,omitempty"`
	Bias        map[llm.TokenID]float64 `json:"logit_bias,omitempty"`
	Seed        *int64                  `json:"seed,omitempty"`
	User        string                  `json:"user,omitempty"`
	Effort      string                  `json:"reasoning_effort,omitempty"`
	Kwargs      json.RawMessage         `json:"chat_template_kwargs,omitempty"`
	Metadata    map[string]string       `json:"metadata,omitempty"`
}

// encode makes the body of a request that was made inside Weir. What only the embedded engine tells, such as log-probabilities by event,
// is not asked for.
func encode(r *llm.Request) ([]byte, error) {
	s, l := r.Sampling, r.Limits
	b := body{
		Model: string(r.Model), Stream: r.Stream, MaxTokens: l.MaxTokens, MinTokens: l.MinTokens, Stop: l.Stop, StopTokens: l.StopTokens, IgnoreEOS: l.IgnoreEOS,
		TopK: s.TopK, MinP: s.MinP, Presence: s.Presence, Frequency: s.Frequency, Bias: s.Bias, Seed: s.Seed, User: r.User, Metadata: r.Metadata,
		Effort: r.Template.ReasoningEffortHint, Kwargs: r.Template.Kwargs,
	}
	if r.N > 1 {
		b.N = r.N
	}
	if s.Temperature != 1 {
		b.Temperature = &s.Temperature
	}
	if s.TopP != 1 && s.TopP > 0 {
		b.TopP = &s.TopP
	}
	if s.Repetition != 1 {
		b.Repetition = s.Repetition
	}
	if !r.Format.Free() {
		b.Format = map[string]any{"type": r.Format.Kind}
		if r.Format.Schema != nil {
			b.Format = map[string]any{"type": r.Format.Kind, "json_schema": r.Format.Schema}
		}
	}
	for _, t := range r.Tools {
		raw := t.Raw
		if raw == nil {
			var err error
			if raw, err = json.Marshal(map[string]any{"type": "function", "function": map[string]any{"name": t.Name, "description": t.Description, "parameters": t.Parameters}}); err != nil {
				return nil, fmt.Errorf("tool %q: %w", t.Name, err)
			}
		}
		b.Tools = append(b.Tools, raw)
	}
	switch r.ToolChoice.Mode {
	case "":
	case "function":
		b.ToolChoice = map[string]any{"type": "function", "function": map[string]string{"name": r.ToolChoice.Name}}
	default:
		b.ToolChoice = r.ToolChoice.Mode
	}
	if r.Task == llm.Completion {
		b.Prompt = prompts(r.Prompts)
		return json.Marshal(b)
	}
	for i, m := range r.Messages {
		raw, err := message(m)
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", i, err)
		}
		b.Messages = append(b.Messages, raw)
	}
	return json.Marshal(b)
}

// message is a message as it came, or made of its fields.
func message(m llm.Message) (json.RawMessage, error) {
	if m.Raw != nil {
		return m.Raw, nil
	}
	made := map[string]any{"role": m.Role, "content": m.Text()}
	for name, v := range map[string]string{"name": m.Name, "reasoning_content": m.Reasoning, "tool_call_id": m.ToolCallID} {
		if v != "" {
			made[name] = v
		}
	}
	var calls []any
	for _, c := range m.ToolCalls {
		calls = append(calls, map[string]any{"id": c.ID, "type": "function", "function": map[string]string{"name": c.Name, "arguments": c.Arguments}})
	}
	if calls != nil {
		made["tool_calls"] = calls
	}
	return json.Marshal(made)
}

// prompts are one text, one list of ids, or a list of either.
func prompts(list []llm.Prompt) any {
	out := make([]any, len(list))
	for i, p := range list {
		if out[i] = any(p.Text); p.Tokens != nil {
			out[i] = p.Tokens
		}
	}
	if len(out) == 1 {
		return out[0]
	}
	return out
}
