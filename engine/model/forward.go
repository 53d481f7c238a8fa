package model

import (
	"fmt"
	"math"

	"github.com/weir-ai/weir/engine/tensor"
)

// Wanted says which of a chunk's logits the caller needs: the output matrix is the largest, and most of a prompt needs none.
type Wanted int

const (
	NoLogits Wanted = iota
	LastLogits
	AllLogits
)

// Chunk is the next tokens of one sequence.
type Chunk struct {
	Tokens []int32
	Start  int     // position of Tokens[0]; the positions before it must be in the cache
	Blocks []int32 // block table of the sequence: Blocks[i] holds positions i*BlockSize on; covers Start+len(Tokens)
	Want   Wanted
}

// pass is the scratch memory of Forward and what its workers share. Everything grows to the largest pass seen, at most
// MaxTokens rows, and is reused: a step that is no larger than one before allocates nothing. The functions that the pool calls
// are bound once for the same reason.
type pass struct {
	m          *Model
	cache      *Cache
	scratch    tensor.Scratch
	desks      []*desk
	scale      float32 // of attention scores: 1/sqrt(headDim)
	layerIndex int

	n                   int       // rows of this pass
	spans               []span    // they cover the rows in order
	tokens              []int32   // (n)
	pos                 []int     // (n)
	cos, sin            []float32 // (n, headDim/2)
	x, h                []float32 // (n, dim) residual stream; its norm, also the result of a layer's halves
	q, att              []float32 // (n, heads, headDim)
	k, v                []float32 // (n, kv heads, headDim)
	gate, up            []float32 // (n, hidden)
	last                []float32 // (rows, dim) normalised rows whose logits are wanted
	logits              []float32 // (rows, vocab)
	rows                int       // of last that are filled
	wanted              []int     // rows of this pass whose logits are wanted
	started, mixed      func(row int)
	attended, projected func(row int)
	fed, ended          func(row int)
	attending           func(tile int)
}

func (p *pass) bind(m *Model) {
	p.m = m
	p.scale = float32(1 / math.Sqrt(float64(m.spec.HeadDim)))
	p.started, p.mixed, p.attending = p.start, p.mix, p.attend
	p.projected, p.fed, p.ended = p.project, p.feed, p.end
}

// Forward runs the new tokens of several sequences in one pass, writes their keys and values into the cache and returns logits
// (rows, vocab), rows in chunk order: 0, 1 or len(Tokens) for each chunk. The slice is reused by the next call. An error means
// that the chunks were faulty and that nothing was computed. Not safe for concurrent use.
func (m *Model) Forward(c *Cache, chunks []Chunk) ([]float32, error) {
	rows := 0
	for i := range chunks {
		if err := m.checkChunk(c, &chunks[i]); err != nil {
			return nil, fmt.Errorf("chunk %d: %w", i, err)
		}
		switch chunks[i].Want {
		case LastLogits:
			rows++
		case AllLogits:
			rows += len(chunks[i].Tokens)
		}
	}
	p := &m.pass
	p.cache = c
	p.rows = 0
	grow(&p.last, rows*m.spec.Dim)
	grow(&p.logits, rows*m.spec.Vocab)
	p.reset()
	for i := range chunks {
		ch := &chunks[i]
		for at := 0; at < len(ch.Tokens); {
			if p.n == m.options.MaxTokens {
				p.run()
				p.reset()
			}
			at += p.add(ch, at)
		}
	}
	p.run()
	for at := 0; at < rows; at += m.options.MaxTokens {
		n := min(rows-at, m.options.MaxTokens)
		m.output.Mul(m.options.Pool, &p.scratch, p.logits[at*m.spec.Vocab:(at+n)*m.spec.Vocab], p.last[at*m.spec.Dim:(at+n)*m.spec.Dim], n)
	}
	p.cache = nil
	return p.logits[:rows*m.spec.Vocab], nil
}

