package openai_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weir-ai/weir/backend/openai"
	"github.com/weir-ai/weir/llm"
)

// roundTrip has an endpoint tell the tokens of a text and the text of those.
func roundTrip(t *testing.T, e *openai.Endpoint, text string) {
	t.Helper()
	body, _ := json.Marshal(map[string]any{"model": "alias", "prompt": text, "add_special_tokens": false})
	answer, err := e.Tokens(t.Context(), "/tokenize", body)
	var told struct {
		Count  int     `json:"count"`
		Tokens []int32 `json:"tokens"`
	}
	if err != nil || json.Unmarshal(answer, &told) != nil || told.Count == 0 || told.Count != len(told.Tokens) {
		t.Fatalf("tokenize: %s, %v", answer, err)
	}
	body, _ = json.Marshal(map[string]any{"model": "alias", "tokens": told.Tokens})
	answer, err = e.Tokens(t.Context(), "/detokenize", body)
	var back struct{ Prompt string }
	if err != nil || json.Unmarshal(answer, &back) != nil || strings.TrimSpace(back.Prompt) != text {
		t.Fatalf("detokenize: %s, %v; want %q", answer, err, text)
	}
}

func TestTokensAreAskedInEachEnginesWords(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"vllm":     `{"model":"up","prompt":"a b","add_special_tokens":false}`,
		"llamacpp": `{"model":"up","content":"a b","add_special":false}`,
	} {
		var got []byte
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if body, _ := io.ReadAll(r.Body); r.URL.Path == "/tokenize" {
				got = body
				fmt.Fprint(w, map[string]string{"vllm": `{"count":2,"max_model_len":9,"tokens":[1,2]}`, "llamacpp": `{"tokens":[1,2]}`}[kind])
				return
			}
			fmt.Fprint(w, map[string]string{"vllm": `{"prompt":"a b"}`, "llamacpp": `{"content":"a b"}`}[kind])
		}))
		t.Cleanup(server.Close)
		e, err := openai.New("e", openai.Config{URL: server.URL + "/v1", Model: "up", Kind: kind})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		roundTrip(t, e, "a b")
		var sent, wanted map[string]any
		if json.Unmarshal(got, &sent) != nil || json.Unmarshal([]byte(want), &wanted) != nil || fmt.Sprint(sent) != fmt.Sprint(wanted) {
			t.Errorf("%s was asked %s, want %s", kind, got, want)
		}
	}
}

func TestTokensOfAnEngineThatTellsNone(t *testing.T) {
	t.Parallel()
	e, err := openai.New("e", openai.Config{URL: "http://127.0.0.1:1/v1", Kind: "openai"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Tokens(t.Context(), "/tokenize", []byte(`{"prompt":"x"}`)); llm.AsError(err) == nil || llm.AsError(err).Fault != llm.FaultTask {
		t.Errorf("got %v", err)
	}
}

// TestRealLlamaCppTellsTokens asks llama.cpp's own server.
func TestRealLlamaCppTellsTokens(t *testing.T) {
	t.Parallel()
	e, err := openai.New("e", openai.Config{URL: llamacpp(t) + "/v1", Kind: "llamacpp"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	roundTrip(t, e, "What is 17 + 25?")
}
