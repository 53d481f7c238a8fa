package tenant

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-ai/weir/llm"
)

const (
	// saveEvery is how often changed levels are saved: a power cut or kill -9 forgets what was spent in the last second, and in the time that
	// one save takes. More often would write a row of every active tenant for a handful of requests each; less often, a tenant at its
	// budget's end could spend it again by as much as a fleet gives it in that time.
	saveEvery = time.Second
	// callTimeout bounds one call of the keeper or of shared counters from the background.
	callTimeout = 5 * time.Second
)

// take counts a reservation, at the shared counters where there are such. Those go on by themselves while others cannot be reached; should they
// fail all the same, it is counted here, as a limit that is simply off is worse than one that each replica has for itself.
func (b *Book) take(ctx context.Context, r *Reservation) (Grant, error) {
	if b.shared == nil {
		return b.local.take(&r.draw), nil
	}
	r.draw.Lease = Lease{b.replica, b.leases.Add(1)}
	b.errand.hold(r.draw.Lease, r.draw.Tenant)
	g, err := b.shared.Take(ctx, &r.draw)
	if err == nil && g.Refused == "" {
		r.shared = true
		return g, nil
	}
	b.errand.release(r.draw.Lease)
	if err == nil {
		return g, nil
	}
	if ctx.Err() != nil {
		return g, ctx.Err()
	}
	b.failed("take", err)
	return b.local.take(&r.draw), nil
}

// adjust makes a change where its reservation is counted. spends belongs to the caller.
func (b *Book) adjust(r *Reservation, c *Change, spends []Spend) {
	if !r.shared {
		c.Spends = spends
		b.local.adjust(c)
		b.mark(r.member)
		return
	}
	c.Spends = slices.Clone(spends)
	b.errand.add(*c)
	if c.End {
		b.errand.release(c.Lease)
	}
}

func (b *Book) failed(call string, err error) {
	b.metrics.sharedFailures.Inc()
	b.log.Warn("shared limits failed", "call", call, "err", err)
}

// dirty lists the tenants whose levels have changed since they were saved.
type dirty struct {
	mu  sync.Mutex
	ids map[llm.TenantID]*account
}

// mark notes that a tenant's levels have changed. Only the first in a second takes the lock.
func (b *Book) mark(m *member) {
	if b.keeper == nil || m.account.dirty.Load() || m.account.dirty.Swap(true) {
		return
	}
	b.dirty.mu.Lock()
	defer b.dirty.mu.Unlock()
	if b.dirty.ids == nil {
		b.dirty.ids = map[llm.TenantID]*account{}
	}
	b.dirty.ids[m.ID] = m.account
}

// grab takes the list.
func (d *dirty) grab() map[llm.TenantID]*account {
	d.mu.Lock()
	defer d.mu.Unlock()
	ids := d.ids
	d.ids = nil
	for _, a := range ids {
		a.dirty.Store(false) // before the levels are read: what changes after that is in the next list
	}
	return ids
}

// putBack lists again what could not be saved.
func (d *dirty) putBack(ids map[llm.TenantID]*account) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ids == nil {
		d.ids = map[llm.TenantID]*account{}
	}
	for id, a := range ids {
		a.dirty.Store(true)
		d.ids[id] = a
	}
}

// ledger is what runs between Start and Stop.
type ledger struct {
	mu      sync.Mutex
	stop    context.CancelFunc
	done    sync.WaitGroup
	saving  sync.Mutex // one save at a time
	version int64      // of the keys that were read last
	failing atomic.Bool
}

