package sim

import (
	"time"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
)

// What goes wrong with an engine. Everything here can be changed at any moment of virtual time, and holds from then on.

const (
	// refuses is how long a dead machine takes to refuse a connection, and turnsAway how long a full server takes to say that it is full.
	refuses   = time.Millisecond
	turnsAway = 2 * time.Millisecond
)

// weather is what is wrong with an engine at the moment. The zero value is a fair day.
type weather struct {
	down   bool
	slower float64                           // everything takes times as long; 0 is 1
	full   int                               // requests at which it refuses more; 0 is never
	cut    func() int                        // after how many tokens the next answer breaks off; 0 is not
	hangs  func() bool                       // whether the next request is never answered
	fails  func() (llm.Fault, time.Duration) // what goes wrong with the next, and after how long
	hung   []*visit                          // those that are never answered
}

func (w *weather) slowed() float64 {
	if w.slower > 0 {
		return w.slower
	}
	return 1
}

// turnedAway does with a request what the weather does, and reports whether that is anything.
func (e *Engine) turnedAway(v *visit) bool {
	fail := func(f llm.Fault, after time.Duration) bool {
		e.clock.At(e.clock.now+after, func() {
			if !v.gone {
				v.gone = true
				v.ended(f)
			}
		})
		return true
	}
	w := &e.weather
	if w.down {
		return fail(llm.FaultConnect, refuses)
	}
	if e.fault != nil {
		if f, after := e.fault(e.clock.now); f != llm.FaultNone {
			return fail(f, after)
		}
	}
	if w.fails != nil {
		if f, after := w.fails(); f != llm.FaultNone {
			return fail(f, after)
		}
	}
	if w.full > 0 && len(e.waiting)+len(e.active) >= w.full {
		return fail(llm.FaultBusy, turnsAway)
	}
	if w.hangs != nil && w.hangs() {
		w.hung = append(w.hung, v)
		return true
	}
	if w.cut != nil {
		if n := w.cut(); n > 0 && n < v.output {
			v.output, v.cut = n, true
		}
	}
	return false
}

// SetSlots has the engine compute so many answers together. Those beyond that go on to their end.
func (e *Engine) SetSlots(n int) { e.speed.Slots = max(n, 1) }

// SetSlower has everything take times as long, from the next step on.
func (e *Engine) SetSlower(times float64) {
	e.weather.slower = times
	e.interrupt()
}

// SetFull has the engine refuse what comes while it has so many requests; 0 never.
func (e *Engine) SetFull(requests int) { e.weather.full = requests }

// SetCut has answers break off: next tells after how many tokens, 0 for not at all.
func (e *Engine) SetCut(next func() int) { e.weather.cut = next }

// SetHangs has requests never be answered of which next says so.
func (e *Engine) SetHangs(next func() bool) { e.weather.hangs = next }

// SetFails has requests fail as next says.
func (e *Engine) SetFails(next func() (llm.Fault, time.Duration)) { e.weather.fails = next }

// Die ends everything that is at the engine, forgets its cache, and refuses what comes until Revive.
func (e *Engine) Die() {
	all := append(append(append([]*visit(nil), e.active...), e.waiting...), e.weather.hung...)
	if e.each > 0 {
		e.busy += (e.clock.now - e.began).Seconds()
	}
	for _, v := range e.waiting {
		e.owe(v, 0)
	}
	clear(e.coming)
	e.active, e.waiting, e.chunk, e.weather.hung = nil, nil, e.chunk[:0], nil
	e.run++ // calls the end off
	e.each, e.steps, e.left = 0, 0, false
	e.cache = NewCache(e.speed.Cache)
	e.weather.down = true
	for _, v := range all {
		if !v.gone {
			v.gone = true
			v.ended(llm.FaultCut)
		}
	}
}

// Revive has the engine answer again.
func (e *Engine) Revive() { e.weather.down = false }

// Speed is the cost model as it is at the moment.
func (e *Engine) Speed() Speed { return e.speed.Slower(e.weather.slowed()) }

// Die has an engine of a path die; the fleet's probes find out a while later.
func (p *Path) Die(variant, engine int) {
	m := p.variants[variant]
	m.engines[engine].Die()
	p.clock.At(p.clock.now+probeAfter, func() {
		if m.engines[engine].weather.down {
			m.endpoints[engine].SetHealth(p.now(), fleet.StateDown, "no connection")
			p.tell(m)
			p.pump(m)
		}
	})
}

// Revive has it answer again.
func (p *Path) Revive(variant, engine int) {
	m := p.variants[variant]
	m.engines[engine].Revive()
	p.clock.At(p.clock.now+probeAfter, func() {
		if !m.engines[engine].weather.down {
			m.endpoints[engine].SetHealth(p.now(), fleet.StateUp, "")
			p.tell(m)
			p.pump(m)
		}
	})
}
