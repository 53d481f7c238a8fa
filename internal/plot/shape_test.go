package plot

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestOnePointIsADot(t *testing.T) {
	t.Parallel()
	for _, v := range []float64{0, 2.3, -1e9, 1e300, 5e-324} {
		p := draw(t, one(Line{Name: "only", Points: []Point{{v, v}}}))
		if dot := p.of("k0 o"); dot.moves != 1 || dot.spots[0] != dot.spots[1] {
			t.Errorf("%v is drawn as %+v", v, dot)
		}
		if got := len(p.of("k0").spots); got != 2 {
			t.Errorf("%v: %d places on the line beside the sample of its name", v, got-2)
		}
	}
}

func TestNoDataIsSaid(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	for name, c := range map[string]Chart{
		"no line":         one(),
		"empty line":      one(Line{Name: "train"}),
		"not a number":    one(Line{Name: "train", Points: []Point{{nan, 1}, {1, nan}, {inf, 1}, {1, -inf}}}),
		"zero on log":     {Panels: []Panel{{Y: Axis{Log: true}, Lines: []Line{{Name: "train", Points: []Point{{1, 0}, {2, -3}}}}}}},
		"outside a range": {Panels: []Panel{{X: Axis{Min: 5, Max: 6}, Lines: []Line{{Points: []Point{{1, 1}, {2, 3}}}}}}},
	} {
		p := draw(t, c)
		if !p.says("no data") || !strings.Contains(p.desc, "no data") {
			t.Errorf("%s: texts %+v, description %q", name, p.texts, p.desc)
		}
		if got := len(p.of("k0").spots) + len(p.of("k0 o").spots); got != 0 {
			t.Errorf("%s: %d places are drawn", name, got)
		}
		if len(c.Panels[0].Lines) > 0 && c.Panels[0].Lines[0].Name != "" && !p.says("train: no data") {
			t.Errorf("%s: the line's name does not say it: %+v", name, p.texts)
		}
	}
	p := draw(t, one(Line{Name: "a", Points: curve(30)}, Line{Name: "b"}))
	if p.says("no data") || !p.says("b: no data") || !p.says("a") {
		t.Errorf("one of two lines is empty: %+v", p.texts)
	}
}

func TestGapsStayOpen(t *testing.T) {
	t.Parallel()
	points := curve(300)
	points[100].Y = math.NaN()
	points[200].Y = math.Inf(-1)
	points[202].Y = math.NaN()
	p := draw(t, one(Line{Points: points}))
	if got := p.of("k0").moves; got != 3 {
		t.Errorf("a line with two gaps has %d parts, not 3", got)
	}
	if got := p.of("k0 o").moves; got != 1 {
		t.Errorf("the point between two gaps is drawn as %d dots", got)
	}
	many := curve(100_000)
	for i := 50_000; i < 60_000; i++ {
		many[i].Y = math.NaN()
	}
	if got := draw(t, one(Line{Points: many})).of("k0").moves; got != 2 {
		t.Errorf("a thinned line with one gap has %d parts, not 2", got)
	}
}

func TestLogAxisLeavesOutZero(t *testing.T) {
	t.Parallel()
	c := Chart{Panels: []Panel{{X: Axis{Log: true}, Y: Axis{Log: true}, Lines: []Line{{Points: []Point{{0, 1}, {1, 0}, {1, 1}, {10, 10}, {100, 100}, {1000, -1}}}}}}}
	p := draw(t, c)
	s := p.of("k0").spots
	if len(s) != 3 {
		t.Fatalf("%d places, not 3: %v", len(s), s)
	}
	if math.Abs((s[1].x-s[0].x)-(s[2].x-s[1].x)) > 0.2 || math.Abs((s[1].y-s[0].y)-(s[2].y-s[1].y)) > 0.2 {
		t.Errorf("decades differ in length: %v", s)
	}
	for _, want := range []string{"1", "10", "100"} {
		if !p.says(want) {
			t.Errorf("the tick %s is missing", want)
		}
	}
}

