package mini

import "slices"

func sorting() Task {
	return Task{Name: "sorting", About: "three to six numbers in order", Share: 13, draw: drawSorting}
}

var sortPhrasings = []string{
	"Sort {x}.", "Sort {x}", "Sort: {x}", "Sort these numbers: {x}", "Sort the numbers {x}.", "Sort the list {x}.", "Put {x} in order.",
	"Put these numbers in order: {x}", "Order {x}.", "Order these: {x}", "Arrange {x}.", "Arrange {x} in order.", "{x} sorted",
	"Can you sort {x}?", "Sort {x} from smallest to largest.", "Sort {x} in ascending order.", "Sort {x} from low to high.",
	"Put {x} in ascending order.", "{x} in order",
}

var sortDownPhrasings = []string{
	"Sort {x} from largest to smallest.", "Sort {x} in descending order.", "Sort {x} from high to low.", "Sort down: {x}",
	"Put {x} in descending order.", "Sort these numbers from high to low: {x}",
}

// sortingFive asks the middle of sorting by itself: mixed with lists of three, its rate would flatter.
func sortingFive() Task {
	return Task{Name: "sorting5", About: "five numbers in order, a part of sorting", draw: func(d *dice) Question { return drawSorted(d, 5, 5) }}
}

func drawSorting(d *dice) Question { return drawSorted(d, 3, 6) }

func drawSorted(d *dice, least, most int) Question {
	below := pick(d, []int{100, 100, 100, 100, 20, 10})
	x := make([]int, d.between(least, most))
	for i := range x {
		x[i] = d.below(below)
	}
	shown := list(x, pick(d, []string{", ", ", ", ", ", " ", " ", ","}))
	slices.Sort(x)
	key, phrasings := list(x, ","), sortPhrasings
	if d.percent(25) {
		phrasings = sortDownPhrasings
		slices.Reverse(x)
	}
	return Question{Text: manner(d, fill(pick(d, phrasings), "x", shown)), Answer: list(x, ", ") + ".", Key: key}
}
