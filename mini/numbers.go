package mini

import (
	"fmt"
	"strconv"
)

func numberWords() Task {
	return Task{Name: "words", About: "numbers up to 9999 written in words", Share: 6, draw: drawNumberWords}
}

func digits() Task {
	return Task{Name: "digits", About: "number words up to 9999 written in digits", Share: 3, draw: drawDigits}
}

var numberWordsPhrasings = []string{
	"Write {n} in words.", "Write {n} as words.", "{n} in words", "{n} in words?", "What is {n} in words?", "Spell {n}.",
	"Spell out {n}.", "Spell the number {n}.", "How do you say {n}?", "How do you write {n} in words?", "Say {n} in words.",
	"Put {n} into words.", "Convert {n} to words.", "Turn {n} into words.", "Can you spell {n}?", "Write the number {n} in words.",
	"How is {n} written in words?",
}

var digitsPhrasings = []string{
	"Write {w} in digits.", "Write {w} as a number.", "{w} in digits", "{w} in digits?", "{w} as a number", "What is {w} in digits?",
	"What number is {w}?", "Which number is {w}?", "Convert {w} to a number.", "Turn {w} into digits.", "Put {w} into digits.",
	"How do you write {w} in digits?", "Write the number {w} in digits.", "Can you write {w} in digits?", "Give me {w} in digits.",
}

func drawNumberWords(d *dice) Question {
	n := number(d)
	text := manner(d, fill(pick(d, numberWordsPhrasings), "n", strconv.Itoa(n)))
	return Question{Text: text, Answer: fmt.Sprintf("%d is %s.", n, inWords(n)), Key: numberKey(n, text)}
}

func drawDigits(d *dice) Question {
	n := number(d)
	text := manner(d, fill(pick(d, digitsPhrasings), "w", inWords(n)))
	return Question{Text: text, Answer: fmt.Sprintf("That is %d.", n), Key: numberKey(n, text)}
}

// numberKey is the number, or of the words that follow from nothing, below twenty and the tens, the wording: those are facts.
func numberKey(n int, text string) string {
	if n < 20 || n < 100 && n%10 == 0 {
		return wording(text)
	}
	return strconv.Itoa(n)
}

// number draws one up to 9999; each number of digits comes often, and the nines of ten that have four do not crowd them out.
func number(d *dice) int {
	switch d.below(10) {
	case 0:
		return d.between(0, 20)
	case 1, 2:
		return d.between(10, 99)
	case 3, 4, 5:
		return d.between(100, 999)
	case 6: // round ones, whose words are few
		return d.between(1, 99) * 100
	}
	return d.between(1000, 9999)
}

var (
	underTwenty = []string{"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
		"thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"}
	tens = []string{"", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"}
)

// inWords writes a number of 0 to 9999 in words, the American way without "and": four thousand two hundred seventy-one.
func inWords(n int) string {
	switch {
	case n < 20:
		return underTwenty[n]
	case n < 100 && n%10 == 0:
		return tens[n/10]
	case n < 100:
		return tens[n/10] + "-" + underTwenty[n%10]
	}
	unit, name := 100, " hundred"
	if n >= 1000 {
		unit, name = 1000, " thousand"
	}
	s := inWords(n/unit) + name
	if n%unit > 0 {
		s += " " + inWords(n%unit)
	}
	return s
}
