package tensor

import "math"

// Scratch holds the buffers that Matrix.Mul needs, so that the per-token path does not allocate once they have grown to the
// largest use. One goroutine at a time may use a Scratch; the zero value is ready.
type Scratch struct {
	x     []int8 // activations, as quantize lays them out
	fixes []fix
	call  product // the product under way

	// mulTile and quantizePanel, bound once: a fresh closure for each product would be garbage.
	tile, panel func(i int)
}

// columnsMax is the widest panel of columns that a set has kernels for. Eight columns of 16 rows fill half of AVX-512's 32
// registers with sums, four fill half of AVX2's 16; wider ones would spill.
func (s Set) columnsMax() int {
	if s == AVX512 {
		return 8
	}
	return 4
}

// panelWidth is the width of the panel that takes the next columns when rest are left: the widest, or at the end the smallest
// power of two that holds the rest (its spare columns are zero).
func (s Set) panelWidth(rest int) int {
	w := 1
	for w < rest && w < s.columnsMax() {
		w *= 2
	}
	return w
}

// quantize turns x (n, cols) of the product under way into int8 in groups of 32, each with a scale of its own, symmetric as
// llama.cpp's Q8_0, but with a float32 scale and ties to even. The columns are laid out in panels of c = columnsMax (the last
// one may be narrower): x (cols/4, c, 4) and fixes (cols/32, subs, c), panel after panel.
func (s *Scratch) quantize(p *Pool) {
	m, n := s.call.m, s.call.n
	most := m.set.columnsMax()
	panels := (n + most - 1) / most
	padded := (panels-1)*most + m.set.panelWidth(n-(panels-1)*most)
	s.x = grow(s.x, padded*m.cols)
	s.fixes = grow(s.fixes, padded*(m.cols/groupCols*m.format.spec().subs))
	if m.cols*n < quantizeAlone {
		p = nil
	}
	p.Run(panels, s.panel)
}

// quantizePanel quantises the columns of panel i.
func (s *Scratch) quantizePanel(i int) {
	m, n, sp := s.call.m, s.call.n, s.call.m.format.spec()
	first, groups := i*m.set.columnsMax(), m.cols/groupCols*sp.subs
	width := m.set.panelWidth(n - first)
	dst, fixes := s.x[first*m.cols:][:width*m.cols], s.fixes[first*groups:][:width*groups]
	for c := range width {
		if first+c < n {
			quantizeColumn(m.set, sp, dst, fixes, s.call.x[(first+c)*m.cols:][:m.cols], c, width)
		} else {
			clearColumn(sp, dst, fixes, m.cols, c, width)
		}
	}
}

// quantizeAlone is the number of activations below which waking workers costs more than it saves (a few microseconds).
const quantizeAlone = 16 << 10

// quantizeColumn quantises one column into its place c in a panel of the given width, a few groups at a time.
func quantizeColumn(set Set, sp spec, dst []int8, fixes []fix, x []float32, c, width int) {
	const atOnce = 16
	var q [atOnce * groupCols]int8
	var scales [atOnce]groupScale
	for first := 0; first < len(x)/groupCols; first += atOnce {
		some := scales[:min(atOnce, len(x)/groupCols-first)]
		set.quantizeGroups(q[:], some, x[first*groupCols:])
		if width == 1 {
			copy(dst[first*groupCols:], q[:len(some)*groupCols])
		} else {
			for u := range len(some) * groupCols / 4 {
				*(*[4]int8)(dst[((first*8+u)*width+c)*4:]) = [4]int8(q[4*u:])
			}
		}
		for i, s := range some {
			g := first + i
			switch {
			case sp.subs == 2:
				fixes[2*g*width+c] = fix{s.scale, uint32(-sp.offset * s.low)}
				fixes[(2*g+1)*width+c] = fix{s.scale, uint32(-sp.offset * s.high)}
			case sp.low:
				fixes[g*width+c] = fix{s.scale, math.Float32bits(s.scale * float32(s.low+s.high))}
			default:
				fixes[g*width+c] = fix{s.scale, uint32(-sp.offset * (s.low + s.high))}
			}
		}
	}
}

// clearColumn zeroes a spare column of a panel.
func clearColumn(sp spec, dst []int8, fixes []fix, cols, c, width int) {
	for u := range cols / 4 {
		clear(dst[(u*width+c)*4:][:4])
	}
	for g := range cols / groupCols * sp.subs {
		fixes[g*width+c] = fix{}
	}
}

// tiny is the magnitude below which a group counts as zero: its inverse would be infinite. No layer's output depends on it.
const tiny = 1e-30

// quantizeGroup quantises 32 values: the largest magnitude becomes 127. It returns the scale and the sums of each half. A NaN
// or infinity makes the scale so, hence every result of the row: it is seen, not lost.
func quantizeGroup(q *[groupCols]int8, x *[groupCols]float32) (scale float32, low, high int32) {
	// Compared as integers, magnitudes order as floats do, and NaN is the largest.
	var most uint32
	for _, v := range x {
		most = max(most, math.Float32bits(v)&0x7fffffff)
	}
	largest := math.Float32frombits(most)
	if largest < tiny {
		*q = [groupCols]int8{}
		return 0, 0, 0
	}
	scale = largest / 127
	if most >= 0x7f800000 {
		*q = [groupCols]int8{}
		return scale, 0, 0
	}
	inverse := 127 / largest
	for i, v := range x {
		n := roundInt(v * inverse)
		q[i] = int8(n)
		if i < groupCols/2 {
			low += n
		} else {
			high += n
		}
	}
	return scale, low, high
}

// roundInt rounds to the nearest integer, ties to even, for |v| < 2^22: adding 1.5*2^23 leaves the integer in the low bits.
func roundInt(v float32) int32 {
	return int32(math.Float32bits(v+0x1.8p23)) - 0x4b400000
}

// grow returns a slice of length n that reuses s where it is large enough. Its contents are not kept.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
