package cli

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/weir-ai/weir/llm"
)

type tokenizeCommand struct {
	modelFlags
	Special bool   `help:"Add the model's own start and end tokens."`
	Count   bool   `help:"Print the number of tokens only."`
	JSON    bool   `help:"Print JSON."`
	File    string `arg:"" optional:"" help:"The text; - or nothing is standard input."`
}

// Help teaches by example.
func (tokenizeCommand) Help() string {
	return `Examples:

  weir tokenize README.md
  echo "What is 17 + 25?" | weir tokenize
  weir tokenize --count --model my=model.gguf prompt.txt`
}

type tokenizeResult struct {
	Model  string        `json:"model"`
	Count  int           `json:"count"`
	Tokens []llm.TokenID `json:"tokens"`
	Pieces []string      `json:"pieces"`
}

// Run prints the tokens of a text.
func (c tokenizeCommand) Run(call *call) error {
	in := call.In
	if c.File != "" && c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return usageError{fmt.Errorf("cannot read the text: %w", err)}
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, promptMax+1))
	if err != nil {
		return fmt.Errorf("cannot read the text: %w", err)
	}
	if len(text) > promptMax {
		return usageError{fmt.Errorf("the text has more than %d bytes", promptMax)}
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
	v := system.Models()[0].Vocabulary
	r := tokenizeResult{Model: string(model)}
	if r.Tokens, err = v.Tokenize(context.Background(), string(text), c.Special); err != nil {
		return err
	}
	r.Count = len(r.Tokens)
	for _, id := range r.Tokens {
		r.Pieces = append(r.Pieces, v.Piece(id))
	}
	return c.print(call, r)
}

func (c tokenizeCommand) print(call *call, r tokenizeResult) error {
	switch {
	case c.JSON:
		return printJSON(call.Out, r)
	case c.Count:
		fmt.Fprintln(call.Out, r.Count)
		return nil
	}
	p := paintFor(call.Out)
	for i, id := range r.Tokens {
		fmt.Fprintf(call.Out, "%6d  %s\n", id, p.blue(fmt.Sprintf("%q", r.Pieces[i])))
	}
	fmt.Fprintf(call.Out, "%s\n", p.faint(fmt.Sprintf("%d tokens", r.Count)))
	return nil
}
