//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package weights

import (
	"os"

	"golang.org/x/sys/unix"
)

// mapBytes maps the file read-only and shared, so that several processes hold one copy of the weights.
func mapBytes(file *os.File, size int) (mapping, error) {
	data, err := unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return mapping{}, err
	}
	return mapping{data: data, release: unix.Munmap}, nil
}
