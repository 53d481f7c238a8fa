package local

import (
	"context"
	"fmt"

	"github.com/weir-ai/weir/engine/token"
	"github.com/weir-ai/weir/llm"
)

// Tokenize turns text into token ids, as llm.Vocabulary says. The text may be longer than the context: people count tokens to learn
// by how much.
func (b *Backend) Tokenize(ctx context.Context, text string, special bool) ([]llm.TokenID, error) {
	if len(text) > textMax {
		return nil, &llm.Error{Kind: llm.TooLarge, Param: "prompt", Message: fmt.Sprintf(
			"The text has %d bytes; at most %d are turned into tokens at once. Send it in parts.", len(text), textMax)}
	}
	ids, err := b.encode(ctx, text, special)
	if err != nil {
		return nil, err
	}
	return words(ids), nil
}

// Detokenize turns ids into text, special tokens included.
func (b *Backend) Detokenize(ids []llm.TokenID) (string, error) {
	out, err := b.checked(ids)
	if err != nil {
		return "", err
	}
	return b.tokens.Decode(out, false), nil
}

// Piece is the text of one token as the vocabulary writes it.
func (b *Backend) Piece(id llm.TokenID) string { return b.tokens.Text(token.ID(id)) }

// ContextLength is the longest sequence that is served.
func (b *Backend) ContextLength() int { return b.context }

// RenderTokens is the prompt of req's messages in tokens.
func (b *Backend) RenderTokens(ctx context.Context, req *llm.Request) ([]llm.TokenID, error) {
	p, err := b.chatPrompt(ctx, req)
	if err != nil {
		return nil, err
	}
	return words(p.tokens), nil
}

// checked converts ids and refuses those outside the vocabulary.
func (b *Backend) checked(ids []llm.TokenID) ([]token.ID, error) {
	out := make([]token.ID, len(ids))
	for i, id := range ids {
		if id < 0 || int(id) >= b.tokens.Size() {
			return nil, fmt.Errorf("token %d at position %d is outside the vocabulary of %d", id, i, b.tokens.Size())
		}
		out[i] = token.ID(id)
	}
	return out, nil
}

// pieceBytes are the bytes of a token for log-probabilities; a control token is told by its name.
func (b *Backend) pieceBytes(id token.ID) []byte {
	if p := b.tokens.Piece(id); p != nil {
		return p
	}
	return []byte(b.tokens.Text(id))
}

func words(ids []token.ID) []llm.TokenID {
	out := make([]llm.TokenID, len(ids))
	for i, id := range ids {
		out[i] = llm.TokenID(id)
	}
	return out
}
