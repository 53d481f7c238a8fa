package train

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// copySource is the smallest task with something to learn across places: repeat the four symbols before the mark.
type copySource struct{ count int }

func (s copySource) Next(_ int, r *rand.Rand) []Example {
	const mark = 0
	out := make([]Example, s.count)
	for i := range out {
		var e Example
		for range 4 {
			e.Tokens = append(e.Tokens, int32(1+r.IntN(8)))
		}
		e.Tokens = append(append(e.Tokens, mark), e.Tokens...)
		e.Loss = append(make([]bool, 5), true, true, true, true)
		out[i] = e
	}
	return out
}

func tiny() Config {
	return Config{Shape: Shape{Vocab: 9, Dim: 32, Layers: 2, Heads: 4, KVHeads: 2, Hidden: 48, Context: 16, Tied: true}, Steps: 12, Seed: 3, Data: "copy", Threads: 2}
}

func train(t *testing.T, cfg Config, src Source) *Trainer {
	t.Helper()
	tr, err := Resume(cfg, src)
	if err != nil {
		t.Fatal(err)
	}
	tr.limit = 40 // several batches a step
	if err := tr.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestLearnsToCopy(t *testing.T) {
	t.Parallel()
	cfg := tiny()
	cfg.Steps, cfg.Rate = 500, 4e-3
	src := copySource{32}
	var last Progress
	tr, err := New(cfg, src)
	if err != nil {
		t.Fatal(err)
	}
	unseen := src.Next(0, rand.New(rand.NewPCG(99, 99)))
	before, err := tr.Loss(unseen)
	if err != nil || math.Abs(before-math.Log(9)) > 0.2 {
		t.Fatalf("fresh weights have loss %v (%v), want about ln 9", before, err)
	}
	if err := tr.Run(t.Context(), func(p Progress) { last = p }); err != nil {
		t.Fatal(err)
	}
	after, err := tr.Loss(unseen)
	if err != nil || after > 0.05 {
		t.Fatalf("after %d steps the loss on unseen examples is %v (%v)", tr.Step(), after, err)
	}
	if last.Step != cfg.Steps || last.Left != 0 || last.Tokens != int64(cfg.Steps*32*9) || !(last.Loss > 0) {
		t.Fatalf("the last report is %+v", last)
	}
}

// The same seed gives the same weights bit for bit with any number of threads.
func TestThreadsDoNotMatter(t *testing.T) {
	t.Parallel()
	var first []float32
	for _, threads := range []int{1, 2, 3, 5} {
		cfg := tiny()
		cfg.Threads = threads
		w := train(t, cfg, copySource{20}).net.weights
		if first == nil {
			first = w
		} else if !slices.Equal(w, first) {
			t.Fatalf("%d threads give other weights than one", threads)
		}
	}
	cfg := tiny()
	cfg.Seed++
	if slices.Equal(train(t, cfg, copySource{20}).net.weights, first) {
		t.Fatal("another seed gives the same weights")
	}
}

// stopAfter ends a run from within its data, after some steps were drawn.
type stopAfter struct {
	copySource
	step int
	stop context.CancelFunc
}

func (s stopAfter) Next(step int, r *rand.Rand) []Example {
	if step == s.step {
		s.stop()
	}
	return s.copySource.Next(step, r)
}

func TestResumeEqualsUninterrupted(t *testing.T) {
	t.Parallel()
	whole := train(t, tiny(), copySource{20})
	cfg := tiny()
	cfg.Dir = filepath.Join(t.TempDir(), "new")
	for _, at := range []int{3, 7} {
		ctx, stop := context.WithCancel(t.Context())
		tr, err := Resume(cfg, stopAfter{copySource{20}, at, stop})
		if err != nil {
			t.Fatal(err)
		}
		tr.limit = 40
		if err := tr.Run(ctx, nil); !errors.Is(err, context.Canceled) {
			t.Fatalf("a stopped run returns %v", err)
		}
		if tr.Step() == 0 || tr.Step() >= cfg.Steps {
			t.Fatalf("stopped after %d steps", tr.Step())
		}
	}
	resumed := train(t, cfg, copySource{20})
	if resumed.Step() != cfg.Steps || resumed.tokens != whole.tokens {
		t.Fatalf("resumed to step %d with %d tokens, the whole run read %d", resumed.Step(), resumed.tokens, whole.tokens)
	}
	for i, name := range []string{"weights", "means", "variances"} {
		if !slices.Equal(resumed.arrays()[i], whole.arrays()[i]) {
			t.Errorf("%s of the resumed run differ", name)
		}
	}
	// Run in two calls of one trainer is the same too.
	ctx, stop := context.WithCancel(t.Context())
	tr, err := New(tiny(), stopAfter{copySource{20}, 5, stop})
	if err != nil {
		t.Fatal(err)
	}
	tr.limit = 40
	_ = tr.Run(ctx, nil)
	if err := tr.Run(t.Context(), nil); err != nil || !slices.Equal(tr.net.weights, whole.net.weights) {
		t.Errorf("a run in two calls differs (%v)", err)
	}
	left, err := os.ReadDir(cfg.Dir)
	if err != nil || len(left) != 1 {
		t.Errorf("the folder holds %v (%v), want the checkpoint alone", left, err)
	}
}

func TestCheckpointRefusals(t *testing.T) {
	t.Parallel()
	cfg := tiny()
	cfg.Dir = t.TempDir()
	tr := train(t, cfg, copySource{4})
	path := tr.path()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name, want string, cfg Config, file []byte) {
		t.Helper()
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Resume(cfg, copySource{4}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", name, err, want)
		}
	}
	change := func(f func(*Config)) Config {
		c := cfg
		f(&c)
		return c
	}
	refused("hidden", "made with hidden 48, this run has 64", change(func(c *Config) { c.Hidden = 64 }), good)
	refused("rate", "made with rate 0.002, this run has 0.001", change(func(c *Config) { c.Rate = 1e-3 }), good)
	refused("data", "made with data copy, this run has other", change(func(c *Config) { c.Data = "other" }), good)
	refused("seed", "made with seed 3", change(func(c *Config) { c.Seed = 4 }), good)
	refused("empty", "not a checkpoint", cfg, nil)
	refused("other file", "not a checkpoint", cfg, []byte("GGUF and something else"))
	refused("cut in the head", "cut short", cfg, good[:40])
	refused("cut in the arrays", "cut short", cfg, good[:len(good)/2])
	refused("cut at the end", "checksum", cfg, good[:len(good)-1])
	refused("longer", "checksum", cfg, append(slices.Clone(good), 0))
	bent := slices.Clone(good)
	bent[len(bent)/2] ^= 1
	refused("one bit", "damaged", cfg, bent)
	bent = slices.Clone(good)
	bent[11] = 0xff
	refused("huge head", "claims", cfg, bent)
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	back, err := Resume(cfg, copySource{4})
	if err != nil || !slices.Equal(back.net.weights, tr.net.weights) || back.Step() != cfg.Steps {
		t.Errorf("the good file: %v", err)
	}
	blocked := change(func(c *Config) { c.Dir = filepath.Join(path, "below a file") })
	if fresh, err := New(blocked, copySource{4}); err != nil {
		t.Error(err)
	} else if err := fresh.Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "checkpoint") {
		t.Errorf("a folder that cannot be made gives %v", err)
	}
}

