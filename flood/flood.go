// Package flood puts load on any server that speaks OpenAI's chat completions and reports how it held: the yardstick of this project,
// made for other stacks as well. It knows HTTP and the words of `llm` and `workload`, and nothing else of Weir.
//
// The loop is open. Every request has its time in a schedule that no answer can shift, and every latency counts from that time and not
// from when the sender got round to it: a server that stops for a second is seen to have done so by all who came in that second. A
// closed loop, in which each client waits for its answer, would slow down with the server and hide the flood.
//
// Run owns one goroutine that keeps the schedule, one for each open request, and one that closes a tick of the series each second; all
// have ended when it returns. The recorder's figures are behind one mutex. Memory is bounded whatever the flood: histograms instead of
// samples, ticks that grow with the length, a fixed number of tenants and reasons that are told apart.
//
// It sends to the one address that it was given, follows no redirect, and refuses addresses beyond this machine unless told that the
// server is the user's own. It never stores what a server answers.
package flood

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weir-ai/weir/workload"
)

// Options says what is sent where. URL, Requests and For are needed; the zero value of the others is usable.
type Options struct {
	URL   string // of the server; "/v1/chat/completions" is added where only a host or ".../v1" is given
	Own   bool   // the user says that the server is their own: it may be beyond this machine
	Model string // empty: the first that /v1/models lists

	Requests iter.Seq[workload.Request] // in the order of At
	For      time.Duration              // of the schedule, Warmup and all; what comes later is not sent
	Warmup   time.Duration              // of its beginning, which is sent and not counted

	Keys         map[string]string    // API key of a tenant; "" is for all others
	Headers      map[string]string    // sent with every request
	ClassHeader  string               // takes a request's class; empty: X-Weir-Class
	TenantHeader string               // takes a request's tenant; empty: not sent
	Objectives   map[string]Objective // by class; "" is for all others
	Weights      map[string]float64   // of tenants, for the figures of fairness; 1 where none is given

	Obey    float64       // part of the clients that come back after as long as a refusal's Retry-After says, 0 to 1
	Returns int           // how often one of them comes back at most; 0: returnsDefault
	Timeout time.Duration // of one try, from its scheduled time; 0: timeoutDefault

	IgnoreEOS     bool    // ask the server to write all of max_tokens, where it takes the field
	OutputMax     int     // bounds max_tokens; 0: none
	TokensPerWord float64 // of the prompts; 0: the server's usage is asked once at the start
	OpenMax       int     // open requests at once; 0: openDefault. One more is not sent and counted as unsent
	Seed          uint64

	Command string         // how the run was asked for, for the report
	Version string         // of the program, for the report
	Tick    func(Snapshot) // called each second, from one goroutine; nil: nobody looks
}

// Objective is what an answer must meet to count. 0 is none.
type Objective struct {
	TTFT time.Duration // from the schedule to the first content, reasoning or tool call
	TPOT time.Duration // mean time of each token after the first
}

const (
	// timeoutDefault is the patience of an official SDK's user who has set something: their default of ten minutes would keep every
	// request of a flood open; a few seconds would hide how late answers come.
	timeoutDefault = time.Minute
	// openDefault is what one address can be asked at once: the usual range of local ports is 28,000.
	openDefault = 20_000
	openMax     = 60_000
	// returnsDefault is the retries of the official SDKs.
	returnsDefault = 2
	returnsMax     = 100
	// headersMax bounds the extra headers of a request.
	headersMax = 64
)

// Defaults that are promises of the project: `objective: {ttft: 2s, tpot: 200ms}`, batch has none.
func defaultObjectives() map[string]Objective {
	return map[string]Objective{"": {TTFT: 2 * time.Second, TPOT: 200 * time.Millisecond}, "batch": {}}
}

// Validate finds every fault of the options.
func (o Options) Validate() error {
	_, err := o.checked()
	return err
}

