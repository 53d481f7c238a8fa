package gateway

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what HTTP brings to the door, answered or refused. What answers cost is counted in serve, where those of every door
// pass. Every label set is closed: models are those that are served, routes the table's, outcomes the kinds of llm.Error.
type metrics struct {
	requests *prometheus.CounterVec   // by model, route, outcome
	duration *prometheus.HistogramVec // by model, route
}

// durationBuckets reach from a listing of models to the time limit of a request.
var durationBuckets = []float64{.001, .005, .025, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}

// newMetrics registers the door's metrics with r, or keeps them to itself where r is nil.
func newMetrics(r prometheus.Registerer, s *Server) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "weir_requests_total",
			Help: "Requests by how they ended; model is empty where none was named or the named one is not served."}, []string{"model", "route", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "weir_request_seconds",
			Help: "Time from a request's head to the end of its answer.", Buckets: durationBuckets}, []string{"model", "route"}),
	}
	inFlight := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "weir_requests_in_flight", Help: "Requests that are being answered."}, func() float64 { return float64(s.InFlight()) })
	bodies := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "weir_request_bodies_bytes", Help: "Bytes of request bodies that are held."}, func() float64 { return float64(s.bodies.held.Load()) })
	slow := prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "weir_slow_readers_total", Help: "Clients that were cut because they did not read their answers."}, func() float64 { return float64(s.behind.cut.Load()) })
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.duration, inFlight, bodies, slow} {
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
	if x.text {
		m.duration.WithLabelValues(model, route).Observe(end.Sub(x.began).Seconds())
	}
}
