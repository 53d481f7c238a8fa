package openai

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// Config says how one endpoint is reached.
type Config struct {
	URL     string            // its base, such as http://127.0.0.1:8001/v1
	Host    string            // the host that its certificate and the Host header are for; empty: the URL's
	Model   string            // what it calls the model; empty: as clients do
	Kind    string            // one of Kinds; empty: it is asked
	Key     string            // sent as a bearer token; empty for none
	KeyName string            // where the key came from, for messages: the key itself is told to nobody
	Headers map[string]string // sent with every request
	CA      string            // PEM file of further authorities to trust; empty: the system's alone
	HTTP2   bool              // over plain TCP, too; over TLS it is negotiated

	Connect time.Duration // for the connection and its handshake; 0 is 2 s
	First   time.Duration // until the first token, or the head of an answer in one piece; 0 is 2 min
	Between time.Duration // between two events of a stream; 0 is 30 s
	Total   time.Duration // for the whole answer; 0 is as long as the request may take
	Conns   int           // connections at most; 0 is 4,096
}

func (c Config) withDefaults() Config {
	span := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	// A connection inside a data centre takes a millisecond, across an ocean 150: in 2 s three lost packets are sent again.
	span(&c.Connect, 2*time.Second)
	// A long prompt behind a full queue: below a minute, busy engines would be taken for dead, and beyond two nobody waits.
	span(&c.First, 2*time.Minute)
	// A step of the slowest engine behind the longest prefill of a neighbour; providers send a comment every 15 s.
	span(&c.Between, 30*time.Second)
	if c.Conns == 0 {
		c.Conns = 4096 // as many as one process' usual descriptors allow beside its clients'
	}
	return c
}

// Validate reports every fault of c, each beginning with the key's name.
func (c Config) Validate() []string {
	var bad []string
	add := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		add("url %q is not an address; write http://host:port/v1 or https://host/v1", c.URL)
	case u.User != nil:
		add("url has a user or password in it; leave them out and give the key as key_env or key_file")
	case u.RawQuery != "" || u.Fragment != "":
		add("url %q has more than a path; leave out what follows ? or #", c.URL)
	case strings.HasSuffix(u.Path, "/completions") || strings.HasSuffix(u.Path, "/models"):
		add("url %q names a route; write the base that all routes share, such as %s://%s/v1", c.URL, u.Scheme, u.Host)
	}
	if c.Kind != "" && !slices.Contains(Kinds(), c.Kind) {
		add("kind %q is not known; leave it out and the endpoint is asked, or write one of %s", c.Kind, strings.Join(Kinds(), ", "))
	}
	for name, v := range c.Headers {
		if !token(name) || strings.ContainsAny(v, "\r\n\x00") {
			add("headers.%q cannot be a header; a name has letters, digits and dashes, a value stands on one line", name)
		}
		if h := http.CanonicalHeaderKey(name); slices.Contains([]string{"Authorization", "Content-Length", "Host", "Transfer-Encoding", "Connection"}, h) {
			add("headers.%s is set by Weir; a key belongs to key_env or key_file", h)
		}
	}
	if c.CA != "" {
		if _, err := os.Stat(c.CA); err != nil {
			add("ca %q cannot be read: %v", c.CA, err)
		}
	}
	for _, d := range []struct {
		name string
		v    time.Duration
	}{{"connect", c.Connect}, {"first", c.First}, {"between", c.Between}, {"total", c.Total}} {
		if d.v < 0 || d.v > 24*time.Hour {
			add("timeouts.%s %s is out of range; it is above 0 and at most 24h", d.name, d.v.Round(time.Millisecond))
		}
	}
	if c.Conns < 0 || c.Conns > 65536 {
		add("connections %d is out of range; it is 1 to 65536", c.Conns)
	}
	return bad
}

// token reports whether s is a header's name.
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}
