package flood

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-ai/weir/llm"
)

const (
	// tenantsMax and classesMax bound what is told apart; all others are one account together. A tenant's histograms take 30 kB.
	tenantsMax = 1000
	classesMax = 16
	// tenantRowsMax bounds the tenants that have a series: more than a picture or a fairness suite has.
	tenantRowsMax = 128
	// reasonsMax bounds the reasons of refusals, and those of failures.
	reasonsMax = 32
	// rowsMax bounds the rows of a series: an hour of seconds. A longer flood has longer rows.
	rowsMax = 3600
	others  = "(others)"

	// The weights of a token in a tenant's service, of the fairness paper (OSDI'24).
	promptWeight = 1
	outputWeight = 2
)

// account counts what happened to the requests of all, a class or a tenant. Those that are due in the warm-up are left out, but for what
// says InWindow, which goes by the time that a thing happened: at the window's beginning, answers to the warm-up's requests end, and at
// its end, others do not yet.
type account struct {
	name             string
	offered, returns int64 // first tries and others
	admitted         int64 // answers with status 200
	outcomes         [outcomeCount]int64

	promptTokens, outputTokens, askedOutput int64 // of those that were served; askedOutput as their max_tokens was

	goodInWindow, outputInWindow, goodOutputInWindow int64

	ttft, tpot, refusal histogram

	row   row
	rows  []Row
	serve service
}

// service is what a tenant got over time, and when it wanted more.
type service struct {
	heard      atomic.Int64 // tokens of answers
	seen       int64        // of heard, in the rows
	prompt     int64        // tokens of this tick
	waiting    int          // requests without content
	waitingMin int          // in this tick
	pressed    bool         // a request was refused in this tick for want of capacity
	rows       []float64    // weighted tokens a second, by tick
	backlogged []bool

	missedPrompt, missedOutput int64     // tokens of this tick that were asked for and in the end not served
	missedPrompts              []float64 // tokens, by tick
	missedOutputs              []float64
}

// row counts a tick that is not over.
type row struct {
	offered, admitted, good, late, refused, failed, output int64
	ttft, tpot                                             histogram
}

// recorder keeps the books. Its mutex guards everything below; tokens of streams alone are counted beside it.
type recorder struct {
	o     *Options
	start time.Time
	every time.Duration // of a row

	mu       sync.Mutex
	ended    time.Time // of the schedule; zero while it lasts
	begun    bool      // the warm-up is over
	all      *account
	classes  map[string]*account
	tenants  map[string]*account
	order    []*account // tenants, as they came
	classRow []*account // classes, as they came
	refusals *reasons
	failures *reasons
	lag      histogram
	lagRow   histogram
	open     int64
	openMax  int64
	openRows []float64
	flushed  time.Time
	obeying  Obeying
}

func newRecorder(o *Options, start time.Time) *recorder {
	every := time.Second * time.Duration(max(1, (o.For-o.Warmup+rowsMax*time.Second-1)/(rowsMax*time.Second)))
	return &recorder{
		o: o, start: start, every: every, flushed: start.Add(o.Warmup), all: &account{name: "all"}, classes: map[string]*account{}, tenants: map[string]*account{},
		refusals: newReasons(), failures: newReasons(),
	}
}

// reasons count by label, with how long each took.
type reasons struct {
	by    map[string]*reason
	order []*reason
}

type reason struct {
	label string
	count int64
	row   int64
	times histogram
	rows  []float64
}

func newReasons() *reasons { return &reasons{by: map[string]*reason{}} }

func (rs *reasons) of(label string) *reason {
	r := rs.by[label]
	if r == nil && len(rs.by) >= reasonsMax {
		label = others
		r = rs.by[label]
	}
	if r == nil {
		r = &reason{label: label}
		rs.by[label] = r
		rs.order = append(rs.order, r)
	}
	return r
}

// of finds the account of a name, or that of the others where there are too many.
func of(in map[string]*account, order *[]*account, name string, most int) *account {
	a := in[name]
	if a == nil && len(in) >= most {
		name = others
		a = in[name]
	}
	if a == nil {
		a = &account{name: name}
		in[name] = a
		*order = append(*order, a)
	}
	return a
}

