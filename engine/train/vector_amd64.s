#include "textflag.h"

// The parts of a step beside the products, eight values at a time, for AVX2 with FMA; vector.go has each in Go and says what it
// computes. n is a multiple of 8 and at least 8; the caller does the rest in Go.

DATA expLow<>+0(SB)/4, $0xc2ae0000
DATA expLow<>+4(SB)/4, $0xc2ae0000
DATA expLow<>+8(SB)/4, $0xc2ae0000
DATA expLow<>+12(SB)/4, $0xc2ae0000
DATA expLow<>+16(SB)/4, $0xc2ae0000
DATA expLow<>+20(SB)/4, $0xc2ae0000
DATA expLow<>+24(SB)/4, $0xc2ae0000
DATA expLow<>+28(SB)/4, $0xc2ae0000
GLOBL expLow<>(SB), RODATA|NOPTR, $32
DATA expHigh<>+0(SB)/4, $0x42b00000
DATA expHigh<>+4(SB)/4, $0x42b00000
DATA expHigh<>+8(SB)/4, $0x42b00000
DATA expHigh<>+12(SB)/4, $0x42b00000
DATA expHigh<>+16(SB)/4, $0x42b00000
DATA expHigh<>+20(SB)/4, $0x42b00000
DATA expHigh<>+24(SB)/4, $0x42b00000
DATA expHigh<>+28(SB)/4, $0x42b00000
GLOBL expHigh<>(SB), RODATA|NOPTR, $32
DATA log2e<>+0(SB)/4, $0x3fb8aa3b
DATA log2e<>+4(SB)/4, $0x3fb8aa3b
DATA log2e<>+8(SB)/4, $0x3fb8aa3b
DATA log2e<>+12(SB)/4, $0x3fb8aa3b
DATA log2e<>+16(SB)/4, $0x3fb8aa3b
DATA log2e<>+20(SB)/4, $0x3fb8aa3b
DATA log2e<>+24(SB)/4, $0x3fb8aa3b
DATA log2e<>+28(SB)/4, $0x3fb8aa3b
GLOBL log2e<>(SB), RODATA|NOPTR, $32
DATA ln2High<>+0(SB)/4, $0x3f318000
DATA ln2High<>+4(SB)/4, $0x3f318000
DATA ln2High<>+8(SB)/4, $0x3f318000
DATA ln2High<>+12(SB)/4, $0x3f318000
DATA ln2High<>+16(SB)/4, $0x3f318000
DATA ln2High<>+20(SB)/4, $0x3f318000
DATA ln2High<>+24(SB)/4, $0x3f318000
DATA ln2High<>+28(SB)/4, $0x3f318000
GLOBL ln2High<>(SB), RODATA|NOPTR, $32
DATA ln2Low<>+0(SB)/4, $0xb95e8083
DATA ln2Low<>+4(SB)/4, $0xb95e8083
DATA ln2Low<>+8(SB)/4, $0xb95e8083
DATA ln2Low<>+12(SB)/4, $0xb95e8083
DATA ln2Low<>+16(SB)/4, $0xb95e8083
DATA ln2Low<>+20(SB)/4, $0xb95e8083
DATA ln2Low<>+24(SB)/4, $0xb95e8083
DATA ln2Low<>+28(SB)/4, $0xb95e8083
GLOBL ln2Low<>(SB), RODATA|NOPTR, $32
DATA poly0<>+0(SB)/4, $0x39506967
DATA poly0<>+4(SB)/4, $0x39506967
DATA poly0<>+8(SB)/4, $0x39506967
DATA poly0<>+12(SB)/4, $0x39506967
DATA poly0<>+16(SB)/4, $0x39506967
DATA poly0<>+20(SB)/4, $0x39506967
DATA poly0<>+24(SB)/4, $0x39506967
DATA poly0<>+28(SB)/4, $0x39506967
GLOBL poly0<>(SB), RODATA|NOPTR, $32
DATA poly1<>+0(SB)/4, $0x3ab743ce
DATA poly1<>+4(SB)/4, $0x3ab743ce
DATA poly1<>+8(SB)/4, $0x3ab743ce
DATA poly1<>+12(SB)/4, $0x3ab743ce
DATA poly1<>+16(SB)/4, $0x3ab743ce
DATA poly1<>+20(SB)/4, $0x3ab743ce
DATA poly1<>+24(SB)/4, $0x3ab743ce
DATA poly1<>+28(SB)/4, $0x3ab743ce
GLOBL poly1<>(SB), RODATA|NOPTR, $32
DATA poly2<>+0(SB)/4, $0x3c088908
DATA poly2<>+4(SB)/4, $0x3c088908
DATA poly2<>+8(SB)/4, $0x3c088908
DATA poly2<>+12(SB)/4, $0x3c088908
DATA poly2<>+16(SB)/4, $0x3c088908
DATA poly2<>+20(SB)/4, $0x3c088908
DATA poly2<>+24(SB)/4, $0x3c088908
DATA poly2<>+28(SB)/4, $0x3c088908
GLOBL poly2<>(SB), RODATA|NOPTR, $32
DATA poly3<>+0(SB)/4, $0x3d2aa9c1
DATA poly3<>+4(SB)/4, $0x3d2aa9c1
DATA poly3<>+8(SB)/4, $0x3d2aa9c1
DATA poly3<>+12(SB)/4, $0x3d2aa9c1
DATA poly3<>+16(SB)/4, $0x3d2aa9c1
DATA poly3<>+20(SB)/4, $0x3d2aa9c1
DATA poly3<>+24(SB)/4, $0x3d2aa9c1
DATA poly3<>+28(SB)/4, $0x3d2aa9c1
GLOBL poly3<>(SB), RODATA|NOPTR, $32
DATA poly4<>+0(SB)/4, $0x3e2aaaaa
DATA poly4<>+4(SB)/4, $0x3e2aaaaa
DATA poly4<>+8(SB)/4, $0x3e2aaaaa
DATA poly4<>+12(SB)/4, $0x3e2aaaaa
DATA poly4<>+16(SB)/4, $0x3e2aaaaa
DATA poly4<>+20(SB)/4, $0x3e2aaaaa
DATA poly4<>+24(SB)/4, $0x3e2aaaaa
DATA poly4<>+28(SB)/4, $0x3e2aaaaa
GLOBL poly4<>(SB), RODATA|NOPTR, $32
DATA poly5<>+0(SB)/4, $0x3f000000
DATA poly5<>+4(SB)/4, $0x3f000000
DATA poly5<>+8(SB)/4, $0x3f000000
DATA poly5<>+12(SB)/4, $0x3f000000
DATA poly5<>+16(SB)/4, $0x3f000000
DATA poly5<>+20(SB)/4, $0x3f000000
DATA poly5<>+24(SB)/4, $0x3f000000
DATA poly5<>+28(SB)/4, $0x3f000000
GLOBL poly5<>(SB), RODATA|NOPTR, $32
DATA one<>+0(SB)/4, $0x3f800000
DATA one<>+4(SB)/4, $0x3f800000
DATA one<>+8(SB)/4, $0x3f800000
DATA one<>+12(SB)/4, $0x3f800000
DATA one<>+16(SB)/4, $0x3f800000
DATA one<>+20(SB)/4, $0x3f800000
DATA one<>+24(SB)/4, $0x3f800000
DATA one<>+28(SB)/4, $0x3f800000
GLOBL one<>(SB), RODATA|NOPTR, $32

