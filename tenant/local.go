package tenant

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/weir-ai/weir/llm"
)

// Local is the Counters of one process. Its levels live as long as the process does; Book saves and loads them. The zero value is
// ready, and safe for concurrent use: a draw holds the lock of its own tenant and no other.
type Local struct {
	mu      sync.RWMutex // guards the map, not what is in it
	tenants map[llm.TenantID]*levels
}

// NewLocal makes counters of this process.
func NewLocal() Counters { return &Local{} }

// levels is where one tenant stands.
type levels struct {
	mu       sync.Mutex
	requests bucket
	tokens   bucket
	running  int
	spent    [SpendsMax]spending // those without a name are unused
}

// bucket is what lacks of a limit a minute, in Ticks, and when that was so, in microseconds.
type bucket struct{ lacks, at int64 }

type spending struct {
	name   string
	period string
	value  int64
	at     int64 // microseconds
}

// clockBack is how far calls may come out of order: each read the clock before it got the lock. What lies further back is a clock that was
// set, and the bucket refills from there, where it would else stand still until the old time comes again.
const clockBack = int64(time.Second / time.Microsecond)

// refill brings the bucket to a moment.
func (b *bucket) refill(us int64, limit int) {
	if limit == 0 || us < b.at && b.at-us < clockBack {
		return
	}
	b.lacks, b.at = Refill(b.lacks, us-b.at, limit), us
}

// wait is how long until the bucket holds so many more, after a refill; 0 when it does.
func (b *bucket) wait(amount int64, limit int) time.Duration {
	over := b.lacks - (int64(limit)-amount)*Ticks
	if over <= 0 {
		return 0
	}
	per := int64(limit)
	return time.Duration((over+per-1)/per) * time.Microsecond
}

