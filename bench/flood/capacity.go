package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-ai/weir/bench/peer"
)

// # What the capacity is
//
// Goodput is compared with the best that the engine can do, so that must be found without anything in front of it and without a flood: a
// closed loop, in which each of some clients asks as soon as it has its answer, as many clients as the engine has slots and a few more, so
// that no slot is ever free; the best of these is the capacity. An open loop cannot find it: a little above the capacity everything
// becomes late, and a little below, slots are free.
//
// Engine, server and load share one machine. Where the engine computes, whoever offers and refuses 90 % of a flood takes cores from it, and
// that is no fault of the server's decisions. So each flood has a capacity of its own: the same closed loop, while as many requests as the flood
// has above the capacity are sent to a Weir that refuses them, as a tenant that has spent its limit. Those refusals cost less than the gate's,
// for no wait is predicted: the comparison is on the strict side. The figures of peers, too, are shares of that capacity.

// capacity is what an engine does at best.
type capacity struct {
	Best    float64            `json:"best_per_second"`       // answers within the objective, with nothing else running
	Clients int                `json:"clients"`               // that it was found with
	Levels  map[int]float64    `json:"by_clients"`            // what each number of clients found
	Refused map[string]float64 `json:"under_refused_load"`    // by the flood's factor
	Lag     map[string]float64 `json:"generator_lag_ms"`      // p99 of that load, by factor
	Sent    map[string]float64 `json:"refused_load_answered"` // share of it that was refused as it should be
	Doubt   []string           `json:"doubts,omitempty"`
	Fault   string             `json:"fault,omitempty"`        // why there is none
	PerWord float64            `json:"tokens_per_word_prompt"` // as the engine's usage tells
}

// of is the capacity under a flood's refused load, or the best where that was not measured.
func (c capacity) of(factor float64) float64 {
	if v := c.Refused[factorKey(factor)]; v > 0 {
		return v
	}
	return c.Best
}

// A closed loop begins within half of its warm-up, and is counted when the last client had an answer.
const (
	closedWarm    = 4 * time.Second
	closedSeconds = 20
	// generatorStart is what the load needs until it runs.
	generatorStart = time.Second
)

// loop is a closed loop.
type loop struct {
	addr    string
	q       question
	words   int // of a prompt
	clients int
	warm    time.Duration
	lasts   time.Duration
}

// run counts the good answers a second that ended in the window.
func (l loop) run(ctx context.Context) (float64, error) {
	ctx, stop := context.WithTimeout(ctx, l.warm+l.lasts)
	defer stop()
	client := newClient(l.clients)
	defer client.CloseIdleConnections()
	began := time.Now()
	var good, bad atomic.Int64
	var last atomic.Pointer[reply]
	var wait sync.WaitGroup
	for i := range l.clients {
		wait.Go(func() {
			dice := rand.New(rand.NewPCG(uint64(i), uint64(l.clients)))
			sleep(ctx, l.warm*time.Duration(i)/time.Duration(2*l.clients)) // answers that began together would end together, some just outside
			for ctx.Err() == nil {
				q := l.q
				q.messages = []message{{"user", prose(dice, l.words)}}
				r := q.ask(ctx, client, l.addr)
				if ctx.Err() != nil || time.Since(began) < l.warm {
					continue
				}
				if r.good() {
					good.Add(1)
				} else if bad.Add(1); !r.whole {
					last.Store(&r)
					sleep(ctx, 10*time.Millisecond) // a server that answers errors at once would be asked as fast as it can
				}
			}
		})
	}
	wait.Wait()
	if good.Load() == 0 {
		why := errLate
		if r := last.Load(); r != nil {
			why = errors.Join(r.err, errUnended)
		}
		return 0, fmt.Errorf("no answer of %d clients counts: %w", l.clients, why)
	}
	return float64(good.Load()) / l.lasts.Seconds(), nil
}

// measureCapacity looks for the best at an engine of its own.
func (b *bench) measureCapacity(ctx context.Context, e engine, dir string) capacity {
	c := capacity{Levels: map[int]float64{}, Refused: map[string]float64{}, Lag: map[string]float64{}, Sent: map[string]float64{}}
	if err := b.findCapacity(ctx, e, dir, &c); err != nil {
		c.Fault = err.Error()
		peer.Say("  capacity of %s: %v", e.name, err)
	}
	return c
}

// closed is the loop of an engine's capacity, and what is started for it: the engine, and a Weir that refuses.
func (b *bench) closed(ctx context.Context, e engine, dir string, perWord float64) (loop, *pair, error) {
	p, err := b.startPair(ctx, e, frontNamed(frontWeir), dir)
	if err != nil {
		return loop{}, nil, err
	}
	return loop{addr: p.engineAddr, q: question{model: e.model, key: benchKey, tokens: e.output}, words: wordsFor(e.prompt, perWord), warm: closedWarm,
		lasts: closedSeconds * time.Second}, p, nil
}

