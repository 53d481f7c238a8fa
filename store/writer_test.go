package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	lib "modernc.org/sqlite/lib"
)

// bundle is a store with a table of numbers, whose writer can be held.
type bundle struct {
	*Store
	t       *testing.T
	answers sync.WaitGroup
}

func newBundle(t *testing.T, o Options) *bundle {
	b := &bundle{Store: open(t, t.TempDir(), o), t: t}
	b.mustWrite("CREATE TABLE numbers (n INTEGER PRIMARY KEY, body TEXT NOT NULL DEFAULT '') STRICT")
	return b
}

func (b *bundle) mustWrite(query string, args ...any) {
	b.t.Helper()
	if err := b.write(b.t.Context(), statement(query, args...)); err != nil {
		b.t.Fatal(err)
	}
}

func statement(query string, args ...any) func(*tx) error {
	return func(t *tx) error {
		_, err := t.exec(query, args...)
		return err
	}
}

func insert(n int) func(*tx) error { return statement("INSERT INTO numbers (n) VALUES (?)", n) }

// hold stops the writer in a request of its own until the returned function is called.
func (b *bundle) hold() (release func()) {
	held, on := make(chan struct{}), make(chan struct{})
	b.answers.Go(func() {
		if err := b.write(context.Background(), func(*tx) error { close(held); <-on; return nil }); err != nil {
			b.t.Error(err)
		}
	})
	<-held
	return func() { close(on) }
}

// send hands a request in without waiting, and gives where the answer comes.
func (b *bundle) send(do func(*tx) error) chan error {
	r := &request{do: do, done: make(chan error, 1)}
	if err := b.writer.send(r); err != nil {
		b.t.Error(err)
		r.done <- err
	}
	return r.done
}

func (b *bundle) numbers() int {
	b.t.Helper()
	n := 0
	if err := b.reads.QueryRow("SELECT count(*) FROM numbers").Scan(&n); err != nil {
		b.t.Fatal(err)
	}
	return n
}

// TestOneTransactionForAll: what waits shares a transaction, up to groupMax; the rest is the next.
func TestOneTransactionForAll(t *testing.T) {
	t.Parallel()
	b := newBundle(t, Options{})
	release := b.hold()
	sizes := make(chan int, 2*groupMax)
	var answers []chan error
	for i := range groupMax + 1 {
		answers = append(answers, b.send(func(x *tx) error {
			sizes <- len(b.writer.group)
			return insert(i)(x)
		}))
	}
	release()
	for i, a := range answers {
		if err := <-a; err != nil {
			t.Fatal(err)
		}
		want := groupMax
		if i == groupMax {
			want = 1
		}
		if got := <-sizes; got != want {
			t.Fatalf("request %d was in a group of %d, not %d", i, got, want)
		}
	}
	b.answers.Wait()
	if n := b.numbers(); n != groupMax+1 {
		t.Errorf("%d rows", n)
	}
}

// TestOneFailsAlone: a request that breaks a constraint, errs or panics undoes all of its own and nothing of the others.
func TestOneFailsAlone(t *testing.T) {
	t.Parallel()
	b := newBundle(t, Options{})
	b.mustWrite("INSERT INTO numbers (n) VALUES (1000)")
	release := b.hold()
	own := errors.New("its own")
	var good, bad []chan error
	for i := range 20 {
		good = append(good, b.send(insert(i)))
		if i%5 != 2 {
			continue
		}
		bad = append(bad,
			b.send(func(x *tx) error { return errors.Join(insert(100+i)(x), insert(1000)(x)) }),
			b.send(func(x *tx) error { return errors.Join(insert(200+i)(x), own) }),
			b.send(func(x *tx) error { _ = insert(300 + i)(x); panic("a bug") }))
	}
	release()
	for _, a := range good {
		if err := <-a; err != nil {
			t.Error(err)
		}
	}
	for i, a := range bad {
		err := <-a
		switch i % 3 {
		case 0:
			if code(err) != lib.SQLITE_CONSTRAINT {
				t.Errorf("a constraint: %v", err)
			}
		case 1:
			if !errors.Is(err, own) {
				t.Errorf("an own error: %v", err)
			}
		case 2:
			if err == nil || !strings.Contains(err.Error(), "a bug") {
				t.Errorf("a panic: %v", err)
			}
		}
	}
	b.answers.Wait()
	if n := b.numbers(); n != 21 {
		t.Errorf("%d rows, not 21", n)
	}
}

func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	b := newBundle(t, Options{queue: 4, Metrics: r})
	release := b.hold()
	var answers []chan error
	for i := range 4 {
		answers = append(answers, b.send(insert(i)))
	}
	if got := metric(t, r, "weir_store_waiting"); got != 4 {
		t.Errorf("weir_store_waiting %v", got)
	}
	err := b.write(t.Context(), insert(5))
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "4 of 4") {
		t.Errorf("beyond the bound: %v", err)
	}
	release()
	for _, a := range answers {
		if err := <-a; err != nil {
			t.Error(err)
		}
	}
	b.answers.Wait()
	b.mustWrite("INSERT INTO numbers (n) VALUES (6)")
	if n := b.numbers(); n != 5 {
		t.Errorf("%d rows, not 5", n)
	}
	if got := metric(t, r, "weir_store_refused_total"); got != 1 {
		t.Errorf("weir_store_refused_total %v", got)
	}
}

