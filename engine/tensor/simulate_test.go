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
	label     string // of a line that is one
	op        string
	broadcast bool // the first operand is four bytes, repeated
	args      []operand
}

func (in instruction) String() string {
	var args []string
	for _, a := range in.args {
		args = append(args, a.text)
	}
	return in.op + " " + strings.Join(args, ", ")
}

// operand is a vector register, a general register, a number, a constant, a parameter, a label or memory.
type operand struct {
	text        string
	vector      int // register number, -1 for others
	width       int // of the vector register, in bytes
	number      int // of $number, or the displacement of memory
	base, index string
	scale       uint64
	constant    []byte
	param       string
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
			in := instruction{}
			in.op, in.broadcast = strings.CutSuffix(op, ".BCST")
			for _, arg := range strings.Split(rest, ",") {
				if arg = strings.TrimSpace(arg); arg != "" {
					in.args = append(in.args, p.operand(arg))
				}
			}
			p.functions[current] = append(p.functions[current], in)
		}
	}
	return p, nil
})

// operand decodes one operand. What it cannot read stays text and faults when it is used.
func (p *program) operand(text string) operand {
	o := operand{text: text, vector: -1, scale: 1}
	number := func(s string) int {
		v, err := strconv.ParseInt(s, 0, 64)
		if err != nil {
			return 0
		}
		return int(v)
	}
	name, _, symbol := strings.Cut(text, "<>")
	switch {
	case symbol:
		o.constant = p.constants[name]
	case strings.HasSuffix(text, "(FP)"):
		o.param, _, _ = strings.Cut(text, "+")
	case text[0] == '$':
		o.number = number(text[1:])
	case strings.Contains("XYZ", text[:1]) && len(text) > 1 && text[1] >= '0' && text[1] <= '9':
		o.vector, o.width = number(text[1:]), map[byte]int{'X': 16, 'Y': 32, 'Z': 64}[text[0]]
	case strings.Contains(text, "("):
		displacement, rest, _ := strings.Cut(text, "(")
		o.number = number(displacement)
		base, rest, _ := strings.Cut(rest, ")")
		o.base = base
		if index, scale, ok := strings.Cut(strings.Trim(rest, "()"), "*"); ok {
			o.index, o.scale = index, uint64(number(scale))
		}
	}
	return o
}

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
	repeat  [64]byte // a broadcast operand
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

