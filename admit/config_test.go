package admit

import (
	"strings"
	"testing"
	"time"

	"github.com/weir-ai/weir/llm"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	c := Config{}.WithDefaults()
	if bad := append(c.Validate(), Config{}.Validate()...); len(bad) != 0 {
		t.Errorf("the defaults are bad: %v", bad)
	}
	for i, k := range c.Classes {
		want := ClassConfig{defaultShares[i], 2 * time.Second, 200 * time.Millisecond, time.Minute, c.Waiting}
		if i == llm.ClassBatch.Rank() {
			want.TTFT, want.TPOT = -1, -1
		}
		if k != want {
			t.Errorf("%s: %+v, not %+v", llm.Classes()[i], k, want)
		}
	}
	if c.Tenant.Requests*2 != c.Waiting.Requests || c.Sequences != defaultSequences {
		t.Errorf("%+v", c)
	}
	if again := c.WithDefaults(); again != c {
		t.Errorf("the defaults of the defaults are %+v", again)
	}
	own := Config{Waiting: Bounds{Requests: -1, Bytes: 8, Work: 7}, Sequences: 3}
	own.Classes[3] = ClassConfig{Share: 0.05, TTFT: time.Hour, TPOT: time.Second, Wait: time.Second, Waiting: Bounds{Requests: 1}}
	got := own.WithDefaults()
	if got.Waiting != own.Waiting || got.Sequences != 3 || got.Classes[3].TTFT != time.Hour || got.Classes[3].Waiting != (Bounds{1, 8, 7}) || got.Classes[1].Share != defaultShares[1] || got.Classes[3].Share != 0.05 || got.Tenant != (Bounds{-1, 4, 3.5}) {
		t.Errorf("%+v", got)
	}
}

func TestValidateTellsEveryFault(t *testing.T) {
	t.Parallel()
	var c Config
	c.Sequences = -1
	c.Classes[1].Share = 0.051
	c.Classes[2].Share = -0.01
	c.Classes[3].Wait = -1
	got := strings.Join(c.Validate(), "\n")
	for _, want := range []string{"sequences is -1", "classes.interactive.share is 0.051", "classes.standard.share is -0.01", "classes.batch.wait is -1ns"} {
		if !strings.Contains(got, want) {
			t.Errorf("nothing says %q: %s", want, got)
		}
	}
	c = Config{}
	for i := range 3 {
		c.Classes[i+1].Share = 0.02
	}
	if bad := c.Validate(); len(bad) != 1 || !strings.Contains(bad[0], "0.060 together") {
		t.Errorf("%v", bad)
	}
	c.Classes[3].Share = 0.01
	if bad := c.Validate(); len(bad) != 0 {
		t.Errorf("at the bound: %v", bad)
	}
}
