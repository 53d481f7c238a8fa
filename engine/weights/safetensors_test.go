package weights

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weir-ai/weir/engine/tensor"
)

// safe makes a safetensors file of a header and a number of zero bytes.
func safe(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func openSafe(b []byte) (*File, error) {
	f := &File{Format: "safetensors"}
	return f, f.addSafetensors(b)
}

func TestSafetensorsRefuses(t *testing.T) {
	t.Parallel()
	check := func(header string, data int, words ...string) {
		t.Helper()
		_, err := openSafe(safe(header, data))
		if err == nil {
			t.Errorf("%.80s was opened", header)
			return
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%.80s: %q does not say %q", header, err, word)
			}
		}
	}
	check(``, 0, "cut short")
	check(`[]`, 0, "not an object")
	check(`null`, 0, "not an object")
	check(`{`, 0, "cut short")
	check(`{"a"`, 0, "JSON")
	check(`{"a":}`, 0, "malformed")
	check(`{1:2}`, 0, "malformed")
	check(`{} {}`, 0, "follows")
	check(`{} x`, 0, "follows")
	check(`{"a":1}`, 0, `"a"`)
	check(`{"a":null}`, 0, `"a"`, "must be there")
	check(`{"a":{}}`, 0, `"a"`, "must be there")
	check(`{"a":{"dtype":"F32","shape":[1]}}`, 4, `"a"`, "must be there")
	check(`{"a":{"dtype":"F32","shape":null,"data_offsets":[0,4]}}`, 4, `"a"`)
	check(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}`, 4, `"a"`, "two data_offsets")
	check(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}`, 4, `"a"`, "two data_offsets")
	check(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1}}`, 4, `"a"`, "more")
	check(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 4, `"a"`, "-1")
	check(`{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}`, 4, `"a"`, "1.5")
	check(`{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}}`, 4, `"a"`, "more than 8")
	check(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4, `"a"`, "4 bytes", "2 values of 4")
	check(`{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,3]}}`, 3, `"a"`, "3 bytes")
	check(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, 4, `"a"`, "[4 0]")
	check(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 3, `"a"`, "3 bytes", "cut short")
	check(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[18446744073709551612,18446744073709551615]}}`, 4, `"a"`, "18446744073709551612")
	check(`{"a":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4]}}`, 4, `"a"`, "18446744073709551616")
	check(`{"a":{"dtype":"F32","shape":[4294967296,4294967297],"data_offsets":[0,4]}}`, 4, `"a"`, "counted")
	check(`{"a":{"dtype":"F32","shape":[0,9223372036854775808],"data_offsets":[0,0]}}`, 0, `"a"`, "counted")
	check(`{"a":{"dtype":"I64","shape":[2],"data_offsets":[0,8]}}`, 8, `"a"`, "2 values of 8")
	check(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8, `"a" is there twice`)
	check(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12, `"b"`, "overlap")
	check(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4, `"b"`, "overlap")
	check(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8, `"a"`, "hole")
	check(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 8, "take 4 bytes", "8")
	check(`{"`+strings.Repeat("n", nameBytesMax+1)+`":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, 4, "nnn", "1024")
	check(`{"a":`+strings.Repeat("[", jsonDepthMax)+strings.Repeat("]", jsonDepthMax)+`}`, 0, "nested deeper")
	check(`{"__metadata__":`+strings.Repeat(`{"x":`, 1<<20), 0, "nested deeper")

	for n, want := range map[uint64]string{0: "cut short", 9: "length is 9; 8 bytes follow", 1 << 63: "cut short"} {
		if _, err := openSafe(append(le64(n), make([]byte, 8)...)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a header's length of %d gives %v", n, err)
		}
	}
}

func TestSafetensorsBounds(t *testing.T) {
	t.Parallel()
	check := func(header string, data int, names ...string) *File {
		t.Helper()
		f, err := openSafe(safe(header, data))
		if err != nil {
			t.Fatalf("%.80s: %v", header, err)
		}
		var got []string
		for _, x := range f.Tensors() {
			got = append(got, x.Name)
		}
		if !slices.Equal(got, names) {
			t.Errorf("%.80s: tensors %q", header, got)
		}
		return f
	}
	check(`{}`, 0)
	check(` {"__metadata__":{"format":"pt","deep":"\"[[[[[[[[[[[[[[[[[[[[["}}  `, 0)
	check(`{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, 4, "a")
	check(`{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1],"data_offsets":[0,4]}}`, 4, "a")
	check(`{"a":{"dtype":"F32","shape":[3,0],"data_offsets":[0,0]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}`, 2, "a", "b")
	long := strings.Repeat("n", nameBytesMax)
	check(`{"`+long+`":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, 4, long)
	check(`{"__metadata__":`+strings.Repeat("[", jsonDepthMax-1)+strings.Repeat("]", jsonDepthMax-1)+`}`, 0)

	// Types that Weir does not compute with are listed: a model refuses them when it needs them.
	f := check(`{"z":{"dtype":"BF16","shape":[2],"data_offsets":[22,26]},"i":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},`+
		`"b":{"dtype":"BOOL","shape":[3],"data_offsets":[16,19]},"n":{"dtype":"NEW","shape":[2,7],"data_offsets":[19,22]}}`, 26, "z", "i", "b", "n")
	for i, want := range []Tensor{{Stored: "BF16", Type: tensor.BF16}, {Stored: "I64", Type: 27}, {Stored: "BOOL", Type: unknownType}, {Stored: "NEW", Type: unknownType}} {
		if x := f.Tensors()[i]; x.Stored != want.Stored || x.Type != want.Type || x.Type.Supported() != (i == 0) {
			t.Errorf("%+v, want %+v", x, want)
		}
	}
}

// A file cut anywhere is refused.
func TestSafetensorsTruncated(t *testing.T) {
	t.Parallel()
	whole := safe(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F16","shape":[3],"data_offsets":[8,14]}}`, 14)
	for n := range len(whole) {
		if _, err := openSafe(whole[:n:n]); err == nil {
			t.Fatalf("the first %d of %d bytes were opened", n, len(whole))
		}
	}
}

// The header's bound is that of the reference implementation.
func TestSafetensorsHeaderBound(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes 100 MB")
	}
	b := make([]byte, 8+headerBytesMax+1)
	copy(b[8:], "{}")
	for i := 10; i < len(b); i++ {
		b[i] = ' '
	}
	binary.LittleEndian.PutUint64(b, headerBytesMax)
	if _, err := openSafe(b[:8+headerBytesMax]); err != nil {
		t.Error(err)
	}
	binary.LittleEndian.PutUint64(b, headerBytesMax+1)
	if _, err := openSafe(b); err == nil || !strings.Contains(err.Error(), "100000001") {
		t.Error(err)
	}
}

