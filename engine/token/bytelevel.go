package token

import "unicode/utf8"

// byteRune gives the character that stands for a byte in byte-level vocabularies. GPT-2's encoder wanted every byte to be a
// visible character: those that print in Latin-1 stand for themselves, the other 68 are U+0100 and up in order (so a space
// is "Ġ" and a newline "Ċ"). Source: bytes_to_unicode in openai/gpt-2, src/encoder.py.
func byteRune(b byte) rune {
	switch {
	case b >= '!' && b <= '~', b >= 0xA1 && b <= 0xAC, b >= 0xAE:
		return rune(b)
	case b <= ' ':
		return 0x100 + rune(b)
	case b <= 0xA0: // 0x7F..0xA0
		return 0x100 + 33 + rune(b-0x7F)
	default: // 0xAD, the soft hyphen
		return 0x143
	}
}

// runeByte is the inverse of byteRune.
func runeByte(r rune) (byte, bool) {
	switch {
	case r >= '!' && r <= '~', r >= 0xA1 && r <= 0xFF && r != 0xAD:
		return byte(r), true
	case r >= 0x100 && r <= 0x120:
		return byte(r - 0x100), true
	case r >= 0x121 && r <= 0x142:
		return byte(r-0x121) + 0x7F, true
	case r == 0x143:
		return 0xAD, true
	}
	return 0, false
}

// appendByteLevel writes the bytes of s as the characters that stand for them.
func appendByteLevel[T string | []byte](dst []byte, s T) []byte {
	for i := range len(s) {
		dst = utf8.AppendRune(dst, byteRune(s[i]))
	}
	return dst
}

// appendFromByteLevel writes the bytes that text stands for. Text that holds any other character stands for itself: so do
// tokens that were added with a space or with letters of another script.
func appendFromByteLevel(dst []byte, text string) []byte {
	start := len(dst)
	for _, r := range text {
		b, ok := runeByte(r)
		if !ok {
			return append(dst[:start], text...)
		}
		dst = append(dst, b)
	}
	return dst
}
