package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weir-ai/weir/llm"
)

// Target is one endpoint that a Source found.
type Target struct {
	Name   llm.EndpointID // stays with its URL for as long as that is found
	URL    string         // base of its API, without a slash at the end
	Host   string         // the host that its certificate and the Host header are for; empty: the URL's
	Weight float64        // above 0; 1 where the source says nothing
}

// Source knows where a model's endpoints are. It is asked by one goroutine at a time.
type Source interface {
	// Find gives all targets there are now, in an order that is the same as long as they are. An empty list says that there are none;
	// a source that cannot know, or is not sure, gives an error.
	Find(ctx context.Context) ([]Target, error)
	// Every is the time between two Finds that suits the source; 0: what it finds never changes.
	Every() time.Duration
}

// Static is a list that never changes.
type Static []Target

// Find gives the list.
func (s Static) Find(context.Context) ([]Target, error) { return s, nil }

// Every says that once is enough.
func (s Static) Every() time.Duration { return 0 }

const (
	// targetsMax bounds one source as endpointsMax bounds a model.
	targetsMax = endpointsMax
	// targetNameMax is longer than a model's name with what tells its endpoints apart, and short enough for a label and a header.
	targetNameMax = 220
	// baseNameMax leaves room in targetNameMax for a dash and some of an address's hash.
	baseNameMax = 200
	// targetURLMax is longer than any host name with a path, and 1,024 of them with their names fit a watched file.
	targetURLMax = 512
	// weightMax is the largest weight: what is meant to get none of the requests is taken out instead.
	weightMax = 1000
	// findTimeout is for one Find: with two name servers asked twice each for 5 s, as resolvers do, the second is still heard when the
	// first is dead. It holds up nothing but the next Find.
	findTimeout = 20 * time.Second
)

// DiscoveryOptions say how a source is asked and who is told. All functions are called on the Discovery's goroutine, one at a time;
// they must not stop it. Only Found is needed.
type DiscoveryOptions struct {
	Interval time.Duration // between two Finds; 0: what suits the source
	Timeout  time.Duration // of one Find; 0 is 20 s
	// Found is told the whole list: the first one, and then each that differs from the one before.
	Found func([]Target)
	// Failed is told why the list could not be had, when that begins and when the reason changes. The last list stays in force: an
	// address that was good a moment ago is a better guess than none, and one that died is found out by probes and the breaker.
	Failed func(error)
	// Recovered is told that the list can be had again, before Found if it is another.
	Recovered func()
}

// Discovery asks one Source again and again. It owns one goroutine.
type Discovery struct {
	source  Source
	options DiscoveryOptions
	cancel  context.CancelFunc
	done    sync.WaitGroup

	known  bool // list has been found
	list   []Target
	reason string // of the failure that was told last; empty while all is well
}

