package admit

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
)

// desk drives a gate by hand.
type desk struct {
	t     *testing.T
	g     *Gate
	now   time.Time
	place Place
	asked []string // owners for which the router was asked
}

// setup makes a gate whose requests wait for an hour, in front of one endpoint with so many slots and unknown speeds.
func setup(t *testing.T, slots int, change func(*Config)) *desk {
	t.Parallel()
	c := patient()
	if change != nil {
		change(&c)
	}
	d := &desk{t: t, g: New(c), now: start}
	d.endpoints(Endpoint{ID: "a", Usable: true, Slots: slots, Waiting: -1, Age: -1})
	return d
}

// endpoints tells the facts, and makes a router that takes the first with room.
func (d *desk) endpoints(list ...Endpoint) {
	d.g.Endpoints(d.now, list)
	d.place = func(e *Entry, room func(llm.EndpointID) bool) (llm.EndpointID, error) {
		d.asked = append(d.asked, fmt.Sprint(e.Owner))
		for _, p := range list {
			if p.Usable && room(p.ID) {
				return p.ID, nil
			}
		}
		return "", nil
	}
}

func (d *desk) offer(owner string, class llm.Class, tenant llm.TenantID, change func(*Entry)) (Ticket, Verdict) {
	e := Entry{Tenant: tenant, Class: class, Prompt: 100, Output: 50, Bytes: 10, Owner: owner}
	if change != nil {
		change(&e)
	}
	return d.g.Offer(d.now, e, d.place)
}

// waits offers one that has to wait.
func (d *desk) waits(owner string, class llm.Class, tenant llm.TenantID) Ticket {
	d.t.Helper()
	k, v := d.offer(owner, class, tenant, nil)
	if !v.Waiting || v.Started || k == 0 {
		d.t.Fatalf("%s does not wait: %+v", owner, v)
	}
	return k
}

// starts offers one that starts at once.
func (d *desk) starts(owner string, class llm.Class, tenant llm.TenantID) Ticket {
	d.t.Helper()
	k, v := d.offer(owner, class, tenant, nil)
	if !v.Started || v.Waiting || v.Endpoint == "" || k == 0 {
		d.t.Fatalf("%s does not start: %+v", owner, v)
	}
	return k
}

// step gives what a step did, as "owner" for one that started, and "owner reason" for another.
func (d *desk) step() (did []string, tickets []Ticket) {
	for _, c := range d.g.Step(d.now, d.place, nil) {
		s := c.Owner.(string)
		switch {
		case c.Verdict.Err != nil:
			s += " " + c.Verdict.Err.Error()
		case !c.Verdict.Started:
			s += " " + string(c.Verdict.Reason)
		}
		did, tickets = append(did, s), append(tickets, c.Ticket)
	}
	return did, tickets
}

func (d *desk) did(want ...string) []Ticket {
	d.t.Helper()
	got, tickets := d.step()
	if !slices.Equal(got, want) {
		d.t.Fatalf("the step did %q, not %q", got, want)
	}
	return tickets
}

func (d *desk) running() int { return d.g.State(d.now).Running }

func TestAsManyStartAsThereAreSlots(t *testing.T) {
	d := setup(t, 2, nil)
	one := d.starts("one", llm.ClassStandard, "t")
	d.starts("two", llm.ClassStandard, "t")
	d.waits("three", llm.ClassStandard, "t")
	d.did()
	if n := d.g.Next(); n.IsZero() || !n.After(d.now) {
		t.Errorf("Next is %v while nothing can be done", n)
	}
	d.g.Done(d.now, one, End{Output: 10})
	if n := d.g.Next(); n.After(d.now) {
		t.Errorf("Next is %v though there is room", n)
	}
	d.did("three")
	if n := d.g.Next(); !n.IsZero() {
		t.Errorf("Next is %v though nothing waits", n)
	}
	if d.running() != 2 {
		t.Errorf("%d run", d.running())
	}
}

