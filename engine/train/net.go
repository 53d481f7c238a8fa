package train

import (
	"math"

	"github.com/weir-ai/weir/engine/tensor"
)

// net computes the loss of a batch and its gradient. It owns the arrays of activations, which grow to the largest batch seen.
//
// Everything that runs in parallel writes to places of its own: rows of an array, tiles of a product, heads of an example. Where
// a sum crosses them (the gradients of the norms, the loss) the parts are cut by the data alone and added in order.
type net struct {
	shape   Shape
	set     tensor.Set
	pool    *tensor.Pool
	gemm    *tensor.Gemm
	layout  layout
	weights []float32 // (layout.size)
	grads   []float32 // (layout.size)
	cos     []float32 // (context, headDim): each angle's twice, see turn
	sin     []float32 // (context, headDim): each angle's with both signs

	blocks []activations
	hidden []float32 // (rows, dim): the last block's result
	scale  []float32 // (rows): the last norm's 1/rms
	normed []float32 // (rows, dim)
	logits []float32 // (rows, vocab); their gradient after the loss
	losses []float64 // (rows)

	dx, dh, dqkv, datt, dact []float32 // gradients on the way down; sizes in resize
	parts                    []float32 // (row tiles, dim): partial gradients of a norm
	heads                    chan *headScratch
}

// activations are what the backward pass needs of one block. count is the number of tokens; in the last block the arrays from q
// on have only the batch's rows.
type activations struct {
	x      []float32 // (count, dim): the input
	scale1 []float32 // (count): 1/rms of x
	h      []float32 // (count, dim): x after the norm
	qkv    []float32 // (count, dim + 2*kv), rope applied; in the last block (count, 2*kv): keys and values only
	hr, q  []float32 // (rows, dim), last block only: the rows of h, and their queries
	probs  []float32 // attention's probabilities, see seq
	att    []float32 // (count or rows, dim): attention's result
	mid    []float32 // (count or rows, dim): x plus attention
	scale2 []float32 // (count or rows)
	h2     []float32 // (count or rows, dim): mid after the norm
	gu     []float32 // (count or rows, 2*hidden): gate and up; their gradient after the backward pass
	act    []float32 // (count or rows, hidden): silu(gate)*up
}

// rowTile is the number of rows that one claim of a row-wise kernel takes: some 10 µs of work, and the cut of the norms' sums.
const rowTile = 32

func newNet(s Shape, set tensor.Set) *net {
	n := &net{shape: s, set: set, layout: newLayout(s), blocks: make([]activations, s.Layers)}
	n.weights, n.grads = make([]float32, n.layout.size), make([]float32, n.layout.size)
	hd := s.HeadDim()
	n.cos, n.sin = make([]float32, s.Context*hd), make([]float32, s.Context*hd)
	for p := range s.Context {
		for i := 0; i < hd; i += 2 {
			sin, cos := math.Sincos(float64(p) * math.Pow(float64(s.RopeTheta), -float64(i)/float64(hd)))
			at := p*hd + i
			n.cos[at], n.cos[at+1], n.sin[at], n.sin[at+1] = float32(cos), float32(cos), float32(-sin), float32(sin)
		}
	}
	n.use(nil)
	return n
}

// use makes pool the one that computes; nil is the caller alone.
func (n *net) use(pool *tensor.Pool) {
	n.pool, n.gemm = pool, tensor.NewGemm(n.set, pool)
	n.heads = make(chan *headScratch, pool.Threads())
	for range pool.Threads() {
		n.heads <- &headScratch{gemm: tensor.NewGemm(n.set, nil)}
	}
}

func (n *net) kv() int { return n.shape.KVHeads * n.shape.HeadDim() }

// resize makes every array fit b.
func (n *net) resize(b *batch) {
	s, count, rows := n.shape, len(b.tokens), len(b.rows)
	width := s.Dim + 2*n.kv()
	fit := func(v *[]float32, size int) {
		if cap(*v) < size {
			*v = make([]float32, size+size/8)
		}
		*v = (*v)[:size]
	}
	for l := range n.blocks {
		a := &n.blocks[l]
		fit(&a.x, count*s.Dim)
		fit(&a.scale1, count)
		fit(&a.h, count*s.Dim)
		upper := count
		if l == s.Layers-1 {
			upper = rows
			fit(&a.qkv, count*2*n.kv())
			fit(&a.hr, rows*s.Dim)
			fit(&a.q, rows*s.Dim)
			fit(&a.probs, b.last)
		} else {
			fit(&a.qkv, count*width)
			fit(&a.probs, b.all)
		}
		fit(&a.att, upper*s.Dim)
		fit(&a.mid, upper*s.Dim)
		fit(&a.scale2, upper)
		fit(&a.h2, upper*s.Dim)
		fit(&a.gu, upper*2*s.Hidden)
		fit(&a.act, upper*s.Hidden)
	}
	fit(&n.hidden, rows*s.Dim)
	fit(&n.scale, rows)
	fit(&n.normed, rows*s.Dim)
	fit(&n.logits, rows*s.Vocab)
	if cap(n.losses) < rows {
		n.losses = make([]float64, rows)
	}
	n.losses = n.losses[:rows]
	fit(&n.dx, count*s.Dim)
	fit(&n.dh, count*s.Dim)
	fit(&n.dqkv, count*width)
	fit(&n.datt, count*s.Dim)
	fit(&n.dact, count*s.Hidden)
	fit(&n.parts, (count+rowTile-1)/rowTile*s.Dim)
}

// rows runs f over tiles of rows.
func (n *net) rows(count int, f func(tile, from, to int)) {
	n.pool.Run((count+rowTile-1)/rowTile, func(tile int) { f(tile, tile*rowTile, min(count, (tile+1)*rowTile)) })
}

// linear is out (count, outDim) = x (count, inDim) · Wᵀ, plus the old out if add; W is (outDim, inDim).
func (n *net) linear(out, x, w []float32, count, outDim, inDim int, add bool) {
	var beta float32
	if add {
		beta = 1
	}
	n.gemm.Mul(false, true, count, outDim, inDim, 1, x, inDim, w, inDim, beta, out, outDim)
}

// linearBack adds the gradient of W, dW (outDim, inDim) += dOutᵀ · x, and gives dx (count, inDim) = dOut · W.
func (n *net) linearBack(dx, dw, dOut, x, w []float32, count, outDim, inDim int) {
	n.gemm.Mul(true, false, outDim, inDim, count, 1, dOut, outDim, x, inDim, 1, dw, inDim)
	n.gemm.Mul(false, false, count, inDim, outDim, 1, dOut, outDim, w, inDim, 0, dx, inDim)
}
