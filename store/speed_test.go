package store

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkWrites tells how many durable writes of 2 KB a second so many callers get, and how many with a transaction a call.
func BenchmarkWrites(b *testing.B) {
	row := make([]byte, 2000)
	for i := range row {
		row[i] = 'a' + byte(i%26)
	}
	for _, c := range []struct {
		callers, group int
	}{{1, groupMax}, {8, groupMax}, {64, groupMax}, {512, groupMax}, {64, 1}} {
		b.Run(fmt.Sprintf("callers=%d/group=%d", c.callers, c.group), func(b *testing.B) {
			s := open(b, b.TempDir(), Options{group: c.group})
			make2KB(b, s)
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range c.callers {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						if err := s.write(context.Background(), func(t *tx) error {
							_, err := t.exec("INSERT INTO load (id, body) VALUES (?, ?)", i, string(row))
							return err
						}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
		})
	}
}

func make2KB(t testing.TB, s *Store) {
	t.Helper()
	if err := s.write(context.Background(), func(t *tx) error {
		_, err := t.exec("CREATE TABLE load (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT")
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}
