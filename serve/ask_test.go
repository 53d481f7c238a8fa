package serve

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/registry"
)

// part is an endpoint of a test: a fake that plays a script.
type part struct {
	run       fakeRunner
	continues fleet.Continues
}

// fakes is a pipeline over models of scripted endpoints, with what it reported.
type fakes struct {
	*Pipeline
	visits  []Visit
	retries []llm.Fault
	refused int
	resumes []string
	falls   []llm.ModelID
	records []Record
	waited  time.Duration
	seen    []*llm.Request // by the endpoints, in order
}

func over(t *testing.T, fallbacks []llm.ModelID, models map[llm.ModelID]map[llm.EndpointID]part) *fakes {
	t.Helper()
	var names registry.Registry
	var entries []registry.Model
	endpoints := map[llm.ModelID][]*fleet.Endpoint{}
	f := &fakes{}
	for id, parts := range models {
		m := registry.Model{ID: id}
		if id == "m" {
			m.Fallbacks = fallbacks
		}
		entries = append(entries, m)
		for name, p := range parts {
			run := fakeRunner(func(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
				f.seen = append(f.seen, req)
				return p.run(ctx, req, emit)
			})
			endpoints[id] = append(endpoints[id], fleet.New(fleet.Spec{ID: name, Runner: run, Continues: p.continues, Slots: 256}))
		}
	}
	if err := names.Set(entries); err != nil {
		t.Fatal(err)
	}
	var all fleet.Fleet
	if err := all.Set(endpoints); err != nil {
		t.Fatal(err)
	}
	f.Pipeline = New(&names, &all, Options{
		Report: Listener{
			Settled: func(r Record) { f.records = append(f.records, r) }, Visited: func(v Visit) { f.visits = append(f.visits, v) },
			Retried: func(_ llm.ModelID, fault llm.Fault) { f.retries = append(f.retries, fault) }, Refused: func(llm.ModelID) { f.refused++ },
			Resumed: func(_ llm.ModelID, outcome string) { f.resumes = append(f.resumes, outcome) }, FellBack: func(_, next llm.ModelID) { f.falls = append(f.falls, next) },
		},
		Wait: func(ctx context.Context, d time.Duration) error { f.waited += d; return ctx.Err() },
	})
	return f
}

// word sends one token as an embedded engine does.
func word(emit func(llm.Event) error, i int) error {
	return emit(llm.Event{Kind: llm.EventDelta, Text: fmt.Sprint("w", i, " "), Tokens: []llm.TokenLogprob{{ID: llm.TokenID(i)}}})
}

// counting answers with the words from where the request goes on up to end, and fails at cut.
func counting(end, cut int, fault llm.Fault) fakeRunner {
	return func(_ context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		from := 0
		if req.Going != nil {
			from = req.Going.Count
		} else if req.Trail {
			_ = emit(llm.Event{Kind: llm.EventPrompt, Tokens: []llm.TokenLogprob{{ID: 100}, {ID: 101}}})
		}
		usage := llm.Usage{PromptTokens: 2 + from}
		for i := from; i < end; i++ {
			if i == cut {
				return usage, &llm.Error{Kind: llm.Upstream, Fault: fault}
			}
			if err := word(emit, i); err != nil {
				return usage, err
			}
			usage.CompletionTokens++
		}
		if err := emit(llm.Event{Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishStop}}); err != nil {
			return usage, err
		}
		return usage, emit(llm.Event{Kind: llm.EventUsage, Usage: usage})
	}
}

func failing(kind llm.Kind, fault llm.Fault) fakeRunner {
	return func(context.Context, *llm.Request, func(llm.Event) error) (llm.Usage, error) {
		return llm.Usage{}, &llm.Error{Kind: kind, Fault: fault, Message: "no"}
	}
}

