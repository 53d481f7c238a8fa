package store

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"
)

// makeFolder makes the folder and an empty file, both for their owner alone, before SQLite can make them with wider modes: it gives the
// files that it makes later the mode of the first. A folder that is there keeps its mode, which may be an operator's choice; the file
// has hashes of keys in it and does not.
func makeFolder(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data folder %s cannot be made: name another, or give its parent to the user that weir runs as: %w", dir, err)
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("%s is a folder where the database should be: move it away, or name another data folder", path)
	case err == nil:
		// Never opened here: closing a second descriptor of the file would drop SQLite's locks on it.
		if info.Mode().Perm()&0o077 != 0 {
			if err := os.Chmod(path, 0o600); err != nil {
				return fmt.Errorf("%s can be read by others and that cannot be changed; chmod it to 0600: %w", path, err)
			}
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("data folder %s cannot be read: give it to the user that weir runs as: %w", dir, err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil // another process was first
	}
	if err != nil {
		return fmt.Errorf("data folder %s cannot be written: give it to the user that weir runs as, or name another: %w", dir, err)
	}
	giveToOwner(dir, path)
	// The file's name must not be lost, nor the folder's in its parent.
	return errors.Join(f.Close(), syncFolder(dir), syncFolder(filepath.Dir(dir)))
}

// openDB opens a pool of connections to the file, with a query of the driver's parameters.
func openDB(path string, o Options, query string) (*sql.DB, error) {
	name := filepath.ToSlash(path)
	if !strings.HasPrefix(name, "/") {
		name = "/" + name // a drive's letter
	}
	u := url.URL{Scheme: "file", Path: name, RawQuery: query}
	if o.vfs != "" {
		u.RawQuery += "&vfs=" + o.vfs
	}
	c, err := sqlite.NewConnector(u.String())
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}
