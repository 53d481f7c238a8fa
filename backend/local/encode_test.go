package local

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/weir-ai/weir/llm"
)

// occupied takes every place for large texts; release gives one back.
func occupied(b *Backend) (release func()) {
	for range largeAtOnce {
		b.large <- struct{}{}
	}
	return func() { <-b.large }
}

// wide serves a context that large texts fit in.
func wide(t testing.TB) *Backend {
	t.Helper()
	f := tiny(t)
	f.Meta["llama.context_length"] = uint32(1 << 18)
	return serving(t, f, Config{Context: 1 << 18})
}

// A text that cannot fit is refused before anything is spent on it: with every place for large texts taken, no one waits.
func TestTextsThatCannotFitAreNotEncoded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := serving(t, tiny(t), Config{Context: 512})
		release := occupied(b)
		if b.promptMax < 512 || b.promptMax > textLarge {
			t.Fatalf("prompts have up to %d bytes", b.promptMax)
		}
		huge := strings.Repeat("word ", 1<<20)
		a := ask(t, b, completion(huge))
		if e := llm.AsError(a.err); e == nil || e.Kind != llm.TooLong || e.Param != "prompt" || !strings.Contains(e.Public(), "512 tokens") || !strings.Contains(e.Public(), "5242880 bytes") {
			t.Errorf("a prompt: %v", a.err)
		}
		a = ask(t, b, chat(llm.TextMessage(llm.RoleUser, huge[:len(huge)/4])))
		if e := llm.AsError(a.err); e == nil || e.Kind != llm.TooLong || e.Param != "messages" || !strings.Contains(e.Public(), "bytes; shorten the messages") {
			t.Errorf("a chat: %v", a.err)
		}
		if _, err := b.RenderTokens(t.Context(), chat(llm.TextMessage(llm.RoleUser, huge[:len(huge)/4]))); llm.AsError(err) == nil || llm.AsError(err).Kind != llm.TooLong {
			t.Errorf("a rendered chat: %v", err)
		}
		if _, err := b.Tokenize(t.Context(), huge, false); llm.AsError(err) == nil || llm.AsError(err).Kind != llm.TooLarge {
			t.Errorf("a text to count: %v", err)
		}
		for range largeAtOnce {
			release()
		}
	})
}

// The bound refuses nothing that fits: the longest token as often as it fits is answered, and one byte beyond the bound is not read.
func TestPromptsAtTheBound(t *testing.T) {
	t.Parallel()
	const piece = "<|the longest of all tokens|>"
	f := tiny(t)
	f.Meta["tokenizer.ggml.tokens"].([]string)[1] = piece
	b := serving(t, f, Config{Context: 64})
	if b.promptMax != 64*len(piece) {
		t.Fatalf("64 tokens have %d bytes; the longest has %d", b.promptMax, len(piece))
	}
	req := completion(strings.Repeat(piece, 63))
	req.Limits.MaxTokens = 1
	if a := ask(t, b, req); a.err != nil || a.usage.PromptTokens != 63 {
		t.Errorf("63 of the longest token: %+v", a)
	}
	check := func(text, want string) {
		t.Helper()
		if a := ask(t, b, completion(text)); llm.AsError(a.err) == nil || llm.AsError(a.err).Kind != llm.TooLong || !strings.Contains(a.err.Error(), want) {
			t.Errorf("%d bytes: %v; it must mention %q", len(text), a.err, want)
		}
	}
	check(strings.Repeat(piece, 64), "the prompt alone has 64")
	check(strings.Repeat(piece, 64)+"x", "is the longest that is read")
}

// Large texts are encoded a few at a time; one that waits leaves when its client does, and small ones do not wait.
func TestLargeTextsTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := wide(t)
		large := strings.Repeat("word ", textLarge/5+1)
		release := occupied(b)
		if a := ask(t, b, completion("small")); a.err != nil {
			t.Errorf("a small prompt: %v", a.err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ends := make(chan error, 3)
		go func() {
			_, err := b.Run(ctx, completion(large), func(llm.Event) error { return nil })
			ends <- err
		}()
		go func() {
			_, err := b.Tokenize(ctx, large, true)
			ends <- err
		}()
		synctest.Wait()
		if len(ends) > 0 {
			t.Fatalf("a third large text was encoded: %v", <-ends)
		}
		cancel()
		for range 2 {
			if err := <-ends; llm.AsError(err) == nil || llm.AsError(err).Kind != llm.Canceled {
				t.Errorf("a client that left: %v", err)
			}
		}
		go func() {
			_, err := b.Tokenize(t.Context(), large, true)
			ends <- err
		}()
		synctest.Wait()
		release()
		if err := <-ends; err != nil {
			t.Errorf("after a place was free: %v", err)
		}
		for range largeAtOnce - 1 {
			release()
		}
		if len(b.large) != 0 {
			t.Errorf("%d places are still taken", len(b.large))
		}
	})
}

// leaving is a client that leaves while its text is encoded: its context has ended from the second look on.
type leaving struct {
	context.Context
	looks int
}

func (l *leaving) Err() error {
	if l.looks++; l.looks > 1 {
		return context.Canceled
	}
	return nil
}

// Who left is told as such, whatever its prompt would have been refused for.
func TestAClientThatLeftIsNotTooLong(t *testing.T) {
	t.Parallel()
	b := serving(t, tiny(t), Config{Context: 32})
	ctx := &leaving{Context: t.Context()}
	if _, err := b.Run(ctx, completion(strings.Repeat("x", 40)), func(llm.Event) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Tokenize(gone, strings.Repeat("x", textMax), false); !errors.Is(err, context.Canceled) {
		t.Errorf("the longest text of a client that left: %v", err)
	}
	if _, err := b.Tokenize(gone, strings.Repeat("x", textMax+1), false); llm.AsError(err).Kind != llm.TooLarge {
		t.Errorf("one byte more: %v", err)
	}
	if _, err := b.RenderTokens(gone, chat(llm.TextMessage(llm.RoleUser, "Hi"))); !errors.Is(err, context.Canceled) {
		t.Errorf("a chat of a client that left: %v", err)
	}
}

// A vocabulary that gives no bound, here one whose marks take white space, still has one.
func TestVocabulariesWithoutABound(t *testing.T) {
	t.Parallel()
	f := tiny(t)
	delete(f.Meta, "tokenizer.ggml.merges")
	words := f.Meta["tokenizer.ggml.tokens"].([]string)
	f.Meta["tokenizer.ggml.model"], f.Meta["general.name"] = "llama", "phi-3"
	f.Meta["tokenizer.ggml.scores"] = make([]float32, len(words))
	b := serving(t, f, Config{Context: 512})
	if b.promptMax != textMax {
		t.Errorf("prompts have up to %d bytes", b.promptMax)
	}
	if got := promptBytes(b.tokens, 1<<20); got != 16<<20 {
		t.Errorf("prompts of a million tokens have up to %d bytes", got)
	}
}
