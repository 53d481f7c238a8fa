package mini

import (
	"bytes"
	"cmp"
	"context"
	"fmt"

	"github.com/weir-ai/weir/engine/tensor"
	"github.com/weir-ai/weir/engine/token"
	"github.com/weir-ai/weir/engine/train"
)

// Training is a run towards a preset's aims: it trains, asks the model from time to time how far it is, and ends early when the
// aims are reached. It owns no goroutine; the trainer's rules hold.
type Training struct {
	*train.Trainer
	Tokenizer *token.Tokenizer
	Preset    Preset

	// Judge asks the model, given as a GGUF file, the suite. This package cannot run an engine itself. Nil means that nobody
	// judges and the run goes to its last step.
	Judge func(ctx context.Context, gguf []byte, o EvalOptions) (Report, error)
	// Judged is told each report, with the step; nil is told nothing.
	Judged func(step int, r Report)

	apart int // steps between judgings in tests; 0: judgeApart
}

// judgings is how often a run is judged: nineteen times on the way, every twentieth of it. Oftener would spend more on asking than
// an early end saves; seldomer would overshoot by minutes.
const judgings = 20

// judgeApart is the fewest steps between two judgings: asking the suite takes as long as a few hundred steps.
const judgeApart = 500

// judgeSeed draws the suite that decides about an early end. It is not the fixed one, whose figures would otherwise be chosen
// for being good.
const judgeSeed = 1_000_003

// Run trains until the aims are reached, the last step is done or ctx ends. reached says that it ended early. A run that is
// started again after an early end finds out at once, by being judged again.
func (t *Training) Run(ctx context.Context, report func(train.Progress)) (reached bool, err error) {
	every := max(cmp.Or(t.apart, judgeApart), t.Steps()/judgings)
	for t.Step() < t.Steps() {
		if t.Judge != nil && t.Step() > 0 && t.Step()%every == 0 {
			if reached, err = t.judge(ctx); err != nil || reached {
				return reached, err
			}
		}
		if err := t.RunTo(ctx, (t.Step()/every+1)*every, report); err != nil {
			return false, err
		}
	}
	return false, nil
}

func (t *Training) judge(ctx context.Context) (reached bool, err error) {
	var gguf bytes.Buffer
	if err := Export(&gguf, t.Preset.Model, tensor.Q8_0, t.Trainer, t.Tokenizer); err != nil {
		return false, err
	}
	r, err := t.Judge(ctx, gguf.Bytes(), EvalOptions{Seed: judgeSeed, PerTask: 100})
	if err != nil {
		return false, fmt.Errorf("judging the model after step %d: %w", t.Step(), err)
	}
	if t.Judged != nil {
		t.Judged(t.Step(), r)
	}
	return len(t.Preset.Missed(r)) == 0, nil
}
