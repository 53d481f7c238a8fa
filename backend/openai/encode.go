package openai

import (
	"encoding/json"
	"fmt"
	"slices"

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
	MaxTokens   *int                    `json:"max_tokens,omitempty"`
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

	StreamOptions  *streamOptions `json:"stream_options,omitempty"`
	Logprobs       any            `json:"logprobs,omitempty"` // true for a chat, a number for a completion
	TopLogprobs    int            `json:"top_logprobs,omitempty"`
	PromptLogprobs *int           `json:"prompt_logprobs,omitempty"`
	Echo           bool           `json:"echo,omitempty"`
	TokenIDs       bool           `json:"return_token_ids,omitempty"`
	ChatTemplate   string         `json:"chat_template,omitempty"`
	AddPrompt      *bool          `json:"add_generation_prompt,omitempty"`
	ContinueFinal  bool           `json:"continue_final_message,omitempty"`
	AddSpecial     bool           `json:"add_special_tokens,omitempty"`
}

type streamOptions struct {
	Usage      bool `json:"include_usage"`
	Continuous bool `json:"continuous_usage_stats,omitempty"`
}

// encode makes the body of a request that was made inside Weir.
func encode(r *llm.Request) ([]byte, error) {
	s, l := r.Sampling, r.Limits
	b := body{
		Model: string(r.Model), Stream: r.Stream, MinTokens: l.MinTokens, Stop: l.Stop, StopTokens: l.StopTokens, IgnoreEOS: l.IgnoreEOS,
		TopK: s.TopK, MinP: s.MinP, Presence: s.Presence, Frequency: s.Frequency, Bias: s.Bias, Seed: s.Seed, User: r.User, Metadata: r.Metadata,
	}
	if r.N > 1 {
		b.N = r.N
	}
	switch {
	case r.Report.EchoOnly:
		b.MaxTokens = new(int)
	case l.MaxTokens > 0:
		b.MaxTokens = &l.MaxTokens
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
	b.format(r.Format)
	b.report(r)
	if err := b.tools(r); err != nil {
		return nil, err
	}
	if r.Task == llm.Completion {
		b.Prompt = prompts(r.Prompts)
		return json.Marshal(b)
	}
	b.template(r.Template)
	for i, m := range r.Messages {
		raw, err := message(m)
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", i, err)
		}
		b.Messages = append(b.Messages, raw)
	}
	return json.Marshal(b)
}

// report asks for what is told beside the text.
func (b *body) report(r *llm.Request) {
	o := r.Report
	if r.Stream && (o.Usage || o.UsageContinuous) {
		b.StreamOptions = &streamOptions{Usage: true, Continuous: o.UsageContinuous}
	}
	switch {
	case o.Logprobs >= 0 && r.Task == llm.Completion:
		b.Logprobs = o.Logprobs
	case o.Logprobs >= 0:
		b.Logprobs, b.TopLogprobs = true, o.Logprobs
	}
	if o.PromptLogprobs >= 0 && !r.Stream { // nobody tells them in a stream
		b.PromptLogprobs = &o.PromptLogprobs
	}
	b.Echo, b.TokenIDs = o.Echo, o.TokenIDs
}

func (b *body) format(f llm.OutputFormat) {
	switch {
	case f.Free():
	case f.Schema != nil:
		b.Format = map[string]any{"type": f.Kind, f.Kind: map[string]any{"name": "answer", "schema": f.Schema}}
	default:
		b.Format = map[string]any{"type": f.Kind}
	}
}

func (b *body) template(t llm.Template) {
	b.ChatTemplate, b.ContinueFinal, b.AddSpecial = t.Source, t.ContinueFinal, t.AddSpecial
	b.Effort, b.Kwargs = t.ReasoningEffortHint, t.Kwargs
	if t.NoGenerationPrompt || t.ContinueFinal {
		b.AddPrompt = new(bool)
	}
}

func (b *body) tools(r *llm.Request) error {
	for _, t := range r.Tools {
		raw := t.Raw
		if raw == nil {
			f := map[string]any{"name": t.Name}
			if t.Description != "" {
				f["description"] = t.Description
			}
			if t.Parameters != nil {
				f["parameters"] = t.Parameters
			}
			var err error
			if raw, err = json.Marshal(map[string]any{"type": "function", "function": f}); err != nil {
				return fmt.Errorf("tool %q: %w", t.Name, err)
			}
		}
		b.Tools = append(b.Tools, raw)
	}
	switch c := r.ToolChoice; c.Mode {
	case "":
	case "function":
		b.ToolChoice = map[string]any{"type": "function", "function": map[string]string{"name": c.Name}}
	default:
		b.ToolChoice = c.Mode
	}
	return nil
}

// message is a message as it came, or made of its fields.
func message(m llm.Message) (json.RawMessage, error) {
	if m.Raw != nil {
		return m.Raw, nil
	}
	made := map[string]any{"role": m.Role, "content": content(m)}
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

// content is a text where there is nothing else, and a list of parts otherwise.
func content(m llm.Message) any {
	if !slices.ContainsFunc(m.Parts, func(p llm.Part) bool { return p.Kind != llm.PartText }) {
		return m.Text()
	}
	parts := make([]any, len(m.Parts))
	for i, p := range m.Parts {
		if parts[i] = any(p.Raw); p.Kind == llm.PartText {
			parts[i] = map[string]string{"type": "text", "text": p.Text}
		}
	}
	return parts
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
