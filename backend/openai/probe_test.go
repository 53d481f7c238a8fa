package openai_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-ai/weir/backend/openai"
	"github.com/weir-ai/weir/fleet"
)

// server answers GETs from a table that a test may change, and remembers what it was asked.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	paths map[string]string // "503 text" answers with that status; others with 200
	asked []string
}

func serve(t *testing.T, paths map[string]string) *server {
	t.Helper()
	s := &server{paths: paths}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.URL.Path)
	text, ok := s.paths[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	var status int
	if n, _ := fmt.Sscanf(text, "%3d ", &status); n == 1 && status >= 100 {
		w.WriteHeader(status)
		text = text[4:]
	}
	_, _ = io.WriteString(w, text)
}

func (s *server) set(path, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paths[path] = text
}

// took gives the paths that were asked since the last call.
func (s *server) took() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.asked
	s.asked = nil
	return out
}

func models(owner string, ids ...string) string {
	var list []string
	for _, id := range ids {
		list = append(list, fmt.Sprintf(`{"id":%q,"object":"model","owned_by":%q,"max_model_len":4096}`, id, owner))
	}
	return `{"object":"list","data":[` + strings.Join(list, ",") + `]}`
}

func reach(t *testing.T, c openai.Config) *openai.Endpoint {
	t.Helper()
	e, err := openai.New("e1", c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func TestProbeTellsKindsApart(t *testing.T) {
	t.Parallel()
	unknown := fleet.UnknownLoad()
	load := func(waiting, running int) fleet.Load {
		l := unknown
		l.Waiting, l.Running = waiting, running
		return l
	}
	for _, c := range []struct {
		kind, base string
		paths      map[string]string
		want       fleet.About
		load       fleet.Load
		continues  fleet.Continues
		asks       int // GETs of a second probe
	}{
		{"vllm", "/v1", map[string]string{"/v1/models": models("vllm", "m"), "/health": "", "/version": `{"version":"0.32.0"}`, "/metrics": "vllm:num_requests_running 2\nvllm:num_requests_waiting 1\nvllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"10\"} 1\n"},
			fleet.About{Version: "0.32.0", Context: 4096, Cache: 160}, load(1, 2), fleet.ContinuesText, 2},
		{"sglang", "/v1", map[string]string{"/v1/models": models("sglang", "m"), "/health": "", "/server_info": `{"version":"0.5.9","max_running_requests":48,"max_total_num_tokens":1000}`},
			fleet.About{Version: "0.5.9", Context: 4096, Slots: 48, Cache: 1000}, unknown, fleet.ContinuesText, 2},
		{"sglang", "/v1", map[string]string{"/v1/models": models("sglang", "m"), "/health": "", "/get_server_info": `{"version":"0.4.1","max_running_requests":null}`, "/metrics": "sglang:num_queue_reqs 4\nsglang:num_running_reqs 5\n"},
			fleet.About{Version: "0.4.1", Context: 4096}, load(4, 5), fleet.ContinuesText, 2},
		{"llamacpp", "/v1", map[string]string{"/v1/models": models("llamacpp", "m"), "/health": `{"status":"ok"}`, "/props": `{"default_generation_settings":{"n_ctx":512},"total_slots":4,"build_info":"b1"}`, "/metrics": "501 {}"},
			fleet.About{Version: "b1", Context: 512, Slots: 4}, unknown, fleet.ContinuesText, 2},
		{"llamacpp", "/v1", map[string]string{"/v1/models": models("", "m"), "/health": "", "/props": `{"default_generation_settings":{"n_ctx":512}}`}, fleet.About{Context: 512}, unknown, fleet.ContinuesText, 2},
		{"trtllm", "/v1", map[string]string{"/v1/models": models("tensorrt_llm", "m"), "/health": "", "/version": `{"version":"1.2.0"}`, "/metrics": "[]", "/prometheus/metrics": "trtllm_num_requests_waiting 3\ntrtllm_num_requests_running 1\n"},
			fleet.About{Version: "1.2.0", Context: 4096}, load(3, 1), fleet.ContinuesNot, 2},
		{"ovms", "/v3", map[string]string{"/v3/models": models("OVMS", "m"), "/v2/health/ready": "", "/metrics": "ovms_current_graphs{name=\"m\"} 2\n"}, fleet.About{Context: 4096}, load(-1, 2), fleet.ContinuesNot, 2},
		{"tgi", "/v1", map[string]string{"/v1/models": models("m", "m"), "/health": "", "/info": `{"model_id":"m","max_total_tokens":2048,"max_concurrent_requests":128,"version":"3.3.7"}`, "/metrics": "tgi_queue_size 0\ntgi_batch_current_size 0\n"},
			fleet.About{Version: "3.3.7", Context: 2048, Slots: 128}, load(0, 0), fleet.ContinuesText, 2},
		{"ollama", "/v1", map[string]string{"/v1/models": models("library", "m:latest"), "/": "Ollama is running", "/api/version": `{"version":"0.17.4"}`}, fleet.About{Version: "0.17.4", Context: 4096, Models: []string{"m:latest"}}, unknown, fleet.ContinuesNot, 1},
		{"litellm", "/v1", map[string]string{"/v1/models": models("openai", "m"), "/health/liveliness": `"I'm alive!"`, "/health/readiness": `{"status":"healthy","litellm_version":"1.80.0"}`}, fleet.About{Version: "1.80.0", Context: 4096}, unknown, fleet.ContinuesNot, 1},
		{"weir", "/v1", map[string]string{"/v1/models": models("weir", "m"), "/readyz": `{"status":"ready"}`, "/metrics": "weir_build_info{go=\"go1.26\",version=\"1\"} 1\nweir_requests_in_flight 6\n"},
			fleet.About{Version: "1", Context: 4096}, load(-1, 6), fleet.ContinuesTokens, 2},
		{"openai", "/api/v1", map[string]string{"/api/v1/models": models("system", "m")}, fleet.About{Context: 4096}, unknown, fleet.ContinuesNot, 1},
	} {
		s := serve(t, c.paths)
		e := reach(t, openai.Config{URL: s.URL + c.base, Model: "m"})
		c.want.Kind = c.kind
		if c.want.Models == nil {
			c.want.Models = []string{"m"}
		}
		for i := range 2 {
			r := e.Probe(t.Context())
			if r.State != fleet.StateUp || r.Reason != "" || fmt.Sprint(r.About) != fmt.Sprint(c.want) || r.Load != c.load || r.Continues != c.continues {
				t.Errorf("%s, probe %d: %+v, want %+v, %+v", c.kind, i, r, c.want, c.load)
			}
			if asked := s.took(); i == 1 && len(asked) != c.asks {
				t.Errorf("%s: a second probe asks %q", c.kind, asked)
			}
		}
	}
}

func TestProbeSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	many := models("vllm", "a", "b", "c", "d", "e", "f", "g")
	for _, c := range []struct {
		name   string
		config openai.Config // URL without the server
		paths  map[string]string
		state  fleet.State
		reason string
	}{
		{"no key", openai.Config{URL: "/v1"}, map[string]string{"/v1/models": `401 {"error":{"message":"no key"}}`}, fleet.StateDown, "wants a key (status 401): give it one as key_env or key_file"},
		{"a wrong key", openai.Config{URL: "/v1", Key: "sk-secret", KeyName: "X_KEY"}, map[string]string{"/v1/models": "403 no"}, fleet.StateDown, "refuses the key of X_KEY (status 403)"},
		{"a wrong path", openai.Config{URL: "/v2"}, map[string]string{"/v1/models": models("vllm", "m")}, fleet.StateDown, "/v2/models answers 404: is the path right? URL/v1 answers: write it as url"},
		{"no path", openai.Config{URL: "/"}, map[string]string{"/v3/models": models("OVMS", "m")}, fleet.StateDown, "URL/v3 answers: write it as url"},
		{"no such thing", openai.Config{URL: "/v1"}, nil, fleet.StateDown, "GET URL/v1/models answers 404: is the path right?"},
		{"a web page", openai.Config{URL: "/v1"}, map[string]string{"/v1/models": "<html>"}, fleet.StateDown, "no list of models"},
		{"a redirect", openai.Config{URL: "/v1"}, map[string]string{"/v1/models": "302 "}, fleet.StateDown, "redirect"},
		{"another model", openai.Config{URL: "/v1", Model: "x"}, map[string]string{"/v1/models": many, "/health": ""}, fleet.StateDown, `it serves a, b, c, d, e and 2 more; not "x": write one of these as model`},
		{"another model, perhaps", openai.Config{URL: "/v1", Model: "x"}, map[string]string{"/v1/models": models("system", "a")}, fleet.StateUnknown, `it serves a; not "x"`},
		{"whatever model", openai.Config{URL: "/v1", Model: "x"}, map[string]string{"/v1/models": models("llamacpp", "a"), "/health": ""}, fleet.StateUp, ""},
		{"a pattern of models", openai.Config{URL: "/v1", Model: "openai/x"}, map[string]string{"/v1/models": models("openai", "openai/*"), "/health/liveliness": `"I'm alive!"`}, fleet.StateUp, ""},
		{"loading, unknown", openai.Config{URL: "/v1"}, map[string]string{"/v1/models": `503 {"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}`}, fleet.StateLoading, "it is not ready: Loading model"},
		{"loading, known", openai.Config{URL: "/v1", Kind: "llamacpp"}, map[string]string{"/health": `503 {"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}`}, fleet.StateLoading, "it is not ready: Loading model"},
		{"dead, known", openai.Config{URL: "/v1", Kind: "vllm"}, map[string]string{"/health": "503 "}, fleet.StateDown, "GET URL/health answers 503"},
		{"ill", openai.Config{URL: "/v1"}, map[string]string{"/v1/models": `500 {"error":{"message":"out of memory"}}`}, fleet.StateDown, "answers 500: out of memory"},
		{"a provider without a list", openai.Config{URL: "/v1", Kind: "cloud"}, nil, fleet.StateUnknown, "404"},
		{"a health that is hidden", openai.Config{URL: "/v1", Kind: "vllm"}, map[string]string{"/health": "401 ", "/v1/models": models("vllm", "m")}, fleet.StateUp, ""},
	} {
		s := serve(t, c.paths)
		c.config.URL = s.URL + c.config.URL
		r := reach(t, c.config).Probe(t.Context())
		if want := strings.ReplaceAll(c.reason, "URL", s.URL); r.State != c.state || !strings.Contains(r.Reason, want) || want == "" && r.Reason != "" {
			t.Errorf("%s: %v, %q, want %v, %q", c.name, r.State, r.Reason, c.state, want)
		}
		if strings.Contains(r.Reason, "sk-secret") {
			t.Errorf("%s tells the key: %q", c.name, r.Reason)
		}
	}
}

func TestProbeSaysWhyNothingAnswers(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	clear := serve(t, nil)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	for _, c := range []struct{ name, url, reason string }{
		{"refused", "http://" + gone.Addr().String(), gone.Addr().String() + " cannot be reached (connect: connection refused): is the server running?"},
		{"not trusted", secure.URL, "name the file of the authority that signed it as ca"},
		{"no TLS", "https" + strings.TrimPrefix(clear.URL, "http"), "does not speak TLS: begin the url with http://"},
		{"no such host", "http://nobody.invalid", `the host "nobody.invalid" cannot be found`},
		{"silent", "http://" + silent.Addr().String(), "did not answer in time"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		r := reach(t, openai.Config{URL: c.url + "/v1"}).Probe(ctx)
		cancel()
		if r.State != fleet.StateDown || !strings.Contains(r.Reason, c.reason) {
			t.Errorf("%s: %v, %q, want %q", c.name, r.State, r.Reason, c.reason)
		}
	}
}

// Asked without TLS, Go's own servers answer in clear text, and others with an alert of TLS.
func TestProbeSaysThatAnEndpointSpeaksTLS(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	strict, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = strict.Close() })
	go func() {
		for {
			c, err := strict.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			_, _ = c.Write([]byte{21, 3, 1, 0, 2, 2, 70})
			_ = c.Close()
		}
	}()
	for _, host := range []string{secure.Listener.Addr().String(), strict.Addr().String()} {
		if r := reach(t, openai.Config{URL: "http://" + host + "/v1"}).Probe(t.Context()); r.State != fleet.StateDown || r.Reason != host+" speaks TLS: begin the url with https://" {
			t.Errorf("%v, %q", r.State, r.Reason)
		}
	}
}

