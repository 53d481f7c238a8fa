package mini

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/weir-ai/weir/backend/local"
	"github.com/weir-ai/weir/engine/jinja"
	"github.com/weir-ai/weir/engine/tensor"
	"github.com/weir-ai/weir/engine/token"
	"github.com/weir-ai/weir/engine/train"
	"github.com/weir-ai/weir/llm"
)

func TestHeldIsATwentiethOfTheQuestions(t *testing.T) {
	t.Parallel()
	const n = 4000
	c := conversationsOf(t, pings(n)+pings(n))
	held, taught := c.split(OwnHeldOneIn)
	if held.Len() < 2*n/30 || held.Len() > 2*n/13 || held.Len()+taught.Len() != 2*n {
		t.Errorf("%d are held out and %d taught", held.Len(), taught.Len())
	}
	kept := map[string]int{}
	for _, x := range held.list {
		kept[x.turns[0].user]++
	}
	for user, times := range kept {
		if times != 2 {
			t.Errorf("%q is held out %d times of two", user, times)
		}
	}
	for _, x := range taught.list {
		if kept[x.turns[0].user] > 0 {
			t.Fatalf("%q is taught and held out", x.turns[0].user)
		}
	}
	if again := c.Held(OwnHeldOneIn); !reflect.DeepEqual(again, held) {
		t.Error("the rule is not fixed")
	}
	if got := c.Held(0).Len(); got != 0 {
		t.Errorf("one in 0 holds %d out", got)
	}
	if got := len(held.Questions()); got != held.Len()/2 {
		t.Errorf("%d questions of %d conversations that are there twice", got, held.Len())
	}
}

// Neither the examples nor the vocabulary may come from what is asked in the end.
func TestOwnTrainingNeverShowsHeldOut(t *testing.T) {
	t.Parallel()
	const n = 400
	text := pings(n)
	held := conversationsOf(t, text).Held(OwnHeldOneIn)
	const odd = "zyx" // stands in the held-out answers only, often enough to be worth a token
	for _, x := range held.list {
		text = strings.Replace(text, fmt.Sprintf(`"pong %d"`, x.line-1), `"`+strings.Repeat(odd+" ", 20)+`"`, 1)
	}
	c := conversationsOf(t, text)
	if got := c.Held(OwnHeldOneIn).Len(); got != held.Len() || got == 0 {
		t.Fatalf("%d are held out, want %d", got, held.Len())
	}
	src, err := c.source(contextLength, 5)
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for step := range 2 * n / examplesPerStep { // two passes
		for _, x := range src.Next(step, nil) {
			shown[src.encoder.tok.Decode(x.Tokens, false)] = true
		}
	}
	if len(shown) != n-held.Len() {
		t.Errorf("%d conversations are shown, want %d", len(shown), n-held.Len())
	}
	for x := range shown {
		if strings.Contains(x, odd) {
			t.Errorf("training shows %q, which is held out", x)
		}
	}
	for id := range token.ID(src.encoder.tok.Size()) {
		if strings.Contains(src.encoder.tok.Text(id), odd[:2]) {
			t.Errorf("the vocabulary has %q of the held-out answers", src.encoder.tok.Text(id))
		}
	}
}

func TestHeldLeavesEnoughToLearn(t *testing.T) {
	t.Parallel()
	var out, in []string // lines on both sides of the rule
	lines := strings.SplitAfter(pings(1000), "\n")
	for i, x := range conversationsOf(t, pings(1000)).list {
		if ownHeldOut(x, OwnHeldOneIn) {
			out = append(out, lines[i])
		} else {
			in = append(in, lines[i])
		}
	}
	check := func(held, taught, want int) {
		t.Helper()
		if got := conversationsOf(t, strings.Join(out[:held], "")+strings.Join(in[:taught], "")).Held(OwnHeldOneIn).Len(); got != want {
			t.Errorf("of %d and %d conversations %d are held out, want %d", held, taught, got, want)
		}
	}
	check(1, ownHeldLeast-2, 0) // too few
	check(1, ownHeldLeast-1, 1)
	check(5, 15, 5) // a quarter
	check(6, 15, 0) // more
}

