package main

import "fmt"

// form describes one packed format of quantised weights (format.go of package tensor holds the layout and why it is so).
type form struct {
	name    string // as in the constant formatX
	words   int    // 64-byte words of quants in a group
	nibbles bool   // a word holds two runs of 4 columns
	half    bool   // f16 scales, else f32
	low     bool   // f32 minima follow the scales
	run     int    // words' products that fit in an int16 sum: 2*127*(largest quant)*run <= 32767; 1 with signs for W8
}

var forms = []form{
	{name: "W8", words: 8, half: true, run: 1},
	{name: "W4", words: 4, nibbles: true, half: true, run: 4},
	{name: "W4M", words: 4, nibbles: true, low: true, run: 4},
	{name: "W5M", words: 8, low: true, run: 4},
	{name: "W6", words: 4, run: 2},
}

// scaleBytes is the size of the 16 scales.
func (f form) scaleBytes() int {
	if f.half {
		return 32
	}
	return 64
}

// bytes is the size of a group of 16 rows.
func (f form) bytes() int {
	n := f.words*64 + f.scaleBytes()
	if f.low {
		n += 64
	}
	return n
}

// perGroup is the number of runs of 4 columns in a group.
func (f form) perGroup() int {
	if f.nibbles {
		return 2 * f.words
	}
	return f.words
}

// unit is one run of 4 columns: the word it lies in and which nibble of it.
type unit struct {
	word int
	high bool
	x    int // its place among the group's activations
}

// runs cuts a group into the runs that one int16 sum may hold.
func (f form) runs() [][]unit {
	var all []unit
	for w := range f.words {
		all = append(all, unit{word: w, x: w})
		if f.nibbles {
			all = append(all, unit{word: w, high: true, x: w + 4})
		}
	}
	var out [][]unit
	for len(all) > 0 {
		out = append(out, all[:f.run])
		all = all[f.run:]
	}
	return out
}

var quantParams = []string{"w *byte", "stride int", "x *int8", "fixes *fix", "out *float32", "groups int"}

// quantName registers an integer tile and begins its text.
func (a *assembly) quantBegin(i isa, f form, blocks, width int) (name string, at map[string]string) {
	name = fmt.Sprintf("quant%sx%dx%d%v", f.name, blocks, width, i)
	a.quant = append(a.quant, tile{name, i, "format" + f.name, blocks, width})
	doc := fmt.Sprintf("%d rows times %d columns, added to out (%d, %d); see tileGo", blocks*16, width, width, blocks*16)
	at = a.function(name, doc, quantParams, "")
	a.load(at, "w", "SI", "stride", "R10", "x", "DX", "fixes", "R13", "out", "DI", "groups", "CX")
	return name, at
}

// prefetch asks for the words that a later group will need. Only narrow tiles do: they run at the speed of memory, wide ones
// find their weights in a cache. The distance was measured on Zen 4: from 1 to 4 KB there is no difference.
func (a *assembly) prefetch(f form, width int) {
	if width > 2 {
		return
	}
	for at := 0; at < f.bytes(); at += 64 {
		a.op("PREFETCHT0 %d(SI)", 2048+at)
	}
}

