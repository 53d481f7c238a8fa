package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"
)

// fakeModel is a model for tests of the scheduler, not a model of language: its logits are a hash of everything that the
// sequence's cells hold, read through the block table. A cell's value depends on all cells before it, as keys and values do,
// so a wrong block, a stale one, a hole or a wrong position changes the answer.
type fakeModel struct {
	vocab, blockSize int
	cells            []uint64 // (blocks, blockSize)

	step     time.Duration                       // how long a call takes (in a synctest bubble)
	before   func(call int, chunks []chunk)      // sees each call; may panic
	fail     func(call int) error                // may fail it
	spoil    func(chunks []chunk, out []float32) // may change the logits
	calls    int
	computed int // tokens
	largest  int // tokens in a call

	out []float32
}

func (f *fakeModel) forward(chunks []chunk) ([]float32, error) {
	f.calls++
	if f.before != nil {
		f.before(f.calls, chunks)
	}
	if f.fail != nil {
		if err := f.fail(f.calls); err != nil {
			return nil, err
		}
	}
	if f.step > 0 {
		time.Sleep(f.step)
	}
	f.out = f.out[:0]
	tokens := 0
	for _, c := range chunks {
		tokens += len(c.Tokens)
		cell := func(pos int) *uint64 { return &f.cells[int(c.Blocks[pos/f.blockSize])*f.blockSize+pos%f.blockSize] }
		for i, t := range c.Tokens {
			pos := c.Start + i
			before := uint64(0)
			if pos > 0 {
				before = *cell(pos - 1)
			}
			*cell(pos) = fakeCell(before, t)
			if c.Want == allLogits || c.Want == lastLogits && i == len(c.Tokens)-1 {
				state := uint64(0)
				for q := range pos + 1 {
					state = mix(state ^ *cell(q))
				}
				f.out = fakeLogits(f.out, state, f.vocab)
			}
		}
	}
	f.computed += tokens
	f.largest = max(f.largest, tokens)
	if f.spoil != nil {
		f.spoil(chunks, f.out)
	}
	return f.out, nil
}

func fakeCell(before uint64, token int32) uint64 { return mix(before*31 + uint64(token) + 1) }

func fakeLogits(dst []float32, state uint64, vocab int) []float32 {
	for v := range vocab {
		dst = append(dst, float32(mix(state+uint64(v))>>40)/(1<<21)-4) // [-4, 4)
	}
	return dst
}

// fakeAfter is what fakeModel says after tokens: the plain definition, without blocks.
func fakeAfter(tokens []int32, vocab int) []float32 {
	cell, state := uint64(0), uint64(0)
	for _, t := range tokens {
		cell = fakeCell(cell, t)
		state = mix(state ^ cell)
	}
	return fakeLogits(nil, state, vocab)
}

// bench is an engine on a fake model.
type bench struct {
	*Engine
	fake *fakeModel
	t    testing.TB
	kept int // blocks that a test has taken for itself
}

const (
	fakeVocab   = 24
	fakeBlock   = 4
	fakeContext = 64
)

