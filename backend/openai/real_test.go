package openai_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-ai/weir/app"
	"github.com/weir-ai/weir/backend/openai"
	"github.com/weir-ai/weir/config"
	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/internal/testdata"
)

// mini is the built-in model as a file, which every engine can load.
var mini = filepath.Join("..", "..", "mini", "weir-mini.gguf")

// greedy makes the answers of a real engine the same each time. The built-in model's end well before so many tokens.
const greedy = `"temperature":0,"max_tokens":100`

// llamacpp starts llama.cpp's own server with two slots and gives its root.
func llamacpp(t *testing.T) string {
	t.Helper()
	python := filepath.Join(venv(t, "llamacpp"), "python")
	return printed(t, start(t, nil, python, filepath.Join("testdata", "python", "serve_llamacpp.py"), mini, "2", "512"))
}

// gauge reads one sample of a server's metrics, -1 where it is not there.
func gauge(t *testing.T, url, name string) int {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatal(err)
			}
			return int(v)
		}
	}
	return -1
}

// endpoint reaches a real server, whose kind must be found out.
func endpoint(t *testing.T, c openai.Config, kind string) *openai.Endpoint {
	t.Helper()
	e, err := openai.New("real", c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	if r := e.Probe(t.Context()); r.State != fleet.StateUp || r.About.Kind != kind {
		t.Fatalf("probed as %+v, want kind %q", r, kind)
	}
	return e
}

func TestRealLlamaCppConforms(t *testing.T) {
	t.Parallel()
	root := llamacpp(t)
	e := endpoint(t, openai.Config{URL: root + "/v1", Model: "weir-mini"}, "llamacpp")
	r := e.Probe(t.Context())
	if a := r.About; a.Slots != 2 || a.Context != 512 || a.Version == "" || r.Load.Waiting != 0 || r.Load.Running != 0 {
		t.Errorf("probed as %+v", r)
	}
	conform(t, &subject{Endpoint: e, kind: "llamacpp", several: true, logprobs: true, continues: fleet.ContinuesText, opts: greedy, long: 400,
		running: func() int { return gauge(t, root+"/metrics", "llamacpp:requests_processing") }, steps: func() int { return gauge(t, root+"/metrics", "llamacpp:n_decode_total") }})
}

func TestRealWeirBehindWeirConforms(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Listen, cfg.Engine.Threads = "127.0.0.1:0", 1
	s, err := app.Start(cfg, app.Options{Version: "behind", Log: io.Discard, AccessLog: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	root := "http://" + s.Addr().String()
	e := endpoint(t, openai.Config{URL: root + "/v1", Model: "weir-mini"}, "weir")
	if r := e.Probe(t.Context()); r.About.Version != "behind" || r.About.Context == 0 || r.Load.Running != 0 || r.Load.Waiting != 0 || r.Load.KVUsed < 0 {
		t.Errorf("probed as %+v", r)
	}
	conform(t, &subject{Endpoint: e, kind: "weir", ids: true, several: true, logprobs: true, continues: fleet.ContinuesTokens, opts: greedy, long: 400,
		running: func() int {
			return gauge(t, root+"/metrics", `weir_engine_sequences{model="weir-mini",state="running"}`)
		},
		steps: func() int { return gauge(t, root+"/metrics", `weir_engine_step_seconds_count{model="weir-mini"}`) }})
}

// TestRealLiteLLMConforms runs the suite through LiteLLM's proxy before llama.cpp. It installs 800 MB and starts for half a minute, so
// that it runs in CI and by make test-real.
func TestRealLiteLLMConforms(t *testing.T) {
	t.Parallel()
	if os.Getenv("CI") != "true" && os.Getenv("WEIR_REAL") == "" {
		t.Skip("LiteLLM is installed and run by make test-real (WEIR_REAL=1) and in CI")
	}
	engine, port := llamacpp(t), freePort(t)
	file := filepath.Join(t.TempDir(), "litellm.yaml")
	text := fmt.Sprintf("model_list:\n  - model_name: mini\n    litellm_params: {model: openai/weir-mini, api_base: %s/v1, api_key: none}\n", engine)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	key := "sk-" + strings.ToLower(rand.Text()+rand.Text())
	out := start(t, []string{"LITELLM_MASTER_KEY=" + key, "LITELLM_LOCAL_MODEL_COST_MAP=True", "LITELLM_MODE=PRODUCTION", "LITELLM_LOG=ERROR", "LITELLM_TELEMETRY=False"},
		filepath.Join(venv(t, "litellm"), "python"), "-c", "from litellm import run_server; run_server()", "--config", file, "--host", "127.0.0.1", "--port", port, "--num_workers", "1")
	root := "http://127.0.0.1:" + port
	await(t, out, root+"/health/liveliness", 3*time.Minute)
	e := endpoint(t, openai.Config{URL: root + "/v1", Model: "mini", Key: key, KeyName: "LITELLM_KEY"}, "litellm")
	// It ends the stream of several choices when the first has finished, so that n > 1 is not asked. It may have read
	// the whole of an answer before it passes on the first token, so that how much was computed proves nothing.
	conform(t, &subject{Endpoint: e, kind: "litellm", logprobs: true, opts: greedy, long: 400,
		running: func() int { return gauge(t, engine+"/metrics", "llamacpp:requests_processing") }})
}

// TestRealVLLMConforms needs an environment with vLLM, named by WEIR_REAL_VLLM; make test-real passes it on.
func TestRealVLLMConforms(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("WEIR_REAL_VLLM")
	if dir == "" {
		t.Skip("set WEIR_REAL_VLLM to a virtual environment with vLLM in it; it is too large to be installed here")
	}
	model, port := filepath.Dir(testdata.Path(t, "golden-hf/qwen3/config.json")), freePort(t)
	template := filepath.Join(t.TempDir(), "template.jinja")
	if err := os.WriteFile(template, []byte("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := start(t, []string{"PATH=" + filepath.Join(dir, "bin") + ":" + os.Getenv("PATH"), "VLLM_CPU_KVCACHE_SPACE=1", "VLLM_CPU_OMP_THREADS_BIND=nobind", "HF_HUB_OFFLINE=1",
		"VLLM_NO_USAGE_STATS=1", "DO_NOT_TRACK=1", "VLLM_HOST_IP=127.0.0.1"},
		filepath.Join(dir, "bin", "vllm"), "serve", model, "--host", "127.0.0.1", "--port", port, "--served-model-name", "tiny", "--chat-template", template,
		"--max-num-seqs", "8", "--dtype", "float32", "--enforce-eager")
	root := "http://127.0.0.1:" + port
	await(t, out, root+"/health", 5*time.Minute)
	e := endpoint(t, openai.Config{URL: root + "/v1", Model: "tiny"}, "vllm")
	if r := e.Probe(t.Context()); r.About.Version == "" || r.About.Context == 0 || r.About.Cache == 0 || r.Load.Running != 0 || r.Load.Waiting != 0 || r.Load.KVUsed < 0 {
		t.Errorf("probed as %+v", r)
	}
	conform(t, &subject{Endpoint: e, kind: "vllm", babbles: true, ids: true, several: true, logprobs: true, continues: fleet.ContinuesText, opts: greedy, long: 200,
		running: func() int {
			return gauge(t, root+"/metrics", `vllm:num_requests_running{engine="0",model_name="tiny"}`)
		},
		steps: func() int {
			return gauge(t, root+"/metrics", `vllm:generation_tokens_total{engine="0",model_name="tiny"}`)
		}})
}
