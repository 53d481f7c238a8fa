package tenant

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/weir-ai/weir/llm"
)

func TestLearnsAnswers(t *testing.T) {
	t.Parallel()
	var o outputs
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range outputsFew - 1 {
		o.learn(10 + i)
	}
	if got := o.expect(); got != outputUnknown {
		t.Errorf("%d expected after a few", got)
	}
	for range 2000 {
		o.learn(1 + rng.IntN(100))
	}
	if got := o.expect(); got < 85 || got > 115 {
		t.Errorf("%d expected of answers to 100, nine in ten to 90", got)
	}
	o.learn(1_000_000)
	o.learn(0)
	for range 8 {
		o.learn(1)
	}
	if got := o.expect(); got < 80 || got > 115 {
		t.Errorf("one odd answer makes it %d", got)
	}
	for range 100 {
		o.learn(4000)
	}
	if got := o.expect(); got < 4000 || got > 4800 {
		t.Errorf("%d expected after a hundred of 4000", got)
	}
	for range 20_000 { // the weights are scaled on the way
		o.learn(7)
	}
	if got := o.expect(); got < 7 || got > 9 {
		t.Errorf("%d expected of answers of 7", got)
	}
	o = outputs{}
	for range 100 {
		o.learn(1 << 40)
	}
	if got := o.expect(); got != 1<<20 {
		t.Errorf("the most that is expected is %d", got)
	}
}

func TestReservesWhatItLearned(t *testing.T) {
	t.Parallel()
	b := newBook(t, one(Limits{Tokens: LimitMax}), Options{})
	for range 100 {
		reserve(t, b, noon, Ask{Prompt: 10, N: 2}).Settle(noon, llm.Usage{PromptTokens: 10, CompletionTokens: 64})
	}
	if r := reserve(t, b, noon, Ask{Prompt: 10, N: 2}); r.Tokens() != 10+2*32 {
		t.Errorf("%d reserved", r.Tokens())
	}
	if err := b.Reload(one(Limits{Tokens: 100_000})); err != nil {
		t.Fatal(err)
	}
	if r := reserve(t, b, noon, Ask{Prompt: 10}); r.Tokens() != 10+32 {
		t.Errorf("%d reserved after a reload", r.Tokens())
	}
	if r, err := b.Reserve(t.Context(), noon, "acme", "other", Ask{Prompt: 10}); err != nil || r.Tokens() != 10+outputUnknown {
		t.Errorf("%d reserved of another model, %v", r.Tokens(), err)
	}
}

func TestEstimator(t *testing.T) {
	t.Parallel()
	var e Estimator
	if got := e.Prompt("m", 100); got != 100 {
		t.Errorf("nothing learned: %d", got)
	}
	e.Learn("m", 100, 150)
	if got := e.Prompt("m", 100); got != 150 {
		t.Errorf("the first teaches: %d", got)
	}
	for range 200 {
		e.Learn("m", 100, 80)
	}
	if got := e.Prompt("m", 100); got != 81 && got != 80 {
		t.Errorf("%d, when 80 in a hundred are true", got)
	}
	e.Learn("m", factorPrompt-1, 1000)
	e.Learn("m", 1000, 0)
	if got := e.Prompt("m", 100); got != 81 && got != 80 {
		t.Errorf("what is too short teaches: %d", got)
	}
	for range 1000 {
		e.Learn("high", 100, 100_000)
		e.Learn("low", 100_000, 100)
	}
	if high, low := e.Prompt("high", 100), e.Prompt("low", 100); high != 400 || low != 25 {
		t.Errorf("bounds: %d and %d", high, low)
	}
	if e.Prompt("m", 0) != 0 || e.Prompt("m", -5) != 0 || e.Prompt("new", 3) != 3 {
		t.Error("of nothing")
	}
}

func TestReservesEstimates(t *testing.T) {
	t.Parallel()
	b := newBook(t, one(Limits{Tokens: LimitMax}), Options{})
	for range 100 {
		reserve(t, b, noon, Ask{Prompt: 1000, Estimated: true, Output: 1}).Settle(noon, llm.Usage{PromptTokens: 2000, CompletionTokens: 1})
	}
	if r := reserve(t, b, noon, Ask{Prompt: 100, Estimated: true, Output: 1}); r.Tokens() != 201 {
		t.Errorf("%d reserved of an estimate", r.Tokens())
	}
	if r := reserve(t, b, noon, Ask{Prompt: 100, Output: 1}); r.Tokens() != 101 {
		t.Errorf("%d reserved of a count", r.Tokens())
	}
	if got := b.estimator.Prompt("mini", 100); got != 200 {
		t.Errorf("the gate is told %d", got)
	}
}

func TestLearningIsBounded(t *testing.T) {
	t.Parallel()
	var e Estimator
	b := newBook(t, one(Limits{Tokens: LimitMax}), Options{})
	m := b.now.Load().members["acme"]
	for i := range 3 * termsMax {
		model := llm.ModelID(fmt.Sprint("m", i))
		e.Learn(model, 100, 100)
		if _, err := b.Reserve(t.Context(), noon, "acme", model, Ask{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(e.models); n > factorModels+1 {
		t.Errorf("%d factors", n)
	}
	if n, o := len(*m.terms.Load()), len(m.account.mu.outputs); n > termsMax || o > termsMax+1 {
		t.Errorf("%d terms, %d lengths of answers", n, o)
	}
}
