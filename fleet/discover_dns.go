package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-ai/weir/llm"
)

// Lookup is what DNS needs of a resolver; a *net.Resolver is one.
type Lookup interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, addrs []*net.SRV, err error)
}

// dnsEvery is how often a name is looked up. Go's resolver does not tell how long an answer is good for; Kubernetes says 5 s and keeps
// what it says for 30. A replica that is new has spent longer on loading its model, and one that is gone is found out by probes and
// requests, so that less would only burden the name server; a minute would leave what was scaled up in a flood unused in its worst part.
const dnsEvery = 10 * time.Second

// DNS finds endpoints by a name.
//
// An answer without any address is an error here, never an empty list: a headless service whose replicas all fail their checks, a name
// server that has just started and a zone that is being replaced all answer so for a moment. The old addresses cost a failed connection
// each, which the breaker sees; forgetting them would make an outage of it, and would forget what was measured.
type DNS struct {
	base   llm.EndpointID
	url    *url.URL
	lookup Lookup
	srv    bool
}

// NewDNS makes a source in which every address of raw's host is an endpoint: with raw's port, or its scheme's, and raw's path. Names
// are base and a hash of the address. A nil lookup is the system's resolver.
//
// Where a host has IPv4 addresses, its IPv6 ones are left out: a replica with both would be two endpoints, each with half of what is
// known of it.
func NewDNS(base llm.EndpointID, raw string, lookup Lookup) (*DNS, error) {
	return newDNS(base, raw, lookup, false)
}

// NewSRV makes a source in which every target of the SRV records of raw's host, such as _chat._tcp.example.com, is an endpoint: with
// raw's scheme and path, and the record's host and port.
//
// Weights are the records', against their mean; 0, "very little" in RFC 2782, is a hundredth of it. Records behind the first priority
// get a thousandth of their weight, and those behind the second a millionth: next to nothing while an earlier one takes requests, all
// of it when none does.
func NewSRV(base llm.EndpointID, raw string, lookup Lookup) (*DNS, error) {
	return newDNS(base, raw, lookup, true)
}

func newDNS(base llm.EndpointID, raw string, lookup Lookup, srv bool) (*DNS, error) {
	if err := checkBase(base); err != nil {
		return nil, err
	}
	u, err := parseBase(raw)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return nil, fmt.Errorf("the URL's host %q is an address already; leave discovery out", u.Hostname())
	}
	if srv && u.Port() != "" {
		return nil, fmt.Errorf("the URL's host %q has a port; SRV records bring their own, so leave it out", u.Host)
	}
	if lookup == nil {
		lookup = net.DefaultResolver
	}
	return &DNS{base: base, url: u, lookup: lookup, srv: srv}, nil
}

// Every is 10 s.
func (d *DNS) Every() time.Duration { return dnsEvery }

// Find looks the name up.
func (d *DNS) Find(ctx context.Context) ([]Target, error) {
	if d.srv {
		return d.findSRV(ctx)
	}
	host := d.url.Hostname()
	addresses, err := d.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	port := d.url.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[d.url.Scheme]
	}
	called := strings.TrimSuffix(host, ".") // no certificate has the dot that ends a search
	if d.url.Port() != "" {
		called = net.JoinHostPort(called, port)
	}
	names := newNamer(d.base)
	var list []Target
	for _, a := range addresses {
		at := net.JoinHostPort(a.String(), port)
		list = append(list, Target{Name: names.name(at), URL: d.at(at), Host: called, Weight: 1})
	}
	return list, nil
}

// addresses gives those of host, sorted, each once. IPv6 is asked for only where there is no IPv4: were both asked for at once, one
// lost answer would exchange all endpoints for others.
func (d *DNS) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	for _, network := range []string{"ip4", "ip6"} {
		found, err := d.lookup.LookupNetIP(ctx, network, host)
		if err != nil && !absent(err) {
			return nil, fmt.Errorf("dns: %q could not be looked up: %w", host, reasonOf(err))
		}
		if len(found) > 0 && err == nil {
			for i := range found {
				found[i] = found[i].Unmap()
			}
			slices.SortFunc(found, netip.Addr.Compare)
			return slices.Compact(found), nil
		}
	}
	return nil, fmt.Errorf("dns: %q has no address; check the name, and whether any replica is ready", host)
}

