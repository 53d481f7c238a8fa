package mini

import (
	"fmt"

	"github.com/weir-ai/weir/engine/token"
	"github.com/weir-ai/weir/engine/train"
)

// Name is the model's name, in its file and at the door.
const Name = "weir-mini"

// What the published model was trained with.
const (
	publishedSeed  = 1
	publishedSteps = 9_000

	// contextLength is what the file says the model takes. Training sees up to tokensMax positions; a little more holds up.
	contextLength = 512

	// corpusVersion is part of a checkpoint's identity: a run must not go on with other questions than it began with.
	corpusVersion = "weir-mini corpus 1"
)

// TrainOptions say how long and where weir-mini is trained; what it is, is fixed. The zero value is the published recipe.
type TrainOptions struct {
	// Dir keeps the checkpoints; a run that finds one there goes on from it. Empty means none are kept.
	Dir string
	// Steps is the length of the run; 0 means the published model's. The learning rate falls over the whole of it, so a shorter
	// run is a complete one with a weaker model, while a longer one that is stopped early is not.
	Steps int
	// Threads is how many cores to use; 0 means all.
	Threads int
	// Seed draws another corpus and other first weights; 0 means the published model's.
	Seed uint64
	// Progress is told about once a second how far the run is; nil is told nothing.
	Progress func(train.Progress)
}

// shape is weir-mini's: 1.4 million parameters, the size of the trial run that this recipe follows. Every matrix's columns
// are a multiple of 32, a Q8_0 block, and the heads are 32 wide.
func shape(vocabulary int) train.Shape {
	return train.Shape{Vocab: vocabulary, Dim: 128, Layers: 6, Heads: 4, KVHeads: 4, Hidden: 384, Context: contextLength, RopeTheta: 10_000, Eps: 1e-5, Tied: true}
}

// NewTrainer makes the tokenizer and a trainer of the recipe, which goes on from a checkpoint in o.Dir if there is one.
func NewTrainer(o TrainOptions) (*train.Trainer, *token.Tokenizer, error) {
	if o.Seed == 0 {
		o.Seed = publishedSeed
	}
	if o.Steps == 0 {
		o.Steps = publishedSteps
	}
	tok, err := Tokenizer(o.Seed)
	if err != nil {
		return nil, nil, fmt.Errorf("training the tokenizer: %w", err)
	}
	src, err := Source(tok, o.Seed)
	if err != nil {
		return nil, nil, err
	}
	// Peak rate, betas, decay, warm-up and cosine are engine/train's defaults, which a trial run of this model chose.
	t, err := train.Resume(train.Config{Shape: shape(tok.Size()), Steps: o.Steps, Seed: o.Seed, Data: corpusVersion, Threads: o.Threads, Dir: o.Dir}, src)
	return t, tok, err
}
