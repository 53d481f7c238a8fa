package tenant

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/weir-ai/weir/llm"
)

// Standing is where a tenant stands at a moment: what it may, what of it is left, and what it has spent.
type Standing struct {
	Tenant    Tenant // must not be changed
	Named     bool   // the configuration names it; else what holds for others does for it
	Keys      int    // that are neither revoked nor expired
	Running   int    // requests, of all replicas that count together
	Allowance llm.Allowance
	Budgets   []Spending
}

// Spending is what has been spent of one budget in its present period.
type Spending struct {
	Name   string // TallyTokensDay and the like
	Period string // "2026-11-27" or "2026-11"
	Spent  int64  // tokens or Money, that which is reserved at the moment included
	Limit  int64
	Ends   time.Time // when it begins anew
}

// Standings gives every tenant that the configuration names, has a key or has asked, in the order of their names. The error is that of
// shared counters.
func (b *Book) Standings(ctx context.Context, now time.Time) ([]Standing, error) {
	s := b.now.Load()
	ids := map[llm.TenantID]bool{}
	for id := range s.members {
		ids[id] = true
	}
	for _, t := range s.owners {
		ids[t.ID] = true
	}
	s.others.Range(func(id, _ any) bool { ids[id.(llm.TenantID)] = true; return true })
	if s.members[""] == nil && s.config.Others == nil {
		delete(ids, "") // the owner of keys that only control: no tenant, where none is written
	}
	list := make([]llm.TenantID, 0, len(ids))
	for id := range ids {
		list = append(list, id)
	}
	slices.Sort(list)
	return b.standings(ctx, now, s, list)
}

// Standing gives one tenant; false where there is none of that name.
func (b *Book) Standing(ctx context.Context, now time.Time, id llm.TenantID) (Standing, bool, error) {
	s := b.now.Load()
	known := s.members[id] != nil || slices.ContainsFunc(s.owners, func(t *Tenant) bool { return t.ID == id })
	if _, asked := s.others.Load(id); !known && !asked {
		return Standing{}, false, nil
	}
	list, err := b.standings(ctx, now, s, []llm.TenantID{id})
	if err != nil {
		return Standing{}, true, err
	}
	return list[0], true, nil
}

func (b *Book) standings(ctx context.Context, now time.Time, s *snapshot, ids []llm.TenantID) ([]Standing, error) {
	rows, err := b.levels(ctx, ids)
	if err != nil {
		return nil, &llm.Error{Op: "levels of tenants", Kind: llm.Internal, Message: "The shared limits cannot be read; this server's log says why.", Err: err}
	}
	byTenant := map[llm.TenantID]map[string]Tally{}
	for _, r := range rows {
		if byTenant[r.Tenant] == nil {
			byTenant[r.Tenant] = map[string]Tally{}
		}
		byTenant[r.Tenant][r.Name] = r
	}
	keys := map[llm.TenantID]int{}
	for i := range s.ring.keys {
		if k := &s.ring.keys[i].key; k.State(now) == "active" {
			keys[k.Tenant]++
		}
	}
	out := make([]Standing, 0, len(ids))
	for _, id := range ids {
		t := s.stranger(id)
		_, named := s.members[id]
		if named {
			t = s.members[id].Tenant
		}
		out = append(out, standing(now, t, named, keys[id], byTenant[id]))
	}
	return out, nil
}

// standing reckons one tenant's levels to a moment.
func standing(now time.Time, t Tenant, named bool, keys int, rows map[string]Tally) Standing {
	s := Standing{Tenant: t, Named: named, Keys: keys, Running: int(rows[TallyRunning].Value)}
	at := func(name string, limit int) int64 {
		r := rows[name]
		return Refill(r.Value, now.UnixMicro()-r.At.UnixMicro(), limit)
	}
	s.Allowance = allowanceOf(t.Limits, &Grant{Requests: at(TallyRequests, t.Limits.Requests), Tokens: at(TallyTokens, t.Limits.Tokens)})
	for _, b := range boundsOf(t.Budgets) {
		span, row := spanAt(now, b.per, b.zone), rows[b.name]
		spent := Spending{Name: b.name, Period: span.label, Limit: b.limit, Ends: span.end}
		if row.Period >= span.label {
			spent.Spent = row.Value
		}
		s.Budgets = append(s.Budgets, spent)
	}
	slices.SortFunc(s.Budgets, func(a, b Spending) int { return strings.Compare(a.Name, b.Name) })
	return s
}
