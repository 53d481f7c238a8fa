package mini

import (
	"fmt"
	"strconv"
	"strings"
)

func addition() Task {
	return Task{Name: "addition", About: "the sum of two numbers up to 99", Share: 9, draw: drawAddition}
}

var additionPhrasings = []string{
	"What is {a} + {b}?", "What is {a}+{b}?", "What's {a} + {b}?", "{a} + {b}", "{a}+{b}", "{a} + {b} =", "{a}+{b}=",
	"{a} + {b} = ?", "{a}+{b}=?", "{a} + {b}?", "What is {a} plus {b}?", "{a} plus {b}", "{a} plus {b}?",
	"What is the sum of {a} and {b}?", "The sum of {a} and {b}", "Add {a} and {b}.", "Add {a} to {b}.", "Add {a} + {b}",
	"How much is {a} + {b}?", "How much is {a} plus {b}?", "How much is {a} and {b}?", "Calculate {a} + {b}.",
	"Compute {a} + {b}.", "Sum {a} and {b}.", "Can you add {a} and {b}?", "Tell me {a} + {b}.", "Work out {a} + {b}.",
	"What do {a} and {b} make?", "What does {a} + {b} make?", "{a} and {b} together", "What is the total of {a} and {b}?",
	"What do you get when you add {a} and {b}?", "I need the sum of {a} and {b}.", "Solve {a} + {b}.",
	"I have {a} {things} and get {b} more. How many {things} do I have?", "There are {a} {things}. {b} more come. How many are there?",
	"{name} has {a} {things} and {other} has {b}. How many do they have together?",
}

// drawAddition asks for a sum. The answer repeats the operands: it reads well, and it puts them next to where the model adds.
func drawAddition(d *dice) Question {
	a, b := operands(d)
	phrasing := pick(d, additionPhrasings)
	return Question{Text: manner(d, fill(phrasing, story(d, phrasing, a, b)...)),
		Answer: fmt.Sprintf("%d + %d = %d.", a, b, a+b), Key: pairKey(a, b)}
}

// operands draws two numbers up to 99. Most have two digits, because the others are few and soon known.
func operands(d *dice) (a, b int) {
	switch d.below(10) {
	case 0:
		return d.between(0, 20), d.between(0, 20)
	case 1:
		return d.between(10, 99), d.between(0, 9)
	case 2:
		return d.between(0, 9), d.between(10, 99)
	}
	return d.between(10, 99), d.between(10, 99)
}

// story gives the values that phrasings of arithmetic may use. A few questions in words spell their numbers; beside a sign
// that would be ambiguous, as in twenty-five.
func story(d *dice, phrasing string, a, b int) []string {
	x, y := strconv.Itoa(a), strconv.Itoa(b)
	if d.percent(12) && !strings.ContainsAny(phrasing, "+-*/x×") {
		x, y = inWords(a), inWords(b)
	}
	who := shuffled(d, names, 2)
	return []string{"a", x, "b", y, "things", pick(d, things), "name", who[0], "other", who[1]}
}

// pairKey is the key of two operands in any order and under any operation.
func pairKey(a, b int) string { return fmt.Sprintf("%d,%d", min(a, b), max(a, b)) }
