package main

import (
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// samples are the times one goroutine took.
type samples struct {
	latency, sendLag, firstToken, gap, oneWay, total *histogram

	chunks int64 // that arrived within the measured time, whenever their stream began
}

func newSamples() *samples {
	return &samples{latency: newHistogram(), sendLag: newHistogram(), firstToken: newHistogram(), gap: newHistogram(),
		oneWay: newHistogram(), total: newHistogram()}
}

// load is one run. Its counts are shared by all goroutines; all is what they merge their samples into.
type load struct {
	options
	target     *target
	start, end time.Time // the measured time

	recording, stop atomic.Bool
	workers         sync.WaitGroup

	dialErrors, ioErrors atomic.Int64
	ok                   atomic.Int64
	good                 atomic.Int64 // 200s that ended within the objective of their scheduled arrival
	short                atomic.Int64 // streams that ended without [DONE]
	chunks               atomic.Int64
	codes                [1000]atomic.Int64
	all                  *samples
	refused              *histogram // latency of what was not answered 200
}

func newLoad(o options, t *target, now time.Time) *load {
	start := now.Add(o.warm)
	return &load{options: o, target: t, start: start, end: start.Add(o.measured), all: newSamples(), refused: newHistogram()}
}

// holds reports whether t lies within the measured time.
func (l *load) holds(t time.Time) bool { return t.After(l.start) && t.Before(l.end) }

func (l *load) merge(s *samples) {
	l.all.latency.merge(s.latency)
	l.all.sendLag.merge(s.sendLag)
	l.all.firstToken.merge(s.firstToken)
	l.all.gap.merge(s.gap)
	l.all.oneWay.merge(s.oneWay)
	l.all.total.merge(s.total)
	l.chunks.Add(s.chunks)
}

// lateMax is how long answers that are still under way may take after the end.
const lateMax = 20 * time.Second

// drive runs the load and samples what it uses. It returns when all goroutines ended, or lateMax later.
func (l *load) drive() usage {
	if l.open() {
		l.workers.Go(newArrivals(l).schedule)
	} else {
		for i := range l.connections {
			l.workers.Go(func() { l.repeat(i) })
		}
	}
	time.Sleep(time.Until(l.start))
	l.recording.Store(true)
	used := watch(l.pids, l.end)
	if !l.open() {
		l.stop.Store(true)
		l.recording.Store(false)
	}
	done := make(chan struct{})
	go func() { l.workers.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(lateMax):
		fmt.Fprintln(os.Stderr, "warning: workers still running")
	}
	return used
}

// repeat is one connection of the closed loop.
func (l *load) repeat(i int) {
	s := newSamples()
	defer func() { l.merge(s) }()
	if l.streaming() { // spread the phases over one second
		time.Sleep(time.Duration(i) * time.Second / time.Duration(l.connections))
	}
	var c *connection
	for !l.stop.Load() {
		if c == nil {
			var err error
			if c, err = l.target.dial(); err != nil {
				l.dialErrors.Add(1)
				time.Sleep(10 * time.Millisecond)
				continue
			}
		}
		err := l.once(c, s)
		if err != nil && l.recording.Load() && !l.stop.Load() {
			l.ioErrors.Add(1)
		}
		if err != nil || c.closes {
			_ = c.net.Close()
			c = nil
		}
	}
}

// once is one request of the closed loop, which is sent when it is scheduled.
func (l *load) once(c *connection, s *samples) error {
	since := time.Now()
	if err := c.write(); err != nil {
		return err
	}
	status, err := l.read(c, since, s)
	if err != nil || !l.holds(since) {
		return err
	}
	l.codes[status].Add(1)
	if status == http.StatusOK {
		l.ok.Add(1)
		s.latency.add(time.Since(since))
	}
	return nil
}

// read takes one whole answer.
func (l *load) read(c *connection, since time.Time, s *samples) (status int, err error) {
	if l.streaming() {
		return l.stream(c, since, s)
	}
	return c.answer()
}
