package gateway

import (
	"strings"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/tenant"
)

func newKey(t testing.TB, team llm.TenantID) (string, tenant.Key) {
	t.Helper()
	plain, k, err := tenant.NewKey(time.Now(), tenant.Key{Tenant: team})
	if err != nil {
		t.Fatal(err)
	}
	return plain, k
}

func TestAKeyLetsIn(t *testing.T) {
	t.Parallel()
	first, a := newKey(t, "a")
	second, c := newKey(t, "c")
	b := setup(t, Config{KeysRequired: true}, says("x"), a, c)
	check := func(path string, want int, headers ...string) {
		t.Helper()
		method, body := "GET", ""
		if strings.Contains(path, "completions") {
			method, body = "POST", chatBody
		}
		r := b.ask(t, method, path, body, headers...)
		if want == 401 {
			r.wants(t, 401, "invalid_api_key", "Bearer")
			if r.header.Get("Www-Authenticate") != "Bearer" {
				t.Errorf("%s: no challenge", path)
			}
		} else if r.status != want {
			t.Errorf("%s with %q gives %d, want %d: %s", path, headers, r.status, want, r.body)
		}
	}
	for _, path := range []string{"/v1/chat/completions", "/v1/models", "/v1/models/m", "/metrics"} {
		check(path, 401)
		check(path, 401, "Authorization: Bearer")
		check(path, 401, "Authorization: Bearer "+first[:len(first)-1])
		check(path, 401, "Authorization: Bearer "+first+"x")
		check(path, 401, "Authorization: Basic "+first)
		check(path, 401, "Authorization: "+first)
		check(path, 401, "X-Api-Key: "+first)
		check(path, 401, "Authorization: Bearer "+a.ID, "Authorization: Bearer "+first) // only one header counts
		check(path, 401, "Authorization: Bearer "+a.Hash)
		check(path, 200, "Authorization: Bearer "+first)
		check(path, 200, "Authorization: bearer  "+second)
	}
	check("/healthz", 200)
	check("/readyz", 200)
	if log := b.log.String() + b.access.String(); strings.Contains(log, first) || strings.Contains(log, second) {
		t.Error("a key is in a log")
	}
}

// TestAnUnrequestedKeyIsIgnored holds where keys are not required: SDKs always send something. A listed key still names its tenant.
func TestAnUnrequestedKeyIsIgnored(t *testing.T) {
	t.Parallel()
	plain, k := newKey(t, "team")
	b := setup(t, Config{}, says("x"), k)
	for _, key := range []string{"sk-anything", plain} {
		if r := b.ask(t, "POST", "/v1/chat/completions", chatBody, "Authorization: Bearer "+key); r.status != 200 {
			t.Errorf("%q gives %d", key, r.status)
		}
	}
	waitFor(t, func() bool { return strings.Count(b.access.String(), "\n") == 2 })
	lines := strings.Split(strings.TrimSpace(b.access.String()), "\n")
	if len(lines) != 2 || strings.Contains(lines[0], "tenant") || !strings.Contains(lines[1], `"tenant":"team"`) || !strings.Contains(lines[1], k.ID) {
		t.Errorf("the accounts are %q", lines)
	}
}

func TestFaultyConfigsAreRefusedWhole(t *testing.T) {
	t.Parallel()
	bad := Config{
		Origins: []string{"*", "https://a.example", "a.example", "https://a.example/path"},
		Cert:    "x", Body: 10, BodiesTotal: 5, Idle: -1,
	}
	faults := bad.Validate()
	text := strings.Join(faults, "\n")
	for _, want := range []string{`"a.example"`, "/path", "tls", "bodies_total", "limits.idle"} {
		if !strings.Contains(text, want) {
			t.Errorf("the faults do not name %s:\n%s", want, text)
		}
	}
	if len(faults) != 5 {
		t.Errorf("%d faults:\n%s", len(faults), text)
	}
	if _, err := New(Deps{}, bad); err == nil {
		t.Error("a door stands on a faulty config")
	}
}
