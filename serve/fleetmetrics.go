package serve

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
)

// FleetMetrics tells at every scrape what is known of the endpoints. What is unknown is absent: a gauge that says 0 would be believed.
type FleetMetrics struct {
	fleet    *fleet.Fleet
	pipeline *Pipeline
	now      func() time.Time

	inFlight, state, breaker           *prometheus.Desc
	waiting, running, kv, age, prefill *prometheus.Desc
}

// NewFleetMetrics makes the collector; who has the registry registers it.
func NewFleetMetrics(f *fleet.Fleet, p *Pipeline, now func() time.Time) *FleetMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"model", "endpoint"}, labels...), nil)
	}
	return &FleetMetrics{
		fleet: f, pipeline: p, now: now,
		inFlight: desc("weir_endpoint_in_flight", "Requests that Weir has at an endpoint."),
		state:    desc("weir_endpoint_state", "1 for the state that the probes of an endpoint say.", "state"),
		breaker:  desc("weir_endpoint_breaker", "1 for the state of an endpoint's breaker.", "state"),
		waiting:  desc("weir_endpoint_waiting", "Requests that wait at an endpoint, as it reports; absent where it does not."),
		running:  desc("weir_endpoint_running", "Requests that are computed at an endpoint, as it reports; absent where it does not."),
		kv:       desc("weir_endpoint_kv_used", "Share of its KV cache in use, 0 to 1, as an endpoint reports; absent where it does not."),
		age:      desc("weir_endpoint_report_age_seconds", "Age of an endpoint's last report of its load; absent where there is none."),
		prefill:  desc("weir_endpoint_prefill_tokens", "Tokens of prompts that an endpoint has yet to compute, of Weir's requests."),
	}
}

// Describe is part of prometheus.Collector.
func (m *FleetMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.inFlight, m.state, m.breaker, m.waiting, m.running, m.kv, m.age, m.prefill} {
		ch <- d
	}
}

// Collect is part of prometheus.Collector.
func (m *FleetMetrics) Collect(ch chan<- prometheus.Metric) {
	now := m.now()
	seen := map[llm.ModelID]bool{}
	m.fleet.Each(func(model llm.ModelID, e *fleet.Endpoint) {
		f := e.Facts(now)
		tell := func(d *prometheus.Desc, v float64, more ...string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{string(model), string(f.ID)}, more...)...)
		}
		tell(m.inFlight, float64(f.Running))
		tell(m.prefill, float64(f.Prefill))
		for s := fleet.StateUnknown; s <= fleet.StateDown; s++ {
			tell(m.state, one(s == f.Health.State), s.String())
		}
		if f.LoadAge >= 0 {
			tell(m.age, f.LoadAge.Seconds())
		}
		for _, known := range []struct {
			d *prometheus.Desc
			v float64
		}{{m.waiting, float64(f.Load.Waiting)}, {m.running, float64(f.Load.Running)}, {m.kv, f.Load.KVUsed}} {
			if known.v >= 0 {
				tell(known.d, known.v)
			}
		}
		if !seen[model] {
			seen[model] = true
			m.breakers(ch, model, now)
		}
	})
}

// breakers tells the breakers of one model's endpoints.
func (m *FleetMetrics) breakers(ch chan<- prometheus.Metric, model llm.ModelID, now time.Time) {
	for _, s := range m.pipeline.Table(model).States(now) {
		for _, name := range breakerStates {
			ch <- prometheus.MustNewConstMetric(m.breaker, prometheus.GaugeValue, one(s.Breaker.String() == name), string(model), string(s.Endpoint), name)
		}
	}
}

// breakerStates are the words of package route.
var breakerStates = []string{"closed", "open", "half_open"}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
