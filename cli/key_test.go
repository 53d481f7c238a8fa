package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-ai/weir/admin"
	"github.com/weir-ai/weir/config"
	"github.com/weir-ai/weir/store"
	"github.com/weir-ai/weir/tenant"
)

// keyServerFor is a server's admin API over a data folder, and its book.
func keyServerFor(t *testing.T, dir string, written tenant.Config) (address string, book *tenant.Book) {
	t.Helper()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	book, err = tenant.New(written, tenant.Options{Keeper: s.Keeper()})
	if err != nil {
		t.Fatal(err)
	}
	if err := book.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(admin.New(admin.Deps{Book: book}, admin.Config{Local: true}))
	t.Cleanup(func() {
		server.Close()
		if err := book.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return server.URL, book
}

func TestKeysOfARunningServer(t *testing.T) {
	t.Parallel()
	address, book := keyServerFor(t, t.TempDir(), tenant.Config{})
	out := weir(t, "", "key", "new", "--tenant", "search", "--name", "ci", "--class", "batch", "--model", "mini*", "--model", "big", "--expires", "30d", "--server", address).ok(t)
	plain, rest, _ := strings.Cut(out, "\n")
	k, _, err := book.Authenticate(time.Now(), plain)
	if err != nil || k.Tenant != "search" || k.Name != "ci" || len(k.Models) != 2 || k.Class.String() != "batch" || time.Until(k.Expires).Round(time.Hour) != 720*time.Hour {
		t.Fatalf("%+v, %v", k, err)
	}
	if !strings.Contains(rest, `lets tenant "search" in from now on until `) || !strings.Contains(rest, k.ID) {
		t.Errorf("%s", rest)
	}
	made := decode[admin.Key](t, weir(t, "", "key", "new", "--json", "--server", strings.TrimPrefix(address, "http://")).ok(t))
	if made.Tenant != "default" || made.Plain == "" {
		t.Errorf("%+v", made)
	}
	table := weir(t, "", "key", "list", "--server", address+"/").ok(t)
	if lines := strings.Split(strings.TrimSpace(table), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], "ID ") || strings.Contains(table, plain) || !strings.Contains(table, "mini* big") {
		t.Errorf("%s", table)
	}
	if list := decode[[]admin.Key](t, weir(t, "", "key", "list", "--json", "--tenant", "search", "--server", address).ok(t)); len(list) != 1 || list[0].ID != k.ID || list[0].Plain != "" {
		t.Errorf("%+v", list)
	}
	if out := weir(t, "", "key", "revoke", k.Prefix(), "--server", address).ok(t); !strings.Contains(out, k.ID+` of tenant "search" is revoked since 2`) {
		t.Errorf("%s", out)
	}
	if _, _, err := book.Authenticate(time.Now(), plain); err == nil {
		t.Error("a revoked key lets in")
	}
	weir(t, "", "key", "revoke", "nobody", "--server", address).fails(t, exitFailed, "There is no key", "nobody")
}

// TestKeysOfAFolder: a folder takes keys beside the server that has it, which then knows them without a restart.
func TestKeysOfAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, book := keyServerFor(t, dir, tenant.Config{})
	made := decode[admin.Key](t, weir(t, "", "key", "new", "--admin", "--json", "--data", dir).ok(t))
	if !made.Admin || made.Tenant != "" {
		t.Errorf("%+v", made)
	}
	known := func(want bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			_, _, err := book.Authenticate(time.Now(), made.Plain)
			if (err == nil) == want {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("the server lets it in: %v", err)
			}
		}
	}
	known(true)
	if out := weir(t, "", "key", "list", "--data", dir).ok(t); !strings.Contains(out, made.ID) || !strings.Contains(out, "active, admin") {
		t.Errorf("%s", out)
	}
	if out := weir(t, "", "key", "revoke", made.ID, "--json", "--data", dir).ok(t); decode[admin.Key](t, out).State != "revoked" {
		t.Errorf("%s", out)
	}
	known(false)
	fresh := filepath.Join(t.TempDir(), "new") // and before a server ever ran
	if out := weir(t, "", "key", "list", "--data", fresh).ok(t); !strings.Contains(out, "no keys") {
		t.Errorf("%s", out)
	}
	if out := weir(t, "", "key", "new", "--data", fresh).ok(t); !strings.Contains(out, `lets tenant "default" in`) {
		t.Errorf("%s", out)
	}
}

