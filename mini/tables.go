package mini

import (
	"fmt"
	"strconv"
)

func tables() Task {
	return Task{Name: "tables", About: "multiplication tables to 12, and division back", Share: 5, draw: drawTables}
}

var timesPhrasings = []string{
	"What is {a} x {b}?", "What is {a} * {b}?", "What is {a} times {b}?", "What's {a} times {b}?", "{a} x {b}", "{a}x{b}",
	"{a} * {b}", "{a}*{b}", "{a} × {b}", "{a} * {b} =", "{a}*{b}=", "{a} x {b} = ?", "{a} times {b}", "Multiply {a} by {b}.",
	"Multiply {a} and {b}.", "How much is {a} x {b}?", "How much is {a} times {b}?", "Calculate {a} * {b}.", "Compute {a} x {b}.",
	"What is the product of {a} and {b}?", "Can you multiply {a} by {b}?", "Tell me {a} times {b}.", "Solve {a} * {b}.",
	"{a} boxes hold {b} {things} each. How many {things} are there?",
}

var dividePhrasings = []string{
	"What is {c} / {b}?", "{c} / {b}", "{c}/{b}", "{c} / {b} =", "What is {c} divided by {b}?", "{c} divided by {b}",
	"Divide {c} by {b}.", "How much is {c} / {b}?", "How often does {b} fit into {c}?", "Calculate {c} / {b}.",
	"Share {c} {things} among {b} friends. How many does each get?",
}

// drawTables asks for a product of numbers up to 12, or its way back. There are 144 of them and nothing to compute them from,
// so all are taught and wordings are held out.
func drawTables(d *dice) Question {
	a, b := d.between(1, 12), d.between(1, 12)
	if d.percent(25) {
		text := manner(d, fill(pick(d, dividePhrasings), "b", strconv.Itoa(b), "c", strconv.Itoa(a*b), "things", pick(d, things)))
		return Question{Text: text, Answer: fmt.Sprintf("%d / %d = %d.", a*b, b, a), Key: wording(text)}
	}
	phrasing := pick(d, timesPhrasings)
	text := manner(d, fill(phrasing, story(d, phrasing, a, b)...))
	return Question{Text: text, Answer: fmt.Sprintf("%d × %d = %d.", a, b, a*b), Key: wording(text)}
}
