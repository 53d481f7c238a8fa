package mini

import "strings"

// dice is the corpus's source of chance: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
// OOPSLA 2014). It is written out here, in ten lines, because the corpus must stay the same when Go's own generators change.
type dice struct{ state uint64 }

// newDice makes the dice of one stream of a seed. Both numbers are mixed first, so that neighbouring streams share nothing.
func newDice(seed, stream uint64) *dice {
	return &dice{mix(mix(seed+0x9e3779b97f4a7c15) + stream)}
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (d *dice) next() uint64 {
	d.state += 0x9e3779b97f4a7c15
	return mix(d.state)
}

// below gives a number in [0, n). Its bias, n in 2^32, is far below what a corpus could show.
func (d *dice) below(n int) int { return int(d.next() >> 32 * uint64(n) >> 32) }

// between gives a number in [low, high], both included.
func (d *dice) between(low, high int) int { return low + d.below(high-low+1) }

// percent is true in p of 100 cases.
func (d *dice) percent(p int) bool { return d.below(100) < p }

func pick[T any](d *dice, list []T) T { return list[d.below(len(list))] }

// shuffled gives the first n of list in a random order; list itself stays as it is.
func shuffled[T any](d *dice, list []T, n int) []T {
	c := append([]T(nil), list...)
	for i := range n {
		j := d.between(i, len(c)-1)
		c[i], c[j] = c[j], c[i]
	}
	return c[:n]
}

// fill writes values into a phrasing: fill("{a} + {b}", "a", "17", "b", "25").
func fill(phrasing string, pairs ...string) string {
	braced := make([]string, len(pairs))
	for i := range pairs {
		if braced[i] = pairs[i]; i%2 == 0 {
			braced[i] = "{" + pairs[i] + "}"
		}
	}
	return strings.NewReplacer(braced...).Replace(phrasing)
}
