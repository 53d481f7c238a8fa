package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-ai/weir/engine/tensor"
	"github.com/weir-ai/weir/mini"
)

func TestBenchMeasuresTheEngine(t *testing.T) {
	t.Parallel()
	r := decode[benchResult](t, weir(t, "", "bench", "tiny", "--json", "--repeat", "2", "--prompt", "64", "--depth", "20", "--generate", "8", "--batch", "1,3", "--threads", "1").ok(t))
	if r.Model != "tiny" || r.Type != "Q8_0" || r.Threads != 1 || r.KV != "f16" || r.Activations != "int8" || r.Kernels == "" || r.Parameters < 10_000 || r.ReadPerToken < 10_000 {
		t.Errorf("%+v", r)
	}
	figures := []figure{r.Reading, r.Prefill}
	if len(r.Decode) != 2 || r.Decode[0].Sequences != 1 || r.Decode[1].Sequences != 3 {
		t.Fatalf("decode is %+v", r.Decode)
	}
	for _, f := range append(figures, r.Decode[0].figure, r.Decode[1].figure) {
		if len(f.Rounds) != 2 || f.Rounds[0] <= 0 || f.Rounds[1] <= 0 || f.Median != (f.Rounds[0]+f.Rounds[1])/2 {
			t.Errorf("a figure is %+v", f)
		}
	}
	text := weir(t, "", "bench", tiny(t), "--repeat", "1", "--prompt", "700", "--depth", "1", "--generate", "1", "--batch", "40", "--kv", "int8", "--activations", "f32").ok(t)
	for _, want := range []string{"tiny.gguf  llama", "f32 activations, int8 KV cache", "prefill of 700 ", "decode of 40 ", "for each answer", "reading ", "GB/s"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestBenchRefusesSlipsOfThePen(t *testing.T) {
	t.Parallel()
	weir(t, "", "bench", "tiny", "--batch", "0", "--repeat", "0", "--prompt", "8193").fails(t, exitUsage, "--batch 0", "--repeat 0", "--prompt 8193 is out of range; it is 1 to 8192")
	weir(t, "", "bench", "tiny", "--batch", "257").fails(t, exitUsage, "--batch 257")
	weir(t, "", "bench", "tiny", "--threads", "65").fails(t, exitUsage, "--threads 65")
	weir(t, "", "bench", "tiny", "--step", "-1s").fails(t, exitUsage, "--step")
	weir(t, "", "bench", "tiny", "--type", "Q9").fails(t, exitUsage, "--type Q9 is not known", "Q8_0")
}

func TestTypesAreNamedAsPeopleNameThem(t *testing.T) {
	t.Parallel()
	check := func(name string, want tensor.Type) {
		t.Helper()
		if got, err := typeNamed(name); err != nil || got != want {
			t.Errorf("%s is %s, error %v", name, got, err)
		}
	}
	check("Q8_0", tensor.Q8_0)
	check("q4_0", tensor.Q4_0)
	check("Q4_K", tensor.Q4_K)
	check("Q4_K_M", tensor.Q4_K)
	check("q5_k_s", tensor.Q5_K)
	check("bf16", tensor.BF16)
	for _, name := range []string{"", "Q4", "_K_M", "Q4_K_X", "type 40"} {
		if got, err := typeNamed(name); err == nil {
			t.Errorf("%q is %s", name, got)
		}
	}
}

func TestFiguresTakeTheMedian(t *testing.T) {
	t.Parallel()
	check := func(want float64, rounds ...float64) {
		t.Helper()
		var f figure
		for _, v := range rounds {
			f.add(v)
		}
		if f.Median != want {
			t.Errorf("the median of %v is %v", rounds, f.Median)
		}
	}
	check(5, 5)
	check(3, 4, 2)
	check(4, 9, 1, 4)
	check(2.5, 1, 2, 3, 100)
}

// TestBenchNeverClaimsMoreThanReadingAllows: a figure above the limit says that the limit is wrong.
func TestBenchNeverClaimsMoreThanReadingAllows(t *testing.T) {
	t.Parallel()
	check := func(read int64, alone float64, want, not string) {
		t.Helper()
		r := &benchResult{ReadPerToken: read, Reading: figure{Rounds: []float64{4e9, 10e9, 6e9}}}
		if got := r.alone(alone); !strings.Contains(got, want) || strings.Contains(got, not) {
			t.Errorf("%v tokens a second of %d bytes: %q", alone, read, got)
		}
	}
	const gigabyte = 1_000_000_000
	check(gigabyte, 7.5, "75 % of the 10.0 that", "disturbed")
	check(gigabyte, 10, "100 % of the 10.0 that", "disturbed")
	check(gigabyte, 18.2, "more than the 10.0 that the fastest reading allows, so reading was disturbed", "%")
	check(cacheBytes-1, 1e6, "reading is no limit", "disturbed")
}

func TestEvalScoresTheModel(t *testing.T) {
	t.Parallel()
	model := tiny(t)
	report := decode[mini.Report](t, weir(t, "", "eval", "--json", "--model", "my="+model, "--per-task", "2", "--task", "addition,sorting", "--seed", "7").ok(t))
	if report.Model != "my" || report.Seed != 7 || len(report.Tasks) != 2 || report.Tasks[0].Task != "addition" || report.Overall.Asked != 4 || report.Overall.Right != 0 {
		t.Errorf("%+v", report)
	}
	text := weir(t, "", "eval", model, "--per-task", "1", "--task", "addition", "--misses").ok(t)
	for _, want := range []string{"tiny, the fixed suite", "addition ", "overall ", "wanted ", "got "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	list := weir(t, "", "eval", "--list").ok(t)
	for _, task := range mini.Tasks() {
		if !strings.Contains(list, task.Name+" ") || !strings.Contains(list, task.About) {
			t.Errorf("no %s in\n%s", task.Name, list)
		}
	}
	weir(t, "", "eval", model, "--model", "my="+model).fails(t, exitUsage, "keep one")
	weir(t, "", "eval", model, "--per-task", "-1").fails(t, exitUsage, "-1")
}

// TestTheBuiltInModelsReachTheirAims asks what the binary holds the whole fixed suite and a fresh one.
func TestTheBuiltInModelsReachTheirAims(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ model, seed string }{{"weir-mini", "0"}, {"weir-mini", "1"}, {"weir-nano", "0"}} {
		args := []string{"eval", c.model, "--json", "--seed", c.seed}
		short := testing.Short() || raceDetector // 3,200 questions take seconds, and minutes under the race detector
		if short {
			args = append(args, "--per-task", "3")
		}
		report := decode[mini.Report](t, weir(t, "", args...).ok(t))
		if report.Model != c.model || len(report.Tasks) != len(mini.Tasks()) || report.Overall.Right == 0 {
			t.Errorf("%+v", report)
		}
		preset, err := mini.PresetOf(c.model)
		if err != nil {
			t.Fatal(err)
		}
		if missed := preset.Missed(report); len(missed) > 0 && !short {
			t.Errorf("%s, seed %s, misses %q", c.model, c.seed, missed)
		}
	}
}

func TestTrainWritesAModelThatAnswers(t *testing.T) {
	t.Parallel()
	if testing.Short() || raceDetector {
		t.Skip("training takes seconds, and minutes under the race detector; engine/train has race tests of its own")
	}
	dir := t.TempDir()
	out, checkpoints := filepath.Join(dir, "my.gguf"), filepath.Join(dir, "steps")
	train := func() trainResult {
		t.Helper()
		return decode[trainResult](t, weir(t, "", "train", "mini", "--steps", "2", "--out", out, "--dir", checkpoints, "--json").ok(t))
	}
	first := train()
	if first.Out != out || first.Steps != 2 || first.Parameters < 1_000_000 || first.Loss <= 0 || first.Tokens == 0 {
		t.Errorf("%+v", first)
	}
	info, err := os.Stat(out)
	if err != nil || info.Size() != first.Bytes || info.Size() > 3<<20 {
		t.Fatalf("%v, error %v", info, err)
	}
	before, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	// The same command finds the finished checkpoint and writes the same model.
	if again := train(); again.Steps != 2 || again.Bytes != first.Bytes {
		t.Errorf("%+v", again)
	}
	if after, err := os.ReadFile(out); err != nil || string(after) != string(before) {
		t.Errorf("the second model differs, error %v", err)
	}
	if answer := weir(t, "", "run", "-m", "my="+out, "--max-tokens", "3", "hi").ok(t); answer == "" {
		t.Error("the model does not answer")
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 2 {
		t.Errorf("the folder holds %v, error %v", names, err)
	}
	weir(t, "", "train", "mini", "--steps", "3", "--out", out, "--dir", checkpoints).fails(t, exitUsage, "steps 2", "this run has 3", "move it away")
	weir(t, "", "train", "mini", "--out", filepath.Join(dir, "no", "my.gguf")).fails(t, exitUsage, "--out", "cannot be written")
}
