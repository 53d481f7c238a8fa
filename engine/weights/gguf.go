package weights

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/weir-ai/weir/engine/tensor"
)

// The GGUF format (github.com/ggml-org/ggml, docs/gguf.md): magic, version, counts, typed key-value pairs, tensor infos, padding
// to the alignment, tensor data. Lengths and counts are uint64 from version 2 on, everything little endian (big-endian files exist
// since version 3 and show by a byte-swapped version). Offsets of tensors count from the first aligned byte after the infos.

const (
	ggufMagic        = "GGUF"
	ggufVersionFirst = 2
	ggufVersionLast  = 3

	alignmentKey     = "general.alignment"
	alignmentDefault = 32
	// alignmentMax bounds general.alignment. Files have 32, some 64 or a page; a larger one is a lie, and no reader gains from it.
	alignmentMax = 1 << 20

	// ggufDimsMax is ggml's GGML_MAX_DIMS: no file of its tools has more.
	ggufDimsMax = 4
	// keyBytesMax is the specification's bound on keys.
	keyBytesMax = 1<<16 - 1
	// nameBytesMax bounds tensor names. The specification says 64, which longer Hugging Face names kept by other tools break.
	nameBytesMax = 1024

	// pairCountMax and tensorCountMax bound the counts in the header, as a pair and an info take more memory here than in the file.
	// Real files have under 200 pairs; the largest mixtures of experts have some 200,000 tensors when each expert is one.
	pairCountMax   = 1 << 16
	tensorCountMax = 1 << 20
	// The fewest bytes that one pair and one tensor info take: they bound the counts in the header by the file's size.
	pairBytesMin = 8 + 4 + 1     // key length, type, the shortest value
	infoBytesMin = 8 + 4 + 4 + 8 // name length, dimensions, type, offset
)

// The metadata value types of GGUF.
const (
	kindUint8 uint32 = iota
	kindInt8
	kindUint16
	kindInt16
	kindUint32
	kindInt32
	kindFloat32
	kindBool
	kindString
	kindArray
	kindUint64
	kindInt64
	kindFloat64
)

// addGGUF reads the header in data, one whole GGUF file, and adds its tensors. The first file of a split gives the metadata.
func (f *File) addGGUF(data []byte) error {
	s := &scanner{data: data}
	if magic := s.take(4, "magic"); s.err == nil && string(magic) != ggufMagic {
		return fmt.Errorf("the file begins with %q, not with %q", magic, ggufMagic)
	}
	version := s.uint32("version")
	switch {
	case s.err != nil:
		return s.err
	case version&0xffff == 0 && version != 0:
		return fmt.Errorf("this is a big-endian GGUF file (version %d); only little-endian ones are read", bits.ReverseBytes32(version))
	case version < ggufVersionFirst || version > ggufVersionLast:
		return fmt.Errorf("version is %d; versions %d to %d are read: convert the model again", version, ggufVersionFirst, ggufVersionLast)
	}
	tensors := s.count("tensor count", infoBytesMin, tensorCountMax)
	pairs := s.count("metadata count", pairBytesMin, pairCountMax)
	meta := s.meta(pairs)
	if s.err != nil {
		return s.err
	}
	alignment, err := alignmentOf(meta)
	if err != nil {
		return err
	}
	infos, err := s.infos(tensors, alignment)
	if err != nil {
		return err
	}
	start := alignUp(s.at, alignment)
	if err := place(infos, data, start); err != nil {
		return err
	}
	for _, info := range infos {
		if err := f.add(info.Tensor); err != nil {
			return err
		}
	}
	if f.Meta == nil {
		f.Meta = meta
	}
	return nil
}

func alignmentOf(meta Meta) (int, error) {
	if _, ok := meta[alignmentKey]; !ok {
		return alignmentDefault, nil
	}
	v, ok := meta.Int(alignmentKey)
	if !ok || v < 1 || v > alignmentMax || v&(v-1) != 0 {
		return 0, fmt.Errorf("%s is %v; it must be a power of two up to %d", alignmentKey, meta[alignmentKey], alignmentMax)
	}
	return int(v), nil
}

func alignUp(n, alignment int) int { return (n + alignment - 1) &^ (alignment - 1) }

// info is a tensor with its offset in the data section, before its bytes are known to exist.
type info struct {
	Tensor
	offset uint64
}

func (s *scanner) infos(count uint64, alignment int) ([]info, error) {
	var infos []info
	for i := range count {
		at := s.at
		t, err := s.info()
		if err = errors.Join(s.err, err); err != nil {
			return nil, fmt.Errorf("tensor %q (%d of %d, described at byte %d): %w", t.Name, i+1, count, at, err)
		}
		if t.offset%uint64(alignment) != 0 {
			return nil, fmt.Errorf("tensor %q: offset %d is no multiple of the alignment %d", t.Name, t.offset, alignment)
		}
		infos = append(infos, t)
	}
	return infos, nil
}

