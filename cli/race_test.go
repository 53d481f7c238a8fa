//go:build race

package cli

// raceDetector reports whether the race detector is on; loops of plain arithmetic are some twenty times slower under it.
const raceDetector = true
