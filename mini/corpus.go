package mini

import (
	"iter"

	"github.com/weir-ai/weir/engine/token"
)

// Shape of the corpus: a training example is a conversation of one or several questions that have nothing to do with each
// other, so that the model learns both to answer and to leave earlier turns alone.
const (
	// vocabularySize leaves 764 merges beside 256 bytes and the marks: enough that the corpus's frequent words are one token
	// each. With 512 a question is a third longer and so is its training; with 2,048 the rest are names seen too rarely to learn.
	vocabularySize = 1024

	// vocabularyExamples are counted to make the vocabulary: the ranks of the pairs that matter have settled by then.
	vocabularyExamples = 30_000

	// tokensMax bounds a training example; further turns are left out beyond it. Nearly all are far shorter. Longer ones would
	// cost attention time and teach little; the shorter bound would leave late positions of the context unseen.
	tokensMax = 400
)

// systemMessages are what clients put first. They ask for nothing that changes an answer, and the model learns just that.
var systemMessages = []string{"You are a helpful assistant.", "You are a helpful assistant", "Be brief.", "Answer briefly.",
	"You are weir-mini.", "You are a friendly assistant. Answer in one sentence.", "Answer the user's questions.",
	"You are a careful assistant that answers correctly.", "Be concise and correct.", "You are a test.", "You help with numbers.",
	"You are an expert. Think carefully and answer."}

// conversation draws a system message (mostly none) and the questions of one training example: one of five has several, which
// is enough to learn that earlier turns matter only where a question says so (followups). More of them would spend the attention
// on what is easy.
func conversation(d *dice, tasks []Task) (system string, questions []Question) {
	if d.percent(10) {
		system = pick(d, systemMessages)
	}
	n := 1
	switch p := d.below(100); {
	case p < 6:
		n = d.between(4, 7)
	case p < 20:
		n = d.between(2, 3)
	}
	for range n {
		q := drawTask(d, tasks).ask(d, false)
		questions = append(append(questions, q.Before...), q)
	}
	return system, questions
}

// drawTask picks a task by the tasks' shares.
func drawTask(d *dice, tasks []Task) Task {
	all := 0
	for _, t := range tasks {
		all += t.Share
	}
	at := d.below(all)
	for _, t := range tasks {
		if at -= t.Share; at < 0 {
			return t
		}
	}
	panic("mini: a draw beyond the sum of the shares")
}

// Tokenizer trains the model's vocabulary from the corpus: byte-level BPE in which every digit stays a token of its own.
func Tokenizer(seed uint64) (*token.Tokenizer, error) {
	return token.TrainBPE(vocabularyTexts(seed), token.TrainOptions{VocabSize: vocabularySize, Special: specials(), Pre: "qwen2", BOS: markEnd, EOS: markEnd})
}

// vocabularyTexts are questions and answers of their own stream, so that the vocabulary does not depend on the batch size.
func vocabularyTexts(seed uint64) iter.Seq[string] {
	return func(yield func(string) bool) {
		tasks := Tasks()
		for i := range uint64(vocabularyExamples) {
			d := newDice(seed^mix(0x7ab), i)
			system, questions := conversation(d, tasks)
			if system != "" && !yield(system) {
				return
			}
			for _, q := range questions {
				if !yield(q.Text) || !yield(q.Answer) {
					return
				}
			}
		}
	}
}
