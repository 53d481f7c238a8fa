package cli

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-ai/weir/engine"
	"github.com/weir-ai/weir/engine/model"
	"github.com/weir-ai/weir/engine/tensor"
	"github.com/weir-ai/weir/engine/weights"
)

// bench is a model on an engine of its own, without gateway, pipeline and text, and what measures it. The engine is the one that
// serves: requests go in by Submit and come out by Next.
type bench struct {
	file   *weights.File
	pool   *tensor.Pool
	set    tensor.Set
	model  *model.Model
	engine *engine.Engine
	memory *tensor.Matrix // for read
	window atomic.Pointer[window]
	random *rand.Rand

	stop    context.CancelFunc
	stopped sync.WaitGroup
}

const (
	benchBlock  = 16 // tokens in a KV block, as in service
	benchBuffer = 64 // tokens that wait for a reader, as in service
	// benchSlack is how many tokens an answer may have beyond those that are counted: what it wrote until its reader came, and the
	// steps until all others had come, too.
	benchSlack = 3 * benchBuffer
	// memoryBytes is larger than the caches of most machines, and small enough to be there.
	memoryBytes = 256 << 20
	memoryCols  = 4096
)

// open makes the engine for c.
func (c benchCommand) open() (_ *bench, err error) {
	b := &bench{random: rand.New(rand.NewPCG(1, 2)), stop: func() {}}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.set, _, err = tensor.Detect(os.Getenv("WEIR_KERNELS")); err != nil {
		return nil, usageError{fmt.Errorf("WEIR_KERNELS: %w", err)}
	}
	if b.file, err = c.file(); err != nil {
		return nil, err
	}
	b.pool = tensor.NewPool(cmp.Or(c.Threads, runtime.GOMAXPROCS(0)))
	kv, err := model.ParseKV(cmp.Or(c.KV, "f16"))
	if err != nil {
		return nil, usageError{err}
	}
	act := tensor.ActInt8
	if c.Activations == "f32" {
		act = tensor.ActF32
	}
	// Speed does not mind a context beyond what the model was trained for.
	if b.model, err = model.Load(b.file, model.Options{Set: b.set, Pool: b.pool, Activations: act, KV: kv, BlockSize: benchBlock, MaxContext: c.context()}); err != nil {
		return nil, err
	}
	most := slices.Max(c.Batch)
	b.engine, err = engine.New(b.model, engine.Config{
		MaxSequences: most, MaxWaiting: most, Blocks: max(c.Prompt/benchBlock+2, most*(c.answer()/benchBlock+2)), NoPrefixCache: true,
		TargetStep: c.Step, OutputBuffer: benchBuffer, MaxPaused: time.Hour, Listener: engine.Listener{Step: b.stepped},
	})
	if err != nil {
		return nil, err
	}
	data := make([]byte, memoryBytes)
	for i := range data {
		data[i] = byte(i) & 0x3f // finite floats, none subnormal or zero, or pages that the kernel shares would be read from the cache
	}
	if b.memory, err = tensor.NewMatrix(b.set, tensor.F32, memoryBytes/4/memoryCols, memoryCols, data, act); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	b.stopped.Go(func() { _ = b.engine.Run(ctx) }) // its error ends every sequence, and is told there
	return b, nil
}

// answer is how long a sequence of decode can become.
func (c benchCommand) answer() int { return c.Depth + c.Generate + benchSlack }

func (c benchCommand) context() int { return max(c.Prompt+2, c.answer()) }

func (b *bench) close() {
	b.stop()
	b.stopped.Wait()
	if b.pool != nil {
		b.pool.Close()
	}
	if b.file != nil {
		_ = b.file.Close() // nothing was written
	}
}

// result tells what is measured, without figures yet.
func (b *bench) result(c benchCommand) *benchResult {
	s, o := b.model.Spec(), b.model.Options()
	r := &benchResult{
		Model: filepath.Base(c.Target), Architecture: s.Arch, Type: s.Quantisation(), Parameters: s.Parameters, ReadPerToken: b.readPerToken(),
		Kernels: b.set.String(), Threads: b.pool.Threads(), Activations: o.Activations.String(), KV: o.KV.String(),
		Prompt: c.Prompt, Depth: c.Depth, Generate: c.Generate,
	}
	for _, n := range c.Batch {
		r.Decode = append(r.Decode, decodeFigure{Sequences: n})
	}
	return r
}

