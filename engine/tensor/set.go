package tensor

import (
	"fmt"
	"strings"
)

// Set names a kernel set: one implementation of every kernel. The numbers of one set never depend on batch, tile or thread
// count. AVX2 and AVX512 add in the same order with the same fused operations and so agree with each other bit for bit; Go
// rounds every product and so differs from them in last digits, but is the same on every architecture.
type Set int

// The kernel sets, slowest first.
const (
	Go     Set = iota // plain Go, on any machine
	AVX2              // amd64 with AVX2, FMA and F16C
	AVX512            // amd64 with AVX-512 F, BW, DQ, VL and VNNI
)

// String is the name of s as WEIR_KERNELS spells it.
func (s Set) String() string {
	switch s {
	case Go:
		return "go"
	case AVX2:
		return "avx2"
	case AVX512:
		return "avx512"
	}
	return fmt.Sprintf("kernel set %d", int(s))
}

// Detect chooses the kernel set. env is the value of WEIR_KERNELS: empty chooses the best that this CPU runs, a name forces
// that set. The string says in one line what was chosen and why. An unknown or impossible name is an error that says what the
// CPU has: a forced set that cannot run must not turn into another one in silence.
func Detect(env string) (Set, string, error) { return choose(env, machine()) }

// choose is Detect for a machine that has the given features.
func choose(env string, has features) (Set, string, error) {
	best := Go
	if has.avx2() {
		best = AVX2
	}
	if has.avx512() {
		best = AVX512
	}
	var want Set
	switch strings.ToLower(strings.TrimSpace(env)) {
	case "":
		return best, fmt.Sprintf("kernels %v: the best for this CPU (%v)", best, has), nil
	case "go":
		want = Go
	case "avx2":
		want = AVX2
	case "avx512":
		want = AVX512
	default:
		return Go, "", fmt.Errorf("unknown kernel set WEIR_KERNELS=%q: use go, avx2 or avx512, or leave it empty for the best (%v here)", env, best)
	}
	if want > best {
		return Go, "", fmt.Errorf("WEIR_KERNELS=%v cannot run here: it needs %s, and this CPU has %v; use %v or leave it empty", want, needs(want), has, best)
	}
	return want, fmt.Sprintf("kernels %v: forced by WEIR_KERNELS, the best for this CPU would be %v (%v)", want, best, has), nil
}

func needs(s Set) string {
	if s == AVX512 {
		return "avx512f, avx512bw, avx512dq, avx512vl and avx512vnni"
	}
	return "avx2, fma and f16c"
}

// features are the parts of the instruction set that the kernels need, each only where the operating system saves the registers.
type features struct {
	arch                      string
	hasAVX2, hasFMA, hasF16C  bool
	hasF, hasBW, hasDQ, hasVL bool // of AVX-512
	hasVNNI                   bool
}

func (f features) avx2() bool { return f.hasAVX2 && f.hasFMA && f.hasF16C }
func (f features) avx512() bool {
	return f.avx2() && f.hasF && f.hasBW && f.hasDQ && f.hasVL && f.hasVNNI
}

// String lists what the CPU has, for log lines and refusals.
func (f features) String() string {
	var out []string
	add := func(ok bool, name string) {
		if ok {
			out = append(out, name)
		}
	}
	add(f.hasAVX2, "avx2")
	add(f.hasFMA, "fma")
	add(f.hasF16C, "f16c")
	add(f.hasF, "avx512f")
	add(f.hasBW, "avx512bw")
	add(f.hasDQ, "avx512dq")
	add(f.hasVL, "avx512vl")
	add(f.hasVNNI, "avx512vnni")
	if len(out) == 0 {
		return f.arch + " without vector extensions that weir uses"
	}
	return f.arch + " with " + strings.Join(out, " ")
}
