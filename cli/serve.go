package cli

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/weir-ai/weir/app"
	"github.com/weir-ai/weir/config"
)

// engineFlags are the flags of every command that computes.
type engineFlags struct {
	Threads     int    `placeholder:"N" help:"Workers of the engine; 0 is one a core."`
	Activations string `enum:"int8,f32," default:"" placeholder:"TYPE" help:"int8 (default) or f32: what meets quantised weights."`
	KV          string `name:"kv" enum:"f16,f32,int8," default:"" placeholder:"TYPE" help:"f16 (default), f32 or int8: the type of the KV cache."`
}

// modelFlags are the flags of every command that loads models.
type modelFlags struct {
	Config string   `short:"c" type:"existingfile" placeholder:"FILE" help:"The configuration file."`
	Model  []string `short:"m" placeholder:"NAME=PATH" help:"A model to load: a GGUF file, a Hugging Face folder, weir-mini or weir-nano. May be repeated; without one, weir-mini." sep:"none"`
	engineFlags
	Context int `placeholder:"N" help:"Longest sequence in tokens; 0 is the model's own, at most 8192."`
}

// config is the configuration file with the flags over it.
func (f modelFlags) config() (config.Config, error) {
	cfg, err := readConfig(f.Config)
	if err != nil {
		return cfg, err
	}
	if len(f.Model) > 0 {
		cfg.Models = map[string]config.Model{}
	}
	for _, m := range f.Model {
		name, path, ok := strings.Cut(m, "=")
		if !ok {
			name, path = nameOf(m), m
		}
		if _, twice := cfg.Models[name]; twice {
			return cfg, usageError{fmt.Errorf("--model %s: two models are named %q; write --model OTHER=%s", m, name, path)}
		}
		if slices.Contains(config.Builtins(), path) {
			cfg.Models[name] = config.Model{Builtin: path}
			continue
		}
		if _, err := os.Stat(path); err != nil {
			return cfg, usageError{fmt.Errorf("model %q: %w; a model is a GGUF file or a Hugging Face folder, given as NAME=PATH, or %s", name, err, strings.Join(config.Builtins(), " or "))}
		}
		cfg.Models[name] = config.Model{File: path}
	}
	cfg.Engine = cfg.Engine.Over(config.Engine{Activations: f.Activations, KV: f.KV, Context: f.Context})
	if f.Threads != 0 {
		cfg.Engine.Threads = f.Threads
	}
	return cfg, validated(cfg)
}

func validated(cfg config.Config) error {
	if bad := cfg.Validate(); len(bad) > 0 {
		faults := make(config.Faults, len(bad))
		for i := range bad {
			faults[i].Text = bad[i]
		}
		return usageError{faults}
	}
	return nil
}

