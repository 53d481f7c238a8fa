package serve

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/registry"
)

// fakeRunner plays a script: a fake in place of an engine.
type fakeRunner func(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error)

func (f fakeRunner) Run(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
	return f(ctx, req, emit)
}

type bundle struct {
	pipeline *Pipeline
	records  []Record
	panics   int
	clock    time.Time
}

func setup(t *testing.T, run fakeRunner) *bundle {
	t.Helper()
	var models registry.Registry
	if err := models.Set([]registry.Model{{ID: "weir-mini"}}); err != nil {
		t.Fatal(err)
	}
	var endpoints fleet.Fleet
	if err := endpoints.Set(map[llm.ModelID][]*fleet.Endpoint{"weir-mini": {fleet.New(fleet.Spec{ID: "embedded", Runner: run, Embedded: true})}}); err != nil {
		t.Fatal(err)
	}
	b := &bundle{clock: time.Unix(1000, 0)}
	b.pipeline = New(&models, &endpoints, Options{Report: Listener{
		Settled:  func(r Record) { b.records = append(b.records, r) },
		Panicked: func(*llm.Request, *Panic) { b.panics++ },
	}, Now: func() time.Time { return b.clock }})
	return b
}

func TestRunSettlesOnce(t *testing.T) {
	t.Parallel()
	var b *bundle
	b = setup(t, func(_ context.Context, _ *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		b.clock = b.clock.Add(time.Second)
		_ = emit(llm.Event{Kind: llm.EventPrompt})
		b.clock = b.clock.Add(time.Second)
		_ = emit(llm.Event{Kind: llm.EventDelta, Text: "hi"})
		b.clock = b.clock.Add(time.Second)
		return llm.Usage{PromptTokens: 3, CompletionTokens: 6}, emit(llm.Event{Kind: llm.EventFinish})
	})
	var got int
	usage, err := b.pipeline.Run(t.Context(), &llm.Request{Model: "weir-mini", Tenant: "t", N: 2}, func(llm.Event) error { got++; return nil })
	if err != nil || got != 4 || usage.Total() != 9 {
		t.Fatalf("got %d events, usage %+v, error %v", got, usage, err)
	}
	want := Record{Model: "weir-mini", Endpoint: "embedded", Tenant: "t", Outcome: "ok", Usage: usage, TTFT: 2 * time.Second, TPOT: time.Second / 2, Duration: 3 * time.Second}
	if len(b.records) != 1 || b.records[0] != want {
		t.Errorf("settled %+v, want %+v", b.records, want)
	}
}

func TestUnknownModelNamesTheNearest(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	_, err := b.pipeline.Run(t.Context(), &llm.Request{Model: "weir-mimi"}, nil)
	e := llm.AsError(err)
	if e.Kind != llm.UnknownModel || e.Param != "model" || !strings.Contains(e.Message, "weir-mini") {
		t.Errorf("got %v", err)
	}
	if len(b.records) != 0 {
		t.Error("a request without a model was settled")
	}
}

func TestEveryEndIsAnOutcome(t *testing.T) {
	t.Parallel()
	check := func(run fakeRunner, want string) {
		t.Helper()
		b := setup(t, run)
		_, err := b.pipeline.Run(t.Context(), &llm.Request{Model: "weir-mini"}, func(llm.Event) error { return nil })
		if err == nil || len(b.records) != 1 || b.records[0].Outcome != want {
			t.Errorf("error %v settled as %+v, want outcome %q", err, b.records, want)
		}
	}
	fail := func(err error) fakeRunner {
		return func(context.Context, *llm.Request, func(llm.Event) error) (llm.Usage, error) {
			return llm.Usage{}, err
		}
	}
	check(fail(errors.New("odd")), "internal")
	check(fail(context.Canceled), "canceled")
	check(fail(llm.Errorf(llm.Overloaded, "full")), "overloaded")
	check(func(context.Context, *llm.Request, func(llm.Event) error) (llm.Usage, error) { panic("bug") }, "internal")
}

func TestPanicIsReportedAndContained(t *testing.T) {
	t.Parallel()
	b := setup(t, func(context.Context, *llm.Request, func(llm.Event) error) (llm.Usage, error) { panic("bug") })
	_, err := b.pipeline.Run(t.Context(), &llm.Request{Model: "weir-mini"}, func(llm.Event) error { return nil })
	if b.panics != 1 || llm.AsError(err).Kind != llm.Internal || strings.Contains(llm.AsError(err).Public(), "bug") {
		t.Errorf("panics %d, error %v", b.panics, err)
	}
	var p *Panic
	if !errors.As(err, &p) || p.Value != "bug" || !strings.Contains(string(p.Stack), "TestPanicIsReportedAndContained") {
		t.Errorf("the error %v does not carry the panic and its stack", err)
	}
}

func TestAClientThatLeftCostsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, func(context.Context, *llm.Request, func(llm.Event) error) (llm.Usage, error) {
		t.Error("the runner was called")
		return llm.Usage{}, nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.pipeline.Run(ctx, &llm.Request{Model: "weir-mini"}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
