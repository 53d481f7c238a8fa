package openai

import (
	"testing"

	"github.com/weir-ai/weir/llm"
)

// hot are the requests whose streams are on the per-token path, from the plainest to the one that tells everything.
func hot() map[string]*llm.Request {
	everything := llm.Report{Usage: true, UsageContinuous: true, Logprobs: 5, PromptLogprobs: -1, TokenIDs: true}
	return map[string]*llm.Request{
		"chat":                {Task: llm.Chat, Report: llm.NewReport()},
		"chat_logprobs":       {Task: llm.Chat, Report: everything},
		"completion":          {Task: llm.Completion, Report: llm.NewReport()},
		"completion_logprobs": {Task: llm.Completion, Report: everything},
	}
}

func hotEvent() llm.Event {
	t := token(17, " wörld", -0.25)
	for i := range 5 {
		t.Top = append(t.Top, token(llm.TokenID(i), " \xe2\x82", -1.5))
	}
	return delta(0, " wörld\n", t)
}

// TestAnEventDoesNotAllocate guards the per-token path.
func TestAnEventDoesNotAllocate(t *testing.T) {
	for name, r := range hot() {
		s, e, buf := NewStream(r, Head{ID: "chatcmpl-1", Model: "m"}), hotEvent(), make([]byte, 0, 64<<10)
		buf = s.Event(buf[:0], &e) // the role's frame
		if n := testing.AllocsPerRun(100, func() { buf = s.Event(buf[:0], &e) }); n != 0 {
			t.Errorf("%s: an event allocates %v times", name, n)
		}
		if len(buf) == 0 {
			t.Errorf("%s: nothing was written", name)
		}
	}
}

func BenchmarkStreamEvent(b *testing.B) {
	for name, r := range hot() {
		b.Run(name, func(b *testing.B) {
			s, e, buf := NewStream(r, Head{ID: "chatcmpl-1", Model: "m"}), hotEvent(), make([]byte, 0, 64<<10)
			b.ReportAllocs()
			for b.Loop() {
				buf = s.Event(buf[:0], &e)
			}
		})
	}
}

func BenchmarkDecodeChat(b *testing.B) {
	body := []byte(`{"model":"weir-mini","messages":[{"role":"system","content":"You are brief."},{"role":"user","content":"What is 17 + 25?"}],"temperature":0.7,"top_p":0.9,"max_tokens":256,"stream":true,"stream_options":{"include_usage":true}}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := DecodeChat(body, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
