package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer answers over UDP on loopback what a test has it answer.
type nameServer struct {
	conn net.PacketConn
	mu   sync.Mutex
	zone map[string][]dnsmessage.ResourceBody // by "A name." and the like; a key without bodies is a name without such records
	code dnsmessage.RCode                     // for all, where it is not success
	mute bool
}

func serveNames(t *testing.T) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{conn: conn, zone: map[string][]dnsmessage.ResourceBody{}}
	var done sync.WaitGroup
	done.Go(s.serve)
	t.Cleanup(func() { _ = conn.Close(); done.Wait() })
	return s
}

func (s *nameServer) serve() {
	buf := make([]byte, 4096)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		if out := s.answer(m); out != nil {
			_, _ = s.conn.WriteTo(out, from)
		}
	}
}

func (s *nameServer) answer(m dnsmessage.Message) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mute {
		return nil
	}
	q := m.Questions[0]
	name := strings.ToLower(q.Name.String())
	head := dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true, RCode: s.code}
	out := dnsmessage.Message{Header: head, Questions: m.Questions}
	bodies, known := s.zone[strings.TrimPrefix(q.Type.String(), "Type")+" "+name]
	for key := range s.zone {
		known = known || strings.HasSuffix(key, " "+name)
	}
	if !known && s.code == dnsmessage.RCodeSuccess {
		out.RCode = dnsmessage.RCodeNameError
	}
	for _, b := range bodies {
		about := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 5}
		out.Answers = append(out.Answers, dnsmessage.Resource{Header: about, Body: b})
	}
	packed, err := out.Pack()
	if err != nil {
		panic(err)
	}
	return packed
}

// resolver is Go's, with s as every name server.
func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", s.conn.LocalAddr().String())
	}}
}

func (s *nameServer) has(key string, bodies ...dnsmessage.ResourceBody) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zone[key] = bodies
}

// wants asks d and compares what it finds, names left out, or why it does not.
func (s *nameServer) wants(t *testing.T, d *DNS, want string) []Target {
	t.Helper()
	list, err := d.Find(t.Context())
	got := ""
	for _, l := range list {
		got += fmt.Sprintf("%s %s %.9g; ", l.URL, l.Host, l.Weight)
	}
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("found %q\nwant  %q", got, want)
	}
	if err == nil {
		if err := checkTargets(list); err != nil {
			t.Error(err)
		}
	}
	return list
}

func a(address string) dnsmessage.ResourceBody {
	return &dnsmessage.AResource{A: netip.MustParseAddr(address).As4()}
}

func aaaa(address string) dnsmessage.ResourceBody {
	return &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(address).As16()}
}

func srv(priority, weight, port int, target string) dnsmessage.ResourceBody {
	return &dnsmessage.SRVResource{Priority: uint16(priority), Weight: uint16(weight), Port: uint16(port), Target: dnsmessage.MustNewName(target)}
}

func newSource(t *testing.T, make func() (*DNS, error)) *DNS {
	t.Helper()
	d, err := make()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDNSFindsEveryAddress(t *testing.T) {
	t.Parallel()
	s := serveNames(t)
	d := newSource(t, func() (*DNS, error) { return NewDNS("chat", "http://chat.test.:8000/v1", s.resolver()) })
	s.has("A chat.test.", a("10.0.0.9"), a("10.0.0.10"), a("10.0.0.9"))
	s.has("AAAA chat.test.", aaaa("fd00::9"))
	first := s.wants(t, d, "http://10.0.0.9:8000/v1 chat.test:8000 1; http://10.0.0.10:8000/v1 chat.test:8000 1; ")
	s.has("A chat.test.", a("10.0.0.1"), a("10.0.0.10"))
	second := s.wants(t, d, "http://10.0.0.1:8000/v1 chat.test:8000 1; http://10.0.0.10:8000/v1 chat.test:8000 1; ")
	if len(first) != 2 || len(second) != 2 || first[1] != second[1] || first[0].Name == second[0].Name {
		t.Errorf("names do not stay with their addresses: %v, then %v", first, second)
	}
	s.has("A chat.test.")
	s.wants(t, d, "http://[fd00::9]:8000/v1 chat.test:8000 1; ")
	https := newSource(t, func() (*DNS, error) { return NewDNS("chat", "https://chat.test./v1/", s.resolver()) })
	s.wants(t, https, "https://[fd00::9]:443/v1 chat.test 1; ")
}

func TestDNSSaysWhyItFindsNothing(t *testing.T) {
	t.Parallel()
	s := serveNames(t)
	d := newSource(t, func() (*DNS, error) { return NewDNS("chat", "http://chat.test.:8000", s.resolver()) })
	records := newSource(t, func() (*DNS, error) { return NewSRV("chat", "http://_chat._tcp.test.", s.resolver()) })
	const noAddress = `dns: "chat.test." has no address; check the name, and whether any replica is ready`
	const noRecords = `dns: "_chat._tcp.test." has no SRV records; check the name, such as _chat._tcp.example.com, and whether any replica is ready`
	s.wants(t, d, noAddress)
	s.wants(t, records, noRecords)
	s.has("TXT chat.test.")
	s.has("TXT _chat._tcp.test.")
	s.wants(t, d, noAddress)
	s.wants(t, records, noRecords)
	s.mu.Lock()
	s.code = dnsmessage.RCodeServerFailure
	s.mu.Unlock()
	s.wants(t, d, `dns: "chat.test." could not be looked up: server misbehaving`)
	s.wants(t, records, `dns: the SRV records of "_chat._tcp.test." could not be looked up: server misbehaving`)
}

func TestDNSFailuresReadTheSameEachTime(t *testing.T) {
	t.Parallel()
	s := serveNames(t)
	d := newSource(t, func() (*DNS, error) { return NewDNS("chat", "http://chat.test.:8000", s.resolver()) })
	s.mu.Lock()
	s.mute = true
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := d.Find(ctx); err == nil || !strings.HasSuffix(err.Error(), "could not be looked up: no name server answered in time") {
		t.Errorf("a silent name server gives %v", err)
	}
	_ = s.conn.Close()
	want := fmt.Sprintf(`dns: "chat.test." could not be looked up: name server %s: read: connection refused`, s.conn.LocalAddr())
	s.wants(t, d, want)
	s.wants(t, d, want)
}

func TestDNSLosesNoEndpointWhenOneFamilyFails(t *testing.T) {
	t.Parallel()
	half := lookup(func(network string) ([]netip.Addr, error) {
		if network == "ip4" {
			return nil, &net.DNSError{Err: "server misbehaving", IsTemporary: true}
		}
		return []netip.Addr{netip.MustParseAddr("fd00::9")}, nil
	})
	d := newSource(t, func() (*DNS, error) { return NewDNS("chat", "http://chat.test:8000", half) })
	if list, err := d.Find(t.Context()); err == nil {
		t.Errorf("found %v where IPv4 could not be asked for", list)
	}
	hosts := lookup(func(network string) ([]netip.Addr, error) { // as for a name of the hosts file
		if network == "ip4" {
			return nil, &net.AddrError{Err: "no suitable address found", Addr: "chat.test"}
		}
		return []netip.Addr{netip.MustParseAddr("::1")}, nil
	})
	d = newSource(t, func() (*DNS, error) { return NewDNS("chat", "http://chat.test:8000", hosts) })
	if list, err := d.Find(t.Context()); err != nil || len(list) != 1 || list[0].URL != "http://[::1]:8000" {
		t.Errorf("found %v, %v", list, err)
	}
}

// lookup is a Lookup without a network.
type lookup func(network string) ([]netip.Addr, error)

func (l lookup) LookupNetIP(_ context.Context, network, _ string) ([]netip.Addr, error) {
	return l(network)
}

func (l lookup) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	return "", nil, errors.New("no SRV records here")
}

