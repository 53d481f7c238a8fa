package sim

import (
	"fmt"
	"time"

	"github.com/weir-ai/weir/admit"
	"github.com/weir-ai/weir/llm"
)

// EventKind says what has happened on a Path.
type EventKind int

// What happens on a Path, in about the order in which it happens to a call.
const (
	EventArrived  EventKind = iota
	EventReserved           // its tenant's limits have let it in
	EventQueued             // it waits at the gate
	EventUnqueued           // and does so no more
	EventDeadline           // the latest that it may start has just passed
	EventStarted            // it has a place at an endpoint
	EventRefused            // by the gate
	EventGrew               // so many more tokens went to its client
	EventSettled            // its usage was charged
	EventEnded              // its client was told
	EventTick               // ten times a second
	EventOver               // nothing is left to do
)

// Event is one of these. What does not belong to its kind is zero.
type Event struct {
	Kind     EventKind
	Call     *Call
	Verdict  admit.Verdict
	Tokens   int
	Usage    llm.Usage
	Reserved int64 // tokens, just before Usage was settled
}

// Check is a rule that holds all along. See tells what is broken, or nothing. It belongs to one Path.
type Check struct {
	Name string
	See  func(p *Path, e Event) string

	broken int
}

// Broken is a rule that did not hold.
type Broken struct {
	Check string
	At    time.Duration
	Text  string
}

// String is one line about it.
func (b Broken) String() string { return fmt.Sprintf("%s at %s: %s", b.Check, b.At, b.Text) }

// brokenMost bounds what is kept of one rule: the first tell the most.
const brokenMost = 4

// see shows an event to every check.
func (p *Path) see(e Event) {
	for i := range p.checks {
		c := &p.checks[i]
		if text := c.See(p, e); text != "" && c.broken < brokenMost {
			c.broken++
			p.broken = append(p.broken, Broken{c.Name, p.clock.now, text})
		}
	}
}

// Broken gives the rules that did not hold, the first first.
func (p *Path) Broken() []Broken { return p.broken }
