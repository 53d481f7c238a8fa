package mini

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weir-ai/weir/llm"
)

// runnerFunc is a model in one function of the question.
type runnerFunc func(question string) (string, error)

func (f runnerFunc) Run(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
	if req.Sampling.Temperature != 0 || len(req.Messages)%2 != 1 || req.Limits.MaxTokens == 0 {
		return llm.Usage{}, errors.New("not a greedy, bounded question of its own")
	}
	answer, err := f(req.Messages[len(req.Messages)-1].Text())
	if err != nil {
		return llm.Usage{}, err
	}
	half := len(answer) / 2
	for _, part := range []string{answer[:half], answer[half:]} {
		if err := emit(llm.Event{Kind: llm.EventDelta, Text: part}); err != nil {
			return llm.Usage{}, err
		}
	}
	return llm.Usage{}, emit(llm.Event{Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishStop}})
}

func answersOf(t *testing.T, o EvalOptions) map[string]string {
	t.Helper()
	suite, err := Suite(o)
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]string{}
	for _, q := range suite {
		answers[q.Text] = q.Answer
	}
	return answers
}

func TestEvalCountsExactMatches(t *testing.T) {
	t.Parallel()
	var calls []int
	o := EvalOptions{Seed: 7, PerTask: 20, Tasks: []string{"sorting", "addition"}, Progress: func(done, total int) { calls = append(calls, done, total) }}
	answers := answersOf(t, o)
	model := runnerFunc(func(q string) (string, error) {
		if strings.Contains(answers[q], "+") {
			return answers[q], nil
		}
		return strings.TrimSuffix(answers[q], "."), nil // nearly right is wrong
	})
	r, err := Eval(t.Context(), model, "m", o)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Tasks) != 2 || r.Tasks[0].Task != "sorting" || r.Tasks[0].Right != 0 || r.Tasks[1].Right != 20 || r.Overall.Right != 20 || r.Overall.Asked != 40 || r.Overall.Rate != 0.5 {
		t.Errorf("got %+v", r)
	}
	if m := r.Tasks[0].Misses; len(m) != missesKept || m[0].Got+"." != m[0].Wanted {
		t.Errorf("the misses are %+v", m)
	}
	if len(calls) != 80 || calls[78] != 40 || calls[79] != 40 {
		t.Errorf("progress was told %d times", len(calls)/2)
	}
	if text := r.Text(); !strings.Contains(text, "seed 7") || !strings.Contains(text, "overall") || !strings.Contains(text, "50.0 %") {
		t.Errorf("the table lacks something:\n%s", text)
	}
	if b, err := json.Marshal(r); err != nil || !strings.Contains(string(b), `"overall":{"task":"overall","right":20`) {
		t.Errorf("as JSON: %s, %v", b, err)
	}
}

func TestEvalBoundsConcurrency(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int32
	var gate sync.WaitGroup
	gate.Add(3)
	var first atomic.Int32
	model := runnerFunc(func(string) (string, error) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if first.Add(1) <= 3 { // the first three meet, so that the bound is reached
			gate.Done()
			gate.Wait()
		}
		return "", nil
	})
	if _, err := Eval(t.Context(), model, "m", EvalOptions{PerTask: 5, Concurrency: 3}); err != nil {
		t.Fatal(err)
	}
	if most.Load() != 3 {
		t.Errorf("%d questions ran at once, 3 were allowed", most.Load())
	}
}

func TestEvalFailsWithItsRunner(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	_, err := Eval(t.Context(), runnerFunc(func(string) (string, error) { return "", broken }), "m", EvalOptions{PerTask: 3})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Eval(ctx, runnerFunc(func(string) (string, error) { return "", nil }), "m", EvalOptions{PerTask: 3}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled evaluation gives %v", err)
	}
}

func TestWilsonInterval(t *testing.T) {
	t.Parallel()
	check := func(right, asked int, low, high float64) {
		t.Helper()
		if l, h := wilson(right, asked); math.Abs(l-low) > 5e-4 || math.Abs(h-high) > 5e-4 {
			t.Errorf("%d of %d: %.4f to %.4f, want %.4f to %.4f", right, asked, l, h, low, high)
		}
	}
	check(0, 0, 0, 1)
	check(0, 10, 0, 0.2775) // the values of Agresti and Coull 1998
	check(10, 10, 0.7225, 1)
	check(5, 10, 0.2366, 0.7634)
	check(81, 263, 0.2553, 0.3662) // Newcombe 1998, table I
}
