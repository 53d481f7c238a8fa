package sdktest

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the weir that all tests start. TestMain builds it before the first test, and nothing changes it after.
var binary string

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "weir-sdktest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "weir")
	build := exec.Command("go", "build", "-o", binary, "./cmd/weir")
	build.Dir = ".."
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "sdktest: go build ./cmd/weir: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// model is the name that every test asks for.
const model = "weir-mini"

// otherModel is a file or folder to serve under that name, empty for the built-in model: for trying these tests on another one. Its
// chat template must take plain content; nothing else depends on what it answers, but for the one test that needs the real model.
func otherModel() string { return os.Getenv("WEIR_SDKTEST_MODEL") }

// weir is a running server.
type weir struct {
	url string // without /v1
	key string // what lets in; empty where no key is asked for
}

// base is what SDKs are given.
func (w weir) base() string { return w.url + "/v1" }

// token is what is sent as the API key: every SDK insists on one.
func (w weir) token() string { return cmp.Or(w.key, "not-needed") }

// bundle is what the checks of one SDK run against.
type bundle struct {
	keyed  weir // asks for a key
	narrow weir // asks for none; computes one answer at a time and lets one request wait, so that its queue is easily full
}

func setup(t *testing.T) bundle {
	t.Helper()
	return bundle{keyed: start(t, true, ""), narrow: start(t, false, "engine: {sequences: 1, waiting: 1}\nadmission: {waiting: 1}\n")}
}

// startMax is long enough for a debug build on a busy machine; a built weir with the built-in model answers within 2 s.
const startMax = time.Minute

var ready = regexp.MustCompile(`weir is ready after .* on (http://\S+)/v1`)

// start runs `weir serve` with a configuration until the test ends, which it checks to be an orderly end.
func start(t *testing.T, keyed bool, config string) weir {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("weir is stopped by SIGTERM here, which Windows does not have")
	}
	var w weir
	if file := otherModel(); file != "" {
		config += fmt.Sprintf("models: {%s: {file: %q}}\n", model, file)
	}
	if keyed {
		entry := newKey(t)
		config += fmt.Sprintf("keys:\n  require: always\n  list:\n    - {id: %s, tenant: %s, hash: %q}\n", entry.ID, entry.Tenant, entry.Hash)
		w.key = entry.Key
	}
	path := filepath.Join(t.TempDir(), "weir.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "serve", "--config", path, "--listen", "127.0.0.1:0")
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, found: make(chan string, 1), ended: make(chan struct{})}
	go p.follow(pipe)
	t.Cleanup(func() { p.stop(t) })
	select {
	case w.url = <-p.found:
	case <-p.ended:
		t.Fatalf("weir ended before it was ready; its log:\n%s", p.text())
	case <-time.After(startMax):
		t.Fatalf("weir was not ready within %s; its log:\n%s", startMax, p.text())
	}
	return w
}

// keyEntry is what `weir key new --json` prints.
type keyEntry struct{ Key, ID, Hash, Tenant string }

func newKey(t *testing.T) keyEntry {
	t.Helper()
	out, err := exec.Command(binary, "key", "new", "--tenant", "sdktest", "--json").Output()
	var k keyEntry
	if err == nil {
		err = json.Unmarshal(out, &k)
	}
	if err != nil || k.Key == "" || k.Hash == "" {
		t.Fatalf("weir key new --json: %v, printed %q", err, out)
	}
	return k
}

// process is a weir with its log.
type process struct {
	cmd   *exec.Cmd
	found chan string   // the address, once
	ended chan struct{} // closed after the process has ended
	err   error         // how; valid after ended

	mu struct {
		sync.Mutex
		log bytes.Buffer
	}
}

// follow keeps the log, finds the address in it, and waits for the end.
func (p *process) follow(stderr io.Reader) {
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		p.mu.Lock()
		p.mu.log.WriteString(lines.Text() + "\n")
		p.mu.Unlock()
		if m := ready.FindStringSubmatch(lines.Text()); m != nil {
			select {
			case p.found <- m[1]:
			default:
			}
		}
	}
	p.err = p.cmd.Wait()
	close(p.ended)
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.log.String()
}

// stopMax is above the 25 s that weir gives running answers by default.
const stopMax = 30 * time.Second

// stop ends weir as a supervisor does, and checks that it ends well.
func (p *process) stop(t *testing.T) {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("SIGTERM: %v", err)
	}
	select {
	case <-p.ended:
	case <-time.After(stopMax):
		_ = p.cmd.Process.Kill()
		<-p.ended
		t.Errorf("weir did not end within %s of SIGTERM", stopMax)
	}
	if p.err != nil {
		t.Errorf("weir ended with %v after SIGTERM, want exit code 0", p.err)
	}
	if log := p.text(); t.Failed() || strings.Contains(log, "panic") {
		t.Errorf("weir's log:\n%s", log)
	}
}

// metric sums the samples of a name whose labels hold every one of with, such as `outcome="ok"`.
func (w weir) metric(t *testing.T, name string, with ...string) float64 {
	t.Helper()
	var sum float64
	for line := range strings.Lines(string(w.ask(t, "GET", "/metrics", nil))) {
		labels, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if metric, _, _ := strings.Cut(labels, "{"); !ok || metric != name || !containsAll(labels, with) {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("/metrics has %q: %v", line, err)
		}
		sum += v
	}
	return sum
}

func containsAll(s string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}

// ask is what no SDK has a method for. It answers with the body.
func (w weir) ask(t *testing.T, method, path string, body any) []byte {
	t.Helper()
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, w.url+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token())
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: status %d, %v: %s", method, path, res.StatusCode, err, answer)
	}
	return answer
}

// tokenized is what /tokenize answers.
type tokenized struct {
	Count       int64
	MaxModelLen int64 `json:"max_model_len"`
	Tokens      []int64
}

func (w weir) tokenize(t *testing.T, body map[string]any) tokenized {
	t.Helper()
	body["model"] = model
	var got tokenized
	if err := json.Unmarshal(w.ask(t, "POST", "/tokenize", body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Count == 0 || int(got.Count) != len(got.Tokens) {
		t.Fatalf("/tokenize counts %d and lists %d", got.Count, len(got.Tokens))
	}
	return got
}

// tokens counts a prompt's tokens, ids lists them.
func (w weir) tokens(t *testing.T, body map[string]any) int64 {
	t.Helper()
	return w.tokenize(t, body).Count
}
func (w weir) ids(t *testing.T, body map[string]any) []int64 {
	t.Helper()
	return w.tokenize(t, body).Tokens
}

// room is how many tokens the answer to the question can have.
func (w weir) room(t *testing.T) int64 {
	t.Helper()
	got := w.tokenize(t, map[string]any{"messages": []any{map[string]any{"role": "user", "content": question}}})
	return got.MaxModelLen - got.Count
}
