package engine

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

// randomRequest makes a request whose prompt often shares its beginning with others.
func randomRequest(rng *rand.Rand, longest int) Request {
	n := 1 + rng.IntN(min(40, longest-1))
	tokens := slices.Clone(prompt(rng.IntN(3), n))
	for i := rng.IntN(n + 1); i < n && rng.IntN(3) == 0; i++ {
		tokens[i] = int32(rng.IntN(fakeVocab))
	}
	r := plainRequest(tokens, rng.IntN(20))
	r.Salt = fmt.Sprint(rng.IntN(2))
	r.MinTokens = rng.IntN(4)
	r.IgnoreEOS = rng.IntN(3) == 0
	r.Logprobs = rng.IntN(4) - 1
	if rng.IntN(5) == 0 {
		r.PromptLogprobs = rng.IntN(3)
	}
	if rng.IntN(2) == 0 {
		r.Sampling = Sampling{Temperature: rng.Float32() * 2, TopP: rng.Float32(), TopK: rng.IntN(30), MinP: rng.Float32() / 4, Seed: rng.Uint64()}
	}
	if rng.IntN(3) == 0 {
		r.Sampling.Presence, r.Sampling.Frequency, r.Sampling.Repetition = rng.Float32(), rng.Float32(), 0.5+rng.Float32()
		r.Sampling.Bias = map[int32]float32{3: 1, 5: -2}
	}
	return r
}

// TestAnswersDoNotDependOnTheSchedule runs random requests through random engines with few blocks, lagging readers and
// cancels, and compares each answer with its plain definition.
func TestAnswersDoNotDependOnTheSchedule(t *testing.T) {
	t.Parallel()
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 2))
		end := []int32{7, 8}
		b := newBench(t, Config{
			MaxSequences:  1 + rng.IntN(8),
			MaxWaiting:    1000,
			Blocks:        1 + rng.IntN(30),
			StepTokens:    1 + rng.IntN(40),
			MinPrefill:    1 + rng.IntN(8),
			OutputBuffer:  1 + rng.IntN(8),
			MaxPaused:     time.Hour,
			EndTokens:     end,
			NoPrefixCache: rng.IntN(5) == 0,
		})
		rows := 1 + rng.IntN(8)
		b.schedule.rows = rows
		b.fake.before = func(_ int, chunks []chunk) {
			for _, c := range chunks {
				if c.Want == allLogits && len(c.Tokens) > rows {
					t.Fatalf("seed %d: %d rows of one prompt, want at most %d", seed, len(c.Tokens), rows)
				}
			}
		}
		type client struct {
			s         *Sequence
			r         Request
			got       []int32
			finish    Finish
			err       error
			cancelled bool
		}
		var clients []*client
		longest := b.Context()
		read := func(c *client) {
			tokens, f, err := ready(c.s)
			c.got, c.err = append(c.got, tokens...), err
			if f != None {
				c.finish = f
			}
		}
		arrivals := 1 + rng.IntN(30)
		for round := 0; ; round++ {
			if round > 50_000 {
				t.Fatalf("seed %d: no end: %+v", seed, b.Stats())
			}
			for len(clients) < arrivals && rng.IntN(3) == 0 {
				r := randomRequest(rng, longest)
				clients = append(clients, &client{s: b.submit(r), r: r})
			}
			worked := b.stepOnce()
			for _, c := range clients {
				if rng.IntN(4) == 0 {
					read(c)
				}
				if rng.IntN(400) == 0 {
					c.s.Cancel()
					c.cancelled = true
				}
			}
			if !worked && len(clients) == arrivals && b.Stats().Running+b.Stats().Waiting == 0 {
				break
			}
		}
		for i, c := range clients {
			read(c)
			want, finish := expectedFake(c.r, longest, end)
			if c.cancelled && c.finish == None {
				if c.err != ErrCancelled || len(c.got) > len(want) || !slices.Equal(c.got, want[:len(c.got)]) {
					t.Fatalf("seed %d client %d: cancelled with %v: %v, want a beginning of %v", seed, i, c.err, c.got, want)
				}
				continue
			}
			if c.err != nil || c.finish != finish || !slices.Equal(c.got, want) {
				t.Fatalf("seed %d client %d: %v %v %v, want %v %v", seed, i, c.got, c.finish, c.err, want, finish)
			}
			if c.r.PromptLogprobs >= 0 {
				known, err := c.s.Prompt(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				checkPromptLogprobs(t, c.r, known)
			}
		}
		b.empty()
	}
}

