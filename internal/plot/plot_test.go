package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// picture is what a reader of the file sees: its texts, and the places that its paths go through.
type picture struct {
	width, height float64
	title, desc   string
	texts         []placedText
	paths         []placedPath
}

type placedText struct {
	class, text string
	x, y        float64
}

type placedPath struct {
	class string
	spots []spot
	moves int // how often the pen was lifted
}

// of returns the paths of a class such as "k0".
func (p picture) of(class string) placedPath {
	var out placedPath
	for _, q := range p.paths {
		if q.class == class {
			out.spots, out.moves = append(out.spots, q.spots...), out.moves+q.moves
		}
	}
	return out
}

func (p picture) says(text string) bool {
	for _, t := range p.texts {
		if t.text == text {
			return true
		}
	}
	return false
}

// draw makes the SVG and reads it back; it fails on XML that is not well formed, on an element that is not expected, on
// whatever lies outside the view box and on texts that overlap.
func draw(t testing.TB, c Chart) picture {
	t.Helper()
	svg, err := c.SVG()
	if err != nil {
		t.Fatal(err)
	}
	p, err := parse(svg)
	if err != nil {
		t.Fatalf("%v in\n%.2000s", err, svg)
	}
	for _, q := range p.paths {
		for _, s := range q.spots {
			if !(s.x >= 0 && s.x <= p.width && s.y >= 0 && s.y <= p.height) {
				t.Errorf("path %q goes through %v, outside %v x %v", q.class, s, p.width, p.height)
			}
		}
	}
	for i, q := range p.texts {
		left, right := q.edges()
		if !(left >= -0.1 && right <= p.width+0.1 && q.y >= textSize/2 && q.y <= p.height) {
			t.Errorf("text %q at %v to %v, %v lies outside %v x %v", q.text, left, right, q.y, p.width, p.height)
		}
		for _, other := range p.texts[:i] {
			from, to := other.edges()
			if left < to && from < right && math.Abs(q.y-other.y) < textSize-1 {
				t.Errorf("the texts %+v and %+v overlap", q, other)
			}
		}
	}
	return p
}

// edges are the left and the right end of a text, as far as they are known.
func (q placedText) edges() (float64, float64) {
	switch w := widthOf(q.text, textSize); {
	case strings.HasSuffix(q.class, " c"):
		return q.x - w/2, q.x + w/2
	case strings.HasSuffix(q.class, " e"):
		return q.x - w, q.x
	default:
		return q.x, q.x + w
	}
}

func parse(svg []byte) (picture, error) {
	var p picture
	d := xml.NewDecoder(bytes.NewReader(svg))
	var open []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return p, nil
		}
		if err != nil {
			return p, err
		}
		switch e := token.(type) {
		case xml.StartElement:
			open = append(open, e.Name.Local)
			if err := p.start(e); err != nil {
				return p, err
			}
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			switch last := append([]string{""}, open...)[len(open)]; last {
			case "title":
				p.title += string(e)
			case "desc":
				p.desc += string(e)
			case "text", "tspan":
				p.texts[len(p.texts)-1].text += string(e)
			}
		}
	}
}

func (p *picture) start(e xml.StartElement) error {
	has := map[string]string{}
	for _, a := range e.Attr {
		has[a.Name.Local] = a.Value
	}
	number := func(name string) float64 {
		v, err := strconv.ParseFloat(has[name], 64)
		if err != nil {
			return math.NaN()
		}
		return v
	}
	switch e.Name.Local {
	case "svg":
		p.width, p.height = number("width"), number("height")
		if has["role"] != "img" || has["viewBox"] != fmt.Sprintf("0 0 %v %v", p.width, p.height) {
			return fmt.Errorf("svg has the attributes %v", has)
		}
	case "text":
		p.texts = append(p.texts, placedText{class: has["class"], x: number("x"), y: number("y")})
	case "path":
		q, err := follow(has["d"])
		q.class = has["class"]
		p.paths = append(p.paths, q)
		return err
	case "title", "desc", "style", "rect", "tspan":
	default:
		return fmt.Errorf("unexpected element %s", e.Name.Local)
	}
	return nil
}

var (
	wholePath = regexp.MustCompile(`^([MLHVh]-?[0-9.]+( -?[0-9.]+)?)+$`)
	pathStep  = regexp.MustCompile(`([MLHVh])(-?[0-9.]+)(?: (-?[0-9.]+))?`)
)

