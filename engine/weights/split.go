package weights

import (
	"errors"
	"fmt"
	"regexp"
)

// A large GGUF model may come in parts (llama.cpp, tools/gguf-split): `name-00001-of-00003.gguf` and so on, each a whole GGUF file
// with its own tensors. The first holds the metadata; all hold split.no, split.count and split.tensors.count.

const (
	splitNumberKey  = "split.no"
	splitCountKey   = "split.count"
	splitTensorsKey = "split.tensors.count"
	// splitCountMax bounds the parts. The largest published models have under 100; each costs a mapping and a few system calls.
	splitCountMax = 1000
)

// openGGUF opens the file at path, which is mapped already, and the other parts if it is one of several.
func openGGUF(path string, m mapping) (f *File, err error) {
	f = &File{Path: path, Format: "gguf", maps: []mapping{m}}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
			f = nil
		}
	}()
	if err := f.addGGUF(m.data); err != nil {
		return f, fmt.Errorf("%s: %w", path, err)
	}
	count, ok := f.Meta.Int(splitCountKey)
	if !ok || count <= 1 {
		return f, nil
	}
	if err := f.Close(); err != nil {
		return f, err
	}
	*f = File{Path: path, Format: "gguf"}
	return f, f.addParts(count)
}

// addParts reads all parts of the split model that f.Path belongs to.
func (f *File) addParts(count int64) error {
	if count > splitCountMax {
		return fmt.Errorf("%s: %s is %d; at most %d parts are read", f.Path, splitCountKey, count, splitCountMax)
	}
	name := regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})\.gguf$`).FindStringSubmatch(f.Path)
	if name == nil || name[3] != fmt.Sprintf("%05d", count) {
		return fmt.Errorf("%s is one of %d parts, so its name must end in -00001-of-%05d.gguf (and so on) for the others to be found; or merge them with llama.cpp's `llama-gguf-split --merge`",
			f.Path, count, count)
	}
	var promised int64
	for i := range count {
		path := fmt.Sprintf("%s-%05d-of-%s.gguf", name[1], i+1, name[3])
		m, err := mapFile(path)
		if err != nil {
			return fmt.Errorf("part %d of %d: %w", i+1, count, err)
		}
		f.maps = append(f.maps, m)
		part := &File{tensors: f.tensors, index: f.index}
		if err := part.addGGUF(m.data); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		f.tensors, f.index = part.tensors, part.index
		if err := checkPart(part.Meta, i, count); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if i == 0 {
			f.Meta = part.Meta
			promised, _ = part.Meta.Int(splitTensorsKey)
		}
	}
	if promised != int64(len(f.tensors)) {
		return fmt.Errorf("%s: %s is %d, but the parts have %d tensors", f.Path, splitTensorsKey, promised, len(f.tensors))
	}
	return nil
}

// checkPart checks that a part is the one that its name says.
func checkPart(m Meta, number, count int64) error {
	for _, want := range []struct {
		key   string
		value int64
	}{{splitNumberKey, number}, {splitCountKey, count}} {
		if got, ok := m.Int(want.key); !ok || got != want.value {
			return fmt.Errorf("%s is %v; the file's name makes it %d", want.key, m[want.key], want.value)
		}
	}
	return nil
}
