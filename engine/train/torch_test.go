package train

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/weir-ai/weir/engine/tensor"
)

// torchCase is what torch/speed.py reads: a run's configuration without zeros, and its batches.
type torchCase struct {
	Config  Config
	Steps   [][]Example
	Layouts []string `json:",omitempty"` // of `speed.py check`
}

// Next goes through the steps again and again.
func (c *torchCase) Next(step int, _ *rand.Rand) []Example { return c.Steps[step%len(c.Steps)] }

// torchPython finds an interpreter with PyTorch: the one that WEIR_PYTHON names, or python3. Without one the test skips, also in
// CI: PyTorch is gigabytes, and the gradient is checked against float64 slopes without it.
func torchPython(t *testing.T) string {
	t.Helper()
	name := os.Getenv("WEIR_PYTHON")
	if name == "" {
		name = "python3"
	}
	python, err := exec.LookPath(name)
	if err == nil {
		// Looking for them is instant; importing takes seconds, which speed.py spends anyway.
		err = exec.CommandContext(t.Context(), python, "-c", "import importlib.util as i; assert i.find_spec('numpy') and i.find_spec('torch')").Run()
	}
	if err != nil {
		t.Skipf("%s cannot import torch and numpy (%v): make a virtual environment (python3 -m venv v && v/bin/pip install torch numpy) and set WEIR_PYTHON to the absolute path of its bin/python", name, err)
	}
	return python
}

// TestTorchAgrees trains the same weights on the same batches here and in PyTorch, in every layout of torch/llama.py: the same
// losses, the same gradient, and after AdamW's steps the same weights.
func TestTorchAgrees(t *testing.T) {
	t.Parallel()
	python := torchPython(t)
	c := torchCase{Layouts: []string{"padded", "packed", "packed-40", "ragged-3"}}
	c.Config = Config{Shape: Shape{Vocab: 31, Dim: 32, Layers: 3, Heads: 4, KVHeads: 4, Hidden: 48, Context: 64, Tied: true}, Steps: 6, Warmup: 2, Clip: 0.5}.withDefaults()
	r := rand.New(rand.NewPCG(11, 0))
	for range 4 {
		c.Steps = append(c.Steps, randomExamples(r, 9, 60, c.Config.Vocab))
	}
	set, _, err := tensor.Detect("")
	if err != nil {
		t.Fatal(err)
	}
	n := shaken(c.Config.Shape, set, 7)
	begin := append([]float32(nil), n.weights...)
	dir := t.TempDir()
	writeFloats(t, filepath.Join(dir, "weights.f32"), begin)
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "case.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	gradient(t, n, c.Steps[0], batchTokens)
	slopes := append([]float32(nil), n.grads...)
	clear(n.grads)
	losses := torchSteps(t, n, &c)

	command := exec.CommandContext(t.Context(), python, filepath.Join("torch", "speed.py"), "check", dir)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("speed.py check: %v", err)
	}
	var theirs map[string][]float64
	if err := json.Unmarshal(out, &theirs); err != nil {
		t.Fatalf("speed.py check printed %q: %v", out, err)
	}
	for _, layout := range c.Layouts {
		if len(theirs[layout]) != len(losses) {
			t.Fatalf("%s: %d losses, want %d", layout, len(theirs[layout]), len(losses))
		}
		for i, want := range losses {
			if got := theirs[layout][i]; math.Abs(got-want) > 1e-5*want {
				t.Errorf("%s: the loss of step %d is %v in PyTorch and %v here", layout, i, got, want)
			}
		}
		if far, where := farthest(n.layout, readFloats(t, filepath.Join(dir, layout+".gradient.f32")), slopes); far > 5e-5 {
			t.Errorf("%s: the gradient of %s is %.2g of its length away from PyTorch's", layout, where, far)
		}
		// What the steps moved, not where they led: the first weights would hide a wrong step.
		theirMoved := minus(readFloats(t, filepath.Join(dir, layout+".weights.f32")), begin)
		if far, where := farthest(n.layout, theirMoved, minus(n.weights, begin)); far > 1e-3 {
			t.Errorf("%s: AdamW moved %s by %.2g of its way otherwise than PyTorch's", layout, where, far)
		}
	}
}

// torchSteps trains n through the case's steps and gives their losses.
func torchSteps(t *testing.T, n *net, c *torchCase) (losses []float64) {
	t.Helper()
	tr := &Trainer{cfg: c.Config, src: c, net: n, opt: newOptimizer(n.layout), limit: batchTokens}
	for i := range c.Steps {
		loss, norm, err := tr.one(tr.draw(i))
		if err != nil {
			t.Fatal(err)
		}
		if norm <= float64(c.Config.Clip) {
			t.Fatalf("the gradient's norm is %v; only one above %v tests the bound", norm, c.Config.Clip)
		}
		losses = append(losses, loss)
	}
	return losses
}

// farthest is the tensor of which a and b are farthest apart: the length of a-b over that of b.
func farthest(l layout, a, b []float32) (far float64, name string) {
	far = -1
	for _, p := range l.params {
		var gap, all float64
		for i := p.at; i < p.at+p.size(); i++ {
			gap += math.Pow(float64(a[i])-float64(b[i]), 2)
			all += math.Pow(float64(b[i]), 2)
		}
		d := math.Sqrt(gap / all)
		if math.IsNaN(d) {
			d = math.Inf(1) // not comparable, so it must not pass as small
		}
		if d > far {
			far, name = d, p.name
		}
	}
	return far, name
}

func minus(a, b []float32) []float32 {
	out := make([]float32, len(a))
	for i := range a {
		out[i] = a[i] - b[i]
	}
	return out
}

func writeFloats(t *testing.T, file string, values []float32) {
	t.Helper()
	text, err := binary.Append(nil, binary.LittleEndian, values)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFloats(t *testing.T, file string) []float32 {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float32, len(text)/4)
	if _, err := binary.Decode(text, binary.LittleEndian, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// BenchmarkBatches trains on the batches that torch/speed.py reads. Run packs the next step beside the current one; here packing
// is part of the step and of its time.
func BenchmarkBatches(b *testing.B) {
	file := os.Getenv("WEIR_BATCHES")
	if file == "" {
		b.Skip("set WEIR_BATCHES to a file of batches; torch/README.md says how to write it")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	var c torchCase
	if err := json.Unmarshal(text, &c); err != nil {
		b.Fatalf("%s: %v", file, err)
	}
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads%d", threads), func(b *testing.B) {
			cfg := c.Config
			cfg.Threads = threads
			tr, err := New(cfg, &c)
			if err != nil {
				b.Fatal(err)
			}
			pool := tensor.NewPool(threads)
			defer pool.Close()
			tr.net.use(pool)
			step := func() {
				if _, _, err := tr.one(tr.draw(tr.step)); err != nil {
					b.Fatal(err)
				}
			}
			for range 3 { // the arrays grow
				step()
			}
			before := tr.tokens
			for b.Loop() {
				step()
			}
			b.ReportMetric(float64(tr.tokens-before)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
