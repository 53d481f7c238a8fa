package sdktest

import (
	"slices"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// continuation asks for a short continuation of text at temperature 0.
func continuation(text string) openai.CompletionNewParams {
	return openai.CompletionNewParams{Model: model, Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String(text)}, Temperature: openai.Float(0), MaxTokens: openai.Int(short)}
}

// complete gets a plain completion.
func (s sdk) complete(t *testing.T, p openai.CompletionNewParams, o ...option.RequestOption) *openai.Completion {
	t.Helper()
	got, err := s.client.Completions.New(t.Context(), p, o...)
	if err != nil {
		t.Fatal(describe(err))
	}
	return got
}

// completeStream gets a streamed completion of one choice, joined.
func (s sdk) completeStream(t *testing.T, p openai.CompletionNewParams, o ...option.RequestOption) (text, finish string, chunks int) {
	t.Helper()
	stream := s.client.Completions.NewStreaming(t.Context(), p, o...)
	for stream.Next() {
		for _, choice := range stream.Current().Choices {
			text += choice.Text
			finish += string(choice.FinishReason)
			chunks++
		}
	}
	if err := stream.Err(); err != nil {
		t.Fatal(describe(err))
	}
	return text, finish, chunks
}

func completion(t *testing.T, s sdk) {
	p := continuation(prompt)
	got := s.complete(t, p, full())
	want := s.keyed.tokens(t, map[string]any{"prompt": prompt})
	if !strings.HasPrefix(got.ID, "cmpl-") || got.Object != "text_completion" || len(got.Choices) != 1 || got.Choices[0].FinishReason != "length" {
		t.Errorf("completion: %s", got.RawJSON())
	}
	if got.Usage.PromptTokens != want || got.Usage.CompletionTokens != short || got.Usage.TotalTokens != want+short {
		t.Errorf("usage %s; /tokenize counts %d", got.Usage.RawJSON(), want)
	}
	p.Prompt = openai.CompletionNewParamsPromptUnion{OfArrayOfStrings: []string{"Another", prompt}}
	if list := s.complete(t, p, full()); len(list.Choices) != 2 || list.Choices[1].Text != got.Choices[0].Text {
		t.Errorf("a list of prompts: %s; alone the second gave %s", list.RawJSON(), got.RawJSON())
	}
	p.Prompt = openai.CompletionNewParamsPromptUnion{OfArrayOfTokens: s.keyed.ids(t, map[string]any{"prompt": prompt})}
	if ids := s.complete(t, p, full()); ids.Choices[0].Text != got.Choices[0].Text {
		t.Errorf("token ids: %s; the text gave %s", ids.RawJSON(), got.RawJSON())
	}
}

func completionStream(t *testing.T, s sdk) {
	p := continuation(prompt)
	want := s.complete(t, p, full()).Choices[0]
	text, finish, chunks := s.completeStream(t, p, full())
	if text != want.Text || finish != string(want.FinishReason) || chunks < 3 {
		t.Errorf("streamed %q (%s) in %d chunks, plain %q (%s)", text, finish, chunks, want.Text, want.FinishReason)
	}
}

func unicodeEcho(t *testing.T, s sdk) {
	const text = "Grüße, 世界! 🌍🏳️‍🌈 e\u0301 \u2028 \"\\\t</s>"
	p := continuation(text)
	p.Echo = openai.Bool(true)
	whole := s.complete(t, p, full()).Choices[0].Text
	if !strings.HasPrefix(whole, text) {
		t.Errorf("echo gives %q, want it to begin with %q", whole, text)
	}
	if streamed, _, _ := s.completeStream(t, p, full()); streamed != whole {
		t.Errorf("streamed echo is %q, plain %q", streamed, whole)
	}
	got := s.ask(t, greedy(openai.UserMessage(text)), full()).Usage.PromptTokens
	if want := s.keyed.tokens(t, map[string]any{"messages": []any{map[string]any{"role": "user", "content": text}}}); got != want {
		t.Errorf("%d prompt tokens, /tokenize counts %d", got, want)
	}
}

func models(t *testing.T, s sdk) {
	page, err := s.client.Models.List(t.Context())
	if err != nil {
		t.Fatal(describe(err))
	}
	if !slices.ContainsFunc(page.Data, func(m openai.Model) bool { return m.ID == model && m.Object == "model" && m.OwnedBy != "" }) {
		t.Errorf("the list has no %s: %s", model, page.RawJSON())
	}
	one, err := s.client.Models.Get(t.Context(), model)
	if err != nil || one.ID != model || one.Created == 0 {
		t.Errorf("retrieve: %+v, %v", one, err)
	}
	_, err = s.client.Models.Get(t.Context(), "no-such-model")
	wantError(t, err, 404, "model_not_found", "model")
}