// Discover begins to ask s, at once and then until Stop.
func Discover(s Source, o DiscoveryOptions) *Discovery {
	if o.Interval <= 0 {
		o.Interval = s.Every()
	}
	if o.Timeout <= 0 {
		o.Timeout = findTimeout
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := &Discovery{source: s, options: o, cancel: cancel}
	d.done.Go(func() { d.run(ctx) })
	return d
}

// Stop ends it and waits; nothing is told afterwards. It may be called more than once, and not under a lock that Found takes.
func (d *Discovery) Stop() {
	d.cancel()
	d.done.Wait()
}

func (d *Discovery) run(ctx context.Context) {
	for {
		d.find(ctx)
		if d.options.Interval <= 0 {
			return
		}
		// A tenth more or less keeps gateways that were started together from asking one name server together.
		timer := time.NewTimer(time.Duration(float64(d.options.Interval) * (0.9 + 0.2*rand.Float64())))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// find asks once and tells what is news.
func (d *Discovery) find(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, d.options.Timeout)
	list, err := d.source.Find(limited)
	cancel()
	if ctx.Err() != nil {
		return // it was stopped: a Find that was called off says nothing
	}
	if err == nil {
		err = checkTargets(list)
	}
	if err != nil {
		if reason := err.Error(); reason != d.reason {
			d.reason = reason
			if d.options.Failed != nil {
				d.options.Failed(err)
			}
		}
		return
	}
	if d.reason != "" {
		d.reason = ""
		if d.options.Recovered != nil {
			d.options.Recovered()
		}
	}
	if d.known && slices.Equal(list, d.list) {
		return
	}
	d.known, d.list = true, slices.Clone(list)
	if d.options.Found != nil {
		d.options.Found(slices.Clone(list))
	}
}

// checkTargets reports why a list cannot be a model's endpoints.
func checkTargets(list []Target) error {
	if len(list) > targetsMax {
		return fmt.Errorf("found %d endpoints; %d at most for one model: spread them over several models", len(list), targetsMax)
	}
	seen := make(map[llm.EndpointID]bool, len(list))
	for _, t := range list {
		switch {
		case t.Name == "" || len(t.Name) > targetNameMax:
			return fmt.Errorf("endpoint name %.40q is empty or longer than %d bytes", t.Name, targetNameMax)
		case seen[t.Name]:
			return fmt.Errorf("two endpoints are named %q; give one of them another name", t.Name)
		case !(t.Weight > 0 && t.Weight <= weightMax):
			return fmt.Errorf("endpoint %q has the weight %g; it is above 0 and at most %d", t.Name, t.Weight, weightMax)
		}
		seen[t.Name] = true
	}
	return nil
}

// namer names endpoints by their addresses without telling them: a base, and the beginning of the address's hash. An address has the
// same name each time it is found, whoever else is found with it, so that what is known of it stays with it.
type namer struct {
	base llm.EndpointID
	used map[llm.EndpointID]bool
}

func newNamer(base llm.EndpointID) *namer { return &namer{base: base, used: map[llm.EndpointID]bool{}} }

// name gives address its name. Eight digits are short enough to read aloud, and among 1,024 addresses two share them once in eight
// thousand fleets; then the later of the two takes sixteen.
func (n *namer) name(address string) llm.EndpointID {
	sum := sha256.Sum256([]byte(address))
	digits := hex.EncodeToString(sum[:])
	for short := 8; ; short += 8 {
		name := n.base + "-" + llm.EndpointID(digits[:short])
		if !n.used[name] || short == len(digits) {
			n.used[name] = true
			return name
		}
	}
}

// checkBase reports why base cannot begin the names of endpoints. They stand in headers, labels and log lines.
func checkBase(base llm.EndpointID) error {
	if base == "" || len(base) > baseNameMax {
		return fmt.Errorf("the name %.40q is empty or longer than %d bytes; give the endpoint a shorter one", base, baseNameMax)
	}
	for _, c := range base {
		if !plain(c) && !strings.ContainsRune(".:/@+", c) {
			return fmt.Errorf("the name %q has %q; letters, digits and -_.:/@+ are allowed", base, c)
		}
	}
	return nil
}

func plain(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// parseBase reads the URL of an endpoint's API. What it refuses would be sent to the wrong place or end in a log.
func parseBase(raw string) (*url.URL, error) {
	if len(raw) > targetURLMax {
		return nil, fmt.Errorf("the URL %.40q... is longer than %d bytes", raw, targetURLMax)
	}
	if !strings.HasPrefix(raw, "http://") && !strings.HasPrefix(raw, "https://") {
		return nil, errors.New("a URL must begin with http:// or https://, such as http://10.0.0.7:8000/v1")
	}
	u, err := url.Parse(raw)
	if err != nil {
		var part *url.Error
		if errors.As(err, &part) {
			err = part.Err // without the URL, which may hold a password
		}
		return nil, fmt.Errorf("the URL cannot be read: %w", err)
	}
	switch {
	case u.User != nil:
		return nil, fmt.Errorf("the URL of host %q has a name or password in it; put the key into key_env or key_file", u.Host)
	case u.Hostname() == "":
		return nil, fmt.Errorf("the URL %q has no host", raw)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("the URL of host %q has a query or a fragment; leave it out", u.Host)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = strings.TrimRight(u.RawPath, "/")
	return u, nil
}
