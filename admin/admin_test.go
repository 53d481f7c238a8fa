package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-ai/weir/admit"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/serve"
	"github.com/weir-ai/weir/tenant"
)

// kept is a Keeper in memory.
type kept struct {
	mu    sync.Mutex
	keys  []tenant.Key
	fault error
}

func (k *kept) Keys(context.Context) ([]tenant.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys, nil
}

func (k *kept) KeysVersion(context.Context) (int64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return int64(len(k.keys)), nil
}

func (k *kept) SaveKey(_ context.Context, key tenant.Key) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fault == nil {
		k.keys = append(k.keys, key)
	}
	return k.fault
}

func (*kept) Tallies(context.Context) ([]tenant.Tally, error)   { return nil, nil }
func (*kept) SaveTallies(context.Context, []tenant.Tally) error { return nil }

type gates []serve.GateState

func (g gates) Gates() []serve.GateState { return g }

type bundle struct {
	*Server
	t      *testing.T
	keeper *kept
	log    *bytes.Buffer
}

func setup(t *testing.T, c Config, written tenant.Config) *bundle {
	t.Helper()
	b := &bundle{t: t, keeper: &kept{}, log: &bytes.Buffer{}}
	book, err := tenant.New(written, tenant.Options{Keeper: b.keeper})
	if err != nil {
		t.Fatal(err)
	}
	b.Server = New(Deps{Book: book, Gates: gates{}, Log: slog.New(slog.NewTextHandler(b.log, nil))}, c)
	return b
}

// ask asks as curl on this machine does, but for what change changes.
func (b *bundle) ask(method, path, body string, change func(*http.Request)) (int, string, http.Header) {
	b.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "127.0.0.1:9090"
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w.Code, w.Body.String(), w.Header()
}

// gets expects a status, and decodes the answer.
func gets[T any](b *bundle, status int, method, path, body string, change func(*http.Request)) T {
	b.t.Helper()
	got, text, h := b.ask(method, path, body, change)
	if got != status {
		b.t.Fatalf("%s %s gives %d, not %d: %s", method, path, got, status, text)
	}
	if h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
		b.t.Errorf("%s %s has the headers %v", method, path, h)
	}
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		b.t.Fatalf("%v in %s", err, text)
	}
	return v
}

type failure struct {
	Error struct{ Message, Type, Code, Param string }
}

func with(plain string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+plain) }
}

func key(t *testing.T, k tenant.Key) (string, tenant.Key) {
	t.Helper()
	plain, made, err := tenant.NewKey(time.Now(), k)
	if err != nil {
		t.Fatal(err)
	}
	return plain, made
}

func TestKeysFromMakingToRevoking(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Local: true}, tenant.Config{})
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	made := gets[Key](b, 201, "POST", "/admin/keys", fmt.Sprintf(`{"tenant":"search","name":"ci","class":"batch","models":["mini*"],"expires":%q}`, expires.Format(time.RFC3339)), nil)
	if !strings.HasPrefix(made.Plain, made.Prefix+"-") || made.Tenant != "search" || made.Name != "ci" || made.Class != "batch" || made.State != "active" || !made.Expires.Equal(expires) || made.Created == nil || made.Admin {
		t.Errorf("made %+v", made)
	}
	k, _, err := b.book.Authenticate(time.Now(), made.Plain)
	if err != nil || k.Class != llm.ClassBatch || k.Models[0] != "mini*" {
		t.Errorf("it lets in %+v, %v", k, err)
	}
	status, text, _ := b.ask("GET", "/admin/keys", "", nil)
	if status != 200 || !strings.Contains(text, made.Prefix) || strings.Contains(text, made.Plain) || strings.Contains(text, "sha256") {
		t.Errorf("%d: %s", status, text)
	}
	if other := gets[page[Key]](b, 200, "GET", "/admin/keys?tenant=other", "", nil); len(other.Data) != 0 || other.Object != "list" {
		t.Errorf("of another tenant: %+v", other)
	}
	for range 2 {
		if gone := gets[Key](b, 200, "DELETE", "/admin/keys/"+made.ID, "", nil); gone.State != "revoked" || gone.Revoked == nil || gone.Plain != "" {
			t.Errorf("revoked %+v", gone)
		}
	}
	if _, _, err := b.book.Authenticate(time.Now(), made.Plain); err == nil {
		t.Error("a revoked key lets in")
	}
	if e := gets[failure](b, 404, "DELETE", "/admin/keys/nobody", "", nil); !strings.Contains(e.Error.Message, "nobody") {
		t.Errorf("%+v", e)
	}
	for _, line := range []string{`msg=control action="make key" by=local from=192.0.2.1:1234 key=` + made.ID + " tenant=search", `msg=control action="revoke key" by=local`, `msg="control failed" action="revoke key" by=local from=192.0.2.1:1234 key=nobody`} {
		if !strings.Contains(b.log.String(), line) {
			t.Errorf("the audit log has no %s:\n%s", line, b.log)
		}
	}
	if secret := made.Plain[len(made.Prefix)+1:]; strings.Contains(b.log.String(), secret) || strings.Contains(b.log.String(), "sha256") {
		t.Errorf("the audit log has a secret:\n%s", b.log)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Local: true}, tenant.Config{})
	for range 5 {
		gets[Key](b, 201, "POST", "/admin/keys", `{"tenant":"t"}`, nil)
	}
	seen, after, pages := map[string]bool{}, "", 0
	for more := true; more; pages++ {
		p := gets[page[Key]](b, 200, "GET", "/admin/keys?limit=2&after="+after, "", nil)
		for _, k := range p.Data {
			seen[k.ID], after = true, k.ID
		}
		more = p.HasMore
	}
	if len(seen) != 5 || pages != 3 {
		t.Errorf("%d keys on %d pages", len(seen), pages)
	}
	for _, limit := range []string{"0", "-1", "10001", "x"} {
		if e := gets[failure](b, 400, "GET", "/admin/keys?limit="+limit, "", nil); e.Error.Param != "limit" {
			t.Errorf("%s: %+v", limit, e)
		}
	}
	gets[page[Key]](b, 200, "GET", "/admin/keys?limit=10000", "", nil)
}

