// Package serve tells the story of one request, from the name it asks for to the bill: Pipeline.Run reads top to bottom on one
// page. The steps are parts with one verb each; early exits and defers are the policy and are visible here. There is no
// middleware and no plug-in.
//
// A request runs on its caller's goroutine; only a hedged one starts two more, which end before it does. A Pipeline holds one lock, around the list of its routing tables,
// and is safe for concurrent use. It never knows HTTP, and it never chooses a model's tokens.
package serve

import (
	"context"
	"fmt"
	"runtime/debug"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agext/levenshtein"

	"github.com/weir-ai/weir/admit"
	"github.com/weir-ai/weir/fleet"
	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/openai"
	"github.com/weir-ai/weir/registry"
	"github.com/weir-ai/weir/route"
)

// Models is what the pipeline needs of the registry.
type Models interface {
	Get(id llm.ModelID) (registry.Model, bool)
	List() []registry.Model
}

// Endpoints is what the pipeline needs of the fleet.
type Endpoints interface {
	Endpoints(model llm.ModelID) []*fleet.Endpoint
}

// Pipeline answers requests by model name. It is itself an llm.Runner.
type Pipeline struct {
	models Models
	fleet  Endpoints
	report Listener
	now    func() time.Time
	wait   func(context.Context, time.Duration) error
	picks  atomic.Uint64 // counts choices: the seed of each
	tables sync.Map      // llm.ModelID -> *route.Table

	tenants   Tenants      // nil where none are known
	admission admit.Config // of every gate, but for its model's objectives
	gates     sync.Map     // llm.ModelID -> *gate
	ladders   sync.Map     // llm.ModelID -> *ladder
}

// Options are what a pipeline can do without.
type Options struct {
	Report Listener
	Now    func() time.Time                           // the clock; nil is time.Now
	Wait   func(context.Context, time.Duration) error // sleeps, or ends with ctx; nil is a timer

	Tenants   Tenants      // what limits and budgets are taken from; nil for none
	Admission admit.Config // bounds and shares of the gates; objectives are the models'
}

// Panic is the cause of an error that began as a panic.
type Panic struct {
	Value any
	Stack []byte
}

// Error tells the value; the stack is for logs that want it.
func (p *Panic) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

