package main

import (
	"syscall"
	"time"
)

// sharpen lets the calling thread sleep to the microsecond: Linux otherwise rounds up by 50 µs, which would bunch arrivals.
func sharpen() {
	const setTimerSlack = 29 // PR_SET_TIMERSLACK
	_, _, _ = syscall.RawSyscall6(syscall.SYS_PRCTL, setTimerSlack, 1, 0, 0, 0, 0)
}

// pause sleeps on the thread itself, past Go's timers. A signal may end it early; then the arrival is a little early.
func pause(d time.Duration) {
	t := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&t, nil)
}
