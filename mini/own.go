package mini

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/weir-ai/weir/engine/token"
	"github.com/weir-ai/weir/engine/train"
	"github.com/weir-ai/weir/llm"
)

// A model of one's own takes this way: ReadConversations; NewOwnTrainer, whose trainer is run and exported as the built-in
// model's; then Fit, Held, Questions and Examples tell how good it is at what it was not shown.

// OwnHeldOneIn is the share of a person's own conversations that is kept out of training: one in twenty. One in ten, as of the
// built-in corpus, would take too much from a small file; one in a hundred would leave nothing to ask in most.
const OwnHeldOneIn = 20

const (
	// ownSalt makes the rule of what is held out independent of the built-in corpus's.
	ownSalt = "weir-own/1"

	// ownHeldLeast is the number of conversations from which on some are held out: below it one may well be a skill's only one.
	ownHeldLeast = 20

	// ownHeldMost bounds what is held out to one in so many. One in twenty by the hash of the first message comes near it only
	// where many conversations begin with the same words; then the rule would take most of the training away.
	ownHeldMost = 4

	// ownPasses over the conversations are what a run takes unless told. Fewer let a large file end before each of its skills came
	// often; more cost time in proportion. It is a guess between the two that no series of trials has settled.
	ownPasses = 20

	// ownStepsLeast is the shortest run, a few minutes of one core with nano, since 20 passes over few conversations are few steps.
	// In one trial (nano, seed 1, 800 conversations that turn an order into four fields) 500 steps left a held-out loss of 0.56,
	// while a run of 1,500 answered all 45 held-out questions; more would only make a first try wait.
	ownStepsLeast = 1500

	// ownVocabularyBytes bounds the text that the vocabulary is counted from, as vocabularyExamples bounds the number of its
	// conversations: the ranks of the pairs have long settled by then, and more would only take memory and minutes.
	ownVocabularyBytes = 32 << 20

	ownTask   = "own"    // the task of the questions, for reports
	ownSystem = "system" // the task of what stands for a system message in a question, see Questions

	ownOrder = 0x0371 // the stream of the orders, apart from those of the built-in corpus
)

// Conversations are what a person's own generator printed. They do not change.
type Conversations struct {
	name string
	hash string
	list []talk
}

// talk is one conversation. Texts are as the chat template writes them.
type talk struct {
	line   int    // where it stands in its file
	system string // empty where there is none
	turns  []turn // at least one
}

// turn is a user's message and the assistant's answer.
type turn struct {
	user, assistant string
	counts          bool // the answer is in the loss
}

// Len is the number of conversations.
func (c *Conversations) Len() int { return len(c.list) }

// Hash is the SHA-256, in hexadecimal, of the bytes that were read.
func (c *Conversations) Hash() string { return c.hash }

// Held gives the conversations that are kept out of training: those whose first user message has an FNV-1a hash (64 bits, of a
// salt, a slash and the message) that is a multiple of oneIn, so that equal questions are all taught or all held out. Nothing is
// held out of fewer than 20 conversations, nor where the rule would take more than a quarter of them.
func (c *Conversations) Held(oneIn int) *Conversations {
	held, _ := c.split(oneIn)
	return held
}

func (c *Conversations) split(oneIn int) (held, taught *Conversations) {
	part := func(list []talk) *Conversations { return &Conversations{name: c.name, hash: c.hash, list: list} }
	if oneIn < 1 || len(c.list) < ownHeldLeast {
		return part(nil), part(c.list)
	}
	var out, in []talk
	for _, t := range c.list {
		if ownHeldOut(t, oneIn) {
			out = append(out, t)
		} else {
			in = append(in, t)
		}
	}
	if len(out) > len(c.list)/ownHeldMost {
		return part(nil), part(c.list)
	}
	return part(out), part(in)
}

func ownHeldOut(t talk, oneIn int) bool {
	h := fnv.New64a()
	h.Write([]byte(ownSalt + "/" + t.turns[0].user))
	return h.Sum64()%uint64(oneIn) == 0
}

// Fit gives the conversations as a model with a context of so many tokens can take them: longer ones lose whole turns at their
// end, and cut counts those that did. A conversation of which nothing is left that could be learnt is an error that names its line.
func (c *Conversations) Fit(tok *token.Tokenizer, context int) (fitted *Conversations, cut int, err error) {
	e, err := newEncoder(tok)
	if err != nil {
		return nil, 0, err
	}
	fitted = &Conversations{name: c.name, hash: c.hash, list: slices.Clone(c.list)}
	faults := &ownFaults{name: c.name}
	for i, t := range c.list {
		fits, tokens := e.fitting(t, context)
		switch {
		case fits == 0:
			faults.add(t.line, "messages up to the first answer have %d tokens; the model's context holds %d, so make them shorter", tokens, context)
		case !slices.ContainsFunc(t.turns[:fits], func(t turn) bool { return t.counts }):
			faults.add(t.line, "messages has its first answer that is not of weight 0 behind the %d tokens that the model's context holds; make those before it shorter", context)
		case fits < len(t.turns):
			cut++
			fitted.list[i].turns = t.turns[:fits:fits]
		}
		if faults.full() {
			break
		}
	}
	if err := faults.err(); err != nil {
		return nil, 0, err
	}
	return fitted, cut, nil
}