// Start reads what was kept, so that nothing begins with full budgets, and saves from then on. Its error is that of the keeper. Levels
// that shared counters cannot take are no error: they may be back later.
func (b *Book) Start(ctx context.Context) error {
	b.ledger.mu.Lock()
	defer b.ledger.mu.Unlock()
	if b.ledger.stop != nil {
		return nil
	}
	if b.keeper != nil {
		if err := b.load(ctx); err != nil {
			return err
		}
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	b.ledger.stop = stop
	b.ledger.done.Go(func() { b.tick(run) })
	if b.shared != nil {
		b.ledger.done.Go(func() { b.runErrands(run) })
	}
	return nil
}

// load reads keys and levels.
func (b *Book) load(ctx context.Context) error {
	if err := b.readKeys(ctx); err != nil {
		return err
	}
	rows, err := b.keeper.Tallies(ctx)
	if err != nil {
		return &llm.Error{Op: "read kept levels", Kind: llm.Internal, Err: err}
	}
	if err := b.local.Load(ctx, rows); err != nil {
		return err
	}
	if b.shared != nil {
		if err := b.shared.Load(ctx, rows); err != nil {
			b.failed("load", err)
		}
	}
	return nil
}

// readKeys reads the keys if another process, or this one, has changed any.
func (b *Book) readKeys(ctx context.Context) error {
	version, err := b.keeper.KeysVersion(ctx)
	if err != nil {
		return &llm.Error{Op: "read the version of keys", Kind: llm.Internal, Err: err}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if version == b.ledger.version && b.mu.kept != nil {
		return nil
	}
	kept, err := b.keeper.Keys(ctx)
	if err != nil {
		return &llm.Error{Op: "read keys", Kind: llm.Internal, Err: err}
	}
	if kept == nil {
		kept = []Key{}
	}
	if err := b.swap(b.mu.config, kept); err != nil {
		return err
	}
	b.ledger.version = version
	return nil
}

// Stop ends what Start began and saves what has changed since. Its error says that this could not be done until ctx ended. A book that
// was never started saves, too.
func (b *Book) Stop(ctx context.Context) error {
	b.ledger.mu.Lock()
	defer b.ledger.mu.Unlock()
	if b.ledger.stop != nil {
		b.ledger.stop()
		b.ledger.done.Wait()
		b.ledger.stop = nil
	}
	var err error
	if b.shared != nil {
		err = b.sendAll(ctx)
	}
	return errors.Join(err, b.Save(ctx))
}

// tick saves, reads keys and renews leases, until ctx ends.
func (b *Book) tick(ctx context.Context) {
	clock := time.NewTicker(saveEvery)
	defer clock.Stop()
	renewed := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-clock.C:
			b.round(ctx)
			if b.shared != nil && now.Sub(renewed) >= LeaseTime/3 {
				b.renew(ctx, now)
				renewed = now
			}
		}
	}
}

// round is what is done each second.
func (b *Book) round(ctx context.Context) {
	if b.keeper == nil {
		return
	}
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := b.Save(call)
	if err == nil {
		err = b.readKeys(call)
	}
	switch {
	case err != nil && ctx.Err() == nil:
		if !b.ledger.failing.Swap(true) {
			b.log.Error("limits, budgets and keys cannot be kept or read; they are tried again every second, and a restart would forget what is spent meanwhile", "err", err)
		}
	case err == nil && b.ledger.failing.Swap(false):
		b.log.Info("limits, budgets and keys are kept again")
	}
}

// Save saves the levels that have changed since they were saved last. What fails is saved by the next.
func (b *Book) Save(ctx context.Context) error {
	if b.keeper == nil {
		return nil
	}
	b.ledger.saving.Lock()
	defer b.ledger.saving.Unlock()
	ids := b.dirty.grab()
	if len(ids) == 0 {
		return nil
	}
	rows, err := b.levels(ctx, slices.Collect(maps.Keys(ids)))
	if err == nil {
		rows = slices.DeleteFunc(rows, func(t Tally) bool { return t.Name == TallyRunning })
		err = b.keeper.SaveTallies(ctx, rows)
	}
	if err != nil {
		b.dirty.putBack(ids)
		b.metrics.saveFailures.Inc()
		return &llm.Error{Op: "save levels", Kind: llm.Internal, Err: err}
	}
	return nil
}

// levels gives the tallies of tenants from where they are counted.
func (b *Book) levels(ctx context.Context, ids []llm.TenantID) ([]Tally, error) {
	if b.shared == nil {
		return b.local.Tallies(ctx, ids)
	}
	return b.shared.Tallies(ctx, ids)
}

func (b *Book) renew(ctx context.Context, now time.Time) {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if held := b.errand.held(); len(held) > 0 {
		if err := b.shared.Renew(call, now, held); err != nil && ctx.Err() == nil {
			b.failed("renew", err)
		}
	}
}
