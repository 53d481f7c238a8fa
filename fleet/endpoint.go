package fleet

import (
	"sync"
	"time"

	"github.com/weir-ai/weir/llm"
)

// Continues says how an endpoint can go on with an answer that another began.
type Continues int

const (
	// ContinuesNot: it can only begin anew.
	ContinuesNot Continues = iota
	// ContinuesText: it takes the text so far, which it cuts into tokens as it likes.
	ContinuesText
	// ContinuesTokens: it takes the tokens so far and tells those that it makes, so that the rest is what it would have been.
	ContinuesTokens
)

// Spec is what is configured of an endpoint.
type Spec struct {
	ID        llm.EndpointID
	Runner    llm.Runner
	Embedded  bool      // it computes in this process
	Slots     int       // answers that it computes together; 0 where nobody knows
	Weight    float64   // its share against the others' shares; 0 is 1
	Continues Continues // may become known later: see Endpoint.Learn
}

// Endpoint is one thing that answers for a model, with what is known of it. It is safe for concurrent use.
type Endpoint struct {
	spec Spec
	mu   struct {
		sync.Mutex
		continues Continues
		health    Health
		running   int // our requests that it holds
		prefill   int // of these, tokens of prompts that it has yet to compute
		decoding  int // of these, answers that have begun
		speed     speed
		load      Load
		about     About
	}
}

// New makes an endpoint of which nothing is known yet.
func New(s Spec) *Endpoint {
	if s.Weight <= 0 {
		s.Weight = 1
	}
	e := &Endpoint{spec: s}
	e.mu.continues = s.Continues
	if s.Embedded {
		e.mu.health.State = StateUp // it is loaded before it is made
	}
	e.mu.load = UnknownLoad()
	return e
}

// ID is the endpoint's name.
func (e *Endpoint) ID() llm.EndpointID { return e.spec.ID }

// Runner sends a request to it.
func (e *Endpoint) Runner() llm.Runner { return e.spec.Runner }

// Embedded reports whether it computes in this process.
func (e *Endpoint) Embedded() bool { return e.spec.Embedded }

// State says whether an endpoint answers probes.
type State int

const (
	// StateUnknown: nobody has asked yet. It is tried like one that is up: a gateway that starts must not wait for its probes.
	StateUnknown State = iota
	// StateUp: its last probe was answered.
	StateUp
	// StateLoading: it answers and says that it is not ready.
	StateLoading
	// StateDown: its last probes failed.
	StateDown
)

// String is the state's label in metrics.
func (s State) String() string { return [...]string{"unknown", "up", "loading", "down"}[s] }

// Health is what the probes say.
type Health struct {
	State  State
	Since  time.Time // of State
	Reason string    // why it is not up, for operators
}

// Load is what an endpoint reports of itself. -1 is unknown, never 0: an engine that reports nothing is not an idle one.
type Load struct {
	At      time.Time // when it was asked
	Waiting int       // requests that wait there
	Running int       // requests that are computed there
	KVUsed  float64   // share of its KV cache in use, 0 to 1
	Hits    float64   // share of prompt tokens whose computation it reused, 0 to 1
}

// UnknownLoad is that of an endpoint that has reported nothing.
func UnknownLoad() Load { return Load{Waiting: -1, Running: -1, KVUsed: -1, Hits: -1} }

// About is what an endpoint says it is.
type About struct {
	Kind    string   // vllm, sglang, llamacpp, ...; empty before it was asked
	Version string   // of its server
	Models  []string // what it serves
	Context int      // longest sequence in tokens; 0 where it does not say
	Slots   int      // answers that it computes together; 0 where it does not say
	Cache   int      // tokens that its prefix cache holds; 0 where it does not say
}

// SetHealth notes what a probe found and reports whether the state is another than before.
func (e *Endpoint) SetHealth(now time.Time, s State, reason string) (changed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if changed = e.mu.health.State != s; changed {
		e.mu.health.Since = now
	}
	e.mu.health.State, e.mu.health.Reason = s, reason
	return changed
}

