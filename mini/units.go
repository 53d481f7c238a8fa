package mini

import (
	"fmt"
	"strconv"
	"strings"
)

func units() Task {
	return Task{Name: "units", About: "lengths, weights, volumes and times in other units", Share: 7, draw: drawUnits}
}

// conversion says that one large unit is factor small ones. Values run from 1 to most.
type conversion struct {
	large, small []string // names; the first is the one that answers use
	factor, most int
}

// Metric factors only move the digits, so values go far. The others need a table that the model knows (7, 12, and 6 for 60),
// so they stop at 12.
var conversions = []conversion{
	{[]string{"km", "kilometers", "kilometres"}, []string{"m", "meters", "metres"}, 1000, 99},
	{[]string{"m", "meters", "metres"}, []string{"cm", "centimeters"}, 100, 99},
	{[]string{"m", "meters"}, []string{"mm", "millimeters"}, 1000, 99},
	{[]string{"cm", "centimeters"}, []string{"mm", "millimeters"}, 10, 999},
	{[]string{"kg", "kilograms", "kilos"}, []string{"g", "grams"}, 1000, 99},
	{[]string{"g", "grams"}, []string{"mg", "milligrams"}, 1000, 99},
	{[]string{"l", "liters", "litres"}, []string{"ml", "milliliters"}, 1000, 99},
	{[]string{"hours", "h"}, []string{"minutes", "min"}, 60, 12},
	{[]string{"minutes", "min"}, []string{"seconds", "s"}, 60, 12},
	{[]string{"weeks"}, []string{"days"}, 7, 12},
	{[]string{"years"}, []string{"months"}, 12, 12},
	{[]string{"feet", "ft"}, []string{"inches"}, 12, 12},
	{[]string{"yards"}, []string{"feet"}, 3, 12},
	{[]string{"seconds", "s"}, []string{"ms", "milliseconds"}, 1000, 99},
}

var unitsPhrasings = []string{
	"Convert {n} {from} to {to}.", "Convert {n} {from} into {to}.", "{n} {from} in {to}", "{n} {from} in {to}?", "{n} {from} to {to}",
	"What is {n} {from} in {to}?", "How many {to} are {n} {from}?", "How many {to} are in {n} {from}?", "How many {to} is {n} {from}?",
	"How much is {n} {from} in {to}?", "Write {n} {from} in {to}.", "Change {n} {from} to {to}.", "Turn {n} {from} into {to}.",
	"{n} {from} = ? {to}", "{n} {from} is how many {to}?",
}

// drawUnits asks for a conversion one way or back. The answer shows the step, which makes it both clearer and easier.
func drawUnits(d *dice) Question {
	c := pick(d, conversions)
	v := d.between(1, c.most)
	if c.most > 12 && d.percent(40) {
		v = d.between(1, 12)
	}
	large, small := c.large[0], c.small[0]
	from, to, n := pick(d, c.large), pick(d, c.small), v
	answer := fmt.Sprintf("%d %s = %d × %d %s = %d %s.", v, singular(v, large), v, c.factor, small, v*c.factor, small)
	if d.percent(35) {
		from, to, n = to, from, v*c.factor
		answer = fmt.Sprintf("%d %s = %d / %d %s = %d %s.", n, small, n, c.factor, large, v, singular(v, large))
	}
	text := manner(d, fill(pick(d, unitsPhrasings), "n", strconv.Itoa(n), "from", singular(n, from), "to", to))
	key := fmt.Sprintf("%d %s,%s", v, large, small)
	if v == 1 {
		key = wording(text) // that 12 inches are a foot follows from nothing: a fact, like its singular
	}
	return Question{Text: text, Answer: answer, Key: key}
}

// singular is the unit's name after the number n.
func singular(n int, unit string) string {
	switch {
	case n != 1 || unit == "s" || unit == "ms":
		return unit
	case unit == "feet":
		return "foot"
	}
	return strings.TrimSuffix(unit, "s")
}
