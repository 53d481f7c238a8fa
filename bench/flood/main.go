// Command flood repeats the flood table of docs/performance.md on this machine: engines of known capacity, in front of each nothing, Weir and
// the gateways installed here, and for each the same flood of several times the capacity, by `weir flood`.
//
//	go run ./flood -engines mock -only direct,weir -factors 2,10 -seconds 20
//
// A run is a calm beginning at half the capacity, a flood, and a calm end at half the capacity, in one schedule. Every run starts its engine
// and its server afresh. What is counted is in outcome.go, what the capacity is in capacity.go, and how the servers are set up in
// engine.go and front.go.
//
// One goroutine runs everything in order; the clients that measure the capacity and ask questions are goroutines of their own, which it waits
// for. The driver ends only processes that it started. It installs nothing, and nothing it starts listens beyond this machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/weir-ai/weir/bench/peer"
)

// options are the flags.
type options struct {
	rounds  int
	seconds int // of a flood; the calm before and after it have their own lengths
	long    int // of Weir's flood at the highest factor
	factors []float64
	others  []float64 // of factors, those that others than Weir are flooded at
	engines []string
	only    []string
	parts   []string
	keep    bool
	built   bool   // the programs lie in the cache: for machines without Go
	dir     string // the folder of this module
	json    string // where the figures go
	page    string // where weir flood's page of Weir's flood at the highest factor goes; empty: nowhere
}

// The parts of a run. Each can be left out.
const (
	partFlood   = "flood"
	partReturns = "returns" // is Retry-After honest?
	partLadder  = "ladder"
)

func parts() []string { return []string{partFlood, partReturns, partLadder} }

// longTimes is how much longer than the others Weir is flooded at the highest factor: what holds for a minute may still pile up.
const longTimes = 5

func readFlags(args []string) (options, error) {
	var o options
	var engines, only, parted, factors, others string
	f := flag.NewFlagSet("flood", flag.ContinueOnError)
	f.IntVar(&o.rounds, "rounds", 1, "rounds; figures are medians over them")
	f.IntVar(&o.seconds, "seconds", 60, "seconds of a flood")
	f.IntVar(&o.long, "long", 0, fmt.Sprintf("seconds of weir's flood at the highest factor; 0 is %d times the others", longTimes))
	f.StringVar(&factors, "factors", "2,4,10", "floods, in times of the capacity")
	f.StringVar(&others, "others", "", "those of them that all but weir are flooded at (default all)")
	f.StringVar(&engines, "engines", strings.Join(engineNames(), ","), "engines, in this order")
	f.StringVar(&only, "only", strings.Join(frontNames(), ","), "what stands in front of them, in this order")
	f.StringVar(&parted, "parts", strings.Join(parts(), ","), "what is measured")
	f.BoolVar(&o.keep, "keep", false, "keep the servers' configurations, logs and reports, and say where")
	f.BoolVar(&o.built, "built", false, "use the programs that lie in .cache as they are, on a machine without Go")
	f.StringVar(&o.dir, "dir", ".", "the bench folder of the checkout")
	f.StringVar(&o.json, "json", "", "file for the figures (default .cache/flood.json in the bench folder)")
	f.StringVar(&o.page, "page", "", "file for weir flood's page of weir's flood at the highest factor, with the first engine")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.engines, o.only, o.parts = strings.Split(engines, ","), strings.Split(only, ","), strings.Split(parted, ",")
	var err error
	if o.factors, err = readFactors("-factors", factors); err != nil {
		return o, err
	}
	if o.others = o.factors; others != "" {
		if o.others, err = readFactors("-others", others); err != nil {
			return o, err
		}
	}
	return o, o.validate()
}

// The least flood is a flood, and the most is beyond what a generator on the same machine can send.
const (
	factorMin = 1.5
	factorMax = 100
)

func readFactors(name, text string) ([]float64, error) {
	var out []float64
	for _, field := range strings.Split(text, ",") {
		v, err := strconv.ParseFloat(field, 64)
		if err != nil || !(v >= factorMin && v <= factorMax) {
			return nil, fmt.Errorf("%s: %q; give numbers from %v to %v, such as 2,4,10", name, field, factorMin, factorMax)
		}
		out = append(out, v)
	}
	return out, nil
}

func (o *options) validate() error {
	var faults []error
	if o.rounds < 1 {
		faults = append(faults, fmt.Errorf("-rounds %d: give 1 or more", o.rounds))
	}
	if o.seconds <= settling {
		faults = append(faults, fmt.Errorf("-seconds %d: give more than the %d in which a flood settles", o.seconds, settling))
	}
	if o.long == 0 {
		o.long = longTimes * o.seconds
	}
	if o.long <= settling {
		faults = append(faults, fmt.Errorf("-long %d: give more than the %d in which a flood settles", o.long, settling))
	}
	for _, v := range o.others {
		if !slices.Contains(o.factors, v) {
			faults = append(faults, fmt.Errorf("-others: %v is none of -factors", v))
		}
	}
	faults = append(faults, peer.Known("-engines", o.engines, engineNames()), peer.Known("-only", o.only, frontNames()), peer.Known("-parts", o.parts, parts()))
	if _, err := os.Stat(filepath.Join(o.dir, "mock")); err != nil {
		faults = append(faults, fmt.Errorf("-dir %s is not the bench folder of a checkout: %w", o.dir, err))
	}
	var err error
	for _, path := range []*string{&o.dir, &o.json, &o.page} {
		if *path != "" {
			*path, err = filepath.Abs(*path)
			faults = append(faults, err)
		}
	}
	if o.json == "" {
		o.json = filepath.Join(peer.Cache(o.dir), "flood.json")
	}
	return errors.Join(faults...)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "flood:", err)
		stop()
		os.Exit(1)
	}
}

// run measures and prints the tables. Interrupted, it stops what it started and prints nothing.
func run(ctx context.Context, args []string) error {
	o, err := readFlags(args)
	if err != nil {
		return err
	}
	peer.RaiseFileLimit()
	work, err := os.MkdirTemp("", "weir-bench-flood-")
	if err != nil {
		return err
	}
	if o.keep {
		peer.Say("configurations, logs and reports stay in %s", work)
	} else {
		defer os.RemoveAll(work)
	}
	b := bench{options: o, work: work, machine: peer.ReadMachine()}
	if err := b.build(ctx); err != nil {
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
