package llm

import "time"

// Reason is the closed list of why a request was refused before it cost an engine anything: finer than its Kind, for headers, bodies,
// metrics and logs.
type Reason string

const (
	// ReasonRequests, ReasonTokens: the tenant's limit a minute.
	ReasonRequests Reason = "requests_per_minute"
	ReasonTokens   Reason = "tokens_per_minute"
	// ReasonConcurrency: as many of the tenant's requests run as may.
	ReasonConcurrency Reason = "concurrency"
	// ReasonTokenBudget, ReasonMoneyBudget: the tenant's budget of a day or a month.
	ReasonTokenBudget Reason = "token_budget"
	ReasonMoneyBudget Reason = "money_budget"
	// ReasonFull: as much waits at the gate as may, in number, bytes or work, of this tenant, of this class or in all.
	ReasonFull Reason = "gate_full"
	// ReasonLate: it would not start in time, by what waits before it.
	ReasonLate Reason = "predicted_miss"
	// ReasonDisplaced: it waited and made room for a higher class.
	ReasonDisplaced Reason = "displaced"
	// ReasonStart: its time to start by passed while it waited.
	ReasonStart Reason = "start_by"
)

// Reasons lists every Reason, for metrics that want all labels from the start.
func Reasons() []Reason {
	return []Reason{ReasonRequests, ReasonTokens, ReasonConcurrency, ReasonTokenBudget, ReasonMoneyBudget, ReasonFull, ReasonLate, ReasonDisplaced, ReasonStart}
}

// Allowance is what a tenant's limits a minute leave it, as OpenAI's x-ratelimit headers tell it. A limit of 0 is none.
type Allowance struct {
	Requests, Tokens           int           // the limits a minute
	RequestsLeft, TokensLeft   int           // what may come at once
	RequestsReset, TokensReset time.Duration // until all of the limit may come at once
}
