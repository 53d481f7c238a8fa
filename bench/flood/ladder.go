package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/weir-ai/weir/bench/peer"
)

// # The ladder
//
// weir-mini over weir-nano, both in one Weir, at ladderFactor times what weir-mini can do: once by requests that allow a variant and once
// by requests that do not. Beside the flood, questions of the suite that `weir eval` asks are asked at a small rate, by clients like the
// others, so that the report can tell how much of what was answered was right, and by whom.
const (
	ladderFactor  = 4
	ladderHeader  = "X-Weir-Allow-Variants"
	classHeader   = "X-Weir-Class"
	ladderQuality = 0.98 // of weir-nano beside weir-mini: docs/performance.md, 3,151 of 3,178
	askEvery      = 250 * time.Millisecond
	evalTokensMax = 96 // as weir eval's
)

// laddered is both runs of one round.
type laddered struct {
	Capacity capacity `json:"capacity"` // of weir-mini
	Without  ladderOf `json:"without"`
	With     ladderOf `json:"with"`
	Fault    string   `json:"fault,omitempty"`
}

// ladderOf is one run.
type ladderOf struct {
	Flood   outcome         `json:"flood"`
	Asked   int             `json:"asked"`   // questions of the suite
	InTime  int             `json:"in_time"` // answered within the objective
	Answers map[string]*mix `json:"answers"` // by the model that answered
}

// mix counts the answers of a model.
type mix struct {
	Answered int `json:"answered"`
	Right    int `json:"right"`
}

func ladderEngine() engine {
	return engine{name: "weir-mini", model: "weir-mini", levels: []int{8, 16, 32}, slots: 32, prompt: 60, output: 30,
		within: func(*bench, engine) string {
			return fmt.Sprintf("{builtin: weir-mini, ladder: {variants: [{model: weir-nano, quality: %v}]}}\n  weir-nano: {builtin: weir-nano}", ladderQuality)
		}}
}

func (b *bench) ladder(ctx context.Context, round int) laddered {
	e := ladderEngine()
	folder := filepath.Join(b.work, fmt.Sprintf("ladder-%d-capacity", round))
	out := laddered{Capacity: b.measureCapacity(ctx, e, folder)}
	if out.Fault = out.Capacity.Fault; out.Fault != "" {
		return out
	}
	b.underRefused(ctx, e, folder+"-refused", ladderFactor, &out.Capacity)
	out.Without = b.climb(ctx, e, round, out.Capacity, false)
	out.With = b.climb(ctx, e, round, out.Capacity, true)
	out.Fault = strings.TrimSpace(out.Without.Flood.Fault + " " + out.With.Flood.Fault)
	return out
}

// climb floods once and asks the suite beside it.
func (b *bench) climb(ctx context.Context, e engine, round int, c capacity, allow bool) ladderOf {
	out := ladderOf{Flood: outcome{Factor: ladderFactor}, Answers: map[string]*mix{}}
	f := frontNamed(frontWeir)
	p, err := b.startPair(ctx, e, f, b.folder(e, f, round, fmt.Sprintf("ladder-%v", allow)))
	if err != nil {
		out.Flood.Fault = err.Error()
		return out
	}
	defer p.stop()
	g := planFlood(load(e, f, p.frontAddr, c), c.Best, ladderFactor, b.seconds)
	headers := map[string]string{classHeader: classStandard} // the class that the flood presses most
	if allow {
		headers[ladderHeader] = "true"
		g.headers = []string{ladderHeader + ": true"}
	}
	asking, stop := context.WithCancel(ctx)
	var wait sync.WaitGroup
	wait.Go(func() {
		sleep(asking, (calmBefore+settling)*time.Second)
		examine(asking, p.frontAddr, e.model, headers, time.Duration(b.seconds-settling)*time.Second, &out)
	})
	r, err := g.run(ctx, b, filepath.Join(p.dir, "flood.json"))
	stop()
	wait.Wait()
	if err := errors.Join(err, p.check()); err != nil {
		out.Flood.Fault = err.Error()
		return out
	}
	out.Flood = readFlood(r, ladderFactor, b.seconds, c.of(ladderFactor))
	peer.Say("  ladder %v: %s/s good, %d of %d questions answered in time", allow, peer.Number(out.Flood.Goodput), out.InTime, out.Asked)
	return out
}

// examQuestion is a question with what it follows and its one right answer.
type examQuestion struct {
	Text   string         `json:"text"`
	Answer string         `json:"answer"`
	Before []examQuestion `json:"before"`
}

// suiteText is a part of the fixed suite, one question a line: 20 of each task. It never changes, as the suite does not.
//
//go:embed suite.jsonl
var suiteText []byte

func suite() ([]examQuestion, error) {
	var out []examQuestion
	d := json.NewDecoder(bytes.NewReader(suiteText))
	for d.More() {
		var q examQuestion
		if err := d.Decode(&q); err != nil {
			return nil, fmt.Errorf("suite.jsonl, question %d: %w", len(out)+1, err)
		}
		out = append(out, q)
	}
	return out, nil
}

func (q examQuestion) messages() []message {
	var out []message
	for _, b := range q.Before {
		out = append(out, message{"user", b.Text}, message{"assistant", b.Answer})
	}
	return append(out, message{"user", q.Text})
}

// examine asks one question after another, at fixed times whatever becomes of them, and scores the answers as weir eval does.
func examine(ctx context.Context, addr, model string, headers map[string]string, lasts time.Duration, into *ladderOf) {
	questions, err := suite()
	if err != nil || len(questions) == 0 {
		return // a test reads the suite
	}
	rand.New(rand.NewPCG(20, 26)).Shuffle(len(questions), func(i, j int) { questions[i], questions[j] = questions[j], questions[i] })
	client := newClient(64)
	defer client.CloseIdleConnections()
	var mu sync.Mutex // guards into
	var wait sync.WaitGroup
	end := time.Now().Add(lasts)
	for i := 0; time.Now().Before(end) && ctx.Err() == nil; i++ {
		q := questions[i%len(questions)]
		into.Asked++
		wait.Go(func() {
			ask := question{model: model, key: keyOf(tenants()[i%len(tenants())]), messages: q.messages(), tokens: evalTokensMax, headers: headers, greedy: true}
			r := ask.ask(ctx, client, addr)
			mu.Lock()
			defer mu.Unlock()
			into.score(q, r, model)
		})
		sleep(ctx, askEvery)
	}
	wait.Wait()
}

// score counts an answer that came in time. variant is empty where the model itself answered.
func (l *ladderOf) score(q examQuestion, r reply, model string) {
	if !r.good() {
		return
	}
	l.InTime++
	by := r.variant
	if by == "" {
		by = model
	}
	m := l.Answers[by]
	if m == nil {
		m = &mix{}
		l.Answers[by] = m
	}
	m.Answered++
	if strings.TrimSpace(r.text) == q.Answer {
		m.Right++
	}
}