// info reads one tensor info.
func (s *scanner) info() (t info, err error) {
	t.Name = string(s.bytes("name", nameBytesMax))
	dims := s.uint32("number of dimensions")
	if s.err == nil && dims > ggufDimsMax {
		return t, fmt.Errorf("it has %d dimensions; at most %d are possible", dims, ggufDimsMax)
	}
	elements := uint64(1)
	for i := uint32(0); i < dims && s.err == nil; i++ {
		d := s.uint64("dimension")
		high, product := bits.Mul64(elements, d)
		switch {
		case s.err != nil:
			return t, nil
		case d == 0:
			return t, fmt.Errorf("dimension %d is 0", i)
		case high != 0 || product > math.MaxInt:
			return t, fmt.Errorf("dimension %d is %d: that makes more values than can be counted", i, d)
		}
		elements = product
		t.Shape = append(t.Shape, int(d))
	}
	t.Type = tensor.Type(s.uint32("type"))
	t.offset = s.uint64("offset")
	t.Stored = t.Type.String()
	// The first dimension of the file is the one whose values lie side by side.
	if n := t.Type.BlockLen(); n > 1 && s.err == nil && (len(t.Shape) == 0 || t.Shape[0]%n != 0) {
		return t, fmt.Errorf("shape %v (innermost first) does not divide into %s blocks of %d values", t.Shape, t.Type, n)
	}
	slices.Reverse(t.Shape)
	return t, nil
}

// elements is the number of values of a shape, which has been checked not to overflow.
func elements(shape []int) uint64 {
	n := uint64(1)
	for _, d := range shape {
		n *= uint64(d)
	}
	return n
}

// place gives each tensor its bytes in data, whose tensor section begins at start. Tensors may lie in any order and with gaps, but
// never share bytes: two names for one place are a fault of the file, not a saving. Of types whose size is unknown only the
// beginning can be checked.
func place(infos []info, data []byte, start int) error {
	if len(infos) == 0 {
		return nil // a vocabulary alone: such files end without padding
	}
	section := uint64(0)
	if start <= len(data) {
		section = uint64(len(data) - start)
	}
	order := make([]int, len(infos))
	for i := range infos {
		order[i] = i
		t := &infos[i]
		if t.offset > section {
			return fmt.Errorf("tensor %q: offset %d is beyond the %d bytes of the tensor section: the file is cut short or the offset lies", t.Name, t.offset, section)
		}
		if !t.Type.Supported() {
			continue
		}
		rest := section - t.offset
		blocks, size := elements(t.Shape)/uint64(t.Type.BlockLen()), uint64(t.Type.BlockBytes())
		if blocks > rest/size {
			return fmt.Errorf("tensor %q: shape %v of %s at offset %d needs more than the %d bytes that follow: the file is cut short or the shape lies",
				t.Name, t.Shape, t.Type, t.offset, rest)
		}
		from := start + int(t.offset)
		to := from + int(blocks*size)
		t.Data = data[from:to:to]
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(infos[a].offset, infos[b].offset) })
	for i := 1; i < len(order); i++ {
		a, b := &infos[order[i-1]], &infos[order[i]]
		if a.offset == b.offset || b.offset-a.offset < uint64(len(a.Data)) {
			return fmt.Errorf("tensors %q (offset %d, %d bytes) and %q (offset %d) overlap", a.Name, a.offset, len(a.Data), b.Name, b.offset)
		}
	}
	return nil
}

// meta reads count pairs.
func (s *scanner) meta(count uint64) Meta {
	m := Meta{}
	for i := uint64(0); i < count && s.err == nil; i++ {
		at := s.at
		key := string(s.bytes("key", keyBytesMax))
		kind := s.uint32("value type")
		value := s.value(kind)
		if _, twice := m[key]; twice && s.err == nil {
			s.err = errors.New("the key is there twice")
		}
		if s.err != nil {
			s.err = fmt.Errorf("metadata key %q (%d of %d, at byte %d): %w", key, i+1, count, at, s.err)
			return nil
		}
		m[key] = value
	}
	return m
}

// value reads one value of the kind, nil after an error.
func (s *scanner) value(kind uint32) any {
	switch kind {
	case kindString:
		return string(s.bytes("string", math.MaxInt))
	case kindArray:
		kind := s.uint32("array type")
		return s.array(kind, s.count("array length", max(kindBytes(kind), 1), math.MaxInt))
	case kindBool:
		return one(s, readBools(s, 1))
	}
	if size := kindBytes(kind); size == 0 && s.err == nil {
		s.err = fmt.Errorf("value type %d is unknown", kind)
	}
	switch v := s.array(kind, 1).(type) {
	case []uint8:
		return one(s, v)
	case []int8:
		return one(s, v)
	case []uint16:
		return one(s, v)
	case []int16:
		return one(s, v)
	case []uint32:
		return one(s, v)
	case []int32:
		return one(s, v)
	case []float32:
		return one(s, v)
	case []uint64:
		return one(s, v)
	case []int64:
		return one(s, v)
	case []float64:
		return one(s, v)
	}
	return nil
}

func one[T any](s *scanner, v []T) any {
	if s.err != nil {
		return nil
	}
	return v[0]
}