// listen runs a request and gives its text, its usage events and the places it was at.
func (f *fakes) listen(t *testing.T, req *llm.Request) (text string, usages []llm.Usage, places []llm.Place, err error) {
	t.Helper()
	_, err = f.Run(t.Context(), req, func(e llm.Event) error {
		switch e.Kind {
		case llm.EventDelta:
			text += e.Text
		case llm.EventFrame:
			text += string(e.Raw)
		case llm.EventUsage:
			usages = append(usages, e.Usage)
		case llm.EventPlaced:
			places = append(places, *e.Place)
		}
		return nil
	})
	return text, usages, places, err
}

func stream(n int) *llm.Request { return &llm.Request{Model: "m", Stream: true, N: n} }

const tenWords = "w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 "

// until repeats a request until both endpoints have had the first visit once: which is first is routing's business.
func TestAFailureBeforeTheAnswerIsTriedElsewhere(t *testing.T) {
	t.Parallel()
	for _, streams := range []bool{true, false} {
		f := over(t, nil, map[llm.ModelID]map[llm.EndpointID]part{"m": {"good": {run: counting(10, -1, 0)}, "bad": {run: failing(llm.Upstream, llm.FaultConnect)}}})
		for range 4 {
			text, _, places, err := f.listen(t, &llm.Request{Model: "m", Stream: streams, N: 1})
			if err != nil || text != tenWords || places[len(places)-1].Endpoint != "good" {
				t.Fatalf("got %q at %v, %v", text, places, err)
			}
		}
		if len(f.retries) == 0 || f.retries[0] != llm.FaultConnect {
			t.Errorf("stream %v: retries %v of visits %+v", streams, f.retries, f.visits)
		}
	}
}

// TestAnUnstreamedAnswerBeginsAnew: nobody has seen what an endpoint said that failed.
func TestAnUnstreamedAnswerBeginsAnew(t *testing.T) {
	t.Parallel()
	f := over(t, nil, map[llm.ModelID]map[llm.EndpointID]part{"m": {"a": {run: counting(10, 4, llm.FaultCut)}, "b": {run: counting(10, -1, 0)}}})
	for range 6 {
		text := ""
		_, err := f.Run(t.Context(), &llm.Request{Model: "m", N: 1}, func(e llm.Event) error {
			if e.Kind == llm.EventPlaced {
				text = ""
			}
			text += e.Text
			return nil
		})
		if err != nil || text != tenWords {
			t.Fatalf("got %q, %v", text, err)
		}
	}
	if len(f.retries) == 0 || len(f.resumes) > 0 {
		t.Errorf("retries %v, resumes %v", f.retries, f.resumes)
	}
}

func TestAStreamIsTakenUpInItsMiddle(t *testing.T) {
	t.Parallel()
	for _, how := range []fleet.Continues{fleet.ContinuesText, fleet.ContinuesTokens} {
		f := over(t, nil, map[llm.ModelID]map[llm.EndpointID]part{"m": {"a": {counting(10, 4, llm.FaultCut), how}, "b": {counting(10, 7, llm.FaultIdleTimeout), how}, "c": {counting(10, -1, 0), how}}})
		for range 9 {
			text, usages, _, err := f.listen(t, stream(1))
			if err != nil || text != tenWords {
				t.Fatalf("got %q, %v after %+v", text, err, f.visits)
			}
			if len(usages) != 1 || usages[0] != (llm.Usage{PromptTokens: 2, CompletionTokens: 10}) {
				t.Fatalf("usage is told as %+v", usages)
			}
		}
		for _, r := range f.records {
			if r.Usage != (llm.Usage{PromptTokens: 2, CompletionTokens: 10}) || r.Outcome != "ok" {
				t.Errorf("settled %+v", r)
			}
		}
		if len(f.resumes) == 0 || slices.Contains(f.resumes, ResumeFailed) {
			t.Errorf("resumes %v", f.resumes)
		}
		for _, r := range f.seen {
			if g := r.Going; g != nil && how == fleet.ContinuesTokens && (len(g.Tokens) != g.Count || len(g.Prompt) != 2 || g.Text != tenWords[:3*g.Count]) {
				t.Errorf("went on from %+v", g)
			}
		}
	}
}

