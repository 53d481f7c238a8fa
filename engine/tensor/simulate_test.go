package tensor

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A small machine that runs the generated assembly text, lane by lane, so that the AVX-512 kernels are checked also where the
// CPU has no AVX-512 (and the AVX2 ones where it has no AVX2). It knows the instructions that the tiles use and no others. Every
// memory access is checked against the slices that a kernel was given, which the real CPU would not do.

// program is the parsed kern_amd64.s.
type program struct {
	constants map[string][]byte
	functions map[string][]instruction
}

type instruction struct {
	label string
	op    string
	args  []string
}

// loadProgram parses the file once for all tests.
var loadProgram = sync.OnceValues(func() (*program, error) {
	text, err := os.ReadFile("kern_amd64.s")
	if err != nil {
		return nil, err
	}
	p := &program{map[string][]byte{}, map[string][]instruction{}}
	current := ""
	for _, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "//")
		switch line = strings.TrimSpace(line); {
		case line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "GLOBL"):
		case strings.HasPrefix(line, "DATA"):
			fields := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" <>+(/,", r) })
			v, err := strconv.ParseUint(strings.TrimPrefix(fields[len(fields)-1], "$0x"), 16, 64)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", line, err)
			}
			p.constants[fields[1]] = binary.LittleEndian.AppendUint64(p.constants[fields[1]], v)
		case strings.HasPrefix(line, "TEXT"):
			current = line[strings.Index(line, "·")+len("·") : strings.Index(line, "(SB)")]
		case strings.HasSuffix(line, ":"):
			p.functions[current] = append(p.functions[current], instruction{label: strings.TrimSuffix(line, ":")})
		default:
			op, rest, _ := strings.Cut(line, " ")
			in := instruction{op: op}
			for _, arg := range strings.Split(rest, ",") {
				if arg = strings.TrimSpace(arg); arg != "" {
					in.args = append(in.args, arg)
				}
			}
			p.functions[current] = append(p.functions[current], in)
		}
	}
	return p, nil
})

// segment is memory that a kernel may touch.
type segment struct {
	base uint64
	b    []byte
}

// processor is the state of the machine.
type processor struct {
	p       *program
	general map[string]uint64
	vector  [32][64]byte
	last    int64 // the result that the next jump looks at
	memory  []segment
	params  map[string]uint64
}

func newProcessor(t *testing.T) *processor {
	t.Helper()
	p, err := loadProgram()
	if err != nil {
		t.Fatal(err)
	}
	return &processor{p: p, general: map[string]uint64{}, params: map[string]uint64{}}
}

// give passes memory as a parameter. Bases lie far apart, so that running over an end hits nothing.
func (c *processor) give(param string, b []byte) {
	base := uint64(len(c.memory)+1) << 40
	c.memory = append(c.memory, segment{base, b})
	c.params[param] = base
}

func (c *processor) at(address uint64, n int) []byte {
	for _, s := range c.memory {
		if address >= s.base && address+uint64(n) <= s.base+uint64(len(s.b)) {
			return s.b[address-s.base:][:n]
		}
	}
	panic(fmt.Sprintf("access of %d bytes at %#x outside what the kernel was given", n, address))
}

// run executes a function to its RET. A fault panics with the instruction.
func (c *processor) run(name string) (err error) {
	code, ok := c.p.functions[name]
	if !ok {
		return fmt.Errorf("no kernel %s", name)
	}
	pc := 0
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%s at %v: %v", name, code[pc], v)
		}
	}()
	for ; ; pc++ {
		in := code[pc]
		switch in.op {
		case "RET":
			return nil
		case "JNZ", "JG":
			if in.op == "JNZ" && c.last != 0 || in.op == "JG" && c.last > 0 {
				for pc = 0; code[pc].label != in.args[0]; pc++ {
				}
			}
		case "", "VZEROUPPER", "PREFETCHT0":
		case "MOVQ", "LEAQ", "ADDQ", "SUBQ", "DECQ":
			c.scalar(in)
		default:
			c.step(in)
		}
	}
}

