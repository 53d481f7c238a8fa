package route

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
)

var epoch = time.Unix(1_800_000_000, 0)

// play runs a script of a breaker, a word an event: ok, fail, fast (a failure in no time), cut, config, busy, task, send, or a
// duration that passes. An event of a request that was sent while the breaker was not closed has a ? behind it. It gives the state.
func play(t *testing.T, script string) (breaker, time.Time) {
	t.Helper()
	var b breaker
	now := epoch
	for i, word := range strings.Fields(script) {
		if d, err := time.ParseDuration(word); err == nil {
			now = now.Add(d)
			continue
		}
		word, probe := strings.CutSuffix(word, "?")
		faults := map[string]llm.Fault{"ok": llm.FaultNone, "fail": llm.FaultStatus, "fast": llm.FaultConnect, "cut": llm.FaultCut,
			"config": llm.FaultConfig, "busy": llm.FaultBusy, "task": llm.FaultTask}
		took := time.Second
		if word == "fast" {
			took = time.Millisecond
		}
		if f, known := faults[word]; known {
			b = b.ended(now, f, took, probe, uint64(i))
		} else if word == "send" {
			b, _ = b.sent(now)
		} else {
			t.Fatalf("%q is no event", word)
		}
	}
	return b, now
}

func TestBreakerFollowsScripts(t *testing.T) {
	t.Parallel()
	check := func(name, script string, want BreakerState, ready bool) {
		t.Helper()
		b, now := play(t, script)
		if b.state != want || b.ready(now) != ready {
			t.Errorf("%s: %s, ready %v; want %s, %v", name, b.state, b.ready(now), want, ready)
		}
	}
	check("two in a row", "ok fail fail", Closed, false)
	check("three in a row", "fail fail fail", Open, false)
	check("one success between", "fail fail ok fail fail", Closed, false)
	check("fast ones count double", "fast fast", Open, false)
	check("one fast one", "fast", Closed, false)
	check("a wrong key at once", "ok ok config", Open, false)
	check("streams that are cut", "cut cut cut", Open, false)
	check("busy is no failure", "busy busy busy busy busy busy", Closed, false)
	check("what clients do is no failure", "task task task task", Closed, false)
	check("half of eight", "ok fail ok fail ok fail ok fail", Open, false)
	check("a third of many", "ok ok fail ok ok fail ok ok fail ok ok fail ok ok fail", Closed, false)
	check("half, but long ago", "ok fail ok fail ok fail 1m ok fail", Closed, false)
	check("still open", "fail fail fail 700ms", Open, false)
	check("time for a probe", "fail fail fail 1300ms", Open, true)
	check("one probe at a time", "fail fail fail 1300ms send", HalfOpen, false)
	check("a probe that was good", "fail fail fail 1300ms send ok?", HalfOpen, true)
	check("two that were good", "fail fail fail 1300ms send ok? send ok?", Closed, false)
	check("a probe that failed", "fail fail fail 1300ms send fail?", Open, false)
	check("which doubles the wait", "fail fail fail 1300ms send fail? 1400ms", Open, false)
	check("to two seconds and a quarter", "fail fail fail 1300ms send fail? 2600ms", Open, true)
	check("a probe that said nothing", "fail fail fail 1300ms send task?", HalfOpen, true)
	check("a probe that met a full one", "fail fail fail 1300ms send busy?", HalfOpen, false)
	check("and was left alone", "fail fail fail 1300ms send busy? 300ms", HalfOpen, true)
	check("an old answer's end closes nothing", "fail fail fail ok ok ok ok", Open, false)
	check("nor does an old failure open anew", "fail fail fail 1300ms send ok? fail", HalfOpen, true)
	check("half a minute at most", "config 40s send fail? 40s send fail? 40s send fail? 40s send fail? 40s send fail? 40s send fail? 40s send fail? 38s", Open, true)
	check("one that closed waits longer at first", "fail fail fail 1300ms send ok? send ok? fail fail fail 1300ms", Open, false)
	check("but not after a minute of peace", "fail fail fail 1300ms send ok? send ok? 61s ok fail fail fail 1300ms", Open, true)
}

func TestBreakerRestsWhoIsBusy(t *testing.T) {
	t.Parallel()
	check := func(script string, want time.Duration) {
		t.Helper()
		if b, now := play(t, script); b.rest.Sub(now) != want {
			t.Errorf("after %q it rests for %s, want %s", script, b.rest.Sub(now), want)
		}
	}
	check("busy", busyFirst)
	check("busy busy", 2*busyFirst)
	check("busy busy ok busy", 2*busyFirst) // what it was told to rest before stands
	check("busy 1s ok busy", busyFirst)
	check("busy busy busy busy busy busy busy busy busy busy busy busy busy busy", busyMost)
}

// Whatever happens, a breaker stays within its bounds and lets somebody find out in the end.
func TestBreakerKeepsItsPromises(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var b breaker
		now := epoch
		var sent []bool // probes or not, on their way
		for range 300 {
			now = now.Add(time.Duration(rng.Int64N(int64(2 * time.Second))))
			before := b
			var fault llm.Fault
			if rng.IntN(2) == 0 || len(sent) == 0 {
				if b.state == Closed || b.ready(now) {
					var probe bool
					b, probe = b.sent(now)
					sent = append(sent, probe)
				}
			} else {
				fault = llm.Fault(rng.IntN(int(llm.FaultTask) + 1))
				b = b.ended(now, fault, time.Duration(rng.Int64N(int64(20*time.Millisecond))), sent[0], rng.Uint64())
				sent = sent[1:]
			}
			switch wait := b.until.Sub(now); {
			case b.failing() < 0 || b.failing() >= 1:
				t.Fatalf("seed %d: failing share %g", seed, b.failing())
			case wait > openMost*5/4:
				t.Fatalf("seed %d: open for %s", seed, wait)
			case before.state == Closed && b.state != Closed && !held(fault):
				t.Fatalf("seed %d: %s opened it", seed, fault)
			case before.state != Closed && b.state == Closed && fault != llm.FaultNone:
				t.Fatalf("seed %d: %s closed it", seed, fault)
			case before.state == Open && b.state == Closed:
				t.Fatalf("seed %d: it closed without a probe", seed)
			case b.probing < 0 || b.probing > len(sent):
				t.Fatalf("seed %d: %d probes of %d requests on their way", seed, b.probing, len(sent))
			}
		}
		for _, probe := range sent {
			b = b.ended(now, llm.FaultTask, time.Second, probe, 1)
		}
		if later := now.Add(2 * time.Minute); b.state != Closed && !b.ready(later) {
			t.Fatalf("seed %d: it is %s and never tried again", seed, b.state)
		}
	}
}

func TestBreakersThatFellTogetherAreNotProbedTogether(t *testing.T) {
	t.Parallel()
	seen := map[time.Duration]bool{}
	for seed := range uint64(50) {
		b := breaker{}.ended(epoch, llm.FaultConfig, time.Second, false, seed)
		wait := b.until.Sub(epoch)
		if wait < openFirst*3/4 || wait > openFirst*5/4 {
			t.Fatalf("open for %s", wait)
		}
		seen[wait] = true
	}
	if len(seen) < 45 {
		t.Errorf("%d different waits of 50", len(seen))
	}
}
