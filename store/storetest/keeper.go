// Package storetest holds what every database behind a consumer's interface must do, as tests that each database runs: the consumers
// were written against this behaviour, not against one database. It starts no goroutine that outlives a test, and knows no database.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/tenant"
)

// Keeper tests a tenant.Keeper. place makes an empty place for data and gives a function that opens it; opened again, beside the first,
// it stands for another process on the same data.
func Keeper(t *testing.T, place func(t *testing.T) (open func() tenant.Keeper)) {
	for name, test := range map[string]func(*testing.T, func() tenant.Keeper){
		"empty": emptyKeeper, "keys": keepsKeys, "replaces": replacesKeys, "version": tellsVersions, "tallies": keepsTallies,
		"whole": savesTalliesWhole, "together": savesTogether, "ended": heedsContext,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, place(t))
		})
	}
}

func emptyKeeper(t *testing.T, open func() tenant.Keeper) {
	k := open()
	if keys := keysOf(t, k); len(keys) != 0 {
		t.Errorf("keys of an empty place: %v", keys)
	}
	if rows := talliesOf(t, k); len(rows) != 0 {
		t.Errorf("tallies of an empty place: %v", rows)
	}
	first, second := versionOf(t, k), versionOf(t, k)
	if first != second {
		t.Errorf("the version of nothing goes from %d to %d", first, second)
	}
	if err := k.SaveTallies(t.Context(), nil); err != nil {
		t.Errorf("no tallies: %v", err)
	}
}

// someKeys have every field at its ends.
func someKeys() []tenant.Key {
	at := time.Date(2026, 11, 27, 18, 24, 55, 123456789, time.FixedZone("here", 5*3600+1800))
	return []tenant.Key{
		{ID: "kplain", Hash: tenant.HashOf("a"), Created: at},
		{
			ID: "kfull", Name: `O'Neil; DROP TABLE keys; -- "ü", 漢字`, Hash: tenant.HashOf("b"), Tenant: "acme", Class: llm.ClassBatch,
			Models: []string{"mini", "big*", `a"b`}, Admin: true, Created: at, Expires: at.Add(time.Hour), Revoked: at.Add(time.Minute),
		},
		{ID: strings.Repeat("k", 200), Name: strings.Repeat("é", 100), Hash: tenant.HashOf("c"), Tenant: "acme", Class: llm.ClassSystem, Models: manyModels()},
	}
}

func manyModels() []string {
	var models []string
	for i := range 1000 {
		models = append(models, fmt.Sprintf("model-%d*", i))
	}
	return models
}

