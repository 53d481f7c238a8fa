package peer

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

var question = Question{Body: `{"model":"m","messages":[]}`, Key: "sk-test", Want: "alpha beta gamma"}

// shell starts a script as a server.
func shell(t *testing.T, script string) *Process {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("sh stands in for servers here")
	}
	p, err := Start(t.TempDir(), "script", Command{Program: sh, Args: []string{"-c", script}, Env: []string{"WORD=lost"}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestStopEndsWorkersToo(t *testing.T) {
	t.Parallel()
	// The worker ignores SIGTERM: it outlives its server unless the whole group ends.
	p := shell(t, "(trap '' TERM; while :; do sleep 0.1; done) & echo $!; trap 'exit 0' TERM; wait")
	var worker int
	for worker == 0 {
		_, _ = fmt.Sscan(p.tail(), &worker)
	}
	p.Stop()
	p.Stop() // again is allowed
	for limit := time.Now().Add(10 * time.Second); runs(worker); {
		if time.Now().After(limit) {
			t.Fatalf("worker %d outlived its server", worker)
		}
		time.Sleep(time.Millisecond)
	}
}

// runs tells a process that runs from one that has ended and that nobody has waited for yet.
func runs(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	return fields[0] != "Z" && fields[0] != "X"
}

func TestReadyTellsWhyNot(t *testing.T) {
	t.Parallel()
	addr, err := FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	p := shell(t, `echo "first line"; echo "no licence, $WORD"; exit 3`)
	defer p.Stop()
	err = p.Ready(t.Context(), addr, question, time.Minute)
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no licence, lost") {
		t.Errorf("%v, want how it ended and its last words", err)
	}
}

func TestReadyNeedsTheEnginesAnswer(t *testing.T) {
	t.Parallel()
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		switch {
		case r.Header.Get("Authorization") != "Bearer "+question.Key:
			t.Errorf("asked with %q", r.Header.Get("Authorization"))
		case asked == 1:
			http.Error(w, "loading", http.StatusServiceUnavailable)
		case asked == 2:
			_, _ = w.Write([]byte("welcome"))
		default:
			_, _ = w.Write([]byte(`{"choices":[{"message":{"content":"alpha beta gamma"}}]}`))
		}
	}))
	defer server.Close()
	p := &Process{ended: make(chan struct{})}
	if err := p.Ready(t.Context(), server.Listener.Addr().String(), question, time.Minute); err != nil || asked != 3 {
		t.Errorf("%v after %d questions, want readiness at the third", err, asked)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	asked = 0
	if err := p.Ready(ctx, server.Listener.Addr().String(), question, time.Minute); err == nil {
		t.Error("ready in a run that was interrupted")
	}
}

func TestFreeAddrIsLoopback(t *testing.T) {
	t.Parallel()
	addr, err := FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	host, port := Split(addr)
	if host != "127.0.0.1" || port == "0" {
		t.Errorf("address %s", addr)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatalf("%s is not free: %v", addr, err)
	}
	_ = l.Close()
}
