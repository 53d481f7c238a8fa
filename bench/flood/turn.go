package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/weir-ai/weir/bench/peer"
)

// bench is one run of the driver.
type bench struct {
	options
	work    string // folder of configurations, logs and reports
	machine peer.Machine
}

func (b *bench) cached(name string) string { return filepath.Join(peer.Cache(b.dir), name) }

// build makes what no measurement can be without.
func (b *bench) build(ctx context.Context) error {
	if err := peer.Build(ctx, b.dir, b.dir, "./mock", "mock", b.built); err != nil {
		return err
	}
	return peer.Build(ctx, b.dir, filepath.Dir(b.dir), "./cmd/weir", "weir", b.built)
}

// startEngineMax is what an engine may take to map and pack 135 million parameters on a busy machine.
const startEngineMax = time.Minute

// pair is an engine with what stands in front of it.
type pair struct {
	dir                   string
	engineAddr, frontAddr string
	processes             []*peer.Process
}

// stop ends them, the front first.
func (p *pair) stop() {
	for _, process := range slices.Backward(p.processes) {
		process.Stop()
	}
}

// check tells which has ended that should not.
func (p *pair) check() error {
	for _, process := range p.processes {
		select {
		case <-process.Ended():
			return process.Why()
		default:
		}
	}
	return nil
}

