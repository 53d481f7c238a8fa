package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-ai/weir/llm"
)

func TestChatStreams(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, says("Hel", "lo"))
	r := b.ask(t, "POST", "/v1/chat/completions", streamBody)
	if r.status != 200 || r.header.Get("Content-Type") != "text/event-stream" || r.header.Get("Cache-Control") != "no-cache" || r.header.Get("X-Accel-Buffering") != "no" {
		t.Errorf("status %d, header %v", r.status, r.header)
	}
	var text string
	frames := r.frames()
	for _, f := range frames[:len(frames)-1] {
		var chunk struct {
			ID, Object, Model string
			Choices           []struct{ Delta struct{ Content string } }
		}
		if err := json.Unmarshal([]byte(f), &chunk); err != nil || !strings.HasPrefix(chunk.ID, "chatcmpl-") || chunk.Model != "m" {
			t.Errorf("frame %q: %v", f, err)
		}
		for _, c := range chunk.Choices {
			text += c.Delta.Content
		}
	}
	if text != "Hello" || frames[len(frames)-1] != "[DONE]" {
		t.Errorf("the stream says %q and ends with %q", text, frames[len(frames)-1])
	}
}

func TestAnswersWhole(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, says("Hel", "lo"))
	check := func(path, body, prefix string) {
		t.Helper()
		r := b.ask(t, "POST", path, body)
		var a struct {
			ID      string
			Choices []struct {
				Text    string
				Message struct{ Content string }
			}
			Usage struct {
				Prompt     int `json:"prompt_tokens"`
				Completion int `json:"completion_tokens"`
			}
		}
		if err := json.Unmarshal([]byte(r.body), &a); err != nil || r.status != 200 || !strings.HasPrefix(a.ID, prefix) || r.header.Get("Content-Type") != "application/json" {
			t.Fatalf("status %d, body %q: %v", r.status, r.body, err)
		}
		if a.Choices[0].Text+a.Choices[0].Message.Content != "Hello" || a.Usage.Prompt != 5 || a.Usage.Completion != 2 {
			t.Errorf("got %+v", a)
		}
	}
	check("/v1/chat/completions", chatBody, "chatcmpl-")
	check("/v1/completions", `{"model":"m","prompt":"x"}`, "cmpl-")
}

// TestTheRequestIsSigned checks what the door writes into the request that a runner gets.
func TestTheRequestIsSigned(t *testing.T) {
	t.Parallel()
	plain, key := newKey(t, "team")
	var got llm.Request
	b := setup(t, Config{KeysRequired: true}, func(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		got = *req
		return says("x")(ctx, req, emit)
	}, key)
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	b.ask(t, "POST", "/v1/chat/completions", chatBody, "Authorization: Bearer "+plain, "X-Request-Id: abc", "Traceparent: "+trace)
	if got.ID != "abc" || got.Trace != trace || got.Tenant != "team" || got.KeyID != key.ID || string(got.Body) != chatBody || got.Dialect != llm.DialectOpenAI || got.Arrived.IsZero() {
		t.Errorf("the runner got %+v", got)
	}
}

// TestFailureBeforeTheFirstEventIsAStatus holds for streams, too: no 200 is sent before there is an answer.
func TestFailureBeforeTheFirstEventIsAStatus(t *testing.T) {
	t.Parallel()
	check := func(err error, status int, code string, header ...string) {
		t.Helper()
		b := setup(t, Config{}, func(context.Context, *llm.Request, func(llm.Event) error) (llm.Usage, error) { return llm.Usage{}, err })
		for _, body := range []string{streamBody, chatBody} {
			r := b.ask(t, "POST", "/v1/chat/completions", body)
			r.wants(t, status, code)
			for i := 0; i+1 < len(header); i += 2 {
				if got := r.header.Get(header[i]); got != header[i+1] {
					t.Errorf("%v: header %s is %q, want %q", err, header[i], got, header[i+1])
				}
			}
			if strings.Contains(r.body, "secret") {
				t.Errorf("the client reads the cause: %s", r.body)
			}
		}
	}
	check(&llm.Error{Kind: llm.Overloaded, RetryAfter: 1200 * time.Millisecond}, 503, "overloaded", "Retry-After", "2", "Retry-After-Ms", "1200")
	check(&llm.Error{Kind: llm.Overloaded}, 503, "overloaded", "Retry-After", "1", "Retry-After-Ms", "1000")
	check(&llm.Error{Kind: llm.Overloaded, RetryAfter: time.Hour}, 503, "overloaded", "Retry-After", "60", "Retry-After-Ms", "60000")
	check(llm.Errorf(llm.TooLong, "long"), 400, "context_length_exceeded", "Retry-After", "", "X-Should-Retry", "")
	check(errors.New("secret"), 500, "internal_error", "X-Should-Retry", "false")
	check(&llm.Error{Kind: llm.Upstream, Err: errors.New("secret")}, 502, "upstream_error", "X-Should-Retry", "")
}

