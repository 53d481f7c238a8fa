package tensor

import "fmt"

// Gemm multiplies dense f32 matrices for training: C = alpha*op(A)*op(B) + beta*C, row-major, any shape. It keeps the memory of
// its packed panels between calls; it is not safe for concurrent use, one serves one goroutine.
//
// The shape of the work is Goto's (Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008): B is packed
// into panels of nr columns that a micro-kernel streams from the first-level cache while a block of mr x nr results stays in
// registers. A is read in place when its rows run along k, because a packed copy costs as much as an eighth of the work when n
// is 128, and is packed into panels of mr rows when it is transposed, where rows would stride over whole pages.
//
// Every element of C is one chain of fused multiply-adds along k, cut at blocks that depend on k alone, and belongs to one tile.
// So it does not depend on the tile, the other rows, or the number of threads, and the vector sets agree bit for bit.
type Gemm struct {
	set      Set
	pool     *Pool
	a, b     []float32 // packed panels: (k block, panel, k, mr or nr)
	pack     func(tile int)
	multiply func(tile int)
	job      gemmJob
}

// gemmJob is one multiplication, cut into panels and tiles.
type gemmJob struct {
	transA, transB bool
	m, n, k        int
	alpha, beta    float32
	a, b, c        []float32 // op(A) is (m, k), op(B) is (k, n), C is (m, n)
	lda, ldb, ldc  int

	mr, nr             int // register block
	mPanels, nPanels   int
	kBlock             int // length of a block of k; the last may be shorter
	tileRows, tileCols int // panels of a tile
	colTiles, rowTiles int
	aPacks             int // panels of A to pack: all, the partial last one, or none
}

const (
	// gemmBlock bounds a block of k: a panel of B of 384 x 16 values is 24 KB and stays in a first-level cache of 32 KB beside
	// the rows of A. Half as long would load and store C twice as often; longer panels fall out of the cache.
	gemmBlock = 384
	// gemmColumns bounds the packed B that one tile walks over again and again: 48 K values are 192 KB, less than half of the
	// second-level cache of the machines that we know. More falls out of it; less reads A more often.
	gemmColumns = 48 << 10
	// gemmTile bounds the work of a tile in multiply-adds: 8 M are some 160 µs, so that nobody holds a processor for long. Smaller
	// tiles read B more often for the same work: 1 M costs 5 % of the products whose k is long.
	gemmTile = 8 << 20
	// gemmShares is the least number of tiles for each thread, where the product has as many panels: with 4, one thread that is
	// held up delays the others by a quarter of their work at most.
	gemmShares = 4
	// The largest register block of any set, for scratch on the stack.
	gemmRowsMax, gemmColsMax = 12, 32
)

// NewGemm makes a Gemm that runs its tiles on pool; a nil pool runs them on the caller.
func NewGemm(set Set, pool *Pool) *Gemm {
	g := &Gemm{set: set, pool: pool}
	g.pack, g.multiply = g.packTile, g.multiplyTile // made once: a method value made in Mul would be allocated for each call
	return g
}

