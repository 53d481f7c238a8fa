//go:build unix

package app

import (
	"syscall"
	"testing"
	"time"
)

// cpu is the processor time that this process has used.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestAnIdleSystemUsesNoCPU runs alone: it measures the whole process. It asks once before, so that everything has started that
// starts with the first request.
func TestAnIdleSystemUsesNoCPU(t *testing.T) {
	b := start(t, loopback())
	if _, last, err := b.stream(t.Context(), chat(true, 8, true, "x"), nil); err != nil || last != "[DONE]" {
		t.Fatal(last, err)
	}
	b.idle(t)
	const watched = 2 * time.Second
	before := cpu(t)
	time.Sleep(watched) // what is measured is this time itself
	// A loop that polls every millisecond uses about 2 %; the runtime's own background work is below 0.1 %.
	if used := cpu(t) - before; used > watched/100 {
		t.Errorf("an idle system used %s of CPU in %s", used, watched)
	}
}
