package tenant

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
)

func newKey(t testing.TB, k Key) (string, Key) {
	t.Helper()
	plain, made, err := NewKey(noon, k)
	if err != nil {
		t.Fatal(err)
	}
	return plain, made
}

func TestNewKey(t *testing.T) {
	t.Parallel()
	plain, k := newKey(t, Key{Tenant: "acme", Name: "ci", Expires: noon.Add(time.Hour)})
	if !strings.HasPrefix(plain, k.Prefix()+"-") || k.Hash != HashOf(plain) || !k.Created.Equal(noon) || k.Tenant != "acme" || len(plain) != len(plainPrefix)+idLength+1+secretLength {
		t.Errorf("%s, %+v", plain, k)
	}
	if strings.Contains(fmt.Sprintf("%+v", k), plain[len(plain)-secretLength:]) {
		t.Error("the secret is in the key that is kept")
	}
	other, _ := newKey(t, Key{})
	if other == plain {
		t.Error("twice the same key")
	}
	if _, _, err := NewKey(noon, Key{Expires: noon}); err == nil || !strings.Contains(err.Error(), "before it was made") {
		t.Errorf("a key that has expired when it is made: %v", err)
	}
}

func TestKeyFaults(t *testing.T) {
	t.Parallel()
	_, good := newKey(t, Key{})
	for want, change := range map[string]func(*Key){
		"the id":              func(k *Key) { k.ID = "" },
		"sha256: and 64":      func(k *Key) { k.Hash = "sha256:00" },
		"not sha256:":         func(k *Key) { k.Hash = strings.Repeat("0", 64) },
		"has 201 letters":     func(k *Key) { k.Name = strings.Repeat("x", 201) },
		"is not a name":       func(k *Key) { k.Tenant = "a\nb" },
		"model \"\" is no":    func(k *Key) { k.Models = []string{""} },
		"model \"a*b\" is no": func(k *Key) { k.Models = []string{"a*b"} },
		"1000 at most":        func(k *Key) { k.Models = make([]string, 1001) },
	} {
		k := good
		change(&k)
		if err := k.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	plain, k := newKey(t, Key{Tenant: "acme"})
	expiring, e := newKey(t, Key{Tenant: "other", Expires: noon.Add(time.Hour)})
	revoked, r := newKey(t, Key{Tenant: "acme"})
	r.Revoked = noon
	elsewhere := Key{ID: "old", Hash: HashOf("sk-made-elsewhere"), Tenant: "acme"}
	renamed := Key{ID: "renamed", Tenant: "acme"}
	renamedPlain, made := newKey(t, Key{})
	renamed.Hash = made.Hash
	c := one(Limits{Requests: 7})
	c.Keys = []Key{k, e, r, elsewhere, renamed}
	b := newBook(t, c, Options{})
	for name, at := range map[string]struct{ plain, id string }{
		"ours": {plain, k.ID}, "expiring": {expiring, e.ID}, "elsewhere": {"sk-made-elsewhere", "old"}, "renamed": {renamedPlain, "renamed"},
	} {
		got, owner, err := b.Authenticate(noon, at.plain)
		if err != nil || got.ID != at.id || owner.ID != got.Tenant {
			t.Errorf("%s: %+v, %+v, %v", name, got, owner, err)
		}
		if owner != nil && (owner.Limits.Requests == 7) != (owner.ID == "acme") {
			t.Errorf("%s: %+v", name, owner)
		}
	}
	deny := func(plain string, at time.Time, want string) {
		t.Helper()
		_, _, err := b.Authenticate(at, plain)
		if e := llm.AsError(err); e == nil || e.Kind != llm.Unauthenticated || !strings.Contains(e.Message, want) {
			t.Errorf("%.40s: %v", plain, err)
		}
	}
	const wrong = "Incorrect API key"
	deny(revoked, noon, "was revoked at 2026-11-27T12:00:00Z")
	deny(expiring, noon.Add(time.Hour), "expired at 2026-11-27T13:00:00Z")
	if _, _, err := b.Authenticate(noon.Add(time.Hour-time.Nanosecond), expiring); err != nil {
		t.Errorf("just before it expires: %v", err)
	}
	// Who has not the whole key learns nothing, not even that it is over.
	deny(revoked[:len(revoked)-1]+"!", noon, wrong)
	deny(plain[:len(plain)-1], noon, wrong)
	deny(plain+"x", noon, wrong)
	deny(strings.ToUpper(plain), noon, wrong)
	deny(k.Prefix()+revoked[len(k.Prefix()):], noon, wrong)
	deny("", noon, wrong)
	deny(k.Hash, noon, wrong)
	deny(strings.Repeat("x", plainMax+1), noon, wrong)
}

func TestClassIn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ tenant, key, want llm.Class }{
		{llm.ClassUnset, llm.ClassUnset, llm.ClassUnset}, {llm.ClassSystem, llm.ClassUnset, llm.ClassSystem},
		{llm.ClassUnset, llm.ClassSystem, llm.ClassUnset}, {llm.ClassInteractive, llm.ClassBatch, llm.ClassBatch},
		{llm.ClassBatch, llm.ClassInteractive, llm.ClassBatch},
	} {
		if got := (Key{Class: c.key}).ClassIn(&Tenant{Class: c.tenant}); got != c.want {
			t.Errorf("a key of %d in a tenant of %d: %d, not %d", c.key, c.tenant, got, c.want)
		}
	}
	if got := (Key{Class: llm.ClassSystem}).ClassIn(nil); got.Rank() != llm.ClassStandard.Rank() {
		t.Errorf("without a tenant: %s", got)
	}
}

func TestRingFaults(t *testing.T) {
	t.Parallel()
	_, k := newKey(t, Key{})
	same := k
	same.ID = "other"
	_, twice := newKey(t, Key{})
	twice.ID = k.ID
	for want, keys := range map[string][]Key{"are the same key": {k, same}, "is of two keys": {k, twice}} {
		if _, err := newRing(keys); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := newRing(make([]Key, keysMax+1)); err == nil || !strings.Contains(err.Error(), "100000 at most") {
		t.Errorf("too many: %v", err)
	}
}

// BenchmarkAuthenticate shows that finding does not grow with the keys.
func BenchmarkAuthenticate(bm *testing.B) {
	for _, n := range []int{1, 50_000} {
		bm.Run(fmt.Sprint(n), func(bm *testing.B) {
			var c Config
			var plain string
			for range n {
				p, k := newKey(bm, Key{Tenant: "acme"})
				plain, c.Keys = p, append(c.Keys, k)
			}
			b := newBook(bm, c, Options{})
			bm.ReportAllocs()
			for bm.Loop() {
				if _, _, err := b.Authenticate(noon, plain); err != nil {
					bm.Fatal(err)
				}
			}
		})
	}
}
