package fleet

import "math/bits"

// batches is how many sizes of batches speeds are kept for: 1, 2, 3-4, 5-8, ... up to 1,024 and more.
const batches = 11

// forget is the weight of a new sample in a moving mean. A tenth follows a change within some twenty requests and still averages out
// what single prompts do; at a half, one slow answer would turn all traffic away.
const forget = 0.1

// forgetPrefill is the same for prompts, whose lengths differ more: the mean is over their tokens, and a few long ones are most of it.
const forgetPrefill = 0.05

// speed is what was measured of an endpoint: moving means, 0 where nothing was.
type speed struct {
	seconds, tokens float64          // of prompts until their first token, moving sums
	decode          [batches]float64 // seconds of one output token, by size of batch
}

// prefill is the seconds of one prompt token: a mean over tokens, not over prompts. The first tokens of short prompts wait for the step
// under way as those of long ones do, and would make an engine look several times as slow as it is.
func (s *speed) prefill() float64 {
	if s.tokens == 0 {
		return 0
	}
	return s.seconds / s.tokens
}

// sawPrefill learns from a first token that came after seconds with tokens of prompts to compute until then. What was ahead is in
// tokens, so that a queue does not look like a slow engine.
func (s *speed) sawPrefill(seconds float64, tokens int) {
	if tokens < prefillLeast || seconds <= 0 {
		return
	}
	s.seconds += seconds - forgetPrefill*s.seconds
	s.tokens += float64(tokens) - forgetPrefill*s.tokens
}

// sawWhole learns from an answer in one piece that came after seconds: its prompt took no longer than that. It says something only where
// prompts were thought to be slower.
func (s *speed) sawWhole(seconds float64, tokens int) {
	if p := s.prefill(); p > 0 && seconds < p*float64(tokens) {
		s.sawPrefill(seconds, tokens)
	}
}

// prefillLeast is the fewest tokens that say anything of a speed: below it, a first token's time is the network's and the scheduler's.
const prefillLeast = 8

// sawDecode learns from an answer whose tokens took seconds each in a batch.
func (s *speed) sawDecode(seconds float64, batch int) {
	if seconds > 0 {
		mix(&s.decode[batchIndex(batch)], seconds)
	}
}

func mix(mean *float64, sample float64) {
	if *mean == 0 {
		*mean = sample
		return
	}
	*mean += forget * (sample - *mean)
}

func batchIndex(batch int) int { return min(bits.Len(uint(max(batch-1, 0))), batches-1) }

// decodeAt reads the speed at a batch, or that of the nearest batch that was measured, the larger one first: it is the careful guess.
func decodeAt(decode *[batches]float64, batch int) float64 {
	at := batchIndex(batch)
	for d := range batches {
		if at+d < batches && decode[at+d] > 0 {
			return decode[at+d]
		}
		if at-d >= 0 && decode[at-d] > 0 {
			return decode[at-d]
		}
	}
	return 0
}
