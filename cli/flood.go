package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-ai/weir/flood"
	"github.com/weir-ai/weir/workload"
)

type floodCommand struct {
	Duration time.Duration `default:"30s" help:"How long requests come (${default}); a trace ends earlier where it is shorter."`
	Rate     float64       `placeholder:"N" help:"Requests a second, outside of the flood of a shape; 10 without a trace. With a trace alone, its times are stretched to this mean rate."`
	Shape    string        `placeholder:"SHAPE" help:"steady, step, spike, ramp or sine, such as step:4x or step:4x:10s-70s; steady without a trace."`
	Even     bool          `help:"Even gaps between requests instead of a Poisson process."`

	Trace  string        `placeholder:"[KIND:]FILE" help:"A recorded workload: azure, mooncake, servegen, vtc, aibrix, csv or jsonl; the kind is seen by itself."`
	From   time.Duration `help:"Where in the trace to begin."`
	Span   time.Duration `help:"How much of the trace to take, in its own time; 0 is all."`
	Speed  float64       `default:"1" help:"Play the trace so many times as fast (${default})."`
	Sample float64       `default:"1" help:"Keep this part of the trace's requests, 0 to 1 (${default})."`

	Prompt  int     `default:"256" placeholder:"TOKENS" help:"Median length of prompts without a trace (${default})."`
	Output  int     `default:"64" placeholder:"TOKENS" help:"Median length of answers without a trace, as max_tokens (${default})."`
	Spread  float64 `default:"0.8" help:"Spread of both, of the logarithm: 0 makes all alike, chats have about ${default}."`
	Prefix  int     `default:"0" placeholder:"TOKENS" help:"How many tokens all prompts of a tenant begin with (${default})."`
	Tenants string  `placeholder:"SHARES" help:"Who asks: 10, or a=3,b=1; for requests whose trace names nobody."`
	Classes string  `placeholder:"SHARES" help:"How soon it is wanted: interactive=1,batch=3, sent as a header."`

	Key          []string `placeholder:"KEY" help:"API key of everybody, or TENANT=KEY."`
	Keys         string   `type:"existingfile" placeholder:"FILE" help:"API keys, TENANT=KEY a line; * is all others."`
	Header       []string `sep:"none" placeholder:"NAME:VALUE" help:"A header of every request."`
	ClassHeader  string   `default:"X-Weir-Class" help:"The header for classes (${default})."`
	TenantHeader string   `placeholder:"NAME" help:"A header for tenants; none without."`
	Model        string   `help:"The model; without, the first that the server lists."`
	IgnoreEOS    bool     `name:"ignore-eos" help:"Ask for answers of full length, where the server takes ignore_eos."`
	MaxOutput    int      `placeholder:"TOKENS" help:"Bound the length of answers."`

	Objective []string      `sep:"none" placeholder:"OBJECTIVE" help:"What an answer must meet to count: ttft=2s,tpot=200ms (the default), none, or CLASS: before either."`
	Weight    []string      `placeholder:"TENANT=N" help:"A tenant's weight, for the figures of fairness."`
	Obey      float64       `default:"0" help:"Part of the clients that come back after as long as Retry-After says, 0 to 1 (${default})."`
	Returns   int           `default:"2" help:"How often one of them comes back at most (${default})."`
	Timeout   time.Duration `default:"60s" help:"How long a request may take (${default})."`
	Warmup    time.Duration `default:"0s" help:"How much of the beginning does not count (${default})."`
	MaxOpen   int           `default:"20000" help:"Open requests at most; those beyond are not sent and counted (${default})."`
	Seed      uint64        `default:"1" help:"The same seed makes the same flood (${default})."`

	TokensPerWord  float64 `placeholder:"N" help:"Tokens of a word of the prompts; without, the server's usage is asked with two short requests."`
	IOwnThisServer bool    `name:"i-own-this-server" help:"Allow a server beyond this machine. A flood at a server of others is an attack."`

	Live    bool   `default:"true" negatable:"" help:"Show how it goes (on)."`
	JSON    string `placeholder:"FILE" help:"Write the report as JSON; - prints it instead of the table."`
	HTML    string `placeholder:"FILE" help:"Write the report as one page with pictures that needs no network."`
	Compare bool   `help:"Compare two reports: weir flood --compare A.json B.json."`

	Target []string `arg:"" optional:"" help:"The server, such as http://127.0.0.1:8080; with --compare, two reports."`
}