// Report notes what the endpoint says of its load.
func (e *Endpoint) Report(l Load) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mu.load = l
}

// Learn notes what the endpoint is.
func (e *Endpoint) Learn(a About, c Continues) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mu.about, e.mu.continues = a, c
}

// Facts is what is known of an endpoint at one moment.
type Facts struct {
	ID        llm.EndpointID
	Embedded  bool
	Weight    float64
	Slots     int // 0 where nobody knows
	Continues Continues
	Health    Health
	About     About

	Running  int // our requests that it holds
	Prefill  int // tokens of prompts that it has yet to compute, of our requests
	Decoding int // answers of ours that have begun there

	PrefillSeconds float64 // of one prompt token; 0 where nothing was measured
	Load           Load
	LoadAge        time.Duration // -1 where it has reported nothing

	decode [batches]float64
}

// Facts tells what is known at now.
func (e *Endpoint) Facts(now time.Time) Facts {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := Facts{
		ID: e.spec.ID, Embedded: e.spec.Embedded, Weight: e.spec.Weight, Slots: e.spec.Slots, Continues: e.mu.continues, Health: e.mu.health, About: e.mu.about,
		Running: e.mu.running, Prefill: e.mu.prefill, Decoding: e.mu.decoding,
		PrefillSeconds: e.mu.speed.prefill(), Load: e.mu.load, LoadAge: -1, decode: e.mu.speed.decode,
	}
	if f.Slots == 0 {
		f.Slots = e.mu.about.Slots
	}
	if !e.mu.load.At.IsZero() {
		f.LoadAge = now.Sub(e.mu.load.At)
	}
	return f
}

// DecodeSeconds is the time of one output token when batch answers are computed together; 0 where nothing was measured.
func (f *Facts) DecodeSeconds(batch int) float64 { return decodeAt(&f.decode, batch) }

// Flight is one request's time at an endpoint. It belongs to one goroutine and has two ends: End, always.
type Flight struct {
	e       *Endpoint
	began   time.Time
	first   time.Time
	prefill int // tokens of its prompt that the endpoint has yet to compute
	ahead   int // tokens of prompts that it had yet to compute before
	batch   int // answers in computation when its own began
}

// Begin counts a request whose prompt has prefill tokens that the endpoint has yet to compute.
func (e *Endpoint) Begin(now time.Time, prefill int) *Flight {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := &Flight{e: e, began: now, prefill: max(prefill, 0), ahead: e.mu.prefill}
	e.mu.running++
	e.mu.prefill += f.prefill
	return f
}

// First notes the first event that carries anything: the prompt has been computed.
func (f *Flight) First(now time.Time) {
	if !f.first.IsZero() {
		return
	}
	f.first = now
	e := f.e
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mu.prefill -= f.prefill
	e.mu.decoding++
	f.batch = e.mu.decoding
	e.mu.speed.sawPrefill(now.Sub(f.began).Seconds(), f.ahead+f.prefill)
}

// Whole notes that the answer came in one piece, so that nobody knows when its prompt had been computed.
func (f *Flight) Whole(now time.Time) {
	if !f.first.IsZero() {
		return
	}
	f.e.mu.Lock()
	defer f.e.mu.Unlock()
	f.e.mu.speed.sawWhole(now.Sub(f.began).Seconds(), f.ahead+f.prefill)
}

// End takes the request off the endpoint. Tokens is how many came, 0 for a failure, which teaches no speed.
func (f *Flight) End(now time.Time, tokens int) {
	e := f.e
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mu.running--
	if f.first.IsZero() {
		e.mu.prefill -= f.prefill
		return
	}
	batch := (f.batch + e.mu.decoding + 1) / 2 // the mean of what it was at both ends
	e.mu.decoding--
	if tokens > 1 {
		e.mu.speed.sawDecode(now.Sub(f.first).Seconds()/float64(tokens-1), batch)
	}
}
