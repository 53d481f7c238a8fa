package tensor

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// gemmMachine runs the text of one micro-kernel of gemmf32_amd64.s, so that the AVX-512 one is checked where no CPU has it.
// Memory is the kernel's slices of float32 and its arguments; every access outside them is an error. Values are small whole
// numbers, so that every sum is exact and results must be equal.
type gemmMachine struct {
	general map[string]int
	vector  [32][16]float32
	zero    bool           // the flag that JZ and JNZ look at
	args    map[int]int    // by offset from FP
	alpha   float32        // the one argument that is not whole
	slices  [3][]float32   // A, B, C
	touched map[string]int // instructions seen
}

// gemmSpan is the distance between the addresses of the slices; the top part of an address says which slice it is in.
const gemmSpan = 1 << 24

func (m *gemmMachine) memory(address, lanes int) ([]float32, error) {
	which, at := address/gemmSpan-1, address%gemmSpan
	if which < 0 || which > 2 || at%4 != 0 || at/4+lanes > len(m.slices[which]) {
		return nil, fmt.Errorf("access to %d values at %#x is outside the slices", lanes, address)
	}
	return m.slices[which][at/4:][:lanes], nil
}

// address of an operand such as 64(AX) or (SI)(R8*2).
func (m *gemmMachine) address(operand string) int {
	offset, rest, _ := strings.Cut(operand, "(")
	total, _ := strconv.Atoi(offset)
	for _, part := range strings.Split(strings.TrimSuffix(rest, ")"), ")(") {
		name, scale, _ := strings.Cut(part, "*")
		times := 1
		if scale != "" {
			times, _ = strconv.Atoi(scale)
		}
		total += m.general[name] * times
	}
	return total
}

// argument is the offset of an operand such as k+0(FP).
func argument(operand string) (int, bool) {
	if !strings.HasSuffix(operand, "(FP)") {
		return 0, false
	}
	at, err := strconv.Atoi(operand[strings.Index(operand, "+")+1 : len(operand)-len("(FP)")])
	return at, err == nil
}

func (m *gemmMachine) value(operand string) int {
	if at, ok := argument(operand); ok {
		return m.args[at]
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(operand, "$")); err == nil && operand[0] == '$' {
		return n
	}
	return m.general[operand]
}

func (m *gemmMachine) set(operand string, v int) {
	if at, ok := argument(operand); ok {
		m.args[at] = v
		return
	}
	m.general[operand] = v
}

// lanes reads a register or memory.
func (m *gemmMachine) lanes(operand string, n int) ([]float32, error) {
	if strings.Contains(operand, "(") {
		return m.memory(m.address(operand), n)
	}
	i, err := strconv.Atoi(operand[1:])
	return m.vector[i][:n], err
}

// step runs one instruction; it reports a taken jump's label.
//
// Long: a flat switch, one case for each instruction.
func (m *gemmMachine) step(op string, a []string) (jump string, err error) {
	m.touched[op]++
	n := 0
	for _, operand := range a {
		switch {
		case strings.HasPrefix(operand, "Y"):
			n = 8
		case strings.HasPrefix(operand, "Z"):
			n = 16
		}
	}
	last := a[len(a)-1]
	var in [3][]float32
	if n > 0 && op != "VBROADCASTSS" {
		for i, operand := range a {
			if in[i], err = m.lanes(operand, n); err != nil {
				return "", err
			}
		}
	}
	switch op {
	case "MOVQ", "MOVL":
		m.set(last, m.value(a[0]))
	case "LEAQ":
		m.set(last, m.address(a[0]))
	case "ADDQ":
		m.set(last, m.value(last)+m.value(a[0]))
	case "DECQ":
		m.set(last, m.value(last)-1)
		m.zero = m.value(last) == 0
	case "TESTL":
		m.zero = m.value(a[0])&m.value(a[1]) == 0
	case "JZ", "JNZ":
		if m.zero == (op == "JZ") {
			return last, nil
		}
	case "VZEROUPPER":
	case "VXORPS", "VPXORQ":
		clear(in[2])
	case "VMOVUPS":
		copy(in[1], in[0])
	case "VBROADCASTSS":
		v := []float32{m.alpha}
		if _, ok := argument(a[0]); !ok {
			if v, err = m.memory(m.address(a[0]), 1); err != nil {
				return "", err
			}
		}
		out, _ := m.lanes(last, n)
		for i := range out {
			out[i] = v[0]
		}
	case "VADDPS", "VMULPS", "VFMADD231PS":
		for i := range n {
			switch op {
			case "VADDPS":
				in[2][i] = in[0][i] + in[1][i]
			case "VMULPS":
				in[2][i] = in[0][i] * in[1][i]
			default:
				in[2][i] += in[0][i] * in[1][i]
			}
		}
	default:
		return "", fmt.Errorf("instruction %s is unknown here", op)
	}
	return "", nil
}

