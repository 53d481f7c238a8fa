package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// process is a running server in a process group of its own, so that its workers end with it and nobody else does.
type process struct {
	cmd   *exec.Cmd
	log   string        // file
	ended chan struct{} // closed after the process has ended
	err   error         // how; valid after ended
}

// start runs a command in a folder, its output in a log there.
func start(dir, name string, c command) (*process, error) {
	log := filepath.Join(dir, name+".log")
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(c.program, c.args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	cmd.Env = append(os.Environ(), c.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{cmd: cmd, log: log, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// graceMax is how long a server may take to end of itself. All load has ended by then, so none needs long.
const graceMax = 10 * time.Second

// stop ends the process and its workers, and waits for it.
func (p *process) stop() {
	select {
	case <-p.ended:
	default:
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(graceMax):
		}
	}
	// What is left of its group are workers that outlived it, or itself. While one of them lives, the group's id is nobody else's.
	_ = syscall.Kill(-p.pid(), syscall.SIGKILL)
	<-p.ended
}

// why is how a process ended, with the end of its log.
func (p *process) why() error {
	return fmt.Errorf("it ended: %v; its log: %s", p.err, p.tail())
}

// tail is the last line of the log that says something.
func (p *process) tail() string {
	text, _ := os.ReadFile(p.log)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	const charactersMax = 300
	last := lines[len(lines)-1]
	return last[:min(len(last), charactersMax)]
}

// question is asked until a server answers it; it is what loadgen asks, so that a server that answers it is ready for the load.
const question = `{"model":"` + benchModel + `","max_tokens":200,"messages":[{"role":"user","content":"Are you there?"}]}`

// ready waits until the server answers a chat request, through to the mock.
func (p *process) ready(ctx context.Context, addr string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var last error
	for {
		if last = ask(ctx, client, addr); last == nil {
			return nil
		}
		select {
		case <-p.ended:
			return p.why()
		case <-ctx.Done():
			return fmt.Errorf("not ready after %s: %w; its log: %s", limit, last, p.tail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func ask(ctx context.Context, client *http.Client, addr string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/chat/completions", strings.NewReader(question))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+benchKey)
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || !strings.Contains(body.String(), "alpha beta gamma") {
		return fmt.Errorf("status %d: %.200s", res.StatusCode, body.String())
	}
	return nil
}

// freeAddr is a loopback address with a port that nobody listened on a moment ago.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// raiseFileLimit lets this process and those it starts open as many files as they may: 500 streams are 1,000 sockets in a gateway, and
// the limit of a shell is often 1,024. Go raises its own limit silently but gives the old one to its children.
func raiseFileLimit() {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return
	}
	r.Cur = r.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &r); err != nil && !errors.Is(err, syscall.EPERM) {
		say("open files stay limited: %v", err)
	}
}
