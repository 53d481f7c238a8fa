package valkey

import (
	"context"
	"strconv"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/tenant"
)

// run looks for a server that is away, and tells one that is there what is owed to it.
func (k *Counters) run() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-k.stop:
			return
		case <-tick.C:
			k.look()
		}
	}
}

// look is one round.
func (k *Counters) look() {
	k.round.Lock()
	defer k.round.Unlock()
	server, away := k.where()
	if away == nil {
		if err := k.settle(context.Background(), server); err != nil {
			k.leave(server, err)
		}
		return
	}
	if err := k.comeBack(); err != nil {
		k.tell("valkey is still away, and limits are counted by each replica alone", err)
	}
}

// begin makes counters of this process.
func (k *Counters) begin() *alone {
	return &alone{Counters: k.local(), seeded: map[llm.TenantID]bool{}}
}

// leave begins a time alone, where there is none, and gives the counters of it. An error of an earlier connection says nothing of the
// present one: then the counters are for this call alone.
func (k *Counters) leave(server *shared, err error) *alone {
	k.mu.Lock()
	away := k.mu.away
	if away == nil && server != k.mu.server {
		k.mu.Unlock()
		return k.begin()
	}
	if away == nil {
		away = k.begin()
		k.mu.away = away
	}
	k.mu.Unlock()
	k.metrics.shared(false)
	k.tell("valkey does not answer, and limits are counted by each replica alone", err)
	return away
}

// tell logs at most once a second: every request of a second may fail alike.
func (k *Counters) tell(text string, err error) {
	k.mu.Lock()
	late := time.Since(k.mu.told) >= time.Second
	if late {
		k.mu.told = time.Now()
	}
	k.mu.Unlock()
	if late {
		k.log.Warn(text, "addresses", k.config.Addresses, "error", err)
	}
}

// comeBack ends a time alone: the server answers, has levels, and knows what was spent. The connections are new ones, as each of the
// old may yet fail once.
func (k *Counters) comeBack() error {
	server, err := connect(k.config)
	if err != nil {
		return err
	}
	if err := k.refill(server); err != nil {
		server.c.Close()
		return err
	}
	if err := k.settle(context.Background(), server); err != nil {
		server.c.Close()
		return err
	}
	k.mu.Lock()
	old := k.mu.server
	k.mu.server, k.mu.away, k.mu.told = server, nil, time.Time{}
	k.mu.Unlock()
	k.late.Store(0)
	k.metrics.shared(true)
	k.log.Info("valkey answers, and limits are shared again", "addresses", k.config.Addresses)
	if old != nil {
		old.c.Close()
	}
	return nil
}

// refill puts the levels that were seen last where the server has none: it may have come back empty.
func (k *Counters) refill(server *shared) error {
	k.mu.Lock()
	var rows []tenant.Tally
	for _, l := range k.mu.seen {
		for _, r := range l.rows {
			if r.Name != "" {
				rows = append(rows, r)
			}
		}
	}
	k.mu.Unlock()
	return server.Load(context.Background(), rows)
}

// settle undoes what failed calls may have taken, and tells what was spent here.
func (k *Counters) settle(ctx context.Context, server *shared) error {
	k.mu.Lock()
	undo := k.mu.undo
	k.mu.undo = nil
	k.mu.Unlock()
	if len(undo) > 0 {
		if err := server.Adjust(ctx, undo); err != nil {
			k.mu.Lock()
			k.mu.undo = append(undo, k.mu.undo[:min(len(k.mu.undo), undoMax-len(undo))]...)
			k.mu.Unlock()
			return err
		}
	}
	return k.pay(ctx, server)
}

// pay tells each debt until the server has taken it. One that was told twice counts once, by its name. New debts are made only when
// the old ones are paid, so that there is one for a tenant at most.
func (k *Counters) pay(ctx context.Context, server *shared) error {
	for _, d := range k.due() {
		if err := server.credit(ctx, d.change.Tenant, d.name, d.change); err != nil {
			return err
		}
		k.mu.Lock()
		k.mu.debts = k.mu.debts[1:]
		for _, s := range d.change.Spends {
			k.levels(d.change.Tenant).add(s)
		}
		k.mu.Unlock()
	}
	return nil
}

// due gives the debts. They are taken from within a round only.
func (k *Counters) due() []debt {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.mu.debts) > 0 {
		return k.mu.debts
	}
	byTenant := map[llm.TenantID][]tenant.Spend{}
	for key, amount := range k.mu.owed {
		if amount != 0 {
			byTenant[key.tenant] = append(byTenant[key.tenant], tenant.Spend{Name: key.name, Period: key.period, Amount: amount})
		}
	}
	clear(k.mu.owed)
	for id, spends := range byTenant {
		k.mu.number++
		name := k.replica + "-" + strconv.FormatUint(k.mu.number, 10)
		k.mu.debts = append(k.mu.debts, debt{name: name, change: tenant.Change{Tenant: id, Spends: spends}})
	}
	return k.mu.debts
}