func TestIndexRefuses(t *testing.T) {
	t.Parallel()
	check := func(index string, words ...string) {
		t.Helper()
		_, err := parseIndex([]byte(index))
		if err == nil {
			t.Errorf("%.80s was read", index)
			return
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%.80s: %q does not say %q", index, err, word)
			}
		}
	}
	check(``, "cut short")
	check(`[]`, "not an object")
	check(`{"metadata":{}}`, "weight_map is missing")
	check(`{"weight_map":{}}`, "weight_map is missing or empty")
	check(`{"weight_map":["a"]}`, "not an object")
	check(`{"weight_map":{"a":1}}`, `"a"`)
	check(`{"weight_map":{"a":"x.safetensors","a":"y.safetensors"}}`, `"a"`, "twice")
	check(strings.Repeat(`{"a":`, 1<<20), "nested deeper")
	for _, file := range []string{"", ".", "..", "../x.safetensors", "/x.safetensors", "a/x.safetensors", "..\\\\x.safetensors", "C:x.safetensors", "x.bin", "x"} {
		check(fmt.Sprintf(`{"weight_map":{"a":"%s"}}`, file), `"a"`, "plain name")
	}
	var many strings.Builder
	for i := range shardCountMax {
		fmt.Fprintf(&many, `"t%d":"s%d.safetensors",`, i, i)
	}
	if shards, err := parseIndex([]byte(`{"weight_map":{` + many.String() + `"x":"s0.safetensors"}}`)); err != nil || len(shards) != shardCountMax {
		t.Errorf("%d shards: %v", len(shards), err)
	}
	check(`{"weight_map":{`+many.String()+`"x":"more.safetensors"}}`, "more than 1000")
}