// checkPromptLogprobs compares what was reported for the prompt of r with the plain definition.
func checkPromptLogprobs(t *testing.T, r Request, got []PromptLogprob) {
	t.Helper()
	if len(got) != len(r.Tokens) {
		t.Fatalf("%d prompt log-probabilities for %d tokens", len(got), len(r.Tokens))
	}
	var sc scratch
	for i := 1; i < len(got); i++ {
		want, err := promptLogprob(fakeAfter(r.Tokens[:i], fakeVocab), r.Tokens[i], r.PromptLogprobs, &sc)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got[i], want) {
			t.Fatalf("prompt token %d: %+v, want %+v", i, got[i], want)
		}
	}
}

func TestSeatsAreGivenInOrderOfArrival(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{MaxSequences: 2, StepTokens: 16, Blocks: 40})
	var clients []*Sequence
	for i := range 12 {
		clients = append(clients, b.submit(plainRequest(prompt(i, 1+(i*7)%20), 3)))
	}
	var order []uint64
	for b.stepOnce() {
		for _, s := range b.schedule.next.seated {
			order = append(order, s.serial)
		}
	}
	if len(order) != len(clients) || !slices.IsSorted(order) {
		t.Fatalf("seated in the order %v", order)
	}
	b.empty()
}

func TestDecodesComeFirstThenPromptsWithinTheBudget(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{StepTokens: 10, MinPrefill: 2, Blocks: 100, NoPrefixCache: true})
	for i := range 3 {
		b.submit(plainRequest(prompt(i, 3), 20))
	}
	b.stepOnce() // 3 + 3 + 3, and no token for more
	b.submit(plainRequest(prompt(8, 30), 5))
	b.submit(plainRequest(prompt(9, 2), 5))
	b.stepOnce()
	var shape []string
	for _, k := range b.schedule.next.picks {
		shape = append(shape, fmt.Sprintf("%d:%d", k.seq.serial, k.n))
	}
	if want := []string{"1:1", "2:1", "3:1", "4:7"}; !slices.Equal(shape, want) {
		t.Fatalf("the step computes %v, want %v", shape, want)
	}
	for range 3 {
		b.stepOnce()
	}
	if b.fake.largest != 10 {
		t.Fatalf("the largest step had %d tokens, want 10", b.fake.largest)
	}
}

func TestBudgetFollowsTheTargetButPromptsAlwaysMove(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{StepTokens: 64, MinPrefill: 3, Blocks: 100, NoPrefixCache: true})
	for i := range 4 {
		b.submit(plainRequest(prompt(i, 1), 50))
	}
	b.stepOnce()
	b.submit(plainRequest(prompt(9, 50), 5))
	b.takeIn()
	p := b.schedule.plan(time.Time{}, 1) // a machine so slow that one token takes the target
	if p.used != 4+3 || !p.full {
		t.Fatalf("planned %d tokens, full %t; want the 4 that decode and 3 of the prompt", p.used, p.full)
	}
}

