package engine

import "math"

// TokenLogprob is a token and its log-probability.
type TokenLogprob struct {
	Token   int32
	Logprob float32
}

// PromptLogprob is how likely a token of the prompt was after those before it. The first token has none: its Rank is 0.
type PromptLogprob struct {
	Token   int32
	Logprob float32
	Rank    int32          // 1 for the likeliest
	Top     []TokenLogprob // the likeliest, the first being the likeliest
}

// logNormalizer is the logarithm of the sum of exp(logits) (vocab): what turns a logit into a log-probability. It fails where
// a logit is not a number.
func logNormalizer(logits []float32) (float64, error) {
	top := math.Inf(-1)
	for _, l := range logits {
		if l != l {
			return 0, errNaN
		}
		top = max(top, float64(l))
	}
	if math.IsInf(top, 0) {
		return 0, errNaN
	}
	sum := 0.0
	for _, l := range logits {
		sum += math.Exp(float64(l) - top)
	}
	return top + math.Log(sum), nil
}

// topLogprobs returns the k likeliest tokens; norm is the logits' logNormalizer.
func topLogprobs(logits []float32, norm float64, k int, sc *scratch) []TokenLogprob {
	if k <= 0 {
		return nil
	}
	sc.ids = largest(logits, k, sc.ids[:0])
	out := make([]TokenLogprob, len(sc.ids))
	for i, id := range sc.ids {
		out[i] = TokenLogprob{Token: id, Logprob: float32(float64(logits[id]) - norm)}
	}
	return out
}

// rank is the place of a token by its logit, 1 for the largest; equals share the better place.
func rank(logits []float32, token int32) int32 {
	r, own := int32(1), logits[token]
	for _, l := range logits {
		if l > own {
			r++
		}
	}
	return r
}

// promptLogprob tells how likely token was by the logits (vocab) of the position before it.
func promptLogprob(logits []float32, token int32, k int, sc *scratch) (PromptLogprob, error) {
	norm, err := logNormalizer(logits)
	if err != nil {
		return PromptLogprob{}, err
	}
	return PromptLogprob{
		Token:   token,
		Logprob: float32(float64(logits[token]) - norm),
		Rank:    rank(logits, token),
		Top:     topLogprobs(logits, norm, k, sc),
	}, nil
}
