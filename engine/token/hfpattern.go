package token

import (
	"fmt"
	"strings"
)

// cutter finds the scanner that stands for the pattern of a Split.
func (s *stage) cutter() (cutter, error) {
	if s.Pattern.String != nil && *s.Pattern.String == " " && s.Behavior == "MergedWithPrevious" && !s.Invert {
		return cutAfterSpace, nil
	}
	if s.Pattern.Regex == nil {
		return nil, fmt.Errorf("Split at %s is not supported", s.patternText())
	}
	known, ok := patterns()[*s.Pattern.Regex]
	if !ok {
		return nil, fmt.Errorf("the pattern %q is not known; known are those of GPT-2, Llama 3, Qwen2, Qwen3.5, GPT-4o, Tekken, DeepSeek and Falcon", *s.Pattern.Regex)
	}
	// The patterns that match everything leave nothing between matches, so that removing it is the same as keeping it.
	if s.Behavior == "Isolated" && !s.Invert || s.Behavior == "Removed" && s.Invert && known.total {
		return known.cut, nil
	}
	return nil, fmt.Errorf("Split with behavior %q and invert %v is not supported for the pattern %q", s.Behavior, s.Invert, *s.Pattern.Regex)
}

// cutAfterSpace cuts after every space.
func cutAfterSpace(s string) (int, bool) {
	if at := strings.IndexByte(s, ' '); at >= 0 {
		return at + 1, true
	}
	return len(s), true
}

// threeDigits is the one pattern that means the same before and after ByteLevel.
const threeDigits = `[0-9][0-9][0-9]`

type pattern struct {
	cut   cutter
	total bool // matches at every position
}

// patterns maps the text of a regex to its scanner.
func patterns() map[string]pattern {
	const (
		contr = `(?i:'s|'t|'re|'ve|'m|'ll|'d)`
		tail  = `\s*[\r\n]+|\s+(?!\S)|\s+`
		up    = `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`
		low   = `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`
		front = `[^\r\n\p{L}\p{N}]?`
		marks = ` ?[^\s\p{L}\p{N}]+[\r\n]*|`
		slash = ` ?[^\s\p{L}\p{N}]+[\r\n/]*|`
	)
	m := map[string]pattern{
		`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`:       {cutGPT2, true},
		contr + `|` + front + `\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|` + tail:             {cutQwen2, true},
		contr + `|` + front + `\p{L}+|\p{N}{1}|` + marks + tail:                            {cutQwen2, true},
		contr + `|` + front + `\p{L}+|\p{N}{1,3}|` + marks + tail:                          {cutLlama3, true},
		contr + `|` + front + `[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|` + tail: {cutQwen35, true},
		// cl100k as tiktoken writes it: possessive, and one newline less; the matches are the same.
		`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`:     {cutLlama3, true},
		front + up + `*` + low + `+` + contr + `?|` + front + up + `+` + low + `*` + contr + `?|\p{N}{1,3}|` + slash + tail: {cutGPT4o, true},
		front + up + `*` + low + `+|` + front + up + `+` + low + `*|\p{N}|` + slash + tail:                                  {cutTekken, true},

		`[\r\n]`:            {cutNewline, false},
		`\s+$`:              {cutSpaceAtEnd, false},
		`\s?\p{L}+`:         {cutSpaceLetters, false},
		`\s?\p{P}+`:         {cutSpacePunct, false},
		`\p{N}`:             {cutDigit, false},
		`\p{N}+`:            {cutNumberRun, false},
		`\p{N}{1,3}`:        {cutDigits3, false},
		threeDigits:         {cutThreeDigits, false},
		`[一-龥ࠀ-一가-퟿]+`:      {cutCJK, false},
		"[一-龥\u3040-ゟ゠-ヿ]+": {cutHanKana, false},
		`\s?[!-/:-~！-／：-～‘-‟　-。]+`: {cutDeepseekPunct, false},
		"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|" + tail: {cutDeepseek3, false},
	}
	m[casedPattern()] = pattern{cutCasedLetters, false}
	return m
}

// casedPattern writes the regex of cutCasedLetters.
func casedPattern() string {
	var s strings.Builder
	s.WriteString(`\s?[`)
	for _, r := range casedLetters {
		s.WriteRune(r[0])
		if r[1] > r[0] {
			s.WriteString("-" + string(r[1]))
		}
	}
	s.WriteString("]+")
	return s.String()
}
