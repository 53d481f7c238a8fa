package gateway

import (
	"fmt"
	"net/http"
	"time"
)

// Config says who may come in and within which bounds. The zero value is usable: no keys, no TLS, and the limits that each field
// names. Package config argues for these limits where an operator sets them.
type Config struct {
	KeysRequired bool // refuse requests without a known key

	Cert, CertKey string   // PEM files; both empty speaks plain HTTP
	Origins       []string // sites whose pages may ask: scheme://host[:port], or "*" for all; without keys also the names that this server is known by
	AdminApart    bool     // metrics are on the admin handler, and so not on the main one
	IgnoreUnknown bool     // let pass fields of a body that nobody documents

	Body         int64         // bytes of one request's body; 0 is 32 MB
	BodiesTotal  int64         // bytes of all bodies that are held; 0 is 512 MB
	Header       int           // bytes of one request's head; 0 is 64 KB
	ReadHeader   time.Duration // for the head to arrive; 0 is 10 s
	ReadBody     time.Duration // for the body to arrive; 0 is 1 min
	Idle         time.Duration // for a connection between requests; 0 is 2 min
	Request      time.Duration // for a whole answer; 0 is 10 min
	WriteTimeout time.Duration // for one write to a client that does not read; 0 is 30 s
}

func (c Config) withDefaults() Config {
	size := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	span := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	size(&c.Body, 32<<20)
	size(&c.BodiesTotal, 512<<20)
	if c.Header == 0 {
		c.Header = 64 << 10
	}
	span(&c.ReadHeader, 10*time.Second)
	span(&c.ReadBody, time.Minute)
	span(&c.Idle, 2*time.Minute)
	span(&c.Request, 10*time.Minute)
	span(&c.WriteTimeout, 30*time.Second)
	return c
}

// Validate reports every fault of c.
func (c Config) Validate() []string {
	var bad []string
	add := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	for _, o := range c.Origins {
		if o != "*" && http.NewCrossOriginProtection().AddTrustedOrigin(o) != nil {
			add("cors.origins %q is not an origin; write scheme://host or scheme://host:port without a path, or *", o)
		}
	}
	if (c.Cert == "") != (c.CertKey == "") {
		add("tls needs both cert and key; got cert %q and key %q", c.Cert, c.CertKey)
	}
	if d := c.withDefaults(); d.BodiesTotal < d.Body {
		add("limits.bodies_total %d is below limits.body %d, so that the largest body could never come in", d.BodiesTotal, d.Body)
	}
	for _, n := range []struct {
		name string
		v    int64
	}{{"body", c.Body}, {"bodies_total", c.BodiesTotal}, {"header", int64(c.Header)}, {"read_header", int64(c.ReadHeader)},
		{"read_body", int64(c.ReadBody)}, {"idle", int64(c.Idle)}, {"request", int64(c.Request)}, {"write_timeout", int64(c.WriteTimeout)}} {
		if n.v < 0 {
			add("limits.%s is negative", n.name)
		}
	}
	return bad
}