// run executes a function to its RET. A fault becomes an error that names the instruction.
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
		in := &code[pc]
		switch in.op {
		case "RET":
			return nil
		case "JNZ", "JG":
			if in.op == "JNZ" && c.last != 0 || in.op == "JG" && c.last > 0 {
				for pc = 0; code[pc].label != in.args[0].text; pc++ {
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

// register reads a general register, which must have been set.
func (c *processor) register(name string) uint64 {
	v, ok := c.general[name]
	if !ok {
		panic("register " + name + " was never set")
	}
	return v
}

// address computes number(BASE)(INDEX*SCALE).
func (c *processor) address(o *operand) uint64 {
	sum := uint64(o.number) + c.register(o.base)
	if o.index != "" {
		sum += c.register(o.index) * o.scale
	}
	return sum
}

func (c *processor) scalar(in *instruction) {
	from, dst := &in.args[0], in.args[len(in.args)-1].text
	if in.op == "LEAQ" {
		c.general[dst] = c.address(from)
		return
	}
	v := uint64(from.number)
	if from.param != "" {
		p, ok := c.params[from.param]
		if !ok {
			panic("no parameter " + from.param)
		}
		v = p
	} else if from.text[0] != '$' {
		v = c.register(from.text)
	}
	switch in.op {
	case "MOVQ":
		c.general[dst] = v
		return // leaves the flags alone
	case "DECQ":
		c.general[dst]--
	case "SUBQ":
		c.general[dst] -= v
	case "ADDQ":
		c.general[dst] += v
	}
	c.last = int64(c.general[dst])
}

// read gives n bytes of an operand: a register, a constant or memory.
func (c *processor) read(o *operand, n int) []byte {
	switch {
	case o.vector >= 0:
		return c.vector[o.vector][:n]
	case o.constant != nil:
		return o.constant[:n]
	}
	return c.at(c.address(o), n)
}

// write stores b: to memory, or to a register, whose upper part becomes zero as VEX and EVEX encodings make it.
func (c *processor) write(o *operand, b []byte) {
	if o.vector < 0 {
		copy(c.at(c.address(o), len(b)), b)
		return
	}
	n := copy(c.vector[o.vector][:], b)
	clear(c.vector[o.vector][n:])
}

func u16(b []byte, i int) uint16      { return binary.LittleEndian.Uint16(b[2*i:]) }
func u32(b []byte, i int) uint32      { return binary.LittleEndian.Uint32(b[4*i:]) }
func f32(b []byte, i int) float32     { return math.Float32frombits(u32(b, i)) }
func put16(b []byte, i int, v uint16) { binary.LittleEndian.PutUint16(b[2*i:], v) }
func put32(b []byte, i int, v uint32) { binary.LittleEndian.PutUint32(b[4*i:], v) }
func saturate16(v int32) uint16       { return uint16(max(-32768, min(32767, v))) }

// pairBytes is u[0]*s[0] + u[1]*s[1] of unsigned and signed bytes from 2i on, pairWords the same of signed words.
func pairBytes(u, s []byte, i int) int32 {
	return int32(u[2*i])*int32(int8(s[2*i])) + int32(u[2*i+1])*int32(int8(s[2*i+1]))
}

func pairWords(a, b []byte, i int) uint32 {
	return uint32(int32(int16(u16(a, 2*i)))*int32(int16(u16(b, 2*i))) + int32(int16(u16(a, 2*i+1)))*int32(int16(u16(b, 2*i+1))))
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
func (c *processor) step(in *instruction) {
	dst := &in.args[len(in.args)-1]
	n := dst.width
	for i := range in.args {
		if in.args[i].vector >= 0 && (dst.vector < 0 || strings.HasPrefix(in.op, "VEXTRACT")) {
			n = max(n, in.args[i].width)
		}
	}
	var space [64]byte
	out := space[:n]
	src := func(i int) []byte {
		if i == 0 && in.broadcast {
			one := c.read(&in.args[0], 4)
			for j := range n {
				c.repeat[j] = one[j%4]
			}
			return c.repeat[:n]
		}
		return c.read(&in.args[i], n)
	}
	words := func(f func(i int) uint32) {
		for i := range n / 4 {
			put32(out, i, f(i))
		}
	}
	switch in.op {
	case "VMOVUPS", "VMOVDQU", "VMOVDQU8", "VMOVDQA64", "VMOVAPS":
		copy(out, src(0))
	case "VMOVSS":
		out = space[:4]
		copy(out, c.read(&in.args[0], 4))
	case "VPBROADCASTQ":
		one := c.read(&in.args[0], 8)
		for i := range out {
			out[i] = one[i%8]
		}
	case "VPBROADCASTD", "VBROADCASTSS":
		one := c.read(&in.args[0], 4)
		for i := range out {
			out[i] = one[i%4]
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
	case "VPSRLW":
		b := src(1)
		for i := range n / 2 {
			put16(out, i, u16(b, i)>>in.args[0].number)
		}
	case "VPSLLW":
		b := src(1)
		for i := range n / 2 {
			put16(out, i, u16(b, i)<<in.args[0].number)
		}
	case "VPSLLD":
		b := src(1)
		words(func(i int) uint32 { return u32(b, i) << in.args[0].number })
	case "VPMOVZXWD":
		b := c.read(&in.args[0], n/2)
		words(func(i int) uint32 { return uint32(u16(b, i)) })
	case "VPMOVZXBD":
		b := c.read(&in.args[0], n/4)
		words(func(i int) uint32 { return uint32(b[i]) })
	case "VPMOVSXBD":
		b := c.read(&in.args[0], n/4)
		words(func(i int) uint32 { return uint32(int8(b[i])) })
	case "VCVTPH2PS":
		b := c.read(&in.args[0], n/2)
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
			put16(out, i, saturate16(pairBytes(u, s, i)))
		}
	case "VPMADDWD":
		a, b := src(0), src(1)
		words(func(i int) uint32 { return pairWords(a, b, i) })
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
		words(func(i int) uint32 { return u32(sum, i) + uint32(pairBytes(u, s, 2*i)+pairBytes(u, s, 2*i+1)) })
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
		b := src(1)
		words(func(i int) uint32 { return u32(b, i&^3+in.args[0].number>>(2*(i&3))&3) })
	case "VEXTRACTF128", "VEXTRACTF32X4", "VEXTRACTF64X4":
		out = space[:dst.width]
		copy(out, c.read(&in.args[1], n)[in.args[0].number*dst.width:])
	default:
		panic("unknown instruction")
	}
	c.write(dst, out)
}

// TestFMA32 checks the machine's own arithmetic on cases where two roundings go wrong.
func TestFMA32(t *testing.T) {
	t.Parallel()
	a := float32(math.Ldexp(1, -30))
	if got, want := fma32(a, a, 1+0x1p-23), float32(1+0x1p-23); got != want {
		t.Errorf("2^-60 + 1 + 2^-23 is %v, want %v", got, want)
	}
	// (1+2^-12)² = 1 + 2^-11 + 2^-24 lies in the middle of two float32: the least more or less decides.
	b := float32(1 + 0x1p-12)
	if got, want := fma32(b, b, 0x1p-60), float32(1+0x1p-11+0x1p-23); got != want {
		t.Errorf("(1+2^-12)² + 2^-60 is %b, want %b", got, want)
	}
	if got, want := fma32(b, b, -0x1p-60), float32(1+0x1p-11); got != want {
		t.Errorf("(1+2^-12)² - 2^-60 is %b, want %b", got, want)
	}
}
