package tenant

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-ai/weir/llm"
)

// Book is all that is known of tenants and keys, and what they have used. It is safe for concurrent use. A nil Book bounds nobody.
//
// What an operator wrote and which keys there are is a snapshot that never changes; a reload or a new key makes another and swaps it in.
// What has been used outlives snapshots: it is counted by tenant name, so that a limit that changes holds at once and nothing is
// forgotten.
type Book struct {
	log     *slog.Logger
	metrics *metrics
	keeper  Keeper   // nil keeps nothing
	shared  Counters // nil where this process counts alone
	local   Local    // counts where shared is nil, or has failed
	replica string
	leases  atomic.Uint64

	now       atomic.Pointer[snapshot]
	estimator Estimator

	mu struct {
		sync.Mutex
		config   Config
		kept     []Key // what the keeper has
		accounts map[llm.TenantID]*account
	}
	dirty  dirty
	errand errands
	ledger ledger
}

// Options are the parts that a Book stands on. The zero value counts in this process and keeps nothing.
type Options struct {
	Keeper  Keeper                // keeps keys and levels; nil for nowhere
	Shared  Counters              // counts for several replicas; nil for this process alone
	Log     *slog.Logger          // nil discards
	Metrics prometheus.Registerer // nil for nowhere
}

// snapshot is the tenants and keys of one moment. Only what it has of tenants that nobody named grows.
type snapshot struct {
	config  Config
	ring    *ring
	owners  []*Tenant // of ring.keys
	members map[llm.TenantID]*member
	others  sync.Map     // TenantID to *member, of tenants that are not named
	strange atomic.Int64 // how many others has
	admins  int          // keys that may control the server, the expired too
}

// account is what is known of a tenant beyond every snapshot, levels aside.
type account struct {
	dirty atomic.Bool
	pace  pace
	mu    struct {
		sync.Mutex
		outputs map[llm.ModelID]*outputs
	}
}

// member is one tenant as a snapshot bounds it.
type member struct {
	Tenant
	bounds  []*bound
	account *account
	terms   atomic.Pointer[map[llm.ModelID]*terms]
	mu      sync.Mutex // of those who add to terms
}

// terms are what holds for one tenant's requests to one model.
type terms struct {
	allowed bool
	price   Price
	outputs *outputs
	factor  *factor
}

// termsMax bounds the models that a tenant's terms are remembered of. Further ones are worked out each time, and learn together.
const termsMax = 1_000

// New makes a book. An error names every fault of the configuration.
func New(c Config, o Options) (*Book, error) {
	b := &Book{log: o.Log, keeper: o.Keeper, shared: o.Shared}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("no randomness for a replica's name: %w", err)
	}
	b.replica = hex.EncodeToString(id[:])
	b.mu.accounts = map[llm.TenantID]*account{}
	b.errand.init()
	if err := b.Reload(c); err != nil {
		return nil, err
	}
	var err error
	b.metrics, err = newMetrics(o.Metrics, b)
	return b, err
}

