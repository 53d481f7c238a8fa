package mini

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

func followups() Task {
	return Task{Name: "followups", About: "a second question about the answer before", Share: 5, draw: drawFollowup}
}

var (
	addMorePhrasings = []string{
		"And plus {c}?", "Plus {c}?", "plus {c}", "+ {c}", "Now add {c}.", "Add {c} to that.", "Add {c} more.", "And {c} more?", "Add {c} to it.",
		"What is that plus {c}?", "And if I add {c}?", "Then add {c}.",
	}
	takeAwayPhrasings = []string{
		"And minus {c}?", "Minus {c}?", "minus {c}", "- {c}", "Now subtract {c}.", "Subtract {c} from that.", "Take {c} away from that.",
		"What is that minus {c}?", "And if I take {c} away?", "Then subtract {c}.",
	}
	doublePhrasings = []string{"Double it.", "Double that.", "And twice that?", "And doubled?", "Twice as much?"}
	spellPhrasings  = []string{
		"And in words?", "In words?", "Write that in words.", "Spell it.", "Spell that out.", "How do you write that in words?", "Say that in words.",
	}
	turnPhrasings = []string{
		"And the other way around?", "Now the other way around.", "Reverse that.", "And in reverse?", "Turn it around.", "Now backwards.",
		"The other way around, please.", "And backwards?",
	}
)

// drawFollowup asks about the answer to a question before, which is never a held-out one: what is held out is the second step.
func drawFollowup(d *dice) Question {
	switch p := d.below(100); {
	case p < 22:
		return drawTurned(d)
	case p < 34:
		return drawNamed(d)
	}
	first, r := taughtSum(d)
	q := Question{Before: []Question{first}}
	switch p := d.below(100); {
	case p < 35:
		c := d.between(1, 99)
		q.Text, q.Answer, q.Key = fill(pick(d, addMorePhrasings), "c", strconv.Itoa(c)), fmt.Sprintf("%d + %d = %d.", r, c, r+c), pairKey(r, c)
	case p < 65:
		c := d.between(0, r)
		q.Text, q.Answer, q.Key = fill(pick(d, takeAwayPhrasings), "c", strconv.Itoa(c)), fmt.Sprintf("%d - %d = %d.", r, c, r-c), pairKey(r, c)
	case p < 75:
		q.Text, q.Answer, q.Key = pick(d, doublePhrasings), fmt.Sprintf("%d + %d = %d.", r, r, 2*r), pairKey(r, r)
	default:
		q.Text = pick(d, spellPhrasings)
		q.Answer, q.Key = fmt.Sprintf("%d is %s.", r, inWords(r)), numberKey(r, first.Text+q.Text)
	}
	q.Text = manner(d, q.Text)
	return q
}

var namePhrasings = []string{
	"What is my name?", "What's my name?", "Who am I?", "Do you know my name?", "How am I called?", "Tell me my name.", "Say my name.",
	"Do you remember my name?", "And my name is?", "What did I say my name was?", "Can you tell me my name?", "Which name did I tell you?",
}

// drawNamed asks for the name that was told before. The key is the name in all its wordings: which name it is can only be copied.
func drawNamed(d *dice) Question {
	first := greetings().Name
	for range drawsMax {
		q := drawIntroduction(d)
		if HeldOut(q.Key) {
			continue
		}
		q.Task = first
		name := strings.TrimSuffix(strings.TrimPrefix(q.Answer, "Hello, "), "! What can I work out for you?")
		return Question{Text: manner(d, pick(d, namePhrasings)), Answer: "Your name is " + name + ".", Key: name, Before: []Question{q}}
	}
	panic("mini: no introduction is taught")
}

// taughtSum draws a sum or difference from 0 to 99 whose operands are not held out.
func taughtSum(d *dice) (q Question, result int) {
	for range drawsMax {
		if d.percent(50) {
			q = addition().ask(d, false)
		} else {
			q = subtraction().ask(d, false)
		}
		var a, b int
		var op string
		if n, _ := fmt.Sscanf(q.Answer, "%d %s %d = %d.", &a, &op, &b, &result); n == 4 && result >= 0 && result < 100 {
			return q, result
		}
	}
	panic("mini: no sum below a hundred is taught")
}

// drawTurned asks for the answer of a sorting or reversing the other way around.
func drawTurned(d *dice) Question {
	x := make([]int, d.between(3, 5))
	for i := range x {
		x[i] = d.below(100)
	}
	shown := list(x, ", ")
	slices.Sort(x)
	key, forward := list(x, ","), list(x, ", ")+"."
	slices.Reverse(x)
	first := Question{Task: sorting().Name, Text: manner(d, fill(pick(d, sortPhrasings), "x", shown)), Answer: forward, Key: key}
	return Question{Text: manner(d, pick(d, turnPhrasings)), Answer: list(x, ", ") + ".", Key: key, Before: []Question{first}}
}
