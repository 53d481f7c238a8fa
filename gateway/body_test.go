package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-ai/weir/llm"
)

// padded is a chat whose body has exactly n bytes.
func padded(n int) string {
	const open, end = `{"model":"m","messages":[{"role":"user","content":"`, `"}]}`
	return open + strings.Repeat("a", n-len(open)-len(end)) + end
}

// unsized hides a body's length, so that it is sent in chunks.
type unsized struct{ io.Reader }

func (b *bundle) askUnsized(t *testing.T, body io.Reader) reply {
	t.Helper()
	req, _ := http.NewRequestWithContext(t.Context(), "POST", b.url+"/v1/chat/completions", unsized{body})
	resp, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(text)}
}

func TestABodyHasALimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1000, 300_000} {
		var got int
		b := setup(t, Config{Body: int64(limit)}, func(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
			got = len(req.Body)
			return says("x")(ctx, req, emit)
		})
		if r := b.ask(t, "POST", "/v1/chat/completions", padded(limit)); r.status != 200 || got != limit {
			t.Errorf("at the limit: %d, %d bytes arrived", r.status, got)
		}
		if r := b.askUnsized(t, strings.NewReader(padded(limit))); r.status != 200 || got != limit {
			t.Errorf("at the limit, in chunks: %d, %d bytes arrived", r.status, got)
		}
		b.ask(t, "POST", "/v1/chat/completions", padded(limit+1)).wants(t, 413, "request_too_large", fmt.Sprint(limit), "limits.body")
		b.askUnsized(t, strings.NewReader(padded(limit+1))).wants(t, 413, "request_too_large")
		waitFor(t, func() bool { return b.bodies.held.Load() == 0 })
	}
}

// TestBodiesTogetherHaveALimit fills the budget with requests that run, and sees it free again when they end.
func TestBodiesTogetherHaveALimit(t *testing.T) {
	t.Parallel()
	running, release := make(chan struct{}), make(chan struct{})
	b := setup(t, Config{Body: 20_000, BodiesTotal: 50_000}, func(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		running <- struct{}{}
		<-release
		return says("x")(ctx, req, emit)
	})
	answers := make(chan int)
	for range 2 {
		go func() { answers <- b.ask(t, "POST", "/v1/chat/completions", padded(20_000)).status }()
		<-running
	}
	r := b.ask(t, "POST", "/v1/chat/completions", padded(20_000))
	r.wants(t, 503, "overloaded", "bodies_total")
	if r.header.Get("Retry-After") == "" {
		t.Error("nothing says when to come back")
	}
	close(release)
	for range 2 {
		if status := <-answers; status != 200 {
			t.Errorf("a running request got %d", status)
		}
	}
	waitFor(t, func() bool { return b.bodies.held.Load() == 0 })
	go func() { <-running }()
	if r := b.ask(t, "POST", "/v1/chat/completions", padded(20_000)); r.status != 200 {
		t.Errorf("after the others ended: %d", r.status)
	}
}

// TestAnAnnouncedBodyTakesNoRoom: clients that announce much and send little must not keep others out.
func TestAnAnnouncedBodyTakesNoRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := door(t, Config{Body: 32 << 20, BodiesTotal: 32 << 20}, says("x"))
		p, stop := b.listenWithin()
		defer stop()
		for range 20 {
			conn, err := p.dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n{", 32<<20)
		}
		synctest.Wait()
		if held := b.bodies.held.Load(); held > 20*bodyStart {
			t.Errorf("20 bytes of body hold %d", held)
		}
		if r := b.ask(t, "POST", "/v1/chat/completions", chatBody); r.status != 200 {
			t.Errorf("an honest client gets %d", r.status)
		}
	})
}

// TestABodyThatDoesNotArriveIsRefused, and neither does one hold its connection that nobody wants to read.
func TestABodyThatDoesNotArriveIsRefused(t *testing.T) {
	t.Parallel()
	check := func(cfg Config, status int, code string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			cfg.ReadBody = 5 * time.Second
			b := door(t, cfg, says("x"))
			p, stop := b.listenWithin()
			defer stop()
			conn, err := p.dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			at := time.Now()
			fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(resp.Body)
			reply{resp.StatusCode, resp.Header, string(text)}.wants(t, status, code)
			if _, err := conn.Read(make([]byte, 1)); err == nil {
				t.Error("the connection goes on")
			}
			if took := time.Since(at); took > 6*time.Second {
				t.Errorf("the connection was held for %s", took)
			}
		})
	}
	check(Config{}, 400, "body_timeout")
	check(Config{KeysRequired: true}, 401, "invalid_api_key")
}

// TestASlowAnswerOutlivesTheBodysTime: the time for the body must not count against the answer.
func TestASlowAnswerOutlivesTheBodysTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := door(t, Config{ReadBody: time.Second}, func(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
			select {
			case <-ctx.Done():
				return llm.Usage{}, ctx.Err()
			case <-time.After(time.Minute):
			}
			return says("x")(ctx, req, emit)
		})
		_, stop := b.listenWithin()
		defer stop()
		if r := b.ask(t, "POST", "/v1/chat/completions", chatBody); r.status != 200 {
			t.Errorf("got %d: %s", r.status, r.body)
		}
	})
}

func TestACompressedBodyIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, says("x"))
	b.ask(t, "POST", "/v1/chat/completions", chatBody, "Content-Encoding: gzip").wants(t, 400, "", "gzip", "uncompressed")
	if r := b.ask(t, "POST", "/v1/chat/completions", chatBody, "Content-Encoding: identity"); r.status != 200 {
		t.Errorf("identity: %d", r.status)
	}
}

func TestAHeadHasALimit(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Header: 8 << 10}, says("x"))
	if r := b.ask(t, "GET", "/healthz", "", "X-Pad: "+strings.Repeat("a", 4<<10)); r.status != 200 {
		t.Errorf("below the limit: %d", r.status)
	}
	if r := b.ask(t, "GET", "/healthz", "", "X-Pad: "+strings.Repeat("a", 16<<10)); r.status != 431 {
		t.Errorf("above the limit: %d", r.status)
	}
}
