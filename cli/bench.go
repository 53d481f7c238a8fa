package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/weir-ai/weir/engine/tensor"
	"github.com/weir-ai/weir/engine/weights"
	"github.com/weir-ai/weir/mini"
)

type benchCommand struct {
	engineFlags
	Type     string        `default:"Q8_0" help:"How a shape's weights are stored: ${default}, Q4_0, Q4_K or F16. A file has its own."`
	Prompt   int           `default:"512" placeholder:"TOKENS" help:"Length of the prompt that prefill is measured with (${default})."`
	Depth    int           `default:"105" placeholder:"TOKENS" help:"Length of the prompts before the answers that decode is measured with (${default})."`
	Generate int           `default:"64" placeholder:"TOKENS" help:"Tokens of each answer that are timed (${default})."`
	Batch    []int         `default:"1,8,32" placeholder:"N" help:"How many answers are decoded at once (${default})."`
	Repeat   int           `default:"3" placeholder:"N" help:"Rounds; each measures everything once, and the median counts (${default})."`
	Step     time.Duration `default:"0s" help:"How long a step may take while a prompt is read; 0 is as in service, where others stream beside it."`
	JSON     bool          `help:"Print JSON, with every round."`
	Target   string        `arg:"" default:"135m" help:"135m, 0.5b or 1.2b (a shape, with random weights), weir-mini, weir-nano, or a model file or folder (${default})."`
}

// Help teaches by example.
func (benchCommand) Help() string {
	return `Examples:

  weir bench                           random weights of 135 million parameters in Q8_0
  weir bench 1.2b --type Q4_K          the shape of Llama 3.2 1B in another type
  weir bench model.gguf --batch 1,16   a file of yours, one answer alone and sixteen at once
  weir bench 0.5b --threads 1 --json   for a script

What the figures mean:

  prefill   tokens of a prompt read a second, from the request to its first token
  decode    tokens written a second by all answers together, while all run
  reading   bytes of memory that the same threads read a second, measured
            between the others

One answer alone reads all weights for each token, so it is never faster than reading divided by the size of the weights. Speed depends on shapes and types and not on values, so random weights measure a machine as well as real ones. Other programs
on the machine make everything slower; rounds that differ much say so.`
}

// Bounds keep a slip of the pen from running for hours or taking all memory.
const (
	benchTokensMax = 8192
	benchBatchMax  = 256
	benchRepeatMax = 100
)

func (c benchCommand) validate() error {
	check := func(name string, v, least, most int) error {
		if v < least || v > most {
			return fmt.Errorf("--%s %d is out of range; it is %d to %d", name, v, least, most)
		}
		return nil
	}
	err := errors.Join(check("prompt", c.Prompt, 1, benchTokensMax), check("depth", c.Depth, 1, benchTokensMax),
		check("generate", c.Generate, 1, benchTokensMax), check("repeat", c.Repeat, 1, benchRepeatMax), check("threads", c.Threads, 0, 64))
	if len(c.Batch) == 0 {
		err = errors.Join(err, errors.New("--batch is empty; give one number at least, such as 1"))
	}
	for _, n := range c.Batch {
		err = errors.Join(err, check("batch", n, 1, benchBatchMax))
	}
	if c.Step < 0 {
		err = errors.Join(err, fmt.Errorf("--step %s is negative; 0 is as in service", c.Step))
	}
	return err
}

// Run measures and prints.
func (c benchCommand) Run(call *call) error {
	if err := c.validate(); err != nil {
		return usageError{err}
	}
	ctx, stop := untilSignal()
	defer stop()
	bar := startProgress(call.Err, -1, "making "+c.Target)
	b, err := c.open()
	bar.done()
	if err != nil {
		return err
	}
	defer b.close()
	result, err := c.measure(ctx, call, b)
	switch {
	case ctx.Err() != nil:
		return errInterrupted
	case err != nil:
		return err
	case c.JSON:
		return printJSON(call.Out, result)
	}
	return result.print(call.Out, paintFor(call.Out))
}

// file opens what is to be measured.
func (c benchCommand) file() (*weights.File, error) {
	if slices.Contains(weights.SyntheticShapes(), c.Target) {
		t, err := typeNamed(c.Type)
		if err != nil {
			return nil, usageError{err}
		}
		f, err := weights.Synthetic(c.Target, t, 1)
		if err != nil {
			return nil, usageError{err}
		}
		return f, nil
	}
	if gguf, ok := mini.Weights(c.Target); ok {
		return weights.OpenBytes(c.Target, gguf)
	}
	if _, err := os.Stat(c.Target); err != nil {
		return nil, usageError{fmt.Errorf("%q is neither a file nor one of the shapes %s", c.Target, strings.Join(weights.SyntheticShapes(), ", "))}
	}
	return weights.Open(c.Target)
}

// typeNamed finds a tensor type by its name; a file's mixture is named by its main type.
func typeNamed(name string) (tensor.Type, error) {
	wanted := strings.ToUpper(name)
	for _, mixture := range []string{"_S", "_M", "_L"} {
		wanted = strings.TrimSuffix(wanted, "_K"+mixture) + map[bool]string{true: "_K"}[strings.HasSuffix(wanted, "_K"+mixture)]
	}
	for t := range tensor.Type(64) { // ggml numbers its types from 0, and has some forty
		if t.Supported() && t.String() == wanted {
			return t, nil
		}
	}
	return 0, fmt.Errorf("--type %s is not known; known are %s", name, tensor.SupportedTypes)
}