// checkChunk finds what would read or write outside the cache.
func (m *Model) checkChunk(c *Cache, ch *Chunk) error {
	s, o := &m.spec, &m.options
	if c.kind != o.KV || c.blockSize != o.BlockSize || len(c.keys) != s.Layers || c.kvHeads != s.KVHeads || c.headDim != s.HeadDim {
		return fmt.Errorf("the cache was made for another model or other options")
	}
	end := ch.Start + len(ch.Tokens)
	switch {
	case len(ch.Tokens) == 0:
		return fmt.Errorf("no tokens")
	case ch.Start < 0 || end < 0 || end > o.MaxContext:
		return fmt.Errorf("positions %d to %d are not within the context of %d", ch.Start, end-1, o.MaxContext)
	case len(ch.Blocks) < (end+o.BlockSize-1)/o.BlockSize:
		return fmt.Errorf("%d blocks of %d do not hold %d positions", len(ch.Blocks), o.BlockSize, end)
	case ch.Want < NoLogits || ch.Want > AllLogits:
		return fmt.Errorf("wanted %d is unknown", ch.Want)
	}
	for _, t := range ch.Tokens {
		if t < 0 || int(t) >= s.Vocab {
			return fmt.Errorf("token %d is not in the vocabulary of %d", t, s.Vocab)
		}
	}
	for _, b := range ch.Blocks[:(end+o.BlockSize-1)/o.BlockSize] {
		if b < 0 || int(b) >= c.blocks {
			return fmt.Errorf("block %d is not one of the cache's %d", b, c.blocks)
		}
	}
	return nil
}

// reset begins an empty pass.
func (p *pass) reset() {
	p.n = 0
	p.spans, p.tokens, p.pos, p.wanted = p.spans[:0], p.tokens[:0], p.pos[:0], p.wanted[:0]
}

// add puts tokens of a chunk, from index at on, into the pass, as many as make one span and fit; it returns how many.
func (p *pass) add(ch *Chunk, at int) int {
	n := min(len(ch.Tokens)-at, p.m.options.MaxTokens-p.n, queryTile)
	p.spans = append(p.spans, span{blocks: ch.Blocks, row: p.n, pos: ch.Start + at, n: n})
	for i := at; i < at+n; i++ {
		if ch.Want == AllLogits || ch.Want == LastLogits && i == len(ch.Tokens)-1 {
			p.wanted = append(p.wanted, p.n+i-at)
		}
		p.tokens = append(p.tokens, ch.Tokens[i])
		p.pos = append(p.pos, ch.Start+i)
	}
	p.n += n
	return n
}

// size makes room for the rows of the pass.
func (p *pass) size() {
	s, n := &p.m.spec, p.n
	grow(&p.cos, n*s.HeadDim/2)
	grow(&p.sin, n*s.HeadDim/2)
	grow(&p.x, n*s.Dim)
	grow(&p.h, n*s.Dim)
	grow(&p.q, n*s.Heads*s.HeadDim)
	grow(&p.att, n*s.Heads*s.HeadDim)
	grow(&p.k, n*s.KVHeads*s.HeadDim)
	grow(&p.v, n*s.KVHeads*s.HeadDim)
	grow(&p.gate, n*s.Hidden)
	grow(&p.up, n*s.Hidden)
	for len(p.desks) < p.m.options.Pool.Threads() {
		p.desks = append(p.desks, newDesk(s, p.m.options.KV))
	}
}

// grow gives *s the length n, with a new array only where the old one is too small.
func grow(s *[]float32, n int) {
	if cap(*s) < n {
		*s = make([]float32, n)
	}
	*s = (*s)[:n]
}

func (p *pass) layer() *layer { return &p.m.layers[p.layerIndex] }

// run computes all layers for the rows of the pass: the whole model on one page.
func (p *pass) run() {
	if p.n == 0 {
		return
	}
	p.size()
	p.layerIndex = 0
	p.each(p.started) // x = embedding; h = norm(x)
	for i := range p.m.layers {
		p.layerIndex = i
		l := p.layer()
		p.mul(&l.q, p.q, p.h)
		p.mul(&l.k, p.k, p.h)
		p.mul(&l.v, p.v, p.h)
		p.each(p.mixed) // biases, head norms, rope; keys and values go to the cache
		p.m.options.Pool.Run(len(p.spans)*p.m.spec.KVHeads, p.attending)
		p.mul(&l.o, p.h, p.att)
		p.each(p.projected) // x += h; h = norm(x)
		p.mul(&l.gate, p.gate, p.h)
		p.mul(&l.up, p.up, p.h)
		p.each(p.fed) // gate = silu(gate) * up
		p.mul(&l.down, p.h, p.gate)
		p.each(p.ended) // x += h; h = norm(x) for the next layer
	}
	for _, row := range p.wanted {
		dim := p.m.spec.Dim
		p.m.options.Set.RMSNorm(p.last[p.rows*dim:(p.rows+1)*dim], p.x[row*dim:(row+1)*dim], p.m.norm, p.m.spec.Eps)
		p.rows++
	}
}

// mul is out (n, rows) = x (n, cols) · Wᵀ, without the bias: that is added where the result is used next.
func (p *pass) mul(l *linear, out, x []float32) {
	l.w.Mul(p.m.options.Pool, &p.scratch, out, x, p.n)
}

