package main

import "fmt"

// tile512 is one integer tile for AVX-512: R blocks of 16 rows times C columns.
//
// One register holds 16 rows; VPDPBUSD multiplies 4 columns of each with 4 activations that are broadcast to all. Integer sums
// start at the fix of their group, become float32 once a group, are scaled and added to the one float32 sum of their (row,
// column). Those sums stay in registers where both kinds fit; else they lie in out, which stays in the first cache.
type tile512 struct {
	*assembly
	f           form
	R, C        int
	inRegisters bool
}

// Registers beside the sums: 0-15 are the integer sums, or 0-7 them and 8-15 the float32 ones.
const (
	weights512 = 16 // two for each block
	bcast512   = 20 // two
	planes512  = 22 // one for each block
	temps512   = 24 // four
	upper512   = 30
	mask512    = 31
)

var stream512 = []string{"(SI)", "(SI)(R10*1)"}
var head512 = []string{"(R9)", "(R9)(R10*1)"}

func (t tile512) sum(r, c int) string { return z(c*t.R + r) }
func (t tile512) acc(r, c int) string { return z(8 + c*t.R + r) }
func (t tile512) out(r, c int) string { return fmt.Sprintf("%d(DI)", (c*t.R+r)*64) }

// each calls f for each sum.
func (t tile512) each(f func(r, c int)) {
	for c := range t.C {
		for r := range t.R {
			f(r, c)
		}
	}
}

func (a *assembly) quantAVX512(f form, R, C int) {
	t := tile512{a, f, R, C, 2*R*C <= 16}
	name := a.quantBegin(avx512, f, R, C)
	if f.planes >= 0 {
		a.op("VPBROADCASTQ nibbles<>(SB), %s", z(mask512))
	}
	if f.planes > 0 {
		a.op("VPBROADCASTQ %s<>(SB), %s", f.upper(), z(upper512))
	}
	if t.inRegisters {
		t.each(func(r, c int) { a.op("VMOVUPS %s, %s", t.out(r, c), t.acc(r, c)) })
	}
	a.groups(f, C, name, func() {
		for sub := range f.subs {
			t.start(sub)
			t.multiply(sub)
			t.scale(sub)
		}
	})
	if t.inRegisters {
		t.each(func(r, c int) { a.op("VMOVUPS %s, %s", t.acc(r, c), t.out(r, c)) })
	}
	a.ret()
}

// fixAt is where the fix of column c stands.
func (t tile512) fixAt(sub, c int) int { return (sub*t.C + c) * 8 }

// start sets the integer sums to what takes the offset off, or to zero.
func (t tile512) start(sub int) {
	for c := range t.C {
		first := t.sum(0, c)
		if t.f.low {
			t.op("VPXORD %s, %s, %s", first, first, first)
		} else {
			t.op("VPBROADCASTD %d(R13), %s", t.fixAt(sub, c)+4, first)
		}
		for r := 1; r < t.R; r++ {
			t.op("VMOVDQA64 %s, %s", first, t.sum(r, c))
		}
	}
}

// multiply adds the products of a sub-group to the integer sums.
func (t tile512) multiply(sub int) {
	if t.f.planes > 0 {
		for r := range t.R {
			t.op("VMOVDQU8 %d%s, %s", 256+64*sub, stream512[r], z(planes512+r))
		}
	}
	for _, u := range t.f.units(sub) {
		w := func(r int) string { return z(weights512 + 2*r + b2i(u.high)) }
		for r := range t.R {
			t.quants(u, r, w(r))
		}
		for c := range t.C {
			x := fmt.Sprintf("%d(DX)", (u.x*t.C+c)*4)
			if t.R == 1 {
				t.op("VPDPBUSD.BCST %s, %s, %s", x, w(0), t.sum(0, c))
				continue
			}
			t.op("VPBROADCASTD %s, %s", x, z(bcast512+c%2))
			for r := range t.R {
				t.op("VPDPBUSD %s, %s, %s", z(bcast512+c%2), w(r), t.sum(r, c))
			}
		}
	}
}

// quants loads the unsigned quants of a unit of block r into register w.
func (t tile512) quants(u unit, r int, w string) {
	t.op("VMOVDQU8 %d%s, %s", u.word*64, stream512[r], w)
	if t.f.planes < 0 {
		return
	}
	if u.high {
		t.op("VPSRLW $4, %s, %s", w, w)
	}
	t.op("VPANDD %s, %s, %s", z(mask512), w, w)
	if t.f.planes == 0 {
		return
	}
	plane, temp := z(planes512+r), z(temps512+r)
	if u.left != 0 {
		t.shift(u.left, plane, temp)
		plane = temp
	}
	t.op("VPANDD %s, %s, %s", z(upper512), plane, temp)
	t.op("VPORD %s, %s, %s", temp, w, w)
}

// scale adds the scaled integer sums, and the minima, to the float32 sums.
func (t tile512) scale(sub int) {
	// The registers of weights are free now: scales take the first two, minima the others.
	scale := func(r int) string { return z(weights512 + r) }
	low := func(r int) string { return z(weights512 + 2 + r) }
	for r := range t.R {
		t.factor(t.f, t.f.scalesAt()+16*sub, 0, 0, stream512[r], head512[b2i(t.f.super)*r], scale(r), z(temps512))
		if t.f.low {
			t.factor(t.f, t.f.lowsAt(), 32, 0, stream512[r], head512[b2i(t.f.super)*r], low(r), z(temps512))
		}
	}
	t.each(func(r, c int) {
		s, p, fix := t.sum(r, c), z(temps512+(c*t.R+r)%4), t.fixAt(sub, c)
		t.op("VCVTDQ2PS %s, %s", s, s)
		t.op("VMULPS.BCST %d(R13), %s, %s", fix, scale(r), p)
		if t.inRegisters {
			t.op("VFMADD231PS %s, %s, %s", s, p, t.acc(r, c))
			s = t.acc(r, c)
		} else {
			t.op("VFMADD213PS %s, %s, %s", t.out(r, c), p, s)
		}
		if t.f.low {
			t.op("VFMADD231PS.BCST %d(R13), %s, %s", fix+4, low(r), s)
		}
		if !t.inRegisters {
			t.op("VMOVUPS %s, %s", s, t.out(r, c))
		}
	})
}
