package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/weir-ai/weir/engine/kv"
)

// Config bounds an engine. The zero value is usable: each zero takes the default that its comment argues for.
type Config struct {
	// MaxSequences is how many sequences are computed together. Default 32: on the CPUs measured, throughput grows tenfold
	// up to there and hardly beyond, so fewer would waste the weights that each step reads, and more would only make every
	// stream slower and the memory of their keys and values larger.
	MaxSequences int

	// MaxWaiting is how many sequences may wait for a place. Default 256, eight turns of 32: fewer would refuse a burst that
	// is answered within seconds, more would let clients wait longer than most of them do, and find out only then.
	MaxWaiting int

	// Blocks is the size of the key and value memory. Default: what CacheBytes holds, and no more than MaxSequences
	// sequences of the model's whole context can use. A sequence is never longer than all blocks together.
	Blocks int

	// CacheBytes bounds the default of Blocks. Default 1 GiB, which is 32 chats of 2,000 tokens for a model of half a
	// billion parameters: less would preempt in ordinary use, more is not ours to take without being told.
	CacheBytes int64

	// StepTokens is the most tokens that one step computes. Default 512: past that the matrix kernels gain nothing, while the
	// scratch of the forward pass and the time until a cancel is seen keep growing; under 256 a prompt reads all weights
	// more often than it needs to.
	StepTokens int

	// MinPrefill is how many prompt tokens a step may compute beside the decoding sequences, even where TargetStep is missed.
	// Default 16, a block: with less a long prompt would starve beside a full batch, with more a large model would make all
	// streams stutter.
	MinPrefill int

	// TargetStep is how long a step should take: streams that decode while a prompt is read get one token a step. Default
	// 200 ms, about as fast as people read: shorter steps would read the weights again for fewer prompt tokens each, longer
	// ones are seen as stutter.
	TargetStep time.Duration

	// OutputBuffer is how many tokens a reader may lag behind before its sequence pauses. Default 64: fewer and a reader that
	// the Go scheduler keeps waiting stalls its sequence, more and an answer that its reader will cut short (a stop string)
	// is computed further in vain.
	OutputBuffer int

	// MaxPaused is how long a sequence may be paused before it is cut. Default 30 s: long enough for a phone in a tunnel,
	// short enough that dead readers do not hold the places that others wait for.
	MaxPaused time.Duration

	// EndTokens are the model's own ends of an answer; a Request with IgnoreEOS passes over them.
	EndTokens []int32

	// NoPrefixCache computes every prompt from its first token. For measurements and tests.
	NoPrefixCache bool

	// Parallel runs f for tiles 0..tiles-1, on several cores where it can, and returns when all have returned; the method Run
	// of a tensor.Pool fits. The sequences of a step are sampled through it. Nil samples them one after the other.
	Parallel func(tiles int, f func(tile int))

	// Listener is told what happens.
	Listener Listener
}

// Listener hears what the engine does; nil functions are skipped. They are called on the step goroutine: they must return at
// once and must not call the engine.
type Listener struct {
	Seated    func(SeatedEvent)   // a sequence begins to be computed, for the first time
	Finished  func(FinishedEvent) // a sequence ended, in whatever way
	Preempted func()              // a sequence lost its blocks and will be computed again
	Step      func(StepEvent)     // a step ended
}

// SeatedEvent is the end of a sequence's wait.
type SeatedEvent struct {
	Queued time.Duration
	Prompt int // tokens
}

// FinishedEvent is the end of a sequence.
type FinishedEvent struct {
	Finish    Finish // None where Err says why it ended
	Err       error
	Prompt    int           // tokens
	Cached    int           // of them, found computed already
	Generated int           // tokens
	Lifetime  time.Duration // since Submit
}

// StepEvent is one pass through the model.
type StepEvent struct {
	Duration  time.Duration
	Tokens    int // computed
	Sequences int // that took part
	Err       error
}

// sizes is what the engine knows of its model.
type sizes struct {
	vocab      int
	context    int   // the longest sequence, in tokens
	blockSize  int   // tokens in a block
	blockBytes int64 // memory of one block over all layers
}

// withDefaults fills the zeros of c for a model of those sizes.
func (c Config) withDefaults(m sizes) Config {
	or := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	or(&c.MaxSequences, 32)
	or(&c.MaxWaiting, 256)
	or(&c.StepTokens, 512)
	or(&c.MinPrefill, kv.BlockSize)
	or(&c.OutputBuffer, 64)
	if c.CacheBytes == 0 {
		c.CacheBytes = 1 << 30
	}
	if c.TargetStep == 0 {
		c.TargetStep = 200 * time.Millisecond
	}
	if c.MaxPaused == 0 {
		c.MaxPaused = 30 * time.Second
	}
	if c.Blocks == 0 {
		perSequence := int64((m.context + m.blockSize - 1) / m.blockSize)
		c.Blocks = int(max(1, min(int64(c.MaxSequences)*perSequence, c.CacheBytes/max(1, m.blockBytes))))
	}
	return c
}

// Validate reports every fault of c; zeros are no faults.
func (c Config) Validate() error {
	var faults []error
	check := func(name string, v int) {
		if v < 0 {
			faults = append(faults, fmt.Errorf("engine: %s is %d; it must be positive, or 0 for the default", name, v))
		}
	}
	check("MaxSequences", c.MaxSequences)
	check("MaxWaiting", c.MaxWaiting)
	check("Blocks", c.Blocks)
	check("CacheBytes", int(c.CacheBytes))
	check("StepTokens", c.StepTokens)
	check("MinPrefill", c.MinPrefill)
	check("OutputBuffer", c.OutputBuffer)
	check("TargetStep", int(c.TargetStep))
	check("MaxPaused", int(c.MaxPaused))
	return errors.Join(faults...)
}
