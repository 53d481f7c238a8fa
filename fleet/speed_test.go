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

// TestAWholeAnswerBoundsItsPrompt: what is learnt from short prompts makes long ones look slower than they are, until one has come back.
func TestAWholeAnswerBoundsItsPrompt(t *testing.T) {
	t.Parallel()
	var s speed
	s.sawWhole(1, 100)
	if s.prefill() != 0 {
		t.Error("a whole answer alone says something of a speed")
	}
	s.sawPrefill(0.02, 20) // 1 ms a token, most of it the network's
	s.sawWhole(0.5, 100)   // slower than that: nothing new
	if got := s.prefill(); got != 0.001 {
		t.Errorf("a slow answer made it %v", got)
	}
	s.sawWhole(0.1, 10_000)
	if got := s.prefill(); got > 0.000_02 {
		t.Errorf("an answer of 10,000 tokens in 0.1 s leaves %v s a token", got)
	}
}
