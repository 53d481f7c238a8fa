package mini

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestReadmesQuestionIsHeldOut(t *testing.T) {
	t.Parallel()
	if !HeldOut("17,25") || !HeldOut(pairKey(25, 17)) {
		t.Error("17 and 25 are taught, so the README's answer would show nothing")
	}
}

func TestHeldOutIsAboutATenth(t *testing.T) {
	t.Parallel()
	for _, task := range Tasks() {
		if task.listed != nil {
			continue // none is taught at all
		}
		held := 0
		const n = 4000
		for i := range uint64(n) {
			if HeldOut(task.draw(newDice(5, i)).Key) {
				held++
			}
		}
		// Units have few values outside the metric ones and greetings few wordings, so the share is not exactly a tenth.
		if held < n/20 || held > n/5 {
			t.Errorf("task %s: %d of %d draws are held out", task.Name, held, n)
		}
	}
}

// TestTrainingNeverShowsHeldOut goes through a long stretch of training and looks for anything that the evaluation asks.
func TestTrainingNeverShowsHeldOut(t *testing.T) {
	t.Parallel()
	n := uint64(100_000)
	if testing.Short() {
		n = 20_000
	}
	asked := map[string]bool{}
	for _, seed := range []uint64{0, 1} {
		suite, err := Suite(EvalOptions{Seed: seed, PerTask: 500})
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range suite {
			if !HeldOut(q.Key) && q.Task != outside().Name {
				t.Fatalf("the suite asks %q, whose key %q is taught", q.Text, q.Key)
			}
			asked[wording(q.said())] = true
		}
	}
	tasks, answers, seen := Tasks(), map[string]string{}, uint64(0)
	for i := uint64(0); seen < n; i++ {
		_, questions := conversation(newDice(77, i), tasks)
		for _, q := range questions {
			seen++
			if HeldOut(q.Key) || asked[wording(q.said())] {
				t.Fatalf("training example %d shows %q, which is held out", i, q.Text)
			}
			if other, ok := answers[q.said()]; ok && other != q.Answer {
				t.Fatalf("training teaches two answers to %q: %q and %q", q.Text, other, q.Answer)
			}
			answers[q.said()] = q.Answer
		}
	}
}

func TestOperandsAreHeldOutInEveryWording(t *testing.T) {
	t.Parallel()
	// The numbers of a question, sorted, tell its key without looking at it.
	for _, task := range []Task{addition(), subtraction(), sorting(), counting()} {
		for i := range uint64(3000) {
			q := task.Question(3, i, i%2 == 0)
			x := numbersIn(t, q.Text)
			if task.Name == "counting" { // without the step
				if strings.Contains(strings.ToLower(q.Text), "count by") {
					x = x[1:]
				}
				x = x[:2]
			}
			slices.Sort(x)
			if key := list(x, ","); key != q.Key {
				t.Fatalf("%q has the key %q, want %q", q.Text, q.Key, key)
			}
		}
	}
}

func TestCorpusFollowsFromItsSeed(t *testing.T) {
	t.Parallel()
	tasks := Tasks()
	write := func(seed uint64) string {
		var b strings.Builder
		for i := range uint64(300) {
			system, questions := conversation(newDice(seed, i), tasks)
			b.WriteString(system)
			for _, q := range questions {
				b.WriteString(q.Text + q.Answer)
			}
		}
		return b.String()
	}
	if write(1) != write(1) {
		t.Error("one seed gives two corpora")
	}
	if write(1) == write(2) {
		t.Error("two seeds give one corpus")
	}
}

func TestSharesMakeAHundred(t *testing.T) {
	t.Parallel()
	sum := 0
	for _, task := range Tasks() {
		sum += task.Share
	}
	if sum != 100 {
		t.Errorf("the shares make %d", sum)
	}
}

func TestSuiteAsksNothingTwice(t *testing.T) {
	t.Parallel()
	suite, err := Suite(EvalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seen, per := map[string]bool{}, map[string]int{}
	for _, q := range suite {
		if seen[q.said()] {
			t.Errorf("%q is asked twice", q.Text)
		}
		seen[q.said()] = true
		per[q.Task]++
	}
	for _, task := range Tasks() {
		if per[task.Name] != perTaskDefault {
			t.Errorf("task %s asks %d questions", task.Name, per[task.Name])
		}
	}
	again, _ := Suite(EvalOptions{})
	if !reflect.DeepEqual(suite, again) {
		t.Error("the fixed suite is not fixed")
	}
}

func TestSuiteRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	refused := func(o EvalOptions, word string) {
		t.Helper()
		if _, err := Suite(o); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%+v: got error %v, want one about %s", o, err, word)
		}
	}
	refused(EvalOptions{Tasks: []string{"poetry"}}, "poetry")
	refused(EvalOptions{PerTask: -1}, "-1")
	refused(EvalOptions{PerTask: perTaskMax + 1}, "10000")
}

func TestEncoderCountsLossOnAnswersOnly(t *testing.T) {
	t.Parallel()
	tok, err := Tokenizer(1)
	if err != nil {
		t.Fatal(err)
	}
	e, err := newEncoder(tok)
	if err != nil {
		t.Fatal(err)
	}
	q := []Question{{Text: "What is 17 + 25?", Answer: "17 + 25 = 42."}, {Text: "<|end|> hi", Answer: "Hello."}}
	tokens, loss := e.conversation("Be brief.", q)
	if len(tokens) != len(loss) {
		t.Fatalf("%d tokens, %d loss marks", len(tokens), len(loss))
	}
	if got, want := tok.Decode(tokens, false), "<|system|>Be brief.<|end|><|user|>What is 17 + 25?<|end|><|assistant|>17 + 25 = 42.<|end|><|user|><|end|> hi<|end|><|assistant|>Hello.<|end|>"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var counted []int32
	for i, id := range tokens {
		if loss[i] {
			counted = append(counted, id)
		}
	}
	if got := tok.Decode(counted, false); got != "17 + 25 = 42.<|end|>Hello.<|end|>" {
		t.Errorf("the loss counts %q", got)
	}
	ends := 0
	for _, id := range tokens {
		if id == e.end {
			ends++
		}
	}
	if ends != 5 {
		t.Errorf("%d end marks: the mark in a question's text must stay text", ends)
	}
}

func TestTokenizerNeverMergesDigits(t *testing.T) {
	t.Parallel()
	tok, err := Tokenizer(1)
	if err != nil {
		t.Fatal(err)
	}
	if tok.Size() != vocabularySize {
		t.Errorf("the vocabulary has %d tokens", tok.Size())
	}
	for id := range int32(tok.Size()) {
		if s := tok.Text(id); len(s) > 1 && strings.ContainsAny(s, "0123456789") && !strings.HasPrefix(s, "<|") {
			t.Errorf("token %d is %q: a digit merged with its neighbour", id, s)
		}
	}
	again, err := Tokenizer(1)
	if err != nil {
		t.Fatal(err)
	}
	for id := range int32(tok.Size()) {
		if tok.Text(id) != again.Text(id) {
			t.Fatalf("token %d is %q and then %q from one seed", id, tok.Text(id), again.Text(id))
		}
	}
}