// func expSumAVX2(x *float32, n int, top float32) float32
TEXT ·expSumAVX2(SB), NOSPLIT, $0-28
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	VBROADCASTSS top+16(FP), Y5
	VXORPS Y4, Y4, Y4
expSumLoop:
	VMOVUPS (SI), Y0
	VSUBPS Y5, Y0, Y0
	// Y2 = e^Y0; uses Y1 and Y3.
	VMINPS expHigh<>(SB), Y0, Y0
	VMAXPS expLow<>(SB), Y0, Y0
	VMULPS log2e<>(SB), Y0, Y1
	VROUNDPS $0, Y1, Y1
	VFNMADD231PS ln2High<>(SB), Y1, Y0
	VFNMADD231PS ln2Low<>(SB), Y1, Y0
	VMOVUPS poly0<>(SB), Y2
	VFMADD213PS poly1<>(SB), Y0, Y2
	VFMADD213PS poly2<>(SB), Y0, Y2
	VFMADD213PS poly3<>(SB), Y0, Y2
	VFMADD213PS poly4<>(SB), Y0, Y2
	VFMADD213PS poly5<>(SB), Y0, Y2
	VMULPS Y0, Y0, Y3
	VFMADD213PS Y0, Y3, Y2
	VADDPS one<>(SB), Y2, Y2
	VCVTPS2DQ Y1, Y1
	VPSLLD $23, Y1, Y1
	VPADDD Y1, Y2, Y2
	VMOVUPS Y2, (SI)
	VADDPS Y2, Y4, Y4
	ADDQ $32, SI
	SUBQ $8, CX
	JNZ expSumLoop
	VEXTRACTF128 $1, Y4, X0
	VADDPS X0, X4, X4
	VMOVHLPS X4, X4, X0
	VADDPS X0, X4, X4
	VMOVSHDUP X4, X0
	VADDSS X0, X4, X4
	VMOVSS X4, ret+24(FP)
	VZEROUPPER
	RET

