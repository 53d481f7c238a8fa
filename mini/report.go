package mini

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// score counts answers task by task.
func score(suite []Question, answers []string) Report {
	var r Report
	r.Overall.Task = overallTask
	for i, q := range suite {
		if len(r.Tasks) == 0 || r.Tasks[len(r.Tasks)-1].Task != q.Task {
			r.Tasks = append(r.Tasks, Score{Task: q.Task})
		}
		s := &r.Tasks[len(r.Tasks)-1]
		s.Asked++
		r.Overall.Asked++
		if q.Right(answers[i]) {
			s.Right++
			r.Overall.Right++
		} else if len(s.Misses) < missesKept {
			s.Misses = append(s.Misses, Miss{Question: q.Text, Wanted: q.Answer, Got: strings.TrimSpace(answers[i])})
		}
	}
	for i := range r.Tasks {
		r.Tasks[i].settle()
	}
	r.Overall.settle()
	return r
}

func (s *Score) settle() {
	if s.Asked > 0 {
		s.Rate = float64(s.Right) / float64(s.Asked)
	}
	s.Low, s.High = wilson(s.Right, s.Asked)
}

// wilson gives the 95 % score interval of a rate (E. B. Wilson, "Probable inference, the law of succession, and statistical
// inference", 1927). The textbook's plus-minus would be empty at 100 of 100, just where the honest answer is "at least 96 %".
func wilson(right, asked int) (low, high float64) {
	if asked == 0 {
		return 0, 1
	}
	const z = 1.959964 // the normal distribution's 97.5 % point
	n, p := float64(asked), float64(right)/float64(asked)
	centre := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return max(0, centre-half), min(1, centre+half)
}

// Text writes the report as a table for a terminal.
func (r Report) Text() string {
	var b strings.Builder
	suite := "the fixed suite"
	if r.Seed != 0 {
		suite = fmt.Sprintf("the suite of seed %d", r.Seed)
	}
	fmt.Fprintf(&b, "%s, %s: exact match on held-out questions\n\n", r.Model, suite)
	fmt.Fprintf(&b, "%-12s %7s %7s %8s   %s\n", "task", "right", "asked", "rate", "95 % interval")
	for _, s := range append(r.Tasks[:len(r.Tasks):len(r.Tasks)], r.Overall) {
		fmt.Fprintf(&b, "%-12s %7d %7d %6.1f %%   %.1f to %.1f %%\n", s.Task, s.Right, s.Asked, 100*s.Rate, 100*s.Low, 100*s.High)
	}
	fmt.Fprintf(&b, "\n%d questions in %s\n", r.Overall.Asked, r.Elapsed.Round(100*time.Millisecond))
	return b.String()
}