func TestWhatCannotBeTakenUpEndsInTheError(t *testing.T) {
	t.Parallel()
	check := func(name string, req *llm.Request, run fakeRunner) {
		t.Helper()
		f := over(t, nil, map[llm.ModelID]map[llm.EndpointID]part{"m": {"a": {run, fleet.ContinuesTokens}, "b": {run, fleet.ContinuesTokens}}})
		_, _, _, err := f.listen(t, req)
		if e := llm.AsError(err); e == nil || e.Fault != llm.FaultCut || len(f.visits) != 1 || !slices.Equal(f.resumes, []string{ResumeImpossible}) {
			t.Errorf("%s: %v after %d visits, resumes %v", name, err, len(f.visits), f.resumes)
		}
	}
	check("two choices", stream(2), counting(10, 4, llm.FaultCut))
	whole := stream(1)
	whole.Shape.Whole = true
	check("a form", whole, counting(10, 4, llm.FaultCut))
	check("a tool call", stream(1), func(_ context.Context, _ *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		_ = word(emit, 0)
		_ = emit(llm.Event{Kind: llm.EventToolCall, Call: &llm.ToolCallDelta{Name: "f", Arguments: "{"}})
		return llm.Usage{}, &llm.Error{Kind: llm.Upstream, Fault: llm.FaultCut}
	})
	check("reasoning without its tokens", stream(1), func(_ context.Context, _ *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		_ = emit(llm.Event{Kind: llm.EventReasoning, Text: "hm"})
		return llm.Usage{}, &llm.Error{Kind: llm.Upstream, Fault: llm.FaultCut}
	})
}

// TestNobodyGoesOnWhoCannot: an endpoint that only begins anew is not asked to go on.
func TestNobodyGoesOnWhoCannot(t *testing.T) {
	t.Parallel()
	f := over(t, nil, map[llm.ModelID]map[llm.EndpointID]part{"m": {"a": {run: counting(10, 4, llm.FaultCut)}, "b": {run: counting(10, 4, llm.FaultCut)}}})
	text, _, _, err := f.listen(t, stream(1))
	if e := llm.AsError(err); e == nil || e.Fault != llm.FaultCut || text != "w0 w1 w2 w3 " || !slices.Contains(f.resumes, ResumeFailed) {
		t.Errorf("got %q, %v, resumes %v", text, err, f.resumes)
	}
}

func TestOnlyTheEndIsMissing(t *testing.T) {
	t.Parallel()
	f := over(t, nil, map[llm.ModelID]map[llm.EndpointID]part{"m": {"a": {counting(10, 4, llm.FaultCut), fleet.ContinuesTokens}, "b": {counting(10, 4, llm.FaultCut), fleet.ContinuesTokens}}})
	req := stream(1)
	req.Limits.MaxTokens = 4
	var finish llm.FinishReason
	_, err := f.Run(t.Context(), req, func(e llm.Event) error {
		if e.Kind == llm.EventFinish {
			finish = e.Finish.Reason
		}
		return nil
	})
	if err != nil || finish != llm.FinishLength || len(f.visits) != 1 {
		t.Errorf("finish %q, %v, %d visits", finish, err, len(f.visits))
	}
}

func TestClientsFaultsAreNotTriedElsewhere(t *testing.T) {
	t.Parallel()
	for _, kind := range []llm.Kind{llm.Invalid, llm.Forbidden, llm.SlowReader, llm.Canceled} {
		f := over(t, []llm.ModelID{"small"}, map[llm.ModelID]map[llm.EndpointID]part{"m": {"a": {run: failing(kind, 0)}, "b": {run: failing(kind, 0)}}, "small": {"s": {run: counting(10, -1, 0)}}})
		if _, _, _, err := f.listen(t, stream(1)); llm.AsError(err).Kind != kind || len(f.visits) != 1 || len(f.falls) > 0 {
			t.Errorf("%s: %v, %d visits, fell back to %v", kind, err, len(f.visits), f.falls)
		}
	}
}

