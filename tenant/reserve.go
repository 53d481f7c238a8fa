package tenant

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/weir-ai/weir/llm"
)

// Ask is what one request may need.
type Ask struct {
	Prompt    int  // tokens of the prompt, all prompts together
	Estimated bool // Prompt was not counted by the model's own tokenizer: correct it by what was learned, and learn
	Output    int  // the most tokens of one answer, where the request says; 0 where it does not
	N         int  // answers; 0 is 1
}

// Reservation is what one request has taken of its tenant's limits and budgets: at least what it uses, from the start to the end. It has
// one end, Settle or Drop. A nil Reservation is of a tenant that nothing bounds. Its methods may be called from several goroutines.
type Reservation struct {
	book      *Book
	member    *member
	terms     *terms // of the model that answers; like spends and bounds, changed under mu until the end
	shared    bool   // the shared counters have it
	began     time.Time
	estimate  int // tokens of the prompt as the caller estimated them; 0 where they were counted
	answers   int64
	allowance llm.Allowance
	draw      Draw
	spends    [SpendsMax]Spend
	bounds    [SpendsMax]*bound // of spends

	mu struct {
		sync.Mutex
		ended  bool
		prompt int64 // reserved tokens
		output int64 // reserved tokens, of all answers
	}
}

const (
	// tokensMax bounds a reservation, so that sums and prices fit.
	tokensMax = 10 * OutputMax
	// growLeast: an answer that outlives its reservation takes this many tokens more at a time, or a quarter of what it has. Fewer would
	// mean a round trip to shared counters every few tokens, more would hold back what others could use.
	growLeast = 64
	// comeBackMost: SDKs pass over a longer Retry-After.
	comeBackMost = time.Minute
)

// Reserve takes what a request may need, all of it or nothing. The error is an *llm.Error: RateLimited, OutOfBudget or Forbidden. A nil
// Reservation without an error means that nothing bounds the tenant.
func (b *Book) Reserve(ctx context.Context, now time.Time, id llm.TenantID, model llm.ModelID, ask Ask) (*Reservation, error) {
	if b == nil {
		return nil, nil
	}
	s := b.now.Load()
	m := b.find(s, id)
	if m == nil || m.free() {
		return nil, nil
	}
	t := b.termsFor(s, m, model)
	if !t.allowed {
		return nil, errForbidden(model)
	}
	if m.Limits.none() && len(m.bounds) == 0 {
		return nil, nil
	}
	r := &Reservation{book: b, member: m, terms: t, began: now}
	r.size(ask)
	if err := r.whole(); err != nil {
		return nil, err
	}
	r.fill(now)
	g, err := b.take(ctx, r)
	if err != nil {
		return nil, llm.AsError(err)
	}
	b.mark(m)
	r.allowance = allowanceOf(m.Limits, &g)
	if g.Refused != "" {
		return nil, r.refused(now, &g)
	}
	return r, nil
}

// size says how many tokens are reserved. What a request says of its answer holds. Where it says nothing, what was learned does, but never so
// much that a tenant with a small limit could ask nothing at all: such an answer grows instead.
func (r *Reservation) size(ask Ask) {
	prompt := ask.Prompt
	if ask.Estimated {
		r.estimate, prompt = ask.Prompt, r.terms.factor.apply(ask.Prompt)
	}
	r.mu.prompt = int64(min(max(prompt, 0), OutputMax))
	r.answers = int64(min(max(ask.N, 1), tokensMax))
	output := int64(min(ask.Output, OutputMax))
	if output <= 0 {
		output = r.terms.outputs.expect()
		if limit := int64(r.member.Limits.Tokens); limit > 0 {
			output = max(1, min(output, (limit-r.mu.prompt)/r.answers))
		}
	}
	r.mu.output = min(output*r.answers, tokensMax-r.mu.prompt)
}

// tokens is how many are reserved. The lock is held, or nobody else has r yet.
func (r *Reservation) tokens() int64 { return r.mu.prompt + r.mu.output }

// fill writes the draw.
func (r *Reservation) fill(now time.Time) {
	m := r.member
	r.draw = Draw{Tenant: m.ID, Now: now, Limits: m.Limits, Tokens: r.tokens()}
	for _, bound := range m.bounds {
		if amount := r.amount(bound); amount > 0 { // a free model asks nothing of a budget of money, be it spent
			r.bind(now, bound, amount)
		}
	}
}