func TestOwnSourceShowsEachConversationOnceAPass(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 7, 32, 100} {
		src := ownSourceOf(t, pings(n), 5)
		var seen []string
		const steps = 40
		for step := range steps {
			for _, x := range src.Next(step, nil) {
				seen = append(seen, src.encoder.tok.Decode(x.Tokens, false))
			}
		}
		if len(seen) != steps*examplesPerStep {
			t.Fatalf("%d examples in %d steps", len(seen), steps)
		}
		var last []string
		for pass := 0; (pass+1)*n <= len(seen); pass++ {
			now := seen[pass*n : (pass+1)*n]
			if sorted := slices.Sorted(slices.Values(now)); len(slices.Compact(sorted)) != n {
				t.Fatalf("pass %d over %d conversations shows %d of them", pass, n, len(sorted))
			}
			if n > 20 && slices.Equal(now, last) {
				t.Fatalf("pass %d has the order of the one before", pass)
			}
			last = now
		}
	}
}

// A run that goes on asks a new source for a step in the middle, and the trainer never asks for one step twice.
func TestOwnSourceFollowsFromSeedAndStep(t *testing.T) {
	t.Parallel()
	text := pings(70)
	whole := ownSourceOf(t, text, 5)
	other := ownSourceOf(t, text, 6)
	for step := range 12 {
		want := whole.Next(step, nil)
		if got := ownSourceOf(t, text, 5).Next(step, nil); !reflect.DeepEqual(got, want) {
			t.Errorf("step %d differs when it is the first", step)
		}
		if reflect.DeepEqual(other.Next(step, nil), want) {
			t.Errorf("step %d is the same with another seed", step)
		}
	}
}

func ownSourceOf(t *testing.T, text string, seed uint64) *ownSource {
	t.Helper()
	c := conversationsOf(t, text)
	e, err := newEncoder(tokenizerOf(t, c))
	if err != nil {
		t.Fatal(err)
	}
	return &ownSource{encoder: e, list: c.list, seed: seed}
}

func tokenizerOf(t *testing.T, c *Conversations) *token.Tokenizer {
	t.Helper()
	tok, err := c.tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestFitCutsAtWholeTurns(t *testing.T) {
	t.Parallel()
	const first = `{"role":"system","content":"s"},{"role":"user","content":"q 1"},{"role":"assistant","content":"a 1"}`
	const second = `{"role":"user","content":"q 2"},{"role":"assistant","content":"a 2"}`
	c := conversationsOf(t, `{"messages":[`+first+`]}`+"\n"+`{"messages":[`+first+`,`+second+`]}`)
	tok := tokenizerOf(t, c)
	examples, err := c.Examples(tok)
	if err != nil {
		t.Fatal(err)
	}
	short, long := len(examples[0].Tokens), len(examples[1].Tokens)
	check := func(context, cut int, turns ...int) {
		t.Helper()
		fitted, got, err := c.Fit(tok, context)
		if err != nil || got != cut {
			t.Fatalf("a context of %d cuts %d, want %d; error %v", context, got, cut, err)
		}
		for i, want := range turns {
			if n := len(fitted.list[i].turns); n != want {
				t.Errorf("a context of %d leaves %d turns of conversation %d, want %d", context, n, i, want)
			}
		}
		if x, _ := fitted.Examples(tok); len(x[1].Tokens) > context {
			t.Errorf("%d tokens in a context of %d", len(x[1].Tokens), context)
		}
	}
	check(10*long, 0, 1, 2) // known without encoding
	check(long, 0, 1, 2)
	check(long-1, 1, 1, 1)
	check(short, 1, 1, 1)
	if len(c.list[1].turns) != 2 {
		t.Error("Fit changed the conversations")
	}
	_, _, err = c.Fit(tok, short-1)
	for _, words := range []string{"talk.jsonl, line 1: ", "talk.jsonl, line 2: ", fmt.Sprintf("have %d tokens", short), fmt.Sprintf("holds %d", short-1), "make them shorter"} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("a first turn that is too long: %v; want %q", err, words)
		}
	}
	silent := conversationsOf(t, `{"messages":[`+strings.Replace(first, `"a 1"`, `"a 1","weight":0`, 1)+`,`+second+`]}`)
	if _, _, err := silent.Fit(tok, long-1); err == nil || !strings.Contains(err.Error(), "line 1: messages has its first answer that is not of weight 0 behind") {
		t.Errorf("nothing is left that counts: %v", err)
	}
	if _, cut, err := silent.Fit(tok, long); cut != 0 || err != nil {
		t.Errorf("%d cut, %v", cut, err)
	}
}

