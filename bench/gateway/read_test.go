package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-ai/weir/bench/peer"
)

func TestReadOutcome(t *testing.T) {
	t.Parallel()
	got, err := readOutcome([]byte(`{"codes":{"200":90,"429":4,"500":1},"err_io":3,"err_dial":2,"short_streams":1,"ok_rps":45,"latency":{"n":90,
		"p50_us":490,"p99_us":7000},"loadgen_cores":0.5,"steal_cores":0.01,"other_cores":0.2,
		"procs":{"mock":{"Cores":0.9,"PerReqUs":9},"server":{"Cores":0.7,"PerReqUs":88}}}`))
	want := outcome{PerSecond: 45, P50: 0.49, P99: 7, Answers: 90, Failed: 11, FailedBy: "3 broken, 1 cut, 2 refused, 4 status 429, 1 status 500",
		Cores: 0.7, CPUPerRequest: 88, GeneratorCores: 0.5, StolenCores: 0.01, OtherCores: 0.2}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	got, err = readOutcome([]byte(`{"latency":{"n":9,"p50_us":2e6},"chunk_oneway":{"n":900,"p50_us":770,"p99_us":10600},"chunks_in_window_per_s":25000}`))
	if err != nil || got.P50 != 0.77 || got.P99 != 10.6 || got.Chunks != 25000 {
		t.Errorf("of streams %+v, %v; want a chunk's way", got, err)
	}
	if _, err := readOutcome([]byte("warning")); err == nil {
		t.Error("what is no report was read")
	}
}

func TestReadProc(t *testing.T) {
	t.Parallel()
	if got := parentOf("12 (a (b) c) S 7 12 12 0"); got != 7 {
		t.Errorf("parent %d, want 7", got)
	}
	if got := parentOf("12 (a)"); got != 0 {
		t.Errorf("parent %d of a broken line, want 0", got)
	}
	if pids := descendants(os.Getpid()); pids[0] != os.Getpid() {
		t.Errorf("descendants %v do not begin with the process itself", pids)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	check := func(wrong string, args ...string) {
		t.Helper()
		_, err := readFlags(append(args, "-dir", ".."))
		if wrong == "" && err != nil || wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)) {
			t.Errorf("%v: %v, want an error that tells %q", args, err, wrong)
		}
	}
	check("")
	check("", "-rounds", "1", "-seconds", "1", "-only", "weir,bareproxy", "-scenarios", "big256,closed64")
	check("-rounds 0", "-rounds", "0")
	check("-seconds 0", "-seconds", "0")
	check(`"envoy"`, "-only", "weir,envoy")
	check(`"closed65"`, "-scenarios", "closed65")
	if _, err := readFlags([]string{"-dir", t.TempDir()}); err == nil {
		t.Error("a folder without the tools was taken")
	}
}

// TestStreamsAreWhole: a measured time that is no multiple of a stream's length would count a part of the streams twice.
func TestStreamsAreWhole(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios() {
		for seconds, want := range map[int]time.Duration{1: 2 * time.Second, 2: 2 * time.Second, 5: 6 * time.Second, 6: 6 * time.Second} {
			if s.name != "stream500" {
				want = time.Duration(seconds) * time.Second
			}
			if got := s.lasts(seconds); got != want {
				t.Errorf("%s for %d s lasts %s, want %s", s.name, seconds, got, want)
			}
		}
	}
}

// TestConfigurations: every server's own configuration names where to listen and where to go, and nothing beyond loopback.
func TestConfigurations(t *testing.T) {
	t.Parallel()
	for _, s := range servers() {
		if s.configure == nil {
			continue
		}
		at := peer.Site{Dir: t.TempDir(), Program: "program", Addr: "127.0.0.1:4001", Upstream: "127.0.0.1:4002", Cores: 3, Key: benchKey, Model: benchModel}
		c, err := s.configure(at)
		if err != nil || c.Program != "program" {
			t.Fatalf("%s: %+v, %v", s.name, c, err)
		}
		all := strings.Join(c.Args, " ")
		files, err := filepath.Glob(filepath.Join(at.Dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all += string(text)
		}
		for _, want := range []string{"127.0.0.1", "4001", at.Upstream} {
			if !strings.Contains(all, want) {
				t.Errorf("%s's configuration lacks %s:\n%s", s.name, want, all)
			}
		}
		if strings.Contains(all, "0.0.0.0") || strings.Contains(all, "%!") {
			t.Errorf("%s's configuration:\n%s", s.name, all)
		}
	}
}