func TestWhoComesIn(t *testing.T) {
	t.Parallel()
	adminPlain, adminKey := key(t, tenant.Key{Admin: true})
	userPlain, userKey := key(t, tenant.Key{Tenant: "search"})
	expiredPlain, expired := key(t, tenant.Key{Admin: true})
	expired.Created, expired.Expires = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	guarded := tenant.Config{Keys: []tenant.Key{adminKey, userKey, expired}}
	over := tenant.Config{Keys: []tenant.Key{expired}}
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	origin := func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:9090") }
	both := func(fs ...func(*http.Request)) func(*http.Request) {
		return func(r *http.Request) {
			for _, f := range fs {
				f(r)
			}
		}
	}
	for name, c := range map[string]struct {
		config  Config
		written tenant.Config
		change  func(*http.Request)
		want    int
	}{
		"local":                         {Config{Local: true}, tenant.Config{}, nil, 201},
		"localhost":                     {Config{Local: true}, tenant.Config{}, host("LocalHost.:80"), 201},
		"an address of six parts":       {Config{Local: true}, tenant.Config{}, host("[::1]:80"), 201},
		"one without a port":            {Config{Local: true}, tenant.Config{}, host("::1"), 201},
		"no host":                       {Config{Local: true}, tenant.Config{}, host(""), 201},
		"a listed host":                 {Config{Local: true, Hosts: []string{"weir.lan"}}, tenant.Config{}, host("Weir.lan:9090"), 201},
		"a stranger's name":             {Config{Local: true}, tenant.Config{}, host("evil.example"), 403},
		"a name like an address":        {Config{Local: true}, tenant.Config{}, host("127.0.0.1.evil.example:80"), 403},
		"a name like localhost":         {Config{Local: true}, tenant.Config{}, host("localhost.evil.example"), 403},
		"a page":                        {Config{Local: true}, tenant.Config{}, origin, 403},
		"a page without an origin":      {Config{Local: true}, tenant.Config{}, func(r *http.Request) { r.Header.Set("Origin", "null") }, 403},
		"not local":                     {Config{}, tenant.Config{}, nil, 401},
		"guarded":                       {Config{Local: true}, guarded, nil, 401},
		"guarded by a key that is over": {Config{Local: true}, over, nil, 401},
		"another scheme":                {Config{Local: true}, guarded, func(r *http.Request) { r.SetBasicAuth("a", adminPlain) }, 401},
		"with the key":                  {Config{}, guarded, with(adminPlain), 201},
		"with it, by another name":      {Config{}, guarded, both(with(adminPlain), host("weir.example")), 201},
		"a page with the key":           {Config{}, guarded, both(with(adminPlain), origin), 403},
		"with a user's key":             {Config{Local: true}, guarded, with(userPlain), 403},
		"with an expired key":           {Config{Local: true}, over, with(expiredPlain), 401},
		"with a wrong key":              {Config{Local: true}, tenant.Config{}, with("sk-weir-wrong"), 401},
	} {
		b := setup(t, c.config, c.written)
		status, text, h := b.ask("POST", "/admin/keys", `{"tenant":"made"}`, c.change)
		if status != c.want {
			t.Errorf("%s: %d, not %d: %s", name, status, c.want, text)
		}
		if (status == 401) != (h.Get("Www-Authenticate") != "") {
			t.Errorf("%s: %d with WWW-Authenticate %q", name, status, h.Get("Www-Authenticate"))
		}
		if kept := len(b.keeper.keys); (kept == 1) != (c.want == 201) {
			t.Errorf("%s: %d keys were made", name, kept)
		}
		if c.want != 201 && !strings.Contains(b.log.String(), "control refused") {
			t.Errorf("%s: not written down: %s", name, b.log)
		}
		if strings.Contains(b.log.String(), adminPlain) || strings.Contains(text, adminPlain) {
			t.Errorf("%s: the secret is told", name)
		}
		for _, path := range []string{"/admin/keys", "/admin/tenants", "/admin/tenants/x", "/admin/gate", "/admin/none"} {
			if read, text, _ := b.ask("GET", path, "", c.change); (read < 400 || read == 404) != (c.want == 201) {
				t.Errorf("%s: reading %s gives %d: %s", name, path, read, text)
			}
		}
	}
	b := setup(t, Config{}, guarded)
	made := gets[Key](b, 201, "POST", "/admin/keys", `{"admin":true}`, with(adminPlain))
	if !made.Admin || !strings.Contains(b.log.String(), "by="+adminKey.ID) {
		t.Errorf("%+v, %s", made, b.log)
	}
}

