package admit

import (
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
)

// TestOneThatFailsIsNotSentAllThatWaits: an endpoint that dies frees all its places at once.
func TestOneThatFailsIsNotSentAllThatWaits(t *testing.T) {
	t.Parallel()
	g := New(Config{})
	now := time.Unix(1000, 0)
	g.Endpoints(now, []Endpoint{{ID: "e", Usable: true, Slots: 4, Waiting: -1, Age: -1}})
	place := func(_ *Entry, room func(llm.EndpointID) bool) (llm.EndpointID, error) {
		if room("e") {
			return "e", nil
		}
		return "", nil
	}
	offer := func() (Ticket, Verdict) {
		return g.Offer(now, Entry{Tenant: "t", Class: llm.ClassStandard, Prompt: 10, Output: 10}, place)
	}
	started := func(changes []Change) (tickets []Ticket) {
		for _, c := range changes {
			if c.Verdict.Started {
				tickets = append(tickets, c.Ticket)
			}
		}
		return tickets
	}
	var first []Ticket
	for range 4 {
		ticket, v := offer()
		if !v.Started {
			t.Fatalf("with room: %+v", v)
		}
		first = append(first, ticket)
	}
	for range 3 {
		offer()
	}
	for _, ticket := range first { // it dies under all four
		g.Failed(now, ticket)
		g.Done(now, ticket, End{Fault: llm.FaultCut})
	}
	if s := started(g.Step(now, place, nil)); len(s) != 0 {
		t.Fatalf("%d were sent into it at once", len(s))
	}
	now = now.Add(doubtMost)
	tried := started(g.Step(now, place, nil))
	if len(tried) != 1 {
		t.Fatalf("%d were sent to find out", len(tried))
	}
	g.First(now, tried[0], 0)
	if s := started(g.Step(now, place, nil)); len(s) != 2 {
		t.Errorf("after a first token %d were sent, want both that wait", len(s))
	}
}

func TestADoubtedEndpointIsTriedLaterEachTime(t *testing.T) {
	t.Parallel()
	var d doubt
	at := instant(0)
	for i, want := range []time.Duration{50, 100, 200, 400, 800, 1000, 1000} {
		d.failed(at)
		if want *= time.Millisecond; d.allows(at+want-1) || !d.allows(at+want) {
			t.Errorf("after %d failures it is not tried after %s", i+1, want)
		}
		at += want
	}
	d.trying = true
	if d.allows(at + time.Hour) {
		t.Error("two at once")
	}
}