// follow goes along the d of a path.
func follow(d string) (placedPath, error) {
	var out placedPath
	if !wholePath.MatchString(d) {
		return out, fmt.Errorf("path %.200q has an unknown step or number", d)
	}
	var at spot
	for _, m := range pathStep.FindAllStringSubmatch(d, -1) {
		a, errA := strconv.ParseFloat(m[2], 64)
		b, errB := 0.0, error(nil)
		if (m[1] == "M" || m[1] == "L") != (m[3] != "") {
			return out, fmt.Errorf("path step %q has the wrong count of numbers", m[0])
		}
		if m[3] != "" {
			b, errB = strconv.ParseFloat(m[3], 64)
		}
		if err := errors.Join(errA, errB); err != nil {
			return out, err
		}
		switch m[1] {
		case "M", "L":
			at = spot{a, b}
		case "H":
			at.x = a
		case "V":
			at.y = a
		case "h":
			at.x += a
		}
		if m[1] == "M" {
			out.moves++
		}
		out.spots = append(out.spots, at)
	}
	return out, nil
}

// curve is n points of a wave at x = 0, 1, 2 ...
func curve(n int) []Point {
	out := make([]Point, n)
	for i := range out {
		out[i] = Point{float64(i), 2 + math.Sin(float64(i)/7)}
	}
	return out
}

func one(lines ...Line) Chart { return Chart{Panels: []Panel{{Lines: lines}}} }

func TestChartHoldsItsTexts(t *testing.T) {
	t.Parallel()
	c := Chart{Title: "Training", Panels: []Panel{
		{Title: "Loss", Share: 2, X: Axis{Label: "step"}, Y: Axis{Label: "cross entropy", Unit: "nats"}, Lines: []Line{{Name: "train", Points: curve(300)}, {Name: "held out", Points: curve(40), Dashed: true}}},
		{Title: "Rate", X: Axis{Label: "time", Unit: "s"}, Y: Axis{Unit: "1/s"}, Lines: []Line{{Points: curve(9)}}},
	}}
	p := draw(t, c)
	if p.width != widthDefault || p.height != 2*heightDefault {
		t.Errorf("size %v x %v", p.width, p.height)
	}
	for _, want := range []string{"Training", "Losscross entropy (nats)", "step", "train", "held out", "Rate1/s", "time (s)", "0", "100"} {
		if !p.says(want) {
			t.Errorf("the text %q is missing", want)
		}
	}
	if p.title != "Training" {
		t.Errorf("title %q", p.title)
	}
	want := "Loss: cross entropy (nats) from 1 to 3 over step from 0 to 299. Lines: train, held out. Rate: 1/s from 2 to 3 over time (s) from 0 to 8."
	if p.desc != want {
		t.Errorf("description %q\nwant        %q", p.desc, want)
	}
	if len(p.of("k1 d").spots) == 0 || len(p.of("k1").spots) != 0 {
		t.Error("the dashed line is not dashed, or is drawn solid as well")
	}
	c.Description = "A loss that falls."
	if p := draw(t, c); p.desc != c.Description {
		t.Errorf("description %q", p.desc)
	}
}

func TestChartIsDeterministicAndLeavesThePoints(t *testing.T) {
	t.Parallel()
	points := curve(5000)
	c := one(Line{Name: "a", Points: points}, Line{Name: "b", Points: curve(10)})
	first, err := c.SVG()
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.SVG()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("two drawings of one chart differ")
	}
	for i, p := range curve(5000) {
		if points[i] != p {
			t.Fatalf("point %d was changed to %v", i, points[i])
		}
	}
}

func TestChartNeedsNothingElse(t *testing.T) {
	t.Parallel()
	svg, err := one(Line{Name: "http://example.com", Points: curve(3)}).SVG()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(svg), `xmlns="http://www.w3.org/2000/svg"`, "")
	for _, bad := range []string{"<script", "href", "url(", "@import", "@font-face", " id=", "NaN", "Inf"} {
		if strings.Contains(text, bad) {
			t.Errorf("the file holds %q", bad)
		}
	}
	for _, want := range []string{"prefers-color-scheme:dark", "system-ui"} {
		if !strings.Contains(text, want) {
			t.Errorf("the file lacks %q", want)
		}
	}
	style, _, _ := strings.Cut(text[strings.Index(text, "<style>")+len("<style>"):], "</style>")
	for _, rule := range strings.Split(strings.ReplaceAll(style, "@media(prefers-color-scheme:dark){", ""), "}") {
		if rule != "" && !strings.HasPrefix(rule, ".weir-plot") {
			t.Errorf("the rule %q would change the page around the chart", rule)
		}
	}
}

func TestChartEscapesTexts(t *testing.T) {
	t.Parallel()
	for _, name := range []string{`<b>&"'`, "]]>", "</text><script>", "&amp;", "ü → 模型", `a\b`} {
		p := draw(t, Chart{Title: name, Panels: []Panel{{Title: name, X: Axis{Label: name, Unit: name}, Y: Axis{Label: name}, Lines: []Line{{Name: name, Points: curve(3)}}}}})
		if p.title != name || !p.says(name) || !p.says(name+name) || !p.says(name+" ("+name+")") || !strings.Contains(p.desc, "Lines: "+name+".") {
			t.Errorf("%q came out as title %q, description %q, texts %+v", name, p.title, p.desc, p.texts)
		}
	}
	p := draw(t, one(Line{Name: "a\x00b\nc\u202ed\xff", Points: curve(3)}))
	if !p.says("a b c d\uFFFD") {
		t.Errorf("control characters came out as %+v", p.texts)
	}
}

