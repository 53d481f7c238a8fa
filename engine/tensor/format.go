package tensor

import (
	"encoding/binary"
	"math"
)

// The packed layout of quantised weights, one for all kernel sets: 16-row interleave.
//
// Rows are taken in blocks of 16 and columns in groups of 32. For 4 consecutive columns the 16 rows lie side by side: a word, 64
// bytes = 16 rows x 4 columns, which is one AVX-512 register, two of AVX2. An integer dot product of a word with 4 activations,
// broadcast, adds to 16 row sums at once, so no sum across lanes is ever needed. Quants are unsigned (VPDPBUSD and
// VPMADDUBSW want one unsigned side); what was added to make them so is taken off again by starting the sum at -offset*sum(x).
// A group holds, in this order:
//
//	quants    W8: 8 words. Others: 4 words of nibbles, word u with columns 4u.. in the low nibbles and 16+4u.. in the high ones
//	planes    0, 1 or 2 words with the bits above the nibbles: of a 5-bit format bit u of a byte belongs to word u (0-7),
//	          of a 6-bit one bits 2(u%4).. of plane u/4
//	scales    W: 16 f16.  K: 16 bytes, and two times 16 in K6, whose scales cover 16 columns
//	minima    of W4M and W5M: 16 f16. Of K4 and K5: 16 bytes
//
// In the K formats, which are ggml's K-quants, each 8 groups (256 columns) are led by 16 f16 factors of the scales and, in K4
// and K5, 16 f16 factors of the minima. So everything comes as one stream of memory and takes as many bytes as in the file,
// because one column is multiplied at the speed of memory.
//
// Packing loses nothing: the value of a weight is scale*(q-offset) + minimum, the same float32 as Dequantize gives. Rows that do
// not fill a block are zero.

// format is one packed form.
type format int

const (
	formatW8  format = iota // Q8_0
	formatW4                // Q4_0
	formatW4M               // Q4_1
	formatW5                // Q5_0
	formatW5M               // Q5_1
	formatK4                // Q4_K
	formatK5                // Q5_K
	formatK6                // Q6_K
)

const (
	blockRows   = 16 // rows of one packed block
	groupCols   = 32 // columns of one group, of weights and of activations
	superGroups = 8  // groups that share the factors of a K format
)

// spec describes a packed form.
type spec struct {
	name   string
	planes int   // words of upper bits, and the bits a quant has there; -1: quants are bytes
	offset int32 // what was added to a quant
	subs   int   // scales a group has, for 32/subs columns each
	super  bool  // scales and minima are bytes with a factor each 8 groups
	low    bool  // there are minima
}

func (f format) spec() spec {
	switch f {
	case formatW8:
		return spec{name: "W8", planes: -1, offset: 128, subs: 1}
	case formatW4:
		return spec{name: "W4", offset: 8, subs: 1}
	case formatW4M:
		return spec{name: "W4M", subs: 1, low: true}
	case formatW5:
		return spec{name: "W5", planes: 1, offset: 16, subs: 1}
	case formatW5M:
		return spec{name: "W5M", planes: 1, subs: 1, low: true}
	case formatK4:
		return spec{name: "K4", subs: 1, super: true, low: true}
	case formatK5:
		return spec{name: "K5", planes: 1, subs: 1, super: true, low: true}
	}
	return spec{name: "K6", planes: 2, offset: 32, subs: 2, super: true}
}

// formatOf says how a quantised type is packed.
func formatOf(t Type) format {
	switch t {
	case Q4_0:
		return formatW4
	case Q4_1:
		return formatW4M
	case Q5_0:
		return formatW5
	case Q5_1:
		return formatW5M
	case Q4_K:
		return formatK4
	case Q5_K:
		return formatK5
	case Q6_K:
		return formatK6
	}
	return formatW8
}

// scalesAt is where the scales of a group begin: the size of quants and planes.
func (s spec) scalesAt() int {
	if s.planes < 0 {
		return 8 * 64
	}
	return (4 + s.planes) * 64
}

// lowsAt is where the minima of a group begin.
func (s spec) lowsAt() int {
	if s.super {
		return s.scalesAt() + s.subs*blockRows
	}
	return s.scalesAt() + 2*blockRows
}

// groupBytes is the size of one group of 16 rows.
func (s spec) groupBytes() int {
	n := s.lowsAt()
	if s.low {
		n += s.lowsAt() - s.scalesAt()
	}
	return n
}

// headBytes is the size of the factors that lead 8 groups.
func (s spec) headBytes() int {
	n := 0
	if s.super {
		n = 2 * blockRows
		if s.low {
			n *= 2
		}
	}
	return n
}

// groupAt is where group g of a block begins, and headAt the factors that lead it.
func (s spec) groupAt(g int) int { return (g/superGroups+1)*s.headBytes() + g*s.groupBytes() }
func (s spec) headAt(g int) int {
	return g / superGroups * (s.headBytes() + superGroups*s.groupBytes())
}

