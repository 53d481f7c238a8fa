package serve

import (
	"time"

	"github.com/weir-ai/weir/llm"
)

// Listener hears how requests ended. Nil funcs are not called; calls come from the requests' own goroutines, concurrently.
type Listener struct {
	// Settled is called once for every request that was resolved, after its last event.
	Settled func(Record)
	// Panicked is called when a panic has failed one request. The same Panic is the cause of the error that Run returns, so that
	// the door, which logs that error, tells the stack with it.
	Panicked func(req *llm.Request, p *Panic)
	// Visited is called after each visit to an endpoint, the failed ones included.
	Visited func(Visit)
	// Retried is called before a request goes to another endpoint because of a fault, and Refused where the retry budget is spent.
	Retried func(model llm.ModelID, fault llm.Fault)
	Refused func(model llm.ModelID)
	// Resumed is called when an answer that broke off was taken up by another endpoint, or could not be.
	Resumed func(model llm.ModelID, outcome string)
	// Waited is called for every request that came to a gate, when it was let in or turned away.
	Waited func(model llm.ModelID, class llm.Class, d time.Duration)
	// TurnedAway is called when a tenant's limits or a gate refused a request.
	TurnedAway func(model llm.ModelID, reason llm.Reason)
	// SteppedDown is called when a request is answered with less than it asked for: by another variant, or by the name of what was cut.
	SteppedDown func(model llm.ModelID, to string)
	// FellBack is called before another model is asked.
	FellBack func(model, next llm.ModelID)
}

// Record is the final account of one request.
type Record struct {
	Model    llm.ModelID    // the one that answered, which may be a fallback
	Endpoint llm.EndpointID // the last that was asked; empty where none was
	Tenant   llm.TenantID
	Class    llm.Class
	Task     llm.Task
	Outcome  string // llm.OutcomeOK or the label of an llm.Kind
	Usage    llm.Usage
	TTFT     time.Duration // from arrival to the first event that carries anything; 0 where none did
	TPOT     time.Duration // per token after the first, over the choices' mean length; 0 where there is no second token
	Duration time.Duration // from arrival to the end
}

// Visit is one request's time at one endpoint.
type Visit struct {
	Model    llm.ModelID
	Endpoint llm.EndpointID
	Outcome  string        // llm.OutcomeOK, the label of a fault, or of a kind that is the client's
	TTFT     time.Duration // from its being sent there to the first event that carries anything; 0 where none came
}

// How a resume went, in the words of metrics.
const (
	ResumeOK         = "ok"         // another endpoint has gone on to the end
	ResumeFailed     = "failed"     // none that was asked could
	ResumeImpossible = "impossible" // the answer cannot be taken up, or no endpoint can take it up
)

func (l *Listener) visited(v Visit) {
	if l.Visited != nil {
		l.Visited(v)
	}
}

func (l *Listener) retried(m llm.ModelID, f llm.Fault) {
	if l.Retried != nil {
		l.Retried(m, f)
	}
}

func (l *Listener) refused(m llm.ModelID) {
	if l.Refused != nil {
		l.Refused(m)
	}
}

func (l *Listener) resumed(m llm.ModelID, outcome string) {
	if l.Resumed != nil {
		l.Resumed(m, outcome)
	}
}

func (l *Listener) waited(m llm.ModelID, c llm.Class, d time.Duration) {
	if l.Waited != nil {
		l.Waited(m, c, d)
	}
}

func (l *Listener) turnedAway(m llm.ModelID, r llm.Reason) {
	if l.TurnedAway != nil {
		l.TurnedAway(m, r)
	}
}

func (l *Listener) steppedDown(m llm.ModelID, to string) {
	if l.SteppedDown != nil {
		l.SteppedDown(m, to)
	}
}

func (l *Listener) fellBack(m, next llm.ModelID) {
	if l.FellBack != nil {
		l.FellBack(m, next)
	}
}
