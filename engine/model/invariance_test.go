package model_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/weir-ai/weir/engine/model"
	"github.com/weir-ai/weir/engine/tensor"
)

// schedule is how a set of sequences is cut into passes.
type schedule struct {
	threads, blockSize, maxTokens int
	chunk                         int  // tokens a pass and sequence; 0 means all, -1 random
	together                      bool // all sequences share passes, else one after another
	shuffle                       bool // block ids in random order
}

func (s schedule) String() string {
	return fmt.Sprintf("threads=%d,block=%d,max=%d,chunk=%d,together=%v,shuffle=%v", s.threads, s.blockSize, s.maxTokens, s.chunk, s.together, s.shuffle)
}

// run computes all prompts under a schedule and returns the logits of every position: (prompts, positions, vocab).
func (s schedule) run(t *testing.T, m *model.Model, prompts [][]int32, rng *rand.Rand) [][][]float32 {
	t.Helper()
	blocks, total := make([][]int32, len(prompts)), 0
	for i, p := range prompts {
		n := (len(p) + s.blockSize - 1) / s.blockSize
		blocks[i] = make([]int32, n)
		for j := range blocks[i] {
			blocks[i][j] = int32(total)
			total++
		}
	}
	if s.shuffle {
		order := rng.Perm(total)
		for i := range blocks {
			for j := range blocks[i] {
				blocks[i][j] = int32(order[blocks[i][j]])
			}
		}
	}
	cache := m.NewCache(total)
	out, done := make([][][]float32, len(prompts)), make([]int, len(prompts))
	step := func(which []int) {
		var chunks []model.Chunk
		var owners []int
		for _, i := range which {
			n := len(prompts[i]) - done[i]
			if s.chunk > 0 {
				n = min(n, s.chunk)
			} else if s.chunk < 0 && n > 0 {
				n = 1 + rng.IntN(n)
			}
			if n > 0 {
				chunks = append(chunks, model.Chunk{Tokens: prompts[i][done[i] : done[i]+n], Start: done[i], Blocks: blocks[i], Want: model.AllLogits})
				owners = append(owners, i)
			}
		}
		logits, err := m.Forward(cache, chunks)
		if err != nil {
			t.Fatal(err)
		}
		rows := rowsOf(logits, m.Spec().Vocab)
		for j, i := range owners {
			n := len(chunks[j].Tokens)
			out[i], rows, done[i] = append(out[i], rows[:n]...), rows[n:], done[i]+n
		}
	}
	if s.together {
		all := rng.Perm(len(prompts))
		for {
			left := false
			for i := range prompts {
				left = left || done[i] < len(prompts[i])
			}
			if !left {
				return out
			}
			step(all)
		}
	}
	for i := range prompts {
		for done[i] < len(prompts[i]) {
			step([]int{i})
		}
	}
	return out
}

func sameBits(a, b [][][]float32) error {
	for i := range a {
		for pos := range a[i] {
			for j, v := range a[i][pos] {
				if math.Float32bits(v) != math.Float32bits(b[i][pos][j]) {
					return fmt.Errorf("prompt %d, position %d, logit %d: %v and %v", i, pos, j, v, b[i][pos][j])
				}
			}
		}
	}
	return nil
}

// TestBatchInvariance is the rule of the package: no schedule changes a bit.
func TestBatchInvariance(t *testing.T) {
	t.Parallel()
	const seed = 20
	schedules := []schedule{
		{threads: 1, blockSize: 16, chunk: 1},
		{threads: 2, blockSize: 4, chunk: 3, shuffle: true},
		{threads: 1, blockSize: 32, chunk: 7, shuffle: true, together: true},
		{threads: 2, blockSize: 16, chunk: 0, together: true},
		{threads: 2, blockSize: 1, chunk: 0},
		{threads: 1, blockSize: 5, chunk: 40, maxTokens: 13, together: true},
		{threads: 2, blockSize: 4, chunk: -1, together: true, shuffle: true},
		{threads: 2, blockSize: 32, chunk: -1, together: true, maxTokens: 33},
	}
	prompts := func(rng *rand.Rand, vocab int) (ps [][]int32) {
		for _, n := range []int{1, 7, 33, 90, 17, 2, 65} {
			p := make([]int32, n)
			for i := range p {
				p[i] = int32(rng.IntN(vocab))
			}
			ps = append(ps, p)
		}
		return ps
	}
	check := func(name string, kv model.KVType, act tensor.Activations) {
		t.Run(fmt.Sprintf("%s/kv %s/act %s", name, kv, act), func(t *testing.T) {
			t.Parallel()
			f := open(t, name)
			for set, k := range kernelSets(t) {
				var reference [][][]float32
				for j, s := range schedules {
					m := load(t, f, model.Options{Set: k, Pool: newPool(t, s.threads), KV: kv, BlockSize: s.blockSize, MaxTokens: s.maxTokens, Activations: act})
					got := s.run(t, m, prompts(rand.New(rand.NewPCG(seed, 0)), m.Spec().Vocab), rand.New(rand.NewPCG(seed, uint64(j))))
					if reference == nil {
						reference = got
					} else if err := sameBits(reference, got); err != nil {
						t.Errorf("%s, %s against %s: %v", set, s, schedules[0], err)
					}
				}
			}
		})
	}
	check("golden-hf/llama-bias", model.KVInt8, tensor.ActF32)
	check("golden-hf/mistral", model.KVF32, tensor.ActF32)
	check("golden-hf/mistral", model.KVF16, tensor.ActF32)
	check("golden-hf/mistral", model.KVInt8, tensor.ActF32)
	check("golden-hf/llama-f16", model.KVF16, tensor.ActF32)
	check("golden-hf/gguf/qwen2-Q8_0.gguf", model.KVF32, tensor.ActInt8)
	check("golden-hf/gguf/qwen2-Q8_0.gguf", model.KVInt8, tensor.ActF32)
	check("golden-hf/gguf/qwen3-F16.gguf", model.KVInt8, tensor.ActF32)
	check("golden-hf/gguf/llama-Q4_0.gguf", model.KVF16, tensor.ActInt8)
	check("golden-hf/gguf/llama-Q4_0.gguf", model.KVF32, tensor.ActF32)
	check("models/stories260K-Q4_0.gguf", model.KVF32, tensor.ActInt8)
	check("models/stories260K-f32.gguf", model.KVF32, tensor.ActF32)
}

