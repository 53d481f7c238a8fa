package app

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-ai/weir/config"
)

// upstream is a fake OpenAI-compatible server: it says its name and, where asked to stream, waits for word before it ends.
type upstream struct {
	*httptest.Server
	name string
	hold chan struct{} // closed: streams end
	mu   sync.Mutex
	last http.Header
}

func newUpstream(t *testing.T, name string) *upstream {
	t.Helper()
	u := &upstream{name: name, hold: make(chan struct{})}
	u.Server = httptest.NewServer(u)
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost { // probes come at any time
		u.mu.Lock()
		u.last = r.Header.Clone()
		u.mu.Unlock()
	}
	body, _ := io.ReadAll(r.Body)
	switch {
	case r.URL.Path == "/v1/models":
		fmt.Fprint(w, `{"object":"list","data":[{"id":"up","object":"model"}]}`)
	case r.URL.Path != "/v1/chat/completions":
		http.Error(w, `{"error":{"message":"no such path"}}`, http.StatusNotFound)
	case !strings.Contains(string(body), `"stream":true`):
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":"x","model":"up","choices":[{"index":0,"message":{"role":"assistant","content":%q},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`, u.name)
	default:
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "data: {\"id\":\"x\",\"model\":\"up\",\"choices\":[{\"index\":0,\"delta\":{\"content\":%q}}]}\n\n", u.name)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-u.hold:
		case <-r.Context().Done():
			return
		}
		fmt.Fprint(w, "data: {\"id\":\"x\",\"model\":\"up\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" end\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
	}
}

func (u *upstream) url() string { return u.URL + "/v1" }

// fronting is a configuration whose model m has these endpoints.
func fronting(endpoints ...config.Endpoint) config.Config {
	cfg := loopback()
	cfg.Models = map[string]config.Model{"m": {Aliases: []string{"alias"}, Endpoints: endpoints}}
	return cfg
}

func ask(model string, stream bool) string {
	return fmt.Sprintf(`{"model":%q,"stream":%v,"messages":[{"role":"user","content":"x"}]}`, model, stream)
}

// says asks the system and gives the answer's text and endpoint.
func (b *bundle) says(t *testing.T, model string) (body, endpoint string) {
	t.Helper()
	resp, err := b.post(t.Context(), "/v1/chat/completions", ask(model, false))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return string(text), resp.Header.Get("X-Weir-Endpoint")
}

