package token

import (
	"unicode/utf8"
)

// Pre-tokenizers cut text into words before merging. Published tokenizers give them as regular expressions with lookahead and
// Unicode classes, applied one after another: each cuts the pieces that the one before left, and keeps its matches and the
// text between them. Go's regexp has no lookahead, so each expression is a hand-written function here, which is also some
// twenty times faster. The regex that a function stands for is quoted above it; the tests hold every function against a plain
// backtracking matcher of the quoted text.

// cutter finds where a pattern matches. For a match at the start of s it gives its length and true. Else it gives a number
// of bytes, at least one character, in which no match begins, and false. s is never empty.
type cutter func(s string) (int, bool)

// preTokenizer is a sequence of cutters.
type preTokenizer []cutter

// cut appends the ends of the words of text to cuts, which is empty at first.
func (p preTokenizer) cut(cuts []int, text string, s *scratch) []int {
	cuts = p[0].pieces(cuts, text, 0)
	for _, c := range p[1:] {
		next, start := s.cutsNext[:0], 0
		for _, end := range cuts {
			next = c.pieces(next, text[start:end], start)
			start = end
		}
		cuts, s.cutsNext = next, cuts
	}
	return cuts
}

// pieces appends the ends of the matches in text and of what lies between them; base is where text begins.
func (c cutter) pieces(cuts []int, text string, base int) []int {
	gap := false
	for i := 0; i < len(text); {
		n, ok := c(text[i:])
		if ok && gap {
			cuts = append(cuts, base+i)
		}
		i += n
		if ok {
			cuts = append(cuts, base+i)
		}
		gap = !ok
	}
	if gap {
		cuts = append(cuts, base+len(text))
	}
	return cuts
}

// preTokenizerOf gives the pre-tokenizer that a GGUF file names in tokenizer.ggml.pre. The names are llama.cpp's
// (src/llama-vocab.cpp); ok is false for one that is not known.
func preTokenizerOf(name string) (p preTokenizer, whole, bos, ok bool) {
	switch name {
	case "gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum", "modern-bert",
		"exaone4", "mpt", "olmo", "jais", "trillion", "granite-docling":
		return preTokenizer{cutGPT2}, false, false, true
	case "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano":
		return preTokenizer{cutLlama3}, true, true, true
	case "dbrx", "smaug-bpe", "glm4", "chatglm-bpe":
		return preTokenizer{cutLlama3}, false, false, true
	case "qwen35":
		return preTokenizer{cutQwen35}, false, false, true
	case "qwen2", "deepseek-r1-qwen", "stablelm2", "hunyuan", "megrez", "kormo", "f2llmv2", "grok-2", "solar-open":
		return preTokenizer{cutQwen2}, false, false, true
	case "gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2":
		return preTokenizer{cutGPT4o}, false, false, true
	case "tekken":
		return preTokenizer{cutTekken}, true, true, true
	case "deepseek-llm":
		return preTokenizer{cutNewline, cutCasedLetters, cutDeepseekPunct, cutSpaceAtEnd, cutCJK, cutDigit}, false, false, true
	case "deepseek-coder":
		return preTokenizer{cutNewline, cutSpaceLetters, cutSpacePunct, cutCJK, cutDigit}, false, false, true
	case "deepseek-v3", "hunyuan-dense", "joyai-llm":
		return preTokenizer{cutDigits3, cutHanKana, cutDeepseek3}, false, false, true
	case "starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b":
		return preTokenizer{cutDigit, cutGPT2}, false, false, true
	case "falcon":
		return preTokenizer{cutFalconPunct, cutGPT2, cutThreeDigits}, false, false, true
	case "default", "":
		return preTokenizer{cutDefaultPunct, cutGPT2, cutNumberRun, cutThreeDigits}, false, false, true
	}
	return nil, false, false, false
}

// preTokenizerNames lists one name of each family, for refusals.
func preTokenizerNames() []string {
	return []string{"gpt-2", "llama-bpe", "qwen2", "qwen35", "gpt-4o", "llama4", "tekken", "deepseek-llm", "deepseek-coder", "deepseek-v3",
		"starcoder", "refact", "command-r", "smollm", "falcon", "chatglm-bpe", "dbrx", "smaug-bpe", "stablelm2", "default"}
}