// New makes a pipeline over models and the endpoints that answer for them.
func New(models Models, endpoints Endpoints, o Options) *Pipeline {
	p := &Pipeline{models: models, fleet: endpoints, report: o.Report, now: o.Now, wait: o.Wait, tenants: o.Tenants, admission: o.Admission}
	if p.now == nil {
		p.now = time.Now
	}
	if p.wait == nil {
		p.wait = sleep
	}
	return p
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run answers one request. The step that does not exist yet stands behind the reservation: replay a cached answer or join the same
// request in flight.
func (p *Pipeline) Run(ctx context.Context, req *llm.Request, emit func(llm.Event) error) (usage llm.Usage, err error) {
	arrived := req.Arrived
	if arrived.IsZero() {
		arrived = p.now()
	}
	model, err := p.resolve(req.Model)
	if err != nil {
		return llm.Usage{}, err
	}
	if err := ctx.Err(); err != nil {
		return llm.Usage{}, err // the client left before anything was spent
	}
	a := answer{req: req, asked: req, emit: emit, now: p.now, model: model.ID, hedge: model.Hedge}
	defer func() { p.settle(req, arrived, &a, usage, err) }()
	if a.hold, err = p.reserve(ctx, &model, req); err != nil {
		return llm.Usage{}, err
	}
	defer func() { a.charge(ctx, usage) }()
	usage, err = p.attempt(ctx, model, &a)
	for _, next := range model.Fallbacks {
		if err == nil || a.begun || !elsewhere(ctx, err) {
			break
		}
		other, ok := p.models.Get(next)
		if !ok {
			continue // a reload has taken it away
		}
		p.report.fellBack(model.ID, next)
		usage, err = p.attempt(ctx, other, &a)
	}
	return usage, err
}

// attempt has one model answer: on the rung of its ladder that can in time, through the gate of that rung, by its endpoints.
func (p *Pipeline) attempt(ctx context.Context, model registry.Model, a *answer) (usage llm.Usage, err error) {
	rung := p.descend(model, a)
	a.model = rung.ID
	a.hold.Answer(p.now(), rung.ID)
	if len(p.fleet.Endpoints(rung.ID)) > 1 {
		openai.Prefix(a.req)
	}
	if a.seat, err = p.gate(&rung).enter(ctx, a); err != nil {
		return llm.Usage{}, err
	}
	defer func() {
		fault, _ := blame(ctx, a, err)
		a.seat.leave(usage, fault)
		a.seat = nil
	}()
	return p.ask(ctx, rung.ID, a)
}

// resolve finds the model by its name. The error names the nearest model that is served, or all of them where they are few.
func (p *Pipeline) resolve(id llm.ModelID) (registry.Model, error) {
	if m, ok := p.models.Get(id); ok {
		return m, nil
	}
	return registry.Model{}, &llm.Error{Kind: llm.UnknownModel, Param: "model", Message: fmt.Sprintf("The model %.200q is not served here; %s.", id, Suggest(p.models.List(), id))}
}

// Table is the state of routing a model's requests, for those who tell of it.
func (p *Pipeline) Table(model llm.ModelID) *route.Table {
	if t, ok := p.tables.Load(model); ok {
		return t.(*route.Table)
	}
	t, _ := p.tables.LoadOrStore(model, route.NewTable(route.Config{}))
	return t.(*route.Table)
}

// contained turns a panic of run, a runner's or emit's, into one failed request.
func (p *Pipeline) contained(req *llm.Request, run func() (llm.Usage, error)) (usage llm.Usage, err error) {
	defer func() {
		if v := recover(); v != nil {
			cause := &Panic{Value: v, Stack: debug.Stack()}
			if p.report.Panicked != nil {
				p.report.Panicked(req, cause)
			}
			err = &llm.Error{Op: "serve", Kind: llm.Internal, Err: cause}
		}
	}()
	return run()
}

// settle writes the final account: the one that tokens and times are counted from, whichever door the request came through.
func (p *Pipeline) settle(req *llm.Request, arrived time.Time, a *answer, usage llm.Usage, err error) {
	if p.report.Settled == nil {
		return
	}
	end := p.now()
	rec := Record{Model: a.model, Endpoint: a.place.Endpoint, Tenant: req.Tenant, Class: req.Class, Task: req.Task, Outcome: llm.OutcomeOK, Usage: usage, Duration: end.Sub(arrived)}
	if err != nil {
		rec.Outcome = llm.AsError(err).Kind.String()
	}
	if !a.first.IsZero() {
		rec.TTFT = a.first.Sub(arrived)
		if further := usage.CompletionTokens/req.Choices() - 1; further > 0 && (req.Stream || a.events) {
			rec.TPOT = end.Sub(a.first) / time.Duration(further)
		}
	}
	p.report.Settled(rec)
}

// suggestMax is how many served models an error lists. Enough for one machine's models, short enough to read.
const suggestMax = 5

// Suggest ends the sentence "the model X is not served here; ..." with what could be meant.
func Suggest(models []registry.Model, id llm.ModelID) string {
	if len(models) == 0 {
		return "no model is served"
	}
	var names []string
	for _, m := range models {
		names = append(names, string(m.ID))
		for _, alias := range m.Aliases {
			names = append(names, string(alias))
		}
	}
	sort.SliceStable(names, func(i, j int) bool {
		return levenshtein.Distance(names[i], string(id), nil) < levenshtein.Distance(names[j], string(id), nil)
	})
	if near := names[0]; len(names) > suggestMax {
		return fmt.Sprintf("the nearest of %d models is %q (GET /v1/models lists them)", len(names), near)
	}
	return fmt.Sprintf("served are %q", names)
}
