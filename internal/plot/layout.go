package plot

import "math"

// Sizes in CSS pixels.
const (
	pad        = 16.0 // around the chart
	titleSize  = 16.0
	titleRoom  = 30.0
	textSize   = 12.0
	headSize   = 13.0
	headRoom   = 28.0 // over a plot, for its title and the label of Y
	ticksRoom  = 20.0 // under a plot
	labelRoom  = 18.0 // under the ticks, for the label of X
	panelGap   = 16.0
	plotMin    = 48.0 // lower than this, a plot shows no slope
	labelGap   = 16.0 // between the middles of two names
	leaderRoom = 14.0 // from the plot to the sample of a line
	sampleSize = 16.0
	namePad    = 6.0
	// nameShare is the most of the width that names of lines may take.
	nameShare = 0.28
	// tickGapX is the least room between the texts of two ticks; ticks of X are at least tickEveryX apart, of Y tickEveryY.
	tickGapX   = 14.0
	tickEveryX = 72.0
	tickEveryY = 26.0
	// A log axis takes more ticks: its texts are short, and its lines tell the reader where they are.
	tickEveryLogX = 36.0
	tickEveryLogY = 20.0
)

// view is a panel with everything decided: its place, its scales, its lines as marks.
type view struct {
	Panel
	left, top, width, height float64 // of the plot
	x, y                     scale
	lines                    []drawnLine
	empty                    bool // no line has anything inside the plot
}

type drawnLine struct {
	name   string
	dashed bool
	marks  []mark
	end    spot    // where it leaves the plot for good
	empty  bool    // nothing of it is inside
	middle float64 // of the name, in pixels from the top of the chart
}

func (p Panel) headRoom() float64 {
	if clean(p.Title) == "" && p.Y.title() == "" {
		return textSize / 2 // half of the top tick's text
	}
	return headRoom
}

func (p Panel) footRoom() float64 {
	if p.X.title() == "" {
		return ticksRoom
	}
	return ticksRoom + labelRoom
}

func (p Panel) share() float64 {
	if p.Share == 0 {
		return 1
	}
	return p.Share
}

func (p Panel) plotHeightMin() float64 {
	named := 0
	for _, l := range p.Lines {
		if clean(l.Name) != "" {
			named++
		}
	}
	return max(plotMin, float64(named)*labelGap)
}

func (c Chart) topRoom() float64 {
	if clean(c.Title) == "" {
		return pad
	}
	return pad + titleRoom
}

// plotHeights divides what the texts leave of the height among the panels' plots.
func plotHeights(c Chart) []float64 {
	room := float64(c.Height) - c.topRoom() - pad - panelGap*float64(len(c.Panels)-1)
	var shares float64
	for _, p := range c.Panels {
		room -= p.headRoom() + p.footRoom()
		shares += p.share()
	}
	out := make([]float64, len(c.Panels))
	for i, p := range c.Panels {
		out[i] = room * p.share() / shares
	}
	return out
}

// layOut decides places and scales. Heights come first, then the ticks of Y, whose texts with the names decide the width of
// the plots, then the ticks of X.
func layOut(c Chart) []view {
	out := make([]view, len(c.Panels))
	left, right := 0.0, textSize
	top := c.topRoom()
	for i, h := range plotHeights(c) {
		p := c.Panels[i]
		v := &out[i]
		v.Panel, v.top, v.height = p, top+p.headRoom(), h
		top = v.top + h + p.footRoom() + panelGap
		marks := v.placeY()
		for _, t := range v.y.ticks {
			left = max(left, widthOf(t.text, textSize))
		}
		for k, l := range p.Lines {
			d := drawnLine{name: clean(l.Name), dashed: l.Dashed, marks: marks[k]}
			if d.name != "" {
				d.name = nameFitted(d, nameShare*float64(c.Width))
				right = max(right, leaderRoom+sampleSize+namePad+widthOf(d.name, textSize))
			}
			v.lines = append(v.lines, d)
		}
	}
	for i := range out {
		v := &out[i]
		v.left = pad + left + namePad
		v.width = float64(c.Width) - v.left - right - pad
		v.placeX()
		v.placeNames()
	}
	return out
}