// contraction gives the length of 's 't 're 've 'm 'll 'd at the start of s, or 0. With fold case does not matter, which makes
// U+017F, the long s, an s.
func contraction(s string, fold bool) int {
	if len(s) < 2 || s[0] != '\'' {
		return 0
	}
	bit := byte(0)
	if fold {
		bit = 0x20
	}
	second := byte(0)
	if len(s) > 2 {
		second = s[2] | bit
	}
	switch s[1] | bit {
	case 's', 't', 'm', 'd':
		return 2
	case 'r', 'v':
		if second == 'e' {
			return 3
		}
	case 'l':
		if second == 'l' {
			return 3
		}
	}
	if fold && len(s) > 2 && s[1:3] == "\u017f" {
		return 3
	}
	return 0
}

// spaces matches white space at the start of s. With lines it is
//
//	\s*[\r\n]+|\s+(?!\S)|\s+
//
// and else the same without the first alternative: a run of white space keeps its last character for the word after it, and
// ends after its last newline. It gives 0 where s begins with no white space.
func spaces(s string, lines bool) int {
	end, last, line := 0, 0, 0
	for end < len(s) {
		c, n := classAt(s[end:])
		if c&space == 0 {
			break
		}
		last = end
		end += n
		if c&newline != 0 {
			line = end
		}
	}
	switch {
	case lines && line > 0:
		return line
	case end == len(s) || last == 0:
		return end
	}
	return last
}

// cutGPT2 is the pattern of GPT-2 (openai/gpt-2, src/encoder.py):
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
func cutGPT2(s string) (int, bool) {
	if n := contraction(s, false); n > 0 {
		return n, true
	}
	start := 0
	if s[0] == ' ' {
		start = 1
	}
	c, n := classAt(s[start:])
	switch {
	case n == 0:
	case c&letter != 0:
		return run(s, start+n, letter), true
	case c&number != 0:
		return run(s, start+n, number), true
	case c&space == 0:
		return runNot(s, start+n, space|letter|number), true
	}
	return spaces(s, false), true
}

// cutQwen2 is the pattern of Qwen2 (Qwen/Qwen2, tokenizer.json):
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
func cutQwen2(s string) (int, bool) { return cutTiktoken(s, 1), true }

// cutLlama3 is the pattern of Llama 3 and of cl100k: Qwen2's with numbers of up to three digits, \p{N}{1,3}.
func cutLlama3(s string) (int, bool) { return cutTiktoken(s, 3), true }

func cutTiktoken(s string, digits int) int {
	if n := contraction(s, true); n > 0 {
		return n
	}
	c, n := classAt(s)
	if c&number != 0 {
		return numbers(s, digits)
	}
	if c&letter != 0 {
		return run(s, n, letter)
	}
	if c&newline == 0 {
		if c2, n2 := classAt(s[n:]); c2&letter != 0 {
			return run(s, n+n2, letter)
		}
	}
	if end := marks(s, false); end > 0 {
		return end
	}
	return spaces(s, true)
}

// numbers matches \p{N}{1,most}.
func numbers(s string, most int) int {
	end := 0
	for range most {
		c, n := classAt(s[end:])
		if c&number == 0 {
			break
		}
		end += n
	}
	return end
}

// marks matches " ?[^\s\p{L}\p{N}]+[\r\n]*", with slash " ?[^\s\p{L}\p{N}]+[\r\n/]*"; 0 where it does not.
func marks(s string, slash bool) int {
	start := 0
	if s[0] == ' ' {
		start = 1
	}
	end := runNot(s, start, space|letter|number)
	if end == start {
		return 0
	}
	for end < len(s) && (s[end] == '\r' || s[end] == '\n' || slash && s[end] == '/') {
		end++
	}
	return end
}

