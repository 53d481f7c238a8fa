package tensor

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/weir-ai/weir/internal/testdata"
)

// allTypes lists every type that Weir reads, for tests that must hold for each.
var allTypes = []Type{F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K}

// floats reads little-endian float32 values.
func floats(b []byte) []float32 {
	out := make([]float32, len(b)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out
}

// TestDequantizeGolden holds every type against the values that the gguf package computes, bit for bit.
func TestDequantizeGolden(t *testing.T) {
	t.Parallel()
	for _, typ := range allTypes {
		if typ == F32 {
			continue
		}
		t.Run(typ.String(), func(t *testing.T) {
			src := testdata.Bytes(t, "golden-hf/dequant/"+typ.String()+".bin")
			want := floats(testdata.Bytes(t, "golden-hf/dequant/"+typ.String()+".f32"))
			got := make([]float32, len(want))
			if err := Dequantize(typ, got, src); err != nil {
				t.Fatal(err)
			}
			for i := range want {
				// A zero may differ in its sign only where the reference writes x-0 another way; bits are compared all the same.
				if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
					t.Fatalf("value %d is %v (%#x), want %v (%#x)", i, got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
				}
			}
		})
	}
}

func TestQuantizeGolden(t *testing.T) {
	t.Parallel()
	src := floats(testdata.Bytes(t, "golden-hf/dequant/quantize-input.f32"))
	for _, typ := range []Type{F16, BF16, Q8_0, Q4_0} {
		t.Run(typ.String(), func(t *testing.T) {
			want := testdata.Bytes(t, "golden-hf/dequant/"+typ.String()+".quantized.bin")
			got := make([]byte, len(want))
			if err := Quantize(typ, got, src); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				for i := range got {
					if got[i] != want[i] {
						t.Fatalf("byte %d is %#x, want %#x", i, got[i], want[i])
					}
				}
			}
		})
	}
}

func TestDequantizeRefuses(t *testing.T) {
	t.Parallel()
	refuse := func(name string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	refuse("unknown type", Dequantize(Type(10), make([]float32, 256), make([]byte, 256)))
	refuse("part of a block", Dequantize(Q8_0, make([]float32, 33), make([]byte, 256)))
	refuse("short source", Dequantize(Q8_0, make([]float32, 32), make([]byte, 33)))
	refuse("quantize to K", Quantize(Q4_K, make([]byte, 144), make([]float32, 256)))
	refuse("quantize part of a block", Quantize(Q8_0, make([]byte, 144), make([]float32, 31)))
	refuse("quantize short room", Quantize(Q8_0, make([]byte, 33), make([]float32, 32)))
}

// TestHalves runs over every half: widening is exact and rounding gives it back.
func TestHalves(t *testing.T) {
	t.Parallel()
	for i := range 1 << 16 {
		h := uint16(i)
		f := f16ToF32(h)
		if h&0x7c00 == 0x7c00 && h&0x3ff != 0 {
			if f == f {
				t.Fatalf("half %#x is a NaN, got %v", h, f)
			}
			continue
		}
		exponent, fraction := int(h>>10&31), float64(h&0x3ff)/1024
		want := math.Ldexp(1+fraction, exponent-15)
		if exponent == 0 {
			want = math.Ldexp(fraction, -14)
		} else if exponent == 31 {
			want = math.Inf(1)
		}
		if h&0x8000 != 0 {
			want = -want
		}
		if float64(f) != want || math.Signbit(float64(f)) != math.Signbit(want) {
			t.Fatalf("half %#x is %v, want %v", h, f, want)
		}
		if back := f32ToF16(f); back != h {
			t.Fatalf("half %#x came back as %#x", h, back)
		}
		if up := math.Nextafter32(f, float32(math.Inf(1))); f > 0 && h < 0x7bff {
			if back := f32ToF16(up); back != h {
				t.Fatalf("just above half %#x rounds to %#x", h, back)
			}
			middle := (f + f16ToF32(h+1)) / 2
			if back := f32ToF16(middle); back != h+h&1 {
				t.Fatalf("the middle above half %#x rounds to %#x", h, back)
			}
		}
	}
	if got := f32ToF16(65519.996); got != 0x7bff {
		t.Errorf("65519.996 rounds to %#x, want the largest half", got)
	}
	if got := f32ToF16(65520); got != 0x7c00 {
		t.Errorf("65520 rounds to %#x, want infinity", got)
	}
	if got := f32ToBF16(float32(math.NaN())); bf16ToF32(got) == bf16ToF32(got) {
		t.Errorf("a NaN becomes the bf16 %#x", got)
	}
}
