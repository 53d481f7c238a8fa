package fleet

import "testing"

// A short prompt that waits for the step under way says little of what a token costs: the mean is over tokens.
func TestPrefillSpeedIsAMeanOverTokens(t *testing.T) {
	t.Parallel()
	var s speed
	if s.prefill() != 0 {
		t.Fatalf("unmeasured it reads %g", s.prefill())
	}
	for range 50 {
		s.sawPrefill(0.1, 10)     // ten times as long a token
		s.sawPrefill(10, 10_000)  // as it is
		s.sawPrefill(9, 7)        // too short to say anything
		s.sawPrefill(0, 100_000)  // a cache's answer
		s.sawPrefill(-1, 100_000) // a clock that was set back
	}
	if got := s.prefill(); got < 0.001 || got > 0.0011 {
		t.Errorf("a token takes %g s, want 0.001 and a little", got)
	}
	for range 60 {
		s.sawPrefill(20, 10_000)
	}
	if got := s.prefill(); got < 0.0018 || got > 0.002 {
		t.Errorf("twice as slow for sixty prompts it reads %g", got)
	}
}
