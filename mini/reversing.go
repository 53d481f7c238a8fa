package mini

import (
	"slices"
	"strings"
)

func reversing() Task {
	return Task{Name: "reversing", About: "digits, or the words of a list, in reverse order", Share: 10, draw: drawReversing}
}

var reverseDigitsPhrasings = []string{
	"Reverse {x}.", "Reverse {x}", "Reverse the digits of {x}.", "Reverse the number {x}.", "{x} backwards", "{x} reversed",
	"What is {x} backwards?", "What is {x} reversed?", "Write {x} backwards.", "Turn {x} around.", "Can you reverse {x}?",
	"Give me {x} in reverse.", "Say {x} backwards.", "Flip the digits of {x}.",
}

var reverseWordsPhrasings = []string{
	"Reverse {x}.", "Reverse: {x}", "Reverse the words: {x}", "Reverse the list {x}.", "Reverse this list: {x}", "Reverse the order of {x}.",
	"{x} in reverse order", "{x} backwards", "Write {x} in reverse order.", "Put {x} in reverse order.", "Turn the order around: {x}",
	"Can you reverse the words {x}?", "Write the words {x} backwards.",
}

// drawReversing asks for digits in reverse, which are tokens of their own, or for words in reverse. Letters inside a word are
// hidden in its token, so the model is not asked for those.
func drawReversing(d *dice) Question {
	if d.percent(50) {
		x := make([]byte, d.between(3, 7))
		for i := range x {
			x[i] = byte('0' + d.below(10))
		}
		if x[0] == '0' {
			x[0] = '7' // a number that people write does not begin with nought
		}
		key := string(x)
		slices.Reverse(x)
		return Question{Text: manner(d, fill(pick(d, reverseDigitsPhrasings), "x", key)), Answer: string(x) + ".", Key: key}
	}
	w := shuffled(d, commonWords, d.between(3, 6))
	sep := pick(d, []string{", ", ", ", " "})
	text := fill(pick(d, reverseWordsPhrasings), "x", strings.Join(w, sep))
	slices.Reverse(w)
	// The key is the unordered words: a list and its reverse are the same example told twice.
	return Question{Text: manner(d, text), Answer: strings.Join(w, ", ") + ".", Key: strings.Join(slices.Sorted(slices.Values(w)), ",")}
}
