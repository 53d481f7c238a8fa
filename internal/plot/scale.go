package plot

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

const (
	// valueMax and its inverse keep every difference, quotient and tick inside float64. Nothing that is measured is larger.
	valueMax = 1e300
	valueMin = 1 / valueMax
	// narrowest is the smallest range that is drawn, relative to its values: ticks keep six digits of float64 in hand.
	narrowest = 1e-9
	// slack is the part of a step by which a value may miss a tick and still be on it. Differences inside the narrowest range
	// are known to some 1e-7; more than slack could be seen.
	slack = 1e-6
)

// scale places values of one axis between 0 and 1.
type scale struct {
	log      bool
	min, max float64
	ticks    []tick
	minor    []float64 // values of grid lines between the decades of a log axis
}

// tick is a value with a grid line and a text.
type tick struct {
	value float64
	text  string
}

// places reports whether the axis has a place for v.
func (a Axis) places(v float64) bool {
	return math.Abs(v) <= valueMax && (!a.Log || v >= valueMin) // NaN fails the comparison
}

// narrow reports whether a range is too small to be divided into ticks.
func narrow(lo, hi float64) bool {
	size := max(math.Abs(lo), math.Abs(hi))
	return size < valueMin*1e10 || hi-lo < narrowest*size
}

// span finds the range of the axis: the fixed one, or that of the values (lo, hi), widened where it is a single value. It is
// 0 to 1 (1 to 10 on a log axis) where there are no values, which lo > hi says.
func (a Axis) span(lo, hi float64) (float64, float64) {
	if a.fixed() {
		return a.Min, a.Max
	}
	if lo > hi {
		lo, hi = 0, 1
		if a.Log {
			lo, hi = 1, 10
		}
	}
	if a.Zero {
		lo, hi = min(lo, 0), max(hi, 0)
	}
	switch {
	case a.Log && hi/lo < 1+1e-6:
		return max(valueMin, lo/3), min(valueMax, hi*3)
	case !a.Log && narrow(lo, hi):
		middle := lo/2 + hi/2
		if half := math.Abs(middle) / 2; half > valueMin*1e10 {
			return max(-valueMax, middle-half), min(valueMax, middle+half)
		}
		return -1, 1
	}
	return lo, hi
}

// newScale makes the scale of a range with about n ticks. snap moves automatic ends outwards to round values.
func newScale(a Axis, lo, hi float64, n int, snap bool) scale {
	lo, hi = a.span(lo, hi)
	s := scale{log: a.Log, min: lo, max: hi}
	switch st := stepFor(hi-lo, n); {
	case !snap || a.fixed():
		s.mark(n)
	case a.Log:
		s.min, s.max = max(valueMin, roundLog(lo, -1)), min(valueMax, roundLog(hi, 1))
		s.mark(n)
	default:
		s.min = st.times(math.Floor(lo/st.size() + slack))
		s.max = st.times(math.Ceil(hi/st.size() - slack))
		s.ticks = s.ticksEvery(st)
	}
	return s
}

// at is the place of v: 0 at the start of the axis, 1 at its end. What lies far outside is held near enough for the geometry
// to stay finite.
func (s scale) at(v float64) float64 {
	var f float64
	if s.log {
		lo := math.Log10(s.min)
		f = (math.Log10(v) - lo) / (math.Log10(s.max) - lo)
	} else {
		f = (v - s.min) / (s.max - s.min)
	}
	return min(max(f, -1e6), 1e6)
}

// roundLog is the next 1, 2 or 5 times a power of ten, downwards or upwards.
func roundLog(v float64, way int) float64 {
	e := int(math.Floor(math.Log10(v)))
	var steps []float64
	for x := e - 1; x <= e+1; x++ {
		for _, m := range []float64{1, 2, 5} {
			steps = append(steps, step{m, x}.size())
		}
	}
	if way < 0 {
		slices.Reverse(steps)
	}
	for _, r := range steps {
		if way > 0 && r >= v*(1-1e-9) || way < 0 && r <= v*(1+1e-9) {
			return r
		}
	}
	return v
}

// mark sets about n ticks. A log axis within a decade may hold less than two round values; it gets those of a linear one.
func (s *scale) mark(n int) {
	n = max(n, 1)
	if s.log {
		s.minor = s.minorLog()
		if s.ticks = s.ticksLog(n); len(s.ticks) >= 2 {
			return
		}
	}
	s.ticks = s.ticksEvery(stepFor(s.max-s.min, n))
}