func (d *DNS) findSRV(ctx context.Context) ([]Target, error) {
	host := d.url.Hostname()
	_, records, err := d.lookup.LookupSRV(ctx, "", "", host)
	if err != nil && !absent(err) {
		return nil, fmt.Errorf("dns: the SRV records of %q could not be looked up: %w", host, reasonOf(err))
	}
	if len(records) == 0 || err != nil {
		return nil, fmt.Errorf("dns: %q has no SRV records; check the name, such as _chat._tcp.example.com, and whether any replica is ready", host)
	}
	if len(records) == 1 && records[0].Target == "." {
		return nil, nil // RFC 2782: decidedly not available. This is said, and no answer that went missing.
	}
	names := newNamer(d.base)
	var list []Target
	for _, r := range shares(records) {
		at := net.JoinHostPort(r.host, r.port)
		list = append(list, Target{Name: names.name(at), URL: d.at(at), Weight: r.weight})
	}
	return list, nil
}

// share is one SRV record's host with its part of the requests.
type share struct {
	host, port string
	weight     float64
}

// shares turns records into weights. The order is by priority, then name, and each host and port comes once, with its first priority.
func shares(records []*net.SRV) []share {
	records = slices.Clone(records)
	slices.SortFunc(records, func(a, b *net.SRV) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), strings.Compare(a.Target, b.Target), cmp.Compare(a.Port, b.Port),
			cmp.Compare(b.Weight, a.Weight))
	})
	var out []share
	seen := map[string]bool{}
	factor := 1.0
	for begin := 0; begin < len(records); {
		end, sum := begin, 0
		for ; end < len(records) && records[end].Priority == records[begin].Priority; end++ {
			sum += int(records[end].Weight)
		}
		mean := float64(sum) / float64(end-begin)
		for _, r := range records[begin:end] {
			s := share{host: strings.ToLower(strings.TrimSuffix(r.Target, ".")), port: strconv.Itoa(int(r.Port)), weight: factor}
			if sum > 0 {
				s.weight = factor * min(max(float64(r.Weight)/mean, srvLeast), weightMax)
			}
			if at := net.JoinHostPort(s.host, s.port); s.host != "" && !seen[at] {
				seen[at] = true
				out = append(out, s)
			}
		}
		begin = end
		factor = max(factor*srvBehind, srvBehind*srvBehind)
	}
	return out
}

const (
	// srvLeast is the share of a record with weight 0 among others, against their mean.
	srvLeast = 0.01
	// srvBehind is the share of a priority against the one before it: so little that the first must be a thousand times as busy before
	// another is asked.
	srvBehind = 1e-3
)

// at is the base URL with another host.
func (d *DNS) at(host string) string {
	u := *d.url
	u.Host = host
	return u.String()
}

// absent reports whether err says that there is no such record, as opposed to not knowing.
func absent(err error) bool {
	var dns *net.DNSError
	var address *net.AddrError // the hosts file knows the name, with addresses of the other family
	return errors.As(err, &dns) && dns.IsNotFound || errors.As(err, &address)
}

// reasonOf takes from a resolver's error what differs each time, such as the port it asked from: the same failure must read the same,
// or it would be told each time.
func reasonOf(err error) error {
	var dns *net.DNSError
	if !errors.As(err, &dns) {
		return err
	}
	if dns.IsTimeout {
		return errors.New("no name server answered in time")
	}
	if _, peer, ok := strings.Cut(dns.Err, "->"); ok {
		return errors.New("name server " + peer)
	}
	return errors.New(dns.Err)
}