// quantAVX512 writes a tile of R blocks of 16 rows times C columns: one register holds 16 rows, VPDPBUSD multiplies 4 columns
// of each with 4 activations that are broadcast to all. Integer sums start at the fix of their group, become float32 once a
// group, are scaled and added to the one float32 sum of their (row, column). Those sums stay in registers where both kinds
// fit; else they lie in out, which stays in the first cache.
func (a *assembly) quantAVX512(f form, R, C int) {
	name, _ := a.quantBegin(avx512, f, R, C)
	inRegisters := 2*R*C <= 16
	const weights, bcast, temps, mask = 16, 20, 26, 31
	stream := []string{"(SI)", "(SI)(R10*1)"}
	sum := func(r, c int) string { return z(c*R + r) }     // int32
	acc := func(r, c int) string { return z(8 + c*R + r) } // float32, when in registers
	out := func(r, c int) string { return fmt.Sprintf("%d(DI)", (c*R+r)*64) }
	if f.nibbles {
		a.op("VPBROADCASTQ nibbles<>(SB), %s", z(mask))
	}
	if inRegisters {
		for c := range C {
			for r := range R {
				a.op("VMOVUPS %s, %s", out(r, c), acc(r, c))
			}
		}
	}
	a.line("%s_group:", name)
	a.prefetch(f, C)
	for c := range C {
		if f.low {
			a.op("VPXORD %s, %s, %s", sum(0, c), sum(0, c), sum(0, c))
		} else {
			a.op("VPBROADCASTD %d(R13), %s", c*8+4, sum(0, c))
		}
		for r := 1; r < R; r++ {
			a.op("VMOVDQA64 %s, %s", sum(0, c), sum(r, c))
		}
	}
	for w := range f.words {
		for r := range R {
			low, high := z(weights+2*r), z(weights+2*r+1)
			a.op("VMOVDQU8 %d%s, %s", w*64, stream[r], low)
			if f.nibbles {
				a.op("VPSRLW $4, %s, %s", low, high)
				a.op("VPANDD %s, %s, %s", z(mask), low, low)
				a.op("VPANDD %s, %s, %s", z(mask), high, high)
			}
		}
		for h := range b2i(f.nibbles) + 1 {
			for c := range C {
				x := fmt.Sprintf("%d(DX)", ((w+4*h)*C+c)*4)
				if R == 1 {
					a.op("VPDPBUSD.BCST %s, %s, %s", x, z(weights+h), sum(0, c))
					continue
				}
				a.op("VPBROADCASTD %s, %s", x, z(bcast+c%2))
				for r := range R {
					a.op("VPDPBUSD %s, %s, %s", z(bcast+c%2), z(weights+2*r+h), sum(r, c))
				}
			}
		}
	}
	// The weights' registers are free now: scales take theirs, minima the next.
	scale := func(r int) string { return z(weights + r) }
	low := func(r int) string { return z(weights + 2 + r) }
	at := f.words * 64
	for r := range R {
		if f.half {
			a.op("VCVTPH2PS %d%s, %s", at, stream[r], scale(r))
		} else {
			a.op("VMOVUPS %d%s, %s", at, stream[r], scale(r))
		}
		if f.low {
			a.op("VMOVUPS %d%s, %s", at+f.scaleBytes(), stream[r], low(r))
		}
	}
	for c := range C {
		for r := range R {
			s, t := sum(r, c), z(temps+(c*R+r)%4)
			a.op("VCVTDQ2PS %s, %s", s, s)
			a.op("VMULPS.BCST %d(R13), %s, %s", c*8, scale(r), t)
			if inRegisters {
				a.op("VFMADD231PS %s, %s, %s", s, t, acc(r, c))
				if f.low {
					a.op("VFMADD231PS.BCST %d(R13), %s, %s", c*8+4, low(r), acc(r, c))
				}
				continue
			}
			a.op("VFMADD213PS %s, %s, %s", out(r, c), t, s)
			if f.low {
				a.op("VFMADD231PS.BCST %d(R13), %s, %s", c*8+4, low(r), s)
			}
			a.op("VMOVUPS %s, %s", s, out(r, c))
		}
	}
	a.next(f, C, name)
	if inRegisters {
		for c := range C {
			for r := range R {
				a.op("VMOVUPS %s, %s", acc(r, c), out(r, c))
			}
		}
	}
	a.ret()
}

// next moves the pointers to the next group and loops.
func (a *assembly) next(f form, C int, name string) {
	a.op("ADDQ $%d, SI", f.bytes())
	a.op("ADDQ $%d, DX", f.perGroup()*4*C)
	a.op("ADDQ $%d, R13", 8*C)
	a.op("DECQ CX")
	a.op("JNZ %s_group", name)
}

