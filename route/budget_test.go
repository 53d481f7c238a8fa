package route

import (
	"testing"
	"time"
)

func TestBudgetLetsAQuietServiceTryAgain(t *testing.T) {
	t.Parallel()
	b := budget{}.asked(epoch)
	for i := range int(retryFloor) {
		var ok bool
		if b, ok = b.take(epoch); !ok {
			t.Fatalf("retry %d was refused", i+1)
		}
	}
	b, ok := b.take(epoch)
	if ok {
		t.Fatal("one more than the floor was let through")
	}
	if b, ok = b.take(epoch.Add(retryHalf)); !ok {
		t.Fatal("none was let through when half was forgotten")
	}
	if _, ok = b.take(epoch); !ok {
		t.Fatal("a clock that was set back took the budget away")
	}
}

func TestBudgetBoundsTheAmplification(t *testing.T) {
	t.Parallel()
	for _, rate := range []int{10, 100, 1000} {
		var b budget
		now := epoch
		requests, retries := 0, 0
		for range 60 * rate {
			now = now.Add(time.Second / time.Duration(rate))
			b = b.asked(now)
			requests++
			for ok := true; ok; { // everything fails, as often as it is tried
				if b, ok = b.take(now); ok {
					retries++
				}
			}
		}
		if most := retryShare*float64(requests) + 2*retryFloor; float64(retries) > most {
			t.Errorf("%d a second: %d retries of %d requests", rate, retries, requests)
		}
		if least := 0.15 * float64(requests); float64(retries) < least {
			t.Errorf("%d a second: only %d retries of %d requests", rate, retries, requests)
		}
	}
}

func TestBackoffGrowsIsJitteredAndHonoursRetryAfter(t *testing.T) {
	t.Parallel()
	table := NewTable(Config{})
	check := func(attempt int, after, low, high time.Duration) {
		t.Helper()
		var least, most time.Duration = time.Hour, 0
		for seed := range uint64(500) {
			d := table.Backoff(attempt, after, seed)
			least, most = min(least, d), max(most, d)
		}
		if least < low || most > high || most-least < (high-low)*9/10 {
			t.Errorf("attempt %d after %s: from %s to %s, want nearly all from %s to %s", attempt, after, least, most, low, high)
		}
	}
	check(0, 0, 0, backoffFirst)
	check(1, 0, 0, backoffFirst)
	check(2, 0, 0, 2*backoffFirst)
	check(4, 0, 0, 8*backoffFirst)
	check(7, 0, 0, backoffMost)
	check(1<<40, 0, 0, backoffMost)
	check(1, 3*time.Second, 3*time.Second, 3*time.Second+backoffFirst)
	check(1, time.Hour, retryAfterMost, retryAfterMost+backoffFirst)
	check(1, -time.Hour, 0, backoffFirst)
}