func (b *bench) findCapacity(ctx context.Context, e engine, dir string, c *capacity) error {
	l, p, err := b.closed(ctx, e, dir, 1)
	if err != nil {
		return err
	}
	defer p.stop()
	if c.PerWord, err = tokensPerWord(ctx, e, l.addr); err != nil {
		return err
	}
	l.words = wordsFor(e.prompt, c.PerWord)
	var faults []error // of numbers of clients that get nothing; others may
	for _, l.clients = range e.levels {
		v, err := l.run(ctx)
		if err != nil {
			faults = append(faults, err)
		}
		peer.Say("  %s: %d clients get %s good answers/s", e.name, l.clients, decimal(v))
		if c.Levels[l.clients] = v; v > c.Best {
			c.Best, c.Clients = v, l.clients
		}
	}
	if c.Best == 0 {
		return fmt.Errorf("no answer of %s meets its objective, with %v clients: %w", e.name, e.levels, errors.Join(append(faults, p.check())...))
	}
	return ctx.Err()
}

// underRefused runs the closed loop beside the load that a flood has above the capacity, all of which is refused. A failure leaves the best
// as the flood's capacity, and says so.
func (b *bench) underRefused(ctx context.Context, e engine, dir string, factor float64, c *capacity) {
	if err := b.besideRefused(ctx, e, dir, factor, c); err != nil && ctx.Err() == nil {
		c.Doubt = append(c.Doubt, fmt.Sprintf("the refused load of %sx: %v", factorKey(factor), err))
		peer.Say("  %s, capacity beside the refused load of %sx: %v", e.name, factorKey(factor), err)
	}
}

func (b *bench) besideRefused(ctx context.Context, e engine, dir string, factor float64, c *capacity) error {
	l, p, err := b.closed(ctx, e, dir, c.PerWord)
	if err != nil {
		return err
	}
	defer p.stop()
	l.clients = c.Clients
	g := generated{url: p.frontAddr, model: e.model, keys: []string{spentKey}, rate: c.Best * (factor - 1), lasts: generatorStart + l.warm + l.lasts,
		prompt: e.prompt, output: e.output, perWord: c.PerWord}
	spend := question{model: e.model, key: spentKey, messages: []message{{"user", "hello"}}, tokens: 1}
	_ = spend.ask(ctx, newClient(1), p.frontAddr) // its limit; from then on everything is refused, but for one request a minute
	done := make(chan error, 1)
	var r *report
	go func() {
		var err error
		r, err = g.run(ctx, b, filepath.Join(dir, "refused.json"))
		done <- err
	}()
	sleep(ctx, generatorStart)
	v, err := l.run(ctx)
	if err := errors.Join(err, <-done, p.check()); err != nil {
		return err
	}
	key := factorKey(factor)
	if c.Refused[key] > 0 { // before Weir's flood and after it: machines change their speed by a fifth within minutes
		v = (v + c.Refused[key]) / 2
	}
	c.Refused[key], c.Lag[key] = v, r.Generator.Lag.P99
	if r.Total.Offered > 0 {
		c.Sent[key] = float64(r.Total.Refused) / float64(r.Total.Offered)
	}
	peer.Say("  %s: %s good answers/s beside %s/s that are refused", e.name, decimal(v), decimal(g.rate))
	return nil
}

// errUnended is of a stream that stopped without its end.
var errUnended = errors.New("no whole answer came")

// errLate is of answers that came too late.
var errLate = errors.New("each came too late or too slowly")

// common words, most of which are one token each in most vocabularies.
var commonWords = strings.Fields("time year people way day man thing woman life child world school state family student group country problem hand part place case " +
	"week company system program question work number night point home water room mother area money story fact month")

// prose is a text that is like no other of the run.
func prose(dice *rand.Rand, words int) string {
	var b strings.Builder
	for i := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(commonWords[dice.IntN(len(commonWords))])
	}
	return b.String()
}

func wordsFor(tokens int, perWord float64) int { return max(1, int(float64(tokens)/perWord+0.5)) }

// tokensPerWord asks two prompts; their difference is free of what the server puts around each.
func tokensPerWord(ctx context.Context, e engine, addr string) (float64, error) {
	if e.tokensPerWord > 0 {
		return e.tokensPerWord, nil
	}
	const few, many = 20, 120
	dice := rand.New(rand.NewPCG(1, 2))
	var tokens [2]int
	for i, words := range []int{few, many} {
		r := question{model: e.model, key: benchKey, messages: []message{{"user", prose(dice, words)}}, tokens: 2}.ask(ctx, newClient(1), addr)
		if !r.whole {
			return 0, fmt.Errorf("%s does not answer: %w", e.name, errors.Join(r.err, errUnended))
		}
		tokens[i] = r.prompt
	}
	if tokens[1] <= tokens[0] {
		return 0, fmt.Errorf("%s counts %d tokens of %d words and %d of %d", e.name, tokens[0], few, tokens[1], many)
	}
	return float64(tokens[1]-tokens[0]) / (many - few), nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
