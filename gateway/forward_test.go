package gateway

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http/httptest"

	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/registry"
	"github.com/weir-ai/weir/serve"
)

// chunkOf is a frame as a remote engine sends it.
func chunkOf(id, text string) llm.Event {
	s := fmt.Sprintf(`{"id":%q,"created":7,"model":"m","choices":[{"index":0,"delta":{"content":%q}}]}`, id, text)
	return llm.Event{Kind: llm.EventFrame, Frame: []byte("data: " + s + "\n\n"), Dialect: llm.DialectOpenAI, Holds: llm.HoldsContent, Raw: []byte(text)}
}

func usageOf(id string, prompt, completion int) llm.Event {
	s := fmt.Sprintf(`{"id":%q,"model":"m","choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}`, id, prompt, completion)
	return llm.Event{Kind: llm.EventFrame, Frame: []byte("data: " + s + "\n\n"), Holds: llm.HoldsUsage, Usage: llm.Usage{PromptTokens: prompt, CompletionTokens: completion}}
}

// before serves a model of two remote endpoints that play scripts, one after the other whichever is asked first.
func before(t *testing.T, first, second script) *bundle {
	t.Helper()
	b := door(t, Config{}, nil)
	asked := 0
	turn := script(func(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		asked++
		if asked == 1 {
			return first(ctx, req, emit)
		}
		return second(ctx, req, emit)
	})
	var endpoints fleet.Fleet
	err := endpoints.Set(map[llm.ModelID][]*fleet.Endpoint{"m": {
		fleet.New(fleet.Spec{ID: "one", Runner: turn, Continues: fleet.ContinuesText}), fleet.New(fleet.Spec{ID: "two", Runner: turn, Continues: fleet.ContinuesText})}})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.models.Set([]registry.Model{{ID: "m", Remote: true, Aliases: []llm.ModelID{"alias"}}}); err != nil {
		t.Fatal(err)
	}
	b.runner = serve.New(b.models, &endpoints, serve.Options{Wait: func(context.Context, time.Duration) error { return nil }})
	b.listen(t, b.Handler())
	return b
}

func cutAfter(events ...llm.Event) script {
	return func(_ context.Context, _ *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		for _, e := range events {
			if err := emit(e); err != nil {
				return llm.Usage{}, err
			}
		}
		return llm.Usage{}, &llm.Error{Kind: llm.Upstream, Fault: llm.FaultCut}
	}
}

func all(events ...llm.Event) script {
	return func(_ context.Context, _ *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		for _, e := range events {
			if err := emit(e); err != nil {
				return llm.Usage{}, err
			}
		}
		return llm.Usage{}, nil
	}
}

func TestFramesPassUntouched(t *testing.T) {
	t.Parallel()
	b := before(t, all(chunkOf("up", "a"), chunkOf("up", "b")), nil)
	r := b.ask(t, "POST", "/v1/chat/completions", `{"model":"m","stream":true,"unheard_of":{"x":[1]},"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,"}}]}]}`)
	if want := string(chunkOf("up", "a").Frame) + string(chunkOf("up", "b").Frame) + "data: [DONE]\n\n"; r.status != 200 || r.body != want {
		t.Errorf("got %d %q, want %q", r.status, r.body, want)
	}
	if e := r.header.Get("X-Weir-Endpoint"); e != "one" && e != "two" || r.header.Get("X-Weir-Model") != "m" || r.header.Get("X-Weir-Queue-Ms") == "" || r.header.Get("X-Request-Id") == "" {
		t.Errorf("the head is %v", r.header)
	}
}

