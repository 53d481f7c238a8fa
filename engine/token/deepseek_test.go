package token

import (
	"slices"
	"testing"
	"unicode/utf8"
)

// The golden ids of DeepSeek-LLM were made with a regular expression that spells the letters beyond U+FFFF as \U00010400. The
// library's regex engine knows no \U: it read the letter U, digits, and "0-\U" as the range from 0 to U, which made :;<=>?@ and
// the digits letters. The published tokenizer.json holds the characters themselves, and llama.cpp's ids (ggml-vocab) agree with
// both, as their 46 texts have no token across the difference.
//
// So two things are shown: with the pattern as it was read there all golden texts are equal, and with the published pattern all
// are equal but 14, for which checkDeepSeek has the ids that the same library (tokenizers 0.23.3) gives for it.

func cutMisreadLetters(s string) (int, bool) {
	return many(s, true, func(r rune) bool {
		if r < utf8.RuneSelf {
			return asciiLetter(byte(r)) || r >= '0' && r <= 'U'
		}
		n, ok := cutCasedLetters(string(r))
		return ok && n > 0 && r < 0x10000
	})
}

func TestDeepSeekLLM(t *testing.T) {
	t.Parallel()
	tok := fromFile(t, "ggml-vocab/ggml-vocab-deepseek-llm.gguf")
	checkDeepSeek(t, tok, false)
	if got := tok.Decode(tok.Encode("schön", false, false), false); got != "schön" {
		t.Errorf("the added token ö decodes to %q", got)
	}
}

// checkDeepSeek holds a tokenizer of DeepSeek-LLM against the golden texts. With library added tokens decode as Hugging Face's
// library has it, which writes the added token "ö" as a broken byte; texts with it are else left out of decoding.
func checkDeepSeek(t *testing.T, tok *Tokenizer, library bool) {
	t.Helper()
	texts := goldenTexts(t, "ggml-vocab-deepseek-llm")
	if !library {
		for i, g := range texts {
			if slices.Contains(g.IDs, 100003) {
				texts[i].Decoded = nil
			}
		}
	}
	published := tok.pre
	tok.pre = slices.Clone(published)
	tok.pre[1] = cutMisreadLetters
	checkGolden(t, tok, texts, how{bare: true})
	tok.pre = published

	f := func(text string, ids ...ID) {
		t.Helper()
		at := slices.IndexFunc(texts, func(g goldenText) bool { return g.Text == text })
		if at < 0 {
			t.Fatalf("%q is no golden text", text)
		}
		texts[at].IDs = ids
	}
	f("</s> <s>hi</s>", 535, 82, 29, 459, 82, 29, 4824, 535, 82, 29)
	f("<|endoftext|>", 27, 91, 409, 994, 822, 66325)
	f("x<|endoftext|>y", 87, 27, 91, 409, 994, 822, 66325, 88)
	f("<|im_start|>user\nhi<|im_end|>\n", 27, 91, 309, 62, 4789, 66325, 3631, 185, 4824, 27, 91, 309, 62, 409, 66325, 185)
	f("[cls] <S> <|ENDOFTEXT|>", 58, 30217, 60, 459, 50, 29, 459, 91, 1740, 8447, 37, 19520, 66325)
	f("<|begin_of_text|>", 27, 91, 951, 62, 994, 62, 822, 66325)
	f("!?!?!?!?!?!?!?!?!?!?!?!?!?!?!?!?!?!?!?!?", 0, 22160, 22160, 22160, 22160, 22160, 22160, 22160, 22160, 22160, 22160, 22160, 22160, 22160, 22160, 22160, 22160, 22160, 22160, 22160, 30)
	f("def f(x):\n    return x**2  # square\n\n\nclass A:\n        pass", 1558, 267, 7, 87, 1780, 185, 300, 972, 1376, 746, 17, 207, 1501, 7742, 185, 185, 185, 2186, 338, 25, 185, 391, 1452)
	f("if (a && b || !c) { x += 1; }", 351, 334, 64, 2967, 270, 1493, 2081, 66, 8, 509, 1376, 7324, 207, 16, 26, 615)
	f("<div class=\"a\">&amp; &lt;b&gt;</div>", 27, 1107, 762, 485, 64, 18666, 1292, 26, 576, 4034, 26, 65, 5, 5511, 6901, 1107, 29)
	f("{\"key\": [1, 2.5, null, true], \"s\": \"a\\\"b\"}", 19332, 2458, 2850, 825, 16, 11, 207, 17, 13, 20, 11, 2361, 11, 1927, 2717, 440, 82, 2850, 440, 64, 9732, 65, 31811)
	f("https://example.org/a/b?c=d&e=%20f#g", 3972, 1624, 8500, 13, 2167, 14, 64, 14, 65, 30, 66, 28, 67, 5, 68, 30185, 17, 15, 69, 2, 70)
	f("C:\\dir\\file.txt /usr/bin/env", 34, 7218, 5644, 59, 2810, 13, 9307, 893, 4927, 14, 4166, 14, 8343)
	f("~`@#$%^&*()_+-={}[]|\\:\";'<>?,./", 93, 63, 31, 2, 3, 4, 61, 5, 9, 826, 12329, 12, 8514, 90761, 3318, 25, 3170, 6, 54018, 24794, 8739)
	checkGolden(t, tok, texts, how{bare: true})
}
