package engine

import (
	"fmt"
	"hash/maphash"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/weir-ai/weir/engine/model"
	"github.com/weir-ai/weir/engine/tensor"
	"github.com/weir-ai/weir/engine/weights"
	"github.com/weir-ai/weir/internal/testdata"
)

// testSeed is a fresh seed for tests over random cases, or the one in WEIR_SEED, to run a failure again. It is printed.
func testSeed(t testing.TB) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("WEIR_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("WEIR_SEED %q is not a number", text)
		}
	}
	t.Logf("run again with WEIR_SEED=%d", seed)
	return seed
}

// realModel says how a test makes a model: a file of the shared data, or random weights of a type, which are always there.
type realModel struct {
	file string // "" for random weights
	typ  tensor.Type
	act  tensor.Activations
	kv   model.KVType
}

func (r realModel) String() string {
	name := r.file
	if name == "" {
		name = "random " + r.typ.String()
	}
	return fmt.Sprintf("%s, activations %s, kv %s", name, r.act, r.kv)
}

// open gives the model's weights.
func (r realModel) open(t testing.TB) *weights.File {
	t.Helper()
	f, err := weights.Synthetic("tiny", r.typ, 5)
	if r.file != "" {
		f, err = weights.Open(testdata.Path(t, r.file))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// setting is how an engine is run; nothing in it may change an answer.
type setting struct {
	threads, blockSize int
	cfg                Config
}

// record is what came of a request: all that must be the same under every setting.
type record struct {
	tokens []int32
	finish Finish
	logits map[int]uint64 // position to a hash of its logits' bits
	probs  []Output       // with log-probabilities where they were asked for
	prompt []PromptLogprob
}

// logitHash hashes bits, so that a record does not keep every row.
func logitHash(seed maphash.Seed, row []float32) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, v := range row {
		bits := math.Float32bits(v)
		h.Write([]byte{byte(bits), byte(bits >> 8), byte(bits >> 16), byte(bits >> 24)})
	}
	return h.Sum64()
}

// arrivals says in which step each request comes; nil gives each the whole engine, one after another.
type arrivals []int

// run computes the requests in an engine of its own and returns their records. Readers lag at random.
func (st setting) run(t *testing.T, file *weights.File, r realModel, set tensor.Set, requests []Request, at arrivals, rng *rand.Rand, seed maphash.Seed) ([]record, Stats) {
	t.Helper()
	pool := tensor.NewPool(st.threads)
	defer pool.Close()
	m, err := model.Load(file, model.Options{Set: set, Pool: pool, Activations: r.act, KV: r.kv, BlockSize: st.blockSize, MaxContext: 128})
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(m, st.cfg)
	if err != nil {
		t.Fatal(err)
	}
	records, sequences := make([]record, len(requests)), make([]*Sequence, len(requests))
	owner := map[*Sequence]int{}
	e.capture = func(s *Sequence, pos int, logits []float32) {
		rec, h := &records[owner[s]], logitHash(seed, logits)
		if before, ok := rec.logits[pos]; ok && before != h {
			t.Errorf("request %d, position %d: computed twice with different bits", owner[s], pos)
		}
		rec.logits[pos] = h
	}
	read := func(i int) {
		for len(sequences[i].out) > 0 {
			o, err := sequences[i].Next(t.Context())
			if err != nil {
				t.Fatalf("request %d: %v", i, err)
			}
			records[i].tokens, records[i].finish = append(records[i].tokens, o.Token), o.Finish
			records[i].probs = append(records[i].probs, o)
		}
	}
	for step, came := 0, 0; came < len(requests) || e.Stats().Running+e.Stats().Waiting > 0; step++ {
		if step > 200_000 {
			t.Fatalf("no end: %+v", e.Stats())
		}
		for came < len(requests) && (at == nil && e.Stats().Running+e.Stats().Waiting == 0 || at != nil && at[came] <= step) {
			s, err := e.Submit(requests[came])
			if err != nil {
				t.Fatal(err)
			}
			sequences[came], owner[s], records[came].logits = s, came, map[int]uint64{}
			came++
		}
		if _, err := e.Step(); err != nil {
			t.Fatal(err)
		}
		for i := range came {
			if at == nil || rng.IntN(3) == 0 {
				read(i)
			}
		}
	}
	for i, s := range sequences {
		read(i)
		if records[i].prompt, err = s.Prompt(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.schedule.pool.Check(); err != nil {
		t.Error(err)
	}
	return records, e.Stats()
}

// compare reports the first difference of two records.
func (a record) compare(b record) error {
	if !slices.Equal(a.tokens, b.tokens) || a.finish != b.finish {
		return fmt.Errorf("answers %v (%s) and %v (%s)", a.tokens, a.finish, b.tokens, b.finish)
	}
	for pos, h := range a.logits {
		if other, ok := b.logits[pos]; ok && other != h {
			return fmt.Errorf("logits at position %d have other bits", pos)
		}
	}
	if len(a.logits) != len(b.logits) {
		return fmt.Errorf("logits of %d and %d positions", len(a.logits), len(b.logits))
	}
	for i := range a.probs {
		if x, y := a.probs[i], b.probs[i]; x.Logprob != y.Logprob || x.Rank != y.Rank || !slices.Equal(x.Top, y.Top) {
			return fmt.Errorf("log-probabilities of token %d: %+v and %+v", i, x, y)
		}
	}
	if !slices.EqualFunc(a.prompt, b.prompt, func(x, y PromptLogprob) bool {
		return x.Token == y.Token && x.Logprob == y.Logprob && x.Rank == y.Rank && slices.Equal(x.Top, y.Top)
	}) {
		return fmt.Errorf("log-probabilities of the prompt differ")
	}
	return nil
}

// realRequests makes n requests; many prompts share a beginning, some are equal.
func realRequests(rng *rand.Rand, n, vocab int) []Request {
	stems := make([][]int32, 3)
	for i := range stems {
		stems[i] = make([]int32, 80)
		for j := range stems[i] {
			stems[i][j] = int32(rng.IntN(vocab))
		}
	}
	var out []Request
	for range n {
		tokens := slices.Clone(stems[rng.IntN(len(stems))][:1+rng.IntN(80)])
		for range rng.IntN(3) {
			tokens = append(tokens, int32(rng.IntN(vocab)))
		}
		r := plainRequest(tokens, 1+rng.IntN(24))
		r.Salt = []string{"", "tenant"}[rng.IntN(2)]
		r.Logprobs = rng.IntN(4) - 1
		if rng.IntN(6) == 0 {
			r.PromptLogprobs = rng.IntN(3)
		}
		if rng.IntN(2) == 0 {
			r.Sampling = Sampling{Temperature: 0.5 + rng.Float32(), TopP: 0.5 + rng.Float32()/2, TopK: rng.IntN(50), Seed: rng.Uint64()}
		}
		if rng.IntN(4) == 0 {
			r.Sampling.Presence, r.Sampling.Repetition = rng.Float32(), 1+rng.Float32()/2
		}
		out = append(out, r)
	}
	return out
}

// randomSetting draws an engine and the steps in which n requests come. A tight one has them all at once and so few blocks that
// it must preempt.
func randomSetting(rng *rand.Rand, n int, tight bool) (setting, arrivals) {
	st := setting{threads: 1 + rng.IntN(2), blockSize: []int{1, 4, 5, 16, 32}[rng.IntN(5)]}
	needed := (128 + st.blockSize - 1) / st.blockSize // by the longest sequence
	st.cfg = Config{
		MaxSequences: 1 + rng.IntN(n), MaxWaiting: n, Blocks: needed + rng.IntN(4*needed),
		StepTokens: 1 + rng.IntN(200), MinPrefill: 1 + rng.IntN(64), TargetStep: time.Duration(1+rng.IntN(5)) * time.Millisecond,
		OutputBuffer: 1 + rng.IntN(8), MaxPaused: time.Hour, NoPrefixCache: rng.IntN(3) == 0,
	}
	at, spread := make(arrivals, n), []int{1, 20, 100}[rng.IntN(3)]
	if tight {
		st.blockSize, st.cfg.Blocks, st.cfg.MaxSequences, spread = 4, 32, n, 1
	}
	for i := range at {
		at[i] = rng.IntN(spread)
	}
	slices.Sort(at)
	return st, at
}

// testSets are the kernel sets that this machine can run; the race detector makes the plain Go ones too slow, and they share
// nothing that the others do not share.
func testSets(t testing.TB) (sets []tensor.Set) {
	t.Helper()
	for _, name := range []string{"go", "avx2", "avx512"} {
		if set, _, err := tensor.Detect(name); err == nil {
			sets = append(sets, set)
		}
	}
	if raceDetector {
		return sets[len(sets)-1:]
	}
	return sets
}

// TestInvariance is the engine's promise: a request's answer and every bit of its logits are the same alone, one token at a
// time, on one thread, without a prefix cache, and among 31 others in any chunks, blocks and threads, with prefixes found
// computed, preempted, its reader lagging.
func TestInvariance(t *testing.T) {
	t.Parallel()
	const requests, schedules = 32, 4
	seed, hashSeed := testSeed(t), maphash.MakeSeed()
	alone := setting{threads: 1, blockSize: 16, cfg: Config{MaxSequences: 1, StepTokens: 1, NoPrefixCache: true}}
	check := func(r realModel) {
		t.Run(r.String(), func(t *testing.T) {
			t.Parallel()
			file := r.open(t)
			spec, err := model.ReadSpec(file)
			if err != nil {
				t.Fatal(err)
			}
			var preempted, reused uint64
			for _, set := range testSets(t) {
				rng := rand.New(rand.NewPCG(seed, uint64(set)))
				reqs := realRequests(rng, requests, spec.Vocab)
				want, _ := alone.run(t, file, r, set, reqs, nil, nil, hashSeed)
				for n := range schedules {
					if set == tensor.Go && n > 1 {
						break // slow, and the schedules of the other sets are others
					}
					st, at := randomSetting(rng, requests, n == 0)
					got, stats := st.run(t, file, r, set, reqs, at, rng, hashSeed)
					preempted, reused = preempted+stats.Preempted, reused+stats.TokensReused
					for i := range got {
						if err := want[i].compare(got[i]); err != nil {
							t.Fatalf("%s, schedule %d (%+v): request %d alone and among %d others: %v", set, n, st, i, requests-1, err)
						}
					}
				}
			}
			t.Logf("%d preemptions, %d tokens found computed", preempted, reused)
			if reused == 0 || preempted == 0 {
				t.Errorf("%d preemptions and %d tokens found computed: the schedules do not test what they should", preempted, reused)
			}
		})
	}
	check(realModel{typ: tensor.Q8_0, act: tensor.ActInt8, kv: model.KVF16})
	check(realModel{typ: tensor.Q4_0, act: tensor.ActInt8, kv: model.KVInt8})
	check(realModel{typ: tensor.F16, kv: model.KVF32})
	check(realModel{file: "golden-hf/llama", kv: model.KVF32})
	check(realModel{file: "golden-hf/mistral", kv: model.KVF16})
	check(realModel{file: "golden-hf/gguf/qwen3-Q8_0.gguf", act: tensor.ActInt8, kv: model.KVInt8})
	check(realModel{file: "models/stories260K-Q4_0.gguf", act: tensor.ActInt8, kv: model.KVF16})
}
