package token

import "fmt"

// Byte-pair encoding. A word starts as its smallest symbols; as long as two neighbours form a known merge, the merge of lowest
// rank (leftmost first among equals) is applied. Sennrich, Haddow and Birch 2016, "Neural Machine Translation of Rare Words
// with Subword Units". SentencePiece's BPE is the same with ranks from scores, so both kinds share this file.
//
// The obvious loop looks for the best pair of the whole word after every merge, which is quadratic. For the words that text is
// made of (mostly under 20 symbols) that loop in two small slices is the fastest there is; a word of a megabyte (one line of
// base64, or "=====") would take hours. So long words keep their pairs in a heap and their symbols in a linked list.

// shortWord is the number of symbols up to which the simple loop is used. At 64 the loop does at most 64*64/2 compares, a few
// microseconds; a heap for fewer costs more than it saves, and a larger bound lets hostile text slow the server down.
const shortWord = 64

// noRank marks a pair that does not merge.
const noRank = ^uint32(0)

// mergeTable maps a pair of neighbouring ids to the rank of their merge and the id they become: an open-addressing hash table,
// because a Go map of 300,000 pairs costs about three times as much to ask and to build.
type mergeTable struct {
	keys []uint64 // left<<32 | right, plus one so that zero means empty
	vals []uint64 // rank<<32 | id
	mask uint64
}

func newMergeTable(n int) *mergeTable {
	size := 16
	for size < 2*n {
		size *= 2
	}
	return &mergeTable{keys: make([]uint64, size), vals: make([]uint64, size), mask: uint64(size - 1)}
}

func pairKey(left, right ID) uint64 { return (uint64(uint32(left))<<32 | uint64(uint32(right))) + 1 }

func (m *mergeTable) slot(key uint64) uint64 {
	h := key * 0x9E3779B97F4A7C15 // Fibonacci hashing: the high bits mix both ids
	return (h ^ h>>32) & m.mask
}

// add records a merge; of two for the same pair the first, which has the lower rank, stays.
func (m *mergeTable) add(left, right ID, rank uint32, id ID) {
	key := pairKey(left, right)
	for i := m.slot(key); ; i = (i + 1) & m.mask {
		switch m.keys[i] {
		case 0:
			m.keys[i], m.vals[i] = key, uint64(rank)<<32|uint64(uint32(id))
			return
		case key:
			return
		}
	}
}

// find gives the rank and the result of merging left and right; noRank where they do not merge.
func (m *mergeTable) find(left, right ID) (uint32, ID) {
	if left < 0 || right < 0 {
		return noRank, none
	}
	key := pairKey(left, right)
	for i := m.slot(key); ; i = (i + 1) & m.mask {
		switch m.keys[i] {
		case key:
			return uint32(m.vals[i] >> 32), ID(uint32(m.vals[i]))
		case 0:
			return noRank, none
		}
	}
}

// merge applies all merges to ids and returns what is left, in place.
func (m *mergeTable) merge(ids []ID, s *scratch) []ID {
	if len(ids) < 2 {
		return ids
	}
	if len(ids) > shortWord {
		return s.long.run(m, ids)
	}
	ranks := s.ranks[:0]
	for i := 1; i < len(ids); i++ {
		r, _ := m.find(ids[i-1], ids[i])
		ranks = append(ranks, r)
	}
	s.ranks = ranks
	for {
		best, at := noRank, 0
		for i, r := range ranks {
			if r < best {
				best, at = r, i
			}
		}
		if best == noRank {
			return ids
		}
		_, ids[at] = m.find(ids[at], ids[at+1])
		ids = append(ids[:at+1], ids[at+2:]...)
		ranks = append(ranks[:at], ranks[at+1:]...)
		if at > 0 {
			ranks[at-1], _ = m.find(ids[at-1], ids[at])
		}
		if at < len(ranks) {
			ranks[at], _ = m.find(ids[at], ids[at+1])
		}
	}
}

