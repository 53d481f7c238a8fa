package admit

import (
	"fmt"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
)

// full offers one that finds no room to wait.
func (d *desk) full(owner string, class llm.Class, tenant llm.TenantID, change func(*Entry)) {
	d.t.Helper()
	k, v := d.offer(owner, class, tenant, change)
	if v.Reason != llm.ReasonFull || k != 0 || v.RetryAfter < time.Second || v.RetryAfter > time.Minute {
		d.t.Fatalf("%s gets %+v", owner, v)
	}
}

func TestEachBoundHoldsAtTheBound(t *testing.T) {
	// Each request is 10 bytes, and 100 and twice 50 tokens.
	bounds := map[string]Bounds{"requests": {Requests: 3, Bytes: -1, Work: -1}, "bytes": {Requests: -1, Bytes: 39, Work: -1}, "work": {Requests: -1, Bytes: -1, Work: 799}}
	places := map[string]func(*Config, Bounds){
		"all":    func(c *Config, b Bounds) { c.Waiting = b },
		"tenant": func(c *Config, b Bounds) { c.Tenant = b },
		"class":  func(c *Config, b Bounds) { c.Classes[2].Waiting = b },
	}
	for name, b := range bounds {
		for where, set := range places {
			t.Run(name+" in "+where, func(t *testing.T) {
				d := setup(t, 1, func(c *Config) {
					none := Bounds{-1, -1, -1}
					c.Waiting, c.Tenant = none, none
					for i := range c.Classes {
						c.Classes[i].Waiting = none
					}
					set(c, b)
				})
				d.starts("runs", llm.ClassStandard, "t")
				for range 3 {
					d.waits("w", llm.ClassStandard, "t")
				}
				d.full("fourth", llm.ClassStandard, "t", nil)
				if where == "tenant" {
					d.waits("other", llm.ClassStandard, "u")
				}
				if where == "class" {
					d.waits("other", llm.ClassBatch, "t")
				}
			})
		}
	}
}

func TestHigherClassDisplacesTheLastOfTheLowest(t *testing.T) {
	d := setup(t, 1, func(c *Config) { c.Waiting = Bounds{Requests: 5, Bytes: -1, Work: -1}; c.Tenant = Bounds{-1, -1, -1} })
	d.starts("runs", llm.ClassStandard, "t")
	d.waits("standard", llm.ClassStandard, "t")
	d.waits("batch-u", llm.ClassBatch, "u")
	d.waits("batch-t1", llm.ClassBatch, "t")
	d.waits("batch-t2", llm.ClassBatch, "t")
	d.waits("batch-t3", llm.ClassBatch, "t")
	d.full("batch", llm.ClassBatch, "v", nil)
	for i, gone := range []string{"batch-t3 displaced", "batch-t2 displaced", "", "", "standard displaced"} {
		d.waits(fmt.Sprint("system-", i), llm.ClassSystem, "v")
		if gone != "" {
			d.did(gone)
			continue
		}
		if got, _ := d.step(); len(got) != 1 || got[0] != "batch-u displaced" && got[0] != "batch-t1 displaced" {
			t.Fatalf("displaced are %q", got)
		}
	}
	d.full("system-5", llm.ClassSystem, "v", nil) // its own class is left
	d.did()
}

func TestNobodyIsDisplacedInVain(t *testing.T) {
	d := setup(t, 1, func(c *Config) { c.Waiting = Bounds{Requests: -1, Bytes: 100, Work: -1}; c.Tenant = Bounds{-1, -1, -1} })
	d.starts("runs", llm.ClassStandard, "t")
	d.offer("system", llm.ClassSystem, "t", func(e *Entry) { e.Bytes = 60 })
	for range 4 {
		d.waits("batch", llm.ClassBatch, "t")
	}
	d.full("too large", llm.ClassInteractive, "t", func(e *Entry) { e.Bytes = 41 })
	d.did()
	if _, v := d.offer("large", llm.ClassInteractive, "t", func(e *Entry) { e.Bytes = 40 }); !v.Waiting {
		t.Fatalf("it fits once all lower are gone, and gets %+v", v)
	}
	d.did("batch displaced", "batch displaced", "batch displaced", "batch displaced")
}

func TestTenantsOwnBoundDisplacesOnlyItsOwn(t *testing.T) {
	d := setup(t, 1, func(c *Config) { c.Tenant.Requests = 2 })
	d.starts("runs", llm.ClassStandard, "t")
	d.waits("other", llm.ClassBatch, "u")
	d.waits("own-1", llm.ClassBatch, "t")
	d.waits("own-2", llm.ClassBatch, "t")
	d.waits("system", llm.ClassSystem, "t")
	d.did("own-2 displaced")
}