// each calls f for every row. A few rows are not worth waking the workers: one row of glue takes about a microsecond.
func (p *pass) each(f func(row int)) {
	if p.n <= 4 {
		for row := range p.n {
			f(row)
		}
		return
	}
	p.m.options.Pool.Run(p.n, f)
}

// at is row number row of a (n, width) array.
func at(a []float32, row, width int) []float32 { return a[row*width : (row+1)*width] }

func add(x, y []float32) {
	y = y[:len(x)]
	for i := range x {
		x[i] += y[i]
	}
}

// start puts a token's embedding and its rope angles in place and norms it for the first layer.
func (p *pass) start(row int) {
	m := p.m
	dim, half := m.spec.Dim, m.spec.HeadDim/2
	angles(at(p.cos, row, half), at(p.sin, row, half), m.freq, p.pos[row])
	t := m.embed.Type
	size := dim / t.BlockLen() * t.BlockBytes()
	from := int(p.tokens[row]) * size
	if err := tensor.Dequantize(t, at(p.x, row, dim), m.embed.Data[from:from+size]); err != nil {
		panic("model: " + err.Error()) // Load has checked type and size
	}
	m.options.Set.RMSNorm(at(p.h, row, dim), at(p.x, row, dim), m.layers[0].attnNorm, m.spec.Eps)
}

// mix finishes q, k and v of a token and stores k and v.
func (p *pass) mix(row int) {
	s, l, set := &p.m.spec, p.layer(), p.m.options.Set
	dim := s.HeadDim
	q, k, v := at(p.q, row, s.Heads*dim), at(p.k, row, s.KVHeads*dim), at(p.v, row, s.KVHeads*dim)
	if l.q.bias != nil {
		add(q, l.q.bias)
		add(k, l.k.bias)
		add(v, l.v.bias)
	}
	cos, sin := at(p.cos, row, dim/2), at(p.sin, row, dim/2)
	p.turn(q, l.qNorm, cos, sin)
	p.turn(k, l.kNorm, cos, sin)
	c, pos := p.cache, p.pos[row]
	block := p.spanOf(row).blocks[pos/c.blockSize]
	for head := range s.KVHeads {
		to := c.row(block, head, pos%c.blockSize)
		c.keys[p.layerIndex].store(set, to, at(k, head, dim))
		c.values[p.layerIndex].store(set, to, at(v, head, dim))
	}
}

// turn norms (where the model does) and rotates each head of x (heads, headDim).
func (p *pass) turn(x, norm, cos, sin []float32) {
	s := &p.m.spec
	for ; len(x) > 0; x = x[s.HeadDim:] {
		head := x[:s.HeadDim]
		if norm != nil {
			p.m.options.Set.RMSNorm(head, head, norm, s.Eps)
		}
		if s.RopePair {
			turnPairs(head, cos, sin)
		} else {
			turnHalves(head, cos, sin)
		}
	}
}

// spanOf finds the span of a row by bisection.
func (p *pass) spanOf(row int) *span {
	lo, hi := 0, len(p.spans)-1
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if p.spans[mid].row <= row {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return &p.spans[lo]
}

// project adds attention's output to the stream and norms it for the feed-forward half.
func (p *pass) project(row int) {
	l := p.layer()
	p.join(row, l.o.bias, l.ffnNorm)
}

// feed is the activation between the feed-forward matrices.
func (p *pass) feed(row int) {
	l, hidden := p.layer(), p.m.spec.Hidden
	gate, up := at(p.gate, row, hidden), at(p.up, row, hidden)
	if l.gate.bias != nil {
		add(gate, l.gate.bias)
		add(up, l.up.bias)
	}
	p.m.options.Set.SiLUMul(gate, gate, up)
}

// end adds the feed-forward output to the stream and norms it for the next layer; after the last one, run norms what is wanted.
func (p *pass) end(row int) {
	var next []float32
	if p.layerIndex+1 < len(p.m.layers) {
		next = p.m.layers[p.layerIndex+1].attnNorm
	}
	p.join(row, p.layer().down.bias, next)
}

// join adds h, and its bias, to the stream x and puts the norm of the sum in h.
func (p *pass) join(row int, bias, norm []float32) {
	dim := p.m.spec.Dim
	x, h := at(p.x, row, dim), at(p.h, row, dim)
	if bias != nil {
		add(h, bias)
	}
	add(x, h)
	if norm != nil {
		p.m.options.Set.RMSNorm(h, x, norm, p.m.spec.Eps)
	}
}