func TestProbeFollowsAnEndpointThatBecomesAnother(t *testing.T) {
	t.Parallel()
	s := serve(t, map[string]string{"/v1/models": models("vllm", "m"), "/health": "", "/metrics": "vllm:num_requests_running 1\n"})
	e := reach(t, openai.Config{URL: s.URL + "/v1"})
	if r := e.Probe(t.Context()); r.About.Kind != "vllm" {
		t.Fatalf("%+v", r)
	}
	s.set("/health", "503 ")
	if r := e.Probe(t.Context()); r.State != fleet.StateDown || r.Load != fleet.UnknownLoad() {
		t.Errorf("ill: %+v", r)
	}
	s.set("/health", "")
	s.set("/v1/models", models("sglang", "m2"))
	if r := e.Probe(t.Context()); r.State != fleet.StateUp || r.About.Kind != "sglang" || !slices.Equal(r.About.Models, []string{"m2"}) {
		t.Errorf("another in its place: %+v", r)
	}
	configured := reach(t, openai.Config{URL: s.URL + "/v1", Kind: "tgi"})
	if r := configured.Probe(t.Context()); r.About.Kind != "tgi" {
		t.Errorf("what is configured is not asked: %+v", r)
	}
}

func TestProbeRemembersAModelThatIsNotThere(t *testing.T) {
	t.Parallel()
	s := serve(t, map[string]string{"/v1/models": models("openai", "a"), "/health/liveliness": `"I'm alive!"`})
	e := reach(t, openai.Config{URL: s.URL + "/v1", Model: "x"})
	for i := range 3 {
		if r := e.Probe(t.Context()); r.State != fleet.StateUnknown || !strings.Contains(r.Reason, `not "x"`) {
			t.Errorf("probe %d: %v, %q", i, r.State, r.Reason)
		}
	}
}

