package engine

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// Request is a prompt and how it is to be continued.
type Request struct {
	Tokens   []int32 // the prompt; at least one token; the engine keeps no reference to it
	Sampling Sampling

	MaxTokens  int     // tokens to generate at most; 0 for the rest of the context, which is the bound in any case
	MinTokens  int     // no end token is chosen before that many
	StopTokens []int32 // the answer ends after any of these
	IgnoreEOS  bool    // Config.EndTokens do not end it

	Logprobs       int // -1 none, 0 of the chosen tokens, k of the k likeliest, too; at most MaxLogprobs
	PromptLogprobs int // the same for the tokens of the prompt

	Salt string // prefixes are shared only between equal salts: the tenant
}

// MaxLogprobs bounds how many alternatives are reported for a token. OpenAI's API has the same bound.
const MaxLogprobs = 20

// Sampling says how a token is chosen; its zero value is greedy. sampler tells the order in which the parts apply.
type Sampling struct {
	Temperature float32           // 0 (and up to 1e-5) is greedy
	TopP        float32           // (0, 1]; 0 means 1
	TopK        int               // 0 and -1 take all
	MinP        float32           // [0, 1]
	Presence    float32           // taken off the logit of each token generated so far
	Frequency   float32           // taken off as often as it was generated
	Repetition  float32           // divides the logits of tokens of prompt and answer; 0 means 1
	Bias        map[int32]float32 // added to logits
	Seed        uint64            // the same seed, request and kernels give the same answer
}

// RequestError refuses a request for one of its fields.
type RequestError struct {
	Field   string // as Request and Sampling name it
	Problem string // the value and what is allowed
}

func (e *RequestError) Error() string { return "engine: " + e.Field + " " + e.Problem }

// BusyError refuses a request because as many wait as may.
type BusyError struct {
	Waiting    int
	RetryAfter time.Duration // estimated from how fast the queue has moved
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("engine: %d sequences wait already; retry in %s", e.Waiting, e.RetryAfter)
}

// checkRequest refuses what cannot be computed; vocab is the number of tokens there are and longest the most tokens that a
// sequence may have.
func checkRequest(r *Request, vocab, longest int) error {
	bad := func(field, format string, args ...any) error {
		return &RequestError{Field: field, Problem: fmt.Sprintf(format, args...)}
	}
	if len(r.Tokens) == 0 {
		return bad("Tokens", "is empty; a prompt has at least one token")
	}
	if len(r.Tokens) >= longest {
		return bad("Tokens", "has %d tokens; the longest prompt here is %d", len(r.Tokens), longest-1)
	}
	for i, t := range r.Tokens {
		if t < 0 || int(t) >= vocab {
			return bad("Tokens", "has %d at position %d; the vocabulary ends at %d", t, i, vocab-1)
		}
	}
	for _, c := range []struct {
		field    string
		v, least int
		most     int
	}{
		{"MaxTokens", r.MaxTokens, 0, math.MaxInt},
		{"MinTokens", r.MinTokens, 0, math.MaxInt},
		{"Logprobs", r.Logprobs, -1, MaxLogprobs},
		{"PromptLogprobs", r.PromptLogprobs, -1, MaxLogprobs},
		{"TopK", r.Sampling.TopK, -1, math.MaxInt},
	} {
		if c.v < c.least || c.v > c.most {
			return bad(c.field, "is %d; it must lie in [%d, %d]", c.v, c.least, c.most)
		}
	}
	s := &r.Sampling
	for _, c := range []struct {
		field       string
		v           float32
		least, most float32
	}{
		{"Temperature", s.Temperature, 0, math.MaxFloat32},
		{"TopP", s.TopP, 0, 1},
		{"MinP", s.MinP, 0, 1},
		{"Presence", s.Presence, -math.MaxFloat32, math.MaxFloat32},
		{"Frequency", s.Frequency, -math.MaxFloat32, math.MaxFloat32},
		{"Repetition", s.Repetition, 0, math.MaxFloat32},
	} {
		if !(c.v >= c.least && c.v <= c.most) { // also false for NaN
			return bad(c.field, "is %v; it must lie in [%v, %v]", c.v, c.least, c.most)
		}
	}
	for t, b := range s.Bias {
		if t < 0 || int(t) >= vocab || math.IsNaN(float64(b)) || math.IsInf(float64(b), 1) {
			return bad("Bias", "gives token %d a bias of %v; the vocabulary ends at %d", t, b, vocab-1)
		}
	}
	for _, t := range r.StopTokens {
		if t < 0 || int(t) >= vocab {
			return bad("StopTokens", "has %d; the vocabulary ends at %d", t, vocab-1)
		}
	}
	return nil
}

// bias is one entry of Sampling.Bias.
type bias struct {
	token int32
	add   float32
}

// sortedBias puts a bias map into the order of its tokens.
func sortedBias(m map[int32]float32) []bias {
	out := make([]bias, 0, len(m))
	for t, b := range m {
		out = append(out, bias{t, b})
	}
	slices.SortFunc(out, func(a, b bias) int { return cmp.Compare(a.token, b.token) })
	return out
}
