package app

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-ai/weir/config"
)

// safeBuffer is a log that a system and a test share.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// loopback is the default configuration on a free port: it serves the built-in model.
func loopback() config.Config {
	cfg := config.Default()
	cfg.Listen = "127.0.0.1:0"
	cfg.Engine.Threads = 2
	// What is tested is rarely who comes too late on a machine that other tests keep busy.
	cfg.Models = map[string]config.Model{"weir-mini": {Builtin: "weir-mini", Objective: patient()}}
	return cfg
}

// patient is an objective that nobody is refused for.
func patient() config.Objective {
	return config.Objective{TTFT: config.Duration(time.Hour), TPOT: config.Duration(time.Hour)}
}

// bundle is a running system and a client of its own.
type bundle struct {
	*System
	url       string
	client    *http.Client
	log       *safeBuffer
	transport *http.Transport
}

func start(t testing.TB, cfg config.Config) *bundle {
	t.Helper()
	log := &safeBuffer{}
	s, err := Start(cfg, Options{Version: "test", Log: log, AccessLog: log})
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	b := &bundle{s, "http://" + s.Addr().String(), &http.Client{Transport: transport}, log, transport}
	t.Cleanup(func() { b.end(t) })
	return b
}

// end stops the system and closes the client's connections.
func (b *bundle) end(t testing.TB) {
	t.Helper()
	if err := b.Stop(); err != nil {
		t.Errorf("stop: %v\n%s", err, b.log)
	}
	b.transport.CloseIdleConnections()
}

// chat is a request's body. A long answer ignores the model's own end.
func chat(stream bool, tokens int, long bool, content string) string {
	body, _ := json.Marshal(map[string]any{
		"model": config.Builtins()[0], "stream": stream, "max_tokens": tokens, "ignore_eos": long, "temperature": 0,
		"messages": []map[string]string{{"role": "user", "content": content}},
	})
	return string(body)
}

// post sends body and gives the open response.
func (b *bundle) post(ctx context.Context, path, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	return b.client.Do(req)
}

// get reads a path whole.
func (b *bundle) get(t testing.TB, path string) (int, string) {
	t.Helper()
	resp, err := b.client.Get(b.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// stream reads a stream's data lines as they come; began, if not nil, is called after the first. It gives the joined text and the
// last line.
func (b *bundle) stream(ctx context.Context, body string, began func()) (text, last string, err error) {
	resp, err := b.post(ctx, "/v1/chat/completions", body)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		refusal, _ := io.ReadAll(resp.Body)
		return "", string(refusal), fmt.Errorf("status %d: %s", resp.StatusCode, refusal)
	}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if last = data; data == "[DONE]" {
			continue
		}
		var chunk struct {
			Choices []struct{ Delta struct{ Content string } }
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			return text, last, cmp.Or(lines.Err(), err) // the last line of a stream that was cut is half a one
		}
		for _, c := range chunk.Choices {
			text += c.Delta.Content
		}
		if began != nil {
			began()
			began = nil
		}
	}
	return text, last, lines.Err()
}

// waitFor waits for what other goroutines are about to do. The bound is far above any pause of a busy machine.
func waitFor(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// goroutines counts those that run. A test that counts must not run beside others: it is not parallel.
type goroutines int

func countGoroutines() goroutines { return goroutines(runtime.NumGoroutine()) }

// back fails the test unless the count falls back to g.
func (g goroutines) back(t testing.TB) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > int(g); {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines run, %d did before:\n%s", runtime.NumGoroutine(), g, stacks[:runtime.Stack(stacks, true)])
		}
		time.Sleep(time.Millisecond)
	}
}

// stacksOf gives the stacks of the goroutines that have every part in theirs.
func stacksOf(parts ...string) []string {
	text := make([]byte, 4<<20)
	var out []string
	for _, g := range strings.Split(string(text[:runtime.Stack(text, true)]), "\n\n") {
		has := true
		for _, p := range parts {
			has = has && strings.Contains(g, p)
		}
		if has {
			out = append(out, g)
		}
	}
	return out
}

// idle fails the test unless the engine comes to hold nothing.
func (b *bundle) idle(t testing.TB) {
	t.Helper()
	for _, backend := range b.backends {
		waitFor(t, "an engine that holds nothing", func() bool {
			s := backend.Stats()
			return s.Running == 0 && s.Waiting == 0 && s.BlocksUsed == 0 && s.BlockRefs == 0
		})
	}
}