func TestHigherClassesGoFirst(t *testing.T) {
	d := setup(t, 1, nil)
	k := d.starts("first", llm.ClassBatch, "t")
	for _, c := range []llm.Class{llm.ClassBatch, llm.ClassStandard, llm.ClassUnset, llm.ClassInteractive, llm.ClassSystem} {
		d.waits(c.String(), c, "t")
		d.now = d.now.Add(1)
	}
	for _, want := range []string{"system", "interactive", "standard", "standard", "batch"} {
		d.g.Done(d.now, k, End{Output: 10})
		k = d.did(want)[0]
	}
}

func TestLowerClassesKeepTheirShares(t *testing.T) {
	d := setup(t, 1, func(c *Config) {
		for i, s := range []float64{0, 0.02, 0.01, 0.02} {
			c.Classes[i].Share = s
		}
	})
	k := d.starts("first", llm.ClassSystem, "t")
	started := map[string]int{}
	for _, c := range llm.Classes() {
		for range 10 {
			d.waits(c.String(), c, "t")
		}
	}
	for range 1000 {
		d.g.Done(d.now, k, End{Output: 50})
		did, tickets := d.step()
		k = tickets[0]
		started[did[0]]++
		d.waits(did[0], map[string]llm.Class{"system": 1, "interactive": 2, "standard": 3, "batch": 4}[did[0]], "t")
	}
	for name, want := range map[string]int{"system": 950, "interactive": 20, "standard": 10, "batch": 20} {
		if n := started[name]; n < want-1 || n > want+3 {
			t.Errorf("%d of %s started, not %d: %v", n, name, want, started)
		}
	}
}

func TestEarlierDeadlinesGoFirstInsideATenant(t *testing.T) {
	d := setup(t, 1, nil)
	k := d.starts("first", llm.ClassStandard, "t")
	for _, s := range []int{30, 10, 20, 10} {
		d.offer(fmt.Sprint(s), llm.ClassStandard, "t", func(e *Entry) { e.StartBy = d.now.Add(time.Duration(s) * time.Second) })
	}
	for _, want := range []string{"10", "10", "20", "30"} {
		d.g.Done(d.now, k, End{Output: 10})
		k = d.did(want)[0]
	}
}

func TestStartByIsTheLastMoment(t *testing.T) {
	d := setup(t, 1, nil)
	k := d.starts("first", llm.ClassStandard, "t")
	by := d.now.Add(3 * time.Second)
	for _, o := range []string{"one", "two"} {
		d.offer(o, llm.ClassStandard, "t", func(e *Entry) { e.StartBy = by })
	}
	d.now = by
	d.g.Done(d.now, k, End{Output: 10})
	d.did("one")
	if n := d.g.Next(); n.After(by.Add(1)) {
		t.Errorf("Next is %v after the time to start by", n.Sub(by))
	}
	d.now = by.Add(1)
	d.did("two start_by")
	if _, v := d.offer("three", llm.ClassStandard, "t", func(e *Entry) { e.StartBy = by }); v.Reason != llm.ReasonStart || v.Waiting {
		t.Errorf("one whose time has passed gets %+v", v)
	}
}

func TestTenantsTakeTurnsByWork(t *testing.T) {
	d := setup(t, 1, nil)
	k := d.starts("first", llm.ClassStandard, "x")
	for range 6 {
		d.offer("long", llm.ClassStandard, "long", func(e *Entry) { e.Prompt = 300 })
		d.offer("short", llm.ClassStandard, "short", func(e *Entry) { e.Prompt = 50 })
	}
	// One of long is 300 and twice 50, one of short is 50 and twice 50: 400 and 150.
	for _, want := range []string{"long", "short", "short", "short", "long", "short", "short", "short", "long"} {
		d.g.Done(d.now, k, End{Output: 50})
		k = d.did(want)[0]
	}
}

