package tensor

import (
	"fmt"
	"math"
)

// Activations says how x is fed to quantised matrices. Dense ones (F32, F16, BF16) always see float32.
type Activations int

const (
	// ActF32 keeps x as float32 and dequantises the weights on the way: exact to float32 rounding. For golden tests and
	// comparisons: the dequantising is plain Go, so one column takes tens of times longer than with ActInt8.
	ActF32 Activations = iota
	// ActInt8 rounds x to int8 in groups of 32, as llama.cpp does, and multiplies integers: the fast way.
	ActInt8
)

// String is the name of a as the command line spells it.
func (a Activations) String() string {
	if a == ActInt8 {
		return "int8"
	}
	return "f32"
}

// Matrix is an immutable weight (rows, cols). Quantised weights that meet int8 activations are repacked (format.go), everything
// else refers to the bytes that NewMatrix was given, which must stay mapped and unchanged. Its methods may be called from
// several goroutines at once, each with a Scratch of its own.
type Matrix struct {
	set    Set
	typ    Type
	rows   int
	cols   int
	format format
	packed []byte // (blocks, block bytes); nil where the file's layout is used
	data   []byte // as in the file; nil where packed is used
}

// NewMatrix makes a matrix of rows x cols values of type t from the bytes of a file. Packing works on one goroutine; a loader
// with many matrices may make several at once.
func NewMatrix(set Set, t Type, rows, cols int, data []byte, act Activations) (*Matrix, error) {
	l, ok := t.layout()
	if !ok {
		return nil, fmt.Errorf("matrix of type %v is not supported: supported are %s", t, SupportedTypes)
	}
	if rows <= 0 || cols <= 0 || rows > math.MaxInt/8/cols {
		return nil, fmt.Errorf("matrix of %d x %d values: both sides must be positive and fit in memory", rows, cols)
	}
	if cols%l.values != 0 {
		return nil, fmt.Errorf("matrix of %d x %d %v: a row must hold whole blocks of %d values", rows, cols, t, l.values)
	}
	if need := rows * (cols / l.values) * l.bytes; len(data) != need {
		return nil, fmt.Errorf("matrix of %d x %d %v takes %d bytes, there are %d", rows, cols, t, need, len(data))
	}
	m := &Matrix{set: set, typ: t, rows: rows, cols: cols}
	if t.Dense() || act == ActF32 {
		m.data = data
		return m, nil
	}
	m.format = formatOf(t)
	m.packed = pack(t, rows, cols, data)
	return m, nil
}

// Rows is the length of a result column, Cols the length of an activation.
func (m *Matrix) Rows() int { return m.rows }

// Cols is the length of a row.
func (m *Matrix) Cols() int { return m.cols }

// Type is the type of the values in the file.
func (m *Matrix) Type() Type { return m.typ }

// Bytes is the memory that one product reads: the packed copy, or the bytes in the file.
func (m *Matrix) Bytes() int64 { return int64(len(m.packed) + len(m.data)) }

// Row writes row as float32 to dst (cols), exactly as Dequantize would, for embeddings.
func (m *Matrix) Row(dst []float32, row int) {
	dst = dst[:m.cols]
	if m.packed != nil {
		unpackRow(dst, m.format, m.packed, row)
		return
	}
	dequantize(m.typ, dst, m.rowBytes(row))
}

// rowBytes is one row in the file's layout.
func (m *Matrix) rowBytes(row int) []byte {
	l, _ := m.typ.layout()
	n := m.cols / l.values * l.bytes
	return m.data[row*n:][:n]
}

// tileWork is the number of products that a tile of rows should have. At 10 to 100 products a nanosecond this is some 10 µs:
// far below the millisecond after which a garbage collection or another goroutine would notice, small enough that a late
// worker delays a job little, large enough that claiming a tile (well under 1 µs) does not count.
const tileWork = 256 << 10

