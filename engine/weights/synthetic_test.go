package weights

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/weir-ai/weir/engine/tensor"
)

var tiny = size{"tiny", 64, 2, 4, 2, 96, 512}

// wide has rows of whole Q4_K blocks but for the last matrix, where tiny has none.
var wide = size{"wide", 256, 1, 4, 2, 96, 512}

// A synthetic model is a valid GGUF file: written, it is read back equal.
func TestSyntheticIsGGUF(t *testing.T) {
	t.Parallel()
	for _, kind := range []tensor.Type{tensor.Q8_0, tensor.Q4_0, tensor.Q4_K, tensor.F16} {
		f, err := synthesize(tiny, kind, 1)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := WriteGGUF(&out, tiny.meta(), f.Tensors()); err != nil {
			t.Fatal(err)
		}
		g, err := OpenBytes("g", out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(f.Tensors(), g.Tensors(), sameTensor) || len(f.Meta) != len(g.Meta) {
			t.Errorf("%v: not read back equal", kind)
		}
		if len(f.Tensors()) != 2+9*2 {
			t.Errorf("%d tensors", len(f.Tensors()))
		}
	}
}

// Values have mean 0 and the deviation of fresh weights; gains are about 1. The same seed gives the same bytes, another others.
func TestSyntheticValues(t *testing.T) {
	t.Parallel()
	for _, kind := range []tensor.Type{tensor.Q8_0, tensor.Q4_0, tensor.Q4_K, tensor.F16} {
		f, err := synthesize(wide, kind, 7)
		if err != nil {
			t.Fatal(err)
		}
		same, _ := synthesize(wide, kind, 7)
		other, _ := synthesize(wide, kind, 8)
		for i, x := range f.Tensors() {
			if !sameTensor(x, same.Tensors()[i]) || sameTensor(x, other.Tensors()[i]) {
				t.Errorf("%v %s: the seed does not decide the bytes", kind, x.Name)
			}
			if i > 0 && bytes.Equal(x.Data, f.Tensors()[i-1].Data) {
				t.Errorf("%v %s has the bytes of the tensor before", kind, x.Name)
			}
			v := make([]float32, elements(x.Shape))
			if err := tensor.Dequantize(x.Type, v, x.Data); err != nil {
				t.Fatal(err)
			}
			var sum, square float64
			for _, n := range v {
				sum += float64(n)
				square += float64(n) * float64(n)
			}
			mean, deviation := sum/float64(len(v)), math.Sqrt(square/float64(len(v)))
			if x.Type == tensor.F32 {
				if mean < 1 || mean > 1.125 {
					t.Errorf("%s: mean %g", x.Name, mean)
				}
			} else if math.Abs(mean) > 0.002 || deviation < 0.015 || deviation > 0.03 {
				t.Errorf("%v %s: mean %g, deviation %g", kind, x.Name, mean, deviation)
			}
		}
	}
}

func TestSyntheticTypesFollowTheRows(t *testing.T) {
	t.Parallel()
	check := func(s size, asked tensor.Type, name string, want tensor.Type) {
		t.Helper()
		f, err := synthesize(s, asked, 1)
		if err != nil {
			t.Fatal(err)
		}
		if x, ok := f.Tensor(name); !ok || x.Type != want {
			t.Errorf("%s of %s in %s is %s", name, s.name, asked, x.Type)
		}
	}
	check(wide, tensor.Q4_K, "token_embd.weight", tensor.Q4_K)
	check(wide, tensor.Q4_K, "blk.0.ffn_up.weight", tensor.Q4_K)
	check(wide, tensor.Q4_K, "blk.0.ffn_down.weight", tensor.Q5_0)
	check(wide, tensor.Q4_K, "blk.0.ffn_norm.weight", tensor.F32)
	check(tiny, tensor.Q4_K, "token_embd.weight", tensor.Q5_0)
	check(tiny, tensor.Q4_0, "blk.0.ffn_down.weight", tensor.Q4_0)
	if _, err := synthesize(tiny, tensor.Q5_0, 1); err == nil {
		t.Error("Q5_0 by itself is made")
	}
}

func TestSyntheticVocabulary(t *testing.T) {
	t.Parallel()
	tokens, types := tiny.vocabulary()
	seen := map[string]bool{}
	for _, s := range tokens {
		seen[s] = true
	}
	if len(tokens) != tiny.vocab || len(types) != tiny.vocab || len(seen) != tiny.vocab {
		t.Fatalf("%d tokens, %d types, %d different", len(tokens), len(types), len(seen))
	}
	for b, want := range map[int]string{0: "Ā", ' ': "Ġ", '\n': "Ċ", 'a': "a", 0x7f: "ġ", 0xad: "Ń", 0xff: "ÿ"} {
		if tokens[3+b] != want {
			t.Errorf("byte %d is %q, want %q", b, tokens[3+b], want)
		}
	}
	for _, m := range syntheticMerges() {
		a, b, _ := strings.Cut(m, " ")
		if !seen[a] || !seen[b] || !seen[a+b] {
			t.Errorf("merge %q has parts outside the vocabulary", m)
		}
	}
}

// The shapes have the parameters that their names promise, with the smaller vocabulary where that is so.
func TestSyntheticShapes(t *testing.T) {
	t.Parallel()
	want := map[string]uint64{"tiny": 94528, "135m": 134515008, "0.5b": 401910656, "1.2b": 1073809408}
	for _, s := range syntheticSizes() {
		n := uint64(0)
		for _, x := range s.tensors(tensor.Q8_0) {
			n += elements(x.Shape)
		}
		if n != want[s.name] {
			t.Errorf("%s has %d parameters, want %d", s.name, n, want[s.name])
		}
	}
	if !slices.Equal(SyntheticShapes(), []string{"tiny", "135m", "0.5b", "1.2b"}) {
		t.Error(SyntheticShapes())
	}
	if _, err := Synthetic("7b", tensor.Q8_0, 1); err == nil || !strings.Contains(err.Error(), "135m, 0.5b, 1.2b") {
		t.Errorf("an unknown shape gives %v", err)
	}
	if _, err := Synthetic("135m", tensor.Q6_K, 1); err == nil || !strings.Contains(err.Error(), "Q6_K") {
		t.Errorf("an unsupported type gives %v", err)
	}
}

func BenchmarkSynthetic(b *testing.B) {
	for _, kind := range []tensor.Type{tensor.Q8_0, tensor.Q4_0, tensor.F16} {
		b.Run(kind.String(), func(b *testing.B) {
			for b.Loop() {
				f, err := Synthetic("135m", kind, 1)
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				for _, x := range f.Tensors() {
					n += len(x.Data)
				}
				b.SetBytes(int64(n))
			}
		})
	}
}