func TestTrueCostIsCharged(t *testing.T) {
	d := setup(t, 1, nil)
	k := d.starts("first", llm.ClassStandard, "x")
	for range 4 {
		d.offer("much", llm.ClassStandard, "much", nil)
		d.offer("little", llm.ClassStandard, "little", nil)
	}
	d.g.Done(d.now, k, End{Output: 50})
	k = d.did("much")[0]
	d.g.First(d.now, k, 0)
	d.g.Tokens(d.now, k, 200) // 500 in place of 200, and it is charged before it ends
	const lifted = 200        // to where the one before them is
	x := d.g.entries[k]
	if x.charged != 500 || x.queue.counter != lifted+500 {
		t.Errorf("it was charged %v, and its tenant %v", x.charged, x.queue.counter-lifted)
	}
	d.g.Done(d.now, k, End{Output: 200, Cached: 60})
	if n := d.g.tenants["much"].queues[2].counter; n != lifted+440 {
		t.Errorf("with 60 tokens from a cache its tenant was charged %v", n)
	}
	for _, want := range []string{"little", "little", "little", "much"} {
		k = d.did(want)[0]
		d.g.Done(d.now, k, End{Output: 50})
	}
	if k = d.did("little")[0]; d.g.entries[k].charged != 200 {
		t.Errorf("it is charged %v", d.g.entries[k].charged)
	}
	d.g.Done(d.now, k, End{Fault: llm.FaultConnect})
	if n := d.g.tenants["little"].queues[2].counter; n != lifted+600 {
		t.Errorf("one that failed before anything was computed cost its tenant %v", n-lifted-600)
	}
}

func TestReturningTenantHasNoCredit(t *testing.T) {
	d := setup(t, 1, nil)
	k := d.starts("first", llm.ClassStandard, "busy")
	for range 20 {
		d.waits("busy", llm.ClassStandard, "busy")
	}
	for range 10 {
		d.g.Done(d.now, k, End{Output: 50})
		k = d.did("busy")[0]
	}
	for range 5 {
		d.waits("new", llm.ClassStandard, "new")
	}
	turns := map[string]int{}
	for range 8 {
		d.g.Done(d.now, k, End{Output: 50})
		did, tickets := d.step()
		k = tickets[0]
		turns[did[0]]++
	}
	if turns["new"] != 4 || turns["busy"] != 4 {
		t.Errorf("the turns are %v", turns)
	}
}

func TestPromptsKeepAnEndpointBusyForAPartOfTheObjective(t *testing.T) {
	d := setup(t, 100, func(c *Config) { c.Classes[2].TTFT = 2 * time.Second })
	d.endpoints(Endpoint{ID: "a", Usable: true, Slots: 100, PrefillSeconds: 0.001, Waiting: -1, Age: -1})
	sized := func(n int) func(*Entry) { return func(e *Entry) { e.Prompt = n } }
	k, v := d.offer("large", llm.ClassBatch, "t", sized(100_000))
	if !v.Started {
		t.Fatalf("what is too large alone does not start on an idle endpoint: %+v", v)
	}
	if _, v := d.offer("small", llm.ClassBatch, "t", sized(1)); v.Started {
		t.Error("a prompt starts behind one that takes 100 s")
	}
	d.g.First(d.now, k, 0)
	d.did("small")
	// 1 and 499 tokens take half a second, a quarter of the objective.
	if _, v := d.offer("499", llm.ClassBatch, "t", sized(499)); !v.Started {
		t.Errorf("at the bound it does not start: %+v", v)
	}
	if _, v := d.offer("one", llm.ClassBatch, "t", sized(1)); v.Started {
		t.Error("beyond the bound it starts")
	}
	if n := d.g.State(d.now).Endpoints[0].Prefill; n != 500 {
		t.Errorf("%d tokens are to be computed", n)
	}
}