// What the first turn of one conversation does to a context is told before anything is trained, for those held out, too.
func TestNewOwnTrainerRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("7", contextLength) // a digit is always a token of its own
	text := pings(30) + strings.Replace(pings(1), "pong 0", many, 1)
	_, _, err := NewOwnTrainer(TrainOptions{Preset: "nano", Threads: 1}, conversationsOf(t, text))
	if err == nil || !strings.Contains(err.Error(), "line 31: messages up to the first answer have 5") {
		t.Errorf("got %v", err)
	}
	if _, _, err := NewOwnTrainer(TrainOptions{Preset: "huge"}, conversationsOf(t, text)); err == nil || !strings.Contains(err.Error(), `"huge"`) {
		t.Errorf("an unknown preset: %v", err)
	}
}

// The tokens of training are those of a prompt that the chat template makes of the line itself.
func TestOwnExamplesAreWhatTheTemplateWrites(t *testing.T) {
	t.Parallel()
	lines := []string{
		`{"messages":[{"role":"developer","content":[{"type":"text","text":" Be "},{"type":"text","text":"brief.\u001c"}]},{"role":"user","content":"\u00a0one  two\n"},{"role":"assistant","content":" 3\n"}]}`,
		`{"messages":[{"role":"user","content":"a<|b"},{"role":"assistant","content":"<|end|","weight":0},{"role":"user","content":"ü 42"},{"role":"assistant","content":"\tc\nd"}]}`,
	}
	c := conversationsOf(t, strings.Join(lines, "\n"))
	tok := tokenizerOf(t, c)
	template, err := jinja.Parse("chat_template", chatTemplate)
	if err != nil {
		t.Fatal(err)
	}
	examples, err := c.Examples(tok)
	if err != nil {
		t.Fatal(err)
	}
	counted := []string{"3<|end|>", "c\nd<|end|>"}
	for i, line := range lines {
		var read struct{ Messages []json.RawMessage }
		if err := json.Unmarshal([]byte(line), &read); err != nil {
			t.Fatal(err)
		}
		text, err := template.Chat(jinja.Chat{Messages: read.Messages})
		if err != nil {
			t.Fatal(err)
		}
		x := examples[i]
		if want := tok.Encode(text, false, true); !slices.Equal(x.Tokens, want) {
			t.Errorf("trained on %q, the template writes %q", tok.Decode(x.Tokens, false), text)
		}
		var loss []token.ID
		for at, id := range x.Tokens {
			if x.Loss[at] {
				loss = append(loss, id)
			}
		}
		if got := tok.Decode(loss, false); got != counted[i] {
			t.Errorf("the loss counts %q, want %q", got, counted[i])
		}
	}
}

