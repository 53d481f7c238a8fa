package weights

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weir-ai/weir/engine/tensor"
)

// The safetensors format (github.com/huggingface/safetensors): the header's length as uint64, the header as a JSON object from tensor
// name to dtype, shape and data_offsets (and "__metadata__", strings that the weights do not need), then the tensors' bytes without
// holes. A sharded model has an index file whose weight_map names the file of each tensor.

const (
	// headerBytesMax is the reference implementation's bound, 100 MB: some 800,000 tensors.
	headerBytesMax = 100_000_000
	// indexBytesMax bounds the index of a sharded model, which has about 100 bytes for each tensor.
	indexBytesMax = 64 << 20
	// shardCountMax bounds the shards. The largest published models have under 300; each costs a mapping.
	shardCountMax = 1000
	// safeDimsMax bounds dimensions. Models have at most 5 (a video's convolutions).
	safeDimsMax = 8
	// jsonDepthMax bounds nesting. The two kinds of object here are 2 deep, so that deeper JSON is not worth looking at.
	jsonDepthMax = 16
)

// openFolder opens a Hugging Face folder.
func openFolder(dir string) (*File, error) {
	path := filepath.Join(dir, singleFile)
	if _, err := os.Stat(path); err == nil {
		m, err := mapFile(path)
		if err != nil {
			return nil, err
		}
		return openSafetensors(path, m)
	}
	shards, err := readIndex(dir)
	if err != nil {
		return nil, err
	}
	if shards == nil {
		return nil, fmt.Errorf("%s has neither %s nor %s; a folder must be a Hugging Face model in safetensors (name a GGUF file itself)", dir, singleFile, indexFile)
	}
	return openShards(dir, shards)
}

// openSafetensors opens the file at path, which is mapped already; if it is one shard of a model, the whole model.
func openSafetensors(path string, m mapping) (*File, error) {
	dir := filepath.Dir(path)
	shards, err := readIndex(dir)
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	if name := filepath.Base(path); slices.ContainsFunc(shards, func(s shard) bool { return s.file == name }) {
		if err := m.close(); err != nil {
			return nil, err
		}
		return openShards(dir, shards)
	}
	f := &File{Path: path, Format: "safetensors", Dir: dir, maps: []mapping{m}}
	err = f.addSafetensors(m.data)
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return f.finish(err)
}

func openShards(dir string, shards []shard) (*File, error) {
	f := &File{Path: dir, Format: "safetensors", Dir: dir}
	return f.finish(f.addShards(shards))
}

// finish reads config.json, or closes the file after an error.
func (f *File) finish(err error) (*File, error) {
	if err == nil {
		f.Config, err = readBounded(filepath.Join(f.Dir, configFile), configBytesMax)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *File) addShards(shards []shard) error {
	for _, s := range shards {
		path := filepath.Join(f.Dir, s.file)
		m, err := mapFile(path)
		if err != nil {
			return fmt.Errorf("%s names a shard: %w", filepath.Join(f.Dir, indexFile), err)
		}
		f.maps = append(f.maps, m)
		first := len(f.tensors)
		if err := f.addSafetensors(m.data); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, name := range s.tensors {
			if i, ok := f.index[name]; !ok || i < first {
				return fmt.Errorf("%s: tensor %q is not in the file, though %s says so", path, name, indexFile)
			}
		}
	}
	return nil
}

// shard is a file of a sharded model and the tensors that the index puts there, in the index's order.
type shard struct {
	file    string
	tensors []string
}

// readIndex reads the index of a sharded model, shards sorted by name; nil where there is none.
func readIndex(dir string) ([]shard, error) {
	path := filepath.Join(dir, indexFile)
	b, err := readBounded(path, indexBytesMax)
	if err != nil || b == nil {
		return nil, err
	}
	shards, err := parseIndex(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return shards, nil
}

func parseIndex(b []byte) ([]shard, error) {
	var shards []shard
	places, found := map[string]int{}, false
	err := eachField(b, func(key string, value json.RawMessage) error {
		if key != "weight_map" {
			return nil // "metadata" has the total size, which the files themselves say
		}
		found = true
		seen := map[string]bool{}
		return eachField(value, func(name string, value json.RawMessage) error {
			var file string
			if err := json.Unmarshal(value, &file); err != nil {
				return fmt.Errorf("weight_map: tensor %q: %w", name, err)
			}
			if seen[name] {
				return fmt.Errorf("weight_map: tensor %q is there twice", name)
			}
			seen[name] = true
			if err := checkShardName(file); err != nil {
				return fmt.Errorf("weight_map: tensor %q: %w", name, err)
			}
			i, ok := places[file]
			if !ok {
				if len(shards) == shardCountMax {
					return fmt.Errorf("weight_map names more than %d files", shardCountMax)
				}
				i, places[file] = len(shards), len(shards)
				shards = append(shards, shard{file: file})
			}
			shards[i].tensors = append(shards[i].tensors, name)
			return nil
		})
	})
	if err == nil && (!found || len(shards) == 0) {
		err = errors.New("weight_map is missing or empty")
	}
	slices.SortFunc(shards, func(a, b shard) int { return cmp.Compare(a.file, b.file) })
	return shards, err
}

// checkShardName refuses names that lead out of the folder. The file itself may be a link, as in Hugging Face's own cache.
func checkShardName(name string) error {
	if strings.ContainsAny(name, `/\:`) || !filepath.IsLocal(name) || !strings.HasSuffix(name, ".safetensors") {
		return fmt.Errorf("file %q is not the plain name of a .safetensors file in the same folder", name)
	}
	return nil
}

// entry is a tensor as the header describes it.
type entry struct {
	Dtype   string  `json:"dtype"`
	Shape   numeric `json:"shape"`
	Offsets numeric `json:"data_offsets"`
}

// numeric is a short list of whole numbers. It counts before it allocates.
type numeric []uint64

func (n *numeric) UnmarshalJSON(b []byte) error {
	if bytes.Count(b, []byte(",")) >= safeDimsMax {
		return fmt.Errorf("a list has more than %d numbers", safeDimsMax)
	}
	var list []uint64
	err := json.Unmarshal(b, &list)
	if err == nil && list == nil {
		err = errors.New("a list is null")
	}
	*n = list
	return err
}

// addSafetensors reads the header in data, one whole file, and adds its tensors.
func (f *File) addSafetensors(data []byte) error {
	if len(data) < 8 {
		return fmt.Errorf("the file has %d bytes; the header's length alone takes 8", len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	if rest := uint64(len(data) - 8); n > rest || n > headerBytesMax {
		return fmt.Errorf("the header's length is %d; %d bytes follow and at most %d are possible: the file is cut short or is not safetensors", n, rest, headerBytesMax)
	}
	section := data[8+n:]
	type span struct {
		from, to uint64
		name     string
	}
	var spans []span
	err := eachField(data[8:8+n], func(name string, value json.RawMessage) error {
		if name == "__metadata__" {
			return nil
		}
		if len(name) > nameBytesMax || len(f.tensors) == tensorCountMax {
			return fmt.Errorf("tensor %.100q: a name may have %d bytes, a file %d tensors", name, nameBytesMax, tensorCountMax)
		}
		t, from, to, err := readEntry(value, uint64(len(section)))
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		t.Name = name
		t.Data = section[from:to:to]
		spans = append(spans, span{from, to, name})
		return f.add(t)
	})
	if err != nil {
		return fmt.Errorf("header: %w", err)
	}
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to), strings.Compare(a.name, b.name))
	})
	end := uint64(0)
	for _, s := range spans {
		if s.from != end {
			return fmt.Errorf("header: tensor %q: data_offsets begin at %d where the tensor before ends at %d: tensors overlap or leave a hole", s.name, s.from, end)
		}
		end = s.to
	}
	if end != uint64(len(section)) {
		return fmt.Errorf("the tensors take %d bytes, the file has %d for them", end, len(section))
	}
	return nil
}

