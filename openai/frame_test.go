package openai

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/weir-ai/weir/llm"
)

const (
	chunkRole    = `{"id":"c1","object":"chat.completion.chunk","created":17,"model":"up","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`
	chunkContent = `{"id":"c1","object":"chat.completion.chunk","created":17,"model":"up","choices":[{"index":0,"delta":{"content":"a \"b\" \u00e9"},"logprobs":null,"finish_reason":null,"token_ids":[5, 6]}],"usage":null}`
	chunkThought = `{"choices":[{"index":0,"delta":{"reasoning_content":"hm","content":null}}],"model":"up"}`
	chunkTool    = `{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":"{"}}]}}],"model":"up"}`
	chunkFinish  = `{"id":"c1","model":"up","choices":[{"index":0,"delta":{},"finish_reason":"length"}],"usage":{"prompt_tokens":32,"completion_tokens":100,"total_tokens":132,"prompt_tokens_details":{"cached_tokens":8},"completion_tokens_details":{"reasoning_tokens":3}}}`
	chunkUsage   = `{"id":"c1","model":"up","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}`
	answerWhole  = `{"id":"c1","object":"chat.completion","created":17,"model":"up","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}`
	textChunk    = `{"id":"x","model":"up","choices":[{"index":0,"text":"hi","finish_reason":null}]}`
	errorChunk   = `{"error":{"message":"boom","code":500}}`
	errorFlat    = `{"object":"error","message":"boom","code":400}`
)

func frame(t testing.TB, s string) *Frame {
	t.Helper()
	var f Frame
	if !f.Read([]byte(s)) {
		t.Fatalf("not read: %s", s)
	}
	return &f
}

func TestFrameTellsWhatItHolds(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]llm.Holds{
		chunkRole: 0, chunkContent: llm.HoldsContent, chunkThought: llm.HoldsReasoning, chunkTool: llm.HoldsToolCall,
		chunkFinish: llm.HoldsFinish | llm.HoldsUsage, chunkUsage: llm.HoldsUsage, textChunk: llm.HoldsContent, errorChunk: 0,
		answerWhole: llm.HoldsWhole | llm.HoldsContent | llm.HoldsFinish | llm.HoldsUsage,
	} {
		if f := frame(t, s); f.Holds != want {
			t.Errorf("%s holds %b, want %b", s, f.Holds, want)
		}
	}
	if f := frame(t, chunkContent); Unquote(f.Text) != `a "b" é` || string(f.IDs) != "[5, 6]" || len(TokenList(f.IDs)) != 2 || TokenList(f.IDs)[1] != 6 {
		t.Errorf("content is %q, ids %q", Unquote(f.Text), f.IDs)
	}
	if f := frame(t, chunkFinish); f.Reason != "length" || f.Usage != (llm.Usage{PromptTokens: 32, CachedTokens: 8, CompletionTokens: 100, ReasoningTokens: 3}) || f.OnlyUsage() {
		t.Errorf("finish is %q, usage %+v", f.Reason, f.Usage)
	}
	if !frame(t, chunkUsage).OnlyUsage() || frame(t, errorChunk).Error == nil || !frame(t, errorFlat).Flat() {
		t.Error("usage or error is not seen")
	}
}

func TestFrameIsRewrittenInPlace(t *testing.T) {
	t.Parallel()
	usage := llm.Usage{PromptTokens: 7, CompletionTokens: 9}
	got := frame(t, chunkFinish).Append(nil, &Rewrite{Model: []byte(`"alias"`), ID: []byte(`"own"`), Created: 5, Usage: &usage})
	var out struct {
		ID, Model string
		Usage     struct {
			Prompt     int `json:"prompt_tokens"`
			Completion int `json:"completion_tokens"`
		}
	}
	if err := json.Unmarshal(got, &out); err != nil || out.ID != "own" || out.Model != "alias" || out.Usage.Prompt != 7 || out.Usage.Completion != 9 {
		t.Errorf("got %s: %+v, %v", got, out, err)
	}
	if got := string(frame(t, chunkContent).Append(nil, &Rewrite{})); got != chunkContent {
		t.Errorf("nothing to rewrite, but got %s", got)
	}
	want := `"finish_reason":null,"token_ids":null}`
	if got := string(frame(t, chunkContent).Append(nil, &Rewrite{TokenIDs: true})); !json.Valid([]byte(got)) || !contains(got, want) {
		t.Errorf("ids are not hidden in %s", got)
	}
}

func contains(s, part string) bool {
	for i := 0; i+len(part) <= len(s); i++ {
		if s[i:i+len(part)] == part {
			return true
		}
	}
	return false
}