func TestOwnVocabularyIsNoLargerThanItsText(t *testing.T) {
	t.Parallel()
	small := tokenizerOf(t, conversationsOf(t, pings(1)))
	if small.Size() < 260 || small.Size() > 270 { // 256 bytes, 4 marks, and what "ing" or "ong" give
		t.Errorf("one short conversation gives %d tokens", small.Size())
	}
	var b strings.Builder
	for i := range 3000 {
		word := strings.Map(func(r rune) rune { return r - '0' + 'a' }, fmt.Sprint(7919*i))
		b.WriteString(strings.NewReplacer("ping 0", word, "pong 0", word+" "+word).Replace(pings(1)))
	}
	large := tokenizerOf(t, conversationsOf(t, b.String()))
	if large.Size() != vocabularySize {
		t.Errorf("many words give %d tokens", large.Size())
	}
	for id := range token.ID(small.Size()) {
		if s := small.Text(id); len(s) > 1 && strings.ContainsAny(s, "0123456789") {
			t.Errorf("token %d is %q: a digit merged", id, s)
		}
	}
}

func TestOwnVocabularyTextsAreBounded(t *testing.T) {
	t.Parallel()
	c := conversationsOf(t, pings(10)) // 12 bytes each
	count := func(conversations, bytes int) (n int) {
		for range c.texts(conversations, bytes) {
			n++
		}
		return n / 2
	}
	for _, x := range [][3]int{{10, 120, 10}, {9, 120, 5}, {10, 119, 5}, {5, 120, 5}, {4, 120, 4}, {10, 1, 1}} {
		if got := count(x[0], x[1]); got != x[2] {
			t.Errorf("bounds %d and %d bytes leave %d conversations, want %d", x[0], x[1], got, x[2])
		}
	}
}

func TestOwnStepsFollowFromTheData(t *testing.T) {
	t.Parallel()
	for _, x := range [][3]int{{1, 24_000, 1500}, {2400, 24_000, 1500}, {2401, 24_000, 1501}, {10_000, 24_000, 6250}, {38_400, 24_000, 24_000}, {38_401, 24_000, 24_000}, {1, 300, 300}} {
		if got := ownSteps(x[0], x[1]); got != x[2] {
			t.Errorf("%d conversations take %d of %d steps, want %d", x[0], got, x[1], x[2])
		}
	}
}

// tinyPreset learns a trivial task in a second.
func tinyPreset() Preset {
	return Preset{Name: "tiny", Model: "tiny", steps: 160,
		shape: train.Shape{Dim: 64, Layers: 2, Heads: 4, KVHeads: 4, Hidden: 64, Context: 64, RopeTheta: 10_000, Eps: 1e-5, Tied: true}}
}

func TestACheckpointBelongsToItsConversations(t *testing.T) {
	t.Parallel()
	o := TrainOptions{Steps: 1, Threads: 1, Dir: t.TempDir()}
	text := pings(3)
	begun, _, err := newOwnTrainer(o, conversationsOf(t, text), tinyPreset())
	if err != nil {
		t.Fatal(err)
	}
	if err := begun.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	again, _, err := newOwnTrainer(o, conversationsOf(t, text), tinyPreset())
	if err != nil || again.Step() != 1 {
		t.Errorf("the same conversations go on from step %d, error %v", again.Step(), err)
	}
	other := conversationsOf(t, strings.Replace(text, `"pong 2"`, `"pong 1"`, 1))
	if _, _, err := newOwnTrainer(o, other, tinyPreset()); err == nil || !strings.Contains(err.Error(), "data own "+conversationsOf(t, text).Hash()) {
		t.Errorf("other conversations: %v", err)
	}
}

