package tenant

import (
	"context"
	"time"

	"github.com/weir-ai/weir/llm"
)

// Keeper keeps what must outlive the process. Package store has one on SQLite. It is safe for concurrent use.
type Keeper interface {
	// Keys gives every key, the revoked and expired too, in any order.
	Keys(ctx context.Context) ([]Key, error)
	// KeysVersion changes whenever a key is saved, by whatever process: it is asked every second, and the keys only when it has changed.
	KeysVersion(ctx context.Context) (int64, error)
	// SaveKey adds the key, or replaces the one of its ID. It is durable on return.
	SaveKey(ctx context.Context, k Key) error
	// Tallies gives every row, in any order.
	Tallies(ctx context.Context) ([]Tally, error)
	// SaveTallies adds these rows, or replaces those of the same Tenant and Name: all of them or none. They are durable on return.
	SaveTallies(ctx context.Context, rows []Tally) error
}

// Tally is one level of one tenant at one moment. There is one row for each Tenant and Name, so that rows never outnumber
// what is configured.
type Tally struct {
	Tenant llm.TenantID
	Name   string    // one of the Tally names below
	Period string    // which day ("2026-11-27") or month ("2026-11") Value is the spending of; empty for buckets
	Value  int64     // Ticks of requests or tokens that a bucket lacks; tokens, or Money, that a budget has spent
	At     time.Time // when Value was so, to the microsecond; a bucket has refilled since
}

// The names of tallies. TallyRunning is told by Counters and never kept: what runs ends with its process.
const (
	TallyRequests    = "requests"
	TallyTokens      = "tokens"
	TallyTokensDay   = "tokens/day"
	TallyTokensMonth = "tokens/month"
	TallyMoneyDay    = "money/day"
	TallyMoneyMonth  = "money/month"
	TallyRunning     = "running"
)

// Ticks is what one request or token counts as in a bucket: a limit of n a minute refills n ticks in each microsecond, in whole
// numbers, so that a level never drifts however often it is looked at.
const Ticks = 60_000_000

// Counters count for every replica that shares them: each call is atomic against all others. Local counts in this process;
// package store/valkey has one for many. A bucket is kept as what it lacks of being full, not as what it holds, so that a limit
// that changes holds at once: it lacks nothing at first, Draw takes, time refills it by its limit a minute, and it lacks at least 0.
type Counters interface {
	// Take takes all that d asks, or nothing and says what is in the way. An error says that nothing could be counted.
	Take(ctx context.Context, d *Draw) (Grant, error)
	// Adjust makes each change as it stands, whatever the limits. It may be called again with the same changes after an error, as the
	// caller cannot know what was done: a shared implementation passes over a change whose lease is unknown, because it has ended before
	// or has run out (what that had taken stays taken).
	Adjust(ctx context.Context, changes []Change) error
	// Renew keeps the leases of what still runs from running out for another LeaseTime.
	Renew(ctx context.Context, now time.Time, held []Held) error
	// Tallies gives every tally of these tenants that was ever drawn on or loaded, and what runs. A row's At is the time of the last
	// change that it includes.
	Tallies(ctx context.Context, tenants []llm.TenantID) ([]Tally, error)
	// Load puts kept rows where there are none yet, or only those of an earlier period: at a start, or after shared counters lost theirs.
	Load(ctx context.Context, rows []Tally) error
}

// LeaseTime is how long a lease of a concurrency limit lasts without being renewed. Leases are renewed three times in it, so that
// one lost call does no harm; a longer one would keep a dead replica's requests counted for longer than clients wait.
const LeaseTime = 30 * time.Second

// Lease names one reservation among those of all replicas.
type Lease struct {
	Replica string // random, one for each start of a process
	Number  uint64
}

// Held is a lease and whose it is.
type Held struct {
	Tenant llm.TenantID
	Lease  Lease
}

// Draw asks for one request's place in its tenant's limits and budgets.
type Draw struct {
	Tenant llm.TenantID
	Lease  Lease
	Now    time.Time
	Limits Limits  // as they are configured now
	Tokens int64   // to take from the bucket of tokens, beside one request from that of requests
	Spends []Spend // at most SpendsMax, no Name twice
}

// SpendsMax is how many budgets a tenant can have: tokens and money, a day and a month.
const SpendsMax = 4

// Spend is one budget's part in a Draw or a Change.
type Spend struct {
	Name   string // TallyTokensDay and the like
	Period string // the period at the time of the draw. Periods only move on: where the counter has a later one, that goes on
	Amount int64  // tokens or Money to add; in a Change it may be negative
	Limit  int64  // what may be spent in the period; not read in a Change
}

// Grant is the answer to a Draw: granted where Refused is empty. The levels are those after the draw, in the units of Tally.
type Grant struct {
	Refused llm.Reason    // the bound with the longest Wait; budgets before all others, concurrency last
	Wait    time.Duration // until the bucket will hold what was asked; 0 for budgets and concurrency, whose end no counter knows

	Spend    int   // the place in Draw.Spends of the budget that refused
	Requests int64 // Ticks that the bucket lacks
	Tokens   int64 // Ticks that the bucket lacks
	Running  int   // leases, this one included
	Spent    [SpendsMax]int64
}

// Change alters what a Draw took: more for an answer that grows, less or more once it has ended.
type Change struct {
	Tenant   llm.TenantID
	Lease    Lease
	Now      time.Time
	Limits   Limits  // as in Draw, to refill by until Now
	Requests int64   // requests to take; -1 gives the one back of a request that came to nothing
	Tokens   int64   // tokens to take; negative gives back, down to a bucket that lacks nothing
	Spends   []Spend // positive amounts count in the counter's present period; negative ones only where that is still Period
	End      bool    // the lease ends
}

// Refill gives what a bucket lacks, in Ticks, after us microseconds have refilled it by limit a minute: a pure function that every
// Counters agrees with. Time that runs backwards refills nothing.
func Refill(lacks, us int64, limit int) int64 {
	if lacks <= 0 || us >= overdrawnMax {
		return 0
	}
	return max(0, lacks-max(0, us)*int64(limit))
}

// overdrawnMax is how many microseconds a bucket can be behind: 100 minutes. An answer a hundred times the limit is forgiven by then. The
// largest limit times this stays within 63 bits.
const overdrawnMax = 100 * 60_000_000

// Overdraw adds ticks to what a bucket lacks, within what Refill can count.
func Overdraw(lacks, ticks int64, limit int) int64 {
	most := overdrawnMax * int64(limit)
	if ticks >= most-lacks {
		return most
	}
	return max(0, lacks+ticks)
}

// LimitMax is the largest limit a minute: 16 million tokens a second, more than any fleet gives one tenant.
const LimitMax = 1_000_000_000
