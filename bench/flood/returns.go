package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/weir-ai/weir/bench/peer"
)

// # Is Retry-After honest?
//
// A tenth of the clients come back exactly when they are told to. Two loads: a flood at returnsFactor times the capacity that falls to
// returnsCalm of it, and twice the capacity all along, where for each who comes back there is no free place but that of somebody else. What
// is counted is how many of those who came back were admitted at once.
const (
	obeying       = 0.1
	returnsFactor = 4
	returnsCalm   = 0.8
	returnsAfter  = 60 // seconds after the flood: as long as Retry-After can be
	returnsSteady = 2
)

// returned is one such run.
type returned struct {
	Load     string  `json:"load"`
	Refused  int64   `json:"refused"`
	NotTold  int64   `json:"not_told"` // without a Retry-After
	Returned int64   `json:"returned"`
	Admitted int64   `json:"admitted_at_first"`
	Share    float64 `json:"share"`
	Goodput  float64 `json:"good_per_second"`
	Lag      float64 `json:"generator_lag_p99_ms"`
	Fault    string  `json:"fault,omitempty"`
}

func (b *bench) returns(ctx context.Context, e engine, round int, c capacity) []returned {
	best := c.Best
	falling := func(g generated) generated {
		g.rate, g.shape, g.classes = best*returnsCalm, stepShape(returnsFactor/returnsCalm, calmBefore, b.seconds), classes(returnsFactor)
		g.lasts = time.Duration(calmBefore+b.seconds+returnsAfter) * time.Second
		return g
	}
	steady := func(g generated) generated {
		g.rate, g.classes, g.lasts = best*returnsSteady, classes(returnsSteady), time.Duration(calmBefore+b.seconds)*time.Second
		return g
	}
	return []returned{
		b.returning(ctx, e, round, c, "4x, then 0.8x", "falling", falling),
		b.returning(ctx, e, round, c, "2x all along", "steady", steady),
	}
}

func (b *bench) returning(ctx context.Context, e engine, round int, c capacity, told, name string, plan func(generated) generated) returned {
	out := returned{Load: told}
	peer.Say("  %s, returning clients: %s", e.name, told)
	f := frontNamed(frontWeir)
	p, err := b.startPair(ctx, e, f, b.folder(e, f, round, name))
	if err != nil {
		out.Fault = err.Error()
		return out
	}
	defer p.stop()
	g := plan(load(e, f, p.frontAddr, c))
	g.warm, g.obey = calmBefore*time.Second, obeying
	r, err := g.run(ctx, b, filepath.Join(p.dir, "flood.json"))
	if err := errors.Join(err, p.check()); err != nil {
		out.Fault = err.Error()
		return out
	}
	out.Lag = r.Generator.Lag.P99
	if r.Seconds > 0 {
		out.Goodput = float64(r.Total.Good) / r.Seconds
	}
	if o := r.Obeying; o != nil {
		out.Refused, out.NotTold, out.Returned, out.Admitted, out.Share = o.Refused, o.NotTold, o.Returned, o.Admitted, o.Share
	}
	peer.Say("  %s: %d of %d were admitted at their first return (%s)", told, out.Admitted, out.Returned, percent(out.Share))
	return out
}
