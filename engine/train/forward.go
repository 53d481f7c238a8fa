package train

import "math"

// forward computes the batch's activations and the loss of every row.
func (n *net) forward(b *batch) {
	s := n.shape
	n.resize(b)
	embed := n.weights[n.layout.embed:]
	x := n.blocks[0].x
	n.rows(len(b.tokens), func(_, from, to int) {
		for i := from; i < to; i++ {
			copy(x[i*s.Dim:][:s.Dim], embed[int(b.tokens[i])*s.Dim:])
		}
	})
	for l := range s.Layers {
		if l < s.Layers-1 {
			n.block(b, l)
			continue
		}
		n.lastBlock(b, l)
	}
	rows := len(b.rows)
	n.norm(n.normed, nil, n.scale, n.hidden, n.weights[n.layout.norm:], rows)
	n.linear(n.logits, n.normed, n.weights[n.layout.output:], rows, s.Vocab, s.Dim, false)
}

// block is one block over all tokens.
func (n *net) block(b *batch, l int) {
	s, a, at := n.shape, &n.blocks[l], n.layout.blocks[l]
	count, width := len(b.tokens), s.Dim+2*n.kv()
	n.norm(a.h, a.mid, a.scale1, a.x, n.weights[at.attnNorm:], count)
	n.linear(a.qkv, a.h, n.weights[at.qkv:], count, width, s.Dim, false)
	n.rope(a.qkv, width, s.Heads+s.KVHeads, b.at, 1)
	n.attend(b, l)
	n.linear(a.mid, a.att, n.weights[at.out:], count, s.Dim, s.Dim, true)
	n.feedForward(l, n.blocks[l+1].x, count)
}

// lastBlock is the block of which only some rows are asked: it needs the keys and values of all tokens and everything else of
// the rows alone.
func (n *net) lastBlock(b *batch, l int) {
	s, a, at := n.shape, &n.blocks[l], n.layout.blocks[l]
	count, rows := len(b.tokens), len(b.rows)
	n.norm(a.h, nil, a.scale1, a.x, n.weights[at.attnNorm:], count)
	n.rows(rows, func(_, from, to int) {
		for i := from; i < to; i++ {
			copy(a.hr[i*s.Dim:][:s.Dim], a.h[int(b.rows[i])*s.Dim:])
			copy(a.mid[i*s.Dim:][:s.Dim], a.x[int(b.rows[i])*s.Dim:])
		}
	})
	n.linear(a.q, a.hr, n.weights[at.qkv:], rows, s.Dim, s.Dim, false)
	n.linear(a.qkv, a.h, n.weights[at.qkv+s.Dim*s.Dim:], count, 2*n.kv(), s.Dim, false)
	n.rope(a.q, s.Dim, s.Heads, b.rowsAt, 1)
	n.rope(a.qkv, 2*n.kv(), s.KVHeads, b.at, 1)
	n.attend(b, l)
	n.linear(a.mid, a.att, n.weights[at.out:], rows, s.Dim, s.Dim, true)
	n.feedForward(l, n.hidden, rows)
}

// feedForward is the upper half of a block: out (count, dim) = mid + down(silu(gate(h2))*up(h2)).
func (n *net) feedForward(l int, out []float32, count int) {
	s, a, at := n.shape, &n.blocks[l], n.layout.blocks[l]
	n.norm(a.h2, out, a.scale2, a.mid, n.weights[at.ffnNorm:], count)
	n.linear(a.gu, a.h2, n.weights[at.gateUp:], count, 2*s.Hidden, s.Dim, false)
	n.rows(count, func(_, from, to int) {
		for i := from; i < to; i++ {
			gu := a.gu[i*2*s.Hidden:][:2*s.Hidden]
			siluMul(n.set, a.act[i*s.Hidden:][:s.Hidden], gu[:s.Hidden], gu[s.Hidden:])
		}
	})
	n.linear(out, a.act, n.weights[at.down:], count, s.Dim, s.Hidden, true)
}

// norm is RMSNorm over rows: h (count, dim) = x*scale*w with scale = 1/rms(x). same, if not nil, becomes a copy of x, to which
// the next products are added.
func (n *net) norm(h, same, scale, x, w []float32, count int) {
	dim := n.shape.Dim
	w = w[:dim]
	n.rows(count, func(_, from, to int) {
		if same != nil {
			copy(same[from*dim:to*dim], x[from*dim:to*dim])
		}
		for i := from; i < to; i++ {
			row, out := x[i*dim:][:dim], h[i*dim:][:dim]
			r := float32(1 / math.Sqrt(float64(dot(n.set, row, row))/float64(dim)+float64(n.shape.Eps)))
			scale[i] = r
			normRow(n.set, out, row, w, r)
		}
	})
}

// rope turns the first heads heads of each row of x by the place of its token; direction -1 turns back.
func (n *net) rope(x []float32, width, heads int, at []int32, direction float32) {
	hd := n.shape.HeadDim()
	n.rows(len(at), func(_, from, to int) {
		for i := from; i < to; i++ {
			cos, sin := n.cos[int(at[i])*hd:][:hd], n.sin[int(at[i])*hd:][:hd]
			for h := range heads {
				turn(n.set, x[i*width+h*hd:][:hd], cos, sin, direction)
			}
		}
	})
}

// loss turns logits into losses and, if weight is not 0, into their gradient times weight. It gives the sum of the losses in
// nats.
func (n *net) loss(b *batch, weight float32) float64 {
	vocab := n.shape.Vocab
	n.rows(len(b.rows), func(_, from, to int) {
		for i := from; i < to; i++ {
			row := n.logits[i*vocab:][:vocab]
			top := maximum(n.set, row)
			target := float64(row[b.targets[i]] - top)
			sum := expSum(n.set, row, top)
			n.losses[i] = math.Log(float64(sum)) - target
			scale(n.set, row, weight/sum)
			row[b.targets[i]] -= weight
		}
	})
	var sum float64
	for _, v := range n.losses {
		sum += v
	}
	return sum
}
