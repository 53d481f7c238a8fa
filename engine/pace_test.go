package engine

import (
	"testing"
	"time"
)

// machine is a made-up one: a step takes fixed time and some for each token.
type machine struct{ fixed, perToken time.Duration }

func (m machine) step(tokens int) time.Duration { return m.fixed + time.Duration(tokens)*m.perToken }

func TestBudgetSettlesAtTheTarget(t *testing.T) {
	t.Parallel()
	const target = 200 * time.Millisecond
	for _, c := range []struct {
		name string
		m    machine
		want int
	}{
		{"fast", machine{time.Millisecond, 10 * time.Microsecond}, 512},
		{"a 1 B model on two cores", machine{40 * time.Millisecond, 2 * time.Millisecond}, 80},
		{"slow", machine{150 * time.Millisecond, 20 * time.Millisecond}, 2},
		{"hopeless", machine{time.Second, 20 * time.Millisecond}, 1},
	} {
		var p pace
		for range 500 { // a time of mere decoding must not hide how fast prompts are
			p.observe(4, c.m.step(4), false)
		}
		n := 0
		for range 20 {
			n = p.budget(target, 512)
			p.observe(n, c.m.step(n), true)
		}
		if float64(n) < 0.85*float64(c.want) || float64(n) > 1.15*float64(c.want)+1 {
			t.Errorf("%s: settles at %d tokens, want %d", c.name, n, c.want)
		}
	}
}

func TestBudgetRecoversFromASlowSpell(t *testing.T) {
	t.Parallel()
	const target = 200 * time.Millisecond
	m := machine{20 * time.Millisecond, 500 * time.Microsecond} // 360 tokens
	var p pace
	turn := func() int {
		n := p.budget(target, 512)
		p.observe(n, m.step(n), true)
		return n
	}
	for range 10 {
		turn()
	}
	p.observe(p.budget(target, 512), time.Hour, true) // the machine slept in the middle of it
	if n := p.budget(target, 512); n >= 360 {
		t.Fatalf("the budget stays at %d", n)
	}
	n := 0
	for range 3 * paceForget {
		n = turn()
	}
	if n < 300 {
		t.Errorf("after a slow step it stays at %d tokens, want 360", n)
	}
}

func TestBudgetStaysInItsBounds(t *testing.T) {
	t.Parallel()
	var p pace
	if n := p.budget(time.Second, 20); n < 1 || n > 20 {
		t.Errorf("with nothing known: %d", n)
	}
	p.observe(1, time.Nanosecond, true)
	p.observe(1<<40, time.Nanosecond, true)
	p.observe(0, time.Second, true)
	p.observe(5, 0, true)
	if n := p.budget(time.Hour, 20); n != 20 {
		t.Errorf("an infinitely fast machine: %d", n)
	}
}

func TestRetryAfterFollowsTheQueue(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	var d drain
	if got := d.retryAfter(100); got != retryMin {
		t.Errorf("with nothing known: %v", got)
	}
	for i := range 101 { // two a second leave
		d.observe(at(float64(i)/2), 1, true)
	}
	if got := d.retryAfter(20); got < 9*time.Second || got > 12*time.Second {
		t.Errorf("20 wait and 2 a second leave: %v", got)
	}
	if got := d.retryAfter(1_000_000); got != retryMax {
		t.Errorf("a million wait: %v", got)
	}
	d.observe(at(3600), 0, false) // an idle hour changes nothing
	d.observe(at(3600.5), 1, true)
	if got := d.retryAfter(20); got < 9*time.Second || got > 12*time.Second {
		t.Errorf("after an idle hour: %v", got)
	}
	for i := range 200 { // nothing moves any more
		d.observe(at(3601+float64(i)), 0, true)
	}
	if got := d.retryAfter(20); got != retryMax {
		t.Errorf("a stuck queue: %v", got)
	}
}
