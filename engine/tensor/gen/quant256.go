package main

import "fmt"

// tile256 is one integer tile for AVX2: 16 rows, as two halves of 8, times C columns.
//
// VPMADDUBSW multiplies unsigned with signed bytes and adds pairs in int16, saturating, so only as many products are added there
// as can never saturate (form.run); VPMADDWD by ones widens. W8's quants are too large for even one pair: they get their sign
// back, and the product is |q| times x with q's sign (VPSIGNB): 2*128*127 is the most and fits.
type tile256 struct {
	*assembly
	f           form
	C           int
	inRegisters bool
}

// Registers beside the sums: 0-7 are the integer sums, or 0-3 them and 4-7 the float32 ones.
const (
	weights256 = 8  // four
	temps256   = 12 // two
	ones256    = 14
	mask256    = 15
)

func (t tile256) sum(h, c int) string { return y(2*c + h) }
func (t tile256) acc(h, c int) string { return y(4 + 2*c + h) }
func (t tile256) out(h, c int) string { return fmt.Sprintf("%d(DI)", c*64+h*32) }

// each calls f for each sum.
func (t tile256) each(f func(h, c int)) {
	for c := range t.C {
		for h := range 2 {
			f(h, c)
		}
	}
}

func (a *assembly) quantAVX2(f form, C int) {
	t := tile256{a, f, C, C <= 2}
	name := a.quantBegin(avx2, f, 1, C)
	a.op("VPBROADCASTQ ones<>(SB), %s", y(ones256))
	if f.planes < 0 {
		a.op("VPBROADCASTQ signs<>(SB), %s", y(mask256))
	} else {
		a.op("VPBROADCASTQ nibbles<>(SB), %s", y(mask256))
	}
	if t.inRegisters {
		t.each(func(h, c int) { a.op("VMOVUPS %s, %s", t.out(h, c), t.acc(h, c)) })
	}
	a.groups(f, C, name, func() {
		for sub := range f.subs {
			t.multiply(sub)
			t.scale(sub)
		}
	})
	if t.inRegisters {
		t.each(func(h, c int) { a.op("VMOVUPS %s, %s", t.acc(h, c), t.out(h, c)) })
	}
	a.ret()
}

// multiply sets the integer sums to the products of a sub-group.
func (t tile256) multiply(sub int) {
	units := t.f.units(sub)
	for first := 0; first < len(units); first += t.f.run {
		run := units[first : first+t.f.run]
		for h := range 2 {
			t.quants(run, h)
			for c := range t.C {
				t.products(run, c)
				sum, temp := t.sum(h, c), y(temps256)
				if first == 0 {
					t.op("VPMADDWD %s, %s, %s", y(ones256), temp, sum)
					continue
				}
				t.op("VPMADDWD %s, %s, %s", y(ones256), temp, temp)
				t.op("VPADDD %s, %s, %s", temp, sum, sum)
			}
		}
	}
}

// products leaves the int16 sums of a run for column c in the first temporary register.
func (t tile256) products(run []unit, c int) {
	for j, u := range run {
		p := y(temps256 + b2i(j > 0))
		t.op("VPBROADCASTD %d(DX), %s", (u.x*t.C+c)*4, p)
		w := y(weights256 + j)
		if t.f.planes < 0 {
			t.op("VPSIGNB %s, %s, %s", w, p, p)
			w = y(weights256 + 1)
		}
		t.op("VPMADDUBSW %s, %s, %s", p, w, p)
		if j > 0 {
			t.op("VPADDW %s, %s, %s", p, y(temps256), y(temps256))
		}
	}
}

// quants loads half h of a run's unsigned quants into the weights' registers; for W8 the signed quants and their magnitudes.
func (t tile256) quants(run []unit, h int) {
	for j, u := range run {
		from, w, temp := fmt.Sprintf("%d(SI)", u.word*64+h*32), y(weights256+j), y(temps256)
		if t.f.planes < 0 {
			t.op("VPXOR %s, %s, %s", from, y(mask256), w)
			t.op("VPABSB %s, %s", w, y(weights256+1))
			continue
		}
		t.op("VMOVDQU %s, %s", from, w)
		if u.high {
			t.op("VPSRLW $4, %s, %s", w, w)
		}
		t.op("VPAND %s, %s, %s", y(mask256), w, w)
		if t.f.planes == 0 {
			continue
		}
		plane := fmt.Sprintf("%d(SI)", 256+64*u.plane+32*h)
		t.op("VMOVDQU %s, %s", plane, temp)
		if u.left != 0 {
			t.shift(u.left, temp, temp)
		}
		t.op("VPAND %s8<>(SB), %s, %s", t.f.upper(), temp, temp)
		t.op("VPOR %s, %s, %s", temp, w, w)
	}
}

// scale ends a sub-group: take the offset off the integer sums, scale them, add them and the minima to the float32 sums.
func (t tile256) scale(sub int) {
	scale := func(h int) string { return y(weights256 + h) }
	low := func(h int) string { return y(weights256 + 2 + h) }
	fix, p := y(temps256), y(temps256+1)
	for h := range 2 {
		t.factor(t.f, t.f.scalesAt()+16*sub, 0, 8*h, "(SI)", "(R9)", scale(h), p)
		if t.f.low {
			t.factor(t.f, t.f.lowsAt(), 32, 8*h, "(SI)", "(R9)", low(h), p)
		}
	}
	for c := range t.C {
		at := (sub*t.C + c) * 8
		if !t.f.low && t.f.planes >= 0 { // signed quants have no offset to take off
			t.op("VPBROADCASTD %d(R13), %s", at+4, fix)
			for h := range 2 {
				t.op("VPADDD %s, %s, %s", fix, t.sum(h, c), t.sum(h, c))
			}
		}
		t.op("VBROADCASTSS %d(R13), %s", at, fix)
		for h := range 2 {
			s := t.sum(h, c)
			t.op("VCVTDQ2PS %s, %s", s, s)
			t.op("VMULPS %s, %s, %s", fix, scale(h), p)
			if t.inRegisters {
				t.op("VFMADD231PS %s, %s, %s", s, p, t.acc(h, c))
			} else {
				t.op("VFMADD213PS %s, %s, %s", t.out(h, c), p, s)
			}
		}
		if t.f.low {
			t.op("VBROADCASTSS %d(R13), %s", at+4, fix)
		}
		for h := range 2 {
			s := t.sum(h, c)
			if t.inRegisters {
				s = t.acc(h, c)
			}
			if t.f.low {
				t.op("VFMADD231PS %s, %s, %s", fix, low(h), s)
			}
			if !t.inRegisters {
				t.op("VMOVUPS %s, %s", s, t.out(h, c))
			}
		}
	}
}
