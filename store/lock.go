package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// lockName is the file that a server holds locked while it has the folder. The system frees the lock when the process ends, however it
// ends; the file stays, because deleting it would let two servers lock two files of one name.
const lockName = "weir.lock"

// lock is a held lock.
type lock struct{ file *os.File }

// takeLock takes the lock or gives ErrLocked with what its holder wrote there.
func takeLock(path string) (*lock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be opened: give it to the user that weir runs as: %w", path, err)
	}
	taken, err := lockFile(f)
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s cannot be locked: the data folder must be on a file system with locks, which some network shares are not: %w", path, err)
	}
	if !taken {
		holder := make([]byte, 200)
		n, _ := f.Read(holder)
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w (%s): stop that one, or give this one a data folder of its own", path, ErrLocked, strings.TrimSpace(string(holder[:n])))
	}
	l := &lock{file: f}
	host, _ := os.Hostname()
	text := fmt.Sprintf("process %d on %s since %s\n", os.Getpid(), host, time.Now().Format(time.RFC3339))
	if err := f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(text), 0)
	}
	if err != nil {
		_ = l.release()
		return nil, fmt.Errorf("%s cannot be written: free space on its disk: %w", path, err)
	}
	giveToOwner(filepath.Dir(path), path)
	return l, nil
}

// release gives the lock free.
func (l *lock) release() error { return l.file.Close() }
