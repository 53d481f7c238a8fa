package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-ai/weir/llm"
)

// script is a Source that a test writes as it goes.
type script struct {
	every time.Duration
	mu    sync.Mutex
	find  func(context.Context) ([]Target, error)
	asked []time.Time
}

func (s *script) Every() time.Duration { return s.every }

func (s *script) Find(ctx context.Context) ([]Target, error) {
	s.mu.Lock()
	find := s.find
	s.asked = append(s.asked, time.Now())
	s.mu.Unlock()
	return find(ctx)
}

func (s *script) does(find func(context.Context) ([]Target, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.find = find
}

func (s *script) finds(names ...string) {
	s.does(func(context.Context) ([]Target, error) { return targets(names...), nil })
}

func (s *script) fails(reason string) {
	s.does(func(context.Context) ([]Target, error) { return targets("ignored"), errors.New(reason) })
}

// times gives when it was asked.
func (s *script) times() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func targets(names ...string) []Target {
	var out []Target
	for _, n := range names {
		out = append(out, Target{Name: llm.EndpointID(n), URL: "http://" + n, Weight: 1})
	}
	return out
}

// diary has options that write down what a Discovery tells; told gives it and begins anew.
type diary struct{ story }

func (d *diary) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) options() DiscoveryOptions {
	return DiscoveryOptions{
		Found: func(list []Target) {
			line := "found"
			for _, t := range list {
				line += " " + string(t.Name)
			}
			d.note(line)
		},
		Failed:    func(err error) { d.note("failed " + err.Error()) },
		Recovered: func() { d.note("recovered") },
	}
}

func TestDiscoveryTellsWhatIsNews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, log := &script{every: 10 * time.Second}, &diary{}
		s.fails("no name server")
		d := Discover(s, log.options())
		defer d.Stop()
		synctest.Wait()
		step := func(want string) {
			t.Helper()
			if got := log.told(); got != want {
				t.Errorf("told %q, want %q", got, want)
			}
		}
		step("failed no name server")
		after(time.Minute)
		step("")
		s.finds("a", "b")
		after(11 * time.Second)
		step("recovered; found a b")
		after(time.Minute)
		step("")
		s.fails("no name server")
		after(11 * time.Second)
		step("failed no name server")
		s.fails("no such name")
		after(11 * time.Second)
		step("failed no such name")
		s.finds("a", "b")
		after(11 * time.Second)
		step("recovered")
		s.finds()
		after(11 * time.Second)
		step("found")
		s.finds("b")
		after(11 * time.Second)
		step("found b")
		if asked := s.times(); len(asked) < 19 || len(asked) > 24 {
			t.Errorf("asked %d times in %s, want every 10 s and a tenth", len(asked), time.Since(asked[0]))
		}
	})
}

func TestDiscoveryTellsAnEmptyListToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, log := &script{every: time.Second}, &diary{}
		s.finds()
		d := Discover(s, log.options())
		defer d.Stop()
		after(time.Minute)
		if got := log.told(); got != "found" {
			t.Errorf("told %q", got)
		}
	})
}

func TestDiscoveryAsksAStaticSourceOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &diary{}
		d := Discover(Static(targets("a", "b")), log.options())
		synctest.Wait()
		if got := log.told(); got != "found a b" {
			t.Errorf("told %q", got)
		}
		d.Stop()
		d.Stop()
	})
}

func TestDiscoveryEndsAFindThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, log := &script{every: time.Second}, &diary{}
		s.does(func(ctx context.Context) ([]Target, error) { <-ctx.Done(); return nil, ctx.Err() })
		d := Discover(s, log.options())
		after(findTimeout)
		if got := log.told(); got != "failed context deadline exceeded" {
			t.Errorf("told %q", got)
		}
		after(5 * time.Second) // into the next
		d.Stop()
		if got := log.told(); got != "" {
			t.Errorf("being stopped was told as %q", got)
		}
		asked := len(s.times())
		after(time.Minute)
		if len(s.times()) != asked {
			t.Error("it asks after Stop")
		}
	})
}

