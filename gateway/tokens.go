package gateway

import (
	"context"
	"errors"
	"net/http"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/openai"
	"github.com/weir-ai/weir/registry"
)

// tokenize tells the tokens of a text, or of the prompt that a chat becomes.
func (s *Server) tokenize(ctx context.Context, x *exchange) error {
	body, err := x.read()
	if err != nil {
		return err
	}
	ask, err := openai.DecodeTokenize(body, s.options())
	if err != nil {
		return err
	}
	if m, ok := x.elsewhere(ask.Model); ok {
		return x.askTokens(ctx, m, "/tokenize", body)
	}
	v, err := x.vocabulary(ask.Model)
	if err != nil {
		return err
	}
	var ids []llm.TokenID
	if ask.Chat == nil {
		if ids, err = v.Tokenize(ctx, ask.Text, ask.AddSpecial); err != nil {
			return refusal("prompt", err)
		}
	} else if ids, err = v.RenderTokens(ctx, ask.Chat); err != nil {
		return refusal("messages", err)
	}
	var pieces []string
	if ask.Strings {
		pieces = make([]string, len(ids))
		for i, id := range ids {
			pieces[i] = v.Piece(id)
		}
	}
	return x.answer(http.StatusOK, openai.AppendTokenize(nil, ids, pieces, v.ContextLength()))
}

// detokenize tells the text of tokens.
func (s *Server) detokenize(ctx context.Context, x *exchange) error {
	body, err := x.read()
	if err != nil {
		return err
	}
	ask, err := openai.DecodeDetokenize(body, s.options())
	if err != nil {
		return err
	}
	if m, ok := x.elsewhere(ask.Model); ok {
		return x.askTokens(ctx, m, "/detokenize", body)
	}
	v, err := x.vocabulary(ask.Model)
	if err != nil {
		return err
	}
	text, err := v.Detokenize(ask.Tokens)
	if err != nil {
		return refusal("tokens", err)
	}
	return x.answer(http.StatusOK, openai.AppendDetokenize(nil, text))
}

// elsewhere finds a model whose tokens are known to other engines alone.
func (x *exchange) elsewhere(id llm.ModelID) (registry.Model, bool) {
	if id == "" {
		if list := x.s.models.List(); len(list) == 1 {
			id = list[0].ID
		}
	}
	m, ok := x.s.models.Get(id)
	return m, ok && m.Vocabulary == nil && x.s.tokens != nil
}

// askTokens has another engine tell the tokens.
func (x *exchange) askTokens(ctx context.Context, m registry.Model, path string, body []byte) error {
	if err := x.may(m.ID); err != nil {
		return err
	}
	x.model = m.ID
	answer, err := x.s.tokens.Tokens(ctx, m.ID, path, body)
	if err != nil {
		return err
	}
	return x.answer(http.StatusOK, answer)
}

// applyTemplate tells the prompt that a chat becomes.
func (s *Server) applyTemplate(_ context.Context, x *exchange) error {
	body, err := x.read()
	if err != nil {
		return err
	}
	req, err := openai.DecodeApplyTemplate(body, s.options())
	if err != nil {
		return err
	}
	v, err := x.vocabulary(req.Model)
	if err != nil {
		return err
	}
	prompt, err := v.Render(req)
	if err != nil {
		return refusal("messages", err)
	}
	return x.answer(http.StatusOK, openai.AppendApplyTemplate(nil, prompt))
}

// refusal is a vocabulary's error about a field; one that does not say its kind is about what the client sent.
func refusal(field string, err error) error {
	if e := (*llm.Error)(nil); errors.As(err, &e) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return llm.InvalidField(field, "%s: %v.", field, err)
}
