package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// run starts b's step loop for the test's length and returns what ends it.
func (b *bench) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	return func() {
		b.t.Helper()
		cancel()
		if err := <-done; err != nil {
			b.t.Fatal(err)
		}
	}
}

// readAll reads s to its end.
func readAll(ctx context.Context, s *Sequence) (tokens []int32, f Finish, err error) {
	for {
		o, err := s.Next(ctx)
		if err == io.EOF {
			return tokens, f, nil
		}
		if err != nil {
			return tokens, f, err
		}
		if o.Token >= 0 {
			tokens = append(tokens, o.Token)
		}
		f = o.Finish
	}
}

func TestManyReadersAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{MaxSequences: 8, Blocks: 40, MaxWaiting: 200, OutputBuffer: 3})
	stop := b.run()
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			r := plainRequest(prompt(i%5, 2+i%30), 1+i%25)
			s, err := b.Submit(r)
			if err != nil {
				t.Error(err)
				return
			}
			if i%7 == 0 {
				s.Cancel()
			}
			got, f, err := readAll(t.Context(), s)
			want, _ := expectedFake(r, b.Context(), nil)
			if errors.Is(err, ErrCancelled) && i%7 == 0 {
				return
			}
			if err != nil || f != Length || !slices.Equal(got, want) {
				t.Errorf("client %d: %v %v %v, want %v", i, got, f, err, want)
			}
			if _, err := s.Next(t.Context()); err != io.EOF {
				t.Errorf("client %d after its end: %v", i, err)
			}
		})
	}
	wg.Wait()
	stop()
	b.empty()
	if st := b.Stats(); st.Submitted != 100 || st.Finished != 100 || st.Failed != 0 {
		t.Errorf("%+v", st)
	}
}

func TestPausedReaderIsPassedOverAndCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var events []string
		b := newBench(t, Config{
			Blocks: 100, OutputBuffer: 4, MaxPaused: 10 * time.Second, MaxSequences: 2,
			Listener: Listener{Finished: func(e FinishedEvent) { events = append(events, e.Finish.String()) }},
		})
		b.fake.step = 10 * time.Millisecond
		defer b.run()()
		lagging := b.submit(plainRequest(prompt(1, 5), 40))
		quick := b.submit(plainRequest(prompt(2, 5), 40))
		if got, f, err := readAll(t.Context(), quick); len(got) != 40 || f != Length || err != nil {
			t.Fatalf("beside a paused sequence: %d tokens, %v %v", len(got), f, err)
		}
		// A reader that comes back in time goes on where it was.
		time.Sleep(9 * time.Second)
		if _, err := lagging.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if st := b.Stats(); st.Running != 1 || st.Cut != 0 {
			t.Fatalf("cut too early: %+v", st)
		}
		steps := b.Stats().Steps
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if st := b.Stats(); st.Running != 0 || st.Cut != 1 || st.BlocksUsed != 0 || st.Steps != steps {
			t.Fatalf("not cut after its time: %+v", st)
		}
		want, _ := expectedFake(plainRequest(prompt(1, 5), 40), b.Context(), nil)
		got, f, err := readAll(t.Context(), lagging)
		if f != Cut || err != nil || !slices.Equal(got, want[1:5]) {
			t.Errorf("the cut sequence gave %v %v %v", got, f, err)
		}
		if fmt.Sprint(events) != "[length cut]" {
			t.Errorf("heard %v", events)
		}
	})
}

func TestPausedSequenceInTheQueueDoesNotBlockIt(t *testing.T) {
	t.Parallel()
	// The paused one is preempted by a newcomer and stands first in the queue with a full buffer.
	b := newBench(t, Config{Blocks: 8, OutputBuffer: 2, MaxPaused: time.Hour})
	long := plainRequest(prompt(1, 13), 12)
	paused := b.submit(long)
	b.settled()
	r := plainRequest(prompt(2, 4), 24)
	var got []int32
	s := b.submit(r)
	for range 200 {
		b.stepOnce()
		tokens, _, err := ready(s)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, tokens...)
	}
	if want, _ := expectedFake(r, b.Context(), nil); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	if paused.stage != waiting || b.Stats().Preempted != 1 {
		t.Fatalf("the paused sequence is at stage %d; %+v", paused.stage, b.Stats())
	}
	got = nil
	for range 100 {
		tokens, _, err := ready(paused)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, tokens...)
		b.stepOnce()
	}
	if want, _ := expectedFake(long, b.Context(), nil); !slices.Equal(got, want) {
		t.Fatalf("after its reader came back: %v, want %v", got, want)
	}
	b.empty()
}

func TestFullQueueRefusesAndSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{Blocks: 100, MaxSequences: 1, MaxWaiting: 2})
		b.fake.step = 100 * time.Millisecond
		defer b.run()()
		clients := []*Sequence{b.submit(plainRequest(prompt(0, 4), 20))} // 2 seconds of work
		time.Sleep(50 * time.Millisecond)                                // it is seated now
		for i := range 2 {
			clients = append(clients, b.submit(plainRequest(prompt(1+i, 4), 20)))
		}
		var busy *BusyError
		if _, err := b.Submit(plainRequest(prompt(9, 4), 1)); !errors.As(err, &busy) || busy.Waiting != 2 || busy.RetryAfter < time.Second {
			t.Fatalf("over the bound: %v", err)
		}
		clients[1].Cancel()
		time.Sleep(200 * time.Millisecond)
		if _, err := b.Submit(plainRequest(prompt(9, 4), 1)); err != nil {
			t.Fatalf("after one left: %v", err)
		}
		for _, s := range []*Sequence{clients[0], clients[2]} {
			if _, f, err := readAll(t.Context(), s); f != Length || err != nil {
				t.Fatal(f, err)
			}
		}
		if _, queued := clients[2].Stats(); queued < time.Second || queued > 3*time.Second {
			t.Errorf("it waited for %v", queued)
		}
	})
}

func TestIdleEngineDoesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{Blocks: 100})
		defer b.run()()
		if _, _, err := readAll(t.Context(), b.submit(plainRequest(prompt(0, 4), 3))); err != nil {
			t.Fatal(err)
		}
		calls := b.fake.calls
		time.Sleep(10 * time.Hour) // in the bubble this ends at once only if the loop is parked
		if b.fake.calls != calls {
			t.Errorf("%d calls of the model while idle", b.fake.calls-calls)
		}
	})
}

func TestStepsAdaptToTheTargetTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{Blocks: 400, StepTokens: 512, MinPrefill: 1, TargetStep: 200 * time.Millisecond, NoPrefixCache: true})
		var sizes []int
		b.fake.before = func(_ int, chunks []chunk) {
			n := 0
			for _, c := range chunks {
				n += len(c.Tokens)
			}
			sizes = append(sizes, n)
			time.Sleep(20*time.Millisecond + time.Duration(n)*2*time.Millisecond) // 90 tokens fit the target
		}
		defer b.run()()
		var wg sync.WaitGroup
		for i := range 20 {
			s := b.submit(plainRequest(prompt(i, 60), 1))
			wg.Go(func() { readAll(t.Context(), s) })
		}
		wg.Wait()
		if last := sizes[len(sizes)-3]; last < 80 || last > 100 {
			t.Errorf("steps of %v tokens; want them to settle at 90", sizes)
		}
	})
}

func TestModelFailureEndsOnlyTheStepsSequences(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, want string
		spoil      func(f *fakeModel)
	}{
		{"a panic", "panicked: index", func(f *fakeModel) {
			f.before = func(call int, _ []chunk) {
				if call == 3 {
					panic("index out of range")
				}
			}
		}},
		{"an error", "no memory", func(f *fakeModel) {
			f.fail = func(call int) error {
				if call == 3 {
					return errors.New("no memory")
				}
				return nil
			}
		}},
	} {
		b := newBench(t, Config{Blocks: 100, MaxSequences: 2})
		c.spoil(b.fake)
		var clients []*Sequence
		for i := range 3 {
			clients = append(clients, b.submit(plainRequest(prompt(i, 5), 8)))
		}
		failed := 0
		for range 100 {
			if _, err := b.Step(); err != nil {
				failed++
			}
		}
		if failed != 1 || b.Stats().Failed != 2 {
			t.Errorf("%s: %d steps and %d sequences failed", c.name, failed, b.Stats().Failed)
		}
		for i, s := range clients {
			got, f, err := ready(s)
			if i < 2 && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%s: client %d: %v", c.name, i, err)
			}
			if want, _ := expectedFake(plainRequest(prompt(i, 5), 8), b.Context(), nil); i == 2 && (f != Length || !slices.Equal(got, want)) {
				t.Errorf("%s: the one that waited got %v %v %v", c.name, got, f, err)
			}
		}
		b.empty()
	}
}