func (l *Local) of(id llm.TenantID) *levels {
	l.mu.RLock()
	v := l.tenants[id]
	l.mu.RUnlock()
	if v != nil {
		return v
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tenants == nil {
		l.tenants = map[llm.TenantID]*levels{}
	}
	if l.tenants[id] == nil {
		l.tenants[id] = &levels{}
	}
	return l.tenants[id]
}

// Take is part of Counters. It never fails.
func (l *Local) Take(_ context.Context, d *Draw) (Grant, error) { return l.take(d), nil }

func (l *Local) take(d *Draw) Grant {
	v, us := l.of(d.Tenant), d.Now.UnixMicro()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.requests.refill(us, d.Limits.Requests)
	v.tokens.refill(us, d.Limits.Tokens)
	g := v.refuse(d)
	if g.Refused == "" {
		if d.Limits.Requests > 0 {
			v.requests.lacks += Ticks
		}
		if d.Limits.Tokens > 0 {
			v.tokens.lacks += d.Tokens * Ticks
		}
		for i := range d.Spends {
			v.row(&d.Spends[i]).add(&d.Spends[i], us)
		}
		v.running++
	}
	g.Requests, g.Tokens, g.Running = v.requests.lacks, v.tokens.lacks, v.running
	for i := range d.Spends {
		g.Spent[i] = v.row(&d.Spends[i]).in(d.Spends[i].Period)
	}
	return g
}

// refuse says what is in the way of a draw, if anything is.
func (v *levels) refuse(d *Draw) (g Grant) {
	for i := range d.Spends {
		s := &d.Spends[i]
		if s.Amount > s.Limit-v.row(s).in(s.Period) {
			return Grant{Refused: reasonOf(s.Name), Spend: i}
		}
	}
	if limit := d.Limits.Requests; limit > 0 {
		if w := v.requests.wait(1, limit); w > 0 {
			g = Grant{Refused: llm.ReasonRequests, Wait: w}
		}
	}
	if limit := d.Limits.Tokens; limit > 0 {
		if w := v.tokens.wait(min(d.Tokens, LimitMax+1), limit); w > g.Wait {
			g = Grant{Refused: llm.ReasonTokens, Wait: w}
		}
	}
	if limit := d.Limits.Concurrent; g.Refused == "" && limit > 0 && v.running >= limit {
		g.Refused = llm.ReasonConcurrency
	}
	return g
}

// ticks converts, within what any bucket can lack.
func ticks(n int64) int64 {
	const most = overdrawnMax / Ticks * LimitMax
	return min(max(n, -most), most) * Ticks
}

// reasonOf is the reason that a budget refuses with.
func reasonOf(tally string) llm.Reason {
	if strings.HasPrefix(tally, "money/") {
		return llm.ReasonMoneyBudget
	}
	return llm.ReasonTokenBudget
}

// row finds or begins the row of a budget. There are as many places as names, so that none is ever missing; a name that nobody knows
// panics, as it is a fault of the caller.
func (v *levels) row(s *Spend) *spending {
	for i := range v.spent {
		switch v.spent[i].name {
		case s.Name:
			return &v.spent[i]
		case "":
			v.spent[i] = spending{name: s.Name}
			return &v.spent[i]
		}
	}
	panic("tenant: more budgets than SpendsMax: " + s.Name)
}

// in is what has been spent in a period, or in a later one where the row has it: periods only move on, so that neither a clock nor a zone that
// is set back gives a budget anew.
func (r *spending) in(period string) int64 {
	if r.period < period {
		return 0
	}
	return r.value
}

func (r *spending) add(s *Spend, us int64) {
	if r.period < s.Period && s.Amount >= 0 {
		r.period, r.value = s.Period, 0
	}
	if s.Amount < 0 && r.period != s.Period {
		return
	}
	r.value, r.at = max(0, r.value+s.Amount), max(r.at, us)
}

// Adjust is part of Counters. It never fails.
func (l *Local) Adjust(_ context.Context, changes []Change) error {
	for i := range changes {
		l.adjust(&changes[i])
	}
	return nil
}

func (l *Local) adjust(c *Change) {
	v, us := l.of(c.Tenant), c.Now.UnixMicro()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.requests.refill(us, c.Limits.Requests)
	v.tokens.refill(us, c.Limits.Tokens)
	if c.Limits.Requests > 0 {
		v.requests.lacks = Overdraw(v.requests.lacks, ticks(c.Requests), c.Limits.Requests)
	}
	if c.Limits.Tokens > 0 {
		v.tokens.lacks = Overdraw(v.tokens.lacks, ticks(c.Tokens), c.Limits.Tokens)
	}
	for i := range c.Spends {
		v.row(&c.Spends[i]).add(&c.Spends[i], us)
	}
	if c.End {
		v.running = max(0, v.running-1)
	}
}

// Renew is part of Counters. What runs in this process ends with it, so that there is nothing to renew.
func (l *Local) Renew(context.Context, time.Time, []Held) error { return nil }

// Tallies is part of Counters. It never fails.
func (l *Local) Tallies(_ context.Context, tenants []llm.TenantID) ([]Tally, error) {
	var rows []Tally
	for _, id := range tenants {
		l.mu.RLock()
		v := l.tenants[id]
		l.mu.RUnlock()
		if v != nil {
			rows = v.tallies(id, rows)
		}
	}
	return rows, nil
}

func (v *levels) tallies(id llm.TenantID, rows []Tally) []Tally {
	v.mu.Lock()
	defer v.mu.Unlock()
	rows = append(rows,
		Tally{Tenant: id, Name: TallyRunning, Value: int64(v.running), At: time.UnixMicro(v.requests.at)},
		Tally{Tenant: id, Name: TallyRequests, Value: v.requests.lacks, At: time.UnixMicro(v.requests.at)},
		Tally{Tenant: id, Name: TallyTokens, Value: v.tokens.lacks, At: time.UnixMicro(v.tokens.at)})
	for _, r := range v.spent {
		if r.period != "" {
			rows = append(rows, Tally{Tenant: id, Name: r.name, Period: r.period, Value: r.value, At: time.UnixMicro(r.at)})
		}
	}
	return rows
}

// Load is part of Counters. It never fails.
func (l *Local) Load(_ context.Context, rows []Tally) error {
	for _, t := range rows {
		v := l.of(t.Tenant)
		v.mu.Lock()
		switch us := t.At.UnixMicro(); t.Name {
		case TallyRequests:
			v.requests.load(t.Value, us)
		case TallyTokens:
			v.tokens.load(t.Value, us)
		case TallyTokensDay, TallyTokensMonth, TallyMoneyDay, TallyMoneyMonth:
			v.row(&Spend{Name: t.Name}).load(t, us)
		}
		v.mu.Unlock()
	}
	return nil
}

func (b *bucket) load(lacks, us int64) {
	if b.at == 0 {
		b.lacks, b.at = max(0, lacks), us
	}
}

func (r *spending) load(t Tally, us int64) {
	if r.period < t.Period {
		r.period, r.value, r.at = t.Period, max(0, t.Value), us
	}
}
