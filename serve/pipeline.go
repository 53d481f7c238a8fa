// Package serve tells the story of one request, from the name it asks for to the bill: Pipeline.Run reads top to bottom on one
// page. The steps are parts with one verb each; early exits and defers are the policy and are visible here. There is no
// middleware and no plug-in.
//
// The package starts no goroutine: a request runs on its caller's. A Pipeline holds no lock and is safe for concurrent use. It
// never knows HTTP, and it never chooses a model's tokens.
package serve

import (
	"context"
	"fmt"
	"runtime/debug"
	"sort"
	"time"

	"github.com/agext/levenshtein"

	"github.com/weir-ai/weir/llm"
	"github.com/weir-ai/weir/registry"
)

// Models is what the pipeline needs of the registry.
type Models interface {
	Get(id llm.ModelID) (registry.Model, bool)
	List() []registry.Model
}

// Pipeline answers requests by model name. It is itself an llm.Runner.
type Pipeline struct {
	models Models
	report Listener
	now    func() time.Time
}

// Listener hears how requests ended. Nil funcs are not called; calls come from the requests' own goroutines, concurrently.
type Listener struct {
	// Settled is called once for every request that was resolved, after its last event.
	Settled func(Record)
	// Panicked is called when a panic has failed one request. The same Panic is the cause of the error that Run returns, so that
	// the door, which logs that error, tells the stack with it.
	Panicked func(req *llm.Request, p *Panic)
}

// Panic is the cause of an error that began as a panic.
type Panic struct {
	Value any
	Stack []byte
}

// Error tells the value; the stack is for logs that want it.
func (p *Panic) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

// Record is the final account of one request.
type Record struct {
	Model    llm.ModelID
	Tenant   llm.TenantID
	Task     llm.Task
	Outcome  string // llm.OutcomeOK or the label of an llm.Kind
	Usage    llm.Usage
	TTFT     time.Duration // from arrival to the first event that carries anything; 0 where none did
	TPOT     time.Duration // per token after the first, over the choices' mean length; 0 where there is no second token
	Duration time.Duration // from arrival to the end
}

// New makes a pipeline over models. Now is the clock; nil is time.Now.
func New(models Models, report Listener, now func() time.Time) *Pipeline {
	if now == nil {
		now = time.Now
	}
	return &Pipeline{models: models, report: report, now: now}
}

// Run answers one request. The steps that do not exist yet stand between these in this order: reserve the tenant's tokens,
// replay a cached answer or join the same request in flight, enter the gate, and try endpoints in the place of the one run.
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
	answer := answer{emit: emit, now: p.now}
	defer func() { p.settle(model.ID, req, arrived, &answer, usage, err) }()
	return p.run(ctx, model.Runner, req, answer.pass)
}

// resolve finds the model by its name. The error names the nearest model that is served, or all of them where they are few.
func (p *Pipeline) resolve(id llm.ModelID) (registry.Model, error) {
	if m, ok := p.models.Get(id); ok {
		return m, nil
	}
	return registry.Model{}, &llm.Error{Kind: llm.UnknownModel, Param: "model", Message: fmt.Sprintf("The model %.200q is not served here; %s.", id, Suggest(p.models.List(), id))}
}

// run calls the runner and turns a panic into one failed request.
func (p *Pipeline) run(ctx context.Context, r llm.Runner, req *llm.Request, emit func(llm.Event) error) (usage llm.Usage, err error) {
	defer func() {
		if v := recover(); v != nil {
			cause := &Panic{Value: v, Stack: debug.Stack()}
			if p.report.Panicked != nil {
				p.report.Panicked(req, cause)
			}
			err = &llm.Error{Op: "serve", Kind: llm.Internal, Err: cause}
		}
	}()
	return r.Run(ctx, req, emit)
}

// settle writes the final account: the one that tokens and times are counted from, whichever door the request came through.
func (p *Pipeline) settle(id llm.ModelID, req *llm.Request, arrived time.Time, a *answer, usage llm.Usage, err error) {
	if p.report.Settled == nil {
		return
	}
	end := p.now()
	rec := Record{Model: id, Tenant: req.Tenant, Task: req.Task, Outcome: llm.OutcomeOK, Usage: usage, Duration: end.Sub(arrived)}
	if err != nil {
		rec.Outcome = llm.AsError(err).Kind.String()
	}
	if !a.first.IsZero() {
		rec.TTFT = a.first.Sub(arrived)
		if further := usage.CompletionTokens/req.Choices() - 1; further > 0 {
			rec.TPOT = end.Sub(a.first) / time.Duration(further)
		}
	}
	p.report.Settled(rec)
}

// answer watches the events of one request on their way out.
type answer struct {
	emit  func(llm.Event) error
	now   func() time.Time
	first time.Time // when the first event came that carries anything
}

func (a *answer) pass(e llm.Event) error {
	if a.first.IsZero() && e.Carries() {
		a.first = a.now()
	}
	return a.emit(e)
}

// suggestMax is how many served models an error lists. Enough for one machine's models, short enough to read.
const suggestMax = 5

// Suggest ends the sentence "the model X is not served here; ..." with what could be meant.
func Suggest(models []registry.Model, id llm.ModelID) string {
	if len(models) == 0 {
		return "no model is served"
	}
	names := make([]string, len(models))
	for i, m := range models {
		names[i] = string(m.ID)
	}
	sort.SliceStable(names, func(i, j int) bool {
		return levenshtein.Distance(names[i], string(id), nil) < levenshtein.Distance(names[j], string(id), nil)
	})
	if near := names[0]; len(names) > suggestMax {
		return fmt.Sprintf("the nearest of %d models is %q (GET /v1/models lists them)", len(names), near)
	}
	return fmt.Sprintf("served are %q", names)
}
