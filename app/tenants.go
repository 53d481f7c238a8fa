package app

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/weir-ai/weir/config"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/store"
	"github.com/weir-ai/weir/store/valkey"
	"github.com/weir-ai/weir/tenant"
)

// tenants is what the configuration says of tenants, keys and prices. It was checked before; an error is a fault that only tenant knows.
func tenants(cfg config.Config) (tenant.Config, error) {
	var out tenant.Config
	for _, name := range slices.Sorted(maps.Keys(cfg.Tenants)) {
		t, err := tenantOf(name, cfg.Tenants[name])
		if err != nil {
			return out, err
		}
		if name == config.Others {
			out.Others = &t
			continue
		}
		out.Tenants = append(out.Tenants, t)
	}
	for _, k := range cfg.Keys.List {
		expires, err := k.ExpiresAt()
		if err != nil {
			return out, fmt.Errorf("key %s: %w", k.ID, err)
		}
		class, _ := llm.ParseClass(k.Class) // unset where it is empty; anything else was refused with the configuration
		out.Keys = append(out.Keys, tenant.Key{
			ID: k.ID, Hash: k.Hash.Value(), Tenant: llm.TenantID(k.Tenant), Class: class, Models: k.Models, Admin: k.Admin, Expires: expires,
		})
	}
	for name, p := range cfg.Prices {
		if out.Prices == nil {
			out.Prices = map[string]tenant.Price{}
		}
		out.Prices[name] = tenant.Price{Input: money(p.Input), Cached: money(p.Cached), Output: money(p.Output)}
	}
	return out, nil
}

func tenantOf(name string, c config.Tenant) (tenant.Tenant, error) {
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

// openTenants opens the data folder, where there is one, and the book of tenants and keys that stands on it.
func (s *System) openTenants(cfg config.Config) error {
	written, err := tenants(cfg)
	if err != nil {
		return err
	}
	o := tenant.Options{Log: s.log, Metrics: s.metrics}
	if cfg.Data != "" {
		kept, err := store.Open(cfg.Data, store.Options{Log: s.log, Metrics: s.metrics})
		if err != nil {
			return fmt.Errorf("data: %w", err)
		}
		s.stops.push("store", func(context.Context) error { return kept.Close() })
		o.Keeper = kept.Keeper()
	}
	if cfg.Shared.URL != "" {
		counters, err := valkey.Open(cfg.Shared.Valkey(), valkey.Options{Local: func() tenant.Counters { return &tenant.Local{} }, Log: s.log, Metrics: s.metrics})
		if err != nil {
			return fmt.Errorf("shared: %w", err)
		}
		s.stops.push("shared limits", func(context.Context) error { return counters.Close() })
		o.Shared = counters
	}
	if s.book, err = tenant.New(written, o); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), tenantsStart)
	defer cancel()
	if err := s.book.Start(ctx); err != nil {
		return fmt.Errorf("tenants: %w", err)
	}
	s.stops.push("tenants", s.book.Stop)
	return nil
}

// tenantsStart bounds the reading of keys and levels at a start: a local file is read in a moment, and a shared count that does not answer
// must not keep a server from answering.
const tenantsStart = 10 * time.Second
