package kv

import (
	"fmt"
	"slices"
)

// BlockSize is the default number of tokens in a block. Not fewer than 16: the table, the hash and the attention kernel's
// jump to another block cost per block, and at 8 they doubled for a saving of four tokens of memory a sequence. Not more: a
// prefix is shared in whole blocks only, and half a block on average is wasted at the end of each sequence and computed
// again by each newcomer.
const BlockSize = 16

// none marks the absence of a block in the links below.
const none = int32(-1)

// block is the record of one block. A block is held (refs > 0, in no list) or free (refs 0, in the free list); it is sealed
// once its tokens are all known and computed, and stays sealed after it is freed until it is taken for something else.
type block struct {
	refs       int32
	prev, next int32 // in the free list
	sealed     bool
	hash       Hash
}

// Pool hands out blocks and finds them again by what they hold.
//
// The free list is in the order in which blocks will be taken: first those that hold nothing worth finding, then sealed ones
// from the longest unused to the latest. A sequence gives its blocks back last block first, so a prefix outlives what
// follows it: a block is of no use once its parent is gone.
type Pool struct {
	size       int            // tokens in a block
	blocks     []block        // (blocks)
	tokens     []int32        // (blocks, size); the tokens of sealed blocks
	index      map[Hash]int32 // sealed blocks, one for each hash
	head, tail int32          // of the free list; head is taken first
	free       int            // length of the free list
	cached     int            // how many of them are sealed
	refs       int            // references held, over all blocks
}

// NewPool makes the books of that many blocks of size tokens, all free.
func NewPool(blocks, size int) *Pool {
	if blocks < 1 || size < 1 {
		panic(fmt.Sprintf("kv: a pool of %d blocks of %d tokens", blocks, size))
	}
	p := &Pool{size: size, blocks: make([]block, blocks), tokens: make([]int32, blocks*size), index: make(map[Hash]int32, blocks), head: none, tail: none}
	for id := range p.blocks {
		p.pushTail(int32(id))
	}
	return p
}

// Take gives out a free block with one reference, the least worth keeping; false when every block is held. What the block
// held is forgotten.
func (p *Pool) Take() (int32, bool) {
	id := p.head
	if id == none {
		return 0, false
	}
	p.unlink(id)
	b := &p.blocks[id]
	if b.sealed {
		delete(p.index, b.hash)
		b.sealed = false
	}
	p.hold(id)
	return id, true
}

// Seal says that block id, which the caller holds, now has the keys and values of tokens and its hash is h; from then on Share
// finds it, and nobody may write to it. It reports false and changes nothing where another block holds the same already.
func (p *Pool) Seal(id int32, h Hash, tokens []int32) bool {
	b := &p.blocks[id]
	if b.refs == 0 || b.sealed || len(tokens) != p.size {
		panic(fmt.Sprintf("kv: seal of block %d (held %d times, sealed %t) with %d tokens", id, b.refs, b.sealed, len(tokens)))
	}
	if _, taken := p.index[h]; taken {
		return false
	}
	b.sealed, b.hash = true, h
	copy(p.tokensOf(id), tokens)
	p.index[h] = id
	return true
}

// Share adds a reference to the sealed block that holds tokens under h. The tokens are compared, too: a hash alone never
// decides what a sequence reads.
func (p *Pool) Share(h Hash, tokens []int32) (int32, bool) {
	id, ok := p.find(h, tokens)
	if !ok {
		return 0, false
	}
	if p.blocks[id].refs == 0 {
		p.unlink(id)
	}
	p.hold(id)
	return id, true
}

// Held looks a block up as Share does, without taking it, and reports whether some sequence holds it now.
func (p *Pool) Held(h Hash, tokens []int32) (held, found bool) {
	id, ok := p.find(h, tokens)
	return ok && p.blocks[id].refs > 0, ok
}

