package config

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/tenant"
)

// Book is what the configuration says of tenants, keys and prices, as package tenant takes it.
func (c Config) Book() (tenant.Config, error) {
	var out tenant.Config
	for _, name := range slices.Sorted(maps.Keys(c.Tenants)) {
		t, err := tenantOf(name, c.Tenants[name])
		if err != nil {
			return out, err
		}
		if name == Others {
			out.Others = &t
			continue
		}
		out.Tenants = append(out.Tenants, t)
	}
	for _, k := range c.Keys.List {
		expires, err := k.ExpiresAt()
		if err != nil {
			return out, fmt.Errorf("key %s: %w", k.ID, err)
		}
		class, _ := llm.ParseClass(k.Class) // unset where it is empty; anything else was refused with the configuration
		out.Keys = append(out.Keys, tenant.Key{
			ID: k.ID, Hash: k.Hash.Value(), Tenant: llm.TenantID(k.Tenant), Class: class, Models: k.Models, Admin: k.Admin, Expires: expires,
		})
	}
	for name, p := range c.Prices {
		if out.Prices == nil {
			out.Prices = map[string]tenant.Price{}
		}
		out.Prices[name] = tenant.Price{Input: money(p.Input), Cached: money(p.Cached), Output: money(p.Output)}
	}
	return out, nil
}

func tenantOf(name string, c Tenant) (tenant.Tenant, error) {
	class, _ := llm.ParseClass(c.Class)
	t := tenant.Tenant{
		ID: llm.TenantID(name), Class: class, Weight: c.Weight, Models: c.Models,
		Limits: tenant.Limits{Requests: c.Limits.Requests, Tokens: c.Limits.Tokens, Concurrent: c.Limits.Concurrent},
	}
	for _, b := range c.Budgets {
		per, err := tenant.ParsePer(b.Per)
		if err != nil {
			return t, fmt.Errorf("tenant %s: %w", name, err)
		}
		zone, err := time.LoadLocation(b.Zone)
		if err != nil {
			return t, fmt.Errorf("tenant %s: %w", name, err)
		}
		t.Budgets = append(t.Budgets, tenant.Budget{Tokens: int64(b.Tokens), Money: money(b.Money), Per: per, Zone: zone})
	}
	return t, nil
}

// money is a decimal of the configuration, to a millionth.
func money(v float64) tenant.Money { return tenant.Money(math.Round(v * float64(tenant.Unit))) }
