package llm

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

func TestEveryKindHasOneMeaning(t *testing.T) {
	t.Parallel()
	labels, codes := map[string]Kind{}, map[string]Kind{}
	for _, k := range Kinds() {
		m := k.Meaning()
		if m.Status < 400 || m.Type == "" || m.Label == "" {
			t.Errorf("kind %d has no complete meaning: %+v", k, m)
		}
		if other, ok := labels[m.Label]; ok {
			t.Errorf("kinds %d and %d share the label %q", k, other, m.Label)
		}
		if other, ok := codes[m.Code]; ok && m.Code != "" {
			t.Errorf("kinds %d and %d share the code %q", k, other, m.Code)
		}
		if m.Retry && m.Status < 500 && m.Status != 429 {
			t.Errorf("kind %s may be retried but has status %d, which tells clients not to", k, m.Status)
		}
		if (&Error{Kind: k}).Public() == "" {
			t.Errorf("kind %s has no public message", k)
		}
		labels[m.Label], codes[m.Code] = k, k
	}
	if beyond := Kind(len(Kinds())); beyond.Meaning() != Internal.Meaning() {
		t.Errorf("kind %d is not listed in Kinds", beyond)
	}
}

func TestAsErrorNamesTheKind(t *testing.T) {
	t.Parallel()
	check := func(err error, want Kind) {
		t.Helper()
		if got := AsError(err); got.Kind != want {
			t.Errorf("AsError(%v) is %s, want %s", err, got.Kind, want)
		}
	}
	check(fmt.Errorf("wrapped: %w", Errorf(TooLong, "x")), TooLong)
	check(fmt.Errorf("wrapped: %w", context.Canceled), Canceled)
	check(context.DeadlineExceeded, Timeout)
	check(errors.New("secret detail"), Internal)
	if got := AsError(errors.New("secret detail")).Public(); got == "" || got == "secret detail" {
		t.Errorf("an unnamed error reads %q to the client", got)
	}
	if AsError(nil) != nil {
		t.Error("AsError(nil) is an error")
	}
}

func TestErrorKeepsItsCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	err := &Error{Op: "engine.Submit", Kind: Overloaded, Message: "full", Err: cause}
	if !errors.Is(err, cause) || err.Error() != "engine.Submit: full: cause" || err.Public() != "full" {
		t.Errorf("got %q, public %q", err.Error(), err.Public())
	}
}

func TestEventCarries(t *testing.T) {
	t.Parallel()
	check := func(e Event, want bool) {
		t.Helper()
		if e.Carries() != want {
			t.Errorf("%+v carries: %v, want %v", e, e.Carries(), want)
		}
	}
	check(Event{Kind: EventDelta}, false)
	check(Event{Kind: EventDelta, Text: "a"}, true)
	check(Event{Kind: EventReasoning, Text: "a"}, true)
	check(Event{Kind: EventToolCall}, true)
	check(Event{Kind: EventFinish}, false)
	check(Event{Kind: EventUsage}, false)
}

func TestChoicesMultiply(t *testing.T) {
	t.Parallel()
	if got := (&Request{N: 2, Prompts: make([]Prompt, 3)}).Choices(); got != 6 {
		t.Errorf("2 answers to 3 prompts are %d choices", got)
	}
	if got := (&Request{}).Choices(); got != 1 {
		t.Errorf("an empty request has %d choices", got)
	}
}

func TestMessageTextJoinsParts(t *testing.T) {
	t.Parallel()
	m := Message{Parts: []Part{{Kind: PartText, Text: "a"}, {Kind: PartText, Text: "b"}}}
	if m.Text() != "ab" || TextMessage(RoleUser, "x").Text() != "x" || (Message{}).Text() != "" {
		t.Error("text parts are not joined")
	}
}
