package kv

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// naive is the Pool written the slow and obvious way: a list of records and a list of free blocks.
type naive struct {
	refs   []int
	sealed []bool
	text   []string // what a sealed block holds: salt and all tokens up to its end
	free   []int32  // in the order in which they are taken
}

func newNaive(blocks int) *naive {
	n := &naive{refs: make([]int, blocks), sealed: make([]bool, blocks), text: make([]string, blocks)}
	for i := range blocks {
		n.free = append(n.free, int32(i))
	}
	return n
}

func (n *naive) take() (int32, bool) {
	if len(n.free) == 0 {
		return 0, false
	}
	id := n.free[0]
	n.free = n.free[1:]
	n.refs[id], n.sealed[id] = 1, false
	return id, true
}

func (n *naive) find(text string) (int32, bool) {
	for id := range n.refs {
		if n.sealed[id] && n.text[id] == text {
			return int32(id), true
		}
	}
	return 0, false
}

func (n *naive) share(text string) (int32, bool) {
	id, ok := n.find(text)
	if !ok {
		return 0, false
	}
	if n.refs[id] == 0 {
		n.free = slices.DeleteFunc(n.free, func(f int32) bool { return f == id })
	}
	n.refs[id]++
	return id, true
}

func (n *naive) seal(id int32, text string) bool {
	if _, taken := n.find(text); taken {
		return false
	}
	n.sealed[id], n.text[id] = true, text
	return true
}

func (n *naive) release(table []int32) {
	for i := len(table) - 1; i >= 0; i-- {
		id := table[i]
		if n.refs[id]--; n.refs[id] > 0 {
			continue
		}
		if n.sealed[id] {
			n.free = append(n.free, id)
		} else {
			n.free = append([]int32{id}, n.free...)
		}
	}
}

// holder is a sequence as the engine would keep it.
type holder struct {
	salt   string
	tokens []int32
	hash   Hash
	table  []int32
}

func (h *holder) text(upto int) string { return fmt.Sprint(h.salt, h.tokens[:upto]) }

// TestPoolAgainstNaive runs random lives of sequences on the Pool and on the naive one and compares every answer.
func TestPoolAgainstNaive(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		size, blocks := 1+rng.IntN(4), 1+rng.IntN(12)
		p, n := NewPool(blocks, size), newNaive(blocks)
		var live []*holder
		for step := range 400 {
			where := fmt.Sprintf("seed %d step %d", seed, step)
			switch {
			case rng.IntN(4) == 0 && len(live) < 6: // a newcomer takes what is there of its prefix
				h := &holder{salt: fmt.Sprint(rng.IntN(2))}
				h.hash = Root(h.salt)
				live = append(live, h)
			case rng.IntN(3) == 0 && len(live) > 0: // one leaves
				i := rng.IntN(len(live))
				p.Release(live[i].table)
				n.release(live[i].table)
				live = slices.Delete(live, i, i+1)
			case len(live) > 0: // one grows by a block of very few different tokens, so that prefixes meet
				h := live[rng.IntN(len(live))]
				tokens := make([]int32, size)
				for i := range tokens {
					tokens[i] = int32(rng.IntN(2))
				}
				next := h.hash.Next(tokens)
				h.tokens = append(h.tokens, tokens...)
				held, found := p.Held(next, tokens)
				wantID, want := n.find(h.text(len(h.tokens)))
				if found != want || held != (want && n.refs[wantID] > 0) {
					t.Fatalf("%s: Held says %t %t", where, held, found)
				}
				got, ok := p.Share(next, tokens)
				exp, wok := n.share(h.text(len(h.tokens)))
				if ok != wok || got != exp {
					t.Fatalf("%s: shared %d %t, want %d %t", where, got, ok, exp, wok)
				}
				if !ok {
					got, ok = p.Take()
					exp, wok = n.take()
					if ok != wok || got != exp {
						t.Fatalf("%s: took %d %t, want %d %t", where, got, ok, exp, wok)
					}
					if !ok { // no block is left; forget the tokens again
						h.tokens = h.tokens[:len(h.tokens)-size]
						break
					}
					if rng.IntN(5) > 0 { // sometimes a block is never filled
						if p.Seal(got, next, tokens) != n.seal(got, h.text(len(h.tokens))) {
							t.Fatalf("%s: Seal differs", where)
						}
					}
				}
				h.hash, h.table = next, append(h.table, got)
			}
			if err := p.Check(); err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			if c := p.Counts(); c.Free != len(n.free) || c.Used != blocks-len(n.free) {
				t.Fatalf("%s: %+v, want %d free", where, c, len(n.free))
			}
		}
		for _, h := range live {
			p.Release(h.table)
		}
		if c := p.Counts(); c.Refs != 0 || c.Used != 0 || c.Free != blocks {
			t.Fatalf("seed %d: leaked: %+v", seed, c)
		}
	}
}

