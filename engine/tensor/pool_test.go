package tensor

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// TestPoolRunsEveryTileOnce runs many jobs of many sizes on pools of several sizes, also from several callers at once.
func TestPoolRunsEveryTileOnce(t *testing.T) {
	t.Parallel()
	for _, threads := range []int{1, 2, 3, 8} {
		p := NewPool(threads)
		if p.Threads() != threads {
			t.Errorf("a pool of %d threads says %d", threads, p.Threads())
		}
		var callers sync.WaitGroup
		for caller := range 2 {
			callers.Go(func() {
				for job := range 400 {
					tiles := (job*7 + caller) % 60
					counts := make([]atomic.Int32, tiles)
					p.Run(tiles, func(i int) { counts[i].Add(1) })
					for i := range counts {
						if n := counts[i].Load(); n != 1 {
							t.Errorf("threads %d, job of %d: tile %d ran %d times", threads, tiles, i, n)
						}
					}
				}
			})
		}
		callers.Wait()
		p.Close()
		p.Close()
		ran := 0
		p.Run(3, func(int) { ran++ })
		if ran != 3 {
			t.Errorf("a closed pool ran %d of 3 tiles on the caller", ran)
		}
	}
	var none *Pool
	ran := 0
	none.Run(3, func(int) { ran++ })
	none.Close()
	if ran != 3 || none.Threads() != 1 {
		t.Errorf("a nil pool ran %d of 3 tiles with %d threads", ran, none.Threads())
	}
}

// TestPoolPanicReachesCaller: a tile's panic comes out of Run, also when a worker ran it, and the pool works on.
func TestPoolPanicReachesCaller(t *testing.T) {
	t.Parallel()
	p := NewPool(3)
	defer p.Close()
	for round := range 50 {
		func() {
			defer func() {
				v, _ := recover().(string)
				if !strings.Contains(v, "tile 7 breaks") {
					t.Errorf("round %d: recovered %q", round, v)
				}
			}()
			p.Run(20, func(i int) {
				if i == 7 {
					panic("tile 7 breaks")
				}
			})
		}()
		var sum atomic.Int64
		p.Run(20, func(i int) { sum.Add(int64(i)) })
		if sum.Load() != 190 {
			t.Fatalf("round %d: after a panic the sum of tiles is %d", round, sum.Load())
		}
	}
}

// TestPoolParks: between jobs every worker comes to rest. synctest.Wait returns only when all goroutines of the bubble are
// blocked, so a worker that spun on would keep it waiting for ever; and the bubble ends only when they are gone, so a worker
// that Close left behind would be reported as a deadlock.
func TestPoolParks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(4)
		for range 20 {
			synctest.Wait()
			for i, w := range p.workers {
				if !w.parked.Load() {
					t.Errorf("worker %d is blocked elsewhere than at its wake-up", i)
				}
			}
			var sum atomic.Int64
			p.Run(100, func(int) { sum.Add(1) })
			if sum.Load() != 100 {
				t.Errorf("a job on a parked pool ran %d of 100 tiles", sum.Load())
			}
		}
		p.Close()
	})
}

func BenchmarkPoolRun(b *testing.B) {
	p := NewPool(2)
	defer p.Close()
	for b.Loop() {
		p.Run(8, func(int) {})
	}
}
