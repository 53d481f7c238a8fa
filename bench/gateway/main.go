// Command gateway repeats the gateway table of docs/performance.md on this machine: Weir and the gateways installed here, in turn, in
// front of the same mock and under the same load, beside a bare Go proxy and beside no gateway at all.
//
//	go run ./gateway -rounds 3 -seconds 6 -only weir,bareproxy -scenarios closed64,open2000,stream500,big256
//
// A round starts every server afresh, waits until it answers, notes its idle memory, runs the scenarios and stops it, so that memory
// is of those scenarios alone and drift of the machine meets everybody. The table shows medians over the rounds; a ratio is the median of
// the rounds' own ratios to the bare proxy. A program that is not installed is named as skipped, one that fails as failed; neither ends
// the run.
//
// One goroutine runs everything in order; each process has one more that waits for its end. The driver ends only processes that it
// started. It installs nothing, and nothing it starts listens beyond this machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/weir-ai/weir/bench/peer"
)

// options are the flags.
type options struct {
	rounds    int
	seconds   int // of each scenario, after a warm-up of two
	only      []string
	scenarios []string
	keep      bool
	built     bool   // the programs lie in the cache: for machines without Go
	dir       string // the folder of this module
	json      string // where the figures go
}

func readFlags(args []string) (options, error) {
	var o options
	var only, scenes string
	f := flag.NewFlagSet("gateway", flag.ContinueOnError)
	f.IntVar(&o.rounds, "rounds", 3, "rounds; figures are medians over them")
	f.IntVar(&o.seconds, "seconds", 6, "measured seconds of each scenario")
	f.StringVar(&only, "only", strings.Join(serverNames(), ","), "servers, in this order")
	f.StringVar(&scenes, "scenarios", strings.Join(scenarioNames(), ","), "scenarios, in this order")
	f.BoolVar(&o.keep, "keep", false, "keep the servers' configurations and logs, and say where")
	f.BoolVar(&o.built, "built", false, "use the programs that lie in .cache as they are, on a machine without Go")
	f.StringVar(&o.dir, "dir", ".", "the bench folder of the checkout")
	f.StringVar(&o.json, "json", "", "file for the figures (default .cache/gateway.json in the bench folder)")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.only, o.scenarios = strings.Split(only, ","), strings.Split(scenes, ",")
	return o, o.validate()
}

func (o *options) validate() error {
	var faults []error
	if o.rounds < 1 {
		faults = append(faults, fmt.Errorf("-rounds %d: give 1 or more", o.rounds))
	}
	if o.seconds < 1 {
		faults = append(faults, fmt.Errorf("-seconds %d: give 1 or more", o.seconds))
	}
	faults = append(faults, peer.Known("-only", o.only, serverNames()), peer.Known("-scenarios", o.scenarios, scenarioNames()))
	if _, err := os.Stat(filepath.Join(o.dir, "loadgen")); err != nil {
		faults = append(faults, fmt.Errorf("-dir %s is not the bench folder of a checkout: %w", o.dir, err))
	}
	dir, err := filepath.Abs(o.dir)
	o.dir = dir
	if o.json == "" {
		o.json = filepath.Join(dir, ".cache", "gateway.json")
	}
	return errors.Join(append(faults, err)...)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		stop()
		os.Exit(1)
	}
}

// run measures and prints the table. Interrupted, it stops what it started and prints nothing.
func run(ctx context.Context, args []string) error {
	o, err := readFlags(args)
	if err != nil {
		return err
	}
	peer.RaiseFileLimit()
	work, err := os.MkdirTemp("", "weir-bench-gateway-")
	if err != nil {
		return err
	}
	if o.keep {
		peer.Say("configurations and logs stay in %s", work)
	} else {
		defer os.RemoveAll(work)
	}
	b := bench{options: o, work: work, machine: peer.ReadMachine()}
	if err := b.buildTools(ctx); err != nil {
		return err
	}
	figures, err := b.measure(ctx)
	if err != nil {
		return err
	}
	if err := figures.write(o.json); err != nil {
		return err
	}
	fmt.Print(figures.markdown())
	return nil
}