func TestARemoteEndpointAnswers(t *testing.T) {
	u := newUpstream(t, "hello")
	t.Setenv("WEIR_TEST_UPSTREAM_KEY", "sk-up")
	b := start(t, fronting(config.Endpoint{URL: u.url(), Model: "up", Kind: "openai", KeyEnv: "WEIR_TEST_UPSTREAM_KEY", Headers: map[string]config.Secret{"x-team": config.NewSecret("search")}}))
	body, endpoint := b.says(t, "alias")
	if !strings.Contains(body, `"model":"alias"`) || !strings.Contains(body, "hello") || endpoint != "m-1" {
		t.Errorf("got %s from %s", body, endpoint)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last.Get("Authorization") != "Bearer sk-up" || u.last.Get("X-Team") != "search" || !strings.HasPrefix(u.last.Get("X-Request-Id"), "req_") {
		t.Errorf("the endpoint got %v", u.last)
	}
	if strings.Contains(b.log.String(), "sk-up") {
		t.Error("the key is in the log")
	}
	if _, metrics := b.get(t, "/metrics"); !strings.Contains(metrics, `weir_endpoint_requests_total{endpoint="m-1",model="m",outcome="ok"} 1`) || !strings.Contains(metrics, `weir_completion_tokens_total{model="m"} 1`) {
		t.Errorf("the metrics do not tell: %s", metrics)
	}
}

// TestAReloadCutsNoStream changes every endpoint under a running stream.
func TestAReloadCutsNoStream(t *testing.T) {
	old, fresh := newUpstream(t, "old"), newUpstream(t, "fresh")
	close(fresh.hold)
	b := start(t, fronting(config.Endpoint{URL: old.url(), Kind: "openai"}))
	begun, done := make(chan struct{}), make(chan string, 1)
	go func() {
		text, last, err := b.stream(t.Context(), ask("m", true), func() { close(begun) })
		done <- fmt.Sprint(text, " ", last, " ", err)
	}()
	<-begun
	cfg := fronting(config.Endpoint{URL: fresh.url(), Kind: "openai"})
	cfg.Models["more"] = config.Model{Endpoints: []config.Endpoint{{URL: fresh.url(), Kind: "openai"}}}
	if err := b.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	for _, model := range []string{"m", "more"} {
		if body, _ := b.says(t, model); !strings.Contains(body, "fresh") {
			t.Errorf("after the reload %s answers %s", model, body)
		}
	}
	close(old.hold)
	if got := <-done; got != "old end [DONE] <nil>" {
		t.Errorf("the running stream ended as %q", got)
	}
	// A reload that cannot be leaves everything as it was.
	bad := fronting(config.Endpoint{URL: fresh.url(), CA: "/no/such.pem"})
	if err := b.Reload(bad); err == nil || !strings.Contains(err.Error(), "goes on") {
		t.Errorf("a reload with a fault: %v", err)
	}
	if body, _ := b.says(t, "more"); !strings.Contains(body, "fresh") {
		t.Errorf("after a failed reload: %s", body)
	}
}

// TestAnUnchangedModelKeepsItsEndpoints: what is known of them is not forgotten by a reload.
func TestAnUnchangedModelKeepsItsEndpoints(t *testing.T) {
	u := newUpstream(t, "a")
	close(u.hold)
	cfg := fronting(config.Endpoint{URL: u.url(), Kind: "openai"}, config.Endpoint{URL: u.url(), Kind: "openai", Name: "second"})
	b := start(t, cfg)
	before := b.fleet.Endpoints("m")
	cfg.Models["m"] = config.Model{Endpoints: cfg.Models["m"].Endpoints[:1], Aliases: []string{"other"}}
	if err := b.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if after := b.fleet.Endpoints("m"); len(after) != 1 || after[0] != before[0] {
		t.Errorf("endpoints are %v, were %v", after, before)
	}
}

func TestAWatchedFileIsFollowed(t *testing.T) {
	one, two := newUpstream(t, "one"), newUpstream(t, "two")
	path := filepath.Join(t.TempDir(), "endpoints")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(one.url() + "\n")
	b := start(t, fronting(config.Endpoint{Watch: path, Kind: "openai"}))
	if body, endpoint := b.says(t, "m"); !strings.Contains(body, "one") || strings.Contains(endpoint, "127.0.0.1") {
		t.Fatalf("got %s from %q", body, endpoint)
	}
	write(two.url() + "\n")
	waitFor(t, "the new list", func() bool {
		body, _ := b.says(t, "m")
		return strings.Contains(body, "two")
	})
	write("")
	waitFor(t, "the empty list", func() bool {
		body, _ := b.says(t, "m")
		return strings.Contains(body, "no_endpoint")
	})
}

// TestOneBadEndpointLeavesTheRest: each fault tells what and where, and the rest keeps serving.
func TestOneBadEndpointLeavesTheRest(t *testing.T) {
	good := newUpstream(t, "good")
	close(good.hold)
	denies := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"error":{"message":"bad key","code":"invalid_api_key"}}`, http.StatusUnauthorized)
	}))
	t.Cleanup(denies.Close)
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	cfg := fronting(
		config.Endpoint{Name: "good", URL: good.url(), Model: "up", Kind: "openai"},
		config.Endpoint{Name: "dead", URL: dead.URL + "/v1", Kind: "openai"},
		config.Endpoint{Name: "denies", URL: denies.URL + "/v1", Kind: "openai"},
		config.Endpoint{Name: "astray", URL: good.URL + "/v2", Kind: "openai"},
		config.Endpoint{Name: "other", URL: good.url(), Model: "gpt-9", Kind: "openai"},
	)
	b := start(t, cfg)
	for range 30 {
		if body, endpoint := b.says(t, "m"); !strings.Contains(body, "good") {
			t.Fatalf("%s answered %s", endpoint, body)
		}
	}
	waitFor(t, "every fault in the log", func() bool {
		log := b.log.String()
		for _, name := range []string{"dead", "denies", "astray", "other"} {
			if !strings.Contains(log, "endpoint="+name) {
				return false
			}
		}
		return true
	})
	for _, p := range b.Probe(t.Context()) {
		switch {
		case p.Endpoint == "good" && (!p.Answered || p.About.Models[0] != "up"):
			t.Errorf("the good one: %+v", p)
		case p.Endpoint != "good" && (p.Answered && p.Endpoint != "other" || p.Reason == ""):
			t.Errorf("%s: %+v", p.Endpoint, p)
		case strings.Contains(p.Reason, "127.0.0.1") && p.Endpoint == "good":
			t.Errorf("an address is told: %s", p.Reason)
		}
	}
}

// TestALeavingClientIsCancelledAtTheEngine: within the time that anybody would call at once.
func TestALeavingClientIsCancelledAtTheEngine(t *testing.T) {
	left := make(chan time.Time, 1)
	hangs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		left <- time.Now()
	}))
	t.Cleanup(hangs.Close)
	b := start(t, fronting(config.Endpoint{URL: hangs.URL + "/v1", Kind: "openai"}))
	resp, err := b.post(t.Context(), "/v1/chat/completions", ask("m", true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := resp.Body.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	resp.Body.Close()
	if took := (<-left).Sub(at); took > 5*time.Second {
		t.Errorf("the engine heard of it after %s", took)
	} else {
		t.Logf("the engine heard of it after %s", took)
	}
}

// TestTokensOfARemoteModelAreItsEngines asks a Weir behind a Weir.
func TestTokensOfARemoteModelAreItsEngines(t *testing.T) {
	behind := start(t, loopback())
	front := start(t, fronting(config.Endpoint{Name: "none", URL: behind.url + "/v1", Kind: "openai"}, config.Endpoint{URL: behind.url + "/v1", Model: config.Builtins()[0], Kind: "weir"}))
	ask := func(b *bundle, model, path, body string) string {
		t.Helper()
		resp, err := b.post(t.Context(), path, strings.Replace(body, "MODEL", model, 1))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return fmt.Sprint(resp.StatusCode, " ", string(text))
	}
	for path, body := range map[string]string{
		"/tokenize": `{"model":"MODEL","prompt":"What is 17 + 25?"}`, "/detokenize": `{"model":"MODEL","tokens":[53,36,53]}`,
	} {
		want, got := ask(behind, config.Builtins()[0], path, body), ask(front, "alias", path, body)
		if !strings.HasPrefix(want, "200 ") || got != want {
			t.Errorf("%s: behind %s, in front %s", path, want, got)
		}
	}
	if got := ask(front, "m", "/tokenize", `{"model":"MODEL","prompt":7}`); !strings.HasPrefix(got, "400 ") {
		t.Errorf("a fault of the client's: %s", got)
	}
}

// TestAReloadKeepsWhatWasFound: a change of the model's other words does not empty it, and what runs here is not loaded again.
func TestAReloadKeepsWhatWasFound(t *testing.T) {
	u := newUpstream(t, "found")
	path := filepath.Join(t.TempDir(), "endpoints")
	if err := os.WriteFile(path, []byte(u.url()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := fronting(config.Endpoint{Watch: path, Kind: "openai"})
	cfg.Models["here"] = config.Model{Builtin: "weir-nano"}
	b := start(t, cfg)
	before := b.fleet.Endpoints("m")
	m := cfg.Models["m"]
	m.Aliases = append(m.Aliases, "another")
	next := fronting()
	next.Models = map[string]config.Model{"m": m, "here": cfg.Models["here"]}
	if err := b.Reload(next); err != nil {
		t.Fatal(err)
	}
	if after := b.fleet.Endpoints("m"); len(after) != 1 || after[0] != before[0] {
		t.Errorf("endpoints are %v, were %v", after, before)
	}
	if body, _ := b.says(t, "another"); !strings.Contains(body, "found") {
		t.Errorf("the new alias answers %s", body)
	}
	next.Models = map[string]config.Model{"m": m, "here": {Builtin: "weir-mini"}}
	if err := b.Reload(next); err == nil || !strings.Contains(err.Error(), "needs a restart") {
		t.Errorf("another file for a model that runs here: %v", err)
	}
	if len(b.backends) != 1 {
		t.Errorf("%d models are loaded", len(b.backends))
	}
}
