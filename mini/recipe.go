package mini

import (
	"fmt"
	"strings"

	"github.com/weir-ai/weir/engine/token"
	"github.com/weir-ai/weir/engine/train"
)

// The built-in models' names, in their files and at the door.
const (
	Name     = "weir-mini"
	NanoName = "weir-nano"
)

// What the published models were trained with.
const (
	publishedSeed = 1

	// contextLength is what the files say the models take. Training sees up to tokensMax positions; a little more holds up.
	contextLength = 512

	// corpusVersion is part of a checkpoint's identity: a run must not go on with other questions than it began with.
	corpusVersion = "weir-mini corpus 3"
)

// Preset is a model that can be trained here: its name, its shape and how long it takes to learn.
type Preset struct {
	Name  string
	Model string // the name of the model that comes out
	About string
	steps int // optimiser steps of the published run
	shape train.Shape
	aims  []Aim
}

// Presets lists what can be trained. All read the same corpus through the same vocabulary, so that one can draft for the other.
// Every matrix's columns are a multiple of 32, a Q8_0 block.
func Presets() []Preset {
	llama := train.Shape{Heads: 4, KVHeads: 4, Context: contextLength, RopeTheta: 10_000, Eps: 1e-5, Tied: true}
	mini, nano := llama, llama
	// 1.8 million parameters. Depth before width: carrying a sum and putting a list in order take steps, and each layer is one.
	mini.Dim, mini.Layers, mini.Hidden = 128, 8, 384
	// A fifth of weir-mini's work for each token: the ladder's lower rung, and what drafts for it.
	nano.Dim, nano.Layers, nano.Hidden = 64, 5, 192
	return []Preset{
		{Name: "mini", Model: Name, About: "1.8 million parameters", steps: 20_000, shape: mini, aims: miniAims()},
		{Name: "nano", Model: NanoName, About: "a fifth of weir-mini's work for each token, with its vocabulary", steps: 24_000, shape: nano, aims: nanoAims()},
	}
}

// PresetOf finds a preset by its name or the name of its model; empty is mini.
func PresetOf(name string) (Preset, error) {
	var known []string
	for _, p := range Presets() {
		if name == "" || name == p.Name || name == p.Model {
			return p, nil
		}
		known = append(known, p.Name)
	}
	return Preset{}, fmt.Errorf("there is no preset %q; there are %s", name, strings.Join(known, " and "))
}

// TrainOptions say how long and where a built-in model is trained; what it is, the preset says. The zero value is the published
// recipe of weir-mini.
type TrainOptions struct {
	// Preset names one of Presets; empty is mini.
	Preset string
	// Dir keeps the checkpoints; a run that finds one there goes on from it. Empty means none are kept.
	Dir string
	// Steps is the length of the run; 0 means the published model's. The learning rate falls over the whole of it, so a shorter
	// run is a complete one with a weaker model, while a longer one that is stopped early is not.
	Steps int
	// SaveEvery is how many steps lie between checkpoints; 0 means the trainer's default.
	SaveEvery int
	// Threads is how many cores to use; 0 means all.
	Threads int
	// Seed draws another corpus and other first weights; 0 means the published model's.
	Seed uint64
}

// NewTrainer makes the tokenizer and a trainer of the recipe, which goes on from a checkpoint in o.Dir if there is one.
func NewTrainer(o TrainOptions) (*train.Trainer, *token.Tokenizer, error) {
	preset, err := PresetOf(o.Preset)
	if err != nil {
		return nil, nil, err
	}
	if o.Seed == 0 {
		o.Seed = publishedSeed
	}
	if o.Steps == 0 {
		o.Steps = preset.steps
	}
	tok, err := Tokenizer(o.Seed)
	if err != nil {
		return nil, nil, fmt.Errorf("training the tokenizer: %w", err)
	}
	src, err := Source(tok, o.Seed)
	if err != nil {
		return nil, nil, err
	}
	shape := preset.shape
	shape.Vocab = tok.Size()
	// Peak rate, betas, decay, warm-up and cosine are engine/train's defaults, which a trial run of this model chose.
	t, err := train.Resume(train.Config{Shape: shape, Steps: o.Steps, Seed: o.Seed, Data: corpusVersion, Threads: o.Threads, Dir: o.Dir, SaveEvery: o.SaveEvery}, src)
	return t, tok, err
}
