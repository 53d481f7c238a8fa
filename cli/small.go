package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/weir-ai/weir/config"
)

type versionCommand struct {
	JSON bool `help:"Print JSON."`
}

// Run prints the version.
func (c versionCommand) Run(call *call) error {
	if c.JSON {
		return printJSON(call.Out, map[string]string{"version": call.version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
	}
	fmt.Fprintf(call.Out, "weir %s (%s, %s/%s)\n", call.version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}

type checkCommand struct {
	Config string `short:"c" type:"existingfile" placeholder:"FILE" help:"The configuration file; without one, the defaults are printed."`
	Probe  bool   `help:"Ask every endpoint, and print what it is, how fast and how long ago it answered."`
	JSON   bool   `help:"Print JSON: the configuration, its faults, or with --probe what the endpoints said."`
}

// Help teaches by example.
func (checkCommand) Help() string {
	return `Examples:

  weir check                    every key with its default and what it means
  weir check > weir.yaml        a file to begin with
  weir check --config w.yaml    the effective configuration, or every fault with its line
  weir check --config w.yaml --probe
                                asks every endpoint: its kind, version, models and speed, or why it does not answer

A key's hash may stay outside of the file: "${env:NAME}" reads it from the environment, "${file:PATH}" from a file. Secrets are
printed as where they come from, never as what they are.`
}

// Run prints the effective configuration.
func (c checkCommand) Run(call *call) error {
	cfg, err := readConfig(c.Config)
	if err == nil && c.Probe {
		return c.probe(call, cfg)
	}
	if c.JSON {
		return c.asJSON(call, cfg, err)
	}
	if err != nil {
		return err
	}
	text, err := cfg.Print()
	if err != nil {
		return err
	}
	_, err = io.WriteString(call.Out, text)
	return err
}

// asJSON prints the configuration, or {"faults": [...]} and fails.
func (c checkCommand) asJSON(call *call, cfg config.Config, err error) error {
	var faults config.Faults
	if errors.As(err, &faults) {
		return errors.Join(err, printJSON(call.Out, map[string]config.Faults{"faults": faults}))
	}
	if err != nil {
		return err
	}
	text, err := cfg.JSON()
	if err != nil {
		return err
	}
	return printJSON(call.Out, json.RawMessage(text))
}

// readConfig reads the file, or gives the defaults where there is none.
func readConfig(path string) (config.Config, error) {
	if path == "" {
		return config.Default(), nil
	}
	cfg, err := config.Read(path)
	if err != nil {
		return cfg, usageError{err}
	}
	return cfg, nil
}

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help teaches by example.
func (completionCommand) Help() string {
	return `Examples:

  bash: source <(weir completion bash)
  zsh:  source <(weir completion zsh)
  fish: weir completion fish | source`
}

// Run prints the script. The words come from the command line's own model, so that they are never out of date.
func (c completionCommand) Run(call *call) error {
	words := map[string][]string{"": nil}
	for _, node := range call.parser.Model.Children {
		words[""] = append(words[""], node.Name)
		words[node.Name] = flagsOf(node)
		for _, sub := range node.Children {
			words[node.Name] = append(words[node.Name], sub.Name)
		}
	}
	switch c.Shell {
	case "fish":
		for _, name := range slices.Sorted(maps.Keys(words)) {
			for _, w := range words[name] {
				fishLine(call.Out, name, w)
			}
		}
	case "zsh":
		fmt.Fprint(call.Out, "autoload -U +X bashcompinit && bashcompinit\n")
		bashScript(call.Out, words)
	default:
		bashScript(call.Out, words)
	}
	return nil
}

func flagsOf(node *kong.Node) []string {
	var out []string
	for _, f := range node.Flags {
		out = append(out, "--"+f.Name)
	}
	for _, sub := range node.Children {
		for _, flag := range flagsOf(sub) {
			if !slices.Contains(out, flag) { // several of a command's own may have it
				out = append(out, flag)
			}
		}
	}
	return out
}

func bashScript(w io.Writer, words map[string][]string) {
	fmt.Fprint(w, "_weir() {\n  local cur=\"${COMP_WORDS[COMP_CWORD]}\" list=\"\"\n  if [ \"$COMP_CWORD\" -eq 1 ]; then\n")
	fmt.Fprintf(w, "    list=%q\n  else\n    case \"${COMP_WORDS[1]}\" in\n", strings.Join(words[""], " "))
	for _, name := range words[""] {
		fmt.Fprintf(w, "      %s) list=%q ;;\n", name, strings.Join(words[name], " "))
	}
	// Where no word fits, -o default completes file names, which most flags take.
	fmt.Fprint(w, "    esac\n  fi\n  COMPREPLY=($(compgen -W \"$list\" -- \"$cur\"))\n}\ncomplete -o default -F _weir weir\n")
}

func fishLine(w io.Writer, command, word string) {
	switch {
	case command == "":
		fmt.Fprintf(w, "complete -c weir -n __fish_use_subcommand -a %s\n", word)
	case strings.HasPrefix(word, "--"):
		fmt.Fprintf(w, "complete -c weir -n '__fish_seen_subcommand_from %s' -l %s\n", command, strings.TrimPrefix(word, "--"))
	default:
		fmt.Fprintf(w, "complete -c weir -n '__fish_seen_subcommand_from %s' -a %s\n", command, word)
	}
}
