package engine

// uniform is the random number in [0, 1) for the token at index (0 for the first generated) of the request with that seed.
//
// It is counter-based: each number is a function of seed and index alone, so it does not matter how many numbers others have
// drawn, in which batch a token was chosen, or whether the sequence was preempted between two of them. The mixing is
// SplitMix64's (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014), once over the seed, so that
// neighbouring seeds start far apart, and once over the counter.
func uniform(seed uint64, index int) float64 {
	const golden = 0x9e3779b97f4a7c15
	x := mix(mix(seed+golden) + (uint64(index)+1)*golden)
	return float64(x>>11) * 0x1p-53
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