func TestAFaultOfTheEngineEndsRunAndLeavesNobodyWaiting(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{Blocks: 100, Listener: Listener{Step: func(e StepEvent) { panic("a listener's fault") }}})
	s := b.submit(plainRequest(prompt(0, 5), 8))
	if err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "a listener's fault") {
		t.Errorf("Run: %v", err)
	}
	if _, _, err := readAll(t.Context(), s); err != ErrStopped {
		t.Errorf("its sequence: %v", err)
	}
	b.empty()
}

func TestAPanicInChoosingEndsOneSequence(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{Blocks: 100, Parallel: func(tiles int, f func(int)) {
		for i := range tiles {
			f(i)
		}
	}})
	sick, well := b.submit(plainRequest(prompt(0, 5), 8)), b.submit(plainRequest(prompt(1, 5), 8))
	sick.sampler.bias = []bias{{token: 1 << 20}} // past the vocabulary, which Submit would refuse
	b.settled()
	if _, _, err := ready(sick); err == nil || !strings.Contains(err.Error(), "choosing a token panicked") {
		t.Error(err)
	}
	if got, f, err := ready(well); len(got) != 8 || f != Length || err != nil {
		t.Errorf("%v %v %v", got, f, err)
	}
	b.empty()
}

func TestNaNFailsItsSequenceAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{Blocks: 100})
	b.fake.spoil = func(chunks []chunk, out []float32) {
		if b.fake.calls == 3 {
			out[5] = float32(math.NaN()) // the first sequence's row
		}
	}
	sick, well := b.submit(plainRequest(prompt(0, 5), 8)), b.submit(plainRequest(prompt(1, 5), 8))
	b.settled()
	if got, _, err := ready(sick); err != errNaN || len(got) != 2 {
		t.Errorf("%v %v", got, err)
	}
	if got, f, err := ready(well); len(got) != 8 || f != Length || err != nil {
		t.Errorf("%v %v %v", got, f, err)
	}
	b.empty()
}

func TestStoppingTheEngineLeavesNobodyWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{Blocks: 100, MaxSequences: 2, OutputBuffer: 2})
		b.fake.step = time.Second
		stop := b.run()
		var ended atomic.Int32
		for i := range 6 {
			r := plainRequest(prompt(i, 5), 50)
			if i == 5 {
				r.PromptLogprobs = 0
			}
			s := b.submit(r)
			go func() {
				if i == 5 {
					if _, err := s.Prompt(context.Background()); err != ErrStopped {
						t.Errorf("Prompt: %v", err)
					}
				}
				if _, _, err := readAll(context.Background(), s); err != ErrStopped {
					t.Errorf("client %d: %v", i, err)
				}
				ended.Add(1)
			}()
		}
		time.Sleep(4500 * time.Millisecond)
		stop()
		synctest.Wait()
		if ended.Load() != 6 {
			t.Errorf("%d of 6 readers ended", ended.Load())
		}
		if _, err := b.Submit(plainRequest(prompt(0, 5), 1)); err != ErrStopped {
			t.Errorf("Submit after the end: %v", err)
		}
		if err := b.Run(context.Background()); err == nil {
			t.Error("a second Run was taken")
		}
		if _, err := b.Step(); err != ErrStopped {
			t.Errorf("Step after the end: %v", err)
		}
		b.empty()
	})
}

