package tensor

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Quantize writes float32 values as blocks of type t: F32, F16, BF16, Q8_0 and Q4_0, which is enough to write files and to make
// models in tests. The rounding is ggml's reference (ggml-quants.c, quantize_row_*_ref); the other types need a search for good
// scales, and Weir only reads them.
func Quantize(t Type, dst []byte, src []float32) error {
	l, ok := t.layout()
	if !ok {
		return fmt.Errorf("cannot quantize to %v: supported are F32, F16, BF16, Q8_0, Q4_0", t)
	}
	if len(src)%l.values != 0 {
		return fmt.Errorf("cannot quantize %d values to %v: a block holds %d", len(src), t, l.values)
	}
	if need := len(src) / l.values * l.bytes; len(dst) < need {
		return fmt.Errorf("cannot quantize %d values to %v: they take %d bytes, there is room for %d", len(src), t, need, len(dst))
	}
	switch t {
	case F32:
		for i, v := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
		}
	case F16:
		for i, v := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], f32ToF16(v))
		}
	case BF16:
		for i, v := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], f32ToBF16(v))
		}
	case Q8_0:
		for i := 0; i < len(src); i += 32 {
			quantizeQ8_0(dst[i/32*34:], src[i:i+32])
		}
	case Q4_0:
		for i := 0; i < len(src); i += 32 {
			quantizeQ4_0(dst[i/32*18:], src[i:i+32])
		}
	default:
		return fmt.Errorf("cannot quantize to %v: supported are F32, F16, BF16, Q8_0, Q4_0", t)
	}
	return nil
}

// quantizeQ8_0 writes one block. The largest magnitude becomes 127; halves round away from zero.
func quantizeQ8_0(dst []byte, src []float32) {
	var largest float32
	for _, v := range src {
		largest = max(largest, abs(v))
	}
	d := largest / 127
	inverse := float32(0)
	if d != 0 {
		inverse = 1 / d
	}
	binary.LittleEndian.PutUint16(dst, f32ToF16(d))
	for i, v := range src {
		dst[2+i] = byte(int8(math.Round(float64(v * inverse))))
	}
}

// quantizeQ4_0 writes one block. The value of the largest magnitude becomes -8, whatever its sign.
func quantizeQ4_0(dst []byte, src []float32) {
	var largest, extreme float32
	for _, v := range src {
		if abs(v) > largest {
			largest, extreme = abs(v), v
		}
	}
	d := extreme / -8
	inverse := float32(0)
	if d != 0 {
		inverse = 1 / d
	}
	binary.LittleEndian.PutUint16(dst, f32ToF16(d))
	nibble := func(v float32) byte { return byte(min(15, int(float32(v*inverse)+8.5))) }
	for i := range 16 {
		dst[2+i] = nibble(src[i]) | nibble(src[i+16])<<4
	}
}

func abs(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }
