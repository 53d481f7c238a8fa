package local

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weir-ai/weir/engine/tensor"
	"github.com/weir-ai/weir/engine/weights"
	"github.com/weir-ai/weir/internal/testdata"
	"github.com/weir-ai/weir/llm"
)

// tiny is a model of random weights with a byte-level vocabulary of 512, whose answers are random bytes and words.
func tiny(t testing.TB) *weights.File {
	t.Helper()
	f, err := weights.Synthetic("tiny", tensor.Q8_0, 1)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func newMachine(t testing.TB, threads int) *Machine {
	t.Helper()
	m, err := NewMachine(threads, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// serving opens a file on a machine of one thread.
func serving(t testing.TB, f *weights.File, cfg Config) *Backend {
	t.Helper()
	b, err := OpenFile("m", f, newMachine(t, 1), cfg, Listener{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	machine := newMachine(t, 1)
	check := func(cfg Config, edit func(*weights.File), want ...string) {
		t.Helper()
		f := tiny(t)
		edit(f)
		b, err := OpenFile("mine", f, machine, cfg, Listener{})
		if err == nil {
			t.Errorf("it was opened; the error must mention %q", want)
			_ = b.Close()
			return
		}
		for _, word := range append(want, `model "mine"`) {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("error %q must mention %q", err, word)
			}
		}
	}
	meta := func(key string, v any) func(*weights.File) { return func(f *weights.File) { f.Meta[key] = v } }
	check(Config{}, meta("general.architecture", "mamba"), `architecture "mamba"`, "supported are llama, mistral, qwen2, qwen3")
	check(Config{}, meta("tokenizer.ggml.model", "rwkv"), "rwkv", "supported")
	check(Config{}, meta("tokenizer.ggml.pre", "martian"), `"martian"`, "supported are")
	check(Config{}, func(f *weights.File) { f.Tensors()[3].Type, f.Tensors()[3].Stored = tensor.Type(19), "IQ1_S" }, "IQ1_S", tensor.SupportedTypes)
	check(Config{}, meta("tokenizer.chat_template", "{% if %}"), "chat template")
	check(Config{}, meta("llama.feed_forward_length", uint32(128)), "blk.0.ffn_gate.weight", "[128 64]")
	check(Config{}, meta("tokenizer.ggml.tokens", append(slices.Clone(tiny(t).Meta["tokenizer.ggml.tokens"].([]string)), "more")), "tokens")
	check(Config{KV: "f8"}, func(*weights.File) {}, `engine.kv "f8"`, "f32, f16 or int8")
	check(Config{Context: -1}, func(*weights.File) {}, "engine.context -1")
	if _, err := Open("gone", t.TempDir()+"/no.gguf", machine, Config{}, Listener{}); err == nil || !strings.Contains(err.Error(), `model "gone"`) {
		t.Errorf("a missing file gives %v", err)
	}
	if _, err := OpenBytes("junk", []byte("GGUF junk"), machine, Config{}, Listener{}); err == nil || !strings.Contains(err.Error(), `model "junk"`) {
		t.Errorf("junk gives %v", err)
	}
	if _, err := NewMachine(1, "mmx"); err == nil || !strings.Contains(err.Error(), "WEIR_KERNELS") {
		t.Errorf("unknown kernels give %v", err)
	}
	if _, err := NewMachine(-1, ""); err == nil || !strings.Contains(err.Error(), "engine.threads -1") {
		t.Errorf("-1 threads give %v", err)
	}
}

func TestConfigNamesEveryFault(t *testing.T) {
	t.Parallel()
	bad := Config{Activations: "int4", KV: "f64", Context: 1 << 21, Sequences: -1, Waiting: 1 << 17, CacheBytes: -1}.Validate()
	if len(bad) != 6 {
		t.Errorf("%d faults: %q", len(bad), bad)
	}
	for i, field := range []string{"engine.activations", "engine.kv ", "engine.context", "engine.sequences", "engine.waiting", "engine.kv_memory"} {
		if i < len(bad) && !strings.HasPrefix(bad[i], field) {
			t.Errorf("fault %q does not begin with %s", bad[i], field)
		}
	}
	if bad := (Config{}).Validate(); len(bad) > 0 {
		t.Errorf("the zero value has faults: %q", bad)
	}
}

// The longest sequence is what is asked for, at most the model's own, and 8,192 where nothing is asked.
func TestContextIsCutDownToTheModels(t *testing.T) {
	t.Parallel()
	check := func(asked int, own uint32, want int) {
		t.Helper()
		f := tiny(t)
		f.Meta["llama.context_length"] = own
		b := serving(t, f, Config{Context: asked})
		if b.ContextLength() != want || b.About().ContextLength != want || b.engine.Context() < want {
			t.Errorf("asked %d of a model of %d: %d is served, the engine takes %d; want %d", asked, own, b.ContextLength(), b.engine.Context(), want)
		}
	}
	check(0, 300, 300)
	check(0, 100_000, contextDefault)
	check(16_384, 100_000, 16_384)
	check(4096, 300, 300)
	check(64, 300, 64)
}

// However little memory the cache is given, one whole sequence fits, and a request of full length is answered.
func TestASequenceOfFullLengthAlwaysFits(t *testing.T) {
	t.Parallel()
	b := serving(t, tiny(t), Config{Context: 64, CacheBytes: 1})
	req := completion("abc")
	req.Limits = llm.Limits{MaxTokens: 61, IgnoreEOS: true}
	a := ask(t, b, req)
	if a.err != nil || a.usage.Total() != 64 {
		t.Errorf("usage %+v, error %v", a.usage, a.err)
	}
}

func TestAbout(t *testing.T) {
	t.Parallel()
	base := tiny(t)
	delete(base.Meta, "tokenizer.chat_template")
	if serving(t, base, Config{}).About().Chat {
		t.Error("a model without a chat template takes chats")
	}
	a := serving(t, tiny(t), Config{}).About()
	if !a.Chat || a.Architecture != "llama" || a.Parameters != 94528 || a.Quantization != "Q8_0" || a.Bytes <= 94528 || a.Bytes > 2*94528 {
		t.Errorf("about: %+v", a)
	}
}

// Two models share one machine, answer at the same time, and say what they say alone.
func TestTwoBackendsShareAMachine(t *testing.T) {
	t.Parallel()
	machine := newMachine(t, 2)
	other, err := weights.Synthetic("tiny", tensor.F16, 2)
	if err != nil {
		t.Fatal(err)
	}
	var backends []*Backend
	for i, f := range []*weights.File{tiny(t), other} {
		b, err := OpenFile(fmt.Sprint("m", i), f, machine, Config{Context: 128}, Listener{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Close() })
		backends = append(backends, b)
	}
	const requests = 8
	question := func(i int) *llm.Request {
		req := completion(strings.Repeat("ab ", 1+i))
		req.Sampling.Seed, req.Limits.MaxTokens = seed(int64(i)), 20
		return req
	}
	var together [2][requests]answer
	var wait sync.WaitGroup
	for i, b := range backends {
		for r := range requests {
			wait.Go(func() { together[i][r] = ask(t, b, question(r)) })
		}
	}
	wait.Wait()
	for i, b := range backends {
		for r := range requests {
			alone := ask(t, b, question(r))
			if alone.err != nil || !slices.Equal(alone.texts, together[i][r].texts) {
				t.Errorf("model %d, request %d: %q alone, %q beside others (%v)", i, r, alone.texts, together[i][r].texts, alone.err)
			}
		}
	}
	if slices.Equal(together[0][7].texts, together[1][7].texts) {
		t.Error("two models say the same")
	}
	if err := backends[0].Close(); err != nil {
		t.Fatal(err)
	}
	if a := ask(t, backends[1], question(3)); a.err != nil || !slices.Equal(a.texts, together[1][3].texts) {
		t.Errorf("after the other was closed: %q, %v", a.texts, a.err)
	}
}

// Close fails what runs with Draining and leaves no goroutine; what comes later is refused the same way. Not parallel: it counts
// goroutines.
func TestCloseFailsWhatRunsAndLeavesNothing(t *testing.T) {
	machine := newMachine(t, 1)
	before := runtime.NumGoroutine()
	b, err := OpenFile("m", tiny(t), machine, Config{Context: 8192}, Listener{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Ready(); err != nil {
		t.Error(err)
	}
	begun, ends := make(chan struct{}, 100), make(chan error, 4)
	for i := range 4 {
		go func() {
			req := completion("on and on")
			req.N, req.Limits = 1+i%2, llm.Limits{MaxTokens: 8000, IgnoreEOS: true}
			_, err := b.Run(t.Context(), req, func(llm.Event) error {
				select {
				case begun <- struct{}{}:
				default:
				}
				return nil
			})
			ends <- err
		}()
	}
	<-begun
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	for range 4 {
		if err := <-ends; llm.AsError(err).Kind != llm.Draining {
			t.Errorf("a running request ends with %v; it must be draining", err)
		}
	}
	if a := ask(t, b, completion("late")); llm.AsError(a.err) == nil || llm.AsError(a.err).Kind != llm.Draining {
		t.Errorf("a late request ends with %v", a.err)
	}
	if err := b.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if b.Ready() == nil {
		t.Error("a closed backend says that it is ready")
	}
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("%d goroutines before, %d after", before, runtime.NumGoroutine())
}

// Weights that are not numbers fail the request, say so, and leave the backend in order.
func TestDamagedWeightsFailTheRequest(t *testing.T) {
	t.Parallel()
	f := tiny(t)
	norm, _ := f.Tensor("output_norm.weight")
	for i := range norm.Data {
		norm.Data[i] = 0xff
	}
	b := serving(t, f, Config{})
	a := ask(t, b, completion("abc"))
	if e := llm.AsError(a.err); e == nil || e.Kind != llm.Internal || !strings.Contains(e.Error(), "not numbers") || strings.Contains(e.Public(), "numbers") {
		t.Errorf("error %v", a.err)
	}
	if st := b.Stats(); st.BlockRefs != 0 {
		t.Errorf("%d blocks are still held", st.BlockRefs)
	}
}

// An engine that fell is not one that is stopping.
func TestAFallenEngineIsNotDraining(t *testing.T) {
	t.Parallel()
	b := serving(t, tiny(t), Config{})
	b.stop()
	b.stopped.Wait()
	b.failed <- errors.New("it fell")
	a := ask(t, b, completion("abc"))
	if e := llm.AsError(a.err); e == nil || e.Kind != llm.Internal {
		t.Errorf("error %v", a.err)
	}
	if err := b.Ready(); err == nil || !strings.Contains(err.Error(), "it fell") {
		t.Errorf("Ready says %v", err)
	}
}

// TestRealFiles serves files of every kind end to end: the tiny models with tokenizers, and a trained one.
func TestRealFiles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"golden-hf/llama", "golden-hf/llama-bf16", "golden-hf/mistral", "golden-hf/qwen2", "golden-hf/qwen3", "golden-hf/gguf/qwen2-Q8_0.gguf", "golden-hf/gguf/llama-Q4_0.gguf", "models/stories260K-Q4_0.gguf"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := Open("m", testdata.Path(t, name), newMachine(t, 1), Config{}, Listener{})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			req := completion("Once upon a")
			req.Sampling.Temperature = 0
			req.Limits.MaxTokens, req.Report.Logprobs = 12, 0
			a := ask(t, b, req)
			if a.err != nil || len(a.finishes) != 1 || a.usage.CompletionTokens == 0 {
				t.Fatalf("%+v", a)
			}
			for _, tok := range a.tokens[0] {
				if tok.Logprob > 0 || tok.Logprob < -50 || math.IsNaN(tok.Logprob) {
					t.Errorf("a log-probability of %g", tok.Logprob)
				}
			}
			if strings.HasPrefix(name, "models/") && !strings.HasPrefix(a.texts[0], " time") {
				t.Errorf("the trained model continues with %q", a.texts[0])
			}
			if b.template != nil {
				chat := &llm.Request{Task: llm.Chat, N: 1, Messages: []llm.Message{llm.TextMessage(llm.RoleUser, "Hello, world")}, Sampling: llm.NewSampling(), Report: llm.NewReport()}
				chat.Limits.MaxTokens = 5
				if a := ask(t, b, chat); a.err != nil || a.usage.PromptTokens == 0 {
					t.Errorf("chat: %+v", a)
				}
			}
		})
	}
}

// answer is all that a request brought.
type answer struct {
	texts    []string // by choice
	finishes map[int]llm.Finish
	tokens   map[int][]llm.TokenLogprob
	prompts  map[int]llm.Event
	usage    llm.Usage
	err      error
}

// ask runs a request and holds its events to the rules that all keep. It may be called from any goroutine of the test.
func ask(t testing.TB, b *Backend, req *llm.Request) (a answer) {
	t.Helper()
	return askContext(t, t.Context(), b, req)
}

func askContext(t testing.TB, ctx context.Context, b *Backend, req *llm.Request) (a answer) {
	t.Helper()
	a = answer{texts: make([]string, req.Choices()), finishes: map[int]llm.Finish{}, tokens: map[int][]llm.TokenLogprob{}, prompts: map[int]llm.Event{}}
	told := 0
	a.usage, a.err = b.Run(ctx, req, func(e llm.Event) error {
		_, ended := a.finishes[e.Choice]
		switch e.Kind {
		case llm.EventPrompt:
			if _, again := a.prompts[e.Choice]; again || a.texts[e.Choice] != "" {
				t.Errorf("choice %d: its prompt is told late or twice", e.Choice)
			}
			a.prompts[e.Choice] = e
		case llm.EventDelta:
			if ended || e.Text == "" && len(e.Tokens) == 0 {
				t.Errorf("choice %d: an empty delta, or one after the finish", e.Choice)
			}
			a.texts[e.Choice] += e.Text
			a.tokens[e.Choice] = append(a.tokens[e.Choice], e.Tokens...)
		case llm.EventFinish:
			if ended {
				t.Errorf("choice %d: a second finish", e.Choice)
			}
			a.finishes[e.Choice] = e.Finish
		case llm.EventUsage:
			if told++; len(a.finishes) != req.Choices() {
				t.Errorf("usage is told after %d of %d choices", len(a.finishes), req.Choices())
			}
		default:
			t.Errorf("an event of kind %d", e.Kind)
		}
		return nil
	})
	if a.err == nil && told != 1 {
		t.Errorf("usage is told %d times", told)
	}
	return a
}

// completion asks to continue text, at temperature 1 with a fixed seed.
func completion(text string) *llm.Request {
	req := &llm.Request{Task: llm.Completion, Prompts: []llm.Prompt{{Text: text}}, N: 1, Sampling: llm.NewSampling(), Report: llm.NewReport()}
	req.Sampling.Seed, req.Limits.MaxTokens = seed(1), 16
	return req
}

func seed(n int64) *int64 { return &n }