// Mul computes out (n, rows) = x (n, cols) · Wᵀ, on the workers of p. The result of a (row, column) pair is bit-identical
// whatever n, the neighbours, the tiles and the threads: every pair has one sum that is added to in one order. Nothing is
// allocated once the buffers of s have grown.
func (m *Matrix) Mul(p *Pool, s *Scratch, out, x []float32, n int) {
	if n <= 0 {
		return
	}
	if s == nil {
		s = new(Scratch)
	}
	out, x = out[:n*m.rows], x[:n*m.cols]
	blocks := (m.rows + blockRows - 1) / blockRows
	per := max(1, tileWork/(blockRows*m.cols*n))
	if n >= m.set.columnsMax() {
		per = max(per, 2) // kernels for wide panels take two blocks at once
	}
	s.call = product{m: m, out: out, x: x, n: n, blocks: blocks, per: per}
	if s.tile == nil {
		s.tile, s.panel = s.mulTile, s.quantizePanel
	}
	if m.packed != nil {
		s.quantize(p)
	}
	p.Run((blocks+per-1)/per, s.tile)
	s.call = product{} // keep nothing of the caller's alive
}

// product is one call of Mul, as its tiles see it.
type product struct {
	m      *Matrix
	out, x []float32 // (n, rows), (n, cols)
	n      int
	blocks int // blocks of 16 rows in the matrix
	per    int // blocks of a tile
}

// mulTile computes the rows of one tile.
func (s *Scratch) mulTile(i int) {
	k := &s.call
	m, first, last := k.m, i*k.per, min((i+1)*k.per, k.blocks)
	switch {
	case m.packed != nil:
		m.mulPacked(s, k.out, k.n, first, last)
	case m.typ.Dense() && m.set != Go && m.cols >= denseLanes:
		m.mulDense(k.out, k.x, k.n, first*blockRows, min(last*blockRows, m.rows))
	default:
		m.mulRows(k.out, k.x, k.n, first*blockRows, min(last*blockRows, m.rows))
	}
}

// mulPacked computes the rows of blocks [first, last) from packed weights and the quantised activations in s.
func (m *Matrix) mulPacked(s *Scratch, out []float32, n, first, last int) {
	sp := m.format.spec()
	groups := m.cols / groupCols
	stride := sp.blockBytes(groups)
	var sums [8 * 2 * blockRows]float32 // (columns, blocks, 16), of the largest tile
	for c := 0; c < n; c += m.set.columnsMax() {
		width := m.set.panelWidth(n - c)
		x, fixes := s.x[c*m.cols:], s.fixes[c*groups*sp.subs:]
		for b := first; b < last; {
			wide := m.set.blocksAtOnce(width, last-b)
			tile := sums[:width*wide*blockRows]
			clear(tile)
			m.set.tile(m.format, wide, width, m.packed[b*stride:], stride, x, fixes, tile, groups)
			for col := range min(width, n-c) {
				row := b * blockRows
				copy(out[(c+col)*m.rows+row:(c+col)*m.rows+min(row+wide*blockRows, m.rows)], tile[col*wide*blockRows:])
			}
			b += wide
		}
	}
}

// chunk is how many values of a row are dequantised at a time: 2 KB on the stack, a whole number of every type's blocks.
const chunk = 512

// mulRows computes rows [first, last) from weights in the file's layout, dequantising each row once for all columns. A sum takes
// the dot products of the chunks of its row in order.
func (m *Matrix) mulRows(out, x []float32, n, first, last int) {
	l, _ := m.typ.layout()
	var buf [chunk]float32
	for row := first; row < last; row++ {
		data := m.rowBytes(row)
		for at := 0; at < m.cols; at += chunk {
			w := buf[:min(chunk, m.cols-at)]
			dequantize(m.typ, w, data[at/l.values*l.bytes:])
			for c := range n {
				sum := m.set.Dot(w, x[c*m.cols+at:][:len(w)])
				if at > 0 {
					sum += out[c*m.rows+row]
				}
				out[c*m.rows+row] = sum
			}
		}
	}
}