// A provider is asked once a minute, however often the fleet probes.
func TestProbeSparesProviders(t *testing.T) {
	t.Parallel()
	s := serve(t, map[string]string{"/v1/models": models("system", "m")})
	e := reach(t, openai.Config{URL: s.URL + "/v1", Kind: "cloud"})
	for range 5 {
		if r := e.Probe(t.Context()); r.State != fleet.StateUp || r.About.Kind != "cloud" {
			t.Errorf("%+v", r)
		}
	}
	if asked := s.took(); len(asked) != 1 {
		t.Errorf("it was asked %q", asked)
	}
	if r := reach(t, openai.Config{URL: s.URL + "/v1", Host: "api.openai.com"}).Probe(t.Context()); r.About.Kind != "cloud" {
		t.Errorf("a provider behind another address is a %q", r.About.Kind)
	}
}

// A server that answers without end must neither fill the memory nor hold the probe.
func TestProbeIsBounded(t *testing.T) {
	t.Parallel()
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		page := []byte(strings.Repeat(" ", 64<<10))
		for {
			if _, err := w.Write(page); err != nil {
				return
			}
		}
	}))
	t.Cleanup(endless.Close)
	if r := reach(t, openai.Config{URL: endless.URL + "/v1"}).Probe(t.Context()); r.State != fleet.StateDown || !strings.Contains(r.Reason, "no list of models") {
		t.Errorf("%v, %q", r.State, r.Reason)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := reach(t, openai.Config{URL: endless.URL + "/v1"}).Probe(ctx); r.State != fleet.StateDown {
		t.Errorf("called off: %v", r.State)
	}
}
