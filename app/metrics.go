package app

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-ai/weir/backend/local"
)

// engineMetrics tells what the embedded engines do, by model. Labels are the configuration's model names, so their set is closed.
type engineMetrics struct {
	queue     *prometheus.HistogramVec
	step      *prometheus.HistogramVec
	preempted *prometheus.CounterVec
	cut       *prometheus.CounterVec
	states    *prometheus.Desc
	blocks    *prometheus.Desc

	mu struct {
		sync.Mutex
		backends map[string]*local.Backend
	}
}

// queueBuckets reach from one decode step of a small model to the longest wait that a client sits through.
var queueBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// stepBuckets reach from a step of weir-mini to a prefill chunk of a large model.
var stepBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}

func newEngineMetrics(r prometheus.Registerer) (*engineMetrics, error) {
	model := []string{"model"}
	m := &engineMetrics{
		queue:     prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "weir_queue_seconds", Help: "Time from a sequence's arrival at the embedded engine to its first step.", Buckets: queueBuckets}, model),
		step:      prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "weir_engine_step_seconds", Help: "Duration of one step of the embedded engine.", Buckets: stepBuckets}, model),
		preempted: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "weir_engine_preemptions_total", Help: "Sequences put back to the queue because KV blocks ran out."}, model),
		cut:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "weir_engine_cut_total", Help: "Sequences cut because their reader stopped reading."}, model),
		states:    prometheus.NewDesc("weir_engine_sequences", "Sequences in the embedded engine by state.", []string{"model", "state"}, nil),
		blocks:    prometheus.NewDesc("weir_engine_kv_blocks", "KV cache blocks by state; cached ones are free but still hold a known prefix.", []string{"model", "state"}, nil),
	}
	m.mu.backends = map[string]*local.Backend{}
	for _, c := range []prometheus.Collector{m.queue, m.step, m.preempted, m.cut, m} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// listener is what one model's engine reports to.
func (m *engineMetrics) listener(model string) local.Listener {
	queue, step, preempted, cut := m.queue.WithLabelValues(model), m.step.WithLabelValues(model), m.preempted.WithLabelValues(model), m.cut.WithLabelValues(model)
	return local.Listener{
		Seated:    func(wait time.Duration) { queue.Observe(wait.Seconds()) },
		Stepped:   func(took time.Duration) { step.Observe(took.Seconds()) },
		Preempted: func() { preempted.Inc() },
		Cut:       func() { cut.Inc() },
	}
}

// watch reads b's gauges at every scrape.
func (m *engineMetrics) watch(model string, b *local.Backend) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.backends[model] = b
}

// Describe is part of prometheus.Collector.
func (m *engineMetrics) Describe(ch chan<- *prometheus.Desc) { ch <- m.states; ch <- m.blocks }

// Collect is part of prometheus.Collector.
func (m *engineMetrics) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for model, b := range m.mu.backends {
		s := b.Stats()
		gauge := func(d *prometheus.Desc, v int, state string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), model, state)
		}
		gauge(m.states, s.Running, "running")
		gauge(m.states, s.Waiting, "waiting")
		gauge(m.blocks, s.BlocksUsed, "used")
		gauge(m.blocks, s.BlocksCached, "cached")
		gauge(m.blocks, s.BlocksTotal, "total")
	}
}