func TestNextGoesByItsContextAndTheSequenceGoesOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{Blocks: 100})
	s := b.submit(plainRequest(prompt(0, 5), 2))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("gone"))
	if _, err := s.Next(ctx); err != context.Canceled {
		t.Fatal(err)
	}
	b.settled()
	if got, f, err := ready(s); len(got) != 2 || f != Length || err != nil {
		t.Fatal(got, f, err)
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	free, _ := expectedFake(plainRequest(prompt(3, 6), 30), fakeContext, nil)
	at := 6 // the answer's token that is named as an end
	for slices.Index(free, free[at]) != at {
		at++
	}
	end := free[at]
	for _, c := range []struct {
		name   string
		cfg    []int32
		change func(r *Request)
		want   int
		finish Finish
	}{
		{"the model's end token", []int32{end}, func(r *Request) {}, at + 1, Stop},
		{"an end token of the request", nil, func(r *Request) { r.StopTokens = []int32{end} }, at + 1, Stop},
		{"the model's end ignored", []int32{end}, func(r *Request) { r.IgnoreEOS = true }, 30, Length},
		{"the request's end with the model's ignored", []int32{end}, func(r *Request) { r.StopTokens, r.IgnoreEOS = []int32{end}, true }, at + 1, Stop},
		{"length", nil, func(r *Request) { r.MaxTokens = 3 }, 3, Length},
		{"the context", nil, func(r *Request) { r.MaxTokens = 0 }, fakeContext - 6, Length},
		{"the context before max tokens", nil, func(r *Request) { r.MaxTokens = 1 << 40 }, fakeContext - 6, Length},
	} {
		b := newBench(t, Config{Blocks: 100, EndTokens: c.cfg})
		r := plainRequest(prompt(3, 6), 30)
		c.change(&r)
		s := b.submit(r)
		b.settled()
		if got, f, err := ready(s); len(got) != c.want || f != c.finish || err != nil {
			t.Errorf("%s: %d tokens, %v, %v; want %d, %v", c.name, len(got), f, err, c.want, c.finish)
		}
		b.empty()
	}
	b := newBench(t, Config{Blocks: 100, EndTokens: []int32{end}})
	r := plainRequest(prompt(3, 6), 30)
	r.MinTokens = 12
	s := b.submit(r)
	b.settled()
	got, _, _ := ready(s)
	if i := slices.Index(got, end); len(got) < 12 || i >= 0 && i < 12 {
		t.Errorf("with a minimum of 12 it said %v", got)
	}
}

func TestSubmitRefuses(t *testing.T) {
	t.Parallel()
	nan := float32(math.NaN())
	for _, c := range []struct {
		field  string
		change func(r *Request)
	}{
		{"Tokens", func(r *Request) { r.Tokens = nil }},
		{"Tokens", func(r *Request) { r.Tokens = prompt(0, fakeContext) }},
		{"Tokens", func(r *Request) { r.Tokens = []int32{1, fakeVocab} }},
		{"Tokens", func(r *Request) { r.Tokens = []int32{-1} }},
		{"MaxTokens", func(r *Request) { r.MaxTokens = -1 }},
		{"MinTokens", func(r *Request) { r.MinTokens = -1 }},
		{"Logprobs", func(r *Request) { r.Logprobs = MaxLogprobs + 1 }},
		{"PromptLogprobs", func(r *Request) { r.PromptLogprobs = -2 }},
		{"TopK", func(r *Request) { r.Sampling.TopK = -2 }},
		{"Temperature", func(r *Request) { r.Sampling.Temperature = -1 }},
		{"Temperature", func(r *Request) { r.Sampling.Temperature = nan }},
		{"TopP", func(r *Request) { r.Sampling.TopP = 1.5 }},
		{"MinP", func(r *Request) { r.Sampling.MinP = nan }},
		{"Repetition", func(r *Request) { r.Sampling.Repetition = -1 }},
		{"Presence", func(r *Request) { r.Sampling.Presence = float32(math.Inf(1)) }},
		{"Frequency", func(r *Request) { r.Sampling.Frequency = nan }},
		{"Bias", func(r *Request) { r.Sampling.Bias = map[int32]float32{fakeVocab: 1} }},
		{"Bias", func(r *Request) { r.Sampling.Bias = map[int32]float32{1: nan} }},
		{"StopTokens", func(r *Request) { r.StopTokens = []int32{-5} }},
	} {
		b := newBench(t, Config{Blocks: 100})
		r := plainRequest(prompt(0, 3), 1)
		c.change(&r)
		var bad *RequestError
		if _, err := b.Submit(r); !errors.As(err, &bad) || bad.Field != c.field {
			t.Errorf("%s: %v", c.field, err)
		}
	}
	// What fits no block is refused, too: the bound is the smaller one.
	b := newBench(t, Config{Blocks: 2})
	if _, err := b.Submit(plainRequest(prompt(0, 8), 1)); err == nil {
		t.Error("a prompt that fills all blocks was taken")
	}
	if _, err := b.Submit(plainRequest(prompt(0, 7), 1)); err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	err := Config{MaxSequences: -1, MaxPaused: -1}.Validate()
	if err == nil || !strings.Contains(err.Error(), "MaxSequences") || !strings.Contains(err.Error(), "MaxPaused") {
		t.Errorf("%v", err)
	}
	c := Config{}.withDefaults(sizes{vocab: 10, context: 1000, blockSize: 16, blockBytes: 1 << 20})
	if c.Blocks != 1024 { // a gigabyte; 32 x 63 would be more
		t.Errorf("%d blocks", c.Blocks)
	}
	c = Config{}.withDefaults(sizes{vocab: 10, context: 100, blockSize: 16, blockBytes: 1 << 10})
	if c.Blocks != 32*7 {
		t.Errorf("%d blocks", c.Blocks)
	}
	if _, err := newEngine(nil, sizes{vocab: 10, context: 100, blockSize: 16}, Config{EndTokens: []int32{10}}); err == nil {
		t.Error("an end token outside the vocabulary was taken")
	}
}

