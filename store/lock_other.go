//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package store

import (
	"errors"
	"os"
)

// lockFile: without locks two servers could write one folder, so there is no store here.
func lockFile(*os.File) (taken bool, err error) {
	return false, errors.New("weir knows no file locks of this system")
}
