package openai

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-ai/weir/llm"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/*.txt anew from what is produced")

// token is a token of tests, with its alternatives.
func token(id llm.TokenID, text string, logprob float64, top ...llm.TokenLogprob) llm.TokenLogprob {
	return llm.TokenLogprob{ID: id, Bytes: []byte(text), Logprob: logprob, Known: true, Top: top}
}

// first is a prompt's first token, which nothing predicts.
func first(id llm.TokenID, text string) llm.TokenLogprob {
	return llm.TokenLogprob{ID: id, Bytes: []byte(text)}
}

func delta(choice int, text string, tokens ...llm.TokenLogprob) llm.Event {
	return llm.Event{Kind: llm.EventDelta, Choice: choice, Text: text, Tokens: tokens}
}

func finished(choice int, f llm.Finish) llm.Event {
	return llm.Event{Kind: llm.EventFinish, Choice: choice, Finish: f}
}

func used(u llm.Usage) llm.Event { return llm.Event{Kind: llm.EventUsage, Usage: u} }

func transcriptHead(r *llm.Request) Head {
	h := Head{ID: "chatcmpl-1", Created: 1700000000, Model: r.Model}
	if r.Task == llm.Completion {
		h.ID = "cmpl-1"
	}
	return h
}

// transcript is what the wire carries for the events: the stream where the body asks for one, else the answer.
func transcript(t *testing.T, decode func([]byte, Options) (*llm.Request, error), body string, events []llm.Event) []byte {
	t.Helper()
	r, err := decode([]byte(body), Options{})
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	out := []byte(body + "\n\n")
	if !r.Stream {
		a := NewAnswer(r, transcriptHead(r))
		for i := range events {
			if err := a.Event(&events[i]); err != nil {
				return append(AppendError(out, llm.AsError(err)), '\n')
			}
		}
		return append(a.Append(out), '\n')
	}
	s := NewStream(r, transcriptHead(r))
	for i := range events {
		out = s.Event(out, &events[i])
	}
	return s.Done(out)
}

// golden compares with a file of testdata, and checks that every frame is one line of valid JSON.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	_, wire, _ := bytes.Cut(got, []byte("\n\n"))
	for _, frame := range strings.Split(strings.TrimRight(string(wire), "\n"), "\n\n") {
		if text := strings.TrimPrefix(frame, "data: "); text != "[DONE]" && (!json.Valid([]byte(text)) || strings.Contains(text, "\n")) {
			t.Errorf("%s: the frame is no JSON on one line: %s", name, frame)
		}
	}
	path := filepath.Join("testdata", name+".txt")
	if *rewrite {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -rewrite writes it)", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs:\n%s\nwant\n%s", name, got, want)
	}
}

func TestChatTranscripts(t *testing.T) {
	t.Parallel()
	check := func(name, members string, events ...llm.Event) {
		t.Helper()
		for suffix, stream := range map[string]string{"": "", "_stream": `,"stream":true`} {
			if strings.Contains(members, "stream_options") && stream == "" {
				continue
			}
			body := `{"model":"weir-mini","messages":[{"role":"user","content":"Hi"}]` + members + stream + `}`
			golden(t, name+suffix, transcript(t, DecodeChat, body, events))
		}
	}
	usage := used(llm.Usage{PromptTokens: 9, CachedTokens: 4, CompletionTokens: 3})
	check("chat", "", delta(0, "Hello"), delta(0, " \"wörld\"\n"), delta(0, "😀\u2028</s>\x00"), finished(0, llm.Finish{Reason: llm.FinishStop}), usage)
	check("chat_empty", "", finished(0, llm.Finish{Reason: llm.FinishStop}), usage)
	check("chat_usage", `,"stream_options":{"include_usage":true}`, delta(0, "Hello"), finished(0, llm.Finish{Reason: llm.FinishLength}), usage)
	running := func(e llm.Event, n int) llm.Event {
		e.Usage = llm.Usage{PromptTokens: 9, CachedTokens: 4, CompletionTokens: n}
		return e
	}
	check("chat_usage_continuous", `,"stream_options":{"include_usage":true,"continuous_usage_stats":true}`,
		running(delta(0, "Hello"), 1), running(delta(0, " you"), 2), running(finished(0, llm.Finish{Reason: llm.FinishStop}), 3), usage)
	check("chat_logprobs", `,"logprobs":true,"top_logprobs":2`,
		delta(0, "2", token(17, "2", -0.25, token(17, "2", -0.25), token(18, "3", -1.75), token(19, "4", -5))),
		delta(0, "", token(200, "\xf0\x9f", -1.5, token(200, "\xf0\x9f", -1.5), token(201, "\xe2\x82", -2.0625))),
		delta(0, "😀", token(202, "\x98\x80", 0)),
		finished(0, llm.Finish{Reason: llm.FinishStop, Stop: "\nUser:"}), usage)
	prompt := llm.Event{Kind: llm.EventPrompt, Text: "<|user|>Hi", Tokens: []llm.TokenLogprob{
		first(1, "<s>"), token(7, "<|user|>", -0.5, token(7, "<|user|>", -0.5), token(8, "x", -3)), token(9, "Hi", -6.5, token(7, "<|user|>", -0.75))}}
	prompt.Tokens[2].Rank = 321
	second := prompt
	second.Choice = 1
	check("chat_choices", `,"n":2,"return_token_ids":true,"stop_token_ids":[5]`, second, prompt,
		delta(1, "b", token(21, "b", -1)), delta(0, "a", token(20, "a", -1)), delta(0, "a", token(20, "a", -1)),
		finished(0, llm.Finish{Reason: llm.FinishStop, StopIsToken: true, Token: 5}), finished(1, llm.Finish{Reason: llm.FinishLength}), usage)
	check("chat_tools", "", llm.Event{Kind: llm.EventReasoning, Text: "Let me\nlook."},
		llm.Event{Kind: llm.EventToolCall, Call: &llm.ToolCallDelta{ID: "call_1", Name: "get"}},
		llm.Event{Kind: llm.EventToolCall, Call: &llm.ToolCallDelta{Arguments: `{"city":`}},
		llm.Event{Kind: llm.EventToolCall, Call: &llm.ToolCallDelta{Arguments: `"Zürich"}`}},
		llm.Event{Kind: llm.EventToolCall, Call: &llm.ToolCallDelta{Index: 1, ID: "call_2", Name: "put", Arguments: "{}"}},
		finished(0, llm.Finish{Reason: llm.FinishToolCalls}), used(llm.Usage{PromptTokens: 9, CompletionTokens: 8, ReasoningTokens: 4}))
	check("chat_error", "", delta(0, "Hello"), llm.Event{Kind: llm.EventError, Err: &llm.Error{Kind: llm.SlowReader, Message: "too slow"}})

	body := `{"model":"weir-mini","messages":[{"role":"user","content":"Hi"}],"prompt_logprobs":1}`
	golden(t, "chat_prompt_logprobs", transcript(t, DecodeChat, body, []llm.Event{prompt, delta(0, "a"), finished(0, llm.Finish{Reason: llm.FinishStop}), usage}))
}

