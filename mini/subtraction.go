package mini

import "fmt"

func subtraction() Task {
	return Task{Name: "subtraction", About: "the difference of two numbers up to 99", Share: 10, draw: drawSubtraction}
}

var subtractionPhrasings = []string{
	"What is {a} - {b}?", "What is {a}-{b}?", "What's {a} - {b}?", "{a} - {b}", "{a}-{b}", "{a} - {b} =", "{a}-{b}=",
	"{a} - {b} = ?", "{a}-{b}=?", "{a} - {b}?", "What is {a} minus {b}?", "{a} minus {b}", "{a} minus {b}?",
	"Subtract {b} from {a}.", "Take {b} from {a}.", "Take {b} away from {a}.", "How much is {a} - {b}?",
	"How much is {a} minus {b}?", "{a} take away {b}", "What is {a} less {b}?", "Calculate {a} - {b}.", "Compute {a} - {b}.",
	"Can you subtract {b} from {a}?", "Tell me {a} - {b}.", "Work out {a} - {b}.", "Solve {a} - {b}.",
	"What do you get when you subtract {b} from {a}?", "What is left of {a} without {b}?",
}

// These read as questions only where something remains.
var remainderPhrasings = []string{
	"What is the difference between {a} and {b}?", "The difference of {a} and {b}",
	"I have {a} {things} and give {b} away. How many {things} are left?", "There are {a} {things}. {b} go away. How many are left?",
	"{name} has {a} {things} and {other} takes {b}. How many are left?", "How much more is {a} than {b}?",
}

func drawSubtraction(d *dice) Question {
	a, b := operands(d)
	// One in six ends below zero: people ask for that too, and it is a skill of its own.
	if (a < b) != d.percent(16) {
		a, b = b, a
	}
	phrasings := subtractionPhrasings
	if a >= b && d.percent(15) {
		phrasings = remainderPhrasings
	}
	phrasing := pick(d, phrasings)
	return Question{Text: manner(d, fill(phrasing, story(d, phrasing, a, b)...)),
		Answer: fmt.Sprintf("%d - %d = %d.", a, b, a-b), Key: pairKey(a, b)}
}
