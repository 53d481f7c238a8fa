package model

import (
	"math"
	"sync/atomic"

	"github.com/weir-ai/weir/engine/tensor"
)

// Attention in tiles.
//
// The scores of one token against its whole context do not fit in fixed memory, and a matrix of them grows with the square of
// the prompt. So positions are taken in tiles of keyTile, and the softmax keeps a running maximum and sum (online softmax,
// Milakov and Gimelshein, arXiv 1805.02867; FlashAttention, arXiv 2205.14135). Several tokens of a chunk (queryTile) share one
// visit of a tile: its keys are read and converted once for all of them and all query heads of the group.
//
// Why the bits never change: tiles begin at multiples of keyTile in absolute positions, so what a token adds up, and in which
// order, is a function of its own position and window. Which tokens share the visit, how blocks cut the tile and which worker
// runs it only change when the same operations happen.
const (
	// keyTile: fewer positions would rescale the sums more often; more would push the converted keys and values of a head of
	// 128 (2 x 32 KB) out of the second-level cache.
	keyTile = 64
	// queryTile: fewer tokens would read and convert the cache more often in prefill; more would leave too few tiles to share
	// among workers.
	queryTile = 16
)

// span is up to queryTile consecutive new tokens of one sequence.
type span struct {
	blocks []int32
	row    int // of its first token in the pass
	pos    int // of its first token in the sequence
	n      int
}

// desk is the scratch memory of one worker in attention. A worker claims one that is free for each tile; there are as many as
// can work at once.
type desk struct {
	busy   atomic.Bool
	keys   []float32        // (keyTile, headDim) converted keys, unused with KVF32
	values []float32        // (keyTile, headDim)
	top    []float32        // (queryTile, group) running maximum of the scores
	sum    []float32        // (queryTile, group) running sum of their exponentials
	scores [keyTile]float32 // (keyTile) of one token and head
	runs   [keyTile]run     // pieces of the tile that lie in one block each
}

// run is n consecutive positions of a tile whose keys and values lie together.
type run struct {
	keys, values []float32 // (n, headDim)
	n            int
}

func newDesk(s *Spec, kind KVType) *desk {
	group := s.Heads / s.KVHeads
	d := &desk{top: make([]float32, queryTile*group), sum: make([]float32, queryTile*group)}
	if kind != KVF32 {
		d.keys, d.values = make([]float32, keyTile*s.HeadDim), make([]float32, keyTile*s.HeadDim)
	}
	return d
}

// attend computes tile number t of a layer's attention: one span and one kv head.
func (p *pass) attend(t int) {
	s := &p.m.spec
	head, sp := t%s.KVHeads, &p.spans[t/s.KVHeads]
	d := p.claim()
	defer d.busy.Store(false)

	group, dim := s.Heads/s.KVHeads, s.HeadDim
	width := s.Heads * dim
	for i := range sp.n * group {
		d.top[i], d.sum[i] = float32(math.Inf(-1)), 0
	}
	for r := range sp.n {
		at := (sp.row+r)*width + head*group*dim
		clear(p.att[at : at+group*dim])
	}
	window := p.layer().window
	begin, end := max(0, sp.pos-window+1), sp.pos+sp.n // positions that any token of the span sees
	for tile := begin / keyTile * keyTile; tile < end; tile += keyTile {
		from, to := max(begin, tile), min(end, tile+keyTile)
		runs := p.gather(d, sp.blocks, head, from, to)
		for r := range sp.n {
			pos := sp.pos + r
			lo, hi := max(from, pos-window+1), min(to, pos+1)
			if lo >= hi {
				continue
			}
			at := (sp.row+r)*width + head*group*dim
			for g := range group {
				d.fold(p.m.options.Set, runs, lo-from, hi-from, r*group+g, p.scale, p.q[at+g*dim:at+(g+1)*dim], p.att[at+g*dim:at+(g+1)*dim])
			}
		}
	}
	for r := range sp.n {
		at := (sp.row+r)*width + head*group*dim
		for g := range group {
			inverse := 1 / d.sum[r*group+g]
			out := p.att[at+g*dim : at+(g+1)*dim]
			for i := range out {
				out[i] *= inverse
			}
		}
	}
}

