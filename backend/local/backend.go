// Package local is the hand that reaches the embedded engine: a model file becomes an llm.Runner and an llm.Vocabulary. It lives at
// the level of text: chat templates, tokens to characters, stop strings; below it, the engine takes tokens and gives tokens.
//
// A Backend owns one goroutine, the engine's step loop, from Open to Close; a request runs on its caller's goroutine, with one more
// for each answer where it asks for several. Locks are the engine's. The package never reads a request's wire form and never
// decides who may ask.
package local

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-ai/weir/engine"
	"github.com/weir-ai/weir/engine/jinja"
	"github.com/weir-ai/weir/engine/model"
	"github.com/weir-ai/weir/engine/token"
	"github.com/weir-ai/weir/engine/weights"
	"github.com/weir-ai/weir/registry"
)

// Backend runs one model file on the embedded engine.
type Backend struct {
	name     string
	file     *weights.File
	tokens   *token.Tokenizer
	template *jinja.Template // nil where the file has none: chats are then refused
	special  map[string]string
	model    *model.Model
	engine   *engine.Engine
	context  int // the longest sequence, prompt and answer together
	waiting  int // answers that may wait at once
	// promptMax is the longest text of a prompt, in bytes; large has a place for each large text that is being encoded.
	promptMax int
	large     chan struct{}
	now       func() time.Time

	stop     context.CancelFunc
	stopped  sync.WaitGroup
	failed   chan error // what ended the step loop by a fault of its own; holds at most one
	closing  sync.Once
	closed   atomic.Bool
	closeErr error
}

// blockTokens is the size of a KV block. 16 wastes at most 15 positions a sequence and shares prefixes in fine steps; at 32 fewer
// blocks are counted, but a short system prompt is shared less often.
const blockTokens = 16

// Listener hears what a model's engine does. Nil funcs are skipped; calls come from the step loop and must return at once.
type Listener struct {
	Seated    func(wait time.Duration) // a sequence begins to be computed
	Stepped   func(took time.Duration) // a step ended
	Preempted func()                   // a sequence lost its blocks and will be computed again
	Cut       func()                   // a sequence was cut because nobody read it
}

func (l Listener) engine() engine.Listener {
	out := engine.Listener{Preempted: l.Preempted}
	if l.Seated != nil {
		out.Seated = func(e engine.SeatedEvent) { l.Seated(e.Queued) }
	}
	if l.Stepped != nil {
		out.Step = func(e engine.StepEvent) { l.Stepped(e.Duration) }
	}
	if l.Cut != nil {
		out.Finished = func(e engine.FinishedEvent) {
			if e.Finish == engine.Cut {
				l.Cut()
			}
		}
	}
	return out
}

// Open reads the model at path, a GGUF file or a Hugging Face folder, and starts its engine. Listener hears what the engine does.
func Open(name, path string, machine *Machine, cfg Config, listener Listener) (*Backend, error) {
	file, err := weights.Open(path)
	if err != nil {
		return nil, fmt.Errorf("model %q: %w", name, err)
	}
	return open(name, file, machine, cfg, listener)
}

// OpenBytes is Open for a GGUF file held in memory, such as the built-in model.
func OpenBytes(name string, gguf []byte, machine *Machine, cfg Config, listener Listener) (*Backend, error) {
	file, err := weights.OpenBytes(name, gguf)
	if err != nil {
		return nil, fmt.Errorf("model %q: %w", name, err)
	}
	return open(name, file, machine, cfg, listener)
}

// OpenFile is Open for a file that is open already; the Backend closes it.
func OpenFile(name string, file *weights.File, machine *Machine, cfg Config, listener Listener) (*Backend, error) {
	return open(name, file, machine, cfg, listener)
}

func open(name string, file *weights.File, machine *Machine, cfg Config, listener Listener) (b *Backend, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("model %q: %w", name, err), file.Close())
		}
	}()
	if bad := cfg.Validate(); len(bad) > 0 {
		return nil, errors.New(bad[0])
	}
	activations, _ := cfg.activations()
	kv, _ := cfg.kv()
	spec, err := model.ReadSpec(file) // first, so that a file of another architecture is refused for that
	if err != nil {
		return nil, err
	}
	b = &Backend{name: name, file: file, context: contextOf(cfg, spec), now: time.Now, failed: make(chan error, 1), large: make(chan struct{}, largeAtOnce)}
	if b.tokens, err = token.Load(file); err != nil {
		return nil, err
	}
	b.promptMax = promptBytes(b.tokens, b.context)
	if b.tokens.Size() > spec.Vocab {
		return nil, fmt.Errorf("the tokenizer has %d tokens but the model only %d; the file's parts do not belong together", b.tokens.Size(), spec.Vocab)
	}
	if err = b.loadTemplate(); err != nil {
		return nil, err
	}
	o := model.Options{Set: machine.Set, Pool: machine.pool, Activations: activations, KV: kv, BlockSize: blockTokens, MaxContext: b.context}
	if b.model, err = model.Load(file, o); err != nil {
		return nil, err
	}
	if b.engine, err = engine.New(b.model, b.engineConfig(cfg, machine.pool.Run, listener)); err != nil {
		return nil, err
	}
	b.start()
	return b, nil
}

// contextOf is the longest sequence that is served.
func contextOf(cfg Config, spec model.Spec) int {
	if cfg.Context > 0 {
		return min(cfg.Context, spec.Context)
	}
	return min(spec.Context, contextDefault)
}

// engineConfig sizes the engine: the cache takes CacheBytes, but holds one whole sequence at least, so that no admitted request
// is ever too big for it, and no more than all sequences at full length could use.
func (b *Backend) engineConfig(cfg Config, parallel func(int, func(int)), listener Listener) engine.Config {
	sequences := orDefault(cfg.Sequences, sequencesDefault)
	perSequence := (b.context + blockTokens - 1) / blockTokens
	blocks := int(orDefault(cfg.CacheBytes, cacheBytesDefault) / max(1, b.model.BlockBytes()))
	blocks = max(blocks, perSequence+1)
	blocks = min(blocks, perSequence*sequences+1)
	b.waiting = orDefault(cfg.Waiting, waitingDefault)
	return engine.Config{
		MaxSequences: sequences, MaxWaiting: b.waiting, Blocks: blocks, EndTokens: b.tokens.EOGs(),
		Parallel: parallel, Listener: listener.engine(),
	}
}

func (b *Backend) start() {
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	b.stopped.Go(func() {
		if err := b.engine.Run(ctx); err != nil {
			b.failed <- err
		}
	})
}

// Close ends the step loop, fails what still runs, and unmaps the file. It may be called again.
func (b *Backend) Close() error {
	b.closing.Do(func() {
		b.closed.Store(true)
		b.stop()
		b.stopped.Wait()
		b.closeErr = b.file.Close()
	})
	return b.closeErr
}

// Ready reports why the backend cannot answer, nil while it can.
func (b *Backend) Ready() error {
	select {
	case err := <-b.failed:
		b.failed <- err
		return fmt.Errorf("model %q: the engine stopped: %w", b.name, err)
	default:
	}
	if b.closed.Load() {
		return fmt.Errorf("model %q is closed", b.name)
	}
	return nil
}

// Stats tells what the engine holds at this moment.
func (b *Backend) Stats() engine.Stats { return b.engine.Stats() }

// About tells what is known of the model's file.
func (b *Backend) About() registry.About {
	s := b.model.Spec()
	return registry.About{Architecture: s.Arch, Parameters: s.Parameters, Quantization: s.Quantisation(), ContextLength: b.context, Bytes: s.Bytes, Chat: b.template != nil}
}
