package model_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-ai/weir/engine/model"
	"github.com/weir-ai/weir/engine/tensor"
	"github.com/weir-ai/weir/engine/weights"
	"github.com/weir-ai/weir/internal/testdata"
)

// golden is what transformers computed for one tiny model; README.md of golden-hf describes the fields.
type golden struct {
	Cases []goldenCase `json:"cases"`
}

type goldenCase struct {
	InputIDs     []int32        `json:"input_ids"`
	LastLogits   []float32      `json:"last_logits"`
	Top8         [][][2]float64 `json:"top8"` // (positions, 8) of id and log-probability
	Greedy       []int32        `json:"greedy"`
	GreedyMargin []float64      `json:"greedy_margin"`
}

func readGolden(t testing.TB, name string) golden {
	t.Helper()
	var g golden
	if err := json.Unmarshal(testdata.Bytes(t, name), &g); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(g.Cases) == 0 {
		t.Fatalf("%s has no cases", name)
	}
	return g
}

// kernelSets are the sets that this machine can run.
func kernelSets(t testing.TB) map[string]tensor.Set {
	t.Helper()
	sets := map[string]tensor.Set{}
	if best, _, err := tensor.Detect(""); err == nil && raceDetector {
		return map[string]tensor.Set{best.String(): best}
	}
	for _, name := range []string{"go", "avx2", "avx512"} {
		if set, _, err := tensor.Detect(name); err == nil {
			sets[name] = set
		}
	}
	if len(sets) == 0 {
		t.Fatal("no kernel set can run here")
	}
	return sets
}

func newPool(t testing.TB, threads int) *tensor.Pool {
	t.Helper()
	p := tensor.NewPool(threads)
	t.Cleanup(p.Close)
	return p
}

func bestOptions(t testing.TB) model.Options {
	t.Helper()
	set, _, err := tensor.Detect("")
	if err != nil {
		t.Fatal(err)
	}
	return model.Options{Set: set, Pool: newPool(t, 2)}
}

