package mini

import (
	_ "embed"
	"strings"
)

// outsideQuestions were written by somebody who had not seen the corpus: 200 questions that the model cannot answer, one a line.
//
//go:embed outside.txt
var outsideQuestions string

// outside asks what nobody ever taught, not even its phrasings: whether the model says that it does not know, where the unknown
// task would only show that it remembers the shapes of such questions.
func outside() Task {
	t := Task{Name: "outside", About: "200 questions by hand that the model cannot know, none of their kind taught"}
	for line := range strings.Lines(outsideQuestions) {
		text := strings.TrimSpace(line)
		t.listed = append(t.listed, Question{Task: t.Name, Text: text, Answer: unknownAnswer, Key: wording(text)})
	}
	return t
}
