package local

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/weir-ai/weir/engine/token"
	"github.com/weir-ai/weir/llm"
)

// long is a request whose answer has exactly n tokens.
func long(n int) *llm.Request {
	req := completion("Once upon a time")
	req.Limits = llm.Limits{MaxTokens: n, IgnoreEOS: true}
	return req
}

func TestStopStringsEndTheAnswerBeforeThem(t *testing.T) {
	t.Parallel()
	b := serving(t, tiny(t), Config{})
	whole := ask(t, b, long(60)).texts[0]
	runes := []rune(whole)
	for from := 5; from < 25; from++ {
		for width := 1; width <= 6; width += 5 {
			stop := string(runes[from : from+width])
			req := long(60)
			req.Limits.Stop = []string{"never there", stop}
			a := ask(t, b, req)
			want := whole[:strings.Index(whole, stop)]
			if a.err != nil || a.texts[0] != want || a.finishes[0].Reason != llm.FinishStop || a.finishes[0].Stop != stop {
				t.Errorf("stop %q: %q, %+v, %v; want %q", stop, a.texts[0], a.finishes[0], a.err, want)
			}
		}
	}
	if st := b.Stats(); st.Running+st.Waiting > 1 { // the last one may be on its way out
		t.Errorf("%d sequences are left", st.Running)
	}
}

func TestStopStringsWaitForMinTokens(t *testing.T) {
	t.Parallel()
	b := serving(t, tiny(t), Config{})
	req := long(40)
	req.Sampling.Bias = map[llm.TokenID]float64{letter('a'): 100}
	req.Limits.Stop, req.Limits.MinTokens = []string{"aa"}, 5
	if a := ask(t, b, req); a.texts[0] != "aaa" || a.usage.CompletionTokens != 5 || a.finishes[0].Stop != "aa" {
		t.Errorf("%q, %+v", a.texts[0], a)
	}
	req.Limits.MinTokens = 0
	if a := ask(t, b, req); a.texts[0] != "" || a.usage.CompletionTokens != 2 {
		t.Errorf("without a minimum: %q, %+v", a.texts[0], a)
	}
}

// letter is the token of a byte in the synthetic vocabulary.
func letter(b byte) llm.TokenID { return 3 + llm.TokenID(b) }

// endToken is "</s>" there.
const endToken llm.TokenID = 2

func TestEnds(t *testing.T) {
	t.Parallel()
	b := serving(t, tiny(t), Config{})
	check := func(name string, edit func(*llm.Request), text string, tokens int, want llm.Finish) {
		t.Helper()
		req := completion("abc")
		req.Limits.MaxTokens = 6
		req.Sampling.Bias = map[llm.TokenID]float64{endToken: 100}
		edit(req)
		if a := ask(t, b, req); a.err != nil || a.texts[0] != text || a.usage.CompletionTokens != tokens || a.finishes[0] != want {
			t.Errorf("%s: %q, %+v, %d tokens, %v; want %q, %+v, %d", name, a.texts[0], a.finishes[0], a.usage.CompletionTokens, a.err, text, want, tokens)
		}
	}
	a := func(r *llm.Request) { r.Sampling.Bias = map[llm.TokenID]float64{letter('a'): 100} }
	check("its own end", func(*llm.Request) {}, "", 1, llm.Finish{Reason: llm.FinishStop})
	check("ignored", func(r *llm.Request) { r.Limits.IgnoreEOS = true }, "", 6, llm.Finish{Reason: llm.FinishLength})
	check("not before the minimum", func(r *llm.Request) { r.Sampling.Bias[letter('a')] = 50; r.Limits.MinTokens = 3 }, "aaa", 4, llm.Finish{Reason: llm.FinishStop})
	check("length", a, "aaaaaa", 6, llm.Finish{Reason: llm.FinishLength})
	check("stop token", func(r *llm.Request) { a(r); r.Limits.StopTokens = []llm.TokenID{letter('a')} }, "a", 1, llm.Finish{Reason: llm.FinishStop, Token: letter('a'), StopIsToken: true})
	check("special stop token", func(r *llm.Request) { r.Limits.IgnoreEOS, r.Limits.StopTokens = true, []llm.TokenID{endToken} }, "", 1, llm.Finish{Reason: llm.FinishStop, Token: endToken, StopIsToken: true})
	check("stop string at the last token", func(r *llm.Request) { a(r); r.Limits.MaxTokens, r.Limits.Stop = 3, []string{"aaa"} }, "", 3, llm.Finish{Reason: llm.FinishStop, Stop: "aaa"})
	check("half a stop string at the end", func(r *llm.Request) { a(r); r.Limits.MaxTokens, r.Limits.Stop = 3, []string{"aaaa"} }, "aaa", 3, llm.Finish{Reason: llm.FinishLength})
}