func TestNobodyPassesALargePrompt(t *testing.T) {
	d := setup(t, 100, func(c *Config) { c.Classes[2].TTFT = 2 * time.Second })
	d.endpoints(Endpoint{ID: "a", Usable: true, Slots: 100, PrefillSeconds: 0.001, Waiting: -1, Age: -1})
	sized := func(n int) func(*Entry) { return func(e *Entry) { e.Prompt = n } }
	k, _ := d.offer("first", llm.ClassBatch, "t", sized(300))
	d.offer("large", llm.ClassBatch, "t", sized(400))
	if _, v := d.offer("small", llm.ClassBatch, "u", sized(10)); v.Started {
		t.Error("a small one passes a large one that waits for the endpoint to be done with its prompt")
	}
	d.g.First(d.now, k, 0)
	d.did("large", "small")
}

func TestMemoryOfAnEndpointIsABound(t *testing.T) {
	d := setup(t, 100, nil)
	d.endpoints(Endpoint{ID: "a", Usable: true, Slots: 100, KV: 300, Waiting: -1, Age: -1})
	d.starts("150", llm.ClassStandard, "t")
	d.starts("300", llm.ClassStandard, "t")
	d.waits("450", llm.ClassStandard, "t")
}

func TestRouterMayRefuseOneAndTakeAnother(t *testing.T) {
	d := setup(t, 1, nil)
	k := d.starts("first", llm.ClassStandard, "t")
	d.waits("nowhere", llm.ClassStandard, "t")
	d.waits("broken", llm.ClassStandard, "v")
	d.waits("other", llm.ClassStandard, "u")
	inner := d.place
	d.place = func(e *Entry, room func(llm.EndpointID) bool) (llm.EndpointID, error) {
		switch e.Owner {
		case "nowhere":
			return "", nil
		case "broken":
			return "", errors.New("none is alive")
		}
		return inner(e, room)
	}
	d.g.Done(d.now, k, End{})
	d.did("broken none is alive", "other")
	if _, v := d.offer("broken", llm.ClassStandard, "v", nil); v.Err != nil {
		t.Errorf("the router was asked though nothing has room: %+v", v)
	}
}

func TestProbeGoesOverTheLimit(t *testing.T) {
	d := setup(t, 1, nil)
	d.endpoints(Endpoint{ID: "a", Usable: true, Slots: 1, Waiting: -1, Age: -1}, Endpoint{ID: "b", Usable: true, Slots: 1, Waiting: -1, Age: -1})
	d.place = func(*Entry, func(llm.EndpointID) bool) (llm.EndpointID, error) { return "b", nil }
	d.starts("one", llm.ClassStandard, "t")
	d.starts("two", llm.ClassStandard, "t")
	if e := d.g.State(d.now).Endpoints[1]; e.Running != 2 || e.Limit != 1 {
		t.Errorf("%+v", e)
	}
}

func TestWithoutEndpointsTheRouterSaysWhy(t *testing.T) {
	d := setup(t, 1, nil)
	d.g.Endpoints(d.now, nil)
	d.place = func(_ *Entry, room func(llm.EndpointID) bool) (llm.EndpointID, error) {
		if room("a") {
			t.Error("an endpoint that is gone has room")
		}
		return "", errors.New("none is alive")
	}
	if k, v := d.offer("one", llm.ClassStandard, "t", nil); v.Err == nil || k != 0 {
		t.Errorf("%d %+v", k, v)
	}
	if _, _, ok := d.g.Predict(d.now, Entry{}); ok {
		t.Error("one is predicted to start")
	}
}

func TestWithdrawnGivesBackWhatItHeld(t *testing.T) {
	d := setup(t, 1, nil)
	k := d.starts("runs", llm.ClassStandard, "t")
	w := d.waits("waits", llm.ClassStandard, "t")
	d.g.Withdraw(d.now, w)
	d.g.Withdraw(d.now, w)
	if s := d.g.State(d.now); s.Waiting != (Bounds{}) || s.Running != 1 {
		t.Errorf("%+v", s)
	}
	d.g.Withdraw(d.now, k)
	if s := d.g.State(d.now); s.Running != 0 || s.Endpoints[0].Running != 0 || s.Endpoints[0].Work != 0 || s.Endpoints[0].Prefill != 0 {
		t.Errorf("%+v", s)
	}
	d.g.Done(d.now, k, End{})
	d.g.First(d.now, k, 0)
	d.g.Tokens(d.now, k, 3)
	d.g.Move(d.now, k, "a")
	if s := d.g.State(d.now); s.Endpoints[0].Running != 0 {
		t.Errorf("a ticket that is no more does %+v", s)
	}
}

