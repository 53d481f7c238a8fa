package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"time"

	"github.com/weir-ai/weir/bench/peer"
)

// ready is asked until a server answers it, through to the mock.
var ready = peer.Question{Body: `{"model":"` + benchModel + `","max_tokens":200,"messages":[{"role":"user","content":"Are you there?"}]}`,
	Key: benchKey, Want: "alpha beta gamma"}

// The key that the load carries and the model it asks for. The key lets in nobody but this machine, for as long as a server runs.
const (
	benchKey   = "sk-bench"
	benchModel = "mock-model"
)

// server is one thing to measure: a gateway, or none.
type server struct {
	name string
	// slow servers get the scenarios' slow load.
	slow bool
	// startMax is how long it may take until it answers.
	startMax time.Duration
	// find gives the program, or says why there is none: peer.ErrAbsent where it is not installed.
	find func(context.Context, *bench) (program string, err error)
	// version are the arguments that print it.
	version []string
	// env is what the program needs to know beside what this process's environment tells it, each NAME=value.
	env []string
	// configure writes what the program needs into the site's folder. nil: no process, the load goes to the mock itself.
	configure func(peer.Site) (peer.Command, error)
}

// servers are in the table's order, the yardsticks first.
func servers() []server {
	return []server{
		{name: "direct"},
		{name: "bareproxy", startMax: peer.StartMax, find: built, configure: configureBareProxy},
		{name: "weir", startMax: peer.StartMax, find: buildWeir, version: []string{"version"}, configure: configureWeir},
		{name: "nginx", startMax: peer.StartMax, find: installed("nginx"), version: []string{"-v"}, configure: peer.Nginx},
		{name: "haproxy", startMax: peer.StartMax, find: installed("haproxy"), version: []string{"-v"}, configure: peer.HAProxy},
		{name: "llama-swap", startMax: peer.StartMax, find: installed("llama-swap"), version: []string{"-version"}, configure: peer.LlamaSwap},
		{name: "litellm", slow: true, startMax: peer.SlowStartMax, find: installed("litellm"), version: []string{"--version"}, env: peer.LiteLLMEnv(),
			configure: peer.LiteLLM},
	}
}

// installed leaves finding to peer.
func installed(name string) func(context.Context, *bench) (string, error) {
	return func(context.Context, *bench) (string, error) { return peer.Installed(name) }
}

func serverNames() []string {
	var out []string
	for _, s := range servers() {
		out = append(out, s.name)
	}
	return out
}

func built(_ context.Context, b *bench) (string, error) {
	return filepath.Join(b.cache(), "bareproxy"), nil
}

func buildWeir(ctx context.Context, b *bench) (string, error) {
	return filepath.Join(b.cache(), "weir"), b.build(ctx, filepath.Dir(b.dir), "./cmd/weir", "weir")
}

func configureBareProxy(s peer.Site) (peer.Command, error) {
	return peer.Command{Program: s.Program, Args: []string{"-addr", s.Addr, "-upstream", "http://" + s.Upstream}}, nil
}

// configureWeir has it do its whole work: two keys, tenants with every kind of limit, a data folder, one remote model, the gate, metrics, as
// it comes otherwise. No limit binds. The access log is off by default.
func configureWeir(s peer.Site) (peer.Command, error) {
	file, err := s.Write("weir.yaml", fmt.Sprintf(`listen: %s
keys:
  require: always
  list:
    - {id: kbench1, hash: "sha256:%x", tenant: one}
    - {id: kbench2, hash: "sha256:%x", tenant: two}
tenants:
  one: {class: interactive, limits: {requests: 1000000000, tokens: 1000000000, concurrent: 1000000}, budgets: [{tokens: 1000000000000000, money: 1000000000, per: month}]}
  two: {weight: 2, limits: {tokens: 1000000000}}
prices: {%[4]s: {input: 0.15, cached: 0.075, output: 0.6}}
data: %[6]q
models:
  %[4]s:
    endpoints:
      - {url: "http://%[5]s/v1", model: %[4]s, kind: openai}
`, s.Addr, sha256.Sum256([]byte(benchKey)), sha256.Sum256([]byte("sk-bench-two")), benchModel, s.Upstream, filepath.Join(s.Dir, "data")))
	return peer.Command{Program: s.Program, Args: []string{"serve", "--config", file}}, err
}
