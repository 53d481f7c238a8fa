// Package cli is the command line: one file a command, each a struct whose tags are its flags and whose Run does the work. It
// reads arguments, shows progress and prints results, for people on a terminal and as JSON for scripts.
//
// It starts goroutines only for signals, progress and a server's start, and stops them before a command returns; a start that a signal
// cuts short is left to end with the process. It never ends the process: Main returns the exit code, and cmd/weir exits.
package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/weir-ai/weir/config"
	"github.com/weir-ai/weir/llm"
)

// Streams are the program's three files.
type Streams struct {
	In  *os.File
	Out *os.File
	Err *os.File
}

// commands is the whole command line; kong reads its tags.
type commands struct {
	Serve      serveCommand      `cmd:"" help:"Serve models over an OpenAI-compatible HTTP API."`
	Chat       chatCommand       `cmd:"" help:"Talk with a model in the terminal."`
	Run        runCommand        `cmd:"" help:"Answer one prompt, from the arguments or from standard input."`
	Models     modelsCommand     `cmd:"" help:"List the models that a configuration serves."`
	Tokenize   tokenizeCommand   `cmd:"" help:"Show the tokens of a text."`
	Eval       evalCommand       `cmd:"" help:"Measure how often a model is right on tasks with known answers."`
	Train      trainCommand      `cmd:"" help:"Train the built-in model again, from nothing."`
	Bench      benchCommand      `cmd:"" help:"Measure the embedded engine's speed on a model or a shape."`
	Flood      floodCommand      `cmd:"" help:"Put load on any OpenAI-compatible server and report how it held."`
	Check      checkCommand      `cmd:"" help:"Check a configuration and print it with every default."`
	Key        keyCommand        `cmd:"" help:"Make, list and revoke API keys."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
	Completion completionCommand `cmd:"" help:"Print the completion script of a shell."`
}

// call is what every command gets beside its flags.
type call struct {
	Streams
	version string
	parser  *kong.Kong
}

const description = `Weir keeps LLM services fast and steady when traffic floods.

  weir serve                              answer on http://127.0.0.1:8080 with the built-in model
  weir serve --model my=model.gguf        serve a model file of yours
  weir chat                               talk with the built-in model here
  echo "What is 17 + 25?" | weir run      one answer, for pipes

Exit codes: 0 done, 1 failed, 2 wrong arguments or configuration, 130 interrupted. A server that SIGTERM
stops, also while its models load, has done what it should: 0.`

// Exit codes, as description tells them.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// errInterrupted ends a command that the user stopped.
var errInterrupted = errors.New("interrupted")

// usageError is a fault in the arguments or the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exited carries the code that kong wants to exit with, after --help.
type exited int

// Main runs the command that args name and returns the exit code.
func Main(args []string, s Streams, version string) (code int) {
	var cmds commands
	defer func() {
		switch r := recover().(type) {
		case nil:
		case exited:
			code = int(r)
		default:
			panic(r)
		}
	}()
	parser, err := kong.New(&cmds, kong.Name("weir"), kong.Description(description), kong.Writers(s.Out, s.Err),
		kong.Exit(func(code int) { panic(exited(code)) }), kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}))
	if err != nil {
		return fail(s.Err, err)
	}
	ctx, err := parser.Parse(usual(args))
	if err != nil {
		return fail(s.Err, usageError{err})
	}
	return fail(s.Err, ctx.Run(&call{Streams: s, version: versionOf(version), parser: parser}))
}

// usual turns what people type by habit into the commands that we have.
func usual(args []string) []string {
	switch {
	case len(args) == 0:
		return []string{"--help"}
	case args[0] == "help":
		return append(args[1:len(args):len(args)], "--help")
	case args[0] == "--version":
		return []string{"version"}
	}
	return args
}

// fail prints err, if there is one, and gives its exit code.
func fail(w io.Writer, err error) int {
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.As(err, &usage):
		tellUsage(w, err)
		var parse *kong.ParseError
		if errors.As(err, &parse) {
			fmt.Fprintln(w, "Run `weir --help`, or `weir COMMAND --help` for examples.")
		}
		return exitUsage
	}
	if e := (*llm.Error)(nil); errors.As(err, &e) && e.Message != "" { // it says all, and its cause says it again in the engine's words
		fmt.Fprintf(w, "weir: %s\n", e.Public())
		return exitFailed
	}
	fmt.Fprintf(w, "weir: %v\n", err)
	return exitFailed
}

// tellUsage prints a fault of the arguments in one line, and those of a configuration one a line.
func tellUsage(w io.Writer, err error) {
	var faults config.Faults
	if errors.As(err, &faults) && len(faults) > 1 {
		fmt.Fprintf(w, "weir: the configuration has %d faults:\n", len(faults))
		for _, f := range faults {
			fmt.Fprintf(w, "  %s\n", f)
		}
		return
	}
	fmt.Fprintf(w, "weir: %v\n", err)
}

// versionOf is the release's version, or what the build knows of itself.
func versionOf(release string) string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "dev"
	}
	version := "dev"
	if v := info.Main.Version; v != "" && v != "(devel)" {
		version = v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 && !strings.Contains(version, s.Value[:12]) {
			version += "+" + s.Value[:12]
		}
	}
	return version
}
