package openai_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-ai/weir/backend/openai"
	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
	wire "github.com/weir-ai/weir/openai"
)

// subject is an endpoint under the suite: a fake or a real server, and what it can.
type subject struct {
	*openai.Endpoint
	kind      string
	fake      *fake // nil for a real server
	several   bool  // answers n > 1
	logprobs  bool
	continues fleet.Continues
	long      int        // tokens of an answer that takes a tenth of a second at least; 0 for a fake, which waits
	running   func() int // answers that the engine computes now; nil where it cannot be asked
	steps     func() int // how many tokens it has computed, or about so many; nil where it cannot be asked
	opts      string     // members that make its answers the same each time
	babbles   bool       // its model is random: what it says is no text, and cannot be cut into its tokens again
	ids       bool       // tells token ids, and takes them as the prompt of a completion
}

// said is what a run told.
type said struct {
	text, reasoning, finish string
	frames                  []string
	usage                   llm.Usage
	usageFrames             int
	calls                   int
	err                     error
}

// run sends a body through the endpoint as a door does.
func (s *subject) run(ctx context.Context, t *testing.T, body string, each func(llm.Event)) said {
	t.Helper()
	task := llm.Chat
	if strings.Contains(body, `"prompt"`) {
		task = llm.Completion
	}
	req, err := wire.Scan(task, []byte(body), wire.Options{})
	if err != nil {
		t.Fatal(err)
	}
	req.ID = "req_test"
	return s.send(ctx, req, each)
}

func (s *subject) send(ctx context.Context, req *llm.Request, each func(llm.Event)) (out said) {
	out.usage, out.err = s.Run(ctx, req, func(e llm.Event) error {
		if each != nil {
			each(e)
		}
		switch e.Kind {
		case llm.EventFrame:
			out.frames = append(out.frames, string(e.Frame))
			if e.Holds&llm.HoldsUsage != 0 {
				out.usageFrames++
			}
			if e.Holds&llm.HoldsToolCall != 0 {
				out.calls++
			}
			if e.Holds&llm.HoldsFinish != 0 {
				out.finish += string(e.Finish.Reason)
			}
			if e.Holds&llm.HoldsContent != 0 {
				out.text += wire.Unquote(e.Raw)
			} else if e.Holds&llm.HoldsReasoning != 0 {
				out.reasoning += wire.Unquote(e.Raw)
			}
		case llm.EventDelta:
			out.text += e.Text
		case llm.EventReasoning:
			out.reasoning += e.Text
		case llm.EventFinish:
			out.finish += string(e.Finish.Reason)
		case llm.EventToolCall:
			out.calls++
		}
		return nil
	})
	return out
}

func (s *subject) body(stream bool, content string, more ...string) string {
	members := append([]string{fmt.Sprintf(`"model":"alias","stream":%v,"messages":[{"role":"user","content":%q}]`, stream, content), s.opts}, more...)
	var kept []string
	for _, m := range members {
		if m != "" {
			kept = append(kept, m)
		}
	}
	return "{" + strings.Join(kept, ",") + "}"
}

const question = "Tell me a story."

// conform runs the suite.
func conform(t *testing.T, s *subject) {
	t.Helper()
	t.Run("stream", func(t *testing.T) { s.conformStream(t) })
	t.Run("whole", func(t *testing.T) { s.conformWhole(t) })
	t.Run("usage", func(t *testing.T) { s.conformUsage(t) })
	t.Run("unicode", func(t *testing.T) { s.conformUnicode(t) })
	t.Run("cancel", func(t *testing.T) { s.conformCancel(t) })
	t.Run("continuation", func(t *testing.T) { s.conformContinuation(t) })
	t.Run("inside", func(t *testing.T) { s.conformInside(t) })
	t.Run("probe", func(t *testing.T) { s.conformProbe(t) })
	if s.ids {
		t.Run("continuation by tokens", func(t *testing.T) { s.conformTokens(t) })
	}
	if s.several {
		t.Run("several", func(t *testing.T) { s.conformSeveral(t) })
	}
	if s.logprobs {
		t.Run("logprobs", func(t *testing.T) { s.conformLogprobs(t) })
	}
	if s.fake != nil {
		t.Run("faults", func(t *testing.T) { s.conformFaults(t) })
		t.Run("tools and reasoning", func(t *testing.T) { s.conformTools(t) })
		t.Run("content parts", func(t *testing.T) { s.conformParts(t) })
	}
}

func (s *subject) conformStream(t *testing.T) {
	got := s.run(t.Context(), t, s.body(true, question), nil)
	if got.err != nil || got.text == "" || got.finish == "" {
		t.Fatalf("text %q, finish %q, %v", got.text, got.finish, got.err)
	}
	for _, f := range got.frames {
		var chunk struct{ Model string }
		data := strings.TrimSuffix(strings.TrimPrefix(f, "data: "), "\n\n")
		if err := json.Unmarshal([]byte(data), &chunk); err != nil || chunk.Model != "alias" {
			t.Errorf("frame %q: model %q, %v", f, chunk.Model, err)
		}
	}
}

