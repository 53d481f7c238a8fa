package tensor

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Dequantize turns whole blocks of type t into float32. len(dst) values are read from the start of src. The results are those
// of ggml's reference (ggml-quants.c, dequantize_row_*) bit for bit: the same products in the same order.
func Dequantize(t Type, dst []float32, src []byte) error {
	l, ok := t.layout()
	if !ok {
		return fmt.Errorf("cannot dequantize %v: supported are %s", t, SupportedTypes)
	}
	if len(dst)%l.values != 0 {
		return fmt.Errorf("cannot dequantize %d values of %v: a block holds %d", len(dst), t, l.values)
	}
	if need := len(dst) / l.values * l.bytes; len(src) < need {
		return fmt.Errorf("cannot dequantize %d values of %v: they take %d bytes, there are %d", len(dst), t, need, len(src))
	}
	dequantize(t, dst, src)
	return nil
}

// dequantize is Dequantize without the checks. dst (values), a whole number of blocks.
func dequantize(t Type, dst []float32, src []byte) {
	switch t {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
		return
	case F16:
		for i := range dst {
			dst[i] = f16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
		}
		return
	case BF16:
		for i := range dst {
			dst[i] = bf16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
		}
		return
	}
	l, _ := t.layout()
	for len(dst) > 0 {
		dequantizeBlock(t, dst[:l.values], src[:l.bytes])
		dst, src = dst[l.values:], src[l.bytes:]
	}
}

// dequantizeBlock turns one block of a quantised type into its values. A switch, not a table of functions: through a function
// value the compiler must assume that dst escapes, and every caller's buffer on the stack would become garbage.
func dequantizeBlock(t Type, dst []float32, b []byte) {
	switch t {
	case Q8_0:
		blockQ8_0(dst, b)
	case Q4_0:
		blockQ4_0(dst, b)
	case Q4_1:
		blockQ4_1(dst, b)
	case Q5_0:
		blockQ5_0(dst, b)
	case Q5_1:
		blockQ5_1(dst, b)
	case Q4_K:
		blockQ4_K(dst, b)
	case Q5_K:
		blockQ5_K(dst, b)
	case Q6_K:
		blockQ6_K(dst, b)
	}
}

// halfAt reads the f16 at b[0:2].
func halfAt(b []byte) float32 { return f16ToF32(binary.LittleEndian.Uint16(b)) }

// blockQ8_0: f16 d, 32 int8; value d*q.
func blockQ8_0(dst []float32, b []byte) {
	d, out := halfAt(b), (*[32]float32)(dst)
	for i, q := range (*[32]byte)(b[2:]) {
		out[i] = d * float32(int8(q))
	}
}

// blockQ4_0: f16 d, 16 bytes whose low nibbles are the values 0-15 and whose high ones 16-31; value d*(q-8).
func blockQ4_0(dst []float32, b []byte) {
	d, out := halfAt(b), (*[32]float32)(dst)
	for i, q := range (*[16]byte)(b[2:]) {
		out[i] = d * float32(int(q&15)-8)
		out[i+16] = d * float32(int(q>>4)-8)
	}
}

// blockQ4_1: f16 d, f16 m, nibbles as in Q4_0; value d*q + m.
func blockQ4_1(dst []float32, b []byte) {
	d, m, out := halfAt(b), halfAt(b[2:]), (*[32]float32)(dst)
	for i, q := range (*[16]byte)(b[4:]) {
		out[i] = float32(d*float32(q&15)) + m
		out[i+16] = float32(d*float32(q>>4)) + m
	}
}

// blockQ5_0: f16 d, 32 fifth bits, nibbles as in Q4_0; value d*(q-16).
func blockQ5_0(dst []float32, b []byte) {
	d, high := halfAt(b), binary.LittleEndian.Uint32(b[2:])
	for i, q := range b[6:22] {
		dst[i] = d * float32(int(q&15|fifth(high, i))-16)
		dst[i+16] = d * float32(int(q>>4|fifth(high, i+16))-16)
	}
}

// blockQ5_1: f16 d, f16 m, 32 fifth bits, nibbles as in Q4_0; value d*q + m.
func blockQ5_1(dst []float32, b []byte) {
	d, m, high := halfAt(b), halfAt(b[2:]), binary.LittleEndian.Uint32(b[4:])
	for i, q := range b[8:24] {
		dst[i] = float32(d*float32(q&15|fifth(high, i))) + m
		dst[i+16] = float32(d*float32(q>>4|fifth(high, i+16))) + m
	}
}

// fifth is bit i of high at the place of a fifth bit.
func fifth(high uint32, i int) byte { return byte(high>>i&1) << 4 }

// scaleMinK unpacks the 6-bit scale and min of sub-block j (0-7) from the 12 bytes of a Q4_K or Q5_K block
// (ggml-quants.c, get_scale_min_k4).
func scaleMinK(j int, s []byte) (scale, low byte) {
	if j < 4 {
		return s[j] & 63, s[j+4] & 63
	}
	return s[j+4]&15 | s[j-4]>>6<<4, s[j+4]>>4 | s[j]>>6<<4
}

// blockQ4_K: f16 d, f16 dmin, 12 bytes of scales and mins, 128 bytes of nibbles: of each 64 values the low nibbles of 32 bytes
// are the first half. Value (d*scale)*q - dmin*min.
func blockQ4_K(dst []float32, b []byte) {
	d, dmin := halfAt(b), halfAt(b[2:])
	for j := range 8 {
		s, m := scaleMinK(j, b[4:16])
		scale, low := d*float32(s), dmin*float32(m)
		shift := j % 2 * 4
		out := (*[32]float32)(dst[j*32:])
		for i, q := range (*[32]byte)(b[16+j/2*32:]) {
			out[i] = float32(scale*float32(q>>shift&15)) - low
		}
	}
}

// blockQ5_K: as Q4_K with 32 bytes of fifth bits before the nibbles: bit j of byte i belongs to value i of sub-block j.
func blockQ5_K(dst []float32, b []byte) {
	d, dmin := halfAt(b), halfAt(b[2:])
	high := (*[32]byte)(b[16:])
	for j := range 8 {
		s, m := scaleMinK(j, b[4:16])
		scale, low := d*float32(s), dmin*float32(m)
		shift := j % 2 * 4
		out := (*[32]float32)(dst[j*32:])
		for i, q := range (*[32]byte)(b[48+j/2*32:]) {
			out[i] = float32(scale*float32(q>>shift&15|high[i]>>j&1<<4)) - low
		}
	}
}

// blockQ6_K: 128 bytes of low nibbles, 64 bytes of upper bit pairs, 16 int8 scales (one per 16 values), f16 d.
// Value (d*scale)*(q-32). Each half of the block (128 values) has four runs of 32.
func blockQ6_K(dst []float32, b []byte) {
	d := halfAt(b[208:])
	for run := range 8 {
		half, r := run/4, run%4
		low, high := (*[32]byte)(b[half*64+r%2*32:]), (*[32]byte)(b[128+half*32:])
		scales := [2]float32{d * float32(int8(b[192+run*2])), d * float32(int8(b[193+run*2]))}
		out := (*[32]float32)(dst[run*32:])
		for i := range out {
			q := low[i]>>(r/2*4)&15 | high[i]>>(2*r)&3<<4
			out[i] = scales[i/16] * float32(int(q)-32)
		}
	}
}