// Answers of random bytes: every piece is whole characters, and all of them are what decoding the tokens at once gives.
func TestTextLeavesInWholeCharacters(t *testing.T) {
	t.Parallel()
	b := serving(t, tiny(t), Config{})
	broken := 0
	for n := range int64(20) {
		req := long(50)
		req.Sampling.Seed, req.Report.TokenIDs = seed(n), true
		var ids []token.ID
		text := ""
		_, err := b.Run(t.Context(), req, func(e llm.Event) error {
			if e.Kind == llm.EventDelta {
				if !utf8.ValidString(e.Text) {
					t.Errorf("seed %d: %q", n, e.Text)
				}
				text += e.Text
				for _, tok := range e.Tokens {
					ids = append(ids, token.ID(tok.ID))
				}
			}
			return nil
		})
		if want := b.tokens.Decode(ids, true); err != nil || text != want || len(ids) != 50 {
			t.Errorf("seed %d: %q of %d tokens, %v; want %q", n, text, len(ids), err, want)
		}
		broken += strings.Count(text, "\uFFFD")
	}
	if broken == 0 {
		t.Error("no answer had broken bytes: the case is not tested")
	}
}

func TestSeveralPromptsAndAnswers(t *testing.T) {
	t.Parallel()
	b := serving(t, tiny(t), Config{})
	req := long(12)
	req.Prompts, req.N = []llm.Prompt{{Text: "first prompt"}, {Tokens: []llm.TokenID{70, 71, 72}}}, 3
	first, again := ask(t, b, req), ask(t, b, req)
	if first.err != nil || len(first.finishes) != 6 || !slices.Equal(first.texts, again.texts) {
		t.Fatalf("%+v, again %+v", first, again)
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(first.texts)))
	if len(distinct) != 6 {
		t.Errorf("6 answers, %d different: %q", len(distinct), distinct)
	}
	words := len(b.tokens.Encode("first prompt", true, true))
	if u := first.usage; u.PromptTokens != words+3 || u.CompletionTokens != 6*12 {
		t.Errorf("usage %+v; the prompts have %d and 3 tokens", u, words)
	}
	for i := range 3 { // an answer does not depend on how many were asked for
		alone := long(12)
		alone.Prompts, alone.Sampling.Seed = req.Prompts[:1], seed(1+int64(i))
		if a := ask(t, b, alone); a.texts[0] != first.texts[i] {
			t.Errorf("answer %d alone: %q; among others %q", i, a.texts[0], first.texts[i])
		}
	}
}

func TestSeedsDecide(t *testing.T) {
	t.Parallel()
	b := serving(t, tiny(t), Config{})
	with := func(s *int64) string {
		req := long(20)
		req.Sampling.Seed = s
		return ask(t, b, req).texts[0]
	}
	if with(seed(-7)) != with(seed(-7)) {
		t.Error("the same seed gives two answers")
	}
	if with(seed(-7)) == with(seed(8)) || with(nil) == with(nil) {
		t.Error("other seeds, or none, give the same answer")
	}
}