// Help teaches by example.
func (floodCommand) Help() string {
	return `Examples:

  weir flood http://127.0.0.1:8080 --rate 5            5 requests a second, in half a minute
  weir flood :8080 --rate 5 --shape step:10x           ten times as many for the middle third
  weir flood :8080 --trace vtc.csv --speed 4           27 tenants of a recorded hour, four times as fast
  weir flood :8080 --trace azure:a.csv --shape step:4x --rate 20
                                                       its lengths, at the times of a shape
  weir flood :8080 --rate 50 --tenants heavy=9,light=1 --key heavy=KEY1 --key light=KEY2
  weir flood :8080 --rate 50 --classes interactive=1,batch=3 --objective interactive:ttft=1s,tpot=100ms
  weir flood :8080 --rate 50 --obey 0.1 --json a.json --html a.html
  weir flood --compare a.json b.json

Requests have their times in a schedule that no answer shifts, and every latency counts from there. Goodput is the answers a second that
met the objective. Any server works that speaks OpenAI's /v1/chat/completions. Ctrl-C ends the flood early with a report; twice, at once.`
}

// Run floods, or compares.
func (c floodCommand) Run(call *call) error {
	if c.Compare {
		return c.compare(call)
	}
	if len(c.Target) != 1 {
		return usageError{fmt.Errorf("%d servers are named; name one, such as http://127.0.0.1:8080", len(c.Target))}
	}
	o, err := c.options()
	if err != nil {
		return usageError{err}
	}
	o.Version = call.version
	ctx, stop := untilSignal()
	defer stop()
	unhook := context.AfterFunc(ctx, stop) // from then on, a second Ctrl-C ends the process at once
	defer unhook()
	live := newFloodLive(call.Err, c.Live)
	o.Tick = live.show
	r, err := flood.Run(ctx, o)
	live.done()
	if err != nil {
		if ctx.Err() != nil {
			return errInterrupted
		}
		return err
	}
	if err := c.write(call, r); err != nil {
		return err
	}
	if r.Interrupted {
		return errInterrupted
	}
	return nil
}

// write puts the report where it is wanted.
func (c floodCommand) write(call *call, r *flood.Report) error {
	if c.HTML != "" {
		page, err := r.HTML()
		if err == nil {
			err = replaceFile(c.HTML, func(f *os.File) error { _, err := f.Write(page); return err })
		}
		if err != nil {
			return fmt.Errorf("the page cannot be written: %w", err)
		}
	}
	if c.JSON == "-" {
		return r.Write(call.Out)
	}
	if c.JSON != "" {
		if err := replaceFile(c.JSON, func(f *os.File) error { return r.Write(f) }); err != nil {
			return fmt.Errorf("the report cannot be written: %w", err)
		}
	}
	return r.Table(call.Out, paintFor(call.Out).bold)
}

// options reads the flags.
func (c floodCommand) options() (o flood.Options, err error) {
	o = flood.Options{
		URL: c.Target[0], Own: c.IOwnThisServer, Model: c.Model, For: c.Duration, Warmup: c.Warmup, ClassHeader: c.ClassHeader, TenantHeader: c.TenantHeader,
		Obey: c.Obey, Returns: c.Returns, Timeout: c.Timeout, IgnoreEOS: c.IgnoreEOS, OutputMax: c.MaxOutput, TokensPerWord: c.TokensPerWord, OpenMax: c.MaxOpen,
		Seed: c.Seed, Command: commandLine(os.Args), Headers: map[string]string{}, Objectives: map[string]flood.Objective{}, Weights: map[string]float64{},
	}
	if strings.HasPrefix(o.URL, ":") {
		o.URL = "http://127.0.0.1" + o.URL
	}
	if o.Keys, err = c.keys(); err != nil {
		return o, err
	}
	for _, h := range c.Header {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return o, fmt.Errorf("--header %q has no colon; write it as Name: value", h)
		}
		o.Headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	for _, text := range c.Objective {
		class, ob, err := flood.ParseObjective(text)
		if err != nil {
			return o, fmt.Errorf("--%w", err)
		}
		o.Objectives[class] = ob
	}
	for _, text := range c.Weight {
		name, value, _ := strings.Cut(text, "=")
		w, err := strconv.ParseFloat(value, 64)
		if err != nil || !(w > 0) {
			return o, fmt.Errorf("--weight %q; write it as TENANT=2, with more than 0", text)
		}
		o.Weights[name] = w
	}
	if o.Requests, o.For, err = c.requests(); err != nil {
		return o, err
	}
	return o, o.Validate()
}

// commandLine writes the command as it was typed, without the keys.
func commandLine(args []string) string {
	out := []string{"weir"}
	hide := false
	for _, a := range args[1:] {
		switch {
		case hide:
			a, hide = "...", false
		case a == "--key" || a == "--header":
			hide = true
		case strings.HasPrefix(a, "--key=") || strings.HasPrefix(a, "--header="):
			a = a[:strings.Index(a, "=")+1] + "..."
		}
		if strings.ContainsAny(a, " '\"$&|;*?()<>") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		out = append(out, a)
	}
	return strings.Join(out, " ")
}

