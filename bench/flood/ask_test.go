package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// engineStub answers chat completions with the given body as a stream.
func engineStub(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, words int)) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Messages []message `json:"messages"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.Messages) == 0 {
			http.Error(w, "no messages", http.StatusBadRequest)
			return
		}
		answer(w, r, len(strings.Fields(body.Messages[0].Content)))
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

const (
	roleEvent = `data: {"choices":[{"delta":{"role":"assistant","content":""}}]}` + "\n\n"
	endEvents = `data: {"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":3}}` + "\n\ndata: [DONE]\n\n"
)

func content(text string) string {
	return fmt.Sprintf("data: {\"choices\":[{\"delta\":{\"content\":%q}}]}\n\n", text)
}

var hello = question{model: "m", key: "sk-test", messages: []message{{"user", "one two"}}, tokens: 3, headers: map[string]string{"X-One": "1"}}

func TestAsk(t *testing.T) {
	t.Parallel()
	const silence = 20 * time.Millisecond
	addr := engineStub(t, func(w http.ResponseWriter, r *http.Request, words int) {
		if r.Header.Get("Authorization") != "Bearer sk-test" || r.Header.Get("X-One") != "1" {
			t.Errorf("headers %v", r.Header)
		}
		w.Header().Set("X-Weir-Variant", "small")
		fmt.Fprint(w, roleEvent)
		w.(http.Flusher).Flush()
		time.Sleep(silence)
		fmt.Fprint(w, content("a b"), content(" c"))
		fmt.Fprintf(w, endEvents, words)
	})
	r := hello.ask(t.Context(), newClient(1), addr)
	if r.err != nil || !r.whole || r.text != "a b c" || r.tokens != 3 || r.prompt != 2 || r.variant != "small" || r.status != 200 {
		t.Fatalf("%+v", r)
	}
	if r.ttft < silence {
		t.Errorf("the first token after %v; an event without content is none, and the first with it came %v later", r.ttft, silence)
	}
}

func TestAskTellsWhatIsNoAnswer(t *testing.T) {
	t.Parallel()
	check := func(name string, status int, text, wrong string) {
		t.Helper()
		addr := engineStub(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.WriteHeader(status)
			fmt.Fprint(w, text)
		})
		r := hello.ask(t.Context(), newClient(1), addr)
		if r.good() || r.status != status || wrong != "" && (r.err == nil || !strings.Contains(r.err.Error(), wrong)) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	check("refused", 503, `{"error":{"message":"full"}}`, "full")
	check("cut", 200, content("a"), "")
	check("empty", 200, fmt.Sprintf(endEvents, 1), "")
	check("an error within", 200, content("a")+`data: {"error":{"message":"lost"}}`+"\n\n", "lost")
}

func TestObjective(t *testing.T) {
	t.Parallel()
	at := reply{whole: true, ttft: objectiveTTFT, tpot: objectiveTPOT}
	if !at.good() {
		t.Error("what just meets its objective does not count")
	}
	for _, r := range []reply{{ttft: 1, tpot: 1}, {whole: true, ttft: objectiveTTFT + 1}, {whole: true, tpot: objectiveTPOT + 1}} {
		if r.good() {
			t.Errorf("%+v counts", r)
		}
	}
}

func TestLoopCountsGoodAnswers(t *testing.T) {
	t.Parallel()
	addr := engineStub(t, func(w http.ResponseWriter, _ *http.Request, words int) {
		if words != 7 {
			t.Errorf("a prompt of %d words, want 7", words)
		}
		time.Sleep(10 * time.Millisecond)
		fmt.Fprint(w, content("a"))
		fmt.Fprintf(w, endEvents, words)
	})
	l := loop{addr: addr, q: hello, words: 7, clients: 2, warm: 20 * time.Millisecond, lasts: 200 * time.Millisecond}
	v, err := l.run(t.Context())
	if err != nil || v <= 0 || v > 2/0.01 {
		t.Errorf("%v answers a second, %v; two clients with answers of 10 ms get 200 at most", v, err)
	}
	l.q.tokens, l.addr = 1, engineStub(t, func(w http.ResponseWriter, _ *http.Request, words int) {
		fmt.Fprint(w, content("a"))
		w.(http.Flusher).Flush()
		time.Sleep(10 * time.Millisecond)
		fmt.Fprint(w, content("b"), "data: {\"choices\":[],\"usage\":{\"completion_tokens\":1}}\n\n") // no end
	})
	if v, err := l.run(t.Context()); v != 0 || !errors.Is(err, errUnended) {
		t.Errorf("%v, %v; want none of streams without their end", v, err)
	}
	sick := engineStub(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		http.Error(w, "sick", http.StatusInternalServerError)
	})
	l.addr = sick
	if v, err := l.run(t.Context()); err == nil || !strings.Contains(err.Error(), "sick") {
		t.Errorf("%v, %v; want why no answer counts", v, err)
	}
}

func TestTokensPerWord(t *testing.T) {
	t.Parallel()
	addr := engineStub(t, func(w http.ResponseWriter, _ *http.Request, words int) {
		fmt.Fprint(w, content("a"))
		fmt.Fprintf(w, endEvents, 9+3*words) // a template of nine tokens
	})
	if v, err := tokensPerWord(t.Context(), engine{model: "m"}, addr); err != nil || v != 3 {
		t.Errorf("%v tokens a word, %v; want 3", v, err)
	}
	if v, err := tokensPerWord(t.Context(), engine{tokensPerWord: 1}, "nowhere"); err != nil || v != 1 {
		t.Errorf("%v, %v; want what is given", v, err)
	}
	flat := engineStub(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		fmt.Fprint(w, content("a"))
		fmt.Fprintf(w, endEvents, 32)
	})
	if _, err := tokensPerWord(t.Context(), engine{model: "m"}, flat); err == nil {
		t.Error("usage that does not grow with the prompt was believed")
	}
	if wordsFor(60, 6) != 10 || wordsFor(1, 6) != 1 {
		t.Errorf("%d and %d words", wordsFor(60, 6), wordsFor(1, 6))
	}
}

func TestSuite(t *testing.T) {
	t.Parallel()
	all, err := suite()
	if err != nil || len(all) != 320 {
		t.Fatalf("%d questions, %v", len(all), err)
	}
	follow := 0
	for i, q := range all {
		if q.Text == "" || q.Answer == "" {
			t.Errorf("question %d: %+v", i+1, q)
		}
		if len(q.Before) > 0 {
			follow++
			if m := q.messages(); len(m) != 2*len(q.Before)+1 || m[1].Role != "assistant" || m[len(m)-1].Content != q.Text {
				t.Errorf("question %d: %+v", i+1, m)
			}
		}
	}
	if follow == 0 {
		t.Error("no question follows another")
	}
}

func TestExamine(t *testing.T) {
	t.Parallel()
	all, err := suite()
	if err != nil {
		t.Fatal(err)
	}
	right := map[string]string{}
	for _, q := range all {
		right[q.messages()[0].Content] = q.Answer
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Messages []message `json:"messages"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Weir-Variant", r.Header.Get("X-Test"))
		fmt.Fprint(w, content(" "+right[body.Messages[0].Content]))
		fmt.Fprintf(w, endEvents, 1)
	}))
	defer server.Close()
	out := ladderOf{Answers: map[string]*mix{}}
	examine(t.Context(), server.Listener.Addr().String(), "big", map[string]string{"X-Test": "small"}, time.Millisecond, &out)
	if out.Asked != 1 || out.InTime != 1 || *out.Answers["small"] != (mix{1, 1}) {
		t.Errorf("%+v, %+v", out, out.Answers["small"])
	}
	out.score(all[0], reply{whole: true, text: "wrong"}, "big")
	out.score(all[0], reply{}, "big")
	if out.InTime != 2 || *out.Answers["big"] != (mix{Answered: 1}) {
		t.Errorf("%+v, %+v", out, out.Answers["big"])
	}
}

func TestLook(t *testing.T) {
	t.Parallel()
	l, err := readLook(strings.NewReader(`# HELP weir_gate_limit Requests
weir_gate_limit{endpoint="a",model="m"} 8
weir_gate_limit{endpoint="b",model="m"} 24
weir_gate_in_flight{endpoint="a",model="m"} 8
weir_gate_in_flight{endpoint="b",model="m"} 23
weir_turned_away_total{model="m",reason="predicted_miss"} 1.5e+03
weir_turned_away_total{model="m",reason="gate_full"} 2
weir_turned_away_total{model="m",reason="requests_per_minute"} 900
weir_other 7
`))
	if err != nil || l != (look{turned: 1502, limit: 32, inFlight: 31}) {
		t.Errorf("%+v, %v", l, err)
	}
	if !l.hasRoom() || (look{limit: 32, inFlight: 32}).hasRoom() || (look{limit: 32, inFlight: 31.5}).hasRoom() || (look{}).hasRoom() {
		t.Error("room is room for one request at least, where the limit is known")
	}
}

func TestWatchEnds(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if got := watch(ctx, "127.0.0.1:1"); got != nil {
		t.Errorf("%+v of no look", got)
	}
}
