package openai

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"testing"

	"github.com/weir-ai/weir/llm"
)

// fuzzDecode checks what holds for every body: no panic; an error is an *llm.Error that says the client is wrong; what is accepted
// means the same with other white space, is within its bounds, and is accepted, too, where unknown fields are ignored.
func fuzzDecode(t *testing.T, body []byte, decode func([]byte, Options) (*llm.Request, error)) {
	r, err := decode(body, Options{})
	if err != nil {
		if got := llm.AsError(err); got.Kind != llm.Invalid && got.Kind != llm.TooLarge || got.Message == "" {
			t.Fatalf("%q: %v is %s", body, err, got.Kind)
		}
		if out := AppendError(nil, llm.AsError(err)); !json.Valid(out) {
			t.Fatalf("%q: the error is no JSON: %s", body, out)
		}
		return
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, body); err != nil {
		t.Fatalf("%q: accepted and no JSON: %v", body, err)
	}
	again, err := decode(compact.Bytes(), Options{IgnoreUnknown: true})
	if err != nil {
		t.Fatalf("%q: accepted once and then %v", body, err)
	}
	if a, b := bare(t, r), bare(t, again); !reflect.DeepEqual(a, b) {
		t.Fatalf("%q means\n%+v\nand then\n%+v", body, a, b)
	}
	s := r.Sampling
	if r.Choices() > choicesMax || len(r.Limits.Stop) > stopsMax || len(s.Bias) > biasMax || len(r.Messages) > messagesMax || r.Limits.MaxTokens < 0 ||
		!(s.Temperature >= 0 && s.Temperature <= 2) || !(s.TopP > 0 && s.TopP <= 1) || s.TopK < 0 || !(s.Repetition > 0) {
		t.Fatalf("%q is out of bounds: %+v", body, r)
	}
}

// bare is a request without white space in what it keeps as it was sent.
func bare(t *testing.T, r *llm.Request) llm.Request {
	squeeze := func(raw json.RawMessage) json.RawMessage {
		var b bytes.Buffer
		if raw != nil && json.Compact(&b, raw) != nil {
			t.Fatalf("%q is kept and no JSON", raw)
		}
		return b.Bytes()
	}
	c := *r
	c.Body, c.Template.Kwargs = nil, squeeze(r.Template.Kwargs)
	c.Messages = nil
	for _, m := range r.Messages {
		m.Raw = squeeze(m.Raw)
		m.ToolCalls = append([]llm.ToolCall(nil), m.ToolCalls...)
		for i := range m.ToolCalls {
			if raw := json.RawMessage(m.ToolCalls[i].Arguments); json.Valid(raw) {
				m.ToolCalls[i].Arguments = string(squeeze(raw))
			}
		}
		c.Messages = append(c.Messages, m)
	}
	return c
}

func FuzzDecodeChat(f *testing.F) {
	for _, s := range []string{
		`{"model":"m","messages":[{"role":"user","content":"hi"}]}`,
		`{"model":"m","messages":[{"role":"system","content":[{"type":"text","text":"a"}]},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":{"a": 1}}}]},{"role":"tool","content":"","tool_call_id":"c"}],"n":2,"seed":1,"stream":true,"stream_options":{"include_usage":true}}`,
		`{"model":"m","messages":[{"role":"user","content":"\ud83d\ude00"}],"logit_bias":{"1":-100},"stop":["a"],"stop_token_ids":[1],"logprobs":true,"top_logprobs":2,"metadata":{"a":"b"},"chat_template_kwargs":{"a":[ 1 ]},"response_format":{"type":"text"}}`,
		`{"model":"m","messages":[{"role":"user","content":[{"type":"image_url"}]}],"temprature":1e999}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		fuzzDecode(t, body, DecodeChat)
		if got, err := DecodeTokenize(body, Options{IgnoreUnknown: true}); err == nil && got.Chat != nil && len(got.Chat.Messages) == 0 {
			t.Fatalf("%q: %+v", body, got)
		}
	})
}

func FuzzDecodeCompletion(f *testing.F) {
	for _, s := range []string{
		`{"model":"m","prompt":"hi"}`, `{"model":"m","prompt":["a","b"],"n":2,"best_of":2}`, `{"model":"m","prompt":[1, 2],"echo":true,"max_tokens":0,"logprobs":1}`,
		`{"model":"m","prompt":[[1],[2]],"top_k":-1,"min_tokens":2,"prompt_logprobs":0}`, `{"tokens":[1,2,3]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		fuzzDecode(t, body, DecodeCompletion)
		_, _ = DecodeDetokenize(body, Options{})
	})
}

