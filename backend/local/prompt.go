package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/weir-ai/weir/engine/jinja"
	"github.com/weir-ai/weir/engine/token"
	"github.com/weir-ai/weir/llm"
)

// loadTemplate parses the file's chat template. A template that cannot be parsed is an error now, not at the first chat.
func (b *Backend) loadTemplate() error {
	source, ok := token.TemplateOf(b.file)
	if !ok {
		return nil
	}
	t, err := jinja.Parse("chat_template", source)
	if err != nil {
		return fmt.Errorf("its chat template: %w", err)
	}
	b.template, b.special = t, b.tokens.SpecialStrings()
	return nil
}

// prompts are the request's prompts in tokens: one for a chat, each of Prompts for a completion.
func (b *Backend) prompts(ctx context.Context, req *llm.Request) ([]*prompt, error) {
	if err := b.refuse(req); err != nil {
		return nil, err
	}
	if req.Task == llm.Chat {
		p, err := b.chatPrompt(ctx, req)
		return []*prompt{p}, err
	}
	var out []*prompt
	for i, p := range req.Prompts {
		made, err := b.plainPrompt(ctx, p)
		if err != nil {
			return nil, promptError(i, err)
		}
		out = append(out, made)
	}
	if len(out) == 0 {
		return nil, llm.InvalidField("prompt", "prompt is empty; send a text or a list of token ids")
	}
	return out, nil
}

// promptError tells of prompt i what plainPrompt says of it; an error that is complete stays.
func promptError(i int, err error) error {
	if e := (*llm.Error)(nil); errors.As(err, &e) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &llm.Error{Kind: llm.Invalid, Param: fmt.Sprintf("prompt[%d]", i), Message: err.Error()}
}

// refuse names what the embedded engine cannot do yet. Doors refuse most of it in the request's own words before.
func (b *Backend) refuse(req *llm.Request) error {
	switch {
	case len(req.Tools) > 0 && req.ToolChoice.Mode != "none":
		return llm.InvalidField("tools", "tools are not supported by the embedded engine; leave them out")
	case !req.Format.Free():
		return llm.InvalidField("response_format", "response_format %q is not supported by the embedded engine; use \"text\"", req.Format.Kind)
	case req.Template.Source != "":
		return llm.InvalidField("chat_template", "a chat_template in the request is not supported; the model's own is used")
	}
	if n := req.Choices(); n > b.waiting { // before their prompts cost anything
		field := "n"
		if req.N <= 1 {
			field = "prompt"
		}
		return llm.InvalidField(field, "the request asks for %d answers at once; at most %d may wait here, so ask in several requests", n, b.waiting)
	}
	for _, id := range req.Limits.StopTokens {
		if int(id) >= b.tokens.Size() || id < 0 {
			return llm.InvalidField("stop_token_ids", "stop_token_ids has %d, which is outside the vocabulary of %d tokens", id, b.tokens.Size())
		}
	}
	for id := range req.Sampling.Bias {
		if int(id) >= b.tokens.Size() || id < 0 {
			return llm.InvalidField("logit_bias", "logit_bias has token %d, which is outside the vocabulary of %d tokens", id, b.tokens.Size())
		}
	}
	return nil
}

func (b *Backend) plainPrompt(ctx context.Context, p llm.Prompt) (*prompt, error) {
	if p.Tokens != nil {
		ids, err := b.checked(p.Tokens)
		if err != nil {
			return nil, err
		}
		if len(ids) == 0 {
			return nil, errors.New("the list of token ids is empty; send one id at least")
		}
		return &prompt{text: b.tokens.Decode(ids, false), tokens: ids}, nil
	}
	ids, err := b.encodePrompt(ctx, "prompt", p.Text, true)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, errors.New("the prompt is empty and this model has no start token; send a text")
	}
	return &prompt{text: p.Text, tokens: ids}, nil
}

// Render gives the prompt that the chat template makes of req's messages.
func (b *Backend) Render(req *llm.Request) (string, error) {
	if b.template == nil {
		return "", llm.InvalidField("messages", "this model's file has no chat template, so it takes no messages; send a text as the prompt of /v1/completions, which it continues")
	}
	messages := make([]json.RawMessage, len(req.Messages))
	for i, m := range req.Messages {
		raw, err := rawMessage(m)
		if err != nil {
			return "", llm.InvalidField(fmt.Sprintf("messages[%d]", i), "%v", err)
		}
		messages[i] = raw
	}
	chat := jinja.Chat{
		Messages: messages, Kwargs: req.Template.Kwargs, Special: b.special, Now: b.now(),
		AddGenerationPrompt: !req.Template.NoGenerationPrompt && !req.Template.ContinueFinal, ContinueFinal: req.Template.ContinueFinal,
	}
	if e := req.Template.ReasoningEffortHint; e != "" {
		chat.Variables = map[string]string{"reasoning_effort": e}
	}
	text, err := b.template.Chat(chat)
	if err != nil {
		var raised *jinja.RaiseError
		if errors.As(err, &raised) {
			return "", llm.InvalidField("messages", "the model's chat template refuses these messages: %s", raised.Message)
		}
		return "", &llm.Error{Op: "chat template", Kind: llm.Invalid, Param: "messages", Message: fmt.Sprintf("the model's chat template cannot render these messages: %v", err)}
	}
	return text, nil
}

// chatPrompt renders the messages and cuts the special tokens out of the text. A template writes the start token itself where the
// model wants one; it is added only where the request says so and the text does not begin with it.
//
// The text of a special token becomes that token wherever it stands in the rendered prompt, also where a user typed it: that is what
// transformers' apply_chat_template and vLLM do, a template's output has no mark of whose words are whose, and the same messages
// must give the same tokens here as there. So a message can end its own turn and begin another, here as with every such server:
// whoever puts strangers' words into prompts with authority takes "<|" out of them first.
func (b *Backend) chatPrompt(ctx context.Context, req *llm.Request) (*prompt, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	text, err := b.Render(req)
	if err != nil {
		return nil, err
	}
	ids, err := b.encodePrompt(ctx, "messages", text, false)
	if err != nil {
		return nil, err
	}
	if bos, ok := b.tokens.BOS(); ok && b.tokens.AddsBOS() && (len(ids) == 0 || ids[0] != bos) && req.Template.AddSpecial {
		ids = append([]token.ID{bos}, ids...)
	}
	if len(ids) == 0 {
		return nil, llm.InvalidField("messages", "the chat template made an empty prompt of these messages")
	}
	return &prompt{text: text, tokens: ids}, nil
}

// rawMessage is the message as a template reads it: as the client sent it, or made from its fields.
func rawMessage(m llm.Message) (json.RawMessage, error) {
	if m.Raw != nil {
		return m.Raw, nil
	}
	made := struct {
		Role      llm.Role `json:"role"`
		Content   string   `json:"content"`
		Name      string   `json:"name,omitempty"`
		Reasoning string   `json:"reasoning_content,omitempty"`
	}{m.Role, m.Text(), m.Name, m.Reasoning}
	return json.Marshal(made)
}