// kindBytes is the size of a value, of strings and arrays the least size, 0 for an unknown kind.
func kindBytes(kind uint32) int {
	switch kind {
	case kindUint8, kindInt8, kindBool:
		return 1
	case kindUint16, kindInt16:
		return 2
	case kindUint32, kindInt32, kindFloat32:
		return 4
	case kindUint64, kindInt64, kindFloat64, kindString:
		return 8
	case kindArray:
		return 4 + 8
	}
	return 0
}

// array reads count values, which the file is long enough for.
func (s *scanner) array(kind uint32, count uint64) any {
	if s.err != nil {
		return nil
	}
	switch kind {
	case kindUint8:
		return numbers[uint8](s, kind, count)
	case kindInt8:
		return numbers[int8](s, kind, count)
	case kindUint16:
		return numbers[uint16](s, kind, count)
	case kindInt16:
		return numbers[int16](s, kind, count)
	case kindUint32:
		return numbers[uint32](s, kind, count)
	case kindInt32:
		return numbers[int32](s, kind, count)
	case kindFloat32:
		return numbers[float32](s, kind, count)
	case kindUint64:
		return numbers[uint64](s, kind, count)
	case kindInt64:
		return numbers[int64](s, kind, count)
	case kindFloat64:
		return numbers[float64](s, kind, count)
	case kindBool:
		return readBools(s, count)
	case kindString:
		return readStrings(s, count)
	case kindArray:
		s.err = errors.New("arrays of arrays are not supported")
	default:
		s.err = fmt.Errorf("array type %d is unknown", kind)
	}
	return nil
}

// numbers reads count values of the kind, whose Go type is T.
func numbers[T number](s *scanner, kind uint32, count uint64) []T {
	b := s.fixed(kind, count)
	if s.err != nil {
		return nil
	}
	v := make([]T, count)
	if _, err := binary.Decode(b, binary.LittleEndian, v); err != nil {
		s.err = err
	}
	return v
}

// fixed takes the bytes of count values of a kind of fixed size.
func (s *scanner) fixed(kind uint32, count uint64) []byte {
	high, size := bits.Mul64(count, uint64(kindBytes(kind)))
	if high != 0 {
		size = math.MaxUint64
	}
	return s.take(size, "value")
}

func readBools(s *scanner, count uint64) []bool {
	b := s.take(count, "value")
	v := make([]bool, len(b))
	for i, n := range b {
		if n > 1 {
			s.err = fmt.Errorf("a bool is %d; it must be 0 or 1", n)
			return nil
		}
		v[i] = n == 1
	}
	return v
}

// readStrings reads count strings. They share one copy of the array's bytes: a vocabulary is a quarter of a million strings, and an
// allocation for each would be most of the time that opening a file takes.
func readStrings(s *scanner, count uint64) []string {
	from := s.at
	for i := uint64(0); i < count && s.err == nil; i++ {
		s.bytes("string", math.MaxInt)
		if s.err != nil {
			s.err = fmt.Errorf("element %d of %d: %w", i, count, s.err)
		}
	}
	if s.err != nil {
		return nil
	}
	all := string(s.data[from:s.at])
	v := make([]string, count)
	for i := range v {
		n := int(binary.LittleEndian.Uint64(s.data[from:]))
		at := len(all) - (s.at - from) + 8
		v[i] = all[at : at+n]
		from += 8 + n
	}
	return v
}

// scanner walks through a header. After the first error every read returns zero.
type scanner struct {
	data []byte
	at   int
	err  error
}

// take returns the next n bytes; what says which field they are.
func (s *scanner) take(n uint64, what string) []byte {
	if s.err != nil {
		return nil
	}
	if rest := uint64(len(s.data) - s.at); n > rest {
		s.err = fmt.Errorf("the %s needs %d bytes at byte %d, where %d are left: the file is cut short or a length lies", what, n, s.at, rest)
		return nil
	}
	b := s.data[s.at : s.at+int(n)]
	s.at += int(n)
	return b
}

func (s *scanner) uint32(what string) uint32 {
	if b := s.take(4, what); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (s *scanner) uint64(what string) uint64 {
	if b := s.take(8, what); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// bytes reads a length and so many bytes, at most most.
func (s *scanner) bytes(what string, most uint64) []byte {
	n := s.uint64(what)
	if s.err == nil && n > most {
		s.err = fmt.Errorf("the %s has length %d; at most %d is possible", what, n, most)
	}
	return s.take(n, what)
}

// count reads a number of things that each take at least size bytes: at most most, and no more than the rest of the file can hold.
func (s *scanner) count(what string, size int, most uint64) uint64 {
	n := s.uint64(what)
	if s.err == nil && n > most {
		s.err = fmt.Errorf("the %s is %d; at most %d is possible", what, n, most)
	}
	if rest := uint64(len(s.data)-s.at) / uint64(size); s.err == nil && n > rest {
		s.err = fmt.Errorf("the %s is %d; the rest of the file has room for at most %d", what, n, rest)
	}
	if s.err != nil {
		return 0
	}
	return n
}