// TestATaskThatOneCannotAnotherMay: no budget is spent on asking who can.
func TestATaskThatOneCannotAnotherMay(t *testing.T) {
	t.Parallel()
	f := over(t, nil, map[llm.ModelID]map[llm.EndpointID]part{"m": {"a": {run: failing(llm.Invalid, llm.FaultTask)}, "b": {run: counting(10, -1, 0)}}})
	for range 20 {
		if text, _, _, err := f.listen(t, stream(1)); err != nil || text != tenWords {
			t.Fatalf("got %q, %v", text, err)
		}
	}
	if len(f.retries) > 0 || f.waited > 0 {
		t.Errorf("retries %v, waited %s", f.retries, f.waited)
	}
}

func TestAFallbackAnswersWhereNothingElseCan(t *testing.T) {
	t.Parallel()
	f := over(t, []llm.ModelID{"broken", "small"}, map[llm.ModelID]map[llm.EndpointID]part{
		"m": {"a": {run: failing(llm.Upstream, llm.FaultConnect)}}, "broken": {"b": {run: failing(llm.Overloaded, llm.FaultBusy)}}, "small": {"s": {run: counting(10, -1, 0)}}, "other": {"o": {run: counting(1, -1, 0)}}})
	text, _, places, err := f.listen(t, stream(1))
	if err != nil || text != tenWords || !slices.Equal(f.falls, []llm.ModelID{"broken", "small"}) || places[len(places)-1].Model != "small" {
		t.Errorf("got %q, %v, fell to %v, places %v", text, err, f.falls, places)
	}
	if r := f.records; len(r) != 1 || r[0].Model != "small" || r[0].Endpoint != "s" {
		t.Errorf("settled %+v", r)
	}
}

// TestFramesWithoutContentAreHeld: the role's frame of an endpoint that failed is never seen.
func TestFramesWithoutContentAreHeld(t *testing.T) {
	t.Parallel()
	frames := func(role, text string, err error) fakeRunner {
		return func(_ context.Context, _ *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
			if e := emit(llm.Event{Kind: llm.EventFrame, Frame: []byte(role)}); e != nil || err != nil {
				return llm.Usage{}, err
			}
			return llm.Usage{}, emit(llm.Event{Kind: llm.EventFrame, Frame: []byte(text), Holds: llm.HoldsContent, Raw: []byte(text)})
		}
	}
	f := over(t, nil, map[llm.ModelID]map[llm.EndpointID]part{"m": {"a": {run: frames("roleA", "", &llm.Error{Kind: llm.Upstream, Fault: llm.FaultCut})}, "b": {run: frames("roleB", "text", nil)}}})
	for range 4 {
		var got []string
		_, err := f.Run(t.Context(), stream(1), func(e llm.Event) error {
			if e.Kind == llm.EventFrame {
				got = append(got, string(e.Frame))
			}
			return nil
		})
		if err != nil || strings.Join(got, ",") != "roleB,text" {
			t.Fatalf("got %v, %v", got, err)
		}
	}
	// At the bound nothing is held any more.
	big := strings.Repeat("x", heldMax+1)
	f = over(t, nil, map[llm.ModelID]map[llm.EndpointID]part{"m": {"a": {run: frames(big, "text", nil)}}})
	n := 0
	if _, err := f.Run(t.Context(), stream(1), func(e llm.Event) error { n += len(e.Frame); return nil }); err != nil || n != len(big)+4 {
		t.Errorf("%d bytes went out, %v", n, err)
	}
}

// TestLongAnswersAreNotKept: beyond the bound an answer breaks off with its endpoint.
func TestLongAnswersAreNotKept(t *testing.T) {
	t.Parallel()
	long := func(_ context.Context, _ *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		for range 3 {
			_ = emit(llm.Event{Kind: llm.EventDelta, Text: strings.Repeat("x", keptMax/2+1)})
		}
		return llm.Usage{}, &llm.Error{Kind: llm.Upstream, Fault: llm.FaultCut}
	}
	f := over(t, nil, map[llm.ModelID]map[llm.EndpointID]part{"m": {"a": {long, fleet.ContinuesTokens}, "b": {long, fleet.ContinuesTokens}}})
	if _, _, _, err := f.listen(t, stream(1)); err == nil || !slices.Equal(f.resumes, []string{ResumeImpossible}) {
		t.Errorf("%v, resumes %v", err, f.resumes)
	}
}

