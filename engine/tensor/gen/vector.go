package main

import (
	"math"
	"strings"
)

// expConstants are those of expGo in package tensor; sign8 flips a sign.
var expConstants = []struct {
	name string
	bits uint32
}{
	{"expMin8", math.Float32bits(-87.33654)},
	{"expMax8", math.Float32bits(88.37626)},
	{"log2e8", math.Float32bits(1.44269504088896341)},
	{"ln2High8", math.Float32bits(0.693359375)},
	{"ln2Low8", math.Float32bits(-2.12194440e-4)},
	{"expP08", math.Float32bits(1.9875691500e-4)},
	{"expP18", math.Float32bits(1.3981999507e-3)},
	{"expP28", math.Float32bits(8.3334519073e-3)},
	{"expP38", math.Float32bits(4.1665795894e-2)},
	{"expP48", math.Float32bits(1.6666665459e-1)},
	{"expP58", math.Float32bits(5.0000001201e-1)},
	{"one8", math.Float32bits(1)},
	{"bias8", 127},
	{"sign8", 1 << 31},
	{"magnitude8", 1<<31 - 1},
}

// vectors writes the element-wise kernels and reductions. They use AVX2 on both sets: they run at the speed of the caches.
// Element-wise kernels treat the last elements with the same instructions under a mask, so that the result of an element
// does not depend on its place.
func (a *assembly) vectors() {
	a.dot()
	a.elementwise("axpyAVX2", "dst[i] += s*x[i] for n elements", "dst *float32, x *float32, s float32, n int", func() {
		a.op("VFMADD231PS Y0, Y15, Y1")
	})
	a.elementwise("scaleAVX2", "dst[i] = x[i]*s*w[i] for n elements", "dst *float32, x *float32, w *float32, s float32, n int", func() {
		a.op("VMULPS Y15, Y0, Y0")
		a.op("VMULPS Y2, Y0, Y1")
	})
	a.elementwise("siluAVX2", "dst[i] = x[i]/(1+exp(-x[i]))*w[i] for n elements", "dst *float32, x *float32, w *float32, n int", func() {
		a.op("VMOVAPS Y0, Y6")
		a.op("VXORPS sign8<>(SB), Y0, Y0")
		a.exp()
		a.op("VADDPS one8<>(SB), Y0, Y0")
		a.op("VDIVPS Y0, Y6, Y6")
		a.op("VMULPS Y2, Y6, Y1")
	})
	a.expSum()
	a.largest()
	a.halves()
}

// elementwise writes a loop over n elements, eight at a time. body finds x in Y0, the old dst in Y1, w in Y2 and s in
// all of Y15, leaves its result in Y1 and may use Y3 to Y13.
func (a *assembly) elementwise(name, doc, params string, body func()) {
	at := a.function(name, doc, strings.Split(params, ", "), "")
	a.load(at, "dst", "DI", "x", "SI", "n", "CX")
	streams := []string{"SI", "Y0", "DI", "Y1"}
	if at["w"] != "" {
		a.load(at, "w", "R8")
		streams = []string{"SI", "Y0", "R8", "Y2"}
	}
	if at["s"] != "" {
		a.op("VBROADCASTSS %s, Y15", at["s"])
	}
	a.eights(name, func(masked bool) {
		for i := 0; i < len(streams); i += 2 {
			a.move(masked, streams[i], streams[i+1])
		}
		body()
		if masked {
			a.op("VMASKMOVPS Y1, Y14, (DI)")
			return
		}
		a.op("VMOVUPS Y1, (DI)")
		for _, p := range []string{"DI", "SI", "R8"} {
			a.op("ADDQ $32, %s", p)
		}
	})
	a.ret()
}

// move loads eight elements at a pointer, or under the mask in Y14.
func (a *assembly) move(masked bool, from, to string) {
	if masked {
		a.op("VMASKMOVPS (%s), Y14, %s", from, to)
	} else {
		a.op("VMOVUPS (%s), %s", from, to)
	}
}

