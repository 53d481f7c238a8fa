// Package sim runs the data path in virtual time: the real gate, tenants, ladder and routing, in front of engines that are simulated.
// Hours pass in seconds, the same way each time for one seed, so that a rule can be judged by what it does in floods and failures before
// any engine is asked.
//
// A World is the routing alone, over recorded traces: what it does to hit rates, balance and waits. A Path is all of it: requests are
// reserved, wait, start, fail, are retried and settled, as package serve does it. A Scenario is a flood with faults on a Path, made from a
// seed; Rules are what must hold in each. See docs/sim.md.
//
// Everything happens on the goroutine of who calls Run or Play; nothing here reads a clock, starts a goroutine or opens a connection.
// Engines keep to a cost model and compute nothing: see Engine for what is in it and what is not.
package sim

import (
	"container/heap"
	"time"
)

// Clock is virtual time: a heap of things to do.
type Clock struct {
	now    time.Duration // since Epoch
	events events
	count  uint64
}

// Epoch is when virtual time begins. It is no special day: code that takes a zero time for none must not meet one.
var Epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

type event struct {
	at    time.Duration
	order uint64 // of those at one moment, the first that was asked for goes first
	do    func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

// Push is for package heap.
func (e *events) Push(x any) { *e = append(*e, x.(event)) }

// Pop is for package heap.
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	old[len(old)-1] = event{}
	*e = old[:len(old)-1]
	return x
}

// Now is the virtual time since Epoch.
func (c *Clock) Now() time.Duration { return c.now }

// Time is the same as a moment, for code that takes one.
func (c *Clock) Time() time.Time { return Epoch.Add(c.now) }

// At has do called at a time since Epoch; one that is past is now.
func (c *Clock) At(at time.Duration, do func()) {
	c.count++
	heap.Push(&c.events, event{max(at, c.now), c.count, do})
}

// Run lets time pass until nothing is left to do.
func (c *Clock) Run() {
	for len(c.events) > 0 {
		e := heap.Pop(&c.events).(event)
		c.now = e.at
		e.do()
	}
}
