package mini

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/weir-ai/weir/llm"
)

// EvalOptions say what is asked. The zero value is the fixed suite.
type EvalOptions struct {
	// Seed draws another suite; 0 is the fixed one, whose figures may be compared over time. Both ask held-out questions only.
	Seed uint64
	// PerTask is how many questions each task asks; 0 means 200, which gives an interval of about ±3 points at 95 % and takes half
	// a minute. Tasks with few held-out questions ask fewer rather than ask twice.
	PerTask int
	// Tasks names the tasks to ask; empty means all.
	Tasks []string
	// Concurrency is how many questions are asked at once; 0 means 8, a batch that costs an engine little more than one alone.
	Concurrency int
	// Progress is told after each answer, one call at a time; nil is told nothing.
	Progress func(done, total int)
}

const (
	fixedSuite         = 20_26 // the fixed suite's seed; a new one would break the comparison with older reports
	perTaskDefault     = 200
	perTaskMax         = 10_000 // more would only ask the same questions in other words
	concurrencyDefault = 8

	// answerTokensMax cuts a model that does not end its answer. The longest right answer has about 60 tokens.
	answerTokensMax = 96

	missesKept = 3 // wrong answers a report shows per task: enough to see what is wrong, few enough to read
)

// Report is the result of an evaluation.
type Report struct {
	Model   string        `json:"model"`
	Seed    uint64        `json:"seed"` // 0: the fixed suite
	Tasks   []Score       `json:"tasks"`
	Overall Score         `json:"overall"`
	Elapsed time.Duration `json:"elapsed_ns"`
}

// Score counts the right answers of one task, or of all.
type Score struct {
	Task  string  `json:"task"`
	Right int     `json:"right"`
	Asked int     `json:"asked"`
	Rate  float64 `json:"rate"`
	// Low and High are Wilson's interval: with a confidence of 95 % the true rate lies between them.
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Misses []Miss  `json:"misses,omitempty"`
}

// Miss is one wrong answer.
type Miss struct {
	Question string `json:"question"`
	Wanted   string `json:"wanted"`
	Got      string `json:"got"`
}

// Suite gives the questions that Eval asks, task by task. None of them is asked twice, and all are held out of training.
func Suite(o EvalOptions) ([]Question, error) {
	tasks, err := chosenTasks(o.Tasks)
	if err != nil {
		return nil, err
	}
	perTask := o.PerTask
	if perTask == 0 {
		perTask = perTaskDefault
	}
	if perTask < 0 || perTask > perTaskMax {
		return nil, fmt.Errorf("%d questions per task: ask 1 to %d", perTask, perTaskMax)
	}
	seed := o.Seed
	if seed == 0 {
		seed = fixedSuite
	}
	var suite []Question
	seen := map[string]bool{} // over all tasks: one may be a part of another
	for _, t := range tasks {
		suite = append(suite, t.listed[:min(len(t.listed), perTask)]...)
		before := len(seen)
		// Ten draws for each question find the rare ones too; then the task has no more.
		for i := uint64(0); t.draw != nil && len(seen)-before < perTask && i < uint64(10*perTask); i++ {
			if q := t.Question(seed, i, true); !seen[q.said()] {
				seen[q.said()] = true
				suite = append(suite, q)
			}
		}
	}
	return suite, nil
}

func chosenTasks(names []string) ([]Task, error) {
	all := Tasks()
	if len(names) == 0 {
		return all, nil
	}
	var chosen []Task
	for _, name := range names {
		found := false
		for _, t := range all {
			if t.Name == name {
				chosen, found = append(chosen, t), true
			}
		}
		if !found {
			var known []string
			for _, t := range all {
				known = append(known, t.Name)
			}
			return nil, fmt.Errorf("there is no task %q; the tasks are %s", name, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}

// Eval asks runner's model every question of the suite, each in a chat of its own and greedily, and counts the answers that
// are exactly right. It fails when a request fails: a figure over the answers that happened to arrive would mean nothing.
func Eval(ctx context.Context, runner llm.Runner, model string, o EvalOptions) (Report, error) {
	suite, err := Suite(o)
	if err != nil {
		return Report{}, err
	}
	started := time.Now()
	answers, err := askAll(ctx, runner, llm.ModelID(model), suite, o)
	if err != nil {
		return Report{}, err
	}
	r := score(suite, answers)
	r.Model, r.Seed, r.Elapsed = model, o.Seed, time.Since(started)
	return r, nil
}

// askAll asks all questions, some at once, and gives the answers in the suite's order. The first failure ends the rest.
func askAll(ctx context.Context, runner llm.Runner, model llm.ModelID, suite []Question, o EvalOptions) ([]string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	workers := o.Concurrency
	if workers <= 0 {
		workers = concurrencyDefault
	}
	answers := make([]string, len(suite))
	var (
		wait sync.WaitGroup
		mu   struct { // next and done belong to it, and so do the calls of Progress
			sync.Mutex
			next, done int
		}
	)
	for range min(workers, len(suite)) {
		wait.Go(func() {
			for {
				mu.Lock()
				i := mu.next
				mu.next++
				mu.Unlock()
				if i >= len(suite) || ctx.Err() != nil {
					return
				}
				answer, err := ask(ctx, runner, model, suite[i])
				if err != nil {
					cancel(fmt.Errorf("asking %q: %w", suite[i].Text, err))
					return
				}
				answers[i] = answer
				mu.Lock()
				mu.done++
				if o.Progress != nil {
					o.Progress(mu.done, len(suite))
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return answers, nil
}

func ask(ctx context.Context, runner llm.Runner, model llm.ModelID, q Question) (string, error) {
	var messages []llm.Message
	for _, b := range q.Before {
		messages = append(messages, llm.TextMessage(llm.RoleUser, b.Text), llm.TextMessage(llm.RoleAssistant, b.Answer))
	}
	messages = append(messages, llm.TextMessage(llm.RoleUser, q.Text))
	sampling := llm.NewSampling()
	sampling.Temperature = 0
	var answer strings.Builder
	_, err := runner.Run(ctx, &llm.Request{
		ID: "eval", Model: model, Task: llm.Chat, Messages: messages,
		Sampling: sampling, Limits: llm.Limits{MaxTokens: answerTokensMax}, Report: llm.NewReport(), N: 1, Arrived: time.Now(),
	}, func(e llm.Event) error {
		switch e.Kind {
		case llm.EventDelta:
			answer.WriteString(e.Text)
		case llm.EventError:
			if e.Err != nil {
				return e.Err
			}
			return errors.New("the answer failed without saying why")
		}
		return nil
	})
	return answer.String(), err
}