// eights writes a loop over CX elements: step(false) for each eight, then step(true) for the rest under the mask in Y14.
func (a *assembly) eights(name string, step func(masked bool)) {
	a.op("SUBQ $8, CX")
	a.op("JL %s_rest", name)
	a.line("%s_8:", name)
	step(false)
	a.op("SUBQ $8, CX")
	a.op("JGE %s_8", name)
	a.line("%s_rest:", name)
	a.op("ADDQ $8, CX")
	a.op("JZ %s_end", name)
	a.op("LEAQ masks<>+32(SB), R9")
	a.op("SHLQ $2, CX")
	a.op("SUBQ CX, R9")
	a.op("VMOVUPS (R9), Y14")
	step(true)
	a.line("%s_end:", name)
}

// exp computes exp of the 8 values in Y0, as expGo does but with fused products; it uses Y3, Y4, Y5 and Y7. Below expMin
// the mask in Y5 makes the result 0; a NaN passes VMINPS because it is the second source there.
func (a *assembly) exp() {
	a.op("VCMPPS $5, expMin8<>(SB), Y0, Y5") // not less than, or unordered
	a.op("VMOVUPS expMax8<>(SB), Y3")
	a.op("VMINPS Y0, Y3, Y0")
	a.op("VMULPS log2e8<>(SB), Y0, Y3")
	a.op("VCVTPS2DQ Y3, Y3") // n, ties to even
	a.op("VCVTDQ2PS Y3, Y4")
	a.op("VFNMADD231PS ln2High8<>(SB), Y4, Y0")
	a.op("VFNMADD231PS ln2Low8<>(SB), Y4, Y0") // r
	a.op("VMOVUPS expP08<>(SB), Y4")
	for _, p := range []string{"expP18", "expP28", "expP38", "expP48", "expP58"} {
		a.op("VFMADD213PS %s<>(SB), Y0, Y4", p)
	}
	a.op("VMULPS Y0, Y0, Y7")
	a.op("VFMADD213PS Y0, Y7, Y4")
	a.op("VADDPS one8<>(SB), Y4, Y4")
	a.op("VPADDD bias8<>(SB), Y3, Y3")
	a.op("VPSLLD $23, Y3, Y3")
	a.op("VMULPS Y3, Y4, Y0")
	a.op("VANDPS Y5, Y0, Y0")
}

// dot writes the dot product: 32 lanes, then 8 lanes of the first register, then a masked rest into the second.
func (a *assembly) dot() {
	at := a.function("dotAVX2", "the sum of a[i]*b[i] over n elements", []string{"a *float32", "b *float32", "n int"}, "float32")
	a.load(at, "a", "SI", "b", "DX", "n", "CX")
	for i := range 4 {
		a.op("VXORPS Y%d, Y%d, Y%d", i, i, i)
	}
	a.op("SUBQ $32, CX")
	a.op("JL dotAVX2_short")
	a.line("dotAVX2_32:")
	for i := range 4 {
		a.op("VMOVUPS %d(SI), Y%d", 32*i, 4+i)
		a.op("VFMADD231PS %d(DX), Y%d, Y%d", 32*i, 4+i, i)
	}
	a.op("ADDQ $128, SI")
	a.op("ADDQ $128, DX")
	a.op("SUBQ $32, CX")
	a.op("JGE dotAVX2_32")
	a.line("dotAVX2_short:")
	a.op("ADDQ $32, CX")
	a.eights("dotAVX2", func(masked bool) {
		a.move(masked, "SI", "Y4")
		a.move(masked, "DX", "Y5")
		a.op("VFMADD231PS Y4, Y5, Y%d", b2i(masked))
		if !masked {
			a.op("ADDQ $32, SI")
			a.op("ADDQ $32, DX")
		}
	})
	a.op("VADDPS Y1, Y0, Y0")
	a.op("VADDPS Y3, Y2, Y2")
	a.op("VADDPS Y2, Y0, Y0")
	a.sumY0()
	a.op("VMOVSS X0, %s", at["ret"])
	a.ret()
}