// nameOf is the name of a model whose flag gives only a path: the file's name without its ending.
func nameOf(path string) string {
	name := strings.TrimRight(path, `/\`)
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	return strings.TrimSuffix(strings.TrimSuffix(name, ".gguf"), ".safetensors")
}

type serveCommand struct {
	modelFlags
	Listen    string `placeholder:"ADDR" help:"Address of the API; 127.0.0.1:8080 unless the configuration says otherwise."`
	Admin     string `placeholder:"ADDR" help:"A listener of its own for /metrics and health."`
	AccessLog bool   `help:"Write one JSON line a request to standard output."`
	NoKeys    bool   `help:"Ask for no API keys, also beyond loopback."`
}

// Help teaches by example.
func (serveCommand) Help() string {
	return `Examples:

  weir serve                                        the built-in model on http://127.0.0.1:8080
  weir serve --model my=qwen3-0.6b-Q4_K_M.gguf      a file of yours, under the name "my"
  weir serve --config weir.yaml                     everything from a file; see ` + "`weir check`" + `
  weir serve --listen 0.0.0.0:8080 --config w.yaml  beyond this machine: keys are required then

  curl -sN localhost:8080/v1/chat/completions -H 'content-type: application/json' \
    -d '{"model":"weir-mini","stream":true,"messages":[{"role":"user","content":"What is 17 + 25?"}]}'

kill -HUP reads the configuration again: models and their endpoints change without a cut stream.
Ctrl-C (or SIGTERM) refuses new work and lets running answers end, at most shutdown.grace; a second one ends at once. While models
load there is nothing to wait for: Ctrl-C ends at once with exit code 130, SIGTERM with 0.
WEIR_KERNELS=go|avx2|avx512 forces a kernel set.`
}

// effective is the configuration file with the flags over it.
func (c serveCommand) effective() (config.Config, error) {
	cfg, err := c.config()
	if err != nil {
		return cfg, err
	}
	if c.Listen != "" {
		cfg.Listen = c.Listen
	}
	if c.Admin != "" {
		cfg.Admin = c.Admin
	}
	if c.NoKeys {
		cfg.Keys.Require = "never"
	}
	cfg.AccessLog = cfg.AccessLog || c.AccessLog
	return cfg, validated(cfg)
}

// Run serves until a signal comes.
func (c serveCommand) Run(call *call) error {
	cfg, err := c.effective()
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	hups := make(chan os.Signal, 1) // from now on: one that comes while models load must not end the process
	signal.Notify(hups, syscall.SIGHUP)
	defer signal.Stop(hups)
	begun := time.Now()
	system, err := begin(call, cfg, signals)
	if err != nil || system == nil {
		return err
	}
	c.welcome(call, cfg, system, time.Since(begun))
	defer c.reloads(call, system, hups)()
	return await(call, system, signals)
}

// reloads reads the configuration again at every SIGHUP, until the returned func is called. A fault keeps what is served.
func (c serveCommand) reloads(call *call, system *app.System, hups <-chan os.Signal) (end func()) {
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-hups:
			}
			cfg, err := c.effective()
			if err == nil {
				err = system.Reload(cfg)
			}
			if err != nil {
				fmt.Fprintf(call.Err, "weir: the configuration was not reloaded, and what was served goes on:\n%v\n", err)
			}
		}
	})
	return func() {
		close(done)
		running.Wait()
	}
}

// begin starts the system. A signal that comes before it has started ends the command at once: Ctrl-C as an interruption, SIGTERM,
// by which supervisors stop what they started, without an error and without a system. What still loads then is left behind: it cannot
// be told to end, it only reads, and it ends with the process.
func begin(call *call, cfg config.Config, signals <-chan os.Signal) (*app.System, error) {
	bar := startProgress(call.Err, -1, "starting")
	defer bar.done()
	o := app.Options{Version: call.version, Kernels: os.Getenv("WEIR_KERNELS"), Log: bar.above(call.Err), AccessLog: call.Out, OwnsProcess: true}
	if isTerminal(call.Err) {
		o.Loading = func(name string) { bar.say("loading " + name) }
	}
	type result struct {
		system *app.System
		err    error
	}
	started := make(chan result, 1)
	go func() {
		system, err := app.Start(cfg, o)
		started <- result{system, err}
	}()
	select {
	case r := <-started:
		return r.system, r.err
	case s := <-signals:
		fmt.Fprintln(bar.above(call.Err), "weir: stopped before it was ready")
		if s == os.Interrupt {
			return nil, errInterrupted
		}
		return nil, nil
	}
}

// await ends with the first signal or the first listener that fails; a second signal ends at once.
func await(call *call, system *app.System, signals <-chan os.Signal) error {
	var failure error
	select {
	case <-signals:
		fmt.Fprintln(call.Err, "weir: stopping; running answers may end, a second signal ends them at once")
	case failure = <-system.Failed():
	}
	stopped := make(chan error, 1)
	go func() { stopped <- system.Stop() }()
	select {
	case err := <-stopped:
		return errors.Join(failure, err)
	case <-signals:
		return errInterrupted
	}
}

// welcome tells a person where to go from here. In a log, the system's own lines say the same.
func (c serveCommand) welcome(call *call, cfg config.Config, system *app.System, took time.Duration) {
	scheme := "http"
	if cfg.TLS.Cert != "" {
		scheme = "https"
	}
	p := paintFor(call.Err)
	fmt.Fprintf(call.Err, "\n  %s is ready after %s on %s\n", p.bold("weir"), took.Round(time.Millisecond), p.bold(scheme+"://"+system.Addr().String()+"/v1"))
	for _, m := range system.Models() {
		fmt.Fprintf(call.Err, "  model %s  %s\n", p.blue(string(m.ID)), p.faint(aboutLine(m.About)))
	}
	switch {
	case cfg.KeysRequired() && len(cfg.Keys.List) == 0:
		fmt.Fprintf(call.Err, "  %s\n", p.red("no key is listed, so every request is refused: `weir key new` makes one, --no-keys lets everybody in"))
	case cfg.KeysRequired():
		fmt.Fprintf(call.Err, "  %d keys let in\n", len(cfg.Keys.List))
	}
	fmt.Fprintln(call.Err)
}