func TestLogprobs(t *testing.T) {
	t.Parallel()
	b := serving(t, tiny(t), Config{})
	req := long(10)
	req.Report.Logprobs, req.Report.PromptLogprobs, req.Report.Echo = 3, 2, true
	a := ask(t, b, req)
	if a.err != nil || len(a.tokens[0]) != 10 {
		t.Fatalf("%+v", a)
	}
	check := func(tok llm.TokenLogprob, top int) {
		t.Helper()
		if !tok.Known || tok.Logprob > 0 || len(tok.Top) != top || !slices.IsSortedFunc(tok.Top, func(x, y llm.TokenLogprob) int { return int(math.Copysign(1, y.Logprob-x.Logprob)) }) {
			t.Errorf("token %+v; it must have %d alternatives, the likeliest first", tok, top)
		}
		if len(tok.Bytes) == 0 {
			t.Errorf("token %d has no bytes", tok.ID)
		}
		if place := slices.IndexFunc(tok.Top, func(o llm.TokenLogprob) bool { return o.ID == tok.ID }); tok.Rank < 1 || tok.Rank > b.tokens.Size() || place >= 0 && tok.Rank != place+1 || place < 0 && tok.Rank <= top {
			t.Errorf("token %d has the rank %d, and the place %d among the likeliest", tok.ID, tok.Rank, place+1)
		}
		for i, o := range tok.Top {
			if o.Rank != i+1 {
				t.Errorf("alternative %d has the rank %d", i+1, o.Rank)
			}
			if o.ID == tok.ID && o.Logprob != tok.Logprob {
				t.Errorf("token %d has log-probabilities %g and %g", tok.ID, tok.Logprob, o.Logprob)
			}
		}
	}
	for _, tok := range a.tokens[0] {
		check(tok, 3)
	}
	prompt := a.prompts[0]
	if prompt.Text != "Once upon a time" || len(prompt.Tokens) != a.usage.PromptTokens || prompt.Tokens[0].Known {
		t.Fatalf("prompt %+v", prompt)
	}
	var spelled []byte
	for i, tok := range prompt.Tokens {
		if spelled = append(spelled, tok.Bytes...); i > 0 {
			check(tok, 2)
		}
	}
	if string(spelled) != prompt.Text {
		t.Errorf("the prompt's tokens spell %q", spelled)
	}
	// The prompt's log-probabilities are what the model says of the same tokens as an answer.
	forced := completion("Once upon a tim")
	forced.Limits.MaxTokens, forced.Report.Logprobs = 1, 0
	forced.Sampling.Bias = map[llm.TokenID]float64{letter('e'): 100}
	if got, last := ask(t, b, forced).tokens[0][0], prompt.Tokens[len(prompt.Tokens)-1]; got.ID != last.ID || got.Logprob != last.Logprob {
		t.Errorf("%q has %g as an answer and %g in a prompt", got.Bytes, got.Logprob, last.Logprob)
	}
	plain := ask(t, b, long(10))
	if plain.texts[0] != a.texts[0] || len(plain.tokens[0]) != 0 || len(plain.prompts) != 0 {
		t.Errorf("without reports: %+v", plain)
	}
}

func TestBias(t *testing.T) {
	t.Parallel()
	b := serving(t, tiny(t), Config{})
	req := long(30)
	req.Sampling.Bias = map[llm.TokenID]float64{letter('x'): 100, letter('y'): 100}
	if a := ask(t, b, req); strings.Trim(a.texts[0], "xy") != "" || !strings.Contains(a.texts[0], "y") {
		t.Errorf("%q", a.texts[0])
	}
	req.Sampling.Bias[letter('y')] = -100
	if a := ask(t, b, req); strings.Trim(a.texts[0], "x") != "" {
		t.Errorf("%q", a.texts[0])
	}
}