func TestDiscoveryBoundsWhatItTakes(t *testing.T) {
	t.Parallel()
	full := make([]string, targetsMax+1)
	for i := range full {
		full[i] = fmt.Sprint(i)
	}
	check := func(list []Target, want string) {
		t.Helper()
		got := ""
		if err := checkTargets(list); err != nil {
			got = err.Error()
		}
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	weighs := func(w float64) []Target { return []Target{{Name: "a", URL: "http://a", Weight: w}} }
	check(nil, "")
	check(targets(full[:targetsMax]...), "")
	check(targets(full...), "found 1025 endpoints; 1024 at most")
	check(targets(strings.Repeat("n", targetNameMax)), "")
	check(targets(strings.Repeat("n", targetNameMax+1)), "longer than 220 bytes")
	check(targets(""), "is empty")
	check(targets("a", "b", "a"), `two endpoints are named "a"`)
	check(weighs(1000), "")
	check(weighs(1000.1), "weight 1000.1")
	check(weighs(0), "weight 0")
	nan := 0.0
	check(weighs(nan/nan), "weight NaN")

	synctest.Test(t, func(t *testing.T) {
		s, log := &script{every: time.Second}, &diary{}
		s.finds("a")
		d := Discover(s, log.options())
		defer d.Stop()
		synctest.Wait()
		s.finds(full...)
		after(2 * time.Second)
		if got := log.told(); !strings.HasPrefix(got, "found a; failed found 1025 endpoints") {
			t.Errorf("told %q", got)
		}
	})
}

func TestNamesStayWithTheirAddressesAndDoNotTellThem(t *testing.T) {
	t.Parallel()
	n := newNamer("chat")
	first := n.name("10.0.0.7:8000")
	if len(first) != len("chat-")+8 || !strings.HasPrefix(string(first), "chat-") || strings.ContainsAny(string(first), ".:") {
		t.Errorf("the name is %q", first)
	}
	again := newNamer("chat")
	again.name("10.0.0.1:8000")
	if got := again.name("10.0.0.7:8000"); got != first {
		t.Errorf("beside another address the name is %q, not %q", got, first)
	}
	// Two addresses whose hashes begin alike are found by trying.
	seen := map[string]string{}
	for i := range 1 << 18 {
		address := fmt.Sprintf("10.%d.%d.%d:8000", i>>16, i>>8&255, i&255)
		sum := sha256.Sum256([]byte(address))
		digits := hex.EncodeToString(sum[:4])
		other, twice := seen[digits]
		seen[digits] = address
		if !twice {
			continue
		}
		n := newNamer("chat")
		short := "chat-" + digits
		if a, b := string(n.name(other)), string(n.name(address)); a != short || len(b) != len(short)+8 || !strings.HasPrefix(b, short) {
			t.Errorf("%s and %s are named %q and %q", other, address, a, b)
		}
		return
	}
	t.Fatal("no two addresses share eight digits; try more")
}

func TestBasesAreChecked(t *testing.T) {
	t.Parallel()
	check := func(base, want string) {
		t.Helper()
		err := checkBase(llm.EndpointID(base))
		if want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: %v, want %q", base, err, want)
		}
	}
	check("org/name:v1-1", "")
	check(strings.Repeat("b", baseNameMax), "")
	check(strings.Repeat("b", baseNameMax+1), "longer than 200 bytes")
	check("", "is empty")
	check("a b", `has ' '`)
	check("a\nb", `has '\n'`)
}

func TestURLsAreChecked(t *testing.T) {
	t.Parallel()
	check := func(raw, want string) {
		t.Helper()
		u, err := parseBase(raw)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = u.String()
		}
		if !strings.Contains(got, want) || err == nil && got != want {
			t.Errorf("%.60q: %q, want %q", raw, got, want)
		}
		if strings.Contains(got, "secret") {
			t.Errorf("%q tells the password: %q", raw, got)
		}
	}
	check("http://a:8000/v1/", "http://a:8000/v1")
	check("https://a", "https://a")
	check("http://[::1]:8000", "http://[::1]:8000")
	check("a:8000/v1", "must begin with http:// or https://")
	check("ftp://a", "must begin with http:// or https://")
	check("http://", "has no host")
	check("http://:8000/v1", "has no host")
	check("http://me:secret@a/v1", "put the key into key_env or key_file")
	check("http://me:secret@a:port%zz/v1", "the URL cannot be read")
	check("http://a/v1?key=secret", "has a query or a fragment")
	check("http://a/v1#secret", "has a query or a fragment")
	long := "http://a/" + strings.Repeat("p", targetURLMax-len("http://a/"))
	check(long, long)
	check(long+"p", "is longer than 512 bytes")
}

func TestTargetsAreNotShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		list := targets("a", "b")
		var told [][]Target
		d := Discover(Static(list), DiscoveryOptions{Interval: time.Second, Found: func(l []Target) {
			l[0].Name = "changed by who was told"
			told = append(told, slices.Clone(l))
		}})
		defer d.Stop()
		after(10 * time.Second)
		d.Stop()
		if len(told) != 1 || list[0].Name != "a" {
			t.Errorf("told %d times: %v; the source's list is %v", len(told), told, list)
		}
	})
}
