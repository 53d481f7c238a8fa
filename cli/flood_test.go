package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-ai/weir/flood"
	"github.com/weir-ai/weir/workload"
)

// flooded is a server that answers at once, and what it was asked with.
func flooded(t *testing.T) (url string, heads func() []http.Header) {
	t.Helper()
	var mu sync.Mutex
	var seen []http.Header
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		seen = append(seen, r.Header)
		n := len(seen)
		mu.Unlock()
		if n%4 == 0 {
			w.Header().Set("X-Weir-Reason", "gate_full")
			w.WriteHeader(503)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
	}))
	t.Cleanup(s.Close)
	return s.URL, func() []http.Header {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(seen)
	}
}

func TestFloodReportsAndCompares(t *testing.T) {
	t.Parallel()
	url, heads := flooded(t)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	keys := file("keys")
	if err := os.WriteFile(keys, []byte("# who\na=KA\n\n*=KX\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := []string{"flood", url, "--model", "m", "--tokens-per-word", "1", "--duration", "400ms", "--rate", "200", "--tenants", "a=1,b=1", "--classes", "batch=1,interactive=1",
		"--keys", keys, "--key", "b=KB", "--header", "X-Extra: yes", "--even", "--no-live"}
	out := weir(t, "", append(flags, "--json", file("a.json"), "--html", file("a.html"))...).ok(t)
	if !strings.Contains(out, "goodput") || !strings.Contains(out, "503 gate_full") || !strings.Contains(out, "tenant a") || !strings.Contains(out, "class batch") {
		t.Error(out)
	}
	for _, h := range heads() {
		if key := h.Get("Authorization"); key != "Bearer KA" && key != "Bearer KB" || h.Get("X-Extra") != "yes" || h.Get("X-Weir-Class") == "" {
			t.Fatalf("%v", h)
		}
	}
	page, err := os.ReadFile(file("a.html"))
	if err != nil || !strings.Contains(string(page), "<svg") {
		t.Errorf("%d bytes of HTML, %v", len(page), err)
	}
	r := decode[flood.Report](t, weir(t, "", append(flags, "--json", "-")...).ok(t))
	if r.Schema != flood.Schema || r.Total.Offered < 70 || r.Total.Good == 0 || r.Total.Refused == 0 || r.Version != "v1.2.3-test" {
		t.Errorf("%+v", r.Total)
	}
	both := weir(t, "", "flood", "--compare", file("a.json"), file("a.json"), "--html", file("c.html")).ok(t)
	if !strings.Contains(both, "goodput/s") || !strings.Contains(both, "1.000") {
		t.Error(both)
	}
	if rows := decode[[]flood.Ratio](t, weir(t, "", "flood", "--compare", "--json", "-", file("a.json"), file("a.json")).ok(t)); len(rows) < 20 || rows[1].Ratio != 1 {
		t.Errorf("%v", rows)
	}
	if page, err = os.ReadFile(file("c.html")); err != nil || !strings.Contains(string(page), "B / A") {
		t.Errorf("%d bytes of HTML, %v", len(page), err)
	}
}

func TestFloodShowsALineASecond(t *testing.T) {
	t.Parallel()
	url, _ := flooded(t)
	r := weir(t, "", "flood", url, "--model", "m", "--tokens-per-word", "1", "--duration", "1100ms", "--rate", "50")
	if r.ok(t); !strings.Contains(r.err, "offered") || strings.Contains(r.err, "\x1b") {
		t.Errorf("%q", r.err)
	}
}

func TestFloodRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	url, heads := flooded(t)
	check := func(word string, args ...string) {
		t.Helper()
		weir(t, "", append([]string{"flood"}, args...)...).fails(t, exitUsage, word)
	}
	check("0 servers")
	check("2 servers", url, url)
	check("shape", url, "--shape", "wave")
	check("Rate", url, "--rate=-1")
	check("tenants", url, "--tenants", "a=x")
	check("classes", url, "--classes", "a,a")
	check("objective", url, "--objective", "ttft=soon")
	check("weight", url, "--weight", "a=0")
	check("header", url, "--header", "X")
	check("spread", url, "--spread", "9")
	check("nowhere.csv", url, "--trace", "nowhere.csv")
	check("speed", url, "--trace", "nowhere.csv", "--speed", "0")
	check("two, as", "--compare", "a.json")
	check("no such file", "--compare", "a.json", "b.json")
	weir(t, "", "flood", "http://192.0.2.1").fails(t, exitFailed, "--i-own-this-server")
	weir(t, "", "flood", url, "--model", "m", "--obey", "2").fails(t, exitUsage, "Obey")
	if n := len(heads()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestFloodMakesTheWorkloadThatIsAskedFor(t *testing.T) {
	t.Parallel()
	trace := filepath.Join(t.TempDir(), "t.csv")
	if err := os.WriteFile(trace, []byte("at,prompt,output,tenant\n0,11,1,x\n4,12,2,\n8,13,3,x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := floodCommand{Duration: time.Minute, Speed: 1, Sample: 1, Prompt: 256, Output: 64, Spread: 0.8, Seed: 1}
	check := func(change func(*floodCommand), length time.Duration, n int, last workload.Request) {
		t.Helper()
		c := base
		change(&c)
		seq, got, err := c.requests()
		if err != nil {
			t.Fatal(err)
		}
		rs := slices.Collect(seq)
		if got != length || len(rs) < n*9/10 || len(rs) > n*11/10 {
			t.Fatalf("%d requests in %s, want %d in %s", len(rs), got, n, length)
		}
		if end := rs[len(rs)-1]; last.Prompt > 0 && fmt.Sprint(end) != fmt.Sprint(last) {
			t.Errorf("the last is %+v, want %+v", end, last)
		}
	}
	check(func(c *floodCommand) { c.Trace = trace }, 9*time.Second, 3, workload.Request{At: 8 * time.Second, Prompt: 13, Output: 3, Tenant: "x"})
	check(func(c *floodCommand) { c.Trace, c.Speed = "csv:"+trace, 4 }, 3*time.Second, 3, workload.Request{At: 2 * time.Second, Prompt: 13, Output: 3, Tenant: "x"})
	check(func(c *floodCommand) { c.Trace, c.Rate, c.Classes = trace, 3, "batch" }, 2*time.Second, 3, workload.Request{At: time.Second, Prompt: 13, Output: 3, Tenant: "x", Class: "batch"})
	check(func(c *floodCommand) { c.Trace, c.From, c.Span, c.Tenants = trace, 2*time.Second, 4*time.Second, "y" }, 3*time.Second, 1,
		workload.Request{At: 2 * time.Second, Prompt: 12, Output: 2, Tenant: "y"})
	check(func(c *floodCommand) { c.Trace, c.Shape, c.Rate = trace, "steady", 20 }, time.Minute, 1200, workload.Request{})
	check(func(c *floodCommand) { c.Shape, c.Rate = "step:4x", 10 }, time.Minute, 1200, workload.Request{})
	check(func(*floodCommand) {}, time.Minute, 600, workload.Request{})
}

func TestCommandLinesAreKeptWithoutSecrets(t *testing.T) {
	t.Parallel()
	got := commandLine([]string{"/usr/bin/weir", "flood", ":8080", "--key", "a=secret", "--key=secret", "--header", "X: secret", "--shape", "step:4x", "it's"})
	if got != `weir flood :8080 --key ... --key=... --header ... --shape step:4x 'it'\''s'` {
		t.Error(got)
	}
}

func TestTheLiveViewFitsItsLines(t *testing.T) {
	t.Parallel()
	l := &floodLive{}
	s := flood.Snapshot{At: 12 * time.Second, For: 30 * time.Second, Warmup: 5 * time.Second, Offered: 9, Open: 3, Classes: []flood.ClassNow{{Name: "a"}, {Name: "b"}}}
	lines := l.lines(s)
	if len(lines) != 6 || !strings.Contains(lines[0], "12s of 30s") || !strings.Contains(lines[5], "3 open") {
		t.Errorf("%q", lines)
	}
	s.At = 2 * time.Second
	if !strings.Contains(floodBar(s), "warm-up") {
		t.Error(floodBar(s))
	}
	s.At = 40 * time.Second
	if bar := floodBar(s); !strings.Contains(bar, "last answers") || strings.Contains(bar, "░") {
		t.Error(bar)
	}
	if clipped("añbc", 3) != "añ" || clipped("a", 80) != "a" || clipped(strings.Repeat("x", 99), 80) != strings.Repeat("x", 79) {
		t.Error("lines are not cut to the width")
	}
}
