package tenant

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the book's own. How often tenants are refused is told where requests end.
type metrics struct {
	saveFailures   prometheus.Counter
	sharedFailures prometheus.Counter
	dropped        prometheus.Counter
}

func newMetrics(r prometheus.Registerer, b *Book) (*metrics, error) {
	m := &metrics{
		saveFailures:   prometheus.NewCounter(prometheus.CounterOpts{Name: "weir_tenant_save_failures_total", Help: "Saves of limits and budgets that failed; they are tried again every second."}),
		sharedFailures: prometheus.NewCounter(prometheus.CounterOpts{Name: "weir_tenant_shared_failures_total", Help: "Calls of shared limits that failed."}),
		dropped:        prometheus.NewCounter(prometheus.CounterOpts{Name: "weir_tenant_changes_dropped_total", Help: "Settlements that found no place in the queue to shared limits; what they reserved stays charged."}),
	}
	b.errand.dropped = m.dropped.Inc
	if r == nil {
		return m, nil
	}
	keys := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "weir_tenant_keys", Help: "Keys that are known, those that are over too."},
		func() float64 { return float64(b.KeyCount()) })
	for _, c := range []prometheus.Collector{m.saveFailures, m.sharedFailures, m.dropped, keys} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("tenant: metrics: %w", err)
		}
	}
	return m, nil
}