// ticksEvery sets a tick at each multiple of a step in the range.
func (s scale) ticksEvery(st step) []tick {
	var steps []float64
	for k := math.Ceil(s.min/st.size() - slack); k <= math.Floor(s.max/st.size()+slack); k++ {
		steps = append(steps, k)
	}
	scientific := len(steps) > 0 && far(max(math.Abs(st.times(steps[0])), math.Abs(st.times(steps[len(steps)-1]))))
	out := make([]tick, len(steps))
	for i, k := range steps {
		v := st.times(k)
		out[i] = tick{v, number(v, st.exp, scientific)}
	}
	return out
}

// ticksLog tries 1-2-5 in each decade, then 1-3, then each decade, every second, third and so on. Where one has four ticks,
// the next has two at least. The last has three in the widest range.
func (s scale) ticksLog(n int) []tick {
	first, last := int(math.Floor(math.Log10(s.min))), int(math.Floor(math.Log10(s.max)+1e-9))
	var out []tick
	for _, stride := range []int{-1, 0, 1, 2, 3, 5, 10, 20, 40, 80, 160} {
		mantissas := []float64{1}
		switch stride {
		case -1:
			mantissas = []float64{1, 2, 5}
		case 0:
			mantissas = []float64{1, 3}
		}
		scientific := s.min < 1e-3 || s.max >= 1e6
		out = nil
		for e := first; e <= last; e++ {
			if stride > 1 && e%stride != 0 {
				continue
			}
			for _, m := range mantissas {
				if v := (step{m, e}).size(); v >= s.min*(1-1e-9) && v <= s.max*(1+1e-9) {
					out = append(out, tick{v, number(v, e, scientific)})
				}
			}
		}
		if len(out) <= max(n, 3) {
			break
		}
	}
	return out
}

// minorLog is 2 to 9 in each decade, as long as they stay apart.
func (s scale) minorLog() []float64 {
	lo, hi := math.Log10(s.min), math.Log10(s.max)
	if hi-lo > 5 {
		return nil
	}
	var out []float64
	for e := int(math.Floor(lo)); e <= int(math.Floor(hi)); e++ {
		for m := 2.0; m < 10; m++ {
			if v := (step{m, e}).size(); v > s.min && v < s.max {
				out = append(out, v)
			}
		}
	}
	return out
}

// step is the distance of two ticks: 1, 2 or 5 times a power of ten.
type step struct {
	mantissa float64
	exp      int
}

// stepFor is the smallest step that divides span into n parts at most.
func stepFor(span float64, n int) step {
	raw := span / float64(n)
	e := int(math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5} {
		if s := (step{m, e}); s.size() >= raw*(1-slack) {
			return s
		}
	}
	return step{1, e + 1}
}

func (s step) size() float64 { return s.times(1) }

// times divides by positive powers of ten, which are exact where negative ones are not.
func (s step) times(k float64) float64 {
	if s.exp < 0 {
		return k * s.mantissa / math.Pow10(-s.exp)
	}
	return k * s.mantissa * math.Pow10(s.exp)
}

// far reports whether an axis up to size is written with powers of ten.
func far(size float64) bool { return size >= 1e6 || size > 0 && size < 1e-3 }

var superscript = strings.NewReplacer("-", "⁻", "0", "⁰", "1", "¹", "2", "²", "3", "³", "4", "⁴", "5", "⁵", "6", "⁶", "7", "⁷", "8", "⁸", "9", "⁹")

// number writes v, a multiple of ten to the exp, without a digit too many.
func number(v float64, exp int, scientific bool) string {
	if v == 0 {
		return "0"
	}
	if !scientific {
		return strings.Replace(grouped(strconv.FormatFloat(v, 'f', max(0, -exp), 64)), "-", "−", 1)
	}
	digits := max(0, int(math.Floor(math.Log10(math.Abs(v))+1e-9))-exp)
	mantissa, power, _ := strings.Cut(strconv.FormatFloat(v, 'e', digits, 64), "e")
	e, _ := strconv.Atoi(power)
	if strings.Contains(mantissa, ".") {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	mantissa = strings.Replace(mantissa, "-", "−", 1)
	switch {
	case e == 0:
		return mantissa
	case strings.TrimPrefix(mantissa, "−") == "1":
		return strings.TrimSuffix(mantissa, "1") + "10" + superscript.Replace(strconv.Itoa(e))
	}
	return mantissa + "×10" + superscript.Replace(strconv.Itoa(e))
}

// grouped puts a comma before each three digits of the whole part.
func grouped(s string) string {
	whole, rest, dot := strings.Cut(s, ".")
	sign := strings.HasPrefix(whole, "-")
	whole = strings.TrimPrefix(whole, "-")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if sign {
		whole = "-" + whole
	}
	if dot {
		return whole + "." + rest
	}
	return whole
}

// short writes v for a sentence.
func short(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
