//go:build !unix

package gateway

import "syscall"

// triesWrite says that a socket cannot be asked what it takes at once: a slow reader then holds its engine until the write's deadline.
const triesWrite = false

type attempt struct{}

func (*attempt) write(syscall.RawConn, []byte) (int, error) { return 0, nil }