// cutGPT4o is the pattern of o200k (openai/tiktoken) and Llama 4, where U is [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], L is
// [\p{Ll}\p{Lm}\p{Lo}\p{M}] and C is (?i:'s|'t|'re|'ve|'m|'ll|'d):
//
//	[^\r\n\p{L}\p{N}]?U*L+C?|[^\r\n\p{L}\p{N}]?U+L*C?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
func cutGPT4o(s string) (int, bool) { return cutCased(s, 3, true), true }

// cutTekken is the pattern of Mistral's Tekken: o200k's without contractions and with single digits.
func cutTekken(s string) (int, bool) { return cutCased(s, 1, false), true }

func cutCased(s string, digits int, contractions bool) int {
	c, n := classAt(s)
	// The optional character in front: greedy, so each alternative is tried with it first, then without.
	front := 0
	if c&(newline|letter|number) == 0 {
		front = n
	}
	end := lowered(s, front)
	if end == 0 && front > 0 {
		end = lowered(s, 0)
	}
	if end == 0 {
		end = capitals(s, front)
	}
	if end == 0 && front > 0 {
		end = capitals(s, 0)
	}
	if end > 0 {
		if contractions && end < len(s) {
			end += contraction(s[end:], true)
		}
		return end
	}
	if c&number != 0 {
		return numbers(s, digits)
	}
	if end := marks(s, true); end > 0 {
		return end
	}
	return spaces(s, true)
}

const (
	upperish = upper | caseless | mark // U
	lowerish = lower | caseless | mark // L
)

// lowered matches U*L+ at byte i of s and gives its end, or 0. Characters without case and marks are in both sets, so U* must
// give characters back until L+ finds one.
func lowered(s string, i int) int {
	end, both := i, -1
	for end < len(s) {
		c, n := classAt(s[end:])
		if c&upperish == 0 {
			break
		}
		if c&lowerish != 0 {
			both = end
		}
		end += n
	}
	if stop := run(s, end, lowerish); stop > end {
		return stop
	}
	if both >= 0 {
		return run(s, both, lowerish)
	}
	return 0
}

// capitals matches U+L* at byte i of s and gives its end, or 0.
func capitals(s string, i int) int {
	end := run(s, i, upperish)
	if end == i {
		return 0
	}
	return run(s, end, lowerish)
}

// cutDeepseek3 is the last pattern of DeepSeek-V3 (deepseek-ai/DeepSeek-V3, tokenizer.json):
//
//	[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
func cutDeepseek3(s string) (int, bool) {
	c, n := classAt(s)
	if s[0] < utf8.RuneSelf && c&(punct|symbol) != 0 {
		end := 1
		for end < len(s) && asciiLetter(s[end]) {
			end++
		}
		if end > 1 {
			return end, true
		}
	}
	if c&(newline|letter|punct|symbol) == 0 {
		if c2, n2 := classAt(s[n:]); c2&(letter|mark) != 0 {
			return run(s, n+n2, letter|mark), true
		}
	}
	if c&(letter|mark) != 0 {
		return run(s, n, letter|mark), true
	}
	start := 0
	if s[0] == ' ' {
		start = 1
	}
	if end := run(s, start, punct|symbol); end > start {
		for end < len(s) && (s[end] == '\r' || s[end] == '\n') {
			end++
		}
		return end, true
	}
	if end := spaces(s, true); end > 0 {
		return end, true
	}
	return n, false
}

func asciiLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

// cutQwen35 is the pattern of Qwen3.5: Qwen2's with marks counted as letters.
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
func cutQwen35(s string) (int, bool) {
	if n := contraction(s, true); n > 0 {
		return n, true
	}
	c, n := classAt(s)
	if c&number != 0 {
		return n, true
	}
	if c&(letter|newline) == 0 {
		if c2, n2 := classAt(s[n:]); c2&(letter|mark) != 0 {
			return run(s, n+n2, letter|mark), true
		}
	}
	if c&(letter|mark) != 0 {
		return run(s, n, letter|mark), true
	}
	start := 0
	if s[0] == ' ' {
		start = 1
	}
	if end := runNot(s, start, space|letter|mark|number); end > start {
		for end < len(s) && (s[end] == '\r' || s[end] == '\n') {
			end++
		}
		return end, true
	}
	return spaces(s, true), true
}