func newBench(t testing.TB, cfg Config) *bench {
	t.Helper()
	f := &fakeModel{vocab: fakeVocab, blockSize: fakeBlock}
	bind := func(blocks int) forwarder {
		f.cells = make([]uint64, blocks*fakeBlock)
		return f
	}
	e, err := newEngine(bind, sizes{vocab: fakeVocab, context: fakeContext, blockSize: fakeBlock, blockBytes: 1}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{Engine: e, fake: f, t: t}
}

func (b *bench) submit(r Request) *Sequence {
	b.t.Helper()
	s, err := b.Submit(r)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// stepOnce makes one step, which must not fail, and checks the books.
func (b *bench) stepOnce() bool {
	b.t.Helper()
	worked, err := b.Step()
	if err != nil {
		b.t.Fatal(err)
	}
	b.check()
	return worked
}

// check holds the schedule to its invariants between two steps.
func (b *bench) check() {
	b.t.Helper()
	if err := b.schedule.pool.Check(); err != nil {
		b.t.Fatal(err)
	}
	refs := b.kept
	for _, list := range [][]*Sequence{b.schedule.waiting, b.schedule.running} {
		if !slices.IsSortedFunc(list, func(x, y *Sequence) int { return cmp.Compare(x.serial, y.serial) }) {
			b.t.Fatal("a list is not in the order of arrival")
		}
		for _, s := range list {
			refs += len(s.blocks)
			if len(s.blocks) != (s.computed+fakeBlock-1)/fakeBlock || s.computed >= len(s.tokens) || s.stage == waiting && len(s.blocks) > 0 {
				b.t.Fatalf("sequence %d at stage %d: %d of %d tokens computed, %d blocks", s.serial, s.stage, s.computed, len(s.tokens), len(s.blocks))
			}
		}
	}
	if got := b.schedule.pool.Counts().Refs; got != refs {
		b.t.Fatalf("%d references to blocks, %d in tables", got, refs)
	}
	p := &b.schedule.next
	used := 0
	for i, k := range p.picks {
		used += k.n
		if slices.ContainsFunc(p.picks[:i], func(o pick) bool { return o.seq == k.seq }) {
			b.t.Fatal("a sequence was picked twice")
		}
	}
	if used != p.used || used > b.cfg.StepTokens {
		b.t.Fatalf("planned %d tokens, counted %d of %d", used, p.used, b.cfg.StepTokens)
	}
	if n := len(b.schedule.running); n > b.cfg.MaxSequences {
		b.t.Fatalf("%d sequences run", n)
	}
}

// settled steps until there is nothing to do.
func (b *bench) settled() {
	b.t.Helper()
	for range 100_000 {
		if !b.stepOnce() {
			return
		}
	}
	b.t.Fatal("the engine does not come to rest")
}

// empty checks that nothing is left: no sequence, no reference to a block.
func (b *bench) empty() {
	b.t.Helper()
	st := b.Stats()
	if st.Running != 0 || st.Waiting != 0 || st.BlocksUsed != 0 || st.BlockRefs != 0 {
		b.t.Fatalf("something is left: %+v", st)
	}
	if err := b.schedule.pool.Check(); err != nil {
		b.t.Fatal(err)
	}
}

// ready reads what is there without waiting.
func ready(s *Sequence) (tokens []int32, f Finish, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for {
		o, err := s.Next(ctx)
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, context.Canceled):
			return tokens, f, nil
		case err != nil:
			return tokens, f, err
		}
		if o.Token >= 0 {
			tokens = append(tokens, o.Token)
		}
		f = o.Finish
	}
}

// expected is the answer to r by the plain definitions, without an engine.
func expected(r Request, vocab, longest int, end []int32, after func(tokens []int32) []float32) (answer []int32, f Finish) {
	p := newSampler(&r, end)
	tokens := append([]int32(nil), r.Tokens...)
	limit := longest
	if r.MaxTokens > 0 {
		limit = min(limit, len(r.Tokens)+r.MaxTokens)
	}
	var sc scratch
	for {
		t, err := p.next(after(tokens), len(answer), &sc)
		if err != nil {
			panic(fmt.Sprint("the reference failed: ", err))
		}
		tokens, answer = append(tokens, t), append(answer, t)
		p.chosen(t)
		switch {
		case p.ended(t):
			return answer, Stop
		case len(tokens) >= limit:
			return answer, Length
		}
	}
}

func expectedFake(r Request, longest int, end []int32) ([]int32, Finish) {
	return expected(r, fakeVocab, longest, end, func(tokens []int32) []float32 { return fakeAfter(tokens, fakeVocab) })
}

// plainRequest is a greedy one without log-probabilities.
func plainRequest(tokens []int32, most int) Request {
	return Request{Tokens: tokens, MaxTokens: most, Logprobs: -1, PromptLogprobs: -1}
}

// prompt makes a prompt of n tokens that another kind does not share.
func prompt(kind, n int) []int32 {
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = int32(mix(uint64(kind*1000+i)) % fakeVocab)
	}
	return tokens
}