// Release gives back one reference to each block of a sequence's table, the last block first.
func (p *Pool) Release(table []int32) {
	for _, id := range slices.Backward(table) {
		b := &p.blocks[id]
		if b.refs == 0 {
			panic(fmt.Sprintf("kv: block %d released more often than taken", id))
		}
		b.refs--
		p.refs--
		switch {
		case b.refs > 0:
		case b.sealed:
			p.pushTail(id)
		default:
			p.pushHead(id)
		}
	}
}

// Counts says how the blocks stand. Used and Free add up to Total.
type Counts struct {
	Total  int
	Used   int // held by at least one sequence
	Free   int
	Cached int // free, but still findable
	Refs   int // references held, over all blocks; zero when no sequence is left
}

// Counts says how the blocks stand.
func (p *Pool) Counts() Counts {
	return Counts{Total: len(p.blocks), Used: len(p.blocks) - p.free, Free: p.free, Cached: p.cached, Refs: p.refs}
}

// Free is how many blocks can be taken.
func (p *Pool) Free() int { return p.free }

// Size is the number of tokens in a block.
func (p *Pool) Size() int { return p.size }

func (p *Pool) find(h Hash, tokens []int32) (int32, bool) {
	id, ok := p.index[h]
	return id, ok && slices.Equal(p.tokensOf(id), tokens)
}

func (p *Pool) tokensOf(id int32) []int32 { return p.tokens[int(id)*p.size : (int(id)+1)*p.size] }

func (p *Pool) hold(id int32) {
	p.blocks[id].refs++
	p.refs++
}

func (p *Pool) pushTail(id int32) {
	b := &p.blocks[id]
	b.prev, b.next = p.tail, none
	if p.tail == none {
		p.head = id
	} else {
		p.blocks[p.tail].next = id
	}
	p.tail = id
	p.counted(b, 1)
}

func (p *Pool) pushHead(id int32) {
	b := &p.blocks[id]
	b.prev, b.next = none, p.head
	if p.head == none {
		p.tail = id
	} else {
		p.blocks[p.head].prev = id
	}
	p.head = id
	p.counted(b, 1)
}

func (p *Pool) unlink(id int32) {
	b := &p.blocks[id]
	if b.prev == none {
		p.head = b.next
	} else {
		p.blocks[b.prev].next = b.next
	}
	if b.next == none {
		p.tail = b.prev
	} else {
		p.blocks[b.next].prev = b.prev
	}
	p.counted(b, -1)
}

func (p *Pool) counted(b *block, by int) {
	p.free += by
	if b.sealed {
		p.cached += by
	}
}

// Check walks all the books and reports the first contradiction. It is for tests; its cost grows with the pool.
func (p *Pool) Check() error {
	free, cached, last := 0, 0, none
	for id := p.head; id != none; id = p.blocks[id].next {
		b := &p.blocks[id]
		if b.refs != 0 || b.prev != last {
			return fmt.Errorf("kv: free block %d has %d references, back link %d instead of %d", id, b.refs, b.prev, last)
		}
		if free++; free > len(p.blocks) {
			return fmt.Errorf("kv: the free list has a cycle")
		}
		if b.sealed {
			cached++
		}
		last = id
	}
	refs, sealed := 0, 0
	for id := range p.blocks {
		b := &p.blocks[id]
		refs += int(b.refs)
		if b.refs > 0 {
			free++
		}
		if b.sealed {
			sealed++
			if p.index[b.hash] != int32(id) {
				return fmt.Errorf("kv: block %d is sealed and not in the index", id)
			}
		}
	}
	if last != p.tail || free != len(p.blocks) || cached != p.cached || refs != p.refs || sealed != len(p.index) {
		return fmt.Errorf("kv: books do not add up: tail %d/%d, blocks %d/%d, cached %d/%d, references %d/%d, sealed %d/%d",
			last, p.tail, free, len(p.blocks), cached, p.cached, refs, p.refs, sealed, len(p.index))
	}
	return nil
}
