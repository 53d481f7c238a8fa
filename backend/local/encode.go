package local

import (
	"context"
	"fmt"

	"github.com/weir-ai/weir/engine/token"
	"github.com/weir-ai/weir/llm"
)

const (
	// textMax bounds, in bytes, a text of which only the tokens are asked for, and a prompt where the vocabulary gives no bound of its
	// own. Encoding so much takes a core about a second and a hundred megabytes. It is a book of 700,000 words, far beyond any context
	// that is served here; at 1 MB people could not count the tokens of one long report in another script.
	textMax = 4 << 20
	// textPerToken raises that bound for prompts of long contexts: prose has 3 to 5 bytes a token in every script.
	textPerToken = 16
	// textLarge is where a text counts as large. Smaller ones are encoded in milliseconds and need no order.
	textLarge = 64 << 10
	// largeAtOnce is how many large texts are encoded at once. One would let a single slow text hold up every other long prompt; more
	// would multiply memory and take the cores from the answers under way.
	largeAtOnce = 2
)

// promptBytes is the longest text that can be a prompt of this vocabulary and context. A longer one is refused without encoding it.
func promptBytes(t *token.Tokenizer, context int) int {
	if most, ok := t.MostBytes(context); ok {
		return most
	}
	return max(textMax, textPerToken*context)
}

// encode turns text into tokens, special tokens in it included; special adds the model's own around it. It waits where as many large
// texts are on their way as may be, and gives ctx's error where the client leaves before the end.
func (b *Backend) encode(ctx context.Context, text string, special bool) ([]token.ID, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(text) > textLarge {
		select {
		case b.large <- struct{}{}:
			defer func() { <-b.large }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	ids := b.tokens.Encode(text, special, true)
	return ids, ctx.Err()
}

// encodePrompt is encode for a prompt, which has to fit; field is where it stands in the request.
func (b *Backend) encodePrompt(ctx context.Context, field, text string, special bool) ([]token.ID, error) {
	if len(text) > b.promptMax {
		return nil, &llm.Error{Kind: llm.TooLong, Param: field, Message: fmt.Sprintf(
			"This model's maximum context length is %d tokens, for which a text of %d bytes is the longest that is read, and the %s has %d bytes; shorten the %s.",
			b.context, b.promptMax, field, len(text), field)}
	}
	return b.encode(ctx, text, special)
}
