package valkey

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weir-ai/weir/tenant"
)

// certificate makes a certificate that signs itself, for 127.0.0.1, and its files.
func certificate(t *testing.T) (pair tls.Certificate, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &about, &about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pair, err = tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	return pair, certFile, keyFile
}

// tlsBefore speaks TLS, to clients with our certificate alone, before a server that does not: packages of valkey-server are often built
// without.
func tlsBefore(t *testing.T, to string, pair tls.Certificate) (address string) {
	t.Helper()
	trusted := x509.NewCertPool()
	trusted.AddCert(pair.Leaf)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			outer, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				inner, err := net.Dial("tcp", to)
				if err != nil {
					_ = outer.Close()
					return
				}
				go func() { _, _ = io.Copy(inner, outer); _ = inner.Close() }()
				_, _ = io.Copy(outer, inner)
				_ = outer.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// TestTLSAndPassword: a certificate that is not trusted, none of one's own, a wrong password and a wrong user reach nothing.
func TestTLSAndPassword(t *testing.T) {
	t.Parallel()
	server := startServer(t, "--requirepass", "secret", "--user", "weir", "on", ">other", "~weir:*", "+@all")
	pair, cert, key := certificate(t)
	address := tlsBefore(t, server.address(), pair)
	row := func(name string, works bool, change func(*Config)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := Config{Addresses: []string{address}, TLS: true, CA: cert, Cert: cert, Key: key, Password: "secret"}
			change(&c)
			k, err := Open(c, Options{Local: func() tenant.Counters { return nil }})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = k.Close() })
			if k.Shared() != works {
				t.Errorf("shared: %v", k.Shared())
			}
			if works {
				if _, err := k.Take(t.Context(), draw(1, 1)); err != nil || !k.Shared() {
					t.Errorf("not counted: %v", err)
				}
			}
		})
	}
	row("all right", true, func(*Config) {})
	row("a user of its own", true, func(c *Config) { c.Username, c.Password = "weir", "other" })
	row("a wrong password", false, func(c *Config) { c.Password = "wrong" })
	row("no password", false, func(c *Config) { c.Password = "" })
	row("a wrong user", false, func(c *Config) { c.Username, c.Password = "nobody", "secret" })
	row("not trusted", false, func(c *Config) { c.CA = "" })
	row("no certificate of its own", false, func(c *Config) { c.Cert, c.Key = "", "" })
	row("without TLS", false, func(c *Config) { c.TLS, c.CA, c.Cert, c.Key = false, "", "", "" })
}