// FuzzOutput checks that every text and number makes valid JSON, in every form of answer: text says the same where it is UTF-8, and
// the bytes of a chat's tokens are always exact.
func FuzzOutput(f *testing.F) {
	f.Add("plain", []byte("to\xe2ken"), uint64(0))
	f.Add("\u2028\x00\"\\\r\n\t\x7f", []byte{0xff, 0, '"'}, math.Float64bits(math.Inf(-1)))
	f.Add("\xf0\x9f\x98", []byte(" x"), math.Float64bits(math.NaN()))
	f.Add("é€😀", []byte("\x82\xac"), math.Float64bits(-0.1))
	f.Fuzz(func(t *testing.T, text string, tok []byte, bits uint64) {
		p := math.Float64frombits(bits)
		one := llm.TokenLogprob{ID: llm.TokenID(int32(bits) | 2), Bytes: tok, Logprob: p, Known: true}
		one.Top = []llm.TokenLogprob{{ID: 1, Bytes: []byte(text), Logprob: -p, Known: true}, one}
		tokens := []llm.TokenLogprob{{Bytes: tok}, one, {Bytes: []byte(text), Known: true}}
		events := []llm.Event{
			{Kind: llm.EventPrompt, Text: text, Tokens: tokens}, {Kind: llm.EventDelta, Text: text, Tokens: tokens}, {Kind: llm.EventReasoning, Text: text},
			{Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishStop, Stop: text}}, {Kind: llm.EventUsage},
		}
		for _, task := range []llm.Task{llm.Chat, llm.Completion} {
			r := &llm.Request{Task: task, Report: llm.Report{Usage: true, UsageContinuous: true, Logprobs: 2, PromptLogprobs: 2, Echo: true, TokenIDs: true}}
			h := Head{ID: text, Model: llm.ModelID(tok)}
			s, a := NewStream(r, h), NewAnswer(r, h)
			for i := range events {
				out := s.Event(nil, &events[i])
				for _, frame := range bytes.Split(bytes.TrimSuffix(out, []byte("\n\n")), []byte("\n\n")) {
					if line, ok := bytes.CutPrefix(frame, []byte("data: ")); len(out) > 0 && (!ok || !json.Valid(line) || bytes.ContainsAny(line, "\r\n")) {
						t.Fatalf("event %d makes the frame %q", i, frame)
					}
				}
				if err := a.Event(&events[i]); err != nil {
					t.Fatal(err)
				}
			}
			answered(t, a.Append(nil), task, text, tok)
		}
		if out := AppendTokenize(nil, nil, []string{text}, int(int32(bits))); !json.Valid(out) {
			t.Fatalf("tokenize: %s", out)
		}
		if out := AppendError(nil, &llm.Error{Message: text, Param: text, Code: string(tok)}); !json.Valid(out) {
			t.Fatalf("error: %s", out)
		}
	})
}

// answered reads an answer back.
func answered(t *testing.T, out []byte, task llm.Task, text string, tok []byte) {
	var got struct {
		Choices []struct {
			Text     string
			Message  struct{ Content string }
			Logprobs struct {
				Content []struct{ Bytes []int }
				Tokens  []string
				Places  []int `json:"text_offset"`
			}
			Stop string `json:"stop_reason"`
		}
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := check(out); err != nil && task == llm.Chat {
		t.Fatalf("%v: %s", err, out)
	}
	c := got.Choices[0]
	said, want := c.Message.Content, string([]rune(text))
	if task == llm.Completion {
		said, want = c.Text, string([]rune(text))+string([]rune(text))+string([]rune(text))
	} else {
		want += string([]rune(text))
	}
	if said != want || c.Stop != string([]rune(text)) {
		t.Fatalf("the answer says %q, stop %q; want %q", said, c.Stop, want)
	}
	for i, b := range tok {
		if task == llm.Chat && c.Logprobs.Content[0].Bytes[i] != int(b) {
			t.Fatalf("the bytes of %q are told as %v", tok, c.Logprobs.Content[0].Bytes)
		}
	}
	last := 0
	for _, at := range c.Logprobs.Places {
		if at < last-1 || at > len([]rune(said)) {
			t.Fatalf("offsets %v in a text of %d characters", c.Logprobs.Places, len([]rune(said)))
		}
		last = at
	}
}

func TestLogprobsAreNumbersOfJSON(t *testing.T) {
	t.Parallel()
	check := func(f float64, want string) {
		t.Helper()
		if got := string(appendLogprob(nil, f)); got != want {
			t.Errorf("%v is written %s, want %s", f, got, want)
		}
	}
	check(-0.5, "-0.5")
	check(0, "0.0")
	check(-3, "-3.0")
	check(float64(float32(-0.1)), "-0.1")
	check(-0.1, "-0.1")
	check(-1e-7, "-1e-07")
	check(math.Inf(-1), "-9999.0")
	check(math.NaN(), "-9999.0")
	check(-1e6, "-9999.0")
	check(1e-9, "0.0")
}
