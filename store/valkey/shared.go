package valkey

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	client "github.com/valkey-io/valkey-go"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/tenant"
)

// shared counts in the server alone: every call is atomic there, on one tenant's keys, by the server's clock. It fails when the server
// does; Counters stands before it.
type shared struct {
	c       client.Client
	s       scripts
	prefix  string
	take    time.Duration // for a Take
	rest    time.Duration // for everything else, a call of chunk tenants
	leaseMs string
}

const (
	// levelsKept is how long a tenant's levels stay without being drawn on: longer than the longest period of a budget.
	levelsKept = 40 * 24 * time.Hour
	// chunk is how many tenants are asked for in one round trip: 500 scripts take the server some 10 ms, for which others wait.
	chunk = 500
	// argsMax bounds one script's changes or rows: the server answers nobody else meanwhile.
	argsMax = 200
)

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

func number[T ~int | ~int64](n T) string { return strconv.FormatInt(int64(n), 10) }

// keys are a tenant's: the levels and the leases. What stands in braces decides the place in a cluster, so that both are in one.
func (s *shared) keys(id llm.TenantID) []string {
	tag := s.prefix + ":{t:" + url.QueryEscape(string(id)) + "}:"
	return []string{tag + "levels", tag + "leases"}
}

func leaseText(l tenant.Lease) string { return l.Replica + "/" + strconv.FormatUint(l.Number, 10) }

// Take is one script and one round trip.
func (s *shared) Take(ctx context.Context, d *tenant.Draw) (tenant.Grant, error) {
	args := []string{leaseText(d.Lease), s.leaseMs, milliseconds(levelsKept),
		number(d.Limits.Requests), number(d.Limits.Tokens), number(d.Limits.Concurrent), number(d.Tokens)}
	for _, b := range d.Spends {
		args = append(args, b.Name, b.Period, number(b.Amount), number(b.Limit))
	}
	ctx, cancel := context.WithTimeout(ctx, s.take)
	defer cancel()
	answer, err := s.s.take.Exec(ctx, s.c, s.keys(d.Tenant), args).AsIntSlice()
	if err != nil {
		return tenant.Grant{}, err
	}
	if len(answer) != 7+len(d.Spends) {
		return tenant.Grant{}, fmt.Errorf("the script answers %d numbers, not %d", len(answer), 7+len(d.Spends))
	}
	return grant(d, answer), nil
}

// bits of the bounds in the way, as take.lua sets them.
const (
	boundRequests = 1 << iota
	boundTokens
	boundConcurrent
)

// grant reads the script's answer: bounds, budget, requests (whole, ticks), tokens (whole, ticks), leases, spendings.
func grant(d *tenant.Draw, a []int64) tenant.Grant {
	g := tenant.Grant{Requests: a[2]*tenant.Ticks + a[3], Tokens: a[4]*tenant.Ticks + a[5], Running: int(a[6])}
	copy(g.Spent[:], a[7:])
	bounds, budget := a[0], a[1]
	switch {
	case budget >= 0:
		g.Spend, g.Refused = int(budget), llm.ReasonTokenBudget
		if name := d.Spends[budget].Name; name == tenant.TallyMoneyDay || name == tenant.TallyMoneyMonth {
			g.Refused = llm.ReasonMoneyBudget
		}
		return g
	case bounds&(boundRequests|boundTokens) == 0 && bounds&boundConcurrent != 0:
		g.Refused = llm.ReasonConcurrency
		return g
	}
	if bounds&boundRequests != 0 {
		g.Refused, g.Wait = llm.ReasonRequests, wait(g.Requests, 1, d.Limits.Requests)
	}
	if bounds&boundTokens != 0 {
		if w := wait(g.Tokens, d.Tokens, d.Limits.Tokens); g.Refused == "" || w > g.Wait {
			g.Refused, g.Wait = llm.ReasonTokens, w
		}
	}
	return g
}

// wait is how long until a bucket that lacks so many ticks holds n: refilled by limit ticks a microsecond.
func wait(lacks, n int64, limit int) time.Duration {
	missing := lacks - (int64(limit)-n)*tenant.Ticks
	us := (missing + int64(limit) - 1) / int64(limit)
	return time.Duration(max(0, us)) * time.Microsecond
}

// Adjust makes the changes tenant by tenant; what is of one tenant is done in its order.
func (s *shared) Adjust(ctx context.Context, changes []tenant.Change) error {
	byTenant := map[llm.TenantID][]tenant.Change{}
	for _, c := range changes {
		byTenant[c.Tenant] = append(byTenant[c.Tenant], c)
	}
	var calls []client.LuaExec
	for id, list := range byTenant {
		for part := range slices.Chunk(list, argsMax) {
			args := []string{milliseconds(levelsKept)}
			for _, c := range part {
				args = append(args, changeArgs(leaseText(c.Lease), c)...)
			}
			calls = append(calls, client.LuaExec{Keys: s.keys(id), Args: args})
		}
	}
	_, err := s.multi(ctx, s.s.adjust, calls)
	return err
}

// credit makes changes that need no lease, once, however often it is called with one name.
func (s *shared) credit(ctx context.Context, id llm.TenantID, name string, c tenant.Change) error {
	keys := s.keys(id)
	keys = append(keys, keys[0]+":"+name)
	_, err := s.multi(ctx, s.s.adjust, []client.LuaExec{{Keys: keys, Args: append([]string{milliseconds(levelsKept)}, changeArgs("", c)...)}})
	return err
}

