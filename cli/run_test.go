package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-ai/weir/internal/testdata"
)

func TestRunAnswersFromArgumentsAndStandardInput(t *testing.T) {
	t.Parallel()
	answer := weir(t, "", "run", "What", "is 17 + 25?").ok(t)
	if strings.TrimSpace(answer) == "" || !strings.HasSuffix(answer, "\n") || strings.Contains(answer, "\x1b") {
		t.Errorf("the answer is %q", answer)
	}
	if piped := weir(t, "  What is 17 + 25?\n\n", "run").ok(t); piped != answer {
		t.Errorf("from standard input %q, from arguments %q", piped, answer)
	}
	drawn := func(seed string) string {
		return weir(t, "", "run", "--temperature", "3", "--top-p", "0.99", "--max-tokens", "20", "--seed", seed, "hi").ok(t)
	}
	if a, b, c := drawn("1"), drawn("1"), drawn("2"); a != b || a == c {
		t.Errorf("seeds 1, 1 and 2 draw %q, %q and %q", a, b, c)
	}
	greedy := weir(t, "", "run", "--max-tokens", "20", "hi").ok(t)
	if zero := weir(t, "", "run", "--temperature", "3", "--top-p", "0", "--max-tokens", "20", "--seed", "2", "hi").ok(t); zero != greedy {
		t.Errorf("with --top-p 0 %q, greedy %q", zero, greedy)
	}
	// A stop string ends the answer and is no part of it.
	word := answer[len(answer)/2 : len(answer)-1]
	if cut := weir(t, "", "run", "--stop", word, "What is 17 + 25?").ok(t); strings.TrimSuffix(cut, "\n") != answer[:strings.Index(answer, word)] {
		t.Errorf("stopped at %q: %q of %q", word, cut, answer)
	}
	r := decode[runResult](t, weir(t, "", "run", "--json", "What is 17 + 25?").ok(t))
	if r.Text+"\n" != answer || r.FinishReason != "stop" {
		t.Errorf("as JSON %+v", r)
	}
	with := decode[runResult](t, weir(t, "", "run", "--json", "--system", "Be brief.", "What is 17 + 25?").ok(t))
	if with.PromptTokens <= r.PromptTokens {
		t.Errorf("with a system message the prompt has %d tokens, without %d", with.PromptTokens, r.PromptTokens)
	}
}

func TestRunPrintsJSON(t *testing.T) {
	t.Parallel()
	path := tiny(t)
	r := decode[runResult](t, weir(t, "", "run", "--json", "-m", path, "--max-tokens", "7", "hello").ok(t))
	if r.Model != "tiny" || r.Text == "" || r.FinishReason != "length" || r.CompletionTokens != 7 || r.PromptTokens < 5 || r.Seconds <= 0 {
		t.Errorf("%+v", r)
	}
}

// A base model, whose file has no chat template, continues the prompt.
func TestRunContinuesWithABaseModel(t *testing.T) {
	t.Parallel()
	path := testdata.Path(t, "models/stories260K-Q4_0.gguf")
	if text := weir(t, "", "run", "-m", path, "--max-tokens", "12", "Once upon a").ok(t); !strings.HasPrefix(text, " time") {
		t.Errorf("it continues with %q", text)
	}
	r := decode[runResult](t, weir(t, "Once upon a", "run", "--json", "-m", path, "--max-tokens", "12").ok(t))
	if !strings.HasPrefix(r.Text, " time") || r.CompletionTokens != 12 || r.FinishReason != "length" {
		t.Errorf("%+v", r)
	}
	weir(t, "", "run", "-m", path, "--system", "Be brief.", "Once").fails(t, exitUsage, `--system "Be brief."`, "no chat template")
	weir(t, "hello\n", "chat", "-m", path).fails(t, exitUsage, "no chat template", "weir run")
}

