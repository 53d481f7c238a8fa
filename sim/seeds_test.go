package sim

import (
	"fmt"
	"os"
	"strconv"
	"testing"
)

// number reads a positive number from the environment; otherwise where there is none.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s is %q; give a whole number", name, text)
	}
	return n
}

// Floods with faults, as seeds make them, under every rule. `make sim` plays 200; here a few. WEIR_SIM_SEED plays one and tells of it.
func TestSeeds(t *testing.T) {
	t.Parallel()
	first, count := uint64(1), number(t, "WEIR_SIM_SEEDS", 8)
	alone := number(t, "WEIR_SIM_SEED", 0)
	if alone > 0 {
		first, count = alone, 1
	}
	for seed := first; seed < first+count; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s := Generate(seed)
			p, err := s.Play(append(Rules(), s.Recovery())...)
			if err != nil {
				t.Fatal(err)
			}
			if alone > 0 {
				t.Logf("%s%s", s, p.Report())
			}
			for _, b := range p.Broken() {
				t.Errorf("%s\nplay it again: make sim SEED=%d", b, seed)
				if alone == 0 {
					break
				}
			}
		})
	}
}
