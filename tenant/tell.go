package tenant

import (
	"strconv"
	"time"

	"github.com/weir-ai/weir/llm"
)

// Headers tells an allowance as OpenAI's x-ratelimit headers do: set is called with each name and value. A limit that is none is not
// told.
func Headers(a *llm.Allowance, set func(name, value string)) {
	if a == nil {
		return
	}
	if a.Requests > 0 {
		set("X-Ratelimit-Limit-Requests", strconv.Itoa(a.Requests))
		set("X-Ratelimit-Remaining-Requests", strconv.Itoa(a.RequestsLeft))
		set("X-Ratelimit-Reset-Requests", FormatReset(a.RequestsReset))
	}
	if a.Tokens > 0 {
		set("X-Ratelimit-Limit-Tokens", strconv.Itoa(a.Tokens))
		set("X-Ratelimit-Remaining-Tokens", strconv.Itoa(a.TokensLeft))
		set("X-Ratelimit-Reset-Tokens", FormatReset(a.TokensReset))
	}
}

// FormatReset writes a time as OpenAI's x-ratelimit-reset headers do, rounded up to a millisecond: 12ms, 1s, 7.66s, 6m0s.
func FormatReset(d time.Duration) string { return ceil(max(0, d), time.Millisecond).String() }

func ceil(d, unit time.Duration) time.Duration { return (d + unit - 1) / unit * unit }

// allowanceOf is what the levels of a grant leave.
func allowanceOf(l Limits, g *Grant) llm.Allowance {
	a := llm.Allowance{Requests: l.Requests, Tokens: l.Tokens}
	a.RequestsLeft, a.RequestsReset = left(g.Requests, l.Requests)
	a.TokensLeft, a.TokensReset = left(g.Tokens, l.Tokens)
	return a
}

// left is what a bucket holds in whole units, and the time until it is full.
func left(lacks int64, limit int) (int, time.Duration) {
	if limit == 0 {
		return 0, 0
	}
	per := int64(limit)
	return int(max(0, per*Ticks-lacks) / Ticks), time.Duration((lacks+per-1)/per) * time.Microsecond
}

func plain(v int64) string { return strconv.FormatInt(v, 10) }
