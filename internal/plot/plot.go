// Package plot draws line charts as SVG files that need nothing else: no script, no font file, no network. They are for the
// pictures in docs, for the curves of a training run and for reports of load tests. A picture follows the reader's light or
// dark theme, says in <title> and <desc> what it shows, and is the same bytes for the same chart. Lines are named where they
// end, so that no reader has to match colours with a legend.
//
// It is our own because no Go module draws this. go-analyze/charts places values at equal steps, so two lines measured at
// different steps cannot share an axis; its log axis flattens what is below one; its coordinates are whole pixels.
// gonum/plot has true axes but names serif fonts, knows no dark theme, and adds nine megabytes to the binary.
//
// The package is pure: no goroutine, no lock, no clock, no file. It never changes the points that it is given.
package plot

import (
	"cmp"
	"fmt"
	"strings"
)

// Chart is one picture: panels one below the other, whose plot areas share their left and right edges.
type Chart struct {
	Title       string
	Description string // what a screen reader says; empty: the panels, lines and ranges in words
	Width       int    // CSS pixels; 0: widthDefault
	Height      int    // CSS pixels; 0: heightDefault for each panel
	Panels      []Panel
}

// Panel is one plot area with its two axes. The label of Y stands over the plot beside the title, where it can be read
// without turning the head.
type Panel struct {
	Title string
	Share float64 // of the height, relative to the other panels; 0: 1
	X, Y  Axis
	Lines []Line
}

// Axis says how values become places. Min and Max fix the range where Min < Max; both 0, and the range is that of the values
// (rounded up to ticks for Y).
type Axis struct {
	Label    string
	Unit     string  // follows the label in brackets: "s", "tokens/s"
	Log      bool    // base 10; values of 0 and below are left out
	Zero     bool    // an automatic range also holds 0, so that lengths may be compared
	Min, Max float64 // in the unit of the values
}

// Line is a row of points joined in their order. A point with NaN or an infinite value, or that a log axis cannot place, is
// left out and leaves a gap, because a bridge over it would claim a measurement.
type Line struct {
	Name   string
	Points []Point
	Dashed bool
}

// Point is one measurement, in the units of the axes.
type Point struct{ X, Y float64 }

const (
	// widthDefault fills a column of text in a README; wider would be scaled down there, and the letters with it.
	widthDefault = 720
	// heightDefault makes a panel three times as wide as high: lower flattens slopes, higher fills the screen with two panels.
	heightDefault = 240

	widthMin = 320  // below, names and ticks leave no plot
	sideMax  = 4096 // above, it is no picture for a page

	panelsMax = 8
	// linesMax is the number of colours of Okabe and Ito (jfly.uni-koeln.de/color) that can be seen on white and on black:
	// all but the yellow. More lines than colours cannot be told apart.
	linesMax = 7
	// pointsMax is a day of measurements at ten a second, rounded up. More belongs into a summary before it is drawn.
	pointsMax = 1 << 20
	shareMax  = 100.0
)

// SVG draws the chart. The error names the field that is out of bounds. The size stays below about 10 kB a line, whatever
// the number of points.
func (c Chart) SVG() ([]byte, error) {
	c.Width = cmp.Or(c.Width, widthDefault)
	c.Height = cmp.Or(c.Height, heightDefault*len(c.Panels))
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("plot: %w", err)
	}
	var out canvas
	out.draw(c, layOut(c))
	return out.Bytes(), nil
}

func (c Chart) validate() error {
	if n := len(c.Panels); n < 1 || n > panelsMax {
		return fmt.Errorf("Panels: %d of them; give 1 to %d", n, panelsMax)
	}
	if c.Width < widthMin || c.Width > sideMax {
		return fmt.Errorf("Width: %d; give %d to %d pixels", c.Width, widthMin, sideMax)
	}
	for i, p := range c.Panels {
		if err := p.validate(); err != nil {
			return fmt.Errorf("Panels[%d].%w", i, err)
		}
	}
	if c.Height > sideMax {
		return fmt.Errorf("Height: %d; give %d pixels at most", c.Height, sideMax)
	}
	for i, h := range plotHeights(c) {
		if need := c.Panels[i].plotHeightMin(); h < need {
			return fmt.Errorf("Height: %d leaves %.0f pixels for the plot of Panels[%d]; it needs %.0f: give more height, fewer panels or fewer lines", c.Height, max(0, h), i, need)
		}
	}
	return nil
}

func (p Panel) validate() error {
	if !(p.Share >= 0 && p.Share <= shareMax) {
		return fmt.Errorf("Share: %v; give 0 to %v", p.Share, shareMax)
	}
	if len(p.Lines) > linesMax {
		return fmt.Errorf("Lines: %d of them; give %d at most, or draw two panels", len(p.Lines), linesMax)
	}
	for i, l := range p.Lines {
		if len(l.Points) > pointsMax {
			return fmt.Errorf("Lines[%d].Points: %d of them; give %d at most, or averages of neighbours", i, len(l.Points), pointsMax)
		}
	}
	if err := p.X.validate(); err != nil {
		return fmt.Errorf("X.%w", err)
	}
	if err := p.Y.validate(); err != nil {
		return fmt.Errorf("Y.%w", err)
	}
	return nil
}

func (a Axis) validate() error {
	if a.Log && a.Zero {
		return fmt.Errorf("Zero: a log axis cannot hold 0; clear Zero or Log")
	}
	if !a.fixed() {
		return nil
	}
	for _, end := range []struct {
		name  string
		value float64
	}{{"Min", a.Min}, {"Max", a.Max}} {
		if !a.places(end.value) {
			return fmt.Errorf("%s: %v cannot be placed; give a finite value below %v, above 0 on a log axis", end.name, end.value, valueMax)
		}
	}
	if a.Min >= a.Max || narrow(a.Min, a.Max) {
		return fmt.Errorf("Max: %v is not above Min, %v, by enough to draw; give a wider range, or 0 and 0 for that of the values", a.Max, a.Min)
	}
	return nil
}

func (a Axis) fixed() bool { return a.Min != 0 || a.Max != 0 }

// title is the text beside the axis: the label with its unit.
func (a Axis) title() string {
	label, unit := clean(a.Label), clean(a.Unit)
	switch {
	case unit == "":
		return label
	case label == "":
		return unit
	}
	return label + " (" + unit + ")"
}

// describe says in words what the chart shows, for readers who do not see it.
func (c Chart) describe(panels []view) string {
	if d := clean(c.Description); d != "" {
		return d
	}
	var b strings.Builder
	for i, p := range panels {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s: ", cmp.Or(clean(p.Title), fmt.Sprintf("Panel %d", i+1)))
		if p.empty {
			b.WriteString("no data.")
			continue
		}
		fmt.Fprintf(&b, "%s from %s to %s over %s from %s to %s.", cmp.Or(p.Y.title(), "y"), short(p.y.min), short(p.y.max), cmp.Or(p.X.title(), "x"), short(p.x.min), short(p.x.max))
		var names []string
		for _, l := range p.Lines {
			if name := clean(l.Name); name != "" {
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			fmt.Fprintf(&b, " Lines: %s.", strings.Join(names, ", "))
		}
	}
	return b.String()
}
