package main

import (
	"math"
	"math/bits"
	"slices"
	"sync"
	"time"
)

// subBits is the precision of a histogram: 2^10 buckets an octave, so that a quantile is wrong by 0.1 % at most. Fewer would show in
// ratios of two servers; more would only cost memory.
const subBits = 10

// histogram counts durations in log-linear buckets of nanoseconds. add is its owner's alone; merge and addShared may be called by
// anybody, and lock.
type histogram struct {
	mu       sync.Mutex
	counts   map[int]uint64
	n        uint64
	sum      float64 // ns
	min, max int64   // ns
}

func newHistogram() *histogram { return &histogram{counts: map[int]uint64{}, min: math.MaxInt64} }

// bucket is the index of v, which is not negative.
func bucket(v int64) int {
	if v < 1<<subBits {
		return int(v)
	}
	e := bits.Len64(uint64(v)) - 1 - subBits
	return (e+1)<<subBits + int(v>>uint(e)) - 1<<subBits
}

// floor is the smallest value of bucket i.
func floor(i int) int64 {
	if i < 1<<subBits {
		return int64(i)
	}
	e := i>>subBits - 1
	return int64(i&(1<<subBits-1)+1<<subBits) << uint(e)
}

func (h *histogram) add(d time.Duration) {
	v := max(int64(d), 0)
	h.counts[bucket(v)]++
	h.n++
	h.sum += float64(v)
	h.min = min(h.min, v)
	h.max = max(h.max, v)
}

// addShared is add for a histogram of several goroutines.
func (h *histogram) addShared(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.add(d)
}

func (h *histogram) merge(o *histogram) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for k, v := range o.counts {
		h.counts[k] += v
	}
	h.n += o.n
	h.sum += o.sum
	h.min = min(h.min, o.min)
	h.max = max(h.max, o.max)
}

// quantile is in microseconds; 0 of nothing.
func (h *histogram) quantile(p float64) float64 {
	if h.n == 0 {
		return 0
	}
	keys := make([]int, 0, len(h.counts))
	for k := range h.counts {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	target := uint64(math.Ceil(p * float64(h.n)))
	var seen uint64
	for _, k := range keys {
		if seen += h.counts[k]; seen >= target {
			return float64(floor(k)) / 1000
		}
	}
	return float64(h.max) / 1000
}

// row is the report of a histogram; nil of nothing.
func (h *histogram) row() map[string]float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.n == 0 {
		return nil
	}
	return map[string]float64{"n": float64(h.n), "mean_us": h.sum / float64(h.n) / 1000, "min_us": float64(h.min) / 1000,
		"p50_us": h.quantile(.5), "p90_us": h.quantile(.9), "p99_us": h.quantile(.99), "p999_us": h.quantile(.999), "max_us": float64(h.max) / 1000}
}