// Reload puts another configuration in place of the one before: whole, or not at all where it has faults. Running requests go on.
func (b *Book) Reload(c Config) error {
	if bad := c.Validate(); len(bad) > 0 {
		return errors.New("tenant: " + strings.Join(bad, "; "))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.swap(c, b.mu.kept)
}

// swap makes and publishes the snapshot of a configuration and the kept keys. The lock is held.
func (b *Book) swap(c Config, kept []Key) error {
	keys := merge(c.Keys, kept)
	ring, err := newRing(keys)
	if err != nil {
		return fmt.Errorf("tenant: keys: %w", err)
	}
	s := &snapshot{config: c, ring: ring, members: make(map[llm.TenantID]*member, len(c.Tenants))}
	for _, t := range c.Tenants {
		s.members[t.ID] = b.member(t)
	}
	strangers := map[llm.TenantID]*Tenant{}
	for _, k := range keys {
		if k.Admin {
			s.admins++
		}
		owner := strangers[k.Tenant]
		if m := s.members[k.Tenant]; m != nil {
			owner = &m.Tenant
		}
		if owner == nil {
			t := s.stranger(k.Tenant)
			owner = &t
			strangers[k.Tenant] = owner
		}
		s.owners = append(s.owners, owner)
	}
	b.mu.config, b.mu.kept = c, kept
	b.now.Store(s)
	return nil
}

// merge joins the configured and the kept keys. A configured key that was revoked later is kept revoked; else the configuration holds.
func merge(configured, kept []Key) []Key {
	keys := slices.Clone(configured)
	at := make(map[string]int, len(keys))
	for i, k := range keys {
		at[k.ID] = i
	}
	for _, k := range kept {
		i, there := at[k.ID]
		switch {
		case !there:
			keys = append(keys, k)
		case !k.Revoked.IsZero():
			keys[i].Revoked = k.Revoked
		}
	}
	return keys
}

// stranger is a tenant that the configuration does not name.
func (s *snapshot) stranger(id llm.TenantID) Tenant {
	if s.config.Others == nil {
		return Tenant{ID: id}
	}
	t := *s.config.Others
	t.ID = id
	return t
}

// member makes a tenant's entry in a snapshot. The lock is held.
func (b *Book) member(t Tenant) *member {
	a := b.mu.accounts[t.ID]
	if a == nil {
		a = &account{}
		a.mu.outputs = map[llm.ModelID]*outputs{}
		b.mu.accounts[t.ID] = a
	}
	return &member{Tenant: t, bounds: boundsOf(t.Budgets), account: a}
}

// find gives the entry of a tenant, nil for one that nothing bounds.
func (b *Book) find(s *snapshot, id llm.TenantID) *member {
	if m := s.members[id]; m != nil {
		return m
	}
	if s.config.Others == nil {
		return nil
	}
	if m, ok := s.others.Load(id); ok {
		return m.(*member)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if m, ok := s.others.Load(id); ok {
		return m.(*member)
	}
	// Tenants come from keys, so that they cannot outnumber those; what a caller makes up beyond is counted as one.
	if s.strange.Load() >= tenantsMax {
		id = ""
	}
	m, had := s.others.LoadOrStore(id, b.member(s.stranger(id)))
	if !had {
		s.strange.Add(1)
	}
	return m.(*member)
}

// free reports whether nothing bounds the tenant.
func (m *member) free() bool {
	return m.Limits.none() && len(m.bounds) == 0 && len(m.Models) == 0
}

// termsFor gives what holds for a model.
func (b *Book) termsFor(s *snapshot, m *member, model llm.ModelID) *terms {
	known := m.terms.Load()
	if known != nil {
		if t := (*known)[model]; t != nil {
			return t
		}
	}
	t := &terms{allowed: allows(m.Models, model), price: priceOf(s.config.Prices, model), outputs: m.account.outputsOf(model), factor: b.estimator.of(model)}
	m.mu.Lock()
	defer m.mu.Unlock()
	next := map[llm.ModelID]*terms{model: t}
	if known = m.terms.Load(); known != nil {
		if len(*known) >= termsMax {
			return t
		}
		for name, old := range *known {
			next[name] = old
		}
	}
	m.terms.Store(&next)
	return t
}

func (a *account) outputsOf(model llm.ModelID) *outputs {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.mu.outputs) >= termsMax && a.mu.outputs[model] == nil {
		model = ""
	}
	o := a.mu.outputs[model]
	if o == nil {
		o = &outputs{}
		a.mu.outputs[model] = o
	}
	return o
}

// Authenticate finds the key and whose it is. The tenant is never nil beside a nil error and must not be changed; only who has the
// whole of a key learns that it is revoked or has expired.
func (b *Book) Authenticate(now time.Time, plain string) (Key, *Tenant, error) {
	if b == nil {
		return Key{}, nil, errWrongKey()
	}
	s := b.now.Load()
	at, ok := s.ring.find(plain)
	if !ok {
		return Key{}, nil, errWrongKey()
	}
	k := &s.ring.keys[at].key
	if err := k.check(now); err != nil {
		return Key{}, nil, err
	}
	return *k, s.owners[at], nil
}

// Tenant gives what is written about a tenant: of one that nobody named, what holds for others. It must not be changed.
func (b *Book) Tenant(id llm.TenantID) *Tenant {
	if b == nil {
		return &Tenant{ID: id}
	}
	s := b.now.Load()
	if m := b.find(s, id); m != nil {
		return &m.Tenant
	}
	return &Tenant{ID: id}
}

// Bounds reports whether anything bounds a tenant, so that what a request may cost is worth finding out.
func (b *Book) Bounds(id llm.TenantID) bool {
	if b == nil {
		return false
	}
	m := b.find(b.now.Load(), id)
	return m != nil && !m.free()
}

// Allow refuses a model that the key or its tenant may not ask for. A tenant of nil has all.
func Allow(k Key, t *Tenant, model llm.ModelID) error {
	if !allows(k.Models, model) || t != nil && !allows(t.Models, model) {
		return errForbidden(model)
	}
	return nil
}

func errForbidden(model llm.ModelID) *llm.Error {
	e := llm.Errorf(llm.Forbidden, "This key may not use the model %q. Ask for one of those that /v1/models lists, or have who runs this server allow it.", model)
	e.Param = "model"
	return e
}

// Keys gives every key that the book knows, in the order of their IDs. Their hashes are no secrets, and nobody's business.
func (b *Book) Keys() []Key {
	s := b.now.Load()
	keys := make([]Key, 0, len(s.ring.keys))
	for _, e := range s.ring.keys {
		keys = append(keys, e.key)
	}
	slices.SortFunc(keys, func(a, b Key) int { return strings.Compare(a.ID, b.ID) })
	return keys
}

// KeyCount is how many keys the book knows, those that are over too.
func (b *Book) KeyCount() int { return len(b.now.Load().ring.keys) }

// Guarded reports whether any key may control the server, be it over: with one there, nobody does without.
func (b *Book) Guarded() bool { return b.now.Load().admins > 0 }

// AddKey keeps a key, and lets it in from now on. It is durable on return.
func (b *Book) AddKey(ctx context.Context, k Key) error {
	if err := k.Validate(); err != nil {
		return &llm.Error{Op: "add key", Kind: llm.Invalid, Message: err.Error()}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, there := b.now.Load().ring.byID[k.ID]; there {
		return llm.Errorf(llm.Invalid, "There is a key %s already; make another.", k.ID)
	}
	return b.keep(ctx, k)
}

// keep saves a key and swaps in a snapshot that has it. The lock is held while the key is written, so that two changes of keys come one
// after the other; requests need it only for their tenant's first.
func (b *Book) keep(ctx context.Context, k Key) error {
	if b.keeper == nil {
		return llm.Errorf(llm.Invalid, "This server keeps no keys; list them in its configuration under keys.list, or give it a folder for data.")
	}
	kept := append(slices.DeleteFunc(slices.Clone(b.mu.kept), func(old Key) bool { return old.ID == k.ID }), k)
	if _, err := newRing(merge(b.mu.config.Keys, kept)); err != nil {
		return &llm.Error{Op: "keep key", Kind: llm.Invalid, Message: err.Error()}
	}
	if err := b.keeper.SaveKey(ctx, k); err != nil {
		return &llm.Error{Op: "keep key", Kind: llm.Internal, Message: "The key could not be saved, so that nothing has changed; this server's log says why.", Err: err}
	}
	return b.swap(b.mu.config, kept)
}

// RevokeKey ends a key for good, from now on. It is durable on return. Revoking twice changes nothing.
func (b *Book) RevokeKey(ctx context.Context, now time.Time, id string) (Key, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ring := b.now.Load().ring
	at, ok := ring.byID[id]
	if !ok {
		return Key{}, llm.Errorf(llm.NotFound, "There is no key %.80q; `weir key list` lists them.", id)
	}
	k := ring.keys[at].key
	if !k.Revoked.IsZero() {
		return k, nil
	}
	k.Revoked = now.UTC().Truncate(time.Second)
	return k, b.keep(ctx, k)
}
