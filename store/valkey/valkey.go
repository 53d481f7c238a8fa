// Package valkey counts tenants' limits and budgets for several replicas of Weir in a Valkey server, or whatever speaks its protocol
// and runs its scripts: alone, with TLS and a password, or a cluster.
//
// Counters is the whole: while the server answers, it counts there, in one script and one round trip a request, by the server's
// clock. Where it does not, each replica counts by itself until it does again, and then tells it what was spent meanwhile. It owns one
// goroutine between Open and Close, which connects and looks whether the server is back. The lock of its state is never held during a call.
//
// The package never makes a request wait for longer than Config.Timeout, and keeps no keys and no names but those of tenants in the
// server.
package valkey

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	client "github.com/valkey-io/valkey-go"

	"github.com/weir-ai/weir/tenant"
)

// Config says where the server is. The zero value has none; see Validate.
type Config struct {
	Addresses []string // host:port; several for a cluster, any of its nodes
	Username  string   // of an ACL; empty: the default user
	Password  string
	TLS       bool
	CA        string // file with certificates to trust beside the system's; needs TLS
	Cert, Key string // files with this client's certificate; need TLS, and each other
	Prefix    string // of the keys; empty is "weir". Replicas that share limits share it
	// Timeout bounds what a request waits for the server; 0 is 100 ms. A shorter one would take a garbage collection here or a fork
	// there, 10 to 50 ms, for an end of the server, and let each replica count for itself; a longer one would be noticed by people
	// in the first requests after the server is gone.
	Timeout time.Duration
}

const (
	timeoutDefault = 100 * time.Millisecond
	// restTimeout bounds a round trip that no request waits for.
	restTimeout   = 2 * time.Second
	prefixDefault = "weir"
	prefixMax     = 100
)

// Validate names every fault.
func (c Config) Validate() []string {
	var bad []string
	add := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	if len(c.Addresses) == 0 {
		add("addresses is empty; name the server as host:port")
	}
	for _, a := range c.Addresses {
		if host, port, err := net.SplitHostPort(a); err != nil || host == "" || port == "" {
			add("address %q is not host:port, such as 127.0.0.1:6379", a)
		}
	}
	if !c.TLS && (c.CA != "" || c.Cert != "" || c.Key != "") {
		add("ca, cert and key need tls: true")
	}
	if (c.Cert == "") != (c.Key == "") {
		add("cert and key go together; name both or none")
	}
	if c.Username != "" && c.Password == "" {
		add("username %q has no password; give it one", c.Username)
	}
	if len(c.Prefix) > prefixMax || strings.ContainsAny(c.Prefix, "{}* \t\r\n") {
		add("prefix %q is not one; it has at most %d bytes, without spaces, braces and stars", c.Prefix, prefixMax)
	}
	if c.Timeout < 0 || c.Timeout > 10*time.Second {
		add("timeout %s is out of range; it is 0 (100 ms) to 10s", c.Timeout)
	}
	return bad
}

// options are the client's: it answers with an error at once when a connection ends, and never sends anything twice.
func (c Config) options() (client.ClientOption, error) {
	o := client.ClientOption{
		InitAddress: c.Addresses, Username: c.Username, Password: c.Password, ClientName: "weir",
		DisableCache: true, // nothing is read that the client could keep
		DisableRetry: true, // a script that was sent may have run
		Dialer:       net.Dialer{Timeout: restTimeout},
		// A connection on which nothing comes back for this long is taken for gone.
		ConnWriteTimeout: restTimeout,
	}
	if !c.TLS {
		return o, nil
	}
	o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if host, _, err := net.SplitHostPort(c.Addresses[0]); err == nil && len(c.Addresses) == 1 {
		o.TLSConfig.ServerName = host
	}
	if c.CA != "" {
		text, err := os.ReadFile(c.CA)
		if err != nil {
			return o, fmt.Errorf("the file of ca cannot be read: %w", err)
		}
		if o.TLSConfig.RootCAs, err = x509.SystemCertPool(); err != nil {
			o.TLSConfig.RootCAs = x509.NewCertPool() // a system without any
		}
		if !o.TLSConfig.RootCAs.AppendCertsFromPEM(text) {
			return o, fmt.Errorf("ca %s has no certificate in PEM form", c.CA)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return o, fmt.Errorf("cert %s and key %s are no pair: %w", c.Cert, c.Key, err)
		}
		o.TLSConfig.Certificates = []tls.Certificate{pair}
	}
	return o, nil
}

// connect makes a client, which is connected then.
func connect(c Config) (*shared, error) {
	o, err := c.options()
	if err != nil {
		return nil, err
	}
	conn, err := client.NewClient(o)
	if err != nil {
		return nil, err
	}
	s := &shared{c: conn, s: newScripts(), prefix: c.Prefix, take: c.Timeout, rest: restTimeout, leaseMs: milliseconds(tenant.LeaseTime)}
	if s.prefix == "" {
		s.prefix = prefixDefault
	}
	if s.take == 0 {
		s.take = timeoutDefault
	}
	return s, nil
}

// ErrAway says that what the server alone can do was asked while it does not answer.
var ErrAway = errors.New("valkey does not answer")
