package token

import (
	"container/heap"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// TrainOptions say what vocabulary TrainBPE makes.
type TrainOptions struct {
	// VocabSize is the number of tokens wanted: the special ones, 256 bytes, and merges for the rest. Fewer come out when
	// the texts hold no pair twice any more.
	VocabSize int
	// Special are control tokens; they get the first ids in this order. Their text is cut out of the training texts.
	Special []string
	// Pre names the pre-tokenizer as GGUF does; empty means "qwen2", which keeps every digit a token of its own.
	Pre string
	// BOS and EOS name two of Special; empty means that the vocabulary has none, and for EOS the first of Special that is
	// known to end a turn (such as <|im_end|>).
	BOS, EOS string
	// AddBOS makes Encode put BOS before every text.
	AddBOS bool
}

// TrainBPE learns a byte-level BPE vocabulary from texts: words are counted, then the most frequent pair of neighbouring symbols
// inside words becomes a new symbol, again and again (Sennrich, Haddow and Birch 2016). Pairs never cross words. Equal counts
// go to the pair with the smaller ids, so the same texts in the same order, or any order, give the same vocabulary.
func TrainBPE(texts iter.Seq[string], o TrainOptions) (*Tokenizer, error) {
	if o.Pre == "" {
		o.Pre = "qwen2"
	}
	pre, whole, _, ok := preTokenizerOf(o.Pre)
	if !ok {
		return nil, unknownPre(o.Pre)
	}
	if least := len(o.Special) + 256; o.VocabSize < least {
		return nil, fmt.Errorf("a vocabulary of %d tokens is too small: %d special tokens and 256 bytes make %d", o.VocabSize, len(o.Special), least)
	}
	spec := spec{pre: pre, preName: o.Pre, whole: whole, unk: none, bos: none, eos: none}
	specials := added{}
	for i, s := range o.Special {
		if s == "" || slices.Contains(o.Special[:i], s) {
			return nil, fmt.Errorf("special token %d is %q: each must be a text of its own", i, s)
		}
		spec.texts = append(spec.texts, s)
		spec.kinds = append(spec.kinds, kindControl)
		specials.put(s, addedToken{id: ID(i)})
	}
	for b := range 256 {
		spec.texts = append(spec.texts, string(byteRune(byte(b))))
		spec.kinds = append(spec.kinds, kindNormal)
	}
	t := newTraining(countWords(texts, pre, &specials), ID(len(o.Special)))
	for len(spec.texts) < o.VocabSize {
		best, ok := t.next()
		if !ok {
			break
		}
		left, right := spec.texts[best[0]], spec.texts[best[1]]
		if slices.Contains(spec.texts[:len(o.Special)], left+right) {
			continue // a merge must not spell a special token
		}
		t.apply(best, ID(len(spec.texts)))
		spec.merges = append(spec.merges, pair{left, right})
		spec.texts = append(spec.texts, left+right)
		spec.kinds = append(spec.kinds, kindNormal)
	}
	for _, want := range []struct {
		text string
		id   *ID
	}{{o.BOS, &spec.bos}, {o.EOS, &spec.eos}} {
		if want.text == "" {
			continue
		}
		at := slices.Index(o.Special, want.text)
		if at < 0 {
			return nil, fmt.Errorf("%q is to begin or end texts but is not among the special tokens %q", want.text, o.Special)
		}
		*want.id = ID(at)
	}
	if spec.eos == none {
		spec.eos = ID(slices.IndexFunc(o.Special, endsTurn)) // -1 is none
	}
	if o.AddBOS {
		if spec.bos == none {
			return nil, fmt.Errorf("AddBOS needs BOS to name one of the special tokens %q", o.Special)
		}
		spec.addBOS = true
	}
	return newByteLevel(spec)
}

// countWords cuts texts into words and counts each.
func countWords(texts iter.Seq[string], pre preTokenizer, specials *added) map[string]int {
	counts := map[string]int{}
	var s scratch
	for text := range texts {
		for at := 0; at < len(text); {
			from, to, _ := specials.next(text, at, true)
			stretch := text[at:from]
			at = to
			if stretch == "" {
				continue
			}
			s.cuts = pre.cut(s.cuts[:0], stretch, &s)
			start := 0
			for _, end := range s.cuts {
				w := stretch[start:end]
				start = end
				if n, seen := counts[w]; seen {
					counts[w] = n + 1
				} else {
					counts[strings.Clone(w)] = 1 // a clone, or the map would keep the whole text alive
				}
			}
		}
	}
	return counts
}

// training holds every distinct word as symbols, the count of every pair, and where each pair occurs.
type training struct {
	words  [][]ID // (words, symbols)
	counts []int  // (words)
	pairs  map[[2]ID]int
	where  map[[2]ID]map[int]struct{} // pair to the words that (may) hold it
	queue  pairQueue
}

func newTraining(counts map[string]int, firstByte ID) *training {
	t := &training{pairs: map[[2]ID]int{}, where: map[[2]ID]map[int]struct{}{}}
	for _, w := range slices.Sorted(maps.Keys(counts)) {
		if len(w) < 2 {
			continue
		}
		symbols := make([]ID, len(w))
		for i := range len(w) {
			symbols[i] = firstByte + ID(w[i])
		}
		at := len(t.words)
		t.words, t.counts = append(t.words, symbols), append(t.counts, counts[w])
		for i := 1; i < len(symbols); i++ {
			t.count([2]ID{symbols[i-1], symbols[i]}, counts[w], at)
		}
	}
	for p, n := range t.pairs {
		t.queue = append(t.queue, counted{p, n})
	}
	heap.Init(&t.queue) // a total order, so the order of the map leaves no trace
	return t
}

func (t *training) count(p [2]ID, n, word int) {
	t.pairs[p] += n
	in := t.where[p]
	if in == nil {
		in = map[int]struct{}{}
		t.where[p] = in
	}
	in[word] = struct{}{}
}

// next gives the most frequent pair that occurs at least twice. The queue may hold old counts: a pair whose count has changed
// goes back with the present one.
func (t *training) next() ([2]ID, bool) {
	for len(t.queue) > 0 {
		c := heap.Pop(&t.queue).(counted)
		switch now := t.pairs[c.pair]; {
		case now < 2:
		case now != c.count:
			heap.Push(&t.queue, counted{c.pair, now})
		default:
			return c.pair, true
		}
	}
	return [2]ID{}, false
}

// apply replaces p by id in all words and keeps the counts of the pairs around it right.
func (t *training) apply(p [2]ID, id ID) {
	fresh := map[[2]ID]struct{}{}
	for _, at := range slices.Sorted(maps.Keys(t.where[p])) {
		word, n := t.words[at], t.counts[at]
		for i := 1; i < len(word); i++ {
			t.pairs[[2]ID{word[i-1], word[i]}] -= n
		}
		out := word[:0]
		for i := 0; i < len(word); i++ {
			if i+1 < len(word) && word[i] == p[0] && word[i+1] == p[1] {
				out = append(out, id)
				i++
			} else {
				out = append(out, word[i])
			}
		}
		t.words[at] = out
		for i := 1; i < len(out); i++ {
			q := [2]ID{out[i-1], out[i]}
			t.count(q, n, at)
			if q[0] == id || q[1] == id {
				fresh[q] = struct{}{}
			}
		}
	}
	delete(t.where, p)
	delete(t.pairs, p)
	for q := range fresh {
		heap.Push(&t.queue, counted{q, t.pairs[q]})
	}
}

type counted struct {
	pair  [2]ID
	count int
}

// pairQueue is a heap: the highest count first, then the smaller ids.
type pairQueue []counted

func (q pairQueue) Len() int { return len(q) }
func (q pairQueue) Less(i, j int) bool {
	a, b := q[i], q[j]
	if a.count != b.count {
		return a.count > b.count
	}
	return slices.Compare(a.pair[:], b.pair[:]) < 0
}
func (q pairQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *pairQueue) Push(x any)   { *q = append(*q, x.(counted)) }
func (q *pairQueue) Pop() any {
	last := len(*q) - 1
	c := (*q)[last]
	*q = (*q)[:last]
	return c
}