// TestKVTypes holds what F16 and Int8 caches cost on models of random weights, which are more sensitive than trained ones.
func TestKVTypes(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"llama", "mistral", "qwen2", "qwen3"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, o := open(t, "golden-hf/"+name), bestOptions(t)
			tokens := readGolden(t, "golden-hf/"+name+"/golden.json").Cases[3].InputIDs
			exact := newSequence(t, load(t, f, o), len(tokens)).feed(tokens, model.AllLogits)
			for kv, bound := range map[model.KVType]float64{model.KVF16: 4e-3, model.KVInt8: 6e-2} {
				o.KV = kv
				got := newSequence(t, load(t, f, o), len(tokens)).feed(tokens, model.AllLogits)
				worst := 0.0
				for i := range got {
					worst = math.Max(worst, distance(got[i], exact[i])/largest(exact[i]))
				}
				t.Logf("kv %s: %.2g of the largest logit", kv, worst)
				if !(worst <= bound) || worst == 0 {
					t.Errorf("kv %s moves logits by %g of the largest; more than 0 and at most %g", kv, worst, bound)
				}
			}
		})
	}
}

// TestCopyBlock continues a sequence from copied blocks.
func TestCopyBlock(t *testing.T) {
	t.Parallel()
	for _, kv := range []model.KVType{model.KVF32, model.KVF16, model.KVInt8} {
		o := bestOptions(t)
		o.KV, o.BlockSize = kv, 4
		m := load(t, open(t, "golden-hf/llama"), o)
		cache := m.NewCache(8)
		tokens := []int32{5, 6, 7, 8, 9, 10, 11}
		forward := func(tokens []int32, start int, blocks []int32) []float32 {
			logits, err := m.Forward(cache, []model.Chunk{{Tokens: tokens, Start: start, Blocks: blocks, Want: model.LastLogits}})
			if err != nil {
				t.Fatal(err)
			}
			return append([]float32(nil), logits...)
		}
		forward(tokens[:6], 0, []int32{2, 3})
		cache.Copy(6, 3)
		want := forward(tokens[6:], 6, []int32{2, 3})
		got := forward(tokens[6:], 6, []int32{2, 6})
		if d := distance(got, want); d != 0 {
			t.Errorf("kv %s: logits from a copied block are %g off", kv, d)
		}
	}
}

// TestNothingAllocated holds the per-token path to no allocation in steady state.
func TestNothingAllocated(t *testing.T) {
	o := bestOptions(t)
	for _, name := range []string{"models/stories260K-Q8_0.gguf", "models/stories260K-f32.gguf", "golden-hf/qwen3"} {
		for _, kv := range []model.KVType{model.KVF32, model.KVF16, model.KVInt8} {
			o.KV = kv
			m := load(t, open(t, name), o)
			cache := m.NewCache(16)
			prompt := []model.Chunk{{Tokens: make([]int32, 40), Blocks: []int32{0, 1, 2, 3}, Want: model.LastLogits}}
			step := []model.Chunk{
				{Tokens: []int32{3}, Start: 40, Blocks: []int32{0, 1, 2, 3}, Want: model.LastLogits},
				{Tokens: []int32{4, 5, 6, 7, 8, 9, 10}, Start: 0, Blocks: []int32{4}, Want: model.NoLogits},
			}
			if _, err := m.Forward(cache, prompt); err != nil {
				t.Fatal(err)
			}
			n := testing.AllocsPerRun(20, func() {
				if _, err := m.Forward(cache, step); err != nil {
					t.Fatal(err)
				}
			})
			if n > 0 {
				t.Errorf("%s, kv %s: a step allocates %v times", name, kv, n)
			}
		}
	}
}
