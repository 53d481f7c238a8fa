package openai

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/weir-ai/weir/llm"
)

func TestAnswerRefusesWhatHasNoPlace(t *testing.T) {
	t.Parallel()
	chat, text := &llm.Request{Task: llm.Chat, Report: llm.NewReport()}, &llm.Request{Task: llm.Completion, Report: llm.NewReport()}
	check := func(r *llm.Request, e llm.Event, want llm.Kind) {
		t.Helper()
		err := NewAnswer(r, Head{}).Event(&e)
		if err == nil || llm.AsError(err).Kind != want {
			t.Errorf("%+v: %v, want %s", e, err, want)
		}
	}
	call := func(index int) llm.Event {
		return llm.Event{Kind: llm.EventToolCall, Call: &llm.ToolCallDelta{Index: index}}
	}
	check(chat, llm.Event{Kind: llm.EventError, Err: llm.Errorf(llm.Timeout, "late")}, llm.Timeout)
	check(chat, llm.Event{Kind: llm.EventError}, llm.Internal)
	check(chat, call(-1), llm.Upstream)
	check(chat, call(1), llm.Upstream)
	check(text, call(0), llm.Internal)

	a := NewAnswer(chat, Head{})
	for i := range callsMax {
		e := call(i)
		if err := a.Event(&e); err != nil {
			t.Fatalf("call %d of %d: %v", i, callsMax, err)
		}
	}
	if e := call(callsMax); a.Event(&e) == nil {
		t.Errorf("more than %d calls are taken", callsMax)
	}
}

func TestStreamTellsWhatHasNoPlace(t *testing.T) {
	t.Parallel()
	check := func(task llm.Task, e llm.Event, want string) {
		t.Helper()
		out := string(NewStream(&llm.Request{Task: task, Report: llm.NewReport()}, Head{}).Event(nil, &e))
		if !strings.HasPrefix(out, `data: {"error":`) || !strings.Contains(out, want) || !strings.HasSuffix(out, "}\n\n") {
			t.Errorf("%+v makes %q, want %q in an error", e, out, want)
		}
	}
	check(llm.Completion, llm.Event{Kind: llm.EventToolCall}, "internal_error")
	check(llm.Chat, llm.Event{Kind: llm.EventError}, "internal_error")
	check(llm.Chat, llm.Event{Kind: llm.EventError, Err: &llm.Error{Kind: llm.Timeout, Err: errors.New("secret")}}, "timeout")
}

// TestEventsOfWhichNobodyAsked checks that tokens without text make no frame unless they are wanted.
func TestEventsOfWhichNobodyAsked(t *testing.T) {
	t.Parallel()
	check := func(task llm.Task, report llm.Report, e llm.Event, frames int) {
		t.Helper()
		s := NewStream(&llm.Request{Task: task, Report: report}, Head{})
		hello := delta(0, "x")
		s.Event(nil, &hello) // the role's frame is out
		if got := strings.Count(string(s.Event(nil, &e)), "data: "); got != frames {
			t.Errorf("%s, %+v: %d frames for %+v, want %d", task, report, got, e, frames)
		}
	}
	ids, logprobs, echo := llm.NewReport(), llm.NewReport(), llm.NewReport()
	ids.TokenIDs, logprobs.Logprobs, echo.Echo = true, 0, true
	prompt := llm.Event{Kind: llm.EventPrompt, Text: "p", Tokens: []llm.TokenLogprob{first(1, "p")}}
	for _, task := range []llm.Task{llm.Chat, llm.Completion} {
		check(task, llm.NewReport(), delta(0, "", token(1, "\xe2", -1)), 0)
		check(task, ids, delta(0, "", token(1, "\xe2", -1)), 1)
		check(task, logprobs, delta(0, "", token(1, "\xe2", -1)), 1)
		check(task, logprobs, delta(0, ""), 0)
		check(task, llm.NewReport(), prompt, 0)
		check(task, llm.NewReport(), used(llm.Usage{PromptTokens: 1}), 0)
	}
	check(llm.Chat, ids, prompt, 0)
	check(llm.Completion, ids, prompt, 1)
	check(llm.Completion, echo, prompt, 1)
}

// TestAnswerAndStreamSayTheSame puts the stream's pieces together and compares them with the answer.
func TestAnswerAndStreamSayTheSame(t *testing.T) {
	t.Parallel()
	type logprobs struct {
		Tokens   []string
		Logprobs []*float64           `json:"token_logprobs"`
		Tops     []map[string]float64 `json:"top_logprobs"`
		Offsets  []int                `json:"text_offset"`
	}
	type body struct {
		Choices []struct {
			Text     string
			Logprobs *logprobs
			Finish   *string `json:"finish_reason"`
		}
	}
	r := &llm.Request{Task: llm.Completion, Report: llm.Report{Echo: true, Logprobs: 1, PromptLogprobs: 1}}
	events := []llm.Event{
		{Kind: llm.EventPrompt, Text: "ab", Tokens: []llm.TokenLogprob{first(1, "a"), token(2, "b", -1, token(3, "c", -0.5))}},
		delta(0, "€", token(4, "€", -0.5)), delta(0, "d", token(5, "d", -2)), finished(0, llm.Finish{Reason: llm.FinishStop}),
	}
	s, a := NewStream(r, Head{}), NewAnswer(r, Head{})
	var text string
	var all logprobs
	for i := range events {
		if err := a.Event(&events[i]); err != nil {
			t.Fatal(err)
		}
		var frame body
		if err := json.Unmarshal(s.Event(nil, &events[i])[len("data: "):], &frame); err != nil {
			t.Fatal(err)
		}
		c := frame.Choices[0]
		text += c.Text
		if l := c.Logprobs; l != nil {
			all = logprobs{append(all.Tokens, l.Tokens...), append(all.Logprobs, l.Logprobs...), append(all.Tops, l.Tops...), append(all.Offsets, l.Offsets...)}
		}
		if last := i == len(events)-1; last != (c.Finish != nil) {
			t.Errorf("event %d has the reason %v", i, c.Finish)
		}
	}
	var whole body
	if err := json.Unmarshal(a.Append(nil), &whole); err != nil {
		t.Fatal(err)
	}
	c := whole.Choices[0]
	streamed, _ := json.Marshal(all)
	answered, _ := json.Marshal(c.Logprobs)
	if c.Text != text || text != "ab€d" || string(streamed) != string(answered) {
		t.Errorf("the stream says %q %s, the answer %q %s", text, streamed, c.Text, answered)
	}
}