// measure runs the rounds. Everything is measured once in each, so that a neighbour who comes and goes meets all alike.
func (c benchCommand) measure(ctx context.Context, call *call, b *bench) (*benchResult, error) {
	r := b.result(c)
	total := c.Repeat * (2 + len(c.Batch))
	bar, at := startProgress(call.Err, total, "warming up"), 0
	defer bar.done()
	for range 2 { // the engine feels its way to the number of tokens that a step can take
		if _, err := b.prefill(ctx, c.Prompt); err != nil {
			return nil, err
		}
	}
	next := func(what string) {
		bar.step(at)
		bar.say(what)
		at++
	}
	for range c.Repeat {
		next("reading memory")
		r.Reading.add(b.read())
		next(fmt.Sprintf("prefill of %d", c.Prompt))
		v, err := b.prefill(ctx, c.Prompt)
		if err != nil {
			return nil, err
		}
		r.Prefill.add(v)
		for i, n := range c.Batch {
			next(fmt.Sprintf("decode of %d", n))
			v, err := b.decode(ctx, n, c.Depth, c.Generate)
			if err != nil {
				return nil, err
			}
			r.Decode[i].add(v)
		}
	}
	return r, nil
}

// figure is what was measured, round by round.
type figure struct {
	Median float64   `json:"median"`
	Rounds []float64 `json:"rounds"`
}

func (f *figure) add(v float64) {
	f.Rounds = append(f.Rounds, v)
	sorted := slices.Sorted(slices.Values(f.Rounds))
	f.Median = (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// decodeFigure is a decode figure with its number of answers.
type decodeFigure struct {
	Sequences int `json:"sequences"`
	figure
}

// benchResult is what `weir bench` prints: tokens a second, and bytes a second for Reading.
type benchResult struct {
	Model        string         `json:"model"`
	Architecture string         `json:"architecture"`
	Type         string         `json:"type"`
	Parameters   int64          `json:"parameters"`
	ReadPerToken int64          `json:"bytes_read_per_token"` // what one answer alone reads for each token
	Kernels      string         `json:"kernels"`
	Threads      int            `json:"threads"`
	Activations  string         `json:"activations"`
	KV           string         `json:"kv"`
	Prompt       int            `json:"prompt_tokens"`
	Depth        int            `json:"depth_tokens"`
	Generate     int            `json:"generated_tokens"`
	Reading      figure         `json:"reading_bytes_per_second"`
	Prefill      figure         `json:"prefill_tokens_per_second"`
	Decode       []decodeFigure `json:"decode_tokens_per_second"`
}

// limit is how many tokens a second one answer alone could have at most: where memory was once that fast, it can be.
func (r *benchResult) limit() float64 { return slices.Max(r.Reading.Rounds) / float64(r.ReadPerToken) }

// cacheBytes is what a large processor's caches hold. Weights that fit are not read from memory.
const cacheBytes = 64 << 20

func (r *benchResult) alone(v float64) string {
	if r.ReadPerToken < cacheBytes {
		return "one answer; weights this small stay in the cache, so reading is no limit"
	}
	if v > r.limit() {
		return fmt.Sprintf("one answer; more than the %s that the fastest reading allows, so reading was disturbed each time: measure again on a quiet machine", short(r.limit()))
	}
	return fmt.Sprintf("one answer; %.0f %% of the %s that the fastest reading allows", 100*v/r.limit(), short(r.limit()))
}

func (r *benchResult) print(w io.Writer, p paint) error {
	fmt.Fprintf(w, "%s  %s, %s parameters, %s\n%s\n\n", p.bold(r.Model), r.Architecture, count(r.Parameters), r.Type,
		p.faint(fmt.Sprintf("%s, %d threads, %s activations, %s KV cache, median of %d", r.Kernels, r.Threads, r.Activations, r.KV, len(r.Prefill.Rounds))))
	t := tabwriter.NewWriter(w, 0, 4, 3, ' ', 0)
	row := func(name string, f figure, unit string, scale float64, note string) {
		fmt.Fprintf(t, "%s\t%s %s\t%s\t%s\n", name, short(f.Median*scale), unit, spread(f, scale), note)
	}
	row(fmt.Sprintf("prefill of %d", r.Prompt), r.Prefill, "tok/s", 1, "one prompt, from the request to its first token")
	for _, d := range r.Decode {
		if d.Sequences == 1 {
			row("decode alone", d.figure, "tok/s", 1, r.alone(d.Median))
			continue
		}
		row(fmt.Sprintf("decode of %d", d.Sequences), d.figure, "tok/s", 1, fmt.Sprintf("%s for each answer", short(d.Median/float64(d.Sequences))))
	}
	row("reading", r.Reading, "GB/s", 1e-9, fmt.Sprintf("of memory; the weights are %s", size(r.ReadPerToken)))
	return t.Flush()
}

// spread is the range of the rounds, so that a noisy machine shows.
func spread(f figure, scale float64) string {
	if len(f.Rounds) < 2 {
		return ""
	}
	return fmt.Sprintf("(%s to %s)", short(slices.Min(f.Rounds)*scale), short(slices.Max(f.Rounds)*scale))
}

// short writes a number with three digits that count.
func short(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
