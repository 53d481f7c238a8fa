package valkey

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/tenant"
)

// Counters are a tenant.Counters that outlives its server.
//
// While the server answers, everything is counted there. At the first call that fails, or the third in a row that is late, the replica
// goes on alone: it counts in its own process, from the levels that it saw last, so that a budget that was spent stays spent and a full
// bucket full. Each replica then holds the whole limit for itself; so many replicas, so many limits, which is better than none and
// better than refusing everybody. Once a second it looks whether the server is back. If so, it puts its levels where the server has
// none, in case it came back empty, tells what was spent here meanwhile, and counts there again.
//
// A server that comes back empty has lost what replicas had not seen: what others spent since this one's last Take or Tallies. Where
// tallies are asked for every second, that is one second's spending.
//
// A lease stays where it was taken: what began here is settled here, and its spending is told to the server behind it. What began at
// the server cannot be settled while it is away; Adjust says so, and is to be called again.
//
// A call that failed may have been carried out. Its lease is given back at the server when that is there again within LeaseTime;
// otherwise what it took stays taken, which errs towards refusing.
type Counters struct {
	config  Config
	local   func() tenant.Counters
	log     *slog.Logger
	metrics *metrics
	replica string // random: names this replica's debts
	stop    chan struct{}
	stopped sync.WaitGroup
	closing sync.Once

	round sync.Mutex // held for a round of look: debts are told by one at a time

	late atomic.Int64 // Takes in a row that the server did not answer in time

	mu struct {
		sync.Mutex
		server *shared                  // nil before the first connection
		away   *alone                   // nil while the server answers
		homes  map[tenant.Lease]*alone  // of the leases that were taken here
		seen   map[llm.TenantID]*levels // as the server told them last
		owed   map[debtKey]int64        // spent here and not told
		debts  []debt                   // being told
		undo   []tenant.Change          // of calls that failed and may have been carried out
		told   time.Time                // when the log was written last
		number uint64                   // of the next debt
	}
}

// Options are what Counters need of others.
type Options struct {
	// Local makes empty counters in this process: tenant.NewLocal, or what does the same. It is called each time the server is away.
	Local   func() tenant.Counters
	Log     *slog.Logger          // nil is silent
	Metrics prometheus.Registerer // nil keeps none
}

const (
	// lookEvery is how often a server that is away is looked for: a restarted one is back in use within a second, and a hundred
	// replicas ask it a hundred times a second at most.
	lookEvery = time.Second
	// lateMax is how many Takes in a row are late before the server counts as away. One may be, where this machine's processor is busy;
	// each costs its request Config.Timeout, so more would be noticed.
	lateMax = 3
	// undoMax bounds the calls that may have to be undone: all that can fail before the first failure is noticed.
	undoMax = 10_000
)

type debtKey struct {
	tenant       llm.TenantID
	name, period string
}

// debt is spending that the server is told under a name, so that it counts once however often it is told.
type debt struct {
	name   string
	change tenant.Change
}

// Open connects. A server that does not answer is no error: the replica counts alone until it does.
func Open(c Config, o Options) (*Counters, error) {
	if bad := c.Validate(); len(bad) > 0 {
		return nil, fmt.Errorf("valkey: %s", strings.Join(bad, "; "))
	}
	if _, err := c.options(); err != nil {
		return nil, fmt.Errorf("valkey: %w", err)
	}
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, fmt.Errorf("metrics of valkey: %w", err)
	}
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("no randomness for a replica's name: %w", err)
	}
	k := &Counters{config: c, local: o.Local, log: o.Log, metrics: m, replica: hex.EncodeToString(id[:]), stop: make(chan struct{})}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	k.mu.homes, k.mu.seen, k.mu.owed = map[tenant.Lease]*alone{}, map[llm.TenantID]*levels{}, map[debtKey]int64{}
	if k.mu.server, err = connect(c); err != nil {
		k.leave(nil, err)
	} else {
		k.metrics.shared(true)
	}
	k.stopped.Go(k.run)
	return k, nil
}

// Close tells what is left to tell, and ends the connection. It may be called again.
func (k *Counters) Close() error {
	var err error
	k.closing.Do(func() {
		close(k.stop)
		k.stopped.Wait()
		k.round.Lock()
		defer k.round.Unlock()
		server, away := k.where()
		if server != nil && away == nil {
			err = k.settle(context.Background(), server)
		}
		if server != nil {
			server.c.Close()
		}
	})
	return err
}

// Shared says whether limits are counted at the server now.
func (k *Counters) Shared() bool {
	_, away := k.where()
	return away == nil
}

func (k *Counters) where() (*shared, *alone) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mu.server, k.mu.away
}

// Take takes at the server, or here where it does not answer in time.
func (k *Counters) Take(ctx context.Context, d *tenant.Draw) (tenant.Grant, error) {
	server, away := k.where()
	if away == nil {
		began := time.Now()
		g, err := server.Take(ctx, d)
		k.metrics.took(time.Since(began), err)
		if err == nil {
			k.late.Store(0)
			k.saw(d, g)
			return g, nil
		}
		k.regret(d)
		if ctx.Err() != nil {
			return tenant.Grant{}, ctx.Err() // the client left; the server did nothing wrong
		}
		if errors.Is(err, context.DeadlineExceeded) && k.late.Add(1) < lateMax {
			away = k.begin() // for this request alone
		} else {
			away = k.leave(server, err)
		}
	}
	return k.takeHere(ctx, away, d)
}

