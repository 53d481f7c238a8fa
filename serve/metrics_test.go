package serve

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-ai/weir/llm"
)

// TestAnswersAreCountedOnce: tokens and times of every request that was resolved, however it ended, and nothing of others.
func TestAnswersAreCountedOnce(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	m, err := NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	var b *bundle
	b = setup(t, func(_ context.Context, req *llm.Request, emit func(llm.Event) error) (llm.Usage, error) {
		if req.Tenant == "nobody" {
			return llm.Usage{}, llm.Errorf(llm.Overloaded, "full")
		}
		b.clock = b.clock.Add(time.Second)
		_ = emit(llm.Event{Kind: llm.EventPrompt})
		b.clock = b.clock.Add(time.Second)
		_ = emit(llm.Event{Kind: llm.EventDelta, Text: "hi"})
		b.clock = b.clock.Add(3 * time.Second)
		err := error(nil)
		if req.Tenant == "unlucky" {
			err = errors.New("disk on fire")
		}
		return llm.Usage{PromptTokens: 10, CachedTokens: 4, CompletionTokens: 7}, err
	})
	b.pipeline.report.Settled = m.Settled
	ask := func(model llm.ModelID, tenant llm.TenantID, stream bool) {
		_, _ = b.pipeline.Run(t.Context(), &llm.Request{Model: model, Tenant: tenant, Stream: stream}, func(llm.Event) error { return nil })
	}
	ask("weir-mini", "", true)
	ask("weir-mini", "", false)
	ask("weir-mini", "unlucky", true)
	ask("weir-mini", "nobody", true) // no event and no token: nothing to measure
	ask("made-up", "", true)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][2]float64{} // sum and number of samples; a counter has no number
	for _, f := range families {
		if n := len(f.GetMetric()); n != 1 {
			t.Errorf("%s has %d series", f.GetName(), n)
		}
		c, h := f.GetMetric()[0].GetCounter(), f.GetMetric()[0].GetHistogram()
		got[f.GetName()] = [2]float64{c.GetValue() + h.GetSampleSum(), float64(h.GetSampleCount())}
	}
	want := map[string][2]float64{
		"weir_ttft_seconds": {3 * 2, 3}, "weir_tpot_seconds": {3 * 0.5, 3},
		"weir_prompt_tokens_total": {3 * 10}, "weir_cached_tokens_total": {3 * 4}, "weir_completion_tokens_total": {3 * 7},
	}
	if !maps.Equal(got, want) {
		t.Errorf("the metrics are %v, want %v", got, want)
	}
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	if _, err := NewMetrics(registry); err != nil {
		t.Fatal(err)
	}
	if _, err := NewMetrics(registry); err == nil {
		t.Error("two pipelines count into the same metrics")
	}
}