// fitting is the number of turns, from the first, that a context holds, and the tokens up to the one where the count ended.
func (e *encoder) fitting(t talk, context int) (turns, tokens int) {
	// A token is at least a byte and a mark is one token, so short texts need not be encoded to be known to fit.
	most := len(t.system) + 2
	for _, u := range t.turns {
		most += len(u.user) + len(u.assistant) + 4
	}
	if most <= context {
		return len(t.turns), most
	}
	for i := range t.turns {
		more, _ := e.turn(t, i)
		if tokens += len(more); tokens > context {
			return i, tokens
		}
	}
	return len(t.turns), tokens
}

// turn gives the tokens of one turn, the first with the system message before it, and where the loss counts.
func (e *encoder) turn(t talk, i int) (tokens []token.ID, loss []bool) {
	system := ""
	if i == 0 {
		system = t.system
	}
	tokens, loss = e.conversation(system, []Question{{Text: t.turns[i].user, Answer: t.turns[i].assistant}})
	if !t.turns[i].counts {
		clear(loss)
	}
	return tokens, loss
}

func (e *encoder) talk(t talk) train.Example {
	var x train.Example
	for i := range t.turns {
		tokens, loss := e.turn(t, i)
		x.Tokens, x.Loss = append(x.Tokens, tokens...), append(x.Loss, loss...)
	}
	return x
}

// Examples gives the conversations as training would see them, so that the loss on those held out can be told: Trainer.Loss of
// the Examples of what Fit and Held leave.
func (c *Conversations) Examples(tok *token.Tokenizer) ([]train.Example, error) {
	e, err := newEncoder(tok)
	if err != nil {
		return nil, err
	}
	examples := make([]train.Example, len(c.list))
	for i, t := range c.list {
		examples[i] = e.talk(t)
	}
	return examples, nil
}

// Questions gives every turn whose answer counts, with the turns before it, for EvalQuestions; of equal questions the first. A
// system message is the first entry of Before, the only one without an answer: read conversations have none that is empty.
func (c *Conversations) Questions() []Question {
	var questions []Question
	seen := map[string]bool{}
	for _, t := range c.list {
		var before []Question
		if t.system != "" {
			before = append(before, Question{Task: ownSystem, Text: t.system})
		}
		for _, u := range t.turns {
			q := Question{Task: ownTask, Text: u.user, Answer: u.assistant, Key: t.turns[0].user}
			asked := q
			asked.Before = slices.Clip(before)
			if u.counts && !seen[asked.said()] {
				seen[asked.said()] = true
				questions = append(questions, asked)
			}
			before = append(before, q)
		}
	}
	return questions
}

// EvalQuestions is Eval of questions of one's own, as Conversations.Questions gives them. Of the options it reads Concurrency and
// Progress; an answer may have as many tokens as the model's context leaves.
func EvalQuestions(ctx context.Context, runner llm.Runner, model string, questions []Question, o EvalOptions) (Report, error) {
	started := time.Now()
	answers, err := askAll(ctx, ownRunner{runner}, llm.ModelID(model), questions, o)
	if err != nil {
		return Report{}, err
	}
	r := score(questions, answers)
	r.Model, r.Seed, r.Elapsed = model, o.Seed, time.Since(started)
	return r, nil
}

// ownRunner asks a person's own questions as they were taught: with their system message, and without the bound on an answer that
// suits the built-in tasks, which would fail the long ones and refuse those near the end of the context.
type ownRunner struct{ runner llm.Runner }

// Run implements llm.Runner.
func (r ownRunner) Run(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
	asked := *req
	asked.Limits.MaxTokens = 0
	if m := req.Messages; len(m) > 2 && m[1].Text() == "" { // see Questions
		asked.Messages = append([]llm.Message{llm.TextMessage(llm.RoleSystem, m[0].Text())}, m[2:]...)
	}
	return r.runner.Run(ctx, &asked, emit)
}

// tokenizer trains a vocabulary from the conversations as Tokenizer does from the corpus. Its size is the same, or less where the
// texts hold no pair of symbols twice any more.
func (c *Conversations) tokenizer() (*token.Tokenizer, error) {
	return token.TrainBPE(c.texts(vocabularyExamples, ownVocabularyBytes),
		token.TrainOptions{VocabSize: vocabularySize, Special: specials(), Pre: "qwen2", BOS: markEnd, EOS: markEnd})
}

