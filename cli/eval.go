package cli

import (
	"fmt"
	"strings"

	"github.com/weir-ai/weir/mini"
)

type evalCommand struct {
	modelFlags
	Task        []string `help:"Ask only this task. May be repeated; \"weir eval --list\" names them." sep:","`
	PerTask     int      `help:"Questions a task; 0 is 100." placeholder:"N"`
	Seed        uint64   `help:"Draw another suite; 0 is the fixed one, whose figures can be compared." placeholder:"N"`
	Concurrency int      `help:"Questions asked at once; 0 is 8." placeholder:"N"`
	Misses      bool     `help:"Show wrong answers, at most three a task."`
	List        bool     `help:"List the tasks and ask nothing."`
	JSON        bool     `help:"Print JSON."`
	Target      string   `arg:"" optional:"" help:"weir-mini, weir-nano, or a model file or folder."`
}

// Help teaches by example.
func (evalCommand) Help() string {
	return `Examples:

  weir eval weir-mini                            exact match per task on questions held out of training
  weir eval weir-mini --task addition --misses   one task, with what went wrong
  weir eval --model my=model.gguf --json         another model, for a script

The questions are weir-mini's own tasks, so other models show how hard they are rather than how good the models are.`
}

// Run asks the suite and prints the score.
func (c evalCommand) Run(call *call) error {
	if c.List {
		return c.list(call)
	}
	flags, err := c.target()
	if err != nil {
		return err
	}
	options := mini.EvalOptions{Seed: c.Seed, PerTask: c.PerTask, Tasks: c.Task, Concurrency: c.Concurrency}
	suite, err := mini.Suite(options)
	if err != nil {
		return usageError{err}
	}
	system, _, err := inProcess(call, flags)
	if err != nil {
		return err
	}
	defer system.Stop()
	model, err := onlyModel(system)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal()
	defer stop()
	bar := startProgress(call.Err, len(suite), "asking")
	options.Progress = func(done, _ int) { bar.step(done) }
	report, err := mini.Eval(ctx, system.Runner(), string(model), options)
	bar.done()
	switch {
	case ctx.Err() != nil:
		return errInterrupted
	case err != nil:
		return err
	case c.JSON:
		return printJSON(call.Out, report)
	}
	fmt.Fprint(call.Out, report.Text())
	if c.Misses {
		printMisses(call, report)
	}
	return nil
}

// target puts the argument among the model flags.
func (c evalCommand) target() (modelFlags, error) {
	flags := c.modelFlags
	if c.Target == "" {
		return flags, nil
	}
	if len(flags.Model) > 0 {
		return flags, usageError{fmt.Errorf("both %q and --model %s name a model; keep one", c.Target, flags.Model[0])}
	}
	flags.Model = []string{c.Target}
	return flags, nil
}

func (c evalCommand) list(call *call) error {
	type line struct {
		Task  string `json:"task"`
		About string `json:"about"`
	}
	var lines []line
	for _, t := range mini.Tasks() {
		lines = append(lines, line{t.Name, t.About})
	}
	if c.JSON {
		return printJSON(call.Out, lines)
	}
	for _, l := range lines {
		fmt.Fprintf(call.Out, "%-12s %s\n", l.Task, l.About)
	}
	return nil
}

func printMisses(call *call, r mini.Report) {
	p := paintFor(call.Out)
	for _, s := range r.Tasks {
		for _, m := range s.Misses {
			fmt.Fprintf(call.Out, "\n%s  %s\n  wanted %q\n  got    %s\n", p.bold(s.Task), m.Question, m.Wanted, p.red(fmt.Sprintf("%q", strings.TrimSpace(m.Got))))
		}
	}
	if r.Overall.Right == r.Overall.Asked {
		fmt.Fprintln(call.Out, "\nno wrong answers")
	}
}
