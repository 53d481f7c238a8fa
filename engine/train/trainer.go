package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"time"

	"github.com/weir-ai/weir/engine/tensor"
)

// Trainer holds the weights, their gradients and AdamW's moments.
type Trainer struct {
	cfg    Config
	src    Source
	net    *net
	opt    *optimizer
	step   int   // steps done
	tokens int64 // tokens read
	limit  int   // tokens of a batch; batchTokens but in tests
}

// New makes a trainer with fresh weights drawn from cfg.Seed.
func New(cfg Config, src Source) (*Trainer, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	set, _, err := tensor.Detect(cfg.Kernels)
	if err != nil {
		return nil, fmt.Errorf("training cannot start: %w", err)
	}
	n := newNet(cfg.Shape, set)
	n.layout.draw(n.weights, cfg.Seed)
	return &Trainer{cfg: cfg, src: src, net: n, opt: newOptimizer(n.layout), limit: batchTokens}, nil
}

// Resume is New that goes on from the checkpoint in cfg.Dir when there is one. A checkpoint of another configuration is refused
// with the first difference. Threads, kernels and how often to save may differ; on another kernel set the run goes on, but
// not bit for bit as it would have.
func Resume(cfg Config, src Source) (*Trainer, error) {
	t, err := New(cfg, src)
	if err != nil || cfg.Dir == "" {
		return t, err
	}
	if err := t.load(); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return t, nil
}

// Shape is the architecture, with defaults filled in.
func (t *Trainer) Shape() Shape { return t.cfg.Shape }

// Steps is the length of the whole run.
func (t *Trainer) Steps() int { return t.cfg.Steps }

// Step is the number of steps done.
func (t *Trainer) Step() int { return t.step }

// Tokens is the number of tokens read, those before a resume included.
func (t *Trainer) Tokens() int64 { return t.tokens }

// Tensors are the weights under GGUF's names for a Llama; queries and keys need no permutation, as rope turns neighbouring
// pairs. They are the trainer's own memory: read them while Run is not running.
func (t *Trainer) Tensors() []Named { return t.net.layout.named(t.net.weights) }

// Loss is the mean loss of examples in nats per counted token, without training on them. It must not be called during Run.
func (t *Trainer) Loss(examples []Example) (float64, error) {
	batches, counted, err := pack(examples, t.cfg.Shape, t.limit)
	if err != nil {
		return 0, err
	}
	var sum float64
	for _, b := range batches {
		t.net.forward(b)
		sum += t.net.loss(b, 0)
	}
	return sum / float64(counted), nil
}

// drawn is a step's data.
type drawn struct {
	batches []*batch
	counted int
	tokens  int64
	err     error
}

// draw asks the source for a step's examples and packs them.
func (t *Trainer) draw(step int) drawn {
	examples := t.src.Next(step, rand.New(rand.NewPCG(t.cfg.Seed, uint64(step)+1<<32)))
	var d drawn
	d.batches, d.counted, d.err = pack(examples, t.cfg.Shape, t.limit)
	for _, e := range examples {
		d.tokens += int64(len(e.Tokens))
	}
	return d
}

// Run trains to the last step, or until ctx ends, and then writes a checkpoint when there is a folder for it. report, if not
// nil, is called about once a second, and after the last step, on Run's goroutine. A Run after one that was stopped goes on.
func (t *Trainer) Run(ctx context.Context, report func(Progress)) error {
	return t.RunTo(ctx, t.cfg.Steps, report)
}

// RunTo is Run that pauses after a step, for who wants to look at the weights; the checkpoint is written there, too. What comes
// out at the end is the same, bit for bit, however often a run pauses.
func (t *Trainer) RunTo(ctx context.Context, step int, report func(Progress)) error {
	until := min(step, t.cfg.Steps)
	pool := tensor.NewPool(t.cfg.Threads)
	t.net.use(pool)
	defer func() {
		t.net.use(nil)
		pool.Close()
	}()
	data, stop := t.feed(until)
	defer stop()
	meter := newMeter(t, until)
	saved := t.step
	for t.step < until && ctx.Err() == nil {
		loss, norm, err := t.one(<-data)
		if err != nil {
			return fmt.Errorf("training step %d: %w", t.step, err)
		}
		if p, due := meter.add(t, loss, norm); due && report != nil {
			report(p)
		}
		if t.cfg.Dir != "" && t.step-saved >= t.cfg.SaveEvery {
			if err := t.save(); err != nil {
				return err
			}
			saved = t.step
		}
	}
	if t.cfg.Dir != "" && t.step != saved {
		if err := t.save(); err != nil {
			return err
		}
	}
	if t.step < until {
		return ctx.Err()
	}
	return nil
}

// feed draws one step ahead on a goroutine of its own; stop ends it and waits.
func (t *Trainer) feed(until int) (data <-chan drawn, stop func()) {
	out, quit, done := make(chan drawn), make(chan struct{}), make(chan struct{})
	first := t.step
	go func() {
		defer close(done)
		for step := first; step < until; step++ {
			select {
			case out <- t.draw(step):
			case <-quit:
				return
			}
		}
	}()
	return out, func() {
		close(quit)
		<-done
	}
}

// one is one step: the gradient of all batches, the bound, AdamW.
func (t *Trainer) one(d drawn) (loss, norm float64, err error) {
	if d.err != nil {
		return 0, 0, d.err
	}
	weight := 1 / float32(d.counted)
	for _, b := range d.batches {
		t.net.forward(b)
		loss += t.net.loss(b, weight)
		t.net.backward(b)
	}
	loss /= float64(d.counted)
	norm = t.opt.norm(t.net)
	if math.IsNaN(loss) || math.IsInf(loss, 0) || math.IsNaN(norm) || math.IsInf(norm, 0) {
		clear(t.net.grads)
		return loss, norm, fmt.Errorf("loss %v with a gradient of norm %v: the run has diverged; lower the rate (%v)", loss, norm, t.cfg.Rate)
	}
	t.opt.update(t.net, t.cfg, t.step, norm)
	t.step++
	t.tokens += d.tokens
	return loss, norm, nil
}

// meter turns steps into progress. Its clock decides only when to report.
type meter struct {
	began, last     time.Time
	beganStep       int
	lastTokens      int64
	loss            float64
	losses          int
	reportEverySecs float64
	until           int // the last step, which is always reported
}

func newMeter(t *Trainer, until int) *meter {
	now := time.Now()
	return &meter{until: until, began: now, last: now, beganStep: t.step, lastTokens: t.tokens, reportEverySecs: 1}
}

func (m *meter) add(t *Trainer, loss, norm float64) (Progress, bool) {
	m.loss += loss
	m.losses++
	now := time.Now()
	passed := now.Sub(m.last).Seconds()
	if passed < m.reportEverySecs && t.step < m.until {
		return Progress{}, false
	}
	p := Progress{Step: t.step, Steps: t.cfg.Steps, Loss: m.loss / float64(m.losses), Rate: t.cfg.rate(t.step - 1), Norm: norm, Tokens: t.tokens}
	if passed > 0 {
		p.TokensPerSec = float64(t.tokens-m.lastTokens) / passed
	}
	p.Left = time.Duration(float64(now.Sub(m.began)) / float64(t.step-m.beganStep) * float64(t.cfg.Steps-t.step))
	m.last, m.lastTokens, m.loss, m.losses = now, t.tokens, 0, 0
	return p, true
}