func TestShards(t *testing.T) {
	t.Parallel()
	one := func(name string) []byte {
		return safe(`{"`+name+`":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4)
	}
	folder := func(index string, files map[string][]byte) string {
		dir := t.TempDir()
		if index != "" {
			files[indexFile] = []byte(index)
		}
		for name, b := range files {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	const index = `{"metadata":{"total_size":8},"weight_map":{"b":"2.safetensors","a":"1.safetensors"}}`
	dir := folder(index, map[string][]byte{"1.safetensors": one("a"), "2.safetensors": one("b"), "3.safetensors": one("c")})
	for _, path := range []string{".", "1.safetensors", "2.safetensors"} {
		f, err := Open(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Tensors()) != 2 || f.Tensors()[0].Name != "a" || f.Dir != dir || f.Config != nil {
			t.Errorf("%s: %v, folder %s", path, f.Tensors(), f.Dir)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	// A file that the index does not name stands alone.
	f, err := Open(filepath.Join(dir, "3.safetensors"))
	if err != nil || len(f.Tensors()) != 1 {
		t.Fatal(err)
	}
	defer f.Close()

	check := func(index string, files map[string][]byte, words ...string) {
		t.Helper()
		f, err := Open(folder(index, files))
		if err == nil || f != nil {
			t.Fatalf("%v was opened", words)
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q does not say %q", err, word)
			}
		}
	}
	check(index, map[string][]byte{"1.safetensors": one("a")}, "2.safetensors", indexFile)
	check(index, map[string][]byte{"1.safetensors": one("a"), "2.safetensors": one("c")}, "2.safetensors", `"b"`, "not in the file")
	check(index, map[string][]byte{"1.safetensors": one("b"), "2.safetensors": one("a")}, "1.safetensors", `"a"`)
	check(index, map[string][]byte{"1.safetensors": one("a"), "2.safetensors": one("a")}, "2.safetensors", "twice")
	check(`{"weight_map":{"a":"../1.safetensors"}}`, map[string][]byte{}, "../1.safetensors")
	check("", map[string][]byte{"1.safetensors": one("a")}, singleFile)
	check("", map[string][]byte{singleFile: one("a"), configFile: make([]byte, configBytesMax+1)}, configFile, "more than")
	dir = folder("", map[string][]byte{singleFile: one("a"), configFile: make([]byte, configBytesMax)})
	if f, err := Open(dir); err != nil || len(f.Config) != configBytesMax {
		t.Errorf("a config.json on the bound gives %v", err)
	}
}

// Hugging Face's cache keeps links in the folder to files elsewhere.
func TestLinks(t *testing.T) {
	t.Parallel()
	elsewhere := filepath.Join(t.TempDir(), "blob")
	if err := os.WriteFile(elsewhere, safe(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(dir, singleFile)); err != nil {
		t.Skipf("no links here: %v", err)
	}
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func FuzzSafetensors(f *testing.F) {
	f.Add(safe(`{}`, 0))
	f.Add(safe(`{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"b":{"dtype":"I64","shape":[],"data_offsets":[8,16]}}`, 16))
	f.Add(safe(`{"a":{"dtype":"BF16","shape":[0],"data_offsets":[0,0]},"b":{"dtype":"NEW","shape":[1],"data_offsets":[0,3]}}  `, 3))
	f.Add(safe(`{"a":{"dtype":"F32","shape":[4294967296,4294967297],"data_offsets":[0,18446744073709551615]}}`, 4))
	f.Add(safe(`{"a":[[[[[[[[[[[[[[[[[[[[[[[[`, 0))
	f.Add(le64(1 << 63))
	f.Add([]byte(`{"metadata":{"total_size":8},"weight_map":{"b":"2.safetensors","a":"1.safetensors"}}`))
	f.Add([]byte(`{"weight_map":{"b":"../2.safetensors"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if file, err := openSafe(b); err == nil {
			checkFile(t, file, len(b))
		}
		shards, err := parseIndex(b)
		if err != nil {
			return
		}
		for _, s := range shards {
			if filepath.Base(s.file) != s.file || len(s.tensors) == 0 {
				t.Fatalf("shard %q of %d tensors", s.file, len(s.tensors))
			}
		}
	})
}
