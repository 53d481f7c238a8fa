package weights

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/weir-ai/weir/engine/tensor"
	"github.com/weir-ai/weir/internal/testdata"
)

// TestRealGGUF opens every GGUF file of the shared data, and checks a second reading by the writer's round trip.
func TestRealGGUF(t *testing.T) {
	t.Parallel()
	root := testdata.Path(t, ".")
	var paths []string
	for _, pattern := range []string{"golden-hf/gguf/*.gguf", "models/*.gguf", "ggml-vocab/*.gguf"} {
		found, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %d files", pattern, err, len(found))
		}
		paths = append(paths, found...)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			f, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if arch, ok := f.Meta.String("general.architecture"); !ok || f.Format != "gguf" || f.Config != nil || arch == "" {
				t.Fatalf("format %q, architecture %q", f.Format, arch)
			}
			if tokens, ok := f.Meta.Strings("tokenizer.ggml.tokens"); !ok || len(tokens) < 300 {
				t.Fatalf("%d tokens", len(tokens))
			}
			for _, x := range f.Tensors() {
				if !x.Type.Supported() || len(x.Data) == 0 {
					t.Fatalf("tensor %s of %v has %d bytes", x.Name, x.Type, len(x.Data))
				}
			}
			var pairs []KV
			for _, key := range slices.Sorted(maps.Keys(f.Meta)) {
				pairs = append(pairs, KV{key, f.Meta[key]})
			}
			var out bytes.Buffer
			if err := WriteGGUF(&out, pairs, f.Tensors()); err != nil {
				t.Fatal(err)
			}
			again, err := OpenBytes("again", out.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(f.Meta, again.Meta) || !slices.EqualFunc(f.Tensors(), again.Tensors(), sameTensor) {
				t.Fatal("what was written is not read back equal")
			}
		})
	}
}

func sameTensor(a, b Tensor) bool {
	return a.Name == b.Name && a.Type == b.Type && slices.Equal(a.Shape, b.Shape) && bytes.Equal(a.Data, b.Data)
}

