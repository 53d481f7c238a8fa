package plot

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestTicks(t *testing.T) {
	t.Parallel()
	check := func(a Axis, lo, hi float64, n int, want string) {
		t.Helper()
		var texts []string
		for _, k := range newScale(a, lo, hi, n, false).ticks {
			texts = append(texts, k.text)
		}
		if got := strings.Join(texts, " "); got != want {
			t.Errorf("%v to %v, %d ticks: %q, want %q", lo, hi, n, got, want)
		}
	}
	line, log := Axis{}, Axis{Log: true}
	check(line, 0, 10, 5, "0 2 4 6 8 10")
	check(line, 0.3, 0.9, 4, "0.4 0.6 0.8")
	check(line, -1, 1, 4, "−1.0 −0.5 0 0.5 1.0")
	check(line, 0, 20000, 4, "0 5,000 10,000 15,000 20,000")
	check(line, 0, 999_999, 2, "0 500,000")
	check(line, 0, 6e-4, 3, "0 2×10⁻⁴ 4×10⁻⁴ 6×10⁻⁴")
	check(line, -2e6, 1e6, 3, "−2×10⁶ −10⁶ 0 10⁶")
	check(line, 1e9, 1e9+4, 2, "10⁹ 1.000000002×10⁹ 1.000000004×10⁹")
	check(line, 0, 1e-3, 2, "0 0.0005 0.0010")
	check(log, 1, 256, 8, "1 2 5 10 20 50 100 200")
	check(log, 0.01, 100, 6, "0.01 0.1 1 10 100")
	check(log, 2, 500, 5, "3 10 30 100 300")
	check(log, 1e-12, 1e12, 4, "10⁻¹⁰ 1 10¹⁰")
	check(log, valueMin, valueMax, 1, "10⁻¹⁶⁰ 1 10¹⁶⁰")
	check(log, 2.1, 4.9, 6, "2.5 3.0 3.5 4.0 4.5")
	check(log, 1e-4, 1e-3, 4, "10⁻⁴ 2×10⁻⁴ 5×10⁻⁴ 10⁻³")
}

func TestSnapGoesOutwards(t *testing.T) {
	t.Parallel()
	check := func(a Axis, lo, hi, wantLo, wantHi float64) {
		t.Helper()
		if s := newScale(a, lo, hi, 5, true); s.min != wantLo || s.max != wantHi {
			t.Errorf("%v to %v became %v to %v, want %v to %v", lo, hi, s.min, s.max, wantLo, wantHi)
		}
	}
	check(Axis{}, 0.3, 9.4, 0, 10)
	check(Axis{}, -3, 3, -4, 4)
	check(Axis{}, 0, 10, 0, 10)
	check(Axis{}, -1.1, 8.9, -2, 10)
	check(Axis{}, 7, 7, 2, 12)
	check(Axis{Log: true}, 0.03, 900, 0.02, 1000)
	check(Axis{Log: true}, 0.1, 100, 0.1, 100)
	check(Axis{Min: 3, Max: 8}, 0, 100, 3, 8)
	check(Axis{}, 1, 0, 0, 1)
	check(Axis{Log: true}, 1, 0, 1, 10)
}

// TestScaleHoldsForAnyRange draws random ranges of every size: ticks are few, rise, lie inside and have different texts.
func TestScaleHoldsForAnyRange(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	for range 20_000 {
		a := Axis{Log: r.IntN(2) == 0}
		lo := math.Pow(10, 600*r.Float64()-300)
		hi := lo * (1 + math.Pow(10, 12*r.Float64()-10))
		if !a.Log && r.IntN(2) == 0 {
			lo, hi = -hi, lo*float64(r.IntN(3)-1)
		}
		hi = min(hi, valueMax)
		n := 1 + r.IntN(12)
		for _, snap := range []bool{false, true} {
			s := newScale(a, min(lo, hi), max(lo, hi), n, snap)
			if s.min >= s.max || s.at(s.min) != 0 || s.at(s.max) != 1 || len(s.ticks) > 2*n+1 || snap && len(s.ticks) < 2 || snap && !a.Log && (s.ticks[0].value != s.min || s.ticks[len(s.ticks)-1].value != s.max) {
				t.Fatalf("%+v: %v to %v with %d ticks became %+v", a, lo, hi, n, s)
			}
			for i, k := range s.ticks {
				if at := s.at(k.value); at < -1e-6 || at > 1+1e-6 || i > 0 && (k.value <= s.ticks[i-1].value || k.text == s.ticks[i-1].text) {
					t.Fatalf("%+v: %v to %v with %d ticks: tick %d of %+v", a, lo, hi, n, i, s.ticks)
				}
			}
		}
	}
}

func FuzzChart(f *testing.F) {
	f.Add("train <b>", "s", 1.0, 2.0, 3.0, false, uint16(600))
	f.Add("&\"'\x00\xff", "模型\u202e", 0.0, math.NaN(), math.Inf(1), true, uint16(0))
	f.Add("", "", -1e300, 1e300, 5e-324, false, uint16(320))
	f.Add("a", "b", 1e9, 1e9+1, 1e9, true, uint16(4096))
	f.Fuzz(func(t *testing.T, name, unit string, a, b, c float64, log bool, width uint16) {
		points := []Point{{a, b}, {b, c}, {c, a}, {a, a}, {b, b}}
		lines := []Line{{Name: name, Points: points}, {Name: unit, Points: points[:1], Dashed: true}, {Name: name + unit}}
		chart := Chart{Title: name, Width: widthMin + int(width)%(sideMax-widthMin+1), Panels: []Panel{
			{Title: unit, X: Axis{Label: name, Unit: unit}, Y: Axis{Label: unit, Log: log}, Lines: lines},
			{Title: name, X: Axis{Log: log}, Y: Axis{Zero: true}, Lines: lines},
		}}
		p := draw(t, chart)
		for _, q := range p.texts {
			if strings.Contains(q.text, "NaN") && !strings.Contains(name+unit, "NaN") {
				t.Errorf("a text says %q", q.text)
			}
		}
		// A range of any values is either refused or drawn.
		chart.Panels[0].X.Min, chart.Panels[0].X.Max = a, b
		chart.Panels[1].Y.Min, chart.Panels[1].Y.Max = min(b, c), max(b, c)
		if _, err := chart.SVG(); err == nil {
			draw(t, chart)
		}
	})
}