func TestFaultyKeys(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Local: true}, tenant.Config{})
	for body, want := range map[string]string{
		``:                               "EOF",
		`{`:                              "unexpected EOF",
		`[]`:                             "cannot unmarshal",
		`{"tenant":"a"} {}`:              "more behind its end",
		`{"tenant":"a","hash":"x"}`:      `unknown field "hash"`,
		`{}`:                             "tenant is missing",
		`{"tenant":"a","class":"first"}`: "interactive",
		`{"tenant":"a","expires":"2020-01-01T00:00:00Z"}`:          "is past",
		`{"tenant":"a","expires":"tomorrow"}`:                      "tomorrow",
		`{"tenant":"a\n"}`:                                         "is not a name",
		`{"tenant":"a","models":["a*b"]}`:                          "is no name",
		`{"tenant":"a","name":"` + strings.Repeat("x", 201) + `"}`: "at most 200",
	} {
		if e := gets[failure](b, 400, "POST", "/admin/keys", body, nil); !strings.Contains(e.Error.Message, want) || e.Error.Type != "invalid_request_error" {
			t.Errorf("%s: %+v", body, e)
		}
	}
	padded := func(n int) string { return `{"tenant":"a"` + strings.Repeat(" ", n-len(`{"tenant":"a"}`)) + `}` }
	gets[Key](b, 201, "POST", "/admin/keys", padded(bodyMax), nil)
	gets[failure](b, 413, "POST", "/admin/keys", padded(bodyMax+1), nil)
	b.keeper.fault = errors.New("disk full")
	if e := gets[failure](b, 500, "POST", "/admin/keys", `{"tenant":"a"}`, nil); strings.Contains(e.Error.Message, "disk") || !strings.Contains(b.log.String(), "disk full") {
		t.Errorf("%+v, %s", e, b.log)
	}
}

func TestWhatIsNotHere(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Local: true}, tenant.Config{})
	for _, c := range []struct {
		method, path, allow string
		status              int
	}{
		{"PUT", "/admin/keys", "POST, GET", 405}, {"POST", "/admin/keys/x", "DELETE", 405}, {"DELETE", "/admin/tenants", "GET", 405},
		{"POST", "/admin/gate", "GET", 405}, {"GET", "/admin/none", "", 404}, {"GET", "/admin", "", 404},
	} {
		status, text, h := b.ask(c.method, c.path, "", nil)
		if status != c.status || h.Get("Allow") != c.allow || !strings.Contains(text, `"error"`) {
			t.Errorf("%s %s: %d, Allow %q: %s", c.method, c.path, status, h.Get("Allow"), text)
		}
	}
}

