package serve

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-ai/weir/admit"
	"github.com/weir-ai/weir/llm"
)

// GateMetrics tells at every scrape what waits at the gates, and what they give each endpoint.
type GateMetrics struct {
	pipeline *Pipeline

	waiting, work, limit, inFlight, rate *prometheus.Desc
}

// NewGateMetrics makes the collector; who has the registry registers it.
func NewGateMetrics(p *Pipeline) *GateMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"model"}, labels...), nil)
	}
	return &GateMetrics{
		pipeline: p,
		waiting:  desc("weir_gate_waiting", "Requests that wait at the gate.", "class"),
		work:     desc("weir_gate_waiting_tokens", "Work of the requests that wait at the gate, in prefill tokens.", "class"),
		limit:    desc("weir_gate_limit", "Requests that the gate lets an endpoint have at once.", "endpoint"),
		inFlight: desc("weir_gate_in_flight", "Requests that the gate has let in to an endpoint.", "endpoint"),
		rate:     desc("weir_gate_drain_tokens", "Work that ends in a second while something waits, in prefill tokens; absent where it is not known yet."),
	}
}

// Describe is part of prometheus.Collector.
func (m *GateMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.waiting, m.work, m.limit, m.inFlight, m.rate} {
		ch <- d
	}
}

// Collect is part of prometheus.Collector.
func (m *GateMetrics) Collect(ch chan<- prometheus.Metric) {
	for _, g := range m.pipeline.Gates() {
		tell := func(d *prometheus.Desc, v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{string(g.Model)}, labels...)...)
		}
		for i, c := range llm.Classes() {
			tell(m.waiting, float64(g.State.Classes[i].Waiting.Requests), c.String())
			tell(m.work, float64(g.State.Classes[i].Waiting.Work), c.String())
		}
		for _, e := range g.State.Endpoints {
			tell(m.limit, float64(e.Limit), string(e.ID))
			tell(m.inFlight, float64(e.Running), string(e.ID))
		}
		if g.State.Rate > 0 {
			tell(m.rate, g.State.Rate)
		}
	}
}

// GateState is one model's gate, for operators.
type GateState struct {
	Model llm.ModelID
	State admit.State
	Rung  int // of the model's ladder: 0 is the model itself
}

// Gates tells of the gates of all models that are served and were asked, by name.
func (p *Pipeline) Gates() []GateState {
	var out []GateState
	p.gates.Range(func(_, v any) bool {
		g := v.(*gate)
		if _, served := p.models.Get(g.model); !served {
			return true // a reload has taken the model away
		}
		s := GateState{Model: g.model, State: g.state()}
		if l, ok := p.ladders.Load(g.model); ok {
			l := l.(*ladder)
			l.mu.Lock()
			s.Rung = l.mu.Rung()
			l.mu.Unlock()
		}
		out = append(out, s)
		return true
	})
	slices.SortFunc(out, func(a, b GateState) int { return strings.Compare(string(a.Model), string(b.Model)) })
	return out
}