func TestRequestsAreRefused(t *testing.T) {
	t.Parallel()
	b := serving(t, tiny(t), Config{Context: 32, Waiting: 8})
	check := func(kind llm.Kind, param, want string, edit func(*llm.Request)) {
		t.Helper()
		req := completion("abc")
		edit(req)
		a := ask(t, b, req)
		if e := llm.AsError(a.err); e == nil || e.Kind != kind || e.Param != param || !strings.Contains(e.Public(), want) {
			t.Errorf("error %v (param %q); it must be %s of %q and mention %q", a.err, llm.AsError(a.err).Param, kind, param, want)
		}
	}
	check(llm.TooLong, "prompt", "maximum context length is 32 tokens. However, you requested 34 tokens (3 in the prompt, 31 in the completion)", func(r *llm.Request) { r.Prompts[0].Text = "xyz"; r.Limits.MaxTokens = 31 })
	check(llm.TooLong, "prompt", "the prompt alone has 32", func(r *llm.Request) { r.Prompts[0].Text = strings.Repeat("x", 32) })
	check(llm.TooLong, "prompt", "the prompt alone has 32, which leaves no room for the one token that is generated to read it", func(r *llm.Request) {
		r.Prompts[0].Text, r.Limits.MaxTokens, r.Report.Echo, r.Report.EchoOnly = strings.Repeat("x", 32), 1, true, true
	})
	check(llm.TooLong, "messages", "shorten the messages", func(r *llm.Request) {
		r.Task, r.Messages = llm.Chat, []llm.Message{llm.TextMessage(llm.RoleUser, strings.Repeat("x", 32))}
	})
	least := func(n int) func(*llm.Request) {
		return func(r *llm.Request) { r.Prompts[0].Text, r.Limits = "xyz", llm.Limits{MinTokens: n} }
	}
	check(llm.Invalid, "min_tokens", "min_tokens is 30, but the answer can have 29 tokens: the context has 32, 3 of them are the prompt, and max_tokens may say less; send 29 or less", least(30))
	check(llm.Invalid, "min_tokens", "min_tokens is 100000", least(100_000))
	check(llm.Invalid, "min_tokens", "min_tokens is 6, but the answer can have 5 tokens", func(r *llm.Request) { r.Limits = llm.Limits{MinTokens: 6, MaxTokens: 5} })
	check(llm.Invalid, "prompt", "prompt is empty", func(r *llm.Request) { r.Prompts = nil })
	check(llm.Invalid, "prompt[1]", "no start token", func(r *llm.Request) { r.Prompts = append(r.Prompts, llm.Prompt{}) })
	check(llm.Invalid, "prompt[0]", "is empty", func(r *llm.Request) { r.Prompts[0].Tokens = []llm.TokenID{} })
	check(llm.Invalid, "prompt[0]", "token 512 at position 1", func(r *llm.Request) { r.Prompts[0].Tokens = []llm.TokenID{5, 512} })
	check(llm.Invalid, "stop_token_ids", "512", func(r *llm.Request) { r.Limits.StopTokens = []llm.TokenID{512} })
	check(llm.Invalid, "logit_bias", "-1", func(r *llm.Request) { r.Sampling.Bias = map[llm.TokenID]float64{-1: 1} })
	check(llm.Invalid, "tools", "not supported", func(r *llm.Request) { r.Tools = make([]llm.Tool, 1) })
	check(llm.Invalid, "response_format", "json_object", func(r *llm.Request) { r.Format.Kind = "json_object" })
	check(llm.Invalid, "n", "9 answers", func(r *llm.Request) { r.N = 9 })
	check(llm.Invalid, "prompt", "9 answers", func(r *llm.Request) { r.Prompts = make([]llm.Prompt, 9); fill(r.Prompts, "a") })
	check(llm.Invalid, "top_p", "top_p is 2", func(r *llm.Request) { r.Sampling.TopP = 2 })
	check(llm.Invalid, "logprobs", "logprobs is 21", func(r *llm.Request) { r.Report.Logprobs = 21 })
	check(llm.Invalid, "presence_penalty", "NaN", func(r *llm.Request) { r.Sampling.Presence = math.NaN() })

	req := completion("xyz")
	req.Limits = llm.Limits{MaxTokens: 29, IgnoreEOS: true}
	if a := ask(t, b, req); a.err != nil || a.usage.CompletionTokens != 29 {
		t.Errorf("exactly the context: %+v", a)
	}
	req.Limits.MaxTokens = 0
	if a := ask(t, b, req); a.err != nil || a.usage.CompletionTokens != 29 || a.finishes[0].Reason != llm.FinishLength {
		t.Errorf("the rest of the context: %+v", a)
	}
	req.Limits, req.Sampling.Bias = llm.Limits{MinTokens: 29}, map[llm.TokenID]float64{endToken: 100}
	if a := ask(t, b, req); a.err != nil || a.usage.CompletionTokens != 29 {
		t.Errorf("the longest minimum: %+v", a)
	}
	if st := b.Stats(); st.BlockRefs != 0 || st.Waiting != 0 {
		t.Errorf("something is left: %+v", st)
	}
}

