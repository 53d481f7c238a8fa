package openai

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/weir-ai/weir/llm"
	wire "github.com/weir-ai/weir/openai"
)

func encoded(t *testing.T, r *llm.Request) []byte {
	t.Helper()
	b, err := encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What Weir's own door decodes must be the request again.
func TestEncodeIsWhatTheDoorReads(t *testing.T) {
	t.Parallel()
	seed := int64(7)
	whole := func(r llm.Request) *llm.Request {
		r.Model, r.N, r.User, r.Metadata = "m", 1, "u", map[string]string{"a": "b"}
		r.Sampling = llm.Sampling{Temperature: 0, TopP: 0.5, TopK: 9, MinP: 0.25, Presence: 1, Frequency: -1, Repetition: 1.5, Bias: map[llm.TokenID]float64{3: -100}, Seed: &seed}
		r.Limits = llm.Limits{MaxTokens: 12, MinTokens: 2, Stop: []string{"\n", "</s>"}, StopTokens: []llm.TokenID{5}, IgnoreEOS: true}
		return &r
	}
	chat := whole(llm.Request{Task: llm.Chat, Stream: true, Messages: []llm.Message{llm.TextMessage(llm.RoleUser, "hi <\"é\">"), llm.TextMessage(llm.RoleAssistant, "He")},
		Report: llm.Report{Usage: true, UsageContinuous: true, Logprobs: 3, PromptLogprobs: -1, TokenIDs: true}})
	chat.N = 2
	chat.Template = llm.Template{ContinueFinal: true, NoGenerationPrompt: true, AddSpecial: true, ReasoningEffortHint: "low", Kwargs: json.RawMessage(`{"enable_thinking":false}`)}
	completion := whole(llm.Request{Task: llm.Completion, Prompts: []llm.Prompt{{Text: "once"}}, Report: llm.Report{Logprobs: 0, PromptLogprobs: 0, Echo: true}})
	tokens := whole(llm.Request{Task: llm.Completion, Prompts: []llm.Prompt{{Tokens: []llm.TokenID{1, 2}}, {Tokens: []llm.TokenID{3}}}, Report: llm.NewReport()})
	plain := &llm.Request{Model: "m", N: 1, Messages: []llm.Message{llm.TextMessage(llm.RoleSystem, "s")}, Sampling: llm.NewSampling(), Report: llm.NewReport()}
	echo := &llm.Request{Model: "m", N: 1, Task: llm.Completion, Prompts: []llm.Prompt{{Text: "x"}}, Sampling: llm.NewSampling(), Limits: llm.Limits{MaxTokens: 1},
		Report: llm.Report{Logprobs: -1, PromptLogprobs: -1, Echo: true, EchoOnly: true}}
	for name, r := range map[string]*llm.Request{"chat": chat, "completion": completion, "tokens": tokens, "plain": plain, "echo": echo} {
		b := encoded(t, r)
		decode := wire.DecodeChat
		if r.Task == llm.Completion {
			decode = wire.DecodeCompletion
		}
		got, err := decode(b, wire.Options{})
		if err != nil {
			t.Errorf("%s: %v in %s", name, err, b)
			continue
		}
		got.Body, got.Dialect, got.Shape, got.Fields, got.Lazy = nil, "", llm.Shape{}, nil, nil
		for i := range got.Messages {
			got.Messages[i].Raw = nil
		}
		if !reflect.DeepEqual(got, r) {
			t.Errorf("%s: %s\n got %+v\nwant %+v", name, b, got, r)
		}
	}
	if b := encoded(t, plain); string(b) != `{"model":"m","messages":[{"content":"s","role":"system"}]}` {
		t.Errorf("defaults are sent: %s", b)
	}
}

// What the embedded engine refuses is still sent to others as OpenAI has it.
func TestEncodeHasToolsFormatsAndParts(t *testing.T) {
	t.Parallel()
	r := &llm.Request{Model: "m", Sampling: llm.NewSampling(), Report: llm.NewReport(),
		Messages: []llm.Message{
			{Role: llm.RoleUser, Raw: json.RawMessage(`{"role":"user","content":"as sent","x":1}`)},
			{Role: llm.RoleUser, Name: "n", Parts: []llm.Part{{Kind: llm.PartText, Text: "look"}, {Kind: llm.PartImage, Raw: json.RawMessage(`{"type":"image_url","image_url":{"url":"u"}}`)}}},
			{Role: llm.RoleAssistant, Reasoning: "why", ToolCalls: []llm.ToolCall{{ID: "c1", Name: "f", Arguments: `{"a":1}`}}},
			{Role: llm.RoleTool, ToolCallID: "c1", Parts: []llm.Part{{Kind: llm.PartText, Text: "42"}}},
		},
		Tools:      []llm.Tool{{Name: "f", Description: "d", Parameters: json.RawMessage(`{"type":"object"}`)}, {Raw: json.RawMessage(`{"type":"function","function":{"name":"g"}}`)}},
		ToolChoice: llm.ToolChoice{Mode: "function", Name: "f"},
		Format:     llm.OutputFormat{Kind: "json_schema", Schema: json.RawMessage(`{"type":"object"}`)},
	}
	b := string(encoded(t, r))
	for _, want := range []string{
		`{"role":"user","content":"as sent","x":1}`, `"content":[{"text":"look","type":"text"},{"type":"image_url","image_url":{"url":"u"}}]`, `"name":"n"`, `"reasoning_content":"why"`,
		`"tool_calls":[{"function":{"arguments":"{\"a\":1}","name":"f"},"id":"c1","type":"function"}]`, `"tool_call_id":"c1"`,
		`"tools":[{"function":{"description":"d","name":"f","parameters":{"type":"object"}},"type":"function"},{"type":"function","function":{"name":"g"}}]`,
		`"tool_choice":{"function":{"name":"f"},"type":"function"}`, `"response_format":{"json_schema":{"name":"answer","schema":{"type":"object"}},"type":"json_schema"}`,
	} {
		if !strings.Contains(b, want) {
			t.Errorf("%s is missing in %s", want, b)
		}
	}
	r.ToolChoice, r.Format = llm.ToolChoice{Mode: "auto"}, llm.OutputFormat{Kind: "json_object"}
	if b := string(encoded(t, r)); !strings.Contains(b, `"tool_choice":"auto"`) || !strings.Contains(b, `"response_format":{"type":"json_object"}`) {
		t.Errorf("%s", b)
	}
	r.Tools = []llm.Tool{{Parameters: json.RawMessage(`{`)}}
	if _, err := encode(r); err == nil {
		t.Error("parameters that are no JSON were sent")
	}
}
