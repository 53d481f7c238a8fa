package plot

import (
	"bytes"
	"fmt"
	"strings"
)

// canvas collects the elements of one SVG.
type canvas struct{ bytes.Buffer }

// style holds both themes. Every rule is below one class, because a page that shows several charts shares their styles.
// The colours of lines are those of Okabe and Ito without the yellow, the faint ones last.
const style = `.weir-plot{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}` +
	`.weir-plot text{fill:#1f2328}.weir-plot .t{font-size:16px;font-weight:600}.weir-plot .h{font-size:13px}.weir-plot .b{font-weight:600}.weir-plot .m{fill:#59636e}` +
	`.weir-plot .e{text-anchor:end}.weir-plot .c{text-anchor:middle}` +
	`.weir-plot .bg{fill:#fff}.weir-plot path{fill:none;stroke-linecap:round;stroke-linejoin:round;stroke-width:1.75}` +
	`.weir-plot .g{stroke:#e6e9ed;stroke-width:1}.weir-plot .f{stroke:#f3f4f6;stroke-width:1}.weir-plot .a{stroke:#818b98;stroke-width:1}` +
	`.weir-plot .d{stroke-dasharray:5 4}.weir-plot .o{stroke-width:5.5}.weir-plot .w{stroke-width:.75;opacity:.7}` +
	`.weir-plot .k0{stroke:#0072b2}.weir-plot .k1{stroke:#d55e00}.weir-plot .k2{stroke:#009e73}.weir-plot .k3{stroke:#cc79a7}` +
	`.weir-plot .k4{stroke:#e69f00}.weir-plot .k5{stroke:#56b4e9}.weir-plot .k6{stroke:#1f2328}` +
	`@media(prefers-color-scheme:dark){.weir-plot .bg{fill:#0d1117}.weir-plot text{fill:#e6edf3}.weir-plot .m{fill:#9198a1}` +
	`.weir-plot .g{stroke:#262c36}.weir-plot .f{stroke:#171c23}.weir-plot .a{stroke:#656c76}.weir-plot .k0{stroke:#3d9bd9}.weir-plot .k6{stroke:#e6edf3}}`

func (o *canvas) draw(c Chart, panels []view) {
	title := clean(c.Title)
	if title == "" {
		title = clean(panels[0].Title)
	}
	if title == "" {
		title = "Line chart"
	}
	fmt.Fprintf(o, `<svg xmlns="http://www.w3.org/2000/svg" class="weir-plot" role="img" width="%d" height="%d" viewBox="0 0 %d %d">`+"\n", c.Width, c.Height, c.Width, c.Height)
	fmt.Fprintf(o, "<title>%s</title>\n<desc>%s</desc>\n<style>%s</style>\n", escaped(title), escaped(c.describe(panels)), style)
	fmt.Fprintf(o, `<rect class="bg" width="%d" height="%d"/>`+"\n", c.Width, c.Height)
	if clean(c.Title) != "" {
		o.text("t", pad, pad+titleSize-2, fitted(title, titleSize*1.05, float64(c.Width)-2*pad))
	}
	for i := range panels {
		o.panel(&panels[i], float64(c.Width))
	}
	o.WriteString("</svg>\n")
}

func (o *canvas) text(class string, x, y float64, s string) {
	if s != "" {
		fmt.Fprintf(o, `<text class="%s" x="%s" y="%s">%s</text>`+"\n", class, px(x), px(y), escaped(s))
	}
}

func (o *canvas) path(class string, d string) {
	if d != "" {
		fmt.Fprintf(o, `<path class="%s" d="%s"/>`+"\n", class, d)
	}
}

func (o *canvas) panel(v *view, width float64) {
	o.head(v, width)
	o.axes(v, width)
	for i := range v.lines {
		o.line(v, i)
	}
	for i := range v.lines {
		o.name(v, i)
	}
	if v.empty {
		o.text("m c", v.left+v.width/2, v.top+v.height/2+4, "no data")
	}
}

// head writes the title of a panel and, after it, the label of Y: one text, because only the reader's font knows where the
// title ends.
func (o *canvas) head(v *view, width float64) {
	title, label := clean(v.Title), v.Y.title()
	if title == "" && label == "" {
		return
	}
	room := width - 2*pad - namePad
	title = fitted(title, headSize*1.05, room*0.6)
	label = fitted(label, headSize, room-widthOf(title, headSize*1.05))
	fmt.Fprintf(o, `<text class="h" x="%s" y="%s">`, px(pad), px(v.top-14))
	if title != "" {
		fmt.Fprintf(o, `<tspan class="b">%s</tspan>`, escaped(title))
	}
	if label != "" {
		shift := ""
		if title != "" {
			shift = fmt.Sprintf(` dx="%s"`, px(namePad))
		}
		fmt.Fprintf(o, `<tspan class="m"%s>%s</tspan>`, shift, escaped(label))
	}
	o.WriteString("</text>\n")
}