func fill(prompts []llm.Prompt, text string) {
	for i := range prompts {
		prompts[i].Text = text
	}
}

// rested waits until the engine of b has come to rest in a synctest bubble.
func rested(t *testing.T, b *Backend) {
	t.Helper()
	synctest.Wait()
	if st := b.Stats(); st.Running != 0 || st.Waiting != 0 || st.BlockRefs != 0 {
		t.Errorf("something is left: %+v", st)
	}
}

// A client that leaves frees its sequences within one step, whether it goes by its context or by an error of emit.
func TestALeavingClientFreesItsSequences(t *testing.T) {
	t.Parallel()
	errGone := errors.New("connection reset")
	for _, n := range []int{1, 3} {
		for _, byContext := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				b := serving(t, tiny(t), Config{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				req := long(5000)
				req.N = n
				events := 0
				var steps uint64
				usage, err := b.Run(ctx, req, func(llm.Event) error {
					if events++; events < 10 {
						return nil
					}
					synctest.Wait() // the engine has filled the buffers and rests
					steps = b.Stats().Steps
					if cancel(); byContext {
						return ctx.Err()
					}
					return errGone
				})
				if want := map[bool]error{true: context.Canceled, false: errGone}[byContext]; !errors.Is(err, want) {
					t.Errorf("error %v, want %v", err, want)
				}
				if usage.PromptTokens == 0 || usage.CompletionTokens < 10 || usage.CompletionTokens > 100 { // tokens without text are no events
					t.Errorf("usage beside the error: %+v", usage)
				}
				rested(t, b)
				if got := b.Stats().Steps; got > steps+1 {
					t.Errorf("%d steps after the client left", got-steps)
				}
			})
		}
	}
}

// A context that ends while nobody emits ends the wait in the queue, too.
func TestAContextEndsTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := serving(t, tiny(t), Config{Sequences: 1})
		ctx, cancel := context.WithCancel(t.Context())
		go b.Run(ctx, long(5000), func(llm.Event) error { <-ctx.Done(); return ctx.Err() })
		synctest.Wait()
		short, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if a := askContext(t, short, b, long(3)); llm.AsError(a.err).Kind != llm.Timeout {
			t.Errorf("error %v", a.err)
		}
		cancel()
		rested(t, b)
	})
}

// A reader that does not read is cut after half a minute, and its place goes to others.
func TestASlowReaderIsCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := serving(t, tiny(t), Config{Sequences: 1})
		slept := false
		_, err := b.Run(t.Context(), long(500), func(llm.Event) error {
			if !slept {
				slept = true
				time.Sleep(time.Minute)
			}
			return nil
		})
		if llm.AsError(err) == nil || llm.AsError(err).Kind != llm.SlowReader {
			t.Errorf("error %v", err)
		}
		rested(t, b)
		if st := b.Stats(); st.Cut != 1 {
			t.Errorf("%d were cut", st.Cut)
		}
	})
}

