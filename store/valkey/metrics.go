package valkey

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics tell whether limits are shared. All methods of a nil one do nothing.
type metrics struct {
	up       prometheus.Gauge
	failures prometheus.Counter
	seconds  prometheus.Histogram
}

// newMetrics registers the metrics with r; nil gives none.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	if r == nil {
		return nil, nil
	}
	m := &metrics{
		up:       prometheus.NewGauge(prometheus.GaugeOpts{Name: "weir_limits_shared", Help: "1 while Valkey counts limits for all replicas, 0 while this one counts alone."}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "weir_limits_shared_failures_total", Help: "Calls to Valkey that failed or came too late."}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "weir_limits_shared_seconds", Help: "Time that a request waited for Valkey to count it.", Buckets: []float64{.0002, .0005, .001, .002, .005, .01, .02, .05, .1},
		}),
	}
	for _, c := range []prometheus.Collector{m.up, m.failures, m.seconds} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) shared(yes bool) {
	switch {
	case m == nil:
	case yes:
		m.up.Set(1)
	default:
		m.up.Set(0)
	}
}

func (m *metrics) took(d time.Duration, err error) {
	if m == nil {
		return
	}
	m.seconds.Observe(d.Seconds())
	if err != nil {
		m.failures.Inc()
	}
}

func (m *metrics) failed() {
	if m != nil {
		m.failures.Inc()
	}
}
