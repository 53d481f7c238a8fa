package openai

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/weir-ai/weir/llm"
)

func scanned(t testing.TB, task llm.Task, body string) *llm.Request {
	t.Helper()
	r, err := Scan(task, []byte(body), Options{})
	if err != nil {
		t.Fatalf("%.100s: %v", body, err)
	}
	return r
}

func TestScanReadsWhatRoutingNeeds(t *testing.T) {
	t.Parallel()
	r := scanned(t, llm.Chat, ` { "model" : "m", "messages": [{"role":"user","content":"`+strings.Repeat("word ", 40)+`"}], "stream":true, "stream_options":{"include_usage":true},
		"max_completion_tokens": 7, "x_unknown": {"deep":[1,2]}, "prompt_cache_key":"k", "return_token_ids": true} `)
	if r.Model != "m" || !r.Stream || !r.Report.Usage || r.Limits.MaxTokens != 7 || r.Shape.Session != "k" || !r.Report.TokenIDs || r.Shape.Whole || r.N != 1 {
		t.Errorf("got %+v", r)
	}
	if r.Shape.Prompt < 40 || r.Shape.Prompt > 80 {
		t.Errorf("the prompt's 40 words are taken for %d tokens", r.Shape.Prompt)
	}
	if got := string(Get(r.Body, r.Fields, "x_unknown")); got != `{"deep":[1,2]}` {
		t.Errorf("x_unknown is %q", got)
	}
	if Get(r.Body, r.Fields, "absent") != nil {
		t.Error("an absent member has a value")
	}
}