func keepsKeys(t *testing.T, open func() tenant.Keeper) {
	k := open()
	for _, key := range someKeys() {
		if err := k.SaveKey(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	for _, reader := range []tenant.Keeper{k, open()} {
		kept := keysOf(t, reader)
		if len(kept) != len(someKeys()) {
			t.Fatalf("%d keys, %d saved", len(kept), len(someKeys()))
		}
		for _, want := range someKeys() {
			sameKey(t, kept[want.ID], want)
		}
	}
}

func replacesKeys(t *testing.T, open func() tenant.Keeper) {
	k, other := open(), open()
	key := someKeys()[1]
	if err := k.SaveKey(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	changed := tenant.Key{ID: key.ID, Hash: tenant.HashOf("z"), Created: key.Created.Add(time.Second)}
	if err := other.SaveKey(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	kept := keysOf(t, k)
	if len(kept) != 1 {
		t.Fatalf("%d keys after one was replaced", len(kept))
	}
	sameKey(t, kept[key.ID], changed)
}

func tellsVersions(t *testing.T, open func() tenant.Keeper) {
	k, other := open(), open()
	seen := []int64{versionOf(t, k)}
	for i, saver := range []tenant.Keeper{k, other, other, k} {
		key := someKeys()[i%2]
		if err := saver.SaveKey(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		v := versionOf(t, k)
		if slices.Contains(seen, v) {
			t.Errorf("version %d was there before save %d: %v", v, i, seen)
		}
		if w := versionOf(t, other); w != v {
			t.Errorf("after save %d one handle has version %d and the other %d", i, v, w)
		}
		seen = append(seen, v)
	}
	if err := k.SaveTallies(t.Context(), someTallies()); err != nil {
		t.Fatal(err)
	}
	if v := versionOf(t, k); v != seen[len(seen)-1] {
		t.Errorf("saved tallies changed the version of keys from %d to %d", seen[len(seen)-1], v)
	}
}

func someTallies() []tenant.Tally {
	at := time.Date(2026, 11, 27, 23, 59, 59, 999999999, time.UTC)
	return []tenant.Tally{
		{Tenant: "acme", Name: tenant.TallyRequests, Value: 17_000_000, At: at},
		{Tenant: "acme", Name: tenant.TallyTokensDay, Period: "2026-11-27", Value: math.MaxInt64, At: at},
		{Tenant: "acme", Name: tenant.TallyMoneyMonth, Period: "2026-11", Value: -1, At: at.Add(time.Nanosecond)},
		{Tenant: "", Name: tenant.TallyTokens, Value: math.MinInt64, At: at},
		{Tenant: "it's", Name: tenant.TallyTokens},
	}
}

func keepsTallies(t *testing.T, open func() tenant.Keeper) {
	k := open()
	if err := k.SaveTallies(t.Context(), someTallies()); err != nil {
		t.Fatal(err)
	}
	sameTallies(t, talliesOf(t, k), someTallies())
	changed := someTallies()[:2]
	changed[1].Period, changed[1].Value = "2026-11-28", 5
	if err := k.SaveTallies(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	sameTallies(t, talliesOf(t, open()), append(changed, someTallies()[2:]...))
}

// savesTalliesWhole looks at the rows while two write them: every look finds all rows of one save.
func savesTalliesWhole(t *testing.T, open func() tenant.Keeper) {
	k, other := open(), open()
	const saves, rows = 30, 20
	save := func(saver tenant.Keeper, value int64) {
		var batch []tenant.Tally
		for i := range rows {
			batch = append(batch, tenant.Tally{Tenant: llm.TenantID(fmt.Sprint("t", i)), Name: tenant.TallyTokens, Value: value})
		}
		if err := saver.SaveTallies(context.Background(), batch); err != nil {
			t.Error(err)
		}
	}
	save(k, -1)
	var wg sync.WaitGroup
	for i, saver := range []tenant.Keeper{k, other} {
		wg.Go(func() {
			for n := range saves {
				save(saver, int64(i*saves+n))
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for ended := false; !ended; {
		select {
		case <-done:
			ended = true
		default:
		}
		found := talliesOf(t, k)
		for _, r := range found {
			if r.Value != found[0].Value {
				t.Errorf("rows of two saves at once: %d and %d", found[0].Value, r.Value)
				ended = true
				break
			}
		}
	}
	wg.Wait()
}

// savesTogether lets many save at once, through two handles, and finds everything that was acknowledged.
func savesTogether(t *testing.T, open func() tenant.Keeper) {
	k, other := open(), open()
	const savers, each = 32, 8
	var wg sync.WaitGroup
	for i := range savers {
		saver := k
		if i%4 == 0 {
			saver = other
		}
		wg.Go(func() {
			for n := range each {
				if err := saver.SaveKey(context.Background(), tenant.Key{ID: fmt.Sprintf("k%d-%d", i, n), Hash: tenant.HashOf("x")}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(keysOf(t, k)); n != savers*each {
		t.Errorf("%d keys of %d", n, savers*each)
	}
}

// heedsContext: a context that has ended saves nothing, and says so.
func heedsContext(t *testing.T, open func() tenant.Keeper) {
	k := open()
	ctx, end := context.WithCancel(t.Context())
	end()
	if err := k.SaveKey(ctx, someKeys()[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("SaveKey: %v, not canceled", err)
	}
	if err := k.SaveTallies(ctx, someTallies()); !errors.Is(err, context.Canceled) {
		t.Errorf("SaveTallies: %v, not canceled", err)
	}
	if _, err := k.Keys(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Keys: %v, not canceled", err)
	}
	if len(keysOf(t, k)) != 0 || len(talliesOf(t, k)) != 0 {
		t.Error("something was saved after its context had ended")
	}
}

func keysOf(t *testing.T, k tenant.Keeper) map[string]tenant.Key {
	t.Helper()
	keys, err := k.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]tenant.Key{}
	for _, key := range keys {
		if _, twice := byID[key.ID]; twice {
			t.Errorf("key %s is there twice", key.ID)
		}
		byID[key.ID] = key
	}
	return byID
}

func versionOf(t *testing.T, k tenant.Keeper) int64 {
	t.Helper()
	v, err := k.KeysVersion(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func talliesOf(t *testing.T, k tenant.Keeper) []tenant.Tally {
	t.Helper()
	rows, err := k.Tallies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func sameKey(t *testing.T, got, want tenant.Key) {
	t.Helper()
	same := got.ID == want.ID && got.Name == want.Name && got.Hash == want.Hash && got.Tenant == want.Tenant && got.Class == want.Class &&
		slices.Equal(got.Models, want.Models) && got.Admin == want.Admin && sameTime(got.Created, want.Created) &&
		sameTime(got.Expires, want.Expires) && sameTime(got.Revoked, want.Revoked)
	if !same {
		t.Errorf("kept %+v\nsaved %+v", got, want)
	}
}

func sameTallies(t *testing.T, got, want []tenant.Tally) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d tallies kept of %d: %+v", len(got), len(want), got)
	}
	for _, w := range want {
		if !slices.ContainsFunc(got, func(g tenant.Tally) bool {
			return g.Tenant == w.Tenant && g.Name == w.Name && g.Period == w.Period && g.Value == w.Value && sameTime(g.At, w.At)
		}) {
			t.Errorf("%+v is missing in %+v", w, got)
		}
	}
}

// sameTime allows what every database can hold: microseconds.
func sameTime(a, b time.Time) bool {
	return a.IsZero() == b.IsZero() && a.Sub(b).Abs() < time.Microsecond
}
