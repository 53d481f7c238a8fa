package tensor

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// Pool is a fixed set of workers that share the tiles of one job at a time with the goroutine that asks.
//
// The obvious way, as many static parts as cores and a barrier, stalls everything when one core is busy with something else,
// and these cores are shared with the gateway and with other processes. So tiles are small and claimed one by one from an
// atomic counter: who is descheduled delays one tile only. The caller works too, so a job is never slower than without workers.
//
// A worker that finds no job spins briefly, because in a forward pass the next job comes within microseconds, and then parks on
// a channel, so an idle pool burns no CPU.
//
// One job is open at a time. The state word counts the participants and has a bit that says whether the job may be entered;
// who finds no tile left turns the bit off, and Run returns when the count is zero. So no worker ever looks at the tiles of a job that has
// ended, and starting a job allocates nothing.
type Pool struct {
	workers []*worker
	ended   sync.WaitGroup

	run    sync.Mutex // held by Run: one job at a time
	state  atomic.Int64
	next   atomic.Int64 // the next unclaimed tile
	closed atomic.Bool
	waiter atomic.Bool   // the caller sleeps until the last participant leaves
	left   chan struct{} // wakes it

	job struct { // written by Run while no job is open, read by participants
		tiles  int64
		f      func(tile int)
		failed atomic.Pointer[tilePanic]
	}
}

// open is the bit of Pool.state that lets workers enter; the bits below count the participants.
const open = 1 << 32

// spins is how often a waiting goroutine looks before it parks. A look takes about 12 ns, the yields between them included, so
// this is some 20 µs: longer than the gaps between the matrices of a layer, so that a forward pass rarely parks (waking a
// parked goroutine takes microseconds, and more on a busy machine). More would take CPU from others for nothing.
const spins = 1600

type worker struct {
	parked atomic.Bool
	wake   chan struct{}
}

// tilePanic is what a tile panicked with.
type tilePanic struct {
	value any
	stack []byte
}

// NewPool starts a pool in which threads goroutines work: threads-1 workers and the caller of Run. Zero or less means one per
// CPU that Go may use.
func NewPool(threads int) *Pool {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Pool{left: make(chan struct{}, 1)}
	for range threads - 1 {
		w := &worker{wake: make(chan struct{}, 1)}
		p.workers = append(p.workers, w)
		p.ended.Go(func() { p.work(w) })
	}
	return p
}

// Threads is the number of goroutines that work on one job, the caller among them.
func (p *Pool) Threads() int {
	if p == nil {
		return 1
	}
	return len(p.workers) + 1
}

// Run calls f once for each tile in [0, tiles), on the workers and on the calling goroutine, in no particular order, and
// returns when all are done. Tiles must not depend on each other. Several goroutines may call Run, their jobs run one after
// another; f itself must not call Run of the same pool. If tiles panic, the rest of the job is dropped and one of the panics
// continues in the caller. A nil or closed pool runs everything on the caller.
func (p *Pool) Run(tiles int, f func(tile int)) {
	if tiles <= 0 {
		return
	}
	if p == nil || len(p.workers) == 0 || tiles == 1 || p.closed.Load() {
		for i := range tiles {
			f(i)
		}
		return
	}
	p.run.Lock()
	defer p.run.Unlock()
	p.job.tiles, p.job.f = int64(tiles), f
	p.job.failed.Store(nil)
	p.next.Store(0)
	p.state.Store(open + 1)
	for i := 0; i < len(p.workers) && i < tiles-1; i++ {
		if w := p.workers[i]; w.parked.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
	p.claim()
	if p.state.Add(-1) != 0 {
		p.join()
	}
	p.job.f = nil
	if failed := p.job.failed.Load(); failed != nil {
		panic(fmt.Sprintf("tensor: a tile panicked: %v\n%s", failed.value, failed.stack))
	}
}

// Close ends the workers once the running job is done and returns when they are gone. It may be called twice. Run stays legal:
// it then works on the caller alone.
func (p *Pool) Close() {
	if p == nil {
		return
	}
	p.run.Lock()
	p.closed.Store(true)
	p.run.Unlock()
	for _, w := range p.workers {
		if w.parked.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
	p.ended.Wait()
}

// join waits until every worker has left the job.
func (p *Pool) join() {
	for i := 1; i < spins; i++ {
		if p.state.Load() == 0 {
			return
		}
		if i%16 == 0 {
			runtime.Gosched() // with fewer CPUs than threads, the worker may need this one
		}
	}
	for p.state.Load() != 0 {
		p.waiter.Store(true)
		// Either the last participant sees the flag and sends, or it left before the flag was set and the count says so.
		if p.state.Load() == 0 && p.waiter.CompareAndSwap(true, false) {
			return
		}
		<-p.left // perhaps from one who was late to look at the flag of an earlier job: so the count is looked at again
	}
}

// claim takes tiles until none is left and then shuts the door of the job.
func (p *Pool) claim() {
	defer func() {
		if v := recover(); v != nil {
			p.job.failed.CompareAndSwap(nil, &tilePanic{v, debug.Stack()})
			p.next.Store(p.job.tiles) // drop the rest
		}
		p.state.And(^open)
	}()
	for {
		i := p.next.Add(1) - 1
		if i >= p.job.tiles {
			return
		}
		p.job.f(int(i))
	}
}

// enter joins the open job, if there is one.
func (p *Pool) enter() bool {
	for {
		s := p.state.Load()
		if s&open == 0 {
			return false
		}
		if p.state.CompareAndSwap(s, s+1) {
			return true
		}
	}
}

// leave ends a worker's part; the last one out wakes a sleeping caller.
func (p *Pool) leave() {
	if p.state.Add(-1) == 0 && p.waiter.CompareAndSwap(true, false) {
		p.left <- struct{}{}
	}
}

// work is the life of one worker: join jobs, spin a little, park, until the pool is closed.
func (p *Pool) work(w *worker) {
	for idle := 1; ; idle++ {
		switch {
		case p.enter():
			p.claim()
			p.leave()
			idle = 0
		case p.closed.Load():
			return
		case idle < spins:
			if idle%16 == 0 {
				runtime.Gosched()
			}
		default:
			idle = 0
			w.parked.Store(true)
			if (p.state.Load()&open != 0 || p.closed.Load()) && w.parked.CompareAndSwap(true, false) {
				continue
			}
			<-w.wake
		}
	}
}