// func siluMulAVX2(out, gate, up *float32, n int)
TEXT ·siluMulAVX2(SB), NOSPLIT, $0-32
	MOVQ out+0(FP), DI
	MOVQ gate+8(FP), SI
	MOVQ up+16(FP), DX
	MOVQ n+24(FP), CX
siluMulLoop:
	VMOVUPS (SI), Y4
	VXORPS Y0, Y0, Y0
	VSUBPS Y4, Y0, Y0
	// Y2 = e^Y0; uses Y1 and Y3.
	VMINPS expHigh<>(SB), Y0, Y0
	VMAXPS expLow<>(SB), Y0, Y0
	VMULPS log2e<>(SB), Y0, Y1
	VROUNDPS $0, Y1, Y1
	VFNMADD231PS ln2High<>(SB), Y1, Y0
	VFNMADD231PS ln2Low<>(SB), Y1, Y0
	VMOVUPS poly0<>(SB), Y2
	VFMADD213PS poly1<>(SB), Y0, Y2
	VFMADD213PS poly2<>(SB), Y0, Y2
	VFMADD213PS poly3<>(SB), Y0, Y2
	VFMADD213PS poly4<>(SB), Y0, Y2
	VFMADD213PS poly5<>(SB), Y0, Y2
	VMULPS Y0, Y0, Y3
	VFMADD213PS Y0, Y3, Y2
	VADDPS one<>(SB), Y2, Y2
	VCVTPS2DQ Y1, Y1
	VPSLLD $23, Y1, Y1
	VPADDD Y1, Y2, Y2
	VADDPS one<>(SB), Y2, Y2
	VDIVPS Y2, Y4, Y4
	VMULPS (DX), Y4, Y4
	VMOVUPS Y4, (DI)
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ siluMulLoop
	VZEROUPPER
	RET

// func siluMulBackAVX2(gate, up, d *float32, n int)
TEXT ·siluMulBackAVX2(SB), NOSPLIT, $0-32
	MOVQ gate+0(FP), DI
	MOVQ up+8(FP), SI
	MOVQ d+16(FP), DX
	MOVQ n+24(FP), CX
siluMulBackLoop:
	VMOVUPS (DI), Y4
	VXORPS Y0, Y0, Y0
	VSUBPS Y4, Y0, Y0
	// Y2 = e^Y0; uses Y1 and Y3.
	VMINPS expHigh<>(SB), Y0, Y0
	VMAXPS expLow<>(SB), Y0, Y0
	VMULPS log2e<>(SB), Y0, Y1
	VROUNDPS $0, Y1, Y1
	VFNMADD231PS ln2High<>(SB), Y1, Y0
	VFNMADD231PS ln2Low<>(SB), Y1, Y0
	VMOVUPS poly0<>(SB), Y2
	VFMADD213PS poly1<>(SB), Y0, Y2
	VFMADD213PS poly2<>(SB), Y0, Y2
	VFMADD213PS poly3<>(SB), Y0, Y2
	VFMADD213PS poly4<>(SB), Y0, Y2
	VFMADD213PS poly5<>(SB), Y0, Y2
	VMULPS Y0, Y0, Y3
	VFMADD213PS Y0, Y3, Y2
	VADDPS one<>(SB), Y2, Y2
	VCVTPS2DQ Y1, Y1
	VPSLLD $23, Y1, Y1
	VPADDD Y1, Y2, Y2
	VADDPS one<>(SB), Y2, Y2
	VMOVUPS one<>(SB), Y5
	VDIVPS Y2, Y5, Y6
	// Y6 = s; Y7 = d*s; up' = d*s*gate; gate' = d*s*up*(1 + gate*(1-s))
	VMULPS (DX), Y6, Y7
	VMULPS Y4, Y7, Y8
	VSUBPS Y6, Y5, Y9
	VFMADD213PS Y5, Y4, Y9
	VMULPS (SI), Y7, Y7
	VMULPS Y9, Y7, Y7
	VMOVUPS Y8, (SI)
	VMOVUPS Y7, (DI)
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ siluMulBackLoop
	VZEROUPPER
	RET

