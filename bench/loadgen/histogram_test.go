package main

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestBucketsHoldTheirValues(t *testing.T) {
	t.Parallel()
	for _, v := range []int64{0, 1, 1023, 1024, 1025, 2047, 2048, 1e6, 1e9, 60e9} {
		i := bucket(v)
		if floor(i) > v || floor(i+1) <= v {
			t.Errorf("%d is in bucket %d, of %d to %d", v, i, floor(i), floor(i+1))
		}
		if width := floor(i+1) - floor(i); v >= 1024 && float64(width) > float64(v)/1000 {
			t.Errorf("the bucket of %d is %d wide, more than 0.1 %%", v, width)
		}
	}
}

func TestQuantiles(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	all, half := newHistogram(), newHistogram()
	var values []int64
	for i := range 10_001 {
		v := int64(random.ExpFloat64() * 1e6)
		values = append(values, v)
		if i%2 == 0 {
			all.add(time.Duration(v))
		} else {
			half.add(time.Duration(v))
		}
	}
	all.merge(half)
	slices.Sort(values)
	row := all.row()
	for name, at := range map[string]int{"p50_us": 5000, "p90_us": 9000, "p99_us": 9900, "min_us": 0, "max_us": 10_000} {
		want := float64(values[at]) / 1000
		if got := row[name]; got < want*0.998 || got > want*1.002 {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if row["n"] != 10_001 {
		t.Errorf("%v values", row["n"])
	}
	empty := newHistogram()
	empty.merge(newHistogram())
	if empty.row() != nil || empty.quantile(.5) != 0 {
		t.Errorf("a row of nothing: %v", empty.row())
	}
	empty.add(-time.Second)
	if row := empty.row(); row["min_us"] != 0 || row["max_us"] != 0 {
		t.Errorf("a negative time is not 0: %v", row)
	}
}
