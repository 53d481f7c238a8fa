//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package weights

import (
	"io"
	"os"
)

// mapBytes reads the file whole where the system has no mapping that we know.
func mapBytes(file *os.File, size int) (mapping, error) {
	data := make([]byte, size)
	if _, err := io.ReadFull(file, data); err != nil {
		return mapping{}, err
	}
	return mapping{data: data}, nil
}
