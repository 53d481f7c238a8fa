package store

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"time"
)

// applicationID marks the file as Weir's: "WEIR".
const applicationID = 0x57454952

// migrations bring the schema from each version to the next; the first makes version 1. They only ever go forward, and one that was
// released never changes. Times are nanoseconds since 1970 in UTC, 0 for none.
var migrations = []string{
	`CREATE TABLE keys (
		id TEXT PRIMARY KEY,
		name TEXT NOT NULL,
		hash TEXT NOT NULL,
		tenant TEXT NOT NULL,
		class TEXT NOT NULL,   -- empty: the tenant's
		models TEXT NOT NULL,  -- JSON, a list of names
		admin INTEGER NOT NULL,
		created INTEGER NOT NULL,
		expires INTEGER NOT NULL,
		revoked INTEGER NOT NULL
	) STRICT, WITHOUT ROWID;
	CREATE TABLE tallies (
		tenant TEXT NOT NULL,
		name TEXT NOT NULL,
		period TEXT NOT NULL,
		value INTEGER NOT NULL,
		at INTEGER NOT NULL,
		PRIMARY KEY (tenant, name)
	) STRICT, WITHOUT ROWID;
	-- How often each kind of thing was saved, by whatever process.
	CREATE TABLE versions (
		name TEXT PRIMARY KEY,
		value INTEGER NOT NULL
	) STRICT, WITHOUT ROWID;`,
}

// checkMax is the largest file that is read whole at a start to find damage, some 0.3 s. A larger one is found damaged where it is read.
const checkMax = 64 << 20

// busyMax is how long a transaction waits for another process's. Ours take milliseconds; a process that holds the file for longer is
// stuck, and waiting on would only fill the queue.
const busyMax = 10 * time.Second

// prepare sets the connection up and brings the schema up to date. alone says that no server runs on the folder, or that it is us.
func prepare(ctx context.Context, c *sql.Conn, path string, o Options, alone bool) error {
	if err := known(ctx, c, path, alone); err != nil {
		return err
	}
	// WAL: readers and the writer do not wait for each other, and a commit is one sync. FULL: that sync is before the answer; NORMAL
	// lost acknowledged writes in power cuts.
	for _, pragma := range []string{
		"journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF",
		// After a checkpoint the log is cut to this many bytes, so that one large write does not hold its space for ever.
		"journal_size_limit=67108864",
	} {
		if err := pragmaExec(ctx, c, pragma); err != nil {
			return err
		}
	}
	if o.pagesMax > 0 {
		if err := pragmaExec(ctx, c, fmt.Sprintf("max_page_count=%d", o.pagesMax)); err != nil {
			return err
		}
	}
	if err := migrate(ctx, c); err != nil {
		return err
	}
	if info, err := os.Stat(path); err == nil && info.Size() <= checkMax && !o.Guest {
		if err := quickCheck(ctx, c, path); err != nil {
			return err
		}
	}
	// SQLite's own waiting grows to 100 ms between looks, and may miss every gap between a busy server's transactions. begin looks once
	// a millisecond instead.
	return pragmaExec(ctx, c, "busy_timeout=0")
}

// known refuses files that are not ours to write.
func known(ctx context.Context, c *sql.Conn, path string, alone bool) error {
	var id, version, tables int
	for pragma, to := range map[string]*int{"PRAGMA application_id": &id, "PRAGMA user_version": &version, "SELECT count(*) FROM sqlite_schema": &tables} {
		if err := c.QueryRowContext(ctx, pragma).Scan(to); err != nil {
			return err
		}
	}
	switch {
	case id != applicationID && (id != 0 || version != 0 || tables != 0):
		return fmt.Errorf("%s: %w: move it away, or name another data folder", path, ErrForeign)
	case version > len(migrations):
		return fmt.Errorf("%s: %w: its schema is version %d, this weir knows %d; run the newer weir, or put back the copy from before the upgrade", path, ErrNewer, version, len(migrations))
	case version < len(migrations) && !alone:
		return fmt.Errorf("%s: %w: its schema is version %d, this weir writes %d; run the same weir as the server, or restart the server with this one", path, ErrOlder, version, len(migrations))
	}
	return nil
}

// migrate makes each step in a transaction of its own.
func migrate(ctx context.Context, c *sql.Conn) error {
	for {
		if err := begin(ctx, c, busyMax); err != nil {
			return err
		}
		var version int
		if err := c.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
			return rollback(ctx, c, err)
		}
		if version >= len(migrations) {
			return rollback(ctx, c, nil)
		}
		step := migrations[version] + fmt.Sprintf("; PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT", applicationID, version+1)
		if _, err := c.ExecContext(ctx, step); err != nil {
			return rollback(ctx, c, fmt.Errorf("schema version %d: %w", version+1, err))
		}
	}
}

// quickCheck reads the whole file and finds what is damaged in it.
func quickCheck(ctx context.Context, c *sql.Conn, path string) error {
	var found string
	if err := c.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return damaged(path, found)
	}
	return nil
}

// begin starts a transaction that writes, as soon as no other process has one.
func begin(ctx context.Context, c *sql.Conn, patience time.Duration) error {
	for until := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		_, err := c.ExecContext(ctx, "BEGIN IMMEDIATE")
		if !busy(err) || time.Now().After(until) {
			return err
		}
	}
}

// rollback ends a transaction and gives err on.
func rollback(ctx context.Context, c *sql.Conn, err error) error {
	_, _ = c.ExecContext(ctx, "ROLLBACK") // where SQLite has rolled back by itself there is nothing to end
	return err
}

// pragmaExec sets a pragma, waiting for others as begin does.
func pragmaExec(ctx context.Context, c *sql.Conn, pragma string) error {
	for until := time.Now().Add(busyMax); ; time.Sleep(time.Millisecond) {
		_, err := c.ExecContext(ctx, "PRAGMA "+pragma)
		if !busy(err) || time.Now().After(until) {
			return err
		}
	}
}
