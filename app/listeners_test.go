package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-ai/weir/config"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/tenant"
)

func TestAnAdminListenerTakesTheMetrics(t *testing.T) {
	t.Parallel()
	cfg := loopback()
	cfg.Admin = "127.0.0.1:0"
	cfg.Keys.Require = "always"
	b := start(t, cfg)
	if status, _ := b.get(t, "/metrics"); status != 404 {
		t.Errorf("the main listener gives %d for /metrics", status)
	}
	admin := *b
	admin.url = "http://" + b.AdminAddr().String()
	// The request above is counted after its answer is out.
	waitFor(t, "weir_requests_total", func() bool { _, text := admin.get(t, "/metrics"); return strings.Contains(text, "weir_requests_total") })
	status, text := admin.get(t, "/metrics")
	for _, want := range []string{"weir_requests_in_flight 0", `weir_engine_kv_blocks{model="weir-mini",state="used"} 0`, `weir_engine_sequences{model="weir-mini",state="waiting"} 0`, `weir_build_info{version="test"} 1`, "go_goroutines"} {
		if status != 200 || !strings.Contains(text, want) {
			t.Errorf("the admin listener gives %d without %s", status, want)
		}
	}
	if status, _ := admin.get(t, "/readyz"); status != 200 {
		t.Errorf("the admin listener's readyz gives %d", status)
	}
	if status, _ := admin.get(t, "/v1/models"); status != 404 {
		t.Errorf("the admin listener gives %d for the API", status)
	}
}

