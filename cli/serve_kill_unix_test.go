//go:build unix

package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/store"
	"github.com/weir-ai/weir/tenant"
)

// spender is a client of a server whose tenants have limits.
type spender struct {
	t    *testing.T
	key  string
	used atomic.Int64 // tokens of answers that were read whole
}

// ask sends a short question and gives the status and the headers.
func (c *spender) ask(url string) (int, http.Header) {
	c.t.Helper()
	req, _ := http.NewRequest("POST", url+"/v1/chat/completions", strings.NewReader(`{"model":"weir-mini","max_tokens":8,"messages":[{"role":"user","content":"hi"}]}`))
	req.Header.Set("Authorization", "Bearer "+c.key)
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil // the server was killed
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, nil
	}
	if r.StatusCode == 200 {
		var answer struct {
			Usage struct {
				Total int64 `json:"total_tokens"`
			} `json:"usage"`
		}
		if err := json.Unmarshal(body, &answer); err != nil || answer.Usage.Total == 0 {
			c.t.Errorf("an answer without usage: %s", body)
		}
		c.used.Add(answer.Usage.Total)
	}
	return r.StatusCode, r.Header
}

// killBound is a second, and the time of a save: some milliseconds, and seconds where ten tests share two cores and a disk.
const killBound = 4 * time.Second

// TestAKillForgetsASecondOfSpendingAtMost kills a server while its clients spend, at random moments, and starts it again: every key is
// still there, what was spent longer than that before the kill is spent, and a budget that was spent stays so.
func TestAKillForgetsASecondOfSpendingAtMost(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	plain, key, err := tenant.NewKey(time.Now(), tenant.Key{Tenant: "team"})
	if err != nil {
		t.Fatal(err)
	}
	poor, poorKey, err := tenant.NewKey(time.Now(), tenant.Key{Tenant: "poor"})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "weir.yaml")
	const limit = 10_000_000
	config := fmt.Sprintf(`
data: %s
keys: {list: [{id: %s, tenant: team, hash: "%s"}, {id: %s, tenant: poor, hash: "%s"}]}
tenants:
  team: {budgets: [{tokens: %d, per: month}]}
  poor: {budgets: [{tokens: 60, per: month}]}
`, filepath.Join(dir, "data"), key.ID, key.Hash, poorKey.ID, poorKey.Hash, limit)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	c, p := &spender{t: t, key: plain}, &spender{t: t, key: poor}
	const rounds = 3
	for round := range rounds {
		s := serveProcess(t, nil, "--config", file)
		var over atomic.Bool
		var clients sync.WaitGroup
		for range 4 {
			clients.Go(func() {
				for !over.Load() {
					c.ask(s.url)
				}
			})
		}
		for range 20 { // until the small budget is spent, or at once where it was before
			if status, _ := p.ask(s.url); status == 429 {
				break
			}
		}
		if status, h := p.ask(s.url); status != 429 || h.Get("X-Weir-Reason") != "token_budget" {
			t.Errorf("round %d: a spent budget gives %d, %q", round, status, h.Get("X-Weir-Reason"))
		}
		time.Sleep(time.Duration(500+rng.IntN(1500)) * time.Millisecond)
		before := c.used.Load()
		time.Sleep(killBound)
		s.signal(syscall.SIGKILL)
		over.Store(true)
		clients.Wait()
		<-s.ended

		again := serveProcess(t, nil, "--config", file)
		if status, _ := c.ask(again.url); status != 200 {
			t.Errorf("round %d: a key that was there before the kill gives %d", round, status)
		}
		if status, h := p.ask(again.url); status != 429 || h.Get("X-Weir-Reason") != "token_budget" {
			t.Errorf("round %d: a budget that was spent before the kill gives %d, %q", round, status, h.Get("X-Weir-Reason"))
		}
		again.signal(syscall.SIGTERM)
		again.end(0)
		spent := spentTokens(t, filepath.Join(dir, "data"), "team")
		if most := c.used.Load() + 4*rounds*200; spent < before || spent > most {
			t.Errorf("round %d: %d tokens are spent after the kill, want at least the %d that were some seconds before it, at most about %d", round, spent, before, most)
		}
	}
}

// spentTokens reads from a data folder what a tenant has spent this month.
func spentTokens(t *testing.T, dir string, name llm.TenantID) int64 {
	t.Helper()
	kept, err := store.Open(dir, store.Options{Guest: true})
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	rows, err := kept.Keeper().Tallies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Tenant == name && r.Name == tenant.TallyTokensMonth {
			return r.Value
		}
	}
	t.Fatalf("nothing is kept of %s: %+v", name, rows)
	return 0
}
