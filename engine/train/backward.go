package train

// backward adds the gradient of the batch's loss to n.grads. It follows forward and loss.
func (n *net) backward(b *batch) {
	s, rows := n.shape, len(b.rows)
	// Down to the last block's result; n.dx has the rows alone until that block's attention spreads them over all tokens.
	n.linearBack(n.dh, n.grads[n.layout.output:], n.logits, n.normed, n.weights[n.layout.output:], rows, s.Vocab, s.Dim)
	clear(n.dx[:rows*s.Dim])
	n.normBack(n.dx, n.dh, n.hidden, n.scale, n.layout.norm, rows)
	for l := s.Layers - 1; l >= 0; l-- {
		if l == s.Layers-1 {
			n.lastBlockBack(b, l)
			continue
		}
		n.blockBack(b, l)
	}
	n.embedBack(b)
}

// embedBack adds the gradient of the tokens' embeddings. Tiles are columns, so that a token that occurs often has one owner.
func (n *net) embedBack(b *batch) {
	const columns = 32
	dim := n.shape.Dim
	grads := n.grads[n.layout.embed:]
	n.pool.Run((dim+columns-1)/columns, func(tile int) {
		from, to := tile*columns, min(dim, (tile+1)*columns)
		for i, t := range b.tokens {
			add(grads[int(t)*dim+from:int(t)*dim+to], n.dx[i*dim+from:i*dim+to])
		}
	})
}

// blockBack takes n.dx from a block's result to its input.
func (n *net) blockBack(b *batch, l int) {
	s, a, at := n.shape, &n.blocks[l], n.layout.blocks[l]
	count, width := len(b.tokens), s.Dim+2*n.kv()
	n.feedForwardBack(l, count)
	n.linearBack(n.datt, n.grads[at.out:], n.dx, a.att, n.weights[at.out:], count, s.Dim, s.Dim)
	n.attendBack(b, l)
	n.rope(n.dqkv, width, s.Heads+s.KVHeads, b.at, -1)
	n.linearBack(n.dh, n.grads[at.qkv:], n.dqkv, a.h, n.weights[at.qkv:], count, width, s.Dim)
	n.normBack(n.dx, n.dh, a.x, a.scale1, at.attnNorm, count)
}

// lastBlockBack is blockBack for the last block, where n.dx goes from the rows to all tokens.
func (n *net) lastBlockBack(b *batch, l int) {
	s, a, at := n.shape, &n.blocks[l], n.layout.blocks[l]
	count, rows, kv := len(b.tokens), len(b.rows), n.kv()
	n.feedForwardBack(l, rows)
	n.linearBack(n.datt, n.grads[at.out:], n.dx, a.att, n.weights[at.out:], rows, s.Dim, s.Dim)
	n.attendBack(b, l)
	dkv, dq := n.dqkv[:count*2*kv], n.dqkv[count*2*kv:][:rows*s.Dim]
	n.rope(dq, s.Dim, s.Heads, b.rowsAt, -1)
	n.rope(dkv, 2*kv, s.KVHeads, b.at, -1)
	values := s.Dim * s.Dim
	n.linearBack(n.dh, n.grads[at.qkv+values:], dkv, a.h, n.weights[at.qkv+values:], count, 2*kv, s.Dim)
	// The rows' share of the gradient of h, and their gradient of mid, go to their places.
	n.linearBack(n.datt, n.grads[at.qkv:], dq, a.hr, n.weights[at.qkv:], rows, s.Dim, s.Dim)
	// From the last row to the first: a row's place in the whole is never before its place among the rows.
	to := count
	for i := rows - 1; i >= 0; i-- {
		place := int(b.rows[i])
		add(n.dh[place*s.Dim:][:s.Dim], n.datt[i*s.Dim:][:s.Dim])
		copy(n.dx[place*s.Dim:][:s.Dim], n.dx[i*s.Dim:][:s.Dim])
		clear(n.dx[(place+1)*s.Dim : to*s.Dim])
		to = place
	}
	clear(n.dx[:to*s.Dim])
	n.normBack(n.dx, n.dh, a.x, a.scale1, at.attnNorm, count)
}

// feedForwardBack takes n.dx from a block's result to mid.
func (n *net) feedForwardBack(l, count int) {
	s, a, at := n.shape, &n.blocks[l], n.layout.blocks[l]
	n.linearBack(n.dact, n.grads[at.down:], n.dx, a.act, n.weights[at.down:], count, s.Dim, s.Hidden)
	n.rows(count, func(_, from, to int) {
		for i := from; i < to; i++ {
			gu := a.gu[i*2*s.Hidden:][:2*s.Hidden]
			siluMulBack(n.set, gu[:s.Hidden], gu[s.Hidden:], n.dact[i*s.Hidden:][:s.Hidden])
		}
	})
	n.linearBack(n.dh, n.grads[at.gateUp:], a.gu, a.h2, n.weights[at.gateUp:], count, 2*s.Hidden, s.Dim)
	n.normBack(n.dx, n.dh, a.mid, a.scale2, at.ffnNorm, count)
}

// normBack adds to dx (count, dim) the gradient of x through h = x*scale*w, given dh, and to the gradient of the norm's weights
// at w. With g = dh*w: dx = scale*g - x*scale³*(g·x)/dim.
func (n *net) normBack(dx, dh, x, scale []float32, w, count int) {
	dim := n.shape.Dim
	weights, grads := n.weights[w:][:dim], n.grads[w:][:dim]
	n.rows(count, func(tile, from, to int) {
		part := n.parts[tile*dim:][:dim]
		clear(part)
		for i := from; i < to; i++ {
			row, g, d, r := x[i*dim:][:dim], dh[i*dim:][:dim], dx[i*dim:][:dim], scale[i]
			normPart(n.set, part, g, row, weights, r)
			normRowBack(n.set, d, g, row, r, r*r*r*dot(n.set, g, row)/float32(dim))
		}
	})
	for tile := range (count + rowTile - 1) / rowTile {
		add(grads, n.parts[tile*dim:][:dim])
	}
}
