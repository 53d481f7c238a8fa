package admin

import (
	"net/http"
	"strconv"
	"time"

	"github.com/weir-ai/weir/admit"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/serve"
)

// Gate is one model's gate, as answers tell it. Work is in prefill tokens.
type Gate struct {
	Object    string       `json:"object"` // "gate"
	Model     string       `json:"model"`
	Rung      int          `json:"rung"` // of its ladder; 0 is the model itself
	Running   int          `json:"running"`
	Waiting   Waiting      `json:"waiting"`
	Rate      *float64     `json:"work_per_second,omitempty"` // that starts while something waits; absent where it is not known
	Classes   []GateClass  `json:"classes"`                   // highest first
	Endpoints []GatePlace  `json:"endpoints"`
	Tenants   []GateTenant `json:"tenants"` // those with the most waiting
}

// Waiting is what waits.
type Waiting struct {
	Requests int   `json:"requests"`
	Bytes    int64 `json:"bytes"`
	Work     int64 `json:"work"`
}

// GateClass is what waits of one class, and how long one more of usual size would.
type GateClass struct {
	Class   string  `json:"class"`
	Waiting Waiting `json:"waiting"`
	Wait    float64 `json:"predicted_wait_seconds"`
}

// GatePlace is one endpoint's part.
type GatePlace struct {
	Endpoint string `json:"endpoint"`
	Usable   bool   `json:"usable"`
	Limit    int    `json:"limit"` // requests at once
	Running  int    `json:"running"`
	Decoding int    `json:"decoding"`
	Prefill  int    `json:"prefill_tokens"`
	Work     int64  `json:"work"`
}

// GateTenant is one tenant's part.
type GateTenant struct {
	Tenant  string  `json:"tenant"`
	Waiting Waiting `json:"waiting"`
	Live    int     `json:"live"` // that wait or run
}

func (s *Server) showGates(v *visit) error {
	out := page[Gate]{Object: "list", Data: []Gate{}}
	if s.gates != nil {
		for _, g := range s.gates.Gates() {
			out.Data = append(out.Data, gateOf(g))
		}
	}
	return v.answer(http.StatusOK, out)
}

func gateOf(g serve.GateState) Gate {
	s := g.State
	out := Gate{Object: "gate", Model: string(g.Model), Rung: g.Rung, Running: s.Running, Waiting: waiting(s.Waiting), Endpoints: []GatePlace{}, Tenants: []GateTenant{}}
	if s.Rate > 0 {
		out.Rate = &s.Rate
	}
	for i, c := range llm.Classes() {
		out.Classes = append(out.Classes, GateClass{c.String(), waiting(s.Classes[i].Waiting), s.Classes[i].Wait.Round(time.Millisecond).Seconds()})
	}
	for _, e := range s.Endpoints {
		out.Endpoints = append(out.Endpoints, GatePlace{string(e.ID), e.Usable, e.Limit, e.Running, e.Decoding, e.Prefill, int64(e.Work)})
	}
	for _, t := range s.Tenants {
		out.Tenants = append(out.Tenants, GateTenant{string(t.Tenant), waiting(t.Waiting), t.Live})
	}
	return out
}

func waiting(b admit.Bounds) Waiting { return Waiting{b.Requests, b.Bytes, int64(b.Work)} }

func plain(v int64) string { return strconv.FormatInt(v, 10) }