// keysBytesMax bounds a file of keys: ten thousand tenants.
const keysBytesMax = 4 << 20

// keys reads --key and --keys. A key without a tenant is for all others.
func (c floodCommand) keys() (map[string]string, error) {
	out := map[string]string{}
	add := func(text string) {
		tenant, key, ok := strings.Cut(text, "=")
		if !ok {
			tenant, key = "", text
		}
		if tenant == "*" {
			tenant = ""
		}
		out[strings.TrimSpace(tenant)] = strings.TrimSpace(key)
	}
	if c.Keys != "" {
		f, err := os.Open(c.Keys)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, keysBytesMax))
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				add(line)
			}
		}
	}
	for _, k := range c.Key {
		add(k)
	}
	return out, nil
}

// Without a trace and a rate, a flood begins modestly.
const floodRate = 10

// requests makes the workload and says how long it is.
func (c floodCommand) requests() (iter.Seq[workload.Request], time.Duration, error) {
	var tenants, classes []workload.Share
	var err error
	if c.Tenants != "" {
		if tenants, err = workload.ParseShares("tenant", c.Tenants); err != nil {
			return nil, 0, fmt.Errorf("--tenants: %w", err)
		}
	}
	if c.Classes != "" {
		if classes, err = workload.ParseShares("class", c.Classes); err != nil {
			return nil, 0, fmt.Errorf("--classes: %w", err)
		}
	}
	var recorded []workload.Request
	if c.Trace != "" {
		if recorded, err = c.recorded(); err != nil {
			return nil, 0, err
		}
		workload.Assign(recorded, tenants, classes, c.Seed)
		if c.Shape == "" {
			return c.replay(recorded)
		}
	}
	shape, err := c.shape()
	if err != nil {
		return nil, 0, err
	}
	if recorded != nil {
		return workload.Reshape(recorded, shape, c.Seed, c.Even), c.Duration, nil
	}
	if c.Prompt < 1 || c.Output < 1 || c.Prefix < 0 || !(c.Spread >= 0 && c.Spread <= 5) {
		return nil, 0, errors.New("--prompt and --output are 1 or more tokens, --prefix 0 or more, --spread 0 to 5")
	}
	m := workload.Mix{Shape: shape, Even: c.Even, Prompt: workload.Lengths{Median: c.Prompt, Spread: c.Spread}, Output: workload.Lengths{Median: c.Output, Spread: c.Spread},
		Prefix: c.Prefix, Tenants: tenants, Classes: classes, Seed: c.Seed}
	return m.Requests(), c.Duration, nil
}

func (c floodCommand) shape() (workload.Shape, error) {
	text, rate := c.Shape, c.Rate
	if text == "" {
		text = "steady"
	}
	if rate == 0 {
		rate = floodRate
	}
	s, err := workload.ParseShape(text)
	if err != nil {
		return s, fmt.Errorf("--%w", err)
	}
	s.Rate, s.For = rate, c.Duration
	return s, s.Validate()
}

// recorded reads the trace.
func (c floodCommand) recorded() ([]workload.Request, error) {
	kind, name, ok := strings.Cut(c.Trace, ":")
	if !ok || !slices.Contains(workload.Kinds(), kind) {
		kind, name = "", c.Trace
	}
	if !(c.Speed > 0 && c.Speed <= 1e6) || !(c.Sample > 0 && c.Sample <= 1) || !(c.Rate >= 0) {
		return nil, errors.New("--speed is more than 0, --sample more than 0 and no more than 1, --rate 0 or more")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("--trace: %w", err)
	}
	defer f.Close()
	rs, err := workload.Read(f, kind, workload.Span{From: c.From, For: c.Span}, c.Seed)
	if err != nil {
		return nil, fmt.Errorf("--trace %s: %w", name, err)
	}
	if rs = workload.Sample(rs, c.Sample, c.Seed); len(rs) == 0 {
		return nil, fmt.Errorf("--sample %g leaves no request; give more", c.Sample)
	}
	return rs, nil
}

// replay plays a trace in its own time, faster or slower.
func (c floodCommand) replay(rs []workload.Request) (iter.Seq[workload.Request], time.Duration, error) {
	times := c.Speed
	if mean := workload.Rate(rs); c.Rate > 0 && mean > 0 {
		times = c.Rate / mean
	}
	rs = workload.Faster(rs, times)
	last := rs[len(rs)-1].At + time.Second // the last one is sent, and heard for a second
	return slices.Values(rs), min(c.Duration, last), nil
}