// TestStepDoesNotAllocate holds the per-token path to its promise, for a batch of plain sampled sequences.
func TestStepDoesNotAllocate(t *testing.T) {
	f := &fakeModel{vocab: fakeVocab, blockSize: fakeBlock}
	e, clients := steadyBatch(t, f)
	step := func() {
		e.Step()
		for _, s := range clients {
			<-s.out
		}
	}
	step()
	if n := testing.AllocsPerRun(500, step); n > 0 {
		t.Errorf("a step of %d sequences allocates %v times", len(clients), n)
	}
}

// steadyBatch makes an engine in which 8 sampled sequences decode for a long time.
func steadyBatch(t testing.TB, f *fakeModel) (*Engine, []*Sequence) {
	const context = 1 << 14
	bind := func(blocks int) forwarder {
		f.cells = make([]uint64, blocks*fakeBlock)
		return constantModel{make([]float32, 8*fakeVocab)}
	}
	e, err := newEngine(bind, sizes{vocab: fakeVocab, context: context, blockSize: fakeBlock, blockBytes: 1}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	var clients []*Sequence
	for i := range 8 {
		r := plainRequest(prompt(i, 1), 0)
		r.Sampling = Sampling{Temperature: 0.8, TopP: 0.9, TopK: 10, Seed: uint64(i)}
		s, err := e.Submit(r)
		if err != nil {
			t.Fatal(err)
		}
		s.tokens = slices.Grow(s.tokens, context) // the amortised growth of three slices is not what is measured
		s.blocks = slices.Grow(s.blocks, context)
		s.hashes = slices.Grow(s.hashes, context)
		clients = append(clients, s)
	}
	return e, clients
}

// constantModel is a fake that always says the same and costs nothing.
type constantModel struct{ logits []float32 }

func (m constantModel) forward(chunks []chunk) ([]float32, error) {
	return m.logits[:len(chunks)*fakeVocab], nil
}

func BenchmarkStep(b *testing.B) {
	b.ReportAllocs()
	f := &fakeModel{vocab: fakeVocab, blockSize: fakeBlock}
	e, clients := steadyBatch(b, f)
	for i := 0; b.Loop(); i++ {
		if i%16000 == 15999 {
			b.StopTimer()
			e, clients = steadyBatch(b, f)
			b.StartTimer()
		}
		e.Step()
		for _, s := range clients {
			<-s.out
		}
	}
}
