package model

import (
	"fmt"
	"math"

	"github.com/weir-ai/weir/engine/tensor"
)

// KVType is how keys and values are stored between passes.
type KVType int

// F32 is exact and the default until the cost of the others is measured for each model. F16 halves the memory and rounds at
// 5e-4. Int8 is a quarter, plus one scale for each position and head.
const (
	KVF32 KVType = iota
	KVF16
	KVInt8
)

// ParseKV reads the name of a KVType, as a flag has it.
func ParseKV(name string) (KVType, error) {
	for k := KVF32; k <= KVInt8; k++ {
		if name == k.String() {
			return k, nil
		}
	}
	return 0, fmt.Errorf("kv type %q is unknown; it is f32, f16 or int8", name)
}

func (k KVType) String() string {
	switch k {
	case KVF32:
		return "f32"
	case KVF16:
		return "f16"
	case KVInt8:
		return "int8"
	}
	return fmt.Sprintf("kv type %d", int(k))
}

// bytes is the size of one stored head of headDim values.
func (k KVType) bytes(headDim int) int {
	switch k {
	case KVF16:
		return 2 * headDim
	case KVInt8:
		return headDim + 4
	}
	return 4 * headDim
}

// Cache holds keys and values in blocks of positions, all layers. A block id means the same block in every layer.
//
// The layout is (layer, block, kv head, position in block, head dim), keys and values apart: attention takes one kv head at a
// time and walks its positions, so what it reads of a block is contiguous. Layers are separate slices, so that no allocation
// is larger than one layer's share.
type Cache struct {
	kind      KVType
	blockSize int
	blocks    int
	kvHeads   int
	headDim   int
	keys      []slab // (layers)
	values    []slab // (layers)
}

// slab is the keys or the values of one layer; only the slice of its kind is set.
type slab struct {
	f32   []float32 // (blocks, kv heads, block size, head dim)
	f16   []uint16  // the same
	i8    []int8    // the same
	scale []float32 // (blocks, kv heads, block size), int8 only
}

// BlockBytes is the memory of one block over all layers, keys and values.
func (m *Model) BlockBytes() int64 {
	return 2 * int64(m.spec.Layers) * int64(m.spec.KVHeads) * int64(m.options.BlockSize) * int64(m.options.KV.bytes(m.spec.HeadDim))
}

// NewCache makes room for a number of blocks. The system hands out the pages as they are first written.
func (m *Model) NewCache(blocks int) *Cache {
	if blocks < 0 || blocks > math.MaxInt32 {
		panic(fmt.Sprintf("model: a cache of %d blocks", blocks))
	}
	c := &Cache{kind: m.options.KV, blockSize: m.options.BlockSize, blocks: blocks, kvHeads: m.spec.KVHeads, headDim: m.spec.HeadDim,
		keys: make([]slab, m.spec.Layers), values: make([]slab, m.spec.Layers)}
	rows := blocks * c.kvHeads * c.blockSize
	for layer := range c.keys {
		c.keys[layer], c.values[layer] = newSlab(c.kind, rows, c.headDim), newSlab(c.kind, rows, c.headDim)
	}
	return c
}

func newSlab(kind KVType, rows, headDim int) (s slab) {
	switch kind {
	case KVF32:
		s.f32 = make([]float32, rows*headDim)
	case KVF16:
		s.f16 = make([]uint16, rows*headDim)
	case KVInt8:
		s.i8, s.scale = make([]int8, rows*headDim), make([]float32, rows)
	}
	return s
}

// Blocks is the number of blocks; ids are 0 to Blocks-1.
func (c *Cache) Blocks() int { return c.blocks }

// Copy copies block src to block dst in every layer.
func (c *Cache) Copy(dst, src int32) {
	rows := c.kvHeads * c.blockSize // rows of headDim values in one block
	for layer := range c.keys {
		c.keys[layer].copyRows(int(dst)*rows, int(src)*rows, rows, c.headDim)
		c.values[layer].copyRows(int(dst)*rows, int(src)*rows, rows, c.headDim)
	}
}

func (s *slab) copyRows(dst, src, n, dim int) {
	if s.f32 != nil {
		copy(s.f32[dst*dim:(dst+n)*dim], s.f32[src*dim:(src+n)*dim])
	}
	if s.f16 != nil {
		copy(s.f16[dst*dim:(dst+n)*dim], s.f16[src*dim:(src+n)*dim])
	}
	if s.i8 != nil {
		copy(s.i8[dst*dim:(dst+n)*dim], s.i8[src*dim:(src+n)*dim])
		copy(s.scale[dst:dst+n], s.scale[src:src+n])
	}
}

// row is the index of a position's row (head dim values) in a slab.
func (c *Cache) row(block int32, head, inBlock int) int {
	return (int(block)*c.kvHeads+head)*c.blockSize + inBlock
}

// store writes one head's key or value (headDim) to a row.
func (s *slab) store(set tensor.Set, row int, x []float32) {
	dim := len(x)
	switch {
	case s.f32 != nil:
		copy(s.f32[row*dim:(row+1)*dim], x)
	case s.f16 != nil:
		set.F32ToF16(s.f16[row*dim:(row+1)*dim], x)
	default:
		s.scale[row] = quantizeRow(s.i8[row*dim:(row+1)*dim], x)
	}
}

// quantizeRow rounds x (headDim) to whole multiples of the returned scale, the largest value to 127: symmetric, and a function
// of this row alone, so that what is stored never depends on the neighbours. A row that is not finite is stored as scale NaN,
// so that the fault shows in the logits and is not hidden.
func quantizeRow(dst []int8, x []float32) (scale float32) {
	var top float32
	for _, v := range x {
		switch v = float32(math.Abs(float64(v))); {
		case !(v <= math.MaxFloat32):
			clear(dst)
			return float32(math.NaN())
		case v > top:
			top = v
		}
	}
	inverse := 127 / top
	if !(inverse <= math.MaxFloat32) {
		clear(dst) // all zero, or so near that its inverse overflows
		return 0
	}
	for i, v := range x {
		dst[i] = int8(math.RoundToEven(float64(v * inverse)))
	}
	return top / 127
}

// load gives n consecutive rows as float32: (n, headDim). F32 rows are returned where they lie, others are converted into buf.
func (s *slab) load(set tensor.Set, buf []float32, row, n, dim int) []float32 {
	if s.f32 != nil {
		return s.f32[row*dim : (row+n)*dim]
	}
	buf = buf[:n*dim]
	if s.f16 != nil {
		set.F16ToF32(buf, s.f16[row*dim:(row+n)*dim])
		return buf
	}
	for i := range n {
		scale := s.scale[row+i]
		out := buf[i*dim : (i+1)*dim]
		for j, q := range s.i8[(row+i)*dim : (row+i+1)*dim] {
			out[j] = float32(q) * scale
		}
	}
	return buf
}
