package token

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"
)

// charsmap is the normalisation table inside a SentencePiece model: the longest known stretch of characters at each place is
// replaced. Its form is a double-array trie of the darts-clone library and the replacements, each ended by a zero byte:
// uint32 length of the trie in bytes, the trie in units of uint32, the replacements (sentencepiece, src/normalizer.cc).
type charsmap struct {
	units []uint32
	texts []byte
}

// charsmapLongest is the longest stretch that is looked for, in bytes. The published tables' longest is under 20; a damaged
// trie may go in circles, and this ends them.
const charsmapLongest = 64

func readCharsmap(b []byte) (*charsmap, error) {
	if len(b) < 4 {
		return nil, fmt.Errorf("precompiled_charsmap has %d bytes, want 4 for its length at least", len(b))
	}
	size := uint64(binary.LittleEndian.Uint32(b))
	if b = b[4:]; size == 0 || size%4 != 0 || size > uint64(len(b)) {
		return nil, fmt.Errorf("precompiled_charsmap says its trie has %d bytes, but %d follow", size, len(b))
	}
	m := &charsmap{units: make([]uint32, size/4), texts: b[size:]}
	for i := range m.units {
		m.units[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return m, nil
}

func (m *charsmap) apply(text string) string {
	var out strings.Builder
	out.Grow(len(text))
	for i := 0; i < len(text); {
		if by, n := m.longest(text[i:]); n > 0 {
			out.Write(by)
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		out.WriteRune(r)
		i += n
	}
	return out.String()
}

// longest gives the replacement of the longest known stretch that s begins with, and the stretch's length; 0 where there is none.
func (m *charsmap) longest(s string) (by []byte, n int) {
	at := unitOffset(m.units[0])
	for i := 0; i < len(s) && i < charsmapLongest; i++ {
		at ^= uint32(s[i])
		if at >= uint32(len(m.units)) {
			break
		}
		unit := m.units[at]
		if unit&(1<<31|0xFF) != uint32(s[i]) {
			break
		}
		at ^= unitOffset(unit)
		if unit>>8&1 == 0 {
			continue
		}
		if at >= uint32(len(m.units)) {
			break
		}
		if from := m.units[at] &^ (1 << 31); uint64(from) < uint64(len(m.texts)) {
			by, n = m.texts[from:], i+1
		}
	}
	for i, c := range by {
		if c == 0 {
			return by[:i], n
		}
	}
	return by, n
}

func unitOffset(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }
