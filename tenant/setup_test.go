package tenant

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func newBook(t testing.TB, c Config, o Options) *Book {
	t.Helper()
	b, err := New(c, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// one is a configuration of one tenant, acme.
func one(l Limits, budgets ...Budget) Config {
	return Config{Tenants: []Tenant{{ID: "acme", Limits: l, Budgets: budgets}}}
}

// reserve expects to be let in.
func reserve(t testing.TB, b *Book, now time.Time, a Ask) *Reservation {
	t.Helper()
	r, err := b.Reserve(t.Context(), now, "acme", "mini", a)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// refused expects a refusal for a reason.
func refused(t testing.TB, b *Book, now time.Time, a Ask, reason llm.Reason) *llm.Error {
	t.Helper()
	r, err := b.Reserve(t.Context(), now, "acme", "mini", a)
	var e *llm.Error
	if !errors.As(err, &e) || r != nil {
		t.Fatalf("let in with %+v, error %v", a, err)
	}
	if e.Reason != reason {
		t.Fatalf("refused for %q, not %q: %s", e.Reason, reason, e.Message)
	}
	return e
}

// level is a tally of acme by now.
func level(t testing.TB, b *Book, name string) int64 {
	t.Helper()
	rows, err := b.levels(context.Background(), []llm.TenantID{"acme"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Name == name {
			return r.Value
		}
	}
	return 0
}

// memory is a Keeper that several books can share.
type memory struct {
	mu       sync.Mutex
	keys     map[string]Key
	tallies  map[[2]string]Tally
	version  int64
	keysRead int
	fault    error // what every call fails with
}

func newMemory() *memory { return &memory{keys: map[string]Key{}, tallies: map[[2]string]Tally{}} }

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = err
}

func (m *memory) Keys(context.Context) ([]Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keysRead++
	return slices.Collect(maps.Values(m.keys)), m.fault
}

func (m *memory) KeysVersion(context.Context) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.version, m.fault
}

func (m *memory) SaveKey(_ context.Context, k Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fault == nil {
		m.keys[k.ID] = k
		m.version++
	}
	return m.fault
}

func (m *memory) Tallies(context.Context) ([]Tally, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.tallies)), m.fault
}

func (m *memory) SaveTallies(_ context.Context, rows []Tally) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fault != nil {
		return m.fault
	}
	for _, r := range rows {
		m.tallies[[2]string{string(r.Tenant), r.Name}] = r
	}
	return nil
}

func (m *memory) tally(tenant, name string) Tally {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tallies[[2]string{tenant, name}]
}

// far is Counters that can be out of reach, for changes or altogether.
type far struct {
	Local
	mu      sync.Mutex
	away    bool
	takes   error
	renewed []Held
}

var errFar = errors.New("out of reach")

func (f *far) set(away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = away
}

func (f *far) Take(ctx context.Context, d *Draw) (Grant, error) {
	f.mu.Lock()
	err := f.takes
	f.mu.Unlock()
	if err != nil {
		return Grant{}, err
	}
	return f.Local.Take(ctx, d)
}

func (f *far) Adjust(ctx context.Context, changes []Change) error {
	f.mu.Lock()
	away := f.away
	f.mu.Unlock()
	if away {
		return errFar
	}
	return f.Local.Adjust(ctx, changes)
}

func (f *far) Renew(_ context.Context, _ time.Time, held []Held) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renewed = append(f.renewed, held...)
	return nil
}