func TestPreemptionTakesTheYoungestAndKeepsItsBlocksFindable(t *testing.T) {
	t.Parallel()
	// Three sequences of 16 tokens in the end, 4 blocks each, on 8 blocks.
	b := newBench(t, Config{Blocks: 16, StepTokens: 64})
	var taken []int32
	for range 8 { // make it tight: half of the blocks are gone
		id, _ := b.schedule.pool.Take()
		taken = append(taken, id)
	}
	b.kept = len(taken)
	var clients []*Sequence
	var requests []Request
	for i := range 3 {
		requests = append(requests, plainRequest(prompt(i, 5), 11))
		clients = append(clients, b.submit(requests[i]))
	}
	var victims []uint64
	for b.stepOnce() {
		for _, s := range b.schedule.waiting {
			if s.again && !slices.Contains(victims, s.serial) {
				victims = append(victims, s.serial)
			}
		}
	}
	if len(victims) == 0 || victims[0] != 3 || slices.Contains(victims, 1) {
		t.Fatalf("preempted %v; want the third first and never the first", victims)
	}
	if b.Stats().Preempted == 0 {
		t.Fatal("preemptions are not counted")
	}
	for i, s := range clients {
		got, f, err := ready(s)
		want, _ := expectedFake(requests[i], b.Context(), nil)
		if err != nil || f != Length || !slices.Equal(got, want) {
			t.Fatalf("client %d: %v %v %v, want %v", i, got, f, err, want)
		}
	}
	// 3 prompts of 5 and 3 x 10 tokens of answers; what came on top was computed again, at most the part of a block a
	// preemption.
	if again := b.fake.computed - 45; again > 8*int(b.Stats().Preempted) {
		t.Fatalf("%d tokens computed again after %d preemptions", again, b.Stats().Preempted)
	}
	b.schedule.pool.Release(taken)
	b.kept = 0
	b.settled()
	b.empty()
}

func TestEqualPrefixesAreComputedOnce(t *testing.T) {
	t.Parallel()
	for _, apart := range []int{0, 1, 3} { // steps between the arrivals
		b := newBench(t, Config{Blocks: 200, StepTokens: 6, MinPrefill: 1})
		shared := prompt(1, 32)
		var clients []*Sequence
		for i := range 8 {
			clients = append(clients, b.submit(plainRequest(append(slices.Clone(shared), prompt(10+i, 3)...), 2)))
			for range apart {
				b.stepOnce()
			}
		}
		b.settled()
		// The shared 32 once, 3 of its own for each, and one token of each answer (the last is never computed).
		if want := 32 + 8*3 + 8; b.fake.computed != want {
			t.Errorf("%d steps apart: computed %d tokens, want %d", apart, b.fake.computed, want)
		}
		for i, s := range clients {
			if cached, _ := s.Stats(); i > 0 && cached != 32 || i == 0 && cached != 0 {
				t.Errorf("client %d found %d tokens", i, cached)
			}
			if got, _, err := ready(s); len(got) != 2 || err != nil {
				t.Errorf("client %d: %v %v", i, got, err)
			}
		}
		b.empty()
	}
}

func TestWholePromptCachedStillComputesItsLastToken(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{Blocks: 100})
	r := plainRequest(prompt(1, 16), 3)
	first := b.submit(r)
	b.settled()
	before := b.fake.computed
	second := b.submit(r)
	b.settled()
	if got := b.fake.computed - before; got != 4+2 { // the last block of the prompt, and two tokens of the answer
		t.Errorf("computed %d tokens for a known prompt, want 6", got)
	}
	a, _, _ := ready(first)
	c, _, _ := ready(second)
	if cached, _ := second.Stats(); cached != 12 || !slices.Equal(a, c) {
		t.Errorf("found %d tokens, answers %v and %v", cached, a, c)
	}
}

func TestSaltsShareNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{Blocks: 100})
	for _, salt := range []string{"a", "b", ""} {
		r := plainRequest(prompt(1, 16), 1)
		r.Salt = salt
		s := b.submit(r)
		b.settled()
		if cached, _ := s.Stats(); cached != 0 {
			t.Errorf("salt %q found %d tokens of another", salt, cached)
		}
	}
	if want := 3 * 16; b.fake.computed != want {
		t.Errorf("computed %d tokens, want %d", b.fake.computed, want)
	}
}

func TestAFollowerGoesOnWhenTheOneItWaitsForIsCancelled(t *testing.T) {
	t.Parallel()
	for steps := range 8 {
		b := newBench(t, Config{Blocks: 100, StepTokens: 4, MinPrefill: 1})
		r := plainRequest(prompt(1, 24), 3)
		leader, follower, third := b.submit(r), b.submit(r), b.submit(r)
		for range steps {
			b.stepOnce()
		}
		leader.Cancel()
		b.stepOnce()
		follower.Cancel()
		b.settled()
		want, _ := expectedFake(r, b.Context(), nil)
		if got, f, err := ready(third); f != Length || err != nil || !slices.Equal(got, want) {
			t.Fatalf("after %d steps: %v %v %v", steps, got, f, err)
		}
		b.empty()
	}
}

