package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/weir-ai/weir/engine/train"
	"github.com/weir-ai/weir/mini"
)

type trainCommand struct {
	Preset  string `default:"mini" enum:"mini,nano" help:"The shape: mini, of 1.8 million parameters, or nano, a fifth of its work (${default})."`
	Out     string `placeholder:"FILE" help:"Where the model goes; weir-mini.gguf, weir-nano.gguf, or the name of your file unless told."`
	Type    string `default:"q8_0" enum:"q8_0,f32,q4_0" help:"How the matrices are stored: q8_0, f32 or q4_0 (${default})."`
	Dir     string `placeholder:"FOLDER" help:"Where checkpoints and the curve go; the name of --out and .checkpoints unless told. A run that finds one there goes on from it."`
	Steps   int    `placeholder:"N" help:"Length of the run; 0 is the published model's, or 20 passes over your file. Part of a checkpoint's identity."`
	Save    int    `placeholder:"N" help:"Steps between checkpoints; 0 is 500, about a minute's work."`
	Full    bool   `help:"Go on to the last step where the model is good enough before."`
	Seed    uint64 `placeholder:"N" help:"Draw another corpus and other first weights; 0 is the published model's."`
	Threads int    `placeholder:"N" help:"Cores to use; 0 is all."`
	JSON    bool   `help:"Print the result as JSON."`
	Target  string `arg:"" help:"mini, the corpus of the built-in models, or a file of your own conversations, one {\"messages\": [...]} a line."`
}

// Help teaches by example.
func (trainCommand) Help() string {
	return `Examples:

  weir train mini                                    the built-in model, about an hour on two cores; writes weir-mini.gguf
  weir train mini --preset nano                      its small sibling
  weir train mini --steps 200 --out quick.gguf       a minute, and a model that knows little
  ./my-generator > talk.jsonl
  weir train talk.jsonl --preset nano                a model of your own, from what your program wrote
  weir eval weir-mini.gguf                           what it has learnt

A line of a file is a conversation: {"messages": [{"role": "user", "content": "ping"}, {"role": "assistant", "content": "pong"}]}.
Ctrl-C saves a checkpoint; the same command goes on from it, bit for bit as if it had not stopped, and so it does after a crash.`
}

// Run trains and writes the model.
func (c trainCommand) Run(call *call) error {
	if err := c.fillIn(); err != nil {
		return usageError{err}
	}
	course, err := c.course(call)
	if err != nil {
		return usageError{err}
	}
	t := course.training
	if from := t.Step(); from > 0 {
		fmt.Fprintf(call.Err, "going on from step %d, saved in %s\n", from, c.Dir)
	}
	curve, err := openCurve(filepath.Join(c.Dir, curveName), t.Steps(), t.Step())
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(syscall.SIGTERM)
	defer stop()
	last, reached, err := c.train(ctx, call, t, curve)
	if err := errors.Join(err, curve.close()); err != nil {
		if errors.Is(err, context.Canceled) {
			fmt.Fprintf(call.Err, "stopped after step %d; the checkpoint is in %s, and the same command goes on from there\n", t.Step(), c.Dir)
			return errInterrupted
		}
		return err
	}
	size, err := c.export(t)
	if err != nil {
		return err
	}
	if err := curve.draw(filepath.Join(c.Dir, curvePicture), t.Preset.Model); err != nil {
		return err
	}
	result := trainResult{Out: c.Out, Bytes: size, Parameters: t.Shape().Params(), Steps: t.Step(), Tokens: t.Tokens(), Loss: last.Loss, Reached: reached}
	return course.tell(ctx, call, c, result)
}

// fillIn gives what was left open and finds out before an hour of work whether its result can be written.
func (c *trainCommand) fillIn() error {
	if c.Out == "" {
		c.Out = "weir-" + c.Preset + ".gguf"
		if c.Target != miniCorpus {
			base := filepath.Base(c.Target)
			c.Out = strings.TrimSuffix(base, filepath.Ext(base)) + ".gguf"
		}
	}
	if c.Dir == "" {
		c.Dir = c.Out + ".checkpoints"
	}
	if err := writable(c.Out); err != nil {
		return err
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return fmt.Errorf("--dir %s cannot be made: %w", c.Dir, err)
	}
	return nil
}

// train runs to the end and gives the last progress, and whether the aims were reached before the last step.
func (c trainCommand) train(ctx context.Context, call *call, t *mini.Training, curve *curve) (last train.Progress, reached bool, err error) {
	show, say, done := trainProgress(call)
	defer done()
	t.Judged = func(step int, r mini.Report) {
		curve.judged(step, t.Tokens(), r)
		say(judgement(t, step, r))
	}
	reached, err = t.Run(ctx, func(p train.Progress) {
		last = p
		curve.progress(p)
		show(p)
	})
	return last, reached, err
}

// judgement tells how far the model is and what is missing.
func judgement(t *mini.Training, step int, r mini.Report) string {
	text := fmt.Sprintf("step %d of %d: %.1f %% of held-out questions right", step, t.Steps(), 100*r.Overall.Rate)
	missed := t.Preset.Missed(r)
	switch n := len(missed); {
	case n == 0:
		return text + "; every aim is reached"
	case n > 3:
		return fmt.Sprintf("%s; missing are %s and %d more", text, strings.Join(missed[:3], ", "), n-3)
	}
	return text + "; missing: " + strings.Join(missed, ", ")
}

// trainLogEvery is how often a run without a terminal writes a line: a log of an hour stays one screen.
const trainLogEvery = time.Minute

// trainProgress shows a bar on a terminal and otherwise a line a minute, because an hour of silence looks like a hang. say writes a
// line of its own, above the bar.
func trainProgress(call *call) (show func(train.Progress), say func(string), done func()) {
	words := func(p train.Progress) string {
		return fmt.Sprintf("loss %.4f, %.0f tokens/s, %s left", p.Loss, p.TokensPerSec, p.Left.Round(time.Second))
	}
	if !isTerminal(call.Err) {
		logged := time.Now()
		return func(p train.Progress) {
			if time.Since(logged) >= trainLogEvery || p.Step == p.Steps {
				logged = time.Now()
				fmt.Fprintf(call.Err, "step %d of %d: %s\n", p.Step, p.Steps, words(p))
			}
		}, func(line string) { fmt.Fprintln(call.Err, line) }, func() {}
	}
	var bar *progressBar // the number of steps is the trainer's to tell
	return func(p train.Progress) {
			if bar == nil {
				bar = startProgress(call.Err, p.Steps, "training")
			}
			bar.step(p.Step)
			bar.say(words(p))
		}, func(line string) {
			if bar == nil {
				fmt.Fprintln(call.Err, line)
				return
			}
			fmt.Fprintln(bar.above(call.Err), line)
		}, func() {
			if bar != nil {
				bar.done()
			}
		}
}