// TestATakenUpStreamIsOne: whoever goes on, frames or events, the client sees the first id and the whole's usage.
func TestATakenUpStreamIsOne(t *testing.T) {
	t.Parallel()
	body := `{"model":"alias","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"x"}]}`
	word := llm.Event{Kind: llm.EventDelta, Text: "b"}
	end := llm.Event{Kind: llm.EventUsage, Usage: llm.Usage{PromptTokens: 5, CompletionTokens: 1}}
	check := func(name string, first, second script) {
		t.Helper()
		b := before(t, first, second)
		r := b.ask(t, "POST", "/v1/chat/completions", body)
		frames := r.frames()
		if r.status != 200 || frames[len(frames)-1] != "[DONE]" {
			t.Fatalf("%s: %d %q", name, r.status, r.body)
		}
		id, _, _ := strings.Cut(frames[0], `","`)
		for _, f := range frames[:len(frames)-1] {
			if !strings.HasPrefix(f, id) {
				t.Errorf("%s: %s is not of %s", name, f, id)
			}
		}
		if n := strings.Count(r.body, `"role":"assistant"`); n > 1 {
			t.Errorf("%s: the role is told %d times: %s", name, n, r.body)
		}
		if !strings.Contains(r.body, `"prompt_tokens":4,"completion_tokens":2`) {
			t.Errorf("%s: the usage is not the whole's: %s", name, r.body)
		}
	}
	check("frames by frames", cutAfter(chunkOf("up", "a")), all(llm.Event{Kind: llm.EventFrame, Frame: []byte("data: {\"id\":\"z\",\"choices\":[]}\n\n")}, chunkOf("other", "b"), usageOf("other", 5, 1)))
	check("frames by events", cutAfter(chunkOf("up", "a")), all(word, end))
	check("events by frames", cutAfter(llm.Event{Kind: llm.EventDelta, Text: "a"}), all(chunkOf("other", "b"), usageOf("other", 5, 1)))
}

// TestASessionReachesRouting: the header names it, or else the prompt's cache key.
func TestASessionReachesRouting(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{"X-Session-Id: conversation-7": "conversation-7", "X-Session-Id: not sane": "key", "X-Other: x": "key"} {
		got := ""
		b := before(t, func(_ context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
			got = req.Shape.Session
			return llm.Usage{}, emit(chunkOf("up", "a"))
		}, nil)
		b.ask(t, "POST", "/v1/chat/completions", `{"model":"m","stream":true,"prompt_cache_key":"key","messages":[]}`, header)
		if got != want {
			t.Errorf("%s: the session is %q, want %q", header, got, want)
		}
	}
}

func TestABrokenStreamEndsInAnErrorFrame(t *testing.T) {
	t.Parallel()
	b := before(t, cutAfter(chunkOf("up", "a"), llm.Event{Kind: llm.EventFrame, Frame: []byte("data: {}\n\n"), Holds: llm.HoldsToolCall}), nil)
	r := b.ask(t, "POST", "/v1/chat/completions", `{"model":"m","stream":true,"messages":[]}`)
	frames := r.frames()
	if last := frames[len(frames)-1]; r.status != 200 || !strings.Contains(last, `"error"`) || !strings.Contains(last, "upstream_error") {
		t.Errorf("got %d %q", r.status, r.body)
	}
}

