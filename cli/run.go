package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/weir-ai/weir/app"
	"github.com/weir-ai/weir/llm"
)

// samplingFlags are the flags of the commands that ask a model.
type samplingFlags struct {
	Temperature float64  `default:"0" help:"0 takes the likeliest token; 1 draws from the model's own distribution."`
	TopP        float64  `default:"1" help:"Draw among the likeliest tokens that together have this probability."`
	Seed        *int64   `placeholder:"N" help:"Draw the same way each time."`
	MaxTokens   int      `placeholder:"N" help:"Longest answer in tokens; 0 is the rest of the context."`
	Stop        []string `placeholder:"TEXT" help:"End the answer before this text. May be repeated." sep:"none"`
	System      string   `placeholder:"TEXT" help:"A system message before the conversation."`
}

func (f samplingFlags) request(model llm.ModelID, messages []llm.Message) *llm.Request {
	r := &llm.Request{Model: model, Task: llm.Chat, Messages: messages, N: 1, Stream: true, Sampling: llm.NewSampling(), Report: llm.NewReport(), Arrived: time.Now()}
	r.Sampling.Temperature, r.Sampling.TopP, r.Sampling.Seed = f.Temperature, f.TopP, f.Seed
	if f.TopP == 0 { // as over HTTP: the likeliest token alone
		r.Sampling.TopP = llm.TopPLeast
	}
	r.Limits = llm.Limits{MaxTokens: f.MaxTokens, Stop: f.Stop}
	if f.System != "" {
		r.Messages = append([]llm.Message{llm.TextMessage(llm.RoleSystem, f.System)}, messages...)
	}
	return r
}

// promptMax bounds a prompt from standard input; it is far beyond any context.
const promptMax = 32 << 20

type runCommand struct {
	modelFlags
	samplingFlags
	JSON   bool     `help:"Print one JSON object with the answer and its usage."`
	Prompt []string `arg:"" optional:"" help:"The prompt; without one, standard input is read."`
}

// Help teaches by example.
func (runCommand) Help() string {
	return `Examples:

  weir run What is 17 + 25?
  echo "Sort 9 4 7" | weir run
  weir run --model my=model.gguf --temperature 0.7 --seed 1 "Write a haiku about rivers" > haiku.txt
  git diff | weir run --model my=model.gguf --system "Write a commit subject for this diff"

A model without a chat template continues the prompt: weir run --model base.gguf "Once upon a"`
}

// Run answers one prompt.
func (c runCommand) Run(call *call) error {
	prompt := strings.Join(c.Prompt, " ")
	if prompt == "" {
		if isTerminal(call.In) {
			return usageError{errors.New("no prompt: give one as arguments, or pipe it in; `weir chat` is for conversations")}
		}
		text, err := io.ReadAll(io.LimitReader(call.In, promptMax+1))
		if err != nil {
			return fmt.Errorf("cannot read the prompt: %w", err)
		}
		if len(text) > promptMax {
			return usageError{fmt.Errorf("the prompt has more than %d bytes", promptMax)}
		}
		prompt = strings.TrimSpace(string(text))
	}
	if prompt == "" {
		return usageError{errors.New("the prompt is empty")}
	}
	system, _, err := inProcess(call, c.modelFlags)
	if err != nil {
		return err
	}
	defer system.Stop()
	model, err := onlyModel(system)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal()
	defer stop()
	req := c.request(model, []llm.Message{llm.TextMessage(llm.RoleUser, prompt)})
	if !system.Models()[0].About.Chat { // a base model: it continues the text
		if c.System != "" {
			return usageError{fmt.Errorf("--system %.40q: model %q has no chat template, so it takes no system message and continues the prompt; put the text before the prompt", c.System, model)}
		}
		req.Task, req.Messages, req.Prompts = llm.Completion, nil, []llm.Prompt{{Text: prompt}}
	}
	if c.JSON {
		return c.answerJSON(ctx, call, system.Runner(), req)
	}
	_, _, err = stream(ctx, system.Runner(), req, shown(call.Out))
	fmt.Fprintln(call.Out)
	return err
}

type runResult struct {
	Model            string  `json:"model"`
	Text             string  `json:"text"`
	FinishReason     string  `json:"finish_reason"`
	PromptTokens     int     `json:"prompt_tokens"`
	CompletionTokens int     `json:"completion_tokens"`
	Seconds          float64 `json:"seconds"`
}

func (c runCommand) answerJSON(ctx context.Context, call *call, r llm.Runner, req *llm.Request) error {
	var text strings.Builder
	begun := time.Now()
	usage, reason, err := stream(ctx, r, req, &text)
	if err != nil {
		return err
	}
	return printJSON(call.Out, runResult{string(req.Model), text.String(), string(reason), usage.PromptTokens, usage.CompletionTokens, time.Since(begun).Seconds()})
}

// onlyModel is the model to ask. Which of several is meant is not guessed.
func onlyModel(s *app.System) (llm.ModelID, error) {
	models := s.Models()
	if len(models) != 1 {
		return "", usageError{fmt.Errorf("%d models are configured; choose one with --model NAME=PATH", len(models))}
	}
	return models[0].ID, nil
}

// stream asks and writes the text as it comes.
func stream(ctx context.Context, r llm.Runner, req *llm.Request, w io.Writer) (usage llm.Usage, reason llm.FinishReason, err error) {
	usage, err = r.Run(ctx, req, func(e llm.Event) error {
		switch e.Kind {
		case llm.EventDelta:
			_, err := io.WriteString(w, e.Text)
			return err
		case llm.EventFinish:
			reason = e.Finish.Reason
		}
		return nil
	})
	if errors.Is(err, context.Canceled) {
		err = errInterrupted
	}
	return usage, reason, err
}

// untilSignal is a context that ends with Ctrl-C, or with the signals named; stop must be called.
func untilSignal(also ...os.Signal) (ctx context.Context, stop func()) {
	return signal.NotifyContext(context.Background(), append(also, os.Interrupt)...)
}
