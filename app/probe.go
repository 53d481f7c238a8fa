package app

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
)

// Probed is what one endpoint said when it was asked.
type Probed struct {
	Model    llm.ModelID
	Endpoint llm.EndpointID
	Embedded bool
	State    fleet.State
	Reason   string // why it is not up, or did not answer
	About    fleet.About
	Load     fleet.Load
	Answered bool          // the short question
	At       time.Time     // of its last answer, to a probe or to the question; zero where there was none
	TTFT     time.Duration // of the question
	Speed    float64       // tokens a second after the first; 0 where there were too few
}

const (
	// probesAtOnce keeps a large fleet from being asked in one instant.
	probesAtOnce = 16
	// probeQuestion is short and answerable by anything; probeTokens are enough to time and cost nobody anything.
	probeQuestion = "Count from one to ten."
	probeTokens   = 16
)

// Probe asks every endpoint what it is and puts a short question to those that are up. It ends with ctx at the latest.
func (s *System) Probe(ctx context.Context) []Probed {
	var out []Probed
	var all sync.WaitGroup
	var mu sync.Mutex
	slots := make(chan struct{}, probesAtOnce)
	s.fleet.Each(func(model llm.ModelID, e *fleet.Endpoint) {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			p := probe(ctx, model, e)
			mu.Lock()
			defer mu.Unlock()
			out = append(out, p)
		})
	})
	all.Wait()
	slices.SortFunc(out, func(a, b Probed) int {
		return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.Endpoint, b.Endpoint))
	})
	return out
}

func probe(ctx context.Context, model llm.ModelID, e *fleet.Endpoint) Probed {
	p := Probed{Model: model, Endpoint: e.ID(), Embedded: e.Embedded(), State: fleet.StateUp, Load: fleet.UnknownLoad()}
	if prober, ok := e.Runner().(fleet.Prober); ok {
		r := prober.Probe(ctx)
		p.State, p.Reason, p.About, p.Load = r.State, r.Reason, r.About, r.Load
		if p.State != fleet.StateDown {
			p.At = time.Now()
		}
	}
	if p.State == fleet.StateUp || p.State == fleet.StateUnknown {
		p.ask(ctx, e.Runner())
	}
	return p
}

// ask puts the short question.
func (p *Probed) ask(ctx context.Context, r llm.Runner) {
	req := &llm.Request{Model: p.Model, N: 1, Stream: true, Messages: []llm.Message{llm.TextMessage(llm.RoleUser, probeQuestion)}, Report: llm.NewReport(), Sampling: llm.NewSampling()}
	req.Sampling.Temperature, req.Limits.MaxTokens = 0, probeTokens
	began := time.Now()
	var first time.Time
	usage, err := r.Run(ctx, req, func(e llm.Event) error {
		if first.IsZero() && e.Carries() {
			first = time.Now()
		}
		return nil
	})
	if err != nil {
		p.Reason = llm.AsError(err).Public()
		return
	}
	p.Answered, p.At = true, time.Now()
	if first.IsZero() {
		return
	}
	p.TTFT = first.Sub(began)
	if more := usage.CompletionTokens - 1; more > 0 {
		p.Speed = float64(more) / p.At.Sub(first).Seconds()
	}
}
