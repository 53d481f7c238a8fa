package serve

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts answers, whichever way their requests came in: they all come through the pipeline, and once. What belongs to one
// door, such as routes and refused requests, that door counts. The only label is the model's name, of those that were served.
type Metrics struct {
	ttft   *prometheus.HistogramVec
	tpot   *prometheus.HistogramVec
	prompt *prometheus.CounterVec
	cached *prometheus.CounterVec
	answer *prometheus.CounterVec
}

var (
	// ttftBuckets reach from an answer of the built-in model to the longest that anyone waits for a first word.
	ttftBuckets = []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2, 5, 10, 30, 60}
	// tpotBuckets reach from a thousand tokens a second to one in two seconds; people read about ten a second.
	tpotBuckets = []float64{.001, .0025, .005, .01, .02, .03, .05, .075, .1, .15, .2, .3, .5, 1, 2}
)

// NewMetrics registers the metrics with r.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"model"})
	}
	histogram := func(name, help string, buckets []float64) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, []string{"model"})
	}
	m := &Metrics{
		ttft:   histogram("weir_ttft_seconds", "Time from a request's arrival to the first event with content, also of an answer that is not streamed.", ttftBuckets),
		tpot:   histogram("weir_tpot_seconds", "Time per output token after the first, mean of one answer.", tpotBuckets),
		prompt: counter("weir_prompt_tokens_total", "Tokens of prompts, the cached ones included."),
		cached: counter("weir_cached_tokens_total", "Tokens of prompts whose computation was reused."),
		answer: counter("weir_completion_tokens_total", "Tokens of answers."),
	}
	for _, c := range []prometheus.Collector{m.ttft, m.tpot, m.prompt, m.cached, m.answer} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Settled counts one request that has ended; it is a Listener's.
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