func (s *subject) conformWhole(t *testing.T) {
	got := s.run(t.Context(), t, s.body(false, question), nil)
	if got.err != nil || len(got.frames) != 1 || got.usage.CompletionTokens == 0 {
		t.Fatalf("%d frames, usage %+v, %v", len(got.frames), got.usage, got.err)
	}
	var answer struct {
		Model   string
		Choices []struct{ Message struct{ Content string } }
	}
	if err := json.Unmarshal([]byte(got.frames[0]), &answer); err != nil || answer.Model != "alias" || len(answer.Choices) != 1 || answer.Choices[0].Message.Content == "" {
		t.Errorf("answer %s, %v", got.frames[0], err)
	}
	if s.opts != "" || s.fake != nil { // the same each time
		if streamed := s.run(t.Context(), t, s.body(true, question), nil); answer.Choices[0].Message.Content != streamed.text {
			t.Errorf("in one piece %q, streamed %q", answer.Choices[0].Message.Content, streamed.text)
		}
	}
}

func (s *subject) conformUsage(t *testing.T) {
	asked := s.run(t.Context(), t, s.body(true, question, `"stream_options":{"include_usage":true}`), nil)
	if asked.err != nil || asked.usageFrames != 1 || asked.usage.CompletionTokens == 0 || asked.usage.PromptTokens == 0 {
		t.Errorf("asked for: %d frames tell it, %+v, %v", asked.usageFrames, asked.usage, asked.err)
	}
	unasked := s.run(t.Context(), t, s.body(true, question), nil)
	if unasked.err != nil || unasked.usage.CompletionTokens == 0 {
		t.Errorf("not asked for, it is not accounted: %+v, %v", unasked.usage, unasked.err)
	}
	for _, f := range unasked.frames {
		if strings.Contains(f, `"choices":[]`) {
			t.Errorf("not asked for, it is told: %s", f)
		}
	}
}

func (s *subject) conformUnicode(t *testing.T) {
	got := s.run(t.Context(), t, s.body(true, question+" "+askSplit), nil)
	if got.err != nil || strings.ContainsRune(got.text, '\ufffd') && !s.babbles || got.text == "" {
		t.Errorf("text %q, %v", got.text, got.err)
	}
	if s.fake != nil && got.text != strings.Join(fakeWords, "") {
		t.Errorf("text %q, want %q", got.text, strings.Join(fakeWords, ""))
	}
}

// conformCancel leaves in the middle; the engine must hear of it long before the answer would have ended.
func (s *subject) conformCancel(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	body, before := s.body(true, askHang), 0
	if s.fake == nil {
		body = fmt.Sprintf(`{"model":"alias","stream":true,"messages":[{"role":"user","content":%q}],"max_tokens":%d,"ignore_eos":true}`, question, s.long)
		if s.steps != nil {
			before = s.steps()
		}
	}
	var at time.Time
	got := s.run(ctx, t, body, func(e llm.Event) {
		if e.Carries() && at.IsZero() {
			at = time.Now()
			leave()
		}
	})
	leave()
	if !errors.Is(got.err, context.Canceled) {
		t.Fatalf("a client that left got %v, text %q", got.err, got.text)
	}
	switch {
	case s.fake != nil:
		t.Logf("the engine heard of it after %s", (<-s.fake.left).Sub(at))
	case s.running != nil:
		for s.running() > 0 {
			if time.Since(at) > 20*time.Second {
				t.Fatal("the engine never heard of it")
			}
			time.Sleep(2 * time.Millisecond)
		}
		t.Logf("the engine computes nothing %s after the client left", time.Since(at).Round(time.Millisecond))
		if s.steps == nil {
			return
		}
		if steps := s.steps() - before; steps >= s.long {
			t.Errorf("after the client left, the engine computed all of its %d tokens", steps)
		}
	}
}