// address computes off(BASE)(INDEX*SCALE).
func (c *processor) address(arg string) uint64 {
	parts := strings.FieldsFunc(arg, func(r rune) bool { return r == '(' || r == ')' })
	sum := uint64(0)
	for _, part := range parts {
		if v, err := strconv.Atoi(part); err == nil {
			sum += uint64(v)
			continue
		}
		reg, scale, _ := strings.Cut(part, "*")
		n := uint64(1)
		if scale != "" {
			n = uint64(scale[0] - '0')
		}
		v, ok := c.general[reg]
		if !ok {
			panic("register " + reg + " was never set")
		}
		sum += v * n
	}
	return sum
}

func (c *processor) scalar(in instruction) {
	dst := in.args[len(in.args)-1]
	switch {
	case in.op == "LEAQ":
		c.general[dst] = c.address(in.args[0])
	case strings.HasSuffix(in.args[0], "(FP)"):
		name, _, _ := strings.Cut(in.args[0], "+")
		v, ok := c.params[name]
		if !ok {
			panic("no parameter " + name)
		}
		c.general[dst] = v
	case in.op == "DECQ":
		c.general[dst]--
		c.last = int64(c.general[dst])
	default:
		v := uint64(0)
		if imm, ok := strings.CutPrefix(in.args[0], "$"); ok {
			n, err := strconv.Atoi(imm)
			if err != nil {
				panic(err)
			}
			v = uint64(n)
		} else {
			v = c.general[in.args[0]]
		}
		switch in.op {
		case "MOVQ":
			c.general[dst] = v
			return // leaves the flags alone
		case "SUBQ":
			v = -v
		}
		c.general[dst] += v
		c.last = int64(c.general[dst])
	}
}

// width is the number of bytes of a vector register name.
func width(reg string) int { return map[byte]int{'X': 16, 'Y': 32, 'Z': 64}[reg[0]] }

func isVector(arg string) bool {
	return strings.Contains("XYZ", arg[:1]) && len(arg) > 1 && arg[1] >= '0' && arg[1] <= '9'
}

// read fetches n bytes of an operand: a register, a constant or memory.
func (c *processor) read(arg string, n int) []byte {
	if isVector(arg) {
		i, err := strconv.Atoi(arg[1:])
		if err != nil {
			panic(err)
		}
		return append([]byte(nil), c.vector[i][:n]...)
	}
	if name, _, ok := strings.Cut(arg, "<>"); ok {
		return c.p.constants[name][:n]
	}
	return c.at(c.address(arg), n)
}

// write stores b: to memory, or to a register, whose upper part becomes zero as VEX and EVEX encodings make it.
func (c *processor) write(arg string, b []byte) {
	if !isVector(arg) {
		copy(c.at(c.address(arg), len(b)), b)
		return
	}
	i, err := strconv.Atoi(arg[1:])
	if err != nil {
		panic(err)
	}
	c.vector[i] = [64]byte{}
	copy(c.vector[i][:], b)
}

func u16(b []byte, i int) uint16        { return binary.LittleEndian.Uint16(b[2*i:]) }
func u32(b []byte, i int) uint32        { return binary.LittleEndian.Uint32(b[4*i:]) }
func f32(b []byte, i int) float32       { return math.Float32frombits(u32(b, i)) }
func put16(b []byte, i int, v uint16)   { binary.LittleEndian.PutUint16(b[2*i:], v) }
func put32(b []byte, i int, v uint32)   { binary.LittleEndian.PutUint32(b[4*i:], v) }
func putF32(b []byte, i int, v float32) { put32(b, i, math.Float32bits(v)) }
func saturate16(v int32) uint16         { return uint16(max(-32768, min(32767, v))) }
func dotBytes(u []byte, s []byte) int32 {
	return int32(u[0])*int32(int8(s[0])) + int32(u[1])*int32(int8(s[1]))
}
func dotWords(a, b []byte, i int) uint32 {
	return uint32(int32(int16(u16(a, i)))*int32(int16(u16(b, i))) + int32(int16(u16(a, i+1)))*int32(int16(u16(b, i+1))))
}