// sumY0 adds the eight lanes of Y0 into X0.
func (a *assembly) sumY0() {
	a.op("VEXTRACTF128 $1, Y0, X1")
	a.op("VADDPS X1, X0, X0")
	a.lastFour(0, 1)
}

// expSum writes the middle of a softmax: x[i] = exp(x[i]-s), and their sum in 8 lanes.
func (a *assembly) expSum() {
	at := a.function("expSumAVX2", "x[i] = exp(x[i]-s) for n elements, and their sum", []string{"x *float32", "s float32", "n int"}, "float32")
	a.load(at, "x", "SI", "n", "CX")
	a.op("VBROADCASTSS %s, Y15", at["s"])
	a.op("VXORPS Y8, Y8, Y8")
	a.eights("expSumAVX2", func(masked bool) {
		a.move(masked, "SI", "Y0")
		a.op("VSUBPS Y15, Y0, Y0")
		a.exp()
		if masked {
			a.op("VMASKMOVPS Y0, Y14, (SI)")
			a.op("VANDPS Y14, Y0, Y0")
		} else {
			a.op("VMOVUPS Y0, (SI)")
			a.op("ADDQ $32, SI")
		}
		a.op("VADDPS Y0, Y8, Y8")
	})
	a.op("VMOVAPS Y8, Y0")
	a.sumY0()
	a.op("VMOVSS X0, %s", at["ret"])
	a.ret()
}

// largest writes the maximum of at least 8 elements; the last eight may overlap others, which a maximum does not mind.
func (a *assembly) largest() {
	at := a.function("largestAVX2", "the largest of n >= 8 elements", []string{"x *float32", "n int"}, "float32")
	a.load(at, "x", "SI", "n", "CX")
	a.op("VMOVUPS -32(SI)(CX*4), Y0")
	a.line("largestAVX2_8:")
	a.op("VMAXPS (SI), Y0, Y0")
	a.op("ADDQ $32, SI")
	a.op("SUBQ $8, CX")
	a.op("CMPQ CX, $8")
	a.op("JGE largestAVX2_8")
	a.op("VEXTRACTF128 $1, Y0, X1")
	a.op("VMAXPS X1, X0, X0")
	a.op("VPERMILPS $0xee, X0, X1")
	a.op("VMAXPS X1, X0, X0")
	a.op("VPERMILPS $0x55, X0, X1")
	a.op("VMAXSS X1, X0, X0")
	a.op("VMOVSS X0, %s", at["ret"])
	a.ret()
}

// halves writes the conversions between f16 and float32, for a positive multiple of 8 elements.
func (a *assembly) halves() {
	at := a.function("widenAVX2", "dst = src for n elements, a positive multiple of 8", []string{"dst *float32", "src *uint16", "n int"}, "")
	a.load(at, "dst", "DI", "src", "SI", "n", "CX")
	a.line("widenAVX2_8:")
	a.op("VCVTPH2PS (SI), Y0")
	a.op("VMOVUPS Y0, (DI)")
	a.op("ADDQ $16, SI")
	a.op("ADDQ $32, DI")
	a.op("SUBQ $8, CX")
	a.op("JG widenAVX2_8")
	a.ret()
	at = a.function("narrowAVX2", "dst = src to the nearest half, ties to even, for n elements, a positive multiple of 8", []string{"dst *uint16", "src *float32", "n int"}, "")
	a.load(at, "dst", "DI", "src", "SI", "n", "CX")
	a.line("narrowAVX2_8:")
	a.op("VMOVUPS (SI), Y0")
	a.op("VCVTPS2PH $0, Y0, (DI)")
	a.op("ADDQ $32, SI")
	a.op("ADDQ $16, DI")
	a.op("SUBQ $8, CX")
	a.op("JG narrowAVX2_8")
	a.ret()
}