// placeY makes the scale of Y and, for the time being, a scale of X without ticks; it returns the marks of each line.
func (v *view) placeY() [][]mark {
	marks := make([][]mark, len(v.Lines))
	lo, hi := [2]float64{math.Inf(1), math.Inf(1)}, [2]float64{math.Inf(-1), math.Inf(-1)}
	for i, l := range v.Lines {
		marks[i] = marksOf(l.Points, v.X, v.Y)
		for _, m := range marks[i] {
			lo[0], hi[0] = min(lo[0], m.X), max(hi[0], m.X)
			// What a fixed range of X leaves out has no say in the range of Y.
			if !v.X.fixed() || m.X >= v.X.Min && m.X <= v.X.Max {
				lo[1], hi[1] = min(lo[1], m.Y), max(hi[1], m.Y)
			}
		}
	}
	every := tickEveryY
	if v.Y.Log {
		every = tickEveryLogY
	}
	v.x = newScale(v.X, lo[0], hi[0], 1, false)
	v.y = newScale(v.Y, lo[1], hi[1], max(2, int(v.height/every)), true)
	return marks
}

// placeX takes as many ticks as their texts have room for, and thins the lines to what the plot can show.
func (v *view) placeX() {
	every := tickEveryX
	if v.X.Log {
		every = tickEveryLogX
	}
	for n := max(1, int(v.width/every)); n > 0; n-- {
		if v.x.mark(n); v.ticksFit() {
			break
		}
	}
	if !v.ticksFit() {
		v.x.ticks = v.x.ticks[:1]
	}
	v.empty = true
	for i := range v.lines {
		l := &v.lines[i]
		l.marks = thin(l.marks, v.x)
		l.empty = true
		for k, m := range l.marks {
			s := v.spot(m)
			if s.inside() {
				l.end, l.empty = s, false
			} else if k > 0 && !m.gap {
				if _, edge, ok := clip(v.spot(l.marks[k-1]), s); ok {
					l.end, l.empty = edge, false
				}
			}
		}
		v.empty = v.empty && l.empty
	}
}

// nameFitted cuts the name of a line to the given width in pixels; a line without a value says so.
func nameFitted(l drawnLine, width float64) string {
	const none = ": no data"
	if len(l.marks) > 0 {
		return fitted(l.name, textSize, width)
	}
	return fitted(l.name, textSize, width-widthOf(none, textSize)) + none
}

func (v *view) ticksFit() bool {
	for i := 1; i < len(v.x.ticks); i++ {
		a, b := v.x.ticks[i-1], v.x.ticks[i]
		room := (v.x.at(b.value) - v.x.at(a.value)) * v.width
		if room < (widthOf(a.text, textSize)+widthOf(b.text, textSize))/2+tickGapX {
			return false
		}
	}
	return true
}

// placeNames puts the name of each line where the line ends, or as near as the other names allow. Lines without a point in
// the plot come last, at the bottom.
func (v *view) placeNames() {
	var at []int
	var wanted []float64
	for i, l := range v.lines {
		if l.name == "" {
			continue
		}
		at = append(at, i)
		if l.empty {
			wanted = append(wanted, v.top+v.height)
		} else {
			wanted = append(wanted, v.pixel(l.end).y)
		}
	}
	for k, y := range apart(wanted, labelGap, v.top+labelGap/2, v.top+v.height-labelGap/2) {
		v.lines[at[k]].middle = y
	}
}

func (v *view) spot(m mark) spot { return spot{v.x.at(m.X), v.y.at(m.Y)} }

// pixel is a spot's place in the chart, y downwards.
func (v *view) pixel(s spot) spot { return spot{v.left + s.x*v.width, v.top + (1-s.y)*v.height} }
