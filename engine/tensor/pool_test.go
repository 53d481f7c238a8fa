package tensor

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
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

// TestPoolParks waits until the workers of an idle pool are parked, runs a job, and finds them parked again.
func TestPoolParks(t *testing.T) {
	t.Parallel()
	p := NewPool(4)
	defer p.Close()
	for range 20 {
		for _, w := range p.workers {
			for !w.parked.Load() {
				runtime.Gosched() // without parking this never ends, and the test's time limit says so
			}
		}
		var sum atomic.Int64
		p.Run(100, func(i int) { sum.Add(1) })
		if sum.Load() != 100 {
			t.Fatalf("a job on a parked pool ran %d of 100 tiles", sum.Load())
		}
	}
}

func TestPoolCloseEndsWorkers(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 10 {
		p := NewPool(8)
		p.Run(100, func(int) {})
		p.Close()
	}
	// Close waits for the workers' last statement; the runtime may count them a moment longer.
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d after closing", before, after)
	}
}

func BenchmarkPoolRun(b *testing.B) {
	p := NewPool(2)
	defer p.Close()
	for b.Loop() {
		p.Run(8, func(int) {})
	}
}
