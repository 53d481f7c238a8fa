package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/weir-ai/weir/store/storetest"
	"github.com/weir-ai/weir/tenant"
)

// TestKeeper runs the conformance suite: the first handle is the server, the others are guests beside it.
func TestKeeper(t *testing.T) {
	t.Parallel()
	storetest.Keeper(t, func(t *testing.T) func() tenant.Keeper {
		dir, guest := t.TempDir(), false
		return func() tenant.Keeper {
			s := open(t, dir, Options{Guest: guest})
			guest = true
			return s.Keeper()
		}
	})
}

func TestOneServerAtATime(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "deep", "data")
	first := open(t, dir, Options{})
	_, err := Open(dir, Options{})
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("a second server: %v", err)
	}
	for _, part := range []string{dir, fmt.Sprintf("process %d", os.Getpid()), "data folder of its own"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not name %q", err, part)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir, Options{})
}

// TestGuestLeavesTheFolderFree: a command that made the folder does not keep a server out, and nothing of a measurement stays there.
func TestGuestLeavesTheFolderFree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	guest := open(t, dir, Options{Guest: true})
	if err := guest.Keeper().SaveKey(t.Context(), tenant.Key{ID: "k1"}); err != nil {
		t.Fatal(err)
	}
	server := open(t, dir, Options{})
	if keys, err := server.Keeper().Keys(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("the server finds %v, %v", keys, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := filepath.Base(f); !strings.HasPrefix(name, Name) && name != lockName {
			t.Errorf("%s was left in the folder", name)
		}
	}
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no modes; a folder's own rules hold")
	}
	dir := filepath.Join(t.TempDir(), "data")
	s := open(t, dir, Options{})
	make2KB(t, s)
	check := func(path string, want os.FileMode) {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, not %o", path, info.Mode().Perm(), want)
		}
	}
	check(dir, 0o700)
	for _, name := range []string{Name, Name + "-wal", Name + "-shm", lockName} {
		check(filepath.Join(dir, name), 0o600)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, Name), 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, dir, Options{})
	check(filepath.Join(dir, Name), 0o600)
}

// TestChangedHook: another process's write is told, our own is not.
func TestChangedHook(t *testing.T) {
	t.Parallel()
	dir, told := t.TempDir(), make(chan struct{}, 100)
	server := open(t, dir, Options{Changed: func() { told <- struct{}{} }})
	guest := open(t, dir, Options{Guest: true})
	if err := server.Keeper().SaveKey(t.Context(), tenant.Key{ID: "ours"}); err != nil {
		t.Fatal(err)
	}
	look := func() {
		if err := server.write(t.Context(), func(*tx) error { server.writer.look(); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	look()
	if n := len(told) + len(server.writer.changed); n != 0 {
		t.Errorf("our own write was told %d times", n)
	}
	if err := guest.Keeper().SaveKey(t.Context(), tenant.Key{ID: "theirs"}); err != nil {
		t.Fatal(err)
	}
	<-told // by the tick, without any write of ours
}

// TestWrongFilesAreRefused: each error says what to do, and the file stays as it is.
func TestWrongFilesAreRefused(t *testing.T) {
	t.Parallel()
	whole := filepath.Join(t.TempDir(), "whole")
	s := open(t, whole, Options{})
	for i := range 200 {
		if err := s.Keeper().SaveKey(t.Context(), tenant.Key{ID: fmt.Sprintf("k%d", i), Name: strings.Repeat("n", 100)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(filepath.Join(whole, Name))
	if err != nil {
		t.Fatal(err)
	}
	damagedPage := bytes.Clone(image)
	for i := range 4096 {
		damagedPage[len(image)/4096/2*4096+i] = 0xA5
	}
	row := func(name string, content []byte, pragma string, want error, fix string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, Name)
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			if pragma != "" {
				tweak(t, path, pragma)
			}
			before, _ := os.ReadFile(path)
			_, err := Open(dir, Options{})
			if !errors.Is(err, want) || err == nil || !strings.Contains(err.Error(), fix) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v", err)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
	row("newer", image, fmt.Sprintf("PRAGMA user_version=%d", len(migrations)+1), ErrNewer, "run the newer weir")
	row("not a database", []byte(strings.Repeat("not a database at all. ", 400)), "", ErrDamaged, "put a backup in their place")
	row("a page overwritten", damagedPage, "", ErrDamaged, ".recover")
	row("cut off", image[:len(image)/4096/2*4096], "", ErrDamaged, ".recover")
	row("another's", nil, "CREATE TABLE music (id INTEGER)", ErrForeign, "another data folder")
	row("another's id", image, "PRAGMA application_id=77", ErrForeign, "another data folder")
}

// tweak runs one statement on a file, past the store.
func tweak(t *testing.T, path, statement string) {
	t.Helper()
	db, err := openDB(path, Options{}, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestGuestOfAnOlderServer: a newer command must not change the schema below a server that runs.
func TestGuestOfAnOlderServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := open(t, dir, Options{})
	tweak(t, filepath.Join(dir, Name), "PRAGMA user_version=0")
	if _, err := Open(dir, Options{Guest: true}); !errors.Is(err, ErrOlder) {
		t.Errorf("got %v", err)
	}
	tweak(t, filepath.Join(dir, Name), fmt.Sprintf("PRAGMA user_version=%d", len(migrations)))
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir, Options{Guest: true})
}

func TestFoldersThatCannotBe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "taken", Name), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, fix := range map[string]string{"file": "name another", "taken": "move it away"} {
		if _, err := Open(filepath.Join(dir, name), Options{}); err == nil || !strings.Contains(err.Error(), fix) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDiskIsMeasured reads what a start tells of the disk.
func TestDiskIsMeasured(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	s := open(t, t.TempDir(), Options{Log: slog.New(slog.NewTextHandler(&text, nil))})
	d := s.Disk()
	if d.Sync <= 0 || d.Alone <= 0 || d.Together != d.Alone*groupMax {
		t.Errorf("measured %+v", d)
	}
	if !strings.Contains(text.String(), "durable_writes_alone_per_s=") || !strings.Contains(text.String(), s.Dir()) {
		t.Errorf("told %q", text.String())
	}
}

// TestFoldersThatForget: folders in memory are told at the start.
func TestFoldersThatForget(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"": "", "tmpfs": "in memory", "ramfs": "in memory", "overlay": "mount a volume", "nfs": "local disk", "smb": "local disk", "fuse": "local disk",
	} {
		if got := warning(kind); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: %q", kind, got)
		}
	}
	if kindOf("/dev/shm") != "tmpfs" {
		t.Skip("/dev/shm is not in memory here")
	}
	dir, err := os.MkdirTemp("/dev/shm", "weir-store-")
	if err != nil {
		t.Skipf("/dev/shm cannot be written: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	var text bytes.Buffer
	s := open(t, dir, Options{Log: slog.New(slog.NewTextHandler(&text, nil))})
	if len(s.Disk().Warnings) != 1 || !strings.Contains(text.String(), "level=WARN") || !strings.Contains(text.String(), "loses it all") {
		t.Errorf("told %q, warnings %q", text.String(), s.Disk().Warnings)
	}
}

// TestReadersDoNotWrite: the readers' connections cannot change anything, whatever is asked of them.
func TestReadersDoNotWrite(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), Options{})
	err := s.read(t.Context(), func(db *sql.DB) error {
		_, err := db.ExecContext(context.Background(), "DELETE FROM keys")
		return err
	})
	if err == nil {
		t.Error("a reader deleted all keys")
	}
}
