package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-ai/weir/config"
	"github.com/weir-ai/weir/internal/testdata"
)

// TestTwoSystemsInOneProcess runs two whole systems side by side, ends one, and counts what is left after both.
func TestTwoSystemsInOneProcess(t *testing.T) {
	before := countGoroutines()
	first, second := start(t, loopback()), start(t, loopback())
	ask := func(b *bundle) {
		t.Helper()
		if text, last, err := b.stream(t.Context(), chat(true, 8, true, "What is 17 + 25?"), nil); err != nil || text == "" || last != "[DONE]" {
			t.Errorf("the answer is %q, %q, %v", text, last, err)
		}
	}
	ask(first)
	ask(second)
	ask(second)
	counts := func(b *bundle, want string) {
		t.Helper()
		series := `weir_requests_total{model="weir-mini",outcome="ok",route="/v1/chat/completions"} `
		waitFor(t, series+want, func() bool { _, text := b.get(t, "/metrics"); return strings.Contains(text, series+want+"\n") })
	}
	counts(first, "1") // metrics are each system's own
	counts(second, "2")
	first.end(t)
	ask(second)
	second.end(t)
	before.back(t)
}

// TestAStopLetsRunningAnswersEnd is a deployment: streams that run come to their end, new work is refused.
func TestAStopLetsRunningAnswersEnd(t *testing.T) {
	before := countGoroutines()
	cfg := loopback()
	cfg.Admin = "127.0.0.1:0"
	cfg.Shutdown.Grace = config.Duration(5 * time.Minute) // longer than the answers take on any machine
	b := start(t, cfg)
	type result struct {
		text, last string
		err        error
	}
	results := make(chan result)
	var begun sync.WaitGroup
	const streams = 8
	begun.Add(streams)
	for range streams {
		go func() {
			once := sync.OnceFunc(begun.Done)
			text, last, err := b.stream(t.Context(), chat(true, 200, true, "Count from 1 to 9."), once)
			once() // where the stream failed before it began
			results <- result{text, last, err}
		}()
	}
	begun.Wait()
	stopped := make(chan error)
	go func() { stopped <- b.Stop() }()
	waitFor(t, "a refusal", func() bool {
		resp, err := b.post(t.Context(), "/v1/chat/completions", chat(false, 1, false, "x"))
		if err != nil {
			t.Fatalf("while answers run, new work must hear that the server stops: %v", err)
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusServiceUnavailable
	})
	for range streams {
		if r := <-results; r.err != nil || r.last != "[DONE]" {
			t.Errorf("a running stream ended with %q, %v", r.last, r.err)
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if _, err := b.client.Get(b.url + "/healthz"); err == nil {
		t.Error("a stopped system answers")
	}
	b.transport.CloseIdleConnections()
	before.back(t)
}

// TestAStopCutsWhatOutlastsTheGrace stops with more work than fits the grace: each client reads why its answer ends.
func TestAStopCutsWhatOutlastsTheGrace(t *testing.T) {
	before := countGoroutines()
	cfg := loopback()
	cfg.Shutdown.Grace = config.Duration(10 * time.Millisecond)
	cfg.Engine.Sequences = 1 // one computes, the others wait
	b := start(t, cfg)
	lasts := make(chan string)
	const streams = 30
	for range streams {
		go func() {
			_, last, _ := b.stream(t.Context(), chat(true, 200, true, "Tell me something."), nil)
			lasts <- last
		}()
	}
	waitFor(t, "many streams", func() bool { return b.gateway.InFlight() >= streams/2 })
	begun, running := time.Now(), b.gateway.InFlight()
	if err := b.Stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("the stop took %s", took)
	}
	var told, cut int
	for range streams {
		switch last := <-lasts; {
		case last == "": // came when the port was closed
		case strings.Contains(last, `"draining"`):
			cut++
			told++
		case last == "[DONE]":
			told++
		default:
			t.Errorf("a stream ended with %q", last)
		}
	}
	if told < running {
		t.Errorf("%d of %d clients heard how their answer ended", told, running)
	}
	if cut == 0 {
		t.Error("nothing was cut")
	}
	if !strings.Contains(b.log.String(), "answers were cut") {
		t.Errorf("the log does not tell: %s", b.log)
	}
	b.transport.CloseIdleConnections()
	before.back(t)
}

// TestAStopDoesNotWaitForADeadReader: a client that takes nothing holds a stop no longer than the grace, in which it could have read.
func TestAStopDoesNotWaitForADeadReader(t *testing.T) {
	before := countGoroutines()
	cfg := loopback()
	cfg.Shutdown.Grace = config.Duration(50 * time.Millisecond)
	b := start(t, cfg)
	conn, err := net.Dial("tcp", b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(1 << 10); err != nil {
		t.Fatal(err)
	}
	// Log-probabilities make the stream too large for the sockets' buffers.
	body := strings.Replace(chat(true, 200, true, "x"), `"model"`, `"n":32,"logprobs":true,"top_logprobs":20,"model"`, 1)
	req, _ := http.NewRequest(http.MethodPost, b.url+"/v1/chat/completions", strings.NewReader(body))
	if err := req.Write(conn); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "a write that waits for its reader", func() bool { return len(stacksOf("[IO wait", "poll.(*FD).Write(")) > 0 })
	begun := time.Now()
	if err := b.Stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took < time.Duration(cfg.Shutdown.Grace) || took > 15*time.Second {
		t.Errorf("the stop took %s", took)
	}
	before.back(t)
}

// TestAFailedStartLeavesNothing fails a start at each of its steps.
func TestAFailedStartLeavesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	before := countGoroutines()
	check := func(want string, change func(*config.Config)) {
		t.Helper()
		cfg := loopback()
		change(&cfg)
		s, err := Start(cfg, Options{Log: io.Discard})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one with %q", err, want)
		}
		if s != nil {
			t.Error("there is a system beside the error")
		}
		before.back(t)
	}
	check("log.level", func(c *config.Config) { c.Log.Level = "loud" })
	check("threads", func(c *config.Config) { c.Engine.Threads = 1000 })
	check("none.gguf", func(c *config.Config) {
		c.Models = map[string]config.Model{"a": {Builtin: config.Builtins()[0]}, "b": {File: "none.gguf"}}
	})
	check("letters", func(c *config.Config) { c.Models = map[string]config.Model{"a b": {Builtin: config.Builtins()[0]}} })
	check("origin", func(c *config.Config) { c.CORS.Origins = []string{"nowhere"} })
	check("none.pem", func(c *config.Config) { c.TLS = config.TLS{Cert: "none.pem", Key: "none.pem"} })
	check("--listen", func(c *config.Config) { c.Listen = taken.Addr().String() })
	check("admin", func(c *config.Config) { c.Admin = taken.Addr().String() })
}

