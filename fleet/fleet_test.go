package fleet

import (
	"fmt"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
)

func TestFlightsAreCountedAtBothEnds(t *testing.T) {
	t.Parallel()
	e, now := New(Spec{ID: "a"}), time.Unix(1000, 0)
	one, two := e.Begin(now, 100), e.Begin(now, 50)
	if f := e.Facts(now); f.Running != 2 || f.Prefill != 150 || f.Decoding != 0 {
		t.Fatalf("after two began: %+v", f)
	}
	one.First(now.Add(time.Second))
	one.First(now.Add(2 * time.Second))
	if f := e.Facts(now); f.Prefill != 50 || f.Decoding != 1 {
		t.Fatalf("after one's first token: %+v", f)
	}
	one.End(now.Add(3*time.Second), 21)
	two.End(now.Add(3*time.Second), 0)
	f := e.Facts(now)
	if f.Running != 0 || f.Prefill != 0 || f.Decoding != 0 {
		t.Fatalf("after both ended: %+v", f)
	}
	if f.PrefillSeconds != 0.01 || f.DecodeSeconds(1) != 0.1 {
		t.Fatalf("speeds are %g and %g, want 0.01 and 0.1", f.PrefillSeconds, f.DecodeSeconds(1))
	}
	if got := f.DecodeSeconds(64); got != 0.1 {
		t.Fatalf("an unmeasured batch reads %g, want the nearest", got)
	}
}

func TestLoadIsUnknownBeforeAReport(t *testing.T) {
	t.Parallel()
	e, now := New(Spec{ID: "a"}), time.Unix(1000, 0)
	if f := e.Facts(now); f.LoadAge >= 0 || f.Load.Waiting != -1 || f.Load.KVUsed != -1 {
		t.Fatalf("unreported load reads %+v, age %s", f.Load, f.LoadAge)
	}
	e.Report(Load{At: now, Waiting: 3})
	if f := e.Facts(now.Add(time.Second)); f.LoadAge != time.Second || f.Load.Waiting != 3 {
		t.Fatalf("reported load reads %+v, age %s", f.Load, f.LoadAge)
	}
}

func TestSetTellsListenersAndRefusesDoubles(t *testing.T) {
	t.Parallel()
	var f Fleet
	told := 0
	f.Changed(func() { told++ })
	a := New(Spec{ID: "a"})
	if err := f.Set(map[llm.ModelID][]*Endpoint{"m": {a}}); err != nil || told != 1 {
		t.Fatalf("set: %v, told %d times", err, told)
	}
	if err := f.Set(map[llm.ModelID][]*Endpoint{"m": {a, New(Spec{ID: "a"})}}); err == nil {
		t.Fatal("two endpoints of one name were taken")
	}
	full := make([]*Endpoint, endpointsMax+1)
	for i := range full {
		full[i] = New(Spec{ID: llm.EndpointID(fmt.Sprint(i))})
	}
	if err := f.Set(map[llm.ModelID][]*Endpoint{"m": full[:endpointsMax]}); err != nil {
		t.Fatalf("%d endpoints were refused: %v", endpointsMax, err)
	}
	if err := f.Set(map[llm.ModelID][]*Endpoint{"m": full}); err == nil {
		t.Fatalf("%d endpoints were taken", len(full))
	}
	if got := len(f.Endpoints("m")); got != endpointsMax {
		t.Fatalf("a refused Set changed the list to %d", got)
	}
}

func TestSetHealthTellsChanges(t *testing.T) {
	t.Parallel()
	e, now := New(Spec{ID: "a"}), time.Unix(1000, 0)
	if !e.SetHealth(now, StateDown, "refused") || e.SetHealth(now.Add(time.Second), StateDown, "still refused") {
		t.Fatal("a change of state is told once")
	}
	if h := e.Facts(now).Health; h.Since != now || h.Reason != "still refused" {
		t.Fatalf("health is %+v", h)
	}
}