// fma32 is a*b+c rounded once: the product is exact in float64, the sum is rounded to odd there, which leaves the last
// rounding to float32 the right one.
func fma32(a, b, c float32) float32 {
	p, d := float64(a)*float64(b), float64(c)
	s := p + d
	t := s - p
	lost := (p - (s - t)) + (d - t)
	if lost != 0 && math.Float64bits(s)&1 == 0 && !math.IsInf(s, 0) {
		if (lost > 0) == (s > 0) {
			s = math.Float64frombits(math.Float64bits(s) + 1)
		} else {
			s = math.Float64frombits(math.Float64bits(s) - 1)
		}
	}
	return float32(s)
}

// step executes a vector instruction. Operands are in Go's order: sources from last to first, then the destination.
//
// Long: a flat switch over the instructions that the kernels use.
func (c *processor) step(in instruction) {
	op, broadcast := strings.CutSuffix(in.op, ".BCST")
	args := in.args
	dst := args[len(args)-1]
	n := 0
	for _, a := range args {
		if isVector(a) {
			n = max(n, width(a))
		}
	}
	if isVector(dst) && !strings.HasPrefix(op, "VEXTRACT") {
		n = width(dst)
	}
	out := make([]byte, n)
	src := func(i int) []byte {
		if i == 0 && broadcast {
			one, b := c.read(args[0], 4), []byte(nil)
			for len(b) < n {
				b = append(b, one...)
			}
			return b
		}
		return c.read(args[i], n)
	}
	words := func(f func(i int) uint32) {
		for i := range n / 4 {
			put32(out, i, f(i))
		}
	}
	switch op {
	case "VMOVUPS", "VMOVDQU", "VMOVDQU8", "VMOVDQA64", "VMOVAPS":
		copy(out, src(0))
	case "VMOVSS":
		out = c.read(args[0], 4)
	case "VPBROADCASTQ", "VPBROADCASTD", "VBROADCASTSS":
		one := c.read(args[0], map[string]int{"VPBROADCASTQ": 8, "VPBROADCASTD": 4, "VBROADCASTSS": 4}[op])
		for i := range out {
			out[i] = one[i%len(one)]
		}
	case "VPXORD", "VPXORQ", "VPXOR", "VXORPS":
		a, b := src(0), src(1)
		for i := range out {
			out[i] = a[i] ^ b[i]
		}
	case "VPAND", "VPANDD":
		a, b := src(0), src(1)
		for i := range out {
			out[i] = a[i] & b[i]
		}
	case "VPOR", "VPORD":
		a, b := src(0), src(1)
		for i := range out {
			out[i] = a[i] | b[i]
		}
	case "VPSRLW", "VPSLLW":
		shift, b := int(args[0][1]-'0'), src(1)
		for i := range n / 2 {
			if put16(out, i, u16(b, i)>>shift); op == "VPSLLW" {
				put16(out, i, u16(b, i)<<shift)
			}
		}
	case "VPSLLD":
		shift, err := strconv.Atoi(args[0][1:])
		if err != nil {
			panic(err)
		}
		words(func(i int) uint32 { return u32(src(1), i) << shift })
	case "VPMOVZXWD":
		b := c.read(args[0], n/2)
		words(func(i int) uint32 { return uint32(u16(b, i)) })
	case "VPMOVZXBD":
		b := c.read(args[0], n/4)
		words(func(i int) uint32 { return uint32(b[i]) })
	case "VPMOVSXBD":
		b := c.read(args[0], n/4)
		words(func(i int) uint32 { return uint32(int8(b[i])) })
	case "VCVTPH2PS":
		b := c.read(args[0], n/2)
		words(func(i int) uint32 { return math.Float32bits(f16ToF32(u16(b, i))) })
	case "VCVTDQ2PS":
		b := src(0)
		words(func(i int) uint32 { return math.Float32bits(float32(int32(u32(b, i)))) })
	case "VPABSB":
		for i, v := range src(0) {
			out[i] = v
			if int8(v) < 0 {
				out[i] = -v
			}
		}
	case "VPSIGNB":
		sign, v := src(0), src(1)
		for i := range out {
			switch {
			case int8(sign[i]) > 0:
				out[i] = v[i]
			case int8(sign[i]) < 0:
				out[i] = -v[i]
			}
		}
	case "VPMADDUBSW":
		s, u := src(0), src(1)
		for i := range n / 2 {
			put16(out, i, saturate16(dotBytes(u[2*i:], s[2*i:])))
		}
	case "VPMADDWD":
		a, b := src(0), src(1)
		words(func(i int) uint32 { return dotWords(a, b, 2*i) })
	case "VPADDW":
		a, b := src(0), src(1)
		for i := range n / 2 {
			put16(out, i, u16(a, i)+u16(b, i))
		}
	case "VPADDD":
		a, b := src(0), src(1)
		words(func(i int) uint32 { return u32(a, i) + u32(b, i) })
	case "VPDPBUSD":
		s, u, sum := src(0), src(1), c.read(dst, n)
		words(func(i int) uint32 {
			return u32(sum, i) + uint32(dotBytes(u[4*i:], s[4*i:])+dotBytes(u[4*i+2:], s[4*i+2:]))
		})
	case "VADDPS", "VADDSS":
		a, b := src(0), src(1)
		words(func(i int) uint32 { return math.Float32bits(f32(a, i) + f32(b, i)) })
	case "VMULPS":
		a, b := src(0), src(1)
		words(func(i int) uint32 { return math.Float32bits(f32(a, i) * f32(b, i)) })
	case "VFMADD231PS":
		a, b, d := src(0), src(1), c.read(dst, n)
		words(func(i int) uint32 { return math.Float32bits(fma32(f32(a, i), f32(b, i), f32(d, i))) })
	case "VFMADD213PS":
		a, b, d := src(0), src(1), c.read(dst, n)
		words(func(i int) uint32 { return math.Float32bits(fma32(f32(b, i), f32(d, i), f32(a, i))) })
	case "VPERMILPS":
		imm, err := strconv.ParseUint(strings.TrimPrefix(args[0], "$0x"), 16, 8)
		if err != nil {
			panic(err)
		}
		b := src(1)
		words(func(i int) uint32 { return u32(b, i&^3+int(imm>>(2*(i&3))&3)) })
	case "VEXTRACTF128", "VEXTRACTF32X4", "VEXTRACTF64X4":
		size := width(dst)
		which := int(args[0][1] - '0')
		out = c.read(args[1], n)[which*size:][:size]
	default:
		panic("unknown instruction")
	}
	c.write(dst, out)
}

// TestFMA32 checks the machine's own arithmetic on cases where two roundings go wrong.
func TestFMA32(t *testing.T) {
	t.Parallel()
	// 1 + 2^-24 + 2^-60 lies just above the middle of 1 and the next float32.
	a := float32(math.Ldexp(1, -30))
	if got, want := fma32(a, a, 1+0x1p-23), float32(1+0x1p-23); got != want {
		t.Errorf("1 + 2^-23 + 2^-60 is %v, want %v", got, want)
	}
	b := float32(1 + 0x1p-12)
	if got, want := fma32(b, b, 0x1p-60), float32(1+0x1p-11+0x1p-23); got != want { // exactly the middle plus a little
		t.Errorf("(1+2^-12)² + 2^-60 is %b, want %b", got, want)
	}
	if got, want := fma32(b, b, -0x1p-60), float32(1+0x1p-11); got != want {
		t.Errorf("(1+2^-12)² - 2^-60 is %b, want %b", got, want)
	}
}
