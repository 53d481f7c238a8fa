// Package store keeps what must outlive the process on one machine: one SQLite file in one data folder, behind the small interfaces
// that its consumers declare. What it acknowledges is durable: it survives a power cut, not only the end of the process.
//
// A Store owns two goroutines between Open and Close. The writer alone holds the connection that writes; it puts the requests that
// wait into one transaction, syncs once and answers all (see writer). The watcher calls Options.Changed when another process has
// written. Readers take connections of their own and never wait for the writer. No lock is held while a consumer's function runs.
//
// One server at a time owns a data folder; a command of the same machine may open it beside the server as a guest, to add a key.
//
// The package decides nothing: no limits, no order, no retries. It never keeps a secret in plain, never deletes a damaged file, and
// never goes on writing after the disk has failed to sync.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"modernc.org/sqlite"
)

// Options say how a Store is opened. The zero value is a server's, without log and metrics.
type Options struct {
	// Guest opens the folder beside a server that may be running: no lock is held, and nothing is measured. A guest brings the schema
	// up to date only where no server runs.
	Guest bool
	// Changed is called, never twice at once, at most half a second after another process has written to the file.
	Changed func()
	// Log hears of the disk's speed and of what is wrong with the folder; nil is silent.
	Log *slog.Logger
	// Metrics gets the weir_store_ metrics; nil keeps none.
	Metrics prometheus.Registerer

	vfs      string        // a test's own file system below SQLite
	pagesMax int           // a test's full disk
	queue    int           // a test's short queue
	group    int           // a test's small groups
	patience time.Duration // a test's short busyMax
}

// Name is the file in the data folder. SQLite puts two more beside it, Name-wal and Name-shm; a copy of the folder taken while nothing
// runs has all three or the first alone.
const Name = "weir.db"

// readersMax: reads are short and the disk's cache answers them; four keep the cores of a small server busy. More would each hold
// their own cache of pages, 2 MB.
const readersMax = 4

// Store is one open data folder. It is safe for concurrent use.
type Store struct {
	dir    string
	path   string
	log    *slog.Logger
	disk   Disk
	lock   *lock // nil for a guest
	reads  *sql.DB
	writes *sql.DB
	writer *writer

	watched sync.WaitGroup // the watcher
	closing sync.Once
	closed  error
}

// Open opens the data folder, and makes it where it is missing: the folder for its owner alone (0700), the files too (0600). Errors
// say what to do: ErrLocked where another server has the folder, ErrNewer where a newer Weir has written it, ErrDamaged where the file
// cannot be read.
func Open(dir string, o Options) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("data folder %q: %w", dir, err)
	}
	s := &Store{dir: dir, path: filepath.Join(dir, Name), log: o.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.open(o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) open(o Options) error {
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return fmt.Errorf("metrics of the store: %w", err)
	}
	if err := makeFolder(s.dir, s.path); err != nil {
		return err
	}
	// A guest holds the lock while it opens, if it can get it, so that no server starts while the schema is changed.
	held, err := takeLock(filepath.Join(s.dir, lockName))
	switch {
	case err == nil && o.Guest:
		defer held.release()
	case err == nil:
		s.lock = held
	case !o.Guest || !errors.Is(err, ErrLocked):
		return err
	}
	// Half the time of a commit where the system has it: the data and the size are synced, the time stamps are not. It holds for the
	// whole process, and asks of the disk what SQLite itself asks for on every Linux distribution.
	_, _ = sqlite.Fdatasync(true)
	if !o.Guest {
		if s.disk, err = measure(s.dir); err != nil {
			return explain(s.path, err)
		}
		s.disk.tell(s.log, s.dir)
	}
	c, err := s.connect(o, held != nil)
	if err != nil {
		return explain(s.path, err)
	}
	s.writer = newWriter(c, s.path, o, m)
	s.watched.Go(func() { watch(s.writer.changed, o.Changed) })
	return nil
}

// connect opens the file, brings its schema up to date and gives the one connection that writes.
func (s *Store) connect(o Options, alone bool) (*sql.Conn, error) {
	ctx := context.Background()
	var err error
	if s.writes, err = openDB(s.path, o, "_busy_timeout=5000"); err != nil {
		return nil, err
	}
	s.writes.SetMaxOpenConns(1)
	c, err := s.writes.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if err := prepare(ctx, c, s.path, o, alone); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if s.reads, err = openDB(s.path, o, "_busy_timeout=5000&_query_only=1"); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	s.reads.SetMaxOpenConns(readersMax)
	s.reads.SetMaxIdleConns(readersMax)
	return c, nil
}

// Disk tells what was measured when the store was opened; zero for a guest.
func (s *Store) Disk() Disk { return s.disk }

// Dir is the data folder.
func (s *Store) Dir() string { return s.dir }

// Close writes what was handed in before it, refuses what comes after (ErrClosed), and gives the folder free. It may be called again.
func (s *Store) Close() error {
	s.closing.Do(func() {
		var errs []error
		if s.writer != nil {
			errs = append(errs, s.writer.close())
			s.watched.Wait()
		}
		for _, db := range []*sql.DB{s.reads, s.writes} {
			if db != nil {
				errs = append(errs, db.Close())
			}
		}
		if s.lock != nil {
			errs = append(errs, s.lock.release())
		}
		s.closed = errors.Join(errs...)
	})
	return s.closed
}

// write runs do in a transaction, among others' or alone, and returns when it is durable, or with the error of do. do is called on the
// writer's goroutine, so it must neither block nor write through the store itself. It may be called twice, where the first transaction
// came to nothing. A context that ends before do has begun gives its error; afterwards the answer is waited for.
func (s *Store) write(ctx context.Context, do func(*tx) error) error {
	return s.writer.write(ctx, do)
}

// read runs do with a connection that sees everything that write has returned for.
func (s *Store) read(ctx context.Context, do func(*sql.DB) error) error {
	return explain(s.path, do(s.reads))
}

// watch calls changed for each of the writer's signals, until there are no more.
func watch(signals <-chan struct{}, changed func()) {
	for range signals {
		if changed != nil {
			changed()
		}
	}
}
