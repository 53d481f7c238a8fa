package engine

import "slices"

// heap is a binary heap of token ids ordered by their logits, with the best or the worst at its root. Equal logits are
// ordered by id, the lower one being better, so that every order here is total. It is written out because container/heap
// calls through an interface for each comparison, and these run over whole vocabularies for each token.
type heap struct {
	logits    []float32 // (vocab)
	ids       []int32
	bestFirst bool
}

// before reports whether a belongs nearer to the root than b.
func (h *heap) before(a, b int32) bool {
	la, lb := h.logits[a], h.logits[b]
	if la != lb {
		return la > lb == h.bestFirst
	}
	return a < b == h.bestFirst
}

func (h *heap) build() {
	for i := len(h.ids)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}

func (h *heap) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(h.ids) {
			return
		}
		if c+1 < len(h.ids) && h.before(h.ids[c+1], h.ids[c]) {
			c++
		}
		if !h.before(h.ids[c], h.ids[i]) {
			return
		}
		h.ids[i], h.ids[c] = h.ids[c], h.ids[i]
		i = c
	}
}

// pop moves the root just behind the shortened heap.
func (h *heap) pop() {
	last := len(h.ids) - 1
	h.ids[0], h.ids[last] = h.ids[last], h.ids[0]
	h.ids = h.ids[:last]
	h.down(0)
}

// largest appends to ids, which is empty, the k tokens with the largest logits, the largest first.
func largest(logits []float32, k int, ids []int32) []int32 {
	if k <= 0 {
		return ids
	}
	h := heap{logits: logits, ids: slices.Grow(ids, k)}
	for i := range logits {
		if len(h.ids) < k {
			h.ids = append(h.ids, int32(i))
			if len(h.ids) == k {
				h.build()
			}
			continue
		}
		if h.before(h.ids[0], int32(i)) { // the root is the worst that is kept
			h.ids[0] = int32(i)
			h.down(0)
		}
	}
	all := h.ids
	if len(all) < k {
		h.build()
	}
	for len(h.ids) > 0 {
		h.pop() // the worst goes to the end
	}
	return all
}