// checked fills in defaults and finds every fault.
func (o Options) checked() (Options, error) {
	o.ClassHeader = cmp.Or(o.ClassHeader, "X-Weir-Class")
	o.Timeout = cmp.Or(o.Timeout, timeoutDefault)
	o.Returns = cmp.Or(o.Returns, returnsDefault)
	o.OpenMax = cmp.Or(o.OpenMax, openDefault)
	objectives := defaultObjectives()
	maps.Copy(objectives, o.Objectives)
	o.Objectives = objectives
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("flood: "+format, args...))
		}
	}
	check(o.Requests != nil, "Requests: none; give a workload")
	check(o.For > 0 && o.For <= workload.AtMax, "For: %s; give more than 0 and no more than %s", o.For, workload.AtMax)
	check(o.Warmup >= 0 && o.Warmup < max(o.For, 1), "Warmup: %s; give 0 or more, and less than the %s of the whole", o.Warmup, o.For)
	check(o.Obey >= 0 && o.Obey <= 1, "Obey: %g; give 0 to 1", o.Obey)
	check(o.Returns >= 1 && o.Returns <= returnsMax, "Returns: %d; give 1 to %d", o.Returns, returnsMax)
	check(o.Timeout > 0, "Timeout: %s; give more than 0", o.Timeout)
	check(o.OpenMax >= 1 && o.OpenMax <= openMax, "OpenMax: %d; give 1 to %d", o.OpenMax, openMax)
	check(o.OutputMax >= 0, "OutputMax: %d; give 0 or more", o.OutputMax)
	check(o.TokensPerWord >= 0 && o.TokensPerWord <= 100, "TokensPerWord: %g; give 0 to 100", o.TokensPerWord)
	check(len(o.Headers) <= headersMax, "Headers: %d; give %d at most", len(o.Headers), headersMax)
	for name, w := range o.Weights {
		check(w > 0 && w <= 1e9, "Weights: %s has %g; give more than 0", name, w)
	}
	for name, ob := range o.Objectives {
		check(ob.TTFT >= 0 && ob.TPOT >= 0, "Objectives: %q has ttft %s and tpot %s; give 0 or more", name, ob.TTFT, ob.TPOT)
	}
	for name, value := range o.headers() {
		check(plain(name) && name != "" && !strings.ContainsAny(name, ": \t") && plain(value), "Headers: %q: %q cannot be sent; give printable text in one line", name, value)
	}
	return o, errors.Join(faults...)
}

// anyKey is a key for what is asked in nobody's name: that of all others, or the first by its tenant's name.
func (o *Options) anyKey() string {
	if key, ok := o.Keys[""]; ok || len(o.Keys) == 0 {
		return key
	}
	return o.Keys[slices.Min(slices.Collect(maps.Keys(o.Keys)))]
}

// headers is all that goes into heads by name, to be checked.
func (o Options) headers() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for name, value := range o.Headers {
			if !yield(name, value) {
				return
			}
		}
		for _, key := range o.Keys {
			if !yield("Authorization", key) {
				return
			}
		}
		_ = yield(o.ClassHeader, "") && (o.TenantHeader == "" || yield(o.TenantHeader, ""))
	}
}

// plain reports whether s can stand in a head's line.
func plain(s string) bool {
	return !slices.ContainsFunc([]byte(s), func(b byte) bool { return b < 0x20 && b != '\t' || b == 0x7f })
}

func (o Options) objective(class string) Objective {
	if ob, ok := o.Objectives[class]; ok {
		return ob
	}
	return o.Objectives[""]
}

// ParseObjective reads "ttft=2s,tpot=200ms", "none", or either with a class before it: "interactive:ttft=1s".
func ParseObjective(s string) (class string, o Objective, err error) {
	text := s
	if before, after, ok := strings.Cut(s, ":"); ok {
		class, text = before, after
	}
	if text == "none" {
		return class, o, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return class, o, fmt.Errorf("objective %q: %s is %q; give a time such as 2s or 200ms", s, name, value)
		}
		switch name {
		case "ttft":
			o.TTFT = d
		case "tpot":
			o.TPOT = d
		default:
			return class, o, fmt.Errorf("objective %q: %q is not known; write ttft=2s,tpot=200ms, none, or a class and a colon before either", s, name)
		}
	}
	return class, o, nil
}

// Run sends the requests and reports. When ctx ends it sends no more, drops what is open, and reports what was until then. An error is a
// fault of the options or a server that could not be asked at all; that requests fail is a result.
func Run(ctx context.Context, o Options) (*Report, error) {
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	t, err := newTarget(ctx, &o)
	if err != nil {
		return nil, err
	}
	defer t.close()
	calibration, err := t.learn(ctx, &o)
	if err != nil {
		return nil, err
	}
	s := newSender(&o, t, calibration)
	s.run(ctx)
	return s.report(), nil
}
