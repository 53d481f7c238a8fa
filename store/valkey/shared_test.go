package valkey

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	client "github.com/valkey-io/valkey-go"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/store/storetest"
	"github.com/weir-ai/weir/tenant"
)

func openShared(t testing.TB, c Config) *shared {
	t.Helper()
	c.Timeout = restTimeout // the processor may be busy with other tests
	s, err := connect(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.c.Close)
	return s
}

// TestSharedCounts runs the conformance suite against a real server: each place is a prefix of its own, each replica its own client.
func TestSharedCounts(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	storetest.Counters(t, func(t *testing.T) func() tenant.Counters {
		prefix := strings.NewReplacer("/", "-", " ", "-").Replace(t.Name())
		return func() tenant.Counters {
			return openShared(t, Config{Addresses: []string{server.address()}, Prefix: prefix})
		}
	})
}

// TestRefillAgrees compares the script's arithmetic, in doubles, with the whole numbers of tenant.Refill, on numbers of every size.
func TestRefillAgrees(t *testing.T) {
	t.Parallel()
	s := openShared(t, Config{Addresses: []string{startServer(t).address()}})
	script := prelude + `
local answer = {}
for i = 1, #ARGV, 4 do
  local w, f = refill(tonumber(ARGV[i]), tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]))
  answer[#answer + 1] = text(w)
  answer[#answer + 1] = text(f)
end
return answer`
	r := rand.New(rand.NewPCG(1, 2))
	upTo := func(most int64) int64 { // every order of magnitude alike
		n := int64(1)
		for n < most && r.IntN(4) > 0 {
			n *= 1 + r.Int64N(20)
		}
		return min(most, n-1+r.Int64N(2))
	}
	for range 50 {
		var args []string
		var want []int64
		for range 100 {
			limit := 1 + upTo(tenant.LimitMax-1)
			whole, ticks, us := upTo(100*limit), upTo(tenant.Ticks-1), upTo(6_100_000_000)-10
			if r.IntN(2) == 0 && limit > 0 { // near the point where nothing is lacking any more
				us = min(us, (whole*tenant.Ticks/limit)+r.Int64N(3)-1)
			}
			for _, n := range []int64{whole, ticks, us, limit} {
				args = append(args, strconv.FormatInt(n, 10))
			}
			want = append(want, tenant.Refill(whole*tenant.Ticks+ticks, us, int(limit)))
		}
		got, err := s.c.Do(t.Context(), s.c.B().Eval().Script(script).Numkeys(2).Key("{x}a", "{x}b").Arg(args...).Build()).AsStrSlice()
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range want {
			whole, _ := strconv.ParseInt(got[2*i], 10, 64)
			ticks, _ := strconv.ParseInt(got[2*i+1], 10, 64)
			if whole*tenant.Ticks+ticks != w {
				t.Fatalf("refill(%s) is %d, tenant.Refill says %d", strings.Join(args[4*i:4*i+4], ", "), whole*tenant.Ticks+ticks, w)
			}
		}
	}
}

