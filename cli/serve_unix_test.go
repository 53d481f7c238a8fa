//go:build unix

package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// server is `weir serve` in a process of its own.
type server struct {
	t     *testing.T
	cmd   *exec.Cmd
	url   string
	ended chan error
	lines chan string  // of standard error, the first linesMax
	out   bytes.Buffer // standard output; to be read after end
	log   struct {
		sync.Mutex
		bytes.Buffer
	}
}

// linesMax is more than a server writes until it is ready.
const linesMax = 1000

// serveProcess starts the server and returns when it says that it is ready.
func serveProcess(t *testing.T, env []string, args ...string) *server {
	t.Helper()
	s := launch(t, env, args...)
	s.url = strings.TrimSuffix(s.says("is ready after "), "/v1")
	s.url = s.url[strings.LastIndex(s.url, " ")+1:]
	return s
}

// launch starts the server and does not wait for it.
func launch(t *testing.T, env []string, args ...string) *server {
	t.Helper()
	s := &server{t: t, ended: make(chan error, 1), lines: make(chan string, linesMax)}
	s.cmd = exec.Command(binary(t), append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	s.cmd.Env = append(os.Environ(), env...)
	s.cmd.Stdout = &s.out
	out, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			s.log.Lock()
			fmt.Fprintln(&s.log.Buffer, lines.Text())
			s.log.Unlock()
			select {
			case s.lines <- lines.Text():
			default: // no test waits for a line that comes so late
			}
		}
		s.ended <- s.cmd.Wait()
	}()
	return s
}

// says returns when the server writes a line with text, and gives the line.
func (s *server) says(text string) string {
	s.t.Helper()
	timeout := time.After(2 * time.Minute)
	for {
		select {
		case line := <-s.lines:
			if strings.Contains(line, text) {
				return line
			}
		case err := <-s.ended:
			s.t.Fatalf("the server ended with %v: %s", err, s.logged())
		case <-timeout:
			s.t.Fatalf("the server does not say %q: %s", text, s.logged())
		}
	}
}

func (s *server) logged() string {
	s.log.Lock()
	defer s.log.Unlock()
	return s.log.String()
}

func (s *server) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// end waits for the process and checks its exit code.
func (s *server) end(code int) {
	s.t.Helper()
	select {
	case err := <-s.ended:
		var exit *exec.ExitError
		if (err != nil || code != 0) && !(errors.As(err, &exit) && exit.ExitCode() == code) {
			s.t.Errorf("the server ended with %v, want code %d: %s", err, code, s.logged())
		}
	case <-time.After(2 * time.Minute):
		s.t.Errorf("the server does not end: %s", s.logged())
	}
}

// ask begins a streamed answer and returns when its first text is there.
func (s *server) ask(model string, tokens int) (rest *bufio.Reader, closeBody func() error) {
	s.t.Helper()
	body := fmt.Sprintf(`{"model":%q,"stream":true,"max_tokens":%d,"ignore_eos":true,"messages":[{"role":"user","content":"What is 17 + 25?"}]}`, model, tokens)
	resp, err := http.Post(s.url+"/v1/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(resp.Body)
		s.t.Fatalf("status %s: %s", resp.Status, b)
	}
	rest = bufio.NewReader(resp.Body)
	for {
		line, err := rest.ReadString('\n')
		if err != nil {
			s.t.Fatalf("the stream ends before its first text: %v", err)
		}
		if strings.Contains(line, `"content":"`) && !strings.Contains(line, `"content":""`) {
			return rest, resp.Body.Close
		}
	}
}

func TestServeAnswersSoonAfterItsStart(t *testing.T) {
	t.Parallel()
	binary(t) // building it is no part of its start
	begun := time.Now()
	s := serveProcess(t, nil)
	ready := time.Since(begun)
	rest, closeBody := s.ask("weir-mini", 20)
	t.Logf("ready after %s, first text after %s", ready.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond))
	text, err := io.ReadAll(rest)
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(text)), "data: [DONE]") {
		t.Errorf("the stream ends with %v: %s", err, text)
	}
	_ = closeBody()
	s.signal(os.Interrupt)
	s.end(0)
	if log := s.logged(); !strings.Contains(log, "model weir-mini") || strings.Contains(log, "\x1b") {
		t.Errorf("the log is %s", log)
	}
}

// slowModel answers for a while: random weights on plain Go kernels and one thread. On a busy machine that may be longer than the
// usual grace.
func slowModel(t *testing.T) (env, args []string) {
	t.Helper()
	path := t.TempDir() + "/w.yaml"
	text := fmt.Sprintf("models: {slow: {file: %q}}\nengine: {threads: 1}\nshutdown: {grace: 5m}\n", tiny(t))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"WEIR_KERNELS=go"}, []string{"--config", path}
}

func TestSigtermLetsARunningAnswerEnd(t *testing.T) {
	t.Parallel()
	env, args := slowModel(t)
	s := serveProcess(t, env, args...)
	rest, closeBody := s.ask("slow", 2000)
	defer closeBody()
	s.signal(syscall.SIGTERM)
	s.refuses("slow")
	select {
	case err := <-s.ended:
		t.Fatalf("the server ended with %v while an answer was running, or the answer is too short for this test", err)
	default:
	}
	text, err := io.ReadAll(rest)
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(text)), "data: [DONE]") || !strings.Contains(string(text), `"finish_reason":"length"`) {
		t.Errorf("the running answer ends with %v: ...%s", err, text[max(0, len(text)-300):])
	}
	s.end(0)
	if !strings.Contains(s.logged(), "running answers may end") {
		t.Errorf("the log is %s", s.logged())
	}
}

