package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/weir-ai/weir/bench/peer"
)

// front is what stands in front of an engine: a gateway, or nothing.
type front struct {
	name     string
	startMax time.Duration
	find     func(*bench) (program string, err error)
	version  []string // the arguments that print it; nil: it is this checkout's
	env      []string // each NAME=value
	// configure writes what the program needs into the site's folder. nil: no process, the load goes to the engine itself.
	configure func(b *bench, e engine, s peer.Site) (peer.Command, error)
}

const (
	frontNone = "direct"
	frontWeir = "weir"
)

// connections is what a worker of a gateway must hold: of the largest flood, all requests of clientPatience, and as many upstream.
const connections = 32_768

// slowStartMax is for a gateway in Python, every worker of which imports for a quarter of a minute of one core, on a machine that does other
// things, too.
const slowStartMax = 5 * time.Minute

func fronts() []front {
	return []front{
		{name: frontNone},
		{name: frontWeir, startMax: peer.StartMax, find: func(b *bench) (string, error) { return b.cached("weir"), nil }, configure: configureWeir},
		{name: "nginx", startMax: peer.StartMax, find: installed("nginx"), version: []string{"-v"}, configure: other(peer.Nginx)},
		{name: "llama-swap", startMax: peer.StartMax, find: installed("llama-swap"), version: []string{"-version"}, configure: other(peer.LlamaSwap)},
		{name: "litellm", startMax: slowStartMax, find: installed("litellm"), version: []string{"--version"}, env: peer.LiteLLMEnv(),
			configure: other(peer.LiteLLM)},
	}
}

func installed(name string) func(*bench) (string, error) {
	return func(*bench) (string, error) { return peer.Installed(name) }
}

// other is a peer, which knows nothing of engines.
func other(configure func(peer.Site) (peer.Command, error)) func(*bench, engine, peer.Site) (peer.Command, error) {
	return func(_ *bench, _ engine, s peer.Site) (peer.Command, error) { return configure(s) }
}

func frontNames() []string {
	var out []string
	for _, f := range fronts() {
		out = append(out, f.name)
	}
	return out
}

func frontNamed(name string) front {
	for _, f := range fronts() {
		if f.name == name {
			return f
		}
	}
	return front{}
}

func (f front) versionOf(ctx context.Context, program string) string {
	return peer.VersionOf(ctx, program, f.version, f.env)
}

// The keys let in nobody but this machine, for as long as a server runs. Three tenants ask; a fourth has spent its limit and is refused
// whatever it asks. Peers have one key for all.
const (
	benchKey = "sk-bench"
	spentKey = "sk-spent"
)

func tenants() []string { return []string{"one", "two", "three"} }

func keyOf(tenant string) string { return "sk-" + tenant }

// Limits that are reserved from and settled for each request and that no run reaches, in requests and tokens a minute.
const (
	requestsMost = 10_000_000
	tokensMost   = 1_000_000_000
)

// configureWeir has it do its whole work: keys of three tenants with classes and limits, the gate with its defaults, metrics.
func configureWeir(b *bench, e engine, s peer.Site) (peer.Command, error) {
	entry := fmt.Sprintf(`{endpoints: [{url: "http://%s/v1", model: %s, kind: %s, slots: %d}]}`, s.Upstream, e.model, kindOf(e), e.slots)
	if e.within != nil {
		entry = e.within(b, e)
	}
	file, err := s.Write("weir.yaml", weirConfig(s.Addr, fmt.Sprintf("  %s: %s\n", e.model, entry)))
	return peer.Command{Program: s.Program, Args: []string{"serve", "--config", file}}, err
}

func kindOf(e engine) string {
	if e.name == engineLlama {
		return "llamacpp"
	}
	return "openai"
}

// weirConfig is a Weir with the given lines of models. The first request of the spent tenant takes its limit for a minute.
func weirConfig(listen, models string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "listen: %s\nlog: {level: warn}\nkeys:\n  require: always\n  list:\n", listen)
	hash := func(key string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(key))) }
	for _, t := range tenants() {
		fmt.Fprintf(&b, "    - {id: k%s, hash: %q, tenant: %[1]s}\n", t, hash(keyOf(t)))
	}
	fmt.Fprintf(&b, "    - {id: kbench, hash: %q, tenant: one}\n    - {id: kspent, hash: %q, tenant: spent}\ntenants:\n", hash(benchKey), hash(spentKey))
	for _, t := range tenants() {
		fmt.Fprintf(&b, "  %s: {class: interactive, limits: {requests: %d, tokens: %d}}\n", t, requestsMost, tokensMost)
	}
	b.WriteString("  spent: {limits: {requests: 1}}\nmodels:\n" + models)
	return b.String()
}