func TestScanRefusesWhatTwoReadersCouldReadTwice(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"model":"a","model":"b"}`:  "comes twice",
		`{"model":"a"} {}`:           "exactly one object",
		`[1]`:                        "must be a JSON object",
		`{"model":7}`:                "model must be a string",
		`{"model":""}`:               "model is empty",
		`{"messages":[]}`:            "model is missing",
		`{"model":"a","stream":"y"}`: "stream must be true or false",
		`{"model":"a","n":0}`:        "n is 0",
		`{"model":"a","n":129}`:      "n is 129",
		`{"model":"a"`:               "brace",
		``:                           "empty",
	} {
		if _, err := Scan(llm.Chat, []byte(body), Options{}); err == nil || !strings.Contains(llm.AsError(err).Public(), want) {
			t.Errorf("%s: got %v, want %q", body, err, want)
		}
	}
}

func TestScanTellsAnswersOfOnePiece(t *testing.T) {
	t.Parallel()
	for members, want := range map[string]bool{
		`"n":1`: false, `"n":2`: true, `"best_of":2`: true, `"response_format":{"type":"text"}`: false, `"response_format":{"type":"json_object"}`: true,
		`"tool_choice":"auto"`: false, `"tool_choice":"required"`: true, `"guided_json":{}`: true, `"continue_final_message":true`: true, `"echo":false`: false,
		`"response_format":null`: false,
	} {
		if r := scanned(t, llm.Chat, `{"model":"m",`+members+`}`); r.Shape.Whole != want {
			t.Errorf("%s: whole is %v", members, r.Shape.Whole)
		}
	}
	if !scanned(t, llm.Completion, `{"model":"m","prompt":["a","b"]}`).Shape.Whole {
		t.Error("several prompts are taken for one")
	}
}

func TestScanDecodesTheRestWhenAsked(t *testing.T) {
	t.Parallel()
	r := scanned(t, llm.Chat, `{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0.5}`)
	r.ID, r.Tenant = "id", "t"
	w, err := r.Whole()
	if err != nil || w.Sampling.Temperature != 0.5 || len(w.Messages) != 1 || w.ID != "id" || w.Tenant != "t" {
		t.Fatalf("got %+v, %v", w, err)
	}
	r = scanned(t, llm.Chat, `{"model":"m","messages":[{"role":"user","content":"hi"}],"unheard_of":1}`)
	if _, err := r.Whole(); err == nil || llm.AsError(err).Param != "unheard_of" {
		t.Fatalf("got %v", err)
	}
}

func join(pieces [][]byte) []byte { return bytes.Join(pieces, nil) }

func TestEditSetsMembersAndLeavesTheRest(t *testing.T) {
	t.Parallel()
	check := func(body, want string, set ...Member) {
		t.Helper()
		r := scanned(t, llm.Chat, body)
		if got := string(join(Edit(r.Body, r.Fields, set...))); got != want {
			t.Errorf("%s with %v:\n got %s\nwant %s", body, set, got, want)
		}
	}
	v := func(name, value string) Member {
		if value == "" {
			return Member{Name: name}
		}
		return Member{name, []byte(value)}
	}
	check(`{"model":"a","x":1}`, `{"model":"b","x":1}`, v("model", `"b"`))
	check(`{ "x" : 1 , "model" : "a" }`, `{"x" : 1 , "model" : "b"}`, v("model", `"b"`))
	check(`{"model":"a"}`, `{"model":"a","y":[2]}`, v("y", `[2]`))
	check(`{"model":"a","x":1,"y":2}`, `{"model":"a","y":2}`, v("x", ""))
	check(`{"x":1,"model":"a","y":2}`, `{"model":"a"}`, v("x", ""), v("y", ""), v("z", ""))
	check(`{"model":"a","x":1,"y":2}`, `{"x":1}`, v("model", ""), v("y", ""))
	check(`{"model":"a"}`, `{"z":1}`, v("model", ""), v("z", "1"))
	check(`{"model":"a","x":1,"y":2}`, `{"model":"b","x":3,"y":4}`, v("y", "4"), v("model", `"b"`), v("x", "3"))
}

// TestEditIsWhatMapsSay compares random edits of random bodies with encoding/json.
func TestEditIsWhatMapsSay(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		want := map[string]any{}
		for range 1 + rng.IntN(6) {
			want[fmt.Sprint("k", rng.IntN(8))] = float64(rng.IntN(100))
		}
		body, _ := json.Marshal(want)
		fields, err := checked(body, []llm.Field{})
		if err != nil {
			t.Fatal(err)
		}
		var set []Member
		for i := range rng.IntN(4) {
			name := fmt.Sprint("k", 2*i+rng.IntN(2))
			if rng.IntN(3) == 0 {
				set = append(set, Member{Name: name})
				delete(want, name)
			} else {
				set = append(set, Member{name, []byte("-1")})
				want[name] = -1.0
			}
		}
		var got map[string]any
		if err := json.Unmarshal(join(Edit(body, fields, set...)), &got); err != nil || !maps.EqualFunc(got, want, func(a, b any) bool { return reflect.DeepEqual(a, b) }) {
			t.Fatalf("%s with %q: %s (%v), want %v", body, set, join(Edit(body, fields, set...)), err, want)
		}
	}
}

func TestWithUsageKeepsWhatWasAsked(t *testing.T) {
	t.Parallel()
	for v, want := range map[string]string{
		"": `{"include_usage":true}`, `{}`: `{"include_usage":true}`, `{"include_usage":false}`: `{"include_usage":true}`,
		`{"continuous_usage_stats":true}`: `{"continuous_usage_stats":true,"include_usage":true}`,
	} {
		var in []byte
		if v != "" {
			in = []byte(v)
		}
		if got := string(WithUsage(in)); got != want {
			t.Errorf("%s: got %s, want %s", v, got, want)
		}
	}
}

func TestPrefixOfTurnsIsShared(t *testing.T) {
	t.Parallel()
	turn := func(messages ...string) *llm.Request {
		r := scanned(t, llm.Chat, `{"model":"m","messages":[`+strings.Join(messages, ",")+`]}`)
		Prefix(r)
		return r
	}
	say := func(role, word string, n int) string {
		return fmt.Sprintf(`{"role":%q,"content":%q}`, role, strings.Repeat(word+" ", n))
	}
	one := turn(say("system", "be", 300), say("user", "first", 100))
	two := turn(say("system", "be", 300), say("user", "first", 100), say("assistant", "yes", 50), say("user", "second", 100))
	other := turn(say("system", "be", 300), say("user", "other", 100))
	shared := func(a, b *llm.Request) (n int) {
		for n < min(len(a.Shape.Prefix), len(b.Shape.Prefix)) && a.Shape.Prefix[n] == b.Shape.Prefix[n] {
			n++
		}
		return n
	}
	if n := shared(one, two); n != len(one.Shape.Prefix) || n < 5 {
		t.Errorf("the next turn shares %d of %d blocks", n, len(one.Shape.Prefix))
	}
	if n := shared(one, other); n == 0 || n >= len(one.Shape.Prefix) {
		t.Errorf("another conversation shares %d of %d blocks", n, len(one.Shape.Prefix))
	}
	long := turn(say("user", "long", prefixMax*prefixBlock/4))
	if n := len(long.Shape.Prefix); n != prefixMax {
		t.Errorf("a long prompt has %d blocks, want %d", n, prefixMax)
	}
}

func FuzzScanAndEdit(f *testing.F) {
	f.Add([]byte(`{"model":"m","messages":[{"role":"user","content":"x\u00e9"}],"stream":true}`))
	f.Add([]byte(`{"model":"m","stream_options":{"a":[{}]},"n":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := Scan(llm.Chat, body, Options{})
		if err != nil {
			return
		}
		Prefix(r)
		out := join(Edit(r.Body, r.Fields, Member{"model", []byte(`"z"`)}, Member{"stream_options", WithUsage(Get(r.Body, r.Fields, "stream_options"))}, Member{Name: "n"}))
		again, err := Scan(llm.Chat, out, Options{})
		if err != nil || again.Model != "z" || again.Stream != r.Stream || !again.Report.Usage || again.N != 1 {
			t.Fatalf("%q became %q: %v", body, out, err)
		}
	})
}

func BenchmarkScanSmall(b *testing.B) {
	body := []byte(`{"model":"mock-model","messages":[{"role":"user","content":"` + strings.Repeat("word ", 60) + `"}],"max_tokens":200,"stream":false}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Scan(llm.Chat, body, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScanLarge(b *testing.B) {
	body := []byte(`{"model":"mock-model","messages":[{"role":"user","content":"` + strings.Repeat("word ", 30_000) + `"}],"max_tokens":200,"stream":false}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := Scan(llm.Chat, body, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