// startPair starts both in a folder of their own and waits until they answer. Where Weir can run the engine itself, it does.
func (b *bench) startPair(ctx context.Context, e engine, f front, dir string) (*pair, error) {
	p := &pair{dir: dir}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	ok := false
	defer func() {
		if !ok {
			p.stop()
		}
	}()
	var err error
	if inside := e.within != nil && f.name == frontWeir; !inside {
		if p.engineAddr, err = b.startEngine(ctx, e, p); err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
	}
	p.frontAddr = p.engineAddr
	if f.configure != nil {
		if p.frontAddr, err = b.startFront(ctx, e, f, p); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if p.engineAddr == "" {
		p.engineAddr = p.frontAddr
	}
	ok = true
	return p, nil
}

func (b *bench) site(dir, program, upstream string, e engine) (peer.Site, error) {
	addr, err := peer.FreeAddr()
	return peer.Site{Dir: dir, Program: program, Addr: addr, Upstream: upstream, Model: e.model, Key: benchKey, Cores: b.machine.Cores, Connections: connections}, err
}

func ready(model string) peer.Question {
	return peer.Question{Body: fmt.Sprintf(`{"model":%q,"max_tokens":1,"messages":[{"role":"user","content":"Are you there?"}]}`, model), Key: benchKey, Want: `"choices"`}
}

func (b *bench) startEngine(ctx context.Context, e engine, p *pair) (string, error) {
	program, err := e.find(b)
	if err != nil {
		return "", err
	}
	s, err := b.site(p.dir, program, "", e)
	if err != nil {
		return "", err
	}
	c, err := e.configure(b, e, s)
	if err != nil {
		return "", err
	}
	return s.Addr, p.start(ctx, "engine", c, s.Addr, ready(e.model), startEngineMax)
}

func (b *bench) startFront(ctx context.Context, e engine, f front, p *pair) (string, error) {
	program, err := f.find(b)
	if err != nil {
		return "", err
	}
	s, err := b.site(p.dir, program, p.engineAddr, e)
	if err != nil {
		return "", err
	}
	c, err := f.configure(b, e, s)
	if err != nil {
		return "", err
	}
	c.Env = f.env
	limit := f.startMax
	if p.engineAddr == "" { // it starts the engine, too
		limit = startEngineMax
	}
	return s.Addr, p.start(ctx, f.name, c, s.Addr, ready(e.model), limit)
}

func (p *pair) start(ctx context.Context, name string, c peer.Command, addr string, q peer.Question, limit time.Duration) error {
	process, err := peer.Start(p.dir, name, c)
	if err != nil {
		return err
	}
	p.processes = append(p.processes, process)
	return process.Ready(ctx, addr, q, limit)
}

func factorKey(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// load is what weir flood sends to a front, whatever the rate. Weir's tenants have their own keys, the others one for all.
func load(e engine, f front, addr string, c capacity) generated {
	g := generated{url: addr, model: e.model, keys: []string{benchKey}, prompt: e.prompt, output: e.output, perWord: c.PerWord}
	if f.name == frontWeir {
		g.keys = nil
		for i, t := range tenants() {
			if i > 0 {
				g.tenants += ","
			}
			g.tenants += t + "=1"
			g.keys = append(g.keys, t+"="+keyOf(t))
		}
	}
	return g
}

// flood is one front under one flood.
func (b *bench) flood(ctx context.Context, e engine, f front, round int, c capacity, factor float64) outcome {
	seconds := b.seconds
	highest := factor == slices.Max(b.factors)
	if f.name == frontWeir && highest {
		seconds = b.long
	}
	peer.Say("  %s, %s: %sx for %d s", e.name, f.name, factorKey(factor), seconds)
	o := outcome{Factor: factor, Seconds: seconds, Capacity: c.of(factor)}
	p, err := b.startPair(ctx, e, f, b.folder(e, f, round, factorKey(factor)))
	if err != nil {
		o.Fault = err.Error()
		return o
	}
	defer p.stop()
	g := planFlood(load(e, f, p.frontAddr, c), c.Best, factor, seconds)
	if f.name == frontWeir && highest && round == 1 && e.name == b.engines[0] {
		g.page = b.page
	}
	seen := b.watchFlood(ctx, f, p.frontAddr, seconds)
	r, err := g.run(ctx, b, filepath.Join(p.dir, "flood.json"))
	if err := errors.Join(err, p.check()); err != nil {
		o.Fault = err.Error()
		return o
	}
	o = readFlood(r, factor, seconds, c.of(factor))
	o.Idle = <-seen
	peer.Say("  %s, %s: %sx: %s/s good (%s), recovery %s s", e.name, f.name, factorKey(factor), peer.Number(o.Goodput), percent(o.Share), peer.Number(o.Recovery))
	return o
}

// watchFlood looks at Weir's gate during the flood, from when it has settled.
func (b *bench) watchFlood(ctx context.Context, f front, addr string, seconds int) <-chan *idle {
	out := make(chan *idle, 1)
	if f.name != frontWeir {
		out <- nil
		return out
	}
	go func() {
		sleep(ctx, (calmBefore+settling)*time.Second)
		ctx, stop := context.WithTimeout(ctx, time.Duration(seconds-settling)*time.Second)
		defer stop()
		out <- watch(ctx, addr)
	}()
	return out
}

func (b *bench) folder(e engine, f front, round int, what string) string {
	return filepath.Join(b.work, fmt.Sprintf("%s-%s-%d-%s", e.name, f.name, round, what))
}

// alone is the share of the top class's good answers where nobody else asks, at the rate that it has in every flood.
func (b *bench) alone(ctx context.Context, e engine, f front, round int, c capacity) (float64, error) {
	p, err := b.startPair(ctx, e, f, b.folder(e, f, round, "alone"))
	if err != nil {
		return 0, err
	}
	defer p.stop()
	g := load(e, f, p.frontAddr, c)
	seconds := min(b.seconds, aloneMost)
	g.rate, g.classes, g.warm, g.lasts = c.Best*topShare, classTop+"=1", calmBefore*time.Second, time.Duration(calmBefore+seconds)*time.Second
	r, err := g.run(ctx, b, filepath.Join(p.dir, "flood.json"))
	if err := errors.Join(err, p.check()); err != nil {
		return 0, err
	}
	if r.Total.Offered == 0 {
		return 0, errors.New("nothing was offered in the run of the top class alone; make -seconds longer")
	}
	return float64(r.Total.Good) / float64(r.Total.Offered), nil
}

// measure takes every engine with every front through every round. Its error is the end of the run, such as an interrupt; servers that fail
// are figures.
func (b *bench) measure(ctx context.Context) (*figures, error) {
	f := &figures{Machine: b.machine, Rounds: b.rounds, Seconds: b.seconds, Long: b.long, Factors: b.factors, Parts: b.parts}
	flooded := b.has(partFlood) || b.has(partReturns)
	for _, name := range b.engines {
		if flooded {
			f.Engines = append(f.Engines, b.prepare(ctx, engineNamed(name)))
		}
	}
	for round := 1; round <= b.rounds; round++ {
		for i := range f.Engines {
			if row := &f.Engines[i]; row.Skipped == "" {
				peer.Say("round %d of %d: %s", round, b.rounds, row.Name)
				b.takeRound(ctx, engineNamed(row.Name), row, round)
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
		if b.has(partLadder) {
			peer.Say("round %d of %d: the ladder", round, b.rounds)
			f.Ladder = append(f.Ladder, b.ladder(ctx, round))
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	f.conclude()
	return f, nil
}

func (b *bench) has(part string) bool { return slices.Contains(b.parts, part) }

func engineNamed(name string) engine {
	for _, e := range engines() {
		if e.name == name {
			return e
		}
	}
	return engine{}
}

// prepare finds an engine and what is to stand in front of it.
func (b *bench) prepare(ctx context.Context, e engine) engineRow {
	row := engineRow{Name: e.name, Slots: e.slots, Prompt: e.prompt, Output: e.output}
	program, err := e.find(b)
	if err != nil {
		row.Skipped = err.Error()
		peer.Say("%s: %v", e.name, err)
		return row
	}
	if e.version != nil {
		row.Version = e.version(ctx, program)
	}
	for _, name := range b.only {
		f := frontNamed(name)
		r := frontRow{Name: name, Floods: map[string][]outcome{}}
		if f.find != nil {
			program, err := f.find(b)
			if err != nil {
				r.Skipped = err.Error()
				peer.Say("%s: %v", name, err)
			} else {
				r.Version = f.versionOf(ctx, program)
			}
		}
		row.Fronts = append(row.Fronts, r)
	}
	return row
}

// takeRound measures the capacity, the top class alone, and then floods the fronts in turn, one factor after the other, so that drift of the
// machine meets everybody.
func (b *bench) takeRound(ctx context.Context, e engine, row *engineRow, round int) {
	c := b.measureCapacity(ctx, e, filepath.Join(b.work, fmt.Sprintf("%s-capacity-%d", e.name, round)))
	defer func() { row.Capacity = append(row.Capacity, c) }()
	if c.Fault != "" {
		return
	}
	alone := 0.0
	each := func(do func(f front, r *frontRow)) {
		for i := range row.Fronts {
			if r := &row.Fronts[i]; r.Skipped == "" && ctx.Err() == nil {
				do(frontNamed(r.Name), r)
			}
		}
	}
	if b.has(partFlood) {
		each(func(f front, r *frontRow) {
			if f.name != frontWeir {
				return
			}
			var err error
			if alone, err = b.alone(ctx, e, f, round, c); err != nil {
				r.Faults = append(r.Faults, "top class alone: "+err.Error())
				peer.Say("  %s, %s, top class alone: %v", e.name, f.name, err)
			}
		})
		for _, factor := range b.factors {
			b.underRefused(ctx, e, filepath.Join(b.work, fmt.Sprintf("%s-capacity-%d-%s", e.name, round, factorKey(factor))), factor, &c)
			each(func(f front, r *frontRow) {
				if f.name != frontWeir && !slices.Contains(b.others, factor) {
					return
				}
				o := b.flood(ctx, e, f, round, c, factor)
				if f.name == frontWeir {
					o.TopAlone = alone
					b.underRefused(ctx, e, filepath.Join(b.work, fmt.Sprintf("%s-capacity-%d-%s-again", e.name, round, factorKey(factor))), factor, &c)
				}
				if o.Fault != "" {
					peer.Say("  %s, %s: %s", e.name, f.name, o.Fault)
				}
				r.Floods[factorKey(factor)] = append(r.Floods[factorKey(factor)], o)
			})
			row.weigh(factor, c)
		}
	}
	if b.has(partReturns) && slices.Contains(b.only, frontWeir) {
		row.Returns = append(row.Returns, b.returns(ctx, e, round, c)...)
	}
}

// weigh sets the shares of the round's floods at a factor by the capacity that was found before and after.
func (row *engineRow) weigh(factor float64, c capacity) {
	capacity := c.of(factor)
	for i := range row.Fronts {
		if list := row.Fronts[i].Floods[factorKey(factor)]; len(list) > 0 && capacity > 0 {
			o := &list[len(list)-1]
			o.Capacity, o.Share = capacity, o.Goodput/capacity
		}
	}
}
