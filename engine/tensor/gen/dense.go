package main

import "fmt"

// dense writes a tile of R rows times C columns of dense weights: dot products in 16 lanes, one register on AVX-512, two on
// AVX2, so both sets add in the same order. The lanes are then added by halves: 8+8, 4+4, 2+2, 1+1. k is a positive multiple
// of 16; the caller adds what remains of a row. Each weight is loaded (and widened from 16 bits) once for the C columns.
func (a *assembly) dense(i isa, typ string, R, C int) {
	name := fmt.Sprintf("dense%sx%dx%d%v", typ, R, C, i)
	a.flat = append(a.flat, tile{name, i, typ, R, C})
	doc := fmt.Sprintf("out (%d, %d) = %d rows of w times %d columns of x over k values; strides in bytes", C, R, R, C)
	at := a.function(name, doc, []string{"w *byte", "wstride int", "x *float32", "xstride int", "out *float32", "k int"}, "")
	a.load(at, "w", "SI", "wstride", "R10", "x", "DX", "xstride", "R12", "out", "DI", "k", "CX")
	a.op("LEAQ (R10)(R10*2), R11")
	a.op("LEAQ (R12)(R12*2), R13")
	row := []string{"(SI)", "(SI)(R10*1)", "(SI)(R10*2)", "(SI)(R11*1)"}
	col := []string{"(DX)", "(DX)(R12*1)", "(DX)(R12*2)", "(DX)(R13*1)"}
	size := 4
	if typ != "F32" {
		size = 2
	}
	parts := 16 / int(i) // registers that hold 16 lanes
	v := y
	if i == avx512 {
		v = z
	}
	acc := func(r, c, part int) string { return v((r*C+c)*parts + part) }
	free := R * C * parts // the first register after the sums
	for j := range free {
		if i == avx512 {
			a.op("VPXORQ %s, %s, %s", z(j), z(j), z(j))
		} else {
			a.op("VXORPS %s, %s, %s", y(j), y(j), y(j))
		}
	}
	a.line("%s_16:", name)
	for part := range parts {
		for c := range C {
			a.op("VMOVUPS %d%s, %s", part*32, col[c], v(free+c))
		}
		for r := range R {
			from, w := fmt.Sprintf("%d%s", part*int(i)*size, row[r]), v(free+C)
			switch typ {
			case "F32":
				a.op("VMOVUPS %s, %s", from, w)
			case "F16":
				a.op("VCVTPH2PS %s, %s", from, w)
			case "BF16":
				a.op("VPMOVZXWD %s, %s", from, w)
				a.op("VPSLLD $16, %s, %s", w, w)
			}
			for c := range C {
				a.op("VFMADD231PS %s, %s, %s", v(free+c), w, acc(r, c, part))
			}
		}
	}
	a.op("ADDQ $%d, SI", 16*size)
	a.op("ADDQ $64, DX")
	a.op("SUBQ $16, CX")
	a.op("JG %s_16", name)
	for c := range C {
		for r := range R {
			j := (r*C + c) * parts
			a.addLanes(i, j, free)
			a.op("VMOVSS %s, %d(DI)", x(j), (c*R+r)*4)
		}
	}
	a.ret()
}

// addLanes adds the 16 lanes of the sum in register j (on AVX2 j and j+1) into X<j>; register t is overwritten.
func (a *assembly) addLanes(i isa, j, t int) {
	if i == avx512 {
		// VEXTRACTF128 cannot name the upper 16 registers; these can.
		a.op("VEXTRACTF64X4 $1, %s, %s", z(j), y(t))
		a.op("VADDPS %s, %s, %s", y(t), y(j), y(j))
		a.op("VEXTRACTF32X4 $1, %s, %s", y(j), x(t))
	} else {
		a.op("VADDPS %s, %s, %s", y(j+1), y(j), y(j))
		a.op("VEXTRACTF128 $1, %s, %s", y(j), x(t))
	}
	a.op("VADDPS %s, %s, %s", x(t), x(j), x(j))
	a.lastFour(j, t)
}

// lastFour adds the four lanes of X<j> to its first, by halves; X<t> is overwritten.
func (a *assembly) lastFour(j, t int) {
	a.op("VPERMILPS $0xee, %s, %s", x(j), x(t))
	a.op("VADDPS %s, %s, %s", x(t), x(j), x(j))
	a.op("VPERMILPS $0x55, %s, %s", x(j), x(t))
	a.op("VADDSS %s, %s, %s", x(t), x(j), x(j))
}
