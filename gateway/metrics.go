package gateway

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what passes the door. Every label set is closed: models are those that are served, routes the table's, outcomes
// the kinds of llm.Error.
type metrics struct {
	requests *prometheus.CounterVec   // by model, route, outcome
	duration *prometheus.HistogramVec // by model, route
	ttft     *prometheus.HistogramVec // by model, stream
	tpot     *prometheus.HistogramVec // by model
	prompt   *prometheus.CounterVec   // by model, as the two below
	cached   *prometheus.CounterVec
	answer   *prometheus.CounterVec
}

var (
	// ttftBuckets reach from an answer of the built-in model to the longest that anyone waits for a first word.
	ttftBuckets = []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2, 5, 10, 30, 60}
	// tpotBuckets reach from a thousand tokens a second to one in two seconds; people read about ten a second.
	tpotBuckets = []float64{.001, .0025, .005, .01, .02, .03, .05, .075, .1, .15, .2, .3, .5, 1, 2}
	// durationBuckets reach from a listing of models to the time limit of a request.
	durationBuckets = []float64{.001, .005, .025, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}
)

// newMetrics registers the door's metrics with r, or keeps them to itself where r is nil.
func newMetrics(r prometheus.Registerer, s *Server) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &metrics{
		requests: counter("weir_requests_total", "Requests by how they ended; model is empty where none was named or the named one is not served.", "model", "route", "outcome"),
		duration: histogram("weir_request_seconds", "Time from a request's head to the end of its answer.", durationBuckets, "model", "route"),
		ttft:     histogram("weir_ttft_seconds", "Time to the first event with content; of an answer that is not streamed, to its head.", ttftBuckets, "model", "stream"),
		tpot:     histogram("weir_tpot_seconds", "Time per output token after the first, mean of one answer.", tpotBuckets, "model"),
		prompt:   counter("weir_prompt_tokens_total", "Tokens of prompts, the cached ones included.", "model"),
		cached:   counter("weir_cached_tokens_total", "Tokens of prompts whose computation was reused.", "model"),
		answer:   counter("weir_completion_tokens_total", "Tokens of answers.", "model"),
	}
	inFlight := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "weir_requests_in_flight", Help: "Requests that are being answered."}, func() float64 { return float64(s.InFlight()) })
	bodies := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "weir_request_bodies_bytes", Help: "Bytes of request bodies that are held."}, func() float64 { return float64(s.bodies.held.Load()) })
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.duration, m.ttft, m.tpot, m.prompt, m.cached, m.answer, inFlight, bodies} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// settle counts one request that has ended.
func (m *metrics) settle(x *exchange, end time.Time) {
	model, route := string(x.model), x.route.path
	m.requests.WithLabelValues(model, route, x.outcome()).Inc()
	if x.choices == 0 {
		return // not a request for text
	}
	m.duration.WithLabelValues(model, route).Observe(end.Sub(x.began).Seconds())
	if t := x.ttft(); t > 0 {
		m.ttft.WithLabelValues(model, strconv.FormatBool(x.stream)).Observe(t.Seconds())
	}
	if t := x.tpot(end); t > 0 {
		m.tpot.WithLabelValues(model).Observe(t.Seconds())
	}
	if model == "" {
		return
	}
	m.prompt.WithLabelValues(model).Add(float64(x.usage.PromptTokens))
	m.cached.WithLabelValues(model).Add(float64(x.usage.CachedTokens))
	m.answer.WithLabelValues(model).Add(float64(x.usage.CompletionTokens))
}

// tpot is the mean time per token after the first, over the choices' mean length; 0 where there is no second token.
func (x *exchange) tpot(end time.Time) time.Duration {
	further := x.usage.CompletionTokens/max(1, x.choices) - 1
	if x.first.IsZero() || further < 1 {
		return 0
	}
	return end.Sub(x.first) / time.Duration(further)
}