func changeArgs(lease string, c tenant.Change) []string {
	ends := "0"
	if c.End {
		ends = "1"
	}
	args := []string{lease, ends, number(c.Limits.Requests), number(c.Limits.Tokens), number(c.Requests), number(c.Tokens), number(len(c.Spends))}
	for _, b := range c.Spends {
		args = append(args, b.Name, b.Period, number(b.Amount))
	}
	return args
}

// Renew keeps leases by the server's clock; now is not needed.
func (s *shared) Renew(ctx context.Context, _ time.Time, held []tenant.Held) error {
	byTenant := map[llm.TenantID][]string{}
	for _, h := range held {
		byTenant[h.Tenant] = append(byTenant[h.Tenant], leaseText(h.Lease))
	}
	var calls []client.LuaExec
	for id, leases := range byTenant {
		for part := range slices.Chunk(leases, argsMax) {
			calls = append(calls, client.LuaExec{Keys: s.keys(id), Args: append([]string{s.leaseMs}, part...)})
		}
	}
	_, err := s.multi(ctx, s.s.renew, calls)
	return err
}

// Load puts rows in by their age, so that the server's clock and ours need not agree; one of the future counts as now.
func (s *shared) Load(ctx context.Context, rows []tenant.Tally) error {
	now, byTenant := time.Now(), map[llm.TenantID][]tenant.Tally{}
	for _, r := range rows {
		byTenant[r.Tenant] = append(byTenant[r.Tenant], r)
	}
	var calls []client.LuaExec
	for id, list := range byTenant {
		args := []string{milliseconds(levelsKept)}
		for _, r := range list {
			age := number(max(0, now.Sub(r.At)).Microseconds())
			switch r.Name {
			case tenant.TallyRunning:
			case tenant.TallyRequests:
				args = append(args, "r", number(r.Value/tenant.Ticks), number(r.Value%tenant.Ticks), age)
			case tenant.TallyTokens:
				args = append(args, "t", number(r.Value/tenant.Ticks), number(r.Value%tenant.Ticks), age)
			default:
				args = append(args, r.Name, r.Period, number(r.Value), age)
			}
		}
		if len(args) > 1 {
			calls = append(calls, client.LuaExec{Keys: s.keys(id), Args: args})
		}
	}
	_, err := s.multi(ctx, s.s.load, calls)
	return err
}

// Tallies reads every tenant's hash.
func (s *shared) Tallies(ctx context.Context, tenants []llm.TenantID) ([]tenant.Tally, error) {
	calls := make([]client.LuaExec, 0, len(tenants))
	for _, id := range tenants {
		calls = append(calls, client.LuaExec{Keys: s.keys(id)})
	}
	answers, err := s.multi(ctx, s.s.read, calls)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	var rows []tenant.Tally
	for i, a := range answers {
		parts, err := a.ToArray()
		if err != nil || len(parts) != 3 {
			return nil, fmt.Errorf("the script answers %d parts, not 3: %w", len(parts), err)
		}
		running, err1 := parts[0].AsInt64()
		us, err2 := parts[1].AsInt64()
		fields, err3 := parts[2].AsStrMap()
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, err
		}
		rows = append(rows, tallies(tenants[i], running, now.Sub(time.UnixMicro(us)), fields)...)
	}
	return rows, nil
}

// tallies reads one hash. ahead is by how much our clock is before the server's, so that rows have our times. A bucket's fields are rw, rf, ra and tw, tf, ta; a budget's s:NAME, p:NAME and a:NAME.
func tallies(id llm.TenantID, running int64, ahead time.Duration, fields map[string]string) []tenant.Tally {
	whole := func(name string) int64 {
		n, _ := strconv.ParseInt(fields[name], 10, 64) // the scripts alone write here
		return n
	}
	at := func(name string) time.Time { return time.UnixMicro(whole(name)).Add(ahead).UTC() }
	var rows []tenant.Tally
	for bucket, name := range map[string]string{"r": tenant.TallyRequests, "t": tenant.TallyTokens} {
		if _, ok := fields[bucket+"a"]; ok {
			rows = append(rows, tenant.Tally{Tenant: id, Name: name, Value: whole(bucket+"w")*tenant.Ticks + whole(bucket+"f"), At: at(bucket + "a")})
		}
	}
	for _, name := range budgets {
		if period, ok := fields["p:"+name]; ok {
			rows = append(rows, tenant.Tally{Tenant: id, Name: name, Period: period, Value: whole("s:" + name), At: at("a:" + name)})
		}
	}
	if running > 0 {
		rows = append(rows, tenant.Tally{Tenant: id, Name: tenant.TallyRunning, Value: running, At: time.Now().UTC()})
	}
	return rows
}

var budgets = []string{tenant.TallyTokensDay, tenant.TallyTokensMonth, tenant.TallyMoneyDay, tenant.TallyMoneyMonth}

// multi runs a script for many tenants, chunk by chunk. It ends at the first chunk with an error.
func (s *shared) multi(ctx context.Context, script *client.Lua, calls []client.LuaExec) ([]client.ValkeyResult, error) {
	var answers []client.ValkeyResult
	for part := range slices.Chunk(calls, chunk) {
		ctx, cancel := context.WithTimeout(ctx, s.rest)
		got := script.ExecMulti(ctx, s.c, part...)
		cancel()
		var errs []error
		for _, a := range got {
			errs = append(errs, a.Error())
		}
		if err := errors.Join(errs...); err != nil {
			return nil, err
		}
		answers = append(answers, got...)
	}
	return answers, nil
}
