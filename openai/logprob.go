package openai

import (
	"bytes"
	"cmp"
	"slices"
	"unicode/utf8"

	"github.com/weir-ai/weir/llm"
)

// appendChatTokens appends tokens as the content of a chat's logprobs has them, separated by commas, each with at most top
// alternatives. A token that ends inside a character shows U+FFFD; its bytes are exact.
func appendChatTokens(dst []byte, tokens []llm.TokenLogprob, top int) []byte {
	for i := range tokens {
		t := &tokens[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendChatToken(dst, t)
		dst = append(dst, `,"top_logprobs":[`...)
		for j := range t.Top[:min(top, len(t.Top))] {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendChatToken(dst, &t.Top[j]), '}')
		}
		dst = append(dst, "]}"...)
	}
	return dst
}

// appendChatToken appends a token's object without its closing brace.
func appendChatToken(dst []byte, t *llm.TokenLogprob) []byte {
	dst = append(dst, `{"token":`...)
	dst = appendString(dst, t.Bytes)
	dst = append(dst, `,"logprob":`...)
	dst = appendLogprob(dst, t.Logprob)
	dst = append(dst, `,"bytes":[`...)
	for i, b := range t.Bytes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendInt(dst, int(b))
	}
	return append(dst, ']')
}

// Completions tell tokens in four lists side by side: tokens, token_logprobs, top_logprobs and text_offset. Each has a function that
// appends the items of one event, separated by commas.

// appendTokenText appends a token's text in completions. They have no field for bytes, and a top_logprobs object needs different keys
// for different tokens; so a token that is no UTF-8 by itself is written as OpenAI's completions do, bytes:\xe2\x80.
func appendTokenText(dst []byte, t *llm.TokenLogprob) []byte {
	if utf8.Valid(t.Bytes) {
		return appendString(dst, t.Bytes)
	}
	const hex = "0123456789abcdef"
	dst = append(dst, `"bytes:`...)
	for _, b := range t.Bytes {
		dst = append(dst, '\\', '\\', 'x', hex[b>>4], hex[b&15])
	}
	return append(dst, '"')
}

func appendTokenTexts(dst []byte, tokens []llm.TokenLogprob) []byte {
	for i := range tokens {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendTokenText(dst, &tokens[i])
	}
	return dst
}

func appendTokenLogprobs(dst []byte, tokens []llm.TokenLogprob) []byte {
	for i := range tokens {
		if i > 0 {
			dst = append(dst, ',')
		}
		if !tokens[i].Known {
			dst = append(dst, "null"...)
			continue
		}
		dst = appendLogprob(dst, tokens[i].Logprob)
	}
	return dst
}

// appendTops appends one object a token: at most top likeliest tokens, and the token itself. Of two tokens with the same bytes, a
// character's and a byte's, the likelier is told.
func appendTops(dst []byte, tokens []llm.TokenLogprob, top int) []byte {
	for i := range tokens {
		t := &tokens[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		if !t.Known {
			dst = append(dst, "null"...)
			continue
		}
		dst = append(dst, '{')
		told := t.Top[:min(top, len(t.Top))]
		first := len(dst)
		for j := range told {
			if !slices.ContainsFunc(told[:j], sameBytes(told[j].Bytes)) {
				dst = appendTop(dst, first, &told[j])
			}
		}
		if !slices.ContainsFunc(told, sameBytes(t.Bytes)) {
			dst = appendTop(dst, first, t)
		}
		dst = append(dst, '}')
	}
	return dst
}

func sameBytes(b []byte) func(t llm.TokenLogprob) bool {
	return func(t llm.TokenLogprob) bool { return bytes.Equal(t.Bytes, b) }
}

// appendTop appends one member of an object whose members begin at first.
func appendTop(dst []byte, first int, t *llm.TokenLogprob) []byte {
	if len(dst) > first {
		dst = append(dst, ',')
	}
	dst = appendTokenText(dst, t)
	dst = append(dst, ':')
	return appendLogprob(dst, t.Logprob)
}

// appendOffsets appends where in the choice's text each token begins, in characters; text is that of the event and begins at
// character from. Tokens are looked up in the text and not summed up, because some have no text of their own: a start token, the
// space that SentencePiece puts before a prompt, the first bytes of a character that a later token completes.
func appendOffsets(dst []byte, text string, tokens []llm.TokenLogprob, from int) []byte {
	chars := from
	for i := range tokens {
		if i > 0 {
			dst = append(dst, ',')
		}
		skip, length := place(text, tokens[i].Bytes, i <= 1)
		begins := chars
		for j := range skip + length {
			if utf8.RuneStart(text[j]) {
				chars++
			}
		}
		if skip == 0 && length > 0 && !utf8.RuneStart(text[0]) && begins > from {
			begins-- // inside the character that the token before began
		}
		dst = appendInt(dst, begins)
		text = text[skip+length:]
	}
	return dst
}

// place finds a token at the beginning of text: how many bytes come before it and how many it has; none where it is not there. What
// may come before are the first bytes of a character of which an earlier event had the tokens. Early tokens may have a space more
// than the text.
func place(text string, b []byte, early bool) (skip, length int) {
	switch {
	case len(b) == 0:
		return 0, 0
	case hasPrefix(text, b):
		return 0, len(b)
	case early && len(b) > 1 && b[0] == ' ' && hasPrefix(text, b[1:]):
		return 0, len(b) - 1
	case utf8.RuneStart(b[0]):
		return 0, 0
	}
	_, n := utf8.DecodeRuneInString(text)
	for skip := 1; skip < n; skip++ {
		if hasPrefix(text[skip:], b) {
			return skip, len(b)
		}
	}
	return 0, 0
}

func hasPrefix(s string, b []byte) bool { return len(s) >= len(b) && s[:len(b)] == string(b) }

// appendPromptLogprobs appends vLLM's prompt_logprobs: for each token of the prompt an object of token ids, the token's own first;
// null for the first token. The rank of the token itself, where a runner does not tell it, is its place among the likeliest, and null
// where it is not among them.
func appendPromptLogprobs(dst []byte, tokens []llm.TokenLogprob, top int) []byte {
	dst = append(dst, '[')
	for i := range tokens {
		t := &tokens[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		if !t.Known {
			dst = append(dst, "null"...)
			continue
		}
		told := t.Top[:min(top, len(t.Top))]
		own := slices.IndexFunc(told, func(o llm.TokenLogprob) bool { return o.ID == t.ID })
		dst = append(dst, '{')
		dst = appendRanked(dst, t, cmp.Or(t.Rank, own+1))
		for j := range told {
			if j != own {
				dst = append(dst, ',')
				dst = appendRanked(dst, &told[j], j+1)
			}
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// appendRanked appends a token as a member of an object of prompt_logprobs; rank 0 is not known.
func appendRanked(dst []byte, t *llm.TokenLogprob, rank int) []byte {
	dst = append(dst, '"')
	dst = appendInt(dst, t.ID)
	dst = append(dst, `":{"logprob":`...)
	dst = appendLogprob(dst, t.Logprob)
	dst = append(dst, `,"rank":`...)
	if rank == 0 {
		dst = append(dst, "null"...)
	} else {
		dst = appendInt(dst, rank)
	}
	dst = append(dst, `,"decoded_token":`...)
	dst = appendString(dst, t.Bytes)
	return append(dst, '}')
}