func TestRunRefusals(t *testing.T) {
	t.Parallel()
	path := tiny(t)
	weir(t, "", "run").fails(t, exitUsage, "the prompt is empty")
	weir(t, " \n", "run").fails(t, exitUsage, "the prompt is empty")
	weir(t, "", "run", "-m", "a="+path, "-m", "b="+path, "hi").fails(t, exitUsage, "2 models are configured", "--model NAME=PATH")
	weir(t, "", "run", "-m", "a="+path, "-m", "a="+path, "hi").fails(t, exitUsage, `two models are named "a"`)
	weir(t, "", "run", "-m", "/no/such.gguf", "hi").fails(t, exitUsage, "/no/such.gguf", "GGUF file")
	weir(t, "", "run", "-m", path, "--threads", "65", "hi").fails(t, exitUsage, "engine.threads 65")
	weir(t, "", "run", "-m", path, "--temperature", "warm", "hi").fails(t, exitUsage, "--temperature", "warm")
	broken := filepath.Join(t.TempDir(), "broken.gguf")
	if err := os.WriteFile(broken, []byte("GGUF\x03\x00\x00\x00 and no more"), 0o600); err != nil {
		t.Fatal(err)
	}
	weir(t, "", "run", "-m", broken, "hi").fails(t, exitFailed, "broken")
	// What the answer's error says is said once.
	r := weir(t, "", "run", "-m", path, "--top-p", "5", "hi")
	if r.fails(t, exitFailed, "weir: top_p is 5; it must lie in"); strings.Count(r.err, "is 5") != 1 || strings.Contains(r.err, "engine") {
		t.Errorf("standard error is %q", r.err)
	}
	weir(t, "", "run", "-m", path, "--top-p=-1", "hi").fails(t, exitFailed, "top_p is -1")
	// Longer than the context: the answer's own error reaches the user.
	weir(t, strings.Repeat("word ", 400), "run", "-m", path, "--context", "64").fails(t, exitFailed, "64 tokens")
	weir(t, strings.Repeat("a", promptMax+1), "run", "-m", path).fails(t, exitUsage, "more than")
}

func TestModelsListsWhatIsServed(t *testing.T) {
	t.Parallel()
	path := tiny(t)
	out := weir(t, "", "models", "-m", "b="+path, "-m", path).ok(t)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "NAME ") || !strings.HasPrefix(lines[1], "b ") || !strings.HasPrefix(lines[2], "tiny ") || !strings.Contains(lines[1], "Q8_0") {
		t.Errorf("models prints\n%s", out)
	}
	list := decode[[]modelLine](t, weir(t, "", "models", "--json", "-m", path, "--context", "100").ok(t))
	if len(list) != 1 || list[0].Name != "tiny" || list[0].Architecture != "llama" || list[0].Parameters < 1000 || list[0].ContextLength != 100 || list[0].Bytes == 0 {
		t.Errorf("models --json gives %+v", list)
	}
	config := filepath.Join(t.TempDir(), "w.yaml")
	if err := os.WriteFile(config, []byte("models:\n  from-file: {file: "+path+", engine: {context: 50}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if list := decode[[]modelLine](t, weir(t, "", "models", "--json", "--config", config).ok(t)); len(list) != 1 || list[0].Name != "from-file" || list[0].ContextLength != 50 {
		t.Errorf("a configuration gives %+v", list)
	}
}

func TestTokenizeShowsTokens(t *testing.T) {
	t.Parallel()
	model := "my=" + testdata.Path(t, "golden-hf/gguf/qwen2-Q8_0.gguf")
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("hello, wörld"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := decode[tokenizeResult](t, weir(t, "", "tokenize", "--json", "-m", model, text).ok(t))
	if r.Model != "my" || r.Count == 0 || r.Count != len(r.Tokens) || len(r.Pieces) != r.Count {
		t.Errorf("%+v", r)
	}
	for _, args := range [][]string{{}, {"-"}} {
		piped := decode[tokenizeResult](t, weir(t, "hello, wörld", append([]string{"tokenize", "--json", "-m", model}, args...)...).ok(t))
		if piped.Count != r.Count {
			t.Errorf("from standard input %+v", piped)
		}
	}
	out := weir(t, "", "tokenize", "-m", model, text).ok(t)
	if lines := strings.Count(out, "\n"); lines != r.Count+1 || !strings.HasSuffix(out, " tokens\n") {
		t.Errorf("%d lines for %d tokens:\n%s", lines, r.Count, out)
	}
	if n := weir(t, "", "tokenize", "--count", "-m", model, text).ok(t); n != fmt.Sprintln(r.Count) {
		t.Errorf("--count prints %q", n)
	}
	weir(t, "", "tokenize", "-m", model, text+".not").fails(t, exitUsage, "no such file")
	weir(t, strings.Repeat("a", 5<<20), "tokenize", "-m", model).fails(t, exitFailed, "The text has 5242880 bytes", "Send it in parts")
}
