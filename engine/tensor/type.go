package tensor

import "fmt"

// Type says how the values of a tensor lie in a file. The numbers are ggml's type ids as GGUF stores them (ggml.h, enum
// ggml_type), so a file's value converts without a table.
type Type uint32

// The types that Weir reads. Every other id is refused by name.
const (
	F32  Type = 0
	F16  Type = 1
	Q4_0 Type = 2
	Q4_1 Type = 3
	Q5_0 Type = 6
	Q5_1 Type = 7
	Q8_0 Type = 8
	Q4_K Type = 12
	Q5_K Type = 13
	Q6_K Type = 14
	BF16 Type = 30
)

// layout holds the name, the values of one block and the bytes of one block of a type.
type layout struct {
	name   string
	values int
	bytes  int
}

func (t Type) layout() (layout, bool) {
	switch t {
	case F32:
		return layout{"F32", 1, 4}, true
	case F16:
		return layout{"F16", 1, 2}, true
	case BF16:
		return layout{"BF16", 1, 2}, true
	case Q4_0:
		return layout{"Q4_0", 32, 18}, true
	case Q4_1:
		return layout{"Q4_1", 32, 20}, true
	case Q5_0:
		return layout{"Q5_0", 32, 22}, true
	case Q5_1:
		return layout{"Q5_1", 32, 24}, true
	case Q8_0:
		return layout{"Q8_0", 32, 34}, true
	case Q4_K:
		return layout{"Q4_K", 256, 144}, true
	case Q5_K:
		return layout{"Q5_K", 256, 176}, true
	case Q6_K:
		return layout{"Q6_K", 256, 210}, true
	}
	return layout{}, false
}

// Supported reports whether Weir reads tensors of type t.
func (t Type) Supported() bool { _, ok := t.layout(); return ok }

// BlockLen is the number of values in one block of t; 1 for the dense types, 0 for a type that Weir does not read.
func (t Type) BlockLen() int { l, _ := t.layout(); return l.values }

// BlockBytes is the size in bytes of one block of t, 0 for a type that Weir does not read.
func (t Type) BlockBytes() int { l, _ := t.layout(); return l.bytes }

// Dense reports whether t stores plain floating-point values.
func (t Type) Dense() bool { return t == F32 || t == F16 || t == BF16 }

// String is ggml's name of t, also for types that Weir only knows by name, so that a refusal can say what the file holds.
func (t Type) String() string {
	if l, ok := t.layout(); ok {
		return l.name
	}
	names := map[Type]string{9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL",
		21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4"}
	if n, ok := names[t]; ok {
		return n
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// SupportedTypes lists the names of the types that Weir reads, for refusals.
const SupportedTypes = "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K"
