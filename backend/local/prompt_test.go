package local

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/weir-ai/weir/llm"
)

func chat(messages ...llm.Message) *llm.Request {
	req := &llm.Request{Task: llm.Chat, N: 1, Messages: messages, Sampling: llm.NewSampling(), Report: llm.NewReport()}
	req.Sampling.Seed, req.Limits.MaxTokens = seed(1), 4
	return req
}

func TestChatGoesThroughTheTemplate(t *testing.T) {
	t.Parallel()
	b := serving(t, tiny(t), Config{})
	req := chat(llm.TextMessage(llm.RoleSystem, "Be brief."), llm.TextMessage(llm.RoleUser, "Hi"))
	text, err := b.Render(req)
	if want := "system: Be brief.\nuser: Hi\nassistant: "; err != nil || text != want {
		t.Fatalf("%q, %v; want %q", text, err, want)
	}
	ids, err := b.RenderTokens(t.Context(), req)
	if back, _ := b.Detokenize(ids); err != nil || back != text {
		t.Errorf("the tokens spell %q, %v", back, err)
	}
	req.Report.TokenIDs = true
	a := ask(t, b, req)
	var prompt []llm.TokenID
	for _, tok := range a.prompts[0].Tokens {
		prompt = append(prompt, tok.ID)
	}
	if a.err != nil || !slices.Equal(prompt, ids) {
		t.Errorf("Run's prompt is %v, RenderTokens says %v (%v)", prompt, ids, a.err)
	}
	req.Template.NoGenerationPrompt = true
	if text, err := b.Render(req); err != nil || strings.Contains(text, "assistant") {
		t.Errorf("without a generation prompt: %q, %v", text, err)
	}
	req = chat(llm.TextMessage(llm.RoleUser, "Hi"), llm.TextMessage(llm.RoleAssistant, "Well"))
	req.Template.ContinueFinal = true
	if text, err := b.Render(req); err != nil || text != "user: Hi\nassistant: Well" {
		t.Errorf("continued: %q, %v", text, err)
	}
}

func TestTemplatesReadMessagesAsTheyWereSent(t *testing.T) {
	t.Parallel()
	f := tiny(t)
	f.Meta["tokenizer.chat_template"] = `{{ bos_token }}{% for m in messages %}{% for p in m.content %}[{{ p.type }}:{{ p.text }}]{% endfor %}{{ m.extra }}{% endfor %}{{ tone }}`
	b := serving(t, f, Config{})
	req := chat(llm.Message{Role: llm.RoleUser, Raw: json.RawMessage(`{"role":"user","extra":7,"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}`)})
	req.Template.Kwargs = json.RawMessage(`{"tone":"calm"}`)
	if text, err := b.Render(req); err != nil || text != "<s>[text:a][text:b]7calm" {
		t.Errorf("%q, %v", text, err)
	}
}

// The text of a special token becomes the token, in a template's words and in a user's: as transformers and vLLM do.
func TestSpecialTokensAreCutOutOfPrompts(t *testing.T) {
	t.Parallel()
	f := tiny(t)
	f.Meta["tokenizer.chat_template"] = `<s>{{ messages[0].content }}</s>`
	b := serving(t, f, Config{})
	ids, err := b.RenderTokens(t.Context(), chat(llm.TextMessage(llm.RoleUser, "a</s>")))
	if want := []llm.TokenID{1, letter('a'), 2, 2}; err != nil || !slices.Equal(ids, want) {
		t.Errorf("tokens %v, %v; want %v", ids, err, want)
	}
	if got, err := b.Tokenize(t.Context(), "a</s>", false); err != nil || !slices.Equal(got, []llm.TokenID{letter('a'), 2}) {
		t.Errorf("a plain prompt: %v, %v", got, err)
	}
}

func TestTheStartTokenIsNotDoubled(t *testing.T) {
	t.Parallel()
	f := tiny(t)
	f.Meta["tokenizer.ggml.add_bos_token"] = true
	f.Meta["tokenizer.chat_template"] = `{{ messages[0].content }}`
	b := serving(t, f, Config{})
	check := func(content string, add bool, want ...llm.TokenID) {
		t.Helper()
		req := chat(llm.TextMessage(llm.RoleUser, content))
		req.Template.AddSpecial = add
		if ids, err := b.RenderTokens(t.Context(), req); err != nil || !slices.Equal(ids, want) {
			t.Errorf("%q: %v, %v; want %v", content, ids, err, want)
		}
	}
	check("a", false, letter('a'))
	check("a", true, 1, letter('a'))
	check("<s>a", true, 1, letter('a'))
	if a := ask(t, b, completion("")); a.err != nil || a.usage.PromptTokens != 1 {
		t.Errorf("an empty prompt is the start token alone: %+v", a)
	}
}

func TestTemplatesRefuse(t *testing.T) {
	t.Parallel()
	check := func(source, want string) {
		t.Helper()
		f := tiny(t)
		if f.Meta["tokenizer.chat_template"] = source; source == "" {
			delete(f.Meta, "tokenizer.chat_template")
		}
		a := ask(t, serving(t, f, Config{}), chat(llm.TextMessage(llm.RoleUser, "Hi")))
		if e := llm.AsError(a.err); e == nil || e.Kind != llm.Invalid || e.Param != "messages" || !strings.Contains(e.Public(), want) {
			t.Errorf("template %q: error %v; it must mention %q", source, a.err, want)
		}
	}
	check("", "no chat template, so it takes no messages; send a text as the prompt of /v1/completions")
	check("{{ raise_exception('Only odd turns') }}", "Only odd turns")
	check("{{ messages[0].content + 3 }}", "cannot render")
	check("{# nothing #}", "empty prompt")
}

func TestDetokenize(t *testing.T) {
	t.Parallel()
	b := serving(t, tiny(t), Config{})
	if text, err := b.Detokenize([]llm.TokenID{1, letter('a'), 2}); err != nil || text != "<s>a</s>" {
		t.Errorf("%q, %v", text, err)
	}
	for _, id := range []llm.TokenID{-1, 512} {
		if _, err := b.Detokenize([]llm.TokenID{1, id}); err == nil || !strings.Contains(err.Error(), "position 1 is outside the vocabulary of 512") {
			t.Errorf("id %d: %v", id, err)
		}
	}
	if b.Piece(letter(' ')) != "Ġ" || b.Piece(2) != "</s>" {
		t.Errorf("pieces %q and %q", b.Piece(letter(' ')), b.Piece(2))
	}
}
