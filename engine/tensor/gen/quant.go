package main

import "fmt"

// form describes one packed format of quantised weights (format.go of package tensor holds the layout and why it is so).
type form struct {
	name   string // as in the constant formatX
	planes int    // words of upper bits, and the bits a quant has there; -1: quants are bytes
	subs   int    // scales a group has
	super  bool   // scales and minima are bytes with a factor each 8 groups
	low    bool   // there are minima

	// run is how many products of 4 columns may be added as int16 pairs without saturating: 2*127*(largest quant)*run <= 32767.
	// W8 needs signs even for one (see quantAVX2). More than 4 would not find registers.
	run int
}

var forms = []form{
	{name: "W8", planes: -1, subs: 1, run: 1},
	{name: "W4", subs: 1, run: 4},
	{name: "W4M", subs: 1, low: true, run: 4},
	{name: "W5", planes: 1, subs: 1, run: 4},
	{name: "W5M", planes: 1, subs: 1, low: true, run: 4},
	{name: "K4", subs: 1, super: true, low: true, run: 4},
	{name: "K5", planes: 1, subs: 1, super: true, low: true, run: 4},
	{name: "K6", planes: 2, subs: 2, super: true, run: 2},
}

// scalesAt, lowsAt, bytes and head are the offsets and sizes of a group and of the factors that lead 8 of them.
func (f form) scalesAt() int {
	if f.planes < 0 {
		return 512
	}
	return 256 + 64*f.planes
}

func (f form) lowsAt() int {
	if f.super {
		return f.scalesAt() + 16*f.subs
	}
	return f.scalesAt() + 32
}

func (f form) bytes() int { return f.lowsAt() + b2i(f.low)*(f.lowsAt()-f.scalesAt()) }
func (f form) head() int  { return b2i(f.super) * 32 * (1 + b2i(f.low)) }

// unit is one run of 4 columns of a group.
type unit struct {
	word  int  // the word of quants that holds it
	high  bool // in its high nibbles
	plane int  // the plane with its upper bits, and how far to the left of bit 4 they lie there
	left  int
	x     int // its place among the group's activations
}

// units lists those of a sub-group, nibbles of one word together.
func (f form) units(sub int) []unit {
	if f.planes < 0 {
		out := make([]unit, 8)
		for i := range out {
			out[i] = unit{word: i, x: i}
		}
		return out
	}
	var out []unit
	for w := range 4 {
		for h := range 2 {
			if f.subs == 2 && h != sub {
				continue
			}
			u := unit{word: w, high: h == 1, x: w + 4*h}
			switch f.planes {
			case 1:
				u.left = u.x - 4
			case 2:
				u.plane, u.left = h, 2*w-4
			}
			out = append(out, u)
		}
	}
	return out
}

// upper is the name of the constant that masks the upper bits of a quant.
func (f form) upper() string { return fmt.Sprintf("upper%d", f.planes) }

var quantParams = []string{"w *byte", "stride int", "x *int8", "fixes *fix", "out *float32", "groups int"}

// quantBegin registers an integer tile and begins its text. SI runs over the weights, DX and R13 over the activations and
// their fixes, CX counts groups (those of one head in BX, led by the factors at R9), R10 is the stride of blocks.
func (a *assembly) quantBegin(i isa, f form, blocks, width int) string {
	name := fmt.Sprintf("quant%sx%dx%d%v", f.name, blocks, width, i)
	a.quant = append(a.quant, tile{name, i, "format" + f.name, blocks, width})
	doc := fmt.Sprintf("%d rows times %d columns, added to out (%d, %d); see tileGo", blocks*16, width, width, blocks*16)
	at := a.function(name, doc, quantParams, "")
	a.load(at, "w", "SI", "stride", "R10", "x", "DX", "fixes", "R13", "out", "DI", "groups", "CX")
	return name
}

// groups writes the loop over the groups around body.
func (a *assembly) groups(f form, C int, name string, body func()) {
	if f.super {
		a.line("%s_head:", name)
		a.op("MOVQ SI, R9")
		a.op("ADDQ $%d, SI", f.head())
		a.op("MOVQ $8, BX")
	}
	a.line("%s_group:", name)
	if C <= 2 {
		// Only narrow tiles run at the speed of memory; wide ones find their weights in a cache. On Zen 4 there was no difference
		// between 1 and 4 KB ahead.
		for at := 0; at < f.bytes(); at += 64 {
			a.op("PREFETCHT0 %d(SI)", 2048+at)
		}
	}
	body()
	a.op("ADDQ $%d, SI", f.bytes())
	a.op("ADDQ $%d, DX", 32*C)
	a.op("ADDQ $%d, R13", 8*C*f.subs)
	if f.super {
		a.op("DECQ BX")
		a.op("JNZ %s_group", name)
		a.op("SUBQ $8, CX")
		a.op("JG %s_head", name)
		return
	}
	a.op("DECQ CX")
	a.op("JNZ %s_group", name)
}

// factor loads 16 or 8 scales or minima, which stand at `at` from the pointers, into register r as float32; in K formats bytes
// times the halves at headAt. The part of the 16 that a 256-bit register takes begins at row `row`.
func (a *assembly) factor(f form, at, headAt, row int, group, head, r, temp string) {
	if !f.super {
		a.op("VCVTPH2PS %d%s, %s", at+2*row, group, r)
		return
	}
	extend := "VPMOVZXBD"
	if f.subs == 2 {
		extend = "VPMOVSXBD" // K6 has signed scales
	}
	a.op("%s %d%s, %s", extend, at+row, group, r)
	a.op("VCVTDQ2PS %s, %s", r, r)
	a.op("VCVTPH2PS %d%s, %s", headAt+2*row, head, temp)
	a.op("VMULPS %s, %s, %s", temp, r, r)
}

// shift moves each 16 bits of a register left, or right if left is negative. What crosses a byte is masked away by the caller.
func (a *assembly) shift(left int, from, to string) {
	if left > 0 {
		a.op("VPSRLW $%d, %s, %s", left, from, to)
	} else {
		a.op("VPSLLW $%d, %s, %s", -left, from, to)
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