func TestFailureInAStreamIsAFrame(t *testing.T) {
	t.Parallel()
	check := func(run script, want string) {
		t.Helper()
		b := setup(t, Config{}, run)
		r := b.ask(t, "POST", "/v1/chat/completions", streamBody)
		frames := r.frames()
		last := reply{status: r.status, body: frames[len(frames)-1]}
		last.wants(t, 200, want)
		if strings.Contains(r.body, "[DONE]") || !strings.Contains(r.body, "begun") || strings.Contains(r.body, "secret") {
			t.Errorf("the stream is %q", r.body)
		}
	}
	begun := func(then func() error) script {
		return func(_ context.Context, _ *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
			if err := emit(llm.Event{Kind: llm.EventDelta, Text: "begun"}); err != nil {
				return llm.Usage{}, err
			}
			return llm.Usage{}, then()
		}
	}
	check(begun(func() error { return errors.New("secret") }), "internal_error")
	check(begun(func() error { return &llm.Error{Kind: llm.Timeout} }), "timeout")
	check(begun(func() error { panic("secret") }), "internal_error")
}

// TestAPanicFailsOneRequest checks a panic of the runner, which the pipeline contains, and one of the door itself.
func TestAPanicFailsOneRequest(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, func(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		if req.User == "bad" {
			panic("bug")
		}
		return says("fine")(ctx, req, emit)
	})
	bad := strings.Replace(chatBody, `"model"`, `"user":"bad","model"`, 1)
	b.ask(t, "POST", "/v1/chat/completions", bad).wants(t, 500, "internal_error", "request id")
	b.main.rows[2].do = func(context.Context, *exchange) error { panic("bug") }
	b.ask(t, "GET", "/v1/models", "").wants(t, 500, "internal_error")
	if r := b.ask(t, "POST", "/v1/chat/completions", chatBody); r.status != 200 {
		t.Errorf("the next request gets %d", r.status)
	}
	waitFor(t, func() bool { return b.InFlight() == 0 && strings.Count(b.access.String(), "\n") == 3 })
	log := b.log.String()
	if n := strings.Count(log, "level=ERROR"); n != 2 || strings.Count(log, "stack=") != 2 || strings.Contains(log, "hello") {
		t.Errorf("two panics are logged %d times:\n%s", n, log)
	}
}

// TestAClientThatLeavesCancels checks that the runner's context ends when the client's connection does, streamed or not.
func TestAClientThatLeavesCancels(t *testing.T) {
	t.Parallel()
	for _, body := range []string{streamBody, chatBody} {
		began, ended := make(chan struct{}), make(chan error, 1)
		b := setup(t, Config{}, func(ctx context.Context, _ *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
			_ = emit(llm.Event{Kind: llm.EventDelta, Text: "x"})
			close(began)
			<-ctx.Done()
			ended <- ctx.Err()
			return llm.Usage{}, ctx.Err()
		})
		ctx, leave := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, "POST", b.url+"/v1/chat/completions", strings.NewReader(body))
		go func() {
			<-began
			leave()
		}()
		if resp, err := b.client.Do(req); err == nil {
			resp.Body.Close()
		}
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the runner's context ended with %v", err)
		}
		if err := b.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		waitFor(t, func() bool { return strings.Contains(b.access.String(), `"outcome":"canceled"`) })
		if log := b.log.String(); log != "" {
			t.Errorf("a client that leaves is logged: %s", log)
		}
	}
}