func TestMoveTakesTheCreditAlong(t *testing.T) {
	d := setup(t, 1, nil)
	d.endpoints(Endpoint{ID: "a", Usable: true, Slots: 1, Waiting: -1, Age: -1}, Endpoint{ID: "b", Usable: true, Slots: 1, Waiting: -1, Age: -1})
	one := d.starts("one", llm.ClassStandard, "t")
	two := d.starts("two", llm.ClassStandard, "t")
	w := d.waits("three", llm.ClassStandard, "t")
	d.g.First(d.now, one, 0)
	d.g.Move(d.now, one, "b")
	d.g.Move(d.now, w, "b") // one that waits is nowhere
	s := d.g.State(d.now)
	if s.Endpoints[0].Running != 0 || s.Endpoints[1].Running != 2 || s.Endpoints[1].Prefill != 200 || s.Endpoints[1].Decoding != 0 {
		t.Errorf("%+v", s.Endpoints)
	}
	d.did("three")
	d.g.Move(d.now, two, "")
	if s := d.g.State(d.now); s.Endpoints[1].Running != 1 || s.Running != 3 {
		t.Errorf("%+v", s)
	}
	d.g.Done(d.now, two, End{})
	d.g.Done(d.now, one, End{})
	if s := d.g.State(d.now); s.Endpoints[1].Running != 0 || s.Endpoints[1].Prefill != 0 || s.Endpoints[1].Work != 0 {
		t.Errorf("%+v", s)
	}
}

func TestOneCallStartsABoundedNumber(t *testing.T) {
	d := setup(t, 1, nil)
	for i := range drainMost + 11 {
		d.offer("w", llm.ClassStandard, llm.TenantID(fmt.Sprint(i)), nil)
	}
	d.endpoints(Endpoint{ID: "a", Usable: true, Slots: 1000, Waiting: -1, Age: -1})
	did, _ := d.step()
	if len(did) != drainMost || d.g.Next().After(d.now) {
		t.Errorf("%d started, and Next is %v", len(did), d.g.Next())
	}
	if did, _ = d.step(); len(did) != 10 {
		t.Errorf("then %d started", len(did))
	}
}

func TestOldReportsSayNothing(t *testing.T) {
	d := setup(t, 0, func(c *Config) { c.Sequences = 8 })
	say := func(waiting int, age time.Duration) {
		d.now = d.now.Add(time.Second)
		d.g.Endpoints(d.now, []Endpoint{{ID: "a", Usable: true, Waiting: waiting, Age: age}})
	}
	for range 8 {
		d.starts("r", llm.ClassStandard, "t")
	}
	limit := func() int { return d.g.State(d.now).Endpoints[0].Limit }
	for range 5 {
		say(3, reportFresh+1)
		say(3, -1)
		say(-1, 0)
	}
	if limit() != 8 {
		t.Errorf("by old reports the limit is %d", limit())
	}
	say(3, 0)
	say(3, 0)
	say(0, 0)
	say(3, 0)
	say(3, 0)
	if limit() != 8 {
		t.Errorf("by two reports running the limit is %d", limit())
	}
	say(1, 0)
	if limit() != 7 {
		t.Errorf("with a line of one reported three times running the limit is %d", limit())
	}
}