func TestAnAnswerInOnePieceIsPassedOn(t *testing.T) {
	t.Parallel()
	whole := llm.Event{Kind: llm.EventFrame, Frame: []byte(`{"id":"x","choices":[{"message":{"content":"hi"}}]}`), Holds: llm.HoldsWhole}
	b := before(t, cutAfter(llm.Event{Kind: llm.EventDelta, Text: "void"}), all(whole))
	r := b.ask(t, "POST", "/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":"x"}]}`)
	if r.status != 200 || r.body != string(whole.Frame) || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("got %d %q", r.status, r.body)
	}
}

func TestAliasesAreListed(t *testing.T) {
	t.Parallel()
	b := before(t, nil, nil)
	if r := b.ask(t, "GET", "/v1/models", ""); !strings.Contains(r.body, `"id":"m"`) || !strings.Contains(r.body, `"id":"alias"`) {
		t.Errorf("got %s", r.body)
	}
	if r := b.ask(t, "GET", "/v1/models/alias", ""); !strings.Contains(r.body, `"id":"alias"`) {
		t.Errorf("got %s", r.body)
	}
}

// TestASlowReaderHoldsNothing: what its socket does not take is put aside, the runner goes on, and beyond the bound it is cut.
func TestASlowReaderHoldsNothing(t *testing.T) {
	t.Parallel()
	if !triesWrite {
		t.Skip("this system's sockets cannot be asked what they take at once")
	}
	const part = 32 << 10
	for _, most := range []int{64 << 20, 256 << 10} {
		var mu sync.Mutex
		sent, ended := 0, make(chan error, 1)
		b := door(t, Config{}, func(_ context.Context, _ *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
			text := strings.Repeat("~", part)
			for range 512 { // 16 MB, which no two sockets' buffers hold
				if err := emit(llm.Event{Kind: llm.EventDelta, Text: text}); err != nil {
					ended <- err
					return llm.Usage{}, err
				}
				mu.Lock()
				sent++
				mu.Unlock()
			}
			ended <- nil
			return llm.Usage{}, nil
		})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		slow := b.Listen(l).(*spillListener)
		slow.most = most
		server := b.HTTPServer(b.Handler())
		var serving sync.WaitGroup
		serving.Go(func() { _ = server.Serve(slow) })
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(streamBody), streamBody)
		failed := <-ended // the client reads nothing until then
		if whole := most > 16<<20; whole && failed != nil || !whole && llm.AsError(failed).Kind != llm.SlowReader {
			t.Errorf("with room for %d bytes the runner heard %v after %d parts", most, failed, sent)
		} else if cut := b.behind.cut.Load(); whole && cut != 0 || !whole && cut != 1 {
			t.Errorf("with room for %d bytes %d clients were cut", most, cut)
		} else if whole {
			readWhole(t, conn, 512*part)
		}
		conn.Close()
		server.Close()
		serving.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		b.Flush(ctx)
		cancel()
		if err := b.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if held := b.bodies.held.Load(); held != 0 {
			t.Errorf("%d bytes are held after the end", held)
		}
	}
}

// readWhole reads a stream that was put aside and checks that all of it comes.
func readWhole(t *testing.T, conn net.Conn, want int) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	buf, got, last := make([]byte, 1<<20), 0, ""
	for !strings.Contains(last, "[DONE]") {
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
		got += strings.Count(string(buf[:n]), "~")
		last = last[max(0, len(last)-16):] + string(buf[:n])
	}
	if got != want {
		t.Errorf("%d letters came, want %d", got, want)
	}
}

// TestALargeAnswerInOnePieceIsNotCut: it is made, and its client may be as far behind as it likes while it reads; over TLS, too, where
// no write is large.
func TestALargeAnswerInOnePieceIsNotCut(t *testing.T) {
	t.Parallel()
	const size = 20 << 20
	whole := llm.Event{Kind: llm.EventFrame, Frame: []byte(`{"x":"` + strings.Repeat("~", size) + `"}`), Holds: llm.HoldsWhole}
	b := before(t, all(whole), all(whole))
	for _, secure := range []bool{false, true} {
		server := httptest.NewUnstartedServer(b.Handler())
		server.Config = b.HTTPServer(b.Handler())
		slow := b.Listen(server.Listener).(*spillListener)
		server.Listener = slow
		if secure {
			server.StartTLS()
		} else {
			server.Start()
		}
		resp, err := server.Client().Post(server.URL+"/v1/chat/completions", "", strings.NewReader(chatBody))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond) // not to wait for anything: the client is behind, so that the answer must wait
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		server.Close()
		if err != nil || n != int64(len(whole.Frame)) {
			t.Errorf("secure %v: %d of %d bytes came, %v", secure, n, len(whole.Frame), err)
		}
	}
	if cut := b.behind.cut.Load(); cut != 0 {
		t.Errorf("%d clients were cut", cut)
	}
}