// blockBytes is the size of a block of 16 rows of the given number of groups.
func (s spec) blockBytes(groups int) int {
	return groups/superGroups*s.headBytes() + groups*s.groupBytes()
}

// factors computes the scale (of each sub-group) and the minimum of row r of a group.
func (s spec) factors(head, group []byte, r int) (scales [2]float32, low float32) {
	at, lows := group[s.scalesAt():], group[s.lowsAt():]
	switch {
	case s.super && s.subs == 2: // K6: signed bytes
		d := halfAt(head[2*r:])
		scales[0], scales[1] = d*float32(int8(at[r])), d*float32(int8(at[blockRows+r]))
	case s.super:
		scales[0] = halfAt(head[2*r:]) * float32(at[r])
		low = halfAt(head[2*blockRows+2*r:]) * float32(lows[r])
	default:
		scales[0] = halfAt(at[2*r:])
		if s.low {
			low = halfAt(lows[2*r:])
		}
	}
	return scales, low
}

// quant is the unsigned quant of row r and column i of a group.
func (s spec) quant(group []byte, r, i int) byte {
	u, at := i/4, r*4+i%4
	if s.planes < 0 {
		return group[u*64+at]
	}
	q := group[u%4*64+at] >> (u / 4 * 4) & 15
	switch s.planes {
	case 1:
		q |= group[256+at] >> u & 1 << 4
	case 2:
		q |= group[256+u/4*64+at] >> (2 * (u % 4)) & 3 << 4
	}
	return q
}

// bytes gives the quants of a group as 8 words of bytes: the group itself, or buf filled from nibbles and planes.
func (s spec) bytes(group []byte, buf *[8 * 64]byte) *[8 * 64]byte {
	if s.planes < 0 {
		return (*[8 * 64]byte)(group)
	}
	for u := range 8 {
		word, nibbles := buf[u*64:][:64], group[u%4*64:][:64]
		for i := range word {
			word[i] = nibbles[i] >> (u / 4 * 4) & 15
		}
		switch s.planes {
		case 1:
			for i, v := range group[256:320] {
				word[i] |= v >> u & 1 << 4
			}
		case 2:
			for i, v := range group[256+u/4*64:][:64] {
				word[i] |= v >> (2 * (u % 4)) & 3 << 4
			}
		}
	}
	return buf
}

// fix is what one group (or sub-group) of one column of activations brings to the sums: the scale of its quants, and either
// -offset*sum(q) as an int32, where the integer sums start, or scale*sum(q) as a float32, the factor of the minimum.
type fix struct {
	scale float32
	sum   uint32
}

// tileGo is the reference of the integer kernels: `blocks` blocks of 16 rows times c columns, over `groups` groups of 32.
// w: packed blocks, stride bytes apart. x (groups, 8, c, 4): activations. fixes (groups, subs, c). out (c, blocks*16) is added
// to, so that the sums of a long row may be carried from call to call. Each sum takes one product per scale (two with a
// minimum), in order of the groups, whatever the shape of the tile.
func tileGo(f format, blocks, c int, w []byte, stride int, x []int8, fixes []fix, out []float32, groups int) {
	s := f.spec()
	var buf [8 * 64]byte
	var scales [blockRows][2]float32
	var lows [blockRows]float32
	for b := range blocks {
		for g := range groups {
			group := w[b*stride+s.groupAt(g):][:s.groupBytes()]
			for r := range blockRows {
				scales[r], lows[r] = s.factors(w[b*stride+s.headAt(g):], group, r)
			}
			quants := s.bytes(group, &buf)
			for col := range c {
				acc := out[(col*blocks+b)*blockRows:][:blockRows]
				xs := x[g*groupCols*c+col*4:]
				for sub := range s.subs {
					var sums [blockRows]int32
					words := 8 / s.subs
					for u := sub * words; u < (sub+1)*words; u++ {
						addWord(&sums, (*[64]byte)(quants[u*64:]), (*[4]int8)(xs[u*c*4:]))
					}
					fx := fixes[(g*s.subs+sub)*c+col]
					for r := range acc {
						if s.low {
							acc[r] += float32(float32(scales[r][sub]*fx.scale) * float32(sums[r]))
							acc[r] += float32(lows[r] * math.Float32frombits(fx.sum))
						} else {
							acc[r] += float32(float32(scales[r][sub]*fx.scale) * float32(sums[r]+int32(fx.sum)))
						}
					}
				}
			}
		}
	}
}

// addWord adds one word (16 rows x 4 columns) times 4 activations to the row sums.
func addWord(sums *[blockRows]int32, q *[64]byte, x *[4]int8) {
	x0, x1, x2, x3 := int32(x[0]), int32(x[1]), int32(x[2]), int32(x[3])
	for r := range sums {
		sums[r] += int32(q[4*r])*x0 + int32(q[4*r+1])*x1 + int32(q[4*r+2])*x2 + int32(q[4*r+3])*x3
	}
}

func word(b []byte) uint32       { return binary.LittleEndian.Uint32(b) }
func putWord(b []byte, v uint32) { binary.LittleEndian.PutUint32(b, v) }
