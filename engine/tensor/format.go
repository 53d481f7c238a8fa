package tensor

import (
	"encoding/binary"
	"math"
)

// The packed layout of quantised weights, one for all kernel sets: 16-row interleave.
//
// Rows are taken in blocks of 16 and columns in groups that share a scale (32, or 16 for Q6_K). For 4 consecutive columns the 16
// rows lie side by side, 64 bytes = 16 rows x 4 columns, which is one AVX-512 register, two of AVX2. An integer dot product of
// such a register with 4 activations, broadcast, adds to 16 row sums at once, so no sum across lanes is ever needed. Quants are
// unsigned (VPDPBUSD and VPMADDUBSW want one unsigned side); what was added to make them so is taken off again by starting the
// sum at -offset*sum(x). The scales of the 16 rows follow the quants of their group, so one stream of memory holds everything:
//
//	group of 32, bytes:    8 x (16 rows x 4 columns)        512 bytes
//	group of 32, nibbles:  4 x (16 rows x 4 columns), low nibble: columns 0-15, high nibble: 16-31    256 bytes
//	group of 16, bytes:    4 x (16 rows x 4 columns)        256 bytes
//	then 16 scales (f16 or f32), then, in formats with a minimum, 16 minima (f32)
//
// Packing loses nothing: the value of a weight is scale*(q-offset) + minimum, the same float32 as Dequantize gives. Rows that do
// not fill a block are zero.

// format is one packed form.
type format int

const (
	formatW8  format = iota // bytes 0-255, f16 scale: Q8_0 (offset 128), Q5_0
	formatW4                // nibbles, f16 scale: Q4_0 (offset 8)
	formatW4M               // nibbles, f32 scale and minimum: Q4_1, Q4_K
	formatW5M               // bytes 0-31, f32 scale and minimum: Q5_1, Q5_K
	formatW6                // bytes 0-63, groups of 16, f32 scale: Q6_K (offset 32)
)

const (
	blockRows = 16 // rows of one packed block
	quantCols = 32 // columns of one group of quantised activations
)

// spec describes a packed form to the Go kernels, the packers and the generator's tests.
type spec struct {
	name    string
	group   int   // columns that share a scale
	nibbles bool  // two columns a byte
	offset  int32 // what was added to a quant
	half    bool  // f16 scales, else f32
	low     bool  // minima follow the scales
}

func (f format) spec() spec {
	switch f {
	case formatW8:
		return spec{name: "w8", group: 32, offset: 128, half: true}
	case formatW4:
		return spec{name: "w4", group: 32, nibbles: true, offset: 8, half: true}
	case formatW4M:
		return spec{name: "w4m", group: 32, nibbles: true, low: true}
	case formatW5M:
		return spec{name: "w5m", group: 32, low: true}
	}
	return spec{name: "w6", group: 16, offset: 32}
}

// quantBytes is the size of the quants of one group of 16 rows.
func (s spec) quantBytes() int {
	if s.nibbles {
		return blockRows * s.group / 2
	}
	return blockRows * s.group
}

// groupBytes is the size of one group of 16 rows: quants, scales, minima.
func (s spec) groupBytes() int {
	n := s.quantBytes() + 4*blockRows
	if s.half {
		n -= 2 * blockRows
	}
	if s.low {
		n += 4 * blockRows
	}
	return n
}

// formatOf says how a quantised type is packed.
func formatOf(t Type) format {
	switch t {
	case Q4_0:
		return formatW4
	case Q4_1, Q4_K:
		return formatW4M
	case Q5_1, Q5_K:
		return formatW5M
	case Q6_K:
		return formatW6
	}
	return formatW8 // Q8_0, Q5_0
}

// fix is what one group of one column of activations brings to the sums: the scale of its quants, and either -offset*sum(q) as
// an int32, where the sums of a group start, or scale*sum(q) as a float32, the factor of the minimum.
type fix struct {
	scale float32
	sum   uint32
}

// tileGo is the reference of the integer kernels: rows r of `blocks` blocks of 16 times c columns, over `groups` groups.
// w: packed blocks, stride bytes apart. x (groups, group/4, c, 4): activations. fixes (groups, c). out (c, blocks*16) is added
// to, so that the sums of a long row may be carried from call to call. Each sum takes one product per group (two with a
// minimum), in order of the groups, whatever the shape of the tile.
func tileGo(f format, blocks, c int, w []byte, stride int, x []int8, fixes []fix, out []float32, groups int) {
	s := f.spec()
	words, size := s.quantBytes()/64, s.groupBytes()
	for b := range blocks {
		for g := range groups {
			group := w[b*stride+g*size:][:size]
			scales, lows := s.factors(group)
			for col := range c {
				var sums [blockRows]int32
				xs := x[g*s.group*c+col*4:]
				for u := range words {
					addWord(&sums, (*[64]byte)(group[u*64:]), (*[4]int8)(xs[u*c*4:]), (*[4]int8)(xs[(u+4*b2i(s.nibbles))*c*4:]), s.nibbles)
				}
				fx := fixes[g*c+col]
				acc := out[(col*blocks+b)*blockRows:][:blockRows]
				for r := range acc {
					if s.low {
						acc[r] += float32(float32(scales[r]*fx.scale) * float32(sums[r]))
						acc[r] += float32(lows[r] * math.Float32frombits(fx.sum))
					} else {
						acc[r] += float32(float32(scales[r]*fx.scale) * float32(sums[r]+int32(fx.sum)))
					}
				}
			}
		}
	}
}

// factors reads the scales and minima of the 16 rows that follow a group's quants.
func (s spec) factors(group []byte) (scales, lows [blockRows]float32) {
	b := group[s.quantBytes():]
	if s.half {
		for r := range scales {
			scales[r] = halfAt(b[2*r:])
		}
		return scales, lows
	}
	for r := range scales {
		scales[r] = floatAt(b[4*r:])
		if s.low {
			lows[r] = floatAt(b[4*blockRows+4*r:])
		}
	}
	return scales, lows
}

// floatAt reads the float32 at b[0:4].
func floatAt(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }

// addWord adds one word (16 rows x 4 columns) times 4 activations to the row sums; nibbles are two such words.
func addWord(sums *[blockRows]int32, q *[64]byte, x, high *[4]int8, nibbles bool) {
	x0, x1, x2, x3 := int32(x[0]), int32(x[1]), int32(x[2]), int32(x[3])
	if !nibbles {
		for r := range sums {
			sums[r] += int32(q[4*r])*x0 + int32(q[4*r+1])*x1 + int32(q[4*r+2])*x2 + int32(q[4*r+3])*x3
		}
		return
	}
	h0, h1, h2, h3 := int32(high[0]), int32(high[1]), int32(high[2]), int32(high[3])
	for r := range sums {
		sums[r] += int32(q[4*r]&15)*x0 + int32(q[4*r+1]&15)*x1 + int32(q[4*r+2]&15)*x2 + int32(q[4*r+3]&15)*x3 +
			int32(q[4*r]>>4)*h0 + int32(q[4*r+1]>>4)*h1 + int32(q[4*r+2]>>4)*h2 + int32(q[4*r+3]>>4)*h3
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
