package tensor

import "math"

// Half-precision numbers as IEEE 754 binary16 ("f16") and as the upper half of a float32 ("bf16").

// f16ToF32 widens a half exactly. Shifted into a float32's fields the half's exponent is 112 too small, and one product by
// 2^112 mends that, also for subnormal halves; only infinities and NaNs need the exponent set by hand.
func f16ToF32(h uint16) float32 {
	const scale = 0x1p112
	magnitude := math.Float32frombits(uint32(h&0x7fff)<<13) * scale
	bits := math.Float32bits(magnitude)
	if h&0x7c00 == 0x7c00 {
		bits = 0x7f800000 | uint32(h&0x3ff)<<13
	}
	return math.Float32frombits(bits | uint32(h&0x8000)<<16)
}

// f32ToF16 rounds to the nearest half, ties to even, as VCVTPS2PH and numpy do. A NaN stays a (quiet) NaN.
func f32ToF16(f float32) uint16 {
	bits := math.Float32bits(f)
	sign := uint16(bits >> 16 & 0x8000)
	bits &= 0x7fffffff
	switch {
	case bits > 0x7f800000:
		return sign | 0x7e00 | uint16(bits>>13&0x3ff)
	case bits >= 0x477ff000: // 65520, from which on the nearest half is infinite
		return sign | 0x7c00
	case bits < 0x38800000: // below 2^-14: the half is subnormal; adding 0.5 lets the FPU round at bit 2^-24
		return sign | uint16(math.Float32bits(math.Float32frombits(bits)+0.5)-0x3f000000)
	}
	bits += 0xfff + bits>>13&1 // round half to even at bit 13
	return sign | uint16((bits-0x38000000)>>13)
}

// bf16ToF32 widens a bf16 exactly.
func bf16ToF32(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// f32ToBF16 rounds to the nearest bf16, ties to even; a NaN stays a quiet NaN. As ggml's ggml_compute_fp32_to_bf16.
func f32ToBF16(f float32) uint16 {
	bits := math.Float32bits(f)
	if bits&0x7fffffff > 0x7f800000 {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