func TestVisitsAreBounded(t *testing.T) {
	t.Parallel()
	parts := map[llm.EndpointID]part{}
	for i := range 3 * visitsMax {
		parts[llm.EndpointID(fmt.Sprint("e", i))] = part{func(_ context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
			n := 0
			if req.Going != nil {
				n = req.Going.Count
			}
			_ = word(emit, n)
			return llm.Usage{}, &llm.Error{Kind: llm.Upstream, Fault: llm.FaultCut}
		}, fleet.ContinuesText}
	}
	f := over(t, nil, map[llm.ModelID]map[llm.EndpointID]part{"m": parts})
	if _, _, _, err := f.listen(t, stream(1)); err == nil || len(f.visits) != visitsMax {
		t.Errorf("%d visits, %v", len(f.visits), err)
	}
}

func TestALeavingClientIsNotTriedElsewhere(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(t.Context())
	hang := func(ctx context.Context, _ *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		_ = word(emit, 0)
		leave()
		<-ctx.Done()
		return llm.Usage{}, ctx.Err()
	}
	f := over(t, []llm.ModelID{"small"}, map[llm.ModelID]map[llm.EndpointID]part{"m": {"a": {hang, fleet.ContinuesTokens}, "b": {hang, fleet.ContinuesTokens}}, "small": {"s": {run: counting(1, -1, 0)}}})
	if _, err := f.Run(ctx, stream(1), func(llm.Event) error { return nil }); llm.AsError(err).Kind != llm.Canceled || len(f.visits) != 1 || f.visits[0].Outcome != "canceled" || len(f.falls) > 0 {
		t.Errorf("%v, visits %+v", err, f.visits)
	}
}

// TestABrokenStreamIsBilled: what went out was used, whoever told or did not tell the usage.
func TestABrokenStreamIsBilled(t *testing.T) {
	t.Parallel()
	silent := func(_ context.Context, _ *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		for i := range 5 {
			if err := word(emit, i); err != nil {
				return llm.Usage{}, err
			}
		}
		return llm.Usage{}, &llm.Error{Kind: llm.Upstream, Fault: llm.FaultCut}
	}
	f := over(t, nil, map[llm.ModelID]map[llm.EndpointID]part{"m": {"a": {run: silent}}})
	req := stream(1)
	req.Shape.Prompt = 7
	if usage, err := f.Run(t.Context(), req, func(llm.Event) error { return nil }); err == nil || usage != (llm.Usage{PromptTokens: 7, CompletionTokens: 5}) || f.records[0].Usage != usage {
		t.Errorf("billed %+v, settled %+v, %v", usage, f.records, err)
	}
}

// TestAPromptToldForAResumeIsNoAnswer: an embedded engine that fails after it told the prompt, and before a word, is tried elsewhere.
func TestAPromptToldForAResumeIsNoAnswer(t *testing.T) {
	t.Parallel()
	fails := func(_ context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		if !req.Trail {
			t.Error("the tokens are not asked for")
		}
		_ = emit(llm.Event{Kind: llm.EventPrompt, Tokens: []llm.TokenLogprob{{ID: 1}}})
		return llm.Usage{}, &llm.Error{Kind: llm.Draining}
	}
	f := over(t, nil, map[llm.ModelID]map[llm.EndpointID]part{"m": {"a": {fails, fleet.ContinuesTokens}, "b": {counting(10, -1, 0), fleet.ContinuesTokens}}})
	for range 4 {
		req := stream(1)
		req.Report = llm.NewReport()
		if text, _, _, err := f.listen(t, req); err != nil || text != tenWords {
			t.Fatalf("got %q, %v", text, err)
		}
	}
}
