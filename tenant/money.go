package tenant

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"github.com/weir-ai/weir/llm"
)

// Money is an amount in millionths of whatever currency the prices are in: whole numbers, so that sums are exact.
type Money int64

// Unit is one of the currency.
const Unit Money = 1_000_000

// MoneyMax bounds amounts that are configured: a thousand million of the currency.
const MoneyMax = 1_000_000_000 * Unit

// ParseMoney reads a decimal such as 2.50, to six places.
func ParseMoney(s string) (Money, error) {
	whole, part, _ := strings.Cut(s, ".")
	digits := strings.Trim(whole+part, "0123456789") == "" && whole != "" && len(part) <= 6 && !strings.HasSuffix(s, ".")
	v, err := strconv.ParseInt(whole+part+strings.Repeat("0", max(0, 6-len(part))), 10, 64)
	if !digits || err != nil || Money(v) > MoneyMax {
		return 0, fmt.Errorf("%q is not an amount of money; write a decimal such as 2.50, with at most 6 places and at most %s", s, MoneyMax)
	}
	return Money(v), nil
}

// String writes the amount as ParseMoney reads it, with at least two places.
func (m Money) String() string {
	sign := ""
	if m < 0 {
		sign, m = "-", -m
	}
	text := fmt.Sprintf("%d.%06d", m/Unit, m%Unit)
	for strings.HasSuffix(text, "0") && !strings.HasSuffix(text[:len(text)-2], ".") {
		text = text[:len(text)-1]
	}
	return sign + text
}

// Price is what a model costs, for a million tokens each.
type Price struct {
	Input  Money // prompt tokens
	Cached Money // prompt tokens whose computation was reused
	Output Money // tokens of the answer, the model's reasoning among them
}

// Cost is what a usage costs, rounded up to a millionth, so that nothing is free by being small.
func (p Price) Cost(u llm.Usage) Money {
	cached := int64(min(u.CachedTokens, u.PromptTokens))
	return perMillion(
		times(p.Input, int64(u.PromptTokens)-cached),
		times(p.Cached, cached),
		times(p.Output, int64(u.CompletionTokens)))
}

// most is what a prompt and an answer of so many tokens can cost at most, whatever of the prompt turns out to be cached.
func (p Price) most(prompt, output int64) Money {
	return perMillion(times(max(p.Input, p.Cached), prompt), times(p.Output, output))
}

// times multiplies, and gives the largest number in place of one that would not fit.
func times(price Money, tokens int64) int64 {
	hi, lo := bits.Mul64(uint64(max(0, price)), uint64(max(0, tokens)))
	if hi != 0 || lo > math.MaxInt64/4 {
		return math.MaxInt64 / 4
	}
	return int64(lo)
}

func perMillion(parts ...int64) Money {
	var sum int64
	for _, p := range parts {
		sum += p
	}
	return Money((sum + int64(Unit) - 1) / int64(Unit))
}