// TestClusterCounts runs the suite against a cluster: both keys of a tenant are in one place.
func TestClusterCounts(t *testing.T) {
	t.Parallel()
	server := startServer(t, "--cluster-enabled", "yes")
	admin, err := client.NewClient(client.ClientOption{InitAddress: []string{server.address()}, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.Do(t.Context(), admin.B().ClusterAddslotsrange().StartSlotEndSlot().StartSlotEndSlot(0, 16383).Build()).Error(); err != nil {
		t.Fatal(err)
	}
	for state := ""; !strings.Contains(state, "cluster_state:ok"); {
		if state, err = admin.Do(t.Context(), admin.B().ClusterInfo().Build()).ToString(); err != nil {
			t.Fatal(err)
		}
	}
	storetest.Counters(t, func(t *testing.T) func() tenant.Counters {
		prefix := strings.NewReplacer("/", "-", " ", "-").Replace(t.Name())
		return func() tenant.Counters {
			s := openShared(t, Config{Addresses: []string{server.address()}, Prefix: prefix})
			if s.c.Mode() != client.ClientModeCluster {
				t.Errorf("the client is in mode %s", s.c.Mode())
			}
			return s
		}
	})
}

// TestLeasesRunOut: what a dead replica held is free after the lease's time, and its settlement comes too late to change anything.
func TestLeasesRunOut(t *testing.T) {
	t.Parallel()
	s := openShared(t, Config{Addresses: []string{startServer(t).address()}})
	s.leaseMs = "200"
	d := draw(1, 10)
	d.Limits = tenant.Limits{Concurrent: 1}
	refusals := 0
	for g, err := s.Take(t.Context(), d); ; g, err = s.Take(t.Context(), d) {
		if err != nil {
			t.Fatal(err)
		}
		if g.Refused == "" && d.Lease.Number > 1 {
			break
		}
		if g.Refused == llm.ReasonConcurrency {
			refusals++
		}
		d.Lease.Number = 2
	}
	if refusals == 0 {
		t.Error("the lease was never in the way")
	}
	late := tenant.Change{Tenant: "acme", Lease: tenant.Lease{Replica: "r", Number: 1}, End: true, Spends: []tenant.Spend{{Name: tenant.TallyTokensDay, Period: "2026-11-27", Amount: -10}}}
	if err := errors.Join(s.Adjust(t.Context(), []tenant.Change{late}), s.Renew(t.Context(), time.Time{}, []tenant.Held{{Tenant: "acme", Lease: late.Lease}})); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Tallies(t.Context(), []llm.TenantID{"acme"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Name == tenant.TallyTokensDay && r.Value != 20 || r.Name == tenant.TallyRunning && r.Value > 1 {
			t.Errorf("%+v", r)
		}
	}
}

// TestSettledOnce: a settlement that is sent again, because its answer was lost, changes nothing more; so does a debt.
func TestSettledOnce(t *testing.T) {
	t.Parallel()
	s := openShared(t, Config{Addresses: []string{startServer(t).address()}})
	if _, err := s.Take(t.Context(), draw(1, 50)); err != nil {
		t.Fatal(err)
	}
	spend := func(amount int64) []tenant.Spend {
		return []tenant.Spend{{Name: tenant.TallyTokensDay, Period: "2026-11-27", Amount: amount}}
	}
	for range 3 {
		if err := s.Adjust(t.Context(), []tenant.Change{{Tenant: "acme", Lease: draw(1, 0).Lease, End: true, Spends: spend(-20)}}); err != nil {
			t.Fatal(err)
		}
		if err := s.credit(t.Context(), "acme", "debt-1", tenant.Change{Tenant: "acme", Spends: spend(7)}); err != nil {
			t.Fatal(err)
		}
	}
	g, err := s.Take(t.Context(), draw(2, 0))
	if err != nil || g.Spent[0] != 37 {
		t.Errorf("%d spent, not 37; %v", g.Spent[0], err)
	}
}

// TestManyTenants goes beyond one round trip's chunk and one script's arguments.
func TestManyTenants(t *testing.T) {
	t.Parallel()
	s := openShared(t, Config{Addresses: []string{startServer(t).address()}})
	const tenants = chunk + 1
	var rows []tenant.Tally
	var ids []llm.TenantID
	for n := range tenants {
		ids = append(ids, llm.TenantID(fmt.Sprint("t", n)))
		rows = append(rows, tenant.Tally{Tenant: ids[n], Name: tenant.TallyTokensDay, Period: "2026-11-27", Value: int64(n), At: time.Now()})
	}
	if err := s.Load(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	got, err := s.Tallies(t.Context(), ids)
	if err != nil || len(got) != tenants {
		t.Fatalf("%d rows of %d, %v", len(got), tenants, err)
	}
	for n, r := range got {
		if r.Tenant != ids[n] || r.Value != int64(n) {
			t.Fatalf("row %d is %+v", n, r)
		}
	}
	var changes []tenant.Change
	var held []tenant.Held
	for n := range uint64(2*argsMax + 1) {
		if _, err := s.Take(t.Context(), draw(n, 0)); err != nil {
			t.Fatal(err)
		}
		held = append(held, tenant.Held{Tenant: "acme", Lease: draw(n, 0).Lease})
		changes = append(changes, tenant.Change{Tenant: "acme", Lease: draw(n, 0).Lease, Spends: []tenant.Spend{{Name: tenant.TallyTokensDay, Period: "2026-11-27", Amount: 1}}, End: true})
	}
	if err := errors.Join(s.Renew(t.Context(), time.Time{}, held), s.Adjust(t.Context(), changes)); err != nil {
		t.Fatal(err)
	}
	// The draws beyond a minute's limit got no lease, so that their changes were passed over.
	g, err := s.Take(t.Context(), draw(1<<40, 0))
	if err != nil || g.Spent[0] < 60 || g.Spent[0] > 100 {
		t.Errorf("%d spent by some 60 that were granted, %v", g.Spent[0], err)
	}
}