// TestAnOpenListenerIsWarnedOf: nobody finds out by a stranger's requests that no key is asked for.
func TestAnOpenListenerIsWarnedOf(t *testing.T) {
	t.Parallel()
	check := func(listen, require, admin string, want ...string) {
		t.Helper()
		cfg := loopback()
		cfg.Listen, cfg.Keys.Require, cfg.Admin = listen, require, admin
		b := start(t, cfg)
		var got []string
		for _, l := range strings.Split(b.log.String(), "\n") {
			if _, rest, ok := strings.Cut(l, `level=WARN msg="no key is asked for: whoever reaches this address may `); ok {
				got = append(got, rest)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s, keys %s, admin %s: warned of %q, want %q", listen, require, admin, got, want)
		}
		b.end(t)
	}
	check("127.0.0.1:0", "auto", "127.0.0.1:0")
	check("0.0.0.0:0", "auto", "127.0.0.1:0")
	check("0.0.0.0:0", "never", "", `ask" address=0.0.0.0:0`)
	check("127.0.0.1:0", "always", "0.0.0.0:0", `read the metrics" address=0.0.0.0:0`)
	check("0.0.0.0:0", "never", "0.0.0.0:0", `ask" address=0.0.0.0:0`, `read the metrics" address=0.0.0.0:0`)
}

// TestTheLogTellsTheKernels in one line, and says the word once.
func TestTheLogTellsTheKernels(t *testing.T) {
	t.Parallel()
	log := &safeBuffer{}
	s, err := Open(loopback(), Options{Log: log, Kernels: "go"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	line, _, _ := strings.Cut(log.String(), "\n")
	if !strings.Contains(line, `msg="engine started" chosen="kernels go: forced by WEIR_KERNELS`) || !strings.Contains(line, ", 2 threads") || strings.Count(line, "kernels") != 1 {
		t.Errorf("the first line is %s", line)
	}
}

// TestAnswersAreCountedWhicheverDoorTheyCameThrough: tokens and times have one account, requests of HTTP another.
func TestAnswersAreCountedWhicheverDoorTheyCameThrough(t *testing.T) {
	t.Parallel()
	b := start(t, loopback())
	ask := &llm.Request{Model: llm.ModelID(config.Builtins()[0]), Task: llm.Chat, Messages: []llm.Message{llm.TextMessage(llm.RoleUser, "hi")}, N: 1,
		Sampling: llm.NewSampling(), Report: llm.NewReport(), Limits: llm.Limits{MaxTokens: 5, IgnoreEOS: true}, Arrived: time.Now()}
	if _, err := b.Runner().Run(t.Context(), ask, func(llm.Event) error { return nil }); err != nil {
		t.Fatal(err)
	}
	resp, err := b.post(t.Context(), "/v1/chat/completions", chat(false, 5, true, "hi"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	want := []string{`weir_completion_tokens_total{model="weir-mini"} 10`, `weir_ttft_seconds_count{model="weir-mini"} 2`, `weir_tpot_seconds_count{model="weir-mini"} 2`,
		`weir_requests_total{model="weir-mini",outcome="ok",route="/v1/chat/completions"} 1`}
	waitFor(t, strings.Join(want, ", "), func() bool {
		_, text := b.get(t, "/metrics")
		for _, w := range want {
			if !strings.Contains(text, w+"\n") {
				return false
			}
		}
		return true
	})
}

// TestTheConfigurationReachesTheDoor checks keys, the access log and unknown fields from end to end.
func TestTheConfigurationReachesTheDoor(t *testing.T) {
	t.Parallel()
	plain, key, err := tenant.NewKey(time.Now(), tenant.Key{Tenant: "team"})
	if err != nil {
		t.Fatal(err)
	}
	cfg := loopback()
	cfg.Keys = config.Keys{Require: "always", List: []config.Key{{ID: key.ID, Hash: config.NewSecret(key.Hash), Tenant: string(key.Tenant)}}}
	cfg.AccessLog, cfg.UnknownFields = true, "ignore"
	cfg.Limits.Body = 2 << 10
	b := start(t, cfg)
	ask := func(body, key string) int {
		t.Helper()
		req, err := newPost(b.url+"/v1/chat/completions", body)
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			req.Header.Set("Authorization", "Bearer "+key)
		}
		resp, err := b.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	odd := strings.Replace(chat(false, 3, false, "hi"), `"model"`, `"a_field_of_tomorrow":1,"model"`, 1)
	if got := ask(odd, ""); got != 401 {
		t.Errorf("without a key: %d", got)
	}
	if got := ask(odd, plain); got != 200 {
		t.Errorf("with a key: %d", got)
	}
	if got := ask(chat(false, 3, false, strings.Repeat("x", 3<<10)), plain); got != 413 {
		t.Errorf("a large body: %d", got)
	}
	waitFor(t, "three lines", func() bool { return strings.Count(b.log.String(), `{"time":`) == 3 })
	for _, l := range strings.Split(b.log.String(), "\n") {
		var line struct {
			Key, Tenant, Model, Outcome string
			Out                         int `json:"tokens_out"`
		}
		if !strings.HasPrefix(l, "{") || !strings.Contains(l, `"outcome":"ok"`) {
			continue
		}
		if err := json.Unmarshal([]byte(l), &line); err != nil || line.Key != key.ID || line.Tenant != "team" || line.Model != config.Builtins()[0] || line.Out == 0 {
			t.Errorf("the line is %s (%v)", l, err)
		}
	}
	if strings.Contains(b.log.String(), plain) {
		t.Error("the key is in the log")
	}
}

// TestKeysAreRequiredBeyondLoopback: an open door takes a word in the configuration.
func TestKeysAreRequiredBeyondLoopback(t *testing.T) {
	t.Parallel()
	check := func(listen, require string, want bool) {
		t.Helper()
		cfg := loopback()
		cfg.Listen, cfg.Keys.Require = listen, require
		if got := gatewayConfig(cfg).KeysRequired; got != want {
			t.Errorf("%s, keys %s: required %v, want %v", listen, require, got, want)
		}
	}
	check("127.0.0.1:0", "auto", false)
	check("localhost:8080", "auto", false)
	check("[::1]:0", "auto", false)
	check("127.0.0.1:0", "always", true)
	check("0.0.0.0:0", "auto", true)
	check(":8080", "auto", true)
	check("[::]:0", "auto", true)
	check("example.com:80", "auto", true)
	check("0.0.0.0:0", "never", false)
}

// issue writes a self-signed pair for 127.0.0.1.
func issue(t *testing.T, serial int64, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, about, about, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestARenewedCertificateIsServed without a restart, on the system's own listener.
func TestARenewedCertificateIsServed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := loopback()
	cfg.TLS = config.TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	issue(t, 1, cfg.TLS.Cert, cfg.TLS.Key)
	b := start(t, cfg)
	b.url = strings.Replace(b.url, "http:", "https:", 1)
	b.transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // the serial number is what is looked at
	if text, last, err := b.stream(t.Context(), chat(true, 4, true, "x"), nil); err != nil || text == "" || last != "[DONE]" {
		t.Errorf("over TLS: %q %q %v", text, last, err)
	}
	serial := func() int64 {
		conn, err := tls.Dial("tcp", b.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Errorf("serial %d", got)
	}
	issue(t, 2, cfg.TLS.Cert, cfg.TLS.Key)
	waitFor(t, "the second certificate", func() bool { return serial() == 2 })
}
