package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// drive runs a short load against a server, without a warm-up.
func drive(t *testing.T, serve http.HandlerFunc, args ...string) (*load, map[string]any) {
	t.Helper()
	server := httptest.NewServer(serve)
	t.Cleanup(server.Close)
	o, err := readFlags(append([]string{"-addr", server.Listener.Addr().String(), "-warm", "0s", "-d", "300ms", "-c", "4"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	target, err := newTarget(o)
	if err != nil {
		t.Fatal(err)
	}
	l := newLoad(o, target, time.Now())
	return l, l.report(l.drive())
}

func TestClosedLoop(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	bodies := map[string]bool{}
	asked := 0
	l, report := drive(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		asked++
		bodies[string(body)] = true
		if asked%2 == 0 {
			http.Error(w, "later", http.StatusTooManyRequests)
		}
	}, "-pids", fmt.Sprintf("self=%d", os.Getpid()))
	mu.Lock()
	defer mu.Unlock()
	if asked < 2 || len(bodies) != asked {
		t.Errorf("%d requests had %d different bodies", asked, len(bodies))
	}
	codes := report["codes"].(map[string]int64)
	if codes["200"] == 0 || codes["429"] == 0 || codes["200"] != l.ok.Load() || l.all.latency.n != uint64(l.ok.Load()) {
		t.Errorf("codes %v, %d good, %d latencies", codes, l.ok.Load(), l.all.latency.n)
	}
	if l.ioErrors.Load() != 0 || l.dialErrors.Load() != 0 {
		t.Errorf("%d broken, %d not dialled", l.ioErrors.Load(), l.dialErrors.Load())
	}
	var text bytes.Buffer
	l.print(&text, usage{wall: 1})
	if !strings.Contains(text.String(), "mode=closed") || !strings.Contains(text.String(), "p99=") {
		t.Errorf("printed %q", text.String())
	}
}

func TestSameBodies(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	bodies := map[string]bool{}
	drive(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		bodies[string(body)] = true
	}, "-same")
	if len(bodies) != 1 {
		t.Errorf("%d different bodies with -same", len(bodies))
	}
}

// TestOpenLoopCountsFromTheSchedule: one connection and a server that takes 50 ms for each answer, at 100 arrivals a second: whoever
// arrives later waits for all before. A loop that counted from sending would see 50 ms each.
func TestOpenLoopCountsFromTheSchedule(t *testing.T) {
	t.Parallel()
	const each = 50 * time.Millisecond
	l, _ := drive(t, func(http.ResponseWriter, *http.Request) { time.Sleep(each) },
		"-mode", "open", "-rate", "100", "-maxconns", "1", "-d", "500ms")
	if l.ok.Load() < 15 {
		t.Skipf("%d arrivals, too few to tell", l.ok.Load())
	}
	if most := time.Duration(l.all.latency.max); most < 5*each {
		t.Errorf("the longest of %d answers took %s, want the wait before it counted", l.ok.Load(), most)
	}
	if lag := time.Duration(l.all.sendLag.max); lag < 4*each {
		t.Errorf("sent %s after the schedule at most, want the wait in the backlog", lag)
	}
}

func TestStreams(t *testing.T) {
	t.Parallel()
	l, report := drive(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			_, _ = fmt.Fprintf(w, "data: {\"content\":\"t=%d \"}\n\n", time.Now().Add(-time.Second).UnixNano())
			w.(http.Flusher).Flush()
		}
		_, _ = io.WriteString(w, "data: [DONE]\n\n")
	}, "-mode", "stream", "-d", "1200ms")
	if l.all.total.n == 0 || l.all.oneWay.n != 3*l.all.total.n || l.all.gap.n != 2*l.all.total.n || l.all.firstToken.n != l.all.total.n {
		t.Errorf("%d streams, %d chunks, %d gaps, %d first tokens", l.all.total.n, l.all.oneWay.n, l.all.gap.n, l.all.firstToken.n)
	}
	if least := time.Duration(l.all.oneWay.min); least < time.Second {
		t.Errorf("a chunk sent a second ago took %s", least)
	}
	if l.short.Load() != 0 || report["chunks_in_window_per_s"].(float64) == 0 {
		t.Errorf("%d short streams, %v chunks/s", l.short.Load(), report["chunks_in_window_per_s"])
	}
}

func TestStreamsWithoutAnEndAreShort(t *testing.T) {
	t.Parallel()
	l, _ := drive(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "data: {}\n\n") }, "-mode", "ostream", "-rate", "50")
	if l.ok.Load() == 0 || l.short.Load() != l.ok.Load() {
		t.Errorf("%d of %d streams were short, want all", l.short.Load(), l.ok.Load())
	}
}

func TestBrokenAnswersCount(t *testing.T) {
	t.Parallel()
	l, _ := drive(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "part")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	if l.ok.Load() != 0 || l.ioErrors.Load() == 0 {
		t.Errorf("%d good, %d broken; want all broken", l.ok.Load(), l.ioErrors.Load())
	}
}

func TestModesAreChecked(t *testing.T) {
	t.Parallel()
	if _, err := readFlags([]string{"-mode", "half-open"}); err == nil || !strings.Contains(err.Error(), `"half-open"`) {
		t.Errorf("%v, want an error that names the mode", err)
	}
}