func (k *Counters) takeHere(ctx context.Context, here *alone, d *tenant.Draw) (tenant.Grant, error) {
	if err := here.seed(ctx, d.Tenant, k.rows(d.Tenant)); err != nil {
		return tenant.Grant{}, err
	}
	g, err := here.Take(ctx, d)
	if err != nil || g.Refused != "" {
		return g, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mu.homes[d.Lease] = here
	k.owe(d.Tenant, d.Spends)
	return g, nil
}

// owe notes spending that the server does not know of. The lock is held.
func (k *Counters) owe(id llm.TenantID, spends []tenant.Spend) {
	for _, s := range spends {
		if s.Amount != 0 {
			k.mu.owed[debtKey{id, s.Name, s.Period}] += s.Amount
		}
	}
}

// regret notes a call that failed and may have been carried out.
func (k *Counters) regret(d *tenant.Draw) {
	c := tenant.Change{Tenant: d.Tenant, Lease: d.Lease, Limits: d.Limits, Requests: -1, Tokens: -d.Tokens, End: true}
	for _, s := range d.Spends {
		s.Amount = -s.Amount
		c.Spends = append(c.Spends, s)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.mu.undo) < undoMax {
		k.mu.undo = append(k.mu.undo, c)
	}
}

// Adjust makes each change where its lease was taken. Those at the server come first: where they fail nothing is changed here either, so
// that all can be tried again.
func (k *Counters) Adjust(ctx context.Context, changes []tenant.Change) error {
	var there []tenant.Change
	here := map[*alone][]tenant.Change{}
	k.mu.Lock()
	server, away := k.mu.server, k.mu.away
	for _, c := range changes {
		if home := k.mu.homes[c.Lease]; home != nil {
			here[home] = append(here[home], c)
		} else {
			there = append(there, c)
		}
	}
	k.mu.Unlock()
	if len(there) > 0 {
		if away != nil {
			return fmt.Errorf("%w: %d changes wait for it", ErrAway, len(there))
		}
		if err := server.Adjust(ctx, there); err != nil {
			k.failed(ctx, server, err)
			return err
		}
	}
	for home, list := range here {
		if err := home.Adjust(ctx, list); err != nil {
			return err
		}
		k.mu.Lock()
		for _, c := range list {
			k.owe(c.Tenant, c.Spends)
			if c.End {
				delete(k.mu.homes, c.Lease)
			}
		}
		k.mu.Unlock()
	}
	return nil
}

// Renew renews each lease where it was taken. While the server is away its leases run out by themselves.
func (k *Counters) Renew(ctx context.Context, now time.Time, held []tenant.Held) error {
	var there []tenant.Held
	here := map[*alone][]tenant.Held{}
	k.mu.Lock()
	server, away := k.mu.server, k.mu.away
	for _, h := range held {
		if home := k.mu.homes[h.Lease]; home != nil {
			here[home] = append(here[home], h)
		} else {
			there = append(there, h)
		}
	}
	k.mu.Unlock()
	var errs []error
	if len(there) > 0 && away == nil {
		if err := server.Renew(ctx, now, there); err != nil {
			k.failed(ctx, server, err)
			errs = append(errs, err)
		}
	}
	for home, list := range here {
		errs = append(errs, home.Renew(ctx, now, list))
	}
	return errors.Join(errs...)
}

// Tallies are the server's, or what this replica knows of them while it is away.
func (k *Counters) Tallies(ctx context.Context, tenants []llm.TenantID) ([]tenant.Tally, error) {
	server, away := k.where()
	if away == nil {
		rows, err := server.Tallies(ctx, tenants)
		if err == nil {
			k.heard(rows)
			return rows, nil
		}
		if away = k.failed(ctx, server, err); away == nil {
			return nil, err
		}
	}
	for _, id := range tenants {
		if err := away.seed(ctx, id, k.rows(id)); err != nil {
			return nil, err
		}
	}
	return away.Tallies(ctx, tenants)
}

// Load puts rows where the server has none; while it is away, once it is back.
func (k *Counters) Load(ctx context.Context, rows []tenant.Tally) error {
	k.mu.Lock()
	for _, r := range rows {
		l := k.levels(r.Tenant)
		l.load(r)
	}
	server, away := k.mu.server, k.mu.away
	k.mu.Unlock()
	if away == nil {
		if err := server.Load(ctx, rows); err != nil && k.failed(ctx, server, err) == nil {
			return err
		}
	}
	return nil
}

// failed leaves the server for an error that is not the caller's own ending.
func (k *Counters) failed(ctx context.Context, server *shared, err error) *alone {
	k.metrics.failed()
	if ctx.Err() != nil {
		return nil
	}
	return k.leave(server, err)
}
