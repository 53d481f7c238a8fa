package mini

import (
	"strconv"
	"strings"
)

func counting() Task {
	return Task{Name: "counting", About: "counting up or down between two numbers", Share: 6, draw: drawCounting}
}

var countUpPhrasings = []string{
	"Count from {a} to {b}.", "Count from {a} up to {b}.", "Count {a} to {b}", "Count up from {a} to {b}.", "Can you count from {a} to {b}?",
	"List the numbers from {a} to {b}.", "Numbers from {a} to {b}", "Write the numbers from {a} to {b}.", "Give me the numbers {a} to {b}.",
	"Which numbers go from {a} to {b}?",
}

var countDownPhrasings = []string{
	"Count down from {a} to {b}.", "Count from {a} down to {b}.", "Count backwards from {a} to {b}.", "Count from {a} to {b}.",
	"Can you count down from {a} to {b}?", "List the numbers from {a} down to {b}.",
}

var countByPhrasings = []string{
	"Count from {a} to {b} by {s}.", "Count from {a} to {b} in steps of {s}.", "Count by {s} from {a} to {b}.",
}

// countMax is the longest answer, in numbers: 12 of them are about 40 tokens, and nobody waits for more.
const countMax = 12

func drawCounting(d *dice) Question {
	step, phrasings := 1, countUpPhrasings
	if d.percent(15) {
		step, phrasings = pick(d, []int{2, 5, 10}), countByPhrasings
	}
	n := d.between(3, countMax)
	a := d.below(111 - (n-1)*step)
	if step > 2 {
		a = a / step * step
	} else if d.percent(25) {
		a = d.below(5) // people begin at the beginning
	}
	b := a + (n-1)*step
	if step == 1 && d.percent(30) {
		a, b, step, phrasings = b, a, -1, countDownPhrasings
	}
	text := fill(pick(d, phrasings), "a", strconv.Itoa(a), "b", strconv.Itoa(b), "s", pick(d, []string{strconv.Itoa(step), inWords(max(step, 0))}))
	var all []int
	for i := range n {
		all = append(all, a+i*step)
	}
	return Question{Text: manner(d, text), Answer: list(all, ", ") + ".", Key: pairKey(a, b)}
}

// list writes numbers with sep between them.
func list(numbers []int, sep string) string {
	s := make([]string, len(numbers))
	for i, n := range numbers {
		s[i] = strconv.Itoa(n)
	}
	return strings.Join(s, sep)
}
