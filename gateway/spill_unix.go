//go:build unix

package gateway

import "syscall"

// triesWrite says that a socket can be asked what it takes at once.
const triesWrite = true

// attempt is one write of what the socket takes at once. It is kept from write to write, and so is its func: a closure of each would be
// two allocations for every token.
type attempt struct {
	p   []byte
	n   int
	err error
	do  func(fd uintptr) bool
}

// write writes what the socket takes at once, perhaps nothing.
func (a *attempt) write(raw syscall.RawConn, p []byte) (int, error) {
	if a.do == nil {
		a.do = a.once
	}
	a.p, a.n, a.err = p, 0, nil
	if err := raw.Write(a.do); err != nil && a.err == nil {
		a.err = err
	}
	a.p = nil
	return a.n, a.err
}

// once is called with the socket; it always says that it is done, so that nobody waits.
func (a *attempt) once(fd uintptr) bool {
	for a.n < len(a.p) {
		k, err := syscall.Write(int(fd), a.p[a.n:])
		switch err {
		case nil:
			a.n += k
		case syscall.EINTR:
		case syscall.EAGAIN:
			return true
		default:
			a.err = err
			return true
		}
	}
	return true
}