// TestKeysAskWithAKey sets the environment, and so does not run beside others.
func TestKeysAskWithAKey(t *testing.T) {
	plain, k, err := tenant.NewKey(time.Now(), tenant.Key{Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	address, _ := keyServerFor(t, t.TempDir(), tenant.Config{Keys: []tenant.Key{k}})
	t.Setenv("WEIR_ADMIN_KEY", "")
	weir(t, "", "key", "list", "--server", address).fails(t, exitFailed, "takes a key", "WEIR_ADMIN_KEY")
	t.Setenv("WEIR_ADMIN_KEY", plain+"x")
	r := weir(t, "", "key", "list", "--server", address)
	r.fails(t, exitFailed, "Incorrect API key")
	if strings.Contains(r.err, plain) {
		t.Error("the key is told")
	}
	t.Setenv("WEIR_ADMIN_KEY", plain+"\n")
	t.Setenv("WEIR_ADMIN", address)
	if out := weir(t, "", "key", "list").ok(t); !strings.Contains(out, k.ID) {
		t.Errorf("%s", out)
	}
}

func TestKeyFaults(t *testing.T) {
	t.Parallel()
	weir(t, "", "key", "new", "--class", "first").fails(t, exitUsage, `class "first" is not known`)
	weir(t, "", "key", "new", "--expires", "soon").fails(t, exitUsage, "--expires", "30d")
	weir(t, "", "key", "new", "--expires", "2020-01-31").fails(t, exitUsage, "is past")
	weir(t, "", "key", "new", "--model", "a*b").fails(t, exitUsage, "is no name")
	weir(t, "", "key", "new", "--server", "ftp://x").fails(t, exitUsage, "http://127.0.0.1:9090")
	weir(t, "", "key", "list", "--server", "http://user:pass@x").fails(t, exitUsage, "not the address")
	weir(t, "", "key", "list").fails(t, exitUsage, "--server", "--data")
	weir(t, "", "key", "revoke", "x").fails(t, exitUsage, "--server", "--data")
	weir(t, "", "key", "revoke").fails(t, exitUsage)
	weir(t, "", "key", "list", "--server", "127.0.0.1:1").fails(t, exitFailed, "cannot be asked", "--data")
	for text, want := range map[string]string{"hello": "not weir's admin API", `{"x":1}`: "not weir's admin API"} {
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			_, _ = w.Write([]byte(text))
		}))
		weir(t, "", "key", "list", "--server", other.URL).fails(t, exitFailed, "404", want)
		other.Close()
	}
	away := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound))
	defer away.Close()
	weir(t, "", "key", "list", "--server", away.URL).fails(t, exitFailed, "302")
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 27, 12, 0, 0, 5, time.UTC)
	for text, want := range map[string]string{"30d": "2026-12-27T12:00:00Z", "2w": "2026-12-11T12:00:00Z", "12h": "2026-11-28T00:00:00Z", "5m": "2026-11-27T12:05:00Z",
		"2027-01-31": "2027-01-31T00:00:00Z", "2027-01-31T12:00:00+01:00": "2027-01-31T11:00:00Z"} {
		if at, err := expiry(now, text); err != nil || at.Format(time.RFC3339) != want {
			t.Errorf("%s: %s, %v", text, at, err)
		}
	}
	for _, text := range []string{"d", "0d", "-1d", "1.5h", "36601d", "9999999999999999999d", "30", "2026-11-27", "tomorrow", "1d2h"} {
		if at, err := expiry(now, text); err == nil {
			t.Errorf("%q is %s", text, at)
		}
	}
	if at, err := expiry(now, ""); err != nil || !at.IsZero() {
		t.Errorf("nothing: %s, %v", at, err)
	}
}

// TestKeyEntries: the lines for a configuration say all that was asked for.
func TestKeyEntries(t *testing.T) {
	t.Parallel()
	out := weir(t, "", "key", "new", "--tenant", "a: {b", "--name", "x # y", "--class", "batch", "--model", "mini*", "--model", `q"`, "--expires", "2099-01-31", "--admin").ok(t)
	c, err := config.Parse([]byte(out[strings.Index(out, "keys:\n"):]))
	if err != nil || len(c.Keys.List) != 1 {
		t.Fatalf("%v\n%s", err, out)
	}
	k := c.Keys.List[0]
	if k.Tenant != "a: {b" || k.Class != "batch" || len(k.Models) != 2 || k.Models[1] != `q"` || k.Expires != "2099-01-31T00:00:00Z" || !k.Admin {
		t.Errorf("%+v", k)
	}
	var j struct {
		Key, ID, Hash, Class string
		Admin                bool
	}
	text := weir(t, "", "key", "new", "--admin", "--class", "batch", "--json").ok(t)
	if err := json.Unmarshal([]byte(text), &j); err != nil || j.Hash != tenant.HashOf(j.Key) || !j.Admin || j.Class != "batch" {
		t.Errorf("%s", text)
	}
}

func TestCellsControlNoTerminal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"": "-", "ci": "ci", "zwölf": "zwölf", "\x1b[2J": `"\x1b[2J"`, "a\tb": `"a\tb"`, "a\u202eb": `"a\u202eb"`} {
		if got := cell(text); got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
}
