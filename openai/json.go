package openai

import (
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/weir-ai/weir/llm"
)

// appendString appends s as a JSON string. Each byte that is not UTF-8 becomes U+FFFD. U+2028 and U+2029 are escaped, because old
// JavaScript ends a line there; every control character is, so that a server-sent event stays on its line.
func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	dst = appendEscaped(dst, s)
	return append(dst, '"')
}

// appendEscaped appends the inside of a JSON string.
func appendEscaped[T string | []byte](dst []byte, s T) []byte {
	const hex = "0123456789abcdef"
	done := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b >= 0x20 && b < utf8.RuneSelf && b != '"' && b != '\\' {
			i++
			continue
		}
		if b >= utf8.RuneSelf {
			r, n := decodeRune(s, i)
			if r != utf8.RuneError && r != '\u2028' && r != '\u2029' || r == utf8.RuneError && n > 1 {
				i += n
				continue
			}
			dst = append(dst, s[done:i]...)
			switch r {
			case utf8.RuneError:
				dst = append(dst, `\ufffd`...)
			case '\u2028':
				dst = append(dst, `\u2028`...)
			default:
				dst = append(dst, `\u2029`...)
			}
			i += n
			done = i
			continue
		}
		dst = append(dst, s[done:i]...)
		switch b {
		case '"', '\\':
			dst = append(dst, '\\', b)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
		}
		i++
		done = i
	}
	return append(dst, s[done:]...)
}

// decodeRune is utf8.DecodeRune at a place of a string or of bytes, without a copy of the rest.
func decodeRune[T string | []byte](s T, i int) (rune, int) {
	var b [utf8.UTFMax]byte
	n := copy(b[:], s[i:min(len(s), i+utf8.UTFMax)])
	return utf8.DecodeRune(b[:n])
}

// appendOptional appends a JSON string, null in place of an empty one.
func appendOptional(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return appendString(dst, s)
}

// logprobLeast stands for minus infinity, which JSON cannot say; OpenAI and vLLM write this number.
const logprobLeast = -9999.0

// appendLogprob appends a log-probability with the digits that it has: those of a float32 where it is one, as engines compute.
func appendLogprob(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f) || f < logprobLeast:
		f = logprobLeast
	case f > 0:
		f = 0 // rounding: no probability is above 1
	}
	bits := 64
	if float64(float32(f)) == f {
		bits = 32
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'g', -1, bits)
	for _, b := range dst[start:] {
		if b == '.' || b == 'e' {
			return dst
		}
	}
	return append(dst, ".0"...) // clients in typed languages read a float
}

func appendInt[T ~int | ~int32 | ~int64](dst []byte, n T) []byte {
	return strconv.AppendInt(dst, int64(n), 10)
}

// appendIDs appends the ids of tokens, separated by commas.
func appendIDs(dst []byte, tokens []llm.TokenLogprob) []byte {
	for i := range tokens {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendInt(dst, tokens[i].ID)
	}
	return dst
}

// appendUsage appends a usage object. Of an answer that is the prompt alone, the token that was generated to read the prompt is not
// counted: the client has none. vLLM's server in Rust counts so, too; the one in Python tells 1.
func appendUsage(dst []byte, u llm.Usage, r *llm.Report) []byte {
	if r.EchoOnly {
		u.CompletionTokens, u.ReasoningTokens = 0, 0
	}
	dst = append(dst, `{"prompt_tokens":`...)
	dst = appendInt(dst, u.PromptTokens)
	dst = append(dst, `,"completion_tokens":`...)
	dst = appendInt(dst, u.CompletionTokens)
	dst = append(dst, `,"total_tokens":`...)
	dst = appendInt(dst, u.Total())
	dst = append(dst, `,"prompt_tokens_details":{"cached_tokens":`...)
	dst = appendInt(dst, u.CachedTokens)
	dst = append(dst, `},"completion_tokens_details":{"reasoning_tokens":`...)
	dst = appendInt(dst, u.ReasoningTokens)
	return append(dst, "}}"...)
}

// AppendError appends the body of an error as OpenAI's SDKs read it. The cause and the operation stay in the log.
func AppendError(dst []byte, err *llm.Error) []byte {
	m := err.Kind.Meaning()
	if err.Code != "" {
		m.Code = err.Code
	}
	dst = append(dst, `{"error":{"message":`...)
	dst = appendString(dst, err.Public())
	dst = append(dst, `,"type":`...)
	dst = appendString(dst, m.Type)
	dst = append(dst, `,"param":`...)
	dst = appendOptional(dst, err.Param)
	dst = append(dst, `,"code":`...)
	dst = appendOptional(dst, m.Code)
	if err.Reason != "" {
		dst = append(dst, `,"reason":`...)
		dst = appendString(dst, string(err.Reason))
	}
	return append(dst, "}}"...)
}
