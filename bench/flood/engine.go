package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/weir-ai/weir/bench/peer"
)

// engine is what answers in the end.
type engine struct {
	name  string
	model string // what it calls its model
	// slots are the answers that it computes together.
	slots int
	// levels are how many clients the capacity is looked for with.
	levels []int
	// The requests: all alike, so that a second of one run asks as much as a second of another. Tokens.
	prompt, output int
	// tokensPerWord of the prompts, where usage does not tell; 0: it does.
	tokensPerWord float64
	// find gives the program, or says why there is none: peer.ErrAbsent where it is not installed.
	find    func(*bench) (program string, err error)
	version func(ctx context.Context, program string) string // empty: none
	// configure writes what the program needs into the site's folder.
	configure func(b *bench, e engine, s peer.Site) (peer.Command, error)
	// within is the entry of a Weir's models where it can run the engine itself; nil where it stands in front of it.
	within func(b *bench, e engine) string
}

const (
	engineMock     = "mock"
	engineEmbedded = "weir-135m"
	engineLlama    = "llama.cpp"
)

// The mock computes nothing, so its capacity is known and that of every machine: answers of 0.1 s and 30 pieces 10 ms apart are 0.39 s, of
// which 32 slots give 82 a second. Behind its slots everything waits, as in real engines, however long it takes.
//
// The others share the machine with what stands in front of them and with the load. Prompts and answers are short, and slots few, because
// on a few cores a first token within two seconds is only possible for few at a time: with 32, llama.cpp's take 3.6 s.
func engines() []engine {
	return []engine{
		{name: engineMock, model: "mock-model", slots: 32, levels: []int{32, 36}, prompt: 60, output: 30, tokensPerWord: 1,
			find: func(b *bench) (string, error) { return b.cached("mock"), nil }, configure: configureMock},
		{name: engineEmbedded, model: "135m", slots: 8, levels: []int{4, 8, 10}, prompt: 60, output: 32,
			find: func(b *bench) (string, error) { return b.cached("weir"), modelError() }, configure: configureEmbedded, within: embedded},
		{name: engineLlama, model: "135m", slots: 8, levels: []int{4, 8, 10}, prompt: 60, output: 32, find: findLlama, version: llamaVersion, configure: configureLlama},
	}
}

func engineNames() []string {
	var out []string
	for _, e := range engines() {
		out = append(out, e.name)
	}
	return out
}

// modelVariable names the file of weights for the engines that compute.
const modelVariable = "WEIR_BENCH_GGUF"

// modelFile is a file of any weights of the 135 M shape: speed does not depend on their values.
func modelFile() string {
	file, _ := filepath.Abs(os.Getenv(modelVariable))
	return file
}

func modelError() error {
	if os.Getenv(modelVariable) == "" {
		return fmt.Errorf("%w; name a GGUF file of about 135 million parameters in %s", peer.ErrAbsent, modelVariable)
	}
	if _, err := os.Stat(modelFile()); err != nil {
		return fmt.Errorf("%s: %w", modelVariable, err)
	}
	return nil
}

func configureMock(_ *bench, e engine, s peer.Site) (peer.Command, error) {
	return peer.Command{Program: s.Program, Args: []string{"-addr", s.Addr, "-slots", fmt.Sprint(e.slots), "-delay", "100ms",
		"-chunks", fmt.Sprint(e.output), "-interval", "10ms"}}, nil
}

// embedded is the engine as a model of Weir, whose gate alone lets requests wait.
func embedded(_ *bench, e engine) string {
	return fmt.Sprintf("{file: %q, engine: {sequences: %d}}", modelFile(), e.slots)
}

// What lets everything wait, at the gate and in the engine.
const (
	waitingMost       = 1_000_000
	engineWaitingMost = 65_536
)

// configureEmbedded makes of Weir what other engines are: a server that lets everything wait and refuses nothing. Its gate is there, with an
// objective of an hour.
func configureEmbedded(_ *bench, e engine, s peer.Site) (peer.Command, error) {
	entry := fmt.Sprintf("{file: %q, engine: {sequences: %d, waiting: %d}, objective: {ttft: 1h, tpot: 1h}}", modelFile(), e.slots, engineWaitingMost)
	file, err := s.Write("engine.yaml", fmt.Sprintf("listen: %s\nadmission: {waiting: %d, tenant: %d, wait: 1h}\nlog: {level: warn}\nmodels:\n  %s: %s\n",
		s.Addr, waitingMost, waitingMost, e.model, entry))
	return peer.Command{Program: s.Program, Args: []string{"serve", "--config", file}}, err
}

// findLlama takes a llama-server, or the Python of an environment with the xllamacpp wheel, which has the same server inside.
func findLlama(*bench) (string, error) {
	program, err := peer.Installed("llama-server")
	if errors.Is(err, peer.ErrAbsent) {
		err = fmt.Errorf("%w; a Python with xllamacpp does, too", err)
	}
	if err != nil {
		return "", err
	}
	return program, modelError()
}

func python(program string) bool { return strings.HasPrefix(filepath.Base(program), "python") }

func llamaVersion(ctx context.Context, program string) string {
	if !python(program) {
		return peer.VersionOf(ctx, program, []string{"--version"}, nil)
	}
	out, err := exec.CommandContext(ctx, program, "-c", "import importlib.metadata as m; print(m.version('xllamacpp'))").Output()
	if err != nil {
		return ""
	}
	return "xllamacpp " + strings.TrimSpace(string(out))
}

// llamaContext is the room of one answer with its prompt, in tokens: what is asked is a tenth of it, and the questions by which tokens are
// counted are half, with the vocabularies that have most tokens for a word.
const llamaContext = 2048

// configureLlama gives each slot its room. Its queue has no bound.
func configureLlama(_ *bench, e engine, s peer.Site) (peer.Command, error) {
	host, port := peer.Split(s.Addr)
	if !python(s.Program) {
		return peer.Command{Program: s.Program, Args: []string{"-m", modelFile(), "--host", host, "--port", port, "-np", fmt.Sprint(e.slots),
			"-c", fmt.Sprint(e.slots * llamaContext), "--slots", "--metrics"}}, nil
	}
	model, err := json.Marshal(modelFile()) // a JSON string is a Python string
	if err != nil {
		return peer.Command{}, err
	}
	file, err := s.Write("server.py", fmt.Sprintf(`import threading
import xllamacpp
p = xllamacpp.CommonParams()
p.model.path = %s
p.hostnames = ["%s"]
p.port = %s
p.n_parallel = %d
p.n_ctx = %d
p.endpoint_slots = True
p.endpoint_metrics = True
server = xllamacpp.Server(p)
threading.Event().wait()
`, model, host, port, e.slots, e.slots*llamaContext))
	return peer.Command{Program: s.Program, Args: []string{file}}, err
}
