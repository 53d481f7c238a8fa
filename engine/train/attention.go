package train

import (
	"math"

	"github.com/weir-ai/weir/engine/tensor"
)

// headScratch is what one worker needs for attention; at most one for each thread of the pool is in use.
type headScratch struct {
	gemm *tensor.Gemm
	dp   []float32 // (queryBlock, keys): gradient of the probabilities of one head
}

// views are one block's queries, keys and values, and their strides from row to row.
type views struct {
	q, k, v   []float32
	ldq, ldkv int
}

// view cuts a block's arrays; all and rows are qkv and q of activations, or their gradients.
func (n *net) view(l int, all, rows []float32) views {
	dim, kv := n.shape.Dim, n.kv()
	if l == n.shape.Layers-1 {
		return views{q: rows, k: all, v: all[kv:], ldq: dim, ldkv: 2 * kv}
	}
	return views{q: all, k: all[dim:], v: all[dim+kv:], ldq: dim + 2*kv, ldkv: dim + 2*kv}
}

// part is what attention needs of one example in one block.
type part struct {
	first, n   int     // keys
	row, rows  int     // queries
	at         []int32 // (rows): the queries' places
	probsFirst int
}

func (n *net) part(b *batch, l int, q seq) part {
	if l == n.shape.Layers-1 {
		return part{first: q.first, n: q.n, row: q.firstRow, rows: q.nRows, at: b.rowsAt[q.firstRow:][:q.nRows], probsFirst: q.last}
	}
	return part{first: q.first, n: q.n, row: q.first, rows: q.n, at: b.at[q.first:][:q.n], probsFirst: q.all}
}

// attend computes att of block l, a tile for each example and key head.
func (n *net) attend(b *batch, l int) {
	a := &n.blocks[l]
	in := n.view(l, a.qkv, a.q)
	n.pool.Run(len(b.seqs)*n.shape.KVHeads, func(tile int) {
		scratch := <-n.heads
		n.attendHead(scratch, a, in, n.part(b, l, b.seqs[tile/n.shape.KVHeads]), tile%n.shape.KVHeads)
		n.heads <- scratch
	})
}

// queryBlock is the number of queries that attention takes at once, with the keys up to the last of them. Scores above the
// diagonal are computed for nothing: half of all if a long example were one block. Far fewer queries would pack the keys again
// for little work; most of weir-mini's examples are one block.
const queryBlock = 48

// block is one block of a part's queries: rows from to to and the first keys keys.
func (p part) block(from int) (to, keys int) {
	to = min(p.rows, from+queryBlock)
	return to, int(p.at[to-1]) + 1
}

// attendHead is causal attention of the query heads that share one key head, for one example.
func (n *net) attendHead(scratch *headScratch, a *activations, in views, p part, kvHead int) {
	s, hd := n.shape, n.shape.HeadDim()
	norm := float32(1 / math.Sqrt(float64(hd)))
	group := s.Heads / s.KVHeads
	k, v := in.k[p.first*in.ldkv+kvHead*hd:], in.v[p.first*in.ldkv+kvHead*hd:]
	for head := kvHead * group; head < (kvHead+1)*group; head++ {
		all := a.probs[p.probsFirst+head*p.rows*p.n:][:p.rows*p.n]
		for from := 0; from < p.rows; from += queryBlock {
			to, keys := p.block(from)
			probs := all[from*p.n:]
			scratch.gemm.Mul(false, true, to-from, keys, hd, norm, in.q[(p.row+from)*in.ldq+head*hd:], in.ldq, k, in.ldkv, 0, probs, p.n)
			for i, at := range p.at[from:to] {
				row := probs[i*p.n:][:keys]
				seen := row[:at+1]
				sum := expSum(n.set, seen, maximum(n.set, seen))
				scale(n.set, seen, 1/sum)
				clear(row[at+1:])
			}
			scratch.gemm.Mul(false, false, to-from, hd, keys, 1, probs, p.n, v, in.ldkv, 0, a.att[(p.row+from)*s.Dim+head*hd:], s.Dim)
		}
	}
}

// attendBack computes the gradients of block l's queries, keys and values from n.datt: n.dqkv as qkv, and in the last block the
// keys' and values' followed by the rows' queries'.
func (n *net) attendBack(b *batch, l int) {
	a := &n.blocks[l]
	in := n.view(l, a.qkv, a.q)
	out := n.view(l, n.dqkv, n.dqkv[min(len(n.dqkv), len(b.tokens)*2*n.kv()):])
	n.pool.Run(len(b.seqs)*n.shape.KVHeads, func(tile int) {
		scratch := <-n.heads
		n.attendHeadBack(scratch, a, in, out, n.part(b, l, b.seqs[tile/n.shape.KVHeads]), tile%n.shape.KVHeads)
		n.heads <- scratch
	})
}

func (n *net) attendHeadBack(scratch *headScratch, a *activations, in, out views, p part, kvHead int) {
	s, hd := n.shape, n.shape.HeadDim()
	norm := float32(1 / math.Sqrt(float64(hd)))
	group := s.Heads / s.KVHeads
	kvAt := p.first*in.ldkv + kvHead*hd
	if cap(scratch.dp) < queryBlock*p.n {
		scratch.dp = make([]float32, queryBlock*p.n)
	}
	dp := scratch.dp[:queryBlock*p.n]
	var beta float32 // the first head's last block reaches all keys and stores, everything after it adds
	if last := p.at[p.rows-1]; int(last)+1 != p.n {
		panic("train: an example's last token predicts nothing") // pack ends each example with one that does
	}
	for head := kvHead * group; head < (kvHead+1)*group; head++ {
		all := a.probs[p.probsFirst+head*p.rows*p.n:][:p.rows*p.n]
		for from := (p.rows - 1) / queryBlock * queryBlock; from >= 0; from -= queryBlock {
			to, keys := p.block(from)
			rows, probs := to-from, all[from*p.n:]
			datt := n.datt[(p.row+from)*s.Dim+head*hd:]
			scratch.gemm.Mul(true, false, keys, hd, rows, 1, probs, p.n, datt, s.Dim, beta, out.v[kvAt:], in.ldkv)
			scratch.gemm.Mul(false, true, rows, keys, hd, 1, datt, s.Dim, in.v[kvAt:], in.ldkv, 0, dp, keys)
			for i, at := range p.at[from:to] {
				row, d := probs[i*p.n:][:at+1], dp[i*keys:][:keys]
				softmaxBack(n.set, d[:at+1], row, dot(n.set, row, d))
				clear(d[at+1:])
			}
			qAt := (p.row+from)*in.ldq + head*hd
			scratch.gemm.Mul(false, false, rows, hd, keys, norm, dp, keys, in.k[kvAt:], in.ldkv, 0, out.q[qAt:], in.ldq)
			scratch.gemm.Mul(true, false, keys, hd, rows, norm, dp, keys, in.q[qAt:], in.ldq, beta, out.k[kvAt:], in.ldkv)
			beta = 1
		}
	}
}
