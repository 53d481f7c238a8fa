package peer

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Process is a running server in a process group of its own, so that its workers end with it and nobody else does.
type Process struct {
	cmd   *exec.Cmd
	log   string // file
	ended chan struct{}
	err   error // how it ended; valid after ended
}

// Start runs a command in a folder, its output in a log there.
func Start(dir, name string, c Command) (*Process, error) {
	log := filepath.Join(dir, name+".log")
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(c.Program, c.Args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{cmd: cmd, log: log, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// PID is the process's own; its workers have others.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// graceMax is how long a server may take to end of itself. All load has ended by then, so none needs long.
const graceMax = 10 * time.Second

// Ended is closed after the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Stop ends the process and its workers, and waits for it.
func (p *Process) Stop() {
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
	_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
	<-p.ended
}

// Why is how a process ended, with the end of its log.
func (p *Process) Why() error {
	return fmt.Errorf("it ended: %v; its log: %s", p.err, p.tail())
}

// tail is the last line of the log that says something.
func (p *Process) tail() string {
	text, _ := os.ReadFile(p.log)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	const charactersMax = 300
	last := lines[len(lines)-1]
	return last[:min(len(last), charactersMax)]
}

// Question is asked until a server answers it: what the load asks, so that a server that answers it is ready for the load.
type Question struct {
	Body string // of a chat completion
	Key  string
	Want string // a part of the answer
}

// Ready waits until the server answers a chat request, through to what is behind it.
func (p *Process) Ready(ctx context.Context, addr string, q Question, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var last error
	for {
		if last = q.ask(ctx, client, addr); last == nil {
			return nil
		}
		select {
		case <-p.ended:
			return p.Why()
		case <-ctx.Done():
			return fmt.Errorf("not ready after %s: %w; its log: %s", limit, last, p.tail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (q Question) ask(ctx context.Context, client *http.Client, addr string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/chat/completions", strings.NewReader(q.Body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+q.Key)
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || !strings.Contains(body.String(), q.Want) {
		return fmt.Errorf("status %d: %.200s", res.StatusCode, body.String())
	}
	return nil
}
