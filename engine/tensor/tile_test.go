package tensor

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

// rawBytes shows a slice of numbers as the bytes that a kernel sees.
func rawBytes[T any](s []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(s[0])))
}

var allFormats = []format{formatW8, formatW4, formatW4M, formatW5, formatW5M, formatK4, formatK5, formatK6}

// tileCase is the input of one integer tile.
type tileCase struct {
	f              format
	blocks, c      int
	groups, stride int
	w              []byte
	x              []int8
	fixes          []fix
	start          []float32
}

// newTileCase makes a tile of random weights. Whole numbers as scales make every sum exact in float32, so that results can be
// compared as integers; extreme picks the ends of every range, where a saturating instruction would show.
func newTileCase(rng *rand.Rand, f format, blocks, c, groups int, whole, extreme bool) tileCase {
	s := f.spec()
	if s.super {
		groups *= superGroups
	}
	k := tileCase{f: f, blocks: blocks, c: c, groups: groups, stride: s.blockBytes(groups)}
	k.w = make([]byte, blocks*k.stride)
	factor := func() float32 {
		if whole {
			return 1
		}
		return float32(rng.NormFloat64() * 0.01)
	}
	halves := func(b []byte) {
		for i := 0; i < len(b); i += 2 {
			binary.LittleEndian.PutUint16(b[i:], f32ToF16(factor()))
		}
	}
	for b := range blocks {
		block := k.w[b*k.stride:][:k.stride]
		for g := range groups {
			group := block[s.groupAt(g):][:s.groupBytes()]
			for i := range group {
				group[i] = byte(rng.Uint32())
				if extreme && i < s.scalesAt() {
					group[i] = []byte{0, 0x0f, 0xf0, 0xff}[rng.IntN(4)]
					if s.planes < 0 {
						group[i] = byte(255 * rng.IntN(2))
					}
				}
				if whole && i >= s.scalesAt() {
					group[i] &= 3 // so that exact sums stay below 2^24
				}
			}
			if s.super {
				halves(block[s.headAt(g):][:s.headBytes()])
			} else {
				halves(group[s.scalesAt():])
			}
		}
	}
	k.x, k.fixes = make([]int8, groups*groupCols*c), make([]fix, groups*s.subs*c)
	for g := range groups * s.subs {
		for col := range c {
			sum, size := int32(0), groupCols/s.subs
			for i := range size {
				v := int8(rng.IntN(255) - 127)
				if extreme {
					v = int8(127 - 254*rng.IntN(2))
				}
				k.x[g*size*c+(i/4*c+col)*4+i%4] = v
				sum += int32(v)
			}
			fx := fix{scale: abs(factor()), sum: uint32(-s.offset * sum)}
			if s.low {
				fx.sum = math.Float32bits(fx.scale * float32(sum))
			}
			k.fixes[g*c+col] = fx
		}
	}
	k.start = make([]float32, c*blocks*blockRows)
	for i := range k.start {
		k.start[i] = float32(rng.IntN(100))
	}
	return k
}

func (k tileCase) reference() []float32 {
	out := slices.Clone(k.start)
	tileGo(k.f, k.blocks, k.c, k.w, k.stride, k.x, k.fixes, out, k.groups)
	return out
}

// simulated runs the kernel of a set on the machine of simulate_test.go.
func (k tileCase) simulated(t *testing.T, set Set) []float32 {
	t.Helper()
	out := slices.Clone(k.start)
	c := newProcessor(t)
	c.give("w", k.w)
	c.give("x", rawBytes(k.x))
	c.give("fixes", rawBytes(k.fixes))
	c.give("out", rawBytes(out))
	c.params["stride"], c.params["groups"] = uint64(k.stride), uint64(k.groups)
	if err := c.run(fmt.Sprintf("quant%sx%dx%d%s", k.f.spec().name, k.blocks, k.c, map[Set]string{AVX2: "AVX2", AVX512: "AVX512"}[set])); err != nil {
		t.Fatal(err)
	}
	return out
}

func (k tileCase) native(set Set) []float32 {
	out := slices.Clone(k.start)
	set.tile(k.f, k.blocks, k.c, k.w, k.stride, k.x, k.fixes, out, k.groups)
	return out
}

// tilesOf lists the (blocks, columns) of a set's integer kernels, as Mul chooses them.
func tilesOf(set Set) [][2]int {
	out := [][2]int{{1, 1}, {1, 2}, {1, 4}}
	if set == AVX512 {
		out = append(out, [2]int{1, 8}, [2]int{2, 8})
	}
	return out
}

