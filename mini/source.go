package mini

import (
	"math/rand/v2"

	"github.com/weir-ai/weir/engine/token"
	"github.com/weir-ai/weir/engine/train"
)

// examplesPerStep is how many conversations one optimiser step sees, about 1,500 tokens. A trial run learnt more from many
// small steps than from few large ones; below this the passes through the network become too short to use it well.
const examplesPerStep = 32

// source feeds the corpus to a trainer.
type source struct {
	encoder *encoder
	tasks   []Task
	seed    uint64
}

// Source gives the training examples of the corpus. Those of a step depend on the seed and the step alone, so that a run that
// was stopped goes on with what it would have seen; the trainer's own generator is left aside, because the corpus must not
// change with Go's.
func Source(tok *token.Tokenizer, seed uint64) (train.Source, error) {
	e, err := newEncoder(tok)
	if err != nil {
		return nil, err
	}
	return &source{encoder: e, tasks: Tasks(), seed: seed}, nil
}

// Next implements train.Source.
func (s *source) Next(step int, _ *rand.Rand) []train.Example {
	examples := make([]train.Example, examplesPerStep)
	for i := range examples {
		examples[i] = s.example(uint64(step)*examplesPerStep + uint64(i))
	}
	return examples
}

// example is one conversation, without the last questions where it would be longer than tokensMax.
func (s *source) example(index uint64) train.Example {
	system, questions := conversation(newDice(s.seed, index), s.tasks)
	for {
		tokens, loss := s.encoder.conversation(system, questions)
		if len(tokens) <= tokensMax || len(questions) == 1 {
			return train.Example{Tokens: tokens[:min(len(tokens), tokensMax)], Loss: loss[:min(len(loss), tokensMax)]}
		}
		questions = questions[:len(questions)-1]
	}
}
