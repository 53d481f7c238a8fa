package plot

import (
	"encoding/xml"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// textMax is the most characters of a text that are kept. A title of a page's width has about a hundred.
const textMax = 200

// clean makes one line of s: no control characters and none that only direct others, textMax characters at most.
func clean(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n == textMax {
			return strings.TrimSpace(b.String()) + "…"
		}
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			r = ' '
		}
		b.WriteRune(r)
		n++
	}
	return strings.TrimSpace(b.String())
}

// escaped is s as text or as an attribute of XML; what XML cannot hold becomes U+FFFD.
func escaped(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder never fails
	return b.String()
}

// widthOf guesses the width in pixels of s set in a sans-serif of the given size. The reader's font is not known; the guess
// leans to the wide side (no less than DejaVu Sans, in ems), because too much room looks better than two texts in one place.
func widthOf(s string, size float64) float64 {
	var em float64
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Mn, r):
		case strings.ContainsRune("iIljtfr.,:;'|!()[] ", r):
			em += 0.42
		case strings.ContainsRune("mwMW@%—…", r):
			em += 1
		case strings.ContainsRune("−×+<>=~#&^", r):
			em += 0.84
		case strings.ContainsRune("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", r):
			em += 0.53
		case r >= 0x1100: // East Asian letters and pictures are square; so is, for us, whatever is rare
			em += 1.05
		case unicode.IsUpper(r):
			em += 0.79
		default:
			em += 0.64
		}
	}
	return em * size
}

// fitted cuts s to the given width in pixels and says so with an ellipsis.
func fitted(s string, size, width float64) string {
	if widthOf(s, size) <= width {
		return s
	}
	runes := []rune(s)
	for len(runes) > 0 && widthOf(string(runes)+"…", size) > width {
		runes = runes[:len(runes)-1]
	}
	return strings.TrimSpace(string(runes)) + "…"
}

// apart moves places as little as possible (least squares) so that each two are gap apart and all lie between lo and hi. The
// order of equal places is that of the slice. With the gaps taken off it is an isotonic regression: neighbours in the wrong
// order pool to their mean.
func apart(places []float64, gap, lo, hi float64) []float64 {
	order := make([]int, len(places))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case places[a] < places[b]:
			return -1
		case places[a] > places[b]:
			return 1
		}
		return 0
	})
	type pool struct {
		sum float64
		n   int
	}
	var pools []pool
	for rank, i := range order {
		pools = append(pools, pool{places[i] - float64(rank)*gap, 1})
		for k := len(pools) - 1; k > 0 && pools[k-1].sum/float64(pools[k-1].n) > pools[k].sum/float64(pools[k].n); k-- {
			pools[k-1].sum += pools[k].sum
			pools[k-1].n += pools[k].n
			pools = pools[:k]
		}
	}
	out, rank := make([]float64, len(places)), 0
	for _, p := range pools {
		for range p.n {
			base := min(max(p.sum/float64(p.n), lo), hi-float64(len(places)-1)*gap)
			out[order[rank]] = base + float64(rank)*gap
			rank++
		}
	}
	return out
}

// px writes a coordinate in tenths of a pixel.
func px(v float64) string {
	s := strconv.FormatFloat(v, 'f', 1, 64)
	if s == "-0.0" {
		return "0"
	}
	return strings.TrimSuffix(s, ".0")
}
