package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/weir-ai/weir/backend/local"
	"github.com/weir-ai/weir/engine/tensor"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/mini"
)

// miniCorpus is the target that trains the built-in models.
const miniCorpus = "mini"

// course is what a run trains on and how its result is examined.
type course struct {
	training  *mini.Training
	questions []mini.Question // held-out ones of a person's own conversations
}

// course opens the corpus that the target names.
func (c trainCommand) course(call *call) (*course, error) {
	o := mini.TrainOptions{Preset: c.Preset, Dir: c.Dir, Steps: c.Steps, SaveEvery: c.Save, Threads: c.Threads, Seed: c.Seed}
	preset, err := mini.PresetOf(c.Preset)
	if err != nil {
		return nil, err
	}
	t := &mini.Training{Preset: preset}
	if c.Target == miniCorpus {
		if t.Trainer, t.Tokenizer, err = mini.NewTrainer(o); err == nil && !c.Full {
			t.Judge = judge
		}
		return &course{training: t}, err
	}
	conversations, err := readOwn(c.Target)
	if err != nil {
		return nil, err
	}
	t.Preset.Model = strings.TrimSuffix(filepath.Base(c.Out), filepath.Ext(c.Out))
	if t.Trainer, t.Tokenizer, err = mini.NewOwnTrainer(o, conversations); err != nil {
		return nil, err
	}
	fitted, cut, err := conversations.Fit(t.Tokenizer, t.Shape().Context)
	if err != nil {
		return nil, err
	}
	held := fitted.Held(mini.OwnHeldOneIn)
	fmt.Fprintf(call.Err, "%d conversations, %d of them held out; a vocabulary of %d tokens; %d steps\n", conversations.Len(), held.Len(), t.Tokenizer.Size(), t.Steps())
	if cut > 0 {
		fmt.Fprintf(call.Err, "%d conversations lose their last turns, which do not fit into the context of %d tokens\n", cut, t.Shape().Context)
	}
	return &course{training: t, questions: held.Questions()}, nil
}

func readOwn(path string) (*mini.Conversations, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no file %q: train %s, the corpus of the built-in models, or a file of your own conversations", path, miniCorpus)
	}
	if err != nil {
		return nil, fmt.Errorf("the conversations cannot be read: %w", err)
	}
	defer f.Close()
	return mini.ReadConversations(f, path)
}

// judge asks a model that is still in training, on an engine of its own.
func judge(ctx context.Context, gguf []byte, o mini.EvalOptions) (r mini.Report, err error) {
	err = answering("in-training", gguf, func(runner llm.Runner) error {
		r, err = mini.Eval(ctx, runner, "in-training", o)
		return err
	})
	return r, err
}

// answering opens a model for as long as use lasts.
func answering(name string, gguf []byte, use func(llm.Runner) error) error {
	machine, err := local.NewMachine(0, os.Getenv("WEIR_KERNELS"))
	if err != nil {
		return err
	}
	defer machine.Close()
	model, err := local.OpenBytes(name, gguf, machine, local.Config{}, local.Listener{})
	if err != nil {
		return err
	}
	return errors.Join(use(model), model.Close())
}

// writable finds out whether a file can be written at a path.
func writable(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("--out %s cannot be written: %w", path, err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// export writes the model beside its place and renames it over, so that nobody ever reads half a model.
func (c trainCommand) export(t *mini.Training) (size int64, err error) {
	stored, err := typeNamed(c.Type)
	if err != nil {
		return 0, usageError{err}
	}
	err = replaceFile(c.Out, func(f *os.File) error {
		w := bufio.NewWriterSize(f, 1<<20)
		if err := mini.Export(w, t.Preset.Model, stored, t.Trainer, t.Tokenizer); err != nil {
			return err
		}
		return w.Flush()
	})
	if err != nil {
		return 0, fmt.Errorf("cannot write the model: %w", err)
	}
	info, err := os.Stat(c.Out)
	if err != nil {
		return 0, fmt.Errorf("cannot write the model: %w", err)
	}
	return info.Size(), nil
}

// replaceFile writes a file beside its place, syncs it and renames it over the old one.
func replaceFile(path string, write func(*os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // nothing is there after the rename
	if err := write(f); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Chmod(0o644)); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

type trainResult struct {
	Out        string      `json:"out"`
	Bytes      int64       `json:"bytes"`
	Parameters int         `json:"parameters"`
	Steps      int         `json:"steps"`
	Tokens     int64       `json:"tokens"`
	Loss       float64     `json:"loss,omitempty"` // 0: the checkpoint was finished already
	Reached    bool        `json:"reached"`        // the aims were reached before the last step
	Held       *mini.Score `json:"held_out,omitempty"`
}

// tell prints the result; of a person's own model with how many held-out conversations it answers exactly.
func (s *course) tell(ctx context.Context, call *call, c trainCommand, r trainResult) error {
	if len(s.questions) > 0 {
		held, err := s.examine(ctx)
		if err != nil {
			return err
		}
		r.Held = &held
	}
	if c.JSON {
		return printJSON(call.Out, r)
	}
	fmt.Fprintf(call.Out, "%s: %s parameters in %s, %d steps\n", c.Out, count(int64(r.Parameters)), size(r.Bytes), r.Steps)
	if r.Reached {
		fmt.Fprintln(call.Out, "every aim is reached; --full goes on to the last step")
	}
	fmt.Fprintf(call.Out, "the curve: %s\n", filepath.Join(c.Dir, curvePicture))
	if r.Held != nil {
		fmt.Fprintf(call.Out, "held-out answers exactly right: %d of %d\n", r.Held.Right, r.Held.Asked)
		fmt.Fprintf(call.Out, "talk to it: weir chat --model %s\n", c.Out)
		return nil
	}
	fmt.Fprintf(call.Out, "what it has learnt: weir eval %s\n", c.Out)
	return nil
}

// examine asks a person's own model the held-out questions.
func (s *course) examine(ctx context.Context) (score mini.Score, err error) {
	var gguf strings.Builder
	name := s.training.Preset.Model
	if err := mini.Export(&gguf, name, tensor.Q8_0, s.training.Trainer, s.training.Tokenizer); err != nil {
		return score, err
	}
	err = answering(name, []byte(gguf.String()), func(runner llm.Runner) error {
		r, err := mini.EvalQuestions(ctx, runner, name, s.questions, mini.EvalOptions{})
		score = r.Overall
		return err
	})
	return score, err
}
