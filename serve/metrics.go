package serve

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-ai/weir/llm"
)

// Metrics counts answers, whichever way their requests came in: they all come through the pipeline, and once. What belongs to one
// door, such as routes and refused requests, that door counts. Labels are names of the configuration and closed lists.
type Metrics struct {
	ttft   *prometheus.HistogramVec
	tpot   *prometheus.HistogramVec
	prompt *prometheus.CounterVec
	cached *prometheus.CounterVec
	answer *prometheus.CounterVec

	visits  *prometheus.CounterVec   // by model, endpoint, outcome
	heard   *prometheus.HistogramVec // by model, endpoint
	retries *prometheus.CounterVec   // by model, fault
	refused *prometheus.CounterVec   // by model
	resumes *prometheus.CounterVec   // by model, outcome
	falls   *prometheus.CounterVec   // by model, to

	waited *prometheus.HistogramVec // by model, class
	turned *prometheus.CounterVec   // by model, reason
	less   *prometheus.CounterVec   // by model, to
}

var (
	// ttftBuckets reach from an answer of the built-in model to the longest that anyone waits for a first word.
	ttftBuckets = []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2, 5, 10, 30, 60}
	// tpotBuckets reach from a thousand tokens a second to one in two seconds; people read about ten a second.
	tpotBuckets = []float64{.001, .0025, .005, .01, .02, .03, .05, .075, .1, .15, .2, .3, .5, 1, 2}
)

// waitBuckets reach from no wait at all to the longest that a class without objective may.
var waitBuckets = []float64{.0001, .001, .01, .05, .1, .25, .5, 1, 2, 5, 10, 30, 60, 300}

// NewMetrics registers the metrics with r.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"model"}, labels...))
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, append([]string{"model"}, labels...))
	}
	m := &Metrics{
		ttft:    histogram("weir_ttft_seconds", "Time from a request's arrival to the first event with content, also of an answer that is not streamed.", ttftBuckets),
		tpot:    histogram("weir_tpot_seconds", "Time per output token after the first, mean of one answer.", tpotBuckets),
		prompt:  counter("weir_prompt_tokens_total", "Tokens of prompts, the cached ones included."),
		cached:  counter("weir_cached_tokens_total", "Tokens of prompts whose computation was reused."),
		answer:  counter("weir_completion_tokens_total", "Tokens of answers."),
		visits:  counter("weir_endpoint_requests_total", "Requests sent to an endpoint by how they ended there; a request that is tried again counts at each.", "endpoint", "outcome"),
		heard:   histogram("weir_endpoint_ttft_seconds", "Time from a request's being sent to an endpoint to its first event with content.", ttftBuckets, "endpoint"),
		retries: counter("weir_retries_total", "Requests that were sent to another endpoint before anything of their answer was out.", "fault"),
		refused: counter("weir_retries_refused_total", "Requests that failed because the retry budget was spent."),
		resumes: counter("weir_resumes_total", "Answers that broke off in their middle, by whether another endpoint went on with them.", "outcome"),
		falls:   counter("weir_fallbacks_total", "Requests that another model was asked to answer.", "to"),
		waited:  histogram("weir_gate_wait_seconds", "Time that requests waited at the gate, those that were turned away included.", waitBuckets, "class"),
		turned:  counter("weir_turned_away_total", "Requests that a tenant's limits or the gate refused, by which bound it was.", "reason"),
		less:    counter("weir_stepped_down_total", "Requests that were answered with less than they asked for: by another variant, or with what is named cut.", "to"),
	}
	for _, c := range []prometheus.Collector{m.ttft, m.tpot, m.prompt, m.cached, m.answer, m.visits, m.heard, m.retries, m.refused, m.resumes, m.falls, m.waited, m.turned, m.less} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Listener hears what is to be counted.
func (m *Metrics) Listener() Listener {
	return Listener{
		Settled: m.Settled,
		Visited: m.visited,
		Retried: func(model llm.ModelID, f llm.Fault) { m.retries.WithLabelValues(string(model), f.String()).Inc() },
		Refused: func(model llm.ModelID) { m.refused.WithLabelValues(string(model)).Inc() },
		Resumed: func(model llm.ModelID, outcome string) { m.resumes.WithLabelValues(string(model), outcome).Inc() },
		Waited: func(model llm.ModelID, class llm.Class, d time.Duration) {
			m.waited.WithLabelValues(string(model), class.String()).Observe(d.Seconds())
		},
		TurnedAway: func(model llm.ModelID, reason llm.Reason) {
			m.turned.WithLabelValues(string(model), string(reason)).Inc()
		},
		SteppedDown: func(model llm.ModelID, to string) { m.less.WithLabelValues(string(model), to).Inc() },
		FellBack:    func(model, next llm.ModelID) { m.falls.WithLabelValues(string(model), string(next)).Inc() },
	}
}

// Settled counts one request that has ended.
func (m *Metrics) Settled(r Record) {
	model := string(r.Model)
	if r.TTFT > 0 {
		m.ttft.WithLabelValues(model).Observe(r.TTFT.Seconds())
	}
	if r.TPOT > 0 {
		m.tpot.WithLabelValues(model).Observe(r.TPOT.Seconds())
	}
	m.prompt.WithLabelValues(model).Add(float64(r.Usage.PromptTokens))
	m.cached.WithLabelValues(model).Add(float64(r.Usage.CachedTokens))
	m.answer.WithLabelValues(model).Add(float64(r.Usage.CompletionTokens))
}

func (m *Metrics) visited(v Visit) {
	m.visits.WithLabelValues(string(v.Model), string(v.Endpoint), v.Outcome).Inc()
	if v.TTFT > 0 {
		m.heard.WithLabelValues(string(v.Model), string(v.Endpoint)).Observe(v.TTFT.Seconds())
	}
}