// readPerToken is the bytes of the weights that a token passes through: all, but for an embedding that is not the output matrix,
// too, and of which one row is read.
func (b *bench) readPerToken() int64 {
	s := b.model.Spec()
	n := s.Bytes
	if s.Tied {
		return n
	}
	for _, name := range []string{"token_embd.weight", "model.embed_tokens.weight"} {
		if t, ok := b.file.Tensor(name); ok {
			n -= int64(len(t.Data))
		}
	}
	return n
}

// read gives the bytes a second that the engine's threads read of memory. It is the F32 product, which follows several streams a
// thread and does the least arithmetic a byte; a plain loop measures less.
//
// It is the best of a few, because it stands for what the memory can do: one that was disturbed says nothing about that.
func (b *bench) read() float64 {
	x, out := make([]float32, memoryCols), make([]float32, b.memory.Rows())
	var s tensor.Scratch
	best := 0.0
	for range 4 {
		begun := time.Now()
		b.memory.Mul(b.pool, &s, out, x, 1)
		best = max(best, float64(b.memory.Bytes())/time.Since(begun).Seconds())
	}
	return best
}

func (b *bench) prompt(n int) []int32 {
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = b.random.Int32N(int32(b.model.Spec().Vocab))
	}
	return tokens
}

// prefill gives the tokens a second from the request to the first token of its answer.
func (b *bench) prefill(ctx context.Context, n int) (float64, error) {
	begun := time.Now()
	s, err := b.engine.Submit(engine.Request{Tokens: b.prompt(n), MaxTokens: 1, IgnoreEOS: true, Logprobs: -1, PromptLogprobs: -1})
	if err != nil {
		return 0, err
	}
	defer s.Cancel()
	if _, err := s.Next(ctx); err != nil {
		return 0, err
	}
	return float64(n) / time.Since(begun).Seconds(), nil
}

// window times the steps in which all of its sequences decode and nothing else happens. The step loop writes it; others read it
// after done is closed.
type window struct {
	sequences, steps int
	done             chan struct{}
	begun, last      time.Time
	seen             int
}

// stepped is called by the step loop after each step.
func (b *bench) stepped(e engine.StepEvent) {
	w := b.window.Load()
	if w == nil || e.Sequences != w.sequences || e.Tokens != w.sequences || w.seen > w.steps {
		return
	}
	w.last = time.Now()
	if w.seen == 0 {
		w.begun = w.last
	}
	if w.seen++; w.seen > w.steps {
		close(w.done)
	}
}

// decode gives the tokens a second that n answers have together, from the end of the first step in which all of them decode. An
// answer that begins before the others pauses when nobody has read it for a while, and one reader takes a token of each in turn, so
// none is ever further ahead of another than its buffer: all of them come to the window, however fast the model is.
func (b *bench) decode(ctx context.Context, n, depth, steps int) (float64, error) {
	w := &window{sequences: n, steps: steps, done: make(chan struct{})}
	reading, end := context.WithCancel(ctx)
	var reader sync.WaitGroup
	var sequences []*engine.Sequence
	defer func() {
		b.window.Store(nil)
		for _, s := range sequences {
			s.Cancel()
		}
		end()
		reader.Wait()
		b.settle()
	}()
	for range n {
		s, err := b.engine.Submit(engine.Request{Tokens: b.prompt(depth), IgnoreEOS: true, Logprobs: -1, PromptLogprobs: -1})
		if err != nil {
			return 0, err
		}
		sequences = append(sequences, s)
	}
	for _, s := range sequences {
		if _, err := s.Next(ctx); err != nil {
			return 0, err
		}
	}
	b.window.Store(w)
	failed := make(chan error, 1)
	reader.Go(func() { failed <- readInTurn(reading, sequences) })
	select {
	case <-w.done:
	case err := <-failed:
		select {
		case <-w.done: // the answers went on after the window, to their end
		default:
			return 0, fmt.Errorf("an answer ended before it was measured: %w", err)
		}
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return float64(n*steps) / w.last.Sub(w.begun).Seconds(), nil
}

// readInTurn reads a token of each sequence, again and again, until something ends it.
func readInTurn(ctx context.Context, sequences []*engine.Sequence) error {
	for {
		for _, s := range sequences {
			if _, err := s.Next(ctx); err != nil {
				return err
			}
		}
	}
}

// settle waits until the engine has let go of what was cancelled, so that the next measure has it alone.
func (b *bench) settle() {
	for b.engine.Stats().Running+b.engine.Stats().Waiting > 0 {
		time.Sleep(time.Millisecond)
	}
}
