package store

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics tell how the writer does. All methods of a nil one do nothing.
type metrics struct {
	r       prometheus.Registerer
	seconds prometheus.Histogram
	group   prometheus.Histogram
	full    prometheus.Counter
	failed  prometheus.Gauge
}

// newMetrics registers the metrics with r; nil gives none.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	if r == nil {
		return nil, nil
	}
	m := &metrics{
		r: r,
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "weir_store_commit_seconds", Help: "Time of one transaction of the store, its sync included.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5},
		}),
		group: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "weir_store_commit_writes", Help: "Writes that shared one transaction of the store.", Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, groupMax},
		}),
		full:   prometheus.NewCounter(prometheus.CounterOpts{Name: "weir_store_refused_total", Help: "Writes refused because too many waited for the disk."}),
		failed: prometheus.NewGauge(prometheus.GaugeOpts{Name: "weir_store_broken", Help: "1 once the disk has failed and nothing is saved until a restart."}),
	}
	for _, c := range []prometheus.Collector{m.seconds, m.group, m.full, m.failed} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) wrote(writes int, took time.Duration) {
	if m != nil {
		m.seconds.Observe(took.Seconds())
		m.group.Observe(float64(writes))
	}
}

func (m *metrics) refused() {
	if m != nil {
		m.full.Inc()
	}
}

func (m *metrics) broke() {
	if m != nil {
		m.failed.Set(1)
	}
}

// waiting registers the length of the queue.
func (m *metrics) waiting(length func() float64) {
	if m != nil {
		m.r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "weir_store_waiting", Help: "Writes that wait for the disk."}, length))
	}
}