func TestAStopIsIdempotent(t *testing.T) {
	before := countGoroutines()
	b := start(t, loopback())
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := b.Stop(); err != nil {
				t.Error(err)
			}
			if b.gateway.InFlight() != 0 {
				t.Error("a stop returned while requests run")
			}
		})
	}
	all.Wait()
	before.back(t)
}

func TestStopsRunLastStartedFirst(t *testing.T) {
	t.Parallel()
	var s stack
	var order []string
	fail := errors.New("stuck")
	for _, name := range []string{"workers", "model", "listener"} {
		s.push(name, func(context.Context) error {
			order = append(order, name)
			if name == "model" {
				return fail
			}
			return nil
		})
	}
	err := s.unwind(t.Context(), slog.New(slog.DiscardHandler))
	if got := strings.Join(order, " "); got != "listener model workers" {
		t.Errorf("the order is %s", got)
	}
	if !errors.Is(err, fail) || !strings.Contains(err.Error(), "stop model") {
		t.Errorf("the error is %v", err)
	}
	if err := s.unwind(t.Context(), nil); err != nil || len(order) != 3 {
		t.Error("a second unwinding does something")
	}
}

// TestAListenerThatFailsIsTold checks what `weir serve` ends by.
func TestAListenerThatFailsIsTold(t *testing.T) {
	t.Parallel()
	b := start(t, loopback())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.serve("third", l, b.gateway.Handler(), nil)
	l.Close()
	if err := <-b.Failed(); err == nil || !strings.Contains(err.Error(), "third listener") {
		t.Errorf("the failure is %v", err)
	}
}