// func dotAVX2(a, b *float32, n int) float32
TEXT ·dotAVX2(SB), NOSPLIT, $0-28
	MOVQ a+0(FP), SI
	MOVQ b+8(FP), DI
	MOVQ n+16(FP), CX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	SUBQ $32, CX
	JLT dotRest
dotFour:
	VMOVUPS (SI), Y4
	VMOVUPS 32(SI), Y5
	VMOVUPS 64(SI), Y6
	VMOVUPS 96(SI), Y7
	VFMADD231PS (DI), Y4, Y0
	VFMADD231PS 32(DI), Y5, Y1
	VFMADD231PS 64(DI), Y6, Y2
	VFMADD231PS 96(DI), Y7, Y3
	ADDQ $128, SI
	ADDQ $128, DI
	SUBQ $32, CX
	JGE dotFour
dotRest:
	ADDQ $32, CX
	JZ dotSum
dotOne:
	VMOVUPS (SI), Y4
	VFMADD231PS (DI), Y4, Y0
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ dotOne
dotSum:
	VADDPS Y1, Y0, Y0
	VADDPS Y3, Y2, Y2
	VADDPS Y2, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VADDPS X1, X0, X0
	VMOVHLPS X0, X0, X1
	VADDPS X1, X0, X0
	VMOVSHDUP X0, X1
	VADDSS X1, X0, X0
	VMOVSS X0, ret+24(FP)
	VZEROUPPER
	RET

// func maxAVX2(x *float32, n int) float32
TEXT ·maxAVX2(SB), NOSPLIT, $0-20
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	VMOVUPS (SI), Y0
maxLoop:
	VMAXPS (SI), Y0, Y0
	ADDQ $32, SI
	SUBQ $8, CX
	JNZ maxLoop
	VEXTRACTF128 $1, Y0, X1
	VMAXPS X1, X0, X0
	VMOVHLPS X0, X0, X1
	VMAXPS X1, X0, X0
	VMOVSHDUP X0, X1
	VMAXSS X1, X0, X0
	VMOVSS X0, ret+16(FP)
	VZEROUPPER
	RET

// func scaleAVX2(x *float32, n int, factor float32)
TEXT ·scaleAVX2(SB), NOSPLIT, $0-20
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	VBROADCASTSS factor+16(FP), Y1
scaleLoop:
	VMULPS (SI), Y1, Y0
	VMOVUPS Y0, (SI)
	ADDQ $32, SI
	SUBQ $8, CX
	JNZ scaleLoop
	VZEROUPPER
	RET

// func softmaxBackAVX2(d, p *float32, n int, mean float32)
TEXT ·softmaxBackAVX2(SB), NOSPLIT, $0-28
	MOVQ d+0(FP), DI
	MOVQ p+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTSS mean+24(FP), Y1
softmaxBackLoop:
	VMOVUPS (DI), Y0
	VSUBPS Y1, Y0, Y0
	VMULPS (SI), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ softmaxBackLoop
	VZEROUPPER
	RET

// func normRowAVX2(out, x, w *float32, n int, scale float32)
TEXT ·normRowAVX2(SB), NOSPLIT, $0-36
	MOVQ out+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ w+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSS scale+32(FP), Y1
normRowLoop:
	VMULPS (SI), Y1, Y0
	VMULPS (DX), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ normRowLoop
	VZEROUPPER
	RET

