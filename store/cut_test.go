//go:build linux

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// cutDisk lies between SQLite and the system's files and writes down what SQLite asks of the disk: each write, truncation, sync and
// deletion. From that it makes what a disk can hold after a power cut at any moment: what was synced is there, and of what was not, each
// sector of 512 bytes is or is not, in any order. It stands for a disk that keeps what it says; one that lies about syncs is beyond
// any database. What the file system does with the names of new files is not simulated.
type cutDisk struct {
	name     string
	failSync atomic.Bool  // every sync fails from now on
	room     atomic.Int64 // bytes of the log that fit on the disk; 0 any number

	mu   sync.Mutex
	log  []diskOp
	open map[uintptr]openFile // by SQLite's file

	// C memory, never freed: SQLite keeps the first for ever. Files of different kinds have different methods: ours by the system's.
	vfs     uintptr
	methods map[uintptr]uintptr
	// C memory does not keep Go functions alive; these fields do.
	xOpen     func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32
	xDelete   func(*libc.TLS, uintptr, uintptr, int32) int32
	xClose    func(*libc.TLS, uintptr) int32
	xWrite    func(*libc.TLS, uintptr, uintptr, int32, int64) int32
	xTruncate func(*libc.TLS, uintptr, int64) int32
	xSync     func(*libc.TLS, uintptr, int32) int32
}

type openFile struct {
	name  string
	below *lib.Tsqlite3_io_methods // the system's own
}

type opKind int

const (
	opWrite opKind = iota
	opTruncate
	opSync
	opDelete
	opAck // a write of the store was acknowledged
)

// diskOp is one thing asked of the disk.
type diskOp struct {
	kind opKind
	file string
	at   int64 // the offset of a write, the length of a truncation, the number of what was acknowledged
	data []byte
}

// at reads C memory. SQLite's memory never moves and is none of Go's.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

// below calls the system's function that a field of C memory holds.
func below[F any](f uintptr) F {
	held := &struct{ uintptr }{f}
	return *(*F)(unsafe.Pointer(held))
}

// above puts a Go function into a field of C memory.
func above[F any](field *uintptr, f *F) { *field = *(*uintptr)(unsafe.Pointer(f)) }

func newCutDisk(t *testing.T) *cutDisk {
	d := &cutDisk{name: "cut-" + strings.ReplaceAll(t.Name(), "/", "-"), open: map[uintptr]openFile{}}
	tls := libc.NewTLS()
	defer tls.Close()
	system := lib.Xsqlite3_vfs_find(tls, 0)
	d.vfs = libc.Xmalloc(tls, uint64(unsafe.Sizeof(lib.Tsqlite3_vfs{})))
	d.methods = map[uintptr]uintptr{}
	name, err := libc.CString(d.name)
	if err != nil || system == 0 || d.vfs == 0 {
		t.Fatalf("no memory for a file system: %v", err)
	}
	v := at[lib.Tsqlite3_vfs](d.vfs)
	*v = *at[lib.Tsqlite3_vfs](system)
	v.FzName, v.FpNext = name, 0
	d.wire(system)
	above(&v.FxOpen, &d.xOpen)
	above(&v.FxDelete, &d.xDelete)
	if rc := lib.Xsqlite3_vfs_register(tls, d.vfs, 0); rc != lib.SQLITE_OK {
		t.Fatalf("the file system is not taken: %d", rc)
	}
	return d
}

// wire makes the functions that SQLite calls: each notes what is asked and passes it on to the system's file system. The methods of a
// file are the system's with four replaced.
func (d *cutDisk) wire(system uintptr) {
	s := at[lib.Tsqlite3_vfs](system)
	d.xOpen = func(tls *libc.TLS, _, name, file uintptr, flags int32, out uintptr) int32 {
		rc := below[func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32](s.FxOpen)(tls, system, name, file, flags, out)
		if rc == lib.SQLITE_OK && name != 0 {
			d.opened(tls, file, filepath.Base(libc.GoString(name)))
		}
		return rc
	}
	d.xDelete = func(tls *libc.TLS, _, name uintptr, sync int32) int32 {
		d.note(diskOp{kind: opDelete, file: filepath.Base(libc.GoString(name))})
		return below[func(*libc.TLS, uintptr, uintptr, int32) int32](s.FxDelete)(tls, system, name, sync)
	}
	d.xClose = func(tls *libc.TLS, file uintptr) int32 {
		f := d.file(file)
		d.mu.Lock()
		delete(d.open, file)
		d.mu.Unlock()
		return below[func(*libc.TLS, uintptr) int32](f.below.FxClose)(tls, file)
	}
	d.xWrite = func(tls *libc.TLS, file, data uintptr, n int32, offset int64) int32 {
		f := d.file(file)
		if room := d.room.Load(); room > 0 && strings.HasSuffix(f.name, "-wal") && offset+int64(n) > room {
			return lib.SQLITE_FULL
		}
		d.note(diskOp{kind: opWrite, file: f.name, at: offset, data: bytes.Clone(unsafe.Slice(at[byte](data), n))})
		return below[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](f.below.FxWrite)(tls, file, data, n, offset)
	}
	d.xTruncate = func(tls *libc.TLS, file uintptr, size int64) int32 {
		f := d.file(file)
		d.note(diskOp{kind: opTruncate, file: f.name, at: size})
		return below[func(*libc.TLS, uintptr, int64) int32](f.below.FxTruncate)(tls, file, size)
	}
	d.xSync = func(_ *libc.TLS, file uintptr, _ int32) int32 {
		if d.failSync.Load() {
			return lib.SQLITE_IOERR_FSYNC
		}
		d.note(diskOp{kind: opSync, file: d.file(file).name}) // the real disk need not be waited for
		return lib.SQLITE_OK
	}
}

