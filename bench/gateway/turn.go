package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/weir-ai/weir/bench/peer"
)

// bench is one run of the driver.
type bench struct {
	options
	work    string // folder of configurations and logs
	machine peer.Machine
}

// turn is one server in one round.
type turn struct {
	Start  float64            `json:"start_seconds"` // until it answered
	Idle   memory             `json:"idle_mb"`
	Scenes map[string]outcome `json:"scenarios"`
	Fault  string             `json:"fault,omitempty"` // why it could not start
}

// settle is how long a server rests before its memory is read: a garbage collector gives back what a load needed only after a while, and
// who watches a gateway's memory sees it between loads, too.
const settle = 3 * time.Second

// measure takes every server through every round. Its error is the end of the run, such as an interrupt; servers that fail are figures.
func (b *bench) measure(ctx context.Context) (figures, error) {
	f := figures{Machine: b.machine, Rounds: b.rounds, Seconds: b.seconds, Scenarios: b.scenarios}
	programs := make([]string, len(b.only))
	for i, s := range b.chosen() {
		r, program := b.prepare(ctx, s)
		f.Servers, programs[i] = append(f.Servers, r), program
	}
	for round := 1; round <= b.rounds; round++ {
		for i, s := range b.chosen() {
			if programs[i] == "" {
				continue
			}
			peer.Say("round %d of %d: %s", round, b.rounds, s.name)
			t := b.takeTurn(ctx, s, programs[i], round)
			if ctx.Err() != nil {
				return f, ctx.Err()
			}
			f.Servers[i].Turns = append(f.Servers[i].Turns, t)
		}
	}
	f.conclude()
	return f, nil
}

// prepare finds a server's program. It is empty where there is none; then the row says why.
func (b *bench) prepare(ctx context.Context, s server) (r row, program string) {
	r.Name = s.name
	if s.find == nil {
		return r, s.name // the mock, which every turn starts
	}
	program, err := s.find(ctx, b)
	switch {
	case errors.Is(err, peer.ErrAbsent):
		r.Skipped = err.Error()
	case err != nil:
		r.Turns = []turn{{Fault: err.Error()}}
	default:
		r.Version = peer.VersionOf(ctx, program, s.version, s.env)
		return r, program
	}
	peer.Say("%s: %v", s.name, err)
	return r, ""
}

func (b *bench) chosen() []server {
	var out []server
	for _, name := range b.only {
		for _, s := range servers() {
			if s.name == name {
				out = append(out, s)
			}
		}
	}
	return out
}

// takeTurn starts the mock and the server, runs the scenarios, and stops both.
func (b *bench) takeTurn(ctx context.Context, s server, program string, round int) turn {
	t := turn{Scenes: map[string]outcome{}}
	fail := func(err error) turn {
		t.Fault = err.Error()
		peer.Say("  %s: %v", s.name, err)
		return t
	}
	dir := filepath.Join(b.work, fmt.Sprintf("%s-%d", s.name, round))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fail(err)
	}
	mock, upstream, err := b.startMock(ctx, dir)
	if err != nil {
		return fail(err)
	}
	defer mock.Stop()
	p, at := mock, aim{addr: upstream, mock: mock.PID()}
	if s.configure != nil {
		began := time.Now()
		if p, at.addr, err = b.startServer(ctx, s, b.site(dir, program, upstream)); err != nil {
			return fail(err)
		}
		defer p.Stop()
		t.Start, at.server = time.Since(began).Seconds(), p.PID()
		rest(ctx, settle)
		t.Idle = readMemory(descendants(at.server))
	}
	b.runScenarios(ctx, s, p, at, t.Scenes)
	return t
}

func (b *bench) startMock(ctx context.Context, dir string) (*peer.Process, string, error) {
	addr, err := peer.FreeAddr()
	if err != nil {
		return nil, "", err
	}
	p, err := peer.Start(dir, "mock", peer.Command{Program: filepath.Join(b.cache(), "mock"), Args: []string{"-addr", addr,
		"-chunks", fmt.Sprint(streamChunks), "-interval", streamInterval.String(), "-tokens", "200"}})
	if err != nil {
		return nil, "", err
	}
	if err := p.Ready(ctx, addr, ready, peer.StartMax); err != nil {
		p.Stop()
		return nil, "", fmt.Errorf("mock: %w", err)
	}
	return p, addr, nil
}

func (b *bench) site(dir, program, upstream string) peer.Site {
	return peer.Site{Dir: dir, Program: program, Upstream: upstream, Cores: b.machine.Cores, Key: benchKey, Model: benchModel}
}

// startServer gives the server a free address and waits until it answers.
func (b *bench) startServer(ctx context.Context, s server, at peer.Site) (*peer.Process, string, error) {
	addr, err := peer.FreeAddr()
	if err != nil {
		return nil, "", err
	}
	at.Addr = addr
	c, err := s.configure(at)
	if err != nil {
		return nil, "", err
	}
	c.Env = s.env
	p, err := peer.Start(at.Dir, s.name, c)
	if err != nil {
		return nil, "", err
	}
	if err := p.Ready(ctx, addr, ready, s.startMax); err != nil {
		p.Stop()
		return nil, "", err
	}
	return p, addr, nil
}

// runScenarios goes on with the next one where one fails, for a server that fails at one load often takes another.
func (b *bench) runScenarios(ctx context.Context, s server, p *peer.Process, at aim, into map[string]outcome) {
	for _, scene := range scenarios() {
		if peer.Known("", []string{scene.name}, b.scenarios) != nil || ctx.Err() != nil {
			continue
		}
		if at.server != 0 {
			resetPeak(descendants(at.server))
		}
		o, err := b.runLoad(ctx, scene, at, s.slow)
		rest(ctx, settle)
		if at.server != 0 {
			o.Memory = readMemory(descendants(at.server))
		}
		select {
		case <-p.Ended():
			err = p.Why()
		default:
		}
		if err != nil {
			o.Fault = err.Error()
			peer.Say("  %s, %s: %v", s.name, scene.name, err)
		}
		into[scene.name] = o
	}
}

// rest waits, or returns early where the run is interrupted.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