func TestCancelFreesEverythingWithinAStep(t *testing.T) {
	t.Parallel()
	for steps := range 25 { // waiting, in its prompt, decoding, ended
		b := newBench(t, Config{Blocks: 100, StepTokens: 3, MinPrefill: 1, MaxSequences: 1})
		running, queued := b.submit(plainRequest(prompt(1, 30), 9)), b.submit(plainRequest(prompt(2, 30), 9))
		for range steps {
			b.stepOnce()
		}
		running.Cancel()
		queued.Cancel()
		queued.Cancel() // twice is once
		b.stepOnce()
		b.empty()
		if _, f, err := ready(running); err != ErrCancelled && f != Length {
			t.Fatalf("after %d steps: %v %v", steps, f, err)
		}
		if _, _, err := ready(queued); err != ErrCancelled {
			t.Fatalf("after %d steps the queued one: %v", steps, err)
		}
	}
}

// pair is a schedule with two running sequences of the same 12 tokens, the elder first, of which nothing is computed.
func pair(t *testing.T) (q *schedule, elder, younger *Sequence) {
	b := newBench(t, Config{Blocks: 100})
	for range 2 {
		b.submit(plainRequest(prompt(1, 12), 3))
	}
	b.takeIn()
	q = &b.schedule
	elder, younger = q.waiting[0], q.waiting[1]
	for _, s := range []*Sequence{elder, younger} {
		q.waiting, q.running, s.stage = q.waiting[1:], append(q.running, s), running
	}
	return q, elder, younger
}

func TestOnlyTheYoungerWaits(t *testing.T) {
	t.Parallel()
	q, elder, younger := pair(t)
	if q.beingComputed(elder) || !q.beingComputed(younger) {
		t.Error("of two that need the same block not just the younger waits")
	}
	elder.full = true
	if q.beingComputed(younger) {
		t.Error("it waits for a paused one")
	}
	elder.full = false
	// The elder has computed its first block, and it is not to be found (another's copy was sealed first, and is gone).
	elder.blocks, elder.computed = []int32{0}, fakeBlock
	if q.beingComputed(younger) {
		t.Error("it waits for what is computed already")
	}
	younger.promptLogprobs, younger.prompted = 0, 1
	elder.blocks, elder.computed = nil, 0
	if q.beingComputed(younger) {
		t.Error("it waits although it needs the logits of its whole prompt")
	}
}

// TestAPromptTakesTheBlocksOfOneThatWasToDecode has an elder sequence that reads its prompt slowly (it wants its
// log-probabilities) beside a younger one whose answer eats up the blocks that the elder will need: in the end the elder
// takes them from it in a step in which the younger has a token planned already.
func TestAPromptTakesTheBlocksOfOneThatWasToDecode(t *testing.T) {
	t.Parallel()
	b := newBench(t, Config{Blocks: 14, StepTokens: 8})
	b.schedule.rows = 2
	elder := plainRequest(prompt(1, 40), 3)
	elder.PromptLogprobs = 0
	requests := []Request{elder, plainRequest(prompt(2, 2), 30)}
	clients := []*Sequence{b.submit(requests[0]), b.submit(requests[1])}
	seen := false
	for b.stepOnce() {
		p := &b.schedule.next
		seen = seen || p.preempted > 0 && len(p.picks) == 1 && p.picks[0].seq == clients[0] && p.picks[0].n > 1
	}
	if !seen {
		t.Error("no prompt has taken blocks in any step")
	}
	for i, s := range clients {
		want, _ := expectedFake(requests[i], b.Context(), nil)
		if got, f, err := ready(s); f != Length || err != nil || !slices.Equal(got, want) {
			t.Errorf("client %d: %v %v %v", i, got, f, err)
		}
	}
	b.empty()
}
