package openai_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weir-ai/weir/backend/openai"
	"github.com/weir-ai/weir/llm"
	wire "github.com/weir-ai/weir/openai"
)

// TestOnePieceForAStreamIsAFault: its client reads a stream and would see nothing of it.
func TestOnePieceForAStreamIsAFault(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]llm.Fault{
		`{"choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}]}`: llm.FaultFormat, `{"error":{"message":"no","type":"server_error"}}`: llm.FaultStream, `<html>`: llm.FaultFormat,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, answer)
		}))
		t.Cleanup(server.Close)
		e, err := openai.New("e", openai.Config{URL: server.URL + "/v1", Kind: "openai"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		req, err := wire.Scan(llm.Chat, []byte(`{"model":"m","stream":true,"messages":[]}`), wire.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.Run(t.Context(), req, func(ev llm.Event) error { t.Errorf("%s: told %s", answer, ev.Frame); return nil })
		if e := llm.AsError(err); e == nil || e.Fault != want || strings.Contains(e.Public(), "127.0.0.1") {
			t.Errorf("%s: %v", answer, err)
		}
	}
}
