package jinja

import (
	"strings"
	"unicode"
)

// longCases are the characters whose upper case is more than one character (Unicode's SpecialCasing.txt): the character, its
// upper case and its title case.
const longCases = "" +
	"ß SS Ss, ŉ ʼN ʼN, ǰ J\u030c J\u030c, ΐ Ι\u0308\u0301 Ι\u0308\u0301, ΰ Υ\u0308\u0301 Υ\u0308\u0301, և ԵՒ Եւ, " +
	"ẖ H\u0331 H\u0331, ẗ T\u0308 T\u0308, ẘ W\u030a W\u030a, ẙ Y\u030a Y\u030a, ẚ Aʾ Aʾ, ὐ Υ\u0313 Υ\u0313, " +
	"ὒ Υ\u0313\u0300 Υ\u0313\u0300, ὔ Υ\u0313\u0301 Υ\u0313\u0301, ὖ Υ\u0313\u0342 Υ\u0313\u0342, ᾀ ἈΙ ᾈ, ᾁ ἉΙ ᾉ, ᾂ ἊΙ ᾊ, " +
	"ᾃ ἋΙ ᾋ, ᾄ ἌΙ ᾌ, ᾅ ἍΙ ᾍ, ᾆ ἎΙ ᾎ, ᾇ ἏΙ ᾏ, ᾈ ἈΙ ᾈ, ᾉ ἉΙ ᾉ, ᾊ ἊΙ ᾊ, ᾋ ἋΙ ᾋ, ᾌ ἌΙ ᾌ, ᾍ ἍΙ ᾍ, ᾎ ἎΙ ᾎ, ᾏ ἏΙ ᾏ, ᾐ ἨΙ ᾘ, " +
	"ᾑ ἩΙ ᾙ, ᾒ ἪΙ ᾚ, ᾓ ἫΙ ᾛ, ᾔ ἬΙ ᾜ, ᾕ ἭΙ ᾝ, ᾖ ἮΙ ᾞ, ᾗ ἯΙ ᾟ, ᾘ ἨΙ ᾘ, ᾙ ἩΙ ᾙ, ᾚ ἪΙ ᾚ, ᾛ ἫΙ ᾛ, ᾜ ἬΙ ᾜ, ᾝ ἭΙ ᾝ, ᾞ ἮΙ ᾞ, " +
	"ᾟ ἯΙ ᾟ, ᾠ ὨΙ ᾨ, ᾡ ὩΙ ᾩ, ᾢ ὪΙ ᾪ, ᾣ ὫΙ ᾫ, ᾤ ὬΙ ᾬ, ᾥ ὭΙ ᾭ, ᾦ ὮΙ ᾮ, ᾧ ὯΙ ᾯ, ᾨ ὨΙ ᾨ, ᾩ ὩΙ ᾩ, ᾪ ὪΙ ᾪ, ᾫ ὫΙ ᾫ, ᾬ ὬΙ ᾬ, " +
	"ᾭ ὭΙ ᾭ, ᾮ ὮΙ ᾮ, ᾯ ὯΙ ᾯ, ᾲ ᾺΙ Ὰ\u0345, ᾳ ΑΙ ᾼ, ᾴ ΆΙ Ά\u0345, ᾶ Α\u0342 Α\u0342, ᾷ Α\u0342Ι Α\u0342\u0345, ᾼ ΑΙ ᾼ, " +
	"ῂ ῊΙ Ὴ\u0345, ῃ ΗΙ ῌ, ῄ ΉΙ Ή\u0345, ῆ Η\u0342 Η\u0342, ῇ Η\u0342Ι Η\u0342\u0345, ῌ ΗΙ ῌ, " +
	"ῒ Ι\u0308\u0300 Ι\u0308\u0300, ΐ Ι\u0308\u0301 Ι\u0308\u0301, ῖ Ι\u0342 Ι\u0342, ῗ Ι\u0308\u0342 Ι\u0308\u0342, " +
	"ῢ Υ\u0308\u0300 Υ\u0308\u0300, ΰ Υ\u0308\u0301 Υ\u0308\u0301, ῤ Ρ\u0313 Ρ\u0313, ῦ Υ\u0342 Υ\u0342, " +
	"ῧ Υ\u0308\u0342 Υ\u0308\u0342, ῲ ῺΙ Ὼ\u0345, ῳ ΩΙ ῼ, ῴ ΏΙ Ώ\u0345, ῶ Ω\u0342 Ω\u0342, ῷ Ω\u0342Ι Ω\u0342\u0345, " +
	"ῼ ΩΙ ῼ, ﬀ FF Ff, ﬁ FI Fi, ﬂ FL Fl, ﬃ FFI Ffi, ﬄ FFL Ffl, ﬅ ST St, ﬆ ST St, ﬓ ՄՆ Մն, ﬔ ՄԵ Մե, ﬕ ՄԻ Մի, ﬖ ՎՆ Վն, " +
	"ﬗ ՄԽ Մխ, "

