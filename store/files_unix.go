//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package store

import (
	"os"
	"syscall"
)

// syncFolder makes the names in a folder durable.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return nil // a parent that may be passed through but not read; its names are another's
	}
	// Some file systems cannot sync a folder and say so; there it is their own affair.
	_ = f.Sync()
	return f.Close()
}

// giveToOwner gives a file that root has made to the folder's owner: `sudo weir key new` before the first start must not leave a file
// that the server cannot open.
func giveToOwner(dir, path string) {
	info, err := os.Stat(dir)
	if err != nil || os.Geteuid() != 0 {
		return
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid != 0 {
		_ = os.Chown(path, int(owner.Uid), int(owner.Gid))
	}
}
