package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/weir-ai/weir/engine/token"
	"github.com/weir-ai/weir/engine/train"
	"github.com/weir-ai/weir/mini"
)

type trainCommand struct {
	Out     string `default:"weir-mini.gguf" placeholder:"FILE" help:"Where the model goes (${default})."`
	Dir     string `placeholder:"FOLDER" help:"Where checkpoints go; the name of --out and .checkpoints unless told. A run that finds one there goes on from it."`
	Steps   int    `placeholder:"N" help:"Length of the run; 0 is the published model's. Part of a checkpoint's identity."`
	Seed    uint64 `placeholder:"N" help:"Draw another corpus and other first weights; 0 is the published model's."`
	Threads int    `placeholder:"N" help:"Cores to use; 0 is all."`
	JSON    bool   `help:"Print the result as JSON."`
	Target  string `arg:"" enum:"weir-mini" help:"weir-mini, the model that Weir trains."`
}

// Help teaches by example.
func (trainCommand) Help() string {
	return `Examples:

  weir train weir-mini                                   about an hour on one core; writes weir-mini.gguf
  weir train weir-mini --out my.gguf --dir checkpoints   the same, to places of your own
  weir train weir-mini --steps 200 --out quick.gguf      a minute, and a model that knows little
  weir eval my.gguf                                      what it has learnt

Ctrl-C saves a checkpoint; the same command goes on from it, bit for bit as if it had not stopped.`
}

// Run trains and writes the model.
func (c trainCommand) Run(call *call) error {
	if c.Dir == "" {
		c.Dir = c.Out + ".checkpoints"
	}
	if err := writable(c.Out); err != nil {
		return usageError{err}
	}
	trainer, tok, err := mini.NewTrainer(mini.TrainOptions{Dir: c.Dir, Steps: c.Steps, Threads: c.Threads, Seed: c.Seed})
	if err != nil {
		return usageError{err}
	}
	if from := trainer.Step(); from > 0 {
		fmt.Fprintf(call.Err, "going on from step %d, saved in %s\n", from, c.Dir)
	}
	ctx, stop := untilSignal(syscall.SIGTERM)
	defer stop()
	last, err := c.train(ctx, call, trainer)
	if errors.Is(err, context.Canceled) {
		fmt.Fprintf(call.Err, "stopped after step %d; the checkpoint is in %s, and the same command goes on from there\n", trainer.Step(), c.Dir)
		return errInterrupted
	}
	if err != nil {
		return err
	}
	size, err := export(c.Out, trainer, tok)
	if err != nil {
		return err
	}
	return c.tell(call, trainer, last, size)
}

// train runs to the end and gives the last progress.
func (c trainCommand) train(ctx context.Context, call *call, trainer *train.Trainer) (last train.Progress, err error) {
	show, done := trainProgress(call)
	defer done()
	err = trainer.Run(ctx, func(p train.Progress) {
		last = p
		show(p)
	})
	return last, err
}

// trainLogEvery is how often a run without a terminal writes a line: a log of an hour stays one screen.
const trainLogEvery = time.Minute

// trainProgress shows a bar on a terminal and otherwise a line a minute, because an hour of silence looks like a hang.
func trainProgress(call *call) (show func(train.Progress), done func()) {
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
		}, func() {}
	}
	var bar *progressBar // the number of steps is the trainer's to tell
	return func(p train.Progress) {
			if bar == nil {
				bar = startProgress(call.Err, p.Steps, "training")
			}
			bar.step(p.Step)
			bar.say(words(p))
		}, func() {
			if bar != nil {
				bar.done()
			}
		}
}

// writable finds out before an hour of work whether its result can be written.
func writable(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("--out %s cannot be written: %w", path, err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// export writes the model beside its place and renames it over, so that nobody ever reads half a model.
func export(path string, trainer *train.Trainer, tok *token.Tokenizer) (size int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return 0, fmt.Errorf("cannot write the model: %w", err)
	}
	defer os.Remove(f.Name()) // nothing is there after the rename
	w := bufio.NewWriterSize(f, 1<<20)
	if err := mini.Export(w, trainer, tok); err != nil {
		return 0, errors.Join(err, f.Close())
	}
	if err := errors.Join(w.Flush(), f.Sync(), f.Chmod(0o644)); err != nil {
		return 0, errors.Join(fmt.Errorf("cannot write the model: %w", err), f.Close())
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Close()); err != nil {
		return 0, fmt.Errorf("cannot write the model: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return 0, fmt.Errorf("cannot write the model: %w", err)
	}
	return info.Size(), nil
}

type trainResult struct {
	Out        string  `json:"out"`
	Bytes      int64   `json:"bytes"`
	Parameters int     `json:"parameters"`
	Steps      int     `json:"steps"`
	Tokens     int64   `json:"tokens,omitempty"`
	Loss       float64 `json:"loss,omitempty"` // 0: the checkpoint was finished already
}

func (c trainCommand) tell(call *call, trainer *train.Trainer, last train.Progress, bytes int64) error {
	shape := trainer.Shape()
	if c.JSON {
		return printJSON(call.Out, trainResult{c.Out, bytes, shape.Params(), trainer.Step(), last.Tokens, last.Loss})
	}
	fmt.Fprintf(call.Out, "%s: %s parameters in %s, %d steps\n", c.Out, count(int64(shape.Params())), size(bytes), trainer.Step())
	fmt.Fprintf(call.Out, "what it has learnt: weir eval %s\n", c.Out)
	return nil
}
