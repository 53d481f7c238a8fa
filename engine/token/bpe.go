package token

// byteBPE is byte-level BPE: a word's bytes are its first symbols, so every text can be written and none is unknown. GPT-2,
// Llama 3, Qwen, DeepSeek and the tokenizers trained here are of this kind.
type byteBPE struct {
	vocab  *vocabulary
	merges *mergeTable
	// bytes are the tokens of the 256 single bytes. A vocabulary that lacks one drops that byte, or writes unk where the
	// file names one, as Hugging Face's tokenizers do.
	bytes [256]ID
	unk   ID
	// whole takes a word that is itself a token as that token, without merging ("ignore_merges" of Llama 3 and Tekken, whose
	// merge lists do not reach all of their tokens).
	whole bool
}

func newByteBPE(v *vocabulary, merges []pair, unk ID, whole bool) (*byteBPE, error) {
	table, err := mergesOf(v, merges)
	if err != nil {
		return nil, err
	}
	b := &byteBPE{vocab: v, merges: table, unk: unk, whole: whole}
	for i := range b.bytes {
		b.bytes[i] = unk
		if id, ok := v.index[string(byteRune(byte(i)))]; ok {
			b.bytes[i] = id
		}
	}
	return b, nil
}

func (b *byteBPE) word(dst []ID, w string, s *scratch) []ID {
	if len(w) == 1 {
		if id := b.bytes[w[0]]; id != none {
			dst = append(dst, id)
		}
		return dst
	}
	if len(w) > cachedWord {
		return append(dst, b.merge(w, s)...)
	}
	slot := s.cached(w)
	if slot.holds(w) {
		return append(dst, slot.ids[:slot.count]...)
	}
	ids := b.merge(w, s)
	slot.set(w, ids)
	return append(dst, ids...)
}

// merge gives the ids of one word in scratch memory.
func (b *byteBPE) merge(w string, s *scratch) []ID {
	if b.whole {
		s.text = appendByteLevel(s.text[:0], w)
		if id, ok := b.vocab.find(string(s.text)); ok {
			s.ids = append(s.ids[:0], id)
			return s.ids
		}
	}
	ids := s.ids[:0]
	for i := range len(w) {
		if id := b.bytes[w[i]]; id != none {
			ids = append(ids, id)
		}
	}
	s.ids = ids
	return b.merges.merge(ids, s)
}

// The word cache. Text repeats its words, and looking one up costs a tenth of merging it. It is per scratch, so it needs no
// lock, and bounded: 4,096 slots of 92 bytes are 370 kB for each core that encodes. Fewer slots miss on ordinary prose (a
// chapter has about 3,000 different words); more fall out of the second-level cache of the core.
const (
	cacheSlots = 4096
	cachedWord = 24 // bytes; longer words are rare and seldom repeat
	cachedIDs  = 15
)

type wordCache [cacheSlots]cachedSlot

type cachedSlot struct {
	key   [cachedWord]byte
	size  uint8
	count uint8
	ids   [cachedIDs]ID
}

// cached gives the slot that w would be in.
func (s *scratch) cached(w string) *cachedSlot {
	if s.cache == nil {
		s.cache = new(wordCache)
	}
	h := uint32(2166136261) // FNV-1a
	for i := range len(w) {
		h = (h ^ uint32(w[i])) * 16777619
	}
	return &s.cache[(h^h>>16)%cacheSlots]
}

func (c *cachedSlot) holds(w string) bool {
	return int(c.size) == len(w) && string(c.key[:c.size]) == w
}

func (c *cachedSlot) set(w string, ids []ID) {
	if len(ids) > cachedIDs || len(w) == 0 {
		return
	}
	copy(c.key[:], w)
	copy(c.ids[:], ids)
	c.size, c.count = uint8(len(w)), uint8(len(ids))
}