func TestFixedRangeCutsLines(t *testing.T) {
	t.Parallel()
	// The line rises from (0, 0) to (10, 10); of it, the square from 2 to 4 shows one diagonal.
	c := Chart{Panels: []Panel{{X: Axis{Min: 2, Max: 4}, Y: Axis{Min: 2, Max: 4}, Lines: []Line{{Name: "a", Points: []Point{{0, 0}, {10, 10}}}}}}}
	v := layOut(Chart{Width: 720, Height: 240, Panels: c.Panels})[0]
	s := draw(t, c).of("k0").spots
	from, to := v.pixel(spot{0, 0}), v.pixel(spot{1, 1})
	if len(s) != 4 || math.Hypot(s[0].x-from.x, s[0].y-from.y) > 0.2 || math.Hypot(s[1].x-to.x, s[1].y-to.y) > 0.2 {
		t.Errorf("drawn as %v, want from %v to %v and the sample", s, from, to)
	}
	if math.Abs(s[2].y-(v.top+labelGap/2)) > 0.2 {
		t.Errorf("the name stands at %v, not at the corner where the line leaves", s[2])
	}
	// Values outside the range of X have no say in the range of Y.
	p := draw(t, Chart{Panels: []Panel{{X: Axis{Min: 0, Max: 2}, Lines: []Line{{Points: []Point{{0, 1}, {1, 2}, {2, 3}, {3, 9000}}}}}}})
	if !strings.Contains(p.desc, "y from 1 to 3 over") {
		t.Errorf("description %q", p.desc)
	}
}

func TestZeroIsInTheRange(t *testing.T) {
	t.Parallel()
	for _, sign := range []float64{1, -1} {
		c := Chart{Panels: []Panel{{Y: Axis{Zero: true}, Lines: []Line{{Points: []Point{{1, 95 * sign}, {2, 105 * sign}}}}}}}
		if !draw(t, c).says("0") {
			t.Errorf("%v: no tick at 0", sign)
		}
		c.Panels[0].Y.Zero = false
		c.Panels[0].X = Axis{Min: 1, Max: 2}
		if draw(t, c).says("0") {
			t.Errorf("%v: a tick at 0 that nobody asked for", sign)
		}
	}
}

func TestThinKeepsSpikesAndEnds(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]func([]Point){
		"rising": func([]Point) {},
		"any": func(p []Point) {
			rand.New(rand.NewPCG(1, 2)).Shuffle(len(p), func(i, j int) { p[i], p[j] = p[j], p[i] })
		},
		"one x":    func(p []Point) { fill(p, 7) },
		"two ends": func(p []Point) { fill(p[:len(p)-1], 0) },
	} {
		points := curve(200_000)
		points[77_777].Y, points[133_333].Y = 50, -50
		order(points)
		marks := marksOf(points, Axis{}, Axis{})
		got := thin(marks, newScale(Axis{}, 0, 199_999, 5, false))
		if len(got) > drawnMax {
			t.Errorf("%s: %d marks of %d at most", name, len(got), drawnMax)
		}
		if name != "one x" && name != "two ends" && len(got) < drawnMax/2 {
			t.Errorf("%s: only %d marks are left", name, len(got))
		}
		low, high := math.Inf(1), math.Inf(-1)
		for _, m := range got {
			low, high = min(low, m.Y), max(high, m.Y)
		}
		if low != -50 || high != 50 {
			t.Errorf("%s: spikes of -50 and 50 became %v and %v", name, low, high)
		}
		if got[0] != marks[0] || got[len(got)-1].Point != marks[len(marks)-1].Point {
			t.Errorf("%s: the ends are lost", name)
		}
	}
	all := marksOf(curve(drawnMax), Axis{}, Axis{})
	if got := thin(all, newScale(Axis{}, 0, drawnMax, 5, false)); !slices.Equal(got, all) {
		t.Errorf("%d marks were thinned to %d", drawnMax, len(got))
	}
}

func fill(points []Point, x float64) {
	for i := range points {
		points[i].X = x
	}
}

func TestFileStaysSmall(t *testing.T) {
	t.Parallel()
	var lines []Line
	for i := range linesMax {
		r := rand.New(rand.NewPCG(3, uint64(i)))
		points := make([]Point, 100_000)
		for k := range points {
			points[k] = Point{float64(k), r.NormFloat64()}
		}
		lines = append(lines, Line{Name: "noise", Points: points})
	}
	svg, err := one(lines...).SVG()
	if err != nil {
		t.Fatal(err)
	}
	if limit := linesMax*12*drawnMax + 6000; len(svg) > limit {
		t.Errorf("%d bytes of %d at most", len(svg), limit)
	}
}

