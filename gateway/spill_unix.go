//go:build unix

package gateway

import "syscall"

// triesWrite says that a socket can be asked what it takes at once.
const triesWrite = true

// tryWrite writes what the socket takes at once, perhaps nothing.
func tryWrite(raw syscall.RawConn, p []byte) (n int, err error) {
	control := raw.Write(func(fd uintptr) bool {
		for n < len(p) {
			k, e := syscall.Write(int(fd), p[n:])
			if e == syscall.EINTR {
				continue
			}
			if e == syscall.EAGAIN {
				return true
			}
			if e != nil {
				err = e
				return true
			}
			n += k
		}
		return true
	})
	if control != nil {
		return n, control
	}
	return n, err
}