// bind adds a budget to those that the request draws on.
func (r *Reservation) bind(now time.Time, b *bound, amount int64) {
	n := len(r.draw.Spends)
	r.spends[n], r.bounds[n] = Spend{Name: b.name, Period: b.at(now).label, Amount: amount, Limit: b.limit}, b
	r.draw.Spends = r.spends[:n+1]
}

// amount is what is reserved of one budget.
func (r *Reservation) amount(b *bound) int64 {
	if b.money {
		return int64(r.terms.price.most(r.mu.prompt, r.mu.output))
	}
	return r.tokens()
}

// Allowance is what the tenant's limits a minute left when the request was let in; nil where it has none.
func (r *Reservation) Allowance() *llm.Allowance {
	if r == nil || r.allowance.Requests == 0 && r.allowance.Tokens == 0 {
		return nil
	}
	return &r.allowance
}

// Tokens is how many tokens are reserved at the moment.
func (r *Reservation) Tokens() int64 {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tokens()
}

// Grow tells how many tokens there are of the answers so far, all together. Where they reach what is reserved, more is, whatever the limits:
// what has been promised goes on, and who comes later finds less. It is for each token: without need it is one comparison.
func (r *Reservation) Grow(now time.Time, output int) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if int64(output) < r.mu.output || r.mu.ended {
		return
	}
	more := max(growLeast, r.mu.output/4, int64(output)-r.mu.output+growLeast)
	if more = min(more, tokensMax-r.tokens()); more <= 0 {
		return
	}
	c := Change{Tenant: r.draw.Tenant, Lease: r.draw.Lease, Now: now, Limits: r.member.Limits, Tokens: more}
	var spends [SpendsMax]Spend
	for i := range r.draw.Spends {
		spends[i] = r.spends[i]
		spends[i].Amount = -r.amount(r.bounds[i])
	}
	r.mu.output += more
	for i := range r.draw.Spends {
		spends[i].Amount += r.amount(r.bounds[i])
	}
	r.book.adjust(r, &c, spends[:len(r.draw.Spends)])
}

// Answer notes which model answers, where that is not the one that was asked for: a lesser variant, or a fallback. From now on its price
// holds, for what is reserved, whatever the limits, as for what is charged, and it is its answers that are learned from.
func (r *Reservation) Answer(now time.Time, model llm.ModelID) {
	if r == nil {
		return
	}
	next := r.book.termsFor(r.book.now.Load(), r.member, model)
	r.mu.Lock()
	defer r.mu.Unlock()
	if next == r.terms || r.mu.ended {
		return
	}
	var before [SpendsMax]int64
	for i, bound := range r.bounds[:len(r.draw.Spends)] {
		before[i] = r.amount(bound)
	}
	r.terms = next
	for _, bound := range r.member.bounds {
		if !slices.Contains(r.bounds[:len(r.draw.Spends)], bound) && r.amount(bound) > 0 {
			r.bind(now, bound, 0) // the one that was asked for is free
		}
	}
	c := Change{Tenant: r.draw.Tenant, Lease: r.draw.Lease, Now: now, Limits: r.member.Limits}
	spends := r.spends
	for i := range r.draw.Spends {
		spends[i].Amount = r.amount(r.bounds[i]) - before[i]
	}
	r.book.adjust(r, &c, spends[:len(r.draw.Spends)])
}

// Settle ends the reservation: what was used is charged and the rest given back, whether the answer came to its end, failed or was
// cancelled. Only the first end counts.
func (r *Reservation) Settle(now time.Time, u llm.Usage) {
	if r == nil || !r.end() {
		return
	}
	r.learn(now, u)
	r.close(now, u, 0)
}

// Drop ends the reservation of a request that came to nothing: another bound refused it before it cost anything. Its tokens are given back,
// and its place among the requests of a minute.
func (r *Reservation) Drop(now time.Time) {
	if r == nil || !r.end() {
		return
	}
	r.close(now, llm.Usage{}, -1)
}

func (r *Reservation) end() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := !r.mu.ended
	r.mu.ended = true
	return first
}

