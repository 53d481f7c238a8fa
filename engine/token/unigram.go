package token

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// unigram is SentencePiece's Unigram model (Kudo 2018, "Subword Regularization"): every token has a log-probability, and of all
// ways to write a text with tokens the likeliest one is taken. Going from left to right it is enough to remember the best way
// to reach each byte (Viterbi), so the time is linear in the text: every start follows the trie at most one token's length.
type unigram struct {
	trie    *mergeTable // (node, byte) to node; node 0 is the root
	ends    []ID        // (nodes), the token that ends at a node, or none
	scores  []float32   // (tokens)
	unk     ID
	penalty float64 // the score of an unknown character
	bytes   [256]ID
	single  bool // adds scores in float32, as SentencePiece itself does; Hugging Face's library adds in float64
}

// unknownPenalty is how much worse an unknown character is than the worst token (kUnkPenalty in SentencePiece's source).
const unknownPenalty = 10

// step is the best way found to reach a byte of the text.
type step struct {
	score float64
	from  int32 // where the last token of that way begins
	id    ID    // none for an unknown character
}

func newUnigramModel(v *vocabulary, sp spec, single bool) (*unigram, error) {
	if sp.unk == none {
		return nil, fmt.Errorf("a Unigram vocabulary needs an unknown token, and this one names none")
	}
	m := &unigram{scores: sp.scores, unk: sp.unk, bytes: byteTokens(v), single: single, ends: []ID{none}}
	bytes, worst := 0, float32(math.MaxFloat32)
	for i, text := range v.texts {
		if !usable(v, ID(i), sp.byteText) {
			continue
		}
		if s := sp.scores[i]; math.IsNaN(float64(s)) || math.IsInf(float64(s), 0) {
			return nil, fmt.Errorf("token %d has the score %v, want a finite log-probability", i, s)
		}
		if len(text) > longestToken {
			return nil, fmt.Errorf("token %d is %d bytes long; SentencePiece makes none longer than %d", i, len(text), longestToken)
		}
		bytes += len(text)
		worst = min(worst, sp.scores[i])
	}
	m.penalty = float64(worst - unknownPenalty)
	m.trie = newMergeTable(bytes)
	for i, text := range v.texts {
		if usable(v, ID(i), sp.byteText) {
			m.insert(text, ID(i))
		}
	}
	return m, nil
}

// usable tells whether text may become the token; of two with the same text the first.
func usable(v *vocabulary, id ID, byteText bool) bool {
	k, text := v.kinds[id], v.texts[id]
	return (k == kindNormal || k == kindByte && byteText) && text != "" && v.index[text] == id
}

func (m *unigram) insert(text string, id ID) {
	node := ID(0)
	for i := range len(text) {
		_, next := m.trie.find(node, ID(text[i]))
		if next == none {
			next = ID(len(m.ends))
			m.ends = append(m.ends, none)
			m.trie.add(node, ID(text[i]), 0, next)
		}
		node = next
	}
	m.ends[node] = id
}

func (m *unigram) word(dst []ID, w string, s *scratch) []ID {
	best := m.steps(w, s)
	// The way is known from its end, so the tokens come in reverse.
	s.ids = s.ids[:0]
	for at := len(w); at > 0; at = int(best[at].from) {
		s.ids = append(s.ids, ID(at))
	}
	start := len(dst)
	for i := len(s.ids) - 1; i >= 0; i-- {
		end := int(s.ids[i])
		from, id := int(best[end].from), best[end].id
		if id != none {
			dst = append(dst, id)
			continue
		}
		dst = append(dst[:start], appendUnknown(dst[start:], w[from:end], &m.bytes, m.unk, true)...)
	}
	return dst
}

// steps finds the best way to reach every byte of w: (len(w)+1).
func (m *unigram) steps(w string, s *scratch) []step {
	best := s.steps[:0]
	for range len(w) + 1 {
		best = append(best, step{from: -1})
	}
	s.steps = best
	for at := 0; at < len(w); {
		_, size := utf8.DecodeRuneInString(w[at:])
		base, whole := best[at].score, false
		for node, i := ID(0), at; i < len(w); i++ {
			if _, node = m.trie.find(node, ID(w[i])); node == none {
				break
			}
			if id := m.ends[node]; id != none {
				m.offer(&best[i+1], base+float64(m.scores[id]), at, id)
				whole = whole || i+1-at == size
			}
		}
		if !whole {
			m.offer(&best[at+size], base+m.penalty, at, none)
		}
		at += size
	}
	return best
}

// offer keeps the better of two ways to the same byte; of equals the first.
func (m *unigram) offer(to *step, score float64, from int, id ID) {
	if m.single {
		score = float64(float32(score))
	}
	if to.from < 0 || score > to.score {
		*to = step{score: score, from: int32(from), id: id}
	}
}

// newUnigram builds a Unigram tokenizer.
func newUnigram(sp spec, dropSpace, single bool) (*Tokenizer, error) {
	t, err := newTokenizer(sp)
	if err != nil {
		return nil, err
	}
	setMarkedPieces(&t.vocab)
	if t.model, err = newUnigramModel(&t.vocab, sp, single); err != nil {
		return nil, err
	}
	t.decode = decoder{dropSpace: dropSpace}
	return t, nil
}