// conformContinuation has the endpoint go on with its own answer from the middle: the two parts must be the whole.
func (s *subject) conformContinuation(t *testing.T) {
	body := s.body(true, question)
	if s.fake != nil {
		body = s.body(true, question, `"max_tokens":10,"min_tokens":2`)
	}
	whole := s.run(t.Context(), t, body, nil)
	req, err := wire.Scan(llm.Chat, []byte(body), wire.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s.continues == fleet.ContinuesNot {
		req.Going = &llm.Continuation{Text: "Ein", Count: 1}
		if got := s.send(t.Context(), req, nil); llm.AsError(got.err) == nil || llm.AsError(got.err).Fault != llm.FaultTask {
			t.Errorf("it goes on, or says otherwise: %q, %v", got.text, got.err)
		}
		return
	}
	req.Trail = true
	var parts []string
	going := &llm.Continuation{}
	stop := errors.New("enough")
	_, err = s.Run(t.Context(), req, func(e llm.Event) error {
		for _, p := range e.Prompt {
			going.Prompt = append(going.Prompt, p.ID)
		}
		if e.Holds&llm.HoldsContent != 0 {
			parts = append(parts, wire.Unquote(e.Raw))
			for _, tok := range e.Tokens {
				going.Tokens = append(going.Tokens, tok.ID)
			}
			if len(parts) == 3 {
				return stop
			}
		}
		return nil
	})
	if !errors.Is(err, stop) {
		t.Fatalf("the first part: %q, %v", parts, err)
	}
	going.Text, going.Count = strings.Join(parts, ""), 3
	if f := s.fake; f != nil && f.ids && (fmt.Sprint(going.Tokens) != "[100 101 102]" || fmt.Sprint(going.Prompt) != "[7 8 9]") {
		t.Errorf("tokens %v behind %v", going.Tokens, going.Prompt)
	}
	if s.continues == fleet.ContinuesTokens && (len(going.Tokens) == 0 || len(going.Prompt) == 0) {
		t.Fatalf("no tokens are told: %+v", going)
	}
	req.Going = going
	rest := s.send(t.Context(), req, nil)
	if rest.err != nil || rest.text == "" || going.Text+rest.text != whole.text && !s.babbles {
		t.Errorf("%q goes on with %q (%v), want %q in all", going.Text, rest.text, rest.err, whole.text)
	}
	if s.fake != nil {
		s.conformLimits(t)
	}
}

// conformLimits looks at what a fake was asked for the rest of an answer of which 3 tokens are out.
func (s *subject) conformLimits(t *testing.T) {
	if last := s.fake.last(); string(last["max_tokens"]) != "7" || string(last["min_tokens"]) != "0" {
		t.Errorf("the rest may have %s tokens and must have %s", last["max_tokens"], last["min_tokens"])
	}
}

// conformTokens has the endpoint go on with a completion from its tokens: the rest must be what it would have been, token by token.
func (s *subject) conformTokens(t *testing.T) {
	req, err := wire.Scan(llm.Completion, []byte(`{"model":"alias","stream":true,"prompt":"Once upon a time","temperature":0,"max_tokens":20,"ignore_eos":true}`), wire.Options{})
	if err != nil {
		t.Fatal(err)
	}
	req.Trail = true
	tokens := func(going *llm.Continuation) (prompt, answer []llm.TokenID) {
		req.Going = going
		got := s.send(t.Context(), req, func(e llm.Event) {
			for _, p := range e.Prompt {
				prompt = append(prompt, p.ID)
			}
			for _, a := range e.Tokens {
				answer = append(answer, a.ID)
			}
		})
		if got.err != nil || strings.Contains(strings.Join(got.frames, ""), `"token_ids":[`) {
			t.Fatalf("%v, and the client is told %q", got.err, got.frames)
		}
		return prompt, answer
	}
	prompt, whole := tokens(nil)
	if len(prompt) == 0 || len(whole) != 20 {
		t.Fatalf("tokens %d behind %d", whole, prompt)
	}
	const first = 7
	if _, rest := tokens(&llm.Continuation{Text: "as it was", Prompt: prompt, Tokens: whole[:first], Count: first}); !slices.Equal(rest, whole[first:]) {
		t.Errorf("it goes on with %d, want %d", rest, whole[first:])
	}
}

// conformInside asks as something inside Weir does: without a body, answered in events.
func (s *subject) conformInside(t *testing.T) {
	for _, stream := range []bool{true, false} {
		req := &llm.Request{Model: "alias", N: 1, Stream: stream, Messages: []llm.Message{llm.TextMessage(llm.RoleUser, question)}, Report: llm.NewReport(), Sampling: llm.NewSampling()}
		req.Sampling.Temperature, req.Limits.MaxTokens = 0, 8
		if got := s.send(t.Context(), req, nil); got.err != nil || got.text == "" || got.finish == "" || len(got.frames) > 0 || got.usage.CompletionTokens == 0 {
			t.Errorf("stream %v: %q, finish %q, usage %+v, %d frames, %v", stream, got.text, got.finish, got.usage, len(got.frames), got.err)
		}
	}
}

func (s *subject) conformProbe(t *testing.T) {
	r := s.Probe(t.Context())
	if r.State != fleet.StateUp || r.About.Kind != s.kind || len(r.About.Models) == 0 || r.Continues != s.continues {
		t.Errorf("probed as %+v, want kind %q that continues %d", r, s.kind, s.continues)
	}
	t.Logf("%+v", r)
}

func (s *subject) conformSeveral(t *testing.T) {
	seen := map[int]bool{}
	sampled := &subject{Endpoint: s.Endpoint} // vLLM refuses several answers that would be the same
	got := sampled.run(t.Context(), t, sampled.body(true, question, `"n":2,"max_tokens":16`), nil)
	for _, f := range got.frames {
		var chunk struct {
			Choices []struct {
				Index  int
				Finish string `json:"finish_reason"`
			}
		}
		_ = json.Unmarshal([]byte(strings.TrimPrefix(f, "data: ")), &chunk)
		for _, c := range chunk.Choices {
			seen[c.Index] = seen[c.Index] || c.Finish != ""
		}
	}
	if got.err != nil || len(seen) != 2 || !seen[0] || !seen[1] {
		t.Errorf("choices that finished: %v, %v", seen, got.err)
	}
}

func (s *subject) conformLogprobs(t *testing.T) {
	got := s.run(t.Context(), t, s.body(true, question, `"logprobs":true`), nil)
	if got.err != nil || !strings.Contains(strings.Join(got.frames, ""), `"logprob":`) {
		t.Errorf("no log-probability in %q, %v", got.frames, got.err)
	}
}

func (s *subject) conformFaults(t *testing.T) {
	check := func(content string, kind llm.Kind, faults ...llm.Fault) *llm.Error {
		t.Helper()
		e := llm.AsError(s.run(t.Context(), t, s.body(true, content), nil).err)
		if e == nil || e.Kind != kind {
			t.Fatalf("%s: %v, want %s", content, e, kind)
		}
		for _, f := range faults {
			if e.Fault == f {
				if strings.Contains(e.Public(), "127.0.0.1") {
					t.Errorf("%s: the address is told: %s", content, e.Public())
				}
				return e
			}
		}
		t.Errorf("%s: fault %s, want %v", content, e.Fault, faults)
		return e
	}
	full := check(askBusy, llm.Overloaded, llm.FaultBusy)
	if s.fake.kind == "openai" && s.fake.owner == "system" && full.RetryAfter != 7*time.Second {
		t.Errorf("retry after %s", full.RetryAfter)
	}
	if strings.Contains(s.fake.streamErr, "overloaded") {
		check(askBreak, llm.Overloaded, llm.FaultBusy)
	} else {
		check(askBreak, llm.Upstream, llm.FaultStream)
	}
	check(askCut, llm.Upstream, llm.FaultCut)
}

func (s *subject) conformTools(t *testing.T) {
	got := s.run(t.Context(), t, s.body(true, askTools, `"tools":[{"type":"function","function":{"name":"add"}}]`), nil)
	if got.err != nil || got.calls != 2 || got.finish != "tool_calls" || !strings.Contains(strings.Join(got.frames, ""), `{\"a\":1}`) {
		t.Errorf("%d parts of calls, finish %q, %v", got.calls, got.finish, got.err)
	}
	if tools := string(s.fake.last()["tools"]); tools != `[{"type":"function","function":{"name":"add"}}]` {
		t.Errorf("the engine got the tools %s", tools)
	}
	got = s.run(t.Context(), t, s.body(true, askThink), nil)
	if got.err != nil || got.reasoning != "hm" || got.text != strings.Join(fakeWords, "") {
		t.Errorf("reasoning %q, text %q, %v", got.reasoning, got.text, got.err)
	}
}

func (s *subject) conformParts(t *testing.T) {
	const parts = `[{"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"low"}},{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]`
	got := s.run(t.Context(), t, `{"model":"alias","messages":[{"role":"user","content":`+parts+`}],"x_vendor":{"a":[1,2]}}`, nil)
	last := s.fake.last()
	if got.err != nil || !strings.Contains(string(last["messages"]), parts) || string(last["x_vendor"]) != `{"a":[1,2]}` {
		t.Errorf("the engine got %s and %s, %v", last["messages"], last["x_vendor"], got.err)
	}
}

// TestFakesConform runs the suite over engines that cannot be had here, as fakes that follow their sources.
func TestFakesConform(t *testing.T) {
	t.Parallel()
	for _, m := range manners {
		t.Run("fake "+m.kind+" of "+m.owner, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, m)
			e, err := openai.New("fake", openai.Config{URL: f.URL + "/v1", Model: "up"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(e.Close)
			if r := e.Probe(t.Context()); r.About.Kind != m.kind {
				t.Fatalf("detected as %q", r.About.Kind)
			}
			s := &subject{Endpoint: e, kind: m.kind, fake: f, several: !m.one, logprobs: true}
			if m.goesOn != nil {
				s.continues = fleet.ContinuesText
			}
			conform(t, s)
		})
	}
}
