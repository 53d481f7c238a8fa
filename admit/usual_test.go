package admit

import "testing"

// TestAPromptOfUnseenSizeIsGivenAChance: what short prompts take says little of long ones, until two sizes are known.
func TestAPromptOfUnseenSizeIsGivenAChance(t *testing.T) {
	t.Parallel()
	s := &station{}
	s.facts.PrefillSeconds = 0.001
	near := func(prompt int, want float64) {
		t.Helper()
		if got := s.usually(prompt); got < want*0.999 || got > want*1.001 {
			t.Errorf("a prompt of %d takes %v, want %v", prompt, got, want)
		}
	}
	near(500, 0.5) // nothing but a speed is known
	s.usual[sizeOf(20)] = spread{mean: 0.05, off: 0.01, tokens: 20}
	near(20, 0.06)
	near(10, 0.06)     // no longer than a larger one
	near(10_000, 0.06) // and not 25 s
	s.usual[sizeOf(1000)] = spread{mean: 0.15, off: 0.02, tokens: 1020}
	near(1000, 0.17)
	near(500, 0.17)
	near(11_020, 1.17) // 0.1 ms a token beyond
}
