package tensor

// pack lays the rows of a quantised matrix out as format.go describes. data holds rows x cols values of t, row by row.
func pack(t Type, rows, cols int, data []byte) []byte {
	s := formatOf(t).spec()
	l, _ := t.layout()
	groups := cols / groupCols
	size := s.blockBytes(groups)
	rowBytes := cols / l.values * l.bytes
	blocks := (rows + blockRows - 1) / blockRows
	out := make([]byte, blocks*size)
	put := groupPacker(t)
	for b := range blocks {
		block := out[b*size:][:size]
		last := min(blockRows, rows-b*blockRows)
		for g := range groups {
			head, dst := block[s.headAt(g):], block[s.groupAt(g):][:s.groupBytes()]
			for r := range last {
				put(head, dst, r, data[(b*blockRows+r)*rowBytes:][:rowBytes], g)
			}
		}
	}
	return out
}

// groupPacker returns the function that writes group g of row (the bytes of one row of the file) as row r of a packed group
// and, in the K formats, the factors that lead it.
func groupPacker(t Type) func(head, dst []byte, r int, row []byte, g int) {
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

// putHalf copies a half.
func putHalf(dst, src []byte) { dst[0], dst[1] = src[0], src[1] }

func packQ8_0(_, dst []byte, r int, row []byte, g int) {
	b := row[g*34:][:34]
	for u := range 8 {
		putWord(dst[u*64+r*4:], word(b[2+4*u:])^0x80808080)
	}
	putHalf(dst[512+2*r:], b)
}

// packNibbles copies 16 bytes whose low nibbles are columns 0-15 and whose high ones are 16-31: the order of ggml's old types.
func packNibbles(dst []byte, r int, q []byte) {
	for u := range 4 {
		putWord(dst[u*64+r*4:], word(q[4*u:]))
	}
}

// packFifths puts the fifth bits of 32 columns, column i at bit i of high, in the plane: bit u of byte j is that of column 4u+j.
func packFifths(dst []byte, r int, high uint32) {
	var plane uint32
	for j := range 4 {
		bits := high >> j & 0x11111111 // columns 4u+j at bits 4u
		bits = (bits | bits>>3) & 0x03030303
		bits = (bits | bits>>6) & 0x000f000f
		bits = (bits | bits>>12) & 0xff
		plane |= bits << (8 * j)
	}
	putWord(dst[256+r*4:], plane)
}

func packQ4_0(_, dst []byte, r int, row []byte, g int) {
	b := row[g*18:][:18]
	packNibbles(dst, r, b[2:])
	putHalf(dst[256+2*r:], b)
}

func packQ4_1(_, dst []byte, r int, row []byte, g int) {
	b := row[g*20:][:20]
	packNibbles(dst, r, b[4:])
	putHalf(dst[256+2*r:], b)
	putHalf(dst[288+2*r:], b[2:])
}

func packQ5_0(_, dst []byte, r int, row []byte, g int) {
	b := row[g*22:][:22]
	packNibbles(dst, r, b[6:])
	packFifths(dst, r, word(b[2:]))
	putHalf(dst[320+2*r:], b)
}

func packQ5_1(_, dst []byte, r int, row []byte, g int) {
	b := row[g*24:][:24]
	packNibbles(dst, r, b[8:])
	packFifths(dst, r, word(b[4:]))
	putHalf(dst[320+2*r:], b)
	putHalf(dst[352+2*r:], b[2:])
}

// packHead writes the factors of the scales and of the minima. The minima's are negated, so that they are added.
func packHead(head []byte, r int, b []byte) {
	putHalf(head[2*r:], b)
	putHalf(head[32+2*r:], b[2:])
	head[32+2*r+1] ^= 0x80
}

// packHalves makes words of nibbles from 32 bytes that hold the columns of one group in their low (shift 0) or high (4) nibbles.
func packHalves(dst []byte, r int, q []byte, shift int) {
	for u := range 4 {
		low, high := word(q[4*u:])>>shift&0x0f0f0f0f, word(q[16+4*u:])>>shift&0x0f0f0f0f
		putWord(dst[u*64+r*4:], low|high<<4)
	}
}

func packQ4_K(head, dst []byte, r int, row []byte, g int) {
	b, j := row[g/8*144:][:144], g%8
	packHead(head, r, b)
	packHalves(dst, r, b[16+j/2*32:][:32], j%2*4)
	dst[256+r], dst[272+r] = scaleMinK(j, b[4:16])
}

func packQ5_K(head, dst []byte, r int, row []byte, g int) {
	b, j := row[g/8*176:][:176], g%8
	packHead(head, r, b)
	packHalves(dst, r, b[48+j/2*32:][:32], j%2*4)
	var plane uint32
	for u := range 8 {
		plane |= word(b[16+4*u:]) >> j & 0x01010101 << u
	}
	putWord(dst[256+r*4:], plane)
	dst[320+r], dst[336+r] = scaleMinK(j, b[4:16])
}

func packQ6_K(head, dst []byte, r int, row []byte, g int) {
	b, half, run := row[g/8*210:][:210], g%8/4, g%4
	putHalf(head[2*r:], b[208:])
	packHalves(dst, r, b[half*64+run%2*32:][:32], run/2*4)
	var planes [2]uint32
	for u := range 8 {
		planes[u/4] |= word(b[128+half*32+4*u:]) >> (2 * run) & 0x03030303 << (2 * (u % 4))
	}
	putWord(dst[256+r*4:], planes[0])
	putWord(dst[320+r*4:], planes[1])
	dst[384+r], dst[400+r] = b[192+g%8*2], b[192+g%8*2+1]
}

// unpackRow writes the values of one row of a packed matrix: what Dequantize gives, bit for bit.
func unpackRow(dst []float32, f format, packed []byte, row int) {
	s := f.spec()
	size := s.blockBytes(len(dst) / groupCols)
	block, r := packed[row/blockRows*size:][:size], row%blockRows
	for g := range len(dst) / groupCols {
		group := block[s.groupAt(g):][:s.groupBytes()]
		scales, low := s.factors(block[s.headAt(g):], group, r)
		for i := range groupCols {
			v := scales[i*s.subs/groupCols] * float32(int32(s.quant(group, r, i))-s.offset)
			if s.low {
				v = float32(v) + low
			}
			dst[g*groupCols+i] = v
		}
	}
}
