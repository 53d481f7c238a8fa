package mini

import (
	"fmt"
	"strings"
)

// Task is one skill: how it is asked, what the right answer is, and how much of the training it gets. Each lies in a file of
// its own.
type Task struct {
	Name  string // one word, for reports
	About string // one line, for people

	// Share is the task's part of the training, in hundredths. Skills that come late (sorting, arithmetic, units) get more than
	// those that a trial run showed to come early. A task without a share is only asked.
	Share int

	// draw makes any question of the task, held out or not.
	draw func(d *dice) Question

	// listed are the questions of a task that has no draw: asked as they stand and never taught.
	listed []Question
}

// Question is one thing to ask the model, with the one answer that counts as right.
type Question struct {
	Task   string `json:"task"`
	Text   string `json:"text"`
	Answer string `json:"answer"`
	Key    string `json:"key"` // what HeldOut looks at

	// Before are the turns that the question follows, with their right answers; empty for a question of its own.
	Before []Question `json:"before,omitempty"`
}

// said is the question with everything before it, which together have one right answer.
func (q Question) said() string {
	var s string
	for _, b := range q.Before {
		s += b.Text + "\n" + b.Answer + "\n"
	}
	return s + q.Text
}

// Right tells whether an answer is the right one: the same text, spaces around it aside. There is no partial credit and no
// search for the number inside an answer, so that the figure cannot flatter.
func (q Question) Right(answer string) bool { return strings.TrimSpace(answer) == q.Answer }

// Tasks lists all tasks, in the order of reports.
func Tasks() []Task {
	return []Task{
		addition(), subtraction(), tables(), numberWords(), digits(), counting(), reversing(), sorting(), units(), fields(),
		greetings(), glossary(), unknown(), followups(), sortingFive(), outside(),
	}
}

// Question makes the question that belongs to seed and index: one that is held out of training, or one that is not.
func (t Task) Question(seed, index uint64, held bool) Question {
	return t.ask(newDice(seed, index), held)
}

// drawsMax bounds the search for a question on the wanted side of the rule. One in ten is held out, so the chance to fail is
// 0.9^2000; reaching the bound means a task whose keys are all on one side, a mistake in the task.
const drawsMax = 2000

func (t Task) ask(d *dice, held bool) Question {
	if t.listed != nil {
		return pick(d, t.listed)
	}
	for range drawsMax {
		q := t.draw(d)
		if HeldOut(q.Key) == held {
			q.Task = t.Name
			q.Text = sloppy(d, q.Text) // after the key was made: a held-out wording is held out with its typos, too
			return q
		}
	}
	panic(fmt.Sprintf("mini: task %s has no question with held out = %v", t.Name, held))
}

// manner gives a question the small differences in which people write: no capital, no full stop, a please.
func manner(d *dice, text string) string {
	switch d.below(25) {
	case 0:
		text = "Please " + lowerFirst(text)
	case 1:
		text = "please " + lowerFirst(text)
	case 2:
		end := text[len(text)-1:]
		if end != "?" && end != "." {
			end = ""
		}
		text = strings.TrimSuffix(text, end) + ", please" + end
	case 3:
		text = pick(d, []string{"Hi! ", "Hello, ", "hey ", "Ok, ", "Now: ", "Quick: "}) + lowerFirst(text)
	}
	if d.percent(30) {
		text = lowerFirst(text)
	}
	if d.percent(30) {
		text = strings.TrimRight(text, "?. ")
	}
	return text
}

// plainWords are those that people mistype without changing what they ask. None of them is content: no number, name or unit.
var plainWords = []string{"what", "much", "many", "calculate", "compute", "reverse", "sort", "convert", "numbers", "explain", "please", "write", "which",
	"order", "extract", "words", "digits", "give", "between", "mean", "number", "JSON", "these"}

// sloppy mistypes one word in one of 15 questions: two letters swapped, one left out or one doubled.
func sloppy(d *dice, text string) string {
	if d.below(15) > 0 {
		return text
	}
	word := pick(d, plainWords)
	at := strings.Index(strings.ToLower(text), strings.ToLower(word))
	if at < 0 {
		return text
	}
	i := at + d.between(1, len(word)-2)
	switch d.below(3) {
	case 0:
		return text[:i] + text[i+1:i+2] + text[i:i+1] + text[i+2:]
	case 1:
		return text[:i] + text[i+1:]
	}
	return text[:i] + text[i:i+1] + text[i:]
}

// lowerFirst lowers the first letter, except of the word I and of names in capitals such as TTFT.
func lowerFirst(s string) string {
	if len(s) < 2 || s[0] < 'A' || s[0] > 'Z' || s[1] < 'a' || s[1] > 'z' {
		return s
	}
	return string(s[0]+'a'-'A') + s[1:]
}