// endlessStart is a configuration with which the server loads its model and then waits without end for its certificate, which is a
// pipe that nobody writes to.
func endlessStart(t *testing.T) (args []string, certificate string) {
	t.Helper()
	dir := t.TempDir()
	certificate = dir + "/cert.pem"
	if err := syscall.Mkfifo(certificate, 0o600); err != nil {
		t.Skipf("no named pipes here: %v", err)
	}
	for name, text := range map[string]string{"key.pem": "", "w.yaml": fmt.Sprintf("tls: {cert: %q, key: %q}\n", certificate, dir+"/key.pem")} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"--config", dir + "/w.yaml"}, certificate
}

// TestASignalEndsAStart: before the server is ready there is nothing to wait for.
func TestASignalEndsAStart(t *testing.T) {
	t.Parallel()
	args, _ := endlessStart(t)
	check := func(sig os.Signal, code int) {
		t.Helper()
		s := launch(t, nil, args...)
		s.says(`msg="loading model" model=weir-mini`)
		s.signal(sig)
		s.end(code)
		if log := s.logged(); !strings.Contains(log, "stopped before it was ready") || strings.Contains(log, "is ready after") || strings.Contains(log, "\r") {
			t.Errorf("the log is %s", log)
		}
	}
	check(os.Interrupt, exitInterrupted)
	check(syscall.SIGTERM, 0)
}

// refuses waits until new work is refused: by an answer that says so, or by nobody listening.
func (s *server) refuses(model string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		body := fmt.Sprintf(`{"model":%q,"max_tokens":1,"messages":[{"role":"user","content":"hi"}]}`, model)
		req, err := http.NewRequestWithContext(ctx, "POST", s.url+"/v1/chat/completions", strings.NewReader(body))
		if err != nil {
			s.t.Fatal(err)
		}
		req.Header.Set("content-type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		if err != nil {
			s.t.Fatalf("new work is neither refused nor answered: %v", err)
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusServiceUnavailable {
			return
		}
		if resp.StatusCode != http.StatusOK { // 200 came before the signal did
			s.t.Fatalf("new work is answered %s: %s", resp.Status, text)
		}
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	env, args := slowModel(t)
	s := serveProcess(t, env, args...)
	rest, closeBody := s.ask("slow", 8000)
	defer closeBody()
	s.signal(syscall.SIGTERM)
	s.refuses("slow")
	s.signal(syscall.SIGTERM)
	s.end(exitInterrupted)
	if text, err := io.ReadAll(rest); err == nil && strings.Contains(string(text), "[DONE]") {
		t.Error("the running answer came to its end before the second signal; it is too short for this test")
	}
}

func TestServeSaysWhatToDoAboutAPortInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	weir(t, "", "serve", "--listen", l.Addr().String()).fails(t, exitFailed, l.Addr().String(), "in use", "--listen")
	weir(t, "", "serve", "--listen", "127.0.0.1:0", "--admin", l.Addr().String()).fails(t, exitFailed, "admin "+l.Addr().String())
	weir(t, "", "serve", "--listen", "8080").fails(t, exitUsage, `listen "8080" is not an address; write host:port`)
}

// TestServeBeyondLoopbackAsksForKeys looks at what the start says, and at what a request without a key gets.
func TestServeBeyondLoopbackAsksForKeys(t *testing.T) {
	t.Parallel()
	s := serveProcess(t, nil, "--listen", "0.0.0.0:0")
	if !strings.Contains(s.logged(), "is ready") {
		t.Errorf("the log is %s", s.logged())
	}
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.url, "http://"))
	resp, err := http.Get("http://127.0.0.1:" + port + "/v1/models")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a key: %s", resp.Status)
	}
	s.signal(syscall.SIGTERM)
	s.end(0)
	if !strings.Contains(s.logged(), "weir key new") {
		t.Errorf("the log does not say how to make a key: %s", s.logged())
	}
}

func TestServeWritesAnAccessLog(t *testing.T) {
	t.Parallel()
	s := serveProcess(t, nil, "--access-log")
	_, closeBody := s.ask("weir-mini", 3)
	_ = closeBody()
	s.signal(syscall.SIGTERM)
	s.end(0)
	if line := decode[map[string]any](t, s.out.String()); line["model"] != "weir-mini" {
		t.Errorf("the access log is %s", s.out.String())
	}
}

// TestSighupReadsTheConfigurationAgain: models come and go without a restart, and a fault leaves what is served.
func TestSighupReadsTheConfigurationAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "weir.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const first = "models:\n  first: {endpoints: [{url: \"http://127.0.0.1:1/v1\", kind: openai}]}\n"
	write(first)
	s := serveProcess(t, nil, "--config", path)
	models := func() string {
		resp, err := http.Get(s.url + "/v1/models")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return string(text)
	}
	write(first + "  second: {endpoints: [{url: \"http://127.0.0.1:1/v1\", kind: openai}], aliases: [other]}\n")
	s.signal(syscall.SIGHUP)
	s.says("configuration reloaded")
	if got := models(); !strings.Contains(got, `"second"`) || !strings.Contains(got, `"other"`) {
		t.Errorf("after the reload: %s", got)
	}
	write("modles: {}\n")
	s.signal(syscall.SIGHUP)
	s.says("was not reloaded")
	s.says(`did you mean "models"?`)
	if got := models(); !strings.Contains(got, `"second"`) {
		t.Errorf("after a reload with a fault: %s", got)
	}
	s.signal(syscall.SIGTERM)
	s.end(0)
}