// TestLeavingTheQueue: an error of the context means that nothing was written, and a write that has begun is answered.
func TestLeavingTheQueue(t *testing.T) {
	t.Parallel()
	b := newBundle(t, Options{})
	release := b.hold()
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { left <- b.write(ctx, insert(1)) }()
	for len(b.writer.queue) == 0 {
		runtime.Gosched()
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "not saved") {
		t.Errorf("left the queue: %v", err)
	}
	release()
	b.answers.Wait()

	ctx, leave = context.WithCancel(t.Context())
	if err := b.write(ctx, func(x *tx) error { leave(); return insert(2)(x) }); err != nil {
		t.Errorf("left too late: %v", err)
	}
	if n := b.numbers(); n != 1 {
		t.Errorf("%d rows, not the one that was acknowledged", n)
	}
}

func TestCloseDrains(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := &bundle{Store: open(t, dir, Options{}), t: t}
	b.mustWrite("CREATE TABLE numbers (n INTEGER PRIMARY KEY) STRICT")
	release := b.hold()
	var answers []chan error
	for i := range 700 {
		answers = append(answers, b.send(insert(i)))
	}
	closed := make(chan error, 1)
	go func() { closed <- b.Close() }()
	for ended := false; !ended; {
		b.writer.gate.RLock()
		ended = b.writer.gate.closed
		b.writer.gate.RUnlock()
	}
	if err := b.write(t.Context(), insert(701)); !errors.Is(err, ErrClosed) {
		t.Errorf("after the close: %v", err)
	}
	release()
	for _, a := range answers {
		if err := <-a; err != nil {
			t.Fatal(err)
		}
	}
	b.answers.Wait()
	if err := errors.Join(<-closed, b.Close()); err != nil {
		t.Fatal(err)
	}
	again := &bundle{Store: open(t, dir, Options{}), t: t}
	if n := again.numbers(); n != 700 {
		t.Errorf("%d rows, not 700", n)
	}
}

// TestFullDisk: what does not fit is told so, what fits beside it is saved, and saving goes on once there is space.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	b := newBundle(t, Options{pagesMax: 40})
	large := strings.Repeat("x", 4096*60)
	release := b.hold()
	var small []chan error
	var big []chan error
	for i := range 8 {
		small = append(small, b.send(insert(i)))
		if i%3 == 0 {
			big = append(big, b.send(statement("INSERT INTO numbers (n, body) VALUES (?, ?)", 100+i, large)))
		}
	}
	release()
	for _, a := range big {
		if err := <-a; !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), "free space") {
			t.Errorf("too large: %v", err)
		}
	}
	for _, a := range small {
		if err := <-a; err != nil {
			t.Errorf("beside it: %v", err)
		}
	}
	b.answers.Wait()

	var err error
	n := 1000
	for ; err == nil; n++ {
		err = b.write(t.Context(), statement("INSERT INTO numbers (n, body) VALUES (?, ?)", n, large[:8000]))
	}
	if !errors.Is(err, ErrDiskFull) {
		t.Fatalf("filled up: %v", err)
	}
	b.mustWrite("DELETE FROM numbers WHERE n >= 1000")
	b.mustWrite("INSERT INTO numbers (n, body) VALUES (?, ?)", n, large[:8000])
	if got := b.numbers(); got != 9 {
		t.Errorf("%d rows, not 9", got)
	}
}

// TestBusyFile: a process that holds the file makes writers wait, not fail.
func TestBusyFile(t *testing.T) {
	t.Parallel()
	b := newBundle(t, Options{})
	guest := &bundle{Store: open(t, b.Dir(), Options{Guest: true}), t: t}
	release := guest.hold()
	answer := make(chan error, 1)
	go func() { answer <- b.write(context.Background(), insert(1)) }()
	for busyOnce := false; !busyOnce; {
		b.writer.gate.Lock() // the writer has taken the request out, and waits for the file
		busyOnce = len(b.writer.queue) == 0
		b.writer.gate.Unlock()
	}
	select {
	case err := <-answer:
		t.Errorf("answered while another process holds the file: %v", err)
	default:
	}
	release()
	if err := <-answer; err != nil {
		t.Error(err)
	}
	guest.answers.Wait()
}

// TestBusyForTooLong: a process that does not let the file go makes writes fail, with what to do.
func TestBusyForTooLong(t *testing.T) {
	t.Parallel()
	b := newBundle(t, Options{patience: 20 * time.Millisecond})
	guest := &bundle{Store: open(t, b.Dir(), Options{Guest: true}), t: t}
	release := guest.hold()
	if err := b.write(t.Context(), insert(1)); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "fuser") {
		t.Errorf("got %v", err)
	}
	release()
	guest.answers.Wait()
	b.mustWrite("INSERT INTO numbers (n) VALUES (1)")
}

// TestGuestBesideABusyServer: a command gets its turn between a server's transactions.
func TestGuestBesideABusyServer(t *testing.T) {
	t.Parallel()
	b := newBundle(t, Options{})
	guest := open(t, b.Dir(), Options{Guest: true})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 32 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := b.write(context.Background(), insert(1_000_000*(w+1)+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 20 {
		if err := guest.write(t.Context(), insert(i)); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
}

func TestMetricsTellGroups(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	b := newBundle(t, Options{Metrics: r})
	before := metric(t, r, "weir_store_commit_writes")
	release := b.hold()
	var answers []chan error
	for i := range 10 {
		answers = append(answers, b.send(insert(i)))
	}
	release()
	for _, a := range answers {
		<-a
	}
	b.mustWrite("DELETE FROM numbers") // its group comes after the ten's, so they are counted
	if got := metric(t, r, "weir_store_commit_writes") - before; got < 11 || got > 12 {
		t.Errorf("%v writes counted, of the holder's, ten and one that may still be under way", got)
	}
}

// metric gives a gauge's or counter's value, or a histogram's sum.
func metric(t *testing.T, r *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetHistogram().GetSampleSum()
		}
	}
	t.Fatal(fmt.Errorf("no metric %s", name))
	return 0
}
