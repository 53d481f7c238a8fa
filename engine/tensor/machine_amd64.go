package tensor

import "golang.org/x/sys/cpu"

// machine says what this CPU and operating system offer. x/sys/cpu reports AVX and AVX-512 only where the system saves their
// registers (XGETBV), so a flag here is safe to act on.
func machine() features {
	x := cpu.X86
	return features{arch: "amd64", hasAVX2: x.HasAVX2, hasFMA: x.HasFMA, hasF16C: x.HasF16C,
		hasF: x.HasAVX512F, hasBW: x.HasAVX512BW, hasDQ: x.HasAVX512DQ, hasVL: x.HasAVX512VL, hasVNNI: x.HasAVX512VNNI}
}