// learn takes in how long the prompt and the answers were.
func (r *Reservation) learn(now time.Time, u llm.Usage) {
	if r.estimate > 0 {
		r.terms.factor.learn(r.estimate, u.PromptTokens)
	}
	r.terms.outputs.learn(int((int64(u.CompletionTokens) + r.answers - 1) / r.answers))
	if took := now.Sub(r.began); took > 0 {
		r.member.account.pace.learn(int64(took))
	}
}

// close gives back the difference. After end, nobody else changes r.
func (r *Reservation) close(now time.Time, u llm.Usage, requests int64) {
	used := int64(u.Total())
	c := Change{Tenant: r.draw.Tenant, Lease: r.draw.Lease, Now: now, Limits: r.member.Limits, Requests: requests, Tokens: used - r.tokens(), End: true}
	for i := range r.draw.Spends { // in place: nothing else reads them from now on
		spent := used
		if r.bounds[i].money {
			spent = int64(r.terms.price.Cost(u))
		}
		r.spends[i].Amount = spent - r.amount(r.bounds[i])
	}
	r.book.adjust(r, &c, r.draw.Spends)
}

// whole refuses what no waiting lets in: more than all of a limit.
func (r *Reservation) whole() error {
	m := r.member
	if limit := int64(m.Limits.Tokens); limit > 0 && r.tokens() > limit {
		e := r.refusal(llm.ReasonTokens, comeBackMost, "%s, more than %s may use in a minute, which is %d, so that it can never run. Make its max_tokens or its prompt smaller, or have who runs this server raise the limit.",
			r.text(), r.who(), limit)
		e.Allowance = nil
		return e
	}
	return nil
}

// refused makes the error of a draw that was not granted.
func (r *Reservation) refused(now time.Time, g *Grant) error {
	m, who := r.member, r.who()
	wait := ceil(g.Wait, time.Millisecond)
	switch g.Refused {
	case llm.ReasonRequests:
		return r.refusal(g.Refused, wait, "%s has reached its limit of %d requests a minute. Try again in %s.", who, m.Limits.Requests, wait)
	case llm.ReasonTokens:
		return r.refusal(g.Refused, wait, "%s has reached its limit of %d tokens a minute: %d are left. %s. Try again in %s; with a smaller max_tokens it needs less.",
			who, m.Limits.Tokens, r.allowance.TokensLeft, r.text(), wait)
	case llm.ReasonConcurrency:
		wait = ceil(r.next(g.Running), time.Millisecond)
		return r.refusal(g.Refused, wait, "%s has %d requests running, as many as it may. Try again in about %s, when one should have ended.", who, g.Running, within(wait))
	}
	b := r.bounds[g.Spend]
	ends := b.at(now).end
	e := r.refusal(g.Refused, ends.Sub(now), "%s has spent %s of its budget of %s a %s, and this request needs up to %s. The budget begins anew at %s.",
		who, b.text(g.Spent[g.Spend]), b.text(b.limit), b.per, b.text(r.spends[g.Spend].Amount), ends.Format(time.RFC3339))
	e.Kind = llm.OutOfBudget
	return e
}

// refusal is an error with what every refusal tells.
func (r *Reservation) refusal(reason llm.Reason, wait time.Duration, format string, args ...any) *llm.Error {
	e := llm.Errorf(llm.RateLimited, format, args...)
	e.Op, e.Reason, e.RetryAfter = "reserve", reason, within(wait)
	if a := r.Allowance(); a != nil {
		copied := *a
		e.Allowance = &copied
	}
	return e
}

// within keeps a time to come back inside what clients heed.
func within(wait time.Duration) time.Duration { return min(max(wait, time.Second), comeBackMost) }

// next is when the first of so many running requests should end, by how long they usually run.
func (r *Reservation) next(running int) time.Duration {
	return time.Duration(r.member.account.pace.mean.Load() / int64(max(1, running)))
}

// text says what is reserved.
func (r *Reservation) text() string {
	return fmt.Sprintf("This request needs up to %d tokens (prompt %d, answer %d)", r.tokens(), r.mu.prompt, r.mu.output)
}

func (r *Reservation) who() string {
	if r.member.ID == "" {
		return "Who asks without a tenant"
	}
	return "Tenant " + string(r.member.ID)
}