// texts are those of conversations from all over the file, about as many as the two bounds allow.
func (c *Conversations) texts(conversations, bytes int) iter.Seq[string] {
	size := 0
	for _, t := range c.list {
		size += len(t.system)
		for _, u := range t.turns {
			size += len(u.user) + len(u.assistant)
		}
	}
	stride := max(1, (len(c.list)+conversations-1)/conversations, (size+bytes-1)/bytes)
	return func(yield func(string) bool) {
		for i := 0; i < len(c.list); i += stride {
			t := c.list[i]
			if t.system != "" && !yield(t.system) {
				return
			}
			for _, u := range t.turns {
				if !yield(u.user) || !yield(u.assistant) {
					return
				}
			}
		}
	}
}

// ownSource feeds conversations to a trainer: all of them in an order drawn anew for each pass. The order of a pass depends on the
// seed and the pass alone, so that a run that was stopped goes on with what it would have seen; the trainer's own generator is
// left aside, because the order must not change with Go's.
type ownSource struct {
	encoder *encoder
	list    []talk
	seed    uint64
	pass    uint64
	order   []int // (len(list)): the places of pass; nil before the first
}

// Next implements train.Source.
func (s *ownSource) Next(step int, _ *rand.Rand) []train.Example {
	n := uint64(len(s.list))
	examples := make([]train.Example, examplesPerStep)
	for i := range examples {
		index := uint64(step)*examplesPerStep + uint64(i)
		examples[i] = s.encoder.talk(s.list[s.orderOf(index / n)[index%n]])
	}
	return examples
}

// orderOf gives the order of a pass. Only the last one asked for is kept: steps come one after another.
func (s *ownSource) orderOf(pass uint64) []int {
	if s.order == nil || s.pass != pass {
		places := make([]int, len(s.list))
		for i := range places {
			places[i] = i
		}
		s.pass, s.order = pass, shuffled(newDice(s.seed^mix(ownOrder), pass), places, len(places))
	}
	return s.order
}

// NewOwnTrainer is NewTrainer for a person's own conversations: a preset's shape with a vocabulary of their words, trained on those
// that are not held out (Held of OwnHeldOneIn). o.Steps 0 means 20 passes over them, but at least 500 steps and at most the
// preset's. Conversations that do not fit into the context are cut; Fit tells how many, and the same errors as here.
func NewOwnTrainer(o TrainOptions, c *Conversations) (*train.Trainer, *token.Tokenizer, error) {
	preset, err := PresetOf(o.Preset)
	if err != nil {
		return nil, nil, err
	}
	return newOwnTrainer(o, c, preset)
}

func newOwnTrainer(o TrainOptions, c *Conversations, preset Preset) (*train.Trainer, *token.Tokenizer, error) {
	if c.Len() == 0 {
		return nil, nil, errors.New("there are no conversations to train on; read some with ReadConversations")
	}
	if o.Seed == 0 {
		o.Seed = publishedSeed
	}
	shape := preset.shape
	src, err := c.source(shape.Context, o.Seed)
	if err != nil {
		return nil, nil, err
	}
	tok := src.encoder.tok
	shape.Vocab = tok.Size()
	if o.Steps == 0 {
		o.Steps = ownSteps(len(src.list), preset.steps)
	}
	t, err := train.Resume(train.Config{Shape: shape, Steps: o.Steps, Seed: o.Seed, Data: "own " + c.hash, Threads: o.Threads, Dir: o.Dir, SaveEvery: o.SaveEvery}, src)
	return t, tok, err
}

// source makes a vocabulary and feeds a trainer, both from what is not held out. What does not fit is an error for those held out,
// too: they are asked in the end.
func (c *Conversations) source(context int, seed uint64) (*ownSource, error) {
	_, taught := c.split(OwnHeldOneIn)
	tok, err := taught.tokenizer()
	if err != nil {
		return nil, fmt.Errorf("training the tokenizer: %w", err)
	}
	fitted, _, err := c.Fit(tok, context)
	if err != nil {
		return nil, err
	}
	e, err := newEncoder(tok)
	if err != nil {
		return nil, err
	}
	_, taught = fitted.split(OwnHeldOneIn)
	return &ownSource{encoder: e, list: taught.list, seed: seed}, nil
}

// ownSteps is the length of a run over so many conversations; most is the preset's, so that nobody waits longer than for the
// built-in model without having asked for it.
func ownSteps(conversations, most int) int {
	return min(most, max(ownStepsLeast, (ownPasses*conversations+examplesPerStep-1)/examplesPerStep))
}
