package cli

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/weir-ai/weir/app"
	"github.com/weir-ai/weir/config"
	"github.com/weir-ai/weir/registry"
)

// inProcess starts a system for one command: nothing listens, and its log is silent unless something is wrong.
func inProcess(call *call, f modelFlags) (*app.System, config.Config, error) {
	cfg, err := f.config()
	if err != nil {
		return nil, cfg, err
	}
	cfg.Log.Level = "warn"
	bar := startProgress(call.Err, -1, "loading")
	defer bar.done()
	s, err := app.Open(cfg, app.Options{Patient: true, Version: call.version, Kernels: os.Getenv("WEIR_KERNELS"), Log: call.Err, Loading: func(name string) { bar.say("loading " + name) }})
	return s, cfg, err
}

type modelsCommand struct {
	modelFlags
	JSON bool `help:"Print JSON."`
}

// Help teaches by example.
func (modelsCommand) Help() string {
	return `Examples:

  weir models                         the built-in model
  weir models --model my=model.gguf   what a file holds
  weir models --config weir.yaml --json`
}

type modelLine struct {
	Name          string `json:"name"`
	Architecture  string `json:"architecture"`
	Parameters    int64  `json:"parameters"`
	Type          string `json:"type"`
	ContextLength int    `json:"context_length"`
	Bytes         int64  `json:"bytes"`
}

// Run loads the models, so that what it lists can really be served.
func (c modelsCommand) Run(call *call) error {
	system, _, err := inProcess(call, c.modelFlags)
	if err != nil {
		return err
	}
	defer system.Stop()
	var lines []modelLine
	for _, m := range system.Models() {
		a := m.About
		lines = append(lines, modelLine{string(m.ID), a.Architecture, a.Parameters, a.Quantization, a.ContextLength, a.Bytes})
	}
	if c.JSON {
		return printJSON(call.Out, lines)
	}
	return modelTable(call.Out, lines)
}

func modelTable(w io.Writer, lines []modelLine) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tARCHITECTURE\tPARAMETERS\tTYPE\tCONTEXT\tSIZE")
	for _, l := range lines {
		if l.Architecture == "" {
			fmt.Fprintf(t, "%s\tanswered by other engines (weir check --probe asks them)\n", l.Name)
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\n", l.Name, l.Architecture, count(l.Parameters), l.Type, l.ContextLength, size(l.Bytes))
	}
	return t.Flush()
}

func aboutLine(a registry.About) string {
	if a.Architecture == "" {
		return "answered by other engines"
	}
	return fmt.Sprintf("%s, %s parameters, %s, context %d", a.Architecture, count(a.Parameters), a.Quantization, a.ContextLength)
}

// count writes a number of parameters as people say it: 1.3M, 7.2B.
func count(n int64) string {
	for _, u := range []struct {
		of   float64
		name string
	}{{1e9, "B"}, {1e6, "M"}, {1e3, "K"}} {
		if v := float64(n) / u.of; v >= 1 {
			return fmt.Sprintf("%.1f%s", v, u.name)
		}
	}
	return fmt.Sprint(n)
}

// size writes a number of bytes as people say it.
func size(n int64) string {
	for _, u := range []struct {
		of   float64
		name string
	}{{1 << 30, "GB"}, {1 << 20, "MB"}, {1 << 10, "KB"}} {
		if v := float64(n) / u.of; v >= 1 {
			return fmt.Sprintf("%.1f %s", v, u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
