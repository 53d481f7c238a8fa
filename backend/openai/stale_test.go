package openai_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/weir-ai/weir/backend/openai"
	"github.com/weir-ai/weir/llm"
)

// TestAConnectionThatWasClosedWhileIdleFailsNothing has a server that keeps a connection and then closes it on the next request, as
// llama.cpp's does when others wait for one of its threads.
func TestAConnectionThatWasClosedWhileIdleFailsNothing(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	const answer = `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r := bufio.NewReader(c)
			if req, err := http.ReadRequest(r); err == nil {
				_, _ = io.Copy(io.Discard, req.Body)
				_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(answer), answer)
				_, _ = r.Peek(1) // the next request has begun
			}
			_ = c.Close()
		}
	}()
	s := &subject{Endpoint: reach(t, openai.Config{URL: "http://" + l.Addr().String() + "/v1", Kind: "llamacpp"})}
	for i := range 20 {
		if got := s.run(t.Context(), t, s.body(false, question), nil); got.err != nil {
			t.Fatalf("request %d: %v", i, got.err)
		}
	}
	_ = l.Close()
	if e := llm.AsError(s.run(t.Context(), t, s.body(false, question), nil).err); e == nil || e.Fault != llm.FaultConnect && e.Fault != llm.FaultCut {
		t.Errorf("nobody there: %v", e)
	}
}