// func normPartAVX2(part, grad, x, w *float32, n int, scale float32)
TEXT ·normPartAVX2(SB), NOSPLIT, $0-44
	MOVQ part+0(FP), DI
	MOVQ grad+8(FP), SI
	MOVQ x+16(FP), DX
	MOVQ w+24(FP), BX
	MOVQ n+32(FP), CX
	VBROADCASTSS scale+40(FP), Y1
normPartLoop:
	VMOVUPS (SI), Y0
	VMULPS (DX), Y0, Y2
	VMULPS Y1, Y2, Y2
	VADDPS (DI), Y2, Y2
	VMOVUPS Y2, (DI)
	VMULPS (BX), Y0, Y0
	VMOVUPS Y0, (SI)
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, DI
	ADDQ $32, BX
	SUBQ $8, CX
	JNZ normPartLoop
	VZEROUPPER
	RET

// func normRowBackAVX2(d, grad, x *float32, n int, scale, along float32)
TEXT ·normRowBackAVX2(SB), NOSPLIT, $0-40
	MOVQ d+0(FP), DI
	MOVQ grad+8(FP), SI
	MOVQ x+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSS scale+32(FP), Y1
	VBROADCASTSS along+36(FP), Y2
normRowBackLoop:
	VMULPS (SI), Y1, Y0
	VMULPS (DX), Y2, Y3
	VSUBPS Y3, Y0, Y0
	VADDPS (DI), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ normRowBackLoop
	VZEROUPPER
	RET

// func turnAVX2(x, cos, sin *float32, n int, direction float32)
TEXT ·turnAVX2(SB), NOSPLIT, $0-36
	MOVQ x+0(FP), DI
	MOVQ cos+8(FP), SI
	MOVQ sin+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSS direction+32(FP), Y1
turnLoop:
	VMOVUPS (DI), Y0
	VPERMILPS $0xb1, Y0, Y2
	VMULPS (DX), Y2, Y2
	VMULPS Y1, Y2, Y2
	VMULPS (SI), Y0, Y0
	VADDPS Y2, Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ turnLoop
	VZEROUPPER
	RET

// func adamwAVX2(w, grad, mean, variance *float32, n int, c *adamwFactors)
TEXT ·adamwAVX2(SB), NOSPLIT, $0-48
	MOVQ w+0(FP), DI
	MOVQ grad+8(FP), SI
	MOVQ mean+16(FP), DX
	MOVQ variance+24(FP), BX
	MOVQ n+32(FP), CX
	MOVQ c+40(FP), AX
	VBROADCASTSS 0(AX), Y7   // clip
	VBROADCASTSS 4(AX), Y8   // beta1
	VBROADCASTSS 8(AX), Y9   // 1-beta1
	VBROADCASTSS 12(AX), Y10 // beta2
	VBROADCASTSS 16(AX), Y11 // 1-beta2
	VBROADCASTSS 20(AX), Y12 // size
	VBROADCASTSS 24(AX), Y13 // spread
	VBROADCASTSS 28(AX), Y14 // decay
	VBROADCASTSS 32(AX), Y15 // epsilon
	VXORPS Y6, Y6, Y6
adamwLoop:
	VMULPS (SI), Y7, Y0
	VMOVUPS Y6, (SI)
	VMULPS (DX), Y8, Y1
	VMULPS Y0, Y9, Y2
	VADDPS Y2, Y1, Y1
	VMOVUPS Y1, (DX)
	VMULPS Y0, Y0, Y0
	VMULPS Y0, Y11, Y0
	VMULPS (BX), Y10, Y2
	VADDPS Y0, Y2, Y2
	VMOVUPS Y2, (BX)
	VMULPS Y2, Y13, Y2
	VSQRTPS Y2, Y2
	VADDPS Y15, Y2, Y2
	VMULPS Y1, Y12, Y1
	VDIVPS Y2, Y1, Y1
	VMOVUPS (DI), Y0
	VMULPS Y0, Y14, Y2
	VSUBPS Y2, Y0, Y0
	VSUBPS Y1, Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, DI
	ADDQ $32, BX
	SUBQ $8, CX
	JNZ adamwLoop
	VZEROUPPER
	RET