// quantAVX2 writes a tile of 16 rows (two halves of 8) times C columns. VPMADDUBSW multiplies unsigned with signed bytes and
// adds pairs in int16, saturating, so only as many products are added there as can never saturate (form.run); VPMADDWD by ones
// widens. W8's quants are too large for even one pair: they get their sign back, and the product is |q| times x with q's sign
// (VPSIGNB): 2*128*127 is the most and fits.
func (a *assembly) quantAVX2(f form, C int) {
	name, _ := a.quantBegin(avx2, f, 1, C)
	inRegisters := C <= 2
	const weights, temp, ones, mask = 8, 12, 14, 15
	sum := func(h, c int) string { return y(2*c + h) }
	acc := func(h, c int) string { return y(4 + 2*c + h) }
	out := func(h, c int) string { return fmt.Sprintf("%d(DI)", c*64+h*32) }
	a.op("VPBROADCASTQ ones<>(SB), %s", y(ones))
	if f.nibbles {
		a.op("VPBROADCASTQ nibbles<>(SB), %s", y(mask))
	} else if f.run == 1 {
		a.op("VPBROADCASTQ signs<>(SB), %s", y(mask))
	}
	if inRegisters {
		for c := range C {
			for h := range 2 {
				a.op("VMOVUPS %s, %s", out(h, c), acc(h, c))
			}
		}
	}
	a.line("%s_group:", name)
	a.prefetch(f, C)
	for i, run := range f.runs() {
		for h := range 2 {
			a.weightsAVX2(f, run, h, weights, mask)
			for c := range C {
				t := y(temp)
				for j, u := range run {
					p := y(temp + b2i(j > 0))
					a.op("VPBROADCASTD %d(DX), %s", (u.x*C+c)*4, p)
					if f.run == 1 {
						a.op("VPSIGNB %s, %s, %s", y(weights), p, p)
						a.op("VPMADDUBSW %s, %s, %s", p, y(weights+1), p)
					} else {
						a.op("VPMADDUBSW %s, %s, %s", p, y(weights+j), p)
					}
					if j > 0 {
						a.op("VPADDW %s, %s, %s", p, t, t)
					}
				}
				if i == 0 {
					a.op("VPMADDWD %s, %s, %s", y(ones), t, sum(h, c))
				} else {
					a.op("VPMADDWD %s, %s, %s", y(ones), t, t)
					a.op("VPADDD %s, %s, %s", t, sum(h, c), sum(h, c))
				}
			}
		}
	}
	a.scaleAVX2(f, C, inRegisters, weights, temp, sum, acc, out)
	a.next(f, C, name)
	if inRegisters {
		for c := range C {
			for h := range 2 {
				a.op("VMOVUPS %s, %s", acc(h, c), out(h, c))
			}
		}
	}
	a.ret()
}

// weightsAVX2 loads the half h of a run's words as unsigned bytes into registers from first on; for W8 the signed quants
// and their magnitudes.
func (a *assembly) weightsAVX2(f form, run []unit, h, first, mask int) {
	for j, u := range run {
		from, r := fmt.Sprintf("%d(SI)", u.word*64+h*32), y(first+j)
		switch {
		case f.run == 1:
			a.op("VPXOR %s, %s, %s", from, y(mask), r)
			a.op("VPABSB %s, %s", r, y(first+1))
		case u.high:
			a.op("VPSRLW $4, %s, %s", y(first+j-1), r)
			a.op("VPAND %s, %s, %s", y(mask), y(first+j-1), y(first+j-1))
			a.op("VPAND %s, %s, %s", y(mask), r, r)
		default:
			a.op("VMOVDQU %s, %s", from, r)
		}
	}
}

// scaleAVX2 ends a group: fix the integer sums, scale them, add them to the float32 sums.
func (a *assembly) scaleAVX2(f form, C int, inRegisters bool, weights, temp int, sum, acc, out func(h, c int) string) {
	at := f.words * 64
	for h := range 2 {
		if f.half {
			a.op("VCVTPH2PS %d(SI), %s", at+16*h, y(weights+h))
		} else {
			a.op("VMOVUPS %d(SI), %s", at+32*h, y(weights+h))
		}
		if f.low {
			a.op("VMOVUPS %d(SI), %s", at+64+32*h, y(weights+2+h))
		}
	}
	fix, t := y(temp), y(temp+1)
	offset := !f.low && f.run > 1 // signed quants have no offset to take off
	for c := range C {
		if offset {
			a.op("VPBROADCASTD %d(R13), %s", c*8+4, fix)
		}
		for h := range 2 {
			if offset {
				a.op("VPADDD %s, %s, %s", fix, sum(h, c), sum(h, c))
			}
			a.op("VCVTDQ2PS %s, %s", sum(h, c), sum(h, c))
		}
		a.op("VBROADCASTSS %d(R13), %s", c*8, fix)
		for h := range 2 {
			a.op("VMULPS %s, %s, %s", fix, y(weights+h), t)
			if inRegisters {
				a.op("VFMADD231PS %s, %s, %s", sum(h, c), t, acc(h, c))
			} else {
				a.op("VFMADD213PS %s, %s, %s", out(h, c), t, sum(h, c))
			}
		}
		if f.low {
			a.op("VBROADCASTSS %d(R13), %s", c*8+4, fix)
		}
		for h := range 2 {
			target := acc(h, c)
			if !inRegisters {
				target = sum(h, c)
			}
			if f.low {
				a.op("VFMADD231PS %s, %s, %s", fix, y(weights+2+h), target)
			}
			if !inRegisters {
				a.op("VMOVUPS %s, %s", target, out(h, c))
			}
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
