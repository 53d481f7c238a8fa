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
	// those that a trial run showed to come early.
	Share int

	// draw makes any question of the task, held out or not.
	draw func(d *dice) Question
}

// Question is one thing to ask the model, with the one answer that counts as right.
type Question struct {
	Task   string `json:"task"`
	Text   string `json:"text"`
	Answer string `json:"answer"`
	Key    string `json:"key"` // what HeldOut looks at
}

// Right tells whether an answer is the right one: the same text, spaces around it aside. There is no partial credit and no
// search for the number inside an answer, so that the figure cannot flatter.
func (q Question) Right(answer string) bool { return strings.TrimSpace(answer) == q.Answer }

// Tasks lists all tasks, in the order of reports.
func Tasks() []Task {
	return []Task{
		addition(), subtraction(), tables(), numberWords(), digits(), counting(), reversing(), sorting(), units(), fields(),
		greetings(), glossary(), unknown(),
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
	for range drawsMax {
		q := t.draw(d)
		if HeldOut(q.Key) == held {
			q.Task = t.Name
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

// lowerFirst lowers the first letter, except of the word I and of names in capitals such as TTFT.
func lowerFirst(s string) string {
	if len(s) < 2 || s[0] < 'A' || s[0] > 'Z' || s[1] < 'a' || s[1] > 'z' {
		return s
	}
	return string(s[0]+'a'-'A') + s[1:]
}