// GemmF32 is Gemm.Mul with panels made for this call alone.
func (s Set) GemmF32(p *Pool, transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	NewGemm(s, p).Mul(transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}

// Mul computes C = alpha*op(A)*op(B) + beta*C. op(A) is (m, k): A has rows of lda values, (m, k) or, if transA, (k, m). op(B) is
// (k, n): B is (k, n) or, if transB, (n, k). C is (m, n) in rows of ldc values and must not overlap A or B. With beta 0 the old
// C is not read. A slice too short for its shape is a programmer's error and panics.
func (g *Gemm) Mul(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	if m <= 0 || n <= 0 {
		return
	}
	extent := func(name string, trans bool, rows, cols, have, ld int) {
		if trans {
			rows, cols = cols, rows
		}
		if rows > 0 && cols > 0 && (ld < cols || have < (rows-1)*ld+cols) {
			panic(fmt.Sprintf("tensor: gemm: %s is (%d, %d) in rows of %d, but has %d values", name, rows, cols, ld, have))
		}
	}
	extent("A", transA, m, k, len(a), lda)
	extent("B", transB, k, n, len(b), ldb)
	extent("C", false, m, n, len(c), ldc)
	mr, nr := g.set.gemmShape()
	j := gemmJob{transA: transA, transB: transB, m: m, n: n, k: k, alpha: alpha, beta: beta, a: a, b: b, c: c, lda: lda, ldb: ldb, ldc: ldc, mr: mr, nr: nr}
	j.cut(gemmShares * g.pool.Threads())
	if j.aPacks > 0 {
		g.a = gemmGrow(g.a, j.aPacks*mr*k)
	}
	g.b = gemmGrow(g.b, j.nPanels*nr*k)
	g.job = j
	if k > 0 {
		g.pool.Run(j.aPacks+j.nPanels, g.pack)
	}
	g.pool.Run(j.rowTiles*j.colTiles, g.multiply)
	g.job.a, g.job.b, g.job.c = nil, nil, nil
}

// gemmGrow gives a slice of n values, of s when it is long enough.
func gemmGrow(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}

func gemmCeil(a, b int) int { return (a + b - 1) / b }

// cut chooses blocks and tiles, tiles of them if there are as many panels. Only kBlock influences results, and it depends on k alone.
func (j *gemmJob) cut(tiles int) {
	j.mPanels, j.nPanels = gemmCeil(j.m, j.mr), gemmCeil(j.n, j.nr)
	j.kBlock = max(1, j.k)
	if j.k > gemmBlock {
		j.kBlock = (gemmCeil(j.k, gemmCeil(j.k, gemmBlock)) + 7) &^ 7
	}
	switch {
	case j.transA:
		j.aPacks = j.mPanels
	case j.m%j.mr != 0:
		j.aPacks = 1
	}
	j.tileCols = min(j.nPanels, max(1, gemmColumns/(j.kBlock*j.nr)))
	j.colTiles = gemmCeil(j.nPanels, j.tileCols)
	j.tileCols = gemmCeil(j.nPanels, j.colTiles)
	work := j.mr * j.tileCols * j.nr * max(1, j.k)
	j.tileRows = min(j.mPanels, max(1, gemmTile/work))
	j.tileRows = min(j.tileRows, max(1, j.mPanels*j.colTiles/tiles))
	j.rowTiles = gemmCeil(j.mPanels, j.tileRows)
}

// packTile packs one panel of A or of B over the whole of k. What lies beyond the matrix is zero, so that the micro-kernels
// know only full blocks.
func (g *Gemm) packTile(tile int) {
	j := &g.job
	if tile < j.aPacks {
		first := (j.mPanels - j.aPacks + tile) * j.mr
		rows := min(j.mr, j.m-first)
		for k0 := 0; k0 < j.k; k0 += j.kBlock {
			kn := min(j.kBlock, j.k-k0)
			dst := g.a[k0*j.aPacks*j.mr+tile*j.mr*kn:][:j.mr*kn]
			if j.transA {
				g.set.gemmPackRows(dst, j.a[k0*j.lda+first:], j.lda, kn, rows, j.mr)
			} else {
				gemmPackCols(dst, j.a[first*j.lda+k0:], j.lda, kn, rows, j.mr)
			}
		}
		return
	}
	panel := tile - j.aPacks
	first := panel * j.nr
	cols := min(j.nr, j.n-first)
	for k0 := 0; k0 < j.k; k0 += j.kBlock {
		kn := min(j.kBlock, j.k-k0)
		dst := g.b[k0*j.nPanels*j.nr+panel*j.nr*kn:][:j.nr*kn]
		if j.transB {
			gemmPackCols(dst, j.b[first*j.ldb+k0:], j.ldb, kn, cols, j.nr)
		} else {
			g.set.gemmPackRows(dst, j.b[k0*j.ldb+first:], j.ldb, kn, cols, j.nr)
		}
	}
}

// gemmPackRowsGo copies k rows of width values, ld apart, to rows of pad values, with zeros behind them.
func gemmPackRowsGo(dst, src []float32, ld, k, width, pad int) {
	for p := range k {
		row := dst[p*pad:][:pad]
		clear(row[copy(row, src[p*ld:][:width]):])
	}
}

// gemmPackCols copies width rows of k values, ld apart, to columns of a panel whose rows are pad wide.
func gemmPackCols(dst, src []float32, ld, k, width, pad int) {
	i := 0
	for ; i+4 <= width; i += 4 {
		s0, s1, s2, s3 := src[i*ld:][:k], src[(i+1)*ld:][:k], src[(i+2)*ld:][:k], src[(i+3)*ld:][:k]
		at := i
		for p, v := range s0 {
			d := dst[at : at+4 : at+4]
			d[0], d[1], d[2], d[3] = v, s1[p], s2[p], s3[p]
			at += pad
		}
	}
	for ; i < width; i++ {
		at := i
		for _, v := range src[i*ld:][:k] {
			dst[at] = v
			at += pad
		}
	}
	for ; i < pad; i++ {
		for at := i; at < k*pad; at += pad {
			dst[at] = 0
		}
	}
}

// multiplyTile computes one tile of C: for each block of k, for each panel of B, a column of register blocks.
func (g *Gemm) multiplyTile(tile int) {
	j := &g.job
	row0, col0 := tile/j.colTiles*j.tileRows, tile%j.colTiles*j.tileCols
	row1, col1 := min(j.mPanels, row0+j.tileRows), min(j.nPanels, col0+j.tileCols)
	if j.beta != 0 && j.beta != 1 || j.k == 0 {
		j.scale(row0*j.mr, min(j.m, row1*j.mr), col0*j.nr, min(j.n, col1*j.nr))
	}
	full := min(row1, j.m/j.mr) // where the panels with all their rows end
	for k0 := 0; k0 < j.k; k0 += j.kBlock {
		kn := min(j.kBlock, j.k-k0)
		add := k0 > 0 || j.beta != 0
		for col := col0; col < col1; col++ {
			b := g.b[k0*j.nPanels*j.nr+col*j.nr*kn:][:j.nr*kn]
			if (col+1)*j.nr > j.n {
				g.edge(row0, row1, col, k0, kn, b, add)
				continue
			}
			if row0 < full {
				a, rs, cs, next := g.panel(row0, k0, kn)
				g.set.gemmPanel(kn, a, rs, cs, b, j.c[row0*j.mr*j.ldc+col*j.nr:], j.ldc, j.alpha, add, full-row0, next)
			}
			g.edge(full, row1, col, k0, kn, b, add)
		}
	}
}

// edge computes blocks that reach over the end of C, in a block of its own of which it takes what belongs to C.
func (g *Gemm) edge(row0, row1, col, k0, kn int, b []float32, add bool) {
	j := &g.job
	cols := min(j.nr, j.n-col*j.nr)
	for row := row0; row < row1; row++ {
		var block [gemmRowsMax * gemmColsMax]float32
		a, rs, cs, next := g.panel(row, k0, kn)
		g.set.gemmPanel(kn, a, rs, cs, b, block[:j.mr*j.nr], j.nr, j.alpha, false, 1, next)
		for i := range min(j.mr, j.m-row*j.mr) {
			out := j.c[(row*j.mr+i)*j.ldc+col*j.nr:][:cols]
			if !add {
				copy(out, block[i*j.nr:])
				continue
			}
			for q, v := range block[i*j.nr:][:cols] {
				out[q] += v
			}
		}
	}
}

// panel is one panel of op(A) for one block of k: its values, the strides of its rows and of k, and the way to the next panel.
func (g *Gemm) panel(row, k0, kn int) (a []float32, rs, cs, next int) {
	j := &g.job
	if j.transA {
		return g.a[k0*j.aPacks*j.mr+row*j.mr*kn:], 1, j.mr, j.mr * kn
	}
	if (row+1)*j.mr > j.m {
		return g.a[k0*j.mr:], 1, j.mr, 0
	}
	return j.a[row*j.mr*j.lda+k0:], j.lda, 1, j.mr * j.lda
}

// scale multiplies a part of C by beta; beta 0 stores zeros.
func (j *gemmJob) scale(row0, row1, col0, col1 int) {
	for i := row0; i < row1; i++ {
		row := j.c[i*j.ldc+col0 : i*j.ldc+col1]
		if j.beta == 0 {
			clear(row)
			continue
		}
		for q := range row {
			row[q] *= j.beta
		}
	}
}

// The register block of plain Go: eight sums, four values of B and two of A fit in the registers that its compiler uses.
const gemmGoRows, gemmGoCols = 2, 4

// gemmPanelGo is the reference micro-kernel: for each panel C (2, 4) = alpha*A*B, or += if add, with A (2, k) at strides rs and cs,
// and B (k, 4). Products are rounded before they are added, so that every architecture gives the same.
func gemmPanelGo(k int, a []float32, rs, cs int, b, c []float32, ldc int, alpha float32, add bool, count, next int) {
	for i := range count {
		gemmBlockGo(k, a[i*next:], rs, cs, b, c[i*gemmGoRows*ldc:], ldc, alpha, add)
	}
}

func gemmBlockGo(k int, a []float32, rs, cs int, b, c []float32, ldc int, alpha float32, add bool) {
	var c00, c01, c02, c03, c10, c11, c12, c13 float32
	for p := range k {
		a0, a1 := a[p*cs], a[p*cs+rs]
		r := b[p*4 : p*4+4 : p*4+4]
		b0, b1, b2, b3 := r[0], r[1], r[2], r[3]
		c00 += float32(a0 * b0)
		c01 += float32(a0 * b1)
		c02 += float32(a0 * b2)
		c03 += float32(a0 * b3)
		c10 += float32(a1 * b0)
		c11 += float32(a1 * b1)
		c12 += float32(a1 * b2)
		c13 += float32(a1 * b3)
	}
	for i, v := range [8]float32{c00, c01, c02, c03, c10, c11, c12, c13} {
		at := i/4*ldc + i%4
		v = float32(alpha * v)
		if add {
			v += c[at]
		}
		c[at] = v
	}
}