func TestDNSTakesAsManyAddressesAsAModelMayHave(t *testing.T) {
	t.Parallel()
	find := func(n int) (list []Target, err error) {
		d := newSource(t, func() (*DNS, error) {
			return NewDNS("chat", "http://chat.test:8000", lookup(func(string) (out []netip.Addr, err error) {
				for i := range n {
					out = append(out, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
				}
				return out, nil
			}))
		})
		if list, err = d.Find(t.Context()); err != nil {
			t.Fatal(err)
		}
		return list, checkTargets(list)
	}
	if list, err := find(targetsMax); err != nil || len(list) != targetsMax {
		t.Errorf("%d endpoints, %v", len(list), err)
	}
	if _, err := find(targetsMax + 1); err == nil {
		t.Error("one too many was taken")
	}
}

func TestSRVRecordsGiveHostsPortsAndWeights(t *testing.T) {
	t.Parallel()
	s := serveNames(t)
	d := newSource(t, func() (*DNS, error) { return NewSRV("chat", "https://_chat._tcp.test./v1", s.resolver()) })
	const key = "SRV _chat._tcp.test."
	s.has(key, srv(10, 30, 8001, "b.test."), srv(10, 10, 8002, "A.test."), srv(20, 0, 8003, "spare.test."), srv(30, 5, 8004, "last.test."),
		srv(40, 5, 8005, "later.test."))
	const want = "https://a.test:8002/v1  0.5; https://b.test:8001/v1  1.5; https://spare.test:8003/v1  0.001; " +
		"https://last.test:8004/v1  1e-06; https://later.test:8005/v1  1e-06; "
	first := s.wants(t, d, want)
	for range 5 { // Go's resolver shuffles them
		if again := s.wants(t, d, want); again[0] != first[0] {
			t.Fatalf("%v, then %v", first[0], again[0])
		}
	}
	s.has(key, srv(0, 0, 80, "a.test."), srv(0, 20, 80, "b.test."), srv(1, 9, 80, "b.test."))
	s.wants(t, d, "https://a.test:80/v1  0.01; https://b.test:80/v1  2; ")
	s.has(key, srv(0, 0, 80, "a.test."), srv(0, 0, 81, "a.test."))
	s.wants(t, d, "https://a.test:80/v1  1; https://a.test:81/v1  1; ")
	s.has(key, srv(0, 0, 0, "."))
	s.wants(t, d, "")
}

func TestDNSRefusesWhatItCannotLookUp(t *testing.T) {
	t.Parallel()
	check := func(make func() (*DNS, error), want string) {
		t.Helper()
		if _, err := make(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	check(func() (*DNS, error) { return NewDNS("chat", "http://10.0.0.7:8000", nil) }, `"10.0.0.7" is an address already; leave discovery out`)
	check(func() (*DNS, error) { return NewDNS("chat", "http://[::1]:8000", nil) }, `"::1" is an address already`)
	check(func() (*DNS, error) { return NewSRV("chat", "http://_chat._tcp.test:80", nil) }, "has a port; SRV records bring their own")
	check(func() (*DNS, error) { return NewDNS("", "http://chat.test", nil) }, "is empty")
	check(func() (*DNS, error) { return NewDNS("chat", "chat.test", nil) }, "must begin with http://")
	if d, err := NewDNS("chat", "http://chat.test", nil); err != nil || d.Every() != dnsEvery {
		t.Errorf("a good name: %v", err)
	}
}
