package app

import (
	"context"
	"fmt"
	"time"

	"github.com/weir-ai/weir/config"
	"github.com/weir-ai/weir/store"
	"github.com/weir-ai/weir/store/valkey"
	"github.com/weir-ai/weir/tenant"
)

// openTenants opens the data folder, where there is one, and the book of tenants and keys that stands on it.
func (s *System) openTenants(cfg config.Config) error {
	written, err := cfg.Book()
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