func TestWhereTellsThePlace(t *testing.T) {
	d := setup(t, 1, nil)
	d.endpoints(Endpoint{ID: "a", Usable: true, Slots: 1, PrefillSeconds: 0.001, Waiting: -1, Age: -1})
	k := d.starts("runs", llm.ClassStandard, "t")
	var tickets []Ticket
	for range 3 {
		tickets = append(tickets, d.waits("w", llm.ClassStandard, "t"))
	}
	tickets = append(tickets, d.waits("batch", llm.ClassBatch, "u"))
	for i, w := range tickets {
		q := d.g.Where(d.now, w)
		if q.Position != i {
			t.Errorf("number %d stands at %d", i, q.Position)
		}
		// Each is 200 prompt tokens of a millisecond; what runs takes as long as one.
		if want := time.Duration(i+1) * 200 * time.Millisecond; i < 3 && (q.Wait < want || q.Wait > want*11/10) {
			t.Errorf("number %d waits %v, not %v", i, q.Wait, want)
		}
	}
	if q := d.g.Where(d.now, k); q != (llm.Queue{}) {
		t.Errorf("one that runs stands at %+v", q)
	}
}

func TestNothingIsSentToAnEndpointThatIsOverdue(t *testing.T) {
	d := setup(t, 10, func(c *Config) { c.Classes[2].TTFT = 2 * time.Second })
	hour := func(e *Entry) { e.StartBy = start.Add(time.Hour) }
	k, _ := d.offer("usual", llm.ClassStandard, "t", hour)
	d.now = d.now.Add(100 * time.Millisecond)
	d.g.First(d.now, k, 0) // a prompt of 100 tokens takes a tenth of a second
	late, _ := d.offer("late", llm.ClassStandard, "t", hour)
	d.now = d.now.Add(400 * time.Millisecond) // twice that, and a tenth of the objective
	if _, v := d.offer("at the bound", llm.ClassStandard, "t", hour); !v.Started {
		t.Errorf("at the bound it gets %+v", v)
	}
	d.now = d.now.Add(1)
	if _, v := d.offer("beyond", llm.ClassStandard, "t", hour); !v.Waiting {
		t.Errorf("beyond it it gets %+v", v)
	}
	d.g.First(d.now, late, 0)
	d.did("beyond")
}

func TestWhereThereIsRoomNobodyIsRefusedForBeingLate(t *testing.T) {
	d := setup(t, 1, func(c *Config) { c.Classes[2].TTFT = 2 * time.Second })
	d.endpoints(Endpoint{ID: "a", Usable: true, Slots: 1, PrefillSeconds: 1, Waiting: -1, Age: -1})
	inner := d.place
	d.place = func(*Entry, func(llm.EndpointID) bool) (llm.EndpointID, error) { return "", nil }
	d.waits("not there", llm.ClassStandard, "t") // its prompt takes longer than the objective, and the router has no place for it
	d.place = inner
	d.did("not there")
}

func TestWhatCannotMeetItsObjectiveAloneRunsWhereItIsIdle(t *testing.T) {
	d := setup(t, 1, func(c *Config) { c.Classes[2].TTFT = 2 * time.Second })
	d.endpoints(Endpoint{ID: "a", Usable: true, Slots: 1, PrefillSeconds: 1, Waiting: -1, Age: -1})
	d.starts("slow", llm.ClassStandard, "t")
	if _, v := d.offer("second", llm.ClassStandard, "t", nil); v.Reason != llm.ReasonLate {
		t.Errorf("behind it another gets %+v", v)
	}
}

func TestNextInLineIsNotRefusedForTheSakeOfALowerClass(t *testing.T) {
	d := setup(t, 1, func(c *Config) { c.Classes[1].TTFT = 2 * time.Second })
	// What runs takes 1.9 s of the two: whoever is next starts in time, if not surely.
	d.endpoints(Endpoint{ID: "a", Usable: true, Slots: 1, PrefillSeconds: 0.0095, Waiting: -1, Age: -1})
	small := func(e *Entry) { e.Prompt, e.Output = 10, 95 }
	d.offer("runs", llm.ClassBatch, "t", small)
	if _, v := d.offer("alone", llm.ClassInteractive, "t", small); v.Reason != llm.ReasonLate {
		t.Errorf("where nobody else wants the place it gets %+v", v)
	}
	d.waits("batch", llm.ClassBatch, "t")
	if _, v := d.offer("next", llm.ClassInteractive, "t", small); !v.Waiting {
		t.Errorf("before a lower class it gets %+v", v)
	}
}

