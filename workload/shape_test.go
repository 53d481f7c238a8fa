package workload

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseShape(t *testing.T) {
	t.Parallel()
	check := func(text string, want Shape) {
		t.Helper()
		if got, err := ParseShape(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	check("steady", Shape{Kind: "steady"})
	check("step:4x", Shape{Kind: "step", Times: 4})
	check("step:5x:0s-60s", Shape{Kind: "step", Times: 5, To: time.Minute})
	check("sine:10s-1m", Shape{Kind: "sine", From: 10 * time.Second, To: time.Minute})
	for _, bad := range []string{"", "wave", "step:4", "step:0x", "step:4x:9s", "step:4x:9s-9s", "step:4x:-1s-9s", "step:four:1s-2s", "step:10001x"} {
		if got, err := ParseShape(bad); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func TestShapesRiseAndFall(t *testing.T) {
	t.Parallel()
	check := func(text string, at ...float64) { // pairs of a second and a rate
		t.Helper()
		s, err := ParseShape(text)
		if err != nil {
			t.Fatal(err)
		}
		s.Rate, s.For = 10, 90*time.Second
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(at); i += 2 {
			if got := s.At(time.Duration(at[i] * float64(time.Second))); math.Abs(got-at[i+1]) > 1e-9 {
				t.Errorf("%s at %g s: %g a second, want %g", text, at[i], got, at[i+1])
			}
			if got := s.At(time.Duration(at[i] * float64(time.Second))); got > s.Peak() {
				t.Errorf("%s at %g s: %g, above its peak %g", text, at[i], got, s.Peak())
			}
		}
	}
	check("steady", 0, 10, 50, 10)
	check("step", 29.9, 10, 30, 100, 59.9, 100, 60, 10)
	check("step:2x:0s-45s", 0, 20, 44.9, 20, 45, 10)
	check("spike", 44.9, 10, 45, 100, 53.9, 100, 54, 10)
	check("ramp:3x", 0, 10, 45, 20, 90, 30)
	check("ramp:3x:10s-20s", 0, 10, 15, 20, 20, 30, 80, 30)
	check("sine", 0, 10, 11.25, 40, 22.5, 10)
	check("step:0.5x", 45, 5)
}

func TestShapesAreChecked(t *testing.T) {
	t.Parallel()
	good := Shape{Kind: "step", Rate: 5, For: time.Minute}
	check := func(field string, change func(*Shape)) {
		t.Helper()
		s := good
		change(&s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	check("Kind", func(s *Shape) { s.Kind = "x" })
	check("Rate", func(s *Shape) { s.Rate = 0 })
	check("Rate", func(s *Shape) { s.Rate = math.NaN() })
	check("Rate", func(s *Shape) { s.Rate = RateMax/10 + 1 })
	check("For", func(s *Shape) { s.For = 0 })
	check("flood", func(s *Shape) { s.From, s.To = time.Second, time.Second })
	good.Rate = RateMax / 10
	if err := good.Validate(); err != nil {
		t.Errorf("at the bound: %v", err)
	}
}

func TestArrivalsFollowTheShape(t *testing.T) {
	t.Parallel()
	s := Shape{Kind: "step", Rate: 50, Times: 4, For: 90 * time.Second}
	for _, even := range []bool{false, true} {
		var count [3]int
		last := time.Duration(-1)
		for at := range s.Arrivals(1, even) {
			if at < last {
				t.Fatalf("%s comes after %s", at, last)
			}
			last = at
			count[at/(30*time.Second)]++
		}
		for i, want := range []int{1500, 6000, 1500} {
			slack := 5 * int(math.Sqrt(float64(want)))
			if even {
				slack = 5 // a gap across a border is that of its beginning
			}
			if count[i] < want-slack || count[i] > want+slack {
				t.Errorf("even %v: %d in third %d, want %d", even, count[i], i+1, want)
			}
		}
	}
	if a, b := slices.Collect(s.Arrivals(1, false)), slices.Collect(s.Arrivals(1, false)); !slices.Equal(a, b) {
		t.Error("the same seed gave other arrivals")
	}
	if a, b := slices.Collect(s.Arrivals(1, false)), slices.Collect(s.Arrivals(2, false)); slices.Equal(a, b) {
		t.Error("another seed gave the same arrivals")
	}
}

func TestMixDrawsSharesAndLengths(t *testing.T) {
	t.Parallel()
	tenants, err := ParseShares("t", "a=3,b=1,none=0")
	if err != nil {
		t.Fatal(err)
	}
	classes, err := ParseShares("c", "2")
	if err != nil {
		t.Fatal(err)
	}
	m := Mix{Shape: Shape{Kind: "steady", Rate: 100, For: 100 * time.Second}, Prompt: Lengths{Median: 200, Spread: 0.8}, Output: Lengths{Median: 20},
		Prefix: 64, Tenants: tenants, Classes: classes, Seed: 1}
	count, longer := map[string]int{}, 0
	blocks := map[string]uint64{}
	n := 0
	for r := range m.Requests() {
		n++
		count[r.Tenant]++
		count[r.Class]++
		if r.Prompt > 200 {
			longer++
		}
		if r.Output != 20 || r.Block != 64 || len(r.Blocks) != 1 || blocks[r.Tenant] != 0 && blocks[r.Tenant] != r.Blocks[0] {
			t.Fatalf("%+v", r)
		}
		blocks[r.Tenant] = r.Blocks[0]
	}
	near := func(what string, got int, part float64) {
		t.Helper()
		if math.Abs(float64(got)/float64(n)-part) > 0.03 {
			t.Errorf("%s: %d of %d, want %g", what, got, n, part)
		}
	}
	near("tenant a", count["a"], 0.75)
	near("class c1", count["c1"], 0.5)
	near("prompts above the median", longer, 0.5)
	if len(count) != 4 || blocks["a"] == blocks["b"] {
		t.Errorf("%v, %v", count, blocks)
	}
}

func TestParseShares(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "a=", "a=-1", "a,a", "=1", "a=0", "0", fmt.Sprint(SharesMax + 1), strings.Repeat("n", NameMax+1), "a,,b"} {
		if got, err := ParseShares("t", bad); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
	if got, err := ParseShares("t", fmt.Sprint(SharesMax)); err != nil || len(got) != SharesMax || got[0].Name != "t1" {
		t.Errorf("at the bound: %d, %v", len(got), err)
	}
}

func TestAssignLeavesWhatATraceTells(t *testing.T) {
	t.Parallel()
	rs := []Request{{Tenant: "own"}, {}, {Class: "batch"}}
	Assign(rs, []Share{{"drawn", 1}}, []Share{{"interactive", 1}}, 1)
	if fmt.Sprintln(rs[0].Tenant, rs[1].Tenant, rs[2].Tenant, rs[0].Class, rs[2].Class) != "own drawn drawn interactive batch\n" {
		t.Errorf("%+v", rs)
	}
}

func TestReshapeGoesRoundTheTrace(t *testing.T) {
	t.Parallel()
	rs := []Request{{At: time.Hour, Prompt: 1}, {At: 2 * time.Hour, Prompt: 2}}
	n := 0
	for r := range Reshape(rs, Shape{Kind: "steady", Rate: 10, For: 10 * time.Second}, 1, true) {
		if r.Prompt != n%2+1 || r.At >= 10*time.Second {
			t.Fatalf("request %d: %+v", n, r)
		}
		n++
	}
	if n < 98 || n > 100 || rs[0].At != time.Hour {
		t.Errorf("%d requests, %+v", n, rs)
	}
	for range Reshape(nil, Shape{Kind: "steady", Rate: 10, For: time.Second}, 1, true) {
		t.Error("a request of an empty trace")
	}
}

func TestFasterAndRate(t *testing.T) {
	t.Parallel()
	rs := []Request{{At: 2 * time.Second}, {At: 4 * time.Second}}
	fast := Faster(rs, 2)
	if fast[1].At != 2*time.Second || rs[1].At != 4*time.Second || Rate(rs) != 0.5 || Rate(fast) != 1 || Rate(nil) != 0 {
		t.Errorf("%v, %g", fast, Rate(fast))
	}
}

func TestSampleKeepsAPart(t *testing.T) {
	t.Parallel()
	rs := make([]Request, 10_000)
	if n := len(Sample(rs, 0.3, 1)); n < 2800 || n > 3200 {
		t.Errorf("%d of 10000", n)
	}
	if len(Sample(rs, 1, 1)) != 10_000 || len(Sample(rs, 0, 1)) != 0 {
		t.Error("all and nothing are not all and nothing")
	}
}
