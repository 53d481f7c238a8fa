package admit

import (
	"time"

	"github.com/weir-ai/weir/llm"
)

// Work is what a request costs, in prefill-token equivalents: prompt tokens that are computed, and output tokens at as many prompt tokens
// each as the endpoints take time for one.
type Work float64

// Ticket names a request inside the gate. 0 is none.
type Ticket uint64

// Entry is what the gate hears of a request.
type Entry struct {
	Tenant llm.TenantID
	Weight float64 // the tenant's share against others'; 0 is 1
	Class  llm.Class
	Prompt int   // tokens of the prompt, as far as is known
	Cached int   // of these, what the chosen endpoint has computed before: Place may set it when it chooses; 0 is what is usual of the tenant
	Output int   // most tokens that its answer may have, all its choices together; 0 where it does not say
	Bytes  int64 // that it holds in memory while it waits
	// StartBy is the last moment at which it may start. Zero is its arrival plus its class's objective less the time that its prompt takes.
	StartBy time.Time
	Whole   bool   // its answer comes in one piece, so that First says nothing of its prompt
	Print   uint64 // tells the same request when it comes again, a hash of its body say; 0 is made of its sizes
	Owner   any    // what the caller finds it again by
}

// Place is the router's choice for a request among the endpoints that have room. It may choose one without room all the same, to probe
// it. No endpoint and no error is that none can take it now; an error is that none can be used at all, and ends the request.
type Place func(e *Entry, room func(llm.EndpointID) bool) (llm.EndpointID, error)

// Verdict is what the gate says of a request: it started, it waits, or neither, and then Reason or Err tells why.
type Verdict struct {
	Started    bool
	Waiting    bool
	Endpoint   llm.EndpointID // where it started
	Reason     llm.Reason
	RetryAfter time.Duration // of a refusal: when one like it can start in time, 1 s to 60 s
	Wait       time.Duration // predicted, of one that waits or is refused; what it was, of one that started
	Position   int           // of one that waits: about how many start before it
	Err        error         // of Place
}

// Change is what a step did to a request that waited.
type Change struct {
	Ticket  Ticket
	Owner   any
	Verdict Verdict
}

// End is how a request that started ended.
type End struct {
	Prompt int       // tokens of its prompt; 0 is what its entry said
	Cached int       // of these, those that were not computed again
	Output int       // tokens of its answer; less than Tokens has told is as many as that
	Fault  llm.Fault // what its endpoint did wrong
}

// usage is how much of the bounds is taken.
type usage struct {
	Requests int
	Bytes    int64
	Work     Work
}

func (u *usage) add(x *entry) {
	u.Requests++
	u.Bytes += x.Bytes
	u.Work += x.work
}

func (u *usage) sub(x *entry) {
	u.Requests--
	u.Bytes -= x.Bytes
	u.Work -= x.work
	if u.Requests == 0 {
		u.Work = 0 // sums of fractions leave crumbs
	}
}

// entry is a request inside the gate: one that waits has its place in the heap of deadlines, at >= 0.
type entry struct {
	Entry
	ticket    Ticket
	queue     *queue
	arrived   instant
	startBy   instant
	key       instant       // its place in its tenant's line: startBy, or before all that are new where it returns when told
	at        int           // in the heap of deadlines
	returned  bool          // it comes when it was told to
	predicted time.Duration // its wait, when it came

	fresh   int     // tokens of its prompt that are likely to be computed
	decode  float64 // w when it came: what it is charged an output token at
	expect  int     // output tokens that it is charged
	work    Work    // what it is expected to cost
	paid    float64 // of it, to its tenant's turn: trued up as it becomes known, like charged
	charged Work    // of it, to its tenant's counter

	station    *station // where it runs
	run        int      // its place in the list of those
	dispatched instant
	first      instant // 0 before
	ahead      int     // prompt tokens that were to be computed there when it came, with its own
	full       bool    // it took the last room of the station's limit
	contended  bool    // others waited when it was sent
	output     int     // tokens so far
	due        instant // of an answer in one piece: when its prompt is taken for computed
	hushed     bool    // it was
	marked     instant // when output was marked
	mark       int
}

// expiry is a heap of those that wait, by the last moment at which they may start.
type expiry []*entry

func (h expiry) less(i, j int) bool {
	if h[i].startBy != h[j].startBy {
		return h[i].startBy < h[j].startBy
	}
	return h[i].ticket < h[j].ticket
}

func (h expiry) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func (h *expiry) push(x *entry) {
	x.at = len(*h)
	*h = append(*h, x)
	h.up(x.at)
}

func (h *expiry) remove(x *entry) {
	i, last := x.at, len(*h)-1
	h.swap(i, last)
	(*h)[last] = nil
	*h = (*h)[:last]
	if i < last {
		h.down(i)
		h.up(i)
	}
	x.at = -1
}

func (h expiry) up(i int) {
	for i > 0 && h.less(i, (i-1)/2) {
		h.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (h expiry) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && h.less(c+1, c) {
			c++
		}
		if !h.less(c, i) {
			return
		}
		h.swap(i, c)
		i = c
	}
}