// waitFor waits for what another goroutine is about to do. The bound is far above any pause of a busy machine.
func waitFor(t *testing.T, what func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !what(); {
		if time.Now().After(end) {
			t.Fatal("it never happened")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestAnAnswerEndsAtItsTimeLimit(t *testing.T) {
	t.Parallel()
	check := func(body string, begin bool, status int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			b := door(t, Config{Request: time.Hour}, func(ctx context.Context, _ *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
				if begin {
					_ = emit(llm.Event{Kind: llm.EventDelta, Text: "x"})
				}
				<-ctx.Done()
				return llm.Usage{}, ctx.Err()
			})
			_, stop := b.listenWithin()
			defer stop()
			at := time.Now()
			r := b.ask(t, "POST", "/v1/chat/completions", body)
			frames := r.frames()
			reply{r.status, nil, frames[len(frames)-1]}.wants(t, status, "timeout")
			if took := time.Since(at); took != time.Hour {
				t.Errorf("it took %s", took)
			}
		})
	}
	check(chatBody, false, 504)
	check(streamBody, false, 504)
	check(streamBody, true, 200)
}

// TestAStreamMayFlowLongerThanAWriteMayTake checks that the write timeout bounds each write and not the stream.
func TestAStreamMayFlowLongerThanAWriteMayTake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := door(t, Config{WriteTimeout: 4 * time.Second}, func(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
			for range 60 {
				time.Sleep(700 * time.Millisecond)
				if err := emit(llm.Event{Kind: llm.EventDelta, Text: "x"}); err != nil {
					return llm.Usage{}, err
				}
			}
			time.Sleep(time.Minute) // a pause of the model is no fault of the reader
			return says("end")(ctx, req, emit)
		})
		_, stop := b.listenWithin()
		defer stop()
		r := b.ask(t, "POST", "/v1/chat/completions", streamBody)
		if !strings.HasSuffix(r.body, "data: [DONE]\n\n") || strings.Count(r.body, `"x"`) != 60 {
			t.Errorf("the stream was cut: %d frames", len(r.frames()))
		}
	})
}

// TestAReaderThatStopsIsCut checks that a client which takes nothing for the write timeout loses its stream, and its runner is told.
func TestAReaderThatStopsIsCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var failed error
		b := door(t, Config{WriteTimeout: 4 * time.Second}, func(_ context.Context, _ *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
			for failed == nil {
				failed = emit(llm.Event{Kind: llm.EventDelta, Text: "x"})
			}
			return llm.Usage{}, failed
		})
		p, stop := b.listenWithin()
		defer stop()
		conn, err := p.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		writeRequest(t, conn, streamBody)
		at := time.Now()
		if _, err := bufio.NewReaderSize(conn, 16).ReadString('\n'); err != nil { // the status line and no more
			t.Fatal(err)
		}
		if err := b.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if took := time.Since(at); took < 3*time.Second || took > 4*time.Second {
			t.Errorf("the reader was cut after %s", took)
		}
		if llm.AsError(failed).Kind != llm.SlowReader || !strings.Contains(b.access.String(), `"outcome":"slow_reader"`) {
			t.Errorf("the runner heard %v; the account: %s", failed, b.access)
		}
	})
}

// writeRequest writes a POST of body by hand.
func writeRequest(t *testing.T, conn net.Conn, body string) {
	t.Helper()
	req, _ := http.NewRequest("POST", "http://localhost/v1/chat/completions", strings.NewReader(body))
	if err := req.Write(conn); err != nil {
		t.Fatal(err)
	}
}

// discard is a ResponseWriter that costs nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) WriteHeader(int)             {}
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Flush()                      {}

// TestATokenAllocatesNothing guards the per-token path: two streams that differ by a thousand tokens allocate alike.
func TestATokenAllocatesNothing(t *testing.T) {
	b := door(t, Config{}, func(_ context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		n := 1
		if req.User == "long" {
			n = 1001
		}
		for range n {
			if err := emit(llm.Event{Kind: llm.EventDelta, Text: "word "}); err != nil {
				return llm.Usage{}, err
			}
		}
		return llm.Usage{}, nil
	})
	allocs := func(user string) float64 {
		body := strings.Replace(streamBody, `"model"`, `"user":"`+user+`","model"`, 1)
		return testing.AllocsPerRun(10, func() {
			r, _ := http.NewRequest("POST", "/v1/chat/completions", strings.NewReader(body))
			b.Handler().ServeHTTP(discard{http.Header{}}, r)
		})
	}
	if short, long := allocs("short"), allocs("long"); long-short > 5 {
		t.Errorf("1,000 more tokens take %.0f more allocations", long-short)
	}
}

// BenchmarkStream is the door's own cost: a request of 200 tokens from head to account, without a network.
func BenchmarkStream(b *testing.B) {
	words := strings.Split(strings.Repeat("word ", 200), " ")[:200]
	d := door(b, Config{}, says(words...))
	d.Server.access = nil
	b.ReportAllocs()
	for b.Loop() {
		r, _ := http.NewRequest("POST", "/v1/chat/completions", strings.NewReader(streamBody))
		d.Handler().ServeHTTP(discard{http.Header{}}, r)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/200, "ns/token")
}