// opened puts our methods before the system's.
func (d *cutDisk) opened(tls *libc.TLS, file uintptr, name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := at[lib.Tsqlite3_file](file)
	d.open[file] = openFile{name: name, below: at[lib.Tsqlite3_io_methods](f.FpMethods)}
	if d.methods[f.FpMethods] == 0 {
		d.methods[f.FpMethods] = libc.Xmalloc(tls, uint64(unsafe.Sizeof(lib.Tsqlite3_io_methods{})))
		m := at[lib.Tsqlite3_io_methods](d.methods[f.FpMethods])
		*m = *d.open[file].below
		above(&m.FxClose, &d.xClose)
		above(&m.FxWrite, &d.xWrite)
		above(&m.FxTruncate, &d.xTruncate)
		above(&m.FxSync, &d.xSync)
	}
	f.FpMethods = d.methods[f.FpMethods]
}

func (d *cutDisk) file(file uintptr) openFile {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open[file]
}

func (d *cutDisk) note(o diskOp) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = append(d.log, o)
}

func (d *cutDisk) length() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.log)
}

// cut gives what each file can hold after a power cut behind the first ops, with keep of 0 to 1 as the chance of an unsynced sector's
// having been written, and what had been acknowledged by then.
func (d *cutDisk) cut(ops int, keep float64, r *rand.Rand) (files map[string][]byte, acknowledged map[int]bool) {
	files, acknowledged = map[string][]byte{}, map[int]bool{}
	pending := map[string][]diskOp{}
	for _, o := range d.log[:ops] {
		switch o.kind {
		case opAck:
			acknowledged[int(o.at)] = true
		case opDelete:
			delete(files, o.file)
			delete(pending, o.file)
		case opSync:
			for _, p := range pending[o.file] {
				files[o.file] = p.apply(files[o.file], func() bool { return true })
			}
			delete(pending, o.file)
		default:
			pending[o.file] = append(pending[o.file], o)
		}
	}
	for _, name := range sorted(pending) {
		for _, p := range pending[name] {
			files[name] = p.apply(files[name], func() bool { return r.Float64() < keep })
		}
	}
	return files, acknowledged
}

func sorted(m map[string][]diskOp) []string {
	names := make([]string, 0, len(m))
	for _, n := range []string{Name, Name + "-wal", Name + "-journal"} {
		if _, ok := m[n]; ok {
			names = append(names, n)
		}
	}
	return names
}

// apply does the operation to a file, sector by sector, those that kept says.
func (o diskOp) apply(file []byte, kept func() bool) []byte {
	const sector = 512
	if o.kind == opTruncate {
		if kept() && int(o.at) < len(file) {
			file = file[:o.at]
		}
		return file
	}
	for done := 0; done < len(o.data); {
		from := int(o.at) + done
		n := min(sector-from%sector, len(o.data)-done)
		if kept() {
			if missing := from + n - len(file); missing > 0 {
				file = append(file, make([]byte, missing)...)
			}
			copy(file[from:], o.data[done:done+n])
		}
		done += n
	}
	return file
}

// record writes pairs from several goroutines on a cutDisk, with the store's own setting where none is named, and gives the number of operations before the first pair.
func record(t *testing.T, d *cutDisk, synchronous string) (start int) {
	s := open(t, t.TempDir(), Options{vfs: d.name})
	// Small checkpoints, so that cuts fall into them too.
	pragmas := []string{"wal_autocheckpoint=30"}
	if synchronous != "" {
		pragmas = append(pragmas, "synchronous="+synchronous)
	}
	for _, pragma := range pragmas {
		if err := pragmaExec(t.Context(), s.writer.conn, pragma); err != nil {
			t.Fatal(err)
		}
	}
	if err := makePairs(s); err != nil {
		t.Fatal(err)
	}
	start = d.length()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for n := g; n < 160; n += 4 {
				if err := s.write(context.Background(), pair(n)); err != nil {
					t.Error(err)
				}
				d.note(diskOp{kind: opAck, at: int64(n)})
			}
		})
	}
	wg.Wait()
	return start
}