// TestAClientThatLeavesFreesItsSequence checks that the engine holds nothing any more, long before the answer would have ended.
func TestAClientThatLeavesFreesItsSequence(t *testing.T) {
	t.Parallel()
	b := start(t, loopback())
	engine := b.backends[0]
	for _, stream := range []bool{true, false} {
		ctx, leave := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			body := strings.Replace(chat(stream, 200, true, "x"), `"model"`, `"n":16,"model"`, 1)
			if resp, err := b.post(ctx, "/v1/chat/completions", body); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		}()
		waitFor(t, "sequences that run", func() bool { return engine.Stats().Running == 16 })
		leave()
		<-ended
		b.idle(t)
		if err := b.gateway.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
	waitFor(t, "two outcomes", func() bool {
		_, text := b.get(t, "/metrics")
		return strings.Contains(text, `weir_requests_total{model="weir-mini",outcome="canceled",route="/v1/chat/completions"} 2`)
	})
	if s := engine.Stats(); s.TokensComputed > 2*16*200/2 {
		t.Errorf("%d tokens were computed for clients that had left", s.TokensComputed)
	}
}

// TestAFullQueueIsRefused: the engine's bound becomes 503 with the time to come back.
func TestAFullQueueIsRefused(t *testing.T) {
	t.Parallel()
	cfg := loopback()
	cfg.Engine.Sequences, cfg.Engine.Waiting, cfg.Gate.Waiting = 1, 1, 1
	b := start(t, cfg)
	ctx, leave := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer leave()
	for range 8 {
		all.Go(func() {
			for ctx.Err() == nil {
				_, _, _ = b.stream(ctx, chat(true, 200, true, "x"), nil)
			}
		})
	}
	waitFor(t, "a refusal", func() bool {
		resp, err := b.post(t.Context(), "/v1/chat/completions", chat(false, 200, true, "x"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		if resp.StatusCode == http.StatusOK {
			return false
		}
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || resp.Header.Get("Retry-After-Ms") == "" || !strings.Contains(string(text), `"overloaded"`) {
			t.Errorf("the refusal is %d %v %s", resp.StatusCode, resp.Header, text)
		}
		return true
	})
}

// TestALoadIsTold before it begins: to whom asks, or to the log.
func TestALoadIsTold(t *testing.T) {
	t.Parallel()
	check := func(loading func(string), told string, line bool) {
		t.Helper()
		log := &safeBuffer{}
		heard := ""
		o := Options{Log: log}
		if loading != nil {
			o.Loading = func(name string) { heard = name; loading(log.String()) }
		}
		s, err := Open(loopback(), o)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		before, _, _ := strings.Cut(log.String(), "model loaded")
		if heard != told || strings.Contains(before, `msg="loading model" model=weir-mini`) != line {
			t.Errorf("told %q, and the log is %s", heard, log)
		}
	}
	check(nil, "", true)
	check(func(log string) {
		if strings.Contains(log, "model loaded") {
			t.Errorf("told after the load: %s", log)
		}
	}, config.Builtins()[0], false)
}

// TestFilesAreServed serves files of both kinds beside the built-in model.
func TestFilesAreServed(t *testing.T) {
	t.Parallel()
	cfg := loopback()
	cfg.Models = map[string]config.Model{
		"stories": {File: testdata.Path(t, "models/stories260K-Q8_0.gguf")}, "org/qwen2": {File: testdata.Path(t, "golden-hf/qwen2")}, config.Builtins()[0]: {Builtin: config.Builtins()[0]},
	}
	b := start(t, cfg)
	if status, text := b.get(t, "/v1/models/org/qwen2"); status != 200 || !strings.Contains(text, `"id":"org/qwen2"`) {
		t.Errorf("the model's entry: %d %s", status, text)
	}
	check := func(path, body, want string) {
		t.Helper()
		resp, err := b.post(t.Context(), path, body)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 200 || !strings.Contains(string(text), want) {
			t.Errorf("%s %s gives %d %s", path, body, resp.StatusCode, text)
		}
	}
	check("/v1/completions", `{"model":"stories","prompt":"Once upon a time","max_tokens":8,"temperature":0}`, `"finish_reason":"length"`)
	check("/v1/chat/completions", `{"model":"org/qwen2","messages":[{"role":"user","content":"hi"}],"max_tokens":4,"ignore_eos":true}`, `"completion_tokens":4`)
	check("/tokenize", `{"model":"stories","prompt":"Once upon a time"}`, `"tokens":[1,`)
	check("/apply-template", `{"model":"org/qwen2","messages":[{"role":"user","content":"hi"}]}`, "user")
}
