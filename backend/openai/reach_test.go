package openai_test

import (
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-ai/weir/backend/openai"
	"github.com/weir-ai/weir/llm"
	wire "github.com/weir-ai/weir/openai"
)

const aWord = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n"

// streamThrough sends a short request and gives its end.
func streamThrough(t *testing.T, c openai.Config) *llm.Error {
	t.Helper()
	e, err := openai.New("named", c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	req, err := wire.Scan(llm.Chat, []byte(`{"model":"m","stream":true,"messages":[]}`), wire.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Run(t.Context(), req, func(llm.Event) error { return nil })
	return llm.AsError(err)
}

// TestEachTimeoutSaysWhichItWas lets an endpoint be silent in each part of its answer.
func TestEachTimeoutSaysWhichItWas(t *testing.T) {
	t.Parallel()
	server := func(words int, pause time.Duration) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "text/event-stream")
			for range words {
				fmt.Fprint(w, aWord)
				_ = http.NewResponseController(w).Flush()
				select {
				case <-time.After(pause): // the endpoint's pace
				case <-r.Context().Done():
					return
				}
			}
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}))
		t.Cleanup(s.Close)
		return s.URL + "/v1"
	}
	const short = 50 * time.Millisecond
	for name, c := range map[string]struct {
		openai.Config
		fault llm.Fault
	}{
		"timeouts.first":   {openai.Config{URL: server(0, 0), First: short}, llm.FaultFirstTimeout},
		"timeouts.between": {openai.Config{URL: server(2, 0), Between: short}, llm.FaultIdleTimeout},
		"timeouts.total":   {openai.Config{URL: server(1000, 5*time.Millisecond), Total: short}, llm.FaultIdleTimeout},
	} {
		c.Kind = "openai"
		if e := streamThrough(t, c.Config); e == nil || e.Kind != llm.Timeout || e.Fault != c.fault || !strings.Contains(e.Public(), name) || !strings.Contains(e.Public(), "named") {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

// TestConnectionsAreVerifiedAndMultiplexed speaks HTTP/2 and HTTP/1.1 over TLS, and HTTP/2 without it.
func TestConnectionsAreVerifiedAndMultiplexed(t *testing.T) {
	t.Parallel()
	protos := make(chan string, 8)
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protos <- r.Proto
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, aWord, "data: [DONE]\n\n")
	})
	secure := httptest.NewUnstartedServer(answer)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if e := streamThrough(t, openai.Config{URL: secure.URL + "/v1", Kind: "openai"}); e == nil || e.Fault != llm.FaultConfig || !strings.Contains(e.Public(), "certificate") {
		t.Errorf("an authority that nobody named is trusted: %v", e)
	}
	if e := streamThrough(t, openai.Config{URL: secure.URL + "/v1", Kind: "openai", CA: ca}); e != nil || <-protos != "HTTP/2.0" {
		t.Errorf("over TLS with its authority: %v", e)
	}
	plain := httptest.NewUnstartedServer(answer)
	plain.Config.Protocols = new(http.Protocols)
	plain.Config.Protocols.SetHTTP1(true)
	plain.Config.Protocols.SetUnencryptedHTTP2(true)
	plain.Start()
	t.Cleanup(plain.Close)
	for http2, want := range map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"} {
		if e := streamThrough(t, openai.Config{URL: plain.URL + "/v1", Kind: "openai", HTTP2: http2}); e != nil {
			t.Errorf("http2 %v: %v", http2, e)
		} else if got := <-protos; got != want {
			t.Errorf("http2 %v: spoke %s", http2, got)
		}
	}
}
