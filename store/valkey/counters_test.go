package valkey

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/tenant"
)

// replica is one Counters.
type replica struct {
	*Counters
	t   *testing.T
	log *logged
}

// logged is what was logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(l.text.String()), "\n")
}

func newReplica(t *testing.T, address string, timeout time.Duration, r prometheus.Registerer) *replica {
	t.Helper()
	log := &logged{}
	k, err := Open(Config{Addresses: []string{address}, Timeout: timeout}, Options{
		Local: tenant.NewLocal, Log: slog.New(slog.NewTextHandler(log, nil)), Metrics: r,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	return &replica{Counters: k, t: t, log: log}
}

// draw is one of 10 tokens of a day's budget of 100.
func draw(lease uint64, amount int64) *tenant.Draw {
	return &tenant.Draw{
		Tenant: "acme", Lease: tenant.Lease{Replica: "r", Number: lease}, Now: time.Now(), Limits: tenant.Limits{Requests: 60, Tokens: 1000},
		Tokens: 10, Spends: []tenant.Spend{{Name: tenant.TallyTokensDay, Period: "2026-11-27", Amount: amount, Limit: 100}},
	}
}

func (r *replica) take(d *tenant.Draw, want llm.Reason) tenant.Grant {
	r.t.Helper()
	g, err := r.Take(r.t.Context(), d)
	if err != nil {
		r.t.Fatal(err)
	}
	if g.Refused != want {
		r.t.Fatalf("refused by %q, not %q: %+v", g.Refused, want, g)
	}
	return g
}

func (r *replica) spent() int64 {
	r.t.Helper()
	rows, err := r.Tallies(r.t.Context(), []llm.TenantID{"acme"})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, row := range rows {
		if row.Name == tenant.TallyTokensDay {
			return row.Value
		}
	}
	return 0
}

// back looks for the server until it is there.
func (r *replica) back() {
	r.t.Helper()
	for until := time.Now().Add(20 * time.Second); !r.Shared(); r.look() {
		if time.Now().After(until) {
			r.t.Fatalf("the server is not found again: %s", strings.Join(r.log.lines(), "\n"))
		}
	}
}

// TestServerDies kills the server in the middle: limits hold in each replica from the levels that it saw, and what was spent alone is
// told when the server is back, with nothing in it.
func TestServerDies(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	registry := prometheus.NewRegistry()
	one, two := newReplica(t, server.address(), restTimeout, registry), newReplica(t, server.address(), restTimeout, nil)
	one.take(draw(1, 40), "")
	if g := two.take(draw(2, 20), ""); g.Spent[0] != 60 {
		t.Fatalf("two replicas have spent %v, not 60", g.Spent)
	}
	if got := gauge(t, registry, "weir_limits_shared"); got != 1 {
		t.Errorf("weir_limits_shared %v", got)
	}
	if a, b := one.spent(), two.spent(); a != 60 || b != 60 {
		t.Fatalf("two replicas see %d and %d spent", a, b)
	}

	server.kill()
	one.take(draw(3, 41), llm.ReasonTokenBudget)
	if one.Shared() || gauge(t, registry, "weir_limits_shared") != 0 {
		t.Error("the server is dead, and limits are told to be shared")
	}
	if g := one.take(draw(4, 15), ""); g.Spent[0] != 75 || g.Requests < 2*tenant.Ticks {
		t.Errorf("alone: %+v; 60 were spent before, and two requests", g)
	}
	two.take(draw(5, 5), "")
	remote := tenant.Change{Tenant: "acme", Lease: draw(1, 0).Lease, End: true}
	here := tenant.Change{Tenant: "acme", Lease: draw(4, 0).Lease, End: true, Spends: []tenant.Spend{{Name: tenant.TallyTokensDay, Period: "2026-11-27", Amount: -5}}}
	if err := one.Adjust(t.Context(), []tenant.Change{here, remote}); !errors.Is(err, ErrAway) {
		t.Errorf("a change at a dead server: %v", err)
	}
	if got := one.spent(); got != 75 {
		t.Errorf("a list of changes that failed changed something: %d spent", got)
	}
	for range 2 { // the second finds no lease
		if err := one.Adjust(t.Context(), []tenant.Change{here}); err != nil && !errors.Is(err, ErrAway) {
			t.Error(err)
		}
	}
	if got := one.spent(); got != 70 {
		t.Errorf("%d spent after a settlement, not 70", got)
	}

	server.start()
	one.back()
	two.back()
	if got := one.spent(); got != 60+10+5 {
		t.Errorf("%d spent in all, not 75", got)
	}
	if a, b := one.spent(), two.spent(); a != b {
		t.Errorf("two replicas see %d and %d spent", a, b)
	}
	if gauge(t, registry, "weir_limits_shared") != 1 {
		t.Error("the server is back, and limits are told not to be shared")
	}
}

func gauge(t *testing.T, r *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// TestServerKeepsItsLevels: a server that was only out of reach is told what was spent meanwhile, once.
func TestServerKeepsItsLevels(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	one := newReplica(t, server.address(), restTimeout, nil)
	one.take(draw(1, 40), "")
	one.leave(one.mu.server, errors.New("a wire was cut"))
	one.take(draw(2, 30), "")
	one.take(draw(3, 31), llm.ReasonTokenBudget)
	one.back()
	// A second time alone begins with what is known now, and not with what was known before the first.
	one.leave(one.mu.server, errors.New("a wire was cut again"))
	one.take(draw(3, 31), llm.ReasonTokenBudget)
	one.back()
	if got := one.spent(); got != 70 {
		t.Errorf("%d spent, not 70", got)
	}
	// What began alone is settled alone, and told.
	if err := one.Adjust(t.Context(), []tenant.Change{{
		Tenant: "acme", Lease: draw(2, 0).Lease, End: true, Spends: []tenant.Spend{{Name: tenant.TallyTokensDay, Period: "2026-11-27", Amount: -10}},
	}}); err != nil {
		t.Fatal(err)
	}
	one.look()
	if got := one.spent(); got != 60 {
		t.Errorf("%d spent, not 60", got)
	}
}

// wire is a connection to a server that can be made deaf: what is asked arrives, and no answer comes back.
type wire struct {
	address string
	deaf    atomic.Bool
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	w := &wire{address: l.Addr().String()}
	go func() {
		for {
			outer, err := l.Accept()
			if err != nil {
				return
			}
			inner, err := net.Dial("tcp", to)
			if err != nil {
				_ = outer.Close()
				continue
			}
			go func() { _, _ = io.Copy(inner, outer); _ = inner.Close() }()
			go w.answers(outer, inner)
		}
	}()
	return w
}

// answers passes answers on. Those that come while the wire is deaf are lost, and the connection with them once it hears again.
func (w *wire) answers(outer, inner net.Conn) {
	defer func() { _ = outer.Close() }()
	lost := false
	for buffer := make([]byte, 64<<10); ; {
		n, err := inner.Read(buffer)
		if err != nil || lost && !w.deaf.Load() {
			return
		}
		if lost = lost || w.deaf.Load(); lost {
			continue
		}
		if _, err := outer.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// TestAnswersAreLost: a server that does not answer in time costs a request Config.Timeout, and what it did with the calls that were
// given up is undone once it is back.
func TestAnswersAreLost(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	w := newWire(t, server.address())
	registry := prometheus.NewRegistry()
	one := newReplica(t, w.address, 300*time.Millisecond, registry)
	one.take(draw(1, 10), "")
	w.deaf.Store(true)
	var wg sync.WaitGroup
	for n := range uint64(20) {
		wg.Go(func() { one.take(draw(100+n, 1), "") })
	}
	wg.Wait()
	if one.Shared() {
		t.Error("no answers come, and limits are told to be shared")
	}
	if got := gauge(t, registry, "weir_limits_shared_failures_total"); got < 1 || got > 20 {
		t.Errorf("%v failures", got)
	}
	direct := openShared(t, Config{Addresses: []string{server.address()}})
	if n := running(t, direct); n < 2 {
		t.Fatalf("%d leases at the server: nothing has arrived there", n)
	}
	w.deaf.Store(false)
	one.back()
	if got := one.spent(); got != 30 {
		t.Errorf("%d spent, not the 10 before and the 20 alone", got)
	}
	if n := running(t, direct); n != 1 {
		t.Errorf("%d leases at the server; the calls that were given up still hold theirs", n)
	}
}

// TestOneLateAnswer: a single late answer is counted here, and told; it is no end of the server.
func TestOneLateAnswer(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	registry := prometheus.NewRegistry()
	one := newReplica(t, server.address(), 300*time.Millisecond, registry)
	one.take(draw(1, 10), "")
	direct := openShared(t, Config{Addresses: []string{server.address()}})
	if err := direct.c.Do(t.Context(), direct.c.B().ClientPause().Timeout(400).All().Build()).Error(); err != nil {
		t.Fatal(err)
	}
	one.take(draw(2, 91), llm.ReasonTokenBudget) // by what was seen
	one.take(draw(3, 5), "")
	if gauge(t, registry, "weir_limits_shared_failures_total") == 0 {
		t.Error("no answer was late")
	}
	if !one.Shared() {
		t.Error("one late answer ended the sharing")
	}
	one.look()
	if got := one.spent(); got != 15 {
		t.Errorf("%d spent, not 15", got)
	}
}

func running(t *testing.T, s *shared) int64 {
	t.Helper()
	rows, err := s.Tallies(t.Context(), []llm.TenantID{"acme"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Name == tenant.TallyRunning {
			return r.Value
		}
	}
	return 0
}

// TestClientLeaves: a request whose client leaves in the middle is no fault of the server.
func TestClientLeaves(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	one := newReplica(t, server.address(), restTimeout, nil)
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if _, err := one.Take(ctx, draw(1, 10)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if !one.Shared() {
		t.Error("limits are not shared any more, because a client left")
	}
}

// TestLogIsQuiet: a thousand requests that find the server dead are told once.
func TestLogIsQuiet(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	one := newReplica(t, server.address(), restTimeout, nil)
	server.kill()
	began := time.Now()
	var wg sync.WaitGroup
	for n := range uint64(1000) {
		wg.Go(func() {
			_, _ = one.Take(context.Background(), draw(n, 0))
			if n%50 == 0 {
				one.look()
			}
		})
	}
	wg.Wait()
	lines := one.log.lines()
	if most := 1 + int(time.Since(began)/time.Second); len(lines) > most || !strings.Contains(lines[0], "each replica alone") {
		t.Errorf("%d lines, at most %d are due:\n%s", len(lines), most, strings.Join(lines, "\n"))
	}
}

// TestStartsWithoutServer: a replica that starts while the server is away serves, and shares once it is there, with the kept levels.
func TestStartsWithoutServer(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	server.kill()
	one := newReplica(t, server.address(), restTimeout, nil)
	if one.Shared() {
		t.Fatal("shared with a dead server")
	}
	if err := one.Load(t.Context(), []tenant.Tally{{Tenant: "acme", Name: tenant.TallyTokensDay, Period: "2026-11-27", Value: 95, At: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	one.take(draw(1, 6), llm.ReasonTokenBudget)
	one.take(draw(2, 3), "")
	server.start()
	one.back()
	if got := one.spent(); got != 98 {
		t.Errorf("%d spent, not 98", got)
	}
}

// TestClocksDoNotMatter: replicas whose clocks are a day apart share one minute.
func TestClocksDoNotMatter(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	replicas := []*replica{newReplica(t, server.address(), restTimeout, nil), newReplica(t, server.address(), restTimeout, nil)}
	began := time.Now()
	granted := int64(0)
	for n := range uint64(200) {
		d := draw(n, 0)
		d.Limits.Requests = 50
		d.Now = d.Now.Add([]time.Duration{-24 * time.Hour, 24 * time.Hour}[n%2])
		g, err := replicas[n%2].Take(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		if g.Refused == "" {
			granted++
		}
	}
	if most := 50 + (time.Since(began).Microseconds()*50)/tenant.Ticks; granted < 50 || granted > most {
		t.Errorf("%d granted, not 50 to %d", granted, most)
	}
}

func TestUndoIsBounded(t *testing.T) {
	t.Parallel()
	k := &Counters{}
	for n := range uint64(undoMax + 1) {
		k.regret(draw(n, 1))
	}
	if len(k.mu.undo) != undoMax {
		t.Errorf("%d calls to undo", len(k.mu.undo))
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	ok := func() Config { return Config{Addresses: []string{"127.0.0.1:6379"}} }
	row := func(change func(*Config), want string) {
		t.Helper()
		c := ok()
		change(&c)
		bad := strings.Join(c.Validate(), "\n")
		if (want == "") != (bad == "") || !strings.Contains(bad, want) {
			t.Errorf("%+v: %q, wanted %q", c, bad, want)
		}
		if want == "" {
			return
		}
		if _, err := Open(c, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("opened: %v", err)
		}
	}
	row(func(c *Config) { c.Addresses = nil }, "name the server as host:port")
	row(func(c *Config) { c.Addresses = append(c.Addresses, "valkey") }, `address "valkey" is not host:port`)
	row(func(c *Config) { c.CA = "ca.pem" }, "need tls")
	row(func(c *Config) { c.TLS, c.Cert = true, "c.pem" }, "cert and key go together")
	row(func(c *Config) { c.Username = "weir" }, "has no password")
	row(func(c *Config) { c.Prefix = "a{b}" }, "prefix")
	row(func(c *Config) { c.Prefix = strings.Repeat("p", prefixMax+1) }, "prefix")
	row(func(c *Config) { c.Timeout = -1 }, "timeout")
	row(func(c *Config) { c.Timeout = 10*time.Second + 1 }, "timeout")
	row(func(c *Config) { c.TLS, c.CA = true, "" }, "")
	c := ok()
	c.TLS, c.CA = true, "missing.pem"
	if _, err := Open(c, Options{}); err == nil || !strings.Contains(err.Error(), "missing.pem") {
		t.Errorf("a missing file: %v", err)
	}
	c.Prefix, c.Timeout = strings.Repeat("p", prefixMax), 10*time.Second
	if bad := c.Validate(); bad != nil {
		t.Errorf("at the bounds: %v", bad)
	}
}
