package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// tx is what a request writes with: statements inside the group's transaction, each prepared once and kept.
type tx struct {
	conn     *sql.Conn
	prepared map[string]*sql.Stmt
}

// exec runs one statement. query must be one of a fixed few: each is kept for ever.
func (t *tx) exec(query string, args ...any) (sql.Result, error) {
	s, err := t.statement(query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(context.Background(), args...)
}

// row asks for one row, as the transaction sees it. query is as in exec.
func (t *tx) row(query string, args ...any) (*sql.Row, error) {
	s, err := t.statement(query)
	if err != nil {
		return nil, err
	}
	return s.QueryRowContext(context.Background(), args...), nil
}

func (t *tx) statement(query string) (*sql.Stmt, error) {
	if s := t.prepared[query]; s != nil {
		return s, nil
	}
	s, err := t.conn.PrepareContext(context.Background(), query)
	if err == nil {
		t.prepared[query] = s
	}
	return s, err
}

func (t *tx) close() error {
	var errs []error
	for _, s := range t.prepared {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// together writes the requests in one transaction. It reports whether each has its verdict; where not, nothing of them is written.
func (w *writer) together(live []*request) bool {
	if err := begin(context.Background(), w.conn, w.patience); err != nil {
		w.fail(live, err)
		return true
	}
	good := 0
	for _, r := range live {
		if r.err = w.one(r); r.err == nil {
			good++
			continue
		}
		// Where the disk is full SQLite may have rolled all back by itself, and there is no savepoint to go back to.
		if !w.back() {
			_ = rollback(context.Background(), w.conn, nil)
			w.note(r.err)
			return w.broken != nil || len(live) == 1
		}
	}
	if good == 0 {
		_ = rollback(context.Background(), w.conn, nil)
		return true
	}
	if _, err := w.tx.exec("COMMIT"); err != nil {
		_ = rollback(context.Background(), w.conn, nil)
		if w.note(err); w.broken == nil && len(live) > 1 {
			return false
		}
		w.fail(live, err)
	}
	return true
}

// alone tries one request of a lost group in a transaction of its own.
func (w *writer) alone(r *request) {
	if w.broken == nil {
		r.err = nil
		w.together([]*request{r})
	}
}

// one runs a request inside the transaction, behind a savepoint.
func (w *writer) one(r *request) error {
	if _, err := w.tx.exec("SAVEPOINT request"); err != nil {
		return explain(w.path, err)
	}
	if err := w.call(r.do); err != nil {
		return explain(w.path, err)
	}
	_, err := w.tx.exec("RELEASE request")
	return explain(w.path, err)
}

// call turns a panic of one request into its error: the others did nothing wrong.
func (w *writer) call(do func(*tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a write panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return do(&w.tx)
}

// back undoes the request behind the last savepoint, and says whether the transaction is still there.
func (w *writer) back() bool {
	if _, err := w.tx.exec("ROLLBACK TO request"); err != nil {
		return false
	}
	_, err := w.tx.exec("RELEASE request")
	return err == nil
}

// fail gives every request that has no error of its own err.
func (w *writer) fail(live []*request, err error) {
	err = explain(w.path, err)
	for _, r := range live {
		if r.err == nil {
			r.err = err
		}
	}
}

// note ends the writer where the disk has failed to write or to sync. Other failures of the disk, to read or to map, leave what is on it
// as it was, and the next transaction may succeed.
func (w *writer) note(err error) {
	var e *sqlite.Error
	if w.broken != nil || !errors.As(err, &e) {
		return
	}
	switch e.Code() {
	case lib.SQLITE_IOERR_FSYNC, lib.SQLITE_IOERR_DIR_FSYNC, lib.SQLITE_IOERR_WRITE, lib.SQLITE_IOERR_TRUNCATE:
		w.broken = explain(w.path, err)
		w.metrics.broke()
	}
}