// quantizeAVX2 writes the quantiser of activations: quantizeGroup of package tensor for one group after the other, the
// same bits. Magnitudes are compared as integers, so that a NaN is the largest.
func (a *assembly) quantizeAVX2() {
	name := "quantizeAVX2"
	at := a.function(name, "quantizeGroup for each group of 32 of x: quants to q, scale and sums to scales",
		[]string{"q *int8", "scales *groupScale", "x *float32", "groups int"}, "")
	a.load(at, "q", "DI", "scales", "R8", "x", "SI", "groups", "CX")
	a.op("VMOVUPS magnitude8<>(SB), Y15")
	a.op("VPBROADCASTQ ones<>(SB), Y14")
	a.op("VPCMPEQB Y13, Y13, Y13")
	a.op("VPABSB Y13, Y13") // int8 ones
	a.op("VMOVUPS order8<>(SB), Y12")
	a.op("MOVL $%d, R10", math.Float32bits(1e-30))
	a.op("MOVL $0x42fe0000, AX") // 127
	a.op("VMOVD AX, X11")
	a.line("%s_group:", name)
	for i := range 4 {
		a.op("VMOVUPS %d(SI), Y%d", 32*i, i)
		a.op("VANDPS Y15, Y%d, Y%d", i, 4+i)
	}
	a.op("VPMAXUD Y5, Y4, Y4")
	a.op("VPMAXUD Y7, Y6, Y6")
	a.op("VPMAXUD Y6, Y4, Y4")
	a.op("VEXTRACTI128 $1, Y4, X5")
	a.op("VPMAXUD X5, X4, X4")
	a.op("VPSHUFD $0xee, X4, X5")
	a.op("VPMAXUD X5, X4, X4")
	a.op("VPSHUFD $0x55, X4, X5")
	a.op("VPMAXUD X5, X4, X4")
	a.op("VMOVD X4, AX")
	a.op("VXORPS Y8, Y8, Y8") // inverse and quants of a group that counts as zero
	a.op("CMPL AX, R10")
	a.op("JB %s_zero", name)
	a.op("VDIVSS X11, X4, X9") // scale
	a.op("VMOVSS X9, (R8)")
	a.op("CMPL AX, $0x7f800000")
	a.op("JAE %s_none", name)
	a.op("VDIVSS X4, X11, X8")
	a.op("VBROADCASTSS X8, Y8")
	for i := range 4 {
		a.op("VMULPS Y8, Y%d, Y%d", i, i)
		a.op("VCVTPS2DQ Y%d, Y%d", i, i)
	}
	// Packing works within 128-bit lanes; order8 puts the dwords back in their order.
	a.op("VPACKSSDW Y1, Y0, Y0")
	a.op("VPACKSSDW Y3, Y2, Y2")
	a.op("VPACKSSWB Y2, Y0, Y0")
	a.op("VPERMD Y0, Y12, Y8")
	a.op("JMP %s_store", name)
	a.line("%s_zero:", name)
	a.op("VMOVSS X8, (R8)")
	a.line("%s_none:", name)
	a.op("VXORPS Y8, Y8, Y8")
	a.line("%s_store:", name)
	a.op("VMOVDQU Y8, (DI)")
	a.op("VPMADDUBSW Y8, Y13, Y0") // pairs, then fours, then the sum of each half of 16
	a.op("VPMADDWD Y14, Y0, Y0")
	a.op("VPSHUFD $0xee, Y0, Y1")
	a.op("VPADDD Y1, Y0, Y0")
	a.op("VPSHUFD $0x55, Y0, Y1")
	a.op("VPADDD Y1, Y0, Y0")
	a.op("VEXTRACTI128 $1, Y0, X1")
	a.op("VMOVD X0, 4(R8)")
	a.op("VMOVD X1, 8(R8)")
	a.op("ADDQ $128, SI")
	a.op("ADDQ $32, DI")
	a.op("ADDQ $12, R8")
	a.op("DECQ CX")
	a.op("JNZ %s_group", name)
	a.ret()
}
