package tensor

// This file joins the kernels of a set to the loops of matrix.go and vector.go. kern_amd64.go, which gen writes, has the
// assembly's declarations; on other architectures kern_other.go stands in for it and only the Go set exists.

// groupScale is what quantizing a group of 32 activations gives besides its quants: the scale and the sums of each half of 16.
type groupScale struct {
	scale     float32
	low, high int32
}

// blocksAtOnce is how many blocks of 16 rows one tile takes for a panel of the given width when left remain.
func (s Set) blocksAtOnce(width, left int) int {
	if s == AVX512 && width == 8 && left >= 2 {
		return 2
	}
	return 1
}

// tile runs the integer kernel of s; see tileGo.
func (s Set) tile(f format, blocks, c int, w []byte, stride int, x []int8, fixes []fix, out []float32, groups int) {
	if s == Go {
		tileGo(f, blocks, c, w, stride, x, fixes, out, groups)
		return
	}
	// The assembly trusts its lengths; these reads make Go check the last element of each.
	sp := f.spec()
	_, _, _, _ = w[(blocks-1)*stride+sp.blockBytes(groups)-1], x[groups*groupCols*c-1], fixes[groups*sp.subs*c-1], out[blocks*blockRows*c-1]
	quantTile(s, f, blocks, c, &w[0], stride, &x[0], &fixes[0], &out[0], groups)
}

// quantizeGroups quantises whole groups of 32: q (groups, 32), scales (groups), x (groups, 32).
func (s Set) quantizeGroups(q []int8, scales []groupScale, x []float32) {
	groups := len(scales)
	q, x = q[:groups*groupCols], x[:groups*groupCols]
	if s == Go {
		for g := range scales {
			scale, low, high := quantizeGroup((*[groupCols]int8)(q[g*groupCols:]), (*[groupCols]float32)(x[g*groupCols:]))
			scales[g] = groupScale{scale, low, high}
		}
		return
	}
	quantizeAVX2(&q[0], &scales[0], &x[0], groups)
}

// denseLanes is the number of values that a step of the dense kernels takes.
const denseLanes = 16

// denseShape is the tile of dense weights for the columns and rows left.
func (s Set) denseShape(columns, rows int) (r, c int) {
	most := 2
	if s == AVX512 {
		most = 4
	}
	c = 1
	for 2*c <= columns && c < most {
		c *= 2
	}
	r = 4
	if s == AVX2 {
		r = 4 / c // 16 registers hold eight sums of two registers each, and their operands
	}
	if rows < r {
		r = 1
	}
	return r, c
}

// mulDense computes rows [first, last) of dense weights with the kernels of a set that has them: 16 lanes over the whole row,
// then what does not fill the lanes, one by one.
func (m *Matrix) mulDense(out, x []float32, n, first, last int) {
	l, _ := m.typ.layout()
	whole := m.cols / denseLanes * denseLanes
	rowBytes := m.cols * l.bytes
	var sums [16]float32 // (columns, rows)
	var rest [denseLanes]float32
	for c := 0; c < n; {
		var wide int
		for row := first; row < last; {
			var rows int
			rows, wide = m.set.denseShape(n-c, last-row)
			w, xs := m.data[row*rowBytes:][:rows*rowBytes], x[c*m.cols:][:wide*m.cols]
			denseTile(m.set, m.typ, rows, wide, &w[0], rowBytes, &xs[0], 4*m.cols, &sums[0], whole)
			for r := range rows {
				tail := rest[:m.cols-whole]
				dequantize(m.typ, tail, w[r*rowBytes+whole*l.bytes:])
				for col := range wide {
					sum := sums[col*rows+r]
					for i, v := range tail {
						sum += float32(v * xs[col*m.cols+whole+i])
					}
					out[(c+col)*m.rows+row+r] = sum
				}
			}
			row += rows
		}
		c += wide
	}
}
