package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/registry"
	"github.com/weir-ai/weir/serve"
	"github.com/weir-ai/weir/tenant"
)

// script is a runner that plays a function.
type script func(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error)

func (s script) Run(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
	return s(ctx, req, emit)
}

// says answers every choice with words, each a delta of its own.
func says(words ...string) script {
	return func(_ context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		used := llm.Usage{PromptTokens: 5, CachedTokens: 2, CompletionTokens: len(words) * req.Choices()}
		for c := range req.Choices() {
			for _, w := range words {
				if err := emit(llm.Event{Kind: llm.EventDelta, Choice: c, Text: w}); err != nil {
					return used, err
				}
			}
			if err := emit(llm.Event{Kind: llm.EventFinish, Choice: c, Finish: llm.Finish{Reason: llm.FinishStop}}); err != nil {
				return used, err
			}
		}
		return used, emit(llm.Event{Kind: llm.EventUsage, Usage: used})
	}
}

// letters is a vocabulary in which every byte is a token.
type letters struct{}

func (letters) Tokenize(_ context.Context, text string, special bool) (ids []llm.TokenID, err error) {
	if special {
		ids = append(ids, 1)
	}
	for _, b := range []byte(text) {
		ids = append(ids, llm.TokenID(b))
	}
	return ids, nil
}

func (letters) Detokenize(ids []llm.TokenID) (string, error) {
	var b []byte
	for _, id := range ids {
		if id < 0 || id > 255 {
			return "", llm.Errorf(llm.Invalid, "token %d is outside the vocabulary", id)
		}
		b = append(b, byte(id))
	}
	return string(b), nil
}
func (letters) Piece(id llm.TokenID) string { return string(rune(id)) }
func (letters) Render(req *llm.Request) (string, error) {
	var s string
	for _, m := range req.Messages {
		s += string(m.Role) + ":" + m.Text() + "\n"
	}
	return s, nil
}
func (l letters) RenderTokens(ctx context.Context, req *llm.Request) ([]llm.TokenID, error) {
	s, err := l.Render(req)
	if err != nil {
		return nil, err
	}
	return l.Tokenize(ctx, s, req.Template.AddSpecial)
}
func (letters) ContextLength() int { return 64 }

// bundle is a door over scripted models, and what it wrote.
type bundle struct {
	*Server
	url     string
	client  *http.Client
	models  *registry.Registry
	metrics *prometheus.Registry
	log     *safeBuffer
	access  *safeBuffer
	ready   error
}

// safeBuffer is a buffer that a handler and a test may share.
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

// door makes a door without a listener.
func door(t testing.TB, cfg Config, run script, keys ...tenant.Key) *bundle {
	t.Helper()
	b := &bundle{models: &registry.Registry{}, metrics: prometheus.NewRegistry(), log: &safeBuffer{}, access: &safeBuffer{}}
	created := time.Unix(1_700_000_000, 0)
	err := b.models.Set([]registry.Model{
		{ID: "m", Vocabulary: letters{}, Created: created, OwnedBy: "weir", About: registry.About{ContextLength: 64}},
		{ID: "org/name:v1", Created: created, OwnedBy: "org"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var endpoints fleet.Fleet
	err = endpoints.Set(map[llm.ModelID][]*fleet.Endpoint{
		"m": {fleet.New(fleet.Spec{ID: "embedded", Runner: run, Embedded: true})}, "org/name:v1": {fleet.New(fleet.Spec{ID: "embedded", Runner: run, Embedded: true})},
	})
	if err != nil {
		t.Fatal(err)
	}
	answers, err := serve.NewMetrics(b.metrics)
	if err != nil {
		t.Fatal(err)
	}
	book, err := tenant.New(tenant.Config{Keys: keys}, tenant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	deps := Deps{
		Keys:   book,
		Runner: serve.New(b.models, &endpoints, serve.Options{Report: answers.Listener()}), Models: b.models, Log: slog.New(slog.NewTextHandler(b.log, nil)),
		AccessLog: b.access, Metrics: b.metrics, Gatherer: b.metrics, Ready: func() error { return b.ready },
	}
	if b.Server, err = New(deps, cfg); err != nil {
		t.Fatal(err)
	}
	return b
}

// setup makes a door that listens.
func setup(t testing.TB, cfg Config, run script, keys ...tenant.Key) *bundle {
	t.Helper()
	b := door(t, cfg, run, keys...)
	b.listen(t, b.Handler())
	return b
}

func (b *bundle) listen(t testing.TB, h http.Handler) {
	server := httptest.NewUnstartedServer(h)
	server.Config = b.HTTPServer(h)
	server.Start()
	t.Cleanup(server.Close)
	b.url, b.client = server.URL, server.Client()
}

// reply is a whole response.
type reply struct {
	status int
	header http.Header
	body   string
}

// ask sends one request; headers are "Name: value".
func (b *bundle) ask(t testing.TB, method, path, body string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
		if name == "Host" { // the client takes it from here
			req.Host = value
		}
	}
	resp, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Close { // the client takes this header out
		resp.Header.Set("Connection", "close")
	}
	return reply{resp.StatusCode, resp.Header, string(text)}
}

// told is the error that a response carries.
type told struct {
	Message string
	Type    string
	Param   *string
	Code    *string
}

func (r reply) err(t testing.TB) told {
	t.Helper()
	var e struct{ Error *told }
	if err := json.Unmarshal([]byte(r.body), &e); err != nil || e.Error == nil || e.Error.Message == "" || e.Error.Type == "" {
		t.Fatalf("status %d, and not an error in OpenAI's shape: %q (%v)", r.status, r.body, err)
	}
	return *e.Error
}

// wants fails the test unless r is an error with this status and code, and its message has every word.
func (r reply) wants(t testing.TB, status int, code string, words ...string) {
	t.Helper()
	e := r.err(t)
	got := ""
	if e.Code != nil {
		got = *e.Code
	}
	if r.status != status || got != code {
		t.Errorf("got status %d, code %q, message %q; want %d, %q", r.status, got, e.Message, status, code)
	}
	for _, w := range words {
		if !strings.Contains(e.Message, w) {
			t.Errorf("the message %q does not have %q", e.Message, w)
		}
	}
}

const (
	chatBody   = `{"model":"m","messages":[{"role":"user","content":"hello"}]}`
	streamBody = `{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}`
)

// frames are the data lines of a stream.
func (r reply) frames() []string {
	var out []string
	for _, f := range strings.Split(strings.TrimSpace(r.body), "\n\n") {
		out = append(out, strings.TrimPrefix(f, "data: "))
	}
	return out
}

// pipes is a listener of connections within the process: with it, a whole HTTP server keeps synctest's time.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// listenWithin serves on pipes, for tests in a synctest bubble. The stop ends everything.
func (b *bundle) listenWithin() (p *pipes, stop func()) {
	p = newPipes()
	server := b.HTTPServer(b.Handler())
	transport := &http.Transport{DialContext: p.dial, DisableKeepAlives: true}
	b.url, b.client = "http://localhost", &http.Client{Transport: transport}
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(p) })
	return p, func() {
		transport.CloseIdleConnections()
		_ = server.Close()
		running.Wait()
		// net/http keeps a connection whose body was not read to its end for half a second more, and a bubble's time passes only
		// while its test waits.
		time.Sleep(time.Second)
	}
}
