package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// issue makes a self-signed pair for 127.0.0.1, in PEM.
func issue(t *testing.T, name string, expires time.Time) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: expires.Add(-1000 * time.Hour), NotAfter: expires,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// pair is a certificate's two files.
type pair struct {
	cert, key string
	writes    int
}

func newPair(t *testing.T) *pair {
	dir := t.TempDir()
	return &pair{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
}

// put writes files as a renewal does; each write has a time of its own, however coarse the file system's clock.
func (p *pair) put(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	p.writes++
	at := time.Unix(int64(1_700_000_000+p.writes), 0)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func (p *pair) renew(t *testing.T, name string, expires time.Time) {
	t.Helper()
	cert, key := issue(t, name, expires)
	p.put(t, p.cert, cert)
	p.put(t, p.key, key)
}

// TestARenewedCertificateIsServed goes through what happens to the files over the years.
func TestARenewedCertificateIsServed(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	synctest.Test(t, func(t *testing.T) {
		log := &safeBuffer{}
		p.renew(t, "first", time.Now().Add(time.Hour))
		c, err := newCertificate(p.cert, p.key, slog.New(slog.NewTextHandler(log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		serves := func(when, want string) {
			t.Helper()
			got, err := c.get(nil)
			if err != nil || got.Leaf.Subject.CommonName != want {
				t.Errorf("%s: %q is served, want %q (%v)", when, got.Leaf.Subject.CommonName, want, err)
			}
		}
		complaints := func() int { return strings.Count(log.String(), "level=ERROR") }
		serves("at first", "first")
		p.renew(t, "second", time.Now().Add(2*time.Hour))
		serves("within a second of the last look", "first")
		time.Sleep(certificateLook)
		serves("after a renewal", "second")

		cert, key := issue(t, "third", time.Now().Add(2*time.Hour))
		p.put(t, p.cert, cert)
		for range 3 {
			time.Sleep(certificateLook)
			serves("between the two files of a renewal", "second")
		}
		if n := complaints(); n != 1 {
			t.Errorf("a bad pair is told %d times:\n%s", n, log)
		}
		p.put(t, p.key, key)
		time.Sleep(certificateLook)
		serves("after the second file", "third")

		p.put(t, p.cert, []byte("not a certificate"))
		time.Sleep(certificateLook)
		serves("over garbage", "third")
		p.renew(t, "expired", time.Now().Add(-time.Minute))
		time.Sleep(certificateLook)
		serves("over an expired one", "third")
		if err := os.Remove(p.cert); err != nil {
			t.Fatal(err)
		}
		time.Sleep(certificateLook)
		serves("without a file", "third")
		if n := complaints(); n != 4 {
			t.Errorf("four bad pairs are told %d times:\n%s", n, log)
		}
		p.renew(t, "fourth", time.Now().Add(2*time.Hour))
		time.Sleep(certificateLook)
		serves("when all is well again", "fourth")
	})
}

func TestAFirstCertificateMustBeGood(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	if _, err := New(Deps{}, Config{Cert: p.cert, CertKey: p.key}); err == nil || !strings.Contains(err.Error(), p.cert) {
		t.Errorf("missing files give %v", err)
	}
	p.renew(t, "x", time.Now().Add(time.Hour))
	p.put(t, p.key, []byte("none"))
	if _, err := New(Deps{}, Config{Cert: p.cert, CertKey: p.key}); err == nil || !strings.Contains(err.Error(), p.key) {
		t.Errorf("a bad key gives %v", err)
	}
}

// TestHTTPSServesBothVersions streams over TLS as HTTP/2 and HTTP/1.1.
func TestHTTPSServesBothVersions(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.renew(t, "door", time.Now().Add(time.Hour))
	b := door(t, Config{Cert: p.cert, CertKey: p.key}, says("Hel", "lo"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := b.HTTPServer(b.Handler())
	go server.Serve(tls.NewListener(l, b.TLSConfig()))
	defer server.Close()
	text, _ := os.ReadFile(p.cert)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	for _, two := range []bool{false, true} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: two}
		b.url, b.client = "https://"+l.Addr().String(), &http.Client{Transport: transport}
		r := b.ask(t, "POST", "/v1/chat/completions", streamBody)
		if r.status != 200 || !strings.HasSuffix(r.body, "[DONE]\n\n") {
			t.Errorf("HTTP/2 %v: %d %q", two, r.status, r.body)
		}
		b.ask(t, "GET", "/nowhere", "").wants(t, 404, "not_found")
		resp, err := b.client.Get(b.url + "/healthz")
		if err != nil || (resp.ProtoMajor == 2) != two {
			t.Errorf("HTTP/2 %v: %v, %v", two, resp, err)
		}
		resp.Body.Close()
		transport.CloseIdleConnections()
	}
	if conn, err := net.Dial("tcp", l.Addr().String()); err == nil { // a probe of the port is nothing to log
		conn.Close()
	}
	server.Close()
	if strings.Contains(b.log.String(), "handshake") {
		t.Errorf("the log has %s", b.log)
	}
}