// TestRealValues checks a few values that another reader printed.
func TestRealValues(t *testing.T) {
	t.Parallel()
	f, err := Open(testdata.Path(t, "models/stories260K-Q4_0.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, ok := f.Meta.Int("llama.feed_forward_length"); n != 172 || !ok {
		t.Errorf("feed_forward_length %d", n)
	}
	if eps, ok := f.Meta.Float("llama.attention.layer_norm_rms_epsilon"); float32(eps) != 1e-5 || !ok {
		t.Errorf("eps %g", eps)
	}
	if tokens, _ := f.Meta.Strings("tokenizer.ggml.tokens"); len(tokens) != 512 || tokens[0] != "<unk>" || tokens[4] != "<0x01>" {
		t.Errorf("%d tokens, %q", len(tokens), tokens[:5])
	}
	gate, ok := f.Tensor("blk.0.ffn_gate.weight")
	if !ok || gate.Type != tensor.Q4_0 || !slices.Equal(gate.Shape, []int{172, 64}) || len(gate.Data) != 172*64/32*18 {
		t.Errorf("gate is %v %v with %d bytes", gate.Type, gate.Shape, len(gate.Data))
	}
	if _, ok := f.Tensor("no"); ok || len(f.Tensors()) != 48 {
		t.Errorf("%d tensors", len(f.Tensors()))
	}
	f32, err := Open(testdata.Path(t, "models/stories260K-f32.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer f32.Close()
	// In F32 and Q4_0 of one model, norms are the same bytes.
	a, _ := f.Tensor("output_norm.weight")
	b, ok := f32.Tensor("output_norm.weight")
	if !ok || !bytes.Equal(a.Data, b.Data) {
		t.Error("output_norm.weight differs")
	}
}

// TestRealFolders opens the Hugging Face folders, and compares the same weights in three precisions and in GGUF.
func TestRealFolders(t *testing.T) {
	t.Parallel()
	root := testdata.Path(t, "golden-hf")
	configs, err := filepath.Glob(filepath.Join(root, "*", "config.json"))
	if err != nil || len(configs) < 20 {
		t.Fatalf("%d folders, %v", len(configs), err)
	}
	for _, config := range configs {
		f, err := Open(filepath.Dir(config))
		if err != nil {
			t.Fatal(err)
		}
		if f.Format != "safetensors" || f.Dir != filepath.Dir(config) || !bytes.Contains(f.Config, []byte("architectures")) || len(f.Tensors()) == 0 {
			t.Errorf("%s: format %q, folder %q, %d tensors", config, f.Format, f.Dir, len(f.Tensors()))
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	f, err := Open(filepath.Join(root, "mistral"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// One shard stands for the model.
	g, err := Open(filepath.Join(root, "mistral", "model-00002-of-00003.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if len(f.maps) != 3 || !slices.EqualFunc(f.Tensors(), g.Tensors(), sameTensor) {
		t.Errorf("%d shards, %d and %d tensors", len(f.maps), len(f.Tensors()), len(g.Tensors()))
	}
	hf, err := Open(filepath.Join(root, "qwen2"))
	if err != nil {
		t.Fatal(err)
	}
	defer hf.Close()
	gguf, err := Open(filepath.Join(root, "gguf", "qwen2-F32.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer gguf.Close()
	a, _ := hf.Tensor("model.embed_tokens.weight")
	b, _ := gguf.Tensor("token_embd.weight")
	if !slices.Equal(a.Shape, b.Shape) || !bytes.Equal(a.Data, b.Data) || len(a.Data) == 0 {
		t.Errorf("the embedding differs: %v and %v", a.Shape, b.Shape)
	}
	trace, err := Open(testdata.Path(t, "golden-hf/llama/trace.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer trace.Close()
	if ids, ok := trace.Tensor("input_ids"); !ok || ids.Type.Supported() || ids.Stored != "I64" || len(ids.Data) != 7*8 {
		t.Errorf("input_ids is %v, stored %q, %d bytes", ids.Type, ids.Stored, len(ids.Data))
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	check := func(name, content string, words ...string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if f != nil || err == nil {
			t.Fatalf("%s was opened", name)
		}
		for _, word := range append(words, name) {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q does not say %q", err, word)
			}
		}
	}
	check("empty.gguf", "", "is empty")
	check("text.gguf", "hello, world", `"hell"`, "GGUF")
	check("torch.bin", "PK\x03\x04", "zip")
	check("old.bin", "lmgg....", "before GGUF")
	check("swapped.gguf", "FUGG....", "big-endian")
	check("lfs.gguf", "version https://git-lfs.github.com/spec/v1\n", "git lfs pull")
	check("short.safetensors", "1234567", "7 bytes")
	if _, err := Open(filepath.Join(dir, "none.gguf")); err == nil || !strings.Contains(err.Error(), "none.gguf") {
		t.Errorf("a missing file gives %v", err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), indexFile) {
		t.Errorf("an empty folder gives %v", err)
	}
	if _, err := OpenBytes("here", nil); err == nil || !strings.Contains(err.Error(), "here") {
		t.Errorf("no bytes give %v", err)
	}
	if _, err := Open(os.DevNull); err == nil || !strings.Contains(err.Error(), "regular") {
		t.Errorf("a device gives %v", err)
	}
}

// After Close the list stays, without bytes, and closing again is nothing.
func TestClose(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.gguf")
	var b bytes.Buffer
	if err := WriteGGUF(&b, nil, []Tensor{{Name: "a", Shape: []int{2}, Data: make([]byte, 8)}}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if a, ok := f.Tensor("a"); !ok || a.Data != nil || fmt.Sprint(a.Shape) != "[2]" {
		t.Errorf("after Close: %+v, %v", a, ok)
	}
}