func open(t testing.TB, name string) *weights.File {
	t.Helper()
	f, err := weights.Open(testdata.Path(t, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func load(t testing.TB, f *weights.File, o model.Options) *model.Model {
	t.Helper()
	m, err := model.Load(f, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// sequence feeds one sequence to a model, block ids in order unless given.
type sequence struct {
	t      testing.TB
	m      *model.Model
	cache  *model.Cache
	blocks []int32
	n      int
}

func newSequence(t testing.TB, m *model.Model, positions int) *sequence {
	t.Helper()
	size := m.Options().BlockSize
	n := (positions + size - 1) / size
	s := &sequence{t: t, m: m, cache: m.NewCache(n)}
	for i := range n {
		s.blocks = append(s.blocks, int32(i))
	}
	return s
}

// feed computes the next tokens and returns their logits as want says: (rows, vocab), a copy.
func (s *sequence) feed(tokens []int32, want model.Wanted) [][]float32 {
	s.t.Helper()
	out, err := s.m.Forward(s.cache, []model.Chunk{{Tokens: tokens, Start: s.n, Blocks: s.blocks, Want: want}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.n += len(tokens)
	return rowsOf(out, s.m.Spec().Vocab)
}

func rowsOf(flat []float32, width int) (rows [][]float32) {
	for ; len(flat) > 0; flat = flat[width:] {
		rows = append(rows, append([]float32(nil), flat[:width]...))
	}
	return rows
}

func argmax(x []float32) int32 {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return int32(best)
}

func largest(x []float32) (top float64) {
	for _, v := range x {
		top = math.Max(top, math.Abs(float64(v)))
	}
	return top
}

func distance(a, b []float32) (top float64) {
	for i := range a {
		d := math.Abs(float64(a[i]) - float64(b[i]))
		if !(d <= top) {
			top = d
		}
	}
	return top
}

// logProb is log softmax at id, in float64.
func logProb(logits []float32, id int) float64 {
	top, sum := float64(logits[argmax(logits)]), 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v) - top)
	}
	return float64(logits[id]) - top - math.Log(sum)
}

// checkGolden holds a model against its golden cases; tolerance is relative to the largest logit.
func checkGolden(t *testing.T, m *model.Model, g golden, tolerance float64) {
	t.Helper()
	for _, c := range g.Cases {
		s := newSequence(t, m, len(c.InputIDs)+len(c.Greedy))
		rows := s.feed(c.InputIDs, model.AllLogits)
		last := rows[len(rows)-1]
		bound := tolerance * largest(c.LastLogits)
		if d := distance(last, c.LastLogits); !(d <= bound) {
			t.Errorf("prompt of %d: last logits are %g off; at most %g", len(c.InputIDs), d, bound)
			continue
		}
		for pos, top := range c.Top8 {
			for _, pair := range top {
				if got := logProb(rows[pos], int(pair[0])); !(math.Abs(got-pair[1]) <= 2*bound) {
					t.Errorf("prompt of %d, position %d: log-probability of %d is %.5f; it must be %.5f", len(c.InputIDs), pos, int(pair[0]), got, pair[1])
				}
			}
		}
		for step, want := range c.Greedy {
			if got := argmax(last); got != want {
				t.Errorf("prompt of %d, greedy step %d: token %d; it must be %d", len(c.InputIDs), step, got, want)
				break
			}
			last = s.feed([]int32{want}, model.LastLogits)[0]
		}
	}
}

func TestGoldenFolders(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"llama", "llama-bf16", "llama-f16", "llama3-rope", "llama-bias", "mistral", "qwen2", "qwen3"} {
		for _, config := range []string{"config.json", "config.legacy.json"} {
			t.Run(name+"/"+config, func(t *testing.T) {
				t.Parallel()
				g := readGolden(t, "golden-hf/"+name+"/golden.json")
				f := open(t, "golden-hf/"+name)
				var err error
				if f.Config, err = os.ReadFile(filepath.Join(testdata.Path(t, "golden-hf/"+name), config)); err != nil {
					t.Fatal(err)
				}
				for set, s := range kernelSets(t) {
					t.Run(set, func(t *testing.T) {
						checkGolden(t, load(t, f, model.Options{Set: s, Pool: newPool(t, 1)}), g, 1e-4)
					})
				}
			})
		}
	}
}

var ggufTwins = []string{"llama-F32", "llama-F16", "llama-Q8_0", "llama-Q4_0", "llama3-rope-F16", "qwen2-F32", "qwen2-F16", "qwen2-Q8_0", "qwen3-F32", "qwen3-F16", "qwen3-Q8_0"}

func TestGoldenGGUF(t *testing.T) {
	t.Parallel()
	for _, name := range ggufTwins {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := readGolden(t, "golden-hf/gguf/"+name+".golden.json")
			f := open(t, "golden-hf/gguf/"+name+".gguf")
			for set, s := range kernelSets(t) {
				t.Run(set, func(t *testing.T) {
					checkGolden(t, load(t, f, model.Options{Set: s, Pool: newPool(t, 1), Activations: tensor.ActF32}), g, 1e-4)
				})
			}
		})
	}
}

// TestGoldenInt8 holds int8 activations within 4e-2 of the largest golden logit (and every other position within 1e-1 of what
// f32 activations give: a net against faults, as random weights amplify rounding more at some positions), and lets them choose
// another token only where the margin is smaller than what the errors of two logits can make up.
func TestGoldenInt8(t *testing.T) {
	t.Parallel()
	for _, name := range ggufTwins {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := readGolden(t, "golden-hf/gguf/"+name+".golden.json")
			f := open(t, "golden-hf/gguf/"+name+".gguf")
			for set, k := range kernelSets(t) {
				exact := load(t, f, model.Options{Set: k, Pool: newPool(t, 1), Activations: tensor.ActF32})
				rounded := load(t, f, model.Options{Set: k, Pool: newPool(t, 1), Activations: tensor.ActInt8})
				for _, c := range g.Cases {
					tokens := append(append([]int32(nil), c.InputIDs...), c.Greedy[:len(c.Greedy)-1]...)
					want := newSequence(t, exact, len(tokens)).feed(tokens, model.AllLogits)
					got := newSequence(t, rounded, len(tokens)).feed(tokens, model.AllLogits)
					for i := range got {
						ref, tolerance := want[i], 1e-1
						if i == len(c.InputIDs)-1 {
							ref, tolerance = c.LastLogits, 4e-2
						}
						if d, bound := distance(got[i], ref), tolerance*largest(ref); !(d <= bound) {
							t.Errorf("%s: prompt of %d, position %d: logits are %g off; at most %g", set, len(c.InputIDs), i, d, bound)
						}
					}
					for step, token := range c.Greedy {
						i := len(c.InputIDs) - 1 + step
						if argmax(got[i]) != token && c.GreedyMargin[step] > 2*distance(got[i], want[i]) {
							t.Errorf("%s: prompt of %d, greedy step %d: token %d for %d against a margin of %g", set, len(c.InputIDs), step, argmax(got[i]), token, c.GreedyMargin[step])
						}
					}
				}
			}
		})
	}
}

func TestGoldenStories(t *testing.T) {
	t.Parallel()
	var g struct {
		Results []struct {
			PromptTokens []int32 `json:"prompt_tokens"`
			Tokens       []int32 `json:"tokens"`
			Steps        []struct {
				ID  int32        `json:"id"`
				Top [][2]float64 `json:"top"`
			} `json:"steps"`
		} `json:"results"`
	}
	if err := json.Unmarshal(testdata.Bytes(t, "models/golden-stories260K-f32.json"), &g); err != nil {
		t.Fatal(err)
	}
	f := open(t, "models/stories260K-f32.gguf")
	for set, k := range kernelSets(t) {
		t.Run(set, func(t *testing.T) {
			m := load(t, f, model.Options{Set: k, Pool: newPool(t, 2)})
			for _, r := range g.Results {
				s := newSequence(t, m, len(r.PromptTokens)+len(r.Tokens))
				logits := s.feed(r.PromptTokens, model.LastLogits)[0]
				for i, step := range r.Steps {
					for _, pair := range step.Top {
						if got := logProb(logits, int(pair[0])); !(math.Abs(got-pair[1]) <= 1e-3) {
							t.Errorf("step %d: log-probability of %d is %.6f; it must be %.6f", i, int(pair[0]), got, pair[1])
						}
					}
					if got := argmax(logits); got != step.ID || got != r.Tokens[i] {
						t.Fatalf("step %d: token %d; it must be %d", i, got, step.ID)
					}
					logits = s.feed([]int32{step.ID}, model.LastLogits)[0]
				}
			}
		})
	}
}
