package plot

import (
	"cmp"
	"math"
	"slices"
)

const (
	// drawnMax is the most points of a line in the file. A plot is some 550 pixels wide: more adds bytes that nobody sees,
	// fewer thins out what a wide screen shows.
	drawnMax = 800
	// dottedMax is the number of points up to which each is shown as a dot: few points are measurements to be read off.
	dottedMax = 24
)

// mark is a point that has a place in the plot.
type mark struct {
	Point
	gap bool // what lies before it cannot be joined to it
}

// marksOf keeps the points that both axes can place.
func marksOf(points []Point, x, y Axis) []mark {
	out := make([]mark, 0, len(points))
	gap := true
	for _, p := range points {
		if !x.places(p.X) || !y.places(p.Y) {
			gap = true
			continue
		}
		out = append(out, mark{p, gap})
		gap = false
	}
	return out
}

// thin keeps drawnMax marks at most. A line with rising x is divided by columns of the plot, any other by its order. Of each
// part stay the lowest and the highest mark, so that no spike is lost, and of the line the first and the last.
func thin(marks []mark, x scale) []mark {
	rising := slices.IsSortedFunc(marks, func(a, b mark) int { return cmp.Compare(a.X, b.X) })
	if rising {
		marks = within(marks, x)
	}
	if len(marks) <= drawnMax {
		return marks
	}
	const parts = (drawnMax - 2) / 2
	part := func(i int) int {
		if rising {
			return int(min(max(x.at(marks[i].X), 0), 1) * (parts - 1))
		}
		return i * parts / len(marks)
	}
	keep := []int{0}
	for start := 0; start < len(marks); {
		low, high, end := start, start, start+1
		for ; end < len(marks) && part(end) == part(start); end++ {
			if marks[end].Y < marks[low].Y {
				low = end
			}
			if marks[end].Y > marks[high].Y {
				high = end
			}
		}
		keep = append(keep, min(low, high), max(low, high))
		start = end
	}
	keep = slices.Compact(append(keep, len(marks)-1))
	out := make([]mark, 0, len(keep))
	before := -1
	for _, i := range keep {
		m := marks[i]
		for j := before + 1; j < i && !m.gap; j++ {
			m.gap = marks[j].gap
		}
		out, before = append(out, m), i
	}
	return out
}

// within cuts rising marks to the range of x, and keeps one on each side for the lines that cross the edge.
func within(marks []mark, x scale) []mark {
	from, _ := slices.BinarySearchFunc(marks, x.min, func(m mark, v float64) int { return cmp.Compare(m.X, v) })
	to := len(marks)
	for i := from; i < len(marks); i++ {
		if marks[i].X > x.max {
			to = i + 1
			break
		}
	}
	return marks[max(0, from-1):to]
}

// spot is a place in the plot: x and y between 0 and 1 inside it, y upwards.
type spot struct{ x, y float64 }

func (s spot) inside() bool { return s.x >= 0 && s.x <= 1 && s.y >= 0 && s.y <= 1 }

// clip cuts the straight line from a to b to the plot, by the method of Liang and Barsky (ACM Transactions on Graphics 3,
// 1984): each edge narrows the part of the line that is inside.
func clip(a, b spot) (spot, spot, bool) {
	from, to := 0.0, 1.0
	dx, dy := b.x-a.x, b.y-a.y
	for _, e := range [4][2]float64{{-dx, a.x}, {dx, 1 - a.x}, {-dy, a.y}, {dy, 1 - a.y}} {
		towards, room := e[0], e[1]
		switch {
		case towards == 0 && room < 0:
			return a, b, false
		case towards < 0:
			from = math.Max(from, room/towards)
		case towards > 0:
			to = math.Min(to, room/towards)
		}
	}
	if from > to {
		return a, b, false
	}
	on := func(t float64) spot {
		return spot{min(max(a.x+t*dx, 0), 1), min(max(a.y+t*dy, 0), 1)}
	}
	return on(from), on(to), true
}