func TestFreedBlocksStayFindableUntilTaken(t *testing.T) {
	t.Parallel()
	p := NewPool(3, 2)
	h1 := Root("a").Next([]int32{1, 2})
	h2 := h1.Next([]int32{3, 4})
	b1, _ := p.Take()
	b2, _ := p.Take()
	p.Seal(b1, h1, []int32{1, 2})
	p.Seal(b2, h2, []int32{3, 4})
	p.Release([]int32{b1, b2})
	if c := p.Counts(); c.Cached != 2 || c.Used != 0 {
		t.Fatalf("after the release: %+v", c)
	}
	// The empty block goes first, then the prefix's end, and its beginning last.
	for i, want := range []int32{2, b2, b1} {
		if got, ok := p.Take(); !ok || got != want {
			t.Fatalf("take %d gave %d, want %d", i, got, want)
		}
	}
	if _, ok := p.Take(); ok {
		t.Fatal("took a block of an exhausted pool")
	}
	if _, found := p.Held(h1, []int32{1, 2}); found {
		t.Fatal("a block that was taken for something else is still found")
	}
}

func TestLookupComparesTokens(t *testing.T) {
	t.Parallel()
	p := NewPool(2, 2)
	h := Root("").Next([]int32{1, 2})
	id, _ := p.Take()
	p.Seal(id, h, []int32{1, 2})
	if _, ok := p.Share(h, []int32{1, 3}); ok {
		t.Fatal("an equal hash gave a block with other tokens")
	}
	other, _ := p.Take()
	if p.Seal(other, h, []int32{1, 3}) {
		t.Fatal("two blocks were sealed under one hash")
	}
	p.Release([]int32{id, other})
	if c := p.Counts(); c.Refs != 0 || c.Cached != 1 {
		t.Fatalf("%+v", c)
	}
}

func TestHashChain(t *testing.T) {
	t.Parallel()
	a := Root("x").Next([]int32{1, 2}).Next([]int32{3, 4})
	same := Root("x").Next([]int32{1, 2}).Next([]int32{3, 4})
	if a != same {
		t.Fatal("the same chain gives another hash")
	}
	for name, h := range map[string]Hash{
		"another salt":   Root("y").Next([]int32{1, 2}).Next([]int32{3, 4}),
		"another parent": Root("x").Next([]int32{1, 5}).Next([]int32{3, 4}),
		"other tokens":   Root("x").Next([]int32{1, 2}).Next([]int32{3, 5}),
		"shorter":        Root("x").Next([]int32{1, 2}),
		"other cut":      Root("x").Next([]int32{1, 2, 3, 4}),
		"no salt":        Root("").Next([]int32{1, 2}).Next([]int32{3, 4}),
	} {
		if h == a {
			t.Errorf("%s gives the same hash", name)
		}
	}
}

func TestMisuseIsCaught(t *testing.T) {
	t.Parallel()
	caught := func(name string, f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s went unnoticed", name)
			}
		}()
		f()
	}
	p := NewPool(2, 2)
	id, _ := p.Take()
	caught("a short seal", func() { p.Seal(id, Root(""), []int32{1}) })
	p.Seal(id, Root(""), []int32{1, 2})
	caught("a second seal", func() { p.Seal(id, Root("x"), []int32{1, 2}) })
	p.Release([]int32{id})
	caught("a second release", func() { p.Release([]int32{id}) })
	caught("a seal of a free block", func() { p.Seal(id, Root("y"), []int32{1, 2}) })
	caught("an empty pool", func() { NewPool(0, 2) })
}

func BenchmarkSealAndShare(b *testing.B) {
	b.ReportAllocs()
	p := NewPool(1024, BlockSize)
	tokens := make([]int32, BlockSize)
	table := make([]int32, 1)
	h := Root("")
	for i := 0; b.Loop(); i++ {
		tokens[0] = int32(i)
		h = h.Next(tokens)
		id, _ := p.Take()
		p.Seal(id, h, tokens)
		table[0] = id
		p.Release(table)
	}
}