// A full queue refuses at once and says when to come back; nothing of a refused request stays.
func TestAFullQueueRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := serving(t, tiny(t), Config{Sequences: 1, Waiting: 3})
		ctx, cancel := context.WithCancel(t.Context())
		for range 3 { // one runs and two wait
			go b.Run(ctx, long(5000), func(llm.Event) error { <-ctx.Done(); return ctx.Err() })
			synctest.Wait()
		}
		req := long(5)
		req.N = 2
		a := ask(t, b, req)
		if e := llm.AsError(a.err); e == nil || e.Kind != llm.Overloaded || e.RetryAfter <= 0 {
			t.Errorf("error %v", a.err)
		}
		synctest.Wait()
		if st := b.Stats(); st.Running != 1 || st.Waiting != 2 {
			t.Errorf("%d run and %d wait; the first of the refused two must be gone", st.Running, st.Waiting)
		}
		cancel()
		rested(t, b)
	})
}

// An idle backend makes no step, however long.
func TestIdleBackendRests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := serving(t, tiny(t), Config{})
		ask(t, b, long(3))
		rested(t, b)
		steps := b.Stats().Steps
		time.Sleep(10 * time.Minute)
		if got := b.Stats().Steps; got != steps {
			t.Errorf("%d steps in idle minutes", got-steps)
		}
	})
}

func TestListenerHears(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seated, stepped, cut, preempted int
		l := Listener{Seated: func(time.Duration) { seated++ }, Stepped: func(time.Duration) { stepped++ }, Preempted: func() { preempted++ }, Cut: func() { cut++ }}
		// 40 blocks hold two answers of 300 tokens, not four.
		b, err := OpenFile("m", tiny(t), newMachine(t, 1), Config{Context: 400, CacheBytes: 40 * 2 * 2 * 2 * 16 * 16 * 2}, l)
		if err != nil {
			t.Fatal(err)
		}
		req := long(300)
		req.N = 4
		ask(t, b, req)
		b.Run(t.Context(), long(200), func(llm.Event) error { time.Sleep(31 * time.Second); return nil })
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if seated != 5 || stepped < 300 || cut != 1 || preempted == 0 {
			t.Errorf("%d seated, %d steps, %d cut, %d preempted", seated, stepped, cut, preempted)
		}
	})
}

// TestManyClientsAtOnce has clients that come, leave and stop at random over two threads and little memory: what a client hears is a
// beginning of what it hears alone, and all of it where it stays; nothing is left at the end.
func TestManyClientsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, manyClients)
}

func manyClients(t *testing.T) {
	b, err := OpenFile("m", tiny(t), newMachine(t, 2), Config{Context: 128, Sequences: 8, CacheBytes: 20 * 2 * 2 * 2 * 16 * 16 * 2}, Listener{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	request := func(kind int) *llm.Request {
		req := long(10 + 5*kind)
		req.Sampling.Seed, req.N = seed(int64(kind)), 1+kind%3
		req.Limits.Stop = [][]string{nil, {"a", "Zq3"}, {"\uFFFD"}}[kind%3]
		return req
	}
	const kinds, clients = 9, 60
	var alone [kinds]answer
	for kind := range kinds {
		if alone[kind] = ask(t, b, request(kind)); alone[kind].err != nil {
			t.Fatal(alone[kind].err)
		}
	}
	var wait sync.WaitGroup
	for i := range clients {
		wait.Go(func() {
			kind, patience := i%kinds, 1<<30
			if i%4 == 0 {
				patience = i % 7
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			texts := make([]string, request(kind).N)
			_, err := b.Run(ctx, request(kind), func(e llm.Event) error {
				if e.Kind == llm.EventDelta {
					texts[e.Choice] += e.Text
				}
				if patience--; patience < 0 {
					cancel()
				}
				return nil
			})
			for c, text := range texts {
				if want := alone[kind].texts[c]; err == nil && text != want || !strings.HasPrefix(want, text) {
					t.Errorf("client %d, choice %d: %q, alone %q (%v)", i, c, text, want, err)
				}
			}
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	wait.Wait()
	rested(t, b)
}