// readEntry reads a tensor's description and checks it against the size of the data section.
func readEntry(value json.RawMessage, section uint64) (t Tensor, from, to uint64, err error) {
	var e entry
	d := json.NewDecoder(bytes.NewReader(value))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return t, 0, 0, err
	}
	if e.Dtype == "" || e.Shape == nil || len(e.Offsets) != 2 {
		return t, 0, 0, errors.New("dtype, shape and two data_offsets must be there")
	}
	from, to = e.Offsets[0], e.Offsets[1]
	if from > to || to > section {
		return t, 0, 0, fmt.Errorf("data_offsets are %v, the file has %d bytes for tensors: it is cut short or the offsets lie", e.Offsets, section)
	}
	t.Stored = e.Dtype
	size := 0
	t.Type, size = dtype(e.Dtype)
	count := uint64(1)
	t.Shape = make([]int, len(e.Shape))
	for i, n := range e.Shape {
		high, product := bits.Mul64(count, n)
		// The format allows empty tensors (a dimension of 0); a model that needs values will refuse the shape.
		if high != 0 || product > math.MaxInt || n > math.MaxInt {
			return t, 0, 0, fmt.Errorf("shape %v has more values than can be counted", e.Shape)
		}
		count = product
		t.Shape[i] = int(n)
	}
	if size > 0 && ((to-from)%uint64(size) != 0 || (to-from)/uint64(size) != count) {
		return t, 0, 0, fmt.Errorf("data_offsets %v give %d bytes; %s of shape %v needs %d values of %d", e.Offsets, to-from, e.Dtype, e.Shape, count, size)
	}
	return t, from, to, nil
}

// unknownType is the type of tensors that ggml has no id for. No file format uses it.
const unknownType = tensor.Type(math.MaxUint32)

// dtype turns a name of safetensors into ggml's type and the bytes of a value, 0 where we do not know. Those that Weir does not
// compute with get ggml's id where there is one: a model refuses them when it needs them.
func dtype(name string) (tensor.Type, int) {
	switch name {
	case "F32":
		return tensor.F32, 4
	case "F16":
		return tensor.F16, 2
	case "BF16":
		return tensor.BF16, 2
	case "I8":
		return 24, 1
	case "I16":
		return 25, 2
	case "I32":
		return 26, 4
	case "I64":
		return 27, 8
	case "F64":
		return 28, 8
	case "BOOL", "U8", "F8_E4M3", "F8_E5M2", "F8_E8M0":
		return unknownType, 1
	case "U16":
		return unknownType, 2
	case "U32":
		return unknownType, 4
	case "U64":
		return unknownType, 8
	}
	return unknownType, 0
}

// eachField calls f for the fields of a JSON object in their order, also for those that are there twice. Nothing may follow it.
func eachField(b []byte, f func(key string, value json.RawMessage) error) error {
	if err := checkDepth(b); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if open, err := d.Token(); err != nil {
		return jsonError(err)
	} else if open != json.Delim('{') {
		return errors.New("the JSON is not an object")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return jsonError(err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return jsonError(err)
		}
		if err := f(key.(string), value); err != nil { // the decoder has seen to it that keys are strings
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return jsonError(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}

func jsonError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON is cut short")
	}
	return fmt.Errorf("the JSON is malformed: %w", err)
}

// checkDepth bounds nesting before the parser follows it. It need not be right about broken JSON, which the parser refuses.
func checkDepth(b []byte) error {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > jsonDepthMax {
				return fmt.Errorf("the JSON is nested deeper than %d at byte %d", jsonDepthMax, i)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}