// claim takes a free desk. There is one for each goroutine that can be in attend at once, so the search ends.
func (p *pass) claim() *desk {
	for {
		for _, d := range p.desks {
			if !d.busy.Load() && d.busy.CompareAndSwap(false, true) {
				return d
			}
		}
	}
}

// gather finds the keys and values of one head at positions from to to, converted to float32, in runs that each lie in a block.
func (p *pass) gather(d *desk, blocks []int32, head, from, to int) []run {
	c, set := p.cache, p.m.options.Set
	k, v := &c.keys[p.layerIndex], &c.values[p.layerIndex]
	runs := d.runs[:0]
	for pos := from; pos < to; {
		in := pos % c.blockSize
		n := min(to-pos, c.blockSize-in)
		row := c.row(blocks[pos/c.blockSize], head, in)
		var keys, values []float32
		if c.kind != KVF32 {
			keys, values = d.keys[(pos-from)*c.headDim:], d.values[(pos-from)*c.headDim:]
		}
		runs = append(runs, run{k.load(set, keys, row, n, c.headDim), v.load(set, values, row, n, c.headDim), n})
		pos += n
	}
	return runs
}

// fold adds positions lo to hi of the tile (counted from its first gathered one) to the running softmax number i of one token
// and head: q and out are (headDim). out holds the sum of values times exp(score - top).
func (d *desk) fold(set tensor.Set, runs []run, lo, hi, i int, scale float32, q, out []float32) {
	dim := len(q)
	scores := d.scores[:hi-lo]
	top := d.top[i]
	at := 0 // first position of the run
	for _, r := range runs {
		if a, b := max(0, lo-at), min(r.n, hi-at); a < b {
			keys := r.keys[a*dim : b*dim]
			out := scores[at+a-lo : at+b-lo]
			for j := range out {
				s := set.Dot(q, keys[:dim]) * scale
				keys = keys[dim:]
				out[j] = s
				if s > top {
					top = s
				}
			}
		}
		at += r.n
	}
	if old := d.top[i]; top > old {
		shrink := exp(old - top) // 0 for the first tile, whose old maximum is -Inf
		d.sum[i] *= shrink
		for j := range out {
			out[j] *= shrink
		}
		d.top[i] = top
	}
	d.sum[i] += set.ExpSum(scores, top)
	at = 0
	for _, r := range runs {
		if a, b := max(0, lo-at), min(r.n, hi-at); a < b {
			values := r.values[a*dim : b*dim]
			for _, e := range scores[at+a-lo : at+b-lo] {
				set.Axpy(out, e, values[:dim])
				values = values[dim:]
			}
		}
		at += r.n
	}
}

// exp is e^x for x <= 0 in float32, about 1 part in 10^7 off, the same on every machine: x = n ln 2 + r, a polynomial for e^r
// (Cephes, expf.c) and n in the exponent. Below -87 the result is 0, where it would leave the normal numbers.
func exp(x float32) float32 {
	if x < -87 {
		return 0
	}
	n := float32(int32(x*1.44269504 - 0.5)) // rounds, as x is not positive
	r := x - float32(n*0.693359375)
	r -= float32(n * -2.12194440e-4)
	y := float32(1.9875691500e-4)
	y = float32(y*r) + 1.3981999507e-3
	y = float32(y*r) + 8.3334519073e-3
	y = float32(y*r) + 4.1665795894e-2
	y = float32(y*r) + 1.6666665459e-1
	y = float32(y*r) + 5.0000001201e-1
	y = float32(y*r*r) + r + 1
	return y * math.Float32frombits(uint32(int32(n)+127)<<23)
}