// longMerge is the state of merging one long word: a linked list through slices, and a heap of candidate pairs. A pair in the
// heap may have gone stale (one of its symbols merged elsewhere); it is recognised by its ids when it comes out.
type longMerge struct {
	next, prev []int32 // (symbols); next of the last is -1; a symbol that was merged away has id none
	heap       []candidate
}

type candidate struct {
	rank        uint32
	at          int32 // index of the left symbol
	left, right ID
}

func (c candidate) before(o candidate) bool {
	return c.rank < o.rank || c.rank == o.rank && c.at < o.at
}

// run merges ids in place in O(n log n) time and 24 bytes a symbol.
func (l *longMerge) run(m *mergeTable, ids []ID) []ID {
	n := len(ids)
	l.next, l.prev, l.heap = l.next[:0], l.prev[:0], l.heap[:0]
	for i := range n {
		l.next = append(l.next, int32(i+1))
		l.prev = append(l.prev, int32(i-1))
	}
	l.next[n-1] = -1
	for i := range n - 1 {
		l.offer(m, ids, int32(i))
	}
	for len(l.heap) > 0 {
		c := l.pop()
		right := l.next[c.at]
		if ids[c.at] != c.left || right < 0 || ids[right] != c.right || c.left < 0 {
			continue
		}
		_, ids[c.at] = m.find(c.left, c.right)
		ids[right] = none - 1 // dead: equal to no candidate's id
		after := l.next[right]
		l.next[c.at] = after
		if after >= 0 {
			l.prev[after] = c.at
			l.offer(m, ids, c.at)
		}
		if before := l.prev[c.at]; before >= 0 {
			l.offer(m, ids, before)
		}
	}
	out := ids[:0]
	for i := int32(0); i >= 0; i = l.next[i] {
		out = append(out, ids[i])
	}
	return out
}

// offer pushes the pair that begins at symbol i, if it merges.
func (l *longMerge) offer(m *mergeTable, ids []ID, i int32) {
	j := l.next[i]
	rank, _ := m.find(ids[i], ids[j])
	if rank == noRank {
		return
	}
	l.heap = append(l.heap, candidate{rank, i, ids[i], ids[j]})
	for at := len(l.heap) - 1; at > 0; {
		up := (at - 1) / 2
		if !l.heap[at].before(l.heap[up]) {
			break
		}
		l.heap[at], l.heap[up] = l.heap[up], l.heap[at]
		at = up
	}
}

func (l *longMerge) pop() candidate {
	top, last := l.heap[0], len(l.heap)-1
	l.heap[0] = l.heap[last]
	l.heap = l.heap[:last]
	for at := 0; ; {
		child := 2*at + 1
		if child >= last {
			return top
		}
		if child+1 < last && l.heap[child+1].before(l.heap[child]) {
			child++
		}
		if !l.heap[child].before(l.heap[at]) {
			return top
		}
		l.heap[at], l.heap[child] = l.heap[child], l.heap[at]
		at = child
	}
}

// pair is one line of a merge list: two texts whose concatenation is a token too.
type pair struct{ left, right string }

// mergesOf builds the table from a list in order of rank.
func mergesOf(v *vocabulary, merges []pair) (*mergeTable, error) {
	m := newMergeTable(len(merges))
	var joined []byte
	for i, p := range merges {
		left, ok := v.index[p.left]
		right, ok2 := v.index[p.right]
		joined = append(append(joined[:0], p.left...), p.right...)
		id, ok3 := v.index[string(joined)]
		if !ok || !ok2 || !ok3 {
			return nil, fmt.Errorf("merge %d (%q + %q): %s is not in the vocabulary; the file is damaged or its vocabulary was cut",
				i, p.left, p.right, missing(p, ok, ok2))
		}
		m.add(left, right, uint32(i), id)
	}
	return m, nil
}

func missing(p pair, left, right bool) string {
	switch {
	case !left:
		return fmt.Sprintf("%q", p.left)
	case !right:
		return fmt.Sprintf("%q", p.right)
	}
	return fmt.Sprintf("%q", p.left+p.right)
}