func TestChartBounds(t *testing.T) {
	t.Parallel()
	lines := func(n int) []Line {
		out := make([]Line, n)
		for i := range out {
			out[i] = Line{Name: fmt.Sprint("line ", i), Points: curve(5)}
		}
		return out
	}
	panels := func(n int) []Panel { return make([]Panel, n) }
	axis := func(a Axis) Chart { return Chart{Panels: []Panel{{Y: a}}} }
	many := make([]Point, pointsMax+1)
	nan := math.NaN()
	check := func(name, want string, c Chart) {
		t.Helper()
		_, err := c.SVG()
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: error %v does not say %q", name, err, want)
		}
	}
	check("no panel", "Panels: 0 of them; give 1 to 8", Chart{})
	check("most panels", "", Chart{Panels: panels(panelsMax)})
	check("one panel more", "Panels: 9", Chart{Panels: panels(panelsMax + 1)})
	check("most lines", "", one(lines(linesMax)...))
	check("one line more", "Panels[0].Lines: 8 of them; give 7 at most", one(lines(linesMax+1)...))
	check("most points", "", one(Line{Points: many[:pointsMax]}))
	check("one point more", "Lines[0].Points: 1048577 of them; give 1048576", one(Line{Points: many}))
	check("narrowest", "", Chart{Width: widthMin, Panels: panels(1)})
	check("too narrow", "Width: 319; give 320 to 4096", Chart{Width: widthMin - 1, Panels: panels(1)})
	check("widest", "", Chart{Width: sideMax, Panels: panels(1)})
	check("too wide", "Width: 4097", Chart{Width: sideMax + 1, Panels: panels(1)})
	check("highest", "", Chart{Height: sideMax, Panels: panels(1)})
	check("too high", "Height: 4097", Chart{Height: sideMax + 1, Panels: panels(1)})
	check("negative height", "Height: -1 leaves 0 pixels", Chart{Height: -1, Panels: panels(1)})
	rooms := int(2*pad + textSize/2 + ticksRoom)
	check("lowest", "", Chart{Height: rooms + plotMin, Panels: panels(1)})
	check("too low", "it needs 48: give more height", Chart{Height: rooms + plotMin - 1, Panels: panels(1)})
	check("lowest for seven names", "", Chart{Height: rooms + linesMax*labelGap, Panels: []Panel{{Lines: lines(linesMax)}}})
	check("too low for seven names", "it needs 112", Chart{Height: rooms + linesMax*labelGap - 1, Panels: []Panel{{Lines: lines(linesMax)}}})
	check("largest share", "", Chart{Height: 4000, Panels: []Panel{{Share: shareMax}, {Share: 3}}})
	check("share too large", "Panels[1].Share: 100.1; give 0 to 100", Chart{Panels: []Panel{{}, {Share: shareMax + 0.1}}})
	check("share below 0", "Share: -1", Chart{Panels: []Panel{{Share: -1}}})
	check("share not a number", "Share: NaN", Chart{Panels: []Panel{{Share: nan}}})
	check("zero on log", "Panels[0].Y.Zero: a log axis", axis(Axis{Log: true, Zero: true}))
	check("range", "", axis(Axis{Min: -1, Max: 0}))
	check("range backwards", "Max: 1 is not above Min, 2", axis(Axis{Min: 2, Max: 1}))
	check("range of nothing", "Max: 2 is not above", axis(Axis{Min: 2, Max: 2}))
	check("range too small", "is not above", axis(Axis{Min: 1, Max: 1 + narrowest/2}))
	check("smallest range", "", axis(Axis{Min: 1, Max: 1 + narrowest*2}))
	check("range below all", "is not above", axis(Axis{Min: 0, Max: 1e-295}))
	check("range not a number", "Min: NaN cannot be placed", axis(Axis{Min: nan, Max: 1}))
	check("range without end", "Max: +Inf cannot be placed", axis(Axis{Max: math.Inf(1)}))
	check("largest range", "", axis(Axis{Min: -valueMax, Max: valueMax}))
	check("range too large", "Max: 1.1e+300 cannot be placed", axis(Axis{Max: 1.1 * valueMax}))
	check("log range from 0", "Min: 0 cannot be placed", axis(Axis{Max: 1, Log: true}))
	check("log range", "", axis(Axis{Min: 1e-9, Max: 1, Log: true}))
	check("error of X", "Panels[0].X.Max: 1", Chart{Panels: []Panel{{X: Axis{Min: 2, Max: 1}}}})
}