func FuzzCheckpoint(f *testing.F) {
	cfg := tiny()
	tr, err := New(cfg, copySource{4})
	if err != nil {
		f.Fatal(err)
	}
	var good strings.Builder
	if err := tr.encode(&good); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(good.String()))
	f.Add([]byte(good.String()[:200]))
	f.Add([]byte(checkpointMagic + "\x10\x00\x00\x00{\"step\":1}      "))
	f.Fuzz(func(t *testing.T, file []byte) {
		tr, err := New(cfg, copySource{4})
		if err != nil {
			t.Fatal(err)
		}
		before := slices.Clone(tr.net.weights)
		if err := tr.decode(strings.NewReader(string(file))); err != nil && !slices.Equal(before, tr.net.weights) {
			t.Fatal("a refused checkpoint changed the weights")
		}
	})
}

func TestBadConfigs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want string
		f    func(*Config)
	}{
		{"vocab is 0", func(c *Config) { c.Vocab = 0 }},
		{"dim 32 is not a multiple of heads 5", func(c *Config) { c.Heads = 5 }},
		{"heads 4 is not a multiple of kv heads 3", func(c *Config) { c.KVHeads = 3 }},
		{"a head is 1 wide", func(c *Config) { c.Heads, c.KVHeads = 32, 32 }},
		{"layers is -1", func(c *Config) { c.Layers = -1 }},
		{"context is 9999999", func(c *Config) { c.Context = 9999999 }},
		{"parameters", func(c *Config) { c.Vocab, c.Dim = 1<<20, 1024 }},
		{"steps is 0", func(c *Config) { c.Steps = 0 }},
		{"warmup is 13", func(c *Config) { c.Warmup = 13 }},
		{"rate is -1", func(c *Config) { c.Rate = -1 }},
		{"rate is NaN", func(c *Config) { c.Rate = float32(math.NaN()) }},
		{"beta1 is 1", func(c *Config) { c.Beta1 = 1 }},
		{"beta2 is -0.5", func(c *Config) { c.Beta2 = -0.5 }},
		{"threads is -1", func(c *Config) { c.Threads = -1 }},
		{"save every is -1", func(c *Config) { c.SaveEvery = -1 }},
		{"unknown kernel set", func(c *Config) { c.Kernels = "mmx" }},
	} {
		cfg := tiny()
		c.f(&cfg)
		if _, err := New(cfg, copySource{1}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}

// given is a source of the same examples at every step.
type given []Example

func (g given) Next(int, *rand.Rand) []Example { return g }

func TestBadExamples(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want string
		e    Example
	}{
		{"2 tokens but 1 loss", Example{[]int32{1, 2}, []bool{false}}},
		{"token 1 is 9; the vocabulary has 9", Example{[]int32{1, 9}, []bool{false, true}}},
		{"token 0 is -1", Example{[]int32{-1, 2}, []bool{false, true}}},
		{"17 tokens; the context holds 16", Example{make([]int32, 17), make([]bool, 17)}},
		{"first token", Example{[]int32{1, 2}, []bool{true, true}}},
		{"without a token that counts", Example{[]int32{1, 2}, []bool{false, false}}},
		{"without a token that counts", Example{}},
	} {
		tr, err := New(tiny(), given{c.e})
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
		if tr.Step() != 0 {
			t.Errorf("a bad example counts as a step")
		}
	}
}