func TestCompletionTranscripts(t *testing.T) {
	t.Parallel()
	check := func(name, members string, events ...llm.Event) {
		t.Helper()
		for suffix, stream := range map[string]string{"": "", "_stream": `,"stream":true`} {
			if strings.Contains(members, "prompt_logprobs") && stream != "" || strings.Contains(members, "stream_options") && stream == "" {
				continue
			}
			golden(t, name+suffix, transcript(t, DecodeCompletion, `{"model":"weir-mini",`+members+stream+`}`, events))
		}
	}
	usage := used(llm.Usage{PromptTokens: 4, CompletionTokens: 2})
	check("completion", `"prompt":["a","b"]`, delta(1, " B"), delta(0, " A"), delta(0, ".\t"),
		finished(0, llm.Finish{Reason: llm.FinishStop, Stop: "\n"}), finished(1, llm.Finish{Reason: llm.FinishLength}), usage)
	// The prompt "né" in tokens that cut its last character, and a start token without a text; of two tokens with the same bytes one is told.
	prompt := llm.Event{Kind: llm.EventPrompt, Text: "né", Tokens: []llm.TokenLogprob{
		first(1, "<s>"), token(30, " n", -2.5, token(31, "m", -0.5)), token(40, "\xc3", -1.125, token(40, "\xc3", -1.125)), token(41, "\xa9", -0.0625, token(41, "\xa9", -0.0625))}}
	answer := []llm.Event{
		prompt,
		delta(0, "e!", token(50, "e!", -0.3, token(51, "e", -0.25), token(52, "e", -0.28))),
		delta(0, "", token(53, "\xe2\x82", -0.125, token(53, "\xe2\x82", -0.125))),
		delta(0, "€x", token(54, "\xac", -0.1, token(54, "\xac", -0.1)), token(55, "x", -9.75, token(56, "y", -0.0001))),
		finished(0, llm.Finish{Reason: llm.FinishLength}), usage,
	}
	check("completion_echo", `"prompt":"né","echo":true,"logprobs":1`, answer...)
	check("completion_echo_text", `"prompt":"né","echo":true`, prompt, delta(0, "e!"), finished(0, llm.Finish{Reason: llm.FinishLength}), usage)
	check("completion_echo_only", `"prompt":"né","echo":true,"max_tokens":0,"logprobs":1`, answer...)
	check("completion_echo_only_usage", `"prompt":"né","echo":true,"max_tokens":0,"stream_options":{"include_usage":true,"continuous_usage_stats":true}`, answer...)
	check("completion_logprobs", `"prompt":"né","logprobs":2`, answer[1:]...)
	check("completion_ids", `"prompt":[1,30,40,41],"return_token_ids":true`, answer...)
	check("completion_prompt_logprobs", `"prompt":"né","prompt_logprobs":1,"return_token_ids":true`, answer...)
	check("completion_error", `"prompt":"a"`, delta(0, "x"), llm.Event{Kind: llm.EventError, Err: llm.Errorf(llm.Upstream, "engine \"gone\"")})
}
