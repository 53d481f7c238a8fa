// Package weights reads the tensors of models from the files that people have: GGUF (llama.cpp's format, also split) and
// safetensors (a Hugging Face folder, also sharded). Files are mapped, not read: opening costs the header alone, and pages
// come in when a tensor is used. It writes GGUF too, for models trained here.
//
// Every file is taken for hostile: a count, length, offset or name that the file's own bytes do not bear out is an error that
// names file, field and value. Opening never panics, never hangs and never allocates more than a small multiple of the header's bytes.
//
// A File is immutable after Open and safe for concurrent use, except for Close. The package starts no goroutine, holds no lock,
// computes nothing with tensors, and never writes to or locks a file that it has open: one that somebody truncates in place
// while it is mapped faults the process, as with every program that maps files, so replace model files by renaming.
package weights

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/weir-ai/weir/engine/tensor"
)

// Tensor is one tensor of a file.
type Tensor struct {
	Name string
	// Type is how the values are stored. Tensors of types that Weir does not read are listed too, because a model may not need
	// them (position ids): whoever uses a tensor asks Type.Supported first, and refuses by Stored.
	Type tensor.Type
	// Shape is outermost first, (rows, cols), as Hugging Face writes it; GGUF stores it the other way round. A scalar's is empty.
	Shape []int
	// Data is the stored bytes, in the mapped file: read-only, dead after Close, and not always aligned to the size of a value. For a
	// supported type the length is exactly what Type and Shape make it; for a GGUF type that Weir does not know the size of it is nil.
	Data []byte
	// Stored is the file's own name of the type, for refusals. It is empty for tensors made by hand.
	Stored string
}

// File is an open model.
type File struct {
	Path   string
	Format string // "gguf" or "safetensors"
	Meta   Meta   // of GGUF, nil for safetensors
	Config []byte // config.json beside safetensors, nil where there is none
	Dir    string // the Hugging Face folder, "" for GGUF

	tensors []Tensor
	index   map[string]int // name to place in tensors
	maps    []mapping
}

// mapping is a file's bytes in memory.
type mapping struct {
	data    []byte
	release func([]byte) error // nil where there is nothing to release
}

const (
	configFile = "config.json"
	singleFile = "model.safetensors"
	indexFile  = "model.safetensors.index.json"

	// configBytesMax bounds config.json. Real ones have 1 to 10 kB; one with a label for each of 20,000 classes has 1 MB.
	configBytesMax = 8 << 20
)

// Open opens a model: a .gguf file (known by its first bytes; of a split model any of its parts), a .safetensors file with
// config.json beside it, or a Hugging Face folder.
func Open(path string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open weights: %w", err)
	}
	if info.IsDir() {
		return openFolder(path)
	}
	m, err := mapFile(path)
	if err != nil {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(m.data, []byte(ggufMagic)):
		return openGGUF(path, m)
	case strings.EqualFold(filepath.Ext(path), ".safetensors"):
		return openSafetensors(path, m)
	}
	err = fmt.Errorf("%s: %w", path, unknownFormat(m.data))
	return nil, errors.Join(err, m.close())
}

// OpenBytes opens a GGUF model held in memory, such as one embedded in the program. The bytes must not change afterwards.
func OpenBytes(name string, b []byte) (*File, error) {
	f := &File{Path: name, Format: "gguf"}
	if err := f.addGGUF(b); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if count, ok := f.Meta.Int(splitCountKey); ok && count > 1 {
		return nil, fmt.Errorf("%s: %s is %d: a split model cannot be read from memory", name, splitCountKey, count)
	}
	return f, nil
}

// Tensors lists all tensors in the order of the file. The slice is the File's own: do not change it.
func (f *File) Tensors() []Tensor { return f.tensors }

// Tensor finds a tensor by name.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.index[name]
	if !ok {
		return Tensor{}, false
	}
	return f.tensors[i], true
}

// Close unmaps the file. Tensors' Data, also of copies taken earlier, must not be touched afterwards: reading them faults the
// process. The list of tensors, Meta and Config stay valid. Closing again does nothing.
func (f *File) Close() error {
	var errs []error
	for _, m := range f.maps {
		errs = append(errs, m.close())
	}
	f.maps = nil
	for i := range f.tensors {
		f.tensors[i].Data = nil // so that a late user of the File gets a length error and not a fault
	}
	return errors.Join(errs...)
}

func (m mapping) close() error {
	if m.release == nil {
		return nil
	}
	return m.release(m.data)
}

// add appends a tensor, whose name must be new.
func (f *File) add(t Tensor) error {
	if f.index == nil {
		f.index = map[string]int{}
	}
	if _, ok := f.index[t.Name]; ok {
		return fmt.Errorf("tensor %q is there twice", t.Name)
	}
	f.index[t.Name] = len(f.tensors)
	f.tensors = append(f.tensors, t)
	return nil
}

// mapFile maps a regular file. Others (a pipe, a device) are refused: opening them may wait forever.
func mapFile(path string) (mapping, error) {
	info, err := os.Stat(path)
	if err != nil {
		return mapping{}, fmt.Errorf("open weights: %w", err)
	}
	if !info.Mode().IsRegular() {
		return mapping{}, fmt.Errorf("%s is not a regular file (%v)", path, info.Mode().Type())
	}
	file, err := os.Open(path)
	if err != nil {
		return mapping{}, fmt.Errorf("open weights: %w", err)
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return mapping{}, fmt.Errorf("open weights: %w", err)
	}
	size := info.Size()
	if size == 0 {
		return mapping{}, fmt.Errorf("%s is empty", path)
	}
	if int64(int(size)) != size {
		return mapping{}, fmt.Errorf("%s has %d bytes, more than a 32-bit program can map", path, size)
	}
	m, err := mapBytes(file, int(size))
	if err != nil {
		return mapping{}, fmt.Errorf("map %s: %w", path, err)
	}
	return m, nil
}

// readBounded reads a small file whole. It returns nil without an error where there is none.
func readBounded(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file (%v)", path, info.Mode().Type())
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(b)) > most {
		return nil, fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return b, nil
}

// unknownFormat says what a file that is no model of ours looks like.
func unknownFormat(data []byte) error {
	const read = "GGUF files, .safetensors files and Hugging Face folders are read"
	head := data[:min(len(data), 4)]
	switch {
	case bytes.Equal(head, []byte("FUGG")):
		return errors.New("this is a GGUF file with its magic in big-endian order; only little-endian ones are read")
	case bytes.HasPrefix(head, []byte("PK")):
		return errors.New("this is a zip archive, as PyTorch writes its weights; convert it to safetensors or GGUF")
	case bytes.Equal(head, []byte("lmgg")), bytes.Equal(head, []byte("fmgg")), bytes.Equal(head, []byte("tjgg")):
		return errors.New("this is a GGML file from before GGUF; convert the model again with a current llama.cpp")
	case bytes.HasPrefix(data, []byte("version https://git-lfs")):
		return errors.New("this is a Git LFS pointer, not the weights themselves; fetch them with `git lfs pull`")
	}
	return fmt.Errorf("the file begins with %q and has no .safetensors name; %s", head, read)
}