// begin takes note of a try at the moment that it should be sent.
func (r *recorder) begin(a *attempt, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.roll(now)
	r.open++
	r.openMax = max(r.openMax, r.open)
	a.class = of(r.classes, &r.classRow, a.r.Class, classesMax)
	a.tenant = of(r.tenants, &r.order, a.r.Tenant, tenantsMax)
	a.waiting = true
	a.tenant.serve.waiting++
	if !a.counted {
		return
	}
	r.lag.add(now.Sub(a.due))
	r.lagRow.add(now.Sub(a.due))
	for _, c := range []*account{r.all, a.class, a.tenant} {
		c.row.offered++
		if a.returns == 0 {
			c.offered++
		} else {
			c.returns++
		}
	}
	if a.returns == 1 {
		r.obeying.Returned++
	}
}

// admitted takes note of a status 200.
func (r *recorder) admitted(a *attempt, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.roll(now)
	for _, c := range []*account{r.all, a.class, a.tenant} {
		c.row.admitted++
		if a.counted {
			c.admitted++
		}
	}
	if a.counted && a.returns == 1 {
		r.obeying.AdmittedAtFirst++
	}
}

// heard takes note of a piece of an answer. Only the first takes the lock.
func (r *recorder) heard(a *attempt, now *answer) {
	a.tenant.serve.heard.Add(1)
	if now.pieces != 1 {
		return
	}
	ttft := now.first.Sub(a.due)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.roll(now.first)
	r.noLongerWaits(a)
	a.tenant.serve.prompt += int64(a.r.Prompt)
	for _, c := range []*account{r.all, a.class, a.tenant} {
		c.row.ttft.add(ttft)
		if a.counted {
			c.ttft.add(ttft)
		}
	}
}

func (r *recorder) noLongerWaits(a *attempt) {
	if a.waiting {
		a.waiting = false
		w := &a.tenant.serve
		w.waiting--
		w.waitingMin = min(w.waitingMin, w.waiting)
	}
}

// end takes note of how a try ended.
func (r *recorder) end(a *attempt, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.roll(now)
	r.open--
	r.noLongerWaits(a)
	if a.answer.pieces > 0 {
		a.tenant.serve.heard.Add(int64(a.tokens() - a.answer.pieces)) // a piece may hold several tokens
	}
	if a.answer.pieces == 0 && !a.comesBack {
		a.tenant.serve.missedPrompt += int64(a.r.Prompt)
		a.tenant.serve.missedOutput += int64(a.r.Output)
	}
	inWindow := !now.Before(r.start.Add(r.o.Warmup)) && now.Before(r.start.Add(r.o.For))
	for _, c := range []*account{r.all, a.class, a.tenant} {
		c.end(a, inWindow, now)
	}
	switch a.outcome {
	case refused:
		a.tenant.serve.pressed = a.tenant.serve.pressed || !ownLimit(a.head.reason)
		r.count(r.refusals, a, now)
	case failed:
		r.count(r.failures, a, now)
	}
	if a.counted && a.obeys && a.returns == 0 && a.outcome == refused {
		r.obeying.Refused++
		if a.head.retryAfter == 0 {
			r.obeying.NotTold++
		}
	}
}

func (r *recorder) count(rs *reasons, a *attempt, now time.Time) {
	e := rs.of(a.label)
	e.row++
	if a.counted {
		e.count++
		e.times.add(now.Sub(a.due))
	}
}

// ownLimit reports whether a refusal was for a limit of the tenant, which says nothing of the server's capacity.
func ownLimit(reason string) bool {
	switch llm.Reason(reason) {
	case llm.ReasonRequests, llm.ReasonTokens, llm.ReasonConcurrency, llm.ReasonTokenBudget, llm.ReasonMoneyBudget:
		return true
	}
	return false
}

func (c *account) end(a *attempt, inWindow bool, now time.Time) {
	tokens := int64(a.tokens())
	switch a.outcome {
	case good:
		c.row.good++
		if inWindow {
			c.goodInWindow++
			c.goodOutputInWindow += tokens
		}
	case late:
		c.row.late++
	case refused:
		c.row.refused++
	case failed:
		c.row.failed++
	}
	c.row.output += tokens
	if inWindow {
		c.outputInWindow += tokens
	}
	tpot := a.tpot()
	if tokens > 1 {
		c.row.tpot.add(tpot)
	}
	if !a.counted {
		return
	}
	c.outcomes[a.outcome]++
	if a.answer.pieces > 0 {
		c.promptTokens += int64(a.r.Prompt)
		c.outputTokens += tokens
		c.askedOutput += int64(a.r.Output)
	}
	if tokens > 1 {
		c.tpot.add(tpot)
	}
	if a.outcome == refused {
		c.refusal.add(now.Sub(a.due))
	}
}

// over says that the schedule has ended.
func (r *recorder) over(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.roll(now)
	r.ended = now
}
