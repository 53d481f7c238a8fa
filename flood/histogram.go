package flood

import (
	"math/bits"
	"time"
)

// histogram counts times by size: 64 buckets for each doubling, so that a quantile is right to 1.6 %, in microseconds up to 71 minutes.
// It takes 7 kB from its first value on.
type histogram struct {
	counts []uint32
	n      uint64
	sum    time.Duration
	max    time.Duration
}

const (
	histogramBits    = 6 // of a value that are kept
	histogramBuckets = (32 - histogramBits + 1) << histogramBits
)

func bucketOf(d time.Duration) int {
	us := uint64(max(0, d/time.Microsecond))
	us = min(us, 1<<32-1)
	if us < 1<<histogramBits {
		return int(us)
	}
	shift := bits.Len64(us) - 1 - histogramBits
	return (shift+1)<<histogramBits + int(us>>shift) - 1<<histogramBits
}

// middleOf is the middle of a bucket.
func middleOf(bucket int) time.Duration {
	if bucket < 1<<histogramBits {
		return time.Duration(bucket) * time.Microsecond
	}
	shift := bucket>>histogramBits - 1
	low := uint64(bucket&(1<<histogramBits-1)+1<<histogramBits) << shift
	return time.Duration(low+(1<<shift)/2) * time.Microsecond
}

func (h *histogram) add(d time.Duration) {
	if h.counts == nil {
		h.counts = make([]uint32, histogramBuckets)
	}
	h.counts[bucketOf(d)]++
	h.n++
	h.sum += max(0, d)
	h.max = max(h.max, d)
}

// merge adds what other counted.
func (h *histogram) merge(other *histogram) {
	if other.n == 0 {
		return
	}
	if h.counts == nil {
		h.counts = make([]uint32, histogramBuckets)
	}
	for i, c := range other.counts {
		h.counts[i] += c
	}
	h.n += other.n
	h.sum += other.sum
	h.max = max(h.max, other.max)
}

func (h *histogram) reset() {
	if h.n > 0 {
		clear(h.counts)
		h.n, h.sum, h.max = 0, 0, 0
	}
}

// quantile is the time that a part q of all is no longer than; 0 where nothing was counted.
func (h *histogram) quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := uint64(q * float64(h.n))
	if rank >= h.n {
		rank = h.n - 1
	}
	var seen uint64
	for i, c := range h.counts {
		if seen += uint64(c); seen > rank {
			return min(middleOf(i), h.max)
		}
	}
	return h.max
}

// Times are figures of many times, in milliseconds.
type Times struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_ms"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

func (h *histogram) times() Times {
	if h.n == 0 {
		return Times{}
	}
	return Times{Count: int64(h.n), Mean: ms(h.sum / time.Duration(h.n)), P50: ms(h.quantile(0.5)), P90: ms(h.quantile(0.9)), P99: ms(h.quantile(0.99)), Max: ms(h.max)}
}

// ms is a time in milliseconds, to the microsecond that a histogram keeps.
func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
