package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-ai/weir/config"
	"github.com/weir-ai/weir/tenant"
)

// control asks the admin listener.
func (b *bundle) control(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+b.AdminAddr().String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

// asked sends a chat with a key.
func (b *bundle) asked(t *testing.T, key string, tokens int) (int, http.Header, string) {
	t.Helper()
	body := fmt.Sprintf(`{"model":"weir-mini","max_tokens":%d,"messages":[{"role":"user","content":"What is TTFT?"}]}`, tokens)
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+b.Addr().String()+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, _ := io.ReadAll(r.Body)
	return r.StatusCode, r.Header, string(text)
}

// TestAKeyIsMadeUsedAndRevokedWithoutARestart goes the way of an operator: over the admin API, with limits that bind, through a restart.
func TestAKeyIsMadeUsedAndRevokedWithoutARestart(t *testing.T) {
	t.Parallel()
	cfg := loopback()
	cfg.Admin, cfg.Data, cfg.Keys.Require = "127.0.0.1:0", t.TempDir(), "always"
	cfg.Tenants = map[string]config.Tenant{"team": {Class: "interactive", Limits: config.TenantLimits{Requests: 1000, Tokens: 300}, Budgets: []config.Budget{{Tokens: 1_000_000, Per: "month"}}}}
	b := start(t, cfg)
	status, text := b.control(t, "POST", "/admin/keys", `{"tenant":"team","name":"ci"}`)
	var made struct {
		ID  string `json:"id"`
		Key string `json:"key"`
	}
	if err := json.Unmarshal([]byte(text), &made); err != nil || status/100 != 2 || made.Key == "" {
		t.Fatalf("%d %s: %v", status, text, err)
	}
	status, h, text := b.asked(t, made.Key, 16)
	if status != 200 || h.Get("X-Ratelimit-Limit-Tokens") != "300" {
		t.Fatalf("%d %s %v", status, text, h)
	}
	left, err := strconv.Atoi(h.Get("X-Ratelimit-Remaining-Tokens"))
	if err != nil || left >= 300 || left < 200 {
		t.Errorf("after a short question %q tokens are left of 300", h.Get("X-Ratelimit-Remaining-Tokens"))
	}
	if status, h, text = b.asked(t, made.Key, 290); status != 429 || h.Get("X-Weir-Reason") != "tokens_per_minute" || h.Get("Retry-After") == "" || !strings.Contains(text, "rate_limit_exceeded") {
		t.Errorf("more than is left gives %d %s %v", status, text, h)
	}
	if status, text := b.control(t, "GET", "/admin/keys", ""); status != 200 || strings.Contains(text, made.Key) || !strings.Contains(text, made.ID) || strings.Contains(text, "sha256") {
		t.Errorf("the list of keys: %d %s", status, text)
	}
	if status, text := b.control(t, "GET", "/admin/tenants/team", ""); status != 200 || !strings.Contains(text, "team") {
		t.Errorf("the tenant: %d %s", status, text)
	}
	if status, text := b.control(t, "GET", "/admin/gate", ""); status != 200 || !strings.Contains(text, "weir-mini") {
		t.Errorf("the gate: %d %s", status, text)
	}
	b.end(t)

	cfg.Keys.Require = "auto"
	b = start(t, cfg) // the key and what is left of the minute are there again
	if status, h, text := b.asked(t, made.Key, 290); status != 429 || h.Get("X-Weir-Reason") != "tokens_per_minute" {
		t.Errorf("after a restart: %d %s", status, text)
	}
	if status, _, _ := b.asked(t, "none", 8); status != 401 {
		t.Errorf("where a key was made, one that nobody made gives %d", status)
	}
	if status, text := b.control(t, "DELETE", "/admin/keys/"+made.ID, ""); status/100 != 2 {
		t.Errorf("revoking: %d %s", status, text)
	}
	if status, _, text := b.asked(t, made.Key, 8); status != 401 || !strings.Contains(text, "revoked") {
		t.Errorf("a revoked key gives %d %s", status, text)
	}
}

// TestAReloadChangesLimitsAndKeys: sections of tenants and keys are read again with the models.
func TestAReloadChangesLimitsAndKeys(t *testing.T) {
	t.Parallel()
	plain, key, err := tenant.NewKey(time.Now(), tenant.Key{Tenant: "team"})
	if err != nil {
		t.Fatal(err)
	}
	cfg := loopback()
	cfg.Keys.Require = "always"
	b := start(t, cfg)
	if status, _, _ := b.asked(t, plain, 8); status != 401 {
		t.Errorf("an unknown key gives %d", status)
	}
	cfg.Keys.List = []config.Key{{ID: key.ID, Tenant: "team", Hash: config.NewSecret(key.Hash)}}
	cfg.Tenants = map[string]config.Tenant{"team": {Limits: config.TenantLimits{Requests: 1}}}
	if err := b.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if status, h, text := b.asked(t, plain, 8); status != 200 || h.Get("X-Ratelimit-Remaining-Requests") != "0" {
		t.Errorf("after the reload: %d %s %v", status, text, h)
	}
	if status, h, _ := b.asked(t, plain, 8); status != 429 || h.Get("X-Weir-Reason") != "requests_per_minute" {
		t.Errorf("the second of one request a minute gives %d %q", status, h.Get("X-Weir-Reason"))
	}
}