func TestFrameSurvivesWhatIsNoJSON(t *testing.T) {
	t.Parallel()
	for _, whole := range []string{chunkContent, chunkFinish, answerWhole, chunkTool} {
		for i := range whole {
			var f Frame
			if f.Read([]byte(whole[:i])) {
				t.Errorf("%q is taken for whole", whole[:i])
			}
		}
	}
	for _, s := range []string{"", "[]", "null", "{]", `{"a"}`, `{"choices":{}}`, `{"choices":[1]}`, `{"a":}`, `{"usage":3}`} {
		var f Frame
		if f.Read([]byte(s)) {
			t.Errorf("%q is taken for a frame", s)
		}
	}
}

func TestDecodeFrameMakesEvents(t *testing.T) {
	t.Parallel()
	kinds := func(s string) (out []llm.EventKind) {
		events, err := DecodeFrame(llm.Chat, []byte(s))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			out = append(out, e.Kind)
		}
		return out
	}
	check := func(s string, want ...llm.EventKind) {
		t.Helper()
		got := kinds(s)
		if len(got) != len(want) {
			t.Fatalf("%s: got %v, want %v", s, got, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%s: got %v, want %v", s, got, want)
			}
		}
	}
	check(chunkRole)
	check(chunkContent, llm.EventDelta)
	check(chunkThought, llm.EventReasoning)
	check(chunkTool, llm.EventToolCall)
	check(chunkFinish, llm.EventFinish, llm.EventUsage)
	check(answerWhole, llm.EventDelta, llm.EventFinish, llm.EventUsage)
}

// TestFramesAlikeReadAsFrames compares the short way with the long one over streams of frames in every order.
func TestFramesAlikeReadAsFrames(t *testing.T) {
	t.Parallel()
	var pool []string
	for _, text := range []string{`a`, `longer than before`, `\"`, `\\`, `\\\"x`, `你好`, `\u00e9`, ``, `"`, `x","y":"z`, `}]}`} {
		pool = append(pool,
			`{"id":"c","model":"up","choices":[{"index":0,"delta":{"content":"`+text+`"}}],"created":5}`,
			`{"choices":[{"index":0,"delta":{"content":"`+text+`"},"finish_reason":null}],"id":"c","model":"up","usage":null}`)
	}
	pool = append(pool, chunkRole, chunkContent, chunkThought, chunkTool, chunkFinish, chunkUsage, textChunk, errorChunk, "{", `{"id":"c","model":"up","choices":[{"index":0,"delta":{"content":"`)
	rng := rand.New(rand.NewPCG(3, 4))
	rw := &Rewrite{Model: []byte(`"alias"`), ID: []byte(`"own"`), Created: 9}
	var like Frame
	for range 20_000 {
		b := []byte(pool[rng.IntN(len(pool))])
		var plain Frame
		ok := plain.Read(b)
		if got := like.ReadLike(b); got != ok && !json.Valid(b) == got {
			t.Fatalf("%s: read %v, alike %v", b, ok, got)
		} else if !ok || !got {
			continue
		}
		if like.Holds != plain.Holds || string(like.Text) != string(plain.Text) || like.Choices != plain.Choices || like.Usage != plain.Usage || like.Reason != plain.Reason {
			t.Fatalf("%s: read %+v, alike %+v", b, plain, like)
		}
		if got, want := string(like.Append(nil, rw)), string(plain.Append(nil, rw)); got != want {
			t.Fatalf("%s: rewritten as %s, want %s", b, got, want)
		}
	}
}

func FuzzFrame(f *testing.F) {
	for _, s := range []string{chunkRole, chunkContent, chunkThought, chunkTool, chunkFinish, chunkUsage, answerWhole, textChunk, errorChunk} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var fr Frame
		if !fr.Read(b) {
			return
		}
		out := fr.Append(nil, &Rewrite{Model: []byte(`"m"`), ID: []byte(`"i"`), Created: 1, Usage: &llm.Usage{}, TokenIDs: true})
		_ = Unquote(fr.Text)
		if json.Valid(b) && !json.Valid(out) {
			t.Fatalf("%q became %q", b, out)
		}
	})
}

func BenchmarkFrameAlike(b *testing.B) {
	raw, out := []byte(`{"id":"c1","object":"chat.completion.chunk","created":17,"model":"up","choices":[{"index":0,"delta":{"content":"t=1795791540130905042 "},"finish_reason":null}]}`), make([]byte, 0, 1024)
	var f Frame
	rw := &Rewrite{Model: []byte(`"alias"`)}
	b.ReportAllocs()
	for b.Loop() {
		f.ReadLike(raw)
		out = f.Append(out[:0], rw)
	}
}

func BenchmarkFrame(b *testing.B) {
	raw, out := []byte(chunkContent), make([]byte, 0, 1024)
	var f Frame
	rw := &Rewrite{Model: []byte(`"alias"`)}
	b.ReportAllocs()
	for b.Loop() {
		f.Read(raw)
		out = f.Append(out[:0], rw)
	}
}