func TestDivergenceIsAnError(t *testing.T) {
	t.Parallel()
	tr, err := New(tiny(), copySource{4})
	if err != nil {
		t.Fatal(err)
	}
	tr.net.weights[5] = float32(math.Inf(1))
	if err := tr.Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "lower the rate") {
		t.Fatalf("infinite weights give %v", err)
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	cfg := Config{Steps: 1000, Warmup: 100, Rate: 1, Final: 0.1}
	for step, want := range map[int]float64{0: 0.01, 99: 1, 100: 1, 550: 0.55, 1000: 0.1} {
		if got := cfg.rate(step); math.Abs(got-want) > 1e-6 {
			t.Errorf("step %d has rate %v, want %v", step, got, want)
		}
	}
}

// Tensors have GGUF's names and cover all weights once.
func TestTensors(t *testing.T) {
	t.Parallel()
	cfg := tiny()
	cfg.Tied = false
	tr, err := New(cfg, copySource{4})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	total := 0
	for _, n := range tr.Tensors() {
		size := 1
		for _, d := range n.Shape {
			size *= d
		}
		if size != len(n.Data) {
			t.Errorf("%s of shape %v has %d values", n.Name, n.Shape, len(n.Data))
		}
		total += size
		if !strings.HasPrefix(n.Name, "blk.1.") {
			names = append(names, n.Name)
		}
	}
	want := []string{"token_embd.weight", "blk.0.attn_norm.weight", "blk.0.attn_q.weight", "blk.0.attn_k.weight", "blk.0.attn_v.weight", "blk.0.attn_output.weight",
		"blk.0.ffn_norm.weight", "blk.0.ffn_gate.weight", "blk.0.ffn_up.weight", "blk.0.ffn_down.weight", "output_norm.weight", "output.weight"}
	if !slices.Equal(names, want) {
		t.Errorf("names %v", names)
	}
	if total != cfg.Params() || total != tr.net.layout.size {
		t.Errorf("%d values in tensors, %d in the layout, %d by the shape", total, tr.net.layout.size, cfg.Params())
	}
}