// TestIntegerTiles: with whole scales every kernel gives the reference's very numbers, also at the ends of the ranges; with real
// scales AVX2 and AVX-512 agree bit for bit and lie within rounding of the reference. Kernels run on the simulated
// machine, and natively where the CPU can.
func TestIntegerTiles(t *testing.T) {
	t.Parallel()
	for _, f := range allFormats {
		t.Run(f.spec().name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(4, uint64(f)))
			for _, set := range []Set{AVX2, AVX512} {
				for _, tile := range tilesOf(set) {
					for round := range 6 {
						whole, extreme := round < 4, round%2 == 1
						k := newTileCase(rng, f, tile[0], tile[1], 1+rng.IntN(2), whole, extreme)
						want := k.reference()
						got := k.simulated(t, set)
						compareTile(t, fmt.Sprintf("%v %v simulated", set, tile), got, want, whole)
						if slices.Contains(sets(), set) {
							if native := k.native(set); !slices.EqualFunc(native, got, sameBits) {
								t.Fatalf("%v %v: the CPU and the simulated machine differ: %v and %v", set, tile, native, got)
							}
						}
						if set == AVX512 && tile[0] == 1 && tile[1] <= 4 {
							if other := k.simulated(t, AVX2); !slices.EqualFunc(other, got, sameBits) {
								t.Fatalf("%v %v: AVX2 and AVX-512 differ", set, tile)
							}
						}
					}
				}
			}
		})
	}
}

func compareTile(t *testing.T, name string, got, want []float32, exact bool) {
	t.Helper()
	for i := range want {
		if exact && got[i] != want[i] || !(math.Abs(float64(got[i]-want[i])) <= 1e-5*math.Abs(float64(want[i]))+1e-3) {
			t.Fatalf("%s: result %d is %v, want %v", name, i, got[i], want[i])
		}
	}
}

// TestDenseTiles: the kernels for F32, F16 and BF16 against sums in float64, AVX2 against AVX-512 and the simulated machine
// against the CPU bit for bit.
func TestDenseTiles(t *testing.T) {
	t.Parallel()
	names := map[Set]string{AVX2: "AVX2", AVX512: "AVX512"}
	for _, typ := range []Type{F32, F16, BF16} {
		rng := rand.New(rand.NewPCG(5, uint64(typ)))
		bits := map[[2]int]float32{} // (row, column): what every tile must give
		const rows, columns, k = 4, 4, 80
		w, x := randomBlocks(rng, typ, rows*k), randomFloats(rng, columns*k)
		values := make([]float32, rows*k)
		if err := Dequantize(typ, values, w); err != nil {
			t.Fatal(err)
		}
		for _, set := range []Set{AVX2, AVX512} {
			for c := 1; c <= columns; c *= 2 {
				if set == AVX2 && c == 4 {
					continue
				}
				for _, left := range []int{1, rows} {
					r, _ := set.denseShape(c, left)
					out := make([]float32, r*c)
					m := newProcessor(t)
					m.give("w", w)
					m.give("x", rawBytes(x))
					m.give("out", rawBytes(out))
					m.params["wstride"], m.params["xstride"], m.params["k"] = uint64(len(w)/rows), 4*k, k
					if err := m.run(fmt.Sprintf("dense%vx%dx%d%s", typ, r, c, names[set])); err != nil {
						t.Fatal(err)
					}
					if slices.Contains(sets(), set) {
						native := make([]float32, r*c)
						denseTile(set, typ, r, c, &w[0], len(w)/rows, &x[0], 4*k, &native[0], k)
						if !slices.EqualFunc(native, out, sameBits) {
							t.Fatalf("%v %v %dx%d: the CPU and the simulated machine differ", set, typ, r, c)
						}
					}
					for i, v := range out {
						at := [2]int{i % r, i / r}
						want, size := 0.0, 0.0
						for j := range k {
							p := float64(values[at[0]*k+j]) * float64(x[at[1]*k+j])
							want += p
							size += math.Abs(p)
						}
						if !(math.Abs(float64(v)-want) <= 2e-6*size) {
							t.Fatalf("%v %v %dx%d: row %d column %d is %v, want %v", set, typ, r, c, at[0], at[1], v, want)
						}
						if first, ok := bits[at]; ok && !sameBits(first, v) {
							t.Fatalf("%v %v %dx%d: row %d column %d is %v, another tile gave %v", set, typ, r, c, at[0], at[1], v, first)
						}
						bits[at] = v
					}
				}
			}
		}
	}
}

// TestSimulatedKernelsAreAll: no tile of the generated file goes without a run on the simulated machine.
func TestSimulatedKernelsAreAll(t *testing.T) {
	t.Parallel()
	p, err := loadProgram()
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for name := range p.functions {
		for _, kind := range []string{"quantW", "quantK", "dense"} {
			if len(name) > len(kind) && name[:len(kind)] == kind {
				count[kind]++
			}
		}
	}
	if want := len(allFormats) * (len(tilesOf(AVX2)) + len(tilesOf(AVX512))); count["quantW"]+count["quantK"] != want {
		t.Errorf("%d integer kernels are generated, %d are tested", count["quantW"]+count["quantK"], want)
	}
	if want := 3 * (4 + 6); count["dense"] != want {
		t.Errorf("%d dense kernels are generated, %d are tested", count["dense"], want)
	}
}
