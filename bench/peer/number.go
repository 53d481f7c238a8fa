package peer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Known refuses the first name that is none of all; flag is where it was given.
func Known(flag string, names, all []string) error {
	for _, n := range names {
		if !slices.Contains(all, n) {
			return fmt.Errorf("%s: %q is none of %s", flag, n, strings.Join(all, ", "))
		}
	}
	return nil
}

// Median is 0 of nothing, and the mean of the two in the middle of an even number.
func Median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// Factor shows hundredths, which is finer than any machine repeats, up to ten.
func Factor(v float64) string {
	if v >= 10 {
		return Thousands(v)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// Number shows two digits that count, and no more decimals than that needs.
func Number(v float64) string {
	switch {
	case v >= 10:
		return Thousands(v)
	case v >= 1:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// Thousands rounds to a whole number and groups it.
func Thousands(v float64) string {
	digits := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// OneLine makes an error or a log's end fit a table's notes.
func OneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