// grid draws the lines of the ticks.
func (o *canvas) grid(v *view) {
	var major, minor strings.Builder
	across := func(b *strings.Builder, y float64) {
		fmt.Fprintf(b, "M%s %sH%s", px(v.left), px(v.pixel(spot{0, y}).y), px(v.left+v.width))
	}
	down := func(b *strings.Builder, x float64) {
		fmt.Fprintf(b, "M%s %sV%s", px(v.pixel(spot{x, 0}).x), px(v.top), px(v.top+v.height))
	}
	for _, y := range v.y.minor {
		across(&minor, v.y.at(y))
	}
	for _, x := range v.x.minor {
		down(&minor, v.x.at(x))
	}
	for _, t := range v.y.ticks {
		across(&major, v.y.at(t.value))
	}
	for _, t := range v.x.ticks {
		down(&major, v.x.at(t.value))
	}
	o.path("f", minor.String())
	o.path("g", major.String())
}

// axes draws the grid, the line at the bottom, and the texts of the ticks and of X. Without data it draws no ticks: their
// values would be invented.
func (o *canvas) axes(v *view, width float64) {
	if !v.empty {
		o.grid(v)
		o.ticks(v, width)
	}
	label := fitted(v.X.title(), textSize, width-2*pad)
	half := widthOf(label, textSize) / 2
	o.text("m c", min(max(v.left+v.width/2, pad+half), width-pad-half), v.top+v.height+ticksRoom+labelRoom-5, label)
	o.path("a", fmt.Sprintf("M%s %sH%s", px(v.left), px(v.top+v.height), px(v.left+v.width)))
}

func (o *canvas) ticks(v *view, width float64) {
	for _, t := range v.y.ticks {
		o.text("m e", v.left-namePad, v.pixel(spot{0, v.y.at(t.value)}).y+4, t.text)
	}
	for _, t := range v.x.ticks {
		half := widthOf(t.text, textSize) / 2
		x := v.pixel(spot{v.x.at(t.value), 0}).x
		o.text("m c", min(max(x, half), width-half), v.top+v.height+ticksRoom-3, t.text)
	}
}

// line draws the marks of a line, cut to the plot. A mark that nothing joins is a dot, and so is each of a few.
func (o *canvas) line(v *view, i int) {
	l := &v.lines[i]
	var path, dots strings.Builder
	pen := ""
	for k, m := range l.marks {
		at := v.spot(m)
		alone := m.gap && (k+1 == len(l.marks) || l.marks[k+1].gap)
		if at.inside() && (alone || len(l.marks) <= dottedMax) {
			p := v.pixel(at)
			fmt.Fprintf(&dots, "M%s %sh0", px(p.x), px(p.y))
		}
		if m.gap || k == 0 {
			pen = ""
			continue
		}
		a, b, ok := clip(v.spot(l.marks[k-1]), at)
		if !ok {
			pen = ""
			continue
		}
		from, to := v.pixel(a), v.pixel(b)
		if start := px(from.x) + " " + px(from.y); start != pen {
			path.WriteString("M" + start)
			pen = start
		}
		if end := px(to.x) + " " + px(to.y); end != pen {
			path.WriteString("L" + end)
			pen = end
		}
	}
	o.path(fmt.Sprintf("k%d%s", i, dash(l)), path.String())
	o.path(fmt.Sprintf("k%d o", i), dots.String())
}

func dash(l *drawnLine) string {
	if l.dashed {
		return " d"
	}
	return ""
}

// name writes a line's name right of the plot behind a sample of the line, and leads from the line's end to it where that
// end is near the edge.
func (o *canvas) name(v *view, i int) {
	l := &v.lines[i]
	if l.name == "" {
		return
	}
	sample := v.left + v.width + leaderRoom
	if l.empty {
		o.text("m", sample+sampleSize+namePad, l.middle+4, l.name)
		return
	}
	if l.end.x > 0.9 {
		end := v.pixel(l.end)
		o.path(fmt.Sprintf("k%d w", i), fmt.Sprintf("M%s %sL%s %s", px(end.x), px(end.y), px(sample), px(l.middle)))
	}
	o.path(fmt.Sprintf("k%d%s", i, dash(l)), fmt.Sprintf("M%s %sh%s", px(sample), px(l.middle), px(sampleSize)))
	o.text("n", sample+sampleSize+namePad, l.middle+4, l.name)
}