func TestTenants(t *testing.T) {
	t.Parallel()
	written := tenant.Config{
		Tenants: []tenant.Tenant{{ID: "acme", Class: llm.ClassInteractive, Weight: 2, Limits: tenant.Limits{Requests: 60, Tokens: 600, Concurrent: 4},
			Budgets: []tenant.Budget{{Tokens: 1000}, {Money: 5 * tenant.Unit, Per: tenant.Month}}, Models: []string{"mini"}}, {ID: "a/b"}},
		Prices: map[string]tenant.Price{"mini": {Input: 1000 * tenant.Unit, Output: 1000 * tenant.Unit}},
	}
	b := setup(t, Config{Local: true}, written)
	if _, err := b.book.Reserve(t.Context(), time.Now(), "acme", "mini", tenant.Ask{Prompt: 20, Output: 80}); err != nil {
		t.Fatal(err)
	}
	gets[Key](b, 201, "POST", "/admin/keys", `{"tenant":"keyed"}`, nil)
	list := gets[page[Tenant]](b, 200, "GET", "/admin/tenants", "", nil)
	if len(list.Data) != 3 || list.Data[0].ID != "a/b" || list.Data[2].ID != "keyed" || list.Data[2].Named || list.Data[2].Keys != 1 || list.Data[2].Weight != 1 || list.Data[2].Class != "standard" {
		t.Errorf("%+v", list)
	}
	got := gets[Tenant](b, 200, "GET", "/admin/tenants/acme", "", nil)
	if got.Class != "interactive" || got.Weight != 2 || got.Running != 1 || got.Limits != (Limits{60, 600, 4}) || *got.Left.Tokens < 500 || *got.Left.Concurrent != 3 || *got.Left.TokensReset > 10 || len(got.Budgets) != 2 {
		t.Errorf("%+v", got)
	}
	if m, d := got.Budgets[0], got.Budgets[1]; m.Of != "money" || m.Per != "month" || m.Spent != "0.10" || m.Left != "4.90" || d.Of != "tokens" || d.Spent != "100" || d.Left != "900" || !d.Ends.After(time.Now()) {
		t.Errorf("%+v", got.Budgets)
	}
	if got := gets[Tenant](b, 200, "GET", "/admin/tenants/a%2Fb", "", nil); got.ID != "a/b" || got.Left.Tokens != nil || got.Left.Concurrent != nil {
		t.Errorf("%+v", got)
	}
	gets[failure](b, 404, "GET", "/admin/tenants/nobody", "", nil)
}

func TestGates(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Local: true}, tenant.Config{})
	if p := gets[page[Gate]](b, 200, "GET", "/admin/gate", "", nil); p.Data == nil || len(p.Data) != 0 {
		t.Errorf("without gates: %+v", p)
	}
	s := admit.State{Running: 3, Rate: 120.5, Waiting: admit.Bounds{Requests: 2, Bytes: 5, Work: 70},
		Endpoints: []admit.EndpointState{{ID: "gpu", Usable: true, Limit: 4, Running: 3, Decoding: 2, Prefill: 9, Work: 44.6}}, Tenants: []admit.TenantUse{{Tenant: "acme", Live: 5}}}
	s.Classes[llm.ClassStandard.Rank()] = admit.ClassState{Waiting: admit.Bounds{Requests: 2}, Wait: 1500 * time.Millisecond}
	b.gates = gates{{Model: "mini", State: s, Rung: 1}}
	got := gets[page[Gate]](b, 200, "GET", "/admin/gate", "", nil).Data[0]
	if got.Model != "mini" || got.Rung != 1 || got.Running != 3 || *got.Rate != 120.5 || got.Waiting != (Waiting{2, 5, 70}) || len(got.Classes) != 4 || got.Classes[2] != (GateClass{"standard", Waiting{Requests: 2}, 1.5}) ||
		got.Endpoints[0] != (GatePlace{"gpu", true, 4, 3, 2, 9, 44}) || got.Tenants[0].Live != 5 {
		t.Errorf("%+v", got)
	}
	b.gates = nil
	gets[page[Gate]](b, 200, "GET", "/admin/gate", "", nil)
}

type broken struct{}

func (broken) Gates() []serve.GateState { panic("a fault") }

func TestAPanicFailsOneRequest(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Local: true}, tenant.Config{})
	b.gates = broken{}
	if e := gets[failure](b, 500, "GET", "/admin/gate", "", nil); e.Error.Code != "internal_error" || strings.Contains(e.Error.Message, "a fault") || !strings.Contains(b.log.String(), "a fault") {
		t.Errorf("%+v, %s", e, b.log)
	}
	gets[page[Key]](b, 200, "GET", "/admin/keys", "", nil)
}

// TestOverTheWire: a body that never ends is cut, and a real client reads what it expects.
func TestOverTheWire(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Local: true}, tenant.Config{})
	server := httptest.NewServer(b)
	defer server.Close()
	answer, err := http.Post(server.URL+"/admin/keys", "application/json", io.LimitReader(endless{}, 10<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("%d", answer.StatusCode)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
