package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/weir-ai/weir/app"
	"github.com/weir-ai/weir/config"
	"github.com/weir-ai/weir/fleet"
)

// probeTime bounds the asking of one fleet: a slow engine's first token, and a handshake across the world.
const probeTime = 30 * time.Second

// probeLine is one endpoint as scripts read it.
type probeLine struct {
	Model    string   `json:"model"`
	Endpoint string   `json:"endpoint"`
	State    string   `json:"state"`
	Kind     string   `json:"kind,omitempty"`
	Version  string   `json:"version,omitempty"`
	Models   []string `json:"models,omitempty"`
	Answered bool     `json:"answered"`
	TTFT     float64  `json:"ttft_ms,omitempty"`
	Speed    float64  `json:"tokens_per_second,omitempty"`
	Age      float64  `json:"last_answer_age_seconds"` // -1: it has never answered
	Waiting  *int     `json:"waiting,omitempty"`
	Running  *int     `json:"running,omitempty"`
	Reason   string   `json:"reason,omitempty"`
}

// errUnwell says that an endpoint did not answer; each was told on its line.
var errUnwell = errors.New("not every endpoint answers")

// probe asks every endpoint of cfg and prints what it is.
func (c checkCommand) probe(call *call, cfg config.Config) error {
	bar := startProgress(call.Err, -1, "asking every endpoint")
	cfg.Log.Level = "error"
	system, err := app.Open(cfg, app.Options{Version: call.version, Kernels: os.Getenv("WEIR_KERNELS"), Log: bar.above(call.Err), Loading: func(string) {}})
	if err != nil {
		bar.done()
		return err
	}
	defer system.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	found := system.Probe(ctx)
	bar.done()
	var lines []probeLine
	well := true
	for _, p := range found {
		l := lineOf(p)
		lines = append(lines, l)
		well = well && p.Answered
	}
	if c.JSON {
		err = printJSON(call.Out, lines)
	} else {
		err = probeTable(call, lines)
	}
	if err == nil && !well {
		err = errUnwell
	}
	return err
}

func lineOf(p app.Probed) probeLine {
	l := probeLine{Model: string(p.Model), Endpoint: string(p.Endpoint), State: p.State.String(), Kind: p.About.Kind, Version: p.About.Version, Models: p.About.Models,
		Answered: p.Answered, TTFT: float64(p.TTFT.Microseconds()) / 1000, Speed: p.Speed, Age: -1, Reason: p.Reason}
	if p.Embedded {
		l.Kind = "embedded"
	}
	if p.State == fleet.StateUp && !p.Answered {
		l.State = "failing"
	}
	if !p.At.IsZero() {
		l.Age = time.Since(p.At).Seconds()
	}
	if p.Load.Waiting >= 0 {
		l.Waiting = &p.Load.Waiting
	}
	if p.Load.Running >= 0 {
		l.Running = &p.Load.Running
	}
	return l
}

// probeTable prints a line an endpoint, and what is wrong below those that have something.
func probeTable(call *call, lines []probeLine) error {
	p := paintFor(call.Out)
	t := tabwriter.NewWriter(call.Out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "MODEL\tENDPOINT\tSTATE\tKIND\tVERSION\tSERVES\tTTFT\tTOKENS/S\tLAST ANSWER")
	for _, l := range lines {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.Model, l.Endpoint, l.State, orDash(l.Kind), orDash(l.Version), orDash(firstOf(l.Models)), orDash(ms(l.TTFT)), orDash(rate(l.Speed)), ageOf(l.Age))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, l := range lines {
		if l.Reason != "" {
			fmt.Fprintf(call.Out, "%s %s: %s\n", p.red("!"), l.Model+"/"+l.Endpoint, l.Reason)
		}
	}
	return nil
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// firstOf shortens a list of models to what a column holds.
func firstOf(models []string) string {
	const most = 2
	if len(models) <= most {
		return strings.Join(models, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(models[:most], ", "), len(models)-most)
}

func ms(v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f ms", v)
}

func rate(v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", v)
}

func ageOf(seconds float64) string {
	if seconds < 0 {
		return "never"
	}
	return fmt.Sprintf("%.1f s ago", seconds)
}
