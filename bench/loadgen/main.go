// Command loadgen drives OpenAI-shaped endpoints on this machine over HTTP/1.1 and reports rates and latencies.
//
//	-mode closed   N connections, each sends its next request when the last one ended
//	-mode open     Poisson arrivals at -rate; latency counts from the scheduled arrival, so that a server that stalls is charged for
//	               everybody who would have asked meanwhile; dials as many connections as it needs up to -maxconns, and later
//	               arrivals wait in a queue
//	-mode stream   a closed loop of SSE streams: time to the first token, gaps, and the one-way latency of each chunk, from the
//	               "t=<ns>" that the mock writes into it
//	-mode ostream  open-loop Poisson streams at -rate
//
// Raw sockets and a minimal HTTP parser keep its own share of the processor small. With -pids it samples the processor time and memory
// of other processes and their children.
//
// A load owns its goroutines: one a connection, one that schedules arrivals, and main, which samples. Samples are each goroutine's own
// until it ends; then they are merged under the histogram's lock. It never follows a redirect, retries or decodes an answer.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"
)

// options are the flags.
type options struct {
	mode, addr, path, model, header, bodyFile, key, label, pids string

	promptWords, connections, connectionsMax int

	rate                      float64       // arrivals a second
	measured, warm, objective time.Duration // objective: -slo
	json, same                bool
}

func (o options) streaming() bool { return o.mode == "stream" || o.mode == "ostream" }
func (o options) open() bool      { return o.mode == "open" || o.mode == "ostream" }

func readFlags(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("loadgen", flag.ContinueOnError)
	f.StringVar(&o.mode, "mode", "closed", "closed|open|stream|ostream")
	f.StringVar(&o.addr, "addr", "127.0.0.1:18000", "host:port")
	f.StringVar(&o.path, "path", "/v1/chat/completions", "request path")
	f.StringVar(&o.model, "model", "mock-model", "model in the body")
	f.StringVar(&o.header, "hdr", "", "extra header lines, ';'-separated")
	f.IntVar(&o.promptWords, "prompt", 60, "words in the user message")
	f.IntVar(&o.connections, "c", 64, "connections (closed, stream)")
	f.Float64Var(&o.rate, "rate", 500, "arrivals/s (open, ostream)")
	f.DurationVar(&o.measured, "d", 10*time.Second, "measured time")
	f.DurationVar(&o.warm, "warm", 2*time.Second, "warm-up, not measured")
	f.IntVar(&o.connectionsMax, "maxconns", 4000, "open: most connections")
	f.StringVar(&o.pids, "pids", "", "name=pid,name=pid to sample")
	f.DurationVar(&o.objective, "slo", 0, "open: also count 200s within this time of the scheduled arrival")
	f.StringVar(&o.label, "label", "", "label in the output")
	f.BoolVar(&o.json, "json", false, "one JSON line")
	f.StringVar(&o.bodyFile, "body", "", "request body file")
	f.StringVar(&o.key, "key", "sk-bench", "API key sent as a bearer token")
	f.BoolVar(&o.same, "same", false, "send equal bodies (otherwise each differs in one word)")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch o.mode {
	case "closed", "open", "stream", "ostream":
		return o, nil
	}
	return o, fmt.Errorf("-mode %q is not closed, open, stream or ostream", o.mode)
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "loadgen:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	o, err := readFlags(args)
	if err != nil {
		return err
	}
	target, err := newTarget(o)
	if err != nil {
		return err
	}
	l := newLoad(o, target, time.Now())
	used := l.drive()
	if !o.json {
		l.print(os.Stdout, used)
		return nil
	}
	return json.NewEncoder(os.Stdout).Encode(l.report(used))
}