// run executes a function of the file to its RET.
func (m *gemmMachine) run(text, name string) error {
	_, body, ok := strings.Cut(text, "TEXT ·"+name+"(SB)")
	if !ok {
		return fmt.Errorf("%s is not in the file", name)
	}
	lines := strings.Split(body, "\n")[1:]
	for at, steps := 0, 0; at < len(lines); at, steps = at+1, steps+1 {
		line, _, _ := strings.Cut(lines[at], "//")
		op, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case op == "RET":
			return nil
		case op == "" || strings.HasSuffix(op, ":"):
			continue
		case steps > 1_000_000:
			return fmt.Errorf("%s does not end", name)
		}
		jump, err := m.step(op, strings.Split(strings.ReplaceAll(rest, " ", ""), ","))
		if err != nil {
			return fmt.Errorf("line %q: %w", line, err)
		}
		if jump != "" {
			if at = slices.Index(lines, jump+":"); at < 0 {
				return fmt.Errorf("no label %s", jump)
			}
		}
	}
	return fmt.Errorf("%s has no RET", name)
}

func TestGemmF32Simulated(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("gemmf32_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(8, 8))
	whole := func(n int) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(r.IntN(17) - 8)
		}
		return out
	}
	for _, kernel := range []struct {
		name   string
		mr, nr int
	}{{"gemmPanelAVX2", 6, 16}, {"gemmPanelAVX512", 12, 32}} {
		for round := range 24 {
			k, count, ldc := 1+r.IntN(9), 1+r.IntN(3), kernel.nr+r.IntN(5)
			rs, cs, next := 1, kernel.mr, kernel.mr*k // a packed A
			if round%2 == 1 {
				rs, cs = k+r.IntN(4), 1 // rows in place
				next = kernel.mr * rs
			}
			add, alpha := r.IntN(2), float32(1+r.IntN(3))
			a, b := whole((count-1)*next+(kernel.mr-1)*rs+(k-1)*cs+1), whole(k*kernel.nr)
			c := whole((count*kernel.mr-1)*ldc + kernel.nr)
			want := slices.Clone(c)
			for row := range count * kernel.mr {
				for col := range kernel.nr {
					var sum float32
					for p := range k {
						sum += a[row/kernel.mr*next+row%kernel.mr*rs+p*cs] * b[p*kernel.nr+col]
					}
					at := row*ldc + col
					want[at] = alpha*sum + float32(add)*want[at]
				}
			}
			m := &gemmMachine{general: map[string]int{}, slices: [3][]float32{a, b, c}, alpha: alpha, touched: map[string]int{},
				args: map[int]int{0: k, 8: gemmSpan, 16: rs * 4, 24: cs * 4, 32: 2 * gemmSpan, 40: 3 * gemmSpan, 48: ldc * 4, 60: add, 64: count, 72: next * 4}}
			if err := m.run(string(file), kernel.name); err != nil {
				t.Fatalf("%s: %v", kernel.name, err)
			}
			if !slices.Equal(c, want) {
				t.Fatalf("%s with k=%d count=%d rs=%d cs=%d ldc=%d add=%d alpha=%v gives other values than plain loops", kernel.name, k, count, rs, cs, ldc, add, alpha)
			}
			if m.touched["VZEROUPPER"] != 1 {
				t.Fatalf("%s leaves the upper halves dirty", kernel.name)
			}
		}
	}
}