func TestNamesNeverOverlap(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		n := 1 + r.IntN(linesMax)
		var lines []Line
		for i := range n {
			p := curve(r.IntN(4))
			for k := range p {
				p[k].Y = float64(r.IntN(3)) * r.Float64()
			}
			lines = append(lines, Line{Name: strings.Repeat("name ", 1+i*5), Points: p})
		}
		c := Chart{Width: 320 + r.IntN(800), Height: 180 + r.IntN(200), Panels: []Panel{{Lines: lines}}}
		p := draw(t, c)
		var at []float64
		for _, q := range p.texts {
			if q.class == "n" || q.class == "m" {
				at = append(at, q.y)
			}
		}
		slices.Sort(at)
		if len(at) != n {
			t.Fatalf("%d names of %d lines", len(at), n)
		}
		for i := 1; i < n; i++ {
			if at[i]-at[i-1] < labelGap-0.2 {
				t.Errorf("names stand at %v, less than %v apart", at, labelGap)
			}
		}
	}
}

func TestApart(t *testing.T) {
	t.Parallel()
	check := func(places []float64, want ...float64) {
		t.Helper()
		got := apart(places, 10, 0, 100)
		for i := range want {
			if len(got) != len(want) || math.Abs(got[i]-want[i]) > 1e-9 {
				t.Errorf("%v moved to %v, want %v", places, got, want)
				return
			}
		}
	}
	check(nil)
	check([]float64{50}, 50)
	check([]float64{-5}, 0)
	check([]float64{50, 20}, 50, 20)
	check([]float64{50, 50}, 45, 55)
	check([]float64{50, 50, 50, 90}, 40, 50, 60, 90)
	check([]float64{100, 99, 98}, 100, 90, 80)
	check([]float64{1, 2, 3}, 0, 10, 20)
}

func TestTextsAreCut(t *testing.T) {
	t.Parallel()
	exact := strings.Repeat("x", textMax)
	if got := clean(exact); got != exact {
		t.Errorf("%d characters became %d", textMax, utf8.RuneCountInString(got))
	}
	if got := clean(exact + "x"); got != exact+"…" {
		t.Errorf("%d characters became %d", textMax+1, utf8.RuneCountInString(got))
	}
	if got := fitted("abc", 12, widthOf("abc", 12)); got != "abc" {
		t.Errorf("a text that fits became %q", got)
	}
	if got := fitted("abcdef", 12, widthOf("abc…", 12)); got != "abc…" {
		t.Errorf("a text that does not fit became %q", got)
	}
	long := strings.Repeat("very long 模 ", 1000)
	draw(t, Chart{Title: long, Width: widthMin, Panels: []Panel{{Title: long, X: Axis{Label: long}, Y: Axis{Label: long, Unit: long}, Lines: []Line{{Name: long, Points: curve(3)}, {Name: long}}}}})
}

// TestTextsNeverOverlap draws random axes, sizes and ranges; draw checks each two texts.
func TestTextsNeverOverlap(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9, 10))
	for range 500 {
		axis := func() (Axis, float64, float64) {
			a := Axis{Label: "label", Unit: "s", Log: r.IntN(2) == 0}
			lo := math.Pow(10, 12*r.Float64()-6)
			hi := lo * (1 + math.Pow(10, 6*r.Float64()-2))
			if r.IntN(3) == 0 {
				a.Min, a.Max = lo, hi
			}
			return a, lo, hi
		}
		x, loX, hiX := axis()
		y, loY, hiY := axis()
		p := Panel{Title: "title", X: x, Y: y, Lines: []Line{{Name: "name", Points: []Point{{loX, loY}, {hiX, hiY}}}}}
		draw(t, Chart{Title: "chart", Width: 320 + r.IntN(900), Height: 310 + r.IntN(900), Panels: []Panel{p, p}})
	}
}

// TestWidthIsNotTooSmall compares the guess with the widths of DejaVu Sans, the widest of the common system fonts.
func TestWidthIsNotTooSmall(t *testing.T) {
	t.Parallel()
	for text, ems := range map[string]float64{"6×10⁻⁴": 3.675, "10,000": 3.499, "held out": 4.117, "#&^$": 3.092, "GOQHND": 4.619, "−0.05": 3.064} {
		if got := widthOf(text, 1); got < ems || got > 1.25*ems {
			t.Errorf("%q is guessed as %.3f ems; it has %.3f", text, got, ems)
		}
	}
}