// lost cuts the power at many moments, counts the acknowledged pairs that are missing afterwards, and tells what else is wrong.
func lost(t *testing.T, d *cutDisk, start int) (missing int, wrong []string) {
	seed := number("WEIR_STORE_SEED", rand.Uint64()%1e6)
	t.Logf("WEIR_STORE_SEED=%d, %d operations of the disk", seed, len(d.log)-start)
	r := rand.New(rand.NewPCG(seed, 1))
	for range number("WEIR_STORE_CUTS", 60) {
		moment, keep := start+r.IntN(len(d.log)-start), []float64{0, .5, .9, 1}[r.IntN(4)]
		files, acknowledged := d.cut(moment, keep, r)
		dir := t.TempDir()
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		n, err := checkPairs(dir, acknowledged)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("cut behind operation %d of %d, keeping %v of what was not synced: %v", moment-start, len(d.log)-start, keep, err))
		}
		missing += n
	}
	return missing, wrong
}

// TestPowerCut: whatever the disk had and had not written when the power went, every acknowledged pair is there, and none by half.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	d := newCutDisk(t)
	start := record(t, d, "")
	kinds := map[opKind]bool{}
	for _, o := range d.log[start:] {
		if o.file == Name {
			kinds[o.kind] = true
		}
	}
	if !kinds[opWrite] || !kinds[opSync] {
		t.Errorf("no checkpoint was recorded, so none was cut: %v", kinds)
	}
	if missing, wrong := lost(t, d, start); missing != 0 || wrong != nil {
		t.Errorf("%d acknowledged pairs were lost; %s", missing, strings.Join(wrong, "\n"))
	}
}

// TestPowerCutFindsLosses shows that the simulation can find a loss: without the sync at each commit, acknowledged pairs are lost.
func TestPowerCutFindsLosses(t *testing.T) {
	t.Parallel()
	d := newCutDisk(t)
	if missing, wrong := lost(t, d, record(t, d, "NORMAL")); missing == 0 && wrong == nil {
		t.Error("nothing was lost with synchronous=NORMAL; the simulation finds nothing")
	}
}

// TestDiskThatCannotSync: after a failed sync nothing is acknowledged any more, what was acknowledged before is kept, and reads go on.
func TestDiskThatCannotSync(t *testing.T) {
	t.Parallel()
	d := newCutDisk(t)
	dir := t.TempDir()
	s := open(t, dir, Options{vfs: d.name})
	if err := makePairs(s); err != nil {
		t.Fatal(err)
	}
	if err := s.write(t.Context(), pair(1)); err != nil {
		t.Fatal(err)
	}
	d.failSync.Store(true)
	if err := s.write(t.Context(), pair(2)); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "restart weir") {
		t.Errorf("a failed sync: %v", err)
	}
	d.failSync.Store(false)
	if err := s.write(t.Context(), pair(3)); !errors.Is(err, ErrBroken) {
		t.Errorf("after a failed sync: %v", err)
	}
	n := 0
	if err := s.reads.QueryRow("SELECT count(*) FROM one").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows are read, %v", n, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if missing, err := checkPairs(dir, map[int]bool{1: true}); missing != 0 || err != nil {
		t.Error(fmt.Errorf("after a restart %d are missing, %w", missing, err))
	}
}

// TestDiskFullAtCommit: a group that does not fit is written one by one, and each request has its own answer.
func TestDiskFullAtCommit(t *testing.T) {
	t.Parallel()
	d := newCutDisk(t)
	b := newBundle(t, Options{vfs: d.name})
	d.room.Store(256 << 10)
	release := b.hold()
	var small, large []chan error
	for i := range 6 {
		small = append(small, b.send(insert(i)))
		large = append(large, b.send(statement("INSERT INTO numbers (n, body) VALUES (?, ?)", 100+i, strings.Repeat("x", 300<<10))))
	}
	release()
	for _, a := range small {
		if err := <-a; err != nil {
			t.Errorf("one that fits: %v", err)
		}
	}
	for _, a := range large {
		if err := <-a; !errors.Is(err, ErrDiskFull) {
			t.Errorf("one that does not: %v", err)
		}
	}
	b.answers.Wait()
	d.room.Store(0)
	b.mustWrite("INSERT INTO numbers (n, body) VALUES (50, ?)", strings.Repeat("x", 300<<10))
	if n := b.numbers(); n != 7 {
		t.Errorf("%d rows, not 7", n)
	}
}
