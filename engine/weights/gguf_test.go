package weights

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/weir-ai/weir/engine/tensor"
)

// draft is a GGUF file in the making, whose every field may lie.
type draft struct {
	magic          string
	version        uint32
	tensors, pairs uint64 // counts in the header
	meta, infos    []byte
	data           int // bytes after the aligned header
	alignment      int
}

func newDraft() *draft { return &draft{magic: ggufMagic, version: 3, alignment: 32} }

func (d *draft) bytes() []byte {
	b := append([]byte(d.magic), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(b[len(d.magic):], d.version)
	b = binary.LittleEndian.AppendUint64(b, d.tensors)
	b = binary.LittleEndian.AppendUint64(b, d.pairs)
	b = append(append(b, d.meta...), d.infos...)
	if d.data > 0 {
		b = append(b, make([]byte, alignUp(len(b), d.alignment)-len(b)+d.data)...)
	}
	return b
}

func (d *draft) pair(key string, kind uint32, raw ...byte) *draft {
	d.pairs++
	d.meta = append(binary.LittleEndian.AppendUint32(appendString(d.meta, key), kind), raw...)
	return d
}

func (d *draft) value(key string, v any) *draft {
	d.pairs++
	var err error
	if d.meta, err = appendValue(appendString(d.meta, key), v); err != nil {
		panic(err)
	}
	return d
}

// tensor describes a tensor, dims innermost first as in the file.
func (d *draft) tensor(name string, kind tensor.Type, offset uint64, dims ...uint64) *draft {
	d.tensors++
	d.infos = binary.LittleEndian.AppendUint32(appendString(d.infos, name), uint32(len(dims)))
	for _, n := range dims {
		d.infos = binary.LittleEndian.AppendUint64(d.infos, n)
	}
	d.infos = binary.LittleEndian.AppendUint32(d.infos, uint32(kind))
	d.infos = binary.LittleEndian.AppendUint64(d.infos, offset)
	return d
}

func le64(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

func le32(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }

func arrayOf(kind uint32, count uint64, raw ...byte) []byte {
	return slices.Concat(le32(kind), le64(count), raw)
}

func TestGGUFRefuses(t *testing.T) {
	t.Parallel()
	check := func(name string, d *draft, words ...string) {
		t.Helper()
		_, err := OpenBytes("x.gguf", d.bytes())
		if err == nil {
			t.Errorf("%s: it was opened", name)
			return
		}
		for _, word := range append(words, "x.gguf") {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q does not say %q", name, err, word)
			}
		}
	}
	with := func(change func(*draft)) *draft { d := newDraft(); change(d); return d }

	check("magic", with(func(d *draft) { d.magic = "GGUT" }), `"GGUT"`)
	check("version 0", with(func(d *draft) { d.version = 0 }), "version is 0")
	check("version 1", with(func(d *draft) { d.version = 1 }), "version is 1")
	check("version 4", with(func(d *draft) { d.version = 4 }), "version is 4")
	check("big-endian", with(func(d *draft) { d.version = 3 << 24 }), "big-endian", "version 3")

	check("tensors in a small file", with(func(d *draft) { d.tensors = 1000 }), "tensor count is 1000", "room for at most 0")
	check("tensors beyond 64 bits", with(func(d *draft) { d.tensors = math.MaxUint64 }), "tensor count", fmt.Sprint(uint64(math.MaxUint64)))
	check("pairs in a small file", with(func(d *draft) { d.pairs = 3 }), "metadata count is 3")
	check("pairs beyond 64 bits", with(func(d *draft) { d.pairs = math.MaxUint64 }), "metadata count")
	check("no pair", with(func(d *draft) { d.pairs, d.infos = 1, slices.Concat(le64(2), make([]byte, 5)) }), "value type", "3 are left")

	check("key longer than the file", newDraft().pair(strings.Repeat("k", 20), kindUint8, 1).lie(24, 1<<15), "key needs 32768 bytes")
	check("key beyond its bound", newDraft().pair(strings.Repeat("k", 20), kindUint8, 1).lie(24, keyBytesMax+1), "key has length 65536")
	check("unknown type", newDraft().pair("a.key", 13, 0), `"a.key"`, "value type 13 is unknown")
	check("short value", newDraft().pair("a.long", kindUint64, 1, 2, 3), `"a.long"`, "needs 8 bytes", "3 are left")
	check("string longer than the file", newDraft().pair("a.s", kindString, slices.Concat(le64(100), []byte("xyz"))...), "needs 100 bytes", "3 are left")
	check("string of 2^64-1", newDraft().pair("a.s", kindString, slices.Concat(le64(math.MaxUint64), []byte("xyz"))...), "has length")
	check("string of 2^63-1", newDraft().pair("a.s", kindString, slices.Concat(le64(math.MaxInt64), []byte("xyz"))...), "needs 9223372036854775807")
	check("bool of 2", newDraft().pair("a.b", kindBool, 2), `"a.b"`, "a bool is 2")
	check("key twice", newDraft().value("a", uint8(1)).value("a", uint8(2)), `"a"`, "twice")
	check("array of arrays", newDraft().pair("a.aa", kindArray, arrayOf(kindArray, 1, arrayOf(kindUint8, 1, 1)...)...), "arrays of arrays")
	check("array of unknown", newDraft().pair("a.au", kindArray, arrayOf(77, 1, 1)...), "array type 77")
	check("array of too many", newDraft().pair("a.many", kindArray, arrayOf(kindUint32, 3, make([]byte, 11)...)...), `"a.many"`, "array length is 3", "at most 2")
	check("array of 2^62 words", newDraft().pair("a.many", kindArray, arrayOf(kindUint32, 1<<62, 1)...), "array length")
	check("array of 2^64-1", newDraft().pair("a.many", kindArray, arrayOf(kindUint8, math.MaxUint64, 1)...), "array length")
	check("array of strings", newDraft().pair("a.many", kindArray, arrayOf(kindString, 2, slices.Concat(le64(0), le64(9))...)...), "element 1 of 2", "needs 9 bytes")
	check("array of bools", newDraft().pair("a.many", kindArray, arrayOf(kindBool, 2, 1, 7)...), "a bool is 7")

	check("alignment 0", newDraft().value(alignmentKey, uint32(0)), "general.alignment is 0")
	check("alignment 48", newDraft().value(alignmentKey, uint32(48)), "general.alignment is 48")
	check("alignment text", newDraft().value(alignmentKey, "32"), "general.alignment is 32")
	check("alignment bound", newDraft().value(alignmentKey, uint32(2*alignmentMax)), "power of two up to")

	check("rank", newDraft().tensor("w", 0, 0, 1, 1, 1, 1, 1), `"w"`, "5 dimensions")
	check("zero", newDraft().tensor("w", 0, 0, 4, 0), `"w"`, "dimension 1 is 0")
	check("overflow", newDraft().tensor("w", 0, 0, 1<<33, 1<<33), "dimension 1 is 8589934592", "counted")
	check("overflow of int", newDraft().tensor("w", 0, 0, 1<<63), "counted")
	check("overflow of bytes", newDraft().tensor("w", 0, 0, 1<<62).room(64), "needs more than the 64 bytes")
	check("overflow of an unknown type", newDraft().tensor("w", 99, 0, 1<<33, 1<<33).room(64), "counted")
	check("blocks", newDraft().tensor("w", tensor.Q8_0, 0, 33, 32), "[33 32]", "Q8_0 blocks of 32")
	check("scalar block", newDraft().tensor("w", tensor.Q8_0, 0).room(64), "Q8_0 blocks of 32")
	check("misaligned", newDraft().tensor("w", 0, 16, 4).room(64), "offset 16", "alignment 32")
	check("beyond the end", newDraft().tensor("w", 0, 96, 4).room(64), "offset 96", "64 bytes")
	check("far beyond the end", newDraft().tensor("w", 0, math.MaxUint64-31, 4).room(64), "offset")
	check("longer than the file", newDraft().tensor("w", 0, 32, 9).room(64), "[9]", "offset 32", "the 32 bytes")
	check("no data at all", newDraft().tensor("w", 0, 0, 4), "needs more than the 0 bytes")
	check("twice", newDraft().tensor("w", 0, 0, 4).tensor("w", 0, 32, 4).room(64), `"w" is there twice`)
	check("overlap", newDraft().tensor("v", 0, 32, 4).tensor("w", 0, 0, 9).room(64), "overlap", `"v"`, `"w"`)
	check("one place", newDraft().tensor("v", 0, 0, 4).tensor("w", 0, 0, 4).room(64), "overlap")
	check("one place of unknown size", newDraft().tensor("v", 99, 0, 4).tensor("w", 99, 0, 4).room(64), "overlap")
	check("name bound", newDraft().tensor(strings.Repeat("n", nameBytesMax+1), 0, 0, 4).room(64), "name has length 1025")
	check("split in memory", newDraft().value(splitCountKey, uint16(2)), "split.count is 2")
}

// room makes place for tensors' bytes.
func (d *draft) room(n int) *draft { d.data = n; return d }

// lie puts another number at a byte of the file; at must lie in the metadata, whose first byte is 24.
func (d *draft) lie(at int, n uint64) *draft {
	binary.LittleEndian.PutUint64(d.meta[at-24:], n)
	return d
}

// What lies exactly on a bound is read.
func TestGGUFBounds(t *testing.T) {
	t.Parallel()
	check := func(name string, d *draft, tensors int) *File {
		t.Helper()
		f, err := OpenBytes("x.gguf", d.bytes())
		if err != nil || len(f.Tensors()) != tensors {
			t.Fatalf("%s: %v", name, err)
		}
		return f
	}
	check("nothing", newDraft(), 0)
	check("version 2", func() *draft { d := newDraft(); d.version = 2; return d.value("a", "b").tensor("w", 0, 0, 4).room(16) }(), 1)
	check("key", newDraft().value(strings.Repeat("k", keyBytesMax), uint8(1)), 0)
	check("name", newDraft().tensor(strings.Repeat("n", nameBytesMax), 0, 0, 4).room(16), 1)
	check("rank", newDraft().tensor("w", 0, 0, 1, 2, 3, 1).room(24), 1)
	check("scalar", newDraft().tensor("w", 0, 0).room(4), 1)
	check("to the last byte", newDraft().tensor("v", 0, 0, 8).tensor("w", tensor.Q8_0, 32, 32).room(32+34), 2)
	check("vocabulary alone, no padding", newDraft().value("a", "odd"), 0)
	check("split of one", newDraft().value(splitCountKey, uint16(1)), 0)

	d := newDraft().value(alignmentKey, uint32(alignmentMax)).tensor("w", 0, 0, 4).room(16)
	d.alignment = alignmentMax
	check("alignment", d, 1)
	d = newDraft().value(alignmentKey, uint32(1)).tensor("v", 0, 0, 1).tensor("w", 0, 5, 1).room(9)
	d.alignment = 1
	check("alignment 1", d, 2)

	f := check("reversed and with gaps", newDraft().tensor("w", 0, 64, 2, 3).tensor("v", 0, 0, 4).room(88), 2)
	if w := f.Tensors()[0]; w.Name != "w" || !slices.Equal(w.Shape, []int{3, 2}) || cap(w.Data) != 24 {
		t.Errorf("first is %+v", w)
	}
	f = check("unknown type", newDraft().tensor("v", 19, 0, 256).tensor("w", 0, 64, 4).tensor("u", 99, 96, 7).room(100), 3)
	for i, want := range []string{"IQ1_S", "F32", "type 99"} {
		if x := f.Tensors()[i]; x.Stored != want || x.Type.Supported() != (x.Data != nil) {
			t.Errorf("%+v is not stored as %s", x, want)
		}
	}
}

// The counts of the header have bounds of their own, beside the file's size.
func TestGGUFCounts(t *testing.T) {
	t.Parallel()
	file := func(pairs int) []byte {
		d := newDraft()
		for i := range pairs {
			d.pair(fmt.Sprintf("%05x", i), kindUint8, 0)
		}
		return d.bytes()
	}
	if _, err := OpenBytes("x", file(pairCountMax)); err != nil {
		t.Error(err)
	}
	if _, err := OpenBytes("x", file(pairCountMax+1)); err == nil || !strings.Contains(err.Error(), "metadata count is 65537; at most 65536") {
		t.Error(err)
	}
	// Of tensors only the count: the infos would take 40 MB.
	s := &scanner{data: slices.Concat(le64(tensorCountMax), make([]byte, tensorCountMax))}
	if n := s.count("tensor count", 1, tensorCountMax); n != tensorCountMax || s.err != nil {
		t.Error(s.err)
	}
	s = &scanner{data: slices.Concat(le64(tensorCountMax+1), make([]byte, tensorCountMax+1))}
	if n := s.count("tensor count", 1, tensorCountMax); n != 0 || s.err == nil {
		t.Error("one tensor too many is counted")
	}
}

// A file cut anywhere before its last tensor's end is refused, and no cut makes reading panic.
func TestGGUFTruncated(t *testing.T) {
	t.Parallel()
	whole := goodGGUF()
	for n := range len(whole) {
		if _, err := OpenBytes("cut", whole[:n:n]); err == nil {
			t.Fatalf("the first %d of %d bytes were opened", n, len(whole))
		}
	}
}

// goodGGUF has every kind of value and of block once, and ends with its last tensor.
func goodGGUF() []byte {
	d := newDraft()
	for i, v := range allValues() {
		d.value(fmt.Sprintf("key.%d", i), v)
	}
	return d.tensor("a", tensor.F32, 0, 2, 3).tensor("b", tensor.Q8_0, 32, 32, 2).tensor("c", tensor.Q4_K, 128, 256).room(128 + 144).bytes()
}

func allValues() []any {
	return []any{
		uint8(math.MaxUint8), int8(math.MinInt8), uint16(math.MaxUint16), int16(math.MinInt16), uint32(math.MaxUint32), int32(math.MinInt32),
		uint64(math.MaxUint64), int64(math.MinInt64), float32(1.5), 0.1, true, false, "", "text\x00\xff",
		[]uint8{1, 255}, []int8{-1}, []uint16{1}, []int16{-1}, []uint32{1}, []int32{-1, 2, 3}, []uint64{math.MaxUint64}, []int64{-1},
		[]float32{0.5, -2}, []float64{0.1}, []bool{true, false}, []string{"", "a", "ünï"}, []string{}, []int32{},
	}
}

func TestWriteReadsBack(t *testing.T) {
	t.Parallel()
	var pairs []KV
	want := Meta{}
	for i, v := range allValues() {
		pairs = append(pairs, KV{fmt.Sprintf("key.%d", i), v})
		want[pairs[i].Key] = v
	}
	pairs = append(pairs, KV{alignmentKey, uint32(32)})
	want[alignmentKey] = uint32(32)
	tensors := []Tensor{
		{Name: "odd", Type: tensor.F16, Shape: []int{3, 5}, Data: bytes.Repeat([]byte{1}, 30)},
		{Name: "scalar", Type: tensor.F32, Shape: []int{}, Data: []byte{1, 2, 3, 4}},
		{Name: "blocks", Type: tensor.Q4_0, Shape: []int{2, 2, 1, 64}, Data: bytes.Repeat([]byte{2}, 2*2*2*18)},
	}
	var out bytes.Buffer
	if err := WriteGGUF(&out, pairs, tensors); err != nil {
		t.Fatal(err)
	}
	f, err := OpenBytes("x", out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(f.Meta, want) {
		t.Errorf("read %v\nwant %v", f.Meta, want)
	}
	if !slices.EqualFunc(f.Tensors(), tensors, sameTensor) {
		t.Errorf("read %v", f.Tensors())
	}
	if out.Len()%alignmentDefault != 0 {
		t.Errorf("the file has %d bytes", out.Len())
	}
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	check := func(meta []KV, x []Tensor, words ...string) {
		t.Helper()
		var out bytes.Buffer
		err := WriteGGUF(&out, meta, x)
		if err == nil || out.Len() > 0 {
			t.Fatalf("%v %v was written: %d bytes", meta, x, out.Len())
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q does not say %q", err, word)
			}
		}
	}
	one := func(kind tensor.Type, bytes int, shape ...int) []Tensor {
		return []Tensor{{Name: "w", Type: kind, Shape: shape, Data: make([]byte, bytes)}}
	}
	check([]KV{{"a", 1}}, nil, `"a"`, "int")
	check([]KV{{"a", nil}}, nil, `"a"`)
	check([]KV{{"", "x"}}, nil, "1 to 65535")
	check([]KV{{strings.Repeat("k", keyBytesMax+1), "x"}}, nil, "1 to 65535")
	check([]KV{{"a", "x"}, {"a", "y"}}, nil, `"a"`, "once")
	check([]KV{{alignmentKey, uint32(64)}}, nil, "64")
	check(make([]KV, pairCountMax+1), nil, "65537")
	check(nil, one(0, 15, 4), "15 bytes", "[4]")
	check(nil, one(0, 20, 4), "20 bytes")
	check(nil, one(0, 0, 0), "impossible")
	check(nil, one(0, 16, -4, -1), "impossible")
	check(nil, one(0, 16, 1<<40, 1<<40), "impossible")
	check(nil, one(0, 4, 1, 1, 1, 1, 1), "5 dimensions")
	check(nil, one(tensor.Q8_0, 34, 2, 16), "Q8_0 blocks")
	check(nil, one(tensor.Q8_0, 34), "Q8_0 blocks")
	check(nil, one(19, 34, 256), "IQ1_S")
	check(nil, append(one(0, 4, 1), one(0, 4, 1)...), `"w"`, "once")
	check(nil, []Tensor{{Shape: []int{1}, Data: make([]byte, 4)}}, "1 to 1024")
	if err := WriteGGUF(fullDisk{}, nil, one(0, 1<<16, 1<<14)); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("a full disk gives %v", err)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, fmt.Errorf("disk full") }

// A split model is opened by any of its parts.
func TestSplit(t *testing.T) {
	t.Parallel()
	part := func(no, count uint16, total int32, tensors ...string) []byte {
		d := newDraft().value(splitNumberKey, no).value(splitCountKey, count).value(splitTensorsKey, total)
		if no == 0 {
			d.value("general.architecture", "llama")
		}
		for i, name := range tensors {
			d.tensor(name, 0, uint64(i)*32, 8)
		}
		return d.room(32 * len(tensors)).bytes()
	}
	write := func(files map[string][]byte) string {
		dir := t.TempDir()
		for name, b := range files {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	good := map[string][]byte{
		"m-00001-of-00003.gguf": part(0, 3, 3), // the first may have metadata alone
		"m-00002-of-00003.gguf": part(1, 3, 3, "a", "b"),
		"m-00003-of-00003.gguf": part(2, 3, 3, "c"),
	}
	dir := write(good)
	for name := range good {
		f, err := Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if arch, _ := f.Meta.String("general.architecture"); arch != "llama" || len(f.Tensors()) != 3 || f.Tensors()[2].Name != "c" || len(f.maps) != 3 {
			t.Errorf("%s: %q, %v", name, arch, f.Tensors())
		}
		if _, ok := f.Tensor("b"); !ok {
			t.Error("b is missing")
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	check := func(name string, b []byte, open string, words ...string) {
		t.Helper()
		dir := write(good)
		path := filepath.Join(dir, name)
		if b == nil {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(filepath.Join(dir, open))
		if err == nil || f != nil {
			t.Fatalf("%v was opened", words)
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q does not say %q", err, word)
			}
		}
	}
	first, last := "m-00001-of-00003.gguf", "m-00003-of-00003.gguf"
	check(last, nil, first, "part 3 of 3", last)
	check(last, part(1, 3, 3, "c"), first, last, "split.no is 1", "makes it 2")
	check(last, part(2, 4, 3, "c"), first, last, "split.count is 4")
	check(last, part(2, 3, 3, "a"), first, last, `"a" is there twice`)
	check(last, part(2, 3, 3, "c", "d"), first, "split.tensors.count is 3", "4 tensors")
	check(last, newDraft().bytes(), first, last, "split.no is <nil>")
	check("other.gguf", part(0, 3, 3), "other.gguf", "other.gguf", "-00001-of-00003.gguf", "--merge")
	check("m-00001-of-00002.gguf", part(0, 3, 3), "m-00001-of-00002.gguf", "-of-00003")
	check(first, part(0, splitCountMax+1, 3), first, "split.count is 1001", "1000")
}

func TestMeta(t *testing.T) {
	t.Parallel()
	m := Meta{}
	for _, v := range allValues() {
		m[fmt.Sprintf("%T", v)] = v
	}
	m["uint64"], m["big"], m["[]uint64"], m["bigs"] = uint64(math.MaxInt64), uint64(math.MaxInt64+1), []uint64{math.MaxInt64}, []uint64{1, math.MaxInt64 + 1}
	for key := range m {
		_, isInt := m.Int(key)
		_, isInts := m.Ints(key)
		scalar := strings.TrimPrefix(key, "[]")
		integer := strings.Contains(scalar, "int")
		array := key != scalar
		if isInt != (integer && !array) || isInts != (integer && array) {
			t.Errorf("%s: Int %v, Ints %v", key, isInt, isInts)
		}
		_, isFloat := m.Float(key)
		_, isFloats := m.Floats(key)
		if float := strings.Contains(scalar, "float"); isFloat != (float && !array) || isFloats != (float && array) {
			t.Errorf("%s: Float %v, Floats %v", key, isFloat, isFloats)
		}
		_, isString := m.String(key)
		_, isStrings := m.Strings(key)
		_, isBool := m.Bool(key)
		_, isBools := m.Bools(key)
		if isString != (key == "string") || isStrings != (key == "[]string") || isBool != (key == "bool") || isBools != (key == "[]bool") {
			t.Errorf("%s is taken for something else", key)
		}
	}
	if n, ok := m.Int("int64"); n != math.MinInt64 || !ok {
		t.Errorf("int64 is %d", n)
	}
	if n, ok := m.Ints("[]int32"); len(n) != 0 && !ok {
		t.Errorf("[]int32 is %d", n)
	}
	if v, ok := m.Floats("[]float64"); !ok || len(v) != 1 || v[0] != 0.1 {
		t.Errorf("[]float64 is %v", v)
	}
	if _, ok := m.Int("none"); ok {
		t.Error("a missing key is an integer")
	}
}

func FuzzGGUF(f *testing.F) {
	f.Add(goodGGUF())
	f.Add(newDraft().bytes())
	f.Add(newDraft().value("a", "b").tensor("w", 99, 0, 4).tensor("v", tensor.Q6_K, 32, 256).room(400).bytes())
	f.Add(newDraft().value(alignmentKey, uint32(64)).value("a", []string{"x", "yy"}).tensor("w", 0, 0, 4).room(16).bytes())
	f.Add(newDraft().pair("a", kindArray, arrayOf(kindString, 1<<60)...).bytes())
	f.Add(newDraft().tensor("w", 0, math.MaxUint64-31, 1<<33, 1<<33).bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := OpenBytes("fuzz", b)
		if err != nil {
			return
		}
		checkFile(t, file, len(b))
		// What opens and has no foreign types can be written and read back.
		var pairs []KV
		for key, v := range file.Meta {
			if key != alignmentKey && key != "" {
				pairs = append(pairs, KV{key, v})
			}
		}
		for _, x := range file.Tensors() {
			if !x.Type.Supported() || x.Name == "" {
				return
			}
		}
		var out bytes.Buffer
		if err := WriteGGUF(&out, pairs, file.Tensors()); err != nil {
			t.Fatal(err)
		}
		again, err := OpenBytes("again", out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(file.Tensors(), again.Tensors(), sameTensor) {
			t.Fatal("not read back equal")
		}
	})
}

// checkFile checks what holds for every file that opens.
func checkFile(t *testing.T, f *File, size int) {
	total := 0
	for _, x := range f.Tensors() {
		total += len(x.Data)
		if got, ok := f.Tensor(x.Name); !ok || !sameTensor(got, x) {
			t.Fatalf("tensor %q is not found", x.Name)
		}
		if x.Type.Supported() && uint64(len(x.Data)) != elements(x.Shape)/uint64(x.Type.BlockLen())*uint64(x.Type.BlockBytes()) {
			t.Fatalf("tensor %q: %v %v has %d bytes", x.Name, x.Type, x.Shape, len(x.Data))
		}
	}
	if total > size {
		t.Fatalf("tensors have %d bytes, the file %d", total, size)
	}
}
