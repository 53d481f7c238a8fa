package tenant

import (
	"sync/atomic"
	"time"
	_ "time/tzdata" // zones of budgets must be known in a container that has no files but this program

	"github.com/weir-ai/weir/llm"
)

// span is one period of a budget.
type span struct {
	label string // "2026-11-27" or "2026-11": later ones sort higher
	begin time.Time
	end   time.Time // of the first moment that is no longer in it
}

func (s *span) has(now time.Time) bool { return !now.Before(s.begin) && now.Before(s.end) }

// spanAt gives the period that a moment lies in, by the clocks of a zone: a day has 23 or 25 hours where they change, and begins at one
// where midnight does not exist.
func spanAt(now time.Time, per Per, zone *time.Location) span {
	if zone == nil {
		zone = time.UTC
	}
	year, month, day := now.In(zone).Date()
	if per == Month {
		return span{label: now.In(zone).Format("2006-01"), begin: midnight(year, month, 1, zone), end: midnight(year, month+1, 1, zone)}
	}
	return span{label: now.In(zone).Format(time.DateOnly), begin: midnight(year, month, day, zone), end: midnight(year, month, day+1, zone)}
}

// midnight is the first moment of a date. time.Date may give one of the day before, where clocks skip midnight, or the second of two
// midnights, where they go back over it.
func midnight(year int, month time.Month, day int, zone *time.Location) time.Time {
	noon := time.Date(year, month, day, 12, 0, 0, 0, time.UTC)
	wanted := number(noon)
	// The date lies within a day of its noon in UTC, in every zone; dates there only grow, but for an hour that is lived twice, which stays
	// within its date or, at midnight, returns to the one before: the first moment from which on the date is reached for good.
	low, high := noon.Add(-40*time.Hour), noon.Add(40*time.Hour)
	for high.Sub(low) > time.Second {
		mid := low.Add(high.Sub(low) / 2).Truncate(time.Second)
		if number(mid.In(zone)) >= wanted {
			high = mid
		} else {
			low = mid
		}
	}
	return high.In(zone)
}

// number orders dates.
func number(t time.Time) int {
	year, month, day := t.Date()
	return year*10_000 + int(month)*100 + day
}

// bound is one budget as a tenant has it: what of it is asked and counted at each request.
type bound struct {
	name  string // of its tally
	money bool
	per   Per
	zone  *time.Location
	limit int64
	now   atomic.Pointer[span] // the period that was last asked for: almost always the one that is asked for next
}

func boundsOf(budgets []Budget) []*bound {
	var out []*bound
	for _, b := range budgets {
		tokens, money := TallyTokensDay, TallyMoneyDay
		if b.Per == Month {
			tokens, money = TallyTokensMonth, TallyMoneyMonth
		}
		if b.Tokens > 0 {
			out = append(out, &bound{name: tokens, per: b.Per, zone: b.Zone, limit: b.Tokens})
		}
		if b.Money > 0 {
			out = append(out, &bound{name: money, money: true, per: b.Per, zone: b.Zone, limit: int64(b.Money)})
		}
	}
	return out
}

// at is the period of a moment.
func (b *bound) at(now time.Time) *span {
	if s := b.now.Load(); s != nil && s.has(now) {
		return s
	}
	s := spanAt(now, b.per, b.zone)
	b.now.Store(&s)
	return &s
}

// reason is why it refuses.
func (b *bound) reason() llm.Reason { return reasonOf(b.name) }

// text writes an amount of it.
func (b *bound) text(v int64) string {
	if b.money {
		return Money(v).String()
	}
	return plain(v) + " tokens"
}
