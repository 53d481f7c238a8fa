package tensor

import (
	"encoding/binary"
	"math"
)

// pack lays the rows of a quantised matrix out as format.go describes. data holds rows x cols values of t, row by row.
func pack(t Type, rows, cols int, data []byte) []byte {
	s := formatOf(t).spec()
	l, _ := t.layout()
	groups, size := cols/s.group, s.groupBytes()
	rowBytes := cols / l.values * l.bytes
	blocks := (rows + blockRows - 1) / blockRows
	out := make([]byte, blocks*groups*size)
	put := groupPacker(t)
	for b := range blocks {
		last := min(blockRows, rows-b*blockRows)
		for g := range groups {
			dst := out[(b*groups+g)*size:][:size]
			for r := range last {
				put(dst, r, data[(b*blockRows+r)*rowBytes:][:rowBytes], g)
			}
		}
	}
	return out
}

// groupPacker returns the function that writes group g of row (the bytes of one row of the file) as row r of a packed group.
func groupPacker(t Type) func(dst []byte, r int, row []byte, g int) {
	switch t {
	case Q8_0:
		return packQ8_0
	case Q4_0:
		return packQ4_0
	case Q4_1:
		return packQ4_1
	case Q5_0:
		return packQ5_0
	case Q5_1:
		return packQ5_1
	case Q4_K:
		return packQ4_K
	case Q5_K:
		return packQ5_K
	}
	return packQ6_K
}

func word(b []byte) uint32           { return binary.LittleEndian.Uint32(b) }
func putWord(b []byte, v uint32)     { binary.LittleEndian.PutUint32(b, v) }
func putFloat(b []byte, v float32)   { putWord(b, math.Float32bits(v)) }
func putHalfBits(b []byte, s []byte) { b[0], b[1] = s[0], s[1] }

// putFactors writes the f32 scale and minimum of row r behind the quants of a group.
func putFactors(dst []byte, quants, r int, scale, low float32) {
	putFloat(dst[quants+4*r:], scale)
	putFloat(dst[quants+4*blockRows+4*r:], low)
}

func packQ8_0(dst []byte, r int, row []byte, g int) {
	b := row[g*34:][:34]
	for u := range 8 {
		putWord(dst[u*64+r*4:], word(b[2+4*u:])^0x80808080)
	}
	putHalfBits(dst[512+2*r:], b)
}

func packQ4_0(dst []byte, r int, row []byte, g int) {
	b := row[g*18:][:18]
	for u := range 4 {
		putWord(dst[u*64+r*4:], word(b[2+4*u:]))
	}
	putHalfBits(dst[256+2*r:], b)
}

func packQ4_1(dst []byte, r int, row []byte, g int) {
	b := row[g*20:][:20]
	for u := range 4 {
		putWord(dst[u*64+r*4:], word(b[4+4*u:]))
	}
	putFactors(dst, 256, r, halfAt(b), halfAt(b[2:]))
}

// spread puts 4 bits of high, from bit i on, at the fifth bits of 4 bytes.
func spread(high uint32, i int) uint32 {
	high >>= i
	return high&1<<4 | high&2<<11 | high&4<<18 | high&8<<25
}

func packQ5_0(dst []byte, r int, row []byte, g int) {
	b := row[g*22:][:22]
	high := word(b[2:])
	for u := range 4 {
		q := word(b[6+4*u:])
		putWord(dst[u*64+r*4:], (q&0x0f0f0f0f|spread(high, 4*u))+0x70707070) // q - 16 + 128
		putWord(dst[(u+4)*64+r*4:], (q>>4&0x0f0f0f0f|spread(high, 16+4*u))+0x70707070)
	}
	putHalfBits(dst[512+2*r:], b)
}

func packQ5_1(dst []byte, r int, row []byte, g int) {
	b := row[g*24:][:24]
	high := word(b[4:])
	for u := range 4 {
		q := word(b[8+4*u:])
		putWord(dst[u*64+r*4:], q&0x0f0f0f0f|spread(high, 4*u))
		putWord(dst[(u+4)*64+r*4:], q>>4&0x0f0f0f0f|spread(high, 16+4*u))
	}
	putFactors(dst, 512, r, halfAt(b), halfAt(b[2:]))
}

func packQ4_K(dst []byte, r int, row []byte, g int) {
	b, j := row[g/8*144:][:144], g%8
	q := b[16+j/2*32:][:32]
	shift := j % 2 * 4
	for u := range 4 {
		low, high := word(q[4*u:])>>shift&0x0f0f0f0f, word(q[16+4*u:])>>shift&0x0f0f0f0f
		putWord(dst[u*64+r*4:], low|high<<4)
	}
	s, m := scaleMinK(j, b[4:16])
	putFactors(dst, 256, r, halfAt(b)*float32(s), -(halfAt(b[2:]) * float32(m)))
}

func packQ5_K(dst []byte, r int, row []byte, g int) {
	b, j := row[g/8*176:][:176], g%8
	q, high := b[48+j/2*32:][:32], b[16:48]
	shift := j % 2 * 4
	for u := range 8 {
		putWord(dst[u*64+r*4:], word(q[4*u:])>>shift&0x0f0f0f0f|word(high[4*u:])>>j&0x01010101<<4)
	}
	s, m := scaleMinK(j, b[4:16])
	putFactors(dst, 512, r, halfAt(b)*float32(s), -(halfAt(b[2:]) * float32(m)))
}

func packQ6_K(dst []byte, r int, row []byte, g int) {
	b, j := row[g/16*210:][:210], g%16
	half, run := j/8, j/2%4
	low, high := b[half*64+run%2*32+j%2*16:][:16], b[128+half*32+j%2*16:][:16]
	for u := range 4 {
		putWord(dst[u*64+r*4:], word(low[4*u:])>>(run/2*4)&0x0f0f0f0f|word(high[4*u:])>>(2*run)&0x03030303<<4)
	}
	putFloat(dst[256+4*r:], halfAt(b[208:])*float32(int8(b[192+j])))
}

// unpackRow writes the values of one row of a packed matrix: what Dequantize gives, bit for bit.
func unpackRow(dst []float32, f format, packed []byte, row int) {
	s := f.spec()
	groups, size, quants := len(dst)/s.group, s.groupBytes(), s.quantBytes()
	b, r := row/blockRows, row%blockRows
	for g := range groups {
		group := packed[(b*groups+g)*size:][:size]
		scales, lows := s.factors(group)
		for i := range s.group {
			var q byte
			if s.nibbles {
				q = group[i%16/4*64+r*4+i%4] >> (i / 16 * 4) & 15
			} else {
				q = group[:quants][i/4*64+r*4+i%4]
			}
			v := scales[r] * float32(int32(q)-s.offset)
			if s.low {
				v = float32(v) + lows[r]
			}
			dst[g*s.group+i] = v
		}
	}
}
