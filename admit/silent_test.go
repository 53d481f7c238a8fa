package admit

import (
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
)

// TestAnAnswerInOnePieceFreesItsPrompt: nobody tells of its first token, so its prompt keeps others out for as long as it takes to compute,
// and not until its end.
func TestAnAnswerInOnePieceFreesItsPrompt(t *testing.T) {
	t.Parallel()
	g := New(Config{})
	now := time.Unix(1000, 0)
	g.Endpoints(now, []Endpoint{{ID: "e", Usable: true, Slots: 8, PrefillSeconds: 0.001, Waiting: -1, Age: -1}})
	place := func(_ *Entry, room func(llm.EndpointID) bool) (llm.EndpointID, error) {
		if room("e") {
			return "e", nil
		}
		return "", nil
	}
	ask := Entry{Tenant: "t", Class: llm.ClassStandard, Prompt: 400, Output: 100, Whole: true}
	first, v := g.Offer(now, ask, place)
	if !v.Started {
		t.Fatalf("the first: %+v", v)
	}
	second, v := g.Offer(now, ask, place) // 0.8 s of prompts would be more than a part of the objective
	if !v.Waiting {
		t.Fatalf("the second: %+v", v)
	}
	if changes := g.Step(now, place, nil); len(changes) != 0 {
		t.Fatalf("a step at once does %+v", changes)
	}
	next := g.Next()
	if d := next.Sub(now); d <= 0 || d > 400*time.Millisecond {
		t.Errorf("the gate wants to be asked again in %s", d)
	}
	now = now.Add(400 * time.Millisecond)
	changes := g.Step(now, place, nil)
	if len(changes) != 1 || !changes[0].Verdict.Started || changes[0].Ticket != second {
		t.Fatalf("when the first prompt is computed: %+v", changes)
	}
	for _, ticket := range []Ticket{first, second} {
		now = now.Add(50 * time.Millisecond) // the second ends before its prompt counts as computed
		g.Done(now, ticket, End{Prompt: 400, Output: 100})
	}
	if s := g.State(now); s.Endpoints[0].Running != 0 || s.Endpoints[0].Prefill != 0 || s.Endpoints[0].Work != 0 {
		t.Errorf("at the end there is left: %+v", s.Endpoints[0])
	}
}
