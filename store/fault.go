package store

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// What a caller may want to tell apart, with errors.Is. Every error of the package names the file and what to do.
var (
	// ErrLocked: another server has the data folder.
	ErrLocked = errors.New("the data folder is in use by another server")
	// ErrNewer: the schema is one that this Weir does not know.
	ErrNewer = errors.New("the data folder was written by a newer weir")
	// ErrOlder: a guest found a schema that must be changed first, while a server runs on it.
	ErrOlder = errors.New("the data folder is used by an older weir that is running")
	// ErrForeign: the file is a database, but not Weir's.
	ErrForeign = errors.New("the file is not a database of weir")
	// ErrDamaged: the file cannot be read as a database.
	ErrDamaged = errors.New("the database is damaged")
	// ErrDiskFull: nothing was saved, and saving goes on once there is space.
	ErrDiskFull = errors.New("the disk is full")
	// ErrBroken: the disk failed to write or to sync. Nothing is saved any more until a restart.
	ErrBroken = errors.New("the disk failed")
	// ErrBusy: another process held the file for longer than anyone may.
	ErrBusy = errors.New("the database is locked by another process")
	// ErrFull: as many writes wait as may.
	ErrFull = errors.New("too many writes wait for the disk")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("the store is closed")
)

// code is SQLite's primary result code, 0 for errors of others.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

func busy(err error) bool { return code(err) == lib.SQLITE_BUSY }

// damaged says how to go on from a file that cannot be read. Weir itself never deletes one: it may be all that is left.
func damaged(path, found string) error {
	return fmt.Errorf("%s: %w: stop weir, move it and the files beside it that begin with its name away, and put a backup in their place; "+
		"without one, `sqlite3 MOVED .recover | sqlite3 %s` saves what can be read: %s", path, ErrDamaged, path, found)
}

// explain puts what happened and what to do before SQLite's words. Errors of requests themselves, such as constraints, pass as they are.
func explain(path string, err error) error {
	why, fix := error(nil), ""
	switch code(err) {
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return damaged(path, err.Error())
	case lib.SQLITE_FULL:
		why, fix = ErrDiskFull, "free space there; what this error answers is not saved, and saving goes on by itself"
	case lib.SQLITE_IOERR:
		why, fix = ErrBroken, "look at the system's log for the disk, then restart weir; what this error answers may or may not be saved"
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_PROTOCOL:
		why, fix = ErrBusy, "find the process that has it open (`fuser` names it) and end it, then try again"
	case lib.SQLITE_CANTOPEN, lib.SQLITE_READONLY, lib.SQLITE_PERM, lib.SQLITE_AUTH:
		return fmt.Errorf("%s cannot be opened for writing: give it and its folder to the user that weir runs as: %w", path, err)
	default:
		return err
	}
	return fmt.Errorf("%s: %w: %s: %w", path, why, fix, err)
}
