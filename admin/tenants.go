package admin

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/tenant"
)

// Tenant is where a tenant stands, as answers tell it.
type Tenant struct {
	Object  string   `json:"object"` // "tenant"
	ID      string   `json:"id"`
	Named   bool     `json:"named"` // in the configuration; else what holds for others does
	Class   string   `json:"class"`
	Weight  float64  `json:"weight"`
	Models  []string `json:"models,omitempty"` // none is all
	Keys    int      `json:"keys"`             // active ones
	Running int      `json:"running"`
	Limits  Limits   `json:"limits"`
	Left    Left     `json:"left"`
	Budgets []Budget `json:"budgets"`
}

// Limits are those of a tenant; those that it does not have are not told.
type Limits struct {
	Requests   int `json:"requests_per_minute,omitempty"`
	Tokens     int `json:"tokens_per_minute,omitempty"`
	Concurrent int `json:"concurrent,omitempty"`
}

// Left is what may come at once, and in how many seconds all of a limit may.
type Left struct {
	Requests      *int     `json:"requests,omitempty"`
	RequestsReset *float64 `json:"requests_reset_seconds,omitempty"`
	Tokens        *int     `json:"tokens,omitempty"`
	TokensReset   *float64 `json:"tokens_reset_seconds,omitempty"`
	Concurrent    *int     `json:"concurrent,omitempty"`
}

// Budget is one budget in its present period. Amounts are tokens, or decimals of the currency.
type Budget struct {
	Of     string      `json:"of"`  // tokens or money
	Per    string      `json:"per"` // day or month
	Period string      `json:"period"`
	Spent  json.Number `json:"spent"` // what is reserved at the moment included
	Limit  json.Number `json:"limit"`
	Left   json.Number `json:"left"`
	Ends   time.Time   `json:"ends"`
}

func tell(s tenant.Standing) Tenant {
	t := Tenant{
		Object: "tenant", ID: string(s.Tenant.ID), Named: s.Named, Class: s.Tenant.Class.String(), Weight: s.Tenant.Weight, Models: s.Tenant.Models, Keys: s.Keys, Running: s.Running,
		Limits: Limits{s.Tenant.Limits.Requests, s.Tenant.Limits.Tokens, s.Tenant.Limits.Concurrent}, Budgets: []Budget{},
	}
	if t.Weight == 0 {
		t.Weight = 1
	}
	a := s.Allowance
	if a.Requests > 0 {
		t.Left.Requests, t.Left.RequestsReset = &a.RequestsLeft, seconds(a.RequestsReset)
	}
	if a.Tokens > 0 {
		t.Left.Tokens, t.Left.TokensReset = &a.TokensLeft, seconds(a.TokensReset)
	}
	if most := s.Tenant.Limits.Concurrent; most > 0 {
		left := max(0, most-s.Running)
		t.Left.Concurrent = &left
	}
	for _, b := range s.Budgets {
		of, per, _ := strings.Cut(b.Name, "/")
		amount := func(v int64) json.Number {
			if of == "money" {
				return json.Number(tenant.Money(v).String())
			}
			return json.Number(plain(v))
		}
		t.Budgets = append(t.Budgets, Budget{of, per, b.Period, amount(b.Spent), amount(b.Limit), amount(max(0, b.Limit-b.Spent)), b.Ends})
	}
	return t
}

func seconds(d time.Duration) *float64 {
	s := d.Round(time.Millisecond).Seconds()
	return &s
}

func (s *Server) listTenants(v *visit) error {
	standings, err := s.book.Standings(v.ctx, v.now)
	if err != nil {
		return err
	}
	out := page[Tenant]{Object: "list", Data: []Tenant{}}
	for _, t := range standings {
		out.Data = append(out.Data, tell(t))
	}
	return v.answer(http.StatusOK, out)
}

func (s *Server) showTenant(v *visit) error {
	id := v.r.PathValue("id")
	t, ok, err := s.book.Standing(v.ctx, v.now, llm.TenantID(id))
	if err != nil {
		return err
	}
	if !ok {
		return llm.Errorf(llm.NotFound, "There is no tenant %q: neither the configuration nor a key names it.", clip(id))
	}
	return v.answer(http.StatusOK, tell(t))
}