// One with no time to wait at all is not let wait for a nanosecond and then told that its time to start has passed.
func TestWhatCannotMeetItsObjectiveAloneDoesNotWaitWhereItIsBusy(t *testing.T) {
	d := setup(t, 1, func(c *Config) { c.Classes[1].TTFT = 2 * time.Second })
	d.endpoints(Endpoint{ID: "a", Usable: true, Slots: 1, PrefillSeconds: 0.03, Waiting: -1, Age: -1})
	d.offer("runs", llm.ClassBatch, "t", nil)
	d.waits("batch", llm.ClassBatch, "t")
	if _, v := d.offer("long", llm.ClassInteractive, "t", nil); v.Reason != llm.ReasonLate || v.RetryAfter == 0 {
		t.Errorf("it gets %+v", v)
	}
}

// A lower class that is next in line is refused where what higher ones may bring until its turn would not let it start in time.
func TestNextInLineIsRefusedWhereAHigherClassMayComeBeforeIt(t *testing.T) {
	for _, above := range []bool{false, true} {
		t.Run(fmt.Sprint(above), func(t *testing.T) {
			d := setup(t, 1, func(c *Config) { c.Classes[2].TTFT = 2 * time.Second })
			d.endpoints(Endpoint{ID: "a", Usable: true, Slots: 1, PrefillSeconds: 0.004, Waiting: -1, Age: -1})
			small := func(e *Entry) { e.Prompt, e.Output = 10, 95 }
			for range 40 { // a half of the time, and each takes 0.8 s
				class := llm.ClassBatch
				if above {
					class = llm.ClassInteractive
				}
				k, v := d.offer("runs", class, "people", small)
				if !v.Started {
					t.Fatalf("%+v", v)
				}
				d.now = d.now.Add(800 * time.Millisecond)
				d.g.Done(d.now, k, End{Output: 95})
				d.now = d.now.Add(800 * time.Millisecond)
			}
			d.offer("runs", llm.ClassBatch, "u", small)
			d.offer("batch", llm.ClassBatch, "u", small)
			if _, v := d.offer("next", llm.ClassStandard, "t", small); v.Waiting == above {
				t.Errorf("with a higher class in half of the time, %v, it gets %+v", above, v)
			}
		})
	}
}

func TestThoseWhoWillMissAreDroppedWhenItIsSeen(t *testing.T) {
	d := setup(t, 2, func(c *Config) { c.Classes[2].TTFT = 2 * time.Second })
	facts := func(slots int, prefill float64) {
		d.endpoints(Endpoint{ID: "a", Usable: true, Slots: slots, PrefillSeconds: prefill, Waiting: -1, Age: -1})
	}
	facts(1, 0.0005)
	d.starts("runs", llm.ClassStandard, "t")
	n := 0
	for range 30 {
		if _, v := d.offer("w", llm.ClassStandard, "t", nil); v.Waiting {
			n++
		}
	}
	if n < 8 {
		t.Fatalf("only %d wait", n)
	}
	d.now = d.now.Add(sweepEvery)
	d.did()
	facts(1, 0.002) // it has become four times as slow: each takes 0.4 s
	var gone int
	for range 10 {
		d.now = d.now.Add(sweepEvery)
		did, _ := d.step()
		for _, s := range did {
			if s != "w predicted_miss" {
				t.Fatal(s)
			}
			gone++
		}
	}
	// Half a second later what starts within 1.5 s, and a quarter of that for the doubt, is left: four, and one more.
	if left := n - gone; left < 3 || left > 6 {
		t.Errorf("%d of %d are left", left, n)
	}
}