func TestAnOwnModelAnswersAsItWasTaught(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 30 { // the last have a system message
		system := ""
		if i >= 25 {
			system = `{"role":"system","content":"s"},`
		}
		fmt.Fprintf(&b, `{"messages":[%s{"role":"user","content":"ping %d"},{"role":"assistant","content":"pong %d"}]}`+"\n", system, i%5, i%5)
	}
	c := conversationsOf(t, b.String())
	trainer, tok, err := newOwnTrainer(TrainOptions{Threads: 1}, c, tinyPreset())
	if err != nil {
		t.Fatal(err)
	}
	_, taught := c.split(OwnHeldOneIn)
	before := lossOf(t, trainer, tok, taught)
	if err := trainer.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	after := lossOf(t, trainer, tok, taught)
	if trainer.Step() != tinyPreset().steps || after > before/10 {
		t.Errorf("%d steps took the loss from %.3f to %.3f", trainer.Step(), before, after)
	}
	var file bytes.Buffer
	if err := Export(&file, "own", tensor.Q8_0, trainer, tok); err != nil {
		t.Fatal(err)
	}
	machine, err := local.NewMachine(1, "")
	if err != nil {
		t.Fatal(err)
	}
	defer machine.Close()
	model, err := local.OpenBytes("own", file.Bytes(), machine, local.Config{}, local.Listener{})
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	report, err := EvalQuestions(t.Context(), model, "own", taught.Questions(), EvalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	questions := taught.Len() / 3 // each number is asked five times in the same words, and once with a system message
	if report.Overall.Asked != questions || report.Overall.Right != questions {
		t.Errorf("right in %d of %d, %d were to be asked: %+v", report.Overall.Right, report.Overall.Asked, questions, report.Tasks)
	}
}

func lossOf(t *testing.T, trainer *train.Trainer, tok *token.Tokenizer, c *Conversations) float64 {
	t.Helper()
	examples, err := c.Examples(tok)
	if err != nil {
		t.Fatal(err)
	}
	loss, err := trainer.Loss(examples)
	if err != nil {
		t.Fatal(err)
	}
	return loss
}

// heard is a model that notes what it is asked.
type heard struct{ requests []*llm.Request }

func (h *heard) Run(_ context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
	h.requests = append(h.requests, req)
	return llm.Usage{}, emit(llm.Event{Kind: llm.EventDelta, Text: fmt.Sprint(len(req.Messages), "\n")})
}

func TestEvalQuestionsAsksAsItWasTaught(t *testing.T) {
	t.Parallel()
	c := conversationsOf(t, `{"messages":[{"role":"system","content":"s"},{"role":"user","content":"q"},{"role":"assistant","content":"2"},{"role":"user","content":"r"},{"role":"assistant","content":"x"}]}`+"\n"+
		`{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"1"},{"role":"user","content":"r"},{"role":"assistant","content":"skipped","weight":0},{"role":"user","content":"v"},{"role":"assistant","content":"5"}]}`+"\n"+
		`{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"again"}]}`)
	var done [][2]int
	model := &heard{}
	report, err := EvalQuestions(t.Context(), model, "m", c.Questions(), EvalOptions{Concurrency: 1, Progress: func(d, of int) { done = append(done, [2]int{d, of}) }})
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	for _, req := range model.requests {
		var s []string
		for _, m := range req.Messages {
			s = append(s, string(m.Role)+" "+m.Text())
		}
		asked = append(asked, strings.Join(s, ", "))
		if req.Limits.MaxTokens != 0 || req.Sampling.Temperature != 0 || req.Model != "m" {
			t.Errorf("asked with %+v", req)
		}
	}
	want := []string{"system s, user q", "system s, user q, assistant 2, user r", "user q", "user q, assistant 1, user r, assistant skipped, user v"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
	if report.Model != "m" || len(report.Tasks) != 1 || report.Tasks[0].Task != "own" || report.Overall.Asked != 4 || report.Overall.Right != 3 {
		t.Errorf("got %+v", report)
	}
	if len(done) != 4 || done[3] != [2]int{4, 4} {
		t.Errorf("progress %v", done)
	}
	broken := errors.New("broken")
	if _, err := EvalQuestions(t.Context(), runnerFunc(func(string) (string, error) { return "", broken }), "m", c.Questions(), EvalOptions{}); err == nil {
		t.Error("a runner's failure is lost")
	}
	if r, err := EvalQuestions(t.Context(), model, "m", nil, EvalOptions{}); err != nil || r.Overall.Asked != 0 {
		t.Errorf("no questions: %+v, %v", r, err)
	}
}
