package mini

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

func fields() Task {
	return Task{Name: "fields", About: "the fields of a sentence as JSON", Share: 12, draw: drawFields}
}

// record is a kind of sentence: its fields in their usual order, how a value of each is drawn, and how it is told.
type record struct {
	fields []field
	told   []string
}

type field struct {
	name   string
	number bool // written without quotes
	value  func(d *dice) string
}

var (
	nameField  = field{"name", false, func(d *dice) string { return properName(d, names) }}
	ageField   = field{"age", true, func(d *dice) string { return strconv.Itoa(d.between(2, 98)) }}
	cityField  = field{"city", false, func(d *dice) string { return properName(d, cities) }}
	jobField   = field{"job", false, func(d *dice) string { return pick(d, jobs) }}
	countField = field{"count", true, func(d *dice) string { return strconv.Itoa(d.between(2, 99)) }}
	itemField  = field{"item", false, func(d *dice) string { return pick(d, things) }}
	priceField = field{"price", true, func(d *dice) string { return strconv.Itoa(d.between(2, 999)) }}
	dayField   = field{"day", false, func(d *dice) string { return pick(d, days) }}
	timeField  = field{"time", false, func(d *dice) string { return fmt.Sprintf("%d:%d0", d.between(8, 20), d.below(6)) }}
)

var records = []record{
	{[]field{nameField, ageField, cityField}, []string{
		"{name} is {age} years old and lives in {city}.", "My name is {name}, I am {age} and live in {city}.", "{name}, {age}, from {city}.",
		"I am {name} from {city} and I am {age} years old.", "In {city} lives {name}, who is {age}.", "{name} ({age}) lives in {city}.",
		"This is {name}. {name} is {age} and comes from {city}."}},
	{[]field{nameField, jobField, cityField}, []string{
		"{name} is a {job} in {city}.", "{name} works as a {job} in {city}.", "The {job} {name} lives in {city}.",
		"My name is {name} and I am a {job} from {city}.", "In {city} I met {name}, a {job}."}},
	{[]field{countField, itemField, priceField}, []string{
		"I want {count} {item} for {price} dollars.", "Order: {count} {item}, {price} dollars.", "{count} {item} cost {price} dollars.",
		"We sold {count} {item} at {price} dollars.", "For {price} dollars I bought {count} {item}."}},
	{[]field{nameField, dayField, timeField}, []string{
		"Meet {name} on {day} at {time}.", "{name} comes on {day} at {time}.", "On {day} at {time} I see {name}.",
		"The meeting with {name} is on {day}, {time}.", "{day} {time}: lunch with {name}."}},
}

var fieldsPhrasings = []string{
	"{told} Give {f} as JSON.", "{told} Extract {f} as JSON.", "Extract {f} as JSON: {told}", "Give me {f} as JSON: {told}",
	"Extract {f} from this as JSON: {told}", "{told} Write {f} as JSON.", "{told} JSON with {f}, please.", "JSON with {f}: {told}",
	"Write {f} as JSON: {told}", "Find {f} and answer in JSON: {told}", "Return JSON with {f} for: {told}", "{told} Return {f} in JSON.",
}

var allFieldsPhrasings = []string{
	"{told} As JSON, please.", "As JSON: {told}", "Turn this into JSON: {told}", "{told} Write that as JSON.", "JSON: {told}",
	"Extract the fields as JSON: {told}", "Give the fields of this sentence as JSON: {told}",
}

// drawFields tells a record in a sentence and asks for all its fields, in their usual order, or for some by name, in the order
// asked.
func drawFields(d *dice) Question {
	r := pick(d, records)
	var pairs, key []string
	written := map[string]string{}
	for _, f := range r.fields {
		v := f.value(d)
		pairs, key = append(pairs, f.name, v), append(key, v)
		if written[f.name] = v; !f.number {
			written[f.name] = `"` + v + `"`
		}
	}
	slices.Sort(key)
	told := fill(pick(d, r.told), pairs...)

	asked, phrasing := r.fields, pick(d, allFieldsPhrasings)
	if d.percent(70) {
		asked, phrasing = shuffled(d, r.fields, pick(d, []int{1, 2, 2, 3, 3})), pick(d, fieldsPhrasings)
	}
	var wanted, members []string
	for _, f := range asked {
		wanted = append(wanted, f.name)
		members = append(members, fmt.Sprintf("%q: %s", f.name, written[f.name]))
	}
	text := fill(phrasing, "told", told, "f", enumerate(wanted, pick(d, []string{"", "the "})))
	return Question{Text: text, Answer: "{" + strings.Join(members, ", ") + "}", Key: strings.Join(key, ",")}
}

// enumerate writes "a, b and c", with an article before the first.
func enumerate(words []string, article string) string {
	last := len(words) - 1
	if last == 0 {
		return article + words[0]
	}
	return article + strings.Join(words[:last], ", ") + " and " + words[last]
}
