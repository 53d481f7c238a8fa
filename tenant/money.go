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
	var s sum
	s.add(p.Input, int64(u.PromptTokens)-cached)
	s.add(p.Cached, cached)
	s.add(p.Output, int64(u.CompletionTokens))
	return s.perMillion()
}

// most is what a prompt and an answer of so many tokens can cost at most, whatever of the prompt turns out to be cached.
func (p Price) most(prompt, output int64) Money {
	var s sum
	s.add(max(p.Input, p.Cached), prompt)
	s.add(p.Output, output)
	return s.perMillion()
}

// sum adds products that 64 bits do not hold.
type sum struct{ high, low uint64 }

func (s *sum) add(price Money, tokens int64) {
	high, low := bits.Mul64(uint64(max(0, price)), uint64(max(0, tokens)))
	var carry uint64
	s.low, carry = bits.Add64(s.low, low, 0)
	s.high, _ = bits.Add64(s.high, high, carry)
}

// perMillion is a millionth of the sum, rounded up, and a quarter of the largest number in place of more.
func (s *sum) perMillion() Money {
	low, carry := bits.Add64(s.low, uint64(Unit)-1, 0)
	high := s.high + carry
	if high >= uint64(Unit)/16 {
		return math.MaxInt64 / 4
	}
	v, _ := bits.Div64(high, low, uint64(Unit))
	return Money(min(v, math.MaxInt64/4))
}
