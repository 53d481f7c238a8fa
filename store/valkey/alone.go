package valkey

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/tenant"
)

// alone is the counters of this process for one time that the server is away. They begin with the levels that were seen last.
type alone struct {
	tenant.Counters

	mu     sync.Mutex // held while a tenant's levels are loaded, so that nobody takes before
	seeded map[llm.TenantID]bool
}

// seed loads a tenant's levels once.
func (a *alone) seed(ctx context.Context, id llm.TenantID, rows []tenant.Tally) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seeded[id] {
		return nil
	}
	if err := a.Load(ctx, rows); err != nil {
		return err
	}
	a.seeded[id] = true
	return nil
}

// levels are what a tenant's counters were when the server told them last: a row for each name.
type levels struct {
	rows [2 + tenant.SpendsMax]tenant.Tally // those without a name are unset
}

// set keeps a row in the place of its name.
func (l *levels) set(r tenant.Tally) {
	for i := range l.rows {
		if l.rows[i].Name == r.Name || l.rows[i].Name == "" {
			l.rows[i] = r
			return
		}
	}
}

// load keeps a row where there is none of its name, or one of an earlier period.
func (l *levels) load(r tenant.Tally) {
	if r.Name == tenant.TallyRunning {
		return
	}
	at := slices.IndexFunc(l.rows[:], func(have tenant.Tally) bool { return have.Name == r.Name })
	if at < 0 || l.rows[at].Period < r.Period {
		l.set(r)
	}
}

// add counts spending that the server was told of.
func (l *levels) add(s tenant.Spend) {
	for i := range l.rows {
		if l.rows[i].Name == s.Name && l.rows[i].Period == s.Period {
			l.rows[i].Value = max(0, l.rows[i].Value+s.Amount)
		}
	}
}

// levels of a tenant, made where there are none. The lock is held.
func (k *Counters) levels(id llm.TenantID) *levels {
	l := k.mu.seen[id]
	if l == nil {
		l = &levels{}
		k.mu.seen[id] = l
	}
	return l
}

// saw keeps the levels of an answer.
func (k *Counters) saw(d *tenant.Draw, g tenant.Grant) {
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.levels(d.Tenant)
	if d.Limits.Requests > 0 {
		l.set(tenant.Tally{Tenant: d.Tenant, Name: tenant.TallyRequests, Value: g.Requests, At: now})
	}
	if d.Limits.Tokens > 0 {
		l.set(tenant.Tally{Tenant: d.Tenant, Name: tenant.TallyTokens, Value: g.Tokens, At: now})
	}
	for i, s := range d.Spends {
		l.set(tenant.Tally{Tenant: d.Tenant, Name: s.Name, Period: s.Period, Value: g.Spent[i], At: now})
	}
}

// heard keeps the levels of tallies.
func (k *Counters) heard(rows []tenant.Tally) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range rows {
		if r.Name != tenant.TallyRunning {
			k.levels(r.Tenant).set(r)
		}
	}
}

// rows gives a tenant's levels.
func (k *Counters) rows(id llm.TenantID) []tenant.Tally {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.mu.seen[id]
	if l == nil {
		return nil
	}
	var rows []tenant.Tally
	for _, r := range l.rows {
		if r.Name != "" {
			rows = append(rows, r)
		}
	}
	return rows
}