// ideographs are the numerals among the ideographs, which Python's isnumeric counts (Unicode's Unihan_NumericValues.txt).
const ideographs = "㐅㒃㠪㭍一七万三九二五亖亿什仟仨伍佰億兆兩八六十千卄卅卌叁参參叄四壱壹幺廾廿弌弍弎弐拾捌柒漆玖百肆萬貮貳贰阡陆陌陸零\uf96b\uf973\uf978\uf9b2\uf9d1\uf9d3\uf9fd\U00020001\U00020064\U000200e2\U00020121\U0002092a\U00020983\U0002098c\U0002099c\U00020aea\U00020afd\U00020b19\U00022390\U00022998\U00023b1b\U0002626d\U0002f890"

// cases maps text to other cases as Python does, with the characters that become several.
type cases map[rune][2]string

func newCases() cases {
	out := cases{}
	for entry := range strings.SplitSeq(strings.TrimSuffix(longCases, ", "), ", ") {
		f := strings.Fields(entry)
		out[[]rune(f[0])[0]] = [2]string{f[1], f[2]}
	}
	return out
}

func (c cases) upper(s string) string {
	if isASCII(s) {
		return strings.ToUpper(s)
	}
	var b strings.Builder
	for _, r := range s {
		if long, ok := c[r]; ok {
			b.WriteString(long[0])
		} else {
			b.WriteRune(unicode.ToUpper(r))
		}
	}
	return b.String()
}

// titled is the title case of one character.
func (c cases) titled(r rune) string {
	if long, ok := c[r]; ok {
		return long[1]
	}
	return string(unicode.ToTitle(r))
}

// lower is s in lower case. A capital sigma becomes the final one at the end of a word.
func lower(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	chars := []rune(s)
	var b strings.Builder
	for i, r := range chars {
		switch {
		case r == '\u0130':
			b.WriteString("i\u0307")
		case r == '\u03a3' && endsWord(chars, i):
			b.WriteRune('\u03c2')
		default:
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String()
}

// ignoredMax bounds how far endsWord looks over characters that casing ignores; no word has more of them in a row.
const ignoredMax = 64

// endsWord tells whether a cased character comes before chars[i] and none after it, those that casing ignores aside.
func endsWord(chars []rune, i int) bool {
	before := i - 1
	for before >= max(0, i-ignoredMax) && caseIgnored(chars[before]) {
		before--
	}
	after := i + 1
	for after < min(len(chars), i+ignoredMax) && caseIgnored(chars[after]) {
		after++
	}
	return before >= 0 && isCased(chars[before]) && (after == len(chars) || !isCased(chars[after]))
}

func caseIgnored(r rune) bool {
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) ||
		strings.ContainsRune("'.:\u00b7\u0387\u055f\u05f4\u2018\u2019\u2024\u2027\ufe13\ufe52\ufe55\uff07\uff0e\uff1a", r)
}

func isLower(r rune) bool {
	if r < 0x80 {
		return 'a' <= r && r <= 'z'
	}
	return unicode.In(r, unicode.Ll, unicode.Other_Lowercase)
}

func isUpper(r rune) bool {
	if r < 0x80 {
		return 'A' <= r && r <= 'Z'
	}
	return unicode.In(r, unicode.Lu, unicode.Other_Uppercase)
}

func isCased(r rune) bool {
	return isLower(r) || isUpper(r) || r >= 0x80 && unicode.Is(unicode.Lt, r)
}

// isDigitRune tells what Python's isdigit counts: decimal digits, and digits of a special form such as superscripts.
func isDigitRune(r rune) bool {
	if unicode.Is(unicode.Nd, r) {
		return true
	}
	for _, in := range [...][2]rune{
		{0xb2, 0xb3}, {0xb9, 0xb9}, {0x1369, 0x1371}, {0x19da, 0x19da}, {0x2070, 0x2070}, {0x2074, 0x2079}, {0x2080, 0x2089},
		{0x2460, 0x2468}, {0x2474, 0x247c}, {0x2488, 0x2490}, {0x24ea, 0x24ea}, {0x24f5, 0x24fd}, {0x24ff, 0x24ff},
		{0x2776, 0x277e}, {0x2780, 0x2788}, {0x278a, 0x2792}, {0x10a40, 0x10a43}, {0x10e60, 0x10e68}, {0x11052, 0x1105a},
		{0x1f100, 0x1f10a},
	} {
		if in[0] <= r && r <= in[1] {
			return true
		}
	}
	return false
}

func isNumeric(r rune) bool {
	return unicode.In(r, unicode.Nd, unicode.Nl, unicode.No) || strings.ContainsRune(ideographs, r)
}
