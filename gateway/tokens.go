package gateway

import (
	"context"
	"errors"
	"net/http"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/openai"
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
func (s *Server) detokenize(_ context.Context, x *exchange) error {
	body, err := x.read()
	if err != nil {
		return err
	}
	ask, err := openai.DecodeDetokenize(body, s.options())
	if err != nil {
		return err
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
